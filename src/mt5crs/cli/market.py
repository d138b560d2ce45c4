"""`mt5crs info`, `symbols`, `rates` and `ticks`: what the terminal knows of itself and of prices."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer

from mt5crs import constants
from mt5crs.cli import values
from mt5crs.cli.follow import follow
from mt5crs.cli.formats import (
    array_rows,
    fields_of,
    lots,
    moment,
    moment_msc,
    money,
    named,
    names_of,
    priced,
    yes_no,
)
from mt5crs.cli.options import Call, connected
from mt5crs.cli.output import Column, Row, Table, field
from mt5crs.cli.report import Failure, note
from mt5crs.model import RATES, TICKS, SymbolInfo
from mt5crs.topics import Bars, Ticks

DEFAULT_COUNT = 20
MOST = 2**31 - 1
FAR_FUTURE = 2**31 - 1
"""Server time that no bar is newer than."""
SPANS = (60, 3600, 86_400, 7 * 86_400, 60 * 86_400)
"""Seconds in which the last ticks are looked for, one after the other: a busy minute may hold enough."""

_TRADE_MODE = named("ACCOUNT_TRADE_MODE_")
_MARGIN_MODE = named("ACCOUNT_MARGIN_MODE_")


def releases(counts: Mapping[str, int]) -> str:
    """Return how many clients run which release, in words."""
    return ", ".join(f"{count} of {release}" for release, count in counts.items()) or "unknown"


# Of the many fields of `info`, those that people see: section, field, how it is shown.
_INFO: tuple[tuple[str, str, Callable[[Any], str]], ...] = (
    ("gateway", "address", str),
    ("gateway", "software", str),
    ("gateway", "release", lambda value: value or "unknown"),
    ("gateway", "clients", releases),
    ("gateway", "terminal", str),
    ("gateway", "stream_port", str),
    ("gateway", "round_trip_ms", lambda value: f"{value:.3f}"),
    ("terminal", "name", str),
    ("terminal", "build", str),
    ("terminal", "company", str),
    ("terminal", "connected", yes_no),
    ("terminal", "trade_allowed", yes_no),
    ("account", "login", str),
    ("account", "server", str),
    ("account", "name", str),
    ("account", "trade_mode", _TRADE_MODE),
    ("account", "margin_mode", _MARGIN_MODE),
    ("account", "leverage", lambda value: f"1:{value}"),
    ("account", "currency", str),
    ("account", "balance", money),
    ("account", "equity", money),
    ("account", "profit", money),
    ("account", "margin", money),
    ("account", "margin_free", money),
)


def info_table(call: Call) -> Table:
    """Return what there is to know of the gateway, the terminal and the account."""
    welcome, ping = call.client.welcome(), call.client.ping()
    sections: dict[str, Mapping[str, Any]] = {
        "gateway": {
            "address": call.where,
            "software": welcome.software,
            "release": ping.pong.state.get("release", ""),
            "clients": ping.pong.state.get("clients", {}),
            "terminal": welcome.terminal,
            "protocol": welcome.protocol,
            "stream_port": welcome.stream_port,
            "epoch": welcome.epoch,
            "round_trip_ms": ping.seconds * 1000,
        },
        "terminal": fields_of(call.got(call.client.terminal_info(), "terminal_info")),
        "account": fields_of(call.got(call.client.account_info(), "account_info")),
    }
    rows = [
        {"section": section, "name": name, "value": value}
        for section, fields in sections.items()
        for name, value in fields.items()
    ]
    view = [
        {"section": section, "name": name.replace("_", " "), "value": show(sections[section][name])}
        for section, name, show in _INFO
    ]
    columns = (field("section"), field("name"), field("value"))
    return Table("gateway, terminal and account", columns, ("section", "name", "value"), rows, view, sections)


def symbols_table(call: Call, mask: str) -> Table:
    """Return the symbols of a group mask."""
    found = call.got(call.client.symbols_get(mask) if mask else call.client.symbols_get(), "symbols_get")
    if not found:
        raise Failure(f"no symbol is like {mask!r}", hint="masks are such as 'EUR*' or '*USD*,!EURUSD'")
    columns = (
        field("name", "symbol"),
        _quote("bid"),
        _quote("ask"),
        field("spread", right=True),
        field("digits", right=True, spare=True),
        field("volume_min", "min lots", lots, right=True),
        field("volume_step", "step", lots, right=True),
        field("visible", "watched", yes_no),
        field("description", spare=True),
    )
    rows = [fields_of(symbol) for symbol in found]
    return Table("symbols", columns, names_of(SymbolInfo), rows)


def _quote(name: str) -> Column:
    return Column(name, lambda row: priced(row["digits"])(row[name]), right=True)


def rates_table(
    call: Call, symbol: str, timeframe: int, count: int | None, start: int | None, end: int | None
) -> Table:
    """Return bars: the newest, those up to a time, or those from a time on."""
    client = call.client
    info = call.symbol(symbol)
    if start is not None:
        bars = client.copy_rates_range(symbol, timeframe, start, FAR_FUTURE if end is None else end)
    elif end is not None:
        bars = client.copy_rates_from(symbol, timeframe, end, count or DEFAULT_COUNT)
    else:
        bars = client.copy_rates_from_pos(symbol, timeframe, 0, count or DEFAULT_COUNT)
    bars = call.got(bars, f"bars of {symbol}")[: count or None]
    if not len(bars):
        note(f"there are no bars of {symbol} in that time")
    return Table(symbol, rate_columns(info.digits), RATE_FIELDS, array_rows(bars))


RATE_FIELDS = tuple(name for name, _ in RATES.fields)


def rate_columns(digits: int) -> list[Column]:
    """Return what people see of bars, given the digits of their symbol."""
    prices = ("open", "high", "low", "close")
    return [
        field("time", "time (server)", moment),
        *(field(name, show=priced(digits), right=True) for name in prices),
        field("tick_volume", "ticks", right=True),
        field("spread", right=True),
    ]


def last_ticks(call: Call, symbol: str, count: int) -> list[Row]:
    """Return the last ticks of a symbol, oldest first, with its name in each."""
    call.symbol(symbol)
    last = call.got(call.client.symbol_info_tick(symbol), f"tick of {symbol}")
    rows: list[Mapping[str, Any]] = []
    for span in SPANS:
        ticks = call.client.copy_ticks_range(
            symbol, last.time - span, last.time + 1, constants.COPY_TICKS_ALL
        )
        rows = array_rows(call.got(ticks, f"ticks of {symbol}")[-count:])
        if len(rows) == count:
            break
    return [{"symbol": symbol, **row} for row in rows]


def tick_columns(digits: Mapping[str, int]) -> list[Column]:
    """Return what people see of ticks, given the digits of each symbol."""

    def quote(name: str) -> Column:
        return Column(name, lambda row: priced(digits[row["symbol"]])(row[name]), right=True)

    return [field("symbol"), field("time_msc", "time (server)", moment_msc), quote("bid"), quote("ask")]


TICK_FIELDS = ("symbol", *(name for name, _ in TICKS.fields))


def register(app: typer.Typer) -> None:
    """Add the commands."""

    @connected(app)
    def info(call: Call) -> None:
        """Show the gateway, the terminal and the account."""
        call.output.write(info_table(call))

    @connected(app)
    def symbols(
        call: Call,
        mask: Annotated[str, typer.Argument(help="A group mask such as 'EUR*' or '*USD*,!EURUSD'.")] = "",
    ) -> None:
        """List the symbols with their prices."""
        call.output.write(symbols_table(call, mask))

    @connected(app)
    def rates(
        call: Call,
        symbol: Annotated[str, typer.Argument(help="A symbol's name.")],
        tf: Annotated[str, typer.Option(help="M1 to MN1.", autocompletion=values.complete_timeframe)] = "H1",
        count: Annotated[
            int | None,
            typer.Option(
                "--count",
                "-n",
                min=1,
                max=MOST,
                help="How many bars (20, or all in a range).",
                show_default=False,
            ),
        ] = None,
        start: Annotated[str | None, typer.Option("--from", help="First server time.")] = None,
        end: Annotated[str | None, typer.Option("--to", help="Last server time.")] = None,
        follow_: Annotated[
            bool, typer.Option("--follow", "-f", help="Show bars as they close, from --from on.")
        ] = False,
        seconds: Annotated[float | None, typer.Option(min=0, help="End --follow after so long.")] = None,
    ) -> None:
        """Show bars: the newest, those of a time, or each when it has closed."""
        if seconds is not None and not follow_:
            raise typer.BadParameter("--seconds needs --follow")
        if end is not None and follow_:
            raise typer.BadParameter("--to and --follow exclude each other")
        timeframe = values.timeframe(tf)
        begin = None if start is None else values.moment(start, "--from")
        stop = None if end is None else values.moment(end, "--to")
        if begin is not None and stop is not None and begin > stop:
            raise typer.BadParameter("--from is later than --to")
        if follow_:
            columns = (field("symbol"), *rate_columns(call.symbol(symbol).digits))
            wanted = [Bars(symbol, timeframe)]
            fields = ("symbol", *RATE_FIELDS)
            follow(call, wanted, columns, fields, count=count, seconds=seconds, since=begin)
            return
        call.output.write(rates_table(call, symbol, timeframe, count, begin, stop))

    @connected(app)
    def ticks(
        call: Call,
        symbols: Annotated[list[str], typer.Argument(help="Names of symbols.")],
        count: Annotated[
            int | None,
            typer.Option("--count", "-n", min=1, max=MOST, help="How many ticks (20; no end with --follow)."),
        ] = None,
        follow_: Annotated[bool, typer.Option("--follow", "-f", help="Show ticks as they come.")] = False,
        seconds: Annotated[float | None, typer.Option(min=0, help="End --follow after so long.")] = None,
    ) -> None:
        """Show the last ticks, or follow them as they come."""
        if seconds is not None and not follow_:
            raise typer.BadParameter("--seconds needs --follow")
        digits = {symbol: call.symbol(symbol).digits for symbol in symbols}
        columns = tick_columns(digits)
        if follow_:
            wanted = [Ticks(symbol) for symbol in symbols]
            follow(call, wanted, columns, TICK_FIELDS, count=count, seconds=seconds)
            return
        rows = [row for symbol in symbols for row in last_ticks(call, symbol, count or DEFAULT_COUNT)]
        call.output.write(Table("ticks", columns, TICK_FIELDS, rows))

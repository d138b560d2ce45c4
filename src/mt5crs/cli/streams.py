"""`mt5crs book`, `account` and `trades`: what is now, and what becomes of it."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from mt5crs.cli.follow import event_rows, follow
from mt5crs.cli.formats import fields_of, lots, moment_msc, money, named, names_of, priced
from mt5crs.cli.market import DEFAULT_COUNT, MOST
from mt5crs.cli.options import Call, connected
from mt5crs.cli.output import Column, Row, Table, field
from mt5crs.cli.report import Failure, note
from mt5crs.model import AccountInfo, BookInfo, TradeEvent
from mt5crs.streams import Bookmark, BookSnapshot
from mt5crs.topics import Account, Book, Trades

BOOK_FIELDS = ("symbol", "level", "levels", *names_of(BookInfo))
ACCOUNT_FIELDS = names_of(AccountInfo)
TRADE_FIELDS = (*names_of(TradeEvent), "bookmark")
_BOOK_TYPE = named("BOOK_TYPE_")

Follow = Annotated[bool, typer.Option("--follow", "-f", help="Show what comes as it comes.")]
Count = Annotated[
    int | None, typer.Option("--count", "-n", min=1, max=MOST, help="End --follow after so many.")
]
Seconds = Annotated[float | None, typer.Option(min=0, help="End --follow after so long.")]


def check_follow(follow_: bool, options: Mapping[str, object]) -> None:
    """Refuse options that are about following alone."""
    given = [name for name, value in options.items() if value is not None]
    if given and not follow_:
        raise typer.BadParameter(f"{given[0]} needs --follow")


def check_after(after: str) -> None:
    """Refuse what is no place among trade events."""
    try:
        Bookmark.of(after)
    except ValueError as error:
        raise typer.BadParameter(f"--after: {error}") from error


def book_columns(digits: int) -> list[Column]:
    """Return what people see of a book, given the digits of its symbol."""
    return [
        field("symbol"),
        Column("level", lambda row: f"{row['level']}/{row['levels']}", right=True),
        field("type", show=_BOOK_TYPE),
        field("price", show=priced(digits), right=True),
        field("volume_dbl", "lots", lots, right=True),
    ]


ACCOUNT_COLUMNS = (
    field("login", right=True),
    field("currency"),
    *(field(name, name.replace("_", " "), money, right=True) for name in ("balance", "equity", "profit")),
    *(field(name, name.replace("_", " "), money, right=True) for name in ("margin", "margin_free")),
)
TRADE_COLUMNS = (
    field("serial", right=True),
    field("time_msc", "time (server)", moment_msc),
    field("kind", show=lambda kind: kind.replace("_", " ")),
    field("symbol"),
    *(field(name, right=True) for name in ("order", "deal", "position")),
    field("reason"),
    field("key"),
)


def _book_now(call: Call, symbol: str) -> BookSnapshot:
    client = call.client
    call.got(client.market_book_add(symbol) or None, f"depth of market of {symbol}")
    try:
        return BookSnapshot(symbol, call.got(client.market_book_get(symbol), f"depth of market of {symbol}"))
    finally:
        client.market_book_release(symbol)


def _trades_now(call: Call, after: str | None, count: int) -> list[Row]:
    """Return the rows of the events after one, or of the last ones."""
    log = call.client.trade_log()
    if log is None:
        raise Failure(
            "the gateway has no trade events yet", hint="they are recorded while somebody follows them"
        )
    start = Bookmark(log.log, max(log.last - count, log.first - 1, 0))
    if after is not None:
        start = Bookmark.of(after)
        if start.log not in {"", log.log}:
            raise Failure(
                "the gateway keeps another record of trade events than the bookmark's",
                hint=f"it has the events {log.first} to {log.last}: begin with --after {log.first - 1}",
            )
    found: Sequence[TradeEvent] = call.got(
        call.client.trade_events(start.serial, count, log.log), "trade events"
    )
    return [{**fields_of(event), "bookmark": str(Bookmark(log.log, event.serial))} for event in found]


def register(app: typer.Typer) -> None:
    """Add the commands."""

    @connected(app)
    def book(
        call: Call,
        symbol: Annotated[str, typer.Argument(help="A symbol's name.")],
        follow_: Follow = False,
        count: Count = None,
        seconds: Seconds = None,
    ) -> None:
        """Show the depth of market of a symbol, or follow it as it changes."""
        check_follow(follow_, {"--count": count, "--seconds": seconds})
        info = call.symbol(symbol)
        columns = book_columns(info.digits)
        if not info.ticks_bookdepth:
            note(f"the broker publishes no depth of market of {symbol}: its book is empty")
        if follow_:
            follow(call, [Book(symbol)], columns, BOOK_FIELDS, count=count, seconds=seconds)
            return
        rows = event_rows(_book_now(call, symbol), as_row=False)
        call.output.write(Table("depth of market", columns, BOOK_FIELDS, rows))

    @connected(app)
    def account(call: Call, follow_: Follow = False, count: Count = None, seconds: Seconds = None) -> None:
        """Show the account, or follow it as it changes."""
        check_follow(follow_, {"--count": count, "--seconds": seconds})
        if follow_:
            follow(call, [Account()], ACCOUNT_COLUMNS, ACCOUNT_FIELDS, count=count, seconds=seconds)
            return
        row: dict[str, Any] = fields_of(call.got(call.client.account_info(), "account_info"))
        call.output.write(Table("account", ACCOUNT_COLUMNS, ACCOUNT_FIELDS, [row], document=row))

    @connected(app)
    def trades(
        call: Call,
        follow_: Follow = False,
        after: Annotated[
            str | None,
            typer.Option(help="Begin behind this event: its bookmark, or its serial number alone."),
        ] = None,
        count: Annotated[
            int | None,
            typer.Option("--count", "-n", min=1, max=MOST, help="How many (20; no end with --follow)."),
        ] = None,
        seconds: Seconds = None,
    ) -> None:
        """Show what became of orders, deals and positions, or follow it as it happens."""
        check_follow(follow_, {"--seconds": seconds})
        if after is not None:
            check_after(after)
        if follow_:
            columns, fields = TRADE_COLUMNS, TRADE_FIELDS
            follow(call, [Trades()], columns, fields, count=count, seconds=seconds, after=after)
            return
        rows = _trades_now(call, after, count or DEFAULT_COUNT)
        call.output.write(Table("trade events", TRADE_COLUMNS, TRADE_FIELDS, rows))

"""`mt5crs buy`, `sell` and `close`."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from mt5crs import constants as c
from mt5crs.arguments import ArgumentError
from mt5crs.arguments import key as checked_key
from mt5crs.cli import values
from mt5crs.cli.formats import digits_of, fields_of, lots, names_of, price
from mt5crs.cli.options import Call, connected
from mt5crs.cli.output import Column, Row, Table, field
from mt5crs.cli.report import Failure, note
from mt5crs.cli.requests import COMMENT_LENGTH, DEVIATION, Filling, Ticket, closing, opening
from mt5crs.client.core import fresh_key
from mt5crs.errors import BridgeError, Certainty, KeyConflict, OutcomeUnknown
from mt5crs.journal.states import OPEN
from mt5crs.model import OrderSendResult
from mt5crs.retcodes import SUCCESSES, UNKNOWN, meaning

if TYPE_CHECKING:
    from mt5crs.model import TradeOrder, TradePosition

MOVING = frozenset({"price"})
"""The fields of a request that the market decides."""
RESULT_FIELDS = (
    *("action", "symbol", "retcode", "meaning"),
    *(name for name in names_of(OrderSendResult) if name not in {"retcode", "request"}),
    "key",
)


# ---- results ----


class Trade(NamedTuple):
    """A trade request that was answered.

    Attributes:
        action: What it was for, in a word or two.
        key: Its idempotency key.
        result: The answer.
    """

    action: str
    key: str
    result: OrderSendResult


def send(call: Call, action: str, request: dict[str, Any], key: str | None = None) -> Trade:
    """Send a request.

    Args:
        call: What the command works with.
        action: What the request is for.
        request: Its fields.
        key: Its idempotency key; a fresh one without it.

    Raises:
        OutcomeUnknown: It may have been executed.
        Failure: The terminal did not take it.
    """
    key = key or fresh_key()
    try:
        result = call.client.order_send(request, key=key)
    except OutcomeUnknown:
        raise
    except BridgeError as error:
        if error.certainty is Certainty.UNKNOWN:
            raise OutcomeUnknown(error.message, hint=error.hint, key=key) from error
        raise
    return Trade(action, key, call.got(result, "answer to the order"))


def key_of(text: str | None) -> str | None:
    """Return an idempotency key as it was given, None where none was."""
    if text is None:
        return None
    try:
        return checked_key(text)
    except ArgumentError:
        raise typer.BadParameter(
            "a key has 1 to 64 characters, none of them a control character", param_hint="--key"
        ) from None


def known(call: Call, action: str, request: dict[str, Any], key: str) -> Trade | None:
    """Return the trade that a key has made already, None where there is none to be told.

    The market has moved since: all but the price must be the same.

    Raises:
        KeyConflict: The key belongs to another request.
        OutcomeUnknown: What became of it is not known.
        Failure: It was not carried out.
    """
    found = call.client.outcome(key)
    if found is None:
        return None
    if found.state in OPEN:
        raise OutcomeUnknown(f"what became of the order of the key {key!r} is not known yet", key=key)
    if found.result is None:
        raise Failure(
            f"the order of the key {key!r} was not carried out: {found.last_error[1]}",
            hint="to send it after all, use a new key",
        )
    sent = found.result.request
    if any(getattr(sent, name) != value for name, value in request.items() if name not in MOVING):
        raise KeyConflict(f"the key {key!r} belongs to another request")
    note(f"the key {key!r} was used before: this is what became of it then")
    return Trade(action, key, found.result)


def results_table(call: Call, trades: Sequence[Trade]) -> Table:
    """Return what became of requests."""
    digits = digits_of(call.client, {trade.result.request.symbol for trade in trades} - {""})
    columns = (
        field("action"),
        field("symbol"),
        field("retcode", right=True),
        field("meaning"),
        field("order", right=True),
        field("deal", right=True),
        field("volume", "lots", lots, right=True),
        Column("price", lambda row: price(row["price"], digits.get(row["symbol"], 5)), right=True),
        field("comment", spare=True),
    )
    rows = [_result_row(trade) for trade in trades]
    return Table("result", columns, RESULT_FIELDS, rows)


def _result_row(trade: Trade) -> Row:
    return {
        "action": trade.action,
        "symbol": trade.result.request.symbol,
        **fields_of(trade.result),
        "meaning": meaning(trade.result.retcode).text,
        "key": trade.key,
    }


def conclude(call: Call, trades: Sequence[Trade]) -> None:
    """Write results.

    Raises:
        OutcomeUnknown: One may have been executed.
        Failure: One was rejected.
    """
    call.output.write(results_table(call, trades))
    unknown = [trade for trade in trades if trade.result.retcode in UNKNOWN]
    if unknown:
        which = "the order" if len(trades) == 1 else f"{len(unknown)} of {len(trades)} orders"
        retcode = unknown[0].result.retcode
        raise OutcomeUnknown(f"{which} was sent, and {meaning(retcode).text}: {retcode}", key=unknown[0].key)
    rejected = [trade.result for trade in trades if trade.result.retcode not in SUCCESSES]
    if rejected:
        retcode = rejected[0].retcode
        text, hint = meaning(retcode)
        which = "the order" if len(trades) == 1 else f"{len(rejected)} of {len(trades)} orders"
        raise Failure(f"{which} was rejected: {retcode}, {text}", hint=hint)


# ---- what to close ----


def to_close(
    call: Call, ticket: int | None, symbol: str | None, everything: bool
) -> "tuple[Sequence[TradePosition], Sequence[TradeOrder]]":
    """Return the positions to close and the pending orders to cancel."""
    if [ticket is not None, symbol is not None, everything].count(True) != 1:
        raise typer.BadParameter("say what to close: a TICKET, --symbol NAME or --all")
    client = call.client
    if ticket is not None:
        positions = call.got(client.positions_get(ticket=ticket), "positions_get")
        orders = () if positions else call.got(client.orders_get(ticket=ticket), "orders_get")
        if not positions and not orders:
            raise Failure(
                f"there is no position or pending order {ticket}",
                hint="`mt5crs positions` and `orders` list them",
            )
        return positions, orders
    if symbol is None:
        return call.got(client.positions_get(), "positions_get"), ()
    call.symbol(symbol)
    return call.got(client.positions_get(symbol=symbol), "positions_get"), ()


def close_all(
    call: Call,
    ticket: int | None,
    symbol: str | None,
    everything: bool,
    volume: str | None,
    deviation: int,
    key: str | None,
) -> None:
    """Close positions, or cancel the pending order of a ticket."""
    if key is not None and ticket is None:
        raise typer.BadParameter("--key is for one TICKET")
    before = None if key is None else known(call, "close", {}, key)
    if before is not None:
        conclude(call, [before])
        return
    if volume is not None and ticket is None:
        raise typer.BadParameter("--volume is for one TICKET")
    positions, orders = to_close(call, ticket, symbol, everything)
    if volume is not None and orders:
        raise typer.BadParameter(
            f"{ticket} is a pending order, which is cancelled as a whole", param_hint="--volume"
        )
    trades: list[Trade] = []
    for position in positions:
        part = position.volume
        if volume is not None:
            part = values.volume(volume, call.symbol(position.symbol), "--volume", position.volume)
        trades.append(send(call, "close", closing(call, position, part, deviation), key))
    for order in orders:
        request = {"action": c.TRADE_ACTION_REMOVE, "order": order.ticket, "symbol": order.symbol}
        trades.append(send(call, "cancel", request, key))
    conclude(call, trades)


# ---- commands ----

LARGEST = 2**63 - 1
"""The largest ticket and magic number."""

MOST_POINTS = 2**31 - 1

_SIDES = {"buy": "Buy", "sell": "Sell"}


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for side in _SIDES:
        connected(app, side)(_opener(side))

    @connected(app)
    def close(
        call: Call,
        ticket: Annotated[
            int | None, typer.Argument(min=1, max=LARGEST, help="A position, or a pending order to cancel.")
        ] = None,
        symbol: Annotated[
            str | None, typer.Option("--symbol", "-s", help="All positions of a symbol.")
        ] = None,
        everything: Annotated[bool, typer.Option("--all", help="All positions.")] = False,
        volume: Annotated[str | None, typer.Option(help="Lots to close; all without it.")] = None,
        deviation: Annotated[
            int, typer.Option(min=0, max=MOST_POINTS, help="Points that the price may differ.")
        ] = DEVIATION,
        key: Annotated[
            str | None, typer.Option(help="Idempotency key: the same key again is the same order.")
        ] = None,
    ) -> None:
        """Close a position or a part of it, those of a symbol, or all."""
        close_all(call, ticket, symbol, everything, volume, deviation, key_of(key))


def _opener(side: str) -> Callable[..., None]:
    def open_(
        call: Call,
        symbol: Annotated[str, typer.Argument(help="A symbol's name.")],
        volume: Annotated[str, typer.Argument(help="Lots.")],
        price: Annotated[str | None, typer.Option(help="Price of a pending order.")] = None,
        limit: Annotated[bool, typer.Option("--limit", help="At --price or better.")] = False,
        stop: Annotated[bool, typer.Option("--stop", help="When the market reaches --price.")] = False,
        sl: Annotated[str | None, typer.Option(help="Stop loss.")] = None,
        tp: Annotated[str | None, typer.Option(help="Take profit.")] = None,
        deviation: Annotated[
            int | None, typer.Option(min=0, max=MOST_POINTS, help="Points that the price may differ.")
        ] = None,
        magic: Annotated[int | None, typer.Option(min=0, max=LARGEST, help="The strategy's number.")] = None,
        comment: Annotated[str | None, typer.Option(help="Up to 29 characters.")] = None,
        filling: Annotated[
            Filling | None, typer.Option(help="Filling mode; one that the symbol takes without it.")
        ] = None,
        key: Annotated[
            str | None, typer.Option(help="Idempotency key: the same key again is the same order.")
        ] = None,
    ) -> None:
        if limit and stop:
            raise typer.BadParameter("--limit and --stop exclude each other")
        if comment is not None and len(comment) > COMMENT_LENGTH:
            raise typer.BadParameter(
                f"a comment has up to {COMMENT_LENGTH} characters", param_hint="--comment"
            )
        pending = "limit" if limit else "stop" if stop else ""
        ticket = Ticket(side, symbol, volume, price, pending, sl, tp)
        extras = {"deviation": deviation, "magic": magic, "comment": comment}
        key = key_of(key)
        action = " ".join(filter(None, (side, pending)))
        request = opening(call, ticket, extras, filling)
        before = None if key is None else known(call, action, request, key)
        conclude(call, [before or send(call, action, request, key)])

    open_.__doc__ = (
        f"{_SIDES[side]} at the market, or place a pending order with --price and --limit or --stop."
    )
    return open_

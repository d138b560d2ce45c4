"""`mt5crs positions` and `orders`: what is open."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from mt5crs.cli.formats import digits_of, fields_of, lots, moment, money, named, names_of, price
from mt5crs.cli.options import Call, connected
from mt5crs.cli.output import Column, Table, field
from mt5crs.model import TradeOrder, TradePosition

_POSITION_TYPE = named("POSITION_TYPE_")
_ORDER_TYPE = named("ORDER_TYPE_")

Symbol = Annotated[str | None, typer.Option("--symbol", "-s", help="Of one symbol.")]


def positions_table(call: Call, found: Sequence[TradePosition]) -> Table:
    """Return positions as a table."""
    quote = _quotes(call, found)
    columns = (
        field("ticket", right=True),
        field("symbol"),
        field("type", show=_POSITION_TYPE),
        field("volume", "lots", lots, right=True),
        quote("price_open", "open"),
        quote("sl", "SL"),
        quote("tp", "TP"),
        quote("price_current", "current"),
        field("swap", show=money, right=True, spare=True),
        field("profit", show=money, right=True),
        field("time", "time (server)", moment, spare=True),
        field("comment", spare=True),
    )
    return Table("positions", columns, names_of(TradePosition), [fields_of(record) for record in found])


def orders_table(call: Call, found: Sequence[TradeOrder]) -> Table:
    """Return pending orders as a table."""
    quote = _quotes(call, found)
    columns = (
        field("ticket", right=True),
        field("symbol"),
        field("type", show=_ORDER_TYPE),
        field("volume_current", "lots", lots, right=True),
        quote("price_open", "price"),
        quote("sl", "SL"),
        quote("tp", "TP"),
        quote("price_current", "current"),
        field("time_setup", "time (server)", moment, spare=True),
        field("comment", spare=True),
    )
    return Table("orders", columns, names_of(TradeOrder), [fields_of(record) for record in found])


def _quotes(call: Call, found: Sequence[TradePosition | TradeOrder]) -> Any:
    digits = digits_of(call.client, {record.symbol for record in found})

    def quote(name: str, title: str) -> Column:
        return Column(title, lambda row: price(row[name], digits[row["symbol"]]), right=True)

    return quote


def register(app: typer.Typer) -> None:
    """Add the commands."""

    @connected(app)
    def positions(call: Call, symbol: Symbol = None) -> None:
        """List the open positions."""
        get = call.client.positions_get
        found = call.got(get() if symbol is None else get(symbol=symbol), "positions_get")
        call.output.write(positions_table(call, found))

    @connected(app)
    def orders(call: Call, symbol: Symbol = None) -> None:
        """List the pending orders."""
        get = call.client.orders_get
        found = call.got(get() if symbol is None else get(symbol=symbol), "orders_get")
        call.output.write(orders_table(call, found))

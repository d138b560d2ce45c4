"""Deals as a table."""

from collections.abc import Sequence

from mt5crs.cli.formats import fields_of, lots, moment_msc, money, named, names_of, priced
from mt5crs.cli.output import Table, field
from mt5crs.model import TradeDeal

_TYPE = named("DEAL_TYPE_")
_ENTRY = named("DEAL_ENTRY_")


def deals_table(found: Sequence[TradeDeal], digits: int) -> Table:
    """Return the deals of one symbol."""
    columns = (
        field("ticket", "deal", right=True),
        field("order", right=True),
        field("time_msc", "time (server)", moment_msc),
        field("type", show=_TYPE),
        field("entry", show=_ENTRY),
        field("volume", "lots", lots, right=True),
        field("price", show=priced(digits), right=True),
        field("profit", show=money, right=True),
    )
    return Table("deals", columns, names_of(TradeDeal), [fields_of(deal) for deal in found])

"""Accounts with one position a symbol: adding, reducing, reversing."""

from typing import Any

from mt5crs.conformance.desk import Desk
from mt5crs.conformance.rule import NotApplicable, Rules, wrong

RULES = Rules("netting", trades=True)

LOW, HIGH = 0.9, 1.1
"""Prices that the market does not come to, as fractions of it."""


def _opened(mt5: Any, desk: Desk, lots: int, **more: Any) -> Any:
    """Open the symbol's only position.

    Raises:
        NotApplicable: The account hedges.
    """
    if mt5.account_info().margin_mode == mt5.ACCOUNT_MARGIN_MODE_RETAIL_HEDGING:
        raise NotApplicable("the account is a hedging account")
    return desk.open(0, lots, **more)


def _met(desk: Desk, side: int, lots: int, **more: Any) -> tuple[Any, Any, Any]:
    """Send a deal that meets the position; return the result, its deal and the position after it."""
    result = desk.send(desk.market(side, lots, **more))
    (deal,) = desk.deals(result.order)
    return result, deal, desk.only()


@RULES.rule("add", "A deal in the same direction adds: one position, its ticket, the average price", "D")
def _add(mt5: Any, desk: Desk) -> object:
    before = _opened(mt5, desk, 1)
    _result, deal, after = _met(desk, 0, 3)
    average = (before.price_open + 3 * deal.price) / 4
    return wrong(
        ids=((after.ticket, after.identifier), (before.ticket, before.identifier)),
        volume=(after.volume, round(4 * desk.info.volume_min, 8)),
        price=(abs(after.price_open - average) < desk.info.point, True),
        deal=((deal.entry, deal.position_id, deal.profit), (mt5.DEAL_ENTRY_IN, before.identifier, 0.0)),
    )


@RULES.rule("reduce", "A smaller opposite deal reduces: OUT, the open price stays", "D")
def _reduce(mt5: Any, desk: Desk) -> object:
    before = _opened(mt5, desk, 3)
    _result, deal, after = _met(desk, 1, 1)
    return wrong(
        ids=((after.ticket, after.identifier), (before.ticket, before.identifier)),
        volume=(after.volume, round(2 * desk.info.volume_min, 8)),
        price=(after.price_open, before.price_open),
        deal=((deal.type, deal.entry), (mt5.DEAL_TYPE_SELL, mt5.DEAL_ENTRY_OUT)),
    )


@RULES.rule("close", "An opposite deal of the same volume closes", "D")
def _close(mt5: Any, desk: Desk) -> object:
    before = _opened(mt5, desk, 2)
    _result, deal, after = _met(desk, 1, 2)
    return wrong(
        gone=(after, None),
        deal=((deal.entry, deal.position_id), (mt5.DEAL_ENTRY_OUT, before.identifier)),
    )


@RULES.rule("reverse", "A larger opposite deal reverses: one deal INOUT, the ticket of its order", "D")
def _reverse(mt5: Any, desk: Desk) -> object:
    before = _opened(mt5, desk, 1)
    result, deal, after = _met(desk, 1, 3)
    return wrong(
        side=((after.type, after.volume), (mt5.POSITION_TYPE_SELL, round(2 * desk.info.volume_min, 8))),
        ids=((after.identifier, after.ticket), (before.identifier, result.order)),
        price=(after.price_open, deal.price),
        deal=((deal.entry, deal.position_id), (mt5.DEAL_ENTRY_INOUT, before.identifier)),
        volume=(deal.volume, round(3 * desk.info.volume_min, 8)),
    )


@RULES.rule("stops_replaced", "A deal that adds brings its stops: they replace those of the position", "D")
def _stops_replaced(mt5: Any, desk: Desk) -> object:
    _opened(mt5, desk, 1, sl=desk.price(LOW))
    sl, tp = desk.price(LOW + 0.01), desk.price(HIGH)
    after = _met(desk, 0, 1, sl=sl, tp=tp)[2]
    return wrong(levels=((after.sl, after.tp), (sl, tp)))


@RULES.rule("stops_cleared", "A deal that adds without stops clears those of the position", "D")
def _stops_cleared(mt5: Any, desk: Desk) -> object:
    _opened(mt5, desk, 1, sl=desk.price(LOW), tp=desk.price(HIGH))
    after = _met(desk, 0, 1)[2]
    return wrong(levels=((after.sl, after.tp), (0.0, 0.0)))


@RULES.rule("stops_kept", "A deal that reduces leaves the stops of the position alone", "D")
def _stops_kept(mt5: Any, desk: Desk) -> object:
    before = _opened(mt5, desk, 2, sl=desk.price(LOW), tp=desk.price(HIGH))
    after = _met(desk, 1, 1)[2]
    return wrong(levels=((after.sl, after.tp), (before.sl, before.tp)))


@RULES.rule("sltp_symbol", "SLTP names the position by its symbol", "D")
def _sltp_symbol(mt5: Any, desk: Desk) -> object:
    _opened(mt5, desk, 1)
    sl = desk.price(LOW)
    result = mt5.order_send(
        {"action": mt5.TRADE_ACTION_SLTP, "symbol": desk.name, "sl": sl, "magic": desk.magic}
    )
    desk.until(lambda: desk.only().sl)
    return wrong(retcode=(result.retcode, mt5.TRADE_RETCODE_DONE), level=(desk.only().sl, sl))


@RULES.rule("life", "All orders and deals of a position carry its identifier", "D")
def _life(mt5: Any, desk: Desk) -> object:
    before = _opened(mt5, desk, 1)
    _met(desk, 1, 2)
    _met(desk, 0, 1)
    life = mt5.history_deals_get(position=before.identifier)
    entries = [deal.entry for deal in life]
    return wrong(
        entries=(entries, [mt5.DEAL_ENTRY_IN, mt5.DEAL_ENTRY_INOUT, mt5.DEAL_ENTRY_OUT]),
        orders=(len(mt5.history_orders_get(position=before.identifier)), 3),
    )

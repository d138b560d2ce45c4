"""Orders, positions and deals: the rules that trade."""

from typing import Any

from mt5crs.conformance.calls import SUCCESS
from mt5crs.conformance.desk import Desk
from mt5crs.conformance.money import REFUSED, Request
from mt5crs.conformance.rule import NotApplicable, Observe, Rules, wrong

RULES = Rules("trading", trades=True)

LOW, LOWER, HIGH, HIGHER = 0.9, 0.85, 1.1, 1.15
"""Prices that the market does not come to, as fractions of it."""


# ---- rejects ----


def _sent(request: Request) -> Observe:
    def observe(mt5: Any, desk: Desk) -> object:
        result = mt5.order_send(request(mt5, desk))
        if result.retcode == mt5.TRADE_RETCODE_MARKET_CLOSED:
            raise NotApplicable("the market is closed")
        return result.retcode, result.order, result.deal, tuple(mt5.last_error())

    return observe


for _name, _statement, _sure, _request, _retcode in REFUSED:
    RULES.add(
        f"reject_{_name}",
        f"Sent: {_statement} is refused, which is a result and no error",
        _sure,
        _sent(_request),
        (_retcode, 0, 0, SUCCESS),
    )


@RULES.rule("reject_filling", "RETURN is no filling of a market order under market execution", "DF", 10030)
def _reject_filling(mt5: Any, desk: Desk) -> object:
    if desk.info.trade_exemode != mt5.SYMBOL_TRADE_EXECUTION_MARKET:
        raise NotApplicable(f"{desk.name} is not executed at market")
    return mt5.order_send(desk.market(0, type_filling=mt5.ORDER_FILLING_RETURN)).retcode


@RULES.rule("reject_order", "An order that is not there cannot be removed", "K", 10013)
def _reject_order(mt5: Any, desk: Desk) -> object:
    return mt5.order_send({"action": mt5.TRADE_ACTION_REMOVE, "order": 1}).retcode


@RULES.rule("reject_position", "A position that is not there cannot be closed", "D", True)
def _reject_position(mt5: Any, desk: Desk) -> object:
    desk.hedging()
    retcode = mt5.order_send(desk.market(1, position=1)).retcode
    return retcode in (mt5.TRADE_RETCODE_POSITION_CLOSED, mt5.TRADE_RETCODE_INVALID)


# ---- opening ----


@RULES.rule("open", "A market order is done, and gives its request back", "D")
def _open(mt5: Any, desk: Desk) -> object:
    request = desk.market(0, comment="conformance")
    result = desk.send(request)
    return wrong(
        retcode=(result.retcode, mt5.TRADE_RETCODE_DONE),
        comment=(result.comment, "Request executed"),
        volume=(result.volume, request["volume"]),
        request=(request.items() <= result.request._asdict().items(), True),
        numbers=(result.request_id > 0 and result.order > 0 and result.price > 0, True),
        error=(tuple(mt5.last_error()), SUCCESS),
    )


@RULES.rule("open_ids", "Order, position, identifier and position_id of the deal are one number", "DR")
def _open_ids(mt5: Any, desk: Desk) -> object:
    position = desk.open()
    order = desk.done(position.ticket)
    (deal,) = desk.deals(position.ticket)
    return wrong(
        identifier=(position.identifier, position.ticket),
        order=((order.ticket, order.position_id), (position.ticket, position.ticket)),
        deal=((deal.order, deal.position_id), (position.ticket, position.ticket)),
    )


@RULES.rule("open_position", "A position has what its request said", "DR")
def _open_position(mt5: Any, desk: Desk) -> object:
    position = desk.open(1, sl=desk.price(HIGH), tp=desk.price(LOW), comment="conformance")
    return wrong(
        side=(position.type, mt5.POSITION_TYPE_SELL),
        volume=(position.volume, desk.info.volume_min),
        magic=(position.magic, desk.magic),
        comment=(position.comment, "conformance"),
        symbol=(position.symbol, desk.name),
        reason=(position.reason, mt5.POSITION_REASON_EXPERT),
        stops=(position.sl > position.price_open > position.tp > 0, True),
    )


@RULES.rule("open_order", "A filled market order is in history at once, and nowhere else", "R")
def _open_order(mt5: Any, desk: Desk) -> object:
    position = desk.open()
    order = desk.done(position.ticket)
    return wrong(
        state=(order.state, mt5.ORDER_STATE_FILLED),
        volume=((order.volume_initial, order.volume_current), (desk.info.volume_min, 0.0)),
        times=(order.time_done_msc >= order.time_setup_msc, True),
        reason=(order.reason, mt5.ORDER_REASON_EXPERT),
        pending=(desk.order(position.ticket), None),
    )


@RULES.rule("open_deal", "The deal of an opening is IN, without profit, at the position's price", "DR")
def _open_deal(mt5: Any, desk: Desk) -> object:
    position = desk.open()
    (deal,) = desk.deals(position.ticket)
    return wrong(
        kind=((deal.type, deal.entry), (mt5.DEAL_TYPE_BUY, mt5.DEAL_ENTRY_IN)),
        profit=(deal.profit, 0.0),
        price=(deal.price, position.price_open),
        volume=(deal.volume, position.volume),
        reason=(deal.reason, mt5.DEAL_REASON_EXPERT),
        magic=(deal.magic, desk.magic),
    )


@RULES.rule("open_account", "With a position the account's totals hold together", "R")
def _open_account(mt5: Any, desk: Desk) -> object:
    desk.open()
    account = mt5.account_info()
    equity = account.balance + account.credit + account.profit
    return wrong(
        margin=(account.margin > 0, True),
        equity=(abs(account.equity - equity) < 0.011, True),
        level=(abs(account.margin_level - 100 * account.equity / account.margin) < 1e-3, True),
    )


@RULES.rule("open_selected", "A symbol with a position stays in Market Watch", "D", False)
def _open_selected(mt5: Any, desk: Desk) -> object:
    desk.open()
    return mt5.symbol_select(desk.name, False)


@RULES.rule("open_found", "A position is found by ticket before symbol, by symbol, by group", "BD")
def _open_found(mt5: Any, desk: Desk) -> object:
    ticket = desk.open().ticket
    asked: dict[str, tuple[dict[str, Any], bool]] = {
        "ticket": ({"ticket": ticket}, True),
        "ticket_first": ({"ticket": ticket, "symbol": "NO.SUCH"}, True),
        "symbol": ({"symbol": desk.name}, True),
        "other_symbol": ({"symbol": "NO.SUCH"}, False),
        "group": ({"group": f"{desk.name[:3]}*"}, True),
        "excluded": ({"group": f"*,!{desk.name}"}, False),
        "part": ({"group": desk.name[:-1]}, False),
    }
    return wrong(
        **{
            name: (ticket in [each.ticket for each in mt5.positions_get(**keywords)], found)
            for name, (keywords, found) in asked.items()
        }
    )


@RULES.rule("request_id", "Requests that reach the server are numbered upwards", "R", True)
def _request_id(mt5: Any, desk: Desk) -> object:
    first = desk.send(desk.market(0)).request_id
    return desk.send(desk.market(0)).request_id > first


# ---- stops of a position ----


def _sltp(mt5: Any, position: Any, sl: float, tp: float) -> Any:
    stops = {"sl": sl, "tp": tp}
    return mt5.order_send(
        {
            "action": mt5.TRADE_ACTION_SLTP,
            "position": position.ticket,
            "symbol": position.symbol,
            "magic": position.magic,
            **{name: level for name, level in stops.items() if level},
        }
    )


@RULES.rule("sltp", "SLTP sets both levels", "D")
def _sltp_sets(mt5: Any, desk: Desk) -> object:
    position, sl, tp = desk.open(), desk.price(LOW), desk.price(HIGH)
    retcode = _sltp(mt5, position, sl, tp).retcode
    desk.until(lambda: desk.position(position.ticket).sl)
    changed = desk.position(position.ticket)
    return wrong(retcode=(retcode, mt5.TRADE_RETCODE_DONE), levels=((changed.sl, changed.tp), (sl, tp)))


@RULES.rule("sltp_omitted", "A level that SLTP omits is removed", "DF")
def _sltp_omitted(mt5: Any, desk: Desk) -> object:
    position = desk.open(sl=desk.price(LOW), tp=desk.price(HIGH))
    retcode = _sltp(mt5, position, position.sl, 0.0).retcode
    desk.until(lambda: not desk.position(position.ticket).tp)
    changed = desk.position(position.ticket)
    return wrong(
        retcode=(retcode, mt5.TRADE_RETCODE_DONE), levels=((changed.sl, changed.tp), (position.sl, 0.0))
    )


@RULES.rule("sltp_same", "SLTP with the same levels changes nothing", "DF", 10025)
def _sltp_same(mt5: Any, desk: Desk) -> object:
    position = desk.open(sl=desk.price(LOW))
    return _sltp(mt5, position, position.sl, position.tp).retcode


@RULES.rule("sltp_wrong", "SLTP refuses a level on the wrong side", "D", 10016)
def _sltp_wrong(mt5: Any, desk: Desk) -> object:
    return _sltp(mt5, desk.open(), desk.price(HIGH), 0.0).retcode


# ---- closing ----


@RULES.rule("close", "Closing leaves no position, and a deal OUT of the other side", "DR")
def _close(mt5: Any, desk: Desk) -> object:
    position = desk.open()
    result = desk.close(position)
    (deal,) = desk.deals(result.order)
    order = desk.done(result.order)
    return wrong(
        position=(desk.position(position.ticket), None),
        kind=((deal.type, deal.entry), (mt5.DEAL_TYPE_SELL, mt5.DEAL_ENTRY_OUT)),
        ids=((deal.position_id, order.position_id), (position.ticket, position.ticket)),
        order=(result.order != position.ticket, True),
    )


@RULES.rule("close_history", "History by position is its whole life; by ticket that of one order", "DB")
def _close_history(mt5: Any, desk: Desk) -> object:
    position = desk.open()
    result = desk.close(position)
    desk.deals(result.order)
    deals = mt5.history_deals_get(position=position.ticket)
    orders = mt5.history_orders_get(position=position.ticket)
    own = mt5.history_deals_get(ticket=position.ticket, position=1)
    return wrong(
        deals=([deal.order for deal in deals], [position.ticket, result.order]),
        orders=([order.ticket for order in orders], [position.ticket, result.order]),
        own=([deal.order for deal in own], [position.ticket]),
    )


@RULES.rule("close_balance", "The balance changes by what the deals booked", "R", True)
def _close_balance(mt5: Any, desk: Desk) -> object:
    before = mt5.account_info().balance
    position = desk.open()
    desk.deals(desk.close(position).order)
    deals = mt5.history_deals_get(position=position.ticket)
    booked = sum(deal.profit + deal.swap + deal.commission + deal.fee for deal in deals)
    return bool(desk.until(lambda: abs(mt5.account_info().balance - before - booked) < 0.011))


@RULES.rule("close_part", "A partial close leaves the ticket, the price and the time as they were", "D")
def _close_part(mt5: Any, desk: Desk) -> object:
    desk.hedging()
    position = desk.open(lots=2)
    result = desk.close(position, lots=1)
    desk.until(lambda: desk.position(position.ticket).volume < position.volume)
    rest = desk.position(position.ticket)
    return wrong(
        volume=(rest.volume, desk.info.volume_min),
        kept=(
            (rest.ticket, rest.price_open, rest.time_msc),
            (position.ticket, position.price_open, position.time_msc),
        ),
        order=(desk.done(result.order).position_id, position.ticket),
    )


@RULES.rule("close_over", "More than the position cannot be closed", "D", 10038)
def _close_over(mt5: Any, desk: Desk) -> object:
    desk.hedging()
    return mt5.order_send(desk.closing(desk.open(), lots=2)).retcode


@RULES.rule("hedge", "Without position= an opposite order opens another position", "D", {0, 1})
def _hedge(mt5: Any, desk: Desk) -> object:
    desk.hedging()
    tickets = [desk.open(side).ticket for side in (0, 1)]
    return {desk.position(ticket).type for ticket in tickets}


@RULES.rule("close_by", "CLOSE_BY: one order of type 8, two deals OUT_BY of the smaller volume", "D")
def _close_by(mt5: Any, desk: Desk) -> object:
    desk.hedging()
    big, small = desk.open(0, lots=2), desk.open(1)
    action = {"action": mt5.TRADE_ACTION_CLOSE_BY, "magic": desk.magic}
    result = desk.send({**action, "position": big.ticket, "position_by": small.ticket})
    order, deals = desk.done(result.order), desk.deals(result.order, 2)
    rest = desk.position(big.ticket)
    return wrong(
        order=(
            (order.type, order.position_id, order.position_by_id),
            (mt5.ORDER_TYPE_CLOSE_BY, big.ticket, small.ticket),
        ),
        deals=([(deal.entry, deal.volume) for deal in deals], [(mt5.DEAL_ENTRY_OUT_BY, small.volume)] * 2),
        rest=((rest.volume, rest.price_open), (small.volume, big.price_open)),
        gone=(desk.position(small.ticket), None),
    )


# ---- pending orders ----

_PLACED = {2: ("buy limit", LOW), 3: ("sell limit", HIGH), 4: ("buy stop", HIGH), 5: ("sell stop", LOW)}


def _placing(kind: int, share: float) -> Observe:
    def observe(mt5: Any, desk: Desk) -> object:
        price = desk.price(share)
        order = desk.place(kind, price)
        return wrong(
            order=((order.type, order.price_open, order.magic), (kind, price, desk.magic)),
            state=(order.state, mt5.ORDER_STATE_PLACED),
            position_id=(order.position_id, 0),
            volume=((order.volume_initial, order.volume_current), (desk.info.volume_min,) * 2),
        )

    return observe


for _kind, (_title, _share) in _PLACED.items():
    RULES.add(
        f"place_{_title.replace(' ', '_')}",
        f"A {_title} on its side of the price rests as placed",
        "D",
        _placing(_kind, _share),
        (),
    )


@RULES.rule("place_stop_limit", "A stop-limit order rests with both its prices", "D")
def _place_stop_limit(mt5: Any, desk: Desk) -> object:
    if not desk.info.order_mode & 8:
        raise NotApplicable(f"{desk.name} has no stop-limit orders")
    stop, limit = desk.price(HIGH), desk.price(1.05)
    order = desk.place(mt5.ORDER_TYPE_BUY_STOP_LIMIT, stop, stoplimit=limit)
    return wrong(prices=((order.price_open, order.price_stoplimit), (stop, limit)))


@RULES.rule("place_expiration", "An order until a time says until when", "D")
def _place_expiration(mt5: Any, desk: Desk) -> object:
    if not desk.info.expiration_mode & 4:
        raise NotApplicable(f"orders of {desk.name} do not expire at a stated time")
    until = desk.tick.time // 60 * 60 + 2 * 86_400
    order = desk.place(2, desk.price(LOW), type_time=mt5.ORDER_TIME_SPECIFIED, expiration=until)
    return wrong(time=((order.type_time, order.time_expiration), (mt5.ORDER_TIME_SPECIFIED, until)))


def _modify(mt5: Any, order: Any, **fields: float) -> Any:
    request = {"action": mt5.TRADE_ACTION_MODIFY, "order": order.ticket, "symbol": order.symbol}
    return mt5.order_send({**request, "magic": order.magic, **fields})


@RULES.rule("modify", "MODIFY sets what it says, and removes the levels that it omits", "DF")
def _modify_sets(mt5: Any, desk: Desk) -> object:
    order = desk.place(2, desk.price(LOW), sl=desk.price(LOWER), tp=desk.price(HIGH))
    price = desk.price(0.91)
    retcode = _modify(mt5, order, price=price).retcode
    desk.until(lambda: desk.order(order.ticket).price_open == price)
    changed = desk.order(order.ticket)
    return wrong(
        retcode=(retcode, mt5.TRADE_RETCODE_DONE),
        levels=((changed.price_open, changed.sl, changed.tp), (price, 0.0, 0.0)),
    )


@RULES.rule("modify_same", "MODIFY with the same values changes nothing", "DF", 10025)
def _modify_same(mt5: Any, desk: Desk) -> object:
    order = desk.place(2, desk.price(LOW))
    return _modify(mt5, order, price=order.price_open).retcode


@RULES.rule("modify_wrong", "MODIFY refuses a price on the wrong side", "D", 10015)
def _modify_wrong(mt5: Any, desk: Desk) -> object:
    return _modify(mt5, desk.place(2, desk.price(LOW)), price=desk.price(HIGHER)).retcode


@RULES.rule("remove", "An order that is removed is in history as cancelled, without a deal", "D")
def _remove(mt5: Any, desk: Desk) -> object:
    order = desk.place(2, desk.price(LOW))
    desk.send({"action": mt5.TRADE_ACTION_REMOVE, "order": order.ticket})
    done = desk.done(order.ticket)
    return wrong(
        state=(done.state, mt5.ORDER_STATE_CANCELED),
        volume=(done.volume_current, order.volume_initial),
        pending=(desk.order(order.ticket), None),
        deals=(mt5.history_deals_get(ticket=order.ticket), ()),
    )

"""What each trade action leaves behind, and what that says of a request: one row of `RULES` for each.

Three actions make an order, three change something that is there. The functions look at one request and one
order or position; how requests are told from each other is in `reconcile`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from mt5crs import constants as c
from mt5crs.journal.evidence import (
    NO_TRACE,
    Ambiguous,
    Done,
    How,
    Intent,
    Never,
    Shown,
    Verdict,
    named,
    proves_level,
    same_volume,
    traces,
)
from mt5crs.model import TradeOrder, TradePosition, traded

MARKET_TYPES = frozenset({c.ORDER_TYPE_BUY, c.ORDER_TYPE_SELL})
PENDING_TYPES = frozenset(range(c.ORDER_TYPE_BUY_LIMIT, c.ORDER_TYPE_SELL_STOP_LIMIT + 1))
BECOMES = {
    c.ORDER_TYPE_BUY_STOP_LIMIT: c.ORDER_TYPE_BUY_LIMIT,
    c.ORDER_TYPE_SELL_STOP_LIMIT: c.ORDER_TYPE_SELL_LIMIT,
}
"""The type that a stop-limit order has once it was set off."""
STATES = {
    c.ORDER_STATE_STARTED: "started",
    c.ORDER_STATE_PLACED: "placed",
    c.ORDER_STATE_CANCELED: "canceled",
    c.ORDER_STATE_PARTIAL: "partially filled",
    c.ORDER_STATE_FILLED: "filled",
    c.ORDER_STATE_REJECTED: "rejected",
    c.ORDER_STATE_EXPIRED: "expired",
    c.ORDER_STATE_REQUEST_ADD: "being placed",
    c.ORDER_STATE_REQUEST_MODIFY: "being modified",
    c.ORDER_STATE_REQUEST_CANCEL: "being canceled",
}
ARRIVING = frozenset({c.ORDER_STATE_STARTED, c.ORDER_STATE_REQUEST_ADD})
"""The states of an order that was not accepted yet."""
UNFILLED = frozenset({c.ORDER_STATE_CANCELED, c.ORDER_STATE_REJECTED, c.ORDER_STATE_EXPIRED})
OVER = UNFILLED | {c.ORDER_STATE_FILLED}
"""The states that an order never leaves."""
ENDED = {
    c.ORDER_STATE_FILLED: (c.TRADE_RETCODE_DONE, 0),
    **dict.fromkeys(UNFILLED, (c.TRADE_RETCODE_DONE_PARTIAL, c.TRADE_RETCODE_REJECT)),
}
"""What a market order in a state is answered, with deals and without; 0 where that cannot be said yet."""
RESTS = {
    **ENDED,
    c.ORDER_STATE_PARTIAL: (c.TRADE_RETCODE_DONE_PARTIAL, 0),
    c.ORDER_STATE_PLACED: (c.TRADE_RETCODE_DONE_PARTIAL, c.TRADE_RETCODE_PLACED),
}
"""The same where the filling lets a rest wait; others in these states are still being carried out."""
TIMED = frozenset({c.ORDER_TIME_SPECIFIED, c.ORDER_TIME_SPECIFIED_DAY})
DAY = 86_400


class Maker(NamedTuple):
    """How an action's requests are told from the orders that they make.

    Attributes:
        is_kind: Whether an order has what neither broker nor time changes of what was asked for.
        resembles: Whether an order of the kind has the other traits that stay.
        is_unchanged: Whether an order that resembles a request still has those that anybody can change.
        outcome: What an order says of the request that made it.
        missing: What is to be said of a request without an order.
    """

    is_kind: Callable[[Intent, TradeOrder], bool]
    resembles: Callable[[Intent, TradeOrder, Shown], bool]
    is_unchanged: Callable[[Intent, TradeOrder, Shown], bool]
    outcome: Callable[[TradeOrder, Shown, How], Verdict]
    missing: Callable[[Intent, Shown], Verdict]


class Change(NamedTuple):
    """How an action's requests are told from the state that they ask for.

    Attributes:
        subject: Returns the order or position that is to be changed, None where it is not there.
        look: What its state says of a request.
        missing: What is to be said of a request whose subject is not there.
    """

    subject: Callable[[Intent, Shown], Any]
    look: Callable[[Intent, Any, Shown], Verdict]
    missing: Callable[[Intent, Shown], Verdict]


def _done(how: How, retcode: int = c.TRADE_RETCODE_DONE, order: int = 0) -> Done:
    return Done(retcode, order, 0, 0.0, 0.0, how)


def _state(order: TradeOrder) -> str:
    return f"order {order.ticket} is {STATES.get(order.state, order.state)}"


def _unfinished(order: TradeOrder) -> Ambiguous:
    return Ambiguous(f"{_state(order)}, which does not say yet how that ends")


# ---- DEAL -------------------------------------------------------------------------------------------


def _is_market(intent: Intent, order: TradeOrder) -> bool:
    is_type = order.type in MARKET_TYPES and order.type == intent.number("type")
    return is_type and order.symbol == intent.text("symbol")


def _always(intent: Intent, order: TradeOrder, shown: Shown) -> bool:
    return True


def _has_size(intent: Intent, order: TradeOrder, shown: Shown) -> bool:
    is_volume = same_volume(intent.number("volume"), order.volume_initial)
    return is_volume and order.magic == intent.number("magic")


def _has_size_and_position(intent: Intent, order: TradeOrder, shown: Shown) -> bool:
    """On a hedging account an order is for the position that it names, or it opens one of its own.

    On a netting account it meets the position of its symbol, whatever was asked for.
    """
    position = intent.number("position")
    meets = (position,) if position else (0, order.ticket)
    return _has_size(intent, order, shown) and (not shown.hedging or order.position_id in meets)


def _dealt(order: TradeOrder, shown: Shown, how: How) -> Verdict:
    """Return the answer to a market order.

    Its deals may be shown later than itself: they must add up to what it says was filled. Of several deals
    the answer names the first: a rest that waits is filled after the answer.
    """
    deals = shown.deals.get(order.ticket, [])
    volume, price = traded(deals)
    answers = RESTS if order.type_filling == c.ORDER_FILLING_RETURN else ENDED
    retcode = answers.get(order.state, (0, 0))[not deals]
    if not retcode or not same_volume(volume, order.volume_initial - order.volume_current):
        return _unfinished(order)
    return Done(retcode, order.ticket, deals[0].ticket if deals else 0, volume, price, how)


def _without_order(intent: Intent, shown: Shown) -> Verdict:
    """What an order has made may be shown before the order is."""
    tickets = set(traces(intent, shown))
    return Ambiguous(f"{named(tickets)} can be it, and is not shown yet") if tickets else NO_TRACE


# ---- PENDING ----------------------------------------------------------------------------------------


def _is_pending(intent: Intent, order: TradeOrder) -> bool:
    asked = intent.number("type")
    is_type = asked in PENDING_TYPES and order.type in (asked, BECOMES.get(asked))
    return is_type and order.symbol == intent.text("symbol")


def _has_price(intent: Intent, order: TradeOrder, shown: Shown) -> bool:
    """Levels and expiration may have been changed since; a stop-limit that was set off is at its limit."""
    price, stoplimit = intent.number("price"), intent.number("stoplimit")
    if order.type != intent.number("type"):
        return shown.same_price(order.symbol, stoplimit, order.price_open)
    limit = stoplimit if order.type in BECOMES else order.price_stoplimit
    is_limit = shown.same_price(order.symbol, limit, order.price_stoplimit)
    return is_limit and shown.same_price(order.symbol, price, order.price_open)


def _placed(order: TradeOrder, shown: Shown, how: How) -> Verdict:
    """Return the answer to a pending order: that it was placed, whatever became of it since.

    One that was rejected in the very second of its setup may never have rested.
    """
    if order.state in ARRIVING:
        return _unfinished(order)
    if order.state == c.ORDER_STATE_REJECTED and order.time_done == order.time_setup:
        return Ambiguous(f"{_state(order)}, when it was placed or when it was set off")
    return Done(c.TRADE_RETCODE_DONE, order.ticket, 0, order.volume_initial, 0.0, how)


# ---- CLOSE_BY ---------------------------------------------------------------------------------------


def _is_close_by(intent: Intent, order: TradeOrder) -> bool:
    return order.type == c.ORDER_TYPE_CLOSE_BY


def _names_both(intent: Intent, order: TradeOrder, shown: Shown) -> bool:
    asked = intent.number("position"), intent.number("position_by")
    return (order.position_id, order.position_by_id) == asked


def _closed_by(order: TradeOrder, shown: Shown, how: How) -> Verdict:
    """Return the answer to a close-by: the first of its two deals, which is that of `position`."""
    deals = shown.deals.get(order.ticket, [])
    if order.state in UNFILLED and not deals:
        return _done(how, c.TRADE_RETCODE_REJECT, order.ticket)
    if order.state != c.ORDER_STATE_FILLED or len(deals) != 2:
        return _unfinished(order)
    return Done(c.TRADE_RETCODE_DONE, order.ticket, deals[0].ticket, deals[0].volume, deals[0].price, how)


def _not_closed_by(intent: Intent, shown: Shown) -> Verdict:
    for field in ("position", "position_by"):
        ticket = intent.number(field)
        if ticket and ticket not in shown.positions:
            verdict = _gone(intent, shown, field)
            if verdict != NO_TRACE:
                return verdict
    return NO_TRACE


def _gone(intent: Intent, shown: Shown, field: str) -> Verdict:
    """Return what the end of a position says of a request that names it."""
    deals = shown.closings(intent, field)
    if not deals:
        return NO_TRACE
    closed = f"position {deals[-1].position_id} was closed"
    if intent.is_after(deals[-1].time_msc):
        return Never(f"{closed} before it was sent")
    return Ambiguous(f"{closed}, before or after it")


# ---- SLTP -------------------------------------------------------------------------------------------


def _position(intent: Intent, shown: Shown) -> TradePosition | None:
    return shown.position_of(intent)


def _levels(intent: Intent, position: TradePosition, shown: Shown) -> Verdict:
    """A position that something has changed since can have had the levels in between.

    One with the levels that it had before the request is as if that had not been carried out.
    """
    if shown.has_levels(intent, position):
        return _done("state")
    if position.symbol not in shown.points:
        return Ambiguous(f"the point of {position.symbol} is not known, so levels cannot be compared")
    if shown.has_levels_of_before(intent, position):
        return NO_TRACE
    is_changed = position.time_update_msc > position.time_msc
    is_touched = is_changed and not intent.is_after(position.time_update_msc)
    if is_touched or any(not intent.is_after(deal.time_msc) for deal in shown.closings(intent)):
        return Ambiguous(f"position {position.ticket} has other levels, and was changed before or after it")
    return NO_TRACE


def _stopped(intent: Intent, shown: Shown) -> Verdict:
    verdict = _gone(intent, shown, "position")
    is_open = isinstance(verdict, Ambiguous)
    return _done("state") if is_open and proves_level(intent, shown.closings(intent)[-1], shown) else verdict


# ---- MODIFY -----------------------------------------------------------------------------------------


def _order(intent: Intent, shown: Shown) -> TradeOrder | None:
    return shown.orders.get(intent.number("order"))


def _modified(intent: Intent, order: TradeOrder, shown: Shown) -> Verdict:
    """An order that is over keeps what it had last: other values may have come after those asked for."""
    if order.state in OVER and intent.is_after(order.time_done_msc):
        return Never(f"{_state(order)} since before it was sent")
    was_set_off = bool(intent.number("stoplimit")) and order.type not in BECOMES
    if not was_set_off and _has_terms(intent, order, shown):
        return _done("state", order=order.ticket)
    if order.symbol not in shown.points:
        return Ambiguous(f"the point of {order.symbol} is not known, so prices cannot be compared")
    if was_set_off or order.state in OVER or order.state == c.ORDER_STATE_REQUEST_MODIFY:
        return Ambiguous(f"{_state(order)}, with other values than it asks for")
    return NO_TRACE


def _has_terms(intent: Intent, order: TradeOrder, shown: Shown) -> bool:
    """Whether an order has the prices and the time that were asked for."""
    prices = [(intent.number("price"), order.price_open)]
    if order.type in BECOMES:
        prices.append((intent.number("stoplimit"), order.price_stoplimit))
    is_priced = all(shown.same_price(order.symbol, asked, has) for asked, has in prices)
    kind, until = intent.number("type_time"), intent.number("expiration")
    unit = DAY if kind == c.ORDER_TIME_SPECIFIED_DAY else 1  # of such a day every moment means its end
    is_timed = kind not in TIMED or until // unit == order.time_expiration // unit
    return is_priced and is_timed and kind == order.type_time and shown.has_levels(intent, order)


# ---- REMOVE -----------------------------------------------------------------------------------------


def _removed(intent: Intent, order: TradeOrder, shown: Shown) -> Verdict:
    if order.state in OVER and intent.is_after(order.time_done_msc):
        return Never(f"{_state(order)} since before it was sent")
    if order.state == c.ORDER_STATE_CANCELED:
        return _done("state", order=order.ticket)
    if order.state in OVER:
        return Never(f"{_state(order)}, and cannot be removed any more")
    return _unfinished(order) if order.state == c.ORDER_STATE_REQUEST_CANCEL else NO_TRACE


def _nowhere(_intent: Intent, _shown: Shown) -> Verdict:
    return NO_TRACE


RULES: dict[int, Maker | Change] = {
    c.TRADE_ACTION_DEAL: Maker(_is_market, _has_size_and_position, _always, _dealt, _without_order),
    c.TRADE_ACTION_PENDING: Maker(_is_pending, _has_size, _has_price, _placed, _without_order),
    c.TRADE_ACTION_SLTP: Change(_position, _levels, _stopped),
    c.TRADE_ACTION_MODIFY: Change(_order, _modified, _nowhere),
    c.TRADE_ACTION_REMOVE: Change(_order, _removed, _nowhere),
    c.TRADE_ACTION_CLOSE_BY: Maker(_is_close_by, _names_both, _always, _closed_by, _not_closed_by),
}

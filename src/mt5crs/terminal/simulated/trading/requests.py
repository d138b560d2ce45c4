"""`order_check` and `order_send`: a request is judged, then carried out."""

from collections.abc import Callable, Mapping
from math import isfinite
from typing import NamedTuple, TypeVar

from mt5crs import constants as c
from mt5crs.model import OrderCheckResult, OrderSendResult, TradeRequest
from mt5crs.terminal.simulated.accounting.account import Account, Totals
from mt5crs.terminal.simulated.accounting.entities import Order, market_price, stated_expiration
from mt5crs.terminal.simulated.accounting.ledger import Ledger
from mt5crs.terminal.simulated.prices.live import NO_TICK
from mt5crs.terminal.simulated.prices.market import Market
from mt5crs.terminal.simulated.trading.checks import VOLUME_TOLERANCE, Draft, margin_after, verdict
from mt5crs.terminal.simulated.trading.matching import STOP_LIMITS
from mt5crs.terminal.simulated.trading.retcodes import CHECK_DONE, CLIENT_SIDE, COMMENTS

ABSENT: dict[type, int | float | str] = {int: 0, float: 0.0, str: ""}
FIELD_DEFAULTS = {name: ABSENT[kind] for name, kind in TradeRequest.__annotations__.items()}
QUOTED = (c.TRADE_ACTION_DEAL, c.TRADE_ACTION_PENDING)  # the answers to these carry bid and ask
T = TypeVar("T")


class Outcome(NamedTuple):
    """What an accepted request did: the numbers of its result."""

    deal: int = 0
    order: int = 0
    volume: float = 0.0
    price: float = 0.0


class Trading:
    """Answers trade requests on one account.

    Args:
        account: The account.
        market: The prices.
        ledger: What carries fills out.
        limit_orders: The most pending orders at a time; 0 is no limit.
    """

    def __init__(self, account: Account, market: Market, ledger: Ledger, limit_orders: int) -> None:
        self._account = account
        self._market = market
        self._ledger = ledger
        self._limit_orders = limit_orders
        self._request_id = 0
        self._actions: dict[int, Callable[[Draft], Outcome]] = {
            c.TRADE_ACTION_DEAL: self._deal,
            c.TRADE_ACTION_PENDING: self._pending,
            c.TRADE_ACTION_SLTP: self._sltp,
            c.TRADE_ACTION_MODIFY: self._modify,
            c.TRADE_ACTION_REMOVE: self._remove,
            c.TRADE_ACTION_CLOSE_BY: self._close_by,
        }

    def check(self, fields: Mapping[str, object]) -> OrderCheckResult:
        """Judge a request; nothing changes.

        Args:
            fields: The request's fields that were given.
        """
        draft = self._draft(fields)
        retcode = verdict(draft)
        numbers: tuple[float, ...] = (0.0,) * 6
        if retcode in (CHECK_DONE, c.TRADE_RETCODE_NO_MONEY):
            numbers = self._totals_after(draft)
        return OrderCheckResult((retcode, *numbers, COMMENTS[retcode], draft.request))

    def send(self, fields: Mapping[str, object]) -> OrderSendResult:
        """Judge a request and carry it out.

        Args:
            fields: The request's fields that were given.
        """
        draft = self._draft(fields)
        retcode = verdict(draft)
        if retcode in CLIENT_SIDE:
            numbers = (0, 0, 0.0, 0.0, 0.0, 0.0)
            return OrderSendResult((retcode, *numbers, COMMENTS[retcode], 0, 0, draft.request))
        self._request_id += 1
        action = draft.request.action
        quoted = retcode == c.TRADE_RETCODE_REQUOTE or (not retcode and action in QUOTED)
        quote = (draft.tick.bid, draft.tick.ask) if quoted else (0.0, 0.0)
        outcome = Outcome() if retcode else self._actions[action](draft)
        retcode = retcode or c.TRADE_RETCODE_DONE
        return OrderSendResult(
            (retcode, *outcome, *quote, COMMENTS[retcode], self._request_id, 0, draft.request)
        )

    def _draft(self, fields: Mapping[str, object]) -> Draft:
        request = self._request(fields)
        position = self._account.positions.get(request.position)
        order = self._account.orders.get(request.order)
        changed = order or (None if request.symbol else position)
        name = request.symbol if changed is None else changed.symbol
        symbol = self._market.symbols.get(name)
        return Draft(
            request=request,
            account=self._account,
            symbol=symbol,
            tick=NO_TICK if symbol is None else self._market.tick(name),
            is_open=symbol is not None and self._market.is_open(name),
            now_msc=self._market.clock.now_msc(),
            limit_orders=self._limit_orders,
            position=position,
            other=self._account.positions.get(request.position_by),
            order=order,
        )

    def _request(self, fields: Mapping[str, object]) -> TradeRequest:
        """Return the request with all its fields; a volume a hair beside its step is on it."""
        request = TradeRequest(fields.get(name, default) for name, default in FIELD_DEFAULTS.items())
        symbol = self._market.symbols.get(request.symbol)
        if symbol is None or not isfinite(request.volume):
            return request
        steps = request.volume / symbol.volume_step
        if abs(steps - round(steps)) >= VOLUME_TOLERANCE:
            return request
        on_step = {**fields, "volume": round(round(steps) * symbol.volume_step, 8)}
        return TradeRequest(on_step.get(name, default) for name, default in FIELD_DEFAULTS.items())

    def _totals_after(self, draft: Draft) -> tuple[float, ...]:
        totals = self._account.totals()
        after = Totals.of(totals.balance, totals.credit, totals.profit, margin_after(draft))
        return after.balance, after.equity, after.profit, after.margin, after.margin_free, after.margin_level

    # ---- actions ----

    def _deal(self, draft: Draft) -> Outcome:
        tick = draft.tick
        price = market_price(draft.is_buy, tick.bid, tick.ask)
        order = self._order(draft, price)
        order.position_id = draft.request.position
        deal = self._ledger.fill(order, price, draft.now_msc)
        return Outcome(deal.ticket, order.ticket, order.volume_initial, price)

    def _pending(self, draft: Draft) -> Outcome:
        request = draft.request
        order = self._order(draft, request.price)
        if order.type in STOP_LIMITS:
            order.price_stoplimit = request.stoplimit
        order.type_time = request.type_time
        order.expiration = stated_expiration(request, order.time_setup_msc)
        self._account.orders[order.ticket] = order
        return Outcome(0, order.ticket, order.volume_initial)

    def _sltp(self, draft: Draft) -> Outcome:
        position = _there(draft.position)
        position.sl, position.tp = draft.request.sl, draft.request.tp
        position.time_update_msc = draft.now_msc
        return Outcome()

    def _modify(self, draft: Draft) -> Outcome:
        order, request = _there(draft.order), draft.request
        order.price_open, order.sl, order.tp = request.price, request.sl, request.tp
        order.type_time = request.type_time
        order.expiration = stated_expiration(request, order.time_setup_msc)
        order.price_stoplimit = request.stoplimit if order.type in STOP_LIMITS else 0.0
        return Outcome(0, order.ticket)

    def _remove(self, draft: Draft) -> Outcome:
        order = _there(draft.order)
        tick = draft.tick
        self._ledger.finish(order, c.ORDER_STATE_CANCELED, draft.now_msc, tick.bid)
        return Outcome(0, order.ticket)

    def _close_by(self, draft: Draft) -> Outcome:
        one, other = _there(draft.position), _there(draft.other)
        order = Order(
            ticket=self._account.next_order_ticket(),
            symbol=one.symbol,
            type=c.ORDER_TYPE_CLOSE_BY,
            volume_initial=min(one.volume, other.volume),
            volume_current=0.0,
            price_open=other.price_open,
            time_setup_msc=draft.now_msc,
            magic=draft.request.magic,
            reason=c.ORDER_REASON_EXPERT,
            comment=draft.request.comment or f"close #{one.ticket} by #{other.ticket}",
            position_id=one.ticket,
            position_by_id=other.ticket,
        )
        deal = self._ledger.close_by(order, one, other, draft.now_msc)
        return Outcome(deal.ticket, order.ticket, order.volume_initial, other.price_open)

    def _order(self, draft: Draft, price: float) -> Order:
        request = draft.request
        return Order(
            ticket=self._account.next_order_ticket(),
            symbol=request.symbol,
            type=request.type,
            volume_initial=request.volume,
            volume_current=request.volume,
            price_open=price,
            time_setup_msc=draft.now_msc,
            magic=request.magic,
            reason=c.ORDER_REASON_EXPERT,
            comment=request.comment,
            sl=request.sl,
            tp=request.tp,
            type_filling=request.type_filling,
        )


def _there(thing: T | None) -> T:
    """Return what the checks made sure of."""
    assert thing is not None  # noqa: S101 - the action's checks
    return thing

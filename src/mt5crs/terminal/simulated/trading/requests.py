"""`order_check` and `order_send`: a request is judged, then carried out."""

from collections.abc import Callable, Mapping
from math import isfinite
from operator import attrgetter, itemgetter
from typing import NamedTuple, TypeVar

from mt5crs import constants as c
from mt5crs.model import REQUEST_DEFAULTS, OrderCheckResult, OrderSendResult, TradeRequest, traded
from mt5crs.terminal.simulated.accounting.account import Account
from mt5crs.terminal.simulated.accounting.entities import (
    BUYS,
    STOP_LIMITS,
    Order,
    Position,
    market_price,
    position_of,
    stated_expiration,
)
from mt5crs.terminal.simulated.accounting.ledger import Ledger
from mt5crs.terminal.simulated.instruments.catalogue import Instrument
from mt5crs.terminal.simulated.prices.live import NO_TICK
from mt5crs.terminal.simulated.prices.market import Market
from mt5crs.terminal.simulated.switches import Switches
from mt5crs.terminal.simulated.trading.checks import totals_after, verdict
from mt5crs.terminal.simulated.trading.draft import Draft, Rules
from mt5crs.terminal.simulated.trading.execution import Execution
from mt5crs.terminal.simulated.trading.levels import OTC_EXECUTION, proper_price
from mt5crs.terminal.simulated.trading.limits import VOLUME_TOLERANCE
from mt5crs.terminal.simulated.trading.retcodes import CHECK_DONE, CLIENT_SIDE, COMMENTS

FIELDS = tuple(REQUEST_DEFAULTS)
DEFAULTS = tuple(REQUEST_DEFAULTS.values())
NUMBER_NAMES = ("volume", "price", "stoplimit", "sl", "tp")
NUMBERS = itemgetter(*map(FIELDS.index, NUMBER_NAMES))
QUOTED = (c.TRADE_ACTION_DEAL, c.TRADE_ACTION_PENDING)  # the answers to these carry bid and ask
OF_ORDERS = (c.TRADE_ACTION_MODIFY, c.TRADE_ACTION_REMOVE)
OF_POSITIONS = (c.TRADE_ACTION_SLTP, c.TRADE_ACTION_CLOSE_BY)
CHECKED = attrgetter("balance", "equity", "profit", "margin", "margin_free", "margin_level")
T = TypeVar("T")


class Outcome(NamedTuple):
    """What an accepted request did: the return code and the numbers of its result."""

    retcode: int = c.TRADE_RETCODE_DONE
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
        execution: What meets orders with the depth of market.
        rules: What the account's settings demand.
        switches: What is allowed at present.

    Attributes:
        request_id: The last one that was given.
    """

    def __init__(
        self,
        account: Account,
        market: Market,
        ledger: Ledger,
        execution: Execution,
        rules: Rules,
        switches: Switches,
    ) -> None:
        self._account = account
        self._market = market
        self._ledger = ledger
        self._execution = execution
        self._rules = rules
        self._switches = switches
        self.request_id = 0
        self._actions: dict[int, Callable[[Draft], Outcome]] = {
            c.TRADE_ACTION_DEAL: self._deal,
            c.TRADE_ACTION_PENDING: self._pending,
            c.TRADE_ACTION_SLTP: self._sltp,
            c.TRADE_ACTION_MODIFY: self._modify,
            c.TRADE_ACTION_REMOVE: self._remove,
            c.TRADE_ACTION_CLOSE_BY: self._close_by,
        }

    def check(self, fields: Mapping[str, object]) -> OrderCheckResult:
        """Judge a request; nothing changes. What only the depth of market can refuse is not foreseen.

        Args:
            fields: The request's fields that were given.
        """
        asked = _request(fields)
        draft = self._draft(asked)
        retcode = verdict(draft)
        numbers: tuple[float, ...] = (0.0,) * 6
        if retcode in (CHECK_DONE, c.TRADE_RETCODE_NO_MONEY):
            after = totals_after(draft)
            numbers = CHECKED(after)
        return OrderCheckResult((retcode, *numbers, COMMENTS[retcode], asked))

    def send(self, fields: Mapping[str, object]) -> OrderSendResult:
        """Judge a request and carry it out.

        Args:
            fields: The request's fields that were given.
        """
        asked = _request(fields)
        draft = self._draft(asked)
        retcode = verdict(draft)
        if retcode in CLIENT_SIDE:
            numbers = (0, 0, 0.0, 0.0, 0.0, 0.0)
            return OrderSendResult((retcode, *numbers, COMMENTS[retcode], 0, 0, asked))
        self.request_id += 1
        action = asked.action
        quoted = retcode == c.TRADE_RETCODE_REQUOTE or (not retcode and action in QUOTED)
        quote = (draft.tick.bid, draft.tick.ask) if quoted else (0.0, 0.0)
        outcome = Outcome(retcode) if retcode else self._actions[action](draft)
        comment = COMMENTS[outcome.retcode]
        result: OrderSendResult = OrderSendResult.of((
            *outcome, *quote, comment, self.request_id, 0, asked,
        ))  # fmt: skip
        return result

    def refuse(self, fields: Mapping[str, object], retcode: int) -> OrderSendResult:
        """Answer a request as a trade server does that does not carry it out, whatever it asks for.

        Args:
            fields: The request's fields that were given.
            retcode: The answer.
        """
        asked = _request(fields)
        self.request_id += 1
        tick = self._market.tick(asked.symbol) if asked.symbol in self._market.symbols else NO_TICK
        quote = (tick.bid, tick.ask) if retcode == c.TRADE_RETCODE_REQUOTE else (0.0, 0.0)
        comment = COMMENTS.get(retcode, "")
        return OrderSendResult((*Outcome(retcode), *quote, comment, self.request_id, 0, asked))

    def _draft(self, asked: TradeRequest) -> Draft:
        action = asked.action
        order = self._account.orders.get(asked.order) if action in OF_ORDERS else None
        position = self._position(asked)
        of_position = position if action in OF_POSITIONS else None
        subject = of_position or order
        name = asked.symbol if subject is None else subject.symbol
        symbol = self._market.symbols.get(name)
        now_msc = self._market.clock.now_msc()
        return Draft(
            request=asked if symbol is None else _proper(asked, symbol),
            account=self._account,
            rules=self._rules,
            switches=self._switches,
            symbol=symbol,
            tick=NO_TICK if symbol is None else self._market.tick(name),
            is_open=symbol is not None and self._market.is_open(name, now_msc),
            now_msc=now_msc,
            position=position,
            other=self._account.positions.get(asked.position_by),
            order=order,
        )

    def _position(self, asked: TradeRequest) -> Position | None:
        """Return the position that is named; on a netting account the symbol names one as well."""
        positions = self._account.positions
        if asked.position or self._rules.hedging:
            return positions.get(asked.position)
        return position_of(positions.values(), asked.symbol)

    # ---- actions ----

    def _deal(self, draft: Draft) -> Outcome:
        order = self._order(draft, market_price(draft.is_buy, draft.tick.bid, draft.tick.ask))
        order.position_id = draft.request.position
        if draft.instrument.exemode in OTC_EXECUTION:
            order.type_filling = c.ORDER_FILLING_FOK
        deals = self._execution.execute(order, draft.tick, draft.now_msc)
        volume, price = traded(deals)
        if order.state == c.ORDER_STATE_FILLED:
            retcode = c.TRADE_RETCODE_DONE
        elif deals:
            retcode = c.TRADE_RETCODE_DONE_PARTIAL
        else:
            waits = order.ticket in self._account.orders
            retcode = c.TRADE_RETCODE_PLACED if waits else c.TRADE_RETCODE_REJECT
        return Outcome(retcode, deals[0].ticket if deals else 0, order.ticket, volume, price)

    def _pending(self, draft: Draft) -> Outcome:
        request = draft.request
        order = self._order(draft, request.price)
        if order.type in STOP_LIMITS:
            order.price_stoplimit = request.stoplimit
        if draft.instrument.exemode in OTC_EXECUTION:
            order.type_filling = c.ORDER_FILLING_RETURN
        order.type_time = request.type_time
        order.expiration = stated_expiration(request, order.time_setup_msc)
        self._ledger.rest(order)
        return Outcome(order=order.ticket, volume=order.volume_initial)

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
        return Outcome(order=order.ticket)

    def _remove(self, draft: Draft) -> Outcome:
        order, tick = _there(draft.order), draft.tick
        price = market_price(order.type in BUYS, tick.bid, tick.ask)
        self._ledger.finish(order, c.ORDER_STATE_CANCELED, draft.now_msc, price)
        return Outcome(order=order.ticket)

    def _close_by(self, draft: Draft) -> Outcome:
        one, other = _there(draft.position), _there(draft.other)
        volume, price = min(one.volume, other.volume), other.price_open
        order = Order(
            ticket=self._account.next_order_ticket(),
            symbol=one.symbol,
            type=c.ORDER_TYPE_CLOSE_BY,
            volume_initial=volume,
            volume_current=volume,
            price_open=price,
            time_setup_msc=draft.now_msc,
            magic=draft.request.magic,
            reason=c.ORDER_REASON_EXPERT,
            comment=draft.request.comment or f"close #{one.ticket} by #{other.ticket}",
            position_id=one.identifier,
            position_by_id=other.identifier,
        )
        deal = self._ledger.close_by(order, one, other, draft.now_msc)
        return Outcome(deal=deal.ticket, order=order.ticket, volume=volume, price=price)

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


def _request(fields: Mapping[str, object]) -> TradeRequest:
    """Return the request with all its fields."""
    request: TradeRequest = TradeRequest.of(map(fields.get, FIELDS, DEFAULTS))
    return request


def _proper(asked: TradeRequest, symbol: Instrument) -> TradeRequest:
    """Return a request as the server reads it: prices have the symbol's digits, the volume is on its step."""
    volume, *prices = asks = list(NUMBERS(asked))
    proper = [proper_price(symbol, price) if price else price for price in prices]
    proper.insert(0, _proper_volume(volume, symbol.volume_step))
    if proper == asks:
        return asked
    fields = dict(zip(FIELDS, asked, strict=True)) | dict(zip(NUMBER_NAMES, proper, strict=True))
    return TradeRequest(fields.values())


def _proper_volume(volume: float, step: float) -> float:
    """Return a volume; one that is a hair beside its step is on it."""
    steps = volume / step
    if not isfinite(steps):
        return volume
    whole = round(steps)
    return volume if abs(steps - whole) >= VOLUME_TOLERANCE else round(whole * step, 8)


def _there(thing: T | None) -> T:
    """Return what the checks made sure of."""
    assert thing is not None  # noqa: S101 - the action's checks
    return thing

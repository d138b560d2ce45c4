"""Orders, deals and positions that a test writes down, and the requests that may have made them."""

from collections.abc import Iterable
from typing import Any, TypeVar

from mt5crs import constants as c
from mt5crs.journal import tags
from mt5crs.journal.reconcile import Intent, Observed, Verdict, judge
from mt5crs.model import Record, TradeDeal, TradeOrder, TradePosition

NOW = 1_764_000_000
"""Server time at which requests were sent."""
WINDOW = (NOW - 5.0, NOW + 60.0)
MARK = 77
POINT = 0.00001
Kind = TypeVar("Kind", bound=Record)


def record(kind: type[Kind], **fields: Any) -> Kind:
    """Return a record of these fields, the others zero or empty."""
    blank: dict[str, Any] = {name: of() for name, of in kind.__annotations__.items()}
    assert fields.keys() <= blank.keys()
    return kind((blank | fields).values())


def changed(old: Kind, **fields: Any) -> Kind:
    """Return a record with other values for some fields."""
    return type(old)((old._asdict() | fields).values())


def order(ticket: int, at: float = NOW, **fields: Any) -> TradeOrder:
    """Return a filled market order to buy 0.1 EURUSD, set up and done at a moment."""
    own = {
        "ticket": ticket, "time_setup": int(at), "time_setup_msc": int(at * 1000), "time_done": int(at),
        "time_done_msc": int(at * 1000), "state": c.ORDER_STATE_FILLED, "reason": c.ORDER_REASON_EXPERT,
        "position_id": ticket, "volume_initial": 0.1, "symbol": "EURUSD",
    }  # fmt: skip
    return record(TradeOrder, **own | fields)


def pending(ticket: int, at: float = NOW, **fields: Any) -> TradeOrder:
    """Return an order to buy 0.1 EURUSD at 1.08, or of another type and price, that waits."""
    waits = {
        "time_done": 0, "time_done_msc": 0, "state": c.ORDER_STATE_PLACED, "type": c.ORDER_TYPE_BUY_LIMIT,
        "position_id": 0, "volume_current": 0.1, "price_open": 1.08,
    }  # fmt: skip
    return order(ticket, at, **waits | fields)


def deal(ticket: int, of: int, at: float = NOW, **fields: Any) -> TradeDeal:
    """Return a deal of 0.1 EURUSD at 1.1 that opened a position."""
    own = {
        "ticket": ticket, "order": of, "time": int(at), "time_msc": int(at * 1000), "position_id": of,
        "reason": c.DEAL_REASON_EXPERT, "volume": 0.1, "price": 1.1, "symbol": "EURUSD",
    }  # fmt: skip
    return record(TradeDeal, **own | fields)


def position(ticket: int, at: float = NOW, **fields: Any) -> TradePosition:
    """Return a long position of 0.1 EURUSD, untouched since it was opened."""
    own = {
        "ticket": ticket, "identifier": ticket, "time": int(at), "time_msc": int(at * 1000),
        "time_update": int(at), "time_update_msc": int(at * 1000), "reason": c.POSITION_REASON_EXPERT,
        "volume": 0.1, "price_open": 1.1, "symbol": "EURUSD",
    }  # fmt: skip
    return record(TradePosition, **own | fields)


def shown(
    orders: Iterable[TradeOrder] = (),
    history: Iterable[TradeOrder] = (),
    deals: Iterable[TradeDeal] = (),
    positions: Iterable[TradePosition] = (),
    claimed: dict[int, int] | None = None,
    hedging: bool = True,
    points: dict[str, float] | None = None,
) -> Observed:
    known = {"EURUSD": POINT} if points is None else points
    parts = (list(orders), list(history), list(deals), list(positions))
    return Observed(*parts, points=known, claimed=claimed or {}, hedging=hedging)


def tag(entry: int) -> str:
    return tags.tag(MARK, entry)


def intent(entry: int, tagged: bool = True, window: tuple[float, float] = WINDOW, **request: Any) -> Intent:
    return Intent(entry, request, tag(entry) if tagged else "", window)


def buy(entry: int, tagged: bool = True, window: tuple[float, float] = WINDOW, **request: Any) -> Intent:
    """Return a request to buy 0.1 EURUSD at the market."""
    own = {"action": c.TRADE_ACTION_DEAL, "symbol": "EURUSD", "volume": 0.1}
    return intent(entry, tagged, window, **own | request)


def pend(entry: int, tagged: bool = True, **request: Any) -> Intent:
    """Return a request to buy 0.1 EURUSD at 1.08, or with another type and price."""
    own = {"action": c.TRADE_ACTION_PENDING, "type": c.ORDER_TYPE_BUY_LIMIT, "price": 1.08}
    return buy(entry, tagged, **own | request)


def verdict(of: Intent, observed: Observed) -> Verdict:
    return judge([of], observed)[of.entry]

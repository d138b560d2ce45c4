"""What a trade request would do: whom it touches, what it adds, whether it only reduces the risk."""

from collections.abc import Mapping
from enum import IntEnum
from math import isfinite
from typing import Any

from mt5crs import constants as c
from mt5crs.guard.facts import Facts, Quote

BUYS = frozenset({
    c.ORDER_TYPE_BUY, c.ORDER_TYPE_BUY_LIMIT, c.ORDER_TYPE_BUY_STOP, c.ORDER_TYPE_BUY_STOP_LIMIT,
})  # fmt: skip
HAIR = 1e-9
"""What floats invent, in lots: far less than any step."""
TARGETS = {
    c.TRADE_ACTION_DEAL: ("position",),
    c.TRADE_ACTION_SLTP: ("position",),
    c.TRADE_ACTION_MODIFY: ("order",),
    c.TRADE_ACTION_REMOVE: ("order",),
    c.TRADE_ACTION_CLOSE_BY: ("position", "position_by"),
}
"""The fields that name what is on the account already, by action."""
PRICES = ("price", "stoplimit")


class Effect(IntEnum):
    """What a request does to the risk."""

    ADDS = 0
    """It may add to it: an order."""
    CHANGES = 1
    """It changes what is there."""
    REDUCES = 2
    """It does nothing but reduce it."""


EFFECTS = {
    c.TRADE_ACTION_SLTP: Effect.CHANGES,
    c.TRADE_ACTION_MODIFY: Effect.CHANGES,
    c.TRADE_ACTION_REMOVE: Effect.REDUCES,
    c.TRADE_ACTION_CLOSE_BY: Effect.REDUCES,
}
"""By action, as far as the account has no say in it; all others add."""


class Asked:
    """A trade request and what it would do.

    Attributes:
        effect: What it does to the risk.
        symbol: The symbol that it is about.
        volume: Lots that it asks for.
        growth: Lots that may be added by it.
        held: Lots that are to be counted until its effect shows.
        turns: Lots by which it may turn the one position of a symbol, until that shows.
        touches: Symbol and magic number of all that it makes or changes.
        prices: The prices that it names, where they are to be near the market's.
        is_buy: Whether it buys.
        price: What it would be carried out at.
        quote: Its symbol's prices, None where they are not known.
        missing: What it names and the account does not have, in words; "" where nothing is missing.
    """

    __slots__ = (
        "effect", "growth", "held", "is_buy", "missing", "price", "prices", "quote", "symbol", "touches",
        "turns", "volume",
    )  # fmt: skip

    def __init__(self, request: Mapping[str, Any]) -> None:
        action = request.get("action", 0)
        self.symbol: str = request.get("symbol", "")
        self.volume: float = request.get("volume", 0.0)
        self.effect = EFFECTS.get(action, Effect.ADDS)
        if action == c.TRADE_ACTION_MODIFY and self.volume:
            self.effect = Effect.ADDS
        self.growth = self.held = self.volume if self.effect is Effect.ADDS else 0.0
        self.turns = 0.0
        self.touches: tuple[tuple[str, int], ...] = ((self.symbol, request.get("magic", 0)),)
        self.is_buy = request.get("type") in BUYS
        self.prices: tuple[float, ...] = ()
        self.price = 0.0
        self.quote: Quote | None = None
        self.missing = ""


def senseless(request: Mapping[str, Any]) -> str:
    """Return what of a request is no number to judge by, in words; "" where all are."""
    for name in ("volume", "price", "stoplimit"):
        value = request.get(name, 0.0)
        if not (isfinite(value) and value >= 0):
            return f"{name} {value:g}"
    return ""


def read(request: Mapping[str, Any], facts: Facts | None, under_way: Mapping[str, float]) -> Asked:
    """Return what a request would do.

    Args:
        request: Its fields.
        facts: The account; None where nothing of it is needed.
        under_way: Lots by symbol of all that may have changed since; see `Reservations`.
    """
    asked = Asked(request)
    action = request.get("action")
    if facts is not None:
        _aim(asked, request, facts)
        if action == c.TRADE_ACTION_DEAL:
            _weigh(asked, request, facts, under_way.get(asked.symbol, 0.0))
        quote = asked.quote = facts.quotes.get(asked.symbol)
        if quote is not None:
            asked.price = quote.ask if asked.is_buy else quote.bid
    if action in _PRICED:
        asked.prices = tuple([request[name] for name in PRICES if request.get(name)])
        if action != c.TRADE_ACTION_DEAL and asked.prices:  # a market order's own price may not count
            asked.price = max(asked.prices)
    return asked


_PRICED = frozenset({c.TRADE_ACTION_DEAL, c.TRADE_ACTION_PENDING, c.TRADE_ACTION_MODIFY})


def _aim(asked: Asked, request: Mapping[str, Any], facts: Facts) -> None:
    """Take symbol and magic number of what a request names from the account, not from the request."""
    action = request.get("action", 0)
    touched: list[tuple[str, int]] = []
    names = TARGETS.get(action, ())
    for name in names:
        ticket = request.get(name, 0)
        if action == c.TRADE_ACTION_SLTP and not ticket and not facts.hedging:
            found: Any = facts.position_of(asked.symbol)
        elif not ticket and action == c.TRADE_ACTION_DEAL:
            continue
        else:
            found = (facts.orders if name == "order" else facts.positions).get(ticket)
        if found is None:
            asked.missing = f"{name} {ticket}" if ticket else f"a position of {asked.symbol}"
            continue
        touched.append((found.symbol, found.magic))
        asked.symbol = found.symbol
        if action == c.TRADE_ACTION_MODIFY:
            asked.is_buy = found.type in BUYS
            if asked.volume:
                asked.growth = asked.held = max(0.0, asked.volume - found.volume_current)
    if touched:
        asked.touches = tuple(touched)


def _weigh(asked: Asked, request: Mapping[str, Any], facts: Facts, under_way: float) -> None:
    """See whether a deal closes a position or a part of it, and what it adds where it turns one round."""
    ticket = request.get("position", 0)
    position = facts.positions.get(ticket) if ticket else None
    if position is None and not facts.hedging:
        position = facts.position_of(asked.symbol)
    if position is None or (position.type == c.POSITION_TYPE_BUY) is asked.is_buy:
        return
    if facts.hedging:
        if asked.volume <= position.volume + HAIR:  # the server closes no more than there is
            asked.effect, asked.growth, asked.held = Effect.REDUCES, 0.0, 0.0
        return
    asked.turns = asked.volume
    if asked.volume <= position.volume - under_way + HAIR:
        asked.effect, asked.growth, asked.held = Effect.REDUCES, 0.0, 0.0
        asked.touches = ((position.symbol, position.magic),)
    elif not under_way:
        asked.growth = max(0.0, asked.volume - 2 * position.volume)

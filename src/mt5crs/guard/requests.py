"""What a trade request would do: whom it touches, what it adds, whether it only reduces the risk."""

from collections.abc import Mapping
from enum import IntEnum
from math import isfinite
from typing import Any

from mt5crs import constants as c
from mt5crs.guard.facts import Facts, Quote, pending_price
from mt5crs.model import REQUEST_DEFAULTS

BUYS = frozenset({
    c.ORDER_TYPE_BUY, c.ORDER_TYPE_BUY_LIMIT, c.ORDER_TYPE_BUY_STOP, c.ORDER_TYPE_BUY_STOP_LIMIT,
})  # fmt: skip
MARKET_TYPES = frozenset({c.ORDER_TYPE_BUY, c.ORDER_TYPE_SELL})
"""Of a deal; with another type it closes nothing, whatever a terminal makes of it."""
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

    Args:
        given: Its fields, as far as they were given.

    Attributes:
        request: All its fields: what was left out is what the terminal takes it for.
        effect: What it does to the risk.
        symbol: The symbol that it is about.
        volume: Lots that it asks for.
        growth: Lots that may be added by it.
        extra: What lots of a pending order cost more after it, as lots times price.
        held: Lots that are to be counted until its effect shows.
        turns: Lots by which it may turn the one position of a symbol, until that shows.
        touches: Symbol and magic number of all that it makes or changes.
        prices: The prices that it names, where they are to be near the market's.
        is_buy: Whether it buys.
        price: What it would be carried out at.
        quote: Its symbol's prices, None where they are not known.
        missing: What it names and the account does not have, in words; "" where nothing is missing.
        strange: What it names and is not what it says, in words; "" where all is.
    """

    __slots__ = (
        "effect", "extra", "growth", "held", "is_buy", "missing", "price", "prices", "quote", "request",
        "strange", "symbol", "touches", "turns", "volume",
    )  # fmt: skip

    def __init__(self, given: Mapping[str, Any]) -> None:
        request: dict[str, Any] = {**REQUEST_DEFAULTS, **given}
        self.request = request
        action = request["action"]
        self.symbol: str = request["symbol"]
        self.volume: float = request["volume"]
        self.effect = EFFECTS.get(action, Effect.ADDS)
        if action == c.TRADE_ACTION_MODIFY and self.volume:
            self.effect = Effect.ADDS
        self.growth = self.held = self.volume if self.effect is Effect.ADDS else 0.0
        self.turns = self.extra = 0.0
        self.touches: tuple[tuple[str, int], ...] = ((self.symbol, request["magic"]),)
        self.is_buy = request["type"] in BUYS
        self.prices: tuple[float, ...] = ()
        self.price = 0.0
        self.quote: Quote | None = None
        self.missing = self.strange = ""


def may_close(request: Mapping[str, Any], hedging: bool | None) -> bool:
    """Whether only the account tells what a request does: a deal that closes, or opens.

    Args:
        request: Its fields.
        hedging: Whether a symbol can have several positions, None where that is not known.
    """
    return request.get("action") == c.TRADE_ACTION_DEAL and (bool(request.get("position")) or not hedging)


def senseless(request: Mapping[str, Any]) -> str:
    """Return what of a request is nothing to judge by, in words; "" where all is.

    A terminal may take a name with characters that do not show for another one than the limits do.
    """
    for name in ("volume", *PRICES):
        value = request.get(name, REQUEST_DEFAULTS[name])
        if not (isfinite(value) and value >= 0):
            return f"{name} {value:g}"
    for name in ("symbol", "comment"):
        text: str = request.get(name, REQUEST_DEFAULTS[name])
        if not text.isprintable():
            return f"{name} {text!r}"
    return ""


def read(request: Mapping[str, Any], facts: Facts | None, under_way: Mapping[str, float]) -> Asked:
    """Return what a request would do.

    Args:
        request: Its fields.
        facts: The account; None where nothing of it is needed.
        under_way: Lots by symbol of all that may have changed since; see `Reservations`.
    """
    asked = Asked(request)
    action = asked.request["action"]
    if facts is not None:
        _aim(asked, facts)
        if action == c.TRADE_ACTION_DEAL:
            _weigh(asked, facts, under_way.get(asked.symbol, 0.0))
        quote = asked.quote = facts.quotes.get(asked.symbol)
        if quote is not None:
            asked.price = quote.ask if asked.is_buy else quote.bid
    if action in _PRICED:
        asked.prices = tuple([asked.request[name] for name in PRICES if asked.request[name]])
        if action != c.TRADE_ACTION_DEAL and asked.prices:  # a market order's own price may not count
            asked.price = pending_price(max(asked.prices), 0.0, asked.quote)
    if action == c.TRADE_ACTION_MODIFY and facts is not None:
        _reprice(asked, facts)
    return asked


_PRICED = frozenset({c.TRADE_ACTION_DEAL, c.TRADE_ACTION_PENDING, c.TRADE_ACTION_MODIFY})


def _aim(asked: Asked, facts: Facts) -> None:
    """Take symbol and magic number of what a request names from the account, not from the request."""
    action = asked.request["action"]
    touched: list[tuple[str, int]] = []
    names = TARGETS.get(action, ())
    for name in names:
        ticket = asked.request[name]
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
        if action == c.TRADE_ACTION_DEAL and found.symbol != asked.symbol:
            asked.strange = f"position {ticket} is one of {found.symbol}, the order one of {asked.symbol!r}"
        asked.symbol = found.symbol
        if action == c.TRADE_ACTION_MODIFY:
            asked.is_buy = found.type in BUYS
            if asked.volume:
                asked.growth = asked.held = max(0.0, asked.volume - found.volume_current)
    if touched:
        asked.touches = tuple(touched)


def _reprice(asked: Asked, facts: Facts) -> None:
    """See whether a pending order gets another price: that may add to the risk, and is judged as an order."""
    order, request = facts.orders.get(asked.request["order"]), asked.request
    if order is None:
        asked.effect = Effect.ADDS
        return
    before = order.price_open, order.price_stoplimit
    after = request["price"], request["stoplimit"]
    if after == before:
        return
    asked.effect = Effect.ADDS
    asked.price = pending_price(*after, asked.quote)
    asked.extra = order.volume_current * max(0.0, asked.price - pending_price(*before, asked.quote))


def _weigh(asked: Asked, facts: Facts, under_way: float) -> None:
    """See whether a deal closes a position or a part of it, and what it adds where it turns one round."""
    ticket = asked.request["position"]
    if asked.strange or asked.request["type"] not in MARKET_TYPES:
        return
    by_ticket = ticket or facts.hedging
    position = facts.positions.get(ticket) if by_ticket else facts.position_of(asked.symbol)
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

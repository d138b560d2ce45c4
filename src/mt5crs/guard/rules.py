"""The limits: one table, and a small function for each that judges an order by it.

A function returns what is wrong, in words that a colon and the limit's value follow; "" where nothing is.
Comparisons are written so that what is no number passes none.
"""

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from mt5crs.guard import values
from mt5crs.guard.facts import Usage
from mt5crs.guard.requests import Asked, Effect

HAIR = 1e-9
"""Part of a value that floats add."""
MINUTE = 60.0


class Standing:
    """How it stands with a scope's limits: what the rules read.

    Attributes:
        who: Whose limits they are, in words.
        used: What is used of them, as the last look has shown it.
        held: What orders may have used since.
        sent: When trade requests were let through within the last minute.
        now: Seconds on the gateway's clock.
        utc: Epoch seconds.
    """

    __slots__ = ("held", "now", "sent", "used", "utc", "who")

    def __init__(self, who: str, held: Usage) -> None:
        self.who = who
        self.used = Usage()
        self.held = held
        self.sent: deque[float] = deque()
        self.now = self.utc = 0.0


Rule = Callable[[Asked, Any, Standing], str]


def lots(volume: float) -> str:
    """Return a volume in words."""
    text = f"{round(volume, 8):.15g}"
    return f"{text} lot" if text == "1" else f"{text} lots"


def max_order_volume(asked: Asked, most: float, at: Standing) -> str:
    """Judge by the volume of the order alone."""
    if asked.volume <= most + HAIR:
        return ""
    return f"{lots(asked.volume)} of {asked.symbol} are more than max_order_volume allows {at.who}"


def max_symbol_volume(asked: Asked, most: float, at: Standing) -> str:
    """Judge by all lots of the symbol, open and pending."""
    symbol = asked.symbol
    after = at.used.volumes.get(symbol, 0.0) + at.held.volumes.get(symbol, 0.0) + asked.growth
    if after <= most + HAIR or not asked.growth:
        return ""
    return (
        f"{lots(asked.growth)} more of {symbol} would make {lots(after)}, open and pending: more than"
        f" max_symbol_volume allows {at.who}"
    )


def max_exposure(asked: Asked, most: float, at: Standing) -> str:
    """Judge by what all that is open and pending is worth."""
    if not asked.growth and not asked.extra:
        return ""
    quote = asked.quote
    unknown = at.used.unknown or at.held.unknown
    if quote is None or not quote.worth or not asked.price > 0:
        unknown = asked.symbol
    if quote is None or unknown:
        return f"what {unknown} is worth is not known, by which max_exposure is judged for {at.who}"
    after = at.used.exposure + at.held.exposure + (asked.growth * asked.price + asked.extra) * quote.worth
    if after <= most * (1 + HAIR):
        return ""
    what = f"{lots(asked.growth)} of {asked.symbol}" if asked.growth else f"this price of {asked.symbol}"
    return f"{what} would make an exposure of {after:.2f}: more than max_exposure allows {at.who}"


def max_orders_per_minute(asked: Asked, most: int, at: Standing) -> str:
    """Judge by the requests within the last minute."""
    sent, since = at.sent, at.now - MINUTE
    while sent and sent[0] <= since:
        sent.popleft()
    if len(sent) < most:
        return ""
    return (
        f"this would be trade request {len(sent) + 1} within a minute: more than max_orders_per_minute"
        f" allows {at.who}"
    )


def max_price_distance(asked: Asked, most: float, at: Standing) -> str:
    """Judge by how far the prices that are asked for are from the market's."""
    for price in asked.prices:
        quote = asked.quote
        market = 0.0 if quote is None else quote.ask if asked.is_buy else quote.bid
        if not market > 0:
            return f"{asked.symbol} has no market price, by which max_price_distance is judged for {at.who}"
        distance = abs(price / market - 1.0) * 100.0
        if not distance <= most + HAIR:
            return (
                f"price {price:.15g} of {asked.symbol} is {distance:.2f} % away from {market:.15g}: more than"
                f" max_price_distance allows {at.who}"
            )
    return ""


def max_daily_loss(asked: Asked, most: float, at: Standing) -> str:
    """Judge by what was lost today; once that is all that may be lost, nothing is to be risked any more."""
    loss = at.used.loss
    if loss < most:
        return ""
    return f"a loss of {loss:.2f} today leaves nothing of what max_daily_loss allows {at.who}"


def symbols(asked: Asked, allowed: values.Masks, at: Standing) -> str:
    """Judge by the symbol; of what is on the account already, by that of the account."""
    for symbol, _ in asked.touches:
        if symbol not in allowed:
            return f"{symbol or 'no symbol'} is not one of the symbols that are for {at.who}"
    return ""


def magic(asked: Asked, allowed: values.Magics, at: Standing) -> str:
    """Judge by the magic number; of what is on the account already, by that of the account."""
    for symbol, number in asked.touches:
        if number not in allowed:
            return f"magic {number} ({symbol}) is not one of those that are for {at.who}"
    return ""


def hours(asked: Asked, allowed: Any, at: Standing) -> str:
    """Judge by the time."""
    return "" if allowed.is_open(at.utc) else f"this is outside of the hours that are for {at.who}"


ORDERS = (Effect.ADDS,)
ALL = tuple(Effect)


class Limit(NamedTuple):
    """A limit, or a setting that goes with one.

    Attributes:
        takes: What a value is, in words.
        help: What it does.
        parse: Makes a value for use of what a file has; raises ValueError with what would be right.
        rule: Judges an order; None for a setting that others heed.
        judges: The effects that it judges.
        needs_account: Whether the account has to be looked at.
        needs_prices: Whether the prices of the order's symbol are needed.
        needs_deals: Whether today's deals have to be.
        needs_worth: Whether all symbols that are held have to be.
        keys_only: Whether it is for keys alone.
    """

    takes: str
    help: str
    parse: values.Parse
    rule: Rule | None = None
    judges: tuple[Effect, ...] = ()
    needs_account: bool = False
    needs_prices: bool = False
    needs_deals: bool = False
    needs_worth: bool = False
    keys_only: bool = False


LIMITS: Mapping[str, Limit] = {
    "symbols": Limit(
        "group masks",
        "Only these symbols, as in `\"EURUSD, *USD*, !XAU*\"`. What changes or closes is judged by the symbol"
        " of the position or order on the account, not by the request's.",
        values.masks, symbols, ALL,
    ),
    "magic": Limit(
        "a list of numbers and ranges",
        "Only these magic numbers, as in `[7, [100, 199]]`; judged like `symbols`.",
        values.magics, magic, ALL,
    ),
    "max_order_volume": Limit(
        "lots", "The volume of one order.", values.amount, max_order_volume, ORDERS,
    ),
    "max_symbol_volume": Limit(
        "lots", "All lots of one symbol, open and pending together, after the order.",
        values.amount, max_symbol_volume, ORDERS, needs_account=True,
    ),
    "max_exposure": Limit(
        "account currency",
        "What all open positions and pending orders are worth after the order: volume x price /"
        " `trade_tick_size` x `trade_tick_value`; a pending order at the ask at least.",
        values.amount, max_exposure, ORDERS, needs_account=True, needs_prices=True, needs_worth=True,
    ),
    "max_orders_per_minute": Limit(
        "a whole number", "Trade requests of any kind that are let through within 60 seconds.",
        values.count, max_orders_per_minute, ALL,
    ),
    "max_price_distance": Limit(
        "percent",
        "Between a price in the request (`price`, `stoplimit`) and the current bid or ask.",
        values.amount, max_price_distance, ALL, needs_account=True, needs_prices=True,
    ),
    "max_daily_loss": Limit(
        "account currency, above 0",
        "Lost since the server's midnight: profit, commission, swap and fee of deals, and what floats now."
        " Once it is reached nothing that adds to the risk goes on.",
        values.more_than_none, max_daily_loss, ORDERS, needs_account=True, needs_deals=True,
    ),
    "hours": Limit(
        "a list of hours",
        'Only then, as in `["mon-fri 07:00-22:00", "sun 23:00-24:00"]`.',
        values.hours, hours, ORDERS,
    ),
    "zone": Limit(
        "a time zone", "The time zone of `hours`; `UTC` without it.", values.text,
    ),
    "dead_man": Limit(
        "seconds, above 0",
        "After its first order something must be heard from a client of this key that often; else the"
        " key's kill switch goes on.",
        values.more_than_none, keys_only=True,
    ),
    "dead_man_close": Limit(
        "true or false",
        "Whether its positions are closed and its pending orders removed then.",
        values.truth, keys_only=True,
    ),
}  # fmt: skip
"""All limits by name, in the order in which they judge."""

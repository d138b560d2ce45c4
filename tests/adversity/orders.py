"""What a careful program does with orders: what it sends, and how it finds out what became of each.

Both are generators, so that threads and asyncio tasks do the same: they say what is to be done next, and are
given what came of it.
"""

import os
import random
from collections.abc import Generator
from dataclasses import dataclass, field
from enum import Enum
from itertools import count
from typing import Any

from mt5crs import constants as c
from mt5crs.errors import BY_CODE, NotExecuted, OutcomeUnknown
from mt5crs.last_error import NO_ANSWER
from mt5crs.model import OrderSendResult, Outcome

SYMBOLS = {"EURUSD": 1.1, "GBPUSD": 1.3, "AUDUSD": 0.7}
"""Each with a price of its size: levels are put so far from it that nothing but an order touches them."""
POINT, DIGITS = 0.00001, 5
DONE = frozenset({c.TRADE_RETCODE_DONE, c.TRADE_RETCODE_DONE_PARTIAL, c.TRADE_RETCODE_PLACED})
ATTEMPTS = 6
PAUSE = 0.1
"""Seconds before it is tried again where nothing was sent."""


class Told(str, Enum):
    """What the client was told of an order, at last."""

    NOTHING = "nothing"
    """It was not asked for yet."""
    DONE = "done"
    """It was carried out."""
    REJECTED = "rejected"
    """The broker said no."""
    REFUSED = "refused"
    """It did not reach the broker, or was not carried out."""
    UNKNOWN = "unknown"
    """It may have been carried out."""


@dataclass
class Order:
    """One request under one key.

    Attributes:
        kind: `open`, `part`, `close`, `place`, `modify`, `stops` or `remove`.
        request: What is sent.
        magic: What it is known by on the account of record; 0 where the request has none.
        level: The price that a modification asks for; no two ask for the same one.
        key: The idempotency key.
        told: What the client was told.
        result: The broker's answer, where there is one.
        was_unknown: Whether the client was told that it may have been carried out.
        surprises: Failures that no client should meet, in words.
    """

    kind: str
    request: dict[str, Any]
    magic: int = 0
    level: float = 0.0
    key: str = field(default_factory=lambda: os.urandom(12).hex())
    told: Told = Told.NOTHING
    result: OrderSendResult | None = None
    was_unknown: bool = False
    surprises: list[str] = field(default_factory=list)

    def take(self, result: OrderSendResult | None, code: int) -> bool:
        """Take an answer of the terminal; say whether it says what became of the order."""
        if result is None and code in NO_ANSWER:
            return False
        self.result = result
        if result is None:
            self.told = Told.REFUSED
        else:
            self.told = Told.DONE if result.retcode in DONE else Told.REJECTED
        return True

    def learn(self, outcome: Outcome | None) -> bool:
        """Take what the gateway knows of it; say whether that is what became of it."""
        if outcome is None or outcome.state in {"absent", "refused"}:
            self.told = Told.REFUSED
            return True
        return outcome.state == "done" and self.take(outcome.result, outcome.last_error[0])


# ---- finding out ----


@dataclass(frozen=True)
class Send:
    """Send an order; what came of it is its result with the terminal's error, or a failure."""

    order: Order


@dataclass(frozen=True)
class Ask:
    """Ask what is known of its key; what came of it is an `Outcome` or None, or a failure."""

    order: Order


@dataclass(frozen=True)
class Wait:
    """Wait a moment."""

    seconds: float


Step = Send | Ask | Wait
Errand = Generator[Step, Any, None]


def carefully(order: Order) -> Errand:
    """Send an order until it is known what became of it, always under the same key."""
    for _ in range(ATTEMPTS):
        answer = yield Send(order)
        if isinstance(answer, tuple):
            result, (code, _text) = answer
            if order.take(result, code):
                return
            order.surprises.append(f"no answer of the terminal ({code}) was told as an answer")
        elif isinstance(answer, NotExecuted):
            order.told = Told.REFUSED
            return
        elif isinstance(answer, OutcomeUnknown):
            order.was_unknown = True
            known = yield Ask(order)
            # Without an outcome it is sent again: a key that the gateway does not know was not sent.
            if isinstance(known, Outcome) and order.learn(known):
                return
        elif not isinstance(answer, EXPECTED):
            order.surprises.append(f"{type(answer).__name__}: {answer}")
        yield Wait(PAUSE)
    order.told = Told.UNKNOWN


EXPECTED = tuple(
    BY_CODE[code] for code in ("timeout", "unreachable", "busy", "journal", "expired", "stale-epoch")
)
"""Refusals that leave everything open: nothing was sent this time."""

# ---- what is sent ----

Life = Generator[Order, None, None]


class Trader:
    """Makes up orders.

    Args:
        rng: Decides which.
    """

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._numbers = count(1)

    def live(self) -> Life:
        """Return the orders of the next position or pending order, one after the other."""
        return self._position() if self._rng.random() < 0.7 else self._pending()

    def _comment(self, number: int) -> dict[str, str]:
        """Return a comment: with room for the bridge's tag, without room, or none."""
        letters = self._rng.choice((0, 4, 21, 29, 29))
        return {"comment": f"{number:x}".rjust(letters, ".")[:letters]} if letters else {}

    def _order(self, kind: str, **request: Any) -> Order:
        number = next(self._numbers)
        return Order(kind, {**request, "magic": number, **self._comment(number)}, magic=number)

    def _level(self, price: float) -> float:
        """Return a price like no other, near another one."""
        return round(price + next(self._numbers) * POINT, DIGITS)

    def _position(self) -> Life:
        rng = self._rng
        symbol, price = rng.choice(tuple(SYMBOLS.items()))
        side = rng.choice((c.ORDER_TYPE_BUY, c.ORDER_TYPE_SELL))
        deal = {"action": c.TRADE_ACTION_DEAL, "symbol": symbol, "type_filling": c.ORDER_FILLING_IOC}
        opening = self._order("open", **deal, volume=0.2, type=side)
        yield opening
        if opening.told is not Told.DONE or opening.result is None:
            return
        ticket, volume = opening.result.order, opening.result.volume
        for _ in range(rng.choice((0, 0, 1, 2))):
            level = self._level(price * (0.5 if side == c.ORDER_TYPE_BUY else 1.5))
            stops = {"action": c.TRADE_ACTION_SLTP, "symbol": symbol, "position": ticket, "sl": level}
            order = Order("stops", stops, level=level)
            yield order
            if order.told is Told.UNKNOWN:
                return
        closing = {**deal, "type": 1 - side, "position": ticket}
        if volume > 0.15 and rng.random() < 0.5:
            part = self._order("part", **closing, volume=0.1)
            yield part
            if part.told is Told.UNKNOWN:
                return
            if part.told is Told.DONE and part.result is not None:
                volume = round(volume - part.result.volume, 2)
        if rng.random() < 0.75:
            yield self._order("close", **closing, volume=volume)

    def _pending(self) -> Life:
        rng = self._rng
        symbol, price = rng.choice(tuple(SYMBOLS.items()))
        level = self._level(price * 0.5)
        placing = self._order(
            "place", action=c.TRADE_ACTION_PENDING, symbol=symbol, volume=0.1, type=c.ORDER_TYPE_BUY_LIMIT,
            price=level, type_time=c.ORDER_TIME_GTC, type_filling=c.ORDER_FILLING_RETURN,
        )  # fmt: skip
        yield placing
        if placing.told is not Told.DONE or placing.result is None:
            return
        ticket = placing.result.order
        for _ in range(rng.choice((0, 1, 1, 2))):
            level = self._level(price * 0.5)
            change = {"action": c.TRADE_ACTION_MODIFY, "symbol": symbol, "order": ticket, "price": level}
            order = Order("modify", {**change, "type_time": c.ORDER_TIME_GTC}, level=level)
            yield order
            if order.told is Told.UNKNOWN:
                return
        if rng.random() < 0.75:
            yield Order("remove", {"action": c.TRADE_ACTION_REMOVE, "symbol": symbol, "order": ticket})

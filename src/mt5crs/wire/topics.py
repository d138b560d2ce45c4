"""Names of topics on the wire. Each ends in NUL, so that no topic is a prefix of another.

What a subscriber sends is a wish: `SUBSCRIBE` or `UNSUBSCRIBE`, the whole topic, and a token of its own
choice behind it. The gateway grants the topic; the token tells its wishes apart from those of others, who
cannot know it.
"""

from collections.abc import Callable
from typing import Any

from mt5crs.arguments import SYMBOL_LENGTH
from mt5crs.timeframes import NAMES, TIMEFRAMES
from mt5crs.topics import Account, AnyTopic, Bars, Beat, Book, Ticks, Trades

END = b"\0"
SUBSCRIBE, UNSUBSCRIBE = b"\1", b"\0"
TOKEN_LENGTHS = range(16, 65)
"""How many bytes a token may have."""

KINDS: dict[type[AnyTopic], str] = {
    Ticks: "tick",
    Bars: "bar",
    Book: "book",
    Trades: "trade",
    Account: "account",
    Beat: "beat",
}
"""What a topic's name begins with; behind it, after a dot, what its fields are."""


def name(topic: AnyTopic) -> bytes:
    """Return a topic's name: `tick.EURUSD`, `bar.EURUSD.M1`, `trade`, each with a NUL behind it."""
    parts = [KINDS[type(topic)]]
    if not isinstance(topic, Trades | Account | Beat):
        parts.append(topic.symbol)
    if isinstance(topic, Bars):
        parts.append(NAMES[topic.timeframe])
    return ".".join(parts).encode() + END


def topic(name: bytes) -> AnyTopic | None:
    """Return the topic of a name, None where it is not one in full."""
    if not name.endswith(END) or name.count(END) != 1:
        return None
    try:
        text = name[:-1].decode()
    except UnicodeDecodeError:
        return None
    kind, dot, rest = text.partition(".")
    read = _READ.get((kind, dot))
    return None if read is None else read(rest)


def _of_symbol(make: Callable[[str], AnyTopic]) -> Callable[[str], AnyTopic | None]:
    return lambda symbol: make(symbol) if 0 < len(symbol) <= SYMBOL_LENGTH else None


def _bars(rest: str) -> Bars | None:
    symbol, _, timeframe = rest.rpartition(".")  # a symbol's name may have dots in it
    if not 0 < len(symbol) <= SYMBOL_LENGTH or timeframe not in TIMEFRAMES:
        return None
    return Bars(symbol, TIMEFRAMES[timeframe])


_READ: dict[tuple[str, str], Callable[[str], Any]] = {
    ("tick", "."): _of_symbol(Ticks),
    ("bar", "."): _bars,
    ("book", "."): _of_symbol(Book),
    ("trade", ""): lambda _: Trades(),
    ("account", ""): lambda _: Account(),
    ("beat", ""): lambda _: Beat(),
}


def wish(topic: bytes, token: bytes) -> bytes:
    """Return what a subscriber sends to be given a topic."""
    return SUBSCRIBE + topic + token


def parts(wished: bytes) -> tuple[bytes, bytes] | None:
    """Return the topic and the token of a wish without its first byte; None where it is not one in full."""
    name, end, token = wished.partition(END)
    if not name or not end or len(token) not in TOKEN_LENGTHS:
        return None
    return name + end, token

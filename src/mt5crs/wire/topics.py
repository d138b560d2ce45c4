"""Names of stream topics. Each ends in NUL, so that no topic is a prefix of another.

What a subscriber sends is a wish: `SUBSCRIBE` or `UNSUBSCRIBE`, the whole topic, and a token of its own
choice behind it. The gateway grants the topic; the token tells its wishes apart from those of others, who
cannot know it.
"""

END = b"\0"
TICK = b"tick."
BEAT = b"beat" + END
SUBSCRIBE, UNSUBSCRIBE = b"\1", b"\0"
TOKEN_LENGTHS = range(16, 65)
"""How many bytes a token may have."""


def tick(symbol: str) -> bytes:
    """Return the topic of a symbol's ticks."""
    return TICK + symbol.encode() + END


def tick_symbol(topic: bytes) -> str | None:
    """Return the symbol of a tick topic, None where it is not one in full."""
    if not (topic.startswith(TICK) and topic.endswith(END)) or topic.count(END) != 1:
        return None
    try:
        return topic[len(TICK) : -len(END)].decode() or None
    except UnicodeDecodeError:
        return None


def name(topic: bytes) -> str:
    """Return what kind of topic it is: `tick` of a symbol's ticks."""
    return topic.rstrip(END).partition(b".")[0].decode(errors="replace")


def wish(topic: bytes, token: bytes) -> bytes:
    """Return what a subscriber sends to be given a topic."""
    return SUBSCRIBE + topic + token


def parts(wished: bytes) -> tuple[bytes, bytes] | None:
    """Return the topic and the token of a wish without its first byte; None where it is not one in full."""
    name, end, token = wished.partition(END)
    if not name or not end or len(token) not in TOKEN_LENGTHS:
        return None
    return name + end, token

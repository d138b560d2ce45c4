"""Names of stream topics. Each ends in NUL, so that no topic is a prefix of another."""

END = b"\0"
TICK = b"tick."
BEAT = b"beat" + END


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

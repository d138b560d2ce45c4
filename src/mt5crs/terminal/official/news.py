"""How news of each kind goes from a worker to its terminal, and how far a topic is taken in with it."""

from collections.abc import Callable, Sequence
from typing import Any

from mt5crs.cursors import Cursor
from mt5crs.model import RATES, TICKS
from mt5crs.terminal.port import NewBars, News, NewState, NewTicks, NewTrades
from mt5crs.topics import Account, AnyTopic, Bars, Book, Ticks, Trades

_ROWS = {NewTicks: TICKS, NewBars: RATES}


def place_after(news: News) -> Any:
    """Return how far a topic is taken in with some news of it; see `Follower`."""
    if isinstance(news, NewTicks):
        return news.start.after(news.ticks)
    if isinstance(news, NewBars):
        return int(news.bars["time"][-1]) if len(news.bars) else news.after
    return news.value if isinstance(news, NewState) else None


def pack(news: News) -> tuple[Any, ...]:
    """Return where news begins, or what a state is, in plain types; behind it the bytes of its rows."""
    if isinstance(news, NewTicks | NewBars):
        return news[1], as_bytes(news[2], _ROWS[type(news)].dtype)
    return (news.value if isinstance(news, NewState) else None,)


def unpack(topic: AnyTopic, begins: Any, rows: Any = b"") -> News:
    """Return news that was packed."""
    return _UNPACK[type(topic)](topic, begins, rows)


def _ticks(topic: Any, start: Any, rows: Any) -> News:
    import numpy

    return NewTicks(topic, Cursor(*start), numpy.frombuffer(rows, TICKS.dtype))


def _bars(topic: Any, after: Any, rows: Any) -> News:
    import numpy

    return NewBars(topic, after, numpy.frombuffer(rows, RATES.dtype))


_UNPACK: dict[type[AnyTopic], Callable[[Any, Any, Any], News]] = {
    Ticks: _ticks,
    Bars: _bars,
    Book: lambda topic, value, _: NewState(topic, value),
    Account: lambda topic, value, _: NewState(topic, value),
    Trades: lambda topic, _value, _rows: NewTrades(topic),
}


def joined(parts: Sequence[News]) -> News:
    """Return news of one topic, in order, as one: all rows, or the latest state."""
    first, last = parts[0], parts[-1]
    if len(parts) == 1 or not isinstance(first, NewTicks | NewBars):
        return last
    import numpy

    # As bytes: NumPy copies structured rows field by field.
    arrays = [part[2].view("u1") for part in parts if isinstance(part, NewTicks | NewBars)]
    rows: Any = numpy.concatenate(arrays).view(_ROWS[type(first)].dtype)
    if isinstance(first, NewTicks):
        return NewTicks(first.topic, first.start, rows)
    return NewBars(first.topic, first.after, rows)


def as_bytes(array: Any, dtype: Any) -> memoryview:
    """Return the bytes of an array's rows."""
    import numpy

    rows: memoryview = numpy.ascontiguousarray(array, dtype=dtype).view("u1").data
    return rows

"""What a publisher sent, as values; what is not what it says is a `ProtocolError`."""

from collections.abc import Mapping, Sequence
from functools import cache
from types import GenericAlias
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar

from msgspec import ValidationError, convert

from mt5crs.errors import ProtocolError
from mt5crs.model import (
    RATES,
    TICKS,
    AccountInfo,
    ArrayType,
    BookInfo,
    Record,
    TradeDeal,
    TradeEvent,
    TradeOrder,
    TradePosition,
)
from mt5crs.topics import Account, AnyTopic, Bars, Beat, Book, Ticks, Trades
from mt5crs.wire import messages
from mt5crs.wire.codec import on_stream

if TYPE_CHECKING:
    from mt5crs.model import RatesArray, TicksArray

T = TypeVar("T", bound=Record)

LATEST = (1 << 62) - 1
"""Seconds that can still be counted with."""
MOST_TICKS = 1 << 30
"""Ticks of a second that can still be asked for."""

_MESSAGES: Mapping[type[AnyTopic], type[messages.OnStream]] = {
    Ticks: messages.Batch,
    Bars: messages.Batch,
    Book: messages.Snapshot,
    Account: messages.Snapshot,
    Trades: messages.Events,
    Beat: messages.Beat,
}
_ARRAYS: Mapping[type[AnyTopic], ArrayType] = {Ticks: TICKS, Bars: RATES}
_DETAILS: Mapping[str, type[Record]] = {
    "order_add": TradeOrder,
    "order_update": TradeOrder,
    "history_add": TradeOrder,
    "deal_add": TradeDeal,
    "position_update": TradePosition,
}
"""What the details of a trade event are, by its kind."""

Content: TypeAlias = Any
"""Rows, records or one record: what a topic's feed knows what to do with; None for a message without rows."""


class Received(NamedTuple):
    """A message and what it brings.

    Attributes:
        message: As it was published.
        content: What it brings.
    """

    message: messages.OnStream
    content: Content


def read(topic: AnyTopic, frames: Sequence[bytes]) -> Received:
    """Return the message that came on a topic.

    Args:
        topic: The topic.
        frames: What followed the topic's name.

    Raises:
        ProtocolError: It is not what it says.
    """
    if not frames:
        raise ProtocolError(f"a message on {topic} without content")
    message = on_stream(frames[0])
    if type(message) is not _MESSAGES[type(topic)]:
        raise _misfit(topic, message)
    if message.sequence < 0 or message.epoch < 0 or message.clock < 0:
        raise _misfit(topic, message)
    if isinstance(message, messages.Batch):
        return Received(message, _rows(topic, message, frames[1:]))
    if len(frames) > 1:
        raise _misfit(topic, message)
    try:
        return Received(message, _content(topic, message))
    except (ValidationError, TypeError, ValueError, KeyError) as error:
        raise _misfit(topic, message) from error


def _misfit(topic: AnyTopic, message: messages.OnStream) -> ProtocolError:
    return ProtocolError(f"a message on {topic} that is not what it says: a {type(message).__name__}")


def _rows(topic: AnyTopic, batch: messages.Batch, frames: Sequence[bytes]) -> Content:
    place, kind = batch.place, _ARRAYS[type(topic)]
    if not (0 <= place[0] <= LATEST and 0 <= place[1] <= MOST_TICKS):
        raise _misfit(topic, batch)
    if batch.rows == 0 and not frames:
        return None
    if len(frames) != 1 or batch.rows <= 0 or len(frames[0]) != batch.rows * kind.itemsize:
        raise _misfit(topic, batch)
    import numpy

    rows = numpy.frombuffer(frames[0], kind.dtype)
    # Only what decides on places is looked at: prices are the terminal's own.
    if not are_in_order(rows, place[0]):
        raise _misfit(topic, batch)
    return rows


def are_in_order(rows: "TicksArray | RatesArray", start: int) -> bool:
    """Return whether rows are in the order of time, none of them before a second."""
    times = rows["time"]
    if not len(times):
        return True
    is_within = start <= int(times[0]) and int(times[-1]) <= LATEST
    return is_within and not (times[1:] < times[:-1]).any()


def _content(topic: AnyTopic, message: messages.OnStream) -> Content:
    if isinstance(message, messages.Events):
        return trade_events(message)
    if isinstance(message, messages.Snapshot):
        if isinstance(topic, Account):  # before the first state the topic is granted, and no more is known
            return None if message.value is None else _record(AccountInfo, message.value)
        return tuple(_record(BookInfo, values) for values in convert(message.value, list[Any]))
    return None


def trade_events(message: messages.Events) -> list[TradeEvent]:
    """Return the events of a message, whose serial numbers follow its own."""
    if message.serial < 0:
        raise TypeError("a negative serial number")
    if not message.log and (message.serial or message.events):
        raise TypeError("events of no record")
    events = [_trade_event(values) for values in message.events]
    for place, event in enumerate(events, message.serial + 1):
        if event.serial != place:
            raise TypeError(f"event {event.serial} in the place of {place}")
    return events


def _trade_event(values: list[Any]) -> TradeEvent:
    *plain, details = values
    fields = _typed(plain, _types(TradeEvent)[:-1])
    return TradeEvent((*fields, _record(_DETAILS[fields[1]], details)))


@cache
def _types(kind: type[Record]) -> tuple[Any, ...]:
    return tuple(kind.__annotations__.values())


def _record(kind: type[T], values: Any) -> T:
    return kind(_typed(values, _types(kind)))


def _typed(values: Any, kinds: tuple[Any, ...]) -> tuple[Any, ...]:
    typed: tuple[Any, ...] = convert(values, GenericAlias(tuple, kinds))
    return typed

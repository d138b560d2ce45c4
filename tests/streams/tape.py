"""A gateway and its terminal's history, as small as can be: what the pure core is held against."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mt5crs.client.streaming.feeds import Question
from mt5crs.client.streaming.stream import Stream
from mt5crs.cursors import START, Cursor
from mt5crs.model import TICKS, TicksArray, TradeDeal, TradeEvent
from mt5crs.topics import Ticks
from mt5crs.wire import topics
from mt5crs.wire.codec import encode
from mt5crs.wire.messages import Batch, Events, Message

TOPIC = Ticks("EURUSD")
NAME = topics.name(TOPIC)


def ticks_at(seconds: Any) -> TicksArray:
    """Ticks at some seconds, each with a price of its own; those of one second have equal times."""
    ticks = np.zeros(len(seconds), TICKS.dtype)
    ticks["time"] = seconds
    ticks["time_msc"] = ticks["time"] * 1000
    ticks["bid"] = np.arange(len(seconds)) + 1.0
    return ticks


class Tape:
    """All ticks of a symbol there will ever be, and how far the terminal has come."""

    def __init__(self, ticks: TicksArray) -> None:
        self.ticks = ticks
        self.head = 0
        self.first = 0  # history has nothing before it

    def place(self, index: int) -> tuple[int, int]:
        return START.after(self.ticks[:index])

    def copy_ticks_from(self, symbol: str, second: int, count: int, flags: int) -> TicksArray:
        history = self.ticks[self.first : self.head]
        start = int(history["time"].searchsorted(second))
        return history[start : start + count]


class Publisher:
    """One gateway process: numbers batches and knows places, from where it began."""

    def __init__(self, tape: Tape, epoch: int) -> None:
        self.tape = tape
        self.epoch = epoch
        self.sequence = 0
        self.sent = tape.head

    def publish(self) -> list[bytes]:
        rows = self.tape.ticks[self.sent : self.tape.head]
        self.sequence += 1
        frames = frame(NAME, Batch(self.sequence, self.epoch, 0, self.tape.place(self.sent), len(rows)))
        self.sent = self.tape.head
        return [*frames, rows.tobytes()] if len(rows) else self.mark()

    def mark(self) -> list[bytes]:
        return frame(NAME, Batch(self.sequence, self.epoch, 0, self.tape.place(self.sent), 0))


def frame(name: bytes, message: Message) -> list[bytes]:
    return [name, encode(message)]


def answered(stream: Stream, tape: Any, now: float = 0.0) -> list[Any]:
    """Answer all that a stream asks."""
    events: list[Any] = []
    for _ in range(10_000):
        step = stream.next(now)
        if not isinstance(step, Question):
            return events
        events += stream.answer(getattr(tape, step.operation)(*step.args, **step.named), now)
    raise AssertionError("it asks without an end")


def event(serial: int) -> TradeEvent:
    deal = TradeDeal([kind() for kind in TradeDeal.__annotations__.values()])
    return TradeEvent((serial, "deal_add", serial * 1000, "EURUSD", 1, serial, 1, "expert", "", deal))


def events_message(serial: int, events: Sequence[TradeEvent], *, epoch: int = 1, log: str = "log") -> Events:
    fields = [[*each[:-1], [*each.details]] for each in events]
    return Events(1, epoch, 0, log, serial, fields)


__all__ = [
    "NAME",
    "TOPIC",
    "Cursor",
    "Publisher",
    "Tape",
    "answered",
    "event",
    "events_message",
    "frame",
    "ticks_at",
]

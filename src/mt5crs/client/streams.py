"""Streams at the client: batches checked for their sequence, silence noticed."""

import time
from collections.abc import AsyncIterator, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import zmq

from mt5crs.client.link import connect, fill
from mt5crs.errors import ConnectionTimeout, ProtocolError
from mt5crs.model import TICKS
from mt5crs.settings import Settings
from mt5crs.wire import topics
from mt5crs.wire.codec import on_stream
from mt5crs.wire.messages import Batch

if TYPE_CHECKING:
    from mt5crs.model import TicksArray


POLL_MS = 100
"""How long a socket waits before the time and the process's signals get their turn."""


class TickBatch(NamedTuple):
    """Ticks of one symbol, in the order in which they came.

    Attributes:
        symbol: The symbol's name.
        ticks: A read-only array of `TICKS.dtype`.
    """

    symbol: str
    ticks: "TicksArray"


class Gap(NamedTuple):
    """Ticks of one symbol were missed: what is yielded next does not follow what was yielded before.

    Attributes:
        symbol: The symbol's name.
        batches: How many batches were missed; 0 where the gateway was started again and it is not known.
    """

    symbol: str
    batches: int


class TickFeed:
    """Turns the frames of tick topics into events; knows each topic's sequence."""

    def __init__(self) -> None:
        self._seen: dict[bytes, tuple[int, int]] = {}

    def gap(self, topic: bytes, batch: Batch) -> int | None:
        """Note a batch; return how many were missed before it, None where it follows the last one."""
        before = self._seen.get(topic)
        self._seen[topic] = batch.epoch, batch.sequence
        if before is None or (batch.epoch, batch.sequence - 1) == before:
            return None
        return batch.sequence - before[1] - 1 if batch.epoch == before[0] else 0


def _receive(socket: "zmq.Socket[bytes]", feed: TickFeed) -> list[TickBatch | Gap]:
    """Receive one message; return its events, none for a beat.

    Raises:
        zmq.Again: None came in time.
    """
    topic = socket.recv()
    message = on_stream(socket.recv())
    if not isinstance(message, Batch):
        return []
    symbol = topics.tick_symbol(topic)
    if symbol is None or message.rows < 1:
        raise ProtocolError(f"a batch of {message.rows} rows on topic {topic!r}")
    import numpy

    ticks = numpy.empty(message.rows, TICKS.dtype)
    if fill(socket, ticks.view(numpy.uint8).data) != ticks.nbytes:
        raise ProtocolError(f"a batch on {topic!r} is not of the size that it says")
    ticks.flags.writeable = False
    missed = feed.gap(topic, message)
    batch = TickBatch(symbol, ticks)
    return [batch] if missed is None else [Gap(symbol, missed), batch]


@contextmanager
def _subscription(
    settings: Settings, port: int, symbols: Sequence[str]
) -> Generator["zmq.Socket[bytes]", None, None]:
    """A subscribed socket with a context of its own: a client can be closed while its streams go on."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    try:
        socket = connect(context, zmq.SUB, settings, port)
        socket.rcvtimeo = POLL_MS
        for symbol in symbols:
            socket.subscribe(topics.tick(symbol))
        socket.subscribe(topics.BEAT)
        yield socket
    finally:
        context.destroy(linger=0)


def _silent(settings: Settings) -> ConnectionTimeout:
    return ConnectionTimeout(
        f"Connection timeout: {settings.host} has published nothing for {settings.timeout:g} s"
    )


def follow_ticks(settings: Settings, port: int, symbols: Sequence[str]) -> Iterator[TickBatch | Gap]:
    """Yield the ticks of some symbols as they come; see `Client.ticks`."""
    feed = TickFeed()
    with _subscription(settings, port, symbols) as socket:
        heard = time.monotonic()
        while True:
            try:
                events = _receive(socket, feed)
            except zmq.Again:
                if time.monotonic() - heard > settings.timeout:
                    raise _silent(settings) from None
                continue
            heard = time.monotonic()
            yield from events


async def follow_ticks_async(
    settings: Settings, port: int, symbols: Sequence[str]
) -> AsyncIterator[TickBatch | Gap]:
    """Yield the ticks of some symbols as they come; see `AsyncClient.ticks`."""
    import asyncio

    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    feed = TickFeed()
    with _subscription(settings, port, symbols) as socket:
        socket.rcvtimeo = 0
        loop.add_reader(socket.fileno(), readable.set)
        heard = time.monotonic()
        try:
            while True:
                readable.clear()
                try:
                    while True:  # the descriptor tells of the first message only: take all
                        events = _receive(socket, feed)
                        heard = time.monotonic()
                        for event in events:
                            yield event
                except zmq.Again:
                    pass
                patience = heard + settings.timeout - time.monotonic()
                try:
                    await asyncio.wait_for(readable.wait(), max(0.0, patience))
                except asyncio.TimeoutError:
                    raise _silent(settings) from None
        finally:
            loop.remove_reader(socket.fileno())

"""Streams at the client: batches checked for their sequence, silence noticed."""

import os
import time
from collections.abc import AsyncIterator, Generator, Iterator, Sequence
from contextlib import contextmanager
from math import ceil
from typing import TYPE_CHECKING, NamedTuple

import zmq

from mt5crs.client.core import Core
from mt5crs.client.link import connect
from mt5crs.errors import ConnectionTimeout, ProtocolError
from mt5crs.model import TICKS
from mt5crs.settings import Settings
from mt5crs.topics import Beat, Ticks
from mt5crs.wire import topics
from mt5crs.wire.codec import on_stream
from mt5crs.wire.messages import Batch

if TYPE_CHECKING:
    from mt5crs.model import TicksArray


POLL_MS = 100
"""How long a socket waits before the time and the process's signals get their turn."""


TOKEN = 16
"""Random bytes that tell a subscription apart from those of others."""
BURST = 64
"""Messages that are taken before other tasks get their turn."""


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
        return max(0, batch.sequence - before[1] - 1) if batch.epoch == before[0] else 0


def _receive(socket: "zmq.Socket[bytes]", feed: TickFeed) -> list[TickBatch | Gap]:
    """Receive the message that has come; return its events, none for a beat."""
    name, *frames = socket.recv_multipart()
    if not frames:
        raise ProtocolError(f"a message on topic {name!r} without content")
    message = on_stream(frames[0])
    if not isinstance(message, Batch) or (message.rows == 0 and len(frames) == 1):
        return []
    topic = topics.topic(name)
    rows = len(frames[1]) if len(frames) == 2 else -1
    if not isinstance(topic, Ticks) or rows <= 0 or rows != message.rows * TICKS.itemsize:
        raise ProtocolError(f"a batch on topic {name!r} that is not what it says")
    import numpy

    batch = TickBatch(topic.symbol, numpy.frombuffer(frames[1], TICKS.dtype))
    missed = feed.gap(name, message)
    return [batch] if missed is None else [Gap(topic.symbol, missed), batch]


@contextmanager
def _subscription(
    core: Core, port: int, symbols: Sequence[str]
) -> Generator["zmq.Socket[bytes]", None, None]:
    """A subscribed socket with a context of its own: a client can be closed while its streams go on."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    try:
        socket = connect(context, zmq.XSUB, core.settings.host, port, core.keys)
        token = os.urandom(TOKEN).hex().encode()
        for name in (*(topics.name(Ticks(symbol)) for symbol in symbols), topics.name(Beat())):
            socket.send(topics.wish(name, token))
        yield socket
    finally:
        context.destroy(linger=0)


def _patience(settings: Settings, heard: float, until: float | None) -> float:
    """Return the seconds until something must have been heard, or listening ends.

    Raises:
        ConnectionTimeout: The gateway has been silent for too long.
    """
    now = time.monotonic()
    if now - heard > settings.timeout:
        raise ConnectionTimeout(
            f"Connection timeout: {settings.host} has published nothing for {settings.timeout:g} s"
        )
    silence = heard + settings.timeout - now
    return silence if until is None else min(silence, until - now)


def _until(seconds: float | None) -> float | None:
    return None if seconds is None else time.monotonic() + seconds


def follow_ticks(
    core: Core, port: int, symbols: Sequence[str], seconds: float | None
) -> Iterator[TickBatch | Gap]:
    """Yield the ticks of some symbols as they come; see `Client.ticks`."""
    feed = TickFeed()
    until = _until(seconds)
    with _subscription(core, port, symbols) as socket:
        heard = time.monotonic()
        try:
            while (patience := _patience(core.settings, heard, until)) > 0:
                # In short steps, so that the process's signals get their turn.
                if not socket.poll(min(POLL_MS, ceil(patience * 1000))):
                    continue
                events = _receive(socket, feed)
                heard = time.monotonic()
                yield from events
        except ConnectionTimeout as silence:
            from mt5crs.client.diagnosis import diagnosed

            raise diagnosed(core, silence) from None


async def follow_ticks_async(
    core: Core, port: int, symbols: Sequence[str], seconds: float | None
) -> AsyncIterator[TickBatch | Gap]:
    """Yield the ticks of some symbols as they come; see `AsyncClient.ticks`."""
    import asyncio

    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    feed = TickFeed()
    until = _until(seconds)
    with _subscription(core, port, symbols) as socket:
        loop.add_reader(socket.fileno(), readable.set)
        heard = time.monotonic()
        try:
            while (patience := _patience(core.settings, heard, until)) > 0:
                readable.clear()
                # The descriptor tells of the first message only: take what there is, in turns with others.
                for _ in range(BURST):
                    if not int(socket.getsockopt(zmq.EVENTS)) & zmq.POLLIN:
                        break
                    events = _receive(socket, feed)
                    heard = time.monotonic()
                    for event in events:
                        yield event
                else:
                    await asyncio.sleep(0)
                    continue
                # Not `wait_for`, which before Python 3.12 could swallow a cancellation.
                alarm = loop.call_later(patience, readable.set)
                try:
                    await readable.wait()
                finally:
                    alarm.cancel()
        except ConnectionTimeout as silence:
            from mt5crs.client.diagnosis import diagnosed

            raise await asyncio.to_thread(diagnosed, core, silence) from None
        finally:
            loop.remove_reader(socket.fileno())

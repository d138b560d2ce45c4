"""Both drivers against a publisher that says what a test wants it to say."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import zmq

from mt5crs import AsyncClient, Client
from mt5crs.client.core import Core
from mt5crs.client.streaming.asynchronous import AsyncSubscription
from mt5crs.client.streaming.blocking import Subscription
from mt5crs.client.streaming.stream import Wanted
from mt5crs.errors import ConnectionTimeout, ProtocolError
from mt5crs.model import RATES, TICKS
from mt5crs.streams import AnyEvent
from mt5crs.topics import Account, AnyTopic, Bars, Beat, Book, Ticks, Trades
from mt5crs.wire import topics
from mt5crs.wire.codec import encode
from mt5crs.wire.messages import Batch, Events, Snapshot
from mt5crs.wire.messages import Beat as BeatMessage
from tests.streams.tape import event, events_message, ticks_at

TICK, BEAT = topics.name(Ticks("EURUSD")), topics.name(Beat())
WANTED: list[AnyTopic] = [Ticks("EURUSD"), Bars("EURUSD", 1), Book("EURUSD"), Trades(), Account()]
BAR, BOOK, TRADE, ACCOUNT = (topics.name(topic) for topic in WANTED[1:])


@pytest.fixture
def publisher() -> "Iterator[zmq.Socket[bytes]]":
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    socket = context.socket(zmq.XPUB)
    socket.setsockopt(zmq.XPUB_MANUAL, 1)
    yield socket
    context.destroy(linger=0)


def subscription(port: int, timeout: float = 10.0) -> Subscription[AnyEvent]:
    core = Core({"host": "127.0.0.1", "port": port, "timeout": timeout})
    return Subscription(core, Wanted(WANTED), port, lambda: Client("127.0.0.1", port), None)


def async_subscription(port: int, timeout: float = 10.0) -> AsyncSubscription[AnyEvent]:
    core = Core({"host": "127.0.0.1", "port": port, "timeout": timeout})

    async def known() -> int:
        return port

    return AsyncSubscription(core, Wanted(WANTED), known, lambda: AsyncClient("127.0.0.1", port), None)


def listened(asynchronous: bool, port: int, timeout: float = 10.0) -> None:
    async def listen() -> None:
        async for _ in async_subscription(port, timeout):
            pass

    if asynchronous:
        asyncio.run(listen())
    else:
        list(subscription(port, timeout))


def bad_event(**changes: Any) -> Events:
    message = events_message(0, [event(1)])
    fields: list[Any] = message.events[0]
    for place, value in changes.items():
        fields[int(place[1:])] = value
    return message


@pytest.mark.parametrize(
    "frames",
    [
        [TICK],
        [TICK, b"garbage"],
        [TICK, encode(Batch(1, 1, 0, (0, 0), 1))],
        [TICK, encode(Batch(1, 1, 0, (0, 0), 1)), b"short"],
        [TICK, encode(Batch(1, 1, 0, (0, 0), 1)), b"x" * 60, b"surplus"],
        [TICK, encode(Batch(1, 1, 0, (0, 0), 2**60)), b"x" * 60],
        [TICK, encode(Batch(1, 1, 0, (0, 0), -1)), b""],
        [TICK, encode(Batch(1, 1, 0, (0, 0), 0)), b""],
        [TICK, encode(Batch(1, 1, -1, (0, 0), 0))],
        [TICK, encode(Batch(-1, 1, 0, (0, 0), 0))],
        [TICK, encode(Batch(1, -1, 0, (0, 0), 0))],
        [TICK, encode(Batch(1, 1, 0, (-1, 0), 0))],
        [TICK, encode(Batch(1, 1, 0, (0, 2**63), 0))],
        [TICK, encode(Batch(1, 1, float("nan"), (0, 0), 0))],  # type: ignore[arg-type]
        [TICK, encode(Batch(1, 1, 0, (5, 0), 1)), bytes(TICKS.itemsize)],  # rows before their place
        [TICK, encode(Batch(1, 1, 0, (0, 0), 3)), ticks_at([5, 7, 6]).tobytes()],  # rows out of order
        [TICK, encode(Batch(1, 1, 0, (0, 0), 3)), ticks_at([5, -5, 6]).tobytes()],
        [TICK, encode(Batch(1, 1, 0, (0, 1 << 61), 0))],  # so many ticks of a second nobody can ask for
        [BAR, encode(Batch(1, 1, 0, (-60, 0), 0))],
        [TICK, encode(BeatMessage(1, 1, 0, {}))],
        [BAR, encode(Batch(1, 1, 0, (0, 0), 1)), bytes(RATES.itemsize - 1)],
        [BAR, encode(Batch(1, 1, 0, (0, 0), 2)), bytes(RATES.itemsize)],
        [BOOK, encode(Batch(1, 1, 0, (0, 0), 0))],
        [BOOK, encode(Snapshot(1, 1, 0, None))],
        [BOOK, encode(Snapshot(1, 1, 0, [[1, 1.0, 1]]))],
        [BOOK, encode(Snapshot(1, 1, 0, [[1, "x", 1, 1.0]]))],
        [BOOK, encode(Snapshot(1, 1, 0, [])), b"surplus"],
        [ACCOUNT, encode(Snapshot(1, 1, 0, [1, 2, 3]))],
        [TRADE, encode(Snapshot(1, 1, 0, []))],
        [TRADE, encode(bad_event(_0=2))],
        [TRADE, encode(bad_event(_1="nonsense"))],
        [TRADE, encode(bad_event(_1=["list"]))],
        [TRADE, encode(bad_event(_2="now"))],
        [TRADE, encode(bad_event(_9=None))],
        [TRADE, encode(Events(1, 1, 0, "log", -1, []))],
        [TRADE, encode(Events(1, 1, 0, "log", 0, [[]]))],
        [TRADE, encode(Events(1, 1, 0, "", 3, []))],  # a place in no record
        [BEAT, encode(Snapshot(1, 1, 0, []))],
    ],
    ids=repr,
)
@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_publisher_of_nonsense_is_named(
    publisher: "zmq.Socket[bytes]", frames: list[bytes], asynchronous: bool
) -> None:
    port = publisher.bind_to_random_port("tcp://127.0.0.1")

    def publish() -> None:
        while not publisher.recv().startswith(topics.SUBSCRIBE + frames[0]):
            pass
        publisher.setsockopt(zmq.SUBSCRIBE, frames[0])
        publisher.send_multipart(frames)

    thread = threading.Thread(target=publish)
    thread.start()
    with pytest.raises(ProtocolError):
        listened(asynchronous, port)
    thread.join()


def test_a_topic_that_nobody_asked_for_is_named(publisher: "zmq.Socket[bytes]") -> None:
    port = publisher.bind_to_random_port("tcp://127.0.0.1")

    def publish() -> None:
        while not publisher.recv().startswith(topics.SUBSCRIBE + BEAT):
            pass
        publisher.setsockopt(zmq.SUBSCRIBE, b"")
        publisher.send_multipart([b"tick.GBPUSD\0", encode(Batch(1, 1, 0, (0, 0), 0))])

    thread = threading.Thread(target=publish)
    thread.start()
    with pytest.raises(ProtocolError):
        listened(False, port)
    thread.join()


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_publisher_that_says_nothing_from_the_start_is_a_timeout(
    publisher: "zmq.Socket[bytes]", asynchronous: bool
) -> None:
    port = publisher.bind_to_random_port("tcp://127.0.0.1")
    with pytest.raises(ConnectionTimeout, match="published nothing"):
        listened(asynchronous, port, 0.3)


def test_streams_of_the_blocking_client_load_neither_asyncio_nor_arrays() -> None:
    code = (
        "import sys, mt5crs.client.blocking, mt5crs.client.streaming.blocking\n"
        "print(*sorted({'numpy', 'asyncio'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"

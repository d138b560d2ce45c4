"""Ticks as they happen, to one subscriber and to several; silence is noticed."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import zmq

from mt5crs import Client
from mt5crs.client.core import Core
from mt5crs.client.streams import Gap, TickBatch, TickFeed, follow_ticks, follow_ticks_async
from mt5crs.errors import ConnectionTimeout, ProtocolError, UnknownSymbol
from mt5crs.gateway.streams import Streams
from mt5crs.gateway.wishes import COPIES, PER_KEY
from mt5crs.model import TICKS
from mt5crs.security.policy import ANONYMOUS, Principal, Role
from mt5crs.topics import AnyTopic, Beat, Ticks
from mt5crs.wire import topics
from mt5crs.wire.codec import encode, on_stream
from mt5crs.wire.messages import Batch
from tests.pair.bridge import START, CountingTerminal
from tests.processes import Gateway

TOKEN = b"0123456789abcdef"
EURUSD, BEAT = topics.name(Ticks("EURUSD")), topics.name(Beat())


def test_ticks_come_in_order_and_are_those_of_the_terminal(gateway: Gateway) -> None:
    with gateway.client() as client:
        batches = [each for each in islice(client.ticks("EURUSD"), 4) if isinstance(each, TickBatch)]
        ticks = np.concatenate([batch.ticks for batch in batches])
        assert ticks.dtype == TICKS.dtype
        assert (np.diff(ticks["time_msc"]) >= 0).all()
        first, last = int(ticks["time_msc"][0]), int(ticks["time_msc"][-1])
        history = client.copy_ticks_range("EURUSD", first // 1000, last // 1000 + 1, -1)
        assert history is not None
        between = history[(history["time_msc"] >= first) & (history["time_msc"] <= last)]
        assert np.array_equal(between, ticks)


def test_several_symbols_in_one_subscription(gateway: Gateway) -> None:
    with gateway.client() as client:
        seen: set[str] = set()
        for event in client.ticks("EURUSD", "USDJPY"):
            seen.add(event.symbol)
            if len(seen) == 2:
                break
        assert seen == {"EURUSD", "USDJPY"}


def test_asyncio_ticks(gateway: Gateway) -> None:
    async def scenario() -> None:
        async with gateway.async_client() as client:
            async for event in client.ticks("EURUSD"):
                assert isinstance(event, TickBatch)
                assert len(event.ticks) > 0
                break

    asyncio.run(scenario())


def test_a_symbol_that_is_not_there_is_refused_not_waited_for(gateway: Gateway) -> None:
    async def scenario() -> None:
        async with gateway.async_client() as client:
            async for _ in client.ticks("EURUSD", "NOPE"):
                pass

    with gateway.client() as client, pytest.raises(UnknownSymbol, match="'NOPE'"):
        client.ticks("NOPE")
    with pytest.raises(UnknownSymbol, match="'NOPE'"):
        asyncio.run(scenario())


def test_listening_ends_when_it_was_told_to(gateway: Gateway) -> None:
    async def scenario() -> int:
        async with gateway.async_client() as client:
            return len([event async for event in client.ticks("EURUSD", seconds=0.3)])

    with gateway.client() as client:
        assert len(list(client.ticks("EURUSD", seconds=0.3))) < 10
        assert list(client.ticks(seconds=0.05)) == []
    assert asyncio.run(scenario()) < 10


def test_a_cancelled_stream_ends(gateway: Gateway) -> None:
    async def scenario() -> None:
        async with gateway.async_client() as client:
            came = asyncio.Event()

            async def listen() -> None:
                async for _ in client.ticks("EURUSD", "GBPUSD", "USDJPY"):
                    came.set()

            for _ in range(5):
                came.clear()
                task = asyncio.create_task(listen())
                await came.wait()
                task.cancel()
                done, _ = await asyncio.wait([task], timeout=5.0)
                assert done
                assert task.cancelled()

    asyncio.run(scenario())


def test_a_gateway_that_falls_silent_is_a_timeout(fresh_gateway: Gateway) -> None:
    with fresh_gateway.client(timeout=1.5) as client:
        ticks = client.ticks("EURUSD")
        next(ticks)
        fresh_gateway.freeze()
        try:
            with pytest.raises(ConnectionTimeout, match="published nothing"):
                list(ticks)
        finally:
            fresh_gateway.thaw()


def test_a_gateway_that_was_started_again_is_a_gap(tmp_path: Path) -> None:
    with Gateway(tmp_path) as gateway, gateway.client(timeout=15.0) as client:
        ticks = client.ticks("EURUSD")
        next(ticks)
        gateway.kill()
        gateway.start()
        events = islice(ticks, 50)
        assert Gap("EURUSD", 0) in events


def refused(client: Client) -> int:
    count: int = client.ping().pong.state["counters"].get("refused-subscriptions", 0)
    return count


UNKNOWN = [b"", b"t", b"tick.EURUSD", b"trade\0", b"account\0", b"tick.NOPE\0"]


@pytest.mark.parametrize(
    "wish", [*UNKNOWN, *(topic + TOKEN for topic in UNKNOWN), b"tick.EURUSD\0", b"beat\0short"]
)
def test_only_exact_topics_of_known_symbols_bring_ticks(gateway: Gateway, wish: bytes) -> None:
    with subscriber(gateway) as sub, gateway.client() as client:
        before = refused(client)
        sub.send(topics.SUBSCRIBE + wish)
        give_up = time.monotonic() + 20.0
        while refused(client) == before:
            assert time.monotonic() < give_up
        next(client.ticks("EURUSD"))  # there is something to be had
        assert not sub.poll(300)


def test_a_prefix_of_a_topic_is_not_granted_behind_the_gateways_back(fresh_gateway: Gateway) -> None:
    with subscriber(fresh_gateway, zmq.SUB) as sub, fresh_gateway.client() as client:
        sub.subscribe(b"")
        assert isinstance(next(client.ticks("EURUSD")), TickBatch)
        assert not sub.poll(300)


def test_what_a_stranger_says_of_others_subscriptions_changes_nothing(fresh_gateway: Gateway) -> None:
    with fresh_gateway.client() as client, subscriber(fresh_gateway) as stranger:
        ticks = client.ticks("EURUSD")
        next(ticks)
        for token in (TOKEN, b"", b"short", TOKEN):
            # Its own transport lets out no end of what did not begin.
            stranger.send(topics.SUBSCRIBE + EURUSD + token)
            stranger.send(topics.UNSUBSCRIBE + EURUSD + token)
        stranger.send(topics.wish(BEAT, TOKEN))
        assert stranger.poll(5000)  # it was heard
        assert isinstance(next(ticks), TickBatch)
        assert isinstance(next(ticks), TickBatch)


@contextmanager
def subscriber(gateway: Gateway, kind: int = zmq.XSUB) -> "Iterator[zmq.Socket[bytes]]":
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    try:
        socket = context.socket(kind)
        socket.connect(f"tcp://127.0.0.1:{gateway.stream_port}")
        yield socket
    finally:
        context.destroy(linger=0)


@pytest.fixture
def publisher() -> "Iterator[zmq.Socket[bytes]]":
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    socket = context.socket(zmq.XPUB)
    socket.setsockopt(zmq.XPUB_MANUAL, 1)
    yield socket
    context.destroy(linger=0)


@pytest.mark.parametrize(
    "frames",
    [
        [EURUSD],
        [EURUSD, b"garbage"],
        [EURUSD, encode(Batch(1, 1, 0, (0, 0), 1))],
        [EURUSD, encode(Batch(1, 1, 0, (0, 0), 1)), b"short"],
        [EURUSD, encode(Batch(1, 1, 0, (0, 0), 1)), b"x" * 60, b"surplus"],
        [EURUSD, encode(Batch(1, 1, 0, (0, 0), 2**60)), b"x" * 60],
        [EURUSD, encode(Batch(1, 1, 0, (0, 0), -1)), b""],
        [EURUSD, encode(Batch(1, 1, 0, (0, 0), 0)), b""],
    ],
    ids=repr,
)
@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_publisher_of_nonsense_is_named(
    publisher: "zmq.Socket[bytes]", frames: list[bytes], asynchronous: bool
) -> None:
    port = publisher.bind_to_random_port("tcp://127.0.0.1")
    core = Core({"host": "127.0.0.1", "port": port, "timeout": 10.0})

    def publish() -> None:
        while not publisher.recv().startswith(topics.SUBSCRIBE + BEAT):
            pass
        publisher.setsockopt(zmq.SUBSCRIBE, EURUSD)
        publisher.send_multipart(frames)

    async def listen() -> None:
        async for _ in follow_ticks_async(core, port, ["EURUSD"], None):
            pass

    thread = threading.Thread(target=publish)
    thread.start()
    with pytest.raises(ProtocolError):
        if asynchronous:
            asyncio.run(listen())
        else:
            list(follow_ticks(core, port, ["EURUSD"], None))
    thread.join()


def test_a_number_that_is_skipped_is_a_gap() -> None:
    feed = TickFeed()
    topic = EURUSD
    gaps = [
        feed.gap(topic, Batch(sequence, epoch, 0, (0, 0), 1))
        for sequence, epoch in [(5, 1), (6, 1), (9, 1), (1, 2)]
    ]
    assert gaps == [None, None, 2, 0]


def test_nothing_is_followed_that_nobody_subscribes_to() -> None:
    now = [100.0]
    terminal = CountingTerminal(lambda: START + now[0])
    streams = Streams(terminal, 1, dict)
    topic = EURUSD

    def published(seconds: float) -> int:
        now[0] += seconds
        terminal.advance()
        return sum(frames[0] == topic and len(frames) == 3 for frames in streams.news(now[0]))

    assert published(10.0) == 0
    for _ in range(2):  # as a connection does that comes back before its old one is known to be gone
        assert streams.grant(topic + TOKEN, ANONYMOUS) == topic
    assert streams.give_up(topic + TOKEN[::-1]) is None
    assert streams.give_up(topic + TOKEN) == topic
    assert published(10.0) == 1
    assert streams.give_up(topic + TOKEN) == topic
    assert published(10.0) == 0
    assert streams.give_up(topic + TOKEN) is None
    for idle in (topic, b"trade\0" + TOKEN, b"", TOKEN, b"\0" + TOKEN, b"tick.EURUSD"):
        assert streams.grant(idle, ANONYMOUS) is None
        assert streams.give_up(idle) is None
    assert published(10.0) == 0


def test_private_streams_are_for_the_keys_that_were_granted_them() -> None:
    class Streaming(Streams):
        def _begin(self, topic: AnyTopic, name: bytes) -> bool:
            return True  # as if there were such a stream

    streams = Streaming(CountingTerminal(lambda: START), 1, dict)
    for granted in (frozenset[str](), frozenset({"trade"}), frozenset({"trade", "account"})):
        principal = Principal("p", Role.OBSERVER, streams=granted)
        for name in ("trade", "account"):
            topic = name.encode() + topics.END
            assert streams.grant(topic + TOKEN, principal) == (topic if name in granted else None)
        assert streams.grant(BEAT + TOKEN, principal) == BEAT


def test_wishes_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mt5crs.gateway.wishes.PER_KEY", 2)
    streams = Streams(CountingTerminal(lambda: START), 1, dict)
    wishes = [BEAT + bytes([number]) * 16 for number in (1, 2, 3)]
    assert [streams.grant(wish, ANONYMOUS) for wish in wishes] == [BEAT, BEAT, None]
    other = Principal("other", Role.OBSERVER)
    assert streams.grant(wishes[0], other) is None  # nor is a wish ever two keys'
    assert streams.grant(BEAT + b"4" * 16, other) == BEAT  # each key has its own share
    streams.give_up(wishes[0])
    assert streams.grant(wishes[2], ANONYMOUS) == BEAT


def test_a_wish_that_is_said_again_and_again_takes_no_room() -> None:
    streams = Streams(CountingTerminal(lambda: START), 1, dict)
    for _ in range(3 * PER_KEY):
        assert streams.grant(BEAT + TOKEN, ANONYMOUS) == BEAT
    assert streams.grant(EURUSD + TOKEN, ANONYMOUS)
    for _ in range(COPIES):
        assert streams.give_up(BEAT + TOKEN) == BEAT
    assert streams.give_up(BEAT + TOKEN) is None


def test_who_comes_back_after_all_were_shut_out_notices_that_something_is_missing() -> None:
    now = [100.0]
    terminal = CountingTerminal(lambda: START + now[0])
    streams = Streams(terminal, 1, dict)
    topic, feed = EURUSD, TickFeed()

    def gaps() -> list[int | None]:
        now[0] += 10.0
        terminal.advance()
        batches = [on_stream(frames[1]) for frames in streams.news(now[0]) if frames[0] == topic]
        return [feed.gap(topic, batch) for batch in batches if isinstance(batch, Batch) and batch.rows]

    streams.grant(topic + TOKEN, ANONYMOUS)
    assert gaps() == [None]
    assert gaps() == [None]
    streams.reset()
    assert gaps() == []
    streams.grant(topic + TOKEN, ANONYMOUS)
    assert gaps() == [1]
    assert gaps() == [None]

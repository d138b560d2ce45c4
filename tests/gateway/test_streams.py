"""Ticks as they happen, to one subscriber and to several, and who is given what."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice

import numpy as np
import pytest
import zmq

from mt5crs import Client
from mt5crs.cursors import Cursor
from mt5crs.errors import UnknownSymbol
from mt5crs.gateway.streams import Streams
from mt5crs.gateway.wishes import PER_KEY
from mt5crs.model import TICKS
from mt5crs.security.policy import ANONYMOUS, Principal, Role
from mt5crs.streams import TickBatch
from mt5crs.topics import AnyTopic, Beat, Ticks
from mt5crs.wire import topics
from mt5crs.wire.codec import on_stream
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
            assert isinstance(event, TickBatch)
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


def refused(client: Client) -> int:
    count: int = client.ping().pong.state["counters"].get("refused-subscriptions", 0)
    return count


UNKNOWN = [b"", b"t", b"tick.EURUSD", b"trade", b"account.\0", b"tick.NOPE\0"]


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
    again = b"fedcba9876543211"  # of a connection that comes back before its old one is known to be gone
    for token in (TOKEN, again):
        assert streams.grant(topic + token, ANONYMOUS) == topic
    assert streams.give_up(topic + TOKEN[::-1]) is None
    assert streams.give_up(topic + TOKEN) == topic
    assert published(10.0) == 1
    assert streams.give_up(topic + again) == topic
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
    assert streams.give_up(BEAT + TOKEN) == BEAT
    assert streams.give_up(BEAT + TOKEN) is None


def test_what_connections_said_twice_is_ended_with_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mt5crs.gateway.wishes.PER_KEY", 3)
    streams = Streams(CountingTerminal(lambda: START), 1, dict)
    for _ in range(3):
        wishes = [BEAT + bytes([number]) * 16 for number in (1, 2, 3)]
        for wish in (*wishes, *wishes):
            assert streams.grant(wish, ANONYMOUS) == BEAT
        for wish in wishes:  # the transport tells each end once
            assert streams.give_up(wish) == BEAT


def test_connections_that_end_late_leave_the_one_in_their_place_alone() -> None:
    streams = Streams(CountingTerminal(lambda: START), 1, dict)
    tokens = [bytes([number]) * 16 for number in range(5)]
    for token in tokens:
        assert streams.grant(EURUSD + token, ANONYMOUS) == EURUSD
    for token in tokens[:-1]:
        assert streams.give_up(EURUSD + token) == EURUSD
    assert streams.is_watched
    assert streams.give_up(EURUSD + tokens[-1]) == EURUSD
    assert not streams.is_watched


def test_who_comes_back_after_all_were_shut_out_notices_that_something_is_missing() -> None:
    now = [100.0]
    terminal = CountingTerminal(lambda: START + now[0])
    streams = Streams(terminal, 1, dict)
    topic = EURUSD

    def published() -> list[Batch]:
        now[0] += 10.0
        terminal.advance()
        batches = [on_stream(frames[1]) for frames in streams.news(now[0]) if frames[0] == topic]
        return [batch for batch in batches if isinstance(batch, Batch) and batch.rows]

    streams.grant(topic + TOKEN, ANONYMOUS)
    published()
    (last,) = published()
    streams.reset()
    assert published() == []
    streams.grant(topic + TOKEN, ANONYMOUS)
    (batch,) = published()
    assert (batch.sequence, batch.epoch) == (last.sequence + 2, last.epoch)
    assert Cursor(*batch.place) > Cursor(*last.place)

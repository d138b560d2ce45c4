"""The stream socket with real subscribers: who is slow misses something, and nobody else notices."""

import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import zmq

from mt5crs import Client
from mt5crs.constants import TIMEFRAME_M1
from mt5crs.cursors import Cursor
from mt5crs.errors import SettingError
from mt5crs.gateway.config import GatewayConfig
from mt5crs.gateway.floods import BEHIND, Floods
from mt5crs.gateway.publisher import WISH_LIMIT, Publisher
from mt5crs.gateway.server import Server
from mt5crs.gateway.streams import Streams
from mt5crs.gateway.wishes import PER_KEY
from mt5crs.model import TICKS
from mt5crs.security.keys import ClientKeys, create_client, create_gateway
from mt5crs.security.policy import ANONYMOUS, Principal, Role
from mt5crs.terminal.simulated import SimulatedConfig, SimulatedTerminal
from mt5crs.terminal.simulated.prices.market import Playback
from mt5crs.topics import Bars, Beat, Ticks
from mt5crs.wire import messages, topics
from mt5crs.wire.codec import on_stream
from tests.processes import Gateway
from tests.terminal.desk import OPENING

TOKEN = b"0123456789abcdef"
PATIENCE = 30_000
"""Milliseconds that a test waits for what must come."""


def crowd(seconds: int, per_second: int) -> Playback:
    """Return evenly spaced ticks."""
    ticks = np.zeros(seconds * per_second, TICKS.dtype)
    ticks["time_msc"] = OPENING * 1000 + np.arange(len(ticks)) * 1000 // per_second
    ticks["time"], ticks["flags"] = ticks["time_msc"] // 1000, 6
    ticks["bid"], ticks["ask"] = 1.1, 1.1001
    return Playback({"EURUSD": ticks}, 1_000)


@contextmanager
def serving(queue: int) -> Iterator[Server]:
    playback = crowd(15, 100_000)
    terminal = SimulatedTerminal(SimulatedConfig(), playback=playback)
    server = Server(GatewayConfig(port=0, stream_port=0, stream_queue=queue), terminal)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join()


@contextmanager
def context() -> "Iterator[zmq.Context[zmq.Socket[bytes]]]":
    made: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    try:
        yield made
    finally:
        made.destroy(linger=0)


def subscribed(
    made: "zmq.Context[zmq.Socket[bytes]]", server: Server, *names: bytes, queue: int = 0
) -> "zmq.Socket[bytes]":
    socket = made.socket(zmq.XSUB)
    socket.rcvhwm = queue
    if queue:
        socket.rcvbuf = 4096
    socket.connect(f"tcp://127.0.0.1:{server.stream_port}")
    for name in names:
        socket.send(topics.wish(name, TOKEN))
    return socket


def test_who_does_not_read_misses_messages_that_are_counted_and_costs_nobody_else_one() -> None:
    name, beat = topics.name(Ticks("EURUSD")), topics.name(Beat())
    with serving(64) as server, context() as made, Client("127.0.0.1", server.port) as client:
        stuck = subscribed(made, server, name, queue=1)
        reader, second = (subscribed(made, server, name, beat) for _ in range(2))
        places: list[list[tuple[int, Cursor, int]]] = [[], []]
        dropped, give_up = 0, time.monotonic() + PATIENCE / 1000
        while dropped == 0 or len(places[0]) < 100 or len(places[1]) < 100:
            assert time.monotonic() < give_up
            for socket, seen in zip((reader, second), places, strict=True):
                assert socket.poll(PATIENCE)
                topic, head, *rows = socket.recv_multipart()
                message = on_stream(head)
                if topic == beat:
                    assert isinstance(message, messages.Beat)
                    dropped = message.state["counters"].get("dropped-messages", 0)
                    continue
                assert isinstance(message, messages.Batch)
                if rows:
                    begin = Cursor(*message.place)
                    if seen:  # neither the number before nor a single tick is missing
                        assert (message.sequence - 1, begin) == seen[-1][:2]
                    after = begin.after(np.frombuffer(rows[0], TICKS.dtype))
                    seen.append((message.sequence, after, message.rows))
        assert client.ping().pong.state["counters"]["dropped-messages"] >= dropped
        assert all(sum(rows for _, _, rows in seen) > 1000 for seen in places)
        stuck.close()


def test_a_slow_one_that_reads_again_is_given_what_comes_then() -> None:
    name = topics.name(Ticks("EURUSD"))
    with serving(8) as server, context() as made, Client("127.0.0.1", server.port) as client:
        slow = subscribed(made, server, name, queue=1)
        give_up = time.monotonic() + PATIENCE / 1000
        while not client.ping().pong.state["counters"].get("dropped-messages"):
            assert time.monotonic() < give_up
        numbers: list[int] = []
        while not numbers or len(numbers) == numbers[-1] - numbers[0] + 1:
            assert slow.poll(PATIENCE)
            message = on_stream(slow.recv_multipart()[1])
            assert isinstance(message, messages.Batch)
            if message.rows:
                numbers.append(message.sequence)
            assert time.monotonic() < give_up
        assert numbers == sorted(set(numbers))  # a gap that it can see


def test_requests_that_keep_coming_do_not_hold_streams_up() -> None:
    name = topics.name(Ticks("EURUSD"))
    stop = threading.Event()

    def ask(server: Server) -> None:
        with Client("127.0.0.1", server.port) as client:
            while not stop.is_set():
                with client.pipeline() as pipeline:
                    for _ in range(64):
                        pipeline.symbol_info_tick("EURUSD")

    with serving(64) as server, context() as made:
        thread = threading.Thread(target=ask, args=(server,))
        thread.start()
        try:
            reader = subscribed(made, server, name)
            for _ in range(200):
                assert reader.poll(PATIENCE)
                reader.recv_multipart()
        finally:
            stop.set()
            thread.join()


def test_a_queue_without_room_is_refused() -> None:
    with pytest.raises(SettingError, match="stream queue 0"):
        GatewayConfig(stream_queue=0).check()


class Slow(Streams):
    """Streams that take a second for each grant."""

    def __init__(self) -> None:
        super().__init__(SimulatedTerminal(SimulatedConfig()), 1, dict)
        self.now = 0.0

    def grant(self, wished: bytes, principal: Principal) -> bytes | None:
        self.now += 1.0
        return super().grant(wished, principal)


def test_requests_have_their_turn_between_slow_grants(monkeypatch: pytest.MonkeyPatch) -> None:
    streams = Slow()
    monkeypatch.setattr("mt5crs.gateway.publisher._now", lambda: streams.now)

    def bound(socket: "zmq.Socket[bytes]", _port: int) -> int:
        return int(socket.bind_to_random_port("tcp://127.0.0.1"))

    with context() as made:
        publisher = Publisher(made.socket, bound, 0, 8, defaultdict(int))
        sender = made.socket(zmq.XSUB)
        sender.connect(f"tcp://127.0.0.1:{publisher.port}")
        for number in range(3):
            sender.send(topics.wish(topics.name(Beat()), bytes([number]) * 16))
        for number in range(1, 4):
            assert publisher.socket.poll(PATIENCE)
            assert not publisher.take_wishes(streams, lambda _: ANONYMOUS).is_all
            assert streams.now == number
        assert publisher.take_wishes(streams, lambda _: ANONYMOUS) == (0, True, False, None)
        publisher.close()


def test_more_wishes_than_can_be_taken_are_a_flood_after_a_while() -> None:
    floods = Floods()
    assert not any(floods.is_behind(now, more=True) for now in (100.0, 100.0 + BEHIND))
    assert floods.is_behind(100.1 + BEHIND, more=True)
    assert not floods.is_behind(100.2 + BEHIND, more=False)
    assert not floods.is_behind(100.3 + BEHIND, more=True)


def test_thousands_of_topics_at_once_are_no_flood_and_each_key_has_its_own_share() -> None:
    floods = Floods()
    size = len(topics.wish(topics.name(Bars("EURUSD", TIMEFRAME_M1)), TOKEN * 2))
    assert not any(floods.is_one("tim", size, 100.0, refused=False) for _ in range(2 * PER_KEY))
    assert any(floods.is_one("tim", size, 100.0, refused=False) for _ in range(2 * PER_KEY))
    assert not floods.is_one("tom", size, 100.0, refused=False)
    assert not floods.is_one("tim", size, 101.0, refused=False)
    # What is refused stays in the transport: less of it, and hardly any more.
    assert any(floods.is_one("tom", WISH_LIMIT, 100.0, refused=True) for _ in range(1000))
    assert any(floods.is_one("tom", WISH_LIMIT, 101.0, refused=True) for _ in range(5))


def flood(socket: "zmq.Socket[bytes]", number: int) -> None:
    """Send so many wishes that are refused, as far as they are taken."""
    try:
        for each in range(number):
            socket.send(b"\1tick.NOPE\0" + b"x" * 400 + b"%06d" % each, zmq.NOBLOCK)
    except zmq.Again:
        pass


def test_who_floods_is_shut_out_and_the_streams_of_others_go_on() -> None:
    name = topics.name(Ticks("EURUSD"))
    with serving(64) as server, context() as made, Client("127.0.0.1", server.port) as client:
        reader, flooder = subscribed(made, server, name), subscribed(made, server)
        assert reader.poll(PATIENCE)
        begun = time.monotonic()
        while not client.ping().pong.state["counters"].get("flooding-subscribers"):
            flood(flooder, 1000)
            assert time.monotonic() < begun + PATIENCE / 1000
        flooder.close(0)
        while reader.poll(0):
            reader.recv_multipart()
        assert reader.poll(PATIENCE)  # its transport has connected and wished again by itself


def test_the_key_of_who_floods_is_kept_out_of_the_stream_port_alone(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    create_gateway(folder)
    for key in ("tim", "tom"):
        create_client(folder, key, Role.OBSERVER, tmp_path / f"{key}.key")

    def stream(made: "zmq.Context[zmq.Socket[bytes]]", key: str) -> "zmq.Socket[bytes]":
        keys, socket = ClientKeys.load(tmp_path / f"{key}.key"), made.socket(zmq.XSUB)
        socket.curve_publickey, socket.curve_secretkey = keys.public, keys.secret
        socket.curve_serverkey = keys.gateway
        socket.connect(f"tcp://127.0.0.1:{gateway.stream_port}")
        return socket

    with (
        Gateway(tmp_path, ["--keys", str(folder)]) as gateway,
        context() as made,
        gateway.client(keys=tmp_path / "tim.key") as tim,
    ):
        reader, flooder = stream(made, "tom"), stream(made, "tim")
        reader.send(topics.wish(topics.name(Beat()), TOKEN))
        assert reader.poll(PATIENCE)
        flooder.send(topics.wish(topics.name(Beat()), TOKEN[::-1]))
        assert flooder.poll(PATIENCE)
        counters: dict[str, int] = {}
        begun = time.monotonic()
        while not counters.get("flooding-subscribers") or not counters.get("refused-connections"):
            if not counters.get("flooding-subscribers"):
                flood(flooder, 1000)
            assert time.monotonic() < begun + PATIENCE / 1000
            counters = tim.ping().pong.state["counters"]  # it may ask
        while reader.poll(0):
            reader.recv_multipart()
        while flooder.poll(0):
            flooder.recv_multipart()
        for _ in range(2):
            assert reader.poll(PATIENCE)
            reader.recv_multipart()
        assert not flooder.poll(0)
    assert gateway.log.read_text().count("tim sends too many wishes") == 1

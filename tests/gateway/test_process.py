"""The gateway as a process, met by peers of every sort."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest
import zmq

from mt5crs.wire.codec import HEADER, encode, to_client
from mt5crs.wire.messages import HARD_LIMIT, SPEAKS, Ask, Hello, Ping, Pong, Refusal, Reply, Welcome
from tests.processes import Gateway

Socket = zmq.Socket[bytes]


class Peers:
    """Raw sockets of a test, closed with it."""

    def __init__(self) -> None:
        self._context: zmq.Context[Socket] = zmq.Context()
        self._open: list[Socket] = []

    def connect(self, gateway: Gateway, kind: int = zmq.DEALER, **options: int) -> Socket:
        socket = self._context.socket(kind)
        self._open.append(socket)
        socket.linger = 0
        socket.rcvtimeo = 5000
        for name, value in options.items():
            socket.setsockopt(getattr(zmq, name), value)
        socket.connect(f"tcp://127.0.0.1:{gateway.port}")
        return socket

    def close(self) -> None:
        self._context.destroy(linger=0)


@pytest.fixture
def peers() -> Iterator[Peers]:
    peers = Peers()
    yield peers
    peers.close()


def is_well(gateway: Gateway) -> bool:
    with gateway.client() as client:
        return bool(client.symbols_total())


def counters(gateway: Gateway) -> dict[str, int]:
    with gateway.client() as client:
        found: dict[str, int] = client.ping().pong.state["counters"]
        return found


# ---- REQ peers of any language ----------------------------------------------------------------------


def test_the_seeds_handshake(gateway: Gateway, peers: Peers) -> None:
    req = peers.connect(gateway, zmq.REQ)
    req.send(b"Hello")
    assert req.recv() == b"OK_FROM_MT5"
    req.send_string("Hello")
    assert req.recv_string() == "OK_FROM_MT5"


def test_a_req_peer_that_packs_its_own_bytes(gateway: Gateway, peers: Peers) -> None:
    req = peers.connect(gateway, zmq.REQ)
    req.send(HEADER + msgspec.msgpack.encode(["ask", 7, "symbol_info_tick", ["EURUSD"]]))
    frame = req.recv()
    assert frame.startswith(HEADER)
    name, id_, tick, code, text = msgspec.msgpack.decode(frame[len(HEADER) :])
    assert (name, id_, code, text) == ("reply", 7, 1, "Success")
    assert len(tick) == 8


def test_a_req_peer_gets_an_array_in_one_message(gateway: Gateway, peers: Peers) -> None:
    req = peers.connect(gateway, zmq.REQ)
    req.send(encode(Ask(1, "copy_rates_from_pos", ["EURUSD", 1, 0, 20_000])))
    head, rows = req.recv_multipart()
    assert msgspec.msgpack.decode(head[len(HEADER) :]) == ["head", 1, "rates", 20_000, 1, "Success", ""]
    assert len(rows) == 20_000 * 60


# ---- bad input --------------------------------------------------------------------------------------


@pytest.mark.parametrize("garbage", [b"garbage", b"\0" * 1000, b"MT5\x09abc", HEADER, b"x" * 100_000])
def test_garbage_is_answered_and_survived(gateway: Gateway, peers: Peers, garbage: bytes) -> None:
    dealer = peers.connect(gateway)
    dealer.send(garbage)
    assert isinstance(to_client(dealer.recv()), Refusal)
    dealer.send(encode(Ping(3)))
    assert isinstance(to_client(dealer.recv()), Pong)


@pytest.mark.parametrize("frames", [[b"a", b"b"], [b"", b"a", b"b"], [b"", b""], [encode(Ping(1)), b"tail"]])
def test_surplus_frames_are_refused_and_do_not_shift_the_next_message(
    gateway: Gateway, peers: Peers, frames: list[bytes]
) -> None:
    dealer = peers.connect(gateway)
    dealer.send_multipart(frames)
    assert isinstance(to_client(dealer.recv_multipart()[-1]), Refusal)
    dealer.send(encode(Ping(3)))
    pong = to_client(dealer.recv())
    assert isinstance(pong, Pong)
    assert pong.id == 3


def test_an_enormous_message_ends_its_connection_only(gateway: Gateway, peers: Peers) -> None:
    dealer = peers.connect(gateway)
    dealer.rcvtimeo = 300
    dealer.send(b"x" * (HARD_LIMIT + 1))
    with pytest.raises(zmq.Again):
        dealer.recv()
    assert is_well(gateway)


def test_bytes_that_are_not_zeromq(gateway: Gateway) -> None:
    import socket

    with socket.create_connection(("127.0.0.1", gateway.port)) as raw:
        raw.sendall(b"GET / HTTP/1.1\r\n\r\n" * 100)
    with socket.create_connection(("127.0.0.1", gateway.port)):
        assert is_well(gateway)  # a connection that says nothing blocks nobody


def test_a_client_that_dies_in_mid_request(gateway: Gateway) -> None:
    script = (
        "import os, sys; from mt5crs import Client; c = Client(port=int(sys.argv[1]));"
        "c.version(); link = c._take(); link.socket.rcvtimeo = 10000;"
        "from mt5crs.api import OPERATIONS as O; import time;"
        "link.session.ask(O['copy_rates_from_pos'], ['EURUSD', 1, 0, 1000000], time.monotonic(), 5.0);"
        "from mt5crs.client.link import flush; flush(link.socket, link.session);"
        "link.socket.recv(); os.kill(os.getpid(), 9)"
    )
    for _ in range(3):
        child = subprocess.run([sys.executable, "-c", script, str(gateway.port)], timeout=30, check=False)
        assert child.returncode == -signal.SIGKILL
    assert is_well(gateway)


def test_a_peer_that_never_reads_blocks_nobody(fresh_gateway: Gateway, peers: Peers) -> None:
    deaf = peers.connect(fresh_gateway, RCVHWM=1)
    for number in range(2000):
        deaf.send(encode(Ask(number + 1, "copy_rates_from_pos", ["EURUSD", 1, 0, 5000])))
    process = psutil.Process(fresh_gateway.process.pid)
    with fresh_gateway.client() as client:
        give_up = time.monotonic() + 30.0
        while not client.ping().pong.state["counters"].get("dropped-answers"):
            assert client.symbol_info_tick("EURUSD")
            assert time.monotonic() < give_up, "the deaf peer's answers pile up without end"
    assert process.memory_info().rss < 500e6


def test_a_peer_that_reads_late_loses_no_answer(fresh_gateway: Gateway, peers: Peers) -> None:
    late = peers.connect(fresh_gateway, RCVHWM=1, SNDHWM=0)
    numbers = range(1, 8001)
    for number in numbers:
        late.send(encode(Ask(number, "symbol_info", ["EURUSD"])))
    give_up = time.monotonic() + 30.0
    with fresh_gateway.client() as client:
        while client.ping().pong.state["counters"].get("read", 0) < len(numbers):
            assert time.monotonic() < give_up
        answers = [to_client(late.recv()) for _ in numbers]
        assert [answer.id for answer in answers if isinstance(answer, Reply)] == list(numbers)
        assert "dropped-answers" not in client.ping().pong.state["counters"]


def test_many_deaf_downloads_hold_no_memory(fresh_gateway: Gateway, peers: Peers) -> None:
    before = psutil.Process(fresh_gateway.process.pid).memory_info().rss
    deaf = []
    for _ in range(20):
        socket = peers.connect(fresh_gateway, RCVHWM=1)
        socket.send(encode(Ask(1, "copy_rates_from_pos", ["EURUSD", 1, 0, 200_000], credit=1_000_000)))
        deaf.append(socket)
    assert is_well(fresh_gateway)
    grown = psutil.Process(fresh_gateway.process.pid).memory_info().rss - before
    assert grown < 250e6  # 20 windows of 4 MiB, and the bars themselves


def test_credit_that_was_never_asked_for_is_ignored(gateway: Gateway, peers: Peers) -> None:
    dealer = peers.connect(gateway)
    for fields in (["credit", 1, 5], ["credit", -1, -5], ["cancel", 9], ["credit", 2**63, 2**62]):
        dealer.send(HEADER + msgspec.msgpack.encode(fields))
    dealer.send(encode(Ping(1)))
    assert isinstance(to_client(dealer.recv()), Pong)


def test_counters_say_what_was_refused(fresh_gateway: Gateway, peers: Peers) -> None:
    dealer = peers.connect(fresh_gateway)
    for bad in (b"garbage", encode(Ask(1, "nonsense", [])), b"MT5\x07", encode(Ask(1, "version", [], 1))):
        dealer.send(bad)
        dealer.recv()
    found = counters(fresh_gateway)
    assert {name: found[name] for name in ("protocol", "unknown-operation", "version", "expired")} == {
        "protocol": 1,
        "unknown-operation": 1,
        "version": 1,
        "expired": 1,
    }


def test_a_greeting_is_answered_with_where_to_stream(gateway: Gateway, peers: Peers) -> None:
    dealer = peers.connect(gateway)
    dealer.send(encode(Hello("test", "test/1", list(SPEAKS))))
    welcome = to_client(dealer.recv())
    assert isinstance(welcome, Welcome)
    assert welcome.stream_port == gateway.stream_port
    assert welcome.terminal == "simulated"
    dealer.send(encode(Ask(1, "version", [], 0, welcome.epoch)))
    assert isinstance(to_client(dealer.recv()), Reply)


# ---- the process ------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_gracefully(fresh_gateway: Gateway, number: signal.Signals) -> None:
    assert is_well(fresh_gateway)
    start = time.monotonic()
    fresh_gateway.process.send_signal(number)
    assert fresh_gateway.process.wait(10) == 0
    assert time.monotonic() - start < 5.0
    assert not fresh_gateway.ready_file.exists()
    assert "Traceback" not in fresh_gateway.log.read_text()


def test_an_address_that_is_taken_is_said(gateway: Gateway, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=f"cannot listen on 127.0.0.1 port {gateway.port}"):
        Gateway(tmp_path, port=gateway.port)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--host", "0.0.0.0"], "can be reached from other machines, and there are no keys"),
        (["--host", "gtw"], "bind a numeric address"),
        (["--terminal", "official"], "MetaTrader5 package cannot be imported"),
        (["--keys", "/nowhere"], "cannot be read"),
    ],
)
def test_what_cannot_work_is_said_at_once(tmp_path: Path, options: list[str], says: str) -> None:
    with pytest.raises(RuntimeError, match=says) as caught:
        Gateway(tmp_path, options)
    assert "Traceback" not in str(caught.value)
    assert "ended with 2" in str(caught.value) or "ended with 1" in str(caught.value)


def test_insecure_is_said_in_so_many_words_and_warned_of(tmp_path: Path) -> None:
    with Gateway(tmp_path, ["--host", "0.0.0.0", "--insecure"]) as gateway:
        assert is_well(gateway)
        assert "open without keys: anybody who reaches it can trade" in gateway.log.read_text()


def test_the_ready_file_tells_all_there_is_to_know(gateway: Gateway) -> None:
    ready: dict[str, Any] = json.loads(gateway.ready_file.read_text())
    assert ready["pid"] == gateway.process.pid
    assert ready["port"] == gateway.port > 0
    assert ready["stream_port"] == gateway.stream_port > 0
    assert ready["host"] == "127.0.0.1"

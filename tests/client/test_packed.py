"""Packed arrays between real processes, on both clients."""

import asyncio
import logging
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import zmq
import zstandard

from mt5crs import AsyncClient, Client, MetaTrader5
from mt5crs.errors import ConnectionTimeout, ProtocolError, SettingError
from mt5crs.wire.codec import encode, part_to_gateway, to_gateway
from mt5crs.wire.messages import PROTOCOL, Ask, Head, Hello, Many, Welcome
from tests.processes import Gateway

START = 1_640_995_200
BARS = 60_000
CALL: tuple[Any, ...] = ("EURUSD", 1, START, START + 60 * (BARS - 1))


@pytest.fixture(scope="module")
def plain(gateway: Gateway) -> bytes:
    """The rows as a client gets them that does not want them packed."""
    with gateway.client(timeout=30.0) as client:
        return rows(client.copy_rates_range(*CALL))


def rows(array: Any) -> bytes:
    assert len(array) == BARS
    assert not array.flags.writeable
    return bytes(array.tobytes())


class Wire:
    """A ROUTER that hands on to a gateway what comes, and counts the bytes that come back."""

    def __init__(self, port: int) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._front, self._back = self._context.socket(zmq.ROUTER), self._context.socket(zmq.DEALER)
        self._front.linger = self._back.linger = 0
        self.port = self._front.bind_to_random_port("tcp://127.0.0.1")
        self._back.connect(f"tcp://127.0.0.1:{port}")
        self._ended = threading.Event()
        self.size = 0
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        peer = b""
        poller = zmq.Poller()
        poller.register(self._front, zmq.POLLIN)
        poller.register(self._back, zmq.POLLIN)
        while not self._ended.is_set():
            for socket, _ in poller.poll(20):
                frames = socket.recv_multipart()
                if socket is self._front:
                    peer = frames[0]
                    self._back.send_multipart(frames[1:])
                else:
                    self.size += sum(map(len, frames))
                    self._front.send_multipart([peer, *frames])

    def close(self) -> None:
        self._ended.set()
        self._thread.join()
        self._context.destroy(0)


@pytest.fixture
def wire(gateway: Gateway) -> Iterator[Wire]:
    made = Wire(gateway.port)
    yield made
    made.close()


def test_packed_rows_are_the_rows_in_a_tenth_of_the_bytes(wire: Wire, plain: bytes) -> None:
    with Client("127.0.0.1", wire.port, timeout=30.0, compress="zstd") as client:
        assert rows(client.copy_rates_range(*CALL)) == plain
        assert client.symbol_info_tick("EURUSD") is not None
    assert wire.size * 10 < len(plain)


def test_asyncio_unpacks_too(wire: Wire, plain: bytes) -> None:
    async def scenario() -> None:
        async with AsyncClient("127.0.0.1", wire.port, timeout=30.0, compress="zstd") as client:
            arrays = await asyncio.gather(*(client.copy_rates_range(*CALL) for _ in range(2)))
            assert [rows(array) for array in arrays] == [plain, plain]

    asyncio.run(scenario())
    assert wire.size * 5 < len(plain)


def test_a_pipeline_unpacks_too(gateway: Gateway, plain: bytes) -> None:
    with gateway.client(timeout=30.0, compress="zstd") as client:
        with client.pipeline() as ask:
            total, array = ask.symbols_total(), ask.copy_rates_range(*CALL)
        assert total.value
        assert rows(array.value) == plain


def test_the_dropin_takes_the_setting(wire: Wire, plain: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MT5_COMPRESS", "zstd")
    monkeypatch.setenv("MT5_TIMEOUT", "30")
    assert MetaTrader5.initialize(host="127.0.0.1", port=wire.port)
    try:
        assert rows(MetaTrader5.copy_rates_range(*CALL)) == plain
    finally:
        MetaTrader5.shutdown()
    assert wire.size * 10 < len(plain)


def test_a_gateway_killed_in_mid_transfer(
    fresh_gateway: Gateway, plain: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with fresh_gateway.client(timeout=1.0, compress="zstd") as client:
        assert rows(client.copy_rates_range(*CALL)) == plain
        link = client._idle[0]
        receive: Any = link._recv
        frames: list[bytes] = []

        def kill_at_the_second_frame() -> bytes:
            frames.append(receive())
            if len(frames) == 2:
                fresh_gateway.kill()
            return frames[-1]

        monkeypatch.setattr(link, "_recv", kill_at_the_second_frame)
        long = (*CALL[:3], START + 60 * 299_999)
        with pytest.raises(ConnectionTimeout):
            client.copy_rates_range(*long)
        assert len(frames) >= 2
        fresh_gateway.start()
        with fresh_gateway.client(timeout=30.0, compress="zstd") as patient:
            assert rows(patient.copy_rates_range(*CALL)) == plain


# ---- packages that are not there ------------------------------------------------------------------------


def test_a_client_without_zstandard_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    for kind in (Client, AsyncClient):
        with pytest.raises(SettingError, match=r"needs zstandard.*\[zstd\]"):
            kind(compress="zstd")
    monkeypatch.setenv("MT5_COMPRESS", "zstd")
    with pytest.raises(SettingError, match="from the environment"):
        Client()


def test_auto_without_zstandard_is_none(
    gateway: Gateway, plain: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with gateway.client(timeout=30.0, compress="auto") as client:
        assert rows(client.copy_rates_range(*CALL)) == plain


def test_a_gateway_without_zstandard_is_told_of_once(
    tmp_path: Path, plain: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "zstandard.py").write_text("raise ImportError('not here')\n")
    path = os.pathsep.join([str(tmp_path), *(part for part in sys.path if part)])
    with Gateway(tmp_path, environment={**os.environ, "PYTHONPATH": path}) as bare:
        with bare.client(timeout=30.0, compress="zstd") as client, caplog.at_level(logging.WARNING):
            assert rows(client.copy_rates_range(*CALL)) == plain
            client.welcome()
            client.welcome()
    assert [record.message for record in caplog.records] == [
        f"127.0.0.1:{bare.port} does not pack arrays, so they come as they are: "
        "install 'mt5crs[zstd]' there, too"
    ]


# ---- an attack ------------------------------------------------------------------------------------------


class Bomber:
    """A peer that greets as a gateway does, and answers whatever is asked with a frame that explodes."""

    def __init__(self, frame: bytes) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._router = self._context.socket(zmq.ROUTER)
        self._router.linger = 0
        self.port = self._router.bind_to_random_port("tcp://127.0.0.1")
        self._frame = frame
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._ended.is_set():
            if not self._router.poll(20):
                continue
            peer, frame = self._router.recv_multipart()
            message = to_gateway(frame)
            for each in map(part_to_gateway, message.messages) if isinstance(message, Many) else [message]:
                if isinstance(each, Hello):
                    welcome = Welcome(PROTOCOL, "test", 1, 0, "simulated", 1, packs="zstd")
                    self._router.send_multipart([peer, encode(welcome)])
                elif isinstance(each, Ask):
                    head = Head(each.id, "rates", 1_000_000, 1, "", "zstd")
                    self._router.send_multipart([peer, encode(head), self._frame])

    def close(self) -> None:
        self._ended.set()
        self._thread.join()
        self._context.destroy(0)


BOMBS = {
    "zeros": b"\1" + (8738).to_bytes(4, "little") + zstandard.compress(bytes(200_000_000)),
    "promise": b"\1\x32\0\0\0\x28\xb5\x2f\xfd\xe0" + (1 << 40).to_bytes(8, "little") + b"\3\0\0",
    "longer than a chunk": b"\0" + bytes(2_000_000 // 60 * 60),
}


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_costs_the_connection_and_no_memory(name: str, asynchronous: bool) -> None:

    bomber = Bomber(BOMBS[name])

    async def explode() -> None:
        async with AsyncClient("127.0.0.1", bomber.port, timeout=10.0, compress="zstd") as client:
            with pytest.raises(ProtocolError):
                await client.copy_rates_range(*CALL)

    try:
        before = psutil.Process().memory_info().rss
        if asynchronous:
            asyncio.run(explode())
        else:
            with Client("127.0.0.1", bomber.port, timeout=10.0, compress="zstd") as client:
                with pytest.raises(ProtocolError):
                    client.copy_rates_range(*CALL)
                assert not client._idle
        assert psutil.Process().memory_info().rss - before < 40_000_000
    finally:
        bomber.close()

"""The connections of a stream: each has a token of its own, and none outlives its owner or its process."""

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import zmq

from mt5crs.client.core import Core
from mt5crs.client.streaming import socket as streaming
from mt5crs.client.streaming.socket import Subscribed, hears_beat
from mt5crs.errors import Unreachable
from mt5crs.streams import AccountUpdate
from mt5crs.topics import Beat
from mt5crs.wire import topics
from tests.adversity.proxy import Proxy
from tests.processes import Gateway
from tests.streams.test_scripted import async_subscription, subscription

PATIENCE = 30.0
BEAT = topics.name(Beat())


class Listener:
    """A publisher that notes the tokens of wishes for beats, and says nothing."""

    def __init__(self, port: int = 0) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.XPUB)
        self._socket.setsockopt(zmq.XPUB_MANUAL, 1)
        self._socket.setsockopt(zmq.XPUB_VERBOSE, 1)
        self._socket.rcvtimeo = int(PATIENCE * 1000)
        self._socket.bind(f"tcp://127.0.0.1:{port or '*'}")
        self.port = int(self._socket.getsockopt_string(zmq.LAST_ENDPOINT).rpartition(":")[2])

    def token(self) -> bytes:
        while not (wish := self._socket.recv()).startswith(topics.SUBSCRIBE + BEAT):
            pass
        return wish[1 + len(BEAT) :]

    def close(self) -> None:
        self._context.destroy(linger=0)


@pytest.fixture
def listener() -> Iterator[Listener]:
    found = Listener()
    yield found
    found.close()


def core_at(port: int) -> Core:
    return Core({"host": "127.0.0.1", "port": port, "timeout": 20.0})


@pytest.mark.parametrize("kind", ["blocking", "asyncio", "health"])
def test_a_connection_that_is_lost_is_followed_by_one_with_a_token_of_its_own(
    listener: Listener, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens: list[bytes] = []

    async def listen(port: int, done: threading.Event) -> None:
        stream = async_subscription(port, 20.0)
        waiting = asyncio.ensure_future(stream.__anext__())
        await asyncio.to_thread(done.wait, PATIENCE)
        await stream.close()
        with pytest.raises(StopAsyncIteration):
            await waiting

    def listen_blocking(port: int, done: threading.Event) -> None:
        stream = subscription(port, 20.0)

        def end() -> None:
            done.wait(PATIENCE)
            stream.close()

        ending = threading.Thread(target=end)
        ending.start()
        assert list(stream) == []
        ending.join()

    with Proxy(listener.port) as proxy:
        done = threading.Event()

        def cut() -> None:
            for _ in range(3):
                tokens.append(listener.token())
                proxy.cut_all()
            tokens.append(listener.token())
            done.set()

        thread = threading.Thread(target=cut)
        thread.start()
        if kind == "asyncio":
            asyncio.run(listen(proxy.port, done))
        elif kind == "blocking":
            listen_blocking(proxy.port, done)
        else:
            monkeypatch.setattr(streaming, "BEAT_PATIENCE", PATIENCE)
            subscribed = Subscribed(core_at(proxy.port), [BEAT], proxy.port)
            while not done.is_set():
                subscribed.hears(0.05)
            subscribed.close()
        thread.join()
    assert len({*tokens}) == 4


def test_a_port_that_is_not_open_yet_is_tried_again() -> None:
    closed = Listener()
    port = closed.port
    closed.close()
    subscribed = Subscribed(core_at(port), [BEAT], port)
    assert not subscribed.hears(0.2)
    listener = Listener(port)
    heard: list[bytes] = []
    thread = threading.Thread(target=lambda: heard.append(listener.token()))
    thread.start()
    while thread.is_alive():
        subscribed.hears(0.05)
    subscribed.close()
    listener.close()
    assert len(heard) == 1


def test_a_connection_that_brings_nothing_while_the_gateway_answers_is_given_up(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscribed = Subscribed(core_at(listener.port), [BEAT], listener.port)
    subscribed.hears(0.05)
    first = listener.token()
    old = subscribed.socket
    subscribed.move(listener.port)
    assert subscribed.socket is old  # it is young
    monkeypatch.setattr(streaming, "STALE", 0.0)
    subscribed.move(listener.port)
    assert old.closed
    subscribed.hears(0.05)
    assert listener.token() != first
    subscribed.close()


def test_a_beat_is_heard(gateway: Gateway) -> None:
    with gateway.client() as client:
        port = client.welcome().stream_port
    assert hears_beat(core_at(gateway.port), port, PATIENCE)


CYCLES = {
    "a client": "class Bot:\n"
    "    def __init__(self): self.client = Client(); self.itself = self; self.client.ping()\n"
    "Bot()",
    "a client whose order of collection is another": "client = Client(); client.ping()\n"
    "client.itself = [client, client._sockets, client._sockets._context]; del client",
    "an asyncio client": "async def run():\n"
    "    client = AsyncClient(); client.itself = client; await client.ping(); del client\n"
    "    gc.collect()\n"
    "    await asyncio.sleep(0)\n"
    "asyncio.run(run())",
    "a stream": "client = Client(); stream = client.account(); next(stream); stream.itself = stream\n"
    "del stream",
    "an error that is kept in its own frame": "def run():\n"
    "    stream = Client().account()\n"
    "    try:\n"
    "        for event in stream: raise KeyError('mine')\n"
    "    except KeyError as error: kept = error\n"
    "run()",
    "an asyncio stream": "async def run():\n"
    "    stream = AsyncClient().account(); await stream.__anext__(); stream.itself = stream; del stream\n"
    "    gc.collect()\n"
    "    await asyncio.sleep(0)\n"
    "asyncio.run(run())",
    "an asyncio stream at the end of the process": "async def run():\n"
    "    globals()['kept'] = stream = AsyncClient().account(); await stream.__anext__()\n"
    "asyncio.run(run())",
    "a callback at the end of the process": "kept = Client().account().call(print)",
}


@pytest.mark.parametrize("code", CYCLES.values(), ids=CYCLES)
def test_what_was_never_closed_hangs_neither_the_garbage_collector_nor_the_end(
    gateway: Gateway, code: str
) -> None:
    head = (
        "import asyncio, faulthandler, functools, gc\n"
        "faulthandler.dump_traceback_later(20, exit=True)\n"
        "import mt5crs\n"
        f"Client = functools.partial(mt5crs.Client, '127.0.0.1', {gateway.port})\n"
        f"AsyncClient = functools.partial(mt5crs.AsyncClient, '127.0.0.1', {gateway.port})\n"
    )
    tail = "\ngc.collect()\nimport sys; print('done', file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", head + code + tail], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "done\n")


def in_child(code: Any) -> int:
    child = os.fork()
    if child == 0:
        try:
            os._exit(code())
        finally:
            os._exit(99)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_forked_child_is_told_and_leaves_the_parents_stream_alone(gateway: Gateway) -> None:
    def use() -> int:
        try:
            next(stream)
        except Unreachable as error:
            return 0 if "forked" in error.message and error.hint else 1
        return 2

    def close() -> int:
        stream.close()
        stream._subscribed.close()
        return 0

    with gateway.client() as client, client.account() as stream:
        assert isinstance(next(stream), AccountUpdate)
        with stream._lock:  # as a thread of the parent may hold it
            assert in_child(use) == 0
            assert in_child(close) == 0
        old = stream._subscribed.socket
        stream._subscribed.hears(PATIENCE)
        assert stream._subscribed.socket is old


def test_a_forked_child_of_an_asyncio_program_leaves_its_loop_alone(gateway: Gateway) -> None:
    async def scenario() -> None:
        async with gateway.async_client() as client, client.account() as stream:
            assert isinstance(await stream.__anext__(), AccountUpdate)

            def use() -> int:
                try:
                    stream.__anext__().send(None)
                except Unreachable:
                    stream.close().close()
                    client.close_now()
                    return 0
                return 1

            assert in_child(use) == 0
            assert await client.symbols_total()
            subscribed = stream._subscribed
            assert subscribed is not None
            while stream._is_readable(subscribed):
                subscribed.socket.recv_multipart()
            await asyncio.wait_for(stream._stirred.wait(), PATIENCE)
            assert stream._is_readable(subscribed)

    asyncio.run(scenario())

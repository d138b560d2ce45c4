"""Processes that publish and read ticks: `python -m benchmarks.tickers KIND ARGUMENTS`."""

import math
import sys
import time
from collections.abc import Callable
from threading import Thread
from typing import Any

import numpy as np
import zmq

from mt5crs.cursors import START
from mt5crs.gateway.config import GatewayConfig
from mt5crs.gateway.server import Server
from mt5crs.model import TICKS, TicksArray
from mt5crs.terminal.port import News, NewTicks
from mt5crs.terminal.simulated import SimulatedConfig, SimulatedTerminal
from mt5crs.terminal.simulated.prices.market import Playback
from mt5crs.topics import AnyTopic, Ticks
from mt5crs.wire import topics
from mt5crs.wire.codec import on_stream
from mt5crs.wire.messages import Batch

SYMBOL = "EURUSD"
NAME = topics.name(Ticks(SYMBOL))
OPENING = 1_700_006_400
TOKEN_SIZE = 16
BLOCK = 65_536
"""Ticks that are handed out again and again where there are to be many."""
TURN = 0.001
"""Seconds from one turn of the flood to the next: as often as the simulated terminal wants one at most."""
STEADY = 30
"""Seconds of ticks at a steady rate."""


def even_ticks(count: int, per_second: int) -> TicksArray:
    """Return evenly spaced ticks."""
    ticks = np.zeros(count, TICKS.dtype)
    ticks["time_msc"] = OPENING * 1000 + np.arange(count) * 1000 // per_second
    ticks["time"], ticks["flags"] = ticks["time_msc"] // 1000, 6
    ticks["bid"] = 1.1 + (np.arange(count) % 97) / 100_000
    ticks["ask"] = ticks["bid"] + 0.0001
    return ticks


class Flood(SimulatedTerminal):
    """The simulated terminal with as many ticks a second as are wanted, whatever they are.

    Args:
        per_second: How many.
    """

    def __init__(self, per_second: int) -> None:
        super().__init__()
        self._per_second = per_second
        self._block = even_ticks(BLOCK, 10_000)
        self._given, self._begun, self._cursor = 0, 0.0, START

    def follow(self, topic: AnyTopic) -> bool:
        """See `TerminalPort.follow`."""
        self._begun = time.monotonic()
        return True

    def take_news(self) -> list[News]:
        """See `TerminalPort.take_news`."""
        if not self._begun:
            return []
        owed = int((time.monotonic() - self._begun) * self._per_second) - self._given
        place = self._given % BLOCK
        ticks = self._block[place : place + owed]
        start, self._cursor = self._cursor, self._cursor.after(ticks)
        self._given += len(ticks)
        return [NewTicks(Ticks(SYMBOL), start, ticks)]

    def advance(self) -> float:
        """See `TerminalPort.advance`."""
        return min(super().advance(), TURN)


def _serve(terminal: SimulatedTerminal) -> None:
    server = Server(GatewayConfig(port=0, stream_port=0), terminal)
    print(server.stream_port, flush=True)
    server.run()


def flood(per_second: int) -> None:
    """Serve a gateway of a terminal that floods it with ticks."""
    _serve(Flood(per_second))


def steady(per_second: int) -> None:
    """Serve a gateway of the simulated terminal, which plays ticks at a steady rate."""
    playback = Playback({SYMBOL: even_ticks(STEADY * per_second, per_second)}, 1_000)
    _serve(SimulatedTerminal(SimulatedConfig(), playback=playback))


def _single(subscribers: int, pause: Callable[[int], None]) -> None:
    import msgspec

    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    socket = context.socket(zmq.XPUB)
    socket.setsockopt(zmq.XPUB_VERBOSE, 1)
    socket.setsockopt(zmq.XPUB_NODROP, 1)  # a send waits for the slowest: nothing is lost
    print(socket.bind_to_random_port("tcp://127.0.0.1"), flush=True)
    for _ in range(subscribers):
        socket.recv()
    encode, send, more = msgspec.msgpack.Encoder().encode, socket.send, zmq.SNDMORE
    rows: list[Any] = even_ticks(BLOCK, 10_000).tolist()
    number = 0
    while True:
        pause(number)
        send(NAME, more)
        send(encode(rows[number % BLOCK]))
        number += 1


def single_flood(subscribers: int) -> None:
    """Publish one message per tick, as fast as it goes."""
    _single(subscribers, lambda _: None)


def single_steady(per_second: int) -> None:
    """Publish one message per tick to one subscriber, each when its tick comes."""
    begun = time.monotonic()

    def until_due(number: int) -> None:
        nonlocal begun
        if not number:
            begun = time.monotonic()
        while (wait := begun + number / per_second - time.monotonic()) > 0:
            time.sleep(wait)

    _single(1, until_due)


def _received(port: int, kind: int, wish: bytes, take: Callable[[Any], int]) -> int:
    """Say that messages come, be told between which two times to count, and return how many ticks came."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    socket = context.socket(kind)
    socket.connect(f"tcp://127.0.0.1:{port}")
    socket.send(wish)
    receive, count, span = socket.recv_multipart, 0, [math.inf, math.inf]

    def be_told() -> None:
        span[:] = map(float, sys.stdin.readline().split())

    receive()
    print("ready", flush=True)
    Thread(target=be_told, daemon=True).start()
    while (now := time.monotonic()) < span[1]:
        taken = take(receive())
        if now >= span[0]:
            count += taken
    context.destroy(linger=0)
    return count


def read(port: int) -> None:
    """Read batches; print the ticks, and each batch's milliseconds from its publication to its receipt."""
    took: list[float] = []

    def take(frames: list[bytes]) -> int:
        came = time.monotonic() * 1000
        message = on_stream(frames[1])
        if not isinstance(message, Batch) or not message.rows:
            return 0
        took.append(came - message.clock)
        return len(np.frombuffer(frames[2], TICKS.dtype))

    wish = topics.wish(NAME, np.random.default_rng().bytes(TOKEN_SIZE))
    print(_received(port, zmq.XSUB, wish, take), *(f"{each:.3f}" for each in took))


def read_singles(port: int) -> None:
    """Read one message per tick; print how many."""
    import msgspec

    decode = msgspec.msgpack.Decoder().decode

    def take(frames: list[bytes]) -> int:
        decode(frames[1])
        return 1

    print(_received(port, zmq.XSUB, topics.SUBSCRIBE + NAME, take))


KINDS: dict[str, Callable[..., None]] = {
    each.__name__: each for each in (flood, steady, single_flood, single_steady, read, read_singles)
}


if __name__ == "__main__":
    KINDS[sys.argv[1]](*map(int, sys.argv[2:]))

"""Many requests under way: 64 `symbol_info_tick` asked at once on one connection, on one core."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from time import monotonic, perf_counter

import zmq

from benchmarks.measure import Case, Effort, Figure, Rounds, join, ratio, take_turns, timed
from benchmarks.processes import gateway, one_core, peer
from benchmarks.request import REPLY_SIZE, REQUEST_SIZE, SYMBOL, asyncio_client, bare
from mt5crs import AsyncClient
from mt5crs.api import OPERATIONS
from mt5crs.client.core import Core
from mt5crs.client.link import connect, flush
from mt5crs.wire.request import Done
from mt5crs.wire.session import Session

IN_FLIGHT = 64
FLOOR = f"bare pyzmq, {IN_FLIGHT} in flight"
PATIENCE = 5.0


def bare_burst(socket: "zmq.Socket[bytes]") -> Case:
    """Return the floor: frames out, then as many frames in."""
    send, receive, request = socket.send, socket.recv, bytes(REQUEST_SIZE)

    def once() -> None:
        for _ in range(IN_FLIGHT):
            send(request)
        for _ in range(IN_FLIGHT):
            receive()

    return lambda calls: timed(once, calls // IN_FLIGHT or 1)


def session_burst(socket: "zmq.Socket[bytes]", session: Session) -> Case:
    """Return the case of the protocol's core on a socket: bound arguments in, typed results out."""
    op = OPERATIONS["symbol_info_tick"]

    def once() -> None:
        for _ in range(IN_FLIGHT):
            session.ask(op, op.signature.bind(op.name, (SYMBOL,), {}), monotonic(), PATIENCE)
        flush(socket, session)
        answers = 0
        while answers < IN_FLIGHT:
            event = session.receive(socket.recv(), monotonic())
            if session.outbox:
                flush(socket, session)
            answers += type(event) is Done and event.failure is None

    return lambda calls: timed(once, calls // IN_FLIGHT or 1)


def gathered(loop: asyncio.AbstractEventLoop, client: AsyncClient) -> Case:
    """Return the case of `asyncio.gather` over an asyncio client."""

    async def all_calls(bursts: int) -> list[float]:
        took = []
        for _ in range(bursts):
            start = perf_counter()
            await asyncio.gather(*[client.symbol_info_tick(SYMBOL) for _ in range(IN_FLIGHT)])
            took.append(perf_counter() - start)
        return took

    return lambda calls: loop.run_until_complete(all_calls(calls // IN_FLIGHT or 1))


@contextmanager
def _session(port: int) -> "Iterator[tuple[zmq.Socket[bytes], Session]]":
    core = Core({"host": "127.0.0.1", "port": port})
    with zmq.Context() as context, connect(context, zmq.DEALER, core.settings, port) as socket:
        socket.rcvtimeo = int(PATIENCE * 1000)
        yield socket, core.session()


@contextmanager
def _cases() -> Iterator[dict[str, Case]]:
    with ExitStack() as stack:
        enter = stack.enter_context
        serving = enter(gateway())
        yield {
            "floor": bare_burst(enter(bare(enter(peer("pong", str(REPLY_SIZE))).port))),
            "session": session_burst(*enter(_session(serving.port))),
            "gather": gathered(*enter(asyncio_client(serving.port))),
        }


def _launch(effort: Effort) -> Rounds:
    calls = max(effort.calls, 5 * IN_FLIGHT)
    with one_core(), _cases() as cases:
        take_turns(cases, 1, calls)
        return take_turns(cases, effort.rounds, calls)[0]


def figures(effort: Effort) -> list[Figure]:
    """Measure requests in bursts."""
    rounds = join(_launch(effort) for _ in range(effort.launches))
    return [
        ratio(f"{IN_FLIGHT} in flight", FLOOR, rounds["session"], rounds["floor"], target=1.6),
        ratio(f"{IN_FLIGHT} in flight by asyncio.gather", FLOOR, rounds["gather"], rounds["floor"]),
    ]

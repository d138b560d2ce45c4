"""Many requests under way: 64 `symbol_info_tick` at once on one connection and one core."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from time import perf_counter

import zmq

from benchmarks.measure import Case, Effort, Figure, Rounds, join, ratio, take_turns, timed
from benchmarks.processes import gateway, one_core, peer
from benchmarks.request import REPLY_SIZE, REQUEST_SIZE, SYMBOL, asyncio_client, bare
from mt5crs import AsyncClient, Client

IN_FLIGHT = 64
FLOOR = f"bare pyzmq, {IN_FLIGHT} in flight"


def bare_burst(socket: "zmq.Socket[bytes]") -> Case:
    """Return the floor: frames out, then as many frames in."""
    send, receive, request = socket.send, socket.recv, bytes(REQUEST_SIZE)

    def once() -> None:
        for _ in range(IN_FLIGHT):
            send(request)
        for _ in range(IN_FLIGHT):
            receive()

    return lambda calls: timed(once, calls // IN_FLIGHT or 1)


def pipelined(client: Client) -> Case:
    """Return the case of a blocking client's pipeline, its typed results included."""

    def once() -> None:
        with client.pipeline() as ask:
            ticks = [ask.symbol_info_tick(SYMBOL) for _ in range(IN_FLIGHT)]
        for tick in ticks:
            _ = tick.value

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
def _cases() -> Iterator[dict[str, Case]]:
    with ExitStack() as stack:
        enter = stack.enter_context
        serving = enter(gateway())
        yield {
            "floor": bare_burst(enter(bare(enter(peer("pong", str(REPLY_SIZE))).port))),
            "pipeline": pipelined(enter(Client("127.0.0.1", serving.port))),
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
        ratio(f"{IN_FLIGHT} in flight", FLOOR, rounds["pipeline"], rounds["floor"], target=1.6),
        ratio(f"{IN_FLIGHT} in flight by asyncio.gather", FLOOR, rounds["gather"], rounds["floor"]),
    ]

"""One request after the other: `symbol_info_tick`, everything on one core."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

import zmq

from benchmarks import mt5linux
from benchmarks.measure import Case, Effort, Figure, Rounds, join, ratio, summary, take_turns, timed
from benchmarks.processes import gateway, one_core, peer
from mt5crs import AsyncClient, Client
from mt5crs.security.keys import create_client, create_gateway
from mt5crs.security.policy import Role

SYMBOL = "EURUSD"
REQUEST_SIZE, REPLY_SIZE = 55, 80
"""Bytes of the frames that `symbol_info_tick` sends and gets."""
FLOOR = "bare pyzmq ping-pong"


@contextmanager
def bare(port: int) -> "Iterator[zmq.Socket[bytes]]":
    """Connect a DEALER, with nothing set that it could do without."""
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.linger = 0
        socket.connect(f"tcp://127.0.0.1:{port}")
        yield socket


def ping_pong(socket: "zmq.Socket[bytes]") -> Case:
    """Return the floor: one frame out, one frame in."""
    send, receive, request = socket.send, socket.recv, bytes(REQUEST_SIZE)

    def once() -> None:
        send(request)
        receive()

    return lambda calls: timed(once, calls)


def blocking(client: Client) -> Case:
    """Return the case of a blocking client, its typed result included."""
    return lambda calls: timed(lambda: client.symbol_info_tick(SYMBOL), calls)


def awaited(runner: asyncio.AbstractEventLoop, client: AsyncClient) -> Case:
    """Return the case of an asyncio client that awaits each answer before it asks again."""

    async def all_calls(calls: int) -> list[float]:
        took = []
        for _ in range(calls):
            start = perf_counter()
            await client.symbol_info_tick(SYMBOL)
            took.append(perf_counter() - start)
        return took

    return lambda calls: runner.run_until_complete(all_calls(calls))


@contextmanager
def key_files() -> Iterator[tuple[Path, Path]]:
    """Make keys for a gateway and one client."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        create_gateway(folder / "gateway")
        create_client(folder / "gateway", "bench", Role.TRADER, folder / "client.json")
        yield folder / "gateway", folder / "client.json"


@contextmanager
def asyncio_client(port: int) -> Iterator[tuple[asyncio.AbstractEventLoop, AsyncClient]]:
    """Connect an asyncio client and give the loop that it belongs to."""
    with closing(asyncio.new_event_loop()) as loop:
        client = AsyncClient("127.0.0.1", port)
        try:
            yield loop, client
        finally:
            loop.run_until_complete(client.close())


@contextmanager
def _cases() -> Iterator[dict[str, Case]]:
    with ExitStack() as stack:
        enter = stack.enter_context
        keys, key_file = enter(key_files())
        plain, curve, far = enter(gateway()), enter(gateway(keys)), enter(peer("rpyc"))
        floor = enter(bare(enter(peer("pong", str(REPLY_SIZE))).port))
        loop, client = enter(asyncio_client(plain.port))
        path = enter(closing(mt5linux.Path(far.port)))
        yield {
            "floor": ping_pong(floor),
            "plain": blocking(enter(Client("127.0.0.1", plain.port))),
            "curve": blocking(enter(Client("127.0.0.1", curve.port, keys=key_file))),
            "asyncio": awaited(loop, client),
            # It takes so much longer that fewer calls give it the same share of the time.
            "mt5linux": lambda calls: timed(lambda: path.call("symbol_info_tick", SYMBOL), calls // 8 or 1),
        }


def _launch(effort: Effort) -> tuple[Rounds, float]:
    with one_core(), _cases() as cases:
        take_turns(cases, 1, effort.calls)  # connections made, caches warm
        rounds, singles = take_turns(cases, effort.rounds, effort.calls)
    ordered = sorted(singles["plain"])
    return rounds, ordered[int(len(ordered) * 0.99)] / median(ordered)


def figures(effort: Effort) -> list[Figure]:
    """Measure single requests."""
    launches = [_launch(effort) for _ in range(effort.launches)]
    rounds = join(part for part, _ in launches)
    floor = rounds["floor"]
    return [
        ratio("request", FLOOR, rounds["plain"], floor, target=1.4),
        ratio("request with CURVE", f"{FLOOR}, no CURVE", rounds["curve"], floor, target=1.6),
        ratio(
            "what CURVE costs a request", "the plain request", rounds["curve"], rounds["plain"], target=1.15
        ),
        summary("request, 99th percentile", "its own median", [tail for _, tail in launches], target=4.0),
        ratio("request by asyncio", FLOOR, rounds["asyncio"], floor, target=2.6),
        ratio(
            "mt5linux's request",
            "our request",
            rounds["mt5linux"],
            rounds["plain"],
            target=12.0,
            at_most=False,
        ),
    ]

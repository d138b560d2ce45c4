"""A long array: 1,000,000 M1 bars of 60 bytes each by one `copy_rates_range`."""

import socket as tcp
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

import numpy

from benchmarks import mt5linux
from benchmarks.measure import Case, Effort, Figure, ratio, summary, take_turns, timed
from benchmarks.processes import Peer, forget_peak, gateway, peer, run, status
from mt5crs import Client
from mt5crs.constants import TIMEFRAME_M1
from mt5crs.model import RATES

SYMBOL = "EURUSD"
START = 1_640_995_200  # two years of minutes from here on are history, and the simulated market never closes

# Peak memory beyond what the process had before: the array itself and whatever the way there needs.
CLIENT_MEMORY = """
import sys
from pathlib import Path
from mt5crs import Client
def memory(name):
    line, = (l for l in Path("/proc/self/status").read_text().splitlines() if l.startswith(name))
    return int(line.split()[1]) * 1024
with Client("127.0.0.1", int(sys.argv[1]), timeout=60) as client:
    client.copy_rates_from_pos(sys.argv[2], 1, 0, 1000)
    before = memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    bars = client.copy_rates_range(sys.argv[2], 1, int(sys.argv[3]), int(sys.argv[4]))
    print(memory("VmHWM") - before, bars.nbytes)
"""


def _end_of(bars: int) -> int:
    return START + (bars - 1) * 60


def raw_tcp(port: int, bars: int) -> Iterator[Case]:
    """Give the floor: a plain socket that fills a fresh array."""
    with tcp.create_connection(("127.0.0.1", port)) as connection:

        def once() -> None:
            rows = numpy.empty(bars, RATES.dtype)
            view = rows.view(numpy.uint8).data
            connection.send(b"\0")
            filled = 0
            while filled < len(view):
                filled += connection.recv_into(view[filled:])

        yield lambda times: timed(once, times)


def ours(client: Client, bars: int) -> Case:
    """Return the case of the blocking client."""

    def once() -> None:
        rows = client.copy_rates_range(SYMBOL, TIMEFRAME_M1, START, _end_of(bars))
        if rows is None or len(rows) != bars:
            raise RuntimeError(f"{client.last_error()} instead of {bars} bars")

    return lambda times: timed(once, times)


@contextmanager
def _cases(serving: Peer, bars: int) -> Iterator[dict[str, Case]]:
    with ExitStack() as stack:
        enter = stack.enter_context
        path = enter(closing(mt5linux.Path(enter(peer("rpyc")).port)))
        client = enter(Client("127.0.0.1", serving.port, timeout=60))
        pouring = enter(peer("pour", str(bars * RATES.itemsize)))
        floor = enter(contextmanager(raw_tcp)(pouring.port, bars))
        args = SYMBOL, TIMEFRAME_M1, START, _end_of(bars)
        yield {
            "floor": floor,
            "ours": ours(client, bars),
            "mt5linux": lambda times: timed(lambda: path.call("copy_rates_range", *args), times),
        }


def _memory(serving: Peer, bars: int) -> list[Figure]:
    """Return how far memory grows on both sides while the array travels, in arrays."""
    before = status(serving.pid, "VmRSS")
    forget_peak(serving.pid)
    client, size = run(CLIENT_MEMORY, str(serving.port), SYMBOL, str(START), str(_end_of(bars)))
    sending = status(serving.pid, "VmHWM") - before
    return [
        summary(
            f"bulk, {whose} peak memory",
            "the array",
            [grown / size],
            target=target,
            raw={"grown_bytes": grown, "array_bytes": size},
        )
        for whose, grown, target in (("client's", client, 1.25), ("gateway's", sending, 0.25))
    ]


def figures(effort: Effort) -> list[Figure]:
    """Measure long arrays; throughput is the inverse of time, since all send the same bytes."""
    with gateway() as serving:
        with _cases(serving, effort.bars) as cases:
            take_turns(cases, 1, 1)  # the terminal makes its bars once
            rounds, _ = take_turns(cases, effort.transfers, 1)
        memory = _memory(serving, effort.bars)
    return [
        ratio(
            "bulk throughput",
            "raw TCP, recv_into",
            rounds["floor"],
            rounds["ours"],
            target=0.55,
            at_most=False,
        ),
        ratio("bulk throughput", "mt5linux", rounds["mt5linux"], rounds["ours"], target=8.0, at_most=False),
        *memory,
    ]

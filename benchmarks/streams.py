"""Ticks from the gateway's process to the arrays of its subscribers, against one message per tick.

The floor publishes each tick as a msgpack message of its own over XPUB, and its subscribers decode it. Ours
is the real `Server` in its own process, and subscribers that decode batches and have arrays of their rows.

- Many ticks: the gateway's terminal hands out as many as are offered (`tickers.Flood`), the floor sends as
  fast as its slowest subscriber takes them; counted is what has come to all subscribers together.
- Ticks at a steady rate: the gateway's terminal is the simulated one, which plays evenly spaced ticks, and
  what it costs to take them from it counts; the floor sends each tick when it is due. The latency is from the
  time on the batch, whole milliseconds of the machine's monotonic clock, rounded down, to its receipt.

Every measurement has new processes, which take turns; nothing is pinned to a core.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from statistics import median
from typing import NamedTuple

import psutil

from benchmarks.measure import Effort, Figure, summary
from benchmarks.processes import Peer, started

STEADY = 10_000
"""Ticks per second at the steady rate."""
OFFERED = {1: 6_000_000, 4: 3_000_000}
"""Ticks per second that the gateway's terminal has, by the number of subscribers."""
LEAD = 0.3
"""Seconds from the first messages of all subscribers to what is counted."""
FLOOR = "one msgpack message per tick"


class Run(NamedTuple):
    """What came of one measurement.

    Attributes:
        rate: Ticks per second, of all subscribers.
        cpu: Seconds of processor time that the publisher needed for each second.
        took: Milliseconds from publication to receipt, of each batch.
    """

    rate: float
    cpu: float
    took: list[float]


@contextmanager
def _publisher(kind: str, argument: int) -> Iterator[Peer]:
    with started("-m", "benchmarks.tickers", kind, str(argument)) as process:
        assert process.stdout is not None
        yield Peer(process.pid, int(process.stdout.readline()))


def _cpu(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def _run(kind: str, argument: int, reader: str, subscribers: int, seconds: float) -> Run:
    with ExitStack() as stack:
        peer = stack.enter_context(_publisher(kind, argument))
        command = "-m", "benchmarks.tickers", reader, str(peer.port)
        readers = [stack.enter_context(started(*command)) for _ in range(subscribers)]
        for each in readers:
            assert each.stdout is not None
            each.stdout.readline()  # it has what it wants to be measured with
        begin = time.monotonic() + LEAD
        for each in readers:
            assert each.stdin is not None
            print(begin, begin + seconds, file=each.stdin, flush=True)
        time.sleep(max(0.0, begin - time.monotonic()))
        before, at = _cpu(peer.pid), time.monotonic()
        time.sleep(max(0.0, begin + seconds - time.monotonic()))
        cpu = (_cpu(peer.pid) - before) / (time.monotonic() - at)
        told = [[float(word) for word in each.communicate()[0].split()] for each in readers]
    rate = sum(words[0] for words in told) / seconds
    return Run(rate, cpu, [each for words in told for each in words[1:]])


def _many(subscribers: int, effort: Effort) -> Figure:
    ours, floor = [], []
    for _ in range(effort.launches):
        ours.append(_run("flood", OFFERED[subscribers], "read", subscribers, effort.streams).rate)
        floor.append(_run("single_flood", subscribers, "read_singles", subscribers, effort.streams).rate)
    return summary(
        f"ticks to {subscribers} subscriber{'s' * (subscribers > 1)}",
        FLOOR,
        [a / b for a, b in zip(ours, floor, strict=True)],
        target=8.0,
        at_most=False,
        raw={"ours_per_second": median(ours), "floor_per_second": median(floor)},
    )


def _steady(effort: Effort) -> list[Figure]:
    tails, shares, ours, floor = [], [], [], []
    for _ in range(effort.launches):
        run = _run("steady", STEADY, "read", 1, effort.streams)
        bare = _run("single_steady", STEADY, "read_singles", 1, effort.streams)
        tails.append(sorted(run.took)[int(len(run.took) * 0.99)])
        # Where the machine is busy not all of a second's ticks go out in it: what one costs is compared.
        ours.append(run.cpu / run.rate)
        floor.append(bare.cpu / bare.rate)
        shares.append(ours[-1] / floor[-1])
    cost = {"ours_cpu_seconds_per_tick": median(ours), "floor_cpu_seconds_per_tick": median(floor)}
    return [
        summary(
            "ticks at 10,000 a second, 99th percentile", "their publication", tails, unit="ms", target=2.5
        ),
        summary("the publisher's processor time for them", FLOOR, shares, target=0.6, raw=cost),
    ]


def figures(effort: Effort) -> list[Figure]:
    """Measure streams."""
    return [*(_many(subscribers, effort) for subscribers in OFFERED), *_steady(effort)]

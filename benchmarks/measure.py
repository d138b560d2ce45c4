"""Rounds that take turns, and the figures that are made of them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median, quantiles
from time import perf_counter
from typing import NamedTuple

Case = Callable[[int], Sequence[float]]
"""Does something so many times; returns the seconds that each time took."""
Rounds = dict[str, list[float]]
"""For each case the median of every round, in seconds."""


class Effort(NamedTuple):
    """How much is measured.

    Attributes:
        launches: How often the processes are started.
        rounds: Turns of each case in one launch.
        calls: Requests in one turn.
        transfers: Turns of each bulk transfer.
        starts: Processes whose memory and imports are looked at.
        idle: Seconds for which an idle process is watched.
        bars: Bars of one bulk transfer.
        streams: Seconds for which ticks are streamed in one turn.
    """

    launches: int
    rounds: int
    calls: int
    transfers: int
    starts: int
    idle: float
    bars: int
    streams: float


FULL = Effort(launches=5, rounds=20, calls=300, transfers=9, starts=9, idle=5.0, bars=1_000_000, streams=2.0)
QUICK = Effort(launches=1, rounds=2, calls=64, transfers=1, starts=1, idle=0.5, bars=50_000, streams=0.5)


@dataclass(frozen=True)
class Figure:
    """One line of the table.

    Attributes:
        name: What was measured.
        against: What it was measured against.
        value: The figure.
        unit: `x` for a ratio.
        target: What the value has to keep to; None where it is told for comparison.
        at_most: Whether less is better.
        low: Lower quartile of the rounds' own figures.
        high: Upper quartile.
        raw: The medians behind it, by what they are.
    """

    name: str
    against: str
    value: float
    unit: str
    target: float | None
    at_most: bool
    low: float
    high: float
    raw: Mapping[str, float] = field(default_factory=dict)

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without one."""
        share = self.share
        return None if share is None else share <= 1.0

    @property
    def share(self) -> float | None:
        """How much of what the target allows is used: up to 1 is met, whichever way is better."""
        if self.target is None:
            return None
        if self.at_most:
            return self.value / self.target
        return self.target / self.value if self.value else float("inf")


def timed(act: Callable[[], object], times: int) -> list[float]:
    """Return how long each of so many calls took, in seconds."""
    took = []
    for _ in range(times):
        start = perf_counter()
        act()
        took.append(perf_counter() - start)
    return took


def take_turns(cases: Mapping[str, Case], rounds: int, calls: int) -> tuple[Rounds, Rounds]:
    """Run all cases in turn, in alternating order.

    Returns:
        The medians of the rounds, and every single time.
    """
    medians: Rounds = {name: [] for name in cases}
    singles: Rounds = {name: [] for name in cases}
    for number in range(rounds):
        for name in sorted(cases, reverse=bool(number % 2)):
            took = cases[name](calls)
            medians[name].append(median(took))
            singles[name].extend(took)
    return medians, singles


def join(parts: Iterable[Rounds]) -> Rounds:
    """Return the rounds of several launches as one."""
    joined: Rounds = {}
    for part in parts:
        for name, values in part.items():
            joined.setdefault(name, []).extend(values)
    return joined


def quartiles(values: Sequence[float]) -> tuple[float, float]:
    """Return the lower and the upper quartile."""
    if len(values) < 2:
        return values[0], values[0]
    low, _, high = quantiles(values, n=4, method="inclusive")
    return low, high


def summary(
    name: str,
    against: str,
    values: Sequence[float],
    *,
    unit: str = "x",
    target: float | None = None,
    at_most: bool = True,
    raw: Mapping[str, float] | None = None,
) -> Figure:
    """Return the figure of some values: their median, and how they spread."""
    return Figure(name, against, median(values), unit, target, at_most, *quartiles(values), raw or {})


def ratio(
    name: str,
    against: str,
    over: Sequence[float],
    under: Sequence[float],
    *,
    target: float | None = None,
    at_most: bool = True,
) -> Figure:
    """Return the figure of two cases that took turns: the median of the rounds' ratios."""
    ratios = [a / b for a, b in zip(over, under, strict=True)]
    raw = {"over_seconds": median(over), "under_seconds": median(under)}
    return summary(name, against, ratios, target=target, at_most=at_most, raw=raw)

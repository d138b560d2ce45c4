"""How a pull goes on, on the error stream: bars where that is a terminal, else a line now and then."""

import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING

from mt5crs.cli.report import note, printable

if TYPE_CHECKING:
    from mt5crs.archive.layout import Series
    from mt5crs.archive.pull import Pulled, Watcher

EVERY = 5.0
"""Seconds between two lines."""


class Gauge:
    """How far the series are that are pulled.

    Args:
        series: How many there are.
        clock: Seconds.
    """

    def __init__(self, series: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._series = series
        self._clock = clock
        self._start = clock()
        self._spans: dict[Series, tuple[int, int]] = {}
        self._at: dict[Series, int] = {}
        self._done = 0
        self.rows = 0

    def begun(self, series: "Series", begin: int, end: int) -> None:
        """Take a series in."""
        self._spans[series] = (begin, max(end, begin + 1))

    def got(self, series: "Series", rows: int, until: int) -> None:
        """Take in that so many rows came, up to a server time."""
        self.rows += rows
        self._at[series] = until

    def done(self, series: "Series") -> None:
        """Take in that a series has come to its end."""
        self._done += 1
        self._spans.pop(series, None)

    @property
    def share(self) -> float:
        """How much of all is done, by the server time that is behind each series."""
        under_way = sum(
            min(max(self._at.get(series, begin) - begin, 0) / (end - begin), 1.0)
            for series, (begin, end) in self._spans.items()
        )
        return min((self._done + under_way) / max(self._series, 1), 1.0)

    def __str__(self) -> str:
        took = max(self._clock() - self._start, 1e-9)
        share = self.share
        left = f", {_duration(took * (1 - share) / share)} left" if 0 < share < 1 else ""
        return f"{self.rows:,} rows, {self.rows / took:,.0f} rows/s, {share:.0%}{left}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class _Telling:
    """Hands what threads tell on to a gauge, and shows it."""

    def __init__(self, series: int, show: "Callable[[Gauge], None]") -> None:
        self.gauge = Gauge(series)
        self._lock = Lock()
        self._show = show

    def begun(self, series: "Series", begin: int, end: int) -> None:
        with self._lock:
            self.gauge.begun(series, begin, end)

    def got(self, series: "Series", rows: int, until: int) -> None:
        with self._lock:
            self.gauge.got(series, rows, until)
            self._show(self.gauge)

    def done(self, pulled: "Pulled") -> None:
        with self._lock:
            self.gauge.done(pulled.series)
            self._show(self.gauge)


@contextmanager
def watching(series: int) -> "Generator[Watcher, None, None]":
    """Show how a pull of so many series goes on while the block lasts."""
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        columns = (BarColumn(), TextColumn("{task.description}", markup=False))
        with Progress(*columns, console=Console(file=sys.stderr), transient=True) as progress:
            task = progress.add_task("", total=1.0)

            def show(gauge: Gauge) -> None:
                progress.update(task, completed=gauge.share, description=printable(str(gauge)))

            yield _Telling(series, show)
        return
    last = time.monotonic()

    def tell(gauge: Gauge) -> None:
        nonlocal last
        if time.monotonic() - last >= EVERY:
            last = time.monotonic()
            note(str(gauge))

    yield _Telling(series, tell)

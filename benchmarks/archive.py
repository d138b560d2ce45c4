"""An archive: 1,000,000 M1 bars by `archive pull` into Parquet, against pyarrow that writes them as one file.

The gateway replays recorded bars at a standstill. The floor, `write_table(table, path, compression="zstd")`,
has the rows in memory as an Arrow table, asks nobody, splits nothing, sums nothing up and does not wait for
the disk.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.measure import Case, Effort, Figure, ratio, take_turns, timed
from benchmarks.processes import gateway
from mt5crs import Client
from mt5crs.archive.layout import Series
from mt5crs.archive.pull import pull
from mt5crs.archive.rows import to_table
from mt5crs.model import RATES

SYMBOL = "EURUSD"
START = 1_640_995_200
SERIES = Series(SYMBOL, "M1")


def recorded(bars: int) -> Any:
    """Return bars that look like those of a market: a walk of prices, volumes, spreads."""
    chance = np.random.default_rng(1)
    rows = np.zeros(bars, RATES.dtype)
    rows["time"] = START + 60 * np.arange(bars)
    walk = 1.1 + np.cumsum(chance.normal(0, 2e-5, bars))
    rows["open"] = np.round(walk, 5)
    rows["close"] = np.round(walk + chance.normal(0, 5e-5, bars), 5)
    rows["high"] = np.round(np.maximum(rows["open"], rows["close"]) + 3e-5, 5)
    rows["low"] = np.round(np.minimum(rows["open"], rows["close"]) - 3e-5, 5)
    rows["tick_volume"] = chance.integers(4, 200, bars)
    rows["spread"] = chance.integers(0, 8, bars)
    return rows


def alone(folder: Path, bars: Any) -> Case:
    """Give the floor: the same table in one file, as pyarrow writes it by itself."""
    import pyarrow.parquet as pq

    table = to_table(bars, SERIES)
    path = folder / "alone.parquet"

    def once() -> None:
        pq.write_table(table, path, compression="zstd")

    return lambda times: timed(once, times)


def pulled(folder: Path, client: Client, bars: int) -> Case:
    """Return the case of a pull into a new archive."""
    number = count()

    def once() -> None:
        root = folder / f"archive-{next(number)}"
        (done,) = pull(client, root, [SERIES], START)
        if done.failure is not None or done.rows != bars - 1:
            raise RuntimeError(f"{done} instead of {bars - 1} bars")

    return lambda times: timed(once, times)


@contextmanager
def _cases(bars: int) -> Iterator[dict[str, Case]]:
    import pyarrow.parquet as pq

    with TemporaryDirectory() as name:
        folder = Path(name)
        rows = recorded(bars)
        replay = folder / f"{SYMBOL}.parquet"
        pq.write_table(to_table(rows, SERIES), replay)
        stop = START + 60 * (bars - 1) + 30
        still = ("--replay", str(replay), "--set", f"start={stop}", "--speed", "1e-9")
        with gateway(options=still) as serving, Client("127.0.0.1", serving.port, timeout=60) as client:
            yield {"floor": alone(folder, rows), "pull": pulled(folder, client, bars)}


def figures(effort: Effort) -> list[Figure]:
    """Measure a pull, in times of what writing alone takes."""
    with _cases(effort.bars) as cases:
        take_turns(cases, 1, 1)  # the terminal reads its file once
        rounds, _ = take_turns(cases, effort.transfers, 1)
    return [ratio("archive pull", "pyarrow alone", rounds["pull"], rounds["floor"], target=1.5)]

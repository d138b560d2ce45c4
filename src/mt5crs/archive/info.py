"""What an archive has, and how much of what there would be: as numbers, and as pictures of text."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mt5crs.archive.check import chosen_series
from mt5crs.archive.layout import Series, files
from mt5crs.archive.rows import read_times
from mt5crs.archive.sessions import learn
from mt5crs.archive.stored import footer_of
from mt5crs.bars import Times
from mt5crs.constants import TIMEFRAME_M1
from mt5crs.errors import ArchiveError
from mt5crs.timeframes import MINUTE, WEEK

if TYPE_CHECKING:
    from mt5crs.archive.layout import Period

WIDEST = 72
"""Columns of a picture at most."""
BLOCKS = "·▁▂▃▄▅▆▇█"
PLAIN = "_.:-=+*#%"
"""The same where only ASCII can be written."""
SUNDAY = 3
"""Days from a Sunday to the Thursday with which NumPy's weeks begin."""


class Held(NamedTuple):
    """What there is of one series.

    Attributes:
        series: Which one.
        rows: How many rows there are in whole files.
        files: How many files.
        size: Their bytes.
        damaged: How many of them cannot be used.
        first: When the first row is of, epoch seconds; 0 without rows.
        last: When the last one is.
        share: How much is there of the bars that there would be; of ticks, of the minutes that have some.
        held: When its bars open; of ticks, the minutes.
        absent: When those would that are missing.
    """

    series: Series
    rows: int
    files: int
    size: int
    damaged: int
    first: int
    last: int
    share: float
    held: Times
    absent: Times


class Scale(NamedTuple):
    """The columns of a picture.

    Attributes:
        name: How long each is: `week`, `month`, `quarter` or `year`.
        starts: When each begins, and the last one ends, epoch seconds.
    """

    name: str
    starts: Times


def survey(root: Path, symbols: Iterable[str] = ()) -> list[Held]:
    """Return what an archive has, series by series.

    Rows are counted and their times are read; checksums are the business of `check`.

    Args:
        root: The archive's folder.
        symbols: Of which symbols; of all without them.

    Raises:
        ArchiveError: There is no archive, it has none of these symbols, or it cannot be read.
    """
    return [_held(root, series) for series in chosen_series(root, symbols)]


def _held(root: Path, series: Series) -> Held:
    times: list[Times] = [np.zeros(0, np.int64)]
    rows = size = damaged = until = first = last = 0
    unknown: list[tuple[int, int]] = []
    there = files(root, series.symbol, series.tf)
    for period, path in there.items():
        size += path.lstat().st_size
        found = _times(series, period, path)
        if found is None:
            damaged += 1
            unknown.append((period.start, period.end))
            continue
        of_file, known = found
        until = max(until, known // 1000)
        rows += len(of_file)
        if len(of_file):
            first = int(of_file.min()) if rows == len(of_file) else first
            last = max(last, int(of_file.max()))
        times.append(np.unique(of_file // MINUTE * MINUTE) if series.is_ticks else of_file)
    timeframe = TIMEFRAME_M1 if series.is_ticks else series.timeframe
    sessions = learn(np.concatenate(times), timeframe, until, unknown)
    whole = (rows, len(there), size, damaged, first, last)
    share = sessions.share if rows else 0.0
    return Held(series, *whole, share, sessions.held, sessions.absent)


def _times(series: Series, period: "Period", path: Path) -> tuple[Times, int] | None:
    """Return the times of a file's rows in seconds, and until when they are known; None of a damaged one."""
    try:
        footer = footer_of(series, period, path)
        return read_times(path, series), min(footer.until, period.end * 1000)
    except ArchiveError:
        return None


def scale(found: Sequence[Held]) -> Scale:
    """Return the columns of a picture of all series: the shortest for which there is room."""
    firsts = [each.first for each in found if each.rows]
    if not firsts:
        return Scale("month", np.zeros(0, np.int64))
    first, last = min(firsts), max(each.last for each in found)
    weeks = np.arange(_sunday(first), last + WEEK + 1, WEEK)
    scales = [Scale("week", weeks)]
    for name, months in (("month", 1), ("quarter", 3), ("year", 12)):
        begin, end = np.array([first, last], "datetime64[s]").astype("datetime64[M]").astype(int) // months
        starts = np.arange(int(begin), int(end) + 2, dtype=np.int64) * months
        seconds = starts.astype("datetime64[M]").astype("datetime64[s]").astype(np.int64)
        scales.append(Scale(name, seconds))
    return next((each for each in scales if len(each.starts) - 1 <= WIDEST), scales[-1])


def _sunday(second: int) -> int:
    return (second - SUNDAY * WEEK // 7) // WEEK * WEEK + SUNDAY * WEEK // 7


def shares(held: Held, columns: Scale) -> list[float | None]:
    """Return how much is there in each column; None where nothing would be."""
    starts = columns.starts
    if len(starts) < 2:
        return []
    there, absent = (np.histogram(times, starts)[0] for times in (held.held, held.absent))
    expected = there + absent
    return [
        int(count) / int(of) if of else None
        for count, of in zip(there.tolist(), expected.tolist(), strict=True)
    ]


def picture(values: Sequence[float | None], blocks: str = BLOCKS) -> str:
    """Return shares as text: what is not full never looks full, and what has something never looks empty."""
    steps = len(blocks) - 1

    def block(value: float | None) -> str:
        if value is None:
            return " "
        if value >= 1.0:
            return blocks[steps]
        return blocks[min(max(round(value * steps), 1), steps - 1)] if value else blocks[0]

    return "".join(map(block, values))


def save_plot(found: Sequence[Held], path: Path) -> None:
    """Write the same picture as a PNG file.

    Raises:
        ArchiveError: There is nothing to draw, matplotlib is not installed, or the file cannot be written.
    """
    from mt5crs.archive.folder import told
    from mt5crs.archive.reading import needed

    needed("matplotlib")
    from matplotlib.figure import Figure

    columns = scale(found)
    if not len(columns.starts):
        raise ArchiveError("there are no rows to draw", hint="`mt5crs archive check` says what is wrong")
    grid = np.array(
        [[np.nan if value is None else 100 * value for value in shares(each, columns)] for each in found]
    ).reshape(len(found), -1)
    figure = Figure(figsize=(10, 1.2 + 0.3 * len(found)), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(grid, aspect="auto", cmap="RdYlGn", vmin=0, vmax=100, interpolation="nearest")
    axes.set_yticks(range(len(found)), [str(each.series) for each in found])
    days = columns.starts.astype("datetime64[s]").astype("datetime64[D]")[:-1]
    places = range(0, len(days), max(1, -(-len(days) // 6)))
    axes.set_xticks(list(places), [str(days[place]) for place in places])
    axes.set_title(
        f"Share of the expected bars in each {columns.name}; white: none expected, or nothing known"
    )
    figure.colorbar(image, label="%")
    with told(path):
        figure.savefig(path, format="png", dpi=120)

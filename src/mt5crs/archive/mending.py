"""Making one file of an archive again from what a terminal has, so that nothing is lost that could be read.

Rows that the terminal has replace those of the same times. Rows that it does not have stay, but for those in
a stretch that is doubted and of which it has others: and if any is left out, the file as it was is kept in
`_damaged`. Until `done`, each file can be put back as it was.
"""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mt5crs.archive.compare import Mask, Span
from mt5crs.archive.faults import examine, milliseconds
from mt5crs.archive.folder import flush, told
from mt5crs.archive.layout import WORK, Period, Series
from mt5crs.archive.rows import read_footer
from mt5crs.archive.source import Source
from mt5crs.archive.stored import footer_of, load
from mt5crs.archive.writing import FileWriter
from mt5crs.bars import Times
from mt5crs.constants import TIMEFRAME_H1
from mt5crs.cursors import START
from mt5crs.errors import ArchiveError, DamagedFile
from mt5crs.timeframes import DAY, MINUTE

if TYPE_CHECKING:
    from mt5crs.archive.rows import Rows

M1 = "M1"
ASIDE = "_damaged"
"""The folder of files that had something which the terminal does not have; no reader looks at it."""
ASIDE_SUFFIX = ".damaged"
BACK, BACK_LONG = 45 * DAY, 400 * DAY
"""How far a terminal is asked for something older than a period; of H1 and longer, the second."""


class Mended(NamedTuple):
    """A file that was made again.

    Attributes:
        rows: How many rows it has.
        before: How many could be used before.
        kept: Where the file as it was lies now, where it had what the new one has not.
        covered: What time the terminal's history covers of it, epoch seconds.
    """

    rows: int
    before: int
    kept: str
    covered: Span


class Mending:
    """Files that are being made again; for whoever writes to the archive.

    Args:
        source: The terminal's history.
        root: The archive's folder.
    """

    def __init__(self, source: Source, root: Path) -> None:
        self._source = source
        self._root = root
        self._before: dict[Path, Path | None] = {}
        self._kept: dict[Path, str] = {}

    def make(self, series: Series, period: Period, doubted: Sequence[Span]) -> Mended:
        """Fetch one file and put it in its place.

        Args:
            series: Whose.
            period: For which period.
            doubted: The stretches of time of which the terminal's rows hold instead of the archive's.

        Raises:
            BridgeError: The terminal gives nothing, or the file cannot be written; nothing was changed.
        """
        path = series.path(self._root, period)
        old, is_there = None, os.path.lexists(path)
        is_damaged = False
        try:
            old = load(series, period, path) if is_there else None
        except DamagedFile:
            is_damaged = True
        rows, until = _fetched(self._source, series, period)
        covered = self._covered(series, period, rows, until)
        before, lost, is_from_start = 0, False, False
        if old is not None:
            is_from_start = old.footer.since is None
            known = min(old.footer.until, period.end * 1000)
            timeframe = None if series.is_ticks else series.timeframe
            _, usable = examine(old.rows, period.start * 1000, known, timeframe)
            before = len(usable)
            rows, lost = merged(usable, rows, doubted)
            lost |= not np.isin(milliseconds(old.rows), milliseconds(rows)).all()
            until = max(until, known)
        elif is_damaged:
            lost = self._had_more(series, period, len(rows))
        kept = self._aside(path) if lost else ""
        self._remember(path, is_there=is_there)
        self._kept[path] = kept
        since = None
        if len(rows) and not is_from_start:
            since = self._source.begins_at(series, period.start, int(milliseconds(rows[:1])[0]) // 1000)
        writer = FileWriter(self._root, series, period, self._source.server, since)
        try:
            writer.add(rows)
            writer.finish(until)
        finally:
            writer.abandon()
        return Mended(len(rows), before, kept, covered)

    def undo(self, series: Series, period: Period) -> None:
        """Put a file back as it was.

        Raises:
            ArchiveError: It cannot be.
        """
        path = series.path(self._root, period)
        with told(path):
            before = self._before.pop(path)
            if before is None:
                path.unlink()
            else:
                before.replace(path)
            if kept := self._kept.pop(path):
                (self._root / kept).unlink()
            flush(self._root, path.parent)

    def done(self) -> None:
        """Forget the files as they were."""
        for path in self._before.values():
            if path is not None:
                path.unlink(missing_ok=True)
        self._before.clear()

    def _covered(self, series: Series, period: Period, rows: "Rows", until: int) -> Span:
        first = int(milliseconds(rows[:1])[0]) // 1000 if len(rows) else until // 1000
        if first > period.start:
            is_long = not series.is_ticks and series.timeframe >= TIMEFRAME_H1
            back = max(0, period.start - (BACK_LONG if is_long else BACK))
            if self._source.first(series, back, period.start, patiently=False) is not None:
                first = period.start
        return first, until // 1000

    def _remember(self, path: Path, *, is_there: bool) -> None:
        """Keep a file as it is for `undo`."""
        if not is_there or not path.is_file():
            self._before[path] = None
            return
        before = self._root / WORK / f"{len(self._before)}.before"
        with told(before):
            before.unlink(missing_ok=True)
            try:
                os.link(path, before)
            except OSError:  # a file system without links
                shutil.copy2(path, before)
        self._before[path] = before

    def _had_more(self, series: Series, period: Period, rows: int) -> bool:
        """Whether a damaged file had, or has, what the terminal has not.

        Raises:
            ArchiveError: The terminal has nothing at all.
        """
        path = series.path(self._root, period)
        try:
            had: int | None = footer_of(series, period, path).rows
        except DamagedFile:
            had = None
        if not rows and had != 0:
            raise ArchiveError(
                f"the terminal has no rows of {series} {period.name}, so {path} stays as it is",
                hint="copy it from a backup; where there never were any rows, remove it and repair again",
            )
        return _is_anothers(path) if had is None else had > rows

    def _aside(self, path: Path) -> str:
        """Keep a file as it is beside the archive; return where."""
        where = Path(ASIDE) / path.relative_to(self._root).with_suffix(ASIDE_SUFFIX)
        number = 1
        while (self._root / where).exists():
            number += 1
            where = where.with_name(f"{path.stem}.{number}{ASIDE_SUFFIX}")
        with told(self._root / where):
            (self._root / where).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, self._root / where)
        return where.as_posix()


def merged(old: "Rows", new: "Rows", doubted: Sequence[Span]) -> tuple["Rows", bool]:
    """Return the terminal's rows with those of the archive that it does not have; and whether some are lost.

    Of a time of which the archive has more rows than the terminal the archive's are taken, but in doubted
    stretches of which the terminal has any row.

    Args:
        old: The archive's rows, in order.
        new: The terminal's rows, in order.
        doubted: Stretches of time, epoch seconds.
    """
    times, theirs = milliseconds(old), milliseconds(new)
    more: Mask = _count(times, times) > _count(theirs, times)
    stays: Mask = np.array(more)
    for start, stop in doubted:
        begin, end = np.searchsorted(theirs, (start * 1000, stop * 1000))
        if end > begin:
            stays &= (times < start * 1000) | (times >= stop * 1000)
    rows: Rows = np.concatenate([old[stays], new[~np.isin(theirs, times[stays])]])
    rows = rows[np.argsort(milliseconds(rows), kind="stable")]
    return rows, bool((more & ~stays).any())


def _count(times: Times, of: Times) -> Times:
    """Return how many of some times, in order, each of others is."""
    counts: Times = np.searchsorted(times, of, side="right") - np.searchsorted(times, of, side="left")
    return counts


def _is_anothers(path: Path) -> bool:
    """Whether a file is a whole one of another series or period."""
    try:
        read_footer(path)
    except DamagedFile:
        return False
    return True


def _fetched(source: Source, series: Series, period: Period) -> "tuple[Rows, int]":
    """Return the rows that the terminal has of a period, and until when these are all, in milliseconds.

    Raises:
        ArchiveError: It has nothing that is as new.
    """
    newest = source.newest_bar(Series(series.symbol, M1) if series.is_ticks else series)
    end = min(period.end, newest + MINUTE if series.is_ticks else newest)
    parts = [np.zeros(0, series.array.dtype)]
    until = 0
    if end > period.start:
        source.first(series, period.start, end, patiently=True)  # lets it load what it has not yet
        begin = START._replace(second=period.start)
        pages = (
            source.ticks(series, begin, end) if series.is_ticks else source.bars(series, begin.second, end)
        )
        for page in pages:
            parts.append(page.rows)
            until = page.until
    if until <= period.start * 1000:
        raise ArchiveError(
            f"the terminal has no {series} of {period.name}, nor anything newer",
            hint="is it logged in, and connected to its server?",
        )
    return np.concatenate(parts), until

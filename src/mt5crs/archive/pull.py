"""Pulling: what an archive does not have yet is asked of a terminal, and nothing else."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

from mt5crs.archive.folder import admit, look_at, writing
from mt5crs.archive.layout import EPOCH, WORK, Period, Series, files
from mt5crs.archive.rows import Footer, arrow, read_footer
from mt5crs.archive.source import PATIENCE, Page, Prices, Source
from mt5crs.archive.writing import SeriesWriter
from mt5crs.cursors import Cursor
from mt5crs.errors import BridgeError, DamagedFile, SettingError
from mt5crs.timeframes import PERIODS

if TYPE_CHECKING:
    from mt5crs.archive.rows import Rows

JOBS = 4
"""Series that are pulled side by side."""
WRITERS = 4
"""Files that are compressed and written side by side."""
FAR_FUTURE = 2**31 - 1
"""Server time that no row is newer than."""
MINUTE = 60

T = TypeVar("T")


class Span(NamedTuple):
    """Server time of which rows are missing.

    Attributes:
        begin: Its first millisecond.
        end: The first second after it.
        is_leading: Whether the archive has nothing before it.
    """

    begin: int
    end: int
    is_leading: bool


class Start(NamedTuple):
    """Where the rows of a span begin.

    Attributes:
        begin: From which millisecond on its files are written.
        second: The first second that may have rows.
        since: The same in milliseconds, where the terminal's history begins there, inside of a period.
    """

    begin: int
    second: int
    since: int | None = None


@dataclass
class Pulled:
    """What became of one series.

    Attributes:
        series: Which one.
        rows: How many new rows came.
        files: How many files were written.
        until: Server time in milliseconds until which the archive has it; None where it has nothing.
        failure: Why it did not come to its end; None where it did.
    """

    series: Series
    rows: int = 0
    files: int = 0
    until: int | None = None
    failure: BridgeError | None = None


class Watcher(Protocol):
    """Who is told how it goes, by several threads."""

    def begun(self, series: Series, begin: int, end: int) -> None:
        """Say that a series is missing from one second of server time to another, roughly."""

    def got(self, series: Series, rows: int, until: int) -> None:
        """Say that so many rows came, and there are none left before a second of server time."""

    def done(self, pulled: Pulled) -> None:
        """Say what became of a series."""


def missing(series: Series, known: Mapping[Period, Footer], begin: int, end: int) -> Iterator[Span]:
    """Yield the spans that an archive does not have yet, oldest first, in whole periods.

    Args:
        series: Whose rows.
        known: What the files that are there say.
        begin: The first second that is wanted.
        end: The first second that is not.
    """
    first = min((period.start for period in known), default=FAR_FUTURE) * 1000
    start: int | None = None
    for period in series.periods(begin, end):
        footer = known.get(period)
        at = period.start * 1000 if footer is None else footer.until
        if start is not None and footer is not None:
            yield Span(start, period.start, start < first)
            start = None
        if start is None and at < min(period.end, end) * 1000:
            start = at
    if start is not None:
        yield Span(start, end, start < first)


def pull(
    client: Prices,
    root: Path,
    wanted: Sequence[Series],
    begin: int,
    end: int | None = None,
    *,
    jobs: int = JOBS,
    accept_account: bool = False,
    patience: float = PATIENCE,
    watcher: Watcher | None = None,
) -> list[Pulled]:
    """Fill an archive with what it does not have yet.

    Args:
        client: A client of the gateway.
        root: The archive's folder; made where there is none.
        wanted: What to pull.
        begin: The first second of server time; the whole period that it falls in is pulled.
        end: The first second that is not wanted; without it, as far as the terminal goes.
        jobs: Series that are pulled side by side.
        accept_account: Whether an archive of another account may be gone on with.
        patience: Seconds in a row for which the gateway may be away.
        watcher: Who is told how it goes.

    Returns:
        What became of each series; the failure of one does not end the others.

    Raises:
        SettingError: The range is none, the folder is something else, or pyarrow is not installed.
        UnknownSymbol: The terminal has no symbol of one of the names; nothing was pulled.
        ArchiveError: The archive cannot be written to, or is of another account.
        BridgeError: The gateway cannot be reached.
    """
    if end is not None and begin >= end:
        raise SettingError(f"nothing is between {shown(begin)} and {shown(end)}", hint="turn them round")
    if end is not None and end <= 0:
        raise SettingError(f"there is nothing before {shown(0)}", hint="dates are server time")
    arrow()  # where it is not there it is better said now
    begin = max(begin, 0)
    stop = Event()
    source = Source(client, patience, stop)
    series = list(dict.fromkeys(wanted))
    for name in dict.fromkeys(each.symbol for each in series):
        source.symbol(name)
    with writing(root):
        admit(root, source.account, accept=accept_account)
        pool, writers = ThreadPoolExecutor(max(1, jobs), "pull"), ThreadPoolExecutor(WRITERS, "write")
        try:
            pulling = [_Pulling(source, root, each, writers, watcher) for each in series]
            asked = [pool.submit(each.run, begin, end) for each in pulling]
            for each in as_completed(asked):
                each.result()
            if (root / WORK).is_dir():  # somebody may have removed the description meanwhile
                admit(root, source.account, accept=accept_account)
        finally:  # also after Ctrl-C: no thread may go on writing when the lock is gone
            stop.set()
            pool.shutdown(cancel_futures=True)
            writers.shutdown()
    return [each.result() for each in asked]


class _Pulling:
    """One series on its way from a terminal into an archive."""

    def __init__(
        self, source: Source, root: Path, series: Series, writers: Executor, watcher: Watcher | None
    ) -> None:
        self._source = source
        self._root = root
        self._series = series
        self._writers = writers
        self._watcher = watcher
        self._pulled = Pulled(series)

    def run(self, begin: int, end: int | None) -> Pulled:
        """Pull what is missing; what goes wrong is told in the result."""
        pulled = self._pulled
        try:
            self._run(begin, end)
        except BridgeError as error:
            pulled.failure = error
        if self._watcher is not None:
            self._watcher.done(pulled)
        return pulled

    def _run(self, begin: int, end: int | None) -> None:
        series, pulled = self._series, self._pulled
        known = self._known()
        # A minute that has begun may have ticks up to its end; of bars the newest is left out.
        newest = self._source.newest_bar(Series(series.symbol, "M1") if series.is_ticks else series)
        limit = newest + MINUTE if series.is_ticks else newest
        asked, begin = begin, series.period(begin).start
        if begin > newest + (MINUTE if series.is_ticks else PERIODS[series.timeframe]):
            raise SettingError(
                f"{series} cannot be pulled from {shown(asked)} on: "
                f"the terminal's newest is of {shown(newest)}",
                hint="dates are server time",
            )
        pulled.until = max((footer.until for footer in known.values()), default=None)
        upto = limit if end is None else min(end, limit)
        open_, grown = self._open_heads(known, begin, upto)
        for footer in grown:  # their files are made again, and not shorter than they are
            del known[footer.period]
            upto = max(upto, min(-(-footer.until // 1000), limit))
        spans = [
            span
            for span in missing(series, known, begin, upto)
            if not (span.is_leading and open_ and open_[0].period == min(known))
        ]
        if self._watcher is not None and spans:
            self._watcher.begun(series, spans[0].begin // 1000, spans[-1].end)
        starts = [self._start(span, patiently=not known) for span in spans]
        for span, start in zip(spans, starts, strict=True):
            if start is not None:
                self._fill(span, start)
        pulled.rows = max(pulled.rows - sum(footer.rows for footer in grown), 0)
        if not known and not any(starts):
            self._tell_when_it_begins(begin, upto, limit)

    def _open_heads(
        self, known: Mapping[Period, Footer], begin: int, end: int
    ) -> tuple[list[Footer], list[Footer]]:
        """Return the files at whose heads the terminal's history began: where it still does, and does not."""
        found: tuple[list[Footer], list[Footer]] = ([], [])
        for period, footer in known.items():
            if footer.since is not None and begin < period.end and period.start < end:
                since = footer.since // 1000
                found[self._source.is_older(self._series, min(begin, period.start), since)].append(footer)
        return found

    def _tell_when_it_begins(self, begin: int, end: int, limit: int) -> None:
        """Say that there is nothing, where the terminal's history begins later.

        Raises:
            SettingError: It does.
        """
        if end >= limit or self._source.is_older(self._series, begin, end):
            return
        first = self._source.first(self._series, end, limit, patiently=False)
        if first is not None:
            raise SettingError(
                f"the terminal has nothing of {self._series} before {shown(first)}",
                hint="state a later --to",
            )

    def _known(self) -> dict[Period, Footer]:
        """Return what the files that are there say.

        Raises:
            DamagedFile: One cannot be read, or is not where it belongs.
            ArchiveError: Their folders may not be read, or not be written to.
        """
        look_at(self._root, self._series)
        known: dict[Period, Footer] = {}
        for period, path in files(self._root, self._series.symbol, self._series.tf).items():
            footer = read_footer(path)
            if (footer.series, footer.period) != (self._series, period):
                raise DamagedFile(path, f"it is the file of {footer.series} {footer.period.name}")
            known[period] = footer
        return known

    def _start(self, span: Span, *, patiently: bool) -> Start | None:
        """Return from when on a span may have rows, as the terminal says; None where it has none."""
        series, begin = self._series, span.begin // 1000
        if not span.is_leading:
            return Start(span.begin, begin)
        first = self._source.first(series, begin, span.end, patiently=patiently)
        if first is None:
            return None
        start = series.period(first).start
        since = None if first == start else self._source.begins_at(series, begin, first)
        return Start(start * 1000, start if since is None else first, since)

    def _fill(self, span: Span, start: Start) -> None:
        """Pull a span."""
        series, pulled = self._series, self._pulled
        server = self._source.server
        with SeriesWriter(self._root, series, server, start.begin, self._writers, start.since) as writer:
            for page in ahead(self._pages(start.second, span.end, writer.kept)):
                writer.add(page.rows, page.until)
                pulled.rows += len(page.rows)
                pulled.until = max(pulled.until or 0, page.until)
                if self._watcher is not None:
                    self._watcher.got(series, len(page.rows), page.until // 1000)
            writer.finish()
            pulled.files += writer.files

    def _pages(self, second: int, end: int, kept: "Rows | None") -> Iterator[Page]:
        if not self._series.is_ticks:
            return self._source.bars(self._series, second, end)
        offset = 0 if kept is None else len(kept) - int(kept["time"].searchsorted(second))
        return self._source.ticks(self._series, Cursor(second, offset), end)


def ahead(values: Iterator[T]) -> Iterator[T]:
    """Yield values while another thread makes the next one."""
    with ThreadPoolExecutor(1, "ahead") as pool:
        coming: Future[T | None] = pool.submit(next, values, None)
        while (value := coming.result()) is not None:
            coming = pool.submit(next, values, None)
            yield value


def shown(second: int) -> str:
    """Return server time for people."""
    return f"{EPOCH + timedelta(seconds=second):%Y-%m-%d %H:%M:%S}"

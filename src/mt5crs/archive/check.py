"""Is an archive whole and right? Everything that can be said from its files alone.

Each file is read and held against its checksum, its rows against its period and against one another; the bars
of a series against the sessions that they let us learn (`sessions`); bars of longer timeframes against those
that M1 bars make, and M1 bars against the ticks (`compare`). What the terminal has confirmed (`confirmed`) is
left out.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mt5crs.archive.compare import OHLC, Difference, Span, against_m1, common, difference, joined, within
from mt5crs.archive.confirmed import Confirmed
from mt5crs.archive.faults import examine
from mt5crs.archive.findings import RANKS, Finding, Kind, ordered, span
from mt5crs.archive.layout import TICK, Period, Series, all_series, files
from mt5crs.archive.sessions import learn
from mt5crs.archive.stored import Broken, Stored, opened, stored
from mt5crs.archive.strays import strays
from mt5crs.bars import Times, collect, open_time
from mt5crs.constants import TIMEFRAME_M1
from mt5crs.errors import ArchiveError
from mt5crs.model import RATES, RatesArray, TicksArray
from mt5crs.timeframes import MINUTE

M1 = "M1"
DIGITS = 5
"""Of prices, where spreads are not looked at."""


class Report(NamedTuple):
    """What a check found.

    Attributes:
        series: How many series there are.
        files: How many files were read.
        rows: How many rows are in them.
        findings: What is wrong, and notes.
        confirmed: What is left out of them because the terminal has confirmed it.
    """

    series: int
    files: int
    rows: int
    findings: list[Finding]
    confirmed: list[Finding]

    @property
    def wrong(self) -> list[Finding]:
        """The findings that are no notes."""
        return [each for each in self.findings if not each.is_note]


@dataclass
class _Held:
    """What a series has, in so far as it can be used.

    Attributes:
        series: Whose it is.
        bars: Its bars; of ticks, the M1 bars of their bids.
        known: Where it is all there.
        unknown: Of which time a file cannot be used, or is not there.
        until: Until when it is known, epoch seconds.
        periods: What its files are for, in order.
        trades: Whether its ticks have trades.
        files: How many files there are.
        rows: How many rows they have.
        findings: What is wrong with it.
    """

    series: Series
    bars: RatesArray
    known: list[Span] = field(default_factory=list[Span])
    unknown: list[Span] = field(default_factory=list[Span])
    until: int = 0
    periods: list[Period] = field(default_factory=list[Period])
    trades: bool = False
    files: int = 0
    rows: int = 0
    findings: list[Finding] = field(default_factory=list[Finding])

    def tell(self, kind: Kind, start: int, stop: int, what: str, path: str = "") -> None:
        """Add a finding, unless a missing stretch of the same series explains it."""
        if kind in {Kind.GAP, Kind.MISMATCH} and span(start, stop, self._gaps()):
            return
        self.findings.append(Finding(kind, self.series.symbol, self.series.tf, start, stop, what, path))

    def _gaps(self) -> Iterator[Finding]:
        return (each for each in self.findings if each.kind in {Kind.GAP, Kind.DAMAGED})

    def has_gap(self, start: int, stop: int) -> bool:
        """Whether something is missing of a stretch of time."""
        return span(start, stop, self._gaps())


def check(root: Path, symbols: Iterable[str] = ()) -> Report:
    """Look for everything that is wrong with an archive.

    Args:
        root: The archive's folder.
        symbols: Of which symbols; of all without them.

    Raises:
        ArchiveError: There is no archive, it has none of these symbols, or it cannot be read.
    """
    chosen = chosen_series(root, symbols, is_strict=False)
    confirmed = Confirmed(root)
    own = {path for series in all_series(root, is_strict=False) for path in _files(root, series)}
    held: list[_Held] = []
    for symbol in sorted({series.symbol for series in chosen}):
        held += _of_symbol(root, [series for series in chosen if series.symbol == symbol])
    found = [finding for each in held for finding in each.findings]
    told = [finding for finding in found if not confirmed.has(finding)]
    return Report(
        len(held),
        sum(each.files for each in held),
        sum(each.rows for each in held),
        ordered([*told, *strays(root, own)]),
        ordered(finding for finding in found if confirmed.has(finding)),
    )


def _files(root: Path, series: Series) -> list[Path]:
    """Return the files of a series; none where its folder cannot be read, which `strays` tells."""
    try:
        return list(files(root, series.symbol, series.tf).values())
    except ArchiveError:
        return []


def chosen_series(root: Path, symbols: Iterable[str], *, is_strict: bool = True) -> list[Series]:
    """Return the series of an archive, of some symbols alone where there are any.

    Args:
        root: The archive's folder.
        symbols: Of which symbols; of all without them.
        is_strict: Whether a folder that cannot be read is an error.

    Raises:
        ArchiveError: There is no archive, it has none of one of these symbols, or it cannot be read.
    """
    series = all_series(opened(root), is_strict=is_strict)
    wanted = set(symbols)
    there = {each.symbol for each in series}
    if wanted - there:
        names = ", ".join(sorted(wanted - there))
        raise ArchiveError(
            f"{root} has nothing of {names}", hint=f"it has {', '.join(sorted(there)) or 'no symbol'}"
        )
    chosen = [each for each in series if not wanted or each.symbol in wanted]
    return sorted(chosen, key=lambda each: (each.symbol, RANKS[each.tf]))


def _of_symbol(root: Path, series: list[Series]) -> list[_Held]:
    """Return what is there of one symbol, each series held against the others."""
    held = {each.tf: _read(root, each) for each in series}
    minutes = held.get(M1)
    if minutes is not None:
        ticks = held.get(TICK)
        if ticks is not None:
            _compare_ticks(minutes, ticks)
        for each in held.values():
            if each is not minutes and each is not ticks:
                _compare_bars(minutes, each)
    _tell_ends(list(held.values()))
    return list(held.values())


def _tell_ends(held: list[_Held]) -> None:
    """Tell of series that begin later, or end earlier, by whole files than others of the symbol.

    Ticks begin later than bars with nearly every server, so the beginning is that of bars alone. Neither need
    be wrong: a terminal may have less of one timeframe, and each may have been pulled for another time.
    """
    whole = [each for each in held if each.periods]
    newest = max(whole, key=lambda each: each.until, default=None)
    for each in whole:
        last, timeframe = each.periods[-1], TIMEFRAME_M1 if each.series.is_ticks else each.series.timeframe
        if newest and open_time(newest.until, timeframe) > last.end:  # the newest bar is none of an archive
            what = f"ends with the file of {last.name}, and {newest.series.tf} goes on: pull it again"
            each.tell(Kind.NOTE, last.end, newest.until, what)
    bars = [each for each in whole if not each.series.is_ticks]
    oldest = min(bars, key=lambda each: each.periods[0].end, default=None)
    for each in bars:
        first = each.periods[0]
        if oldest and first.start >= oldest.periods[0].end:
            what = (
                f"begins with the file of {first.name}, and {oldest.series.tf} with "
                f"{oldest.periods[0].name}: pull it again if the terminal has more"
            )
            each.tell(Kind.NOTE, oldest.periods[0].start, first.start, what)


def _read(root: Path, series: Series) -> _Held:
    """Return what is there of a series, with what is wrong with its files and missing of its sessions."""
    held = _Held(series, np.zeros(0, RATES.dtype))
    parts: list[RatesArray] = []
    expected: Period | None = None
    for file in stored(root, series) if _files(root, series) else ():
        held.periods.append(file.period)
        if expected is not None:
            for period in series.periods(expected.start, file.period.start):
                held.unknown.append((period.start, period.end))
                where = series.path(root, period).relative_to(root).as_posix()
                held.findings.append(
                    Finding(
                        Kind.GAP,
                        series.symbol,
                        series.tf,
                        period.start,
                        period.end,
                        "the file is not there",
                        where,
                    )
                )
        expected = series.period(file.period.end)
        held.files += 1
        where = file.path.relative_to(root).as_posix()
        if isinstance(file, Broken):
            held.unknown.append((file.period.start, file.period.end))
            held.tell(Kind.DAMAGED, file.period.start, file.period.end, file.why, where)
            continue
        parts.append(_examined(held, file, where))
    if parts:
        held.bars = np.concatenate(parts)
    _learn(held)
    return held


def _examined(held: _Held, file: Stored, where: str) -> RatesArray:
    """Return the bars of a file, of its ticks those that they make; its faults are told."""
    stop = min(file.footer.until, file.period.end * 1000)
    timeframe = None if held.series.is_ticks else held.series.timeframe
    faults, rows = examine(file.rows, file.period.start * 1000, stop, timeframe)
    for fault in faults:
        held.tell(fault.kind, fault.start, fault.stop, fault.what, where)
    held.rows += len(file.rows)
    held.until = max(held.until, stop // 1000)
    held.known = joined([*held.known, (file.period.start, stop // 1000)])
    if not held.series.is_ticks:
        return rows
    held.trades |= bool((rows["last"] > 0).any())
    quoted: TicksArray = rows[(rows["bid"] > 0)]
    return collect(quoted, DIGITS)


def _learn(held: _Held) -> None:
    """Tell what is missing of the sessions."""
    timeframe = TIMEFRAME_M1 if held.series.is_ticks else held.series.timeframe
    sessions = learn(held.bars["time"].astype(np.int64), timeframe, held.until, held.unknown)
    what = "minutes without a tick" if held.series.is_ticks else "bars missing"
    for stretch in sessions.missing:
        held.tell(Kind.GAP, stretch.start, stretch.stop, f"{stretch.bars} {what}, in trading sessions")


def _from_first_bar(held: _Held) -> list[Span]:
    """Return where a series is all there, from its first bar on: what came before may never have been."""
    if not len(held.bars):
        return []
    # The first minute of ticks is there in part.
    first = int(held.bars["time"][0]) + (MINUTE if held.series.is_ticks else 0)
    return common(held.known, [(first, held.until)])


def _compare_bars(minutes: _Held, other: _Held) -> None:
    found = against_m1(
        other.bars, other.series.timeframe, minutes.bars, _from_first_bar(other), _from_first_bar(minutes)
    )
    _tell_missing(found, other, minutes, M1)
    for (start, stop), what in found.unequal:
        if not minutes.has_gap(start, stop):
            other.tell(Kind.MISMATCH, start, stop, what)


def _compare_ticks(minutes: _Held, ticks: _Held) -> None:
    both = common(_from_first_bar(minutes), _from_first_bar(ticks))
    if ticks.trades:  # where trades are published bars may be those of the trades
        if both:
            minutes.tell(
                Kind.NOTE,
                both[0][0],
                both[-1][1],
                "not held against ticks: these have trades, and bars may be of them",
            )
        return
    bars, made = (_inside(each.bars, both) for each in (minutes, ticks))
    found = difference(bars, made, TIMEFRAME_M1, OHLC, "ticks make")
    _tell_missing(found, minutes, ticks, "ticks")
    for (start, stop), what in found.unequal:
        if not ticks.has_gap(start, stop):
            minutes.tell(Kind.MISMATCH, start, stop, what)
    _, here, there = np.intersect1d(bars["time"], made["time"], return_indices=True)
    other = bars["tick_volume"][here] != made["tick_volume"][there]
    if other.any():
        times: Times = bars["time"][here][other]
        what = f"{int(other.sum())} of {len(other)} M1 bars count other ticks than there are"
        minutes.tell(Kind.NOTE, int(times[0]), int(times[-1]) + MINUTE, what)


def _inside(bars: RatesArray, spans: list[Span]) -> RatesArray:
    opened_at = bars["time"].astype(np.int64)
    return bars[within(opened_at, opened_at + MINUTE, spans)]


def _tell_missing(found: Difference, bars: _Held, others: _Held, name: str) -> None:
    """Tell what only one of two series has."""
    for start, stop in found.absent:
        bars.tell(Kind.GAP, start, stop, f"bars missing, of which there are {name}")
    for start, stop in found.surplus:
        others.tell(Kind.GAP, start, stop, f"missing: there are bars of {bars.series.tf}")

"""Repairing an archive: what `check` found wrong is asked of the terminal again, file by file.

First the plan: the periods whose files findings are about; of a mismatch those of both sides, since either
may be wrong. Then each is fetched, and its file replaced in one step. The terminal's word holds from its
first row on; rows that are older than what it still has stay. A damaged file stays where it is, and readers
refuse it, until its replacement is on the disk; if that has fewer rows than were in it, it is kept in
`_damaged`.

At the end the archive is checked once more. What is still to be found although the terminal answered is what
its own history has: it is recorded (`confirmed`), and not told again.
"""

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mt5crs.archive.check import M1, Report, check
from mt5crs.archive.confirmed import Confirmed
from mt5crs.archive.faults import examine, milliseconds
from mt5crs.archive.findings import RANKS, Finding, Kind
from mt5crs.archive.folder import admit, told, writing
from mt5crs.archive.layout import TICK, Period, Series
from mt5crs.archive.source import PATIENCE, Prices, Source
from mt5crs.archive.stored import footer_of, load
from mt5crs.archive.writing import FileWriter
from mt5crs.cursors import START
from mt5crs.errors import ArchiveError, BridgeError, DamagedFile, GatewayFault, TerminalMissing, Unreachable
from mt5crs.timeframes import MINUTE

if TYPE_CHECKING:
    from mt5crs.archive.rows import Rows

ASIDE = "_damaged"
"""The folder of damaged files that had more rows than the terminal has now; no reader looks at it."""
ASIDE_SUFFIX = ".damaged"
AWAY = (Unreachable, GatewayFault, TerminalMissing)


class Step(NamedTuple):
    """A file that is to be made again.

    Attributes:
        series: Whose.
        period: For which period.
        findings: Why.
    """

    series: Series
    period: Period
    findings: list[Finding]

    def __str__(self) -> str:
        return f"{self.series} {self.period.name}"


class Done(NamedTuple):
    """What became of a step.

    Attributes:
        step: Which one.
        rows: How many rows the file has now.
        before: How many rows of it could be used before.
        kept: Where the damaged original was put, where the terminal has less than was in it.
        failure: Why nothing was changed; None where the file is new.
    """

    step: Step
    rows: int = 0
    before: int = 0
    kept: str = ""
    failure: BridgeError | None = None


class Repair(NamedTuple):
    """What became of an archive.

    Attributes:
        done: The steps.
        repaired: The findings that are no more.
        confirmed: Those that the terminal has confirmed.
        left: Those that are still there.
    """

    done: list[Done]
    repaired: list[Finding]
    confirmed: list[Finding]
    left: list[Finding]


def plan(findings: Iterable[Finding]) -> list[Step]:
    """Return the files that have to be made again, in order."""
    steps: dict[tuple[Series, Period], list[Finding]] = {}
    for finding in findings:
        if finding.is_note or finding.kind is Kind.TEMPORARY:
            continue
        for series in _concerned(finding):
            for period in series.periods(finding.start, finding.stop):
                steps.setdefault((series, period), []).append(finding)
    ordered = sorted(steps, key=lambda each: (each[0].symbol, RANKS[each[0].tf], each[1]))
    return [Step(*each, steps[each]) for each in ordered]


def _concerned(finding: Finding) -> list[Series]:
    """Return the series in whose files the fault may be."""
    if finding.kind is not Kind.MISMATCH:
        return [finding.series]
    return [finding.series, Series(finding.symbol, TICK if finding.timeframe == M1 else M1)]


def repair(client: Prices, root: Path, symbols: Iterable[str] = (), *, patience: float = PATIENCE) -> Repair:
    """Make an archive whole again, as far as the terminal can.

    Args:
        client: A client of the gateway.
        root: The archive's folder.
        symbols: Of which symbols; of all without them.
        patience: Seconds in a row for which the gateway may be away.

    Raises:
        ArchiveError: There is no archive, it is of another account, or it cannot be written to.
        BridgeError: The gateway cannot be reached.
    """
    names = tuple(symbols)
    report = check(root, names)
    if not report.wrong:
        return Repair([], [], [], [])
    steps = plan(report.findings)
    done: list[Done] = []
    if not steps:  # half-written files alone: whoever begins to write removes them
        with writing(root):
            pass
    else:
        source = Source(client, patience)
        with writing(root):
            admit(root, source.account, accept=False)
            done = _carried_out(source, root, steps)
    return _judged(root, names, report, done)


def _carried_out(source: Source, root: Path, steps: list[Step]) -> list[Done]:
    done: list[Done] = []
    for step in steps:
        away = done[-1].failure if done else None
        if isinstance(away, AWAY):  # it was waited for: not once for each file
            done.append(Done(step, failure=away))
        else:
            done.append(_tried(source, root, step))
    return done


def _tried(source: Source, root: Path, step: Step) -> Done:
    try:
        return _made_again(source, root, step)
    except BridgeError as error:
        return Done(step, failure=error)


def _judged(root: Path, names: tuple[str, ...], before: Report, done: list[Done]) -> Repair:
    """Look at the archive once more; record what the terminal has confirmed."""
    answered = {(each.step.series, each.step.period) for each in done if each.failure is None}
    confirmed = Confirmed(root)
    known: list[Finding] = []
    left: list[Finding] = []
    now = check(root, names).wrong
    for finding in now:
        is_known = finding.kind not in {Kind.TEMPORARY, Kind.DAMAGED} and all(
            (series, period) in answered
            for series in _concerned(finding)
            for period in series.periods(finding.start, finding.stop)
        )
        (known if is_known else left).append(finding)
    for finding in known:
        confirmed.add(finding)
    if known:
        with told(root):
            confirmed.save()
    return Repair(done, [finding for finding in before.wrong if finding not in now], known, left)


def _made_again(source: Source, root: Path, step: Step) -> Done:
    """Fetch one file and put it in its place.

    Raises:
        BridgeError: The terminal gives nothing, or the file cannot be written; nothing was changed.
    """
    series, period, _ = step
    rows, until = _fetched(source, series, period)
    path = series.path(root, period)
    before, kept = 0, ""
    try:
        old = load(series, period, path) if path.exists() else None
    except DamagedFile:
        kept = _aside(root, series, period, len(rows))
    else:
        if old is not None:
            known = min(old.footer.until, period.end * 1000)
            _, usable = examine(old.rows, period.start * 1000, known)
            before = len(usable)
            rows, until = _joined(usable, rows, until), max(until, known)
    writer = FileWriter(root, series, period, source.server)
    try:
        writer.add(rows)
        writer.finish(until)
    finally:
        writer.abandon()
    return Done(step, len(rows), before, kept)


def _joined(old: "Rows", new: "Rows", until: int) -> "Rows":
    """Return what the terminal has, with what is older than its first row, and newer than it knows."""
    import numpy as np

    times = milliseconds(old)
    first = int(milliseconds(new[:1])[0]) if len(new) else until
    begin, end = np.searchsorted(times, (first, until))
    joined: Rows = np.concatenate([old[:begin], new, old[end:]])
    return joined


def _aside(root: Path, series: Series, period: Period, rows: int) -> str:
    """Keep a damaged file beside the archive where the terminal has less than was in it; return where.

    Raises:
        ArchiveError: The terminal has nothing at all.
    """
    path = series.path(root, period)
    try:
        had: int | None = footer_of(series, period, path).rows
    except DamagedFile:
        had = None
    if not rows and had != 0:
        raise ArchiveError(
            f"the terminal has no rows of {series} {period.name}, so {path} stays as it is",
            hint="copy it from a backup; where there never were any rows, remove it and repair again",
        )
    if had is None or had <= rows:
        return ""
    where = Path(ASIDE) / path.relative_to(root).with_suffix(ASIDE_SUFFIX)
    with told(root / where):
        (root / where).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, root / where)
    return where.as_posix()


def _fetched(source: Source, series: Series, period: Period) -> "tuple[Rows, int]":
    """Return the rows that the terminal has of a period, and until when these are all, in milliseconds.

    Raises:
        ArchiveError: It has nothing that is as new.
    """
    import numpy as np

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

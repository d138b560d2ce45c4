"""Repairing an archive: what `check` found wrong is asked of the terminal again, file by file.

First the plan: the periods whose files findings are about; of a mismatch those of both sides, since either
may be wrong. Then each is fetched, and its file replaced in one step (`mending`): nothing is lost that could
be read. A damaged file stays where it is, and readers refuse it, until its replacement is on the disk.

At the end the archive is checked once more. A file that made something worse is put back as it was. What was
found before and is found still, although the terminal's history covers it, is what that history has: it is
recorded (`confirmed`), and counted from then on.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from mt5crs.archive.check import Report, check
from mt5crs.archive.compare import Span
from mt5crs.archive.confirmed import Confirmed
from mt5crs.archive.findings import RANKS, Finding, Kind
from mt5crs.archive.folder import admit, told, writing
from mt5crs.archive.layout import TICK, Period, Series
from mt5crs.archive.mending import M1, Mending
from mt5crs.archive.source import PATIENCE, Prices, Source
from mt5crs.errors import ArchiveError, BridgeError, GatewayFault, TerminalMissing, Unreachable

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
    findings: tuple[Finding, ...]

    def __str__(self) -> str:
        return f"{self.series} {self.period.name}"


class Done(NamedTuple):
    """What became of a step.

    Attributes:
        step: Which one.
        rows: How many rows the file has now.
        before: How many rows of it could be used before.
        kept: Where the file as it was lies now, where it had what the new one has not.
        covered: What time the terminal's history covers of it, epoch seconds.
        failure: Why nothing was changed; None where the file is new.
    """

    step: Step
    rows: int = 0
    before: int = 0
    kept: str = ""
    covered: Span = (0, 0)
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
        if finding.is_note or not finding.symbol:  # what no series has, no terminal can give
            continue
        for series in _concerned(finding):
            for period in _periods(finding, series):
                steps.setdefault((series, period), []).append(finding)
    ordered = sorted(steps, key=lambda each: (each[0].symbol, RANKS[each[0].tf], each[1]))
    return [Step(*each, tuple(steps[each])) for each in ordered]


def _concerned(finding: Finding) -> list[Series]:
    """Return the series in whose files the fault may be."""
    if finding.kind is not Kind.MISMATCH:
        return [finding.series]
    return [finding.series, Series(finding.symbol, TICK if finding.timeframe == M1 else M1)]


def _periods(finding: Finding, series: Series) -> list[Period]:
    """Return for which periods the files are; rows may be of a time that is none of their file's."""
    own = Period.named(Path(finding.path).stem) if finding.path else None
    return [own] if own is not None else list(series.periods(finding.start, finding.stop))


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
    if not steps:  # half-written files alone: whoever begins to write removes them
        with writing(root):
            pass
        return _judged(root, report, check(root, names), {})
    source = Source(client, patience)
    with writing(root):
        admit(root, source.account, accept=False)
        mending = Mending(source, root)
        done = _carried_out(mending, steps)
        now = check(root, names)
        for _ in range(len(steps)):  # what is put back may leave others worse
            if not _undone(mending, done, _worse(report, now, done.values())):
                break
            now = check(root, names)
        mending.done()
        return _judged(root, report, now, done)


def _carried_out(mending: Mending, steps: list[Step]) -> dict[Step, Done]:
    done: dict[Step, Done] = {}
    away: BridgeError | None = None
    for step in steps:
        if not isinstance(away, AWAY):  # it was waited for: not once for each file
            done[step], away = _tried(mending, step)
        else:
            done[step] = Done(step, failure=away)
    return done


def _tried(mending: Mending, step: Step) -> tuple[Done, BridgeError | None]:
    doubted = [(each.start, each.stop) for each in step.findings if each.kind is Kind.MISMATCH]
    try:
        return Done(step, *mending.make(step.series, step.period, doubted)), None
    except BridgeError as error:
        return Done(step, failure=error), error


def _worse(before: Report, now: Report, done: Iterable[Done]) -> list[Finding]:
    """Return what is wrong now and was not before: rows that could not be looked at before say nothing.

    A gap that is new is one that is seen now. But where rows were left out of a file, a gap may be theirs,
    and a mismatch says that leaving them out was no help.
    """
    shorter = [each.step for each in done if each.before and each.kept]
    known = [*before.wrong, *before.confirmed]
    lacking = [each for each in known if each.kind in {Kind.GAP, Kind.DAMAGED}]

    def is_new(finding: Finding) -> bool:
        is_lost = any(_is_about(finding, step) for step in shorter)
        if finding.kind is Kind.GAP or (finding.kind is Kind.MISMATCH and is_lost):
            return is_lost and not any(_is_explained(finding, each) for each in lacking)
        return finding.kind is not Kind.TEMPORARY and not any(_is_explained(finding, each) for each in known)

    return [each for each in now.wrong if is_new(each)]


def _is_explained(finding: Finding, before: Finding) -> bool:
    is_near = not set(_concerned(finding)).isdisjoint(_concerned(before))
    return is_near and before.meets(finding.start, finding.stop)


def _undone(mending: Mending, done: dict[Step, Done], worse: list[Finding]) -> bool:
    """Put back the files that made something worse; return whether there are any."""
    found = False
    for step, each in done.items():
        why = next((one for one in worse if _is_about(one, step)), None)
        if why is not None and each.failure is None:
            mending.undo(step.series, step.period)
            problem = f"what the terminal has of {step} does not go together with the archive: {why.what}"
            hint = "the file was put back as it was; pull into another folder to compare the two"
            done[step] = Done(step, failure=ArchiveError(problem, hint=hint))
            found = True
    return found


def _is_about(finding: Finding, step: Step) -> bool:
    return step.series in _concerned(finding) and step.period in _periods(finding, step.series)


def _judged(root: Path, before: Report, now: Report, done: dict[Step, Done]) -> Repair:
    """Say what became of everything; record what the terminal has confirmed."""
    answers = {
        (each.step.series, each.step.period): each.covered for each in done.values() if not each.failure
    }
    confirmed = Confirmed(root)
    known: list[Finding] = []
    left: list[Finding] = []
    for finding in now.wrong:
        is_known = any(_was(finding, each) for each in before.wrong) and _is_answered(finding, answers)
        (known if is_known else left).append(finding)
    for finding in known:
        confirmed.add(finding)
    if known:
        with told(root):
            confirmed.save()
    repaired = [each for each in before.wrong if not any(_was(other, each) for other in now.wrong)]
    return Repair(list(done.values()), repaired, known, left)


def _was(finding: Finding, before: Finding) -> bool:
    """Whether a finding is one of before, or what is left of it."""
    is_alike = (finding.kind, finding.symbol, finding.timeframe, finding.path) == (
        before.kind, before.symbol, before.timeframe, before.path or finding.path,
    )  # fmt: skip
    return is_alike and before.start <= finding.start and finding.stop <= before.stop


def _is_answered(finding: Finding, answers: dict[tuple[Series, Period], Span]) -> bool:
    """Whether the terminal's history covers what a finding is about."""
    if finding.kind in {Kind.TEMPORARY, Kind.DAMAGED}:
        return False
    for series in _concerned(finding):
        for period in _periods(finding, series):
            begin, end = answers.get((series, period), (0, 0))
            if begin > max(period.start, finding.start) or end < min(period.end, finding.stop):
                return False
    return True

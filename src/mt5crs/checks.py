"""Checks: small functions with an id, a reason and a remedy, in registries that anybody can add to.

A check looks at something that was seen already (facts of a node, a tree of files, a connection) and says
what it found. It does no more than that: collecting is done before, showing is done after, so that each check
is a pure function that a test can give any facts to.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Generic, NamedTuple, TypeVar

Seen = TypeVar("Seen")
"""What a registry's checks look at."""


class Status(str, Enum):
    """What a check came to."""

    PASS = "pass"  # noqa: S105 - not a password
    WARN = "warn"
    FAIL = "fail"
    OFF = "off"
    """It was not looked at, for a reason that is no fault: an optional node that is off."""


class Finding(NamedTuple):
    """One thing that a check found.

    Attributes:
        status: What it came to.
        found: What was seen, in a few words: values, not opinions.
        remedy: What to do about just this; the check's own remedy without it.
    """

    status: Status
    found: str
    remedy: str = ""


def passed(found: str) -> Finding:
    """Return a finding that is as it should be."""
    return Finding(Status.PASS, found)


def failed(found: str, remedy: str = "") -> Finding:
    """Return a finding that must be mended."""
    return Finding(Status.FAIL, found, remedy)


def warned(found: str, remedy: str = "") -> Finding:
    """Return a finding that should be looked at, and stops nothing."""
    return Finding(Status.WARN, found, remedy)


def off(found: str) -> Finding:
    """Return that there was nothing to look at, for a reason that is no fault."""
    return Finding(Status.OFF, found)


class Result(NamedTuple):
    """A finding, and whose it is.

    Attributes:
        check: The check's id.
        title: What the check holds, as a statement.
        subject: What was looked at: a node's name, a file; "" for the whole.
        status: What it came to.
        found: What was seen.
        remedy: What to do; "" where there is nothing to do.
        reason: Why it matters.
    """

    check: str
    title: str
    subject: str
    status: Status
    found: str
    remedy: str
    reason: str


@dataclass(frozen=True)
class Check(Generic[Seen]):
    """A check.

    Attributes:
        id: Its name for programs, `group.what`, for good.
        title: What holds where it passes, as a statement.
        reason: Why it matters, in a sentence.
        remedy: What to do where it fails.
        look: Looks at what was seen and says what it found.
    """

    id: str
    title: str
    reason: str
    remedy: str
    look: Callable[[Seen], Finding | Iterable[Finding]]

    def results(self, seen: Seen, subject: str = "") -> Iterator[Result]:
        """Look, and yield a result for each finding.

        A check that fails by a defect of its own is a failed check: it never takes the others with it, nor
        ends the program as if all were well. Whoever interrupts is heard.
        """
        try:
            found = self.look(seen)
            findings = [found] if isinstance(found, Finding) else list(found)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a check may be anybody's, and raise SystemExit too
            findings = [failed(f"the check itself failed: {type(error).__name__}: {error}", "mend the check")]
        for status, what, remedy in findings:
            todo = "" if status in {Status.PASS, Status.OFF} else remedy or self.remedy
            yield Result(self.id, self.title, subject, status, what, todo, self.reason)


class Registry(Generic[Seen]):
    """Checks of one kind of thing, in the order in which they were added."""

    def __init__(self) -> None:
        self._checks: dict[str, Check[Seen]] = {}

    def check(
        self, id_: str, title: str, *, reason: str, remedy: str
    ) -> Callable[
        [Callable[[Seen], Finding | Iterable[Finding]]], Callable[[Seen], Finding | Iterable[Finding]]
    ]:
        """Return a decorator that adds a function as a check.

        Raises:
            ValueError: There is one of that id.
        """

        def add(
            look: Callable[[Seen], Finding | Iterable[Finding]],
        ) -> Callable[[Seen], Finding | Iterable[Finding]]:
            self._add(Check(id_, title, reason, remedy, look))
            return look

        return add

    def include(self, other: "Registry[Seen]") -> None:
        """Add the checks of another registry.

        Raises:
            ValueError: There is one of the same id.
        """
        for check in other:
            self._add(check)

    def _add(self, check: Check[Seen]) -> None:
        if check.id in self._checks:
            raise ValueError(f"there is a check {check.id!r} already")
        self._checks[check.id] = check

    def __iter__(self) -> Iterator[Check[Seen]]:
        return iter(self._checks.values())

    def __getitem__(self, id_: str) -> Check[Seen]:
        return self._checks[id_]

    def run(self, seen: Seen, subject: str = "", only: Iterable[str] = ()) -> list[Result]:
        """Run the checks, all or those of these ids, and return their results."""
        wanted = set(only)
        return [
            result
            for check in self
            if not wanted or check.id in wanted
            for result in check.results(seen, subject)
        ]


def holds(results: Iterable[Result]) -> bool:
    """Return whether nothing failed."""
    return all(result.status is not Status.FAIL for result in results)

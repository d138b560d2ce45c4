"""What nodes wrote down of their deployments (`node/record.py`), as the controller reads it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from mt5crs.fleet.facts import Recorded
from mt5crs.fleet.ssh import NodeError

OK = "ok"
ROLLBACK = "rollback"
INTERRUPTED = "interrupted"


@dataclass(frozen=True)
class Deployment:
    """Something that was done to a node.

    Attributes:
        time: When it was begun, ISO 8601 in UTC.
        what: `sync` or `rollback`.
        release: The release that the node was brought to.
        before: The one that it had; "" for none.
        result: `ok`, `failed`, `interrupted`, `not-restored`; "" where there is none.
        who: Who did it, as `user@host`.
        why: The reason, where it did not end well.
        ended: When it ended; "" where it did not.
        asked: When it was asked for, by the controller's clock; "" where that is not known.
    """

    time: str
    what: str
    release: str
    before: str
    result: str
    who: str = ""
    why: str = ""
    ended: str = ""
    asked: str = ""

    @property
    def came(self) -> bool:
        """Whether the node came to the release."""
        return self.result == OK


@dataclass(frozen=True)
class Record:
    """A node's record.

    Attributes:
        deployments: What was done to it, oldest first.
        problems: What is wrong with the record itself: lines that were changed, removed or torn.
    """

    deployments: tuple[Deployment, ...] = ()
    problems: tuple[str, ...] = ()


def record_of(answer: Mapping[str, Any] | NodeError) -> Record:
    """Return what a node answered about its record; nothing of one that did not.

    Of one that answered something else, that is what is wrong with its record.
    """
    if isinstance(answer, NodeError):
        return Record()
    try:
        found = msgspec.convert(answer, Recorded)
    except msgspec.ValidationError as error:
        return Record((), (f"it is not understood: {error}",))
    return Record(deployments_of(found.lines), found.problems)


def deployments_of(lines: Sequence[Mapping[str, Any]]) -> tuple[Deployment, ...]:
    """Return deployments from the lines of a record: one that begins, and one that ends it.

    One that another goes on with was interrupted, or could not be put back, as its own end says.
    """
    ends: dict[str, Mapping[str, Any]] = {
        str(line["resumes"]): {"result": INTERRUPTED, "error": INTERRUPTED, "time": line.get("time", "")}
        for line in lines
        if line.get("event") == "begun" and "resumes" in line
    }
    ends.update({str(line.get("id")): line for line in lines if line.get("event") == "ended"})
    return tuple(
        _deployment(line, ends.get(str(line.get("id")), {})) for line in lines if line.get("event") == "begun"
    )


def _deployment(begun: Mapping[str, Any], end: Mapping[str, Any]) -> Deployment:
    return Deployment(
        time=str(begun.get("time", "")),
        what=str(begun.get("what", "")),
        release=str(begun.get("to", "")),
        before=str(begun.get("from", "")),
        result=str(end.get("result", "")),
        who=str(begun.get("who", "")),
        why=str(end.get("error", "")),
        ended=str(end.get("time", "")),
        asked=str(begun.get("asked", "")),
    )


def path_of(deployments: Sequence[Deployment]) -> list[str]:
    """Return the releases by which a node came to its current one, which is the last.

    A rollback takes back what came after the release that it goes to, so that going back twice goes back two
    releases, and not there and back again.
    """
    path: list[str] = []
    for each in deployments:
        if not each.came:
            continue
        if each.what == ROLLBACK and each.release in path:
            del path[path.index(each.release) + 1 :]
        elif not path or path[-1] != each.release:
            path.append(each.release)
    return path


def previous(deployments: Sequence[Deployment], current: str) -> str:
    """Return the release that a node had before its current one; "" where there is none."""
    path = path_of(deployments)
    if current not in path:
        return path[-1] if path else ""
    last = len(path) - 1 - path[::-1].index(current)
    return path[last - 1] if last else ""


def latest(deployments: Mapping[str, Sequence[Deployment]], current: Mapping[str, str]) -> str:
    """Return the release that was brought last to any node that still has it; "" for none.

    One that a node went back to was not brought: else who took one node back could not take the others back.
    What was last is told by the controller's clock, since the nodes' own need not agree.
    """
    came = [
        (each.asked or each.ended, each.release)
        for name, lines in deployments.items()
        for each in lines
        if each.came and each.what != ROLLBACK and each.release == current.get(name)
    ]
    return max(came, default=("", ""))[1]


def merged(records: Mapping[str, Record]) -> list[tuple[str, Deployment]]:
    """Return what was done to all nodes, with each node's name, oldest first."""
    rows = [(name, each) for name, record in records.items() for each in record.deployments]
    return sorted(rows, key=lambda row: (row[1].asked or row[1].time, row[0]))

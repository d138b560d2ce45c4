"""Whether the nodes run what was audited, on a project and nodes that are made up."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mt5crs.checks import Result, Status
from mt5crs.fleet.audit.deployed import Deployed, registry
from mt5crs.fleet.audit.leaks import History
from mt5crs.fleet.audit.tree import Tree
from mt5crs.fleet.live import Failure, Seen
from tests.fleet.facts import ID, facts, fleet_seen

COMMIT = ID.rpartition("-")[2] + "0" * 28


def project(revision: str = COMMIT, changed: tuple[str, ...] = ()) -> Tree:
    return Tree(Path("/opt/mt5-crs"), history=History(revision, False, changed, 0, 0))


def results(
    tree: Tree, node: str = "inf", change: Callable[[Seen], Seen] = lambda seen: seen
) -> list[Result]:
    return registry.run(Deployed(fleet_seen(**{node: change})[node], tree), node)


@pytest.mark.parametrize(
    ("tree", "change", "status", "says"),
    [
        (project(), facts(), Status.PASS, ID),
        (project("ab" * 20), facts(), Status.FAIL, f"it runs {ID}, and abababababab was audited"),
        (project(), facts(current="1.0.0-w0123456789ab"), Status.WARN, "made from a wheel"),
        (Tree(Path(), no_history="no git here"), facts(), Status.OFF, "not known: no git here"),
        (project(""), facts(), Status.OFF, "there is none yet"),
        (Tree(Path(), release=ID), facts(), Status.PASS, ID),
        (Tree(Path(), release="2.0-w0123456789ab"), facts(), Status.FAIL, "2.0-w0123456789ab was audited"),
    ],
)
def test_what_a_node_runs_is_what_was_audited(
    tree: Tree, change: Callable[[Seen], Seen], status: Status, says: str
) -> None:
    (result,) = results(tree, change=change)
    assert result.status is status
    assert says in result.found
    assert bool(result.remedy) == (status in {Status.FAIL, Status.WARN})


def test_the_remedy_names_the_audited_commit() -> None:
    (result,) = results(project("ab" * 20))
    assert "mt5crs fleet sync --to abababababab" in result.remedy


def test_a_node_that_was_not_seen_is_told_elsewhere() -> None:
    assert results(project(), change=lambda seen: replace(seen, failure=Failure("no route"))) == []
    assert results(project(), change=facts(current="")) == []


def test_what_was_never_committed_is_told_once() -> None:
    tree = project(changed=("src/a.py", "src/b.py"))
    assert [each.status for each in results(tree)] == [Status.PASS]
    told = results(tree, "hub")
    assert [each.status for each in told] == [Status.PASS, Status.WARN]
    assert "2 files" in told[1].found
    assert "src/a.py" in told[1].found

"""What a rollout that did not come to all nodes tells, and what it says to do next."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from mt5crs.cli.fleet import tables
from mt5crs.cli.fleet.ending import alike, what_next
from mt5crs.fleet import rolling
from mt5crs.fleet.apply import End, Outcome
from mt5crs.fleet.inventory import Fleet
from mt5crs.fleet.plan import Plan, plan
from mt5crs.fleet.rollback import plan_back
from mt5crs.fleet.ssh import NodeError
from tests.cli.commands import Outcome as Ended
from tests.cli.commands import Run
from tests.fleet.test_back import B, C, everywhere, records
from tests.fleet.test_plan import NEW, OLD, RELEASE, all_nodes, at_rest, fleet, pins, state

FAILED = Outcome("inf", End.FAILED, OLD, "build: no room")
BETWEEN = Outcome("inf", End.FAILED, OLD, "deploy: it is broken", kind="not-restored")
LOST = Outcome("inf", End.FAILED, OLD, "deploy: the connection was lost", kind="lost")
DONE = Outcome("gtw", End.DONE, NEW, switched=1.0)
SETTINGS = Outcome("gtw", End.DONE, OLD, switched=1.0)
AGAIN = "mend that and run it again"
BACK = f"{AGAIN}, or `mt5crs fleet rollback`"
NOT_AS_BEFORE = "inf: not as before, and not as it should be"


@pytest.mark.parametrize(
    ("outcomes", "told"),
    [
        ([FAILED], f"no node came to another release: each is on what it ran; {AGAIN}"),
        ([FAILED, SETTINGS], f"no node came to another release: each is on what it ran; {AGAIN}"),
        ([FAILED, DONE], f"nodes that failed are as before; {BACK}"),
        ([BETWEEN], f"{NOT_AS_BEFORE}; {AGAIN}, or `mt5crs fleet rollback --only inf`"),
        ([BETWEEN, DONE], f"{NOT_AS_BEFORE}; {BACK}"),
        ([LOST], f"inf: `mt5crs fleet status` tells what is in use there now; {AGAIN}"),
    ],
)
def test_a_rollback_is_named_only_for_what_this_run_brought(
    tmp_path: Path, outcomes: list[Outcome], told: str
) -> None:
    own = fleet(tmp_path)
    assert what_next(plan(own, RELEASE, pins, all_nodes(own, state)), outcomes) == told


def test_a_rollback_that_failed_is_run_again(tmp_path: Path) -> None:
    own = fleet(tmp_path)
    made = plan_back(own, everywhere(own, C, B), records(own))
    told = what_next(made, [Outcome("inf", End.DONE, B), Outcome("gtw", End.FAILED, C, "deploy: no")])
    assert told == f"nodes that failed are as before; {AGAIN}"


def test_alike_failures_are_told_once() -> None:
    told = [("hub", "no room", "make room"), ("gtw", "it is off", ""), ("inf", "no room", "make room")]
    assert alike(told) == ["hub, inf: no room", "  hint: make room", "gtw: it is off"]
    long = "build: " + "x" * tables.LONGEST
    rows = tables.outcome_rows([Outcome(name, End.FAILED, why=long) for name in ("hub", "gtw")])
    table = tables.outcome_table("result", rows)
    assert [row["why"] for row in table.view or ()] == [long, "as on hub"]
    assert [row["why"] for row in table.rows] == [long, long]


def dry(run: Run, monkeypatch: pytest.MonkeyPatch, file: Path, made: Plan) -> Ended:
    async def looked(_fleet: Fleet, _decide: object) -> Plan:
        return made

    monkeypatch.setattr(rolling, "looked", looked)
    return run("fleet", "sync", "--dry-run", "--on-failure", "continue", "-i", str(file))


def test_a_dry_run_ends_as_the_run_would(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    own = replace(fleet(tmp_path), on_failure="continue")
    states = all_nodes(own, lambda node: at_rest(own, node))
    states["inf"] = at_rest(own, own.nodes["inf"], env_trouble=".env is no text")
    states["gpu"] = NodeError("gpu", "no answer", hint="is it on?", kind="unreachable")
    done = dry(run, monkeypatch, tmp_path / "fleet.toml", plan(own, RELEASE, pins, states))
    assert done.code == 1, done.err
    assert "inf: .env is no text\n  hint: mend" in done.err
    assert "error: it would not come to inf" in done.err
    assert "gpu: off: no answer\n  hint: is it on?" in done.err
    states["inf"] = at_rest(own, own.nodes["inf"])
    assert dry(run, monkeypatch, tmp_path / "fleet.toml", plan(own, RELEASE, pins, states)).code == 0

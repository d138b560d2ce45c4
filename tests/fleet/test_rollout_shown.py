"""What a rollout looks like: rows, lines and tables, from events and plans alone."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from mt5crs.cli.fleet import tables
from mt5crs.cli.fleet.live import Rows, tell
from mt5crs.cli.output import Form, Output, Table
from mt5crs.fleet.apply import End, NodeProgress, Outcome, Progress
from mt5crs.fleet.plan import Drift, State, Step, plan
from mt5crs.fleet.record import Record
from mt5crs.fleet.rollback import plan_back
from mt5crs.fleet.ssh import NodeError
from mt5crs.fleet.status import status
from tests.fleet.test_back import STORY, A, B, C, came, everywhere, records
from tests.fleet.test_plan import NEW, RELEASE, all_nodes, at_rest, fleet, pins, state


def written(table: Table, form: Form) -> str:
    stream = io.StringIO()
    Output(form, stream).write(table)
    return stream.getvalue()


def test_a_row_for_each_node_tells_its_step_and_how_long_that_takes() -> None:
    now = 100.0
    rows = Rows(["gtw", "inf"], lambda: now)
    rows.took(NodeProgress("gtw", Step.BUILD, "unpacking", Progress.BEGUN))
    now = 103.0
    rows.took(NodeProgress("gtw", Step.BUILD, "installing\x1b[2J", Progress.SAID))
    stream = io.StringIO()
    Console(file=stream, width=100).print(rows)
    gtw, inf = stream.getvalue().splitlines()
    assert gtw.split() == ["…", "gtw", "build", "3", "s", "installing\\x1b[2J"]
    assert inf.split() == ["inf", "waits"]
    rows.took(NodeProgress("gtw", Step.DEPLOY, NEW, Progress.BEGUN))
    now = 105.0
    rows.took(NodeProgress("gtw", Step.DEPLOY, "", Progress.ENDED))
    now = 199.0
    stream = io.StringIO()
    Console(file=stream, width=100).print(rows)
    assert stream.getvalue().split()[:5] == ["✓", "gtw", "switch", "2", "s"]


@pytest.mark.parametrize(
    ("state_", "text", "line"),
    [
        (Progress.SAID, "unpacking", "gtw: build: unpacking\n"),
        (Progress.FAILED, "no room", "gtw: build: failed: no room\n"),
        (Progress.ENDED, "", ""),
    ],
)
def test_without_a_terminal_a_line_tells_each_step(
    state_: Progress, text: str, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    tell(NodeProgress("gtw", Step.BUILD, text, state_))
    assert capsys.readouterr().err == line


def test_a_plan_is_written_for_people_and_for_programs(tmp_path: Path) -> None:
    own = fleet(tmp_path)
    states = all_nodes(own, state)
    states["gpu"] = NodeError("gpu", "no answer", kind="unreachable")
    table = tables.plan_table(plan(own, RELEASE, pins, states))
    people = written(table, Form.TABLE)
    assert "fetch packages, send, build, switch" in people
    assert "+MT5_HOST, +MT5_PORT" in people
    document = json.loads(written(table, Form.JSON))
    assert document["release"] == NEW
    nodes = {row["node"]: row for row in document["nodes"]}
    assert nodes["inf"]["env"] == [
        {"name": "MT5_HOST", "old": None, "new": "10.0.0.2"},
        {"name": "MT5_PORT", "old": None, "new": "5555"},
    ]
    assert nodes["gtw"]["bytes"] == 1010
    assert nodes["gpu"]["action"] == "off"
    rows = {row["node"]: row for row in csv.DictReader(io.StringIO(written(table, Form.CSV)))}
    assert rows["inf"]["env"] == "MT5_HOST=10.0.0.2; MT5_PORT=5555"
    assert rows["gtw"]["steps"] == "send; build; deploy"


def test_what_became_of_nodes_is_written(tmp_path: Path) -> None:
    rows = tables.outcome_rows([
        Outcome("gtw", End.DONE, NEW, seconds=1.23456, switched=0.5),
        Outcome("inf", End.FAILED, "", why="build: no room", hint="make room"),
    ])  # fmt: skip
    assert rows[0]["seconds"] == 1.235
    people = written(tables.outcome_table("result", rows), Form.TABLE)
    assert "build: no room" in people
    assert json.loads(written(tables.outcome_table("result", rows), Form.JSON))[1]["hint"] == "make room"


def test_how_nodes_are_is_written(tmp_path: Path) -> None:
    own = fleet(tmp_path)
    states: dict[str, State] = {
        "gtw": at_rest(own, own.nodes["gtw"], C),
        "gpu": NodeError("gpu", "no answer", kind="unreachable"),
    }
    table = tables.status_table(
        status(own, states, {"gtw": Record(STORY)}, {"gtw": Drift(("a is changed",))})
    )
    people = written(table, Form.TABLE)
    assert "drift: a is changed" in people
    assert "off: no answer" in people
    gtw, gpu = json.loads(written(table, Form.JSON))
    assert gtw["services"] == {"gateway": "running"}
    assert gpu["off"] is True
    first = next(csv.DictReader(io.StringIO(written(table, Form.CSV))))
    assert first["services"] == "gateway=running"


def test_long_troubles_stand_below_the_table_with_what_to_do(tmp_path: Path) -> None:
    own = fleet(tmp_path)
    long = NodeError(
        "inf",
        "another host key than the inventory has for it",
        hint="mt5crs fleet pin inf",
        kind="host-key",
    )
    states: dict[str, State] = {"gtw": at_rest(own, own.nodes["gtw"], C), "inf": long}
    nodes = status(own, states, {"gtw": Record(STORY)}, {})
    people = written(tables.status_table(nodes), Form.TABLE)
    assert "cannot be asked, see below" in people
    assert "another host key" not in people
    assert tables.below(nodes) == [
        "inf: cannot be asked: another host key than the inventory has for it",
        "  hint: mt5crs fleet pin inf",
    ]


def test_a_plan_to_go_back_fills_its_columns(tmp_path: Path) -> None:
    own = fleet(tmp_path)
    people = written(tables.plan_table(plan_back(own, everywhere(own, C, B), records(own))), Form.TABLE)
    assert "switch" in people
    assert f"as with {B}" in people
    assert "gateway" in people


def test_a_history_is_written(tmp_path: Path) -> None:
    story = [*STORY, came(A, C, result="failed", at=4), came(A, C, result="", at=5)]
    ended = written(tables.history_table([("gtw", each) for each in story]), Form.TABLE)
    assert "failed" in ended
    assert "interrupted" in ended
    people = written(tables.history_table([("gtw", each) for each in STORY]), Form.TABLE)
    assert people.count("root@desk") == 3
    assert "2026-01-02 03:04:03" in people


def test_a_reason_in_the_history_is_told_once(tmp_path: Path) -> None:
    failed = replace(came(B, A, result="failed", at=4), why="not running: gateway (failed)")
    rows = [
        ("gtw", came(A, at=1)),
        ("gtw", failed),
        ("inf", replace(failed, time="2026-01-02T03:04:05Z")),
        ("inf", replace(came(B, A, result="interrupted", at=6), why="interrupted")),
    ]
    assert tables.reasons(rows) == [
        "gtw 2026-01-02 03:04:04, inf 2026-01-02 03:04:05: failed: not running: gateway (failed)"
    ]
    assert "not running" not in written(tables.history_table(rows), Form.TABLE)
    assert "not running" in written(tables.history_table(rows), Form.CSV)

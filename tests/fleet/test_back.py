"""Where nodes go back to, and how they are: decided from their records and what they have."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from mt5crs.checks import Result, Status
from mt5crs.cli.fleet import tables, undoing
from mt5crs.errors import SettingError
from mt5crs.fleet.apply import End, Outcome
from mt5crs.fleet.facts import Built, NodeState
from mt5crs.fleet.inventory import Fleet
from mt5crs.fleet.plan import Action, Drift, State, Step
from mt5crs.fleet.record import (
    Deployment,
    Record,
    deployments_of,
    latest,
    merged,
    path_of,
    previous,
    record_of,
)
from mt5crs.fleet.rollback import plan_back, proof_of, unfit
from mt5crs.fleet.ssh import NodeError
from mt5crs.fleet.status import NodeStatus, status
from mt5crs.fleet.undo import Undone, revision_of, undone
from tests.fleet.test_plan import at_rest, built, fleet, state

A, B, C = "1.0.0-aaaaaaaaaaaa", "1.1.0-bbbbbbbbbbbb", "1.2.0-cccccccccccc"


def came(release: str, before: str = "", what: str = "sync", result: str = "ok", at: int = 0) -> Deployment:
    time = f"2026-01-02T03:04:{at:02d}Z"
    return Deployment(time, what, release, before, result, "root@desk", "", time)


STORY = (came(A, at=1), came(B, A, at=2), came(C, B, at=3))


@pytest.mark.parametrize(
    ("deployments", "path"),
    [
        ((), []),
        (STORY, [A, B, C]),
        ((*STORY, came(B, C, "rollback")), [A, B]),
        ((*STORY, came(A, C, "rollback")), [A]),
        ((*STORY, came(B, C, "rollback"), came(C, B)), [A, B, C]),
        ((*STORY, came(A, C, result="failed")), [A, B, C]),
        ((came(A), came(A, A), came(B, A)), [A, B]),
        ((came(B), came(C, B), came(A, C, "rollback")), [B, C, A]),
    ],
)
def test_a_rollback_takes_back_what_came_after(deployments: tuple[Deployment, ...], path: list[str]) -> None:
    assert path_of(deployments) == path


def test_going_back_twice_goes_back_two_releases() -> None:
    assert previous(STORY, C) == B
    once = (*STORY, came(B, C, "rollback"))
    assert previous(once, B) == A
    assert previous((*once, came(A, B, "rollback")), A) == ""


def test_what_came_last_is_what_is_taken_back() -> None:
    done = {"gtw": STORY, "inf": STORY[:2]}
    assert latest(done, {"gtw": C, "inf": B}) == C
    assert latest(done, {"gtw": A, "inf": B}) == B
    assert latest({}, {}) == ""
    wrong = Deployment("2030-01-01", "sync", B, A, "ok", ended="2030-01-01", asked="2026-01-01")
    right = Deployment("2026-01-02", "sync", C, B, "ok", ended="2026-01-02", asked="2026-01-02")
    assert latest({"gtw": [right], "inf": [wrong]}, {"gtw": C, "inf": B}) == C  # inf's clock is wrong
    one_is_back = {"gtw": STORY, "inf": (*STORY, came(B, C, "rollback", at=9))}
    assert latest(one_is_back, {"gtw": C, "inf": B}) == C


def begun(id_: str, to: str, **more: Any) -> dict[str, Any]:
    facts = {
        "id": id_,
        "time": "2026-01-02T03:04:05Z",
        "who": "root@desk",
        "what": "sync",
        "from": A,
        "to": to,
    }
    return {"event": "begun", **facts, **more}


def test_lines_of_a_record_become_deployments() -> None:
    ended = {**begun("1", B), "event": "ended", "result": "failed", "error": "no disk", "time": "later"}
    first, second = deployments_of([begun("1", B), ended, begun("2", C)])
    assert first == Deployment(
        "2026-01-02T03:04:05Z", "sync", B, A, "failed", "root@desk", "no disk", "later"
    )
    assert (second.release, second.result, second.came) == (C, "", False)
    assert record_of(NodeError("inf", "off")) == Record()
    assert record_of({"lines": [], "problems": ["line 2 is torn"]}).problems == ("line 2 is torn",)


def test_records_of_all_nodes_are_one_history() -> None:
    records = {"gtw": Record((came(A, at=2), came(B, A, at=4))), "inf": Record((came(A, at=3),))}
    assert [(name, each.release) for name, each in merged(records)] == [("gtw", A), ("inf", A), ("gtw", B)]


def has(own: Fleet, name: str, current: str, *others: str, **changes: Any) -> NodeState:
    node = own.nodes[name]
    releases = {id_: built(id_) for id_ in (current, *others)}
    return state(node, current, releases, **changes)


def everywhere(own: Fleet, current: str, *others: str) -> dict[str, State]:
    return {name: has(own, name, current, *others) for name in own.nodes}


def records(own: Fleet, deployments: tuple[Deployment, ...] = STORY) -> dict[str, Record]:
    return {name: Record(deployments) for name in own.nodes}


def test_clients_go_back_before_their_gateway(tmp_path: Path) -> None:
    own = fleet(tmp_path)
    plan = plan_back(own, everywhere(own, C, B), records(own))
    assert plan.stages == (("gpu",), ("inf",), ("gtw",), ("hub",))
    assert {(each.action, each.release, each.steps) for each in plan.nodes.values()} == {
        (Action.CHANGE, B, (Step.DEPLOY,))
    }
    assert plan.what == "rollback"


def test_a_plan_says_what_is_restarted_and_why(tmp_path: Path) -> None:
    own = fleet(tmp_path)
    gtw = plan_back(own, everywhere(own, C, B), records(own)).nodes["gtw"]
    assert gtw.restarts == ("gateway",)
    assert gtw.why == (f"{C} was brought last, and is taken back",)
    named = plan_back(own, everywhere(own, C, B, A), records(own), to=A).nodes["gtw"]
    assert named.why == (f"{A} was asked for",)


def test_where_nothing_can_be_taken_back_that_is_said_once(tmp_path: Path) -> None:
    own = fleet(tmp_path)
    first = plan_back(own, everywhere(own, A), records(own, STORY[:1]))
    assert first.problem == f"there is nothing to take back: no node had a release before {A}"
    none = {name: state(node, "", {}) for name, node in own.nodes.items()}
    assert "no release was brought" in plan_back(own, none, {}).problem


def test_a_damaged_release_is_no_way_back(tmp_path: Path) -> None:
    own = fleet(tmp_path)
    whole = plan_back(own, everywhere(own, C, B), records(own))
    plan = unfit(whole, {"inf": ("scripts/a is changed",), "gtw": ()})
    assert plan.nodes["inf"].why == (f"{B} is damaged there: scripts/a is changed",)
    assert "sync --to bbbbbbbbbbbb" in plan.nodes["inf"].hint
    assert plan.nodes["gtw"].action is Action.CHANGE
    assert plan.blocked


def finding(check: str, status_: Status = Status.FAIL) -> Result:
    return Result(check, "as it should be", "inf", status_, "it is not", "mend it", "it matters")


@pytest.mark.parametrize(
    ("check", "all_", "status_"),
    [
        ("settings.inventory", True, Status.WARN),
        ("release.same", False, Status.WARN),
        ("release.same", True, Status.FAIL),
        ("gateway.answers", False, Status.FAIL),
    ],
)
def test_what_going_back_brings_about_is_a_note(check: str, all_: bool, status_: Status) -> None:
    assert [each.status for each in proof_of([finding(check)], all_=all_)] == [status_]
    right = finding(check, Status.PASS)
    assert proof_of([right], all_=all_) == [right]


@pytest.mark.parametrize(
    ("ends", "why"),
    [
        ((End.DONE, End.UNCHANGED, End.OFF), ""),
        ((End.DONE, End.FAILED, End.SKIPPED), "not all nodes went back: gtw, gpu"),
    ],
)
def test_hub_is_left_alone_where_nodes_did_not_go_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: tuple[End, ...], why: str
) -> None:
    own = fleet(tmp_path)
    plan = plan_back(own, everywhere(own, C, B), records(own))
    made = ["0123456789ab Revert"]
    monkeypatch.setattr(undoing, "_done", lambda _asked: made)
    outcomes = [Outcome(name, end) for name, end in zip(("inf", "gtw", "gpu"), ends, strict=True)]
    taken = undoing.after(undoing.AtHub(own, undoing.Git.REVERT, Undone(C, B), ""), plan, outcomes)
    assert taken.why == why
    assert taken.commits == (() if why else tuple(made))
    assert (f"rollback --to {B} --git revert" in taken.hint) is bool(why)


def test_nodes_that_the_last_rollout_did_not_come_to_stay(tmp_path: Path) -> None:
    own = fleet(tmp_path)
    states = everywhere(own, C, B)
    states["gpu"] = has(own, "gpu", B, A)
    plan = plan_back(own, states, {**records(own), "gpu": Record(STORY[:2])})
    assert plan.nodes["gpu"].action is Action.NOTHING
    assert plan.nodes["gpu"].why == (f"it does not have {C}, which is taken back",)
    assert plan.nodes["inf"].release == B


def test_who_took_one_node_back_can_take_the_others_back(tmp_path: Path) -> None:
    own = fleet(tmp_path)
    states = everywhere(own, C, B, A)
    states["inf"] = has(own, "inf", B, A)
    back = {**records(own), "inf": Record((*STORY, came(B, C, "rollback", at=9)))}
    plan = plan_back(own, states, back)
    assert plan.nodes["inf"].action is Action.NOTHING
    assert {plan.nodes[name].release for name in ("hub", "gtw", "gpu")} == {B}


@pytest.mark.parametrize("name", [A, "1.0.0", "aaaa", "aaaaaaaaaaaa", f"{'a' * 40}"])
def test_a_release_can_be_named_in_many_ways(tmp_path: Path, name: str) -> None:
    own = fleet(tmp_path)
    plan = plan_back(own, everywhere(own, C, B, A), records(own), to=name)
    assert {each.release for each in plan.nodes.values()} == {A}


@pytest.mark.parametrize(
    ("to", "why"),
    [
        ("1.", f"1. may be {A} or {B} or {C}"),
    ],
)
def test_a_release_that_is_not_there_or_not_clear_is_refused(tmp_path: Path, to: str, why: str) -> None:
    own = fleet(tmp_path)
    plan = plan_back(own, everywhere(own, C, B, A), records(own), to=to)
    assert plan.nodes["inf"].why == (why,)
    assert plan.nodes["inf"].action is Action.REFUSED
    assert plan.blocked


def test_a_release_that_no_node_knows_is_told_once(tmp_path: Path) -> None:
    own = fleet(tmp_path)
    plan = plan_back(own, everywhere(own, C, B, A), records(own), to="9.9")
    assert plan.problem == "no node has or had a release 9.9"
    assert "--to 9.9" not in plan.hint
    assert all("builds it there" not in each.hint for each in plan.nodes.values())
    assert f"{A}, {B}, {C}" in plan.hint


def test_a_release_that_was_there_is_brought_again(tmp_path: Path) -> None:
    own = fleet(tmp_path)
    plan = plan_back(own, everywhere(own, C, B), records(own), to="1.0.0")
    assert plan.nodes["inf"].why == (f"it does not have 1.0.0, but {B}, {C}",)
    assert plan.nodes["inf"].hint == "`mt5crs fleet sync --to aaaaaaaaaaaa` builds it there again"
    wheel = "1.0.0-w0123456789ab"
    states = {**everywhere(own, C, B), "gpu": has(own, "gpu", C, wheel)}
    assert "--wheel" in plan_back(own, states, {}, to=wheel).nodes["inf"].hint


def test_a_release_that_was_removed_or_is_not_complete_is_refused(tmp_path: Path) -> None:
    own = fleet(tmp_path)
    states = everywhere(own, C, B)
    states["inf"] = has(own, "inf", C)
    states["gtw"] = has(own, "gtw", C, incomplete=(B,))
    plan = plan_back(own, states, records(own))
    assert plan.nodes["inf"].why == (f"{B} is not there any more",)
    assert plan.nodes["gtw"].why == (f"{B} is not complete there",)
    assert "sync --to bbbbbbbbbbbb" in plan.nodes["inf"].hint


def test_a_node_without_an_earlier_release_is_refused_or_left_out(tmp_path: Path) -> None:
    own = fleet(tmp_path)
    told = {**records(own), "gpu": Record((came(C, at=3),))}
    plan = plan_back(own, everywhere(own, C, B), told)
    assert plan.nodes["gpu"].why == (f"it had nothing before {C}",)
    assert "--only" in plan.nodes["gpu"].hint
    assert not plan_back(own, everywhere(own, C, B), told, only=("gtw", "inf")).blocked


def test_files_that_the_earlier_release_cannot_read_refuse_it(tmp_path: Path) -> None:
    own = fleet(tmp_path)
    states = everywhere(own, C, B)
    states["gtw"] = has(own, "gtw", C, B, journals={"journal": 4})
    plan = plan_back(own, states, records(own))
    assert plan.nodes["gtw"].action is Action.REFUSED
    assert plan.nodes["gtw"].why == ("its journal is of version 4, the release reads up to 3",)


def speaking(own: Fleet, now: tuple[int, ...], then: tuple[int, ...]) -> dict[str, State]:
    found: dict[str, Built] = {C: built(C, speaks=now), B: built(B, speaks=then)}
    return {name: state(node, C, found) for name, node in own.nodes.items()}


def test_nobody_is_cut_off_on_the_way_back(tmp_path: Path) -> None:
    own = fleet(tmp_path)
    assert not plan_back(own, speaking(own, (3, 2), (2,)), records(own)).problem
    alone = plan_back(own, speaking(own, (3,), (2,)), records(own), only=("inf",))
    assert alone.problem == "inf would speak protocol 2 and its gateway on gtw protocol 3"
    assert alone.blocked


def test_what_was_begun_is_taken_back_where_it_began(tmp_path: Path) -> None:
    own = fleet(tmp_path)
    states = everywhere(own, B, A)
    states["inf"] = has(own, "inf", C, B, unfinished={"what": "sync", "from": B, "to": C})
    plan = plan_back(own, states, records(own, STORY[:2]), only=("inf",))
    assert plan.nodes["inf"].action is Action.CHANGE
    assert plan.nodes["inf"].release == B


def test_an_optional_node_that_is_off_does_not_keep_others(tmp_path: Path) -> None:
    own = fleet(tmp_path)
    states = everywhere(own, C, B)
    states["gpu"] = NodeError("gpu", "no answer", kind="unreachable")
    plan = plan_back(own, states, records(own))
    assert plan.nodes["gpu"].action is Action.OFF
    assert not plan.blocked


def test_what_was_undone_is_known_before_and_after_the_rollback(tmp_path: Path) -> None:
    own = fleet(tmp_path)
    assert undone(plan_back(own, everywhere(own, C, B), records(own)), records(own)) == Undone(C, B)
    back = records(own, (*STORY, came(B, C, "rollback", at=4)))
    assert undone(plan_back(own, everywhere(own, B, A), back, to=B), back) == Undone(C, B)
    with pytest.raises(SettingError, match="no node went back"):
        undone(plan_back(own, everywhere(own, C, B), records(own), to=C), records(own))


def test_a_wheel_has_no_commit_to_undo() -> None:
    assert revision_of(A) == "aaaaaaaaaaaa"
    with pytest.raises(SettingError, match="is of a wheel"):
        revision_of("1.0.0-w0123456789ab")


def one_status(own: Fleet, name: str, seen: State, record: Record, drift: Drift | None = None) -> NodeStatus:
    return status(own, {name: seen}, {name: record}, {name: drift or Drift()})[0]


def test_a_node_that_is_well(tmp_path: Path) -> None:
    own = fleet(tmp_path)
    seen = at_rest(own, own.nodes["gtw"], C)
    seen = msgspec.structs.replace(seen, releases={**seen.releases, B: built(B)})
    told = one_status(own, "gtw", seen, Record(STORY))
    assert told.well
    assert (told.release, told.previous, told.by, told.since) == (C, B, "root@desk", STORY[2].ended)
    assert told.services == (("gateway", "running"),)


@pytest.mark.parametrize(
    ("changes", "drift", "told"),
    [
        ({"services": {"gateway": "failed"}}, Drift(), ("service gateway does not run",)),
        ({"env": {"MT5_HOST": "x"}}, Drift(), ("MT5_HOST=x -> 10.0.0.2",)),
        ({}, Drift(("scripts/a is changed",)), ("scripts/a is changed",)),
        ({}, Drift((), ("service gateway runs another command",)), ("service gateway runs another command",)),
    ],
)
def test_drift_is_told(tmp_path: Path, changes: dict[str, Any], drift: Drift, told: tuple[str, ...]) -> None:
    own = fleet(tmp_path)
    seen = msgspec.structs.replace(at_rest(own, own.nodes["gtw"], C), **changes)
    found = one_status(own, "gtw", seen, Record(STORY), drift)
    assert found.drift == told
    assert not found.well


def test_settings_that_went_back_are_no_drift(tmp_path: Path) -> None:
    own = fleet(tmp_path)
    seen = msgspec.structs.replace(at_rest(own, own.nodes["gtw"], B), env={"MT5_HOST": "x"})
    found = one_status(own, "gtw", seen, Record((*STORY, came(B, C, "rollback", at=9))))
    assert (found.well, found.drift) == (True, ())
    assert found.went_back == f"went back from {C} on 2026-01-02 (MT5_HOST=x -> 10.0.0.2)"


def test_a_service_that_nobody_knows_of_is_not_well(tmp_path: Path) -> None:
    own = fleet(tmp_path)
    seen = msgspec.structs.replace(at_rest(own, own.nodes["gtw"], C), services={"gateway": "unknown"})
    found = one_status(own, "gtw", seen, Record(STORY))
    assert (found.well, found.unknown) == (False, ("gateway",))


def test_a_node_that_is_off_is_well_if_it_may_be(tmp_path: Path) -> None:
    own = fleet(tmp_path)
    gone = one_status(own, "inf", NodeError("inf", "no answer", kind="unreachable"), Record())
    assert (gone.well, gone.problem) == (False, "no answer")
    assert one_status(own, "gpu", NodeError("gpu", "no answer", kind="unreachable"), Record()).well
    assert not one_status(own, "gpu", NodeError("gpu", "another", kind="host-key"), Record()).well


def test_what_is_unfinished_or_broken_is_told(tmp_path: Path) -> None:
    own = fleet(tmp_path)
    seen = at_rest(own, own.nodes["inf"], C, unfinished={"what": "sync", "to": B})
    assert one_status(own, "inf", seen, Record()).unfinished == f"sync to {B}"
    assert not one_status(own, "inf", at_rest(own, own.nodes["inf"], C), Record((), ("line 2 is torn",))).well


def test_nodes_on_different_releases_are_told(tmp_path: Path) -> None:
    own = fleet(tmp_path)
    states: dict[str, State] = {name: at_rest(own, node, B) for name, node in own.nodes.items()}
    states["gpu"] = NodeError("gpu", "no answer", kind="unreachable")
    assert all(each.well for each in status(own, states, records(own, STORY[:2]), {}))
    states["hub"] = at_rest(own, own.nodes["hub"], C)  # as after Ctrl-C between two stages
    told = {each.node: each for each in status(own, states, records(own, STORY[:2]), {})}
    assert {name for name, each in told.items() if each.well} == {"hub", "gpu"}
    assert told["inf"].other == f"not {C}, as on hub"
    assert tables.state_of(told["inf"]) == told["inf"].other
    states["inf"] = at_rest(own, own.nodes["inf"], A)
    states["hub"] = NodeError("hub", "no answer")
    states["gpu"] = states["gtw"]
    back = {"inf": Record((*STORY, came(A, C, "rollback", at=9)))}
    told = {each.node: each for each in status(own, states, back, {})}
    assert told["gtw"].well
    assert told["inf"].other == f"not {B}, as on most nodes: went back from {C} on 2026-01-02"


def test_a_node_without_a_release_has_no_drift(tmp_path: Path) -> None:
    own = fleet(tmp_path)
    found = one_status(own, "gtw", state(own.nodes["gtw"], ""), Record())
    assert (found.well, found.drift) == (False, ())
    assert tables.state_of(found) == "has no release"

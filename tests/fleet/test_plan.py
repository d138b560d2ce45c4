"""Decisions alone: what is to be done on which node, from what they are."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mt5crs.errors import SettingError
from mt5crs.fleet.compatible import cut_off, fit, unreadable, way
from mt5crs.fleet.facts import About, Built, File, Interpreter, NodeState, Release
from mt5crs.fleet.inventory import Fleet, Node, Role
from mt5crs.fleet.plan import Action, Change, Plan, State, Step, digest, plan, stages_of
from mt5crs.fleet.ssh import NodeError

TOML = """
[roles.gtw]
extras = ["secure"]
env = { MT5_HOST = "10.0.0.2" }
services = ["gateway"]
[roles.hub]
extras = []
[roles.gpu]
extras = []
[roles.inf]
extras = []
env = { MT5_HOST = "10.0.0.2", MT5_PORT = "5555" }
[services.gateway]
command = "mt5crs gateway"
[nodes.hub]
role = "hub"
address = "10.0.0.1"
[nodes.gtw]
role = "gtw"
address = "10.0.0.2"
os = "windows"
[nodes.inf]
role = "inf"
address = "10.0.0.3"
index = false
[nodes.gpu]
role = "gpu"
address = "10.0.0.4"
optional = true
"""
OLD, NEW = "1.0.0-0123456789ab", "1.1.0-ba9876543210"
FILES = (File("mt5crs-1.1.0-py3-none-any.whl", 1000, "a" * 64), File("requirements.lock", 10, "b" * 64))
RELEASE = Release(NEW, "1.1.0", "ba9876543210", "2026-01-02T03:04:05Z", "Do it", FILES)
PYTHON = Interpreter("3.11.7", {"sys_platform": "linux"}, ("glibc", "2.36"), has_venv=True)


def fleet(tmp_path: Path, text: str = TOML) -> Fleet:
    path = tmp_path / "fleet.toml"
    path.write_text(text)
    return Fleet.read(path)


def pins(extras: tuple[str, ...], interpreter: Interpreter) -> str:
    return f"# {interpreter.version} {','.join(extras)}\n"


def built(
    id_: str,
    extras: tuple[str, ...] = (),
    speaks: tuple[int, ...] = (2,),
    files: dict[str, int] | None = None,
) -> Built:
    about = About(id_.partition("-")[0], speaks, files or {"journal": 3}, "3.11.7", {})
    release = msgspec.structs.replace(RELEASE, id=id_)
    return Built(release, about, digest(pins(extras, PYTHON)), extras, "2026-01-02T03:04:05Z")


def state(
    node: Node, current: str = OLD, releases: dict[str, Built] | None = None, **changes: Any
) -> NodeState:
    known = {current: built(current)} if current else {}
    base = NodeState(
        time=0.0, host=node.name, user="root", os=node.os, python=PYTHON, free=10**12, current=current,
        releases=known if releases is None else releases, incomplete=(), env={}, services={},
        unfinished=None, journals={}, git=True,
    )  # fmt: skip
    return msgspec.structs.replace(base, **changes)


def at_rest(own: Fleet, node: Node, id_: str = NEW, **changes: Any) -> NodeState:
    """Return a node that is as it should be with a release."""
    services = dict.fromkeys(own.services_of(node), "running")
    releases = {id_: built(id_, own.extras(node))}
    return state(node, id_, releases, env=own.env(node), services=services, **changes)


def all_nodes(own: Fleet, make: Callable[[Node], State]) -> dict[str, State]:
    return {name: make(node) for name, node in own.nodes.items()}


def planned(own: Fleet, states: dict[str, State], **options: Any) -> Plan:
    return plan(own, RELEASE, pins, states, **options)


def test_a_release_is_sent_built_and_deployed_everywhere(tmp_path: Path) -> None:
    own = fleet(tmp_path)
    made = planned(own, all_nodes(own, state))
    assert {each.action for each in made.nodes.values()} == {Action.CHANGE}
    assert made.nodes["gtw"].steps == (Step.SEND, Step.BUILD, Step.DEPLOY)
    assert made.nodes["inf"].steps == (Step.WHEELHOUSE, Step.SEND, Step.BUILD, Step.DEPLOY)  # it has no index
    assert made.nodes["gtw"].why == (f"another release than {OLD}", "not built there yet")
    assert made.nodes["gtw"].extras == ("secure",)
    assert made.nodes["gtw"].pins == pins(("secure",), PYTHON)
    assert made.nodes["gtw"].restarts == ("gateway",)
    assert made.nodes["inf"].changes == (
        Change("MT5_HOST", None, "10.0.0.2"),
        Change("MT5_PORT", None, "5555"),
    )
    assert made.stages == (("hub",), ("gtw",), ("inf",), ("gpu",))
    assert not made.nothing
    assert not made.blocked


def test_a_second_plan_has_nothing_to_do(tmp_path: Path) -> None:
    own = fleet(tmp_path)
    made = planned(own, all_nodes(own, lambda node: at_rest(own, node)))
    assert {(each.action, each.steps, each.why) for each in made.nodes.values()} == {(Action.NOTHING, (), ())}
    assert made.nothing


def test_a_release_that_is_there_is_only_switched_to(tmp_path: Path) -> None:
    own = fleet(tmp_path)
    node = own.nodes["inf"]
    states = all_nodes(own, lambda each: at_rest(own, each))
    states["inf"] = state(node, OLD, {OLD: built(OLD), NEW: built(NEW)}, env=own.env(node))
    made = planned(own, states)
    assert made.nodes["inf"].steps == (Step.DEPLOY,)
    assert made.nodes["inf"].changes == ()
    assert {name for name, each in made.nodes.items() if each.action is Action.CHANGE} == {"inf"}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"env": {"MT5_HOST": "elsewhere", "MT5_PORT": "5555"}}, "MT5_HOST=elsewhere -> 10.0.0.2"),
        ({"env": {"MT5_HOST": "10.0.0.2"}}, "+MT5_PORT=5555"),
    ],
)
def test_drift_of_settings_is_found_and_repaired(tmp_path: Path, changes: dict[str, Any], why: str) -> None:
    own = fleet(tmp_path)
    states = all_nodes(own, lambda each: at_rest(own, each))
    states["inf"] = msgspec.structs.replace(at_rest(own, own.nodes["inf"]), **changes)
    made = planned(own, states)
    assert made.nodes["inf"].steps == (Step.DEPLOY,)
    assert made.nodes["inf"].drift == made.nodes["inf"].why == (why,)


@pytest.mark.parametrize(
    ("kind", "why", "hint"),
    [
        ("read-only", "the file system of /opt/mt5-crs is read-only", "findmnt -T /opt/mt5-crs"),
        ("permission", "root may not write to /opt/mt5-crs", "install -d -o root -m 700 /opt/mt5-crs"),
    ],
)
def test_a_folder_that_cannot_be_written_to_refuses_it(
    tmp_path: Path, kind: str, why: str, hint: str
) -> None:
    own = fleet(tmp_path)
    made = planned(own, all_nodes(own, lambda node: state(node, unwritable=kind)))
    assert made.nodes["inf"].action is Action.REFUSED
    assert made.nodes["inf"].why == (why,)
    assert hint in made.nodes["inf"].hint


def test_what_the_inventory_does_not_name_is_the_nodes_own(tmp_path: Path) -> None:
    own = fleet(tmp_path)
    states = all_nodes(own, lambda each: at_rest(own, each))
    inf = own.nodes["inf"]
    states["inf"] = msgspec.structs.replace(at_rest(own, inf), env={**own.env(inf), "MT5_KEYS": "keys/inf"})
    assert planned(own, states).nothing


@pytest.mark.parametrize("how", ["stopped", "failed", "unknown"])
def test_a_service_that_does_not_run_is_drift(tmp_path: Path, how: str) -> None:
    own = fleet(tmp_path)
    states = all_nodes(own, lambda each: at_rest(own, each))
    states["gtw"] = msgspec.structs.replace(at_rest(own, own.nodes["gtw"]), services={"gateway": how})
    made = planned(own, states)
    assert made.nodes["gtw"].drift == ("service gateway does not run",)
    assert made.nodes["gtw"].restarts == ("gateway",)


def test_what_was_begun_and_has_no_result_is_finished(tmp_path: Path) -> None:
    own = fleet(tmp_path)
    states = all_nodes(own, lambda each: at_rest(own, each))
    states["inf"] = at_rest(own, own.nodes["inf"], unfinished={"release": NEW, "what": "sync"})
    made = planned(own, states)
    assert made.nodes["inf"].steps == (Step.DEPLOY,)
    assert "has no result" in made.nodes["inf"].why[0]


def test_a_build_that_was_broken_off_is_built_again(tmp_path: Path) -> None:
    own = fleet(tmp_path)
    made = planned(own, all_nodes(own, lambda node: state(node, incomplete=(NEW,))))
    assert "its build was broken off" in made.nodes["hub"].why
    assert Step.BUILD in made.nodes["hub"].steps


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (built(NEW, ("zstd",)), "extras zstd -> none"),
        (msgspec.structs.replace(built(NEW), pins="0" * 64), "other packages are locked for it now"),
    ],
)
def test_other_packages_mean_another_build(tmp_path: Path, other: Built, why: str) -> None:
    own = fleet(tmp_path)
    states = all_nodes(own, lambda each: at_rest(own, each))
    states["hub"] = state(own.nodes["hub"], NEW, {NEW: other}, env=own.env(own.nodes["hub"]))
    made = planned(own, states)
    assert made.nodes["hub"].why == (why,)
    assert made.nodes["hub"].steps == (Step.SEND, Step.BUILD, Step.DEPLOY)


@pytest.mark.parametrize(
    ("changes", "why", "hint"),
    [
        ({"os": "windows"}, "it runs windows, the inventory says linux", 'os = "windows"'),
        ({"free": 1}, "a release needs 64", "keep ="),
        ({"python": msgspec.structs.replace(PYTHON, version="3.9.18")}, "is Python 3.9.18", "python ="),
        ({"python": msgspec.structs.replace(PYTHON, has_venv=False)}, "has no venv", "python3-venv"),
    ],
)
def test_what_cannot_be_is_refused_beforehand(
    tmp_path: Path, changes: dict[str, Any], why: str, hint: str
) -> None:
    own = fleet(tmp_path)
    states = all_nodes(own, state)
    states["inf"] = state(own.nodes["inf"], **changes)
    made = planned(own, states)
    assert made.nodes["inf"].action is Action.REFUSED
    assert why in made.nodes["inf"].why[0]
    assert hint in made.nodes["inf"].hint
    assert made.blocked


def test_a_full_disk_is_no_obstacle_where_nothing_is_built(tmp_path: Path) -> None:
    own = fleet(tmp_path)
    states = all_nodes(own, lambda each: at_rest(own, each, free=1))
    assert planned(own, states).nothing


def test_a_lock_that_lacks_a_package_refuses_that_node(tmp_path: Path) -> None:
    own = fleet(tmp_path)

    def lacking(extras: tuple[str, ...], interpreter: Interpreter) -> str:
        if "secure" in extras:
            raise SettingError("requirements.lock has no pynacl", hint="`make lock` writes it again")
        return ""

    made = plan(own, RELEASE, lacking, all_nodes(own, state))
    assert made.nodes["gtw"].why == ("requirements.lock has no pynacl",)
    assert [each.node.name for each in made.those(Action.REFUSED)] == ["gtw"]


@pytest.mark.parametrize(("ahead", "words"), [(90.0, "90 s ahead of ours"), (-8.0, "8 s behind ours")])
def test_a_clock_that_is_far_off_is_a_warning(tmp_path: Path, ahead: float, words: str) -> None:
    own = fleet(tmp_path)
    made = planned(own, all_nodes(own, state), ahead={"inf": ahead})
    assert words in made.nodes["inf"].warnings[0]
    assert made.nodes["inf"].action is Action.CHANGE
    assert made.nodes["gtw"].warnings == ()


def test_two_plans_that_do_the_same_are_alike_whatever_the_clocks_say(tmp_path: Path) -> None:
    own = fleet(tmp_path)
    one = planned(own, all_nodes(own, state), ahead={"inf": 90.0})
    other = planned(own, all_nodes(own, state), ahead={"inf": 91.0})
    assert one.nodes != other.nodes
    assert one.changes == other.changes
    assert one.changes != planned(own, all_nodes(own, lambda node: at_rest(own, node))).changes


def test_files_of_a_newer_release_refuse_an_older_one(tmp_path: Path) -> None:
    own = fleet(tmp_path)
    states = all_nodes(own, state)
    states["gtw"] = state(
        own.nodes["gtw"], OLD, {OLD: built(OLD), NEW: built(NEW, ("secure",))}, journals={"journal": 4}
    )
    made = planned(own, states)
    assert made.nodes["gtw"].why == ("its journal is of version 4, the release reads up to 3",)
    assert made.blocked


def down(own: Fleet, name: str, kind: str = "unreachable") -> dict[str, State]:
    states = all_nodes(own, state)
    states[name] = NodeError(name, "10.0.0.9 port 22: no answer", kind=kind)
    return states


def test_an_optional_node_that_is_off_is_no_error(tmp_path: Path) -> None:
    own = fleet(tmp_path)
    made = planned(own, down(own, "gpu"))
    assert made.nodes["gpu"].action is Action.OFF
    assert not made.blocked
    assert made.nodes["gpu"].why == ("10.0.0.9 port 22: no answer",)


@pytest.mark.parametrize("policy", ["stop", "continue"])
def test_a_needed_node_that_is_down_is_for_the_policy(tmp_path: Path, policy: str) -> None:
    own = fleet(tmp_path, f'on_failure = "{policy}"\n{TOML}')
    made = planned(own, down(own, "inf"))
    assert made.nodes["inf"].action is Action.DOWN
    assert made.blocked is (policy == "stop")
    assert not made.nothing


def test_an_optional_node_with_another_host_key_is_never_just_off(tmp_path: Path) -> None:
    own = fleet(tmp_path)
    made = planned(own, down(own, "gpu", "host-key"))
    assert made.nodes["gpu"].action is Action.REFUSED
    assert made.blocked


def test_only_some_nodes_leaves_the_others_alone(tmp_path: Path) -> None:
    own = fleet(tmp_path)
    made = planned(own, all_nodes(own, state), only=("gtw",))
    assert list(made.nodes) == ["gtw"]
    assert made.stages == (("gtw",),)


def test_stages_go_backwards_where_asked(tmp_path: Path) -> None:
    own = fleet(tmp_path)
    assert stages_of(own, list(own.nodes), backwards=True) == (("gpu",), ("inf",), ("gtw",), ("hub",))


def with_protocols(own: Fleet, now: tuple[int, ...], then: tuple[int, ...]) -> dict[str, State]:
    """Return nodes with a release that speaks something, and the new one already built on HUB."""
    states: dict[str, State] = {
        name: state(node, OLD, {OLD: built(OLD, speaks=now)}) for name, node in own.nodes.items()
    }
    hub = own.nodes["hub"]
    states["hub"] = state(hub, OLD, {OLD: built(OLD, speaks=now), NEW: built(NEW, speaks=then)})
    return states


@pytest.mark.parametrize(
    ("now", "then", "fits"), [((2,), (3, 2), True), ((3, 2), (3,), True), ((2,), (3,), False)]
)
def test_a_release_must_speak_with_what_the_other_nodes_run(
    tmp_path: Path, now: tuple[int, ...], then: tuple[int, ...], fits: bool
) -> None:
    own = fleet(tmp_path)
    made = planned(own, with_protocols(own, now, then))
    assert (made.problem == "") is fits
    assert made.blocked is not fits
    if not fits:
        assert made.problem == "inf would speak protocol 2 and its gateway on gtw protocol 3"
        assert "a release between the two is needed" in made.hint


def test_only_the_gateway_cannot_leave_its_clients_behind(tmp_path: Path) -> None:
    own = fleet(tmp_path)
    assert planned(own, with_protocols(own, (2,), (3,)), only=("gtw",)).problem
    assert not planned(own, with_protocols(own, (2,), (3,)), only=("hub",)).problem


def test_nodes_that_cannot_be_reached_cut_nobody_off(tmp_path: Path) -> None:
    own = fleet(tmp_path)
    states = with_protocols(own, (2,), (3,))
    states["inf"] = NodeError("inf", "no answer", kind="unreachable")
    states["gpu"] = NodeError("gpu", "no answer", kind="unreachable")
    assert not planned(own, states).problem


ROLES = {"gtw": Role.GTW, "inf": Role.INF}


def test_the_order_that_works_is_said_where_there_is_one() -> None:
    now, then = {"gtw": (3, 2), "inf": (3,)}, {"gtw": (2,), "inf": (3, 2)}
    stages = (("gtw",), ("inf",))
    cut = cut_off(ROLES, now, then, stages)
    assert cut is not None
    assert cut.moving == ("gtw",)
    assert way(ROLES, now, then, stages, "mt5crs fleet sync") == (
        "in this order it works: `mt5crs fleet sync --only inf`, then `mt5crs fleet sync --only gtw`"
    )


def test_what_is_not_known_is_not_refused() -> None:
    assert fit((), (2,))
    assert fit((2,), ())
    assert not fit((3,), (2,))


def test_a_file_of_a_kind_that_a_release_does_not_know_is_not_its_own(tmp_path: Path) -> None:
    own = fleet(tmp_path)
    node = state(own.nodes["gtw"], journals={"journal": 3, "unheard": 9})
    assert unreadable(node, {"journal": 3}) == []


def test_a_plan_of_other_policy_only_differs_in_that(tmp_path: Path) -> None:
    own = fleet(tmp_path)
    made = planned(own, down(own, "inf"))
    goes_on = replace(made, fleet=msgspec.structs.replace(own, on_failure="continue"))
    assert (made.blocked, goes_on.blocked) == (True, False)

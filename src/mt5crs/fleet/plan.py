"""What is to be done to bring a release to nodes: decided from what they are, before anything is done."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Literal, NamedTuple

from mt5crs.errors import BridgeError, SettingError
from mt5crs.fleet import windows
from mt5crs.fleet.compatible import Speaks, cut_off, unreadable, way
from mt5crs.fleet.facts import Built, Interpreter, NodeState, Release
from mt5crs.fleet.inventory import STAGES, Fleet, Node, Role, Service
from mt5crs.fleet.obstacles import obstacle, warnings_of
from mt5crs.fleet.ssh import NodeError

State = NodeState | NodeError
"""What a node is, or why that is not known."""
Pins = Callable[[tuple[str, ...], Interpreter], str]
"""Returns the locked requirements of a release for extras and an interpreter (`hub.Bundle.pins`)."""

DOWN = frozenset({"stopped", "failed", "unknown"})
"""What a service is that should be brought up, or of which nobody can tell that it runs."""


class Action(str, Enum):
    """What becomes of a node."""

    NOTHING = "nothing"
    """It is as it should be."""
    CHANGE = "change"
    """There are steps to take."""
    REFUSED = "refused"
    """It cannot be done there, and that is known beforehand."""
    OFF = "off"
    """It is optional and cannot be reached."""
    DOWN = "down"
    """It is needed and cannot be reached."""


class Step(str, Enum):
    """A part of a node's way to a release."""

    WHEELHOUSE = "wheelhouse"
    SEND = "send"
    BUILD = "build"
    SET_UP = "set up"
    DEPLOY = "deploy"

    @property
    def words(self) -> str:
        """What people read."""
        return {Step.WHEELHOUSE: "fetch packages", Step.DEPLOY: "switch"}.get(self, self.value)


@dataclass(frozen=True)
class Drift:
    """What is otherwise on a node than it was deployed, in words.

    Attributes:
        files: Files of the release in use.
        services: What services run.
    """

    files: tuple[str, ...] = ()
    services: tuple[str, ...] = ()


class Change(NamedTuple):
    """A line of `.env` that changes.

    Attributes:
        name: The variable.
        old: Its value; None where it is not there.
        new: What it becomes.
    """

    name: str
    old: str | None
    new: str

    def __str__(self) -> str:
        return f"+{self.name}={self.new}" if self.old is None else f"{self.name}={self.old} -> {self.new}"


@dataclass(frozen=True)
class NodePlan:
    """What is to be done on a node, and why.

    Attributes:
        node: The node.
        action: What becomes of it.
        steps: The steps, in order.
        current: The release that it has; "" for none, or where that is not known.
        release: The release that it comes to.
        why: The reasons, for people.
        hint: What to do about a refusal.
        warnings: What should be looked at and stops nothing.
        pins: The locked requirements to be installed, of a build.
        extras: The extras that these are for.
        python: The interpreter that these are for.
        env: The lines of `.env` that are ours; None where they become those that the release had.
        changes: What changes in `.env`.
        speaks: What the release speaks; empty before it was built anywhere.
        restarts: Services that are restarted.
        drift: What is otherwise than the inventory says, though the release is the right one.
        commands: What sets a Windows node up, as command lines.
    """

    node: Node
    action: Action
    steps: tuple[Step, ...] = ()
    current: str = ""
    release: str = ""
    why: tuple[str, ...] = ()
    hint: str = ""
    warnings: tuple[str, ...] = ()
    pins: str = ""
    extras: tuple[str, ...] = ()
    python: Interpreter | None = None
    env: dict[str, str] | None = None
    changes: tuple[Change, ...] = ()
    speaks: tuple[int, ...] = ()
    restarts: tuple[str, ...] = ()
    drift: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """What is to be done on all nodes.

    Attributes:
        what: Whether releases are brought or taken back.
        nodes: Each node's part, by name.
        stages: Names of nodes in the order in which they change; those of a stage do at the same time.
        release: The release that is brought; None where nodes go back to what they have.
        fleet: The inventory.
        speaks: What each node's release speaks now, also of nodes that are left alone.
        problem: Why it cannot be done as a whole; "" where it can.
        hint: What to do about that.
    """

    what: Literal["sync", "rollback"]
    nodes: dict[str, NodePlan]
    stages: tuple[tuple[str, ...], ...]
    fleet: Fleet
    release: Release | None = None
    speaks: dict[str, tuple[int, ...]] = field(default_factory=dict)
    problem: str = ""
    hint: str = ""

    def those(self, *actions: Action) -> list[NodePlan]:
        """Return the nodes of some actions."""
        return [each for each in self.nodes.values() if each.action in actions]

    @property
    def changes(self) -> list[tuple[object, ...]]:
        """What is done, without what only is told: two plans that are alike in it do the same."""
        return [
            (name, each.action, each.steps, each.current, each.release, each.pins, each.env, each.changes)
            for name, each in self.nodes.items()
        ]

    @property
    def nothing(self) -> bool:
        """Whether nothing is to be done anywhere."""
        return not self.problem and not self.those(Action.CHANGE, Action.REFUSED, Action.DOWN)

    @property
    def blocked(self) -> bool:
        """Whether nothing may be begun: as a whole, or by one node where the policy is to stop then."""
        hurt = self.those(Action.REFUSED, Action.DOWN)
        return bool(self.problem) or (bool(hurt) and self.fleet.on_failure == "stop")


def roles_of(fleet: Fleet) -> dict[str, Role]:
    """Return the role of each node."""
    return {name: node.role for name, node in fleet.nodes.items()}


def stages_of(fleet: Fleet, names: Sequence[str], *, backwards: bool = False) -> tuple[tuple[str, ...], ...]:
    """Return nodes by stage: gateways before their clients, or after them."""
    stages = [tuple(name for name in names if fleet.nodes[name].role is role) for role in STAGES]
    return tuple(stage for stage in (reversed(stages) if backwards else stages) if stage)


def speaks_of(states: Mapping[str, State]) -> dict[str, tuple[int, ...]]:
    """Return what the release in use speaks, of each node that has one."""
    return {
        name: state.releases[state.current].about.speaks
        for name, state in states.items()
        if isinstance(state, NodeState) and state.current in state.releases
    }


def speaks_then(id_: str, states: Mapping[str, State]) -> tuple[int, ...]:
    """Return what a release speaks, as a node knows that has it; empty before it was built anywhere."""
    for state in states.values():
        if isinstance(state, NodeState) and id_ in state.releases:
            return state.releases[id_].about.speaks
    return ()


def plan(
    fleet: Fleet,
    release: Release,
    pins: Pins,
    states: Mapping[str, State],
    *,
    only: Sequence[str] = (),
    ahead: Mapping[str, float] | None = None,
    drift: Mapping[str, Drift] | None = None,
    found: Mapping[str, Sequence[windows.Status] | NodeError] | None = None,
) -> Plan:
    """Decide what is to be done to bring a release to nodes.

    Args:
        fleet: The inventory.
        release: The release, as HUB has it.
        pins: Its locked requirements.
        states: All nodes, by name, also those that are left alone.
        only: The nodes to bring it to; all without them.
        ahead: By how many seconds each node's clock is ahead of ours.
        drift: What is otherwise on each node than it was deployed.
        found: What is set up on Windows nodes.
    """
    names = [name for name in fleet.nodes if not only or name in only]
    nodes = {
        name: _node(fleet, fleet.nodes[name], release, pins, states[name], (drift or {}).get(name, Drift()))
        for name in names
    }
    nodes = {
        name: replace(
            _set_up(fleet, each, (found or {}).get(name)),
            warnings=warnings_of(fleet, each.node, (ahead or {}).get(name, 0.0)),
        )
        for name, each in nodes.items()
    }
    speaks = speaks_then(release.id, states)
    nodes = {name: replace(each, speaks=speaks) for name, each in nodes.items()}
    return whole("sync", fleet, nodes, stages_of(fleet, names), states, release)


def whole(
    what: Literal["sync", "rollback"],
    fleet: Fleet,
    nodes: dict[str, NodePlan],
    stages: tuple[tuple[str, ...], ...],
    states: Mapping[str, State],
    release: Release | None = None,
) -> Plan:
    """Return the plan of all nodes, after a look at what holds for them together."""
    now = speaks_of(states)
    then: dict[str, Speaks] = {
        name: each.speaks
        for name, each in nodes.items()
        if each.action is Action.CHANGE and each.current != each.release
    }
    problem, hint = protocols(fleet, now, then, stages, f"mt5crs fleet {what}")
    return Plan(what, nodes, stages, fleet, release, now, problem, hint)


def protocols(
    fleet: Fleet,
    now: Mapping[str, Speaks],
    then: Mapping[str, Speaks],
    stages: Sequence[Sequence[str]],
    command: str,
) -> tuple[str, str]:
    """Return why a client would be cut off on the way and what to do instead; empty texts for no reason."""
    roles = roles_of(fleet)
    cut = cut_off(roles, now, then, stages)
    return (str(cut), way(roles, now, then, stages, command)) if cut else ("", "")


def unreached(node: Node, error: BridgeError) -> NodePlan:
    """Return the part of a node that did not answer."""
    kind = error.kind if isinstance(error, NodeError) else ""
    text = error.message.removeprefix(f"{node.name}: ")
    if kind != "unreachable":  # a node that is another, or that has a fault, is never just off
        return NodePlan(node, Action.REFUSED, why=(text,), hint=error.hint)
    return NodePlan(node, Action.OFF if node.optional else Action.DOWN, why=(text,), hint=error.hint)


def changes_of(state: NodeState, wanted: Mapping[str, str]) -> tuple[Change, ...]:
    """Return what changes in a node's `.env`; what the inventory does not name is the node's own."""
    return tuple(
        Change(name, state.env.get(name), value)
        for name, value in sorted(wanted.items())
        if state.env.get(name) != value
    )


def drift_of(
    state: NodeState, changes: Sequence[Change], services: Mapping[str, Service], told: Sequence[str]
) -> tuple[str, ...]:
    """Return what of settings and services is otherwise than the inventory says, in words."""
    down = (name for name in services if state.services.get(name, "stopped") in DOWN)
    return (*map(str, changes), *(f"service {name} does not run" for name in down), *told)


def _node(fleet: Fleet, node: Node, release: Release, pins: Pins, state: State, drifted: Drift) -> NodePlan:
    """Return one node's part."""
    if isinstance(state, NodeError):
        return unreached(node, state)
    base = NodePlan(node, Action.REFUSED, current=state.current, release=release.id)
    built, extras = state.releases.get(release.id), fleet.extras(node)
    problem, hint = obstacle(node, state, builds=built is None)
    if problem:
        return replace(base, why=(problem,), hint=hint)
    try:
        text = pins(extras, state.python)
    except SettingError as error:
        return replace(base, why=(error.message,), hint=error.hint)
    build = _build(built, release, text, extras, state)
    if built and (newer := unreadable(state, built.about.files)):
        return replace(base, why=tuple(newer), hint="a release that reads them is needed on this node")
    services = fleet.services_of(node)
    env = fleet.env(node)
    changes = changes_of(state, env)
    switch = _switch(state, release.id)
    drift = () if switch else (*drifted.files, *drift_of(state, changes, services, drifted.services))
    if drift and drifted.files and not build:
        build = ("files are put right",)
    wheelhouse = () if node.index else (Step.WHEELHOUSE,)
    steps = (*wheelhouse, Step.SEND, Step.BUILD) if build else ()
    deploy = bool(switch or drift or build)
    return replace(
        base,
        action=Action.CHANGE if deploy else Action.NOTHING,
        steps=(*steps, Step.DEPLOY) if deploy else (),
        why=(*switch, *build, *drift),
        pins=text,
        extras=extras,
        python=state.python,
        env=env,
        changes=changes,
        restarts=tuple(services) if deploy else (),
        drift=drift,
    )


def _set_up(fleet: Fleet, base: NodePlan, found: Sequence[windows.Status] | NodeError | None) -> NodePlan:
    """Return a node's part with what sets it up, if it needs that: beside what runs, before its switch."""
    if found is None or base.action not in {Action.NOTHING, Action.CHANGE}:
        return base
    if isinstance(found, NodeError):
        return unreached(base.node, found)
    try:
        why = windows.missing(base.node, fleet, found)
        commands = windows.commands(base.node, fleet, "install", base.release)
    except SettingError as error:
        return replace(base, action=Action.REFUSED, steps=(), why=(error.message,), hint=error.hint)
    if not why:
        return base
    before, switch = base.steps[:-1], base.steps[-1:]
    return replace(
        base,
        action=Action.CHANGE,
        steps=(*before, Step.SET_UP, *switch),
        why=(*base.why, *why),
        commands=tuple(commands),
    )


def _switch(state: NodeState, id_: str) -> tuple[str, ...]:
    """Return why a node's current release is to be set."""
    if state.unfinished is not None:
        begun = state.unfinished.get("to", "") or "a release"
        return (f"the deployment of {begun} that was begun has no result: it is finished now",)
    if not state.current:
        return ("it has no release",)
    return () if state.current == id_ else (f"another release than {state.current}",)


def _build(
    built: Built | None, release: Release, pins: str, extras: tuple[str, ...], state: NodeState
) -> tuple[str, ...]:
    """Return why the release is to be built on a node."""
    if built is None:
        return ("its build was broken off",) if release.id in state.incomplete else ("not built there yet",)
    if built.extras != extras:
        return (f"extras {_list(built.extras)} -> {_list(extras)}",)
    if built.pins != digest(pins):
        return ("other packages are locked for it now",)
    return ()


def _list(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"


def digest(pins: str) -> str:
    """Return how a node writes down which pins it has installed."""
    return hashlib.sha256(pins.encode()).hexdigest()

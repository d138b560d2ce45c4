"""How all nodes are, and what was done to them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from mt5crs.fleet.compatible import expected
from mt5crs.fleet.facts import NodeState
from mt5crs.fleet.inventory import Fleet
from mt5crs.fleet.plan import Drift, State, changes_of, drift_of
from mt5crs.fleet.record import ROLLBACK, Deployment, Record, previous
from mt5crs.fleet.ssh import NodeError


@dataclass(frozen=True)
class NodeStatus:
    """How a node is.

    Attributes:
        node: Its name.
        role: What it is for.
        release: The release in use; "" for none.
        version: The version of that.
        since: When it came there, ISO 8601 in UTC; "" where that is not known.
        by: Who brought it.
        previous: The release that it can go back to; "" for none.
        releases: All complete releases there.
        services: How each service is.
        drift: What is otherwise than the inventory says.
        unfinished: What was begun and has no result; "" for nothing.
        problem: Why it cannot be asked; "" where it can.
        off: Whether that is no fault: it is optional.
        broken: What is wrong with its record.
        hint: What to do about the problem.
        went_back: From which release it went back and when, where its settings differ for that; else "".
        other: That it has another release than it should have with the others, and why as far as the record
            tells; else "".
    """

    node: str
    role: str
    release: str = ""
    version: str = ""
    since: str = ""
    by: str = ""
    previous: str = ""
    releases: tuple[str, ...] = ()
    services: tuple[tuple[str, str], ...] = ()
    drift: tuple[str, ...] = ()
    unfinished: str = ""
    problem: str = ""
    off: bool = False
    broken: tuple[str, ...] = ()
    hint: str = ""
    went_back: str = ""
    other: str = ""

    @property
    def unknown(self) -> tuple[str, ...]:
        """Services of which nobody knows whether they run."""
        return tuple(name for name, state in self.services if state == "unknown")

    @property
    def well(self) -> bool:
        """Whether there is nothing to do about it."""
        return self.off or not (
            self.problem
            or self.drift
            or self.unfinished
            or self.unknown
            or self.broken
            or self.other
            or not self.release
        )


def status(
    fleet: Fleet, states: Mapping[str, State], records: Mapping[str, Record], drift: Mapping[str, Drift]
) -> list[NodeStatus]:
    """Return how each node is.

    Args:
        fleet: The inventory.
        states: What each node is.
        records: What each node wrote down.
        drift: What is otherwise on each than it was deployed.
    """
    nodes = [
        _status(fleet, name, state, records.get(name, Record()), drift.get(name, Drift()))
        for name, state in states.items()
    ]
    return _compared(fleet, nodes, records)


def _compared(fleet: Fleet, nodes: list[NodeStatus], records: Mapping[str, Record]) -> list[NodeStatus]:
    """Return nodes of which those tell it that have another release than they should have with the others."""
    releases = {each.node: each.release for each in nodes if each.release}
    if len(set(releases.values())) < 2:
        return nodes
    wanted = expected(releases, fleet.hub.name)
    text = f"not {wanted}, as on {fleet.hub.name if fleet.hub.name in releases else 'most nodes'}"
    others = {name for name, release in releases.items() if release != wanted}
    return [
        replace(each, other=_other(text, records.get(each.node, Record()), each))
        if each.node in others
        else each
        for each in nodes
    ]


def _other(text: str, record: Record, each: NodeStatus) -> str:
    """Return that a node has another release than the others, and that somebody took it back, if so."""
    last = _came_last(record, each.release)
    if last is None or last.what != ROLLBACK or each.went_back:
        return text
    return f"{text}: went back from {last.before} on {last.ended[:10]}"


def _came_last(record: Record, release: str) -> Deployment | None:
    """Return the deployment that brought a node to the release that it has."""
    came = reversed(record.deployments)
    return next((each for each in came if each.came and each.release == release), None)


def _status(fleet: Fleet, name: str, state: State, record: Record, drifted: Drift) -> NodeStatus:
    node = fleet.nodes[name]
    if isinstance(state, NodeError):
        text = state.message.removeprefix(f"{name}: ")
        off = node.optional and state.kind == "unreachable"
        return NodeStatus(name, node.role.value, problem=text, off=off, hint=state.hint)
    last = _came_last(record, state.current)
    built = state.releases.get(state.current)
    services = fleet.services_of(node)
    changes = changes_of(state, fleet.env(node)) if state.current else ()
    went_back = ""
    if changes and last and last.what == ROLLBACK:  # settings went back with the release: that is no drift
        told = ", ".join(map(str, changes))
        went_back, changes = f"went back from {last.before} on {last.ended[:10]} ({told})", ()
    # Without a release nothing could run.
    expected_to_run = services if state.current else {}
    drift = [*drifted.files, *drift_of(state, changes, expected_to_run, drifted.services)]
    if state.current and built is None:
        drift.append(f"{state.current} is not complete")
    back = previous(record.deployments, state.current)
    return NodeStatus(
        name,
        node.role.value,
        state.current,
        built.about.version if built else "",
        last.ended if last else "",
        last.who if last else "",
        back if back in state.releases else "",
        tuple(sorted(state.releases)),
        tuple((each, state.services.get(each, "stopped")) for each in services),
        tuple(drift),
        _unfinished(state),
        broken=record.problems,
        went_back=went_back,
    )


def _unfinished(state: NodeState) -> str:
    if state.unfinished is None:
        return ""
    return f"{state.unfinished.get('what', 'deployment')} to {state.unfinished.get('to', '?')}"

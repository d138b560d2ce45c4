"""How all nodes are, and what was done to them."""

from collections.abc import Mapping
from dataclasses import dataclass

from mt5crs.fleet.facts import NodeState
from mt5crs.fleet.inventory import Fleet
from mt5crs.fleet.plan import Drift, State, changes_of, drift_of
from mt5crs.fleet.record import ROLLBACK, Record, previous
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

    @property
    def unknown(self) -> tuple[str, ...]:
        """Services of which nobody knows whether they run."""
        return tuple(name for name, state in self.services if state == "unknown")

    @property
    def well(self) -> bool:
        """Whether there is nothing to do about it."""
        return self.off or not (
            self.problem or self.drift or self.unfinished or self.unknown or self.broken or not self.release
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
    return [
        _status(fleet, name, state, records.get(name, Record()), drift.get(name, Drift()))
        for name, state in states.items()
    ]


def _status(fleet: Fleet, name: str, state: State, record: Record, drifted: Drift) -> NodeStatus:
    node = fleet.nodes[name]
    if isinstance(state, NodeError):
        text = state.message.removeprefix(f"{name}: ")
        off = node.optional and state.kind == "unreachable"
        return NodeStatus(name, node.role.value, problem=text, off=off, hint=state.hint)
    came = reversed(record.deployments)
    last = next((each for each in came if each.came and each.release == state.current), None)
    built = state.releases.get(state.current)
    services = fleet.services_of(node)
    changes = changes_of(state, fleet.env(node)) if state.current else ()
    went_back = ""
    if changes and last and last.what == ROLLBACK:  # settings went back with the release: that is no drift
        told = ", ".join(map(str, changes))
        went_back, changes = f"went back from {last.before} on {last.ended[:10]} ({told})", ()
    drift = [*drifted.files, *drift_of(state, changes, services, drifted.services)]
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

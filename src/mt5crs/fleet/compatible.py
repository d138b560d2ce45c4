"""Which releases can run side by side, and which can follow another on the same files."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from mt5crs.fleet.facts import NodeState
from mt5crs.fleet.inventory import Role

Speaks = Sequence[int]
"""The protocols that a release understands, newest first; empty where that is not known."""
CLIENTS = frozenset({Role.INF, Role.GPU})
"""Roles that use the gateway."""


def expected(releases: Mapping[str, str], hub: str) -> str:
    """Return the release that all nodes should have: HUB's, or without it the one that most have.

    Args:
        releases: What nodes have that have a release, by name.
        hub: The name of HUB.
    """
    return releases.get(hub) or Counter(releases.values()).most_common(1)[0][0]


class CutOff(NamedTuple):
    """A client that could not talk to its gateway any more.

    Attributes:
        client: The client's node.
        client_speaks: What it would speak.
        gateway: The gateway's node.
        gateway_speaks: What that would speak.
        moving: Which of them just came to another release.
    """

    client: str
    client_speaks: Speaks
    gateway: str
    gateway_speaks: Speaks
    moving: tuple[str, ...]

    def __str__(self) -> str:
        client, gateway = _versions(self.client_speaks), _versions(self.gateway_speaks)
        return f"{self.client} would speak {client} and its gateway on {self.gateway} {gateway}"


def _versions(speaks: Speaks) -> str:
    return f"protocol {' and '.join(map(str, speaks))}"


def fit(gateway: Speaks, client: Speaks) -> bool:
    """Return whether a client of one release can talk to a gateway of another; what is not known does."""
    return not gateway or not client or not set(gateway).isdisjoint(client)


def cut_off(
    roles: Mapping[str, Role],
    now: Mapping[str, Speaks],
    then: Mapping[str, Speaks],
    stages: Iterable[Sequence[str]],
) -> CutOff | None:
    """Return the first client that a rollout would cut off on its way.

    Args:
        roles: Role of each node.
        now: What each node's release speaks; nodes without a release are not in it.
        then: What it will speak, of those that come to another.
        stages: The nodes, in the order in which they do.
    """
    speaks = dict(now)
    for stage in stages:
        moving = tuple(name for name in stage if name in then)
        speaks.update({name: then[name] for name in moving})
        gateways = [name for name in speaks if roles[name] is Role.GTW]
        for client in (name for name in speaks if roles[name] in CLIENTS):
            for gateway in gateways:
                involved = client in moving or gateway in moving
                if involved and not fit(speaks[gateway], speaks[client]):
                    return CutOff(client, speaks[client], gateway, speaks[gateway], moving)
    return None


def way(
    roles: Mapping[str, Role],
    now: Mapping[str, Speaks],
    then: Mapping[str, Speaks],
    stages: Sequence[Sequence[str]],
    command: str,
) -> str:
    """Return which order of nodes cuts nobody off, as what to do."""
    backwards = list(reversed(stages))
    if cut_off(roles, now, then, backwards) is None:
        steps = [" ".join(f"--only {name}" for name in stage) for stage in backwards if stage]
        return "in this order it works: " + ", then ".join(f"`{command} {step}`" for step in steps)
    return "a release between the two is needed, that speaks both: bring that to all nodes first"


def unreadable(state: NodeState, files: Mapping[str, int]) -> list[str]:
    """Return what lies on a node and is newer than a release can read, in words.

    Args:
        state: The node.
        files: The version of each kind of file that the release writes.
    """
    return [
        f"its {kind} is of version {version}, the release reads up to {files[kind]}"
        for kind, version in sorted(state.journals.items())
        if kind in files and version > files[kind]
    ]

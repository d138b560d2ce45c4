"""What stands in the way of a release on a node, as far as can be seen before anything is begun."""

from mt5crs.fleet.facts import NodeState
from mt5crs.fleet.inventory import Fleet, Node, Role
from mt5crs.fleet.shell import unwritable

OLDEST = (3, 10)
"""The oldest Python that releases run on."""
ROOM = 64 * 2**20
"""Bytes without which no release can be built; how many it really needs, the node knows when it builds it."""
FAR = 5.0
"""Seconds that a clock may be off; a gateway refuses what was signed at quite another time than its own."""


def obstacle(node: Node, state: NodeState, *, builds: bool) -> tuple[str, str]:
    """Return why nothing can be done on a node, and what to do about it; empty texts for no reason."""
    python = state.python
    if state.os != node.os:
        return f"it runs {state.os}, the inventory says {node.os}", f'os = "{state.os}" in its table'
    if state.unwritable:
        return unwritable(node, state.unwritable, state.user)
    if state.env_trouble:  # the switch merges our lines into it
        return state.env_trouble, f"mend {node.path}/.env there: a text in UTF-8 that {state.user} can read"
    if not builds:
        return "", ""
    if tuple(int(part) for part in python.version.split(".")[:2]) < OLDEST:
        return (
            f"its {node.python} is Python {python.version}, a release needs 3.10",
            "install a newer one there, and name it in the inventory: python = ...",
        )
    if not python.has_venv:
        return (
            f"its Python {python.version} has no venv",
            "on Debian and Ubuntu: apt-get install python3-venv",
        )
    if state.free < ROOM:
        return (
            f"{state.free / 2**20:,.0f} MB are free at {node.path}, a release needs {ROOM / 2**20:,.0f}",
            f"make room at {node.path}, or keep fewer releases: keep = ... in the inventory",
        )
    return "", ""


def warnings_of(fleet: Fleet, node: Node, ahead: float) -> tuple[str, ...]:
    """Return what should be looked at on a node, and stops nothing."""
    told: list[str] = []
    if abs(ahead) > FAR:
        told.append(
            f"its clock is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} ours: set it by NTP"
        )
    if node.role is Role.GTW and not fleet.services_of(node):
        told.append("nothing keeps a gateway running there: it needs `services`, docs/fleet.md")
    return tuple(told)

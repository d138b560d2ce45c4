"""Hold an audit: collect, check, write down."""

import asyncio
import getpass
import re
import socket
from collections.abc import Collection, Mapping
from contextlib import AsyncExitStack
from datetime import datetime, timezone
from pathlib import Path

from mt5crs.checks import Result, holds
from mt5crs.fleet.audit import kept, packages, protection, static
from mt5crs.fleet.audit.report import Gate, Machine, Report, lines, written
from mt5crs.fleet.audit.tree import Tree, collected
from mt5crs.fleet.inventory import Fleet

MODULES = (static, packages, kept, protection)
"""Each has declared its checks by being imported."""

BOTH = (1, 2)


def audited(folder: Path, inventory: Path | None = None, wanted: Collection[int] = BOTH) -> Report:
    """Audit a project.

    Args:
        folder: Its folder: a checkout on HUB, or a release's folder on a node.
        inventory: The inventory; `fleet.toml` in the folder without it.
        wanted: The gates to hold. It holds where each of them was held and nothing failed.

    Raises:
        SettingError: There is no such folder, or the inventory or a file of checks cannot be used.
    """
    begun = now()
    tree = collected(folder, inventory)
    nodes = {} if tree.fleet is None else _machines(tree.fleet)
    found = []
    gates = [Gate(1, held=1 in wanted, why="" if 1 in wanted else "it was not asked for")]
    results: list[Result] = []
    if 1 in wanted:
        results = _first(tree)
        found = lines(1, results, now())
    why = "it was not asked for" if 2 not in wanted else tree.no_fleet or tree.wrong_fleet
    gates.append(Gate(2, held=not why, why=written(why)))
    if tree.fleet is not None and not why:
        live, nodes = asyncio.run(_second(tree, tree.fleet))
        results = [*results, *live]
        found += lines(2, live, now())
    revision = "" if tree.history is None else tree.history.revision
    version = version_of(tree)
    return Report(
        folder=written(str(tree.folder)),
        version=version,
        revision=revision,
        release=tree.release or (f"{version}-{revision[:12]}" if version and revision else ""),
        changed=0 if tree.history is None else len(tree.history.changed),
        begun=begun,
        ended=now(),
        by=f"{getpass.getuser()}@{socket.gethostname()}",
        gates=tuple(gates),
        nodes=tuple(nodes.values()),
        lines=tuple(found),
        holds=holds(results) and {gate.number for gate in gates if gate.held} >= set(wanted),
    )


def now() -> str:
    """Return the time as reports have it."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def version_of(tree: Tree) -> str:
    """Return the project's version, "" where it is not known."""
    content = tree.files.get("src/mt5crs/_version.py", b"")
    found = re.search(rb'^__version__ = "([^"]+)"', content, re.MULTILINE)
    return found[1].decode("utf-8", "replace") if found else ""


def _first(tree: Tree) -> list[Result]:
    if tree.fleet is not None and tree.fleet.checks:
        from mt5crs.fleet.verify import load_checks

        load_checks(tree.fleet)
    return static.registry.run(tree)


async def _second(tree: Tree, fleet: Fleet) -> tuple[list[Result], dict[str, Machine]]:
    """Look at all nodes, and return what the live checks say, and the nodes with their releases."""
    from mt5crs.fleet.audit import deployed
    from mt5crs.fleet.reach import reach
    from mt5crs.fleet.verify import held, load_checks, look

    load_checks(fleet)
    async with AsyncExitStack() as stack:
        seen = await look(fleet, await reach(fleet, fleet.nodes.values(), stack))
    releases = {
        name: (each.state.current, tuple(sorted({*each.state.releases} - {each.state.current})))
        for name, each in seen.items()
        if each.state is not None
    }
    results = [
        result
        for name, each in seen.items()
        for result in (*held(each), *deployed.registry.run(deployed.Deployed(each, tree), name))
    ]
    return results, _machines(fleet, releases)


def _machines(fleet: Fleet, releases: Mapping[str, tuple[str, tuple[str, ...]]] = {}) -> dict[str, Machine]:
    return {
        name: Machine(name, node.role.value, node.address, node.path, current, others)
        for name, node in fleet.nodes.items()
        for current, others in (releases.get(name, ("", ())),)
    }

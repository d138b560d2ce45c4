"""See how all nodes are, side by side, and hold the checks of `live` against it."""

import asyncio
import importlib.util
import time
from collections.abc import Collection, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from mt5crs.checks import Result
from mt5crs.errors import SettingError
from mt5crs.fleet.facts import NodeState
from mt5crs.fleet.inventory import Fleet, Node, Role
from mt5crs.fleet.live import Clock, Failure, Seen, registry
from mt5crs.fleet.live.release import AUDIT, AUDIT_MARK, CONNECTOR
from mt5crs.fleet.live.seen import gateway_host, gateway_ports
from mt5crs.fleet.observed import Observed
from mt5crs.fleet.reach import reach, services_of
from mt5crs.fleet.ssh import NodeError, Remote
from mt5crs.fleet.waiting import within

Remotes: TypeAlias = Mapping[str, Remote | NodeError]
"""Nodes by name; in place of one that was not reached, why."""

PINGS = 100
DEADLINE = 180.0
"""Seconds in which a node must have answered everything."""
REACHED = "node.reached"

_loaded: set[Path] = set()


async def verified(
    fleet: Fleet,
    remotes: Remotes | None = None,
    only: Collection[str] = (),
) -> list[Result]:
    """Look at nodes and return what the checks say, node by node in the inventory's order.

    Args:
        fleet: The inventory.
        remotes: The nodes, where they are connected already; without it they are connected to.
        only: Names of nodes; all without it. The gateway's node is looked at in any case, since clients are
            held against it.

    Raises:
        SettingError: There is no node of that name, or a file of checks cannot be used.
    """
    strangers = sorted({*only} - {*fleet.nodes})
    if strangers:
        raise SettingError(
            f"there is no node {strangers[0]!r} in the inventory", hint=f"there are {', '.join(fleet.nodes)}"
        )
    load_checks(fleet)
    wanted = {*(only or fleet.nodes)}
    looked_at = [node for node in fleet.nodes.values() if node.name in wanted or node.role is Role.GTW]
    async with AsyncExitStack() as stack:
        if remotes is None:
            remotes = await reach(fleet, looked_at, stack)
        names = [node.name for node in looked_at if node.name in remotes]
        seen = await look(fleet, {name: remotes[name] for name in names})
    return [result for name, each in seen.items() if name in wanted for result in held(each)]


def held(seen: Seen) -> list[Result]:
    """Return what the checks say of a node: of one that was not reached, that alone."""
    return registry.run(seen, seen.node.name, () if seen.failure is None else (REACHED,))


async def look(fleet: Fleet, remotes: Remotes) -> dict[str, Seen]:
    """Look at nodes, side by side."""
    others: dict[str, Seen] = {}
    seen = await asyncio.gather(*(_look(fleet, name, remote, others) for name, remote in remotes.items()))
    others.update((each.node.name, each) for each in seen)
    return others


async def _look(fleet: Fleet, name: str, remote: Remote | NodeError, others: Mapping[str, Seen]) -> Seen:
    node = fleet.nodes[name]
    if isinstance(remote, NodeError):
        return Seen(fleet, node, failure=_failure(remote), others=others)
    try:
        return await within(DEADLINE, _asked(fleet, node, remote, others))
    except NodeError as error:
        return Seen(fleet, node, failure=_failure(error), others=others)
    except asyncio.TimeoutError:
        late = Failure(f"it was not done in {DEADLINE:g} s", "is the machine overloaded?", "late")
        return Seen(fleet, node, failure=late, others=others)
    except msgspec.ValidationError as error:
        odd = Failure(f"its answer is not understood: {error}", kind="protocol")
        return Seen(fleet, node, failure=odd, others=others)


def _failure(error: NodeError) -> Failure:
    return Failure(error.message, error.hint, error.kind)


class _Clock(msgspec.Struct):
    time: float


async def _asked(fleet: Fleet, node: Node, remote: Remote, others: Mapping[str, Seen]) -> Seen:
    await remote.ask("clock")  # the first request sends the program: that is no part of the trip
    before = time.time()
    told = msgspec.convert(await remote.ask("clock"), _Clock).time
    clock = Clock(told - time.time(), told - before)
    facts, state = await asyncio.gather(
        remote.ask("observe", **wanted_of(fleet, node)),
        remote.ask("probe", env_names=sorted(fleet.env(node)), services=services_of(fleet, node)),
    )
    return Seen(
        fleet,
        node,
        msgspec.convert(facts, Observed),
        msgspec.convert(state, NodeState),
        clock,
        others=others,
    )


def wanted_of(fleet: Fleet, node: Node) -> dict[str, Any]:
    """Return what is to be observed on a node (see `node/observe.py`)."""
    wanted: dict[str, Any] = {"texts": [(AUDIT, AUDIT_MARK), (CONNECTOR, "")], "run": {"audit": (AUDIT,)}}
    ports = gateway_ports(fleet)
    places = [(gateway_host(fleet), port) for port in ports]
    if node.role is Role.GTW:
        return {**wanted, "listen": ports, "greet": places}
    return {**wanted, "reach": places, "greet": places, "pings": PINGS}


def load_checks(fleet: Fleet) -> None:
    """Load the files with checks of the project's own, each once.

    Raises:
        SettingError: One is not there, or cannot be used.
    """
    for name in fleet.checks:
        path = Path(fleet.folder, name).resolve()
        if path not in _loaded:
            _load(path)
            _loaded.add(path)


def _load(path: Path) -> None:
    if not path.is_file():
        raise SettingError(f"the checks {path} are not there", hint="`checks` in the inventory names them")
    spec = importlib.util.spec_from_file_location(f"fleet_checks_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise SettingError(f"the checks {path} are no Python file", hint="its name ends with .py")
    try:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
    except Exception as error:  # whatever somebody's file does
        raise SettingError(
            f"the checks {path} cannot be loaded: {type(error).__name__}: {error}", hint="mend that file"
        ) from error

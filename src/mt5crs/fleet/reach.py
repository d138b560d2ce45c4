"""All nodes at once: connect to them, and ask them the same."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import cache
from typing import Any, NamedTuple, TypeVar

import msgspec

from mt5crs.fleet.answers import answered
from mt5crs.fleet.facts import NodeState
from mt5crs.fleet.hostkeys import scan
from mt5crs.fleet.inventory import Fleet, Node
from mt5crs.fleet.login import Passphrase, from_terminal
from mt5crs.fleet.plan import Drift
from mt5crs.fleet.ssh import Connection, NodeError, Remote, Tell

Answer = TypeVar("Answer")

BUSY_FOR = 20.0
"""Seconds for which a node is waited for that still ends what was begun before."""
AGAIN = 0.25


class Seen(NamedTuple):
    """What nodes are.

    Attributes:
        remotes: Those that can be asked.
        states: What each is, or why that is not known.
        ahead: By how many seconds each clock is ahead of ours.
        drift: What is otherwise on each node than it was deployed.
    """

    remotes: dict[str, Remote]
    states: dict[str, NodeState | NodeError]
    ahead: dict[str, float]
    drift: dict[str, Drift]


@cache
def _passphrase() -> Passphrase | None:
    """Return what asks for the passphrases of key files, once for each; None where nobody can be asked."""
    return from_terminal() if sys.stdin is not None and sys.stdin.isatty() else None


class Ways:
    """Connections to nodes of a fleet, one to each, also to those that only others are reached through.

    Args:
        fleet: The inventory.
        stack: Closes the connections, those through another before that one.
    """

    def __init__(self, fleet: Fleet, stack: AsyncExitStack) -> None:
        self._fleet = fleet
        self._stack = stack
        self._opening: dict[str, asyncio.Task[Connection]] = {}

    async def to(self, node: Node) -> Connection:
        """Connect to a node.

        Raises:
            NodeError: It cannot be done, or not to a node on the way.
        """
        if node.name not in self._opening:
            self._opening[node.name] = asyncio.create_task(self._open(node))
        return await self._opening[node.name]

    async def before(self, node: Node) -> Connection | None:
        """Connect to the node that another is reached through; None where it is reached directly."""
        if not node.through:
            return None
        try:
            return await self.to(self._fleet.nodes[node.through])
        except NodeError as error:
            raise NodeError(
                node.name, f"the way there is lost: {error.message}", hint=error.hint, kind=error.kind
            ) from error

    async def _open(self, node: Node) -> Connection:
        return await Connection.open(node, self._stack, _passphrase(), await self.before(node))


async def reach(fleet: Fleet, nodes: Iterable[Node], stack: AsyncExitStack) -> dict[str, Remote | NodeError]:
    """Connect to nodes, all at the same time; the stack closes the connections."""
    ways = Ways(fleet, stack)

    async def one(node: Node) -> tuple[str, Remote | NodeError]:
        try:
            return node.name, await ways.to(node)
        except NodeError as error:
            return node.name, error

    return dict(await asyncio.gather(*map(one, nodes)))


async def offered(fleet: Fleet, node: Node) -> list[str]:
    """Return the host keys that a node offers, the best first; nobody has vouched for them.

    Raises:
        NodeError: Nothing answers there as SSH does, or a node on the way cannot be connected to.
    """
    async with AsyncExitStack() as stack:
        way = await Ways(fleet, stack).before(node)
        return await scan(node, tunnel=way.tunnel if way else None)


async def ask_all(
    remotes: Mapping[str, Remote | NodeError], operation: str, **request: Any
) -> dict[str, dict[str, Any] | NodeError]:
    """Ask nodes the same at the same time; those that were not reached keep their error."""

    async def one(remote: Remote | NodeError) -> dict[str, Any] | NodeError:
        if isinstance(remote, NodeError):
            return remote
        try:
            return await remote.ask(operation, **request)
        except NodeError as error:
            return error

    answers = await asyncio.gather(*(one(remote) for remote in remotes.values()))
    return dict(zip(remotes, answers, strict=True))


async def see(fleet: Fleet, stack: AsyncExitStack, only: Sequence[str] = ()) -> Seen:
    """Connect to nodes and look at each."""
    nodes = [node for name, node in fleet.nodes.items() if not only or name in only]
    reached = await reach(fleet, nodes, stack)
    states: dict[str, NodeState | NodeError] = {}
    ahead: dict[str, float] = {}
    drift: dict[str, Drift] = {}

    async def look(name: str, remote: Remote) -> None:
        services = services_of(fleet, remote.node)
        begun = time.time()
        try:
            answer = await remote.ask("probe", env_names=list(fleet.env(remote.node)), services=services)
            ended = time.time()
            state = answered(name, answer, NodeState)
            drift[name] = answered(name, await remote.ask("drift", services=services), Drift)
        except NodeError as error:
            states[name] = error
            return
        states[name] = state
        # Its clock was read somewhere between our question and its answer.
        ahead[name] = _beyond(state.time, begun, ended)

    remotes = {name: each for name, each in reached.items() if not isinstance(each, NodeError)}
    await asyncio.gather(*(look(name, remote) for name, remote in remotes.items()))
    failed = {name: each for name, each in reached.items() if isinstance(each, NodeError)}
    return Seen(remotes, {name: {**failed, **states}[name] for name in reached}, ahead, drift)


def services_of(fleet: Fleet, node: Node) -> dict[str, Any]:
    """Return the services of a node as it is told them."""
    return {name: msgspec.to_builtins(each) for name, each in fleet.services_of(node).items()}


def _beyond(value: float, low: float, high: float) -> float:
    """Return by how much a value is above an interval, or, negative, below it."""
    return max(value - high, 0.0) + min(value - low, 0.0)


async def patient(do: Callable[[], Awaitable[Answer]], tell: Tell) -> Answer:
    """Have a node change something; one that still ends what a broken connection began is waited for."""
    give_up = time.monotonic() + BUSY_FOR
    while True:
        try:
            return await do()
        except NodeError as error:
            if error.kind != "busy" or time.monotonic() > give_up:
                raise
        tell("waits for what still goes on there")
        await asyncio.sleep(AGAIN)

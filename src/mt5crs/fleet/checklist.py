"""The checklist before a task is handed over: seven items, each proved by checks on nodes."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import NamedTuple

from mt5crs.checks import Result, Status
from mt5crs.fleet.inventory import Fleet, Node, Role

REACHED = "node.reached"
PAUSE = 5.0
"""Seconds between two looks at what is still open."""
NEARER = (REACHED, "release.current", "settings.accepted", "gateway.answers")
"""Checks of what must hold on a node before others can look at anything there, from near to far."""
GOOD = (Status.PASS,)
"""What proves something: a warning is to be looked at before a task is handed over, and proves nothing."""


class Demand(NamedTuple):
    """A check that must hold for an item.

    Attributes:
        check: Its id.
        roles: On nodes of which roles.
        by: What it may come to.
    """

    check: str
    roles: tuple[Role, ...]
    by: tuple[Status, ...] = GOOD


class Item(NamedTuple):
    """An item.

    Attributes:
        id: Its name for programs.
        title: What must hold, as a statement.
        demands: What proves it.
    """

    id: str
    title: str
    demands: tuple[Demand, ...]


class Answer(NamedTuple):
    """Whether an item holds.

    Attributes:
        item: The item.
        open: What is still to be done, a sentence for each node; empty where it holds.
        unproved: What could not be looked at and has to be believed, a sentence each.
    """

    item: Item
    open: tuple[str, ...]
    unproved: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether nothing is open."""
        return not self.open


CLIENTS = (Role.HUB, Role.INF, Role.GPU)
GATEWAY = (Role.GTW,)
ALL = tuple(Role)

ITEMS = (
    Item("pyzmq", "pyzmq is installed on all Linux nodes", (Demand("packages.pyzmq", CLIENTS),)),
    Item("host", "MT5_HOST in .env is GTW's real address", (Demand("settings.host", CLIENTS),)),
    Item("connector", "src/client/mt5_connector.py is on all nodes", (Demand("release.connector", ALL),)),
    Item("audit", "scripts/audit_current_task.py is the new one", (Demand("release.audit", ALL),)),
    Item(
        "firewall",
        "the firewall on GTW lets clients in, and them alone",
        (
            Demand("gateway.reachable", CLIENTS),
            # Rules that cannot be seen hold up nobody, and are told as not proved.
            Demand("gateway.admits", GATEWAY, (Status.PASS, Status.OFF)),
        ),
    ),
    Item(
        "gateway",
        "the gateway and its terminal run on GTW",
        (
            Demand("gateway.listens", GATEWAY),
            Demand("gateway.streams", CLIENTS),
            Demand("gateway.terminal", CLIENTS),
        ),
    ),
    Item(
        "connected",
        "the gateway answers to pings from every client's node",
        (Demand("gateway.answers", CLIENTS), Demand("client.rtt", CLIENTS)),
    ),
)


def answered(fleet: Fleet, results: Collection[Result]) -> list[Answer]:
    """Return for each item whether it holds.

    A node on which a check has no result is open: what was not looked at is not proved. An optional node that
    is off is left out.
    """
    off = {each.subject for each in results if each.check == REACHED and each.status is Status.OFF}
    nodes = [node for node in fleet.nodes.values() if node.name not in off]
    return [
        Answer(
            item,
            tuple(
                dict.fromkeys(
                    words for demand in item.demands for words in _open(item, demand, nodes, results)
                )
            ),
            tuple(words for demand in item.demands for words in _unproved(demand, results)),
        )
        for item in ITEMS
    ]


def _unproved(demand: Demand, results: Collection[Result]) -> list[str]:
    return [
        f"{each.subject}: {each.found}"
        for each in results
        if each.check == demand.check and each.status is Status.OFF and Status.OFF in demand.by
    ]


def _open(item: Item, demand: Demand, nodes: Sequence[Node], results: Collection[Result]) -> list[str]:
    concerned = [node for node in nodes if node.role in demand.roles]
    found = [words for node in concerned for words in _open_on(item, demand, node, results)]
    return found if concerned else [f"no node was there on which {demand.check} could be looked at"]


def _open_on(item: Item, demand: Demand, node: Node, results: Collection[Result]) -> list[str]:
    mine = [each for each in results if each.subject == node.name]
    asked = [each for each in mine if each.check == demand.check]
    if not asked:
        failed = {each.check: each for each in mine if each.status is Status.FAIL}
        why = next((failed[check] for check in NEARER if check in failed), None)
        if why is None:
            return [f"{node.name}: not looked at"]
        if any(each.check == why.check and node.role in each.roles for each in item.demands):
            return []  # it keeps the item open itself, and says why
        return [f"{node.name}: not looked at, since {why.check} failed: {why.found}"]
    return [
        f"{node.name}: {each.found}" + (f": {each.remedy}" if each.remedy else "")
        for each in asked
        if each.status not in demand.by
    ]


async def awaited(
    fleet: Fleet,
    look: Callable[[], Awaitable[Collection[Result]]],
    seconds: float,
    tell: Callable[[Sequence[Answer]], None],
    pause: float = PAUSE,
) -> list[Answer]:
    """Look until all items hold, or the time is over.

    Args:
        fleet: The inventory.
        look: Returns what the checks say now.
        seconds: For how long; it is looked at once in any case.
        tell: Is told the answers whenever what is open has changed.
        pause: Seconds between two looks.

    Returns:
        The last answers.
    """
    end = time.monotonic() + seconds
    told: list[tuple[str, ...]] = []
    while True:
        answers = answered(fleet, await look())
        left = end - time.monotonic()
        if all(answer.holds for answer in answers) or left <= 0:
            return answers
        if told != (told := [answer.open for answer in answers]):
            tell(answers)
        await asyncio.sleep(min(pause, left))

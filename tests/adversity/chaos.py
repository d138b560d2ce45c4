"""Sends thousands of orders while everything goes wrong, and counts what must not be: `make chaos SEED=1`.

An account of record in a process that is never harmed; a gateway with a journal beside it that is ended at
every named point and started again; a network in between that loses, delays, doubles and swaps messages and
cuts connections; and clients that do what a careful program does. In the end what the clients were told is
compared with the account of record.
"""

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mt5crs import BridgeError, Client
from mt5crs.model import Outcome, TradeOrder, TradePosition
from mt5crs.points import POINTS
from tests.adversity.actions import KINDS
from tests.adversity.crowd import Crowd
from tests.adversity.kills import Fuse
from tests.adversity.mutants import MUTANTS
from tests.adversity.orders import Order, Told, Trader
from tests.adversity.proxy import Proxy
from tests.adversity.record import Record, compare
from tests.adversity.weather import ANYWHERE, Killings, weather
from tests.adversity.world import ACCOUNT, GatewayUnderTest, faults
from tests.processes import Gateway

ORDERS = 10_000
SENDING = 140.0
"""Seconds for orders to be sent; fewer are sent where a machine is too slow."""
LONGEST = 175.0
"""Seconds from the start after which outcomes are waited for no more."""
TIMEOUT = 2.0
"""Seconds that a client waits for an answer."""
HORIZON = 1.0
"""Seconds after which the gateway takes an order without a trace for not carried out."""
FULL = ORDERS // 2
"""With fewer orders than these everything goes wrong more often."""
SHOWN = 20
FOUND, VACUOUS = 1, 2
"""Exit codes: something is wrong with the product, and something is wrong with the run."""


@dataclass(frozen=True)
class Plan:
    """What a run does.

    Attributes:
        seed: Decides orders, weather and kills; not the times at which threads and processes get their turn.
        orders: How many are sent.
        mutant: A defect that the gateway is given.
        points: Where processes end: names of `mt5crs.points`, and anywhere.
        kills: How often each point is the end of one.
        weather: How likely a message is touched.
        faults: How likely an order meets a fault at the account of record.
        threads: With blocking clients.
        loops: With an asyncio client each.
        tasks: In each loop.
        settling: Seconds for outcomes to become known when everything is calm again.
    """

    seed: int
    orders: int = ORDERS
    mutant: str = ""
    points: tuple[str, ...] = (*POINTS, ANYWHERE)
    kills: int = 3
    weather: float = 0.008
    faults: float = 0.002
    threads: int = 16
    loops: int = 2
    tasks: int = 16
    settling: float = 30.0

    @classmethod
    def of(cls, seed: int, orders: int, **other: Any) -> "Plan":
        """Return the plan of a run of a size.

        Args:
            seed: See the attributes.
            orders: See the attributes.
            other: Other attributes; None for what the size decides.
        """
        small = {"kills": 2, "weather": 0.05, "faults": 0.01, "threads": 6, "loops": 1, "tasks": 16}
        chosen = {name: value for name, value in other.items() if value is not None}
        return cls(seed, orders, **{**(small if orders < FULL else {}), **chosen})


@dataclass
class Report:
    """What came of a run.

    Attributes:
        plan: What was to be done.
        told: How many orders clients were told what of.
        unknown_at_first: Orders of which a client was told that they may have been carried out.
        settled_later: Those of them of which it was known in the end what happened.
        kills: Processes ended, by point.
        network: Messages touched, by kind.
        restarts: Starts of the gateway under test after its first one.
        doubled: Orders carried out more than once.
        lost: Orders of which something else was told than what happened.
        unknown: Orders of which it was not known in the end what happened.
        comments: Orders whose comment the gateway gives back altered.
        surprises: Failures that no client should meet.
        missing: Adversity that did not happen: the run proves nothing.
        seconds: How long it took.
    """

    plan: Plan
    told: dict[str, int] = field(default_factory=dict)
    unknown_at_first: int = 0
    settled_later: int = 0
    kills: dict[str, int] = field(default_factory=dict)
    network: dict[str, int] = field(default_factory=dict)
    restarts: int = 0
    doubled: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    surprises: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def wrong(self) -> dict[str, list[str]]:
        """What must not be, by name; all of it is empty after a good run."""
        return {name: getattr(self, name) for name in ("doubled", "lost", "unknown", "comments", "surprises")}

    @property
    def exit_code(self) -> int:
        """0 after a good run."""
        if any(self.wrong.values()):
            return FOUND
        return VACUOUS if self.missing else 0


def run(plan: Plan, folder: Path) -> Report:
    """Carry out a plan.

    Args:
        plan: What is done.
        folder: An empty one for journals and logs.
    """
    report, start = Report(plan), time.monotonic()
    fuse = Fuse(folder)
    record_options = [*ACCOUNT, "--seed", str(plan.seed), *faults(plan.faults)]
    with (
        Gateway(folder, record_options) as record,
        GatewayUnderTest(
            folder, record, fuse, seed=plan.seed, mutant=plan.mutant, options=["--horizon", f"{HORIZON:g}"]
        ) as tested,
        Proxy(tested.port, weather(plan.seed, plan.weather)) as proxy,
    ):
        trader = Trader(random.Random(plan.seed))  # noqa: S311 - repeatable on purpose
        crowd = Crowd(proxy.port, trader, plan.orders, until=time.monotonic() + SENDING, timeout=TIMEOUT)
        with Killings(fuse, plan.seed, plan.points, plan.kills, crowd.progress, tested.cut_power):
            crowd.run(plan.threads, plan.loops, plan.tasks)
        proxy.calm()
        with Client("127.0.0.1", proxy.port, timeout=5.0) as client:
            _settle(client, crowd.orders, min(time.monotonic() + plan.settling, start + LONGEST))
            report.comments = _altered_comments(client, crowd.orders)
        with record.client(timeout=30.0) as client:
            findings = compare(crowd.orders, Record(client))
        report.restarts = tested.restarts
        report.network = {kind: proxy.counts[kind] for kind in KINDS}
        failure = tested.failure
    report.doubled, report.lost, report.unknown = findings.doubled, findings.lost, findings.unknown
    kills = fuse.kills()
    report.kills = {point: kills[point] for point in plan.points}
    _count(report, crowd.orders)
    report.missing = _missing(plan, report, failure)
    report.seconds = time.monotonic() - start
    return report


def _settle(client: Client, orders: list[Order], give_up: float) -> None:
    """Ask for what is still unknown until it is known, or the time is up."""
    time.sleep(TIMEOUT)  # what was on its way has its deadline behind it: an unknown key was not sent
    waiting = [order for order in orders if order.told is Told.UNKNOWN]
    while waiting and time.monotonic() < give_up:
        waiting = [order for order in waiting if not _is_known(client, order)]
        if waiting:
            time.sleep(0.2)  # between two looks of the gateway; nothing tells of their end


def _is_known(client: Client, order: Order) -> bool:
    try:
        outcome: Outcome | None = client.outcome(order.key)
    except BridgeError:
        return False
    return order.learn(outcome)


def _altered_comments(client: Client, orders: list[Order]) -> list[str]:
    """Return the orders whose comment the gateway does not give back as it was sent."""
    sent = {order.magic: order.request.get("comment", "") for order in orders if order.magic}
    try:
        rows: list[TradeOrder | TradePosition] = [*(client.orders_get() or ())]
        rows += client.positions_get() or ()
    except BridgeError as error:
        return [f"cannot be read: {error}"]
    return [
        f"magic {row.magic}: {row.comment!r}, sent as {sent[row.magic]!r}"
        for row in rows
        if row.magic in sent and row.comment != sent[row.magic]
    ]


def _count(report: Report, orders: list[Order]) -> None:
    told = Counter(order.told for order in orders)
    report.told = {each.value: told[each] for each in Told if each is not Told.NOTHING}
    doubtful = [order for order in orders if order.was_unknown]
    report.unknown_at_first = len(doubtful)
    report.settled_later = sum(order.told is not Told.UNKNOWN for order in doubtful)
    report.surprises = [surprise for order in orders for surprise in order.surprises]


def _missing(plan: Plan, report: Report, failure: str) -> list[str]:
    """Return what should have gone wrong and did not."""
    sent = sum(report.told.values())
    missing = [f"only {sent} of {plan.orders} orders were sent"] if sent < plan.orders else []
    if failure:
        missing.append(f"the gateway was not running in the end: {failure}")
    if plan.kills:
        missing += [f"nothing was ended at {point}" for point, count in report.kills.items() if not count]
    if plan.weather:
        missing += [f"no message met {kind}" for kind, count in report.network.items() if not count]
    if (plan.kills or plan.weather or plan.faults) and not report.unknown_at_first:
        missing.append("no client was told that an outcome is unknown")
    return missing


# ---- for people ----


def table(report: Report) -> str:
    """Return a report for people."""
    told = ", ".join(f"{count} {name}" for name, count in report.told.items())
    kills = ", ".join(f"{count} {point}" for point, count in report.kills.items())
    rows = [
        ("orders", f"{sum(report.told.values())}: {told}"),
        ("unknown at first", f"{report.unknown_at_first}, {report.settled_later} of them known later"),
        ("kills", f"{sum(report.kills.values())}: {kills}"),
        ("restarts", f"{report.restarts}"),
        ("network", ", ".join(f"{count} {kind}" for kind, count in report.network.items())),
        *((name, f"{len(found)}") for name, found in report.wrong.items()),
        ("seconds", f"{report.seconds:.0f}"),
    ]
    lines = [f"{name:<18}{text}" for name, text in rows]
    for name, found in (*report.wrong.items(), ("missing", report.missing)):
        lines += [f"{name}: {each}" for each in found[:SHOWN]]
        lines += [f"{name}: and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Run it; return the exit code: 0, 1 if something must not be, 2 if the run proves nothing."""
    parser = argparse.ArgumentParser(prog="python -m tests.adversity.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=None, help="a random one without it")
    parser.add_argument("--orders", type=int, default=ORDERS)
    parser.add_argument("--mutant", choices=sorted(MUTANTS), default="", help="a defect to be noticed")
    parser.add_argument(
        "--point", action="append", choices=[*POINTS, ANYWHERE], help="where processes end; all without it"
    )
    parser.add_argument("--kills", type=int, help="how often at each")
    parser.add_argument("--weather", type=float, help="how likely a message is touched")
    parser.add_argument("--faults", type=float, help="how likely an order meets a fault of the terminal's")
    parser.add_argument("--settling", type=float, help="seconds for outcomes to become known")
    parser.add_argument("--json", type=Path, help="write the report here too")
    parser.add_argument("--keep", type=Path, help="leave journals and logs in this folder")
    told = parser.parse_args(arguments)
    seed = told.seed if told.seed is not None else int.from_bytes(os.urandom(4), "big")
    sys.stdout.write(f"seed {seed}\n")
    sys.stdout.flush()
    plan = Plan.of(
        seed,
        told.orders,
        mutant=told.mutant,
        points=told.point and tuple(told.point),
        kills=told.kills,
        weather=told.weather,
        faults=told.faults,
        settling=told.settling,
    )
    if told.keep is not None:
        told.keep.mkdir(parents=True, exist_ok=True)
        report = run(plan, told.keep)
    else:
        with tempfile.TemporaryDirectory(prefix="mt5crs-chaos-") as folder:
            report = run(plan, Path(folder))
    sys.stdout.write(table(report) + "\n")
    if told.json is not None:
        told.json.write_text(json.dumps({**asdict(report), "exit_code": report.exit_code}, indent=2) + "\n")
    return report.exit_code


if __name__ == "__main__":
    sys.exit(main())

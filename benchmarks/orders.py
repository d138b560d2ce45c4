"""Orders and their journal: what durability costs, alone and on the whole way.

The floor is what no durable record can do without: one append to a file of the same disk, with `fdatasync`.
An order takes two (its intent, its outcome), which ten orders that wait share.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from benchmarks.measure import Case, Effort, Figure, Rounds, join, ratio, summary, take_turns, timed
from benchmarks.processes import gateway, one_core
from mt5crs import Client
from mt5crs.journal.states import Step
from mt5crs.journal.store import Begin, Journal, Told

APPEND = 300
"""Bytes of one append: what an intent takes."""
TOGETHER = 10
IN_FLIGHT = 64
FLOOR = "one append with fdatasync"
MEMORY = "the same way, journal in memory"
NETTING = ("--margin-mode", "netting")
ORDER: dict[str, Any] = {
    "action": 1, "symbol": "EURUSD", "volume": 0.1, "type": 0, "type_filling": 1,
    "magic": 5, "comment": "bench",
}  # fmt: skip
CORE = {"retcode": 10009, "deal": 1, "order": 5, "volume": 0.1, "price": 1.1, "code": 1, "text": "Success"}
NOTE = {**CORE, "how": "answer", "makes": True}
RESULT = [10009, 1, 5, 0.1, 1.1, 1.1, 1.1, "Request executed", 5, 0, [1] + [0] * 16]


def appends(path: Path) -> Case:
    """Return the floor."""
    file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    record = bytes(APPEND)

    def once() -> None:
        os.write(file, record)
        os.fdatasync(file)

    return lambda calls: timed(once, calls)


def journaled(journal: Journal, together: int) -> Case:
    """Return the case of orders that wait together: intents, then outcomes; the seconds are an order's."""
    numbers = count()

    def once() -> None:
        asked = [Begin("bench", str(next(numbers)), ORDER, {"tagged": True}) for _ in range(together)]
        journal.record([Told(entry.number, Step.FINISH, NOTE, RESULT) for entry in journal.begin(asked)])

    return lambda calls: [took / together for took in timed(once, calls // together or 1)]


def single(client: Client) -> Case:
    """Return the case of one order after the other, there and back."""
    sides = count()
    return lambda calls: timed(lambda: client.order_send({**ORDER, "type": next(sides) % 2}), calls)


def many(client: Client) -> Case:
    """Return the case of many orders in one trip; the seconds are an order's."""
    requests = [{**ORDER, "type": number % 2} for number in range(IN_FLIGHT)]

    def batch() -> float:
        start = perf_counter()
        client.order_send_many(requests)
        return (perf_counter() - start) / IN_FLIGHT

    return lambda calls: [batch() for _ in range(calls // IN_FLIGHT or 1)]


@contextmanager
def _cases() -> Iterator[dict[str, Case]]:
    with TemporaryDirectory(dir=".") as name:  # a disk, where /tmp may be memory
        folder = Path(name)
        alone, shared = (Journal(folder / f"{each}.db", "bench") for each in ("alone", "shared"))
        with (
            gateway(options=(*NETTING, "--journal", str(folder / "gateway.db"))) as durable,
            gateway(options=NETTING) as quick,
            Client("127.0.0.1", durable.port) as to_durable,
            Client("127.0.0.1", quick.port) as to_quick,
        ):
            yield {
                "floor": appends(folder / "floor"),
                "one": journaled(alone, 1),
                "ten": journaled(shared, TOGETHER),
                "durable": single(to_durable),
                "memory": single(to_quick),
                "many durable": many(to_durable),
                "many memory": many(to_quick),
            }
        alone.close()
        shared.close()


def _launch(effort: Effort) -> tuple[Rounds, float]:
    with one_core(), _cases() as cases:
        take_turns(cases, 1, effort.calls)  # connections made, files grown
        rounds, singles = take_turns(cases, effort.rounds, effort.calls)
    ordered = sorted(singles["durable"])
    return rounds, ordered[int(len(ordered) * 0.99)] / median(ordered)


def figures(effort: Effort) -> list[Figure]:
    """Measure the journal."""
    launches = [_launch(effort) for _ in range(effort.launches)]
    rounds = join(part for part, _ in launches)
    floor = rounds["floor"]
    return [
        ratio("intent and outcome of an order", FLOOR, rounds["one"], floor, target=2.0),
        ratio(f"the same, {TOGETHER} orders waiting", FLOOR, rounds["ten"], floor, target=0.35),
        ratio("order with its journal on disk", MEMORY, rounds["durable"], rounds["memory"]),
        summary("order, 99th percentile", "its own median", [tail for _, tail in launches]),
        ratio(f"{IN_FLIGHT} orders in one trip", MEMORY, rounds["many durable"], rounds["many memory"]),
    ]

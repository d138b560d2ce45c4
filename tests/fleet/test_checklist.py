"""The checklist: which checks prove which item."""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import replace

import msgspec
import pytest

from mt5crs.checks import Result
from mt5crs.fleet.checklist import ITEMS, Answer, answered, awaited
from mt5crs.fleet.inventory import Role
from mt5crs.fleet.live import BUILT_IN, Failure, Seen
from mt5crs.fleet.verify import held
from tests.fleet.facts import ABOUT, FLEET, MEASURED, RAN, SETTINGS, facts, fleet_seen

LOST = Failure("no route", "is it on?", "unreachable")
RULE = {"name": "MT5 ZMQ", "from": ["Any"]}
TIMEOUT = {"settings": SETTINGS, "failed": {"code": "timeout", "message": "Connection timeout"}}


def measured(**changes: object) -> Callable[[Seen], Seen]:
    return facts(client={"settings": SETTINGS, "measured": MEASURED | changes})


def lost(seen: Seen) -> Seen:
    return replace(seen, failure=LOST)


def looked(**changed: object) -> list[Result]:
    return [result for seen in fleet_seen(**changed).values() for result in held(seen)]  # type: ignore[arg-type]


def still_open(results: Collection[Result]) -> dict[str, tuple[str, ...]]:
    return {each.item.id: each.open for each in answered(FLEET, results) if not each.holds}


def test_all_seven_hold_where_all_is_well() -> None:
    assert len(ITEMS) == 7
    assert still_open(looked()) == {}


def test_each_demand_is_for_a_check_that_there_is() -> None:
    assert {demand.check for item in ITEMS for demand in item.demands} <= {*BUILT_IN}


@pytest.mark.parametrize(
    ("node", "change", "items"),
    [
        ("inf", facts(about=ABOUT | {"packages": {}}), {"pyzmq"}),
        ("hub", facts(client={"settings": SETTINGS | {"host": ["127.0.0.1", "the default"]}}),
            {"host", "gateway", "connected"}),
        ("gtw", facts(texts=[]), {"connector", "audit"}),
        ("inf", facts(reached=[]), {"firewall"}),
        ("gtw", facts(admitted={"5555": [RULE]}), {"firewall"}),
        ("gtw", facts(admitted={"5555": [], "5556": []}), {"firewall"}),
        ("inf", measured(lost=1), {"connected"}),
        ("inf", measured(streams=False), {"gateway"}),
        ("gtw", facts(listeners={"5555": [], "5556": []}), {"gateway"}),
        ("inf", facts(client=TIMEOUT), {"gateway", "connected"}),
        ("inf", lost, {"pyzmq", "host", "connector", "audit", "firewall", "gateway", "connected"}),
        ("gtw", lost, {"connector", "audit", "firewall", "gateway"}),
    ],
)  # fmt: skip
def test_what_is_not_proved_is_open(node: str, change: object, items: set[str]) -> None:
    found = still_open(looked(**{node: change}))
    assert found.keys() == items
    assert all(words.startswith(f"{node}: ") for each in found.values() for words in each)


def test_why_something_was_not_looked_at_is_what_is_in_its_way_and_said_once() -> None:
    found = still_open(
        looked(inf=facts(ran={"audit": RAN | {"code": 1, "answer": "no"}}, client=TIMEOUT, free=1 << 20))
    )
    assert found["gateway"] == ("inf: not looked at, since gateway.answers failed: Connection timeout",), (
        "a disk and an audit have nothing to do with it"
    )
    (connected,) = found["connected"]
    assert connected.startswith("inf: Connection timeout: "), "and nothing of client.rtt, which it explains"
    assert still_open(looked(inf=lost))["gateway"] == (
        "inf: not looked at, since node.reached failed: no route",
    )


def test_rules_that_cannot_be_seen_are_told_as_not_proved() -> None:
    answers = answered(FLEET, looked(gtw=facts(admitted={"5555": None, "5556": None})))
    (firewall,) = [each for each in answers if each.item.id == "firewall"]
    assert firewall.holds
    assert [words.startswith("gtw: not proved") for words in firewall.unproved] == [True, True]


def test_an_optional_node_that_is_off_holds_nothing_up() -> None:
    assert still_open(looked(gpu=lost)) == {}


def test_what_nobody_could_prove_is_open() -> None:
    optional = {name: msgspec.structs.replace(node, optional=True) for name, node in FLEET.nodes.items()}
    fleet = msgspec.structs.replace(FLEET, nodes=optional)
    off = [
        result
        for seen in fleet_seen(**dict.fromkeys(FLEET.nodes, lost)).values()
        for result in held(replace(seen, node=optional[seen.node.name]))
    ]
    assert not any(answer.holds for answer in answered(fleet, off))
    assert Role.GTW in {node.role for node in fleet.nodes.values()}


def test_it_waits_until_all_hold() -> None:
    rounds = [
        looked(inf=lost, gtw=facts(admitted={"5555": [RULE]})),
        looked(inf=lost),
        looked(inf=lost),
        looked(),
    ]
    told: list[int] = []

    async def look() -> list[Result]:
        return rounds.pop(0)

    def tell(answers: Collection[Answer]) -> None:
        told.append(sum(len(each.open) for each in answers))

    answers = asyncio.run(awaited(FLEET, look, 60, tell, pause=0))
    assert all(each.holds for each in answers)
    assert rounds == []
    assert len(told) == 2, "it is told when something has changed, and then alone"
    assert told[0] > told[1]


def test_it_waits_no_longer_than_it_was_told() -> None:
    looks: list[int] = []

    async def look() -> list[Result]:
        looks.append(1)
        return looked(inf=lost)

    answers = asyncio.run(awaited(FLEET, look, 0.05, lambda _answers: None, pause=0.02))
    assert not all(each.holds for each in answers)
    assert len(looks) >= 2
    assert asyncio.run(awaited(FLEET, look, 0, lambda _answers: None))

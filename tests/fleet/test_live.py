"""Each live check, on facts that are made up: it passes where all is well, and can fail."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from mt5crs.checks import Status
from mt5crs.fleet.inventory import Node, Role
from mt5crs.fleet.live import BUILT_IN, Clock, Failure, Seen, registry
from mt5crs.fleet.live.seen import firewall_rule
from tests.fleet.facts import (
    ABOUT,
    BUILT,
    FLEET,
    GTW_ADDRESS,
    ID,
    MEASURED,
    PACKAGES,
    RAN,
    SETTINGS,
    facts,
    fleet_seen,
    results,
    state,
)

Change = Callable[[Seen], Seen]


def measured(**changes: Any) -> Change:
    return facts(client={"settings": SETTINGS, "measured": MEASURED | changes})


def settings(**changes: Any) -> Change:
    return facts(client={"settings": SETTINGS | changes, "measured": MEASURED})


def wrong(message: str) -> dict[str, Any]:
    return {"wrong": {"code": "setting", "message": message, "hint": "mend it"}}


def reached(state_: str, detail: str = "") -> Change:
    told = {"host": GTW_ADDRESS, "port": 5555, "state": state_, "milliseconds": 1.0, "detail": detail}
    return facts(reached=[told])


def listening(*addresses: str) -> Change:
    return facts(listeners={"5555": list(addresses), "5556": list(addresses)})


def text(exists: bool, has: bool, name: str = "scripts/audit_current_task.py") -> dict[str, Any]:
    return {"name": name, "text": "audit_task_003", "exists": exists, "has": has}


CONNECTOR = "src/client/mt5_connector.py"
LOST = Failure("no route", "is it on?", "unreachable")
PRIVATE = {"path": "/opt/mt5-crs/.env", "exists": True, "others": False, "bits": "600"}
KEYS = {"path": SETTINGS["keys"][0], "exists": True, "others": False, "bits": "600"}

FAILING: list[tuple[str, str, Change, str]] = [
    ("node.reached", "inf", lambda seen: replace(seen, failure=LOST), "no route"),
    ("node.reached", "gpu", lambda seen: replace(seen, failure=Failure("other key", "", "host-key")), "key"),
    ("node.clock", "inf", lambda seen: replace(seen, clock=Clock(31.0, 31.1)), "31.05 s ahead of gtw"),
    ("node.clock", "inf", lambda seen: replace(seen, clock=Clock(-40.0, -39.0)), "39.50 s behind gtw"),
    ("node.clock", "gtw", lambda seen: replace(seen, clock=Clock(31.0, 31.1)), "ahead of this machine"),
    ("node.disk", "inf", facts(free=10 << 20), "10 MB free"),
    ("node.python", "inf", facts(about=ABOUT | {"python": "3.9.18"}), "the release's is 3.9.18"),
    ("node.services", "inf", state(services={"strategy": "stopped"}), "strategy is stopped"),
    ("node.services", "inf", state(services={}), "strategy is unknown"),
    ("release.current", "inf", facts(current=""), "none"),
    ("release.current", "inf", facts(built=None), "is not complete"),
    ("release.current", "inf", facts(about=wrong("No module named mt5crs")), "does not start"),
    ("release.same", "inf", facts(current="0.9-aaaaaaaaaaaa"), f"where 3 of 4 have {ID}"),
    ("release.unfinished", "inf", state(unfinished={"what": "sync", "to": ID}), f"sync of {ID}"),
    ("release.record", "inf", state(record_problems=["line 3 is torn"]), "line 3 is torn"),
    ("release.connector", "inf", facts(texts=[text(False, False, CONNECTOR)]), "missing"),
    ("release.audit", "inf", facts(texts=[text(False, False)]), "missing"),
    ("release.audit", "inf", facts(texts=[text(True, False)]), "no audit_task_003"),
    ("release.audit-runs", "inf", facts(ran={"audit": RAN | {"code": 1, "answer": "no"}}), "not pass: no"),
    ("release.audit-runs", "inf", facts(ran={"audit": RAN | {"code": None, "answer": ""}}), "did not end"),
    ("release.files", "inf", facts(files={"count": 9, "total": 5, "changed": ["a", "b"], "missing": ["c"],
        "added": ["d", "e"]}), "a changed, b changed, c missing and 2 more"),
    ("release.protocol", "inf", facts(about=ABOUT | {"speaks": [3]}), "it speaks 3, the gateway's release 2"),
    ("packages.files", "inf", facts(package_files={"count": 9, "total": 1, "changed": ["z.py"]}), "z.py"),
    ("packages.pyzmq", "inf", facts(about=ABOUT | {"packages": {"pyzmq": "23.2.1"}}), "23.2.1"),
    ("packages.pyzmq", "inf", facts(about=ABOUT | {"packages": {}}), "not installed"),
    ("packages.locked", "inf", facts(about=ABOUT | {"packages": PACKAGES | {"numpy": "1.0"}}),
        "numpy 1.0 instead of 2.3.0"),
    ("packages.locked", "inf", facts(about=ABOUT | {"packages": PACKAGES | {"evil": "1"}}), "evil 1"),
    ("packages.consistent", "inf", facts(consistent=RAN | {"code": 1, "output": "a needs b"}), "a needs b"),
    ("settings.accepted", "inf", facts(client=wrong("MT5_PORT is 'x'")), "MT5_PORT"),
    ("settings.host", "inf", facts(client=wrong("MT5_HOST is '192.168.x.x': a placeholder")), "placeholder"),
    ("settings.host", "inf", settings(host=["127.0.0.1", "the default"]), "not set"),
    ("settings.host", "inf", settings(host=["10.9.9.9", ".env"]), "10.9.9.9, and the gateway is at 10.0.0.2"),
    ("settings.inventory", "inf", state(env_trouble=".env is not UTF-8"), "not UTF-8"),
    ("settings.inventory", "inf", state(env={}), "MT5_HOST is missing"),
    ("settings.inventory", "inf", state(env={"MT5_HOST": "1.1.1.1"}), "'1.1.1.1' instead of"),
    ("settings.keys", "inf", facts(modes=[PRIVATE]), "is not there"),
    ("settings.keys", "inf", facts(modes=[PRIVATE, KEYS | {"others": True, "bits": "644"}]), "mode 644"),
    ("settings.keys", "inf", facts(modes=[PRIVATE, KEYS | {"trouble": "it is of another user"}]), "another"),
    ("settings.private", "inf", facts(modes=[PRIVATE | {"trouble": "others may write"}]), "others"),
    ("gateway.listens", "gtw", listening(), "nobody listens on 5555"),
    ("gateway.listens", "gtw", listening("127.0.0.1"), f"on 127.0.0.1 alone, not on {GTW_ADDRESS}"),
    ("gateway.reachable", "inf", reached("filtered", "nothing came back"), "filtered"),
    ("gateway.reachable", "inf", reached("refused"), "refused"),
    ("gateway.reachable", "inf", reached("unknown"), "unknown"),
    ("gateway.answers", "inf", facts(client={"settings": SETTINGS, "failed": wrong("Connection timeout")
        ["wrong"]}), "Connection timeout"),
    ("gateway.answers", "inf", measured(lost=1), "1 of 101 pings were lost"),
    ("gateway.answers", "inf", measured(unread=wrong("it hangs")["wrong"]), "then: it hangs"),
    ("gateway.streams", "inf", measured(stream_port=6001), "on 6001, and the inventory says 5556"),
    ("gateway.streams", "inf", measured(streams=False), "nothing came from 5556"),
    ("gateway.streams", "inf", measured(streams=None), "stopped answering"),
    ("gateway.version", "inf", measured(state={"release": "1.0.0-aaaaaaaaaaaa"}), f"runs, and {ID} is"),
    ("gateway.version", "inf", measured(state={"release": ""}), "outside of any release"),
    ("client.rtt", "inf", measured(rtts=[1.0] * 98, lost=2), "p99 inf ms of 100, 2 lost"),
    ("gateway.terminal", "inf", measured(state={"answers": True, "broker": False, "account": True}),
        "no connection to its trade server"),
    ("gateway.version", "inf", measured(software="mt5crs/0.9.0"), "0.9.0 runs, 1.0.0 is the release's"),
    ("client.rtt", "inf", measured(rtts=[1.0] * 98 + [101.0] * 2), "p99 101.00 ms"),
    ("client.memory", "inf", measured(memory={"connected": 1, "arrays": 51 << 20, "peak": None}), "51.0 MB"),
]  # fmt: skip


@pytest.mark.parametrize("node", FLEET.nodes)
def test_all_is_well_where_all_is_well(node: str) -> None:
    found = registry.run(fleet_seen()[node], node, BUILT_IN)
    assert [each for each in found if each.status in {Status.FAIL, Status.WARN}] == []
    assert len(found) >= 20


@pytest.mark.parametrize(("check", "node", "change", "words"), FAILING)
def test_each_check_can_fail(check: str, node: str, change: Change, words: str) -> None:
    found = [each for each in results(check, node, **{node: change}) if each.status is Status.FAIL]
    assert found, results(check, node, **{node: change})
    assert any(words in each.found for each in found), found
    assert all(each.remedy for each in found)
    assert not any("the check itself failed" in each.found for each in found)


def test_no_check_is_without_a_way_to_fail() -> None:
    elsewhere = {"gateway.keys", "gateway.admits", "settings.private"}  # fails below, or warns only
    assert {check for check, *_ in FAILING} | elsewhere == {*BUILT_IN}


def test_an_optional_node_may_be_off() -> None:
    (result,) = results("node.reached", "gpu", gpu=lambda seen: replace(seen, failure=LOST))
    assert result.status is Status.OFF


def test_a_little_is_a_warning() -> None:
    changes: list[tuple[str, str, Change]] = [
        ("node.clock", "inf", lambda seen: replace(seen, clock=Clock(6.0, 6.2))),
        ("node.disk", "inf", facts(free=1 << 30)),
        ("release.protocol", "inf", facts(about=ABOUT | {"speaks": [1]})),
        ("settings.private", "inf", facts(modes=[PRIVATE | {"others": True, "bits": "644"}])),
        ("gateway.version", "inf", measured(state={"answers": True})),
    ]
    for check, node, change in changes:
        assert [each.status for each in results(check, node, **{node: change})] == [Status.WARN], check


def test_a_node_that_needs_no_settings_has_none_to_keep_private() -> None:
    missing = facts(modes=[PRIVATE | {"exists": False}])
    assert [each.status for each in results("settings.private", "gtw", gtw=missing)] == [Status.OFF]


def test_what_an_audit_says_of_itself_is_not_said_twice() -> None:
    said = "it does not hold: 19 passed, 1 failed: env.there (there is none)"
    (result,) = results("release.audit-runs", inf=facts(ran={"audit": RAN | {"code": 1, "answer": said}}))
    assert result.found == "it does not pass: 19 passed, 1 failed: env.there (there is none)"


def test_a_clock_is_only_wrong_where_that_is_sure() -> None:
    (result,) = results("node.clock", inf=lambda seen: replace(seen, clock=Clock(-20.0, 60.0)))
    assert result.status is Status.PASS
    late: Change = lambda seen: replace(seen, clock=Clock(100.0, 100.1))  # noqa: E731
    assert results("node.clock", inf=late, gtw=late)[0].status is Status.PASS  # they agree


def test_a_wheels_release_has_no_files() -> None:
    wheel = {"built": BUILT | {"tree": {}}, "texts": [text(False, False), text(False, False, CONNECTOR)]}
    for check in ("release.connector", "release.audit", "release.files"):
        assert [each.status for each in results(check, inf=facts(**wheel))] == [Status.OFF]
    assert results("release.audit-runs", inf=facts(**wheel)) == []


def test_without_hub_the_most_count() -> None:
    old = facts(current="0.9-aaaaaaaaaaaa")
    lost: Change = lambda seen: replace(seen, failure=LOST)  # noqa: E731
    assert results("release.same", hub=lost, inf=old)[0].status is Status.FAIL
    assert results("release.same", "gtw", hub=lost, inf=old)[0].status is Status.PASS
    assert results("release.same", hub=old)[0].status is Status.FAIL  # HUB has the release of record


def test_a_gateway_that_is_open_to_all_needs_keys() -> None:
    keyless = {name: settings(keys=[None, "the default"]) for name in ("hub", "inf", "gpu")}
    everywhere = listening("0.0.0.0")
    greeted = [{"host": GTW_ADDRESS, "port": 5555, "mechanism": "NULL"}]
    (result,) = results("gateway.keys", "gtw", gtw=facts(greeted=greeted))  # seen from itself
    assert (result.status, result.found) == (Status.FAIL, f"gtw got in without a key, at {GTW_ADDRESS}:5555")
    nobody = {name: facts(greeted=[]) for name in FLEET.nodes}
    assert results("gateway.keys", "gtw", **nobody)[0].status is Status.WARN
    (result,) = results("gateway.keys", "gtw", gtw=everywhere, **keyless)
    assert (result.status, "hub and inf and gpu" in result.found) == (Status.FAIL, True)
    assert results("gateway.keys", "gtw", gtw=everywhere)[0].status is Status.PASS
    assert (
        results("gateway.keys", "gtw", gtw=listening("127.0.0.1", "::1"), **keyless)[0].status is Status.PASS
    )
    assert results("gateway.keys", "gtw", gtw=listening(), **keyless) == []


def test_a_rule_for_everybody_is_told_with_the_one_that_would_do() -> None:
    change = facts(admitted={"5555": [{"name": "MT5 ZMQ", "from": ["Any"]}]})
    (result,) = results("gateway.admits", "gtw", gtw=change)
    assert result.status is Status.WARN
    assert "'MT5 ZMQ' lets everybody in" in result.found
    assert "-RemoteAddress 10.0.0.1,10.0.0.3,10.0.0.4" in result.remedy
    unknown = results("gateway.admits", "gtw", gtw=facts(admitted={"5555": None, "5556": []}))
    assert [each.status for each in unknown] == [Status.OFF, Status.WARN]


@pytest.mark.parametrize(
    ("source", "understood", "status"),
    [
        ("10.0.0.3", True, Status.PASS),
        ("10.0.0.3/32", True, Status.PASS),
        ("10.0.0.9", True, Status.WARN),
        ("0.0.0.0/1", True, Status.WARN),
        ("10.0.0.0/255.255.255.0", True, Status.WARN),
        ("LocalSubnet", True, Status.WARN),
        ("10.0.0.3", False, Status.WARN),
    ],
)
def test_whom_a_rule_lets_in_is_compared_with_the_clients(
    source: str, understood: bool, status: Status
) -> None:
    rule = {"name": "MT5 ZMQ", "from": [source], "understood": understood}
    (result,) = results("gateway.admits", "gtw", gtw=facts(admitted={"5555": [rule]}))
    assert result.status is status
    came = {"host": GTW_ADDRESS, "port": 5555, "state": "open", "milliseconds": 1.0, "detail": "",
            "own": "10.0.0.9"}  # fmt: skip
    through = results(
        "gateway.admits", "gtw", gtw=facts(admitted={"5555": [rule]}), inf=facts(reached=[came])
    )
    assert (through[0].status is Status.PASS) == (understood and source.startswith(("10.0.0.3", "10.0.0.9")))


def test_a_filtered_port_is_told_with_the_rule_that_opens_it() -> None:
    (result,) = results("gateway.reachable", inf=reached("filtered"))
    assert result.remedy.endswith(
        "New-NetFirewallRule -Name mt5crs-gateway -DisplayName 'MT5-CRS gateway' -Direction Inbound "
        "-Action Allow -Protocol TCP -LocalPort 5555,5556 -RemoteAddress 10.0.0.1,10.0.0.3,10.0.0.4"
    )
    (result,) = results("gateway.reachable", inf=reached("refused"))
    assert "nobody listens" in result.remedy
    assert "New-NetFirewallRule" not in result.remedy


def test_the_rule_on_linux() -> None:
    nodes = FLEET.nodes | {
        "gtw": Node(Role.GTW, GTW_ADDRESS, env={"MT5_PORT": "7001"}, name="gtw"),
        "inf": Node(Role.INF, "inf.example", name="inf"),
    }
    rule = firewall_rule(replace_nodes(nodes))
    assert rule == (
        "nft add rule inet filter input ip saddr { 10.0.0.1, <address of inf>, 10.0.0.4 } "
        "tcp dport { 7001, 5556 } accept"
    )


def replace_nodes(nodes: dict[str, Node]) -> Any:
    import msgspec

    return msgspec.structs.replace(FLEET, nodes=nodes)


def test_who_may_read_a_file_on_windows_is_not_known() -> None:
    unknown = {"others": None, "bits": ""}
    change = facts(modes=[PRIVATE | unknown, KEYS | unknown])
    for check in ("settings.keys", "settings.private"):
        assert [each.status for each in results(check, inf=change)] == [Status.OFF]

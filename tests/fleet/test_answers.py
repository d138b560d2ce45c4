"""What nodes answer: an odd answer is a fault of that node alone, and holds nobody up."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest
from asyncssh import ChannelOpenError, DisconnectError

from mt5crs.fleet import answers, reach, ssh, waiting
from mt5crs.fleet.answers import lines, paragraph, readable
from mt5crs.fleet.apply import End, Rollout
from mt5crs.fleet.facts import NodeState
from mt5crs.fleet.inventory import Fleet, Node, Role
from mt5crs.fleet.login import unreachable
from mt5crs.fleet.node import main
from mt5crs.fleet.plan import Action, NodePlan, Plan, Step
from mt5crs.fleet.record import record_of
from mt5crs.fleet.ssh import NodeError
from tests.fleet.facts import STATE
from tests.fleet.machines import Machine
from tests.fleet.test_ssh import failing, node_of, on


@pytest.fixture
def inf(machines: dict[str, Machine]) -> Machine:
    return machines["inf"]


def saying(machine: Machine, script: str) -> Node:
    """Return a machine whose Python is a shell script that says something else."""
    python = machine.ssh / "odd-python"
    python.write_text(f"#!/bin/sh\nread -r request\n{script}\n")
    python.chmod(0o755)
    return node_of(machine, python="/srv/ssh/odd-python")


LIES = "gone\ngtw: is as it should be\nnext: mt5crs fleet pin hub --yes\x1b[2J" + 3000 * "x"


@pytest.mark.parametrize(
    "told",
    [
        unreachable(Node(Role.INF, "10.0.0.9", name="inf"), DisconnectError(2, LIES)),
        unreachable(Node(Role.INF, "10.0.0.9", name="inf", through="hub"), ChannelOpenError(2, LIES)),
        waiting.lost(Node(Role.INF, "10.0.0.9", name="inf"), "build", DisconnectError(2, LIES)),
    ],
    ids=["at the address", "on the way", "later"],
)
def test_a_stranger_writes_no_lines_of_ours(told: NodeError) -> None:
    assert told.message.startswith("inf: ")
    assert told.message.isprintable()
    assert len(told.message) < 400


@pytest.mark.parametrize(
    "line", ['{"done": oops}', '{"failed": "x"}', '{"done": []}', '{"say": 5}', '{"failed": {"what": 1}}']
)
def test_an_odd_line_is_that_nodes_fault(inf: Machine, line: str) -> None:
    error = failing(saying(inf, f"echo '{line}'"))
    assert error.kind == "protocol"
    assert error.message.startswith("inf: it answers what is not understood: ")


@pytest.mark.parametrize("do", ["sleep 600", "while :; do :; done"])
def test_a_node_that_says_nothing_is_given_up(inf: Machine, do: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "SILENT", 0.5)
    monkeypatch.setattr(ssh, "STUCK", 0.2)
    error = failing(saying(inf, do))
    assert error.kind == "unreachable", "an optional node that hangs is off"
    assert error.message == "inf: nothing came from it for 0.5 s while have"


def test_a_node_that_never_ends_reading_is_given_up(inf: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh, "LONGEST", 0.5)
    monkeypatch.setattr(ssh, "LEAVING", 0.2)
    error = failing(saying(inf, """while sleep 0.05; do echo '{"beat": 1}'; done"""))
    assert (error.kind, error.message) == ("unreachable", "inf: have was not done in 0.5 s")


def test_a_line_without_end_is_given_up(inf: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "LONGEST", 1 << 20)
    monkeypatch.setattr(ssh, "STUCK", 0.5)
    error = failing(saying(inf, "exec tr '\\0' x < /dev/zero"))
    assert (error.kind, "a line of more than 1 MiB" in error.message) == ("protocol", True)


def test_an_sftp_that_never_answers_is_unreachable(
    machines: dict[str, Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu = machines["gpu"]
    monkeypatch.setattr(ssh, "CONNECT", 1.0)
    config = gpu.ssh / "sshd_config"
    before = config.read_text()
    config.write_text(before.replace("internal-sftp", "/bin/sleep 600"))
    gpu.stop()
    gpu.start()
    try:
        error = failing(node_of(gpu))
        assert (error.kind, "SFTP at " in error.message) == ("unreachable", True)
    finally:
        config.write_text(before)
        gpu.stop()
        gpu.start()


def test_that_the_program_is_there_is_told_to_nobody(inf: Machine) -> None:
    assert main.BEAT * 3 < waiting.SILENT
    said: list[str] = []
    node = saying(inf, """echo '{"beat": 1}'; echo '{"beat": 1}'; echo '{"done": {}}'""")
    assert on(node, lambda connection: connection.ask("have", said.append)) == {}
    assert said == []


def test_what_a_node_says_is_one_line_of_plain_text(inf: Machine) -> None:
    evil = r'{"say": "\u001b[2J\u202e\ngtw: deploy: failed\u009b"}'
    node = saying(inf, f"cat <<'END'\n{evil}\nEND\necho '{{\"done\": {{}}}}'")
    said: list[str] = []
    on(node, lambda connection: connection.ask("have", said.append))
    assert said == [r"\x1b[2J\u202e\ngtw: deploy: failed\x9b"]
    assert paragraph("a\nb\x07") == "a\n  b\\x07"
    assert readable("été ü 1") == "été ü 1"


def test_lines_come_whole_however_they_are_cut() -> None:
    async def read_all(pieces: list[str]) -> list[str]:
        left = iter(pieces)

        async def read(_size: int) -> str:
            return next(left, "")

        return [each async for each in lines("inf", read)]

    assert asyncio.run(read_all(["a\nb", "c", "\n\nd", "e"])) == ["a", "bc", "", "de"]


ODD: dict[str, Any] = {
    "no mapping": [],
    "version": {**STATE, "python": {**STATE["python"], "version": "3.x"}},
    "libc": {**STATE, "python": {**STATE["python"], "libc": ["glibc", "x"]}},
    "endless": {**STATE, "python": {**STATE["python"], "libc": ["glibc", "2.999999999"]}},
}


class Told:
    """A node that answers what a test says."""

    def __init__(self, node: Node, told: dict[str, Any]) -> None:
        self.node = node
        self.told = told

    async def ask(self, operation: str, tell: Any = None, **request: Any) -> dict[str, Any]:
        found: dict[str, Any] = self.told[operation]
        return found

    async def send(self, source: object, path: str, sha256: str, size: int) -> None: ...

    async def put(self, content: bytes) -> str:
        return ""


HUB, INF, INF2 = (
    Node(role, f"10.0.0.{n}", name=name)
    for n, (role, name) in enumerate(((Role.HUB, "hub"), (Role.INF, "inf"), (Role.INF, "inf2")))
)
FLEET = Fleet({"hub": HUB, "gtw": Node(Role.GTW, "10.0.0.9", name="gtw"), "inf": INF, "inf2": INF2})


@pytest.mark.parametrize("what", ODD)
def test_an_odd_state_is_that_nodes_fault(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"inf": {"probe": ODD[what]}, "inf2": {"probe": STATE, "drift": {}}}

    async def met(_fleet: Any, nodes: Any, stack: AsyncExitStack) -> dict[str, Any]:
        return {node.name: Told(node, told[node.name]) for node in nodes}

    async def seen() -> reach.Seen:
        async with AsyncExitStack() as stack:
            return await reach.see(FLEET, stack, ("inf", "inf2"))

    monkeypatch.setattr(reach, "reach", met)
    states = asyncio.run(seen()).states
    odd = states["inf"]
    assert isinstance(odd, NodeError)
    assert odd.kind == "protocol"
    assert isinstance(states["inf2"], NodeState)


def test_an_odd_record_is_a_problem_of_the_record() -> None:
    odd: list[dict[str, Any]] = [{}, {"lines": [1]}, {"lines": {}}]
    for answer in odd:
        assert "not understood" in record_of(answer).problems[0]
    twisted = {"lines": [{"event": "begun", "id": []}, {"event": "ended", "id": {}}]}
    assert len(record_of(twisted).deployments) == 1


@pytest.fixture
def plan() -> Plan:
    nodes = {
        node.name: NodePlan(node, Action.CHANGE, (Step.DEPLOY,), release="1.0.0-0123456789ab")
        for node in (INF, INF2)
    }
    return Plan("rollback", nodes, (("inf", "inf2"),), FLEET, None)


@pytest.mark.parametrize(
    ("answer", "why"),
    [({}, "what is not understood"), ({"record": 5}, "what is not understood"), (None, "a defect")],
)
def test_one_nodes_odd_deployment_leaves_the_other_alone(plan: Plan, answer: Any, why: str) -> None:
    told: dict[str, Any] = {"inf": {"deploy": answer}, "inf2": {"deploy": {"record": {"id": "1"}}}}
    if answer is None:
        told["inf"] = {}  # asking it ends with a KeyError
    remotes = {node.name: Told(node, told[node.name]) for node in (INF, INF2)}
    outcomes = asyncio.run(Rollout(plan, remotes, "me", lambda _progress: None).run())
    assert outcomes["inf"].end is End.FAILED
    assert why in outcomes["inf"].why
    assert outcomes["inf2"].end is End.DONE

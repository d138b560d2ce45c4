"""What a keeper that was killed has left is ended before another program of its service is begun."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from mt5crs.fleet.node import services
from mt5crs.fleet.node.kept import Kept, read, write
from mt5crs.fleet.node.left import MARK, identity, left, mark
from mt5crs.fleet.node.services import act
from tests.fleet.test_services import SIMPLE, Node, is_alive, wait_for


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    made = Node(tmp_path / "node")
    yield made
    act(made.place, "stop", services.known(made.place))


def kill_keeper(node: Node) -> None:
    os.kill(node.state()["keeper"], signal.SIGKILL)
    wait_for(lambda: not Kept(node.place, "x").is_kept())


@pytest.mark.parametrize(
    "command",
    [
        "sh -c 'sleep 600 & echo $! >child; exec cat'",
        "sh -c 'env -i sleep 600 & echo $! >child; exec cat'",  # without its mark
        "sh -c 'setsid sleep 600 & echo $! >child; exec cat'",  # in a session of its own
    ],
    ids=["child", "unmarked", "session"],
)
def test_what_a_program_that_is_gone_has_started_is_ended(node: Node, command: str) -> None:
    meant = {"x": {"command": command, "drain": 5, "settle": 0}}
    assert act(node.place, "start", meant) == {"x": "running"}
    program = node.state()["pid"]
    wait_for((node.place.path / "child").exists)
    child = int((node.place.path / "child").read_text())
    wait_for(lambda: psutil.Process(child).name() == "sleep")
    kill_keeper(node)
    wait_for(lambda: not is_alive(program))
    assert is_alive(child)
    assert act(node.place, "status", meant) == {"x": "unknown"}
    assert act(node.place, "start", meant) == {"x": "running"}
    assert not is_alive(child)
    assert act(node.place, "stop", meant) == {"x": "stopped"}
    assert not left(Kept(node.place, "x"))


def test_what_leaves_the_session_ends_with_its_program(node: Node) -> None:
    command = "sh -c 'setsid sleep 600 & echo $! >child; exec sleep 600'"
    meant = {"x": {"command": command, "drain": 5, "settle": 0}}
    assert act(node.place, "start", meant) == {"x": "running"}
    wait_for((node.place.path / "child").exists)
    child = int((node.place.path / "child").read_text())
    assert act(node.place, "stop", meant) == {"x": "stopped"}
    assert not is_alive(child)


def test_a_program_is_found_although_its_state_was_not_written(node: Node) -> None:
    meant = node.service(SIMPLE, drain=5)
    program = node.begin(meant)
    state = node.state()
    kill_keeper(node)
    write(Kept(node.place, "x").state, {**state, "pid": 1 << 22, "identity": "1"})  # that of one before
    assert act(node.place, "status", meant) == {"x": "unknown"}
    new = node.begin(meant)
    assert not is_alive(program)
    assert left(Kept(node.place, "x")).keys() == {new}


def test_nothing_is_begun_whose_state_cannot_be_written(node: Node) -> None:
    meant = node.service(SIMPLE)
    program = node.begin(meant)
    kept = Kept(node.place, "x")
    in_the_way = kept.state.with_name(f".{kept.state.name}.{node.state()['keeper']}")
    in_the_way.mkdir()  # as on a full disk
    os.kill(program, signal.SIGKILL)
    wait_for(lambda: kept.log.read_text().count("it cannot be begun") == 2)
    assert not left(kept)
    in_the_way.rmdir()
    node.wait_for_begun(2)
    wait_for(lambda: node.state()["pid"] == node.pids()[1])


def test_other_sessions_are_left_alone(node: Node, tmp_path: Path) -> None:
    kept = Kept(node.place, "x")
    kept.make_folder()
    foreign = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    with subprocess.Popen(
        foreign, stdin=subprocess.PIPE, start_new_session=True, cwd=tmp_path,
        env={MARK: mark(kept) + "2"},
    ) as other:  # fmt: skip
        start = int(identity(other.pid))
        for state in [
            {"pid": other.pid, "identity": str(start - 1)},  # an id that another has now
            {"pid": other.pid, "identity": str(start), "boot": "before"},
        ]:
            write(kept.state, state)
            assert act(node.place, "stop", {"x": {}}) == {"x": "stopped"}
            assert other.poll() is None
        write(kept.state, {"pid": other.pid, "identity": str(start)})
        assert left(kept).keys() == {other.pid}
        kept.state.unlink()
        assert other.stdin is not None
        other.stdin.close()


def test_what_the_session_of_another_left_is_left_alone(node: Node, tmp_path: Path) -> None:
    kept = Kept(node.place, "x")
    kept.make_folder()
    shell = "sleep 600 >/dev/null & echo $!"
    with subprocess.Popen(
        ["sh", "-c", shell], stdout=subprocess.PIPE, start_new_session=True, cwd=tmp_path
    ) as leader:
        assert leader.stdout is not None
        child = int(leader.stdout.readline())
    try:
        write(kept.state, {"pid": leader.pid, "identity": "1"})
        assert left(kept) == {}
    finally:
        os.kill(child, signal.SIGKILL)


def test_a_copy_of_a_node_is_another(node: Node, tmp_path: Path) -> None:
    meant = node.service(SIMPLE)
    program = node.begin(meant)
    copy = Node(tmp_path / "copy")
    Kept(copy.place, "x").make_folder()
    write(Kept(copy.place, "x").command, read(Kept(node.place, "x").command))
    assert left(Kept(node.place, "x")).keys() == {program}
    assert act(copy.place, "stop", meant) == {"x": "stopped"}
    assert is_alive(program)

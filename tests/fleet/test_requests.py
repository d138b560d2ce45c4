"""Requests to a keeper that meet each other, or were left; and the log of one whose disk is full."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mt5crs.fleet.node.keeper import Log
from mt5crs.fleet.node.kept import Kept, write
from mt5crs.fleet.node.place import Place
from mt5crs.fleet.node.services import _launch, act
from tests.fleet.test_never_two import node as node  # noqa: PLC0414 - a fixture
from tests.fleet.test_services import SIMPLE, WATCHES, Node, is_alive, wait_for


def test_restarts_at_once_are_all_answered(node: Node) -> None:
    meant = node.service(SIMPLE, drain=5)
    node.begin(meant)
    with ThreadPoolExecutor() as pool:
        asked = [pool.submit(act, node.place, "restart", meant) for _ in range(2)]
        assert [each.result(60) for each in asked] == [{"x": "running"}] * 2


def test_a_stop_ends_what_has_not_come_up_yet(node: Node) -> None:
    meant = node.service(SIMPLE, drain=5, settle=50)
    with ThreadPoolExecutor() as pool:
        starting = pool.submit(act, node.place, "start", meant)
        node.wait_for_begun(1)
        assert act(node.place, "stop", meant) == {"x": "stopped"}
        assert starting.result(30) == {"x": "stopped"}


def test_a_stop_that_was_left_does_not_stop_the_next_keeper(node: Node) -> None:
    kept = Kept(node.place, "x")
    act(node.place, "prepare", node.service(SIMPLE))
    write(kept.request, {"id": "old", "do": "stop"})
    os.utime(kept.request, (1, 1))
    _launch(node.place, kept)
    node.wait_for_begun(1)


def test_files_are_their_owners_alone(node: Node) -> None:
    kept = Kept(node.place, "x")
    kept.folder.mkdir(parents=True, mode=0o777)
    kept.folder.chmod(0o777)
    node.begin(node.service(SIMPLE, drain=5))
    assert kept.folder.stat().st_mode & 0o777 == 0o700
    for file in (kept.command, kept.state, kept.taken, kept.lock, kept.log):
        assert file.stat().st_mode & 0o777 == 0o600, file


def test_a_log_goes_on_once_it_can_be_opened(tmp_path: Path) -> None:
    log = Log(tmp_path / "folder" / "log")
    log.write(b"lost\n")
    (tmp_path / "folder").mkdir()
    log.write(b"there\n")
    log.close()
    log.write(b"late\n")
    assert (tmp_path / "folder" / "log").read_text() == "there\n"


def test_a_keeper_takes_a_link_to_its_node_for_the_same(node: Node, tmp_path: Path) -> None:
    meant = node.service(SIMPLE, drain=5)
    program = node.begin(meant)
    (tmp_path / "link").symlink_to(node.place.path)
    linked = Place(tmp_path / "link")
    assert act(linked, "start", meant) == {"x": "running"}
    assert node.pids() == [program]
    assert act(linked, "stop", meant) == {"x": "stopped"}
    assert not is_alive(program)


def test_a_command_is_taken_that_was_changed_in_a_pause(node: Node) -> None:
    broken = {"x": {"command": "false", "drain": 5, "settle": 5}}
    assert act(node.place, "start", broken) == {"x": "failed"}
    act(node.place, "prepare", node.service(SIMPLE, drain=5))
    node.wait_for_begun(1)


def test_a_signal_while_a_program_drains_does_not_hurry_it(node: Node) -> None:
    meant = node.service(WATCHES)
    node.begin(meant)
    keeper = node.state()["keeper"]
    os.kill(keeper, signal.SIGTERM)
    wait_for(lambda: "ending one" in node.events())
    os.kill(keeper, signal.SIGTERM)
    (node.place.path / "may-end").touch()
    wait_for(lambda: not Kept(node.place, "x").is_kept())
    assert node.events()[-1] == "ended one"
    assert node.state()["state"] == "stopped"

"""What goes wrong while a release comes to real machines, and is finished or left as it was."""

import signal
import subprocess

import pytest

from tests.fleet.rollouts import NODES, Fleet, results
from tests.fleet.world import PATIENCE

pytestmark = pytest.mark.long


def broken_off(fleet: Fleet, version: str, moment: str, how: signal.Signals) -> tuple[int, str]:
    """Sync, and end the controller when it says something."""
    command = [*fleet.world.command, "fleet", "sync", "--to", version, "--yes", "--json"]
    told = ""
    with subprocess.Popen(
        command, cwd=fleet.world.folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        for line in process.stderr:
            told += line
            if line.startswith(moment):
                process.send_signal(how)
                break
        else:
            raise AssertionError(f"it never said {moment}: {told}")
        told += process.stderr.read()
        return process.wait(PATIENCE), told


def test_a_full_disk_on_one_node_is_known_before_anything_is_begun(fleet: Fleet) -> None:
    fleet.at("1.0.0")
    gpu = fleet.world.machines["gpu"]
    gpu.start()
    try:
        (gpu.root / "ballast").write_bytes(bytes(70 << 20))
        done = fleet.world.sync("1.0.0")
        assert done.code == 1, done
        assert "are free at" in done.err
        assert "keep =" in done.err
        others = fleet.world.sync("1.0.0", "--on-failure", "continue")
        assert others.code == 1, others
        assert results(others) == {
            "hub": "unchanged",
            "gtw": "unchanged",
            "inf": "unchanged",
            "gpu": "failed",
        }
    finally:
        gpu.stop()


def test_what_is_killed_on_its_way_is_finished_by_the_next_run(fleet: Fleet) -> None:
    fleet.at("1.0.0")
    code, told = broken_off(fleet, "1.1.0", "gtw: build: making", signal.SIGINT)
    assert code == 130, told
    assert "the same command finishes" in told
    assert fleet.here() == dict.fromkeys(NODES, fleet.ids["1.0.0"])
    for moment in ("gtw: build: making", "gtw: switch"):
        code, _ = broken_off(fleet, "1.1.0", moment, signal.SIGKILL)
        assert code == -signal.SIGKILL
    fleet.at("1.1.0")
    done = fleet.world.run("fleet", "status", "--json")
    assert done.code == 0, done
    assert [row["unfinished"] for row in done.json] == [""] * 4
    for name in NODES:  # what was begun and broken off has left nothing running
        running = fleet.world.machines[name].processes().values()
        assert not [command for command in running if "/.fleet/node-" in command]


def test_a_release_that_breaks_on_one_node_comes_to_no_other_or_to_all_others(fleet: Fleet) -> None:
    fleet.at("1.0.0")
    nodes = ("--only", "gtw", "--only", "inf")
    stopped = fleet.world.sync("1.2.0", *nodes)
    assert stopped.code == 1, stopped
    assert results(stopped) == {"gtw": "skipped", "inf": "failed"}
    assert "it does not work here" in stopped.err
    assert "each is on what it ran" in stopped.err
    assert "fleet rollback" not in stopped.err
    assert fleet.here() == dict.fromkeys(NODES, fleet.ids["1.0.0"])
    went_on = fleet.world.sync("1.2.0", *nodes, "--on-failure", "continue")
    assert went_on.code == 1, went_on
    assert results(went_on) == {"gtw": "done", "inf": "failed"}
    assert fleet.here()["gtw"] == fleet.ids["1.2.0"]
    assert fleet.here()["inf"] == fleet.ids["1.0.0"]
    assert "fleet rollback" in went_on.err
    told = fleet.world.run("fleet", "status", "--json")
    assert told.code == 1, told
    other = {row["node"]: row["other"] for row in told.json}
    assert other["gtw"] == f"not {fleet.ids['1.0.0']}, as on hub"
    assert not other["inf"]


def test_a_gateway_does_not_leave_its_clients_behind(fleet: Fleet) -> None:
    fleet.at("1.0.0")
    for _ in range(2):  # known after it was built, and from then on beforehand
        done = fleet.world.sync("2.0.0", "--only", "gtw")
        assert done.code == 1, done
        assert "inf would speak protocol 2 and its gateway on gtw protocol 9" in done.err
        assert "a release between the two is needed" in done.err
        assert fleet.here() == dict.fromkeys(NODES, fleet.ids["1.0.0"])

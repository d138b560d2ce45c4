"""Services of a node: real keepers, real programs, a real gateway."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest

from mt5crs import Client
from mt5crs.fleet.inventory import Fleet
from mt5crs.fleet.node import deployed, services
from mt5crs.fleet.node.keeper import Log, pause, words
from mt5crs.fleet.node.kept import Kept, holding, read
from mt5crs.fleet.node.operations import OPERATIONS, Failed
from mt5crs.fleet.node.place import Place
from mt5crs.fleet.node.program import packed
from mt5crs.fleet.node.services import act, starter, systemctl
from mt5crs.fleet.ssh import Connection
from tests.fleet.machines import SSHD, inventory, machines
from tests.fleet.windows import play

PATIENCE = 30.0
SRC = Path(services.__file__).parents[3]
SCRIPT = """\
import os, signal, subprocess, sys, time
from pathlib import Path
def tell(what):
    with open("events", "a") as file:
        file.write(f"{what} {os.environ['RELEASE']} {os.getpid()}\\n")
"""
WATCHES = (
    SCRIPT
    + """
signal.signal(signal.SIGTERM, signal.SIG_IGN)
tell("begun")
sys.stdin.read()
tell("ending")
while not Path("may-end").exists():
    time.sleep(0.01)
tell("ended")
"""
)
"""Ends what it has begun, when its standard input ends."""
DEAF = (
    SCRIPT
    + """
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen(["sleep", "600"])
tell(f"child-{child.pid}")
tell("begun")
while True:
    time.sleep(1)
"""
)
"""Does not end, whatever it is asked."""
SIMPLE = SCRIPT + 'tell("begun")\nwhile True:\n    time.sleep(1)\n'
"""Does not look at its standard input; a signal ends it."""
FAILS_ONCE = (
    SCRIPT
    + """
tell("begun")
if not Path("failed").exists():
    Path("failed").touch()
    print("no such symbol: EURUSD", flush=True)
    sys.exit(7)
time.sleep(600)
"""
)


class Node:
    """A node's folder with two releases, whose programs tell of which one they are."""

    def __init__(self, path: Path, *, windows: bool = False) -> None:
        self.place = Place(path, windows=windows)
        for id_ in ("one", "two"):
            folder = self.place.release(id_) / ".venv" / "bin"
            folder.mkdir(parents=True)
            for name, command in {"python": "", "mt5crs": "-m mt5crs"}.items():
                program = folder / name
                run = f'exec {sys.executable} {command} "$@"'
                program.write_text(f'#!/bin/sh\nexport RELEASE={id_} PYTHONPATH="{SRC}"\n{run}\n')
                program.chmod(0o755)
        self.place.own.mkdir(exist_ok=True)
        self.program = path / "node.pyz"
        self.program.write_bytes(packed())
        self.use("one")

    def use(self, id_: str) -> None:
        """Switch to a release."""
        if self.place.windows:
            self.place.current.write_text(id_)
            return
        self.place.current.unlink(missing_ok=True)
        self.place.current.symlink_to(f"releases/{id_}")

    def service(self, script: str, **more: Any) -> dict[str, dict[str, Any]]:
        """Return a service that runs a script."""
        (self.place.path / "script.py").write_text(script)
        return {"x": {"command": "python script.py", "manager": "keeper", "drain": 20, "settle": 0.2, **more}}

    def ask(self, action: str, meant: object, **more: Any) -> "subprocess.Popen[str]":
        """Ask the packed program, as SSH does, in a session of its own."""
        process = subprocess.Popen(
            [sys.executable, self.program],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True, **more,
        )  # fmt: skip
        assert process.stdin is not None
        place = {"windows": self.place.windows}
        request = {"do": "service", "path": str(self.place.path), "place": place, "action": action}
        process.stdin.write(json.dumps({**request, "services": meant}) + "\n")
        process.stdin.flush()
        return process

    def begin(self, meant: dict[str, dict[str, Any]], do: str = "start") -> int:
        """Start or restart a service whose program tells that it has begun; return its process."""
        before = len(self.pids())
        assert act(self.place, do, meant) == {"x": "running"}
        self.wait_for_begun(before + 1)
        return self.pids()[-1]

    def wait_for_begun(self, count: int) -> None:
        """Wait until so many programs have told that they have begun."""
        wait_for(lambda: len(self.pids()) == count)

    def by_hand(self, *line: str) -> "subprocess.CompletedProcess[str]":
        """Run the packed program as who sits at the machine does."""
        command = [sys.executable, str(self.program), "service", str(self.place.path), *line]
        return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)

    def events(self, what: str = "") -> list[str]:
        """Return what the programs told: what, of which release."""
        return [" ".join(line.split()[:2]) for line in self._lines() if line.startswith(what)]

    def pids(self) -> list[int]:
        """Return the processes that have begun, in order."""
        return [int(line.split()[2]) for line in self._lines() if line.startswith("begun")]

    def _lines(self) -> list[str]:
        file = self.place.path / "events"
        return file.read_text().splitlines() if file.exists() else []

    def state(self, name: str = "x") -> dict[str, Any]:
        """Return what a keeper says."""
        return read(Kept(self.place, name).state)


@pytest.fixture
def windows() -> bool:
    """Return whether the release in use is in a pointer file; tests may set it."""
    return False


@pytest.fixture
def node(tmp_path: Path, windows: bool, monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    made = Node(tmp_path / "node", windows=windows)
    if windows:  # its scheduled task is asked for a keeper
        monkeypatch.setenv("PATH", play(tmp_path, made.place.path))
    yield made
    (made.place.path / "may-end").touch()
    act(made.place, "stop", services.known(made.place))


def answers(asked: "subprocess.Popen[str]") -> list[dict[str, Any]]:
    """Return what the program answers; who asks is there until the last line."""
    assert asked.stdout is not None
    assert asked.stdin is not None
    lines = []
    for line in asked.stdout:
        lines.append(json.loads(line))
        if "say" not in lines[-1]:
            break
    asked.stdin.close()
    asked.wait(PATIENCE)
    asked.stdout.close()
    return lines


def wait_for(condition: Callable[[], object]) -> None:
    """Wait until a file says something, for which there is no event."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it did not come to it in time"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_a_service_survives_who_started_it(node: Node) -> None:
    asked = node.ask("start", node.service(SIMPLE))
    assert answers(asked) == [{"done": {"services": {"x": "running"}}}]
    wait_for(node.pids)
    with pytest.raises(ProcessLookupError):
        os.killpg(asked.pid, signal.SIGKILL)
    keeper = psutil.Process(node.state()["keeper"])
    assert keeper.ppid() not in {asked.pid, os.getpid()}
    assert os.getsid(keeper.pid) != asked.pid
    node.program.unlink()  # a later program takes the place of the one that started it
    assert act(node.place, "status", node.service(SIMPLE)) == {"x": "running"}
    assert is_alive(node.pids()[0])


@pytest.mark.parametrize("windows", [False, True], ids=["link", "pointer file"])
def test_a_restart_drains_and_takes_the_release_in_use_then(node: Node) -> None:
    meant = node.service(WATCHES)
    node.begin(meant)
    assert node.state()["release"] == "one"
    node.use("two")
    assert act(node.place, "start", meant) == {"x": "running"}  # it runs already: it is left alone
    assert node.events() == ["begun one"]
    restart = node.ask("restart", meant)
    wait_for(lambda: "ending one" in node.events())
    assert restart.poll() is None
    assert act(node.place, "status", meant) == {"x": "unknown"}
    assert node.events("begun") == ["begun one"]
    (node.place.path / "may-end").touch()
    assert answers(restart) == [
        {"say": "x: has 20 s to end what it has begun"}, {"done": {"services": {"x": "running"}}}
    ]  # fmt: skip
    wait_for(lambda: node.events() == ["begun one", "ending one", "ended one", "begun two"])
    assert node.state()["release"] == "two"


def test_a_restart_takes_a_changed_command(node: Node) -> None:
    node.begin(node.service(SIMPLE))
    other = {"x": {**node.service(SIMPLE)["x"], "command": "sleep 600"}}
    assert act(node.place, "restart", other) == {"x": "running"}
    assert psutil.Process(node.state()["pid"]).name() == "sleep"


def test_what_does_not_end_is_killed_with_all_that_it_started(node: Node) -> None:
    meant = node.service(DEAF, drain=0.3)
    node.begin(meant)
    child = int(node.events("child")[0].split()[0].removeprefix("child-"))
    assert is_alive(child)
    assert act(node.place, "stop", meant) == {"x": "stopped"}
    assert not is_alive(node.pids()[0])
    assert not is_alive(child)
    assert "did not end within 0.3 s and is killed" in Kept(node.place, "x").log.read_text()
    assert act(node.place, "status", meant) == {"x": "stopped"}
    assert act(node.place, "stop", meant) == {"x": "stopped"}


def test_what_ends_by_itself_is_told_and_begun_again(node: Node) -> None:
    said: list[str] = []
    meant = node.service(FAILS_ONCE, settle=20)
    assert act(node.place, "start", meant, said.append) == {"x": "failed"}
    assert said[0] == "x: it ended by itself with exit code 7"
    assert "x: | no such symbol: EURUSD" in said
    wait_for(lambda: len(node.pids()) == 2)
    wait_for(lambda: node.state()["restarts"] == 1)
    assert is_alive(node.pids()[1])


def test_the_pause_between_two_beginnings_grows_up_to_a_bound() -> None:
    assert [pause(ended) for ended in (1, 2, 3, 4, 5, 6, 7, 10_000)] == [1, 2, 4, 8, 16, 30, 30, 30]


def test_a_failed_service_is_begun_at_once_when_asked(node: Node) -> None:
    meant = node.service(SCRIPT + 'tell("begun")\nsys.exit(3)\n', settle=20)
    assert act(node.place, "start", meant) == {"x": "failed"}
    assert act(node.place, "status", meant) == {"x": "failed"}
    assert act(node.place, "start", node.service(SIMPLE)) == {"x": "running"}


@pytest.mark.parametrize("script", [SIMPLE, WATCHES], ids=["deaf to its input", "watches its input"])
def test_a_killed_keeper_leaves_one_program_when_started_again(node: Node, script: str) -> None:
    (node.place.path / "may-end").touch()
    meant = node.service(script)
    old = node.begin(meant)
    os.kill(node.state()["keeper"], signal.SIGKILL)
    wait_for(lambda: not Kept(node.place, "x").is_kept())
    new = node.begin(meant)
    assert node.pids() == [old, new]
    assert not is_alive(old)
    assert is_alive(new)
    assert node.state()["pid"] == new


def test_what_a_killed_keeper_left_is_stopped(node: Node) -> None:
    meant = node.service(SIMPLE)
    node.begin(meant)
    os.kill(node.state()["keeper"], signal.SIGKILL)
    wait_for(lambda: not Kept(node.place, "x").is_kept())
    assert act(node.place, "status", meant) == {"x": "unknown"}
    assert act(node.place, "stop", meant) == {"x": "stopped"}
    assert not is_alive(node.pids()[0])


def test_there_is_one_keeper_of_a_service(node: Node) -> None:
    node.begin(node.service(SIMPLE))
    *keep, _detached = starter(node.place, "x")
    second = subprocess.run(keep, timeout=PATIENCE, check=False)
    assert second.returncode == 3
    assert len(node.pids()) == 1


def test_a_signal_stops_a_keeper_and_its_service(node: Node) -> None:
    node.begin(node.service(SIMPLE))
    os.kill(node.state()["keeper"], signal.SIGTERM)
    wait_for(lambda: not Kept(node.place, "x").is_kept())
    assert node.state()["state"] == "stopped"
    assert not is_alive(node.pids()[0])


def test_a_keeper_ends_with_the_folder_that_it_serves(node: Node) -> None:
    program = node.begin(node.service(SIMPLE))
    keeper = node.state()["keeper"]
    shutil.rmtree(node.place.services)
    wait_for(lambda: not is_alive(keeper))
    assert not is_alive(program)


def test_a_gateway_counts_as_running_when_it_listens(node: Node) -> None:
    command = "mt5crs gateway --terminal simulated --port 0 --stream-port 0 --journal journal.db"
    meant = {"gateway": {"command": command, "manager": "keeper", "drain": 20}}
    ready = Kept(node.place, "gateway").ready

    def pinged() -> int:
        at = json.loads(ready.read_text())
        with Client("127.0.0.1", at["port"]) as client:
            assert client.ping()
        return int(at["pid"])

    assert act(node.place, "start", meant) == {"gateway": "running"}
    first = pinged()
    node.use("two")
    assert act(node.place, "restart", meant) == {"gateway": "running"}
    assert pinged() != first
    assert not is_alive(first)
    assert node.state("gateway")["release"] == "two"
    assert act(node.place, "stop", meant) == {"gateway": "stopped"}
    assert not ready.exists()
    assert (node.place.path / "journal.db").exists()
    assert "is killed" not in Kept(node.place, "gateway").log.read_text()


def test_a_gateway_that_cannot_listen_is_told_with_its_reason(node: Node) -> None:
    said: list[str] = []
    meant = {"gateway": {"command": "mt5crs gateway --terminal simulated --host 203.0.113.1"}}
    assert act(node.place, "start", meant, said.append) == {"gateway": "failed"}
    assert any("--insecure" in line or "keys" in line for line in said)


def test_a_deployment_says_why_a_service_did_not_come_up(node: Node) -> None:
    def why(command: str) -> str:
        with pytest.raises(Failed) as found:
            deployed.bring(node.place, {"x": {"command": command, "settle": 0.2}}, lambda _text: None)
        return f"{found.value.what} [{found.value.hint}]"

    without_keys = why("mt5crs gateway --terminal simulated --keys keys")
    assert without_keys.startswith("not running: x (failed: keys/gateway.json cannot be read: No such file")
    assert "`mt5crs keys init`" in without_keys.partition("[")[2]
    assert why("python -c 'raise KeyError(5)'") == "not running: x (failed: KeyError: 5) []"
    silent = why("python -c 'import sys; sys.exit(3)'")
    assert silent == "not running: x (failed: it ended by itself with exit code 3) []"
    assert len(why("python -c 'import sys; sys.exit(5000 * str(1))'")) < 250
    assert "it cannot be begun: [Errno 2] No such file" in why("nothing")


def test_without_a_release_nothing_is_begun(node: Node) -> None:
    node.place.current.unlink()
    said: list[str] = []
    assert act(node.place, "start", node.service(SIMPLE), said.append) == {"x": "failed"}
    assert said[0] == f"x: it cannot be begun: no release is in use in {node.place.path}"


@pytest.mark.parametrize(
    ("do", "name", "service", "what"),
    [
        ("begin", "x", {}, "services cannot be asked to 'begin'"),
        ("start", "../x", {}, "'../x' cannot be the name of a service"),
        ("start", "x", {"manager": "cron"}, "x: no manager 'cron'"),
    ],
)
def test_nonsense_is_refused(node: Node, do: str, name: str, service: dict[str, Any], what: str) -> None:
    with pytest.raises(Failed) as refused:
        act(node.place, do, {name: service})
    assert refused.value.what == what
    assert refused.value.hint


def test_a_service_without_a_command_fails_and_says_where_it_is_set(node: Node) -> None:
    said: list[str] = []
    assert act(node.place, "start", {"x": {"command": ""}}, said.append) == {"x": "failed"}
    assert said[0] == "x: it cannot be begun: x has no command"


def test_services_that_keepers_know_need_not_be_named(node: Node) -> None:
    act(node.place, "prepare", node.service(SIMPLE))
    assert not Kept(node.place, "x").is_kept()
    said: list[str] = []
    done = OPERATIONS["service"].run(node.place, {"action": "start"}, said.append)
    assert done == {"services": {"x": "running"}}
    seen = OPERATIONS["services"].run(node.place, {}, said.append)
    assert seen["services"] == {"x": "running"}
    wait_for(node.pids)
    assert seen["kept"]["x"]["pid"] == node.pids()[0]
    assert not OPERATIONS["services"].changes


def test_services_are_asked_by_hand(node: Node) -> None:
    act(node.place, "prepare", node.service(SIMPLE))
    for line, state, begun in [
        (("prepare", "x", "python script.py", "5"), "stopped", 0),
        (("start", "x"), "running", 1),
        (("restart",), "running", 2),
        (("status",), "running", 2),
        (("stop", "x"), "stopped", 2),
    ]:
        done = node.by_hand(*line)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["services"] == {"x": state}
        node.wait_for_begun(begun)
    refused = node.by_hand("begin", "x")
    assert refused.returncode == 1
    assert refused.stderr.startswith("error: services cannot be asked to 'begin'\n  hint: one of start, stop")
    failed = node.by_hand("start", "y", "", "5")
    assert failed.returncode == 1
    assert "y has no command" in failed.stderr


@pytest.mark.skipif(not SSHD, reason="sshd is not on this machine")
def test_a_service_stays_when_the_ssh_connection_goes(tmp_path: Path) -> None:
    with machines(tmp_path / "machines", ("hub", "gtw")) as running:
        node = Node(running["gtw"].root)
        (tmp_path / "fleet.toml").write_text(inventory(running))
        remote = Fleet.read(tmp_path / "fleet.toml").nodes["gtw"]

        async def ask(operation: str, **request: Any) -> dict[str, Any]:
            async with AsyncExitStack() as stack:
                connection = await Connection.open(remote, stack)
                return await connection.ask(operation, **request)

        meant = node.service(SIMPLE)
        try:
            started = asyncio.run(ask("service", action="start", services=meant))
            assert started == {"services": {"x": "running"}}
            wait_for(node.pids)
            seen = asyncio.run(ask("services"))
            assert seen["services"] == {"x": "running"}
            assert seen["kept"]["x"]["pid"] == node.pids()[0]
            assert [line for line in running["gtw"].processes().values() if "script.py" in line]
        finally:
            assert asyncio.run(ask("service", action="stop")) == {"services": {"x": "stopped"}}
        # Its processes have numbers of their own.
        assert not [line for line in running["gtw"].processes().values() if "script.py" in line]


def test_a_log_is_bounded_and_keeps_its_end(tmp_path: Path) -> None:
    log = Log(tmp_path / "log", largest=1000)
    for number in range(100):
        log.write(f"{number:099d}\n".encode())
    log.close()
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["log", "log.1", "log.2"]
    assert all(file.stat().st_size <= 1000 for file in files)
    numbers = [int(line) for file in reversed(files) for line in file.read_text().split()]
    assert numbers == list(range(70, 100))
    assert files[0].stat().st_mode & 0o777 == 0o600


def test_a_lock_is_held_by_one(tmp_path: Path) -> None:
    with holding(tmp_path / "lock") as first, holding(tmp_path / "lock") as second:
        assert (first, second) == (True, False)
    with holding(tmp_path / "lock") as again:
        assert again


@pytest.mark.parametrize(
    ("command", "windows", "expected"),
    [
        ("python 'a b.py' --x=1 # nothing", False, ["python", "a b.py", "--x=1", "#", "nothing"]),
        (r'mt5crs gateway --terminal "C:\Program Files\MT5\terminal64.exe"', True,
         ["mt5crs", "gateway", "--terminal", r"C:\Program Files\MT5\terminal64.exe"]),
        ("python x.py; rm -rf $HOME", False, ["python", "x.py;", "rm", "-rf", "$HOME"]),
    ],
)  # fmt: skip
def test_a_command_is_words_and_no_shell(command: str, windows: bool, expected: list[str]) -> None:
    assert words(command, windows=windows) == expected


def test_on_windows_the_scheduled_task_starts_the_keeper() -> None:
    assert starter(Place("C:/mt5-crs", windows=True), "gateway") == [
        "schtasks.exe", "/Run", "/TN", "mt5crs-gateway"
    ]  # fmt: skip


def test_units_are_asked_as_root() -> None:
    assert systemctl("restart", "x", root=True) == ["systemctl", "restart", "mt5crs-x.service"]
    assert systemctl("stop", "x", root=False) == ["sudo", "-n", "systemctl", "stop", "mt5crs-x.service"]
    assert systemctl("is-active", "strategy@mean", root=False) == [
        "systemctl", "is-active", "mt5crs-strategy@mean.service"
    ]  # fmt: skip


def test_where_systemd_does_not_run_that_is_said(
    node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "RUN", tmp_path / "nothing")
    with pytest.raises(Failed, match="x: systemd does not run on this machine") as refused:
        act(node.place, "start", {"x": {"manager": "systemd"}})
    assert refused.value.hint == 'set manager = "keeper" in [services."x"] of fleet.toml'


@pytest.mark.parametrize(
    ("fails", "answer", "state"),
    [
        ("", "active", "running"),
        ("", "activating", "failed"),
        ("", "inactive", "stopped"),
        ("Failed to restart mt5crs-x.service: Unit mt5crs-x.service not found.", "", "deploy/systemd"),
        ("Job for mt5crs-x.service failed.", "", "journalctl -u mt5crs-x.service"),
    ],
)
def test_a_unit_is_restarted(
    node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str, answer: str, state: str
) -> None:
    """What systemctl would say: no systemd runs where the tests do."""
    program = tmp_path / "systemctl"
    refuse = f'echo "{fails}" >&2; exit 5' if fails else "exit 0"
    program.write_text(
        f'#!/bin/sh\necho "$@" >>{tmp_path}/asked\n[ $1 = is-active ] && echo {answer} && exit 0\n{refuse}\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(services, "RUN", tmp_path)
    monkeypatch.setattr(services, "_is_root", lambda: True)
    meant = {"x": {"manager": "systemd", "settle": 0}}
    if fails:
        with pytest.raises(Failed) as refused:
            act(node.place, "restart", meant)
        assert refused.value.what == f"x: {fails}"
        assert state in refused.value.hint
        return
    assert act(node.place, "restart", meant) == {"x": state}
    assert (tmp_path / "asked").read_text() == "restart mt5crs-x.service\nis-active mt5crs-x.service\n"

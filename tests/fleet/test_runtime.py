"""What every operation of a node has around it: its request, its lock, its children, its end."""

import ast
import hashlib
import json
import os
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from mt5crs.fleet import node
from mt5crs.fleet.node import main, running
from mt5crs.fleet.node import program as packing
from mt5crs.fleet.node.operations import OPERATIONS as DECLARED
from mt5crs.fleet.node.operations import Failed
from mt5crs.fleet.node.place import Place
from mt5crs.fleet.node.running import run
from mt5crs.fleet.node.trouble import in_words
from tests.fleet.asking import PATIENCE, ask, program, write

NODE = Path(packing.__file__).parent
# Operations that a test alone has: they are declared before the program begins.
OPERATIONS = """
import os, sys, time
from importlib import import_module
from pathlib import Path
from mt5crs.fleet.node.main import main
from mt5crs.fleet.node.operations import operation, Failed
from mt5crs.fleet.node.running import run, Ended

@operation("change", changes=True)
def change(place, request, tell):
    tell("begun")
    try:
        run(["sh", "-c", "trap '' TERM; sleep 600 & echo $!; echo here; wait; sleep 600"], tell)
    except Ended:
        Path(place.path, "put-back").touch()
        raise

@operation("think", changes=True)
def think(place, request, tell):
    tell("begun")
    while True:
        time.sleep(0.01)

@operation("deaf", changes=False)
def deaf(place, request, tell):
    tell("begun")
    while True:
        try:
            time.sleep(0.01)
        except Ended:
            pass

@operation("defect", changes=False)
def defect(place, request, tell):
    return {}["nothing"]

@operation("full", changes=False)
def full(place, request, tell):
    with open("/dev/full", "w") as file:
        file.write("x")

@operation("child", changes=False)
def child(place, request, tell):
    return {"output": run(request["command"], tell, timeout=request.get("timeout", 30))}

sys.exit(main())
"""
OURS = (sys.executable, "-c", OPERATIONS)


def request(place: Path, do: str, **more: Any) -> str:
    return json.dumps({"do": do, "path": str(place), **more})


def test_every_module_is_grammar_that_python_3_8_knows() -> None:
    for each in sorted(NODE.glob("*.py")):
        ast.parse(each.read_text(encoding="utf-8"), each.name, feature_version=(3, 8))
    ast.parse(packing.START, feature_version=(3, 4))


def test_it_runs_packed_with_nothing_installed(tmp_path: Path) -> None:
    path = write(tmp_path)
    bare = (sys.executable, "-I", "-S", str(path))
    assert ask(tmp_path, "have", bare, sha256=[]) == {"done": {"have": []}}
    assert packing.packed() == path.read_bytes(), "the program differs from one packing to the other"


def test_an_old_python_is_named(tmp_path: Path) -> None:
    path = write(tmp_path)
    begun = f"runpy.run_path({str(path)!r}, run_name='__main__')"
    old = f"import sys, runpy; sys.version_info = (3, 8, 10); {begun}"
    done = subprocess.run([sys.executable, "-c", old], input="", capture_output=True, text=True, check=False)
    failed = json.loads(done.stdout)["failed"]
    assert failed["what"] == f"{sys.executable} is Python 3.8.10, and 3.10 is the oldest that will do"
    assert failed["code"] == "python"
    assert done.stderr == ""


@pytest.mark.parametrize("line", ["", "nonsense", "[]", '{"do": "have"}', '{"do": 1, "path": "/x"}'])
def test_what_is_no_request_is_refused(line: str) -> None:
    with program(line) as running_:
        assert running_.answer()["failed"]["code"] == "request"


@pytest.mark.parametrize("beat", ["1e300", "1e999", "-1", '"60"'])
def test_no_silence_is_borne_for_good(tmp_path: Path, beat: str) -> None:
    line = f'{{"do": "clock", "path": {json.dumps(str(tmp_path))}, "beat": {beat}}}\n'
    with program(line) as running_:
        assert running_.answer()["failed"]["code"] == "request"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--help",), "'--help' is no command"),
        (("dance", "/x", "y"), "is no command"),
        (("service",), "more words"),
    ],
)
def test_by_hand_an_unknown_word_is_told_the_commands(words: tuple[str, ...], says: str) -> None:
    command = [sys.executable, "-m", "mt5crs.fleet.node", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr
    assert all(f"  {each} PATH " in done.stderr for each in main.COMMANDS)
    assert "Traceback" not in done.stderr


def test_each_operation_is_at_home_where_it_is_declared() -> None:
    for each in NODE.glob("*.py"):
        if each.stem != "__main__":
            import_module(f"{node.__name__}.{each.stem}")
    assert {name: found.run.__module__.rpartition(".")[2] for name, found in DECLARED.items()} == main.HOMES


def test_an_unknown_operation_is_refused_with_those_there_are(tmp_path: Path) -> None:
    failed = ask(tmp_path, "dance")["failed"]
    assert failed["what"] == "there is no operation 'dance'"
    assert "have" in failed["hint"]


def test_a_defect_is_told_with_its_place(tmp_path: Path) -> None:
    failed = ask(tmp_path, "defect", OURS)["failed"]
    assert failed["code"] == "defect"
    assert failed["what"] == "a defect in defect: KeyError: 'nothing'"
    assert "in defect" in failed["hint"]


def test_a_full_disk_is_told_with_the_room_that_is_left(tmp_path: Path) -> None:
    failed = ask(tmp_path, "full", OURS)["failed"]
    assert failed["code"] == "no-space"
    assert f"MB are free at {tmp_path}" in failed["hint"]
    by_child = ask(tmp_path, "child", OURS, command=["sh", "-c", "cat /etc/passwd > /dev/full"])["failed"]
    assert by_child["code"] == "no-space"
    assert "MB are free" in by_child["hint"]


def test_what_is_not_permitted_is_told_with_who_may_not(tmp_path: Path) -> None:
    error = PermissionError(13, "Permission denied", "/opt/mt5-crs/.fleet")
    failed = in_words(error, Place("/opt/mt5-crs"), "quant")
    assert failed.code == "permission"
    assert failed.what == "quant may not use /opt/mt5-crs/.fleet: Permission denied"
    assert failed.hint == "let quant own /opt/mt5-crs and all that is in it"


def test_it_says_that_it_is_there_where_it_is_heard(tmp_path: Path) -> None:
    ours = (OURS[0], "-c", "from mt5crs.fleet.node import main; main.BEAT = 0.05\n" + OPERATIONS)
    with program(request(tmp_path, "think", beat=60), ours) as running_:
        running_.until("begun")
        assert [running_.answer(), running_.answer()] == [{"beat": 1}] * 2


def test_one_at_a_time_changes_a_node(tmp_path: Path) -> None:
    place = tmp_path / "place"
    with program(request(place, "think", who="alice@desk"), OURS) as first:
        first.until("begun")
        failed = ask(place, "think", OURS, who="bob")["failed"]
        assert failed["code"] == "busy"
        assert failed["what"].startswith("alice@desk (since 20")
        assert f"think, process {first.process.pid}) is changing this node" in failed["what"]
        assert ask(place, "have", sha256=[]) == {"done": {"have": []}}, "reading has to wait"
        assert place.stat().st_mode & 0o777 == 0o700
        assert (place / ".fleet").stat().st_mode & 0o777 == 0o700
    with program(request(place, "think"), OURS) as next_:
        next_.until("begun")  # the lock went with the killed process


def _ended(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def wait_for(process: int) -> None:
    end = time.monotonic() + PATIENCE
    while not _ended(process):
        assert time.monotonic() < end, f"{process} survived"
        time.sleep(0.01)


@pytest.mark.parametrize("how", ["input", "signal"])
def test_when_nobody_waits_all_that_was_started_ends(
    tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = (OURS[0], "-c", "from mt5crs.fleet.node import running; running.GRACE = 0.3\n" + OPERATIONS)
    with program(request(tmp_path, "change"), ours) as running_:
        running_.until("here")
        grandchild = int(running_.said[-2])
        assert running_.process.stdin is not None
        if how == "input":
            running_.process.stdin.close()
        else:
            running_.process.terminate()
        assert running_.answer()["failed"]["code"] == "ended"
        assert running_.process.wait(PATIENCE) == 1
        wait_for(grandchild)
        assert (tmp_path / "put-back").exists()


def test_where_nobody_is_heard_any_more_it_ends(tmp_path: Path) -> None:
    with program(request(tmp_path, "think", beat=0.3), OURS) as running_:
        assert running_.answer()["failed"]["code"] == "ended"


@pytest.mark.parametrize("operation", ["think", "deaf"])
def test_an_operation_ends_whether_it_listens_or_not(tmp_path: Path, operation: str) -> None:
    ours = (OURS[0], "-c", "from mt5crs.fleet.node import running; running.GRACE = 0.3\n" + OPERATIONS)
    with program(request(tmp_path, operation), ours) as running_:
        running_.until("begun")
        assert running_.process.stdin is not None
        running_.process.stdin.close()
        assert running_.process.wait(PATIENCE) == 1


def test_a_child_tells_as_it_goes_and_returns_what_it_wrote() -> None:
    said: list[str] = []
    output = run(["sh", "-c", "echo one; echo; echo two >&2; printf %s $X"], said.append, env={"X": "3"})
    assert output == "one\n\ntwo\n3"
    assert said == ["one", "two", "3"]


def test_a_child_that_fails_shows_its_last_lines() -> None:
    with pytest.raises(Failed, match=r"sh -c .* ended with 3") as caught:
        run(["sh", "-c", "seq 1 100; exit 3"])
    assert caught.value.hint.splitlines() == [str(number) for number in range(89, 101)]


def test_a_child_that_is_not_there_is_named() -> None:
    with pytest.raises(Failed, match="no-such-program is not there"):
        run(["no-such-program"])


def test_a_child_that_takes_too_long_ends_with_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "GRACE", 0.3)
    said: list[str] = []
    with pytest.raises(Failed, match="took longer than 0.5 s"):
        run(["sh", "-c", "sleep 600 & echo $!; wait"], said.append, timeout=0.5)
    wait_for(int(said[0]))


def test_what_is_kept_of_an_output_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "MOST", 1000)
    assert run(["sh", "-c", "head -c 100000 /dev/zero | tr '\\0' x; echo end"]).endswith("xend\n")
    assert len(run(["sh", "-c", "seq 1 5000"])) == 1000


def test_what_came_is_taken_in_when_it_is_whole(tmp_path: Path) -> None:
    content = os.urandom(3 << 20)
    name = hashlib.sha256(content).hexdigest()
    incoming = Place(tmp_path).incoming
    incoming.mkdir(parents=True)
    part = incoming / f"{name}.part"
    part.write_bytes(content[:-1])
    failed = ask(tmp_path, "received", sha256=name)["failed"]
    assert failed["code"] == "digest"
    assert not part.exists()
    part.write_bytes(content)
    assert ask(tmp_path, "received", sha256=name) == {"done": {"size": len(content)}}
    assert ask(tmp_path, "have", sha256=[name, "0" * 64]) == {"done": {"have": [name]}}
    (incoming / name).write_bytes(b"damaged")
    assert ask(tmp_path, "have", sha256=[name]) == {"done": {"have": []}}
    assert ask(tmp_path, "have", sha256=["../x"])["failed"]["code"] == "request"

"""A release comes into use on a node, or everything is as it was."""

import hashlib
import json
import os
import shutil
import sqlite3
import stat
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from mt5crs.fleet.node import removal, settings, switching
from mt5crs.fleet.node.operations import Failed
from mt5crs.fleet.node.place import Place
from mt5crs.fleet.record import deployments_of
from mt5crs.journal import file as journal
from tests.fleet.nodes import FILES, Killed, Refused, ask, changed_program, ready

A, B, C = "1.0.0-aaaaaaaaaaaa", "1.1.0-bbbbbbbbbbbb", "1.2.0-cccccccccccc"
ENV = "# ours\r\nMT5_HOST=10.0.0.1   # gtw\r\nOTHER='kept'\r\nMT5_KEYS=keys/client.key"
SERVICES = {"gateway": {"command": "mt5crs gateway"}}
FAKE = '''

def act(place, do, services, tell):
    """Write down what is asked; the release that `fails` names does not run."""
    folder = place.services
    folder.mkdir(parents=True, exist_ok=True)
    if do == "restart" and place.current_id().startswith("1.1"):
        for each in folder.glob("*.py"):  # what happens meanwhile
            exec(each.read_text(), {**globals(), "place": place})
    with (folder / "told").open("a") as told:
        told.write("".join(f"{do} {name}: {each['command']}\\n" for name, each in services.items()))
    with (folder / "asked").open("a") as asked:
        new = place.settings.exists() and place.settings.read_bytes().count(b"10.0.0.2")
        asked.write(f"{do} {place.current_id()} {new:d}\\n")
    if do == "stop":
        return dict.fromkeys(services, "stopped")
    fails = (folder / "fails").read_text() if (folder / "fails").exists() else ""
    return {name: "stopped" if place.current_id() in fails.split() else "running" for name in services}
'''
POINTS = ("begun", "saved", "settings", "switched", "restarted", "ended")


class Node:
    """A node's folder with releases A and B; A is in use, with services."""

    def __init__(self, path: Path, program: Path) -> None:
        self.path = path
        self.program = program
        self.place = Place(path)

    def deploy(self, release: str, env: Mapping[str, str] = {}, **changes: Any) -> dict[str, Any]:
        request = {"env": env, "services": SERVICES, "who": "me@here", "what": "sync", "keep": 5}
        return ask(self.path, "deploy", release=release, program=self.program, **{**request, **changes})

    def state(self) -> dict[str, Any]:
        return ask(self.path, "probe", program=self.program, env_names=["MT5_HOST", "MT5_KEYS", "MT5_PORT"])

    def env(self) -> str:
        return (self.path / ".env").read_bytes().decode()

    def asked(self) -> list[str]:
        return (self.place.services / "asked").read_text().splitlines()

    def told(self) -> list[str]:
        return (self.place.services / "told").read_text().splitlines()

    def meanwhile(self, code: str) -> None:
        """Have something happen while services of B are begun."""
        (self.place.services / "meanwhile.py").write_text(code)

    def fail(self, *releases: str) -> None:
        (self.place.services / "fails").write_text(" ".join(releases))

    def record(self) -> list[dict[str, Any]]:
        answer = ask(self.path, "record", program=self.program, last=0)
        assert answer["problems"] == []
        lines: list[dict[str, Any]] = answer["lines"]
        return lines


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Node:
    """Return a node that others are copies of."""
    folder = tmp_path_factory.mktemp("template")
    program = changed_program(folder / "program", {"services.py": FAKE})
    path = folder / "mt5-crs"
    for id_ in (A, B):
        ready(path, id_)
    (path / ".env").write_bytes(ENV.encode())
    (path / ".env").chmod(0o640)
    (path / "keys").mkdir(mode=0o700)
    for name in ("keys/client.key", "guard.toml", "gateway.latch"):
        (path / name).write_text("untouched")
    with sqlite3.connect(path / "journal.db") as connection:
        connection.execute(f"pragma application_id = {journal.APPLICATION}")
        connection.execute("pragma user_version = 2")
    connection.close()
    node = Node(path, program)
    node.deploy(A, {"MT5_HOST": "10.0.0.1"})
    return node


@pytest.fixture
def node(template: Node, tmp_path: Path) -> Iterator[Node]:
    """Return a node of its own; nothing that is the node's own is touched by whatever is done."""
    path = tmp_path / "mt5-crs"
    shutil.copytree(template.path, path, symlinks=True)
    node = Node(path, template.program)
    before = _others(path)
    yield node
    assert _others(path) == before


def _others(path: Path) -> dict[str, tuple[str, int]]:
    own = ("releases", ".fleet", ".env", "current")
    return {
        str(each): (hashlib.sha256(each.read_bytes()).hexdigest(), each.stat().st_mtime_ns)
        for each in path.rglob("*")
        if each.is_file() and each.relative_to(path).parts[0] not in own
    }


def test_a_release_comes_into_use(node: Node) -> None:
    done = node.deploy(B, {"MT5_HOST": "10.0.0.2", "MT5_PORT": "5555"})
    assert (node.path / "current").readlink() == Path("releases", B)
    assert node.env() == (
        ENV.replace("10.0.0.1", "10.0.0.2")
        + "\r\n\r\n# ============================================================================\r\n"
        "# MT5 ZeroMQ Gateway Configuration\r\n"
        "# ============================================================================\r\nMT5_PORT=5555\r\n"
    )
    assert stat.S_IMODE((node.path / ".env").stat().st_mode) == 0o640
    assert node.asked()[-2:] == [f"restart {B} 1", f"status {B} 1"]
    begun, ended = node.record()[-2:]
    assert done["record"] == ended
    assert [begun[name] for name in ("event", "who", "what", "from", "to", "env")] == [
        "begun", "me@here", "sync", A, B, ["MT5_HOST", "MT5_PORT"],
    ]  # fmt: skip
    assert (ended["event"], ended["result"], ended["id"]) == ("ended", "ok", begun["id"])
    state = node.state()
    assert (state["current"], state["unfinished"], state["previous"]) == (B, None, A)


def test_a_rollback_brings_settings_back_and_no_key(node: Node) -> None:
    node.deploy(B, {"MT5_HOST": "10.0.0.2", "MT5_KEYS": "keys/new.key"})
    ended = node.deploy("", what="rollback")["record"]
    assert (ended["what"], ended["from"], ended["to"], ended["env"]) == ("rollback", B, A, ["MT5_HOST"])
    state = node.state()
    assert state["env"] == {"MT5_HOST": "10.0.0.1", "MT5_KEYS": "keys/new.key"}
    assert state["current"] == A
    node.deploy("", what="rollback")  # and forth
    assert node.state()["env"]["MT5_HOST"] == "10.0.0.2"
    with pytest.raises(Refused, match=f"no release {C} here: there are {A}, {B}") as refused:
        node.deploy(C, what="rollback")
    assert refused.value.code == "absent"


def test_what_was_changed_by_hand_comes_back_with_its_release(node: Node) -> None:
    (node.path / ".env").write_text("MT5_HOST=10.0.0.9\n")
    node.deploy(B, {"MT5_HOST": "10.0.0.2"})
    node.deploy(A, what="rollback")
    assert node.env() == "MT5_HOST=10.0.0.9\n"


def test_without_one_before_there_is_nothing_to_roll_back_to(node: Node) -> None:
    with pytest.raises(Refused, match="no release was in use here before") as refused:
        node.deploy("", what="rollback")
    assert B in refused.value.what


def test_services_that_do_not_run_put_everything_back(node: Node) -> None:
    node.fail(B)
    with pytest.raises(Refused, match=f"gateway \\(stopped\\); {A} is in use again") as refused:
        node.deploy(B, {"MT5_HOST": "10.0.0.2"})
    assert refused.value.code == "service"
    assert node.env() == ENV
    assert node.state()["current"] == A
    assert node.asked()[-4:] == [f"restart {B} 1", f"status {B} 1", f"restart {A} 0", f"status {A} 0"]
    ended = node.record()[-1]
    assert (ended["result"], ended["error"]) == ("failed", "not running: gateway (stopped)")
    with pytest.raises(Refused, match="no release was in use"):  # what failed was never in use
        node.deploy("", what="rollback")


def test_when_the_old_one_does_not_run_either_it_is_said(node: Node) -> None:
    node.fail(A, B)
    with pytest.raises(Refused, match="could be put back: services: not running: gateway") as refused:
        node.deploy(B, {"MT5_HOST": "10.0.0.2"})
    assert refused.value.code == "not-restored"
    assert (node.state()["current"], node.env()) == (A, ENV)
    assert deployments_of(node.record())[-1].result == "not-restored"
    assert node.state()["unfinished"]["to"] == B  # so the next run goes on
    node.fail(B)
    with pytest.raises(Refused, match=f"{A} is in use again"):
        node.deploy(B, {"MT5_HOST": "10.0.0.2"})
    assert (node.state()["unfinished"], node.env()) == (None, ENV)


def test_the_first_release_that_fails_leaves_none(node: Node) -> None:
    for each in (node.path / "current", node.path / ".env", node.place.record, node.place.head):
        each.unlink()
    node.fail(B)
    with pytest.raises(Refused, match="no release is in use, as before"):
        node.deploy(B, {"MT5_HOST": "10.0.0.2"})
    assert node.state()["current"] == ""
    assert not (node.path / ".env").exists()


@pytest.mark.parametrize(
    ("point", "then"),
    [
        *((point, "again") for point in POINTS),
        *((point, "fails") for point in ("settings", "switched")),
        *((point, "back") for point in ("begun", "settings", "restarted")),
    ],
)
def test_killed_anywhere_it_is_finished_by_doing_it_again(node: Node, point: str, then: str) -> None:
    env = {"MT5_HOST": "10.0.0.2"}
    with pytest.raises(Killed):
        node.deploy(B, env, stop_at=point)
    unfinished = node.state()["unfinished"]
    assert (unfinished is None) == (point == "ended")
    if then == "again":
        node.deploy(B, env)
        assert (node.state()["current"], node.env()) == (B, ENV.replace("10.0.0.1", "10.0.0.2"))
        assert [each.result for each in deployments_of(node.record())] == [
            "ok", "ok" if point == "ended" else "interrupted", "ok",
        ]  # fmt: skip
        node.deploy("", what="rollback")
    elif then == "fails":
        node.fail(B)
        with pytest.raises(Refused, match=f"{A} is in use again"):
            node.deploy(B, env)
    else:
        node.deploy("", what="rollback")
    assert (node.state()["current"], node.env()) == (A, ENV)
    assert node.state()["unfinished"] is None


@pytest.mark.parametrize("point", ["restoring", "restored"])
def test_killed_while_putting_back_it_is_finished_by_doing_it_again(node: Node, point: str) -> None:
    node.fail(B)
    with pytest.raises(Killed):
        node.deploy(B, {"MT5_HOST": "10.0.0.2"}, stop_at=point)
    with pytest.raises(Refused, match=f"{A} is in use again"):
        node.deploy(B, {"MT5_HOST": "10.0.0.2"})
    assert (node.state()["current"], node.env()) == (A, ENV)


EDIT = """
text = place.settings.read_bytes().replace(b"'kept'", b"'edited'").replace(b"client.key", b"new.key")
place.settings.write_bytes(text)
"""
EDITED = ENV.replace("'kept'", "'edited'").replace("client.key", "new.key")
FULL = """
import errno, os
opened = os.open
def full(path, flags, *others, **more):
    if flags & os.O_EXCL:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return opened(path, flags, *others, **more)
os.open = full
"""
BROKEN = """
from . import settings
def change(*_):
    raise OSError("a broken disk")
settings.change = change
"""


def test_services_are_put_back_as_they_were(node: Node) -> None:
    node.fail(B)
    wanted = {"gateway": {"command": "no such program"}, "feed": {"command": "feed"}}
    with pytest.raises(Refused, match=f"{A} is in use again"):
        node.deploy(B, services=wanted)
    assert node.told()[-3:] == [
        "stop feed: feed", "restart gateway: mt5crs gateway", "status gateway: mt5crs gateway",
    ]  # fmt: skip
    with pytest.raises(Killed):
        node.deploy(B, services=wanted, stop_at="restoring")
    with pytest.raises(Refused, match=f"{A} is in use again"):  # whoever goes on with it
        node.deploy(B, services=wanted)
    assert node.told()[-1] == "status gateway: mt5crs gateway"


def test_services_that_are_not_wanted_any_more_are_stopped(node: Node) -> None:
    renamed = {"bridge": {"command": "mt5crs gateway"}}
    drift = ask(node.path, "drift", program=node.program, services=renamed)
    assert drift["services"] == ["service gateway is not wanted any more"]
    node.fail(B)
    with pytest.raises(Refused, match=f"{A} is in use again"):
        node.deploy(B, services=renamed)
    assert [line.partition(":")[0] for line in node.told()[-5:]] == [
        "restart bridge", "status bridge", "stop bridge", "restart gateway", "status gateway",
    ]  # fmt: skip
    node.fail()
    node.deploy(B, services=renamed)
    assert [line.partition(":")[0] for line in node.told()[-3:]] == [
        "stop gateway", "restart bridge", "status bridge",
    ]  # fmt: skip
    assert ask(node.path, "drift", program=node.program, services=renamed)["services"] == []


def test_on_a_full_disk_everything_is_put_back(node: Node) -> None:
    node.meanwhile(FULL)
    node.fail(B)
    with pytest.raises(Refused, match=f"{A} is in use again"):
        node.deploy(B, {"MT5_HOST": "10.0.0.2"})
    assert (node.state()["current"], node.env(), node.asked()[-1]) == (A, ENV, f"status {A} 0")


def test_what_cannot_be_put_back_leaves_the_rest_put_back_and_is_gone_on_with(node: Node) -> None:
    node.meanwhile(BROKEN)
    node.fail(B)
    with pytest.raises(Refused, match=r"not everything could be put back: \.env: a broken disk") as refused:
        node.deploy(B, {"MT5_HOST": "10.0.0.2"})
    assert refused.value.code == "not-restored"
    assert (node.state()["current"], node.asked()[-1]) == (A, f"status {A} 1")
    assert node.state()["unfinished"]["to"] == B
    (node.place.services / "meanwhile.py").unlink()
    node.deploy("", what="rollback")
    assert (node.state()["current"], node.env(), node.state()["unfinished"]) == (A, ENV, None)


@pytest.mark.parametrize("fails", [False, True])
def test_edits_made_meanwhile_are_kept(node: Node, fails: bool) -> None:
    node.meanwhile(EDIT)
    if fails:
        node.fail(B)
        with pytest.raises(Refused, match=f"{A} is in use again"):
            node.deploy(B, {"MT5_HOST": "10.0.0.2", "MT5_PORT": "7"})
        assert node.env() == EDITED + "\r\n"
    else:
        node.deploy(B, {"MT5_HOST": "10.0.0.2"})
        assert node.env() == EDITED.replace("10.0.0.1", "10.0.0.2")


def test_edits_made_between_two_attempts_are_kept(node: Node) -> None:
    with pytest.raises(Killed):
        node.deploy(B, {"MT5_HOST": "10.0.0.2"}, stop_at="switched")
    exec(EDIT, {"place": node.place})  # noqa: S102 - as it happens there
    node.fail(B)
    with pytest.raises(Refused, match=f"{A} is in use again"):
        node.deploy(B, {"MT5_HOST": "10.0.0.3"})
    assert node.env() == EDITED


def test_an_edit_at_the_very_moment_is_kept(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.settings.write_bytes(b"A=1\n")
    tries: list[bytes | None] = []

    def add(now: bytes | None) -> bytes:
        tries.append(now)
        if len(tries) == 1:
            place.settings.write_bytes(b"A=2\n")
        return (now or b"") + b"B=1\n"

    settings.change(place, add)
    assert place.settings.read_bytes() == b"A=2\nB=1\n"
    with pytest.raises(Failed, match="changed again and again"):
        settings.change(place, lambda now: b"x%d" % place.settings.write_bytes((now or b"") + b"#"))


def test_a_clock_that_was_put_back_costs_no_copy(node: Node) -> None:
    for number in range(settings.COPIES):
        (node.place.backups / f"20300101T0000{number:02}Z-000000000000.env").write_bytes(b"x")
    node.fail(B)
    with pytest.raises(Refused, match=f"{A} is in use again"):
        node.deploy(B, {"MT5_HOST": "10.0.0.2"})
    assert node.env() == ENV
    copy = str(node.record()[-2]["copy"])
    assert (node.place.backups / copy).read_bytes() == ENV.encode()


def test_killed_twice_it_is_never_taken_for_finished(node: Node) -> None:
    env = {"MT5_HOST": "10.0.0.2"}
    with pytest.raises(Killed):
        node.deploy(B, env, stop_at="switched")
    first = node.state()["unfinished"]["id"]
    with pytest.raises(Killed):
        node.deploy(B, env, stop_at="begun")
    assert (node.state()["unfinished"]["resumes"], node.record()[-1]["event"]) == (first, "begun")
    assert node.state()["unfinished"]["from"] == A
    node.deploy(B, env)
    assert [each.result for each in deployments_of(node.record())][-3:] == [
        "interrupted",
        "interrupted",
        "ok",
    ]


def test_a_begun_line_without_fields_is_no_defect(node: Node) -> None:
    node.place.record.write_text('{"event": "begun"}\n')
    node.place.head.unlink()
    assert node.state()["unfinished"] == {"event": "begun"}
    assert node.deploy(B)["record"]["from"] == A


def test_a_release_that_is_no_longer_in_use_is_not_changed_from(node: Node) -> None:
    with pytest.raises(Refused, match=f"{A} is in use here, no longer {C}") as refused:
        node.deploy(B, expect=C)
    assert refused.value.code == "changed"
    assert node.deploy(B, expect=A, asked="2026-01-01T00:00:00+00:00")["record"]["asked"].startswith("2026")


def test_variables_of_the_newer_release_go_with_it(node: Node) -> None:
    new = {"MT5_HOST": "10.0.0.2", "MT5_PORT": "5555", "MT5_TIMEOUT": "3"}
    node.deploy(B, new)
    (node.path / ".env").write_bytes(node.env().replace("MT5_TIMEOUT=3", "MT5_TIMEOUT=4").encode())
    ended = node.deploy("", what="rollback")["record"]
    assert ended["env"] == ["MT5_HOST", "MT5_PORT"]
    assert "MT5_PORT" not in node.env()
    assert "MT5_TIMEOUT=4" in node.env()  # somebody else's by now


def test_what_was_left_is_removed(node: Node) -> None:
    left = [
        node.place.backups / "trial",
        node.place.backups / "room",
        node.place.own / ".record.head-abcd_123",
        node.path / "..env-abcd_123",
    ]
    for each in (*left, node.place.backups / "0123.before.json", node.path / "..env.mt5crs-back"):
        each.write_text("left")
    node.deploy(B)
    kept = sorted(each.name for each in node.place.backups.iterdir() if each.suffix != ".env")
    assert kept == sorted([f"{A}.json", f"{B}.json", "services.json"])
    assert [*node.path.glob("..env*")] == []
    assert not (node.place.own / ".record.head-abcd_123").exists()


def test_a_file_that_the_release_cannot_read_is_refused_before_anything(node: Node) -> None:
    ready(node.path, C, {**FILES, "journal": 1})
    before = (node.env(), node.record(), node.asked())
    with pytest.raises(Refused) as refused:
        node.deploy(C, {"MT5_HOST": "10.0.0.2"})
    assert refused.value.code == "schema"
    for word in (str(node.path / "journal.db"), "version 2", "version 1", C):
        assert word in refused.value.what
    assert (node.env(), node.record(), node.asked()) == before


@pytest.mark.parametrize(
    ("content", "env", "says"),
    [
        (b"MT5_HOST=\xff\n", {}, "line 1 is not UTF-8"),
        (b"A=1\nMT5_HOST 1\n", {}, "line 2 is not of the form"),
        (b"MT5_TIMEOUT=soon\n", {}, "MT5_TIMEOUT is 'soon'"),
        (b"", {"MT5_PORT": "no"}, "MT5_PORT is 'no'"),
        (b"", {"MT5_PASSWORD": "x"}, "is a secret"),
    ],
)
def test_settings_that_cannot_be_read_are_refused_before_anything(
    node: Node, content: bytes, env: dict[str, str], says: str
) -> None:
    (node.path / ".env").write_bytes(content)
    before = (node.record(), node.asked())
    with pytest.raises(Refused, match=says) as refused:
        node.deploy(B, env)
    assert refused.value.code == "env"
    assert ".fleet/settings/trial" not in refused.value.what
    assert (node.path / ".env").read_bytes() == content
    assert (node.record(), node.asked()) == before


def test_a_linked_env_is_followed_and_copied(node: Node) -> None:
    shared = node.path.parent / "shared.env"
    (node.path / ".env").rename(shared)
    (node.path / ".env").symlink_to(shared)
    node.deploy(B, {"MT5_HOST": "10.0.0.2"})
    assert (node.path / ".env").is_symlink()
    assert "10.0.0.2" in shared.read_text()
    copies = [*node.place.backups.glob("*.env")]
    assert ENV.encode() in [each.read_bytes() for each in copies]
    assert {stat.S_IMODE(each.stat().st_mode) for each in node.place.backups.iterdir()} == {0o600}


def test_only_so_many_copies_are_kept(tmp_path: Path) -> None:
    place = Place(tmp_path)
    for number in range(settings.COPIES + 5):
        place.settings.write_text(f"MT5_PORT={number}\n")
        settings.copy(place)
    assert len([*place.backups.iterdir()]) == settings.COPIES


def test_old_releases_go_and_those_that_are_needed_stay(node: Node) -> None:
    old = [f"0.{number}.0-dddddddddddd" for number in range(3)]
    for id_ in old:
        shutil.copytree(node.path / "releases" / A, node.path / "releases" / id_, symlinks=True)
    running = node.path / "releases" / old[0]
    with subprocess.Popen(
        [running / ".venv" / "bin" / "python", "-c", "input()"], stdin=subprocess.PIPE
    ) as process:
        done = node.deploy(B, keep=0)
        assert sorted(done["removed"]) == old[1:]
        assert [*node.state()["releases"]] == [old[0], A, B]  # runs; the one before; in use
        process.communicate(b"\n")
    assert ask(node.path, "remove", keep=1)["removed"] == [old[0]]


def test_killed_while_removing_nothing_half_stays(node: Node) -> None:
    old = "0.1.0-dddddddddddd"
    shutil.copytree(node.path / "releases" / A, node.path / "releases" / old, symlinks=True)
    with pytest.raises(Killed):
        node.deploy(B, keep=0, stop_at="removing")
    assert (node.state()["unfinished"], node.state()["incomplete"]) == (None, [])
    ask(node.path, "remove", keep=0)
    assert not (node.place.own / "trash").exists()


def test_what_was_sent_for_releases_that_are_gone_goes_a_day_later(node: Node) -> None:
    place = node.place
    place.incoming.mkdir()
    manifest = json.loads((place.release(A) / "release.json").read_text())
    manifest["release"]["files"] = [{"name": "x.whl", "size": 1, "sha256": "needed"}]
    (place.release(A) / "release.json").write_text(json.dumps(manifest))
    for name, age in (("needed", 10), ("old", 10), ("new", 0)):
        (place.incoming / name).touch()
        when = (place.incoming / name).stat().st_mtime - age * removal.DAY
        os.utime(place.incoming / name, (when, when))
    ask(node.path, "remove", keep=5)
    assert sorted(each.name for each in place.incoming.iterdir()) == ["needed", "new"]


def test_a_node_kept_as_on_windows_has_a_file_for_the_release_in_use(tmp_path: Path) -> None:
    place = Place(tmp_path, windows=True)
    switching.switch(place, A)
    switching.switch(place, B)
    assert (place.current_id(), place.current.is_symlink()) == (B, False)
    switching.switch(place, "")
    assert place.current_id() == ""

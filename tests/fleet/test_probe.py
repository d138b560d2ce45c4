"""What a node is and has, as it says itself."""

import json
import os
import sqlite3
from pathlib import Path
from typing import Any

import msgspec
import pytest
from packaging.markers import default_environment

from mt5crs.fleet import facts
from mt5crs.fleet.node import envfile, headers, probe, record
from mt5crs.fleet.node.place import Place
from mt5crs.journal import file as journal
from mt5crs.security import secrets
from mt5crs.terminal.simulated import state
from mt5crs.trades import record as trades
from tests.fleet.nodes import ask, ready

APPLICATIONS = {"journal": journal.APPLICATION, "trades": trades.APPLICATION, "state": state.APPLICATION}


def database(path: Path, application: int, version: int, *, wal: bool = False) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    if wal:
        connection.execute("pragma journal_mode = wal")
    connection.execute(f"pragma application_id = {application}")
    connection.execute(f"pragma user_version = {version}")
    connection.execute("create table if not exists anything (value)")
    return connection


def test_kinds_of_files_are_those_that_write_them() -> None:
    assert {kind: number for number, kind in headers.KINDS.items()} == APPLICATIONS
    assert set(envfile.SECRETS) == {secrets.PASSWORD, secrets.PASSPHRASE}


def test_a_node_that_has_nothing(tmp_path: Path) -> None:
    path = tmp_path / "none" / "yet"
    found = msgspec.convert(ask(path, "probe", env_names=["MT5_HOST"], services={}), facts.NodeState)
    assert (found.current, found.releases, found.incomplete, found.env) == ("", {}, (), {})
    assert (found.unfinished, found.journals, found.services) == (None, {}, {})
    assert found.free > 0
    assert found.python.has_venv
    assert found.unwritable == ""
    assert not path.exists()


def test_a_release_that_is_not_as_it_was_written_is_not_complete(tmp_path: Path) -> None:
    """And it takes nothing else with it."""
    ready(tmp_path, "1.0.0-a")
    manifest = json.loads((tmp_path / "releases" / "1.0.0-a" / "release.json").read_text())
    odd: dict[str, Any] = {
        "empty": {}, "list": [], "speaks": {**manifest, "about": {**manifest["about"], "speaks": "two"}},
        "files": {**manifest, "release": {**manifest["release"], "files": [{"name": "x"}]}},
    }  # fmt: skip
    for name, content in odd.items():
        (tmp_path / "releases" / name).mkdir()
        (tmp_path / "releases" / name / "release.json").write_text(json.dumps(content))
    found = msgspec.convert(ask(tmp_path, "probe", env_names=[]), facts.NodeState)
    assert (list(found.releases), found.incomplete) == (["1.0.0-a"], tuple(sorted(odd)))


def test_what_a_node_has(tmp_path: Path) -> None:
    ready(tmp_path, "1.0.0-a")
    (tmp_path / "releases" / "1.1.0-b").mkdir()
    (tmp_path / "current").symlink_to("releases/1.0.0-a")
    (tmp_path / ".env").write_text("MT5_HOST=10.0.0.5 # gtw\nMT5_PASSWORD=secret\nOTHER=1\nMT5_PORT=5555\n")
    place = Place(tmp_path)
    begun = record.append(place, record.BEGUN, id="x", to="1.1.0-b", **{"from": "1.0.0-a"})
    names = ["MT5_HOST", "MT5_PASSWORD", "MT5_TIMEOUT"]
    answer = ask(tmp_path, "probe", env_names=names)
    found = msgspec.convert(answer, facts.NodeState)
    assert found.current == "1.0.0-a"
    assert [*found.releases] == ["1.0.0-a"]
    assert found.incomplete == ("1.1.0-b",)
    assert found.env == {"MT5_HOST": "10.0.0.5"}
    assert found.unfinished == begun
    assert "secret" not in json.dumps(answer)
    (tmp_path / ".env").write_bytes(b"\xff")
    answer = ask(tmp_path, "probe", env_names=names)
    assert (answer["env"], answer["env_trouble"]) == ({}, ".env, line 1 is not UTF-8")


def test_markers_are_those_of_packaging() -> None:
    assert probe.markers() == default_environment()


def test_libc_is_told() -> None:
    assert probe.libc()[:1] in (["glibc"], ["musl"])
    assert probe.musl("musl libc (x86_64)\nVersion 1.2.4\nDynamic Program Loader") == ["musl", "1.2"]
    assert probe.musl("ldd (GNU libc) 2.36") == []


@pytest.mark.parametrize("kind", APPLICATIONS)
@pytest.mark.parametrize("wal", [False, True])
def test_files_of_ours_are_found_and_not_touched(tmp_path: Path, kind: str, wal: bool) -> None:
    folder = tmp_path / "data" / "account"
    folder.mkdir(parents=True)
    connection = database(folder / "some.db", APPLICATIONS[kind], 7, wal=wal)
    other = database(tmp_path / "other.db", 1, 9)
    other.close()
    (tmp_path / "note.txt").write_text("SQLite format 3")
    before = _contents(tmp_path)
    assert headers.scan(tmp_path) == [headers.Found(folder / "some.db", kind, 7)]
    assert _contents(tmp_path) == before
    # What was committed last counts, in the log or not; what was not committed does not.
    connection.execute("pragma user_version = 8")
    connection.execute("begin")
    connection.execute("pragma cache_size = 1")
    connection.execute("pragma user_version = 9")
    if wal:
        assert (folder / "some.db-wal").stat().st_size
        assert headers.newest(headers.scan(tmp_path)) == {kind: 8}
    connection.execute("commit")
    assert headers.newest(headers.scan(tmp_path)) == {kind: 9}
    connection.execute("pragma wal_checkpoint(truncate)" if wal else "pragma user_version = 9")
    assert headers.newest(headers.scan(tmp_path)) == {kind: 9}
    connection.close()


def test_what_an_earlier_use_of_a_log_left_is_not_read(tmp_path: Path) -> None:
    connection = database(tmp_path / "some.db", journal.APPLICATION, 5, wal=True)
    for version in (6, 7):
        connection.execute(f"pragma user_version = {version}")
    connection.execute("pragma wal_checkpoint(restart)")
    connection.execute("pragma user_version = 3")  # over the first frames; older ones lie behind it
    assert headers.newest(headers.scan(tmp_path)) == {"journal": 3}
    connection.close()


def test_neither_releases_nor_depths_are_looked_into(tmp_path: Path) -> None:
    for folder in (tmp_path / "releases" / "x", tmp_path.joinpath(*"abcdefghijklmnopq")):
        folder.mkdir(parents=True)
        database(folder / "journal.db", journal.APPLICATION, 2).close()
    (tmp_path / "current").symlink_to("releases/x")
    assert headers.scan(tmp_path) == []


@pytest.mark.parametrize("how", ["linked", "folder", "deep", "named"])
def test_files_are_found_wherever_they_really_are(tmp_path: Path, how: str) -> None:
    path, out = tmp_path / "node", tmp_path / "out"
    path.mkdir()
    out.mkdir()
    folder = path.joinpath(*"abcdefg") if how == "deep" else out
    folder.mkdir(parents=True, exist_ok=True)
    (path / "again").symlink_to(path)  # round and round
    connection = database(folder / "journal.db", journal.APPLICATION, 1, wal=True)
    connection.execute("pragma wal_checkpoint(truncate)")
    connection.execute("pragma user_version = 99")  # is in the log alone
    if how == "linked":
        (path / "journal.db").symlink_to(out / "journal.db")
    elif how == "folder":
        (path / "data").symlink_to(out)
    commands = [f"mt5crs gateway --journal={out}/journal.db", "mt5crs gateway --journal '../out/journal.db'"]
    for command in commands if how == "named" else [""]:
        answer = ask(path, "probe", env_names=[], services={"gateway": {"command": command}})
        assert answer["journals"] == {"journal": 99}
    connection.close()


def _contents(folder: Path) -> dict[str, Any]:
    return {
        str(each): (each.read_bytes(), each.stat().st_mtime_ns)
        for each in folder.rglob("*")
        if each.is_file() and os.access(each, os.R_OK)
    }

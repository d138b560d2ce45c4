"""The clients that a gateway knows: what changes is seen, and what is not certain opens nothing."""

import errno
import json
import logging
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mt5crs.security import ring as rings
from mt5crs.security.keys import ClientKeys, create_client, create_gateway, revoke_client, rotate_client
from mt5crs.security.policy import Principal, Role
from mt5crs.security.ring import LOOK_EVERY, KeyRing


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


class Home:
    """A gateway's folder with the clients ann (trader) and bob (observer), and a ring of them."""

    def __init__(self, folder: Path) -> None:
        self.path = folder
        self.keys = folder / "keys"
        create_gateway(self.keys)
        self.ann = self.create("ann", Role.TRADER)
        self.bob = self.create("bob", Role.OBSERVER)
        self.clock = Clock()
        self.ring = KeyRing(self.keys, self.clock)
        assert self.names == ["ann", "bob"]
        assert not self.ring.problems

    def create(self, name: str, role: Role) -> ClientKeys:
        return ClientKeys.load(create_client(self.keys, name, role, self.path / f"{name}.key"))

    def entry(self, name: str) -> Path:
        return self.keys / "clients" / f"{name}.json"

    def edit(self, name: str, /, **fields: Any) -> None:
        path = self.entry(name)
        path.write_text(json.dumps(json.loads(path.read_text()) | fields))

    @property
    def names(self) -> list[str]:
        by_id = sorted(principal.name for principal in self.ring.by_id.values())
        assert by_id == sorted(principal.name for principal in self.ring.by_curve.values())
        return by_id

    def look(self) -> bool:
        """Refresh when it is time to look for what was changed by hand."""
        self.clock.now += LOOK_EVERY
        return self.ring.refresh()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_nothing_changes_where_nothing_was_changed(home: Home) -> None:
    principals = dict(home.ring.by_curve)
    for _ in range(3):
        assert not home.ring.refresh()
        assert not home.look()
    assert all(home.ring.by_curve[key] is each for key, each in principals.items())


# ---- by commands: at once ----


def test_a_new_client_is_let_in_at_once(home: Home) -> None:
    before, by_id, by_curve = dict(home.ring.by_id), home.ring.by_id, home.ring.by_curve
    eve = home.create("eve", Role.ADMIN)
    assert home.ring.refresh()
    assert home.ring.by_id[eve.key_id].role is Role.ADMIN
    assert all(home.ring.by_id[each] is principal for each, principal in before.items())
    assert home.ring.by_id is by_id
    assert home.ring.by_curve is by_curve
    assert not home.ring.refresh()


def test_a_revoked_client_is_shut_out_at_once(home: Home) -> None:
    revoke_client(home.keys, "ann")
    assert home.ring.refresh()
    assert home.names == ["bob"]
    assert home.ann.public not in home.ring.by_curve
    assert not home.ring.refresh()


def test_a_change_by_another_process_is_seen_at_the_next_refresh(home: Home) -> None:
    code = (
        "import sys; from pathlib import Path; from mt5crs.security.keys import revoke_client; "
        "revoke_client(Path(sys.argv[1]), 'bob')"
    )
    subprocess.run([sys.executable, "-c", code, str(home.keys)], check=True, timeout=30)
    assert home.ring.refresh()
    assert home.names == ["ann"]


def test_rotation_lets_the_new_key_in_and_the_old_one_end_by_the_clock(home: Home) -> None:
    principal = home.ring.by_id[home.ann.key_id]
    path = rotate_client(home.keys, "ann", home.path / "ann-2.key", window=600)
    assert home.ring.refresh()
    second = ClientKeys.load(path)
    assert home.names == ["ann", "ann", "bob"]
    assert home.ring.by_id[home.ann.key_id] is principal, "its sessions go on"
    ends = next(key.until for key in home.ring.entries["ann"].keys if key.until).timestamp()
    home.clock.now = ends - 0.25
    assert not home.ring.refresh()
    home.clock.now = ends
    assert home.ring.refresh(), "between two looks, and without a change of any file"
    assert home.ring.by_id[second.key_id].name == "ann"
    assert home.names == ["ann", "bob"]
    assert home.ann.public not in home.ring.by_curve


def test_rotation_without_a_window_ends_the_old_key_at_once(home: Home) -> None:
    home.clock.now = time.time() + 1
    rotate_client(home.keys, "ann", home.path / "ann-2.key", window=0)
    assert home.ring.refresh()
    assert home.ann.key_id not in home.ring.by_id
    assert home.names == ["ann", "bob"]


# ---- by hand: within a second ----


def test_a_removed_entry(home: Home) -> None:
    home.entry("ann").unlink()
    assert not home.ring.refresh(), "it is not yet time to look"
    assert home.look()
    assert home.names == ["bob"]


def test_an_entry_edited_in_place(home: Home) -> None:
    before = home.ring.by_id[home.ann.key_id]
    home.edit("ann", role="observer")
    assert home.look()
    after = home.ring.by_id[home.ann.key_id]
    assert (after.role, after is before) == (Role.OBSERVER, False)
    home.edit("ann", streams=["trade"])
    assert home.look()
    assert home.ring.by_id[home.ann.key_id].streams == {"trade"}


def test_an_edit_that_shows_in_no_time_and_no_size(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system's clock may not have moved on between what was read and the edit."""
    path = home.entry("ann")
    home.look()
    status = path.stat()
    real = os.stat
    monkeypatch.setattr(os, "stat", lambda name, **more: status if name == str(path) else real(name, **more))
    path.write_text(path.read_text().replace('"trader"', '"admin" '))
    assert home.look()
    assert home.ring.by_id[home.ann.key_id].role is Role.ADMIN


def test_a_settled_entry_is_not_read_again(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    monkeypatch.setattr(rings, "SETTLED", 0)
    home.look()
    monkeypatch.setattr(rings, "read_entry", read.append)
    home.look()
    assert read == []


def test_a_replaced_entry(home: Home) -> None:
    other = home.path / "other.json"
    other.write_text(home.entry("ann").read_text().replace('"trader"', '"admin"'))
    other.replace(home.entry("ann"))
    assert home.look()
    assert home.ring.by_id[home.ann.key_id].role is Role.ADMIN


def test_an_entry_written_again_as_it_was_keeps_its_principal(home: Home) -> None:
    before = home.ring.by_id[home.ann.key_id]
    content = home.entry("ann").read_bytes()
    home.entry("ann").unlink()
    home.entry("ann").write_bytes(content)
    assert not home.look()
    assert home.ring.by_id[home.ann.key_id] is before


def test_drafts_and_editors_copies_are_no_entries(home: Home) -> None:
    content = home.entry("ann").read_bytes()
    for name in (".ann.json.x1y2", ".ann.json", "ann.json~", "ann.json.bak", "notes.txt", "#ann.json#"):
        (home.keys / "clients" / name).write_bytes(content)
    assert not home.look()
    assert home.ring.problems == []


# ---- it fails closed ----


def damage(home: Home) -> None:
    home.entry("ann").write_bytes(b"{")


def cut(home: Home) -> None:
    home.entry("ann").write_bytes(home.entry("ann").read_bytes()[:-20])


def empty(home: Home) -> None:
    home.entry("ann").write_bytes(b"")


def make_unknown(home: Home) -> None:
    home.edit("ann", more=1)


def nest(home: Home) -> None:
    home.entry("ann").write_bytes(b'{"x":' + b"[" * 30_000)


def make_longer(home: Home) -> None:
    home.entry("ann").write_bytes(home.entry("ann").read_bytes() + b" " * 70_000)


def forge(home: Home) -> None:
    key = json.loads(home.entry("ann").read_text())["keys"][0]
    home.edit("ann", keys=[key | {"public": home.bob.gateway.decode()}])


def double(home: Home) -> None:
    home.edit("ann", keys=json.loads(home.entry("ann").read_text())["keys"] * 2)


def rename(home: Home) -> None:
    home.edit("ann", name="anne")


def grant_what_is_none(home: Home) -> None:
    home.edit("ann", streams=["ticks"])


def open_up(home: Home) -> None:
    home.entry("ann").chmod(0o666)


def put_a_folder(home: Home) -> None:
    home.entry("ann").unlink()
    home.entry("ann").mkdir()


def put_a_pipe(home: Home) -> None:
    home.entry("ann").unlink()
    os.mkfifo(home.entry("ann"))


def put_a_dangling_link(home: Home) -> None:
    home.entry("ann").unlink()
    home.entry("ann").symlink_to("nowhere")


@pytest.mark.parametrize(
    "spoil",
    [
        *(damage, cut, empty, make_unknown, make_longer, forge, double, rename, grant_what_is_none, nest),
        *(open_up, put_a_folder, put_a_pipe, put_a_dangling_link),
    ],
)
def test_an_entry_that_is_not_certain_shuts_its_client_out(
    home: Home, spoil: Callable[[Home], None], caplog: pytest.LogCaptureFixture
) -> None:
    rotate_client(home.keys, "ann", home.path / "ann-2.key")
    home.ring.refresh()
    assert home.names == ["ann", "ann", "bob"]
    bob, whole = home.ring.by_id[home.bob.key_id], home.entry("ann").read_bytes()
    spoil(home)
    with caplog.at_level(logging.ERROR):
        assert home.look()
        assert home.names == ["bob"]
        assert home.ring.by_id[home.bob.key_id] is bob
        (problem,) = home.ring.problems
        assert "ann.json" in problem
        assert not home.look()
        assert not home.look()
    assert [record.getMessage() for record in caplog.records] == [f"keys: {problem}"]
    if home.entry("ann").is_dir():
        home.entry("ann").rmdir()
    home.entry("ann").unlink(missing_ok=True)
    home.entry("ann").write_bytes(whole)
    assert home.look()
    assert home.names == ["ann", "ann", "bob"]
    assert home.ring.problems == []


def test_of_two_clients_with_one_key_none_is_let_in(home: Home) -> None:
    home.entry("eve").write_text(home.entry("ann").read_text().replace('"ann"', '"eve"'))
    assert home.look()
    assert home.names == ["bob"]
    assert len(home.ring.problems) == 2
    assert all("has the key of another client" in problem for problem in home.ring.problems)
    home.entry("eve").unlink()
    assert home.look()
    assert home.names == ["ann", "bob"]


def test_a_revoked_key_does_not_come_back_under_another_name(home: Home) -> None:
    home.entry("eve").write_text(home.entry("ann").read_text().replace('"ann"', '"eve"'))
    revoke_client(home.keys, "ann")
    home.ring.refresh()
    assert home.names == ["bob"]


def lose_the_folder(home: Home) -> None:
    home.keys.rename(home.path / "elsewhere")


def lose_the_clients(home: Home) -> None:
    (home.keys / "clients").rename(home.keys / "elsewhere")


def lose_the_log(home: Home) -> None:
    (home.keys / "changes.log").rename(home.keys / "elsewhere")


def open_the_folder(home: Home) -> None:
    home.keys.chmod(0o777)


def open_the_clients(home: Home) -> None:
    (home.keys / "clients").chmod(0o770)


def make_the_clients_a_file(home: Home) -> None:
    lose_the_clients(home)
    (home.keys / "clients").touch(0o600)


def mend(home: Home) -> None:
    if (home.path / "elsewhere").exists():
        (home.path / "elsewhere").rename(home.keys)
    for name in ("clients", "changes.log"):
        if not (home.keys / name).exists() or (name == "clients" and (home.keys / name).is_file()):
            (home.keys / name).unlink(missing_ok=True)
            (home.keys / "elsewhere").rename(home.keys / name)
    home.keys.chmod(0o700)
    (home.keys / "clients").chmod(0o700)


@pytest.mark.parametrize(
    "spoil",
    [
        *(lose_the_folder, lose_the_clients, lose_the_log, open_the_folder, open_the_clients),
        make_the_clients_a_file,
    ],
)
def test_a_folder_that_is_not_certain_shuts_everybody_out(
    home: Home, spoil: Callable[[Home], None], caplog: pytest.LogCaptureFixture
) -> None:
    spoil(home)
    with caplog.at_level(logging.ERROR):
        assert home.look()
        assert home.names == []
        (problem,) = home.ring.problems
        assert str(home.keys) in problem
        assert not home.look()
        assert not home.ring.refresh()
    assert len(caplog.records) == 1
    mend(home)
    assert home.look()
    assert home.names == ["ann", "bob"]
    assert home.ring.problems == []


def test_a_folder_without_clients_is_let_be_again(tmp_path: Path) -> None:
    create_gateway(tmp_path / "keys")
    clock = Clock()
    ring = KeyRing(tmp_path / "keys", clock)
    (tmp_path / "keys").chmod(0o777)
    clock.now += LOOK_EVERY
    ring.refresh()
    assert ring.problems
    (tmp_path / "keys").chmod(0o700)
    clock.now += LOOK_EVERY
    ring.refresh()
    assert ring.problems == []


def test_a_log_that_is_gone_is_seen_at_once(home: Home) -> None:
    lose_the_log(home)
    assert home.ring.refresh()
    assert home.names == []


def test_a_ring_of_a_folder_that_is_not_there_is_empty_until_it_is(tmp_path: Path) -> None:
    clock = Clock()
    ring = KeyRing(tmp_path / "keys", clock)
    assert ring.problems
    home = Home(tmp_path)
    assert ring.refresh()
    assert len(ring.by_id) == 2
    shutil.rmtree(home.keys)
    assert ring.refresh()
    assert not ring.by_id


def test_a_clock_that_is_set_back_does_not_stop_the_looks(home: Home) -> None:
    home.entry("ann").unlink()
    home.clock.now -= 3600
    assert home.ring.refresh()
    assert home.names == ["bob"]


def test_a_principal_is_compared_by_all_that_it_is() -> None:
    """`KeyRing` asks whether two are the same by their slots: none may be left out of them."""
    assert set(Principal.__slots__) == {"name", "role", "key_id", "signing", "streams", "kinds"}


def test_a_ring_shows_what_is_the_matter(home: Home) -> None:
    assert repr(home.ring) == f"<key ring of {home.keys}: 2 keys, 0 problems>"


def test_without_descriptors_who_is_known_stays_and_who_changes_is_shut_out(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Strangers can use them up: that must neither shut everybody out nor keep a revoked key alive."""

    def no_room(*_args: Any, **_kwargs: Any) -> Any:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(rings, "SETTLED", -(10**18))  # what was written just now is not written again
    home.clock.now += LOOK_EVERY
    home.ring.refresh()
    revoke_client(home.keys, "bob")
    with monkeypatch.context() as exhausted:
        exhausted.setattr(os, "listdir", no_room)
        exhausted.setattr(os, "open", no_room)
        home.clock.now += LOOK_EVERY
        assert home.ring.refresh()
        assert home.names == ["ann"]
        assert "Too many open files" in home.ring.problems[0]
    home.clock.now += LOOK_EVERY
    home.ring.refresh()
    assert home.names == ["ann"]
    assert home.ring.problems == [], "it is read again, though its file has not changed since"

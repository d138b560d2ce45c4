"""Private files: whole or not at all, for their owner alone, and refused when others can read them."""

import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from mt5crs import private
from mt5crs.private import sddl, windows

OWN = "S-1-5-21-111-222-333-1001"


@pytest.fixture(params=[0o000, 0o022, 0o077, 0o777], ids=oct)
def _umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.usefixtures("_umask")
def test_only_its_owner_can_read_it_whatever_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "a.key"
    private.create(path, b"one")
    assert (mode(path), private.read(path)) == (0o600, b"one")
    private.replace(path, b"two")
    assert (mode(path), private.read(path)) == (0o600, b"two")
    private.append(path, b", three")
    assert private.read(path) == b"two, three"
    assert names(tmp_path) == ["a.key"]


def test_a_folder_is_for_its_owner(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        private.make_folder(tmp_path / "above" / "keys")
    finally:
        os.umask(before)
    assert mode(tmp_path / "above" / "keys") == 0o700
    (tmp_path / "above" / "keys").chmod(0o750)
    private.make_folder(tmp_path / "above" / "keys")
    assert mode(tmp_path / "above" / "keys") == 0o750


@pytest.mark.parametrize("taken", ["file", "folder", "link", "dangling"])
def test_nothing_is_ever_overwritten(tmp_path: Path, taken: str) -> None:
    path = tmp_path / "a.key"
    other = tmp_path / "other"
    if taken == "file":
        path.write_bytes(b"old")
    elif taken == "folder":
        path.mkdir()
    else:
        path.symlink_to(other)
        if taken == "link":
            other.write_bytes(b"old")
    there = names(tmp_path)
    with pytest.raises(FileExistsError):
        private.create(path, b"new")
    assert names(tmp_path) == there
    assert all(each.read_bytes() == b"old" for each in (path, other) if each.is_file())


@pytest.mark.parametrize("bits", [0o640, 0o604, 0o620, 0o601, 0o666])
def test_what_others_can_read_is_refused(tmp_path: Path, bits: int) -> None:
    path = tmp_path / "a.key"
    private.create(path, b"x")
    path.chmod(bits)
    link = tmp_path / "link"
    link.symlink_to(path)
    for name in (path, link):
        with pytest.raises(private.NotPrivate, match="can be read by others") as refused:
            private.read(name)
        assert refused.value.hint == f"chmod 600 {name}"


@pytest.mark.parametrize("bits", [0o620, 0o602])
def test_what_others_can_change_is_refused(tmp_path: Path, bits: int) -> None:
    path = tmp_path / "entry"
    path.write_bytes(b"x")
    path.chmod(0o644)
    assert private.read_unchangeable(path) == b"x"
    path.chmod(bits)
    with pytest.raises(private.NotPrivate, match="can be changed by others"):
        private.read_unchangeable(path)


def test_links_are_followed(tmp_path: Path) -> None:
    path, link = tmp_path / "a.key", tmp_path / "link"
    private.create(path, b"one")
    link.symlink_to(path)
    assert private.read(link) == b"one"
    private.replace(link, b"two")
    assert link.is_symlink()
    assert private.read(path) == b"two"


def test_what_is_no_file_or_too_large_is_refused_and_holds_nobody_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    private.create(tmp_path / "large", bytes(private.LIMIT + 1))
    private.create(tmp_path / "fits", bytes(private.LIMIT))
    for name in ("pipe", "large", ".", "missing"):
        for read in (private.read, private.read_unchangeable):
            with pytest.raises(OSError, match=f"{name}|not a regular file"):
                read(tmp_path / name)
    assert len(private.read(tmp_path / "fits")) == private.LIMIT


WRITER = """
import os, sys
from pathlib import Path
from mt5crs import private
point = sys.argv[2]
def die(*_, **__): os.kill(os.getpid(), 9)
setattr(*{
    "before-content": (os, "fchmod", die),
    "before-flush": (os, "fsync", die),
    "before-name": (Path, "hardlink_to" if sys.argv[1] == "create" else "replace", die),
}[point])
getattr(private, sys.argv[1])(Path("a.key"), b"new" * 1000)
"""


@pytest.mark.parametrize("point", ["before-content", "before-flush", "before-name"])
@pytest.mark.parametrize("how", ["create", "replace"])
def test_a_crash_leaves_the_whole_old_file_or_none(tmp_path: Path, how: str, point: str) -> None:
    path = tmp_path / "a.key"
    if how == "replace":
        private.create(path, b"old")
    done = subprocess.run([sys.executable, "-c", WRITER, how, point], cwd=tmp_path, check=False, timeout=30)
    assert done.returncode == -9
    assert (path.read_bytes() if path.exists() else None) == (b"old" if how == "replace" else None)
    left = [each for each in tmp_path.iterdir() if each != path]
    assert all(each.name.startswith(".a.key.") and mode(each) == 0o600 for each in left)
    path.unlink(missing_ok=True)
    private.create(path, b"again")
    assert private.read(path) == b"again"


def test_a_failure_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    private.create(tmp_path / "a.key", b"old")
    monkeypatch.setattr(os, "fsync", full)
    for do in (private.create, private.replace):
        with pytest.raises(OSError, match="No space left"):
            do(tmp_path / ("b.key" if do is private.create else "a.key"), b"new")
    assert names(tmp_path) == ["a.key"]
    assert (tmp_path / "a.key").read_bytes() == b"old"


# ---- access control lists of Windows ----


@pytest.mark.parametrize(
    "descriptor",
    [
        f"D:PAI(A;;FA;;;{OWN})",
        f"D:P(A;;FA;;;{OWN})(A;;FA;;;SY)(A;;FA;;;BA)",
        f"D:(A;;0x1200a9;;;{OWN})(A;;FA;;;S-1-5-18)(A;;FA;;;S-1-5-32-544)",
        f"O:{OWN}G:S-1-5-21-111-222-333-513D:PAI(A;;FA;;;{OWN})",
        f"O:BAG:DUD:AI(A;ID;FA;;;{OWN})S:AI(AU;SA;FA;;;WD)",
        f"D:PAI(D;;FA;;;WD)(OD;;FA;;;AU)(A;;FA;;;{OWN})",
        "D:P",
        f"  D:PAI(A;OICI;FA;;;{OWN})\r\n",
    ],
)
def test_a_list_that_lets_only_the_owner_in(descriptor: str) -> None:
    assert sddl.strangers(descriptor, OWN) == []


@pytest.mark.parametrize(
    ("descriptor", "who"),
    [
        (f"D:PAI(A;;FA;;;{OWN})(A;;FR;;;WD)", ["WD"]),
        (f"D:AI(A;ID;FA;;;{OWN})(A;ID;FR;;;BU)(A;ID;FR;;;S-1-5-11)", ["BU", "S-1-5-11"]),
        ("D:PAI(A;;FA;;;S-1-5-21-111-222-333-1002)", ["S-1-5-21-111-222-333-1002"]),
        (f"D:PAI(A;;FA;;;{OWN}0)", [f"{OWN}0"]),
        ("D:PAI(A;;FA;;;LA)", ["LA"]),
        ("D:PAI(OA;;FR;bf967aba-0de6-11d0-a285-00aa003049e2;;WD)", ["WD"]),
        ("D:PAI(XX;;FA;;;WD)", ["WD"]),
        ("D:PAI(A;;FA;;;)", ["(A;;FA;;;)"]),
        ("D:PAI(A;;FA;;WD)", ["(A;;FA;;WD)"]),
        ('D:PAI(XA;;FX;;;WD;(@User.Title=="PM"))', ['D:PAI(XA;;FX;;;WD;(@User.Title=="PM"))']),
        ("D:NO_ACCESS_CONTROL", ["D:NO_ACCESS_CONTROL"]),
        (f"D:PAI(A;;FA;;;{OWN})(A;;FA", [f"D:PAI(A;;FA;;;{OWN})(A;;FA"]),
        ("O:BAG:SY", ["O:BAG:SY"]),
        ("", ["everybody"]),
    ],
)
def test_a_list_that_lets_others_in_or_cannot_be_understood(descriptor: str, who: list[str]) -> None:
    assert sddl.strangers(descriptor, OWN) == who


@pytest.mark.parametrize(
    ("own", "name"),
    [("S-1-5-21-1-2-3-500", "LA"), ("S-1-5-18", "SY"), ("S-1-5-19", "LS"), ("S-1-5-20", "NS")],
)
def test_an_owner_that_has_an_abbreviation(own: str, name: str) -> None:
    assert sddl.strangers(f"D:PAI(A;;FA;;;{name})", own) == []
    assert sddl.strangers("D:PAI(A;;FA;;;LA)", "S-1-5-21-1-2-3-1500") == ["LA"]


class Programs:
    """`whoami` and `icacls` as their documentation has them."""

    def __init__(self, descriptor: str) -> None:
        self.descriptor = descriptor
        self.asked: list[tuple[str, ...]] = []

    def __call__(self, arguments: Sequence[str]) -> str:
        self.asked.append(tuple(arguments))
        if arguments[0] == "whoami":
            return f'"machine\\ann ""x""","{OWN}"\r\n'
        if "/save" in arguments:
            Path(arguments[-1]).write_bytes(f"a.key\r\n{self.descriptor}\r\n".encode("utf-16"))
        return "Successfully processed 1 files"


def test_the_list_of_a_file_is_set_and_checked(tmp_path: Path) -> None:
    path = tmp_path / "a.key"
    path.touch()
    safe = Programs(f"D:PAI(A;;FA;;;{OWN})")
    windows.restrict(path, safe)
    windows.restrict(tmp_path, safe)
    windows.check(path, safe)
    assert ("icacls", str(path), "/inheritance:r", "/grant:r", f"*{OWN}:F") in safe.asked
    assert ("icacls", str(tmp_path), "/inheritance:r", "/grant:r", f"*{OWN}:(OI)(CI)F") in safe.asked
    with pytest.raises(private.NotPrivate, match=r"others \(BU\)") as refused:
        windows.check(path, Programs(f"D:AI(A;ID;FA;;;{OWN})(A;ID;FR;;;BU)"))
    assert "/inheritance:r" in refused.value.hint


def test_without_a_sid_nothing_is_done(tmp_path: Path) -> None:
    for said in ("", "ERROR: no\r\n", '"machine\\ann","*S-1-1-0"'):
        with pytest.raises(OSError, match="SID"):
            windows.restrict(tmp_path, lambda _, said=said: said)  # type: ignore[misc]


def test_a_program_of_windows_that_is_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SYSTEMROOT", str(tmp_path))
    with pytest.raises(FileNotFoundError):
        windows.run(("icacls",))
    (tmp_path / "System32").mkdir()
    failing = tmp_path / "System32" / "icacls.exe"
    failing.write_text("#!/bin/sh\necho denied >&2\nexit 5\n")
    failing.chmod(0o700)
    with pytest.raises(OSError, match="icacls failed: denied"):
        windows.run(("icacls", "x"))


@pytest.mark.parametrize("look", [private.read, private.read_unchangeable])
def test_what_belongs_to_another_user_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, look: Callable[[Path], bytes]
) -> None:
    path = tmp_path / "file"
    private.create(path, b"content")
    assert look(path) == b"content"
    if os.geteuid() == 0:
        os.chown(path, 65534, -1)
    else:  # then it is we who are somebody else
        monkeypatch.setattr(os, "geteuid", lambda: 65534)
    with pytest.raises(private.NotPrivate, match="belongs to another user"):
        look(path)

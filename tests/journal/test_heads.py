"""Heads in a file: as text, from several processes at once, and on a disk that is full."""

import os
import resource
import stat
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mt5crs.errors import SettingError
from mt5crs.heads import LARGEST, Head, HeadFile

WRITER = """
import sys
from pathlib import Path
from mt5crs.heads import Head, HeadFile
path, name, count, largest = sys.argv[1:]
file = HeadFile(Path(path), int(largest))
sys.stdin.readline()
for number in range(int(count)):
    file.keep(Head(name, number, bytes(32)))
assert file.lost == 0
"""
COUNT, WRITERS = 3000, 4


def head(number: int, journal: str = "a" * 32) -> Head:
    return Head(journal, number, bytes([number % 256]) * 32)


@given(st.uuids(), st.integers(0, 2**63), st.binary(min_size=32, max_size=32))
def test_a_head_is_the_same_again_from_its_text(journal: object, events: int, link: bytes) -> None:
    told = Head(str(journal).replace("-", ""), events, link)
    assert Head.parse(str(told)) == told


@pytest.mark.parametrize(
    "text", ["", ":", "a:1", f"a:-1:{'0' * 64}", f"a: 1:{'0' * 64}", f"a:1:{'0' * 63}", f":1:{'0' * 64}", "ä"]
)
def test_what_is_no_head_is_refused(text: str) -> None:
    with pytest.raises(SettingError, match="is no head"):
        Head.parse(text)


def test_heads_are_kept_in_a_private_file(tmp_path: Path) -> None:
    file = HeadFile(tmp_path / "heads")
    for number in range(3):
        file.keep(head(number))
    file.close()
    file.keep(head(3))  # opened again
    file.keep(Head("", 4, bytes(32)))  # of a journal in memory
    assert file.heads() == ([head(0), head(1), head(2), head(3)], 0)
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    file.close()


def test_lines_that_are_no_heads_are_skipped_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "heads"
    path.write_bytes(f"{head(1)}\nnonsense\n\n\xff\r\n{head(2)}\r\n{str(head(3))[:50]}".encode("latin-1"))
    assert HeadFile(path).heads() == ([head(1), head(2)], 3)
    with pytest.raises(SettingError, match="cannot be read"):
        HeadFile(tmp_path / "absent").heads()


def test_a_file_that_cannot_be_written_costs_no_order(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = HeadFile(tmp_path / "nowhere" / "heads")
    file.keep(head(1))
    file.keep(head(2))
    assert file.lost == 2
    assert len(caplog.records) == 1


def test_a_line_that_was_torn_by_a_full_disk_spoils_no_other(tmp_path: Path) -> None:
    file = HeadFile(tmp_path / "heads")
    file.keep(head(1))
    size = file.path.stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, hard))
    try:
        file.keep(head(2))
        file.keep(head(3))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    file.keep(head(4))
    assert file.heads() == ([head(1), head(4)], 1)
    assert file.lost == 2
    file.close()


def test_a_file_that_grows_too_large_keeps_its_newest_half(tmp_path: Path) -> None:
    largest = 10_000
    file = HeadFile(tmp_path / "heads", largest)
    for number in range(1000):
        file.keep(head(number))
        assert file.path.stat().st_size <= largest + 200
    kept, unreadable = file.heads()
    assert unreadable == 0
    assert kept == [head(number) for number in range(1000 - len(kept), 1000)]
    assert len(kept) * len(f"{head(999)}\n") > largest // 2 - 200
    assert list(tmp_path.iterdir()) == [file.path]
    file.close()


@pytest.mark.parametrize("largest", [LARGEST, 20_000], ids=["whole", "cut"])
def test_several_processes_keep_heads_at_once(tmp_path: Path, largest: int) -> None:
    path = tmp_path / "heads"
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), f"w{number}", str(COUNT), str(largest)],
            stdin=subprocess.PIPE,
        )
        for number in range(WRITERS)
    ]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write(b"go\n")
        writer.stdin.close()
    assert [writer.wait(timeout=60) for writer in writers] == [0] * WRITERS
    kept, unreadable = HeadFile(path, largest).heads()
    assert unreadable == 0
    assert path.stat().st_size <= largest + 1000
    numbers: defaultdict[str, set[int]] = defaultdict(set)
    for each in kept:
        numbers[each.journal].add(each.events)
    if largest == LARGEST:
        assert numbers == {f"w{number}": set(range(COUNT)) for number in range(WRITERS)}
    for name, own in numbers.items():  # what is left of each is its newest, without a hole
        assert own == set(range(COUNT - len(own), COUNT)), name
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("kind", ["link", "pipe", "folder", "another user's"])
def test_what_is_no_file_of_ours_is_neither_written_nor_read(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path, target = tmp_path / "heads", tmp_path / "target"
    target.write_text(f"{head(7)}\n")
    if kind == "link":
        path.symlink_to(target)
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.write_text(f"{head(7)}\n")
        other = os.geteuid() + 1
        monkeypatch.setattr(os, "geteuid", lambda: other)
    file = HeadFile(path)
    file.keep(head(8))
    assert file.lost == 1
    assert len(caplog.records) == 1
    assert target.read_text() == f"{head(7)}\n"
    with pytest.raises(SettingError, match="cannot be read"):
        file.heads()


def test_the_draft_of_a_cut_follows_no_link(tmp_path: Path) -> None:
    path, target = tmp_path / "heads", tmp_path / "target"
    target.write_text("mine")
    beside = path.with_name(f"heads.{os.getpid()}.new")
    beside.symlink_to(target)
    file = HeadFile(path, largest=1000)
    for number in range(20):
        file.keep(head(number))
    file.close()
    assert file.lost == 0
    assert target.read_text() == "mine"
    assert not beside.is_symlink()
    assert file.heads().heads[-1] == head(19)

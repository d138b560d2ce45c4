"""The record of a node: a chain of lines, of which the last may be torn."""

import hashlib
import json
import stat
from pathlib import Path

import pytest

from mt5crs.fleet.node import record
from mt5crs.fleet.node.place import Place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Return a node's folder with two deployments in its record."""
    place = Place(tmp_path)
    for to in ("1-a", "2-b"):
        record.append(place, record.BEGUN, id=to, to=to)
        record.append(place, record.ENDED, id=to, to=to, result=record.OK)
    return place


def test_lines_are_numbered_and_follow_each_other(place: Place) -> None:
    entries, problems = record.check(record.read(place))
    assert problems == []
    assert [(entry["serial"], entry["event"], entry["to"]) for entry in entries] == [
        (1, "begun", "1-a"), (2, "ended", "1-a"), (3, "begun", "2-b"), (4, "ended", "2-b"),
    ]  # fmt: skip
    assert stat.S_IMODE(place.record.stat().st_mode) == 0o600
    answer = record.record(place, {"last": 1}, print)
    assert [entry["serial"] for entry in answer["lines"]] == [4]


@pytest.mark.parametrize("at", range(4))
def test_what_was_changed_or_removed_is_found(place: Place, at: int) -> None:
    lines = record.read(place)
    changed = [*lines[:at], lines[at].replace(b"-", b"+"), *lines[at + 1 :]]
    removed = [*lines[:at], *lines[at + 1 :]]
    head = record.head(place)
    if at < 3:
        assert record.check(changed, head)[1] == [
            f"line {at + 2} does not follow the one before: one was changed or removed"
        ]
        assert len(record.check(removed, head)[1]) == 1
    else:  # nothing follows the last one
        told = ["line 4 is not there as it was written: it was changed, or lines were cut off"]
        assert record.check(changed, head)[1] == record.check(removed, head)[1] == told


@pytest.mark.parametrize("left", [0, 2])
def test_what_was_cut_off_stays_told(place: Place, left: int) -> None:
    lines = record.read(place)
    place.record.write_bytes(b"".join(lines[:left]))
    assert len(record.record(place, {}, print)["problems"]) == 1
    assert record.append(place, record.BEGUN, id="3-c", to="3-c")["serial"] == 5
    assert record.record(place, {}, print)["problems"] == [
        f"line {left + 1} does not follow the one before: one was changed or removed"
    ]
    place.record.unlink()
    assert len(record.record(place, {}, print)["problems"]) == 1


def test_a_head_that_is_behind_is_no_problem(place: Place) -> None:
    head = place.head.read_bytes()
    record.append(place, record.BEGUN, id="3-c", to="3-c")
    place.head.write_bytes(head)  # the power went between the two
    assert record.record(place, {}, print)["problems"] == []
    record.append(place, record.ENDED, id="3-c", to="3-c", result=record.OK)
    assert record.record(place, {}, print)["problems"] == []
    place.head.unlink()  # an older program wrote none
    assert record.record(place, {}, print)["problems"] == []


def test_what_goes_on_with_another_needs_no_end_of_that(place: Place) -> None:
    record.append(place, record.BEGUN, id="3-c", to="3-c")
    for result in (record.INTERRUPTED, record.NOT_RESTORED):
        record.append(place, record.ENDED, id="3-c", to="3-c", result=result)
        found = record.unfinished(record.entries_of(place))
        assert found is not None
        assert found["id"] == "3-c"
    record.append(place, record.BEGUN, id="4-d", to="3-c", resumes="3-c")
    record.append(place, record.ENDED, id="4-d", to="3-c", result=record.OK)
    assert record.unfinished(record.entries_of(place)) is None


@pytest.mark.parametrize("cut", [1, 2, 40])
def test_a_torn_line_is_told_and_the_record_goes_on(place: Place, cut: int) -> None:
    third = record.read(place)[2].rstrip(b"\n")
    place.record.write_bytes(place.record.read_bytes()[:-cut])
    place.head.write_text(json.dumps({"serial": 3, "digest": hashlib.sha256(third).hexdigest()}))
    entries, problems = record.check(record.read(place))
    assert [entry["serial"] for entry in entries] == [1, 2, 3]
    assert problems == ["line 4 is torn: it was being written when the node went down"]
    assert record.unfinished(entries) == entries[-1]
    before = place.record.read_bytes()
    record.append(place, record.BEGUN, id="3-c", to="3-c")
    assert place.record.read_bytes().startswith(before)
    entries, problems = record.check(record.read(place), record.head(place))
    assert entries[-1]["id"] == "3-c"
    assert problems == []  # it was told, and what follows proves that it was torn then
    assert entries[-1]["torn"] is True


def test_what_has_no_end_is_unfinished(place: Place) -> None:
    assert record.unfinished([]) is None
    assert record.unfinished(record.entries_of(place)) is None
    begun = record.append(place, record.BEGUN, id="3-c", to="3-c")
    assert record.unfinished(record.entries_of(place)) == begun


def test_the_one_before_is_the_last_other_that_ended_well_and_is_there(place: Place) -> None:
    record.append(place, record.ENDED, id="x", to="3-c", result=record.FAILED)
    entries = record.entries_of(place)
    assert record.previous(entries, "2-b", ["1-a", "2-b", "3-c"]) == "1-a"
    assert record.previous(entries, "1-a", ["1-a", "2-b", "3-c"]) == "2-b"
    assert record.previous(entries, "2-b", ["2-b"]) == ""


def test_lines_are_json_that_anybody_reads(place: Place) -> None:
    assert all(json.loads(line) for line in place.record.read_text().splitlines())


def test_an_end_that_is_missing_is_held_against_what_is_in_use(place: Place) -> None:
    entries = record.entries_of(place)
    assert record.cut(entries, "2-b") == []
    (words,) = record.cut(entries[:2], "2-b")
    assert words == "the last deployment that went well is that of 1-a, and 2-b is in use: its end is missing"
    assert record.cut(entries[:3], "2-b") == [], "it is told as unfinished"
    assert record.cut([], "2-b") == ["it is missing or empty, and 2-b is in use"]
    assert record.cut([], "") == []

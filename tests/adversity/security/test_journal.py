"""A journal of a real gateway and of orders that a real client signed, edited by who can write it."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from mt5crs.journal.chain import Event
from mt5crs.journal.states import NoticeKind
from mt5crs.journal.store import Journal
from mt5crs.security.policy import Role
from mt5crs.security.signing import Signer
from tests.adversity.security.scene import BUY, Scene
from tests.cli.commands import Outcome, process
from tests.journal.forgery import forged, into_file, rewritten

FORGER = Signer(b"f" * 32)


class Kept(NamedTuple):
    """What there is when the gateway has ended.

    Attributes:
        journal: Its journal.
        keys: Its folder of keys.
        heads: The file in which the client kept heads.
        id: The journal's id.
        events: Its events.
    """

    journal: Path
    keys: Path
    heads: Path
    id: str
    events: list[Event]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    scene = Scene(tmp_path_factory.mktemp("kept"))
    key = scene.key_file(Role.TRADER, "tim")
    try:
        with scene.client(key) as tim:
            for number in range(4):
                assert tim.order_send(BUY, key=f"order-{number}")
    finally:
        scene.end()
    reader = Journal(scene.journal, "", writes=False)
    events = list(reader.events())
    reader.close()
    return Kept(scene.journal, scene.keys, key.with_name("tim.key.heads"), reader.id, events)


def verify(journal: Path, *options: object) -> Outcome:
    return process("journal", "verify", "--journal", str(journal), *map(str, options))


def edited(kept: Kept, folder: Path, events: Sequence[Event]) -> Path:
    path = folder / "journal.db"
    shutil.copy(kept.journal, path)
    into_file(path, events)
    return path


def _begins(events: Sequence[Event]) -> list[int]:
    return [place for place, event in enumerate(events) if event.step == "begin"]


def changed(events: list[Event]) -> list[Event]:
    place = _begins(events)[1]
    events[place] = rewritten(events[place], {**BUY, "volume": 1.0})
    return events


def removed(events: list[Event]) -> list[Event]:
    entry = events[_begins(events)[1]].entry
    return [event for event in events if event.entry != entry]


def inserted(events: list[Event]) -> list[Event]:
    """Put a made-up order behind the second one: as that one, with another key, and no signature."""
    place = _begins(events)[2]
    before = events[_begins(events)[1]]
    made = rewritten(before, by=b"", key="made-up", number=place + 1, entry=place + 1)
    later = [msgspec.structs.replace(each, number=each.number + 1) for each in events[place:]]
    moved = {each.number - 1: each.number for each in later}
    later = [msgspec.structs.replace(each, entry=moved.get(each.entry, each.entry)) for each in later]
    return [*events[:place], made, *later]


def reordered(events: list[Event]) -> list[Event]:
    first, second = _begins(events)[1:3]
    whole = [events[first : first + 2], events[second : second + 2]]
    moved = [*events[:first], *whole[1], *events[first + 2 : second], *whole[0], *events[second + 2 :]]
    places = {event.number: place for place, event in enumerate(moved, 1)}
    return [
        msgspec.structs.replace(event, number=places[event.number], entry=places[event.entry])
        for event in moved
    ]


def truncated(events: list[Event]) -> list[Event]:
    return events[: _begins(events)[2]]


EDITS: tuple[Callable[[list[Event]], list[Event]], ...] = (changed, removed, inserted, reordered, truncated)


def test_what_was_not_edited_proves_itself(kept: Kept) -> None:
    told = verify(kept.journal, "--keys", kept.keys, "--head", kept.heads)
    assert told.code == 0, told.err
    assert "requests: 4 are what their clients signed" in told.out
    assert "the gateway's key" in told.out
    assert "heads: " in told.out
    assert "hold, up to event" in told.out


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.__name__)
def test_an_edit_is_found_and_the_place_is_named(
    edit: Callable[[list[Event]], list[Event]], kept: Kept, tmp_path: Path
) -> None:
    told = verify(edited(kept, tmp_path, edit(list(kept.events))), "--keys", kept.keys, "--head", kept.heads)
    assert told.code == 1
    assert "the journal was altered" in told.err
    assert "event" in told.err
    assert "Traceback" not in told.err


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.__name__)
def test_who_makes_the_chain_anew_is_found_by_keys_and_heads_alone(
    edit: Callable[[list[Event]], list[Event]], kept: Kept, tmp_path: Path
) -> None:
    """The forger signs checkpoints of their own; without what was kept elsewhere all of it looks whole."""
    events = forged(kept.id, edit(list(kept.events)), FORGER)
    path = edited(kept, tmp_path, events)
    for options in (("--keys", kept.keys), ("--head", kept.heads)):
        told = verify(path, *options)
        assert told.code == 1, options
        assert "the journal was altered" in told.err

    quiet = [event for event in events if event.step != NoticeKind.CHECKPOINT.value]
    if edit is not changed:  # there the client's statement, which stands beside, gives it away in any case
        undefended = verify(edited(kept, tmp_path, forged(kept.id, quiet)))
        assert undefended.code == 0, undefended.err
        assert "checkpoints: none; who can write the file can make another chain" in undefended.out
        assert "events that were cut off at the end do not show without one" in undefended.out


def test_a_heads_file_of_another_journal_proves_nothing_and_says_so(kept: Kept, tmp_path: Path) -> None:
    other = tmp_path / "heads"
    other.write_text(f"{'0' * 32}:3:{'0' * 64}\n")
    told = verify(kept.journal, "--keys", kept.keys, "--head", other)
    assert told.code == 0
    assert "1 are of other journals, and prove nothing here" in told.out

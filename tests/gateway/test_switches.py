"""Kill switches whose marks were taken out of the journal: what the chain says holds."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from mt5crs.gateway.switches import Switches
from mt5crs.guard.kills import PREFIX, Kill
from mt5crs.journal.states import NoticeKind
from mt5crs.journal.store import Journal, Notice

MARK = Kill(1, "ada", "why").mark()


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(tmp_path / "journal.db", "1@Server")
    yield journal
    journal.close()


def kill(journal: Journal, name: str) -> None:
    journal.notify([Notice(NoticeKind.KILL, "ada", {"name": name})], {PREFIX + name: MARK})


def resume(journal: Journal, name: str) -> None:
    journal.notify([Notice(NoticeKind.RESUME, "ada", {"name": name})], {PREFIX + name: None})


def test_a_mark_and_its_notice_are_one_transaction(journal: Journal) -> None:
    kill(journal, "tim")
    assert (journal.meta(PREFIX + "tim"), journal.switched()["tim"].step) == (MARK, "kill")
    resume(journal, "tim")
    assert (journal.meta(PREFIX + "tim"), journal.switched()["tim"].step) == (None, "resume")


@pytest.mark.parametrize("name", ["", "tim"])
def test_a_switch_whose_mark_was_taken_away_stays_on(
    journal: Journal, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    kill(journal, name)
    kill(journal, "other")
    resume(journal, "other")
    journal.set_meta(PREFIX + name, None)  # by somebody
    switches = Switches()
    switches.read(journal)
    assert switches.on.keys() == {name}
    assert "its mark was taken out of the journal" in str(switches.of("tim"))
    assert "no notice says that it was turned off" in caplog.text
    assert switches.turn_off(name)
    resume(journal, name)
    switches.read(journal)
    assert not switches.on


def test_one_that_is_taken_away_while_the_gateway_runs_stays_on_too(journal: Journal) -> None:
    switches = Switches()
    switches.read(journal)
    kill(journal, "tim")
    switches.read(journal)
    before = switches.on["tim"]
    assert before.why == "why"
    journal.set_meta(PREFIX + "tim", None)
    switches.read(journal)
    assert "tim" in switches.on


def test_a_notice_that_cannot_be_read_tells_of_no_switch(journal: Journal) -> None:
    journal.notify([Notice(NoticeKind.KILL, "gateway", {"left_out": 3})])
    switches = Switches()
    switches.read(journal)
    assert not switches.on

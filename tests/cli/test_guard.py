"""`mt5crs kill`, `resume` and `limits` against real gateways, and straight into their journals."""

import getpass
import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mt5crs.errors import Killed
from tests.processes import Gateway

BUY: dict[str, Any] = {"action": 1, "symbol": "EURUSD", "volume": 0.1, "type": 0, "type_filling": 1}


def mt5crs(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "mt5crs", *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
def journaled(tmp_path: Path, journal: Path) -> Iterator[Gateway]:
    state = tmp_path / "account.state"
    with Gateway(tmp_path, ["--journal", str(journal), "--state", str(state)]) as running:
        yield running


def test_kill_and_resume_through_the_gateway(journaled: Gateway) -> None:
    at = ("--port", str(journaled.port))
    with journaled.client() as mt5:
        done = mt5crs("kill", "--reason", "fat fingers", *at)
        assert (done.returncode, done.stdout) == (0, "the kill switch of all orders is on\n")
        with pytest.raises(Killed, match=r"on since .* by anonymous: fat fingers"):
            mt5.order_send(BUY)
        told = mt5crs("limits", "--json", *at)
        (row,) = json.loads(told.stdout)
        assert (row["scope"], row["limit"], row["used"]) == ("account", "kill", None)
        assert "fat fingers" in mt5crs("health", *at).stderr
        assert "fat fingers" in mt5crs("limits", *at).stdout
        journaled.kill()
        journaled.start()
        with pytest.raises(Killed):
            mt5.order_send(BUY)
        assert mt5crs("resume", *at).returncode == 0
        again = mt5crs("resume", *at)
        assert (again.returncode, "is not on" in again.stderr) == (1, True)
        assert mt5.order_send(BUY) is not None


def test_kill_and_resume_in_the_journal_of_a_gateway_that_runs(journaled: Gateway, journal: Path) -> None:
    file = ("--journal", str(journal))
    with journaled.client() as mt5:
        assert mt5.order_send(BUY) is not None
        assert mt5crs("kill", "--close", *file).returncode == 0
        with pytest.raises(Killed, match="by an operator"):
            mt5.order_send(BUY)
        while mt5.positions_total():  # pytest's timeout bounds it; each turn is a round trip
            pass
        assert mt5crs("resume", *file).returncode == 0
        assert mt5crs("resume", *file).returncode == 1
        assert mt5.order_send(BUY) is not None


def test_kill_in_the_journal_of_a_gateway_that_does_not_run(journaled: Gateway, journal: Path) -> None:
    journaled.end()
    assert mt5crs("kill", "anonymous", "--journal", str(journal)).returncode == 0
    journaled.start()
    with journaled.client() as mt5, pytest.raises(Killed):
        mt5.order_send(BUY)


def test_what_an_operator_does_to_the_file_is_a_notice(journaled: Gateway, journal: Path) -> None:
    journaled.end()
    file = ("--journal", str(journal))
    on = mt5crs("kill", "typo", "--reason", "fat fingers", *file)
    assert on.returncode == 0
    assert "no order of 'typo': is that the name?" in on.stderr
    assert mt5crs("resume", "typo", *file).returncode == 0
    told = json.loads(
        mt5crs("journal", "notices", "--kind", "kill", "--kind", "resume", "--json", *file).stdout
    )
    assert [row["kind"] for row in told] == ["kill", "resume"]
    assert {row["principal"] for row in told} == {getpass.getuser()}
    assert told[0]["note"] == {"name": "typo", "why": "fat fingers", "close": False, "by": "operator"}
    assert told[1]["note"] == {"name": "typo", "by": "operator"}
    assert mt5crs("journal", "verify", *file).returncode == 0


def edit(journal: Path, statement: str) -> None:
    database = sqlite3.connect(journal)
    database.execute(statement)
    database.commit()
    database.close()


def test_a_mark_that_was_taken_away_or_put_in_is_found(journaled: Gateway, journal: Path) -> None:
    journaled.end()
    file = ("--journal", str(journal))
    assert mt5crs("kill", *file).returncode == 0
    assert mt5crs("journal", "verify", *file).returncode == 0
    edit(journal, "delete from meta where name = 'kill:'")
    edit(journal, "insert into meta values ('kill:tim', '?')")
    told = mt5crs("journal", "verify", *file)
    assert told.returncode == 1
    assert "the kill switch of all orders was turned on by event" in told.stderr
    assert "the kill switch of tim is on, and no notice says that it was turned on" in told.stderr
    journaled.start()
    with journaled.client() as mt5, pytest.raises(Killed, match="its mark was taken out of the journal"):
        mt5.order_send(BUY)
    assert mt5crs("resume", *file).returncode == 0
    with journaled.client() as mt5:
        assert mt5.order_send(BUY) is not None


def test_a_gateway_that_does_not_answer_leaves_the_journal(tmp_path: Path) -> None:
    done = mt5crs("kill", "--port", "1", "--timeout", "0.2")
    assert done.returncode == 1
    assert "--journal FILE" in done.stderr
    missing = mt5crs("kill", "--journal", str(tmp_path / "none.db"))
    assert (missing.returncode, "there is no file" in missing.stderr) == (2, True)
    assert not (tmp_path / "none.db").exists()


def test_a_policy_that_cannot_be_used_ends_the_start(tmp_path: Path) -> None:
    path = tmp_path / "limits.toml"
    path.write_text("[account]\nmax_volume = 1\n")
    done = mt5crs("gateway", "--port", "0", "--stream-port", "0", "--policy", str(path))
    assert done.returncode == 2
    assert "[account] max_volume cannot be used" in done.stderr
    assert "Traceback" not in done.stderr

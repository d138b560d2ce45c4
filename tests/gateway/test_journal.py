"""A real gateway with a journal on a real disk that fails it; orders wait or are refused, reading goes on."""

import resource
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mt5crs import Client
from mt5crs.errors import JournalUnusable, KeyConflict, OutcomeUnknown
from mt5crs.journal.file import PAGE
from tests.processes import Gateway

BUY: dict[str, Any] = {"action": 1, "symbol": "EURUSD", "volume": 0.1, "type": 0, "type_filling": 1}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
def journaled(tmp_path: Path, path: Path) -> Iterator[Gateway]:
    state = tmp_path / "account.state"
    with Gateway(tmp_path, ["--journal", str(path), "--state", str(state)]) as running:
        yield running


def retcode(mt5: Client, key: str) -> int:
    result = mt5.order_send(BUY, key=key)
    assert result is not None
    return result.retcode


def eventually(attempt: Callable[[], Any], patience: float = 10.0) -> Any:
    """Return what comes of an attempt once the journal can be used."""
    give_up = time.monotonic() + patience
    while True:
        try:
            return attempt()
        except JournalUnusable:
            assert time.monotonic() < give_up  # each attempt is a round trip


def test_an_outcome_outlives_a_gateway_that_is_killed(journaled: Gateway) -> None:
    with journaled.client() as mt5:
        first = mt5.order_send(BUY, key="k")
    journaled.kill()
    journaled.start()
    with journaled.client() as other:
        found = other.outcome("k")
        assert found is not None
        assert (found.state, found.result, found.how) == ("done", first, "answer")
        assert other.order_send(BUY, key="k") == first
        with pytest.raises(KeyConflict):
            other.order_send({**BUY, "volume": 0.2}, key="k")
        assert other.positions_total() == 1


def test_the_same_client_goes_on_after_a_restart(journaled: Gateway) -> None:
    with journaled.client() as mt5:
        assert retcode(mt5, "a") == 10009
        journaled.kill()
        journaled.start()
        assert retcode(mt5, "b") == 10009
        assert mt5.positions_total() == 2


def test_a_full_disk_refuses_orders_until_there_is_room(journaled: Gateway, path: Path) -> None:
    with journaled.client() as mt5:
        assert retcode(mt5, "before") == 10009
        pid, hard = journaled.process.pid, resource.prlimit(journaled.process.pid, resource.RLIMIT_FSIZE)[1]
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (PAGE, hard))
        with pytest.raises(JournalUnusable, match="cannot be used") as caught:
            retcode(mt5, "k")
        assert caught.value.hint
        assert mt5.symbol_info_tick("EURUSD") is not None
        assert mt5.positions_total() is not None
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))
        assert eventually(lambda: retcode(mt5, "after")) == 10009
        assert mt5.health().trading
    assert verified(path) == "whole"


def test_a_locked_journal_refuses_orders_until_it_is_free(journaled: Gateway, path: Path) -> None:
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("begin immediate")
    with journaled.client() as mt5:
        with pytest.raises(JournalUnusable, match="locked"):
            retcode(mt5, "k")
        assert mt5.positions_total() == 0
        holder.execute("rollback")
        assert eventually(lambda: retcode(mt5, "k")) == 10009
    holder.close()


def test_a_folder_that_is_read_only_refuses_orders_and_says_so(tmp_path: Path) -> None:
    with (
        Gateway(tmp_path, ["--journal", "/sys/journal.db"]) as gateway,  # nobody may write there
        gateway.client() as mt5,
    ):
        with pytest.raises(JournalUnusable, match="/sys/journal.db cannot be used"):
            retcode(mt5, "k")
        assert mt5.positions_total() == 0
        health = mt5.health()
        assert (health.gateway, health.broker, health.trading) == (True, True, False)
        assert "/sys/journal.db" in health.why
        assert "orders are refused" in gateway.log.read_text()


def test_a_journal_that_was_moved_away_shows_in_health_until_it_is_back(
    journaled: Gateway, path: Path
) -> None:
    with journaled.client() as mt5:
        assert retcode(mt5, "before") == 10009
        names = (path, path.with_name(f"{path.name}-wal"))
        for name in names:
            name.rename(name.with_name(f"aside-{name.name}"))
        give_up = time.monotonic() + 30.0
        while True:
            try:
                mt5.order_send({**BUY, "volume": 0.0})  # rejected, and journaled as any other
            except OutcomeUnknown:  # it was noticed between this order's intent and its outcome
                pass
            except JournalUnusable as error:
                assert "put it back" in error.hint
                break
            assert time.monotonic() < give_up  # it is looked for now and then
        assert "moved or removed" in mt5.health().why
        for name in names:
            name.with_name(f"aside-{name.name}").rename(name)
        while not mt5.health().trading:
            assert time.monotonic() < give_up
        assert retcode(mt5, "after") == 10009
    assert verified(path) == "whole"


def test_a_damaged_journal_refuses_orders_and_is_left_alone(tmp_path: Path, path: Path) -> None:
    options = ["--journal", str(path)]
    with Gateway(tmp_path, options) as gateway, gateway.client() as mt5:
        for number in range(50):
            retcode(mt5, f"k{number}")
    content = bytearray(path.read_bytes())
    content[4 * PAGE :] = bytes(len(content) - 4 * PAGE)
    path.write_bytes(content)
    with Gateway(tmp_path, options) as gateway, gateway.client() as mt5:
        with pytest.raises(JournalUnusable, match="cannot be used"):
            retcode(mt5, "k")
        assert mt5.positions_total() == 0
    assert path.read_bytes() == bytes(content)


def test_a_second_gateway_on_a_journal_does_not_start(journaled: Gateway, path: Path) -> None:
    done = command("gateway", "--port", "0", "--stream-port", "0", "--journal", str(path))
    assert done.returncode == 2
    assert "another gateway uses" in done.stderr
    assert "Traceback" not in done.stderr
    with journaled.client() as mt5:
        assert retcode(mt5, "k") == 10009


def test_a_file_that_is_no_journal_ends_the_start(path: Path) -> None:
    path.write_text("notes of mine, and quite a lot of them, so that it is no empty file")
    before = path.read_bytes()
    done = command("gateway", "--port", "0", "--stream-port", "0", "--journal", str(path), stdin=b"")
    assert "Traceback" not in done.stderr
    assert "is not a database" in done.stderr
    assert path.read_bytes() == before


def command(*words: str, stdin: bytes | None = None) -> "subprocess.CompletedProcess[str]":
    stop = ["--stop-with-stdin"] if stdin is not None else []
    return subprocess.run(
        [sys.executable, "-m", "mt5crs", *words, *stop],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def verified(path: Path) -> str:
    return command("journal", "verify", "--journal", str(path)).stdout.split(":")[0]

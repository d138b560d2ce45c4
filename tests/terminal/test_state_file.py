"""The state file by itself: what is saved is loaded, and what is not a state file is left alone."""

import sqlite3
from pathlib import Path

import msgspec
import pytest

from mt5crs.errors import SettingError
from mt5crs.model import TradeDeal, TradeOrder
from mt5crs.terminal.simulated.accounting.entities import Order, Position
from mt5crs.terminal.simulated.state import VERSION, Owner, State, StateFile

OWNER = Owner(5_001_001, "MT5CRS-Simulated", "USD", "hedging")


def order(ticket: int) -> Order:
    return Order(ticket, "EURUSD", 2, 0.1, 0.1, 1.09, 1_000, 7, 3, "mine", sl=1.08)


def position(ticket: int, volume: float = 0.1) -> Position:
    return Position(ticket, ticket, "EURUSD", 0, volume, 1.1, 1_000, 2_000, 7, 3, 1.0, 1.2, "mine")


def deal(ticket: int) -> TradeDeal:
    values = (ticket, 5, 1, 1_000, 0, 0, 7, 5, 3, 0.1, 1.1, 0.0, 0.0, 0.0, 0.0, "EURUSD", "mine", "")
    return TradeDeal(values)


def state(**changes: object) -> State:
    values = {
        "balance": 10_000.0,
        "credit": 0.0,
        "seen_msc": 5_000,
        "request_id": 3,
        "order_ticket": 12,
        "deal_ticket": 22,
        "selected": ["EURUSD", "USDJPY"],
        "market": "seed 1",
        "positions": {},
        "orders": {},
        "history_orders": [],
        "history_deals": [],
    }
    return State(**{**values, **changes})  # type: ignore[arg-type]


def reopened(path: Path) -> State:
    file = StateFile(path, OWNER)
    loaded = file.load()
    file.close()
    assert loaded is not None
    return loaded


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "account.state"
    file = StateFile(path, OWNER)
    assert file.load() is None
    saved = state(
        positions={5: position(5)},
        orders={6: order(6)},
        history_orders=[TradeOrder(order(5).record(1.1))],
        history_deals=[deal(21)],
    )
    file.save(saved)
    file.close()
    assert reopened(path) == saved


def test_only_what_is_new_is_written(tmp_path: Path) -> None:
    path = tmp_path / "account.state"
    file = StateFile(path, OWNER)
    file.save(state(positions={5: position(5), 6: position(6)}, history_deals=[deal(20), deal(21)]))
    file.close()
    file = StateFile(path, OWNER)
    loaded = file.load()
    assert loaded is not None
    later = state(positions={6: position(6, 0.05)}, history_deals=[*loaded.history_deals, deal(22)])
    file.save(later)
    file.close()
    assert reopened(path) == later


def test_one_terminal_at_a_time_uses_a_file(tmp_path: Path) -> None:
    path = tmp_path / "account.state"
    file = StateFile(path, OWNER)
    with pytest.raises(SettingError, match="another terminal uses it"):
        StateFile(path, OWNER)
    file.close()
    StateFile(path, OWNER).close()


@pytest.mark.parametrize(
    "other",
    [
        msgspec.structs.replace(OWNER, login=1),
        msgspec.structs.replace(OWNER, server="Other"),
        msgspec.structs.replace(OWNER, currency="EUR"),
        msgspec.structs.replace(OWNER, margin_mode="netting"),
    ],
)
def test_anothers_account_is_refused(tmp_path: Path, other: Owner) -> None:
    path = tmp_path / "account.state"
    StateFile(path, OWNER).close()
    with pytest.raises(SettingError, match="holds 5001001 on MT5CRS-Simulated"):
        StateFile(path, other)
    StateFile(path, OWNER).close()


@pytest.mark.parametrize("content", [b"something else, of some length" * 50, b"SQLite format 3\0oops"])
def test_what_is_not_a_state_file_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "account.state"
    path.write_bytes(content)
    with pytest.raises(SettingError, match="left as it is"):
        StateFile(path, OWNER)
    assert path.read_bytes() == content


def test_another_programs_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "account.state"
    database = sqlite3.connect(path)
    database.execute("create table theirs (a)")
    database.commit()
    database.close()
    before = path.read_bytes()
    with pytest.raises(SettingError, match="is not a state file"):
        StateFile(path, OWNER)
    assert path.read_bytes() == before


def test_a_file_of_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "account.state"
    StateFile(path, OWNER).close()
    database = sqlite3.connect(path)
    database.execute(f"pragma user_version = {VERSION + 1}")
    database.close()
    with pytest.raises(SettingError, match=f"is of version {VERSION + 1}"):
        StateFile(path, OWNER)


def test_a_body_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    path = tmp_path / "account.state"
    file = StateFile(path, OWNER)
    file.save(state(positions={5: position(5)}))
    file.close()
    database = sqlite3.connect(path)
    database.execute("update positions set body = x'c1'")
    database.commit()
    database.close()
    file = StateFile(path, OWNER)
    with pytest.raises(SettingError, match="is damaged"):
        file.load()
    file.close()


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="there is no folder"):
        StateFile(tmp_path / "nowhere" / "account.state", OWNER)

"""An account that outlives its terminal."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mt5crs.errors import SettingError
from mt5crs.terminal.simulated import SimulatedConfig
from tests.terminal.desk import OPENING, Desk

ALL = (
    ("account_info",),
    ("positions_get",),
    ("orders_get",),
    ("history_orders_get", 0, 1 << 40),
    ("history_deals_get", 0, 1 << 40),
)


def seen(desk: Desk) -> list[Any]:
    return [desk.get(*call) for call in ALL]


@pytest.fixture
def config(tmp_path: Path) -> SimulatedConfig:
    return SimulatedConfig(state=tmp_path / "account.state")


def again(desk: Desk, now: float | None = None, **changes: Any) -> Desk:
    """Return a terminal that goes on where another was left, at the same time or later."""
    config = msgspec.structs.replace(desk.terminal.config, **changes)
    return Desk(config, desk.clock.now if now is None else now)


def test_without_a_file_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    desk = Desk(SimulatedConfig())
    desk.deal(0, 0.1)
    desk.terminal.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("margin_mode", ["hedging", "netting", "exchange"])
def test_everything_is_there_again(tmp_path: Path, margin_mode: Any) -> None:
    desk = Desk(SimulatedConfig(state=tmp_path / "account.state", margin_mode=margin_mode))
    desk.deal(0, 0.3, sl=1.0, comment="mine", magic=7)
    desk.deal(1, 0.1)
    desk.pend(2, 1.0, type_time=2, expiration=OPENING + 999)
    desk.get("symbol_select", "CHFJPY", True)
    desk.clock.now += 5
    before = seen(desk)
    desk.terminal.close()
    later = again(desk)
    assert seen(later) == before
    assert later.get("symbol_info", "CHFJPY").visible is True
    old, new = desk.get("history_orders_get", 0, 1 << 40), later.deal(0, 0.1)
    assert new.order > max(order.ticket for order in (*old, *before[2]))
    assert new.request_id == 4


def test_it_is_in_the_file_before_the_answer_is_given(config: SimulatedConfig) -> None:
    """The process ends without closing anything: its copy of the file has all that was answered."""
    desk = Desk(config)
    desk.deal(0, 0.1)
    assert config.state is not None
    copy = config.state.with_name("copy.state")
    copy.write_bytes(config.state.read_bytes())
    assert len(again(desk, state=copy).get("positions_get")) == 1


def test_market_watch_is_in_the_file_too(config: SimulatedConfig) -> None:
    desk = Desk(config)
    desk.get("symbol_select", "CHFJPY", True)
    desk.get("symbol_select", "USDCHF", False)
    assert config.state is not None
    copy = config.state.with_name("copy.state")
    copy.write_bytes(config.state.read_bytes())
    back = again(desk, state=copy)
    assert [back.get("symbol_info", name).visible for name in ("CHFJPY", "USDCHF")] == [True, False]


def test_what_would_have_happened_meanwhile_has_happened(config: SimulatedConfig) -> None:
    """Off for a day: the stops, expirations and swaps are those of a terminal that was never off."""
    story = (Desk(config), Desk(SimulatedConfig()))
    for desk in story:
        bid = desk.get("symbol_info_tick", "EURUSD").bid
        desk.deal(0, 0.1, sl=round(bid - 0.0005, 5))
        desk.deal(1, 0.1, symbol="USDJPY")
        desk.pend(2, round(bid - 0.5, 5), type_time=2, expiration=OPENING + 3600)
    off, on = story
    off.terminal.close()
    on.at(86_400 + 60)
    back = again(off, OPENING + 86_400 + 60)
    assert seen(back) == seen(on)
    assert len(back.get("history_orders_get", 0, 1 << 40)) == 4
    assert back.get("positions_get")[0].swap != 0


def test_time_does_not_go_back(config: SimulatedConfig) -> None:
    desk = Desk(config)
    desk.at(1000)
    desk.deal(0, 0.1)
    desk.terminal.close()
    back = again(desk, OPENING + 10)
    assert back.get("symbol_info_tick", "EURUSD").time >= OPENING + 999
    back.deal(0, 0.1)
    times = [deal.time_msc for deal in back.get("history_deals_get", 0, 1 << 40)]
    assert times == sorted(times)


def test_a_replay_goes_on_where_it_was(quotes: Callable[..., Desk], tmp_path: Path) -> None:
    desk = quotes((0, 1.1, 1.1001), (50, 1.2, 1.2001), (3600, 1.3, 1.3001), state=tmp_path / "account.state")
    desk.at(60)
    desk.deal(0, 0.1)
    desk.terminal.close()
    back = again(desk, OPENING)
    assert back.get("symbol_info_tick", "EURUSD").bid == 1.2


def test_an_account_with_a_symbol_that_is_not_there_is_refused(tmp_path: Path) -> None:
    instruments = tmp_path / "more.toml"
    instruments.write_text(
        '[symbols.EURUSDm]\ndescription = "Euro"\ncurrency_base = "EUR"\ncurrency_profit = "USD"\n'
    )
    desk = Desk(SimulatedConfig(state=tmp_path / "account.state", instruments=(instruments,)))
    desk.deal(0, 0.1, symbol="EURUSDm")
    desk.terminal.close()
    with pytest.raises(SettingError, match="EURUSDm"):
        again(desk, instruments=())


@pytest.mark.parametrize(
    "other", [{"seed": 5}, {"sessions": "real"}, {"server_offset": 2.0}, {"modelling": "ohlc"}]
)
def test_an_account_does_not_wake_up_in_another_market(
    config: SimulatedConfig, other: dict[str, Any]
) -> None:
    desk = Desk(config)
    desk.deal(0, 0.1)
    desk.terminal.close()
    with pytest.raises(SettingError, match="was used with seed 1"):
        again(desk, **other)
    assert again(desk).get("positions_total") == 1


def test_other_price_legs_are_another_market(tmp_path: Path) -> None:
    one, other = tmp_path / "one.toml", tmp_path / "other.toml"
    one.write_text("[legs.EUR]\nvolatility = 0.004\n")
    other.write_text("[legs.EUR]\nvolatility = 0.005\n")
    desk = Desk(SimulatedConfig(state=tmp_path / "account.state", instruments=(one,)))
    desk.terminal.close()
    with pytest.raises(SettingError, match="was used with"):
        again(desk, instruments=(other,))
    again(desk).terminal.close()


def test_of_a_replay_the_time_is_kept_too(quotes: Callable[..., Desk], tmp_path: Path) -> None:
    """Nobody asked for the account, and the process ends without closing anything."""
    path = tmp_path / "account.state"
    desk = quotes((0, 1.1, 1.1001), (50, 1.2, 1.2001), (3600, 1.3, 1.3001), state=path)
    desk.at(60)
    desk.terminal.advance()
    copy = tmp_path / "copy.state"
    copy.write_bytes(path.read_bytes())
    assert again(desk, OPENING, state=copy).get("symbol_info_tick", "EURUSD").bid == 1.2


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.floats(0.5, 7200.0)),
        st.tuples(st.just("deal"), st.sampled_from([0, 1]), st.sampled_from([0.01, 0.1])),
        st.tuples(st.just("restart")),
    ),
    min_size=3,
    max_size=12,
)


@settings(max_examples=25, deadline=None)
@given(steps=STEPS)
def test_restarts_do_not_show(steps: list[tuple[Any, ...]], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("state") / "account.state"
    kept, other = Desk(SimulatedConfig(state=path)), Desk(SimulatedConfig())
    for name, *args in steps:
        if name == "restart":
            kept.terminal.close()
            kept = again(kept)
            continue
        for desk in (kept, other):
            if name == "wait":
                desk.clock.now += args[0]
            else:
                bid = desk.get("symbol_info_tick", "EURUSD").bid
                stop = round(bid - 0.0004 if args[0] == 0 else bid + 0.0006, 5)
                desk.deal(args[0], args[1], sl=stop)
    assert seen(kept) == seen(other)
    kept.terminal.close()

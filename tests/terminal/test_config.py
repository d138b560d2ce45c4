"""Settings, as they may be given."""

from pathlib import Path
from typing import Any

import pytest

from mt5crs.errors import SettingError
from mt5crs.terminal.simulated import Fault, SimulatedConfig, SimulatedTerminal


def config(**settings: Any) -> SimulatedConfig:
    return SimulatedConfig(**settings)


def test_text_is_as_good_as_what_it_means() -> None:
    given = config(
        replay="a.csv", state="b.state", instruments="c.toml", faults=("requote", Fault(kind="lose"))
    )
    assert given == config(
        replay=(Path("a.csv"),),
        state=Path("b.state"),
        instruments=(Path("c.toml"),),
        faults=(Fault(kind="requote"), Fault(kind="lose")),
    )
    assert config(replay=["a.csv", Path("b.csv")]).replay == (Path("a.csv"), Path("b.csv"))
    assert config(deposit=5).deposit == 5.0


@pytest.mark.parametrize(
    "wrong",
    [
        {"deposit": "a"},
        {"leverage": 1.5},
        {"currency": 5},
        {"hedge_allowed": "yes"},
        {"margin_mode": "both"},
        {"replay": 5},
        {"state": 5},
        {"faults": ("nap",)},
        {"login": 0},
        {"speed": float("nan")},
        {"start": float("inf")},
        {"limit_orders": -1},
    ],
)
def test_what_is_of_another_kind_is_said(wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match=rf"{next(iter(wrong))}|fault"):
        config(**wrong)


def test_a_fault_of_a_symbol_that_is_not_there_is_said() -> None:
    with pytest.raises(SettingError, match="no symbol 'NOPE'"):
        SimulatedTerminal(config(faults=("slow:symbol=NOPE",)))

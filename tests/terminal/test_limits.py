"""What asks for too much is refused in time; what is a hair off its step is on it."""

from typing import Any

import pytest

from mt5crs.api import OPERATIONS
from mt5crs.operation import Result
from mt5crs.terminal.simulated import SimulatedConfig, SimulatedTerminal
from mt5crs.terminal.simulated.prices import market

NOW = 1_763_985_600.0  # Monday 2025-11-24 12:00 UTC
DAY = 86_400


@pytest.fixture
def terminal() -> SimulatedTerminal:
    return SimulatedTerminal(SimulatedConfig(), clock=lambda: NOW)


def call(terminal: SimulatedTerminal, name: str, *args: Any) -> Result:
    return terminal.carry_out(OPERATIONS[name], list(args))


def test_more_ticks_than_one_answer_holds_are_refused(
    terminal: SimulatedTerminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = call(terminal, "copy_ticks_range", "EURUSD", int(NOW) - 3600, int(NOW), -1)
    monkeypatch.setattr(market, "TICKS_LIMIT", len(few.value))
    assert call(terminal, "copy_ticks_range", "EURUSD", int(NOW) - 3600, int(NOW), -1).value is not None
    refused = call(terminal, "copy_ticks_range", "EURUSD", 0, int(NOW), -1)
    assert refused == (None, (-3, "Terminal: Out of memory"))
    assert call(terminal, "copy_ticks_from", "EURUSD", 0, 1 << 30, -1) == refused
    assert len(call(terminal, "copy_ticks_from", "EURUSD", int(NOW) - DAY, 10, -1).value) == 10


@pytest.mark.parametrize("date", [-(1 << 62), -1, 1 << 33, 1 << 62])
def test_dates_beyond_every_calendar_are_answered(terminal: SimulatedTerminal, date: int) -> None:
    for name, args in (
        ("copy_ticks_from", ("EURUSD", date, 10, -1)),
        ("copy_ticks_range", ("EURUSD", int(NOW) - 60 if date > 0 else date, date, -1)),
        ("copy_rates_from", ("EURUSD", 1, date, 10)),
        ("history_deals_get", (0, date, None, None, None)),
    ):
        result = call(terminal, name, *args)
        assert result.value is not None, name
        assert result.error == (1, "Success")


def test_a_volume_a_hair_beside_its_step_is_on_it(terminal: SimulatedTerminal) -> None:
    request = {"action": 1, "symbol": "EURUSD", "type": 0, "type_filling": 1, "volume": 0.1 + 1e-12}
    assert call(terminal, "order_send", request).value.volume == 0.1
    (position,) = call(terminal, "positions_get", None, None, None).value
    assert position.volume == 0.1
    (_, deal) = call(terminal, "history_deals_get", 0, int(NOW) + DAY, None, None, None).value
    assert deal.volume == 0.1


def test_nothing_has_come_from_the_future_yet(terminal: SimulatedTerminal) -> None:
    for start in (int(NOW) + 1, int(NOW) + DAY, 1 << 40):
        assert len(call(terminal, "copy_ticks_from", "EURUSD", start, 10, -1).value) == 0
        assert len(call(terminal, "copy_ticks_range", "EURUSD", start, start + DAY, -1).value) == 0


@pytest.mark.parametrize("price", [float("inf"), float("nan")])
@pytest.mark.parametrize(
    ("fields", "retcode"),
    [
        ({"action": 1, "type": 0, "type_filling": 1, "tp": None}, 10016),
        ({"action": 1, "type": 0, "type_filling": 1, "sl": None}, 10016),
        ({"action": 5, "type": 3, "type_filling": 2, "price": None}, 10015),
        ({"action": 5, "type": 4, "type_filling": 2, "price": None}, 10015),
    ],
)
def test_no_price_is_beyond_numbers(
    terminal: SimulatedTerminal, fields: dict[str, Any], retcode: int, price: float
) -> None:
    request = {"symbol": "EURUSD", "volume": 0.1} | {
        name: price if value is None else value for name, value in fields.items()
    }
    assert call(terminal, "order_send", request).value.retcode == retcode

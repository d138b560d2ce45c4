"""The tester: when a strategy is called, and what it sees and gets."""

from typing import Any

import numpy as np
import pytest

from mt5crs import constants as c
from mt5crs.errors import SettingError
from mt5crs.model import RATES, TICKS, RatesArray
from mt5crs.terminal.simulated import Fault, SimulatedConfig
from mt5crs.terminal.simulated.tester import Bar, Tester
from tests.terminal.desk import OPENING

# Open, high, low, close of minutes 0, 1, 2 and, after a gap, 10.
MINUTES = (
    (0, 1.1000, 1.1005, 1.0995, 1.1002),
    (1, 1.1003, 1.1010, 1.1001, 1.1008),
    (2, 1.1007, 1.1009, 1.0950, 1.0960),
    (10, 1.1020, 1.1030, 1.1015, 1.1025),
)


def bars(minutes: tuple[tuple[float, ...], ...] = MINUTES, spread: int = 0) -> RatesArray:
    rows = np.zeros(len(minutes), RATES.dtype)
    for row, (minute, *prices) in zip(rows, minutes, strict=True):
        row["time"] = OPENING + minute * 60
        for name, price in zip(("open", "high", "low", "close"), prices, strict=True):
            row[name] = price
        row["tick_volume"], row["spread"] = 4, spread
    return rows


def test_a_strategy_sees_each_bar_complete_at_the_open_of_the_next() -> None:
    seen: list[Any] = []

    def strategy(mt5: Any, bar: Bar) -> None:
        tick = mt5.symbol_info_tick("EURUSD")
        # Position 1 is the bar that is complete, 0 the one that has just opened.
        (complete,) = mt5.copy_rates_from_pos("EURUSD", mt5.TIMEFRAME_M1, 1, 1)
        seen.append((bar.close, tick.time - OPENING, tick.bid, complete["close"]))

    Tester(prices={"EURUSD": bars()}).run(strategy, "EURUSD", OPENING + 660)
    assert seen[:3] == [
        (1.1002, 60, 1.1003, 1.1002),
        (1.1008, 120, 1.1007, 1.1008),
        (1.0960, 600, 1.1020, 1.0960),
    ]
    assert [bar for bar, *_ in seen] == [1.1002, 1.1008, 1.0960, 1.1025]


def test_an_order_fills_at_the_next_open_and_its_stop_inside_a_later_bar() -> None:
    tester = Tester(prices={"EURUSD": bars(spread=10)})
    mt5 = tester.mt5
    loop = tester.bars("EURUSD")
    next(loop)
    result = mt5.order_send(action=1, symbol="EURUSD", volume=0.1, type=c.ORDER_TYPE_BUY, sl=1.0990)
    assert result is not None
    # The ask at the open of minute 1.
    assert (result.retcode, result.price) == (c.TRADE_RETCODE_DONE, 1.1004)
    assert [bar.low for bar in loop] == [1.1001, 1.0950, 1.1015]
    deposit, opened, closed = mt5.history_deals_get(0, 1 << 40) or ()
    assert (deposit.time, opened.time) == (OPENING, OPENING + 60)
    # Minute 2 falls to 1.0950 by way of its high: the first tick beyond the stop is the low.
    assert (closed.price, closed.comment, closed.time // 60) == (1.095, "[sl 1.09900]", OPENING // 60 + 2)
    assert closed.profit == -54.0
    assert mt5.positions_total() == 0


def test_after_the_last_bar_the_market_is_closed() -> None:
    tester = Tester(prices={"EURUSD": bars()})
    *_, last = tester.bars("EURUSD")
    assert last == (OPENING + 600, 1.102, 1.103, 1.1015, 1.1025, 4, 0, 0)
    result = tester.mt5.order_send(action=1, symbol="EURUSD", volume=0.1, type=0)
    assert result is not None
    assert result.retcode == c.TRADE_RETCODE_MARKET_CLOSED


def test_bars_that_nobody_asks_at_change_nothing() -> None:
    """Time is made up for when the terminal is asked: once at the end or on every bar."""

    def play(curious: bool) -> list[Any]:
        tester = Tester(SimulatedConfig(start=OPENING, seed=4, deposit=2000.0))
        mt5 = tester.mt5
        for bar in tester.bars("GBPUSD", OPENING + 86_400 * 2):
            if bar.time % 7200 == 0:
                tick = mt5.symbol_info_tick("GBPUSD")
                assert tick is not None
                sl, tp = round(tick.bid - 0.001, 5), round(tick.bid + 0.002, 5)
                mt5.order_send(action=1, symbol="GBPUSD", volume=0.1, type=0, sl=sl, tp=tp)
            if curious:
                mt5.positions_total()
        return [mt5.history_deals_get(0, 1 << 40), mt5.account_info(), mt5.positions_get()]

    told = play(curious=True)
    assert len(told[0]) > 20
    assert play(curious=False) == told


def test_ticks_are_played_too() -> None:
    ticks = np.zeros(4, TICKS.dtype)
    ticks["time_msc"] = [OPENING * 1000 + msc for msc in (500, 30_000, 61_500, 125_000)]
    ticks["time"] = ticks["time_msc"] // 1000
    ticks["bid"] = [1.1, 1.2, 1.15, 1.16]
    ticks["ask"] = ticks["bid"] + 0.0001
    tester = Tester(prices={"EURUSD": ticks})
    seen: list[Any] = []
    for bar in tester.bars("EURUSD"):
        tick = tester.mt5.symbol_info_tick("EURUSD")
        assert tick is not None
        seen.append((bar.time - OPENING, bar.close, tick.time_msc - OPENING * 1000))
    # A bar is complete with the first tick of the next.
    assert seen == [(0, 1.2, 61_500), (60, 1.15, 125_000), (120, 1.16, 125_000)]


def test_the_handle_is_as_the_official_module() -> None:
    mt5: Any = Tester(prices={"EURUSD": bars()}).mt5
    assert mt5.symbol_info("NOSUCH") is None
    assert mt5.last_error() == (-4, "Terminal: Not found")
    assert mt5.order_send({"action": 1, "volume": 1}) is None
    assert mt5.last_error() == (-2, 'Invalid "volume" argument')
    assert mt5.account_info().balance == 10_000.0
    assert mt5.last_error() == (1, "Success")
    assert (mt5.ORDER_TYPE_SELL, mt5.TIMEFRAME_H1) == (c.ORDER_TYPE_SELL, c.TIMEFRAME_H1)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (Tester, "nothing is replayed"),
        (lambda: Tester(prices={"EURUSD": bars(())}), "there are none of EURUSD"),
        (lambda: Tester(prices={"EURUSD": bars(MINUTES[::-1])}), "do not ascend"),
        (lambda: next(Tester(prices={"EURUSD": bars()}).bars("GBPUSD")), "never end"),
        (lambda: next(Tester(prices={"EURUSD": bars()}).bars("NOSUCH")), "no symbol 'NOSUCH'"),
    ],
)
def test_what_cannot_be_tested_is_said(make: Any, text: str) -> None:
    with pytest.raises(SettingError, match=text):
        make()


@pytest.mark.parametrize("name", ["low", "high", "close"])
@pytest.mark.parametrize("value", [0.0, float("nan"), float("inf"), 9.0])
def test_rows_that_are_no_bars_are_refused(name: str, value: float) -> None:
    rows = bars()
    rows[name][2] = value
    if name == "high" and value > 2:
        rows["low"][2] = 8.0  # a high is one that is above the others
    with pytest.raises(SettingError, match="row 2 of EURUSD is no bar"):
        Tester(prices={"EURUSD": rows})


def test_faults_happen_in_the_tester_too() -> None:
    config = SimulatedConfig(faults=(Fault(kind="requote"), Fault(kind="slow", seconds=30.0)))
    tester = Tester(config, {"EURUSD": bars()})
    answers: list[Any] = []

    def strategy(mt5: Any, bar: Bar) -> None:
        sent = mt5.order_send(action=1, symbol="EURUSD", type=0, volume=0.1)
        answers.append((sent and sent.retcode, mt5.last_error()[0], mt5.positions_total()))

    tester.run(strategy, "EURUSD", OPENING + 660)
    # Requoted; then slow, which who waits in the tester takes for no answer: it is filled by the next bar.
    assert answers[:3] == [(10004, 1, 0), (None, -10005, 0), (10009, 1, 2)]

"""All 96 fields of `symbol_info`, by sort of instrument.

Expected values are those of the catalogue's data read by hand, and of the documentation of the symbol
properties (mql5.com, constants/environment_state/marketinfoconstants).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mt5crs.model import RatesArray, SymbolInfo, Tick, TicksArray
from mt5crs.terminal.simulated.instruments.loading import load_catalogue
from mt5crs.terminal.simulated.prices.buffered import Buffered
from mt5crs.terminal.simulated.prices.expand import RATES_DTYPE, TICKS_DTYPE
from mt5crs.terminal.simulated.prices.live import LiveTick, ServerClock
from mt5crs.terminal.simulated.prices.today import Today
from tests.terminal.desk import OPENING, Clock, Desk

Synthetic = Callable[..., Desk]

# What no instrument of ours has: options, custom symbols, prices of models.
NOWHERE = {
    "custom": False, "option_mode": 0, "option_right": 0, "option_strike": 0.0, "price_volatility": 0.0,
    "price_theoretical": 0.0, "price_greeks_delta": 0.0, "price_greeks_theta": 0.0,
    "price_greeks_gamma": 0.0, "price_greeks_vega": 0.0, "price_greeks_rho": 0.0,
    "price_greeks_omega": 0.0, "price_sensitivity": 0.0, "bank": "", "formula": "",
}  # fmt: skip

# What only symbols with published trades have, futures and bonds.
NO_TRADES = {
    "volume": 0, "volumehigh": 0, "volumelow": 0, "volume_real": 0.0, "volumehigh_real": 0.0,
    "volumelow_real": 0.0, "last": 0.0, "lasthigh": 0.0, "lastlow": 0.0, "session_deals": 0,
    "session_volume": 0.0, "session_turnover": 0.0, "session_aw": 0.0,
}  # fmt: skip
NOT_LISTED = {
    "chart_mode": 0, "ticks_bookdepth": 0, "session_buy_orders": 0, "session_sell_orders": 0,
    "session_buy_orders_volume": 0.0, "session_sell_orders_volume": 0.0, "session_interest": 0.0,
    "session_price_settlement": 0.0, "session_price_limit_min": 0.0, "session_price_limit_max": 0.0,
    "start_time": 0, "expiration_time": 0, "trade_accrued_interest": 0.0, "trade_face_value": 0.0,
    "trade_liquidity_rate": 0.0, "margin_initial": 0.0, "margin_maintenance": 0.0, "basis": "",
    "exchange": "", "isin": "", "page": "",
}  # fmt: skip

EURUSD = {
    **NOWHERE, **NO_TRADES, **NOT_LISTED,
    "select": True, "visible": True, "digits": 5, "spread_float": True, "trade_calc_mode": 0, "trade_mode": 4,
    "trade_stops_level": 0, "trade_freeze_level": 0, "trade_exemode": 2, "swap_mode": 1,
    "swap_rollover3days": 3, "margin_hedged_use_leg": False, "expiration_mode": 15, "filling_mode": 3,
    "order_mode": 127, "order_gtc_mode": 0, "point": 0.00001, "trade_tick_value": 1.0,
    "trade_tick_value_profit": 1.0, "trade_tick_value_loss": 1.0, "trade_tick_size": 0.00001,
    "trade_contract_size": 100_000.0, "volume_min": 0.01, "volume_max": 100.0, "volume_step": 0.01,
    "volume_limit": 0.0, "swap_long": -7.2, "swap_short": 2.6, "margin_hedged": 50_000.0, "category": "Forex",
    "currency_base": "EUR", "currency_profit": "USD", "currency_margin": "EUR",
    "description": "Euro vs US Dollar", "name": "EURUSD", "path": "Forex\\EURUSD",
}  # fmt: skip
# The fields that prices decide.
PRICES = {
    "time", "spread", "bid", "bidhigh", "bidlow", "ask", "askhigh", "asklow", "session_open", "session_close",
    "price_change",
}  # fmt: skip

EXCHANGE = {"trade_exemode": 3, "swap_mode": 0, "swap_long": 0.0, "swap_short": 0.0,
            "volume_min": 1.0, "volume_step": 1.0, "margin_hedged": 0.0, "visible": False,
            "select": False, "digits": 2, "point": 0.01, "currency_base": "USD",
            "currency_margin": "USD"}  # fmt: skip
TRADES = set(NO_TRADES)
LIMITS = {"session_price_settlement", "session_price_limit_min", "session_price_limit_max"}

SORTS: dict[str, dict[str, Any]] = {
    "EURUSD": EURUSD,
    "USDRUB": EURUSD | {
        "select": False, "visible": False, "digits": 4, "point": 0.0001, "trade_tick_size": 0.0001,
        "trade_stops_level": 50, "trade_freeze_level": 20, "swap_mode": 4, "swap_long": -38.0,
        "swap_short": 4.5, "currency_base": "USD", "currency_profit": "RUB", "currency_margin": "USD",
        "description": "US Dollar vs Russian Ruble", "name": "USDRUB", "path": "Forex\\Exotic\\USDRUB",
    },
    "XAGUSD": EURUSD | {
        # a tick of 0.001 for 5000 ounces is 5 USD
        "digits": 3, "point": 0.001, "trade_tick_size": 0.001, "trade_contract_size": 5000.0,
        "trade_tick_value": 5.0, "trade_tick_value_profit": 5.0, "trade_tick_value_loss": 5.0,
        "trade_calc_mode": 4, "swap_mode": 3, "swap_long": -30.5, "swap_short": 9.0, "volume_max": 50.0,
        "margin_hedged": 2500.0, "category": "Metals", "currency_base": "XAG", "currency_margin": "USD",
        "description": "Silver vs US Dollar", "name": "XAGUSD", "path": "Metals\\XAGUSD",
    },
    "BTCUSD": EURUSD | {
        "digits": 2, "point": 0.01, "trade_tick_size": 0.01, "trade_contract_size": 1.0,
        "trade_tick_value": 0.01, "trade_tick_value_profit": 0.01, "trade_tick_value_loss": 0.01,
        "trade_calc_mode": 2, "swap_mode": 6, "swap_rollover3days": 5, "swap_long": -20.0,
        "swap_short": -20.0, "volume_max": 10.0, "margin_hedged": 0.5, "category": "Crypto",
        "currency_base": "BTC", "currency_margin": "USD", "description": "Bitcoin vs US Dollar",
        "name": "BTCUSD", "path": "Crypto\\BTCUSD",
    },
    "US500": EURUSD | {
        "digits": 2, "point": 0.01, "trade_tick_size": 0.01, "trade_contract_size": 1.0,
        "trade_tick_value": 0.01, "trade_tick_value_profit": 0.01, "trade_tick_value_loss": 0.01,
        "trade_calc_mode": 4, "swap_mode": 5, "swap_rollover3days": 5, "swap_long": -6.45,
        "swap_short": 1.9, "volume_min": 0.1, "volume_step": 0.1, "volume_max": 500.0, "margin_hedged": 0.5,
        "category": "Indices", "currency_base": "USD", "currency_margin": "USD",
        "description": "US 500 Index", "name": "US500", "path": "Indices\\US500",
    },
    "WTI-12.30": EURUSD | {
        # 10 USD a tick, as the contract says; listed 2020-12-21 01:00, until 2030-11-20 21:30
        "trade_tick_value": 10.0, "trade_tick_value_profit": 10.0, "trade_tick_value_loss": 10.0,
        "digits": 2, "point": 0.01, "trade_tick_size": 0.01, "trade_contract_size": 1000.0,
        "trade_calc_mode": 1, "start_time": 1_608_512_400, "expiration_time": 1_921_440_600,
        "swap_mode": 0, "swap_long": 0.0, "swap_short": 0.0, "volume_min": 1.0, "volume_step": 1.0,
        "volume_max": 200.0, "margin_initial": 6200.0, "margin_maintenance": 5600.0, "margin_hedged": 0.0,
        "select": False, "visible": False, "basis": "WTI", "category": "Energy", "currency_base": "USD",
        "currency_margin": "USD", "description": "WTI Crude Oil, December 2030", "name": "WTI-12.30",
        "path": "Futures\\WTI-12.30",
    },
    "ESZ30": EURUSD | EXCHANGE | {
        "trade_tick_value": 12.5, "trade_tick_value_profit": 12.5, "trade_tick_value_loss": 12.5,
        "trade_tick_size": 0.25, "trade_contract_size": 50.0, "trade_calc_mode": 33,
        "start_time": 1_608_512_400, "expiration_time": 1_924_014_600, "volume_max": 200.0,
        "margin_initial": 21_000.0, "margin_maintenance": 19_000.0, "ticks_bookdepth": 10,
        "session_buy_orders": 10, "session_sell_orders": 10, "session_buy_orders_volume": 800.0,
        "session_sell_orders_volume": 800.0, "session_interest": 125_000.0, "basis": "US500",
        "category": "Indices", "exchange": "CME", "description": "E-mini S&P 500, December 2030",
        "name": "ESZ30", "path": "Futures\\ESZ30",
    },
    "AAPL": EURUSD | EXCHANGE | {
        "trade_tick_value": 0.01, "trade_tick_value_profit": 0.01, "trade_tick_value_loss": 0.01,
        "trade_tick_size": 0.01, "trade_contract_size": 1.0, "trade_calc_mode": 32, "select": True,
        "visible": True, "swap_rollover3days": 5, "volume_max": 10_000.0, "ticks_bookdepth": 10,
        "session_buy_orders": 10, "session_sell_orders": 10, "session_buy_orders_volume": 3000.0,
        "session_sell_orders_volume": 3000.0, "category": "Technology", "exchange": "NASDAQ",
        "isin": "US0378331005", "page": "https://www.nasdaq.com/market-activity/stocks/aapl",
        "description": "Apple Inc.", "name": "AAPL", "path": "Stocks\\AAPL",
    },
    "UST4.25-34": EURUSD | EXCHANGE | {
        # prices are percent of 1000 USD: a tick of 0.01 is 0.10 USD
        "trade_tick_value": 0.1, "trade_tick_value_profit": 0.1, "trade_tick_value_loss": 0.1,
        "trade_tick_size": 0.01, "trade_contract_size": 1.0, "trade_calc_mode": 37,
        "expiration_time": 2_047_161_600, "swap_rollover3days": 5, "volume_max": 5000.0,
        "trade_face_value": 1000.0, "trade_accrued_interest": 0.8219, "ticks_bookdepth": 5,
        "session_buy_orders": 5, "session_sell_orders": 5, "session_buy_orders_volume": 250.0,
        "session_sell_orders_volume": 250.0, "category": "Government", "exchange": "NYSE",
        "isin": "US91282CLW90", "description": "US Treasury 4.25 % 15 Nov 2034", "name": "UST4.25-34",
        "path": "Bonds\\UST4.25-34",
    },
}  # fmt: skip


def moving(name: str) -> set[str]:
    """Return the fields of a symbol that prices decide."""
    listed = TRADES if SORTS[name]["trade_exemode"] == 3 else set[str]()
    settled = LIMITS if SORTS[name]["trade_calc_mode"] in (1, 32, 33, 37) else set[str]()
    rouble = {key for key in EURUSD if key.startswith("trade_tick_value")} if name == "USDRUB" else set[str]()
    return PRICES | listed | settled | rouble


@pytest.mark.parametrize("name", SORTS)
def test_every_field_that_prices_do_not_decide(synthetic: Synthetic, name: str) -> None:
    expected = SORTS[name]
    fields = set(SymbolInfo.__annotations__)
    assert len(fields) == 96
    assert set(expected) | PRICES == fields
    info = synthetic().get("symbol_info", name)._asdict()
    static = fields - moving(name)
    shown = {field: info[field] for field in static}
    for field, value in shown.items():
        assert value == (pytest.approx(expected[field]) if type(value) is float else expected[field]), field
    kinds = SymbolInfo.__annotations__
    assert {field for field, value in info.items() if type(value) is not kinds[field]} == set()


@pytest.mark.parametrize("name", ["EURUSD", "USDRUB", "US500", "WTI-12.30", "ESZ30", "AAPL"])
def test_the_fields_that_prices_decide(synthetic: Synthetic, name: str) -> None:
    desk = synthetic()
    for second in (17.2, 18.9, 65.5, 3 * 3600 + 59.9):
        desk.at(second)
        info, tick = desk.get("symbol_info", name), desk.get("symbol_info_tick", name)
        ticks = desk.get("copy_ticks_range", name, OPENING, OPENING + int(second) + 1, -1)
        before = desk.get("copy_ticks_range", name, OPENING - 60, OPENING, -1)
        before = before[before["time"] < OPENING]
        assert (info.time, info.bid, info.ask) == (tick.time, tick.bid, tick.ask)
        assert info.spread == round((tick.ask - tick.bid) / info.point)
        assert (info.bidlow, info.bidhigh) == (ticks["bid"].min(), ticks["bid"].max())
        assert (info.asklow, info.askhigh) == pytest.approx((ticks["ask"].min(), ticks["ask"].max()))
        assert info.session_open == ticks["bid"][0]
        assert info.session_close == before["bid"][-1]
        assert info.price_change == pytest.approx(100 * (info.bid / info.session_close - 1), abs=1e-4)


def test_the_settlement_price_and_its_limits(synthetic: Synthetic) -> None:
    desk = synthetic()
    stock = desk.get("symbol_info", "AAPL")
    assert stock.session_price_settlement == stock.session_close > 0
    assert stock.session_price_limit_max == pytest.approx(1.1 * stock.session_close, abs=0.01)
    assert stock.session_price_limit_min == pytest.approx(0.9 * stock.session_close, abs=0.01)
    future = desk.get("symbol_info", "ESZ30")
    distances = (
        future.session_price_limit_max - future.session_price_settlement,
        future.session_price_settlement - future.session_price_limit_min,
    )
    assert distances[0] == distances[1] == pytest.approx(0.07 * future.session_close, abs=0.25)
    assert distances[0] % 0.25 == 0
    oil = desk.get("symbol_info", "WTI-12.30")
    assert oil.session_price_settlement == oil.session_close > 0
    assert (oil.session_price_limit_min, oil.session_price_limit_max) == (0.0, 0.0)


def test_tick_values_are_converted(quotes: Callable[..., Desk]) -> None:
    # section 7: a profit in JPY is divided by the ask, a loss by the bid; 0.001 x 100000 is 100 JPY
    info = quotes((0, 150.000, 150.020), symbol="USDJPY").get("symbol_info", "USDJPY")
    assert info.trade_tick_value == info.trade_tick_value_profit == pytest.approx(100 / 150.02)
    assert info.trade_tick_value_loss == pytest.approx(100 / 150.0)
    # in EUR: 1 USD a tick; a future's 12.50 USD
    desk = quotes((0, 1.25, 1.28), currency="EUR")
    for name, value in (("EURUSD", 1.0), ("ESZ30", 12.5)):
        info = desk.get("symbol_info", name)
        assert info.trade_tick_value == info.trade_tick_value_profit == pytest.approx(value / 1.28)
        assert info.trade_tick_value_loss == pytest.approx(value / 1.25)


def test_the_specification_of_a_symbol_before_its_first_tick(quotes: Callable[..., Desk]) -> None:
    desk = quotes((60, 1.1, 1.2))
    info = desk.get("symbol_info", "EURUSD")
    dynamic = (info.time, info.bid, info.ask, info.bidhigh, info.asklow, info.session_open, info.price_change)
    assert dynamic == (0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    desk.at(60)
    info = desk.get("symbol_info", "EURUSD")
    assert (info.session_open, info.session_close, info.price_change) == (1.1, 0.0, 0.0)


def test_market_watch(synthetic: Synthetic) -> None:
    desk = synthetic()
    info = desk.get("symbol_info", "CHFJPY")
    assert (info.select, info.visible) == (False, False)
    assert desk.get("symbol_select", "CHFJPY") is True
    info = desk.get("symbol_info", "CHFJPY")
    assert (info.select, info.visible) == (True, True)
    assert desk.get("symbol_select", "CHFJPY", False) is True
    assert desk.get("symbol_info", "CHFJPY").visible is False


class Written:
    """Prices that a test writes down: minutes that are over as bars, the present one as ticks."""

    start, contiguous, digits = 0, False, 2
    end_msc: int | None = None

    def __init__(self, bars: list[tuple[Any, ...]], ticks: list[tuple[Any, ...]]) -> None:
        self._bars = np.array(bars, RATES_DTYPE)
        self._ticks = np.array(ticks, TICKS_DTYPE)

    def bars(self, start: int, stop: int) -> RatesArray:
        return self._bars[(self._bars["time"] >= start) & (self._bars["time"] < stop)]

    def ticks(self, start_msc: int, stop_msc: int) -> TicksArray:
        return self._ticks[(self._ticks["time_msc"] >= start_msc) & (self._ticks["time_msc"] < stop_msc)]

    def last_tick(self, msc: int) -> TicksArray:
        return self._ticks[self._ticks["time_msc"] <= msc][-1:]

    def next_msc(self, msc: int) -> int | None:
        later = self._ticks["time_msc"][self._ticks["time_msc"] > msc]
        return int(later[0]) if len(later) else None


def trade(second: float, bid: float, ask: float, last: float, volume: int, flags: int) -> tuple[Any, ...]:
    time = OPENING + second
    return (int(time), bid, ask, last, volume, int(time * 1000), flags, float(volume))


def test_the_trades_of_a_day() -> None:
    """Two minutes that are over and one that is not, with 2 + 3 and then 2 trades."""
    source = Written(
        [
            (OPENING, 10.0, 10.5, 9.9, 10.2, 2, 3, 10),
            (OPENING + 60, 10.2, 10.3, 10.1, 10.1, 3, 1, 7),
            (OPENING + 120, 10.1, 11.0, 10.1, 11.0, 3, 2, 300),
        ],
        [
            trade(-1, 9.8, 9.81, 9.8, 1, 30),
            trade(120, 10.1, 10.12, 10.12, 9, 6 | 8 | 16 | 32),
            trade(121, 10.1, 10.12, 10.12, 9, 2),  # a quote: the last trade is repeated, and does not count
            trade(122.5, 10.1, 10.12, 10.0, 1, 8 | 16 | 64),
            trade(150, 11.0, 11.02, 11.0, 290, 30),
        ],
    )
    clock = Clock(OPENING + 130)
    present = Buffered(source)
    live = LiveTick(present, ServerClock(clock, None, 1.0))
    today = Today(load_catalogue().symbols["AAPL"], source, present)
    for _ in range(2):
        tick: Tick = live.refresh()
        today.refresh(tick)
        assert (today.open, today.close) == (10.0, 9.8)
        assert (today.bid.low, today.bid.high) == (9.9, 10.5)
        assert today.ask.low == pytest.approx(9.93)  # the low of 9.90 and 3 points
        assert today.ask.high == pytest.approx(10.53)
        assert today.last.low == 9.9
        assert today.last.high == pytest.approx(10.53)
        assert (today.deal.low, today.deal.high) == (1, 9)
        assert (today.deals, today.volume) == (2 + 3 + 2, 10 + 7 + 9 + 1)
        assert today.turnover == pytest.approx(10 * 10.2 + 7 * 10.1 + 9 * 10.12 + 1 * 10.0)
    clock.now = OPENING + 150
    today.refresh(live.refresh())
    assert (today.deals, today.volume, today.bid.high, today.deal.high) == (8, 317, 11.0, 290)


def test_a_new_day_begins_with_its_first_tick() -> None:
    day = 86_400
    source = Written(
        [(OPENING, 10.0, 10.5, 9.9, 10.2, 2, 0, 0), (OPENING + day + 60, 12.0, 12.0, 12.0, 12.0, 1, 0, 0)],
        [trade(30, 10.2, 10.2, 0.0, 0, 6), trade(day + 60, 12.0, 12.0, 0.0, 0, 6)],
    )
    clock = Clock(OPENING + day + 59)
    present = Buffered(source)
    live = LiveTick(present, ServerClock(clock, None, 1.0))
    today = Today(load_catalogue().symbols["EURUSD"], source, present)
    today.refresh(live.refresh())
    assert (today.open, today.bid.high) == (10.2, 10.2)
    clock.now += 1
    today.refresh(live.refresh())
    assert (today.open, today.close, today.bid.low, today.bid.high) == (12.0, 10.2, 12.0, 12.0)

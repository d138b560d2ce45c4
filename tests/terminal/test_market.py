"""Prices up to the present, and nothing of the future; sections 2, 3 and 9 of the semantics digest."""

from collections.abc import Callable

import numpy as np
import pytest

from mt5crs import constants as c
from mt5crs.api import OFFICIAL
from mt5crs.bars import collect
from mt5crs.model import RATES, TICKS
from mt5crs.topics import Ticks
from tests.terminal.desk import OPENING, Desk, new_ticks

Synthetic = Callable[..., Desk]
M1, H1, D1, W1, MN1 = c.TIMEFRAME_M1, c.TIMEFRAME_H1, c.TIMEFRAME_D1, c.TIMEFRAME_W1, c.TIMEFRAME_MN1
NOT_FOUND = (-4, "Terminal: Not found")
INVALID = (-2, "Terminal: Invalid params")


def test_the_same_seed_gives_the_same_prices(synthetic: Synthetic) -> None:
    one, same, other = synthetic(seed=5), synthetic(seed=5), synthetic(seed=6)
    bars = [desk.get("copy_rates_from_pos", "GBPJPY", M1, 0, 5000) for desk in (one, same, other)]
    assert np.array_equal(bars[0], bars[1])
    assert not np.array_equal(bars[0], bars[2])


def test_a_stretch_of_history_is_the_same_however_it_is_asked_for(synthetic: Synthetic) -> None:
    start = OPENING - 40 * 86_400
    whole = synthetic().get("copy_rates_range", "EURUSD", M1, start, OPENING)
    desk = synthetic()
    for day in (11, 3, 25):
        first = start + day * 86_400 + 3600
        part = desk.get("copy_rates_range", "EURUSD", M1, first, first + 3 * 86_400)
        assert np.array_equal(part, whole[(whole["time"] >= first) & (whole["time"] <= first + 3 * 86_400)])


def test_bars_are_bars_without_a_gap(synthetic: Synthetic) -> None:
    desk = synthetic()
    for symbol in ("EURUSD", "EURJPY", "XAUUSD", "BTCUSD", "US500"):
        bars = desk.get("copy_rates_from_pos", symbol, M1, 0, 20_000)
        assert bars.dtype == RATES.dtype
        assert not bars.flags.writeable
        assert np.all(np.diff(bars["time"]) == 60)
        assert np.all(bars["low"] <= np.minimum(bars["open"], bars["close"]))
        assert np.all(bars["high"] >= np.maximum(bars["open"], bars["close"]))
        assert np.all(bars["open"][1:] == bars["close"][:-1])
        assert np.all(bars["low"] > 0)


def test_crosses_agree_with_the_majors(synthetic: Synthetic) -> None:
    desk = synthetic()
    eurusd, usdjpy, eurjpy = (
        desk.get("copy_rates_from_pos", symbol, M1, 1, 2000)["close"]
        for symbol in ("EURUSD", "USDJPY", "EURJPY")
    )
    assert np.allclose(eurusd * usdjpy, eurjpy, rtol=2e-5)


def test_every_timeframe_is_made_of_the_minutes(synthetic: Synthetic) -> None:
    desk = synthetic()
    desk.at(7 * 3600 + 1234.5)
    for timeframe, seconds in ((c.TIMEFRAME_M3, 180), (H1, 3600), (D1, 86_400)):
        bar = desk.get("copy_rates_from_pos", "EURUSD", timeframe, 0, 3)
        for row in bar:
            minutes = desk.get(
                "copy_rates_range", "EURUSD", M1, int(row["time"]), int(row["time"]) + seconds - 60
            )
            assert (row["open"], row["close"]) == (minutes["open"][0], minutes["close"][-1])
            assert (row["high"], row["low"]) == (minutes["high"].max(), minutes["low"].min())
            assert row["tick_volume"] == minutes["tick_volume"].sum()
            assert row["spread"] == minutes["spread"].min()


def test_the_last_bar_is_made_of_the_ticks_that_were(synthetic: Synthetic) -> None:
    desk = synthetic()
    desk.at(30.25)
    (bar,) = desk.get("copy_rates_from_pos", "EURUSD", M1, 0, 1)
    ticks = desk.get("copy_ticks_range", "EURUSD", OPENING, OPENING + 60, c.COPY_TICKS_ALL)
    assert ticks.dtype == TICKS.dtype
    assert int(ticks["time_msc"][-1]) <= OPENING * 1000 + 30_250
    assert bar == collect(ticks, 5)[0]
    assert 10 < len(ticks) < 60
    last = desk.get("symbol_info_tick", "EURUSD")
    assert tuple(last) == ticks[-1].item()
    desk.at(59.999)
    whole = desk.get("copy_rates_from_pos", "EURUSD", M1, 0, 1)
    desk.at(61)
    assert np.array_equal(whole, desk.get("copy_rates_from_pos", "EURUSD", M1, 1, 1))


def test_positions_and_dates_name_the_same_bars(synthetic: Synthetic) -> None:
    desk = synthetic()
    desk.at(100)
    recent = desk.get("copy_rates_from_pos", "EURUSD", H1, 0, 50)
    assert recent["time"].tolist() == [OPENING - 3600 * back for back in range(49, -1, -1)]
    assert np.array_equal(desk.get("copy_rates_from_pos", "EURUSD", H1, 10, 5), recent[35:40])
    # the newest bar that opened at or before the date ends the answer
    for second in (0, 3599):
        moment = OPENING - 7200 + second
        assert np.array_equal(desk.get("copy_rates_from", "EURUSD", H1, moment, 3), recent[45:48])
    # both ends of a range are included
    inside = desk.get("copy_rates_range", "EURUSD", H1, OPENING - 7200, OPENING)
    assert np.array_equal(inside, recent[-3:])
    assert len(desk.get("copy_rates_range", "EURUSD", H1, OPENING - 7199, OPENING - 1)) == 1
    assert len(desk.get("copy_rates_range", "EURUSD", H1, OPENING + 3600, OPENING + 7200)) == 0
    weeks = desk.get("copy_rates_from_pos", "EURUSD", W1, 0, 3)["time"]
    assert weeks.tolist() == [1_698_537_600, 1_699_142_400, 1_699_747_200]  # Sundays: 29 Oct, 5 and 12 Nov
    months = desk.get("copy_rates_from_pos", "EURUSD", MN1, 0, 2)["time"]
    assert months.tolist() == [1_696_118_400, 1_698_796_800]  # 1 Oct and 1 Nov 2023


def test_too_many_bars_fail_as_a_whole(synthetic: Synthetic) -> None:
    desk = synthetic(maxbars=1000)
    assert desk.get("terminal_info").maxbars == 1000
    assert len(desk.get("copy_rates_from_pos", "EURUSD", M1, 0, 999)) == 999
    assert desk.ask("copy_rates_from_pos", "EURUSD", M1, 0, 1000) == (None, INVALID)
    assert desk.ask("copy_rates_from", "EURUSD", M1, OPENING, 1000) == (None, INVALID)
    start = OPENING - 998 * 60
    assert len(desk.get("copy_rates_range", "EURUSD", M1, start, OPENING)) == 999
    assert desk.ask("copy_rates_range", "EURUSD", M1, start - 60, OPENING) == (None, INVALID)


def test_years_of_minutes_are_kept_for_the_next_request(synthetic: Synthetic) -> None:
    desk = synthetic()
    start, stop = OPENING - 60 * 250_000, OPENING - 60
    first = desk.get("copy_rates_range", "EURUSD", M1, start, stop)
    second = desk.get("copy_rates_range", "EURUSD", M1, start, stop)
    assert len(first) == 250_000
    assert np.shares_memory(first, second)


@pytest.mark.parametrize("name", ["copy_rates_from_pos", "copy_rates_from", "copy_rates_range"])
def test_bad_symbols_and_timeframes(synthetic: Synthetic, name: str) -> None:
    desk = synthetic()
    assert desk.ask(name, "NOSUCH", M1, 0, 10) == (None, NOT_FOUND)
    assert desk.ask(name, "EURUSD", 7, 0, 10) == (None, INVALID)


def test_ticks_by_flags(synthetic: Synthetic) -> None:
    desk = synthetic()
    desk.at(600)
    every = desk.get("copy_ticks_from", "EURUSD", OPENING, 100, c.COPY_TICKS_ALL)
    assert len(every) == 100
    assert int(every["time_msc"][0]) == OPENING * 1000
    assert np.all(np.diff(every["time_msc"]) > 0)
    assert np.all((every["flags"] & 6) > 0)
    quotes = desk.get("copy_ticks_from", "EURUSD", OPENING, 100, c.COPY_TICKS_INFO)
    assert np.array_equal(quotes, every)
    assert len(desk.get("copy_ticks_from", "EURUSD", OPENING, 100, c.COPY_TICKS_TRADE)) == 0
    assert len(desk.get("copy_ticks_from", "EURUSD", OPENING + 601, 100, c.COPY_TICKS_ALL)) == 0
    assert desk.ask("copy_ticks_from", "EURUSD", OPENING, 100, 99) == (None, INVALID)
    assert desk.ask("copy_ticks_range", "NOSUCH", OPENING, OPENING, -1) == (None, NOT_FOUND)


def test_symbols(synthetic: Synthetic) -> None:
    desk = synthetic()
    symbols = desk.get("symbols_get")
    assert desk.get("symbols_total") == len(symbols) == len({symbol.name for symbol in symbols})
    assert any(not symbol.visible for symbol in symbols)
    names = [symbol.name for symbol in desk.get("symbols_get", "*USD*,!EURUSD")]
    assert "GBPUSD" in names
    assert "EURUSD" not in names
    info = desk.get("symbol_info", "EURUSD")
    tick = desk.get("symbol_info_tick", "EURUSD")
    assert (info.digits, info.point, info.trade_contract_size) == (5, 1e-5, 100_000.0)
    assert (info.bid, info.ask, info.spread) == (tick.bid, tick.ask, round((tick.ask - tick.bid) * 1e5))
    assert info.bidlow <= info.bid <= info.bidhigh
    for symbol in symbols:
        kinds = zip(symbol, type(symbol).__annotations__.values(), strict=True)
        assert all(type(value) is kind for value, kind in kinds), symbol
        assert symbol.bid > 0
        assert symbol.trade_tick_value > 0
    for name in ("symbol_info", "symbol_info_tick"):
        assert desk.ask(name, "eurusd") == (None, NOT_FOUND)
    assert desk.ask("symbol_select", "NOSUCH") == (False, NOT_FOUND)


def test_the_depth_of_market(synthetic: Synthetic) -> None:
    desk = synthetic()
    assert desk.ask("market_book_get", "EURUSD")[0] is None
    assert desk.get("market_book_add", "EURUSD") is True
    assert desk.get("market_book_get", "EURUSD") == ()
    assert desk.get("market_book_release", "EURUSD") is True
    # section 1: a failure leaves the error text untouched
    assert desk.ask("market_book_add", "NOSUCH") == (False, (1, "Success"))


def test_credentials(synthetic: Synthetic) -> None:
    desk = synthetic(login=77, password="right", server="Here")
    denied = (False, (-6, "Terminal: Authorization failed"))
    assert desk.get("initialize") is True
    assert desk.get("initialize", login=77, password="right", server="Here") is True
    assert desk.ask("initialize", login=77, password="wrong") == denied
    assert desk.get("login", 77) is True
    assert desk.ask("login", 78, "right", "Here") == denied
    assert desk.ask("login", 77, "right", "There") == denied
    assert desk.get("shutdown") is True
    assert desk.get("account_info").login == 77


def test_every_operation_answers(synthetic: Synthetic) -> None:
    desk = synthetic()
    arguments: dict[str, tuple[object, ...]] = {
        "login": (desk.terminal.config.login,),
        "order_check": ({},),
        "order_send": ({},),
        "order_calc_margin": (0, "EURUSD", 1.0, 1.0),
        "order_calc_profit": (0, "EURUSD", 1.0, 1.0, 1.1),
        "copy_ticks_from": ("EURUSD", OPENING, 1, -1),
        "copy_ticks_range": ("EURUSD", OPENING, OPENING, -1),
        "copy_rates_from": ("EURUSD", 1, OPENING, 1),
        "copy_rates_from_pos": ("EURUSD", 1, 0, 1),
        "copy_rates_range": ("EURUSD", 1, OPENING, OPENING),
    }
    by_symbol = ("symbol_info", "symbol_info_tick", "symbol_select", "market_book_add", "market_book_get")
    arguments |= dict.fromkeys((*by_symbol, "market_book_release"), ("EURUSD",))
    arguments |= {name: (0, OPENING) for name in OFFICIAL if name.startswith("history")}
    for name in OFFICIAL:
        assert desk.get(name, *arguments.get(name, ())) is not None, name


def test_a_stream_misses_no_tick(synthetic: Synthetic) -> None:
    desk = synthetic()
    terminal = desk.terminal
    assert not terminal.follow(Ticks("NOSUCH"))
    assert terminal.follow(Ticks("EURUSD"))
    ((topic, cursor, begin),) = new_ticks(terminal)
    assert (topic, len(begin)) == (Ticks("EURUSD"), 0)
    taken = []
    for _ in range(200):
        desk.clock.now += terminal.advance()
        for topic, start, ticks in new_ticks(terminal):
            assert (topic, start) == (Ticks("EURUSD"), cursor)
            cursor = start.after(ticks)
            taken.extend(ticks.tolist())
    first_msc = OPENING * 1000 + 1
    every = desk.get("copy_ticks_range", "EURUSD", OPENING, OPENING + 3600, -1).tolist()
    assert taken == [row for row in every if row[5] >= first_msc]
    assert len(taken) > 100
    terminal.unfollow(Ticks("EURUSD"))
    desk.at(1000)
    assert terminal.take_news() == []
    assert terminal.advance() == 60.0


@pytest.mark.parametrize("start", [10_000, 600_000_000, 4_102_444_800, 7_000_000_000, 32_000_000_000])
@pytest.mark.parametrize("sessions", ["always", "real"])
def test_every_year_has_prices(synthetic: Synthetic, start: int, sessions: str) -> None:
    """The walk is known from 1990 to 2099; 9,000 seconds before that and long after it there are prices."""
    desk = synthetic(start=float(start), sessions=sessions)
    assert all(info.bid < info.ask for info in desk.get("symbols_get") if info.bid)
    days = desk.get("copy_rates_from_pos", "EURUSD", D1, 0, 5)
    assert len(days) == (5 if start > 100_000 else 1)
    assert (days["low"] > 0.5).all()
    desk.clock.now += 3600
    assert desk.get("account_info").equity == 10_000.0


def test_the_walk_goes_on_where_its_days_end(synthetic: Synthetic) -> None:
    """The first day of 2100 opens where the last one of 2099 closed."""
    desk = synthetic(start=4_102_444_800.0 + 90_000)
    before, after = desk.get("copy_rates_from", "EURUSD", D1, 4_102_444_800, 2)
    assert after["time"] == 4_102_444_800
    assert after["open"] == pytest.approx(before["close"], abs=1e-5)

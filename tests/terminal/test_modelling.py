"""How an M1 bar becomes ticks: mql5.com article 75, the help's "Real and Generated Ticks", and what is ours.

All expected paths are worked out by hand from the rules that the module's docstring states.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mt5crs.bars import collect
from mt5crs.model import RATES, RatesArray
from mt5crs.terminal.simulated.prices.expand import expand
from mt5crs.terminal.simulated.prices.modelling import MOST_TICKS, directions
from mt5crs.terminal.simulated.prices.sources import BarSource

Prices = tuple[int, int, int, int]


def bar(prices: Prices, volume: int, spread: int = 0, real: int = 0, time: int = 60) -> RatesArray:
    """Return a bar of open, high, low, close in points of one digit."""
    return np.array([(time, *(price / 10 for price in prices), volume, spread, real)], RATES.dtype)


def path(prices: Prices, volume: int) -> list[int]:
    return [round(bid * 10) for bid in expand(bar(prices, volume), 1)["bid"].tolist()]


@pytest.mark.parametrize(
    ("prices", "volume", "expected"),
    [
        # one tick is the close, two are open and close
        ((100, 100, 100, 100), 1, [100]),
        ((100, 103, 100, 103), 2, [100, 103]),
        # three: the extreme between, or a point on the way of a price that went one way
        ((100, 105, 100, 100), 3, [100, 105, 100]),
        ((100, 100, 95, 100), 3, [100, 95, 100]),
        ((100, 105, 100, 102), 3, [100, 105, 102]),
        ((100, 102, 97, 102), 3, [100, 97, 102]),
        ((100, 106, 100, 106), 3, [100, 103, 106]),
        # 1-1-1: low first where the bar rises, high first where it falls
        ((110, 120, 100, 115), 4, [110, 100, 120, 115]),
        ((115, 120, 100, 110), 4, [115, 120, 100, 110]),
        # 1-3-1: the range in two waves, at 2/3, 1/3 and its end
        ((110, 160, 100, 150), 6, [110, 100, 140, 120, 160, 150]),
        # 2-3-2: two points of a shadow are at its half and its end
        ((120, 160, 100, 140), 8, [120, 110, 100, 140, 120, 160, 150, 140]),
        # 3-5-3: a shadow at 3/4, 1/4 and its end; the range in three waves
        (
            (140, 180, 100, 160),
            12,
            [140, 110, 130, 100, 140, 120, 160, 140, 180, 165, 175, 160],
        ),
        # no shadows: 1-2-1 and two given to the range are 4, and 3 are odd; four steps for three points
        ((100, 130, 100, 130), 5, [100, 120, 110, 120, 130]),
        # shadows of one point have one support point: 1-5-1 instead of 3-5-3, 11 steps for 7 legs, which
        # begin at steps 0, 1, 3, 4, 6, 7 and 9; the range of 41 at 20, 10, 30, 20 and its end
        ((101, 141, 100, 140), 12, [101, 100, 110, 120, 110, 120, 130, 120, 130, 141, 140, 140]),
        # a range of one point has room for one wave: a saw over 9 steps
        ((100, 101, 100, 101), 10, [100, 101, 100, 101, 100, 101, 100, 101, 100, 101]),
        # one of three points has room for two: 2/3, 1/3 and its end, two steps each: back in a saw
        ((100, 103, 100, 103), 7, [100, 101, 102, 101, 101, 102, 103]),
    ],
)
def test_paths(prices: Prices, volume: int, expected: list[int]) -> None:
    assert path(prices, volume) == expected


def test_between_support_points_the_price_goes_evenly_or_in_a_saw() -> None:
    # 3-5-3 on 11 legs of 2 steps each: 40 points down 30 in two steps, then up 20, ...
    ticks = path((140, 180, 100, 160), 23)
    assert ticks[:7] == [140, 125, 110, 120, 130, 115, 100]


def test_a_price_that_cannot_move_stands() -> None:
    ticks = expand(bar((100, 100, 100, 100), 5), 1)
    assert ticks["bid"].tolist() == [10.0] * 5
    assert ticks["flags"].tolist() == [6] * 5
    assert ticks["time_msc"].tolist() == [60_000, 72_000, 84_000, 96_000, 108_000]


def test_a_doji_is_the_opposite_of_the_bar_before_it() -> None:
    rising, falling, doji = (100, 104, 98, 102), (102, 104, 98, 100), (101, 103, 99, 101)
    bars = np.concatenate(
        [
            bar(prices, 4, time=60 * place)
            for place, prices in enumerate((doji, rising, doji, doji, falling, doji))
        ]
    )
    assert directions(bars).tolist() == [True, True, False, False, False, True]
    ticks = BarSource(bars, 1).ticks(0, 1 << 40)
    assert ticks["bid"].reshape(6, 4)[:, 1].tolist() == [9.9, 9.8, 10.3, 10.3, 10.4, 9.9]
    # the bar before counts too where the doji's minute alone is asked for
    assert BarSource(bars, 1).ticks(120_000, 180_000)["bid"].tolist() == [10.1, 10.3, 9.9, 10.1]


def test_ohlc_has_four_ticks_at_fixed_moments() -> None:
    rises = expand(bar((110, 120, 100, 115), 400, 2), 1, modelling="ohlc")
    assert rises["bid"].tolist() == [11.0, 10.0, 12.0, 11.5]
    assert rises["ask"].tolist() == [11.2, 10.2, 12.2, 11.7]
    assert rises["time_msc"].tolist() == [60_000, 80_000, 100_000, 119_000]
    falls = expand(bar((115, 120, 100, 110), 1), 1, modelling="ohlc")
    assert falls["bid"].tolist() == [11.5, 12.0, 10.0, 11.0]
    still = expand(bar((100, 100, 100, 100), 1), 1, modelling="ohlc")
    assert still["bid"].tolist() == [10.0] * 4


def test_a_spread_of_zero_stays() -> None:
    ticks = expand(bar((100, 105, 95, 101), 9, spread=0), 1)
    assert np.array_equal(ticks["bid"], ticks["ask"])


def test_more_ticks_than_milliseconds_are_not_made() -> None:
    ticks = expand(bar((100, 105, 95, 101), 10_000_000), 1)
    assert len(ticks) == MOST_TICKS
    assert np.all(np.diff(ticks["time_msc"]) == 1)


def test_published_trades_have_sides_and_share_the_real_volume() -> None:
    # 1-1-1: down to the low, up to the high, down to the close; 6 over 4 ticks is 2, 1, 2, 1
    ticks = expand(bar((110, 120, 100, 115), 4, spread=5, real=6), 1, has_last=True)
    assert ticks["volume"].tolist() == [2, 1, 2, 1]
    assert ticks["volume_real"].tolist() == [2.0, 1.0, 2.0, 1.0]
    # at the ask where it rose (and first), at the bid where it fell
    assert ticks["last"].tolist() == [11.5, 10.0, 12.5, 11.5]
    # section 3: 2 bid, 4 ask, 8 last, 16 volume, 32 buy, 64 sell
    assert ticks["flags"].tolist() == [62, 94, 62, 94]


def test_a_tick_without_a_trade_repeats_the_last_one() -> None:
    ticks = expand(bar((110, 120, 100, 115), 4, real=2), 1, has_last=True)
    assert ticks["volume"].tolist() == [1, 1, 1, 1]
    assert ticks["last"].tolist() == [11.0, 11.0, 12.0, 12.0]
    assert ticks["flags"].tolist() == [62, 6, 62, 6]
    quiet = expand(bar((110, 120, 100, 115), 4, real=0), 1, has_last=True)
    assert quiet["last"].tolist() == [11.0] * 4
    assert quiet["flags"].tolist() == [6] * 4


@st.composite
def bars(draw: st.DrawFn) -> RatesArray:
    rows = []
    for minute in range(draw(st.integers(1, 5))):
        a, b, c, d = (draw(st.integers(900, 900 + draw(st.sampled_from((1, 4, 40, 400))))) for _ in range(4))
        volume, spread, real = draw(st.integers(1, 60)), draw(st.integers(0, 9)), draw(st.integers(0, 500))
        high, low = max(a, b, c, d), min(a, b, c, d)
        rows.append((minute * 60, a / 100, high / 100, low / 100, b / 100, volume, spread, real))
    return np.array(rows, RATES.dtype)


@given(bars(), st.booleans())
def test_ticks_make_the_bars_again(made: RatesArray, has_last: bool) -> None:
    for modelling in ("every_tick", "ohlc"):
        ticks = expand(made, 2, rising=directions(made), has_last=has_last, modelling=modelling)
        again = collect(ticks, 2)
        for field in ("time", "open", "high", "low", "close", "spread"):
            assert np.array_equal(again[field], made[field]), field
        if has_last:
            assert np.array_equal(again["real_volume"], made["real_volume"])
        wanted = np.full(len(made), 4) if modelling == "ohlc" else np.maximum(made["tick_volume"], 4)
        assert np.all(again["tick_volume"] <= wanted)
        assert np.all(again["tick_volume"] >= np.minimum(made["tick_volume"], 4))
        assert np.all(np.diff(ticks["time_msc"]) >= 0)
        assert np.all(ticks["flags"] > 0)


@given(bars())
def test_a_minute_is_the_same_however_it_is_asked_for(made: RatesArray) -> None:
    source = BarSource(made, 2)
    whole = source.ticks(0, 1 << 40)
    parts = [source.ticks(minute * 60_000, (minute + 1) * 60_000) for minute in range(len(made))]
    assert np.array_equal(np.concatenate(parts), whole)

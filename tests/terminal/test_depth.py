"""The depth of market (section 9), and what fills take from it."""

import itertools
import math
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mt5crs.model import Tick
from mt5crs.terminal.simulated.instruments.catalogue import Instrument
from mt5crs.terminal.simulated.instruments.loading import load_catalogue
from mt5crs.terminal.simulated.prices.depth import Depth, Level
from tests.terminal.desk import OPENING, Desk

EURUSD = load_catalogue().symbols["EURUSD"]
SHARE = {"digits": 2, "tick_size": 0.25, "volume_min": 1.0, "volume_step": 1.0, "book_volume": 100.0}
SHARES = msgspec.structs.replace(EURUSD, name="SHARE", book_depth=5, **SHARE)


def tick(bid: float = 99.75, ask: float = 100.25, msc: int = OPENING * 1000) -> Tick:
    return Tick((msc // 1000, bid, ask, 0.0, 0, msc, 6, 0.0))


def test_levels_stand_at_the_quote_and_go_away_from_it() -> None:
    asks, bids = Depth(1).levels(SHARES, tick())
    assert len(asks) == len(bids) == 5
    assert (asks[0].price, bids[0].price) == (100.25, 99.75)
    # one or two tick sizes from level to level
    assert {round(b.price - a.price, 8) for a, b in itertools.pairwise(asks)} <= {0.25, 0.5}
    assert {round(a.price - b.price, 8) for a, b in itertools.pairwise(bids)} <= {0.25, 0.5}
    assert all(50 <= level.volume <= 150 and level.volume % 1 == 0 for level in asks + bids)


def test_the_same_seed_symbol_and_tick_have_the_same_depth() -> None:
    levels = Depth(1).levels(SHARES, tick())
    assert Depth(1).levels(SHARES, tick()) == levels
    assert Depth(2).levels(SHARES, tick()) != levels
    assert Depth(1).levels(SHARES, tick(msc=OPENING * 1000 + 1)) != levels
    assert Depth(1).levels(msgspec.structs.replace(SHARES, name="OTHER"), tick()) != levels


def test_a_symbol_without_depth_fills_any_volume_at_the_quote() -> None:
    depth = Depth(1)
    assert depth.levels(EURUSD, tick()) == ([Level(100.25, math.inf)], [Level(99.75, math.inf)])
    for _ in range(2):
        assert depth.take(EURUSD, tick(), True, 500.0) == [Level(100.25, 500.0)]
        assert depth.take(EURUSD, tick(), False, 0.01) == [Level(99.75, 0.01)]
    assert depth.take(EURUSD, tick(), True, 1.0, limit=100.0) == []


def test_there_is_nothing_before_the_first_tick() -> None:
    assert Depth(1).levels(SHARES, tick(0.0, 0.0, 0)) == ([], [])
    assert Depth(1).levels(EURUSD, tick(0.0, 0.0, 0)) == ([], [])


def test_what_is_taken_is_gone_until_the_next_tick() -> None:
    depth = Depth(1)
    asks, bids = depth.levels(SHARES, tick())
    wanted = asks[0].volume + 10
    fills = [Level(100.25, asks[0].volume), Level(asks[1].price, 10.0)]
    assert depth.peek(SHARES, tick(), True, wanted) == fills
    assert depth.levels(SHARES, tick()) == (asks, bids)
    assert depth.take(SHARES, tick(), True, wanted) == fills
    left, same = depth.levels(SHARES, tick())
    assert left == [Level(asks[1].price, asks[1].volume - 10), *asks[2:]]
    assert same == bids
    # another tick of the same millisecond is another tick
    assert depth.levels(SHARES, tick(bid=99.5))[0] == asks
    assert depth.levels(SHARES, tick()) == (left, bids)
    assert depth.take(SHARES, tick(msc=OPENING * 1000 + 1), True, 1.0)[0].price == 100.25


@pytest.mark.parametrize("is_buy", [True, False])
def test_no_fill_is_worse_than_the_limit(is_buy: bool) -> None:
    depth = Depth(1)
    levels = depth.levels(SHARES, tick())[0 if is_buy else 1]
    everything = sum(level.volume for level in levels)
    worse = -0.25 if is_buy else 0.25
    assert depth.peek(SHARES, tick(), is_buy, 1.0, levels[0].price + worse) == []
    assert depth.peek(SHARES, tick(), is_buy, 1e6, levels[0].price) == levels[:1]
    assert depth.take(SHARES, tick(), is_buy, 1e6, levels[2].price) == levels[:3]
    assert sum(fill.volume for fill in depth.take(SHARES, tick(), is_buy, 1e6)) == everything - sum(
        level.volume for level in levels[:3]
    )
    assert depth.peek(SHARES, tick(), is_buy, 1.0) == []


def test_prices_do_not_fall_to_nothing() -> None:
    _asks, bids = Depth(1).levels(SHARES, tick(0.5, 0.75))
    assert [level.price for level in bids] in ([0.5], [0.5, 0.25])


@given(
    st.integers(0, 1 << 62),
    st.sampled_from((0.01, 0.1, 0.07, 1.0)),
    st.lists(st.tuples(st.booleans(), st.integers(1, 3000)), max_size=6),
)
def test_fills_never_exceed_what_was_there(seed: int, step: float, orders: list[tuple[bool, int]]) -> None:
    instrument: Instrument = msgspec.structs.replace(SHARES, volume_step=step, volume_min=step)
    depth = Depth(seed)
    whole = depth.levels(instrument, tick())
    for side, levels in zip((True, False), whole, strict=True):
        offered = sum(level.volume for level in levels)
        fills = [
            fill
            for is_buy, steps in orders
            if is_buy is side
            for fill in depth.take(instrument, tick(), is_buy, round(steps * step, 8))
        ]
        asked = sum(steps * step for is_buy, steps in orders if is_buy is side)
        assert math.isclose(sum(fill.volume for fill in fills), min(offered, asked), abs_tol=1e-6)
        assert all(math.isclose(fill.volume / step, round(fill.volume / step)) for fill in fills)


def test_the_book_of_a_symbol(synthetic: Callable[..., Desk]) -> None:
    desk = synthetic()
    market = desk.terminal._market
    market.symbols["EURUSD"] = msgspec.structs.replace(EURUSD, book_depth=4, book_volume=2.5)
    assert desk.ask("market_book_get", "EURUSD")[0] is None
    assert desk.get("market_book_add", "EURUSD") is True
    book = desk.get("market_book_get", "EURUSD")
    quote = desk.get("symbol_info_tick", "EURUSD")
    assert [row.type for row in book] == [1, 1, 1, 1, 2, 2, 2, 2]
    assert [row.price for row in book] == sorted((row.price for row in book), reverse=True)
    assert (book[3].price, book[4].price) == (quote.ask, quote.bid)
    assert all(type(row.volume) is int and type(row.volume_dbl) is float for row in book)
    assert all(1.25 <= row.volume_dbl <= 3.75 and row.volume == int(row.volume_dbl) for row in book)
    assert desk.get("market_book_get", "EURUSD") == book
    market.depth.take(market.symbols["EURUSD"], quote, True, book[3].volume_dbl)
    assert desk.get("market_book_get", "EURUSD") == book[:3] + book[4:]
    assert desk.get("market_book_release", "EURUSD") is True
    assert desk.ask("market_book_get", "EURUSD")[0] is None

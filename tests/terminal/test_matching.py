"""When a tick touches what rests, price by price; digest section 5, "Activation"."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mt5crs import constants as c
from mt5crs.model import Tick
from mt5crs.terminal.simulated.trading.matching import Levels, is_triggered, limit_price, stop_touched


def tick(bid: float, ask: float, last: float = 0.0) -> Tick:
    return Tick((0, bid, ask, last, 0, 0, 0, 0.0))


@pytest.mark.parametrize(
    ("kind", "touched", "untouched"),
    [
        (c.ORDER_TYPE_BUY_LIMIT, tick(9.8, 10.0), tick(9.9, 10.1)),
        (c.ORDER_TYPE_SELL_LIMIT, tick(10.0, 10.2), tick(9.9, 10.1)),
        (c.ORDER_TYPE_BUY_STOP, tick(9.8, 10.0), tick(9.7, 9.9)),
        (c.ORDER_TYPE_SELL_STOP, tick(10.0, 10.2), tick(10.1, 10.3)),
        (c.ORDER_TYPE_BUY_STOP_LIMIT, tick(9.8, 10.0), tick(9.7, 9.9)),
        (c.ORDER_TYPE_SELL_STOP_LIMIT, tick(10.0, 10.2), tick(10.1, 10.3)),
    ],
)
def test_pending_orders(kind: int, touched: Tick, untouched: Tick) -> None:
    assert is_triggered(kind, 10.0, touched)
    assert not is_triggered(kind, 10.0, untouched)


@pytest.mark.parametrize(
    ("kind", "last"), [(2, 10.0), (3, 10.0), (4, 10.0), (5, 10.0), (2, 9.9), (3, 10.1), (4, 10.1), (5, 9.9)]
)
def test_on_an_exchange_the_last_price_sets_orders_off(kind: int, last: float) -> None:
    """Bid and ask are beyond the level on both sides and do not count."""
    assert is_triggered(kind, 10.0, tick(10.5, 9.5, last), by_last=True)
    other_side = 20.0 - last if last != 10.0 else 10.1 if kind in {2, 5} else 9.9
    assert not is_triggered(kind, 10.0, tick(9.5, 10.5, other_side), by_last=True)


def test_before_the_first_trade_of_an_exchange_nothing_is_set_off() -> None:
    quote = tick(9.0, 9.1, 0.0)
    assert not any(is_triggered(kind, 10.0, quote, by_last=True) for kind in range(2, 8))
    assert stop_touched(True, 9.5, 0.0, quote, by_last=True) == 0
    assert stop_touched(True, 9.5, 0.0, quote) == c.ORDER_REASON_SL


def test_stops_look_at_what_the_position_would_be_closed_at() -> None:
    quote = tick(10.0, 10.2)
    assert stop_touched(True, 10.0, 0.0, quote) == c.ORDER_REASON_SL
    assert stop_touched(True, 0.0, 10.0, quote) == c.ORDER_REASON_TP
    assert stop_touched(False, 10.2, 0.0, quote) == c.ORDER_REASON_SL
    assert stop_touched(False, 0.0, 10.2, quote) == c.ORDER_REASON_TP
    assert stop_touched(True, 9.9, 10.1, quote) == stop_touched(False, 10.3, 10.1, quote) == 0
    assert stop_touched(True, 9.9, 10.1, tick(9.9, 10.1, 10.1), by_last=True) == c.ORDER_REASON_TP


def test_a_limit_fills_at_its_level_or_better() -> None:
    assert (limit_price(True, 10.0, 9.9), limit_price(True, 10.0, 10.1)) == (9.9, 10.0)
    assert (limit_price(False, 10.0, 10.1), limit_price(False, 10.0, 9.9)) == (10.1, 10.0)


PRICE = st.integers(90, 110).map(float)
STOP = st.one_of(st.just(0.0), PRICE)


@given(
    st.lists(st.tuples(st.integers(2, 7), PRICE), max_size=5),
    st.lists(st.tuples(st.booleans(), STOP, STOP), max_size=5),
    st.lists(st.tuples(PRICE, PRICE, PRICE), max_size=12),
    st.booleans(),
)
def test_the_levels_of_all_find_the_first_tick_that_touches_one(
    orders: list[tuple[int, float]],
    stops: list[tuple[bool, float, float]],
    ticks: list[tuple[float, float, float]],
    by_last: bool,
) -> None:
    levels = Levels(by_last)
    for kind, price in orders:
        levels.add_order(kind, price)
    for is_buy, sl, tp in stops:
        levels.add_stops(is_buy, sl, tp)

    def touches(quote: Tick) -> bool:
        ordered = any(is_triggered(kind, price, quote, by_last) for kind, price in orders)
        return ordered or any(stop_touched(is_buy, sl, tp, quote, by_last) for is_buy, sl, tp in stops)

    first = next((place for place, row in enumerate(ticks) if touches(tick(*row))), None)
    columns = np.array(ticks, np.float64).reshape(-1, 3).T
    assert levels.first_outside(columns, 0, len(ticks)) == first

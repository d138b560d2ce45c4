"""Swap at midnight, by `SYMBOL_SWAP_MODE`; section 7 of the semantics digest.

The rollover of `MIDNIGHT` ends a Tuesday; the one a day later a Wednesday, the triple day.
"""

from typing import Any

import pytest

from mt5crs import constants as c
from tests.terminal.books import BUY, DAY, MIDNIGHT, SELL, Books, good, instrument

QUOTES: dict[str, Any] = {"EURUSD": (1.1, 1.1002), "USDJPY": (150.0, 150.5), "GBPUSD": (1.25, 1.26)}
RATES: dict[str, Any] = {"swap_long": -7.0, "swap_short": 2.0}


def swaps(books: Books, midnight: int = MIDNIGHT) -> list[float]:
    books.account.roll_over(midnight)
    return [position.swap for position in books.account.positions.values()]


def both(symbol: Any, *others: Any, currency: str = "USD", volume: float = 2.0, price: float = 1.0) -> Books:
    """Return books with a long and a short position in a symbol."""
    books = Books(symbol, *others, currency=currency, **QUOTES, C=(50.0, 60.0))
    for side in (BUY, SELL):
        books.open(symbol.name, side, volume, price)
    return books


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (c.SYMBOL_SWAP_MODE_DISABLED, [0.0, 0.0]),
        (c.SYMBOL_SWAP_MODE_POINTS, [-14.0, 4.0]),  # 2 x 100000 x 0.00001 x points
        (c.SYMBOL_SWAP_MODE_CURRENCY_SYMBOL, [-15.4, 4.4]),  # -14 EUR bought at 1.1002, 4 EUR sold at 1.1
        (c.SYMBOL_SWAP_MODE_CURRENCY_MARGIN, [-15.4, 4.4]),
        (c.SYMBOL_SWAP_MODE_CURRENCY_DEPOSIT, [-14.0, 4.0]),
        # 200000 x 1.1 x -7 / 100 / 360, and 200000 x 1.1002 x 2 / 100 / 360
        (c.SYMBOL_SWAP_MODE_INTEREST_CURRENT, [-42.78, 12.22]),
        # 200000 x 1.05 x -7 / 100 / 360, x 2
        (c.SYMBOL_SWAP_MODE_INTEREST_OPEN, [-40.83, 11.67]),
    ],
)
def test_modes(mode: int, expected: list[float]) -> None:
    assert swaps(both(instrument("EURUSD", swap_mode=mode, **RATES), price=1.05)) == expected


def test_the_margin_currency_can_be_another_than_the_base() -> None:
    symbol = instrument("EURUSD", swap_mode=3, currency_margin="GBP", **RATES)
    assert swaps(both(symbol, instrument("GBPUSD"))) == [-17.64, 5.0]  # -14 x 1.26; 4 x 1.25


def test_points_are_converted_at_the_worse_rate() -> None:
    symbol = instrument("USDJPY", swap_mode=1, digits=3, **RATES)
    # 200000 x 0.001 = 200 JPY a point: -1400 bought at 1 / 150, 400 sold at 1 / 150.5
    assert swaps(both(symbol)) == [-9.33, 2.66]
    assert swaps(both(symbol, currency="JPY")) == [-1400.0, 400.0]


def test_interest_of_goods_and_futures() -> None:
    cfd = good("C", 2, contract_size=10.0, swap_mode=5, swap_long=-18.0, swap_short=-36.0)
    # 2 x 10 x 50 x 18% / 360; a short is closed at the ask: 2 x 10 x 60 x 36% / 360
    assert swaps(both(cfd)) == [-0.5, -1.2]
    future = good("C", 1, tick_size=0.5, tick_value=5.0, swap_mode=6, swap_long=-18.0, swap_short=36.0)
    assert swaps(both(future, price=40.0)) == [-0.4, 0.8]  # 2 x 40 x 10 x 18% / 360


@pytest.mark.parametrize(
    ("days", "ended", "count"),
    [
        (0, "Tuesday", 1),
        (1, "Wednesday", 3),
        (2, "Thursday", 1),
        (3, "Friday", 1),
        (4, "Saturday", 0),
        (5, "Sunday", 0),
        (6, "Monday", 1),
    ],
)
def test_nights(days: int, ended: str, count: int) -> None:
    books = both(instrument("EURUSD", swap_mode=1, **RATES), volume=1.0)
    assert swaps(books, MIDNIGHT + days * DAY) == [-7.0 * count, 2.0 * count]


def test_another_triple_day_and_days_of_ones_own() -> None:
    friday = instrument("EURUSD", swap_mode=1, swap_rollover3days=5, **RATES)
    assert swaps(both(friday, volume=1.0), MIDNIGHT + DAY)[0] == -7.0
    assert swaps(both(friday, volume=1.0), MIDNIGHT + 3 * DAY)[0] == -21.0
    own = instrument("EURUSD", swap_mode=1, swap_days=(1, 0, 4, 1, 1, 1, 2), **RATES)  # from Sunday on
    nights = [swaps(both(own, volume=1.0), MIDNIGHT + day * DAY)[0] / -7.0 for day in range(7)]
    assert nights == [4.0, 1.0, 1.0, 1.0, 2.0, 1.0, 0.0]  # from Tuesday on


def test_it_gathers_in_the_position_and_not_in_the_balance() -> None:
    books = both(instrument("EURUSD", swap_mode=1, **RATES))
    profit = books.account.totals().profit
    for day in range(7):
        books.account.roll_over(MIDNIGHT + day * DAY)
    assert [p.swap for p in books.account.positions.values()] == [-98.0, 28.0]  # seven nights
    totals = books.account.totals()
    assert totals.balance == 10_000.0
    assert totals.profit == round(profit - 70.0, 2)
    assert len(books.account.history.deals_between(0, 1 << 40)) == 3  # the deposit, and two opened


def test_what_is_opened_at_midnight_or_later_is_left_alone() -> None:
    symbol = instrument("EURUSD", swap_mode=1, **RATES)
    books = Books(symbol, **QUOTES)
    for msc in (MIDNIGHT - 1, MIDNIGHT, MIDNIGHT + 1):
        books.open("EURUSD", BUY, 1.0, 1.1, msc)
    assert swaps(books) == [-7.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("mode", "prices"),
    [
        # closed at 1.1 (bid) and 1.1002 (ask): 7 points dearer; 2 points dearer, which a short likes
        (c.SYMBOL_SWAP_MODE_REOPEN_CURRENT, [1.10007, 1.10022]),
        # from the bid, also for the short
        (c.SYMBOL_SWAP_MODE_REOPEN_BID, [1.10007, 1.10002]),
    ],
)
def test_reopening_changes_price_and_time(mode: int, prices: list[float]) -> None:
    books = both(instrument("EURUSD", swap_mode=mode, **RATES), volume=1.0, price=1.09)
    tickets = list(books.account.positions)
    assert swaps(books) == [0.0, 0.0]
    positions = list(books.account.positions.values())
    assert [p.ticket for p in positions] == tickets
    assert [p.price_open for p in positions] == prices
    assert [(p.time_msc, p.time_update_msc) for p in positions] == [(MIDNIGHT, MIDNIGHT)] * 2
    # the profit so far is realised: 0.01 x 100000, and -0.0102 x 100000
    assert books.account.balance == 10_000.0 + 1000.0 - 1020.0
    deals = books.account.history.deals_between(MIDNIGHT // 1000, MIDNIGHT // 1000)
    assert [(d.position_id, d.entry, d.type, d.price, d.profit, d.reason) for d in deals] == [
        (tickets[0], 1, SELL, 1.1, 1000.0, c.DEAL_REASON_ROLLOVER),
        (tickets[0], 0, BUY, prices[0], 0.0, c.DEAL_REASON_ROLLOVER),
        (tickets[1], 1, BUY, 1.1002, -1020.0, c.DEAL_REASON_ROLLOVER),
        (tickets[1], 0, SELL, prices[1], 0.0, c.DEAL_REASON_ROLLOVER),
    ]
    totals = books.account.totals()
    assert totals.margin == books.account.margin(*books.fresh())
    # the weekend does not reopen anything
    books.account.roll_over(MIDNIGHT + 4 * DAY)
    assert [p.time_msc for p in books.account.positions.values()] == [MIDNIGHT] * 2


def test_three_nights_are_three_times_the_points() -> None:
    books = both(instrument("EURUSD", swap_mode=8, **RATES))
    books.account.roll_over(MIDNIGHT + DAY)
    assert [p.price_open for p in books.account.positions.values()] == [1.10021, 1.10006]


def test_swap_that_was_gathered_before_is_realised_when_a_position_is_reopened() -> None:
    books = both(instrument("EURUSD", swap_mode=7, **RATES), volume=1.0, price=1.1)
    position = next(iter(books.account.positions.values()))
    position.swap = -3.5
    books.account.refresh([position])
    books.account.roll_over(MIDNIGHT)
    assert position.swap == 0.0
    # 0 for the long one closed at 1.1, and -20 for the short one closed at 1.1002
    assert books.account.balance == 10_000.0 - 3.5 - 20.0

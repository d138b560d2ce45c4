"""Margin of positions and orders together: section 7 of the semantics digest.

The numbers of hedging accounts, and of fixed margin, are the worked examples of the help page on margin
calculation ("Retail Forex, CFD, Futures").
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mt5crs import constants as c
from mt5crs.terminal.simulated.instruments.catalogue import Instrument
from tests.terminal.books import BUY, SELL, Books, good, instrument

BUY_LIMIT, SELL_LIMIT = c.ORDER_TYPE_BUY_LIMIT, c.ORDER_TYPE_SELL_LIMIT
BUY_STOP, SELL_STOP = c.ORDER_TYPE_BUY_STOP, c.ORDER_TYPE_SELL_STOP
ALL = dict.fromkeys(("buy", "sell", "buy_limit", "sell_limit", "buy_stop", "sell_stop"), 1.0)
QUOTE = (1.1600, 1.1602)


def forex(**fields: object) -> Instrument:
    return instrument("EURUSD", **fields)


def held(books: Books) -> float:
    """Return the account's margin; read from the positions one by one it is the same."""
    totals = books.account.totals()
    assert totals.margin == books.account.margin(*books.fresh())
    assert totals.margin_free == round(totals.equity - totals.margin, 2)
    return totals.margin


# ---- hedging ----


def test_one_side_is_charged_at_its_weighted_open_price() -> None:
    # 3 x 5000 x 15.43333 / 100 = 2315.00, and 1 x 5000 x 15.412 / 100 = 770.60 for the order
    symbol = good("G", 4, contract_size=5000.0, digits=3, margin_rates={"buy_limit": 1.0})
    books = Books(symbol, G=(15.0, 15.1))
    books.open("G", BUY, 1.0, 15.436)
    books.open("G", BUY, 2.0, 15.432)
    assert held(books) == 2315.0
    books.pend("G", BUY_LIMIT, 1.0, 15.412)
    assert held(books) == 3085.6


def test_matched_volume_is_charged_as_hedged_and_the_rest_in_full() -> None:
    symbol = forex(margin_hedged=100_000.0, margin_rates={"buy": 2.0, "sell": 4.0})
    books = Books(symbol, leverage=500, EURUSD=QUOTE)
    for side, price in [(SELL, 1.11943), (BUY, 1.11953)] * 2 + [(SELL, 1.11943)]:
        books.open("EURUSD", side, 1.0, price)
    # 2 x 100000 x 1.11947 x 3 / 500 = 1343.36 and 1 x 100000 x 1.11943 x 4 / 500 = 895.54
    assert held(books) == 2238.9


@pytest.mark.parametrize(("hedged", "margin"), [(0.0, 1100.0), (50_000.0, 1650.0), (100_000.0, 2200.0)])
def test_hedged_margin_is_free_half_or_full(hedged: float, margin: float) -> None:
    books = Books(forex(margin_hedged=hedged), EURUSD=QUOTE)
    books.open("EURUSD", BUY, 2.0, 1.1)
    books.open("EURUSD", SELL, 1.0, 1.1)
    assert held(books) == margin


def test_the_larger_leg_with_its_orders_is_charged() -> None:
    books = Books(forex(margin_hedged_use_leg=True, margin_rates=ALL), EURUSD=QUOTE)
    for side, volume, price in (
        (BUY, 1.0, 1.16214),
        (BUY, 2.0, 1.16207),
        (SELL, 1.0, 1.16184),
        (SELL, 1.0, 1.16189),
    ):
        books.open("EURUSD", side, volume, price)
    assert held(books) == 3486.28
    books.pend("EURUSD", BUY_LIMIT, 1.0, 1.16053)
    books.pend("EURUSD", SELL_STOP, 1.0, 1.15808)
    books.pend("EURUSD", SELL_STOP, 1.0, 1.16067)
    # long 3486.28 + 1160.53; short 2323.73 + 2318.75 = 4642.48
    assert held(books) == 4646.81


def test_pending_orders_hold_nothing_unless_their_rate_says_so() -> None:
    books = Books(forex(), EURUSD=QUOTE)
    books.pend("EURUSD", BUY_LIMIT, 1.0, 1.1)
    assert held(books) == 0.0
    books = Books(forex(margin_rates={"buy_limit": 0.5}), EURUSD=QUOTE)
    books.pend("EURUSD", BUY_LIMIT, 1.0, 1.1)
    books.pend("EURUSD", SELL_LIMIT, 1.0, 1.3)
    assert held(books) == 550.0


def test_the_rest_of_a_market_order_holds_nothing() -> None:
    books = Books(forex(margin_rates={"buy_limit": 1.0}), EURUSD=QUOTE)
    books.pend("EURUSD", BUY, 1.0, 0.0)
    assert held(books) == 0.0
    books.pend("EURUSD", BUY_LIMIT, 1.0, 1.1)
    assert held(books) == 1100.0


def test_an_open_positions_margin_does_not_float() -> None:
    cross = instrument("EURJPY")
    books = Books(cross, instrument("EURUSD"), EURJPY=(160.0, 160.1), EURUSD=(1.1000, 1.1002))
    books.open("EURJPY", BUY, 1.0, 160.1)
    books.open("EURJPY", BUY, 1.0, 160.1)
    assert books.account.totals().margin == 2200.4
    books.prices["EURUSD"] = (1.3, 1.3002)
    assert books.account.totals().margin == 2200.4
    books.open("EURJPY", BUY, 2.0, 160.1)
    assert books.account.totals().margin == 4800.8  # and 2000 EUR at 1.3002


def test_what_is_closed_in_part_keeps_its_rate() -> None:
    books = Books(instrument("EURJPY"), instrument("EURUSD"), EURJPY=(160.0, 160.1), EURUSD=(1.1, 1.1))
    position = books.open("EURJPY", SELL, 1.0, 160.0)
    assert books.account.totals().margin == 1100.0
    books.prices["EURUSD"] = (1.5, 1.5)
    books.close(position, 0.4, 160.1)
    assert books.account.totals().margin == 660.0
    books.close(position, 0.6, 160.1)
    assert books.account.totals().margin == 0.0


# ---- netting ----


@pytest.mark.parametrize(
    ("position", "orders", "margin"),
    [
        (1.0, [], 1000.0),
        (-1.0, [], 1000.0),
        (1.0, [(SELL_LIMIT, 1.0)], 1000.0),  # opposing it, up to its volume
        (1.0, [(SELL_STOP, 1.0)], 1000.0),
        (1.0, [(BUY_LIMIT, 1.0)], 2000.0),  # the same way
        (1.0, [(BUY_STOP, 1.0)], 2000.0),
        (1.0, [(SELL_LIMIT, 3.0)], 3000.0),  # the larger of both
        (-2.0, [(BUY_STOP, 3.0)], 3000.0),
        (0.0, [(BUY_LIMIT, 1.0), (SELL_LIMIT, 2.0)], 2000.0),  # limits: the larger side
        (0.0, [(BUY_STOP, 1.0), (SELL_STOP, 2.0)], 3000.0),  # stops: each
    ],
)
def test_netting(position: float, orders: list[tuple[int, float]], margin: float) -> None:
    books = Books(instrument("USDCHF", margin_rates=ALL), mode="netting", USDCHF=(0.88, 0.8802))
    if position:
        books.open("USDCHF", BUY if position > 0 else SELL, abs(position), 0.88)
    for order_type, volume in orders:
        books.pend("USDCHF", order_type, volume, 0.88)
    assert held(books) == margin


def test_what_is_added_to_a_netting_position_brings_its_rate_along() -> None:
    books = Books(
        instrument("EURJPY"), instrument("EURUSD"), mode="netting", EURJPY=(160.0, 160.1), EURUSD=(1.1, 1.1)
    )
    position = books.open("EURJPY", BUY, 1.0, 160.0)
    books.prices["EURUSD"] = (1.2, 1.2)
    # before the totals are asked for, and with the position changed before its deal
    position.volume = 3.0
    books.deal(position, BUY, c.DEAL_ENTRY_IN, 2.0, 160.0)
    assert books.account.totals().margin == 3500.0  # 1100 + 2 x 1200
    books.prices["EURUSD"] = (1.3, 1.3)
    # reversed: the ticket becomes that of the order, the rate that of the deal
    books.deal(position, SELL, c.DEAL_ENTRY_INOUT, 4.0, 160.0)
    del books.account.positions[position.ticket]
    position.ticket, position.type, position.volume = 777, SELL, 1.0
    books.account.positions[777] = position
    assert books.account.totals().margin == 1300.0


# ---- fixed margin ----


def test_opening_needs_the_initial_margin_and_holding_the_maintenance() -> None:
    symbol = good("BR", 33, margin_initial=1000.0, margin_maintenance=500.0, margin_hedged=500.0)
    books = Books(symbol, BR=(80.0, 80.1))
    assert books.account.margin_with("BR", BUY, 1.0, 80.1) == 1000.0
    books.open("BR", BUY, 1.0, 80.1)
    assert held(books) == 500.0
    # 500 for the position, 500 for the lot that it covers, 1000 for the other lot
    assert books.account.margin_with("BR", SELL, 2.0, 80.0) == 2000.0
    books.open("BR", SELL, 2.0, 80.0)
    assert held(books) == 1000.0


def test_netting_needs_the_initial_margin_of_what_is_opened_alone() -> None:
    symbol = good("BR", 33, margin_initial=1000.0, margin_maintenance=500.0)
    books = Books(symbol, mode="exchange", BR=(80.0, 80.1))
    books.open("BR", BUY, 2.0, 80.1)
    assert books.account.margin_with("BR", BUY, 1.0, 80.1) == 2000.0
    assert books.account.margin_with("BR", SELL, 1.0, 80.0) == 500.0
    assert books.account.margin_with("BR", SELL, 3.0, 80.0) == 1000.0


# ---- after a request ----


def test_margin_with_a_deal_or_an_order() -> None:
    symbol = forex(margin_hedged=50_000.0, margin_rates={"buy_stop": 1.0})
    books = Books(symbol, instrument("USDCHF"), EURUSD=QUOTE)
    books.open("USDCHF", BUY, 1.0, 0.9)
    position = books.open("EURUSD", BUY, 2.0, 1.1)
    account = books.account
    assert account.margin_with("EURUSD", BUY, 1.0, 1.4) == 1000.0 + 3600.0
    assert account.margin_with("EURUSD", SELL, 1.0, 1.1) == 1000.0 + 1100.0 + 550.0
    assert account.margin_with("EURUSD", SELL, 0.5, 1.2, position=position) == 1000.0 + 1650.0
    assert account.margin_with("EURUSD", SELL, 2.0, 1.2, position=position) == 1000.0
    assert account.margin_with("EURUSD", SELL_LIMIT, 1.0, 1.2) == 3200.0
    assert account.margin_with("EURUSD", BUY_STOP, 1.0, 1.2) == 4400.0
    order = books.pend("EURUSD", BUY_STOP, 1.0, 1.2)
    assert held(books) == 4400.0
    assert account.margin_with("EURUSD", BUY, 1.0, 1.4, order=order) == 4600.0
    assert held(books) == 4400.0


def test_no_account_has_the_margin_of_what_cannot_be_valued() -> None:
    books = Books(instrument("SEKNOK"), forex(), SEKNOK=(0.95, 0.96), EURUSD=QUOTE)
    assert books.account.margin_with("SEKNOK", BUY, 0.01, 0.96) == float("inf")


# ---- whatever is held ----

DEALS = st.lists(
    st.tuples(
        st.sampled_from(("EURUSD", "EURJPY", "G")),
        st.sampled_from((BUY, SELL)),
        st.integers(1, 500),
        st.integers(1000, 1300),
    ),
    min_size=1,
    max_size=80,
)
SYMBOLS = (
    instrument("EURUSD", margin_hedged=100_000.0),
    instrument("EURJPY", margin_hedged=25_000.0),
    good("G", 4, margin_hedged=1.0, margin_hedged_use_leg=True),
)


@given(DEALS, st.lists(st.integers(0, 79), max_size=40))
def test_hedging_never_costs_more_than_both_sides(
    deals: list[tuple[str, int, int, int]], closed: list[int]
) -> None:
    books = Books(*SYMBOLS, EURUSD=QUOTE, EURJPY=(160.0, 160.1), G=(15.0, 15.1))
    positions = [books.open(s, side, volume / 100, price / 1000) for s, side, volume, price in deals]
    for number in closed:
        if number < len(positions) and positions[number].volume:
            books.close(positions[number], round(positions[number].volume / 2, 2) or 0.01, 1.1)
    margin = held(books)
    alone = sum(books.account.margin([position]) for position in books.account.positions.values())
    assert margin <= alone + 0.01 * len(deals)

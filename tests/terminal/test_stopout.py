"""Margin call and stop-out, at the tick that brings them; digest section 7, "Margin call / stop out".

EURUSD at a leverage of 100: 0.1 lot bought at 1.1001 holds 110.01 of margin.
"""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from mt5crs import constants as c
from mt5crs.terminal.simulated import SimulatedConfig
from mt5crs.terminal.simulated.accounting.account import Totals
from mt5crs.terminal.simulated.prices.moment import Moment, Past
from tests.terminal.desk import OPENING, Desk

Quotes = Callable[..., Desk]
BUY, SELL = c.ORDER_TYPE_BUY, c.ORDER_TYPE_SELL


def stopped(desk: Desk) -> list[Any]:
    return [d for d in desk.get("history_deals_get", 0, 1 << 40) if d.reason == c.DEAL_REASON_SO]


def test_below_the_call_level_nothing_is_closed(quotes: Quotes) -> None:
    # 0.8 lot: margin 880.08; at 1.0940 the loss is 488.00, equity 512.00: 58.2 %, above 50 and below 100.
    desk = quotes((0, 1.1, 1.1001), (10, 1.0940, 1.0941), (20, 1.1, 1.1001), deposit=1000.0)
    desk.deal(BUY, 0.8)
    desk.at(15)
    assert desk.get("positions_total") == 1
    assert desk.get("account_info").margin_level == pytest.approx(100 * 512 / 880.08)


def test_a_stop_out_of_the_past_is_not_saved_by_the_present(quotes: Quotes) -> None:
    # At 10 equity is 1000 - 0.8 x 100,000 x 0.0071 = 432.00: 49.09 %; at 20 the price is back.
    desk = quotes(
        (0, 1.1, 1.1001), (10, 1.0930, 1.0931), (20, 1.1, 1.1001), (30, 1.1, 1.1001), deposit=1000.0
    )
    ticket = desk.deal(BUY, 0.8).order
    desk.at(30)
    (deal,) = stopped(desk)
    assert (deal.time, deal.price, deal.profit, deal.position_id) == (OPENING + 10, 1.093, -568.0, ticket)
    assert deal.comment == "so: 49.09%/432.00/880.08"


def test_exactly_at_the_level_it_is_closed(quotes: Quotes) -> None:
    # In money: 1000 - 0.8 x 100,000 x 0.0050 = 600.00 at the bid 1.0951
    ticks = ((0, 1.1, 1.1001), (10, 1.09511, 1.0952), (20, 1.0951, 1.0952), (30, 1.0951, 1.0952))
    desk = quotes(*ticks, deposit=1000.0, margin_so_mode="money", margin_so_so=600.0)
    desk.deal(BUY, 0.8)
    desk.at(19)
    assert stopped(desk) == []
    desk.at(30)
    (deal,) = stopped(desk)
    assert (deal.time, deal.comment) == (OPENING + 20, "so: 68.18%/600.00/880.08")


def test_a_cascade_closes_the_largest_loss_first_until_the_level_is_passed(quotes: Quotes) -> None:
    desk = quotes((0, 1.1, 1.1001), (10, 1.09, 1.0901), (20, 1.09, 1.0901), deposit=1300.0)
    small, big, middle = (desk.deal(BUY, volume).order for volume in (0.2, 0.6, 0.3))
    desk.at(20)
    # Losses at 1.09 are 202, 606 and 303, margin 1210.11: equity 189.00 is 15.62 %. Without the biggest the
    # margin is 550.05 and equity still 189.00, 34.36 %: the middle one goes, and 189.00 / 220.02 is 85.9 %.
    first, second = stopped(desk)
    assert (first.position_id, first.profit) == (big, -606.0)
    assert first.comment == "so: 15.62%/189.00/1210.11"
    assert (second.position_id, second.profit) == (middle, -303.0)
    assert second.comment == "so: 34.36%/189.00/550.05"
    assert [position.ticket for position in desk.get("positions_get")] == [small]


def test_orders_that_hold_margin_go_first(quotes: Quotes) -> None:
    desk = quotes((0, 1.1, 1.1001), (10, 1.0930, 1.0931), (20, 1.0930, 1.0931), deposit=1000.0)
    symbols = desk.terminal.market.symbols
    symbols["EURUSD"] = msgspec.structs.replace(symbols["EURUSD"], margin_rates={"buy_limit": 0.1})
    held = desk.pend(c.ORDER_TYPE_BUY_LIMIT, 1.05).order
    free = desk.pend(c.ORDER_TYPE_SELL_LIMIT, 1.15).order
    desk.deal(BUY, 0.8)
    desk.at(20)
    (order,) = desk.get("history_orders_get", ticket=held)
    assert (order.state, order.time_done) == (c.ORDER_STATE_CANCELED, OPENING + 10)
    assert order.comment.startswith("so: ")
    assert [order.ticket for order in desk.get("orders_get")] == [free]


MARKETS = ("EURUSD", "USDJPY", "EURJPY", "XAUUSD")
CURRENCIES = {"EUR", "USD", "JPY", "XAU"}


TRADES = st.lists(
    st.tuples(st.sampled_from(MARKETS), st.integers(0, 1), st.integers(1, 30)), min_size=1, max_size=5
)
SPAN = 300


def traded(trades: list[tuple[str, int, int]], **fields: Any) -> Desk:
    desk = Desk(SimulatedConfig(start=OPENING, speed=1.0, **fields))
    for symbol, kind, hundredths in trades:
        assert desk.deal(kind, hundredths / 100, symbol=symbol).retcode == c.TRADE_RETCODE_DONE
    return desk


def at_every_tick(desk: Desk) -> Iterator[tuple[int, Totals]]:
    """The account at each tick of any symbol; nothing is closed."""
    market, account = desk.terminal.market, desk.terminal._account
    ticks = [
        (int(msc), symbol)
        for symbol in market.symbols
        if {market.symbols[symbol].currency_base, market.symbols[symbol].currency_profit} <= CURRENCIES
        for msc in market.source(symbol).ticks(OPENING * 1000 + 1, (OPENING + SPAN) * 1000)["time_msc"]
    ]
    past = market.past = Past(market.buffered)
    for msc, symbol in sorted(ticks):
        past.go_to(Moment(msc, symbol, 1))  # no two of one symbol in a millisecond
        yield msc, account.totals()


@settings(max_examples=25, deadline=None)
@given(TRADES, st.integers(1, 50), st.sampled_from(["percent", "money"]), st.integers(0, 100))
def test_no_tick_that_brings_a_stop_out_is_missed(
    trades: list[tuple[str, int, int]], seed: int, mode: str, room: int
) -> None:
    """One long step finds the same stop-out as looking at the account at every single tick.

    The level is put so close below what the account starts with that it is reached now and then.
    """
    fields: dict[str, Any] = {"seed": seed, "deposit": 20_000.0, "margin_so_mode": mode}
    slow = traded(trades, **fields | {"margin_so_so": -1e9})
    begin = slow.get("account_info")
    if not begin.margin:
        return
    below = 1 - room / 1e6
    level = begin.equity * below if mode == "money" else begin.margin_level * below
    account = slow.terminal._account
    expected: Any = None
    for msc, totals in [(OPENING * 1000, account.totals()), *at_every_tick(slow)]:
        if (totals.equity if mode == "money" else totals.margin_level) <= level:
            comment = f"so: {totals.margin_level:.2f}%/{totals.equity:.2f}/{totals.margin:.2f}"
            expected = msc, comment
            event(f"stop-out, {mode}")
            break
    quick = traded(trades, **fields, margin_so_so=level)
    quick.clock.now = OPENING + SPAN - 0.001
    found = stopped(quick)
    assert ((found[0].time_msc, found[0].comment) if found else None) == expected

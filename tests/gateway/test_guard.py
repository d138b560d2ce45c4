"""The guard in front of a terminal: each limit at, below and above; what waits, counts and is killed."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mt5crs import constants as c
from mt5crs.errors import BadArguments, Busy, Killed, LimitExceeded
from mt5crs.gateway.lookout import WISHES
from mt5crs.gateway.orders import QUEUE, SHARE
from mt5crs.journal.entries import decode
from mt5crs.operation import Result
from mt5crs.terminal.port import Deferred
from tests.guard.bench import Bench, buy, pending, sell, value_of

Make = Callable[..., Bench]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[Bench] = []

    def opened(policy: str = "", **settings: Any) -> Bench:
        made.append(Bench(tmp_path, policy, **{"deposit": 1e7, **settings}))
        return made[-1]

    yield opened
    for bench in made:
        bench.close()


# ---- each limit -------------------------------------------------------------------------------------


@pytest.mark.parametrize("table", ["account", "keys.tim"])
@pytest.mark.parametrize("margin_mode", ["hedging", "netting"])
def test_the_volume_of_an_order(make: Make, table: str, margin_mode: str) -> None:
    bench = make(f"[{table}]\nmax_order_volume = 2", margin_mode=margin_mode)
    bench.order(buy(1.99))
    bench.order(buy(2.0))
    who = "tim" if "tim" in table else "the account"
    assert bench.refusal(buy(5.0)) == (
        f"limit: 5 lots of EURUSD are more than max_order_volume allows {who}: 2 ([{table}] in limits.toml)"
    )
    assert bench.refusal(buy(2.01))
    assert bench.refusal(pending(2.01, 1.0))
    if "tim" in table:
        bench.order(buy(5.0), by="tom")
    else:
        assert bench.refusal(buy(5.0), by="tom")


@pytest.mark.parametrize("margin_mode", ["hedging", "netting"])
def test_a_position_is_closed_whatever_the_volume(make: Make, margin_mode: str) -> None:
    bench = make("", margin_mode=margin_mode)
    ticket = bench.order(buy(5.0))
    bench.write(
        "[account]\nmax_order_volume = 1\nmax_symbol_volume = 1\nmax_exposure = 1\nmax_daily_loss = 1"
    )
    bench.order(sell(2.0, position=ticket))
    if margin_mode == "netting":
        bench.pass_time(1.0)
        bench.order(sell(1.0))
        bench.pass_time(1.0)
        assert "max_order_volume" in bench.refusal(sell(3.0))  # it would turn the position round
    bench.pass_time(1.0)
    assert "max_order_volume" in bench.refusal(buy(2.0, position=ticket))
    (position,) = bench.positions()
    bench.order(sell(position[9], position=ticket))
    assert bench.positions() == []


@pytest.mark.parametrize("margin_mode", ["hedging", "netting"])
def test_the_volume_of_a_symbol_counts_what_is_open_and_pending(make: Make, margin_mode: str) -> None:
    bench = make("[account]\nmax_symbol_volume = 3", margin_mode=margin_mode)
    bench.order(buy(1.0))
    bench.order(pending(1.0, 1.0))
    bench.order(buy(3.0, "GBPUSD"))
    assert bench.refusal(buy(1.01)).startswith(
        "limit: 1.01 lots more of EURUSD would make 3.01 lots, open and pending: more than max_symbol_volume"
    )
    bench.pass_time(2.0)  # now by what a look has shown, not by what was counted
    assert "would make 3.01 lots" in bench.refusal(buy(1.01))
    bench.order(buy(1.0))
    assert "would make 3.01 lots" in bench.refusal(buy(0.01))


def test_a_position_may_be_turned_round_within_the_limit(make: Make) -> None:
    bench = make("[account]\nmax_symbol_volume = 3", margin_mode="netting")
    bench.order(buy(2.0))
    bench.pass_time(2.0)
    assert "would make 3.01 lots" in bench.refusal(sell(5.01))
    bench.order(sell(5.0))
    assert "max_symbol_volume" in bench.refusal(sell(0.01))  # the look does not show it yet
    bench.pass_time(2.0)
    assert [position[9] for position in bench.positions()] == [3.0]
    assert "max_symbol_volume" in bench.refusal(sell(0.01))
    bench.order(buy(3.0))


def test_two_closings_at_once_do_not_turn_a_position_round(make: Make) -> None:
    bench = make("[account]\nmax_symbol_volume = 2", margin_mode="netting")
    bench.order(buy(2.0))
    bench.pass_time(2.0)
    bench.order(sell(2.0))
    assert "max_symbol_volume" in bench.refusal(sell(2.0))
    bench.pass_time(2.0)
    bench.order(sell(2.0))  # now it is known that nothing is open


@pytest.mark.parametrize(("symbol", "currency"), [("EURUSD", "USD"), ("USDJPY", "EUR"), ("XAUUSD", "EUR")])
@pytest.mark.parametrize("margin_mode", ["hedging", "netting"])
def test_the_exposure_is_in_the_account_currency(
    make: Make, symbol: str, currency: str, margin_mode: str
) -> None:
    bench = make("[account]\nmax_exposure = 1", currency=currency, margin_mode=margin_mode)
    told = bench.refusal(buy(1.0, symbol))
    info = dict(zip(_names("SymbolInfo"), bench.quote(symbol), strict=True))
    rate = {"EURUSD": 1.0, "USDJPY": 1.0, "XAUUSD": 1.0}[symbol]
    euro = bench.quote("EURUSD")[_names("SymbolInfo").index("bid")]
    in_dollars = {
        "EURUSD": info["ask"] * 100_000,
        "USDJPY": 100_000.0,  # whatever the yen is worth
        "XAUUSD": info["ask"] * 100,
    }[symbol]
    due = in_dollars * rate / (euro if currency == "EUR" else 1.0)
    shown = float(told.split("exposure of ")[1].split(":")[0])
    assert shown == pytest.approx(due, rel=2e-3)
    bench.write(f"[account]\nmax_exposure = {shown * 1.0005}")
    bench.order(buy(1.0, symbol))
    assert "max_exposure" in bench.refusal(buy(0.01, symbol))
    bench.pass_time(2.0)
    assert "max_exposure" in bench.refusal(buy(0.01, symbol))


def test_the_exposure_counts_all_symbols_and_pending_orders(make: Make) -> None:
    bench = make("[account]\nmax_exposure = 400000")
    bench.order(buy(1.0))
    bench.order(pending(1.0, 1.0))
    bench.pass_time(2.0)
    assert "max_exposure" in bench.refusal(buy(2.0, "GBPUSD"))
    bench.order(buy(1.0, "GBPUSD"))


def _names(kind: str) -> tuple[str, ...]:
    import mt5crs.model

    return tuple(getattr(mt5crs.model, kind).__match_args__)


def test_requests_in_a_minute(make: Make) -> None:
    bench = make("[keys.tim]\nmax_orders_per_minute = 2")
    ticket = bench.order(buy())
    bench.pass_time(30.0, 1.0)
    bench.order(sell(0.1, position=ticket))
    assert bench.refusal(buy()) == (
        "limit: this would be trade request 3 within a minute: more than max_orders_per_minute allows tim: 2"
        " ([keys.tim] in limits.toml)"
    )
    bench.order(buy(), by="tom")
    bench.restart()
    assert "trade request 3" in bench.refusal(buy())
    bench.pass_time(31.0, 1.0)
    bench.order(buy())
    assert bench.refusal(buy())


@pytest.mark.parametrize(
    ("kind", "far", "is_allowed"),
    [
        ("deal", 0.99, True), ("deal", 1.01, False), ("limit", -0.99, True), ("limit", -1.01, False),
        ("modify", -0.99, True), ("modify", -1.02, False),
    ],
)  # fmt: skip
def test_the_distance_of_a_price(make: Make, kind: str, far: float, is_allowed: bool) -> None:
    bench = make("[account]\nmax_price_distance = 1")
    ask = bench.quote("EURUSD")[_names("SymbolInfo").index("ask")]
    price = round(ask * (1 + far / 100), 5)
    if kind == "deal":
        request = buy(0.1, price=price)
    elif kind == "limit":
        request = pending(0.1, price)
    else:
        ticket = bench.order(pending(0.1, round(ask * 0.995, 5)))
        request = {"action": c.TRADE_ACTION_MODIFY, "order": ticket, "price": price}
    if is_allowed:
        bench.order(request)
    else:
        told = bench.refusal(request)
        assert "away from" in told
        assert "max_price_distance allows the account: 1 " in told
    bench.order(buy())  # without a price there is nothing to be judged


def test_a_loss_of_today(make: Make) -> None:
    bench = make("")
    ticket = bench.order(buy(10.0))
    other = bench.order(buy(10.0), by="tom")
    bench.order(sell(10.0, position=ticket))
    bench.pass_time(1.0)
    assert bench.ask("limits") == []
    bench.write("[account]\nmax_daily_loss = 1000000\n[keys.tim]\nmax_daily_loss = 1000000")
    used = {row[0]: row[3] for row in bench.ask("limits")}
    assert used["account"] > used["tim"] > 0.0  # tom's position floats below what it cost
    bench.write(f"[keys.tim]\nmax_daily_loss = {used['tim']}")
    told = bench.refusal(buy())
    assert told.startswith("limit: a loss of ")
    assert "leaves nothing of what max_daily_loss allows tim" in told
    bench.order(buy(), by="tom")
    bench.order(sell(10.0, position=other), by="tom")
    bench.write(f"[keys.tim]\nmax_daily_loss = {used['tim'] + 0.01}")
    bench.order(buy())
    bench.pass_time(86_400.0, 600.0)  # another day
    bench.write(f"[keys.tim]\nmax_daily_loss = {used['tim']}")
    assert {row[3] < used["tim"] for row in bench.ask("limits")} == {True}


def test_a_loss_of_yesterday_keeps_nobody_from_trading_today(make: Make) -> None:
    bench = make("[account]\nmax_daily_loss = 0.5")
    ticket = bench.order(buy(10.0))
    bench.order(sell(10.0, position=ticket))
    bench.pass_time(2.0)
    assert "max_daily_loss" in bench.refusal(buy())
    bench.now += 86_400.0  # nothing was asked meanwhile
    bench.desk.pass_time(bench.now)
    bench.order(buy(0.01))


def test_a_loss_does_not_keep_anybody_from_closing(make: Make) -> None:
    bench = make("")
    ticket = bench.order(buy(10.0))
    bench.write("[account]\nmax_daily_loss = 0.01")
    assert "max_daily_loss" in bench.refusal(buy())
    bench.order(sell(10.0, position=ticket))


def test_symbols_and_magic_numbers(make: Make) -> None:
    bench = make('[keys.tim]\nsymbols = "EUR*, !EURJPY"\nmagic = [7, [100, 199]]')
    for magic in (7, 100, 199):
        bench.order(buy(magic=magic))
    assert bench.refusal(buy(magic=8)) == (
        "limit: magic 8 (EURUSD) is not one of those that are for tim: 7, 100 to 199"
        " ([keys.tim] in limits.toml)"
    )
    for magic in (0, 99, 200):
        assert "magic" in bench.refusal(buy(magic=magic))
    for symbol in ("GBPUSD", "EURJPY", "eurusd"):
        assert f"{symbol} is not one of the symbols that are for tim: EUR*, !EURJPY" in bench.refusal(
            buy(0.1, symbol, magic=7)
        )
    bench.order(buy(0.1, "GBPUSD"), by="tom")


@pytest.mark.parametrize(
    ("action", "field", "others"),
    [
        (c.TRADE_ACTION_DEAL, "position", sell(0.1)),
        (c.TRADE_ACTION_SLTP, "position", {"sl": 0.5}),
        (c.TRADE_ACTION_REMOVE, "order", {}),
        (c.TRADE_ACTION_MODIFY, "order", {"price": 0.9}),
        (c.TRADE_ACTION_CLOSE_BY, "position", {"position_by": 1}),
    ],
)
def test_what_is_anothers_is_not_touched_whatever_the_request_says(
    make: Make, action: int, field: str, others: dict[str, Any]
) -> None:
    bench = make("[keys.tim]\nmagic = [7]")
    position = bench.order(buy(magic=8), by="tom")
    order = bench.order(pending(0.1, 1.0, magic=8), by="tom")
    ticket = {"position": position, "order": order}[field]
    told = bench.refusal({**others, "action": action, field: ticket, "magic": 7})
    assert "magic 8" in told or "position_by 1 is not on the account" in told
    bench.order(buy(magic=7))
    assert "position 99 is not on the account" in bench.refusal(sell(0.1, position=99))


def test_what_is_ones_own_is_touched_though_the_request_names_no_magic(make: Make) -> None:
    bench = make('[keys.tim]\nmagic = [7]\nsymbols = "EURUSD"')
    position = bench.order(buy(0.2, magic=7))
    order = bench.order(pending(0.1, 1.0, magic=7))
    bench.order(sell(0.1, position=position))
    bench.order({"action": c.TRADE_ACTION_MODIFY, "order": order, "price": 0.99})
    bench.order({"action": c.TRADE_ACTION_REMOVE, "order": order})


def test_the_position_of_another_is_not_closed_on_a_netting_account(make: Make) -> None:
    bench = make("[keys.tim]\nmagic = [7]", margin_mode="netting")
    bench.order(buy(1.0, magic=8), by="tom")
    assert "magic 8" in bench.refusal(sell(0.5, magic=7))


def test_the_hours(make: Make) -> None:
    bench = make('[account]\nhours = ["mon-fri 12:00-12:10"]')  # it is Monday, 12:01:40
    ticket = bench.order(buy())
    bench.write('[account]\nhours = ["mon 12:00-12:01"]')
    told = bench.refusal(buy())
    assert "outside of the hours that are for the account: mon 12:00-12:01 UTC" in told
    bench.order({"action": c.TRADE_ACTION_SLTP, "position": ticket, "symbol": "EURUSD", "sl": 0.5})
    bench.order(sell(0.1, position=ticket))
    bench.write('[account]\nhours = ["mon 13:00-13:30"]\nzone = "Europe/Berlin"')
    bench.order(buy())


def test_both_the_accounts_and_the_keys_limits_hold(make: Make) -> None:
    bench = make(
        "[account]\nmax_order_volume = 3\n[keys.tim]\nmax_symbol_volume = 2\n[keys.tom]\nmagic = [1]"
    )
    bench.order(buy(2.0))
    assert "max_symbol_volume allows tim" in bench.refusal(buy(0.01))
    assert "max_order_volume allows the account" in bench.refusal(buy(3.01, magic=1), by="tom")
    bench.order(buy(3.0, magic=1), by="tom")
    bench.pass_time(2.0)
    assert "max_symbol_volume allows tim" in bench.refusal(buy(0.01))  # tom's and manual ones do not count


@pytest.mark.parametrize("volume", [float("nan"), float("inf"), -1.0])
@pytest.mark.parametrize(
    "limit", ["max_order_volume = 1", "max_symbol_volume = 1", "max_orders_per_minute = 9"]
)
def test_what_is_no_number_is_not_judged_as_one(make: Make, volume: float, limit: str) -> None:
    bench = make(f"[account]\n{limit}")
    assert "no limit can be judged by that" in bench.refusal(buy(volume))
    bench.order(buy(1.0))


@pytest.mark.parametrize("margin_mode", ["hedging", "netting", "exchange"])
def test_a_deal_without_a_type_is_a_buy_for_the_guard_as_well(make: Make, margin_mode: str) -> None:
    bench = make("[account]\nmax_symbol_volume = 1\nmax_order_volume = 1", margin_mode=margin_mode)
    bench.order(buy(1.0))
    bench.pass_time(2.0)
    untyped = {name: value for name, value in buy(1.0).items() if name != "type"}
    assert "max_symbol_volume" in bench.refusal(untyped)
    bench.ask("kill", "", False, "stop")
    assert bench.refusal(untyped).startswith("killed: ")
    assert [position[9] for position in bench.positions()] == [1.0]


@pytest.mark.parametrize("policy", ["", "[account]\nmax_order_volume = 1"])
@pytest.mark.parametrize("margin_mode", ["hedging", "netting"])
def test_a_deal_for_a_position_of_another_symbol_is_refused(
    make: Make, policy: str, margin_mode: str
) -> None:
    bench = make(policy, margin_mode=margin_mode)
    bench.order(buy(0.5))
    other = bench.order(buy(0.5, "GBPUSD"))
    bench.pass_time(1.0)
    if policy:
        assert "is one of GBPUSD, the order one of" in bench.refusal(sell(2.0, position=other))
    bench.ask("kill", "", False, "stop")
    assert bench.refusal(sell(0.5, position=other)).startswith("killed: ")
    bench.order(sell(0.5, "GBPUSD", position=other))


def test_a_name_that_does_not_show_is_no_way_round_a_mask(make: Make) -> None:
    bench = make('[account]\nsymbols = "*, !XAUUSD"')
    assert "symbol 'XAUUSD\\x00': no limit can be judged by that" in bench.refusal(buy(1.0, "XAUUSD\0"))
    assert "comment" in bench.refusal(buy(1.0, comment="\x1b[2J"))
    bench.write("[account]")
    bench.ask("kill", "tim")
    bench.refusal({"action": c.TRADE_ACTION_REMOVE, "order": 1, "comment": "\n"})


def _modify(ticket: int, price: float, **fields: Any) -> dict[str, Any]:
    return {"action": c.TRADE_ACTION_MODIFY, "order": ticket, "price": price, **fields}


def test_a_pending_order_far_below_the_market_counts_at_the_market(make: Make) -> None:
    bench = make("[account]\nmax_exposure = 200000")
    assert "5 lots of EURUSD would make an exposure of 5" in bench.refusal(pending(5.0, 0.03))
    bench.order(pending(1.0, 0.03))
    for seconds in (0.0, 2.0):  # counted, then shown
        bench.pass_time(seconds)
        assert "max_exposure" in bench.refusal(pending(1.0, 0.03))
        assert bench.desk.guard.reservations.usage().exposure + bench.ask("limits")[0][3] > 100_000


def test_another_price_of_a_pending_order_counts_in_place_of_the_old_one(make: Make) -> None:
    bench = make("[account]\nmax_exposure = 200000")
    ticket = bench.order(pending(1.0, 1.3, 4))  # a buy stop above the market
    bench.pass_time(2.0)
    assert "this price of EURUSD would make an exposure of 210000" in bench.refusal(_modify(ticket, 2.1))
    bench.order(_modify(ticket, 1.9))
    assert "max_exposure" in bench.refusal(pending(0.1, 1.0))  # no look has shown the price yet
    bench.pass_time(2.0)
    assert "max_exposure" in bench.refusal(pending(0.1, 1.0))
    assert len(bench.desk.guard.reservations) == 0
    bench.write("[account]\nmax_exposure = 100")
    bench.order(_modify(ticket, 1.8))  # less than it was, though too much
    assert "max_exposure" in bench.refusal(_modify(ticket, 2.0))
    assert "order 99 is not on the account" in bench.refusal(_modify(99, 1.0))


@pytest.mark.parametrize("limit", ['hours = ["sun 00:00-00:01"]', "max_daily_loss = 0.01"])
def test_another_price_of_a_pending_order_is_judged_as_an_order(make: Make, limit: str) -> None:
    bench = make("")
    bench.order(buy(1.0))
    ticket = bench.order(pending(1.0, 0.9))
    bench.write(f"[account]\n{limit}")
    assert limit.split(maxsplit=1)[0] in bench.refusal(pending(0.1, 0.9))
    assert limit.split(maxsplit=1)[0] in bench.refusal(_modify(ticket, 0.95))
    bench.order(_modify(ticket, 0.9, sl=0.8))


@pytest.mark.parametrize("margin_mode", ["hedging", "netting"])
def test_what_is_refused_in_any_case_costs_no_look(make: Make, margin_mode: str) -> None:
    bench = make(
        "[account]\nmax_exposure = 1e7\n[keys.slow]\nmax_orders_per_minute = 0\n[keys.tim]\n"
        'symbols = "EURUSD"\nmagic = [0]\nmax_order_volume = 1\n[keys.late]\nhours = ["sun 00:00-00:01"]',
        margin_mode=margin_mode,
    )
    bench.order(buy(0.1))
    bench.ask("kill", "dead")
    bench.pass_time(2.0)
    before = len(bench.terminal.calls)
    for number in range(100):
        strange = f"z{number}"
        assert "max_orders_per_minute" in bench.refusal(buy(0.1, strange, position=99), by="slow")
        assert "the symbols" in bench.refusal(buy(0.1, strange))
        assert "magic 7" in bench.refusal(pending(0.1, 1.0, magic=7))
        assert "max_order_volume" in bench.refusal(pending(2.0, 1.0))
        assert "hours" in bench.refusal(pending(0.1, 1.0, symbol=strange), by="late")
        assert "killed" in bench.refusal(pending(0.1, 1.0, symbol=strange), by="dead")
    assert bench.terminal.calls[before:] == []


def test_symbols_that_orders_name_are_looked_at_as_far_as_they_exist(make: Make) -> None:
    bench = make("[account]\nmax_exposure = 1e7")
    bench.order(buy(0.1))
    for number in range(200):
        assert "is not known" in bench.refusal(buy(0.1, f"z{number}"))
    bench.pass_time(2.0)
    before = len(bench.terminal.calls)
    bench.order(buy(0.1))
    assert len(bench.terminal.calls) - before <= 4
    bench.terminal.slow = {"positions_get"}
    bench.pass_time(2.0)
    for number in range(200):
        bench.desk.guard.lookout.want(f"z{number}", bench.now)
    bench.terminal.slow = set()
    bench.terminal.settle()
    bench.pass_time(2.0)
    bench.terminal.calls.clear()
    bench.order(buy(0.1, "GBPUSD"))
    assert bench.terminal.calls.count("symbol_info") <= WISHES + 1


# ---- keys and the terminal --------------------------------------------------------------------------


def test_a_refused_order_leaves_its_key_unused(make: Make) -> None:
    bench = make("[account]\nmax_order_volume = 1")
    bench.refusal(buy(2.0), key="k")
    assert bench.ask("outcome", "k") is None
    bench.order(buy(1.0), key="k")
    assert bench.ask("outcome", "k")[1] == "done"
    bench.write("[account]\nmax_order_volume = 0.5")
    assert bench.order(buy(1.0), key="k")  # it is what became of it, not another order
    assert bench.sent == 1


def test_without_limits_nothing_is_looked_at(make: Make) -> None:
    bench = make("")
    bench.pass_time(60.0, 1.0)
    before = list(bench.terminal.calls)
    bench.order(buy())
    assert [name for name in bench.terminal.calls[len(before) :] if name != "order_send"] == []


def test_a_burst_does_not_slip_through_between_two_looks(make: Make) -> None:
    bench = make("[account]\nmax_symbol_volume = 1")
    bench.terminal.slow = {"order_send"}
    answers = [bench.begin("order_send", buy(0.3)) for _ in range(5)]
    assert bench.sent == 3
    bench.pass_time(1.5)  # looks that show nothing of them
    assert "max_symbol_volume" in bench.refusal(buy(0.3))
    bench.terminal.slow = set()
    bench.terminal.settle()
    bench.flush()
    with pytest.raises(LimitExceeded):
        value_of(answers[3])
    assert [value_of(answer)[0] for answer in answers[:3]] == [10009] * 3
    bench.pass_time(2.0)
    assert "max_symbol_volume" in bench.refusal(buy(0.3))
    bench.order(buy(0.1))


def test_an_order_that_a_look_could_not_show_is_counted_on_top_of_it(make: Make) -> None:
    bench = make("[account]\nmax_symbol_volume = 1")
    bench.order(buy(0.1))
    bench.now += 0.6
    bench.terminal.slow = {"positions_get"}
    bench.order(buy(0.8))  # begins the next look, which has seen the positions before it
    assert bench.desk.guard.lookout.is_looking
    bench.terminal.slow = set()
    bench.terminal.settle()
    assert "would make 1.1 lots" in bench.refusal(buy(0.2))
    bench.order(buy(0.1))


def test_a_look_for_other_limits_does_not_count(make: Make) -> None:
    bench = make("[account]\nmax_symbol_volume = 9")
    bench.order(buy(5.0))
    bench.now += 0.6
    bench.terminal.slow = {"positions_get"}
    bench.order(buy(0.1))  # begins a look without today's deals
    bench.path.write_text("[account]\nmax_daily_loss = 0.01")
    bench.desk.pass_time(bench.now + 5.0)
    bench.desk.pass_time(bench.now + 10.0)
    bench.terminal.slow = set()
    bench.terminal.settle()
    assert "max_daily_loss" in bench.refusal(buy(0.1))


def test_an_order_that_was_rejected_is_not_counted(make: Make) -> None:
    bench = make("[account]\nmax_symbol_volume = 2000", deposit=1000.0)
    for _ in range(3):
        assert bench.ask("order_send", buy(500.0))[0] not in {10008, 10009}
    assert len(bench.desk.guard.reservations) == 0


def test_an_order_whose_outcome_is_unknown_counts_until_it_is_known(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make("[account]\nmax_symbol_volume = 1\n[keys.tim]\nmax_symbol_volume = 1")
    call, wedged = bench.terminal.call, Deferred()

    def wedge(op: Any, *rest: Any) -> Result | Deferred:
        return wedged if op.name == "order_send" else call(op, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(bench.terminal, "call", wedge)
        bench.begin("order_send", buy(0.6))
        bench.pass_time(5.0)
    assert "max_symbol_volume" in bench.refusal(buy(0.6))
    bench.restart()
    assert "max_symbol_volume" in bench.refusal(buy(0.6))
    bench.pass_time(80.0, 1.0)  # it left no trace: it was not carried out
    bench.order(buy(0.6))


def test_one_key_does_not_take_all_the_room_and_the_guard_always_has_some(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make("")
    bench.order(buy())
    bench.terminal.slow = {"order_send"}
    remove = {"action": c.TRADE_ACTION_REMOVE, "order": 1}
    for number in range(SHARE):
        bench.begin("order_send", {**remove, "order": number})
    with pytest.raises(Busy, match=f"{SHARE} orders of tim wait"):
        bench.ask("order_send", remove)
    for number in range(QUEUE - SHARE):
        bench.begin("order_send", {**remove, "order": number}, by=f"key{number}")
    with pytest.raises(Busy, match=f"{QUEUE} orders wait"):
        bench.ask("order_send", remove, by="tom")
    sent = bench.sent
    bench.ask("kill", "", True, by="boss")
    bench.pass_time(1.0)
    assert bench.sent == sent + 1
    bench.terminal.slow = set()
    bench.terminal.settle()
    bench.flush()
    assert bench.positions() == []


# ---- waiting for a look -----------------------------------------------------------------------------


def test_orders_wait_for_a_look_and_keep_their_order(make: Make) -> None:
    bench = make("[keys.tim]\nmax_symbol_volume = 1")
    bench.terminal.slow = {"positions_get"}
    first = bench.begin("order_send", buy(0.5, magic=1))
    second = bench.begin("order_send", buy(0.1, magic=2), by="tom")
    third = bench.begin("order_send", buy(0.6, magic=3))
    assert bench.sent == 0
    bench.terminal.slow = set()
    bench.terminal.settle()
    bench.flush()
    assert bench.sent == 2
    assert value_of(first)[2] < value_of(second)[2]
    with pytest.raises(LimitExceeded, match="would make 1.1 lots"):
        value_of(third)


def test_closing_does_not_wait_for_what_clients_orders_wait_for(make: Make) -> None:
    bench = make("")
    order = bench.order(pending(0.1, 1.0))
    bench.write("[account]\nmax_symbol_volume = 1")
    bench.terminal.slow = {"history_deals_get", "positions_get"}
    waits = bench.begin("order_send", buy(0.5))
    request = {"action": c.TRADE_ACTION_REMOVE, "order": order}
    bench.desk.orders.send([request], "guard", "k", bench.now + 9.0, bench.now, is_guarded=False)
    bench.flush()
    assert bench.orders() == []
    assert waits.result is None


def test_an_order_that_needs_facts_is_refused_where_they_cannot_be_had(make: Make) -> None:
    bench = make("[keys.tim]\nmax_symbol_volume = 1\nmax_order_volume = 1")
    bench.terminal.slow = {"positions_get"}
    waits = bench.begin("order_send", buy(0.5))
    other = bench.begin("order_send", buy(0.1), by="tom")
    bench.pass_time(2.5)
    with pytest.raises(LimitExceeded, match="has not shown the account within 2 s"):
        value_of(waits)
    assert value_of(other)[0] == 10009
    bench.terminal.slow = set()
    bench.terminal.settle()
    bench.pass_time(1.0)
    bench.order(buy(0.5))


def test_a_terminal_that_fails_is_asked_again(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = make("[keys.tim]\nmax_symbol_volume = 1")
    call = bench.terminal.call

    def fail(op: Any, *rest: Any) -> Result | Deferred:
        return Result(None, (-10004, "no connection")) if op.name == "orders_get" else call(op, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(bench.terminal, "call", fail)
        waits = bench.begin("order_send", buy(0.5))
        bench.pass_time(1.0)
        assert waits.result is None
    bench.pass_time(0.5)
    assert value_of(waits)[0] == 10009


# ---- the policy file --------------------------------------------------------------------------------


def test_a_policy_that_is_changed_holds_soon(make: Make) -> None:
    bench = make("[account]\nmax_order_volume = 1")
    assert bench.refusal(buy(2.0))
    bench.write("[account]\nmax_order_volume = 2")
    bench.order(buy(2.0))


@pytest.mark.parametrize("damage", ["[account]\nmax_order_volume = -1", "nonsense", None])
def test_a_policy_that_cannot_be_used_changes_nothing_and_says_so(
    make: Make, damage: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    bench = make("[account]\nmax_order_volume = 1")
    if damage is None:
        bench.path.unlink()
        bench.pass_time(3.0)
    else:
        bench.write(damage)
    assert bench.refusal(buy(2.0))
    assert "limits.toml" in bench.desk.state()["guard"]["fault"]
    assert ["policy", "fault"] in [row[:2] for row in bench.ask("limits")]
    bench.pass_time(10.0)
    assert [r.getMessage()[:32] for r in caplog.records].count("the limits stay as they were: th") == 1
    bench.write("[account]\nmax_order_volume = 2")
    bench.order(buy(2.0))
    assert bench.desk.state()["guard"]["fault"] == ""


@pytest.mark.parametrize("nothing", ["", "# no limits\n", None])
def test_a_policy_that_becomes_empty_keeps_the_limits(make: Make, nothing: str | None) -> None:
    bench = make("[account]\nmax_order_volume = 1")
    if nothing is None:
        bench.path.chmod(0o666)
        bench.pass_time(3.0)
    else:
        bench.write(nothing)
    assert bench.refusal(buy(2.0))
    fault = bench.desk.state()["guard"]["fault"]
    assert ("can be changed by others (chmod go-w" if nothing is None else "is empty, and was not (") in fault
    bench.path.chmod(0o600)
    bench.write("[account]")  # which says so
    bench.order(buy(2.0))


def test_what_a_policy_has_no_more_is_told(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    bench = make(
        "[account]\nmax_order_volume = 1\nmax_exposure = 1e9\n[keys.tim.rates]\nread = 5\n[keys.tom]"
    )
    bench.write("[account]\nmax_order_volume = 2")
    told = "[account], [keys.tim], [keys.tim.rates]"
    assert f"has less than before in {told}" in caplog.text
    journal = bench.desk.orders.journal
    assert journal is not None
    bench.pass_time(5.0)
    notes = [decode(event.note) for event in journal.notices(99) if event.step == "policy"]
    assert [note.get("dropped") for note in notes] == [told]


def test_limits_tells_what_holds_and_what_is_used(make: Make) -> None:
    bench = make(
        "[account]\nmax_symbol_volume = 5\nmax_exposure = 1e6\n[keys.tim]\nmax_orders_per_minute = 9\n"
        '[keys.tom]\nsymbols = "*"'
    )
    bench.order(buy(2.0))
    bench.pass_time(2.0)
    rows = {(row[0], row[1]): row for row in bench.ask("limits")}
    assert rows["account", "max_symbol_volume"][2:] == [5.0, 2.0, "[account] in limits.toml"]
    assert 200_000 < rows["account", "max_exposure"][3] < 300_000
    assert rows["tim", "max_orders_per_minute"][2:4] == ["9", 1.0]
    assert rows["tom", "symbols"][2:] == ["*", None, "[keys.tom] in limits.toml"]
    from mt5crs.security.policy import Role

    seen = {row[0] for row in bench.ask("limits", role=Role.TRADER)}
    assert seen == {"account", "tim"}


# ---- the kill switch --------------------------------------------------------------------------------


@pytest.mark.parametrize("margin_mode", ["hedging", "netting"])
def test_the_kill_switch_lets_only_through_what_reduces_the_risk(make: Make, margin_mode: str) -> None:
    bench = make("", margin_mode=margin_mode)
    ticket, order = bench.order(buy(1.0)), bench.order(pending(0.1, 1.0))
    bench.order(buy(1.0, "GBPUSD"))
    assert bench.ask("kill", "", False, "fat fingers") is True
    for request in (
        buy(), pending(0.1, 1.0), buy(0.1, position=ticket), sell(1.5, position=ticket),
        {"action": c.TRADE_ACTION_SLTP, "position": ticket, "symbol": "EURUSD", "sl": 0.5},
        {"action": c.TRADE_ACTION_MODIFY, "order": order, "price": 0.9},
    ):  # fmt: skip
        told = bench.refusal(request)
        assert told.startswith("killed: the kill switch is on since ")
        assert told.endswith(" by tim: fat fingers")
    assert "fat fingers" in bench.desk.state()["orders"]["trading"]
    bench.order(sell(0.4, position=ticket))
    bench.pass_time(1.0)
    if margin_mode == "netting":
        bench.order(sell(0.6))
        bench.refusal(sell(0.6))
    else:
        bench.order(sell(0.6, position=ticket))
        bench.refusal(sell(0.6))
    bench.order({"action": c.TRADE_ACTION_REMOVE, "order": order})
    bench.restart()
    assert "fat fingers" in bench.refusal(buy())
    assert bench.ask("resume") is True
    assert bench.ask("resume") is False
    bench.order(buy())
    bench.restart()
    bench.order(buy())


def test_one_keys_kill_switch_is_not_anothers(make: Make) -> None:
    bench = make("")
    bench.ask("kill", "tim", by="boss")
    assert "by boss" in bench.refusal(buy())
    bench.order(buy(), by="tom")
    assert bench.desk.state()["orders"]["trading"] == ""
    assert [row[:2] for row in bench.ask("limits")] == [["tim", "kill"]]
    bench.ask("kill")
    bench.refusal(buy(), by="tom")
    bench.ask("resume")
    bench.order(buy(), by="tom")
    bench.refusal(buy())


def test_a_key_that_is_gone_can_be_killed(make: Make) -> None:
    bench = make("[keys.tom]\nmax_order_volume = 1")
    bench.desk.guard.knows = {"boss"}.__contains__
    bench.order(buy())
    with pytest.raises(BadArguments, match="there is no key 'tym'"):
        bench.ask("kill", "tym", by="boss")
    for name in ("boss", "tim", "tom"):
        assert bench.ask("kill", name, by="boss") is True
    bench.restart()
    bench.desk.guard.knows = lambda _name: False
    for name in ("boss", "tim"):
        assert bench.ask("kill", name, True, by="boss") is True


@pytest.mark.parametrize("margin_mode", ["hedging", "netting"])
def test_closing_leaves_nothing_open(make: Make, margin_mode: str) -> None:
    bench = make("[account]\nmax_order_volume = 1\nmax_orders_per_minute = 6", margin_mode=margin_mode)
    for symbol in ("EURUSD", "USDJPY"):
        bench.order(buy(1.0, symbol))
        bench.order(buy(1.0, symbol), by="tom")
    bench.order(pending(0.1, 1.0))
    bench.ask("kill", "", True)
    bench.pass_time(6.0)
    assert (bench.positions(), bench.orders()) == ([], [])
    assert "(closed)" in bench.desk.state()["guard"]["killed"][""]
    before = bench.sent
    bench.pass_time(10.0)
    assert bench.sent == before


def test_closing_for_one_key_leaves_the_others(make: Make) -> None:
    bench = make("")
    bench.order(buy(1.0))
    bench.order(pending(0.1, 1.0))
    other = bench.order(buy(1.0), by="tom")
    order = bench.order(pending(0.1, 1.0), by="tom")
    bench.ask("kill", "tim", True)
    bench.pass_time(5.0)
    assert [position[0] for position in bench.positions()] == [other]
    assert [row[0] for row in bench.orders()] == [order]


def test_closing_goes_on_after_a_restart_and_closes_nothing_twice(make: Make) -> None:
    bench = make("")
    for _ in range(3):
        bench.order(buy(1.0))
    bench.terminal.slow = {"order_send"}
    bench.ask("kill", "", True)
    bench.pass_time(1.0)
    sent = bench.sent
    assert sent == 6
    bench.restart()
    bench.terminal.slow = set()
    bench.pass_time(10.0)
    assert bench.positions() == []
    assert bench.sent == sent  # they were found to be carried out
    assert "(closed)" in bench.desk.state()["guard"]["killed"][""]


def test_closing_what_is_larger_than_one_order_may_be(make: Make) -> None:
    bench = make("", margin_mode="netting", deposit=1e9)
    most = bench.quote("EURUSD")[_names("SymbolInfo").index("volume_max")]
    for _ in range(3):
        bench.order(buy(most))
    bench.ask("kill", "", True)
    bench.pass_time(10.0)
    assert bench.positions() == []


def test_closing_is_given_up_after_some_attempts(make: Make) -> None:
    from mt5crs.gateway.clearing import ATTEMPTS
    from mt5crs.terminal.simulated.faults.plan import Fault

    bench = make("")
    bench.order(buy(1.0))
    before = bench.sent
    bench.terminal.faults.add(Fault(kind="reject", times=0))
    bench.ask("kill", "", True)
    bench.pass_time(1200.0, 0.5)
    assert bench.sent == before + ATTEMPTS
    assert "given up, 1 left" in bench.desk.state()["guard"]["killed"][""]
    bench.terminal.faults.clear()
    bench.ask("kill", "", True)  # once more
    bench.pass_time(5.0)
    assert bench.positions() == []


def test_an_order_under_way_when_the_switch_goes_on_is_closed_too(make: Make) -> None:
    bench = make("")
    bench.terminal.slow = {"order_send"}
    bench.begin("order_send", buy(1.0))
    bench.ask("kill", "tim", True)
    bench.pass_time(1.0)
    bench.terminal.slow = set()
    bench.terminal.settle()
    bench.pass_time(10.0)
    assert bench.positions() == []


# ---- dead men ---------------------------------------------------------------------------------------


def test_a_dead_man_is_killed_and_his_positions_are_closed(make: Make) -> None:
    bench = make("[keys.tim]\ndead_man = 10\ndead_man_close = true")
    guard = bench.desk.guard
    bench.pass_time(30.0, 1.0)
    assert guard.awaited == set()  # nothing is expected before the first order
    bench.order(buy())
    other = bench.order(buy(), by="tom")
    assert guard.awaited == {"tim"}
    for _ in range(3):
        bench.pass_time(9.0, 1.0)
        guard.heard("tim", bench.now)
    bench.pass_time(10.0, 1.0)
    bench.order(buy(0.01))  # an order is a sign of life as well
    bench.pass_time(15.0, 1.0)
    assert "nothing was heard of it for 10 s" in bench.refusal(buy())
    assert [position[0] for position in bench.positions()] == [other]
    bench.ask("resume", "tim", by="boss")
    bench.order(buy())
    assert guard.awaited == {"tim"}


def test_a_dead_man_is_missed_after_a_restart(make: Make) -> None:
    bench = make("[keys.tim]\ndead_man = 10")
    bench.order(buy())
    bench.restart()
    bench.pass_time(9.0, 1.0)
    assert bench.desk.guard.switches.on == {}
    bench.pass_time(3.0, 1.0)
    assert set(bench.desk.guard.switches.on) == {"tim"}
    assert len(bench.positions()) == 1


def test_a_gateway_that_did_not_run_misses_nobody(make: Make) -> None:
    bench = make("[keys.tim]\ndead_man = 10")
    bench.order(buy())
    bench.pass_time(5.0, 1.0)
    bench.now += 3600.0  # as when the machine slept
    bench.pass_time(3.0, 1.0)
    assert bench.desk.guard.switches.on == {}
    bench.pass_time(5.0, 1.0)
    assert set(bench.desk.guard.switches.on) == {"tim"}


def test_a_gateway_that_stops_misses_nobody(make: Make) -> None:
    bench = make("[keys.tim]\ndead_man = 10\ndead_man_close = true")
    bench.order(buy())
    bench.pass_time(9.0, 1.0)
    bench.desk.rest()
    bench.pass_time(30.0, 1.0)
    assert bench.desk.guard.switches.on == {}
    bench.restart()
    bench.pass_time(9.0, 1.0)
    assert bench.desk.guard.switches.on == {}
    assert len(bench.positions()) == 1
    bench.pass_time(15.0, 1.0)
    assert set(bench.desk.guard.switches.on) == {"tim"}
    assert bench.positions() == []


def test_a_gateway_that_stops_closes_nothing_that_it_has_not_begun(make: Make) -> None:
    from mt5crs.terminal.simulated.faults.plan import Fault

    bench = make("")
    bench.order(buy())
    bench.order(buy(), by="tom")
    bench.terminal.faults.add(Fault(kind="reject"))
    bench.terminal.slow = {"order_send"}
    bench.ask("kill", "tim", True)
    bench.pass_time(1.0)
    bench.ask("kill", "tom", True)
    bench.desk.rest()
    bench.terminal.slow = set()
    bench.terminal.settle()  # what was begun has failed, and would be tried again
    bench.pass_time(10.0)
    assert (bench.sent, len(bench.positions())) == (3, 2)
    bench.restart()
    bench.pass_time(10.0)
    assert (bench.sent, len(bench.positions())) == (5, 0)


def test_the_errors_are_those_that_clients_know(make: Make) -> None:
    bench = make("[account]\nmax_order_volume = 1")
    with pytest.raises(LimitExceeded):
        bench.order(buy(2.0))
    bench.ask("kill")
    with pytest.raises(Killed) as caught:
        bench.order(buy(1.0))
    assert "mt5crs resume" in caught.value.hint


def test_what_the_guard_does_is_noted_and_not_more_often_than_the_journal_bears(make: Make) -> None:
    bench = make("[account]\nmax_order_volume = 1")
    for _ in range(250):
        bench.refusal(buy(2.0))
    bench.ask("kill", "", False, "enough", by="boss")
    bench.pass_time(2.0)
    bench.refusal(buy(2.0))
    bench.pass_time(2.0)
    journal = bench.desk.orders.journal
    assert journal is not None
    told = [(event.step, event.principal, decode(event.note)) for event in journal.notices(1000)]
    limits = [note for kind, by, note in told if (kind, by) == ("limit", "tim")]
    assert len(limits) == 101
    assert {note["code"] for note in limits[:100]} == {"limit"}
    assert limits[100]["code"] == "killed"
    assert ("kill", "boss", {"name": "", "why": "enough", "close": False}) in told
    assert ("limit", "gateway", {"left_out": 150}) in told

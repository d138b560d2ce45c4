"""What faults do to calls, on a terminal whose time a test sets."""

from collections.abc import Callable
from typing import Any

import pytest

from mt5crs.api import OPERATIONS
from mt5crs.operation import Result
from mt5crs.terminal.port import Deferred
from mt5crs.terminal.simulated.faults.effects import Faults
from mt5crs.terminal.simulated.faults.plan import Fault, Kind, Schedule
from mt5crs.topics import Ticks
from tests.terminal.desk import OPENING, Desk, new_ticks

BUY: dict[str, Any] = {"action": 1, "symbol": "EURUSD", "volume": 0.1, "type": 0}


def asked(desk: Desk, name: str, *args: Any) -> Result | Deferred:
    op = OPERATIONS[name]
    return desk.terminal.call(op, op.signature.bind(name, args, {}))


def pending(desk: Desk, name: str, *args: Any) -> Deferred:
    answer = asked(desk, name, *args)
    assert isinstance(answer, Deferred)
    assert answer.result is None
    return answer


@pytest.mark.parametrize(
    ("kind", "retcode", "comment"),
    [
        ("requote", 10004, "Requote"),
        ("off_quotes", 10021, "No prices"),
        ("reject", 10006, "Request rejected"),
    ],
)
def test_a_refused_order_is_not_carried_out(steady: Desk, kind: Kind, retcode: int, comment: str) -> None:
    steady.terminal.faults.add(Fault(kind=kind))
    refused = steady.send(**BUY)
    assert (refused.retcode, refused.comment, refused.order, refused.deal) == (retcode, comment, 0, 0)
    assert refused.request_id > 0
    assert refused.request.volume == 0.1
    assert (refused.bid, refused.ask) == ((1.1, 1.1001) if kind == "requote" else (0.0, 0.0))
    assert steady.get("positions_total") == 0
    assert steady.send(**BUY).retcode == 10009


def test_any_return_code_can_be_had(steady: Desk) -> None:
    steady.terminal.faults.add(Fault(kind="refuse", retcode=10024))
    assert steady.send(**BUY).comment == "Too many requests"


@pytest.mark.parametrize(
    ("filling", "retcode", "filled"),
    # Filling or killing wants all of it; immediate-or-cancel takes the 0.05 that half of 0.1 are.
    [(0, 10006, 0.0), (1, 10010, 0.05)],
)
def test_part_of_the_volume(steady: Desk, filling: int, retcode: int, filled: float) -> None:
    steady.terminal.faults.add(Fault(kind="partial", share=0.5))
    sent = steady.send(**BUY, type_filling=filling)
    assert (sent.retcode, sent.volume) == (retcode, filled)
    assert sum(position.volume for position in steady.get("positions_get")) == filled
    assert steady.send(**BUY, type_filling=filling).retcode == 10009


def test_a_slow_call_is_carried_out_in_the_end(steady: Desk) -> None:
    steady.terminal.faults.add(Fault(kind="slow", seconds=3.0))
    answer = pending(steady, "order_send", BUY)
    assert steady.get("positions_total") == 0
    steady.at(0.5)
    assert steady.terminal.advance() == pytest.approx(2.5)
    steady.at(3.0)
    steady.terminal.advance()
    assert answer.result is not None
    assert answer.result.value.retcode == 10009
    assert steady.get("positions_get")[0].time == OPENING + 3


def test_a_wedged_call_is_never_answered_nor_carried_out(steady: Desk) -> None:
    steady.terminal.faults.add(Fault(kind="wedge"))
    answer = pending(steady, "order_send", BUY)
    steady.at(3000.0)
    steady.terminal.advance()
    assert answer.result is None
    assert steady.get("positions_total") == 0


def test_a_lost_answer_is_of_an_order_that_was_filled(steady: Desk) -> None:
    steady.terminal.faults.add(Fault(kind="lose"))
    pending(steady, "order_send", BUY)
    assert steady.get("positions_total") == 1


@pytest.mark.parametrize("retcode", [0, 10012])
def test_a_late_fill(steady: Desk, retcode: int) -> None:
    steady.terminal.faults.add(Fault(kind="late", seconds=2.0, retcode=retcode))
    answer = asked(steady, "order_send", BUY)
    assert isinstance(answer, Result)
    if retcode:
        assert answer.value.retcode == retcode
    else:
        assert answer == (None, (-10005, "IPC timeout"))
    assert steady.get("positions_total") == 0
    steady.at(2.0)
    steady.terminal.advance()
    assert steady.get("positions_get")[0].time == OPENING + 2


def test_a_fault_of_one_symbol_spares_the_others(steady: Desk) -> None:
    steady.terminal.faults.add(Fault(kind="reject", symbol="USDJPY"))
    assert steady.send(**BUY).retcode == 10009
    assert steady.send(**BUY | {"symbol": "USDJPY"}).retcode == 10006


def test_reads_can_be_slow_too(steady: Desk) -> None:
    steady.terminal.faults.add(Fault(kind="slow", operation="copy_rates_from_pos", symbol="EURUSD"))
    pending(steady, "copy_rates_from_pos", "EURUSD", 1, 0, 10)
    assert isinstance(asked(steady, "copy_rates_from_pos", "EURUSD", 1, 0, 10), Result)


def test_a_disconnected_terminal_knows_what_it_knew(quotes: Callable[..., Desk]) -> None:
    desk = quotes((0, 1.10000, 1.10010), (5, 1.09000, 1.09010), (15, 1.11, 1.1101), (3600, 1.1, 1.1001))
    stop = desk.deal(0, 0.1, sl=1.095).order
    desk.at(1)
    desk.terminal.faults.add(Fault(kind="disconnect", seconds=9.0))
    assert desk.get("terminal_info").connected is False
    desk.at(6)
    assert desk.get("symbol_info_tick", "EURUSD").bid == 1.1
    assert desk.get("positions_get")[0].ticket == stop  # the server has closed it, which is not known here
    refused = desk.deal(0, 0.1)
    assert (refused.retcode, refused.comment) == (10031, "No connection")
    desk.at(10)
    assert desk.get("terminal_info").connected is True
    assert desk.get("symbol_info_tick", "EURUSD").bid == 1.09
    assert desk.get("positions_total") == 0
    assert desk.get("history_deals_get", position=stop)[1].time == OPENING + 5


def test_followed_ticks_come_when_the_connection_is_back(quotes: Callable[..., Desk]) -> None:
    desk = quotes((0, 1.1, 1.1001), (5, 1.09, 1.0901), (7, 1.08, 1.0801), (3600, 1.1, 1.1001))
    desk.at(1)
    assert desk.terminal.follow(Ticks("EURUSD"))
    desk.terminal.faults.add(Fault(kind="disconnect", seconds=8.0))
    desk.terminal.advance()
    desk.at(8)
    desk.terminal.advance()
    assert [len(news.ticks) for news in new_ticks(desk.terminal)] == [0]
    desk.at(9)
    desk.terminal.advance()
    ((_topic, _start, ticks),) = new_ticks(desk.terminal)
    assert ticks["bid"].tolist() == [1.09, 1.08]


def test_trading_can_be_disabled_for_a_while(steady: Desk) -> None:
    steady.terminal.faults.add(Fault(kind="disable", start=1.0, seconds=2.0))
    codes = []
    for second in (0.5, 1.0, 2.9, 3.0):
        steady.at(second)
        codes.append(steady.send(**BUY).retcode)
    assert codes == [10009, 10027, 10027, 10009]
    assert steady.get("terminal_info").trade_allowed is True


def test_cleared_faults_happen_no_more(steady: Desk) -> None:
    steady.terminal.faults.add(Fault(kind="reject", times=0))
    steady.terminal.faults.add(Fault(kind="disconnect", seconds=0.0))
    assert steady.send(**BUY).retcode == 10006
    steady.terminal.faults.clear()
    assert steady.send(**BUY).retcode == 10009
    assert not steady.terminal.faults.armed


@pytest.mark.parametrize(("point", "filled"), [("before", 0), ("after", 1)])
def test_a_crash_ends_the_process_at_its_point(steady: Desk, point: Any, filled: int) -> None:
    class Died(BaseException):
        pass

    def die() -> None:
        raise Died

    schedule = Schedule(1, [Fault(kind="crash", point=point)], 0.0)
    faults = Faults(schedule, steady.terminal, steady.clock, die)
    op = OPERATIONS["order_send"]
    with pytest.raises(Died):
        faults.call(op, op.signature.bind(op.name, (BUY,), {}))
    assert steady.get("positions_total") == filled


def test_the_same_seed_has_the_same_story(quotes: Callable[..., Desk]) -> None:
    def story(seed: int) -> list[int]:
        fault = Fault(kind="reject", times=0, chance=0.5)
        desk = quotes((0, 1.1, 1.1001), (3600, 1.1, 1.1001), seed=seed, faults=(fault,))
        return [desk.send(**BUY).retcode for _ in range(40)]

    assert story(1) == story(1) != story(2)
    assert set(story(1)) == {10006, 10009}


def late_story(desk: Desk, seconds: list[float]) -> list[tuple[int, float]]:
    """Return time and price of what a late order did, asked at these seconds alone."""
    asked(desk, "order_send", BUY)
    for second in seconds:
        desk.at(second)
        desk.terminal.advance()
    return [(deal.time - OPENING, deal.price) for deal in desk.get("history_deals_get", 0, 1 << 40)[1:]]


@pytest.mark.parametrize(
    ("faults", "expected"),
    [
        (("late:seconds=2",), (2, 1.1001)),
        # The order is carried out at 10, which shows when the connection is back at 25.
        (("late:seconds=10", "disconnect:start=5,seconds=20"), (25, 1.2001)),
    ],
)
@pytest.mark.parametrize("seconds", [[100.0], [float(n) for n in range(1, 101)]])
def test_it_does_not_matter_how_often_the_terminal_is_asked(
    quotes: Callable[..., Desk], faults: tuple[str, ...], expected: tuple[int, float], seconds: list[float]
) -> None:
    desk = quotes((0, 1.1, 1.1001), (20, 1.2, 1.2001), (90, 1.3, 1.3001), (3600, 1.3, 1.3001), faults=faults)
    assert late_story(desk, seconds) == [expected]


def test_a_spell_that_is_noticed_late_has_begun_in_time(quotes: Callable[..., Desk]) -> None:
    desk = quotes(
        (0, 1.1, 1.1001), (20, 1.2, 1.2001), (3600, 1.3, 1.3001), faults=("disconnect:start=10,seconds=50",)
    )
    desk.at(30)
    assert desk.get("terminal_info").connected is False
    assert desk.get("symbol_info_tick", "EURUSD").bid == 1.1


def test_a_spell_gives_back_what_was_switched_off(steady: Desk) -> None:
    steady.terminal.switches.terminal_trade_allowed = False
    steady.terminal.faults.add(Fault(kind="disconnect", seconds=1.0))
    steady.terminal.faults.add(Fault(kind="disable", seconds=1.0))
    steady.terminal.advance()
    steady.at(2)
    assert steady.get("terminal_info").trade_allowed is False


def test_a_clock_that_is_set_back_does_not_set_server_time_back(steady: Desk) -> None:
    for second in (100, 70, 40):
        steady.at(second)
        steady.send(**BUY)
    times = [deal.time - OPENING for deal in steady.get("history_deals_get", 0, 1 << 40)]
    assert times == [0, 100, 100, 100]

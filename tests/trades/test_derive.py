"""What a look says of what happened: between any two of its questions, late, against the server's times."""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from itertools import combinations_with_replacement
from math import inf
from typing import Any

import pytest

from mt5crs import constants as c
from mt5crs.model import TradeDeal, TradeOrder, TradePosition
from mt5crs.terminal.simulated import SimulatedConfig
from mt5crs.trades.derive import REASONS, contradicts, derive
from mt5crs.trades.picture import DAY, OVERLAP, Picture, Shown
from tests.terminal.desk import Desk
from tests.terminal.test_invariants import open_desk
from tests.trades.rig import NOTHING, Rig

NOW = 1_700_000_000
QUESTIONS = range(9)


def order(ticket: int, done: float = 0.0, **fields: Any) -> TradeOrder:
    given = dict.fromkeys(TradeOrder.__match_args__, 0) | {
        "symbol": "EURUSD",
        "comment": "",
        "external_id": "",
    }
    times = {"time_setup_msc": NOW * 1000, "time_done_msc": int(done * 1000), "time_done": int(done)}
    return TradeOrder((given | times | {"ticket": ticket, "sl": 0.0, "tp": 0.0} | fields).values())


def deal(ticket: int, of: int, at: float, **fields: Any) -> TradeDeal:
    given = dict.fromkeys(TradeDeal.__match_args__, 0) | {
        "symbol": "EURUSD",
        "comment": "",
        "external_id": "",
    }
    made = {"ticket": ticket, "order": of, "time": int(at), "time_msc": int(at * 1000)}
    return TradeDeal((given | made | fields).values())


def position(identifier: int, sl: float) -> TradePosition:
    given = dict.fromkeys(TradePosition.__match_args__, 0)
    fields = {"identifier": identifier, "sl": sl, "tp": 0.0, "time_update_msc": (NOW + 9) * 1000}
    return TradePosition((given | fields).values())


def shown(
    orders: Sequence[TradeOrder] = (),
    history: Sequence[TradeOrder] = (),
    deals: Sequence[TradeDeal] = (),
    positions: Sequence[TradePosition] = (),
    start: int = NOW - DAY,
    time: float = NOW,
    latest: float = inf,
) -> Shown:
    return Shown(time, time, latest, start, orders, history, deals, positions)


def kinds(before: Picture, look: Shown) -> list[tuple[str, int]]:
    return [(each.kind, each.deal or each.order or each.position) for each in derive(before, look)[0]]


@pytest.fixture
def empty() -> Picture:
    happened, picture = derive(None, shown())
    assert not happened
    return picture


def _open(desk: Desk) -> Any:
    return desk.deal(0, 0.01, symbol="USDJPY")


def _close(desk: Desk) -> Any:
    held = desk.get("positions_get")[0]
    return desk.deal(1 - held.type, held.volume, symbol=held.symbol, position=held.ticket)


def _move(desk: Desk) -> Any:
    held = desk.get("positions_get")[0]
    return desk.send(action=6, symbol=held.symbol, position=held.ticket, sl=round(held.price_open - 2, 3))


def _pend(desk: Desk) -> Any:
    return desk.pend(2, 1.0)


def _change(desk: Desk) -> Any:
    return desk.send(action=7, order=desk.get("orders_get")[0].ticket, price=0.9)


def _remove(desk: Desk) -> Any:
    return desk.send(action=8, order=desk.get("orders_get")[0].ticket)


def _part(desk: Desk) -> Any:
    return desk.deal(0, 3.0, type_filling=2)  # the book has less: the rest waits


STORIES: list[Sequence[Callable[[Desk], Any]]] = [
    (_open, _close),
    (_open, _move),
    (_pend, _change),
    (_pend, _remove),
    (_part, _remove),
]


@pytest.mark.parametrize("story", STORIES, ids=lambda story: "-".join(step.__name__[1:] for step in story))
def test_whatever_happens_between_two_questions_is_told_once_and_in_order(story: Any) -> None:
    for moments in combinations_with_replacement(QUESTIONS, 2):
        desk = open_desk(1, "hedging")
        rig = Rig(None, desk)
        rig.look()
        left = list(zip(moments, story, strict=True))

        def go(question: int, left: Any = left, desk: Desk = desk) -> None:
            while left and left[0][0] <= question:
                assert left.pop(0)[1](desk).retcode in {c.TRADE_RETCODE_DONE, c.TRADE_RETCODE_DONE_PARTIAL}
                desk.clock.now += 0.001

        rig.look([partial(go, question) for question in QUESTIONS])
        go(QUESTIONS[-1])
        rig.check_in_place()
        rig.file.close()


def test_reasons_are_metatraders_own() -> None:
    assert [REASONS[number] for number in range(10)] == [
        *("manual", "manual", "manual", "expert", "sl", "tp", "so", "rollover", "vmargin", "split")
    ]
    assert derive(derive(None, shown())[1], shown(deals=[deal(1, 0, NOW, reason=77)]))[0][0].reason == "77"


def test_an_order_has_left_the_open_ones_when_history_shows_it(empty: Picture) -> None:
    added, placed = derive(empty, shown([order(1)]))
    assert [each.kind for each in added] == ["order_add"]
    nothing, gone = derive(placed, shown())
    assert nothing == []
    assert kinds(gone, shown(history=[order(1, NOW + 5)])) == [("history_add", 1)]
    assert kinds(gone, shown(history=[order(1, NOW - 2 * DAY)])) == [("history_add", 1)], (
        "asked by its ticket"
    )


def test_an_open_order_that_history_has_shown_is_a_picture_of_before(empty: Picture) -> None:
    _, done = derive(empty, shown(history=[order(1, NOW + 5)]))
    assert kinds(done, shown([order(1)])) == []
    assert kinds(empty, shown([order(1)], [order(1, NOW + 5)])) == [("order_add", 1), ("history_add", 1)]


def test_prices_that_the_market_moves_are_no_event(empty: Picture) -> None:
    _, placed = derive(empty, shown([order(1)], positions=[position(7, 1.0)]))
    same = [TradePosition((position(7, 1.0)._asdict() | {"profit": 5.0, "price_current": 2.0}).values())]
    assert kinds(placed, shown([order(1, price_current=1.5)], positions=same)) == []
    moved = shown([order(1, price_open=1.5)], positions=[position(7, 1.1)], time=NOW + 50)
    assert kinds(placed, moved) == [("position_update", 7), ("order_update", 1)]
    assert derive(placed, moved)[0][1].time_msc == (NOW + 50) * 1000


def test_nothing_comes_before_what_it_came_of_whatever_the_times_say(empty: Picture) -> None:
    look = shown(history=[order(1, NOW + 1)], deals=[deal(9, 1, NOW - 5), deal(8, 1, NOW + 3)])
    assert kinds(empty, look) == [("order_add", 1), ("deal_add", 9), ("deal_add", 8), ("history_add", 1)]


def test_a_deal_waits_one_look_for_its_order_and_no_longer(empty: Picture) -> None:
    look = shown(deals=[deal(9, 1, NOW + 1)])
    held, waiting = derive(empty, look)
    assert held == []
    assert kinds(waiting, shown(history=[order(1, NOW + 1)], deals=look.deals)) == [
        *(("order_add", 1), ("deal_add", 9), ("history_add", 1))
    ]
    told, after = derive(waiting, look)
    assert [each.kind for each in told] == ["deal_add"]
    assert kinds(after, look) == []


def test_what_is_shown_late_is_an_event_unless_it_is_older_than_the_record(empty: Picture) -> None:
    _, later = derive(empty, shown(time=NOW + DAY))
    late = deal(9, 0, NOW + DAY - 3 * OVERLAP)
    assert kinds(later, shown(deals=[late], time=NOW + DAY)) == [("deal_add", 9)]
    old = deal(8, 0, NOW - OVERLAP - 1)
    assert kinds(later, shown(deals=[old], time=NOW + DAY)) == []


def test_what_history_is_not_asked_for_again_is_forgotten(empty: Picture) -> None:
    look = shown(history=[order(1, NOW)], deals=[deal(9, 1, NOW)])
    _, full = derive(empty, look)
    assert (list(full.done), list(full.deals)) == ([1], [9])
    _, after = derive(full, shown(time=NOW + DAY + 1))
    assert (after.done, after.deals, after.since(DAY)) == ({}, {}, NOW + 1)


def test_another_history_is_told_from_a_clock_that_was_set_back(empty: Picture) -> None:
    _, before = derive(empty, shown(deals=[deal(9, 0, NOW)]))
    assert not contradicts(before, shown(deals=[deal(9, 0, NOW), deal(8, 0, NOW)], latest=NOW - 3600))
    assert contradicts(before, shown(deals=[deal(9, 0, NOW + 1)]))
    assert contradicts(before, shown(latest=NOW - OVERLAP - 1))


def test_stops_and_the_stop_out_give_their_reasons() -> None:
    desk = Desk(SimulatedConfig(seed=3, deposit=1000.0, leverage=500))
    rig = Rig(None, desk)
    rig.look()
    quote = desk.get("symbol_info", "EURUSD")
    desk.deal(0, 0.01, tp=round(quote.ask + 3 * quote.point, 5))
    desk.deal(0, 0.01, sl=round(quote.bid - 3 * quote.point, 5))
    desk.deal(0, 3.9)
    for hour in range(1, 400):
        desk.at(3600.0 * hour)
        desk.terminal.advance()
        if not desk.get("positions_get"):
            break
    rig.look(NOTHING)
    reasons = Counter(event.reason for event in rig.events if event.kind == "deal_add")
    assert reasons == {"expert": 3, "tp": 1, "sl": 1, "so": 1}
    rig.check_in_place()

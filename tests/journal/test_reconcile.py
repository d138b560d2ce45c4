"""What became of requests, from what a terminal shows: each rule, and what stays unknown."""

from typing import Any

import pytest
from msgspec.structs import replace

from mt5crs import constants as c
from mt5crs.journal import tags
from mt5crs.journal.reconcile import RULES, Ambiguous, Done, Intent, Never, NoTrace, Observed, Verdict, judge
from mt5crs.model import TradeOrder
from tests.journal.records import (
    NOW,
    WINDOW,
    buy,
    changed,
    deal,
    intent,
    order,
    pend,
    pending,
    position,
    shown,
    tag,
    verdict,
)

BEFORE = WINDOW[0] - 1
DEAL_DONE = (10009, 5, 50, 0.1, 1.1)
STATE_DONE = Done(10009, 0, 0, 0.0, 0.0, "state")
ACTIONS = {1, 5, 6, 7, 8, 10}


def filled(ticket: int = 5, **fields: Any) -> Observed:
    return shown(history=[order(ticket, **fields)], deals=[deal(10 * ticket, ticket)])


def test_there_is_a_rule_for_each_action() -> None:
    assert set(RULES) == ACTIONS


@pytest.mark.parametrize(
    "request_",
    [
        *({"action": action} for action in (0, 1, 6, 7, 8, 10, 99)),
        {},
        {"action": 10, "symbol": "EURUSD"},
    ],
)
def test_a_request_that_cannot_be_carried_out_leaves_no_trace(request_: dict[str, Any]) -> None:
    deals = [deal(50, 5), deal(60, 6, entry=1), deal(1, 0, symbol="", type=2)]
    for hedging in (True, False):
        observed = shown([pending(6)], [order(5, symbol="")], deals, [position(5)], hedging=hedging)
        assert verdict(Intent(1, request_, "", WINDOW), observed) == NoTrace()


# ---- DEAL: whose order it is ------------------------------------------------------------------------


def test_nothing_there() -> None:
    assert verdict(buy(1), shown()) == NoTrace()


@pytest.mark.parametrize("comment", ["", "mine"])
def test_the_tag_proves_it(comment: str) -> None:
    found = verdict(buy(1, comment=comment), filled(comment=comment + tag(1)))
    assert found == Done(*DEAL_DONE, "tag")


def test_a_tag_counts_more_than_traits() -> None:
    odd = order(5, at=NOW - 10_000, comment="[cut]" + tag(1), magic=9, volume_initial=0.3, reason=0)
    observed = shown(history=[odd, order(6)], deals=[deal(50, 5, volume=0.3), deal(60, 6)])
    assert verdict(buy(1), observed) == Done(10009, 5, 50, 0.3, 1.1, "tag")


@pytest.mark.parametrize("fields", [{"symbol": "GBPUSD"}, {"type": 1}, {"type": 2}])
def test_a_tag_on_what_was_never_asked_for_is_ambiguous(fields: dict[str, Any]) -> None:
    assert isinstance(verdict(buy(1), filled(comment=tag(1), **fields)), Ambiguous)


def test_two_orders_with_a_tag_are_ambiguous() -> None:
    observed = shown(history=[order(5, comment=tag(1)), order(6, comment=tag(1))])
    assert verdict(buy(1), observed) == Ambiguous("orders 5, 6 can be it")


def test_an_order_seen_active_and_done_is_one_order() -> None:
    done = order(5, comment=tag(1))
    active = changed(done, state=c.ORDER_STATE_STARTED, volume_current=0.1)
    observed = shown([active], [done], [deal(50, 5)])
    assert verdict(buy(1), observed) == Done(*DEAL_DONE, "tag")


@pytest.mark.parametrize("reason", [c.ORDER_REASON_SL, c.ORDER_REASON_TP, c.ORDER_REASON_SO])
def test_a_stop_with_the_comment_of_its_position_is_not_the_request(reason: int) -> None:
    stop = order(6, type=1, comment=tag(1), reason=reason, position_id=5)
    observed = shown(
        history=[order(5, comment=tag(1)), stop],
        deals=[deal(50, 5), deal(60, 6, comment=tag(1), reason=reason, entry=1, position_id=5)],
    )
    assert verdict(buy(1), observed) == Done(*DEAL_DONE, "tag")


@pytest.mark.parametrize("comment", ["", "[broker]", "min", "mine~AB"])
def test_a_rewritten_comment_leaves_the_traits(comment: str) -> None:
    assert verdict(buy(1, comment="mine"), filled(comment=comment)) == Done(*DEAL_DONE, "traits")


def test_a_comment_that_was_kept_without_its_tag_is_somebody_elses() -> None:
    assert verdict(buy(1, comment="mine"), filled(comment="mine")) == NoTrace()
    assert verdict(buy(1, False, comment="mine"), filled(comment="mine")) == Done(*DEAL_DONE, "traits")


@pytest.mark.parametrize("mark", [77, 78])
def test_the_tag_of_another_entry_or_journal_excludes_an_order(mark: int) -> None:
    assert verdict(buy(1), filled(comment=tags.tag(mark, 2))) == NoTrace()
    assert verdict(buy(1, False), filled(comment="mine" + tags.tag(mark, 2))) == NoTrace()


def test_a_comment_that_the_user_wrote_with_a_tag_is_as_it_was_sent() -> None:
    copied = "a comment as long as it" + tag(2)
    assert isinstance(verdict(buy(1, False, comment=copied), filled(comment=copied)), Done)
    both = judge([buy(1, False, comment=copied), buy(2, comment=copied[:-8])], filled(comment=copied))
    assert both == {1: NoTrace(), 2: Done(*DEAL_DONE, "tag")}


OTHER_TRAITS: list[dict[str, Any]] = [
    {"type": 1}, {"symbol": "GBPUSD"}, {"volume_initial": 0.2}, {"magic": 1}, {"position_id": 4},
    {"reason": c.ORDER_REASON_CLIENT}, {"reason": c.ORDER_REASON_SL}, {"time_setup_msc": int(BEFORE * 1000)},
]  # fmt: skip


@pytest.mark.parametrize("fields", OTHER_TRAITS)
def test_an_order_with_another_trait_is_not_it(fields: dict[str, Any]) -> None:
    assert verdict(buy(1), filled(**fields)) == NoTrace()


def test_a_reason_that_says_nothing_excludes_nothing() -> None:
    assert isinstance(verdict(buy(1), filled(reason=17)), Done)


def test_a_volume_a_hair_beside_its_step_is_the_same() -> None:
    observed = shown(history=[order(5, volume_initial=0.3)], deals=[deal(50, 5, volume=0.3)])
    assert isinstance(verdict(buy(1, volume=0.1 + 0.2), observed), Done)


@pytest.mark.parametrize(
    ("at", "is_it"),
    [(WINDOW[0], True), (WINDOW[1], True), (WINDOW[0] - 0.001, False), (WINDOW[1] + 0.001, False)],
)
def test_the_window_has_its_edges(at: float, is_it: bool) -> None:
    observed = shown(history=[order(5, at=at)], deals=[deal(50, 5)])
    assert isinstance(verdict(buy(1), observed), Done) is is_it


def test_a_claimed_order_is_that_of_its_entry() -> None:
    history, deals = [order(5)], [deal(50, 5)]
    assert verdict(buy(1), shown(history=history, deals=deals, claimed={5: 2})) == NoTrace()
    assert isinstance(verdict(buy(1), shown(history=history, deals=deals, claimed={5: 1})), Done)
    again = shown(history=[order(5, comment=tag(1))], deals=deals, claimed={5: 1 + tags.ENTRIES})
    assert verdict(buy(1), again) == NoTrace()  # the tag of one that had it long ago


def test_several_orders_with_the_traits_are_ambiguous() -> None:
    observed = shown(history=[order(5), order(6)], deals=[deal(50, 5), deal(60, 6)])
    assert verdict(buy(1), observed) == Ambiguous("orders 5, 6 can be it")
    claimed = shown(history=[order(5), order(6)], deals=[deal(50, 5), deal(60, 6)], claimed={6: 2})
    assert isinstance(verdict(buy(1), claimed), Done)


def test_requests_that_are_alike_are_ambiguous() -> None:
    why = Ambiguous("order 5 can be it, or that of another request")
    assert judge([buy(1), buy(2)], filled()) == {1: why, 2: why}
    two = shown(history=[order(5), order(6)], deals=[deal(50, 5), deal(60, 6)])
    both = judge([buy(1), buy(2)], two)
    assert all(isinstance(each, Ambiguous) for each in both.values())


def test_requests_that_are_not_alike_are_told_apart() -> None:
    history = [order(5), order(6, magic=9)]
    both = judge([buy(1), buy(2, magic=9)], shown(history=history, deals=[deal(50, 5), deal(60, 6)]))
    assert both == {1: Done(*DEAL_DONE, "traits"), 2: Done(10009, 6, 60, 0.1, 1.1, "traits")}


def test_a_tag_leaves_one_order_for_the_other_request() -> None:
    history = [order(5, comment=tag(1)), order(6)]
    both = judge([buy(1), buy(2)], shown(history=history, deals=[deal(50, 5), deal(60, 6)]))
    assert both == {1: Done(*DEAL_DONE, "tag"), 2: Done(10009, 6, 60, 0.1, 1.1, "traits")}


def test_a_close_is_for_its_position() -> None:
    close = buy(1, type=1, position=4)
    assert isinstance(verdict(close, filled(type=1, position_id=4)), Done)
    assert verdict(close, filled(type=1, position_id=3)) == NoTrace()
    assert verdict(close, filled(type=1)) == NoTrace()
    netting = replace(filled(type=1, position_id=3), hedging=False)
    assert isinstance(verdict(close, netting), Done)


# ---- DEAL: what is not shown yet --------------------------------------------------------------------


def test_what_an_order_made_is_a_trace_before_the_order_is_shown() -> None:
    why = Ambiguous("order 5 can be it, and is not shown yet")
    assert verdict(buy(1), shown(deals=[deal(50, 5)])) == why
    assert verdict(buy(1), shown(positions=[position(5)])) == why
    tagged = verdict(buy(1), shown(positions=[position(5, comment=tag(1))]))
    assert tagged == Ambiguous("what order 5 made has its tag, and such an order is not shown")


@pytest.mark.parametrize(
    "fields",
    [
        {"magic": 1},
        {"symbol": "GBPUSD"},
        {"reason": 0},
        {"comment": tag(2)},
        {"time_msc": int(BEFORE * 1000)},
    ],
)
def test_what_others_made_is_no_trace(fields: dict[str, Any]) -> None:
    assert verdict(buy(1), shown(deals=[deal(50, 5, **fields)])) == NoTrace()
    assert verdict(buy(1), shown(deals=[deal(50, 5)], claimed={5: 2})) == NoTrace()


def test_traits_do_not_prove_what_a_tag_elsewhere_contradicts() -> None:
    observed = shown(history=[order(5)], deals=[deal(50, 5)], positions=[position(6, comment=tag(1))])
    assert isinstance(verdict(buy(1), observed), Ambiguous)


# ---- DEAL: what became of the order -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "filling", "left", "lots", "answer"),
    [
        (c.ORDER_STATE_FILLED, 0, 0.0, [0.1, 0.3], (10009, 51, 0.4, 1.175)),
        (c.ORDER_STATE_FILLED, 0, 0.0, [0.1], None),
        (c.ORDER_STATE_FILLED, 0, 0.0, [], None),
        (c.ORDER_STATE_FILLED, 0, 0.4, [], None),
        (c.ORDER_STATE_CANCELED, 1, 0.3, [0.1], (10010, 51, 0.1, 1.1)),
        (c.ORDER_STATE_CANCELED, 1, 0.3, [], None),
        (c.ORDER_STATE_CANCELED, 1, 0.4, [], (10006, 0, 0.0, 0.0)),
        (c.ORDER_STATE_REJECTED, 0, 0.4, [], (10006, 0, 0.0, 0.0)),
        (c.ORDER_STATE_EXPIRED, 2, 0.4, [], (10006, 0, 0.0, 0.0)),
        (c.ORDER_STATE_EXPIRED, 2, 0.3, [0.1], (10010, 51, 0.1, 1.1)),
        (c.ORDER_STATE_PLACED, 2, 0.4, [], (10008, 0, 0.0, 0.0)),
        (c.ORDER_STATE_PARTIAL, 2, 0.3, [0.1], (10010, 51, 0.1, 1.1)),
        (c.ORDER_STATE_PARTIAL, 2, 0.3, [], None),
        (c.ORDER_STATE_PARTIAL, 2, 0.3, [0.1, 0.3], None),
        (c.ORDER_STATE_PLACED, 0, 0.4, [], None),
        (c.ORDER_STATE_PARTIAL, 1, 0.3, [0.1], None),
        (c.ORDER_STATE_STARTED, 2, 0.4, [], None),
        (c.ORDER_STATE_REQUEST_ADD, 2, 0.4, [], None),
        (42, 2, 0.4, [], None),
    ],
)
def test_the_answer_is_that_of_state_and_deals(
    state: int, filling: int, left: float, lots: list[float], answer: tuple[Any, ...] | None
) -> None:
    seen = order(
        5, state=state, type_filling=filling, volume_initial=0.4, volume_current=left, comment=tag(1)
    )
    deals = [deal(51 + n, 5, volume=volume, price=1.1 + n / 10) for n, volume in enumerate(lots)]
    found = verdict(buy(1, volume=0.4), shown([seen], deals=deals))
    if answer is None:
        assert isinstance(found, Ambiguous)
        assert found.why.startswith("order 5 is ")
    else:
        retcode, first, volume, price = answer
        assert found == Done(retcode, 5, first, volume, price, "tag")


# ---- PENDING ----------------------------------------------------------------------------------------

PLACED = (10009, 5, 0, 0.1, 0.0)


def test_a_pending_order_by_its_tag_and_by_its_traits() -> None:
    assert verdict(pend(1), shown([pending(5, comment=tag(1), price_open=1.0)])) == Done(*PLACED, "tag")
    assert verdict(pend(1), shown([pending(5, sl=1.0, tp=1.2)])) == Done(*PLACED, "traits")


@pytest.mark.parametrize(
    "state",
    [
        c.ORDER_STATE_PLACED, c.ORDER_STATE_PARTIAL, c.ORDER_STATE_FILLED, c.ORDER_STATE_CANCELED,
        c.ORDER_STATE_EXPIRED, c.ORDER_STATE_REQUEST_MODIFY, c.ORDER_STATE_REQUEST_CANCEL,
    ],
)  # fmt: skip
def test_a_pending_order_was_placed_whatever_became_of_it(state: int) -> None:
    assert verdict(pend(1), shown(history=[pending(5, state=state)])) == Done(*PLACED, "traits")


@pytest.mark.parametrize("state", [c.ORDER_STATE_STARTED, c.ORDER_STATE_REQUEST_ADD])
def test_a_pending_order_on_its_way_is_waited_for(state: int) -> None:
    assert isinstance(verdict(pend(1), shown([pending(5, state=state)])), Ambiguous)


def test_a_rejected_pending_order_was_placed_if_it_had_the_time() -> None:
    rejected = pending(5, state=c.ORDER_STATE_REJECTED, time_done=NOW)
    assert isinstance(verdict(pend(1), shown(history=[rejected])), Ambiguous)
    later = changed(rejected, time_done=NOW + 1)
    assert verdict(pend(1), shown(history=[later])) == Done(*PLACED, "traits")


def test_prices_are_equal_within_half_a_point() -> None:
    observed = shown([pending(5, price_open=1.08001)])
    assert isinstance(verdict(pend(1, price=1.080014999), observed), Done)
    assert isinstance(verdict(pend(1, price=1.080005), observed), Done)
    assert isinstance(verdict(pend(1, price=1.0800049), observed), Ambiguous)
    exact = shown([pending(5, price_open=1.08001)], points={})
    assert isinstance(verdict(pend(1, price=1.0800100000000001), exact), Done)
    assert isinstance(verdict(pend(1, stoplimit=1.0, price=1.08001), exact), Done)  # not for a limit order
    assert isinstance(verdict(pend(1, price=1.080012), exact), Ambiguous)


STOP_LIMIT: dict[str, Any] = {"type": c.ORDER_TYPE_BUY_STOP_LIMIT, "price": 1.12, "stoplimit": 1.11}


def test_a_stop_limit_order_becomes_a_limit_order() -> None:
    waits = pending(5, type=c.ORDER_TYPE_BUY_STOP_LIMIT, price_open=1.12, price_stoplimit=1.11)
    set_off = pending(5, type=c.ORDER_TYPE_BUY_LIMIT, price_open=1.11, price_stoplimit=0.0)
    for seen in (waits, set_off):
        assert verdict(pend(1, **STOP_LIMIT), shown([seen])) == Done(*PLACED, "traits")
    for seen in (changed(waits, price_stoplimit=1.1), changed(set_off, price_open=1.12)):
        assert isinstance(verdict(pend(1, **STOP_LIMIT), shown([seen])), Ambiguous)
    assert verdict(pend(1, type=c.ORDER_TYPE_BUY_STOP), shown([waits])) == NoTrace()


def test_an_order_at_another_price_may_be_it() -> None:
    observed = shown([pending(5)])
    near = Ambiguous("order 5 can be it, if it was changed since")
    assert verdict(pend(1, price=1.07), observed) == near
    assert verdict(pend(1, price=1.07), shown([pending(5)], claimed={5: 2})) == NoTrace()
    assert verdict(pend(1, price=1.07, magic=1), observed) == NoTrace()
    assert judge([pend(1, price=1.07), pend(2)], observed) == {
        1: near, 2: Ambiguous("order 5 can be it, or that of another request"),
    }  # fmt: skip


def test_orders_at_their_prices_are_told_apart() -> None:
    several = judge([pend(1, price=1.07), pend(2)], shown([pending(5), pending(6, price_open=1.07)]))
    assert several == {1: Done(10009, 6, 0, 0.1, 0.0, "traits"), 2: Done(*PLACED, "traits")}
    tagged = judge([pend(1, price=1.07), pend(2)], shown([pending(5, comment=tag(2))]))
    assert tagged == {1: NoTrace(), 2: Done(*PLACED, "tag")}


def test_a_filled_pending_order_whose_order_is_not_shown() -> None:
    assert isinstance(verdict(pend(1), shown(deals=[deal(50, 5, at=NOW + 1000)])), Ambiguous)


def test_a_deal_and_a_pending_request_never_want_the_same_order() -> None:
    both = judge([buy(1), pend(2)], shown([pending(5)], [order(6)], [deal(60, 6)]))
    assert both == {1: Done(10009, 6, 60, 0.1, 1.1, "traits"), 2: Done(*PLACED, "traits")}
    assert verdict(buy(1, type=c.ORDER_TYPE_BUY_LIMIT), shown([pending(5)])) == NoTrace()
    assert verdict(pend(1, type=0), filled()) == NoTrace()


# ---- SLTP -------------------------------------------------------------------------------------------


def sltp(entry: int = 1, **request: Any) -> Intent:
    own: dict[str, Any] = {"action": 6, "position": 5, "sl": 1.09, "tp": 1.2}
    return intent(entry, False, **own | request)


def test_levels_as_they_were_asked_for() -> None:
    held = position(5, sl=1.09, tp=1.2)
    assert verdict(sltp(sl=1.090004, tp=1.199996), shown(positions=[held])) == STATE_DONE
    assert verdict(sltp(position=0, symbol="EURUSD"), shown(positions=[held], hedging=False)) == STATE_DONE
    assert verdict(sltp(position=0, symbol="EURUSD"), shown(positions=[held])) == NoTrace()
    assert verdict(intent(1, False, action=6, position=5), shown(positions=[position(5)])) == STATE_DONE


@pytest.mark.parametrize("levels", [{}, {"sl": 1.09}, {"sl": 1.09, "tp": 1.2001}])
def test_other_levels_of_an_untouched_position(levels: dict[str, float]) -> None:
    assert verdict(sltp(), shown(positions=[position(5, **levels)])) == NoTrace()
    old = position(5, at=BEFORE - 100, time_update_msc=int(BEFORE * 1000), **levels)
    assert verdict(sltp(), shown(positions=[old])) == NoTrace()


def test_other_levels_of_a_position_that_was_changed() -> None:
    held = position(5, time_update_msc=NOW * 1000 + 1)
    assert isinstance(verdict(sltp(), shown(positions=[held])), Ambiguous)


def test_another_position_of_the_symbol_says_nothing_of_the_one_that_was() -> None:
    observed = shown(positions=[position(7)], deals=[deal(50, 6, position_id=5, entry=1)], hedging=False)
    assert isinstance(verdict(sltp(position=0, symbol="EURUSD"), observed), Ambiguous)


def test_what_was_closed_before_says_nothing_of_a_position() -> None:
    by_symbol = sltp(position=0, symbol="EURUSD")
    before = [deal(50, 6, at=BEFORE, entry=1)]
    assert verdict(by_symbol, shown(positions=[position(7)], deals=before, hedging=False)) == NoTrace()
    assert isinstance(verdict(by_symbol, shown(deals=before, hedging=False)), Never)
    assert verdict(by_symbol, shown(deals=before)) == NoTrace()  # on a hedging account a symbol names nothing
    two = [position(7, sl=1.09, tp=1.2), position(8)]
    assert verdict(by_symbol, shown(positions=two, hedging=False)) == NoTrace()


def test_a_reversed_position_has_the_ticket_of_its_order() -> None:
    reversal = order(5, position_id=3)
    closed = deal(60, 6, entry=1, position_id=3)
    assert isinstance(verdict(sltp(), shown(history=[reversal], deals=[closed], hedging=False)), Ambiguous)


def test_levels_that_cannot_be_compared() -> None:
    assert isinstance(verdict(sltp(), shown(positions=[position(5)], points={})), Ambiguous)
    assert verdict(sltp(), shown(positions=[position(5, sl=1.09, tp=1.2)], points={})) == STATE_DONE


def test_several_requests_for_levels() -> None:
    observed = shown(positions=[position(5, sl=1.09, tp=1.2)])
    several = judge([sltp(1, sl=1.08), sltp(2), sltp(3, tp=0.0), sltp(4)], observed)
    assert (several[2], several[4]) == (STATE_DONE, STATE_DONE)
    assert isinstance(several[1], Ambiguous)
    assert isinstance(several[3], Ambiguous)
    assert set(judge([sltp(1, sl=1.08), sltp(2, sl=1.07)], observed).values()) == {NoTrace()}
    assert judge([sltp(1), sltp(2, position=6)], shown(positions=[position(5), position(6)])) == {
        1: NoTrace(), 2: NoTrace(),
    }  # fmt: skip


STOPPED: dict[str, Any] = {
    "entry": 1,
    "position_id": 5,
    "reason": c.DEAL_REASON_SL,
    "comment": "[sl 1.09000]",
}


def test_a_stop_proves_the_level_that_it_was_made_by() -> None:
    deals = [deal(60, 6, **STOPPED)]
    assert verdict(sltp(), shown(history=[order(5)], deals=deals)) == STATE_DONE
    taken = [deal(60, 6, **STOPPED | {"reason": c.DEAL_REASON_TP, "comment": "[tp 1.20000]"})]
    assert verdict(sltp(), shown(history=[order(5)], deals=taken)) == STATE_DONE


@pytest.mark.parametrize(
    ("opening", "closing"),
    [
        ({}, {"comment": "[sl 1.09100]"}),
        ({}, {"comment": ""}),
        ({}, {"comment": "[tp 1.09000]", "reason": c.DEAL_REASON_TP}),
        ({}, {"reason": c.DEAL_REASON_EXPERT}),
        ({}, {"reason": c.DEAL_REASON_SO, "comment": "so: 50%/1/2"}),
        ({"sl": 1.09}, {}),
        (None, {}),
    ],
)
def test_a_closed_position_proves_nothing_else(
    opening: dict[str, Any] | None, closing: dict[str, Any]
) -> None:
    history = [] if opening is None else [order(5, **opening)]
    deals = [deal(60, 6, **STOPPED | closing)]
    assert isinstance(verdict(sltp(), shown(history=history, deals=deals)), Ambiguous)


def test_a_position_that_was_closed_before() -> None:
    deals = [deal(60, 6, at=BEFORE, **STOPPED)]
    assert isinstance(verdict(sltp(), shown(history=[order(5)], deals=deals)), Never)
    assert verdict(sltp(), shown()) == NoTrace()


# ---- MODIFY -----------------------------------------------------------------------------------------


def modify(entry: int = 1, **request: Any) -> Intent:
    own: dict[str, Any] = {"action": 7, "order": 5, "price": 1.08, "sl": 1.0, "tp": 1.2}
    return intent(entry, False, **own | request)


AS_ASKED = {"sl": 1.0, "tp": 1.2}
MODIFIED = Done(10009, 5, 0, 0.0, 0.0, "state")


def test_terms_as_they_were_asked_for() -> None:
    assert verdict(modify(price=1.080004), shown([pending(5, **AS_ASKED)])) == MODIFIED
    done = pending(5, state=c.ORDER_STATE_FILLED, time_done_msc=NOW * 1000, **AS_ASKED)
    assert verdict(modify(), shown(history=[done])) == MODIFIED
    assert verdict(modify(), shown()) == NoTrace()


@pytest.mark.parametrize(
    ("kind", "until", "has", "is_it"),
    [
        (0, 777, (0, 0), True),
        (0, 0, (1, 0), False),
        (1, 0, (1, NOW), True),
        (2, NOW, (2, NOW), True),
        (2, NOW, (2, NOW + 1), False),
        (3, NOW // 86400 * 86400, (3, NOW // 86400 * 86400 + 86399), True),
        (3, NOW, (3, NOW + 86400), False),
    ],
)
def test_the_expiration_counts_where_it_is_specified(
    kind: int, until: int, has: tuple[int, int], is_it: bool
) -> None:
    seen = pending(5, type_time=has[0], time_expiration=has[1], **AS_ASKED)
    found = verdict(modify(type_time=kind, expiration=until), shown([seen]))
    assert found == (MODIFIED if is_it else NoTrace())


@pytest.mark.parametrize("fields", [{"price_open": 1.0801}, {"sl": 0.0}, {"tp": 1.3}])
def test_an_order_with_other_terms(fields: dict[str, Any]) -> None:
    seen = pending(5, **AS_ASKED | fields)
    assert verdict(modify(), shown([seen])) == NoTrace()
    assert isinstance(verdict(modify(), shown([seen], points={})), Ambiguous)
    assert isinstance(verdict(modify(), shown([changed(seen, state=8)])), Ambiguous)
    done = changed(seen, state=c.ORDER_STATE_FILLED, time_done_msc=NOW * 1000)
    assert isinstance(verdict(modify(), shown(history=[done])), Ambiguous)
    long_done = changed(done, time_done_msc=int(BEFORE * 1000))
    assert isinstance(verdict(modify(), shown(history=[long_done])), Never)


def test_a_modified_stop_limit_order() -> None:
    seen = pending(5, type=c.ORDER_TYPE_BUY_STOP_LIMIT, price_stoplimit=1.07, **AS_ASKED)
    assert verdict(modify(stoplimit=1.07), shown([seen])) == MODIFIED
    assert verdict(modify(stoplimit=1.06), shown([seen])) == NoTrace()
    set_off = changed(seen, type=c.ORDER_TYPE_BUY_LIMIT, price_open=1.07)
    assert isinstance(verdict(modify(stoplimit=1.07), shown([set_off])), Ambiguous)
    assert isinstance(verdict(modify(price=1.07, stoplimit=1.07), shown([set_off])), Ambiguous)
    assert verdict(modify(price=1.07), shown([set_off])) == MODIFIED


def test_several_requests_for_terms() -> None:
    several = judge([modify(1, sl=0.9), modify(2), modify(3)], shown([pending(5, **AS_ASKED)]))
    assert (several[2], several[3]) == (MODIFIED, MODIFIED)
    assert isinstance(several[1], Ambiguous)


# ---- REMOVE -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (c.ORDER_STATE_CANCELED, Done),
        (c.ORDER_STATE_FILLED, Never),
        (c.ORDER_STATE_EXPIRED, Never),
        (c.ORDER_STATE_REJECTED, Never),
        (c.ORDER_STATE_PLACED, NoTrace),
        (c.ORDER_STATE_PARTIAL, NoTrace),
        (c.ORDER_STATE_REQUEST_CANCEL, Ambiguous),
    ],
)
def test_a_removed_order(state: int, expected: type[Verdict]) -> None:
    remove = intent(1, False, action=8, order=5)
    found = verdict(remove, shown([pending(5, state=state)]))
    assert isinstance(found, expected)
    if isinstance(found, Done):
        assert found == Done(10009, 5, 0, 0.0, 0.0, "state")
    assert verdict(remove, shown([pending(6, state=state)])) == NoTrace()


def test_an_order_that_was_removed_before() -> None:
    gone = pending(5, state=c.ORDER_STATE_CANCELED, time_done_msc=int(BEFORE * 1000))
    assert isinstance(verdict(intent(1, False, action=8, order=5), shown(history=[gone])), Never)


# ---- CLOSE_BY ---------------------------------------------------------------------------------------


def close_by(entry: int = 1, tagged: bool = False, **request: Any) -> Intent:
    return intent(entry, tagged, **{"action": 10, "position": 5, "position_by": 6} | request)


def by(ticket: int = 9, **fields: Any) -> TradeOrder:
    own: dict[str, Any] = {"type": 8, "position_id": 5, "position_by_id": 6, "comment": "close #5 by #6"}
    return order(ticket, **own | fields)


OUT_BY = [
    deal(90, 9, entry=3, position_id=5, price=1.2, volume=0.1),
    deal(91, 9, entry=3, position_id=6, price=1.1, volume=0.1),
]
CLOSED_BY = (10009, 9, 90, 0.1, 1.2)


def test_a_close_by_and_its_first_deal() -> None:
    assert verdict(close_by(), shown(history=[by()], deals=OUT_BY[::-1])) == Done(*CLOSED_BY, "traits")
    tagged = shown(history=[by(comment=tag(1))], deals=OUT_BY)
    assert verdict(close_by(1, True), tagged) == Done(*CLOSED_BY, "tag")


def test_a_close_by_that_is_not_finished_or_was_refused() -> None:
    assert isinstance(verdict(close_by(), shown(history=[by()], deals=OUT_BY[:1])), Ambiguous)
    assert isinstance(verdict(close_by(), shown([by(state=c.ORDER_STATE_STARTED)])), Ambiguous)
    odd = shown(history=[by(state=c.ORDER_STATE_CANCELED)], deals=OUT_BY)
    assert isinstance(verdict(close_by(), odd), Ambiguous)
    refused = shown(history=[by(state=c.ORDER_STATE_REJECTED)])
    assert verdict(close_by(), refused) == Done(10006, 9, 0, 0.0, 0.0, "traits")


def test_a_close_by_of_others() -> None:
    held = [position(5), position(6, type=1)]
    assert verdict(close_by(), shown(positions=held)) == NoTrace()
    other = by(position_by_id=7)
    gone = [deal(90, 9, entry=3, position_id=5), deal(91, 9, entry=3, position_id=7)]
    assert isinstance(verdict(close_by(), shown(history=[other], deals=gone, positions=held[1:])), Ambiguous)
    long_gone = [changed(each, time_msc=int(BEFORE * 1000)) for each in gone]
    assert isinstance(verdict(close_by(), shown(deals=long_gone, positions=held[1:])), Never)
    claimed = shown(history=[by()], deals=OUT_BY, claimed={9: 2})
    assert isinstance(verdict(close_by(), claimed), Ambiguous)
    both = judge([close_by(1), close_by(2)], shown(history=[by()], deals=OUT_BY))
    assert all(isinstance(each, Ambiguous) for each in both.values())

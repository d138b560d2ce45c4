"""The simulated terminal's own answers, thrown away and found again from what it shows."""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mt5crs import constants as c
from mt5crs.journal.reconcile import Ambiguous, Done, Never, NoTrace
from tests.journal.lost import LONG, LostAnswers, core

FOK, IOC, RETURN = range(3)
CARRIED_OUT = {10008, 10009, 10010}
BUY: dict[str, Any] = {"action": 1, "symbol": "EURUSD", "volume": 0.4, "type": 0, "magic": 7}
SELL = BUY | {"type": 1}
Way = Callable[..., Any]
"""Sends a request and loses its answer."""


class How(NamedTuple):
    """How a request is sent, and what becomes of its comment."""

    name: str
    tagged: bool
    keeps: bool
    comment: str


HOWS = [
    How("tag", True, True, ""),
    How("tag behind a comment", True, True, "mine"),
    How("rewritten", True, False, "mine"),
    How("no room", True, True, LONG),
    How("no comment", False, False, ""),
]


def limit(desk: LostAnswers, **fields: Any) -> dict[str, Any]:
    own = {
        "action": 5,
        "symbol": "EURUSD",
        "volume": 0.1,
        "type": 2,
        "price": desk.near(-50),
        "type_filling": RETURN,
    }
    return own | fields


# ---- what makes an order ----


def market(desk: LostAnswers, lose: Way) -> None:
    desk.known(**BUY)
    desk.pass_time(5)
    lose(**BUY)


def several_deals(desk: LostAnswers, lose: Way) -> None:
    desk.offer(0.1, 0.2, 0.3)
    lose(**BUY)


def partly(desk: LostAnswers, lose: Way) -> None:
    desk.offer(0.1, 0.2)
    assert lose(**BUY, type_filling=IOC).retcode == 10010


def nothing_found(desk: LostAnswers, lose: Way) -> None:
    desk.offer()
    assert lose(**BUY, type_filling=IOC).retcode == 10006


def killed(desk: LostAnswers, lose: Way) -> None:
    desk.offer(0.1)
    assert lose(**BUY, type_filling=FOK).retcode == 10006


def rest_waits(desk: LostAnswers, lose: Way) -> None:
    desk.offer(0.1)
    assert lose(**BUY, type_filling=RETURN).retcode == 10010


def all_waits(desk: LostAnswers, lose: Way) -> None:
    desk.offer()
    assert lose(**BUY, type_filling=RETURN).retcode == 10008


def rest_waits_no_more(desk: LostAnswers, lose: Way) -> None:
    desk.offer(0.1)
    order = lose(**BUY, type_filling=RETURN).order
    desk.known(action=8, order=order)


def close(desk: LostAnswers, lose: Way) -> None:
    ticket = desk.known(**BUY).order
    desk.pass_time(5)
    lose(**SELL, position=ticket)


def close_a_part(desk: LostAnswers, lose: Way) -> None:
    ticket = desk.known(**BUY).order
    lose(**SELL | {"volume": 0.1}, position=ticket)


def add_or_hedge(desk: LostAnswers, lose: Way) -> None:
    desk.known(**BUY)
    lose(**SELL | {"volume": 1.0})  # reverses on a netting account
    lose(**BUY | {"volume": 0.2})


def closed_by_its_stop(desk: LostAnswers, lose: Way) -> None:
    lose(**BUY, sl=desk.near(-1))
    desk.pass_time(3 * 86_400)
    assert desk.get("positions_total") == 0


def placed(desk: LostAnswers, lose: Way) -> None:
    desk.known(**limit(desk, magic=1))
    lose(**limit(desk))
    lose(**limit(desk, type=c.ORDER_TYPE_BUY_STOP, price=desk.near(50) + 0.000004))


def placed_and_filled(desk: LostAnswers, lose: Way) -> None:
    lose(**limit(desk, price=desk.near(-1)))
    desk.pass_time(3 * 86_400)
    assert desk.get("positions_total") == 1


def placed_and_expired(desk: LostAnswers, lose: Way) -> None:
    lose(**limit(desk, type_time=c.ORDER_TIME_DAY))
    desk.pass_time(86_400)
    assert desk.get("orders_total") == 0


def placed_and_changed(desk: LostAnswers, lose: Way) -> None:
    order = lose(**limit(desk)).order
    desk.known(action=7, order=order, price=desk.near(-50), sl=desk.near(-90), tp=desk.near(90))
    desk.known(action=8, order=order)


def stop_limit(desk: LostAnswers, lose: Way) -> None:
    asked = {"type": c.ORDER_TYPE_BUY_STOP_LIMIT, "price": desk.near(3), "stoplimit": desk.near(-300)}
    order = lose(**limit(desk, **asked)).order
    desk.pass_time(3 * 86_400)
    assert desk.get("orders_get", ticket=order)[0].type == c.ORDER_TYPE_BUY_LIMIT


MAKERS = [
    market, several_deals, partly, nothing_found, killed, rest_waits, all_waits, rest_waits_no_more, close,
    close_a_part, add_or_hedge, closed_by_its_stop, placed, placed_and_filled, placed_and_expired,
    placed_and_changed, stop_limit,
]  # fmt: skip


def name(thing: Any) -> str:
    return str(getattr(thing, "name", None) or thing.__name__)


@pytest.fixture(params=[True, False], ids=["hedging", "netting"])
def desk(request: pytest.FixtureRequest) -> LostAnswers:
    return LostAnswers(hedging=request.param)


@pytest.mark.parametrize("how", HOWS, ids=name)
@pytest.mark.parametrize("case", MAKERS, ids=name)
def test_an_order_is_answered_as_it_was(desk: LostAnswers, case: Callable[..., None], how: How) -> None:
    case(desk, lambda **request: desk.lose(how.tagged, **request, comment=how.comment))
    judged = desk.judged(how.keeps)
    assert {entry: core(verdict) for entry, verdict in judged.items() if isinstance(verdict, Done)} == {
        entry: core(answer) for entry, answer in desk.answers.items()
    }
    expected = "tag" if how.name.startswith("tag") else "traits"
    assert {verdict.how for verdict in judged.values() if isinstance(verdict, Done)} == {expected}


@pytest.mark.parametrize("tagged", [True, False])
def test_a_close_by_is_answered_as_it_was(tagged: bool) -> None:
    desk = LostAnswers(hedging=True)
    long, short = desk.known(**BUY).order, desk.known(**SELL | {"volume": 0.1}).order
    desk.lose(tagged, arrives=False, action=10, position=short, position_by=long)
    assert desk.judged() == {1: NoTrace()}
    desk.intents.clear()
    desk.lose(tagged, action=10, position=long, position_by=short)
    assert desk.is_true(1, desk.judged()[1])


def test_what_did_not_arrive_leaves_no_trace(desk: LostAnswers) -> None:
    ticket, order = desk.known(**BUY).order, desk.known(**limit(desk)).order
    levels = {"sl": desk.near(-50), "tp": desk.near(50)}
    for request in (
        BUY,
        limit(desk),
        {"action": 6, "position": ticket, **levels},
        {"action": 7, "order": order, "price": desk.near(-60)},
        {"action": 8, "order": order},
        {"action": 10, "position": ticket, "position_by": 9},
    ):
        desk.lose(arrives=False, **request)
    assert set(desk.judged().values()) == {NoTrace()}


# ---- what changes something ----


def test_levels_are_answered_as_they_were(desk: LostAnswers) -> None:
    ticket = desk.known(**BUY).order
    desk.lose(action=6, position=ticket, sl=desk.near(-50) + 0.000004, tp=desk.near(50))
    if not desk.hedging:
        desk.lose(action=6, symbol="EURUSD", sl=desk.near(-50), tp=desk.near(50))
        desk.answers[2] = desk.answers[1]  # it was told that there was nothing to change
    assert all(desk.is_true(entry, verdict) for entry, verdict in desk.judged().items())


def test_a_stop_tells_of_the_level_that_was_set(desk: LostAnswers) -> None:
    ticket = desk.known(**BUY).order
    desk.lose(action=6, position=ticket, sl=desk.near(-1))
    desk.pass_time(3 * 86_400)
    assert desk.get("positions_total") == 0
    assert desk.is_true(1, desk.judged()[1])


def test_terms_and_a_removal_are_answered_as_they_were(desk: LostAnswers) -> None:
    order = desk.known(**limit(desk)).order
    until = int(desk.clock.now) // 86_400 * 86_400 + 5 * 86_400
    terms: dict[str, Any] = {"price": desk.near(-60), "sl": desk.near(-90), "tp": desk.near(90)}
    desk.lose(action=7, order=order, type_time=c.ORDER_TIME_SPECIFIED, expiration=until, **terms)
    assert desk.is_true(1, desk.judged()[1])
    desk.lose(action=8, order=order)
    assert all(desk.is_true(entry, verdict) for entry, verdict in desk.judged().items())


def test_a_filled_order_cannot_be_removed_any_more(desk: LostAnswers) -> None:
    order = desk.known(**limit(desk, price=desk.near(-1))).order
    desk.lose(arrives=False, action=8, order=order)
    desk.pass_time(3 * 86_400)
    assert isinstance(desk.judged()[1], Never)


# ---- whatever happens ----

KINDS = ["buy", "sell", "limit", "close", "levels", "modify", "remove", "close_by"]
MOVES = st.tuples(
    st.sampled_from(KINDS),
    st.sampled_from(["known", "lost", "astray"]),
    st.integers(0, 3),
    st.booleans(),
    st.sampled_from([0.01, 1.0, 30.0]),
)


def request_of(desk: LostAnswers, kind: str, choice: int) -> dict[str, Any]:
    """Return a request of a kind, for one of the orders or positions that there are."""
    positions, orders = desk.get("positions_get"), desk.get("orders_get")
    held = positions[choice % len(positions)] if positions else None
    waits = orders[choice % len(orders)].ticket if orders else 0
    ticket = held.ticket if held else 0
    opposite = next((each.ticket for each in positions if held and each.type != held.type), 0)
    level = {"sl": round(desk.bid - 0.01 - choice / 100, 5), "magic": choice // 2}
    made: dict[str, dict[str, Any]] = {
        "buy": BUY | {"magic": choice},
        "sell": SELL | {"magic": choice},
        "limit": limit(desk, price=1.0 + choice / 100, magic=choice // 2),
        "close": BUY
        | {"type": 1 - held.type if held else 0, "volume": held.volume if held else 0.1, "position": ticket},
        "levels": {"action": 6, "position": ticket} | ({} if held and held.type else level),
        "modify": {"action": 7, "order": waits, "price": 1.0 + choice / 50},
        "remove": {"action": 8, "order": waits},
        "close_by": {"action": 10, "position": ticket, "position_by": opposite},
    }
    return made[kind]


@settings(max_examples=150, deadline=None)
@given(st.lists(MOVES, max_size=12), st.booleans(), st.booleans())
def test_no_verdict_is_wrong(moves: list[Any], hedging: bool, keeps_comments: bool) -> None:
    desk = LostAnswers(hedging)
    modified: dict[int, int] = {}  # by whom last, as far as that is known
    for kind, fate, choice, tagged, seconds in moves:
        desk.pass_time(seconds)
        request = request_of(desk, kind, choice)
        if fate == "known":
            desk.known(**request)
            modified[request.get("order", 0)] = len(desk.intents)
        else:
            desk.lose(tagged, fate == "lost", **request)
    for entry, verdict in desk.judged(keeps_comments).items():
        answer, asked = desk.answers[entry], desk.intents[entry - 1].request
        was_carried_out = answer is not None and answer.retcode in CARRIED_OUT
        if isinstance(verdict, Done) and verdict.how != "state":
            assert core(verdict) == core(answer)
        elif isinstance(verdict, Done):
            assert verdict.order == asked.get("order", 0)
        elif not isinstance(verdict, Ambiguous):
            # Of an order's terms nothing is left where a later request that was answered has changed them.
            is_covered = asked["action"] == 7 and modified.get(asked["order"], 0) >= entry
            assert not was_carried_out or is_covered

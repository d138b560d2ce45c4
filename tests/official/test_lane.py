"""The rules of one lane: time and events in, actions out; no process, no clock."""

from itertools import pairwise
from math import inf
from typing import Any

import pytest

from mt5crs.api import OPERATIONS
from mt5crs.errors import Busy, Expired, WrongAccount
from mt5crs.last_error import IPC_TIMEOUT, NO_ANSWER
from mt5crs.operation import Result, Unasked, done
from mt5crs.terminal.official.lane import (
    FIRST_PAUSE,
    LONGEST_PAUSE,
    Actions,
    Job,
    Kill,
    Lane,
    Send,
    Settle,
    Start,
    State,
)
from mt5crs.terminal.port import Deferred

LIMIT, START_LIMIT = 15.0, 90.0


def job(name: str = "order_send", until: float = inf) -> Job:
    return Job(OPERATIONS[name], [], until, Deferred())


def new(room: int = 256) -> Lane:
    return Lane("trade", LIMIT, START_LIMIT, room)


def ready(now: float = 0.0, **options: int) -> Lane:
    lane = new(**options)
    assert lane.tick(now) == [Start()]
    assert lane.ready(now) == []
    return lane


def sent(actions: Actions) -> list[Job]:
    return [action.job for action in actions if isinstance(action, Send)]


def settled(actions: Actions) -> list[tuple[Job, Result]]:
    return [(action.job, action.result) for action in actions if isinstance(action, Settle)]


def test_a_worker_is_started_once_and_at_once() -> None:
    lane = new()
    assert lane.due == -inf
    assert lane.tick(5.0) == [Start()]
    assert lane.tick(5.1) == []
    assert lane.due == 5.0 + START_LIMIT


def test_what_is_asked_before_the_worker_is_ready_waits_for_it() -> None:
    lane, first, second = new(), job(), job()
    lane.tick(0.0)
    assert lane.ask(first, 0.0) == lane.ask(second, 0.0) == []
    assert lane.ready(1.0) == [Send(1, first)]
    assert lane.ready(1.0) == []


def test_one_call_at_a_time_in_the_order_of_asking() -> None:
    lane, jobs = ready(), [job() for _ in range(3)]
    assert [sent(lane.ask(each, 1.0)) for each in jobs] == [[jobs[0]], [], []]
    for number, (each, following) in enumerate(pairwise(jobs), 1):
        assert lane.is_current(number)
        actions = lane.answered(done(number), 2.0)
        assert actions == [Send(number + 1, following), Settle(each, done(number))]
    assert lane.answered(done(3), 2.0) == [Settle(jobs[2], done(3))]
    assert lane.is_idle


def test_the_next_call_leaves_before_anybody_hears_of_the_last_answer() -> None:
    lane = ready()
    lane.ask(job(), 0.0)
    lane.ask(job(), 0.0)
    assert [type(action) for action in lane.answered(done(1), 0.0)] == [Send, Settle]


def test_a_full_queue_is_busy_and_what_is_at_work_does_not_count() -> None:
    lane = ready(room=2)
    for _ in range(3):
        lane.ask(job(), 0.0)
    with pytest.raises(Busy, match="2 calls wait for the terminal already .*trade lane"):
        lane.ask(job(), 0.0)
    lane.answered(done(1), 0.0)
    lane.ask(job(), 0.0)


def test_our_own_calls_go_first_whether_there_is_room_or_not() -> None:
    lane, own = ready(room=1), job("market_book_add")
    lane.ask(job(), 0.0)
    lane.ask(job(), 0.0)
    assert lane.ask_first(own, 0.0) == []
    assert sent(lane.answered(done(1), 0.0)) == [own]


def test_what_has_expired_is_dropped_before_the_worker_hears_of_it() -> None:
    lane, late, other = ready(), job(until=5.0), job(until=50.0)
    for each in (job(), late, other):
        lane.ask(each, 0.0)
    assert lane.due == 5.0
    assert lane.tick(5.0) == []
    ((dropped, result),) = settled(lane.tick(5.1))
    assert dropped is late
    assert isinstance(result, Unasked)
    assert isinstance(result.failure, Expired)
    assert result.value is None
    assert sent(lane.answered(done(1), 6.0)) == [other]


def test_what_expires_in_the_same_moment_as_the_answer_comes_is_dropped_too() -> None:
    lane, late = ready(), job(until=5.0)
    lane.ask(job(), 0.0)
    lane.ask(late, 0.0)
    actions = lane.answered(done(1), 5.1)
    assert sent(actions) == []
    assert [each for each, _ in settled(actions)].count(late) == 1


def test_a_call_beyond_its_limit_costs_the_worker_and_its_own_answer_alone() -> None:
    lane, hung, waiting = ready(), job(), job()
    lane.ask(hung, 10.0)
    lane.ask(waiting, 10.0)
    assert lane.due == 10.0 + LIMIT
    assert lane.tick(24.9) == []
    actions = lane.tick(25.0)
    assert actions == [Kill(), Settle(hung, Result(None, IPC_TIMEOUT))]
    assert lane.state is State.DOWN
    assert lane.tick(25.0 + FIRST_PAUSE / 2) == []
    assert lane.tick(25.0 + FIRST_PAUSE) == [Start()]
    assert lane.ready(26.0) == [Send(2, waiting)]


def test_a_part_of_an_answer_gives_the_rest_new_time() -> None:
    lane = ready()
    lane.ask(job("copy_rates_range"), 0.0)
    lane.progress(1, 14.0)
    lane.progress(7, 20.0)
    assert lane.tick(28.9) == []
    assert lane.tick(29.0)[0] == Kill()


def test_a_worker_that_dies_leaves_one_call_in_doubt() -> None:
    lane, doubtful, waiting = ready(), job(), job()
    lane.ask(doubtful, 0.0)
    lane.ask(waiting, 0.0)
    kill, settle = lane.ended("exit code -9", 1.0)
    assert kill == Kill()
    assert isinstance(settle, Settle)
    assert settle.job is doubtful
    assert settle.result.value is None
    assert settle.result.error[0] in NO_ANSWER
    assert lane.ended("exit code -9", 1.0) == []
    lane.tick(2.0)
    assert lane.ready(2.0) == [Send(2, waiting)]


def test_what_a_dead_worker_cannot_have_heard_of_is_not_in_doubt() -> None:
    lane, order = ready(), job()
    assert lane.ask(order, 0.0) == [Send(1, order)]
    assert lane.unsent("found dead", 0.0) == [Kill()]
    lane.tick(1.0)
    assert lane.ready(1.0) == [Send(2, order)]


def test_pauses_between_workers_double_up_to_a_limit_until_an_answer_comes() -> None:
    lane, now = new(), 0.0
    pauses: list[float] = []
    for _ in range(9):
        assert lane.tick(now) == [Start()]
        lane.ended("exit code 1", now)
        pauses.append(lane.due - now)
        now = lane.due
    assert pauses[:4] == pytest.approx([0.1, 0.2, 0.4, 0.8])
    assert pauses[-1] == pytest.approx(LONGEST_PAUSE)
    lane.tick(now)
    lane.ready(now)
    lane.ask(job(), now)
    lane.answered(done(1), now)
    lane.ended("exit code 1", now)
    assert lane.due - now == pytest.approx(FIRST_PAUSE)


def test_a_call_that_the_worker_hands_back_is_sent_again_when_it_is_ready() -> None:
    lane, order, waiting = ready(), job(), job()
    lane.ask(order, 10.0)
    lane.ask(waiting, 10.0)
    lane.back(11.0)
    assert lane.due == 11.0 + START_LIMIT  # attaching again has the time of a start, not that of an order
    assert not lane.is_current(1)
    assert lane.ready(80.0) == [Send(2, order)]


def test_a_worker_that_hangs_while_it_attaches_again_leaves_nothing_in_doubt() -> None:
    lane, order = ready(), job(until=200.0)
    lane.ask(order, 10.0)
    lane.back(11.0)
    assert lane.tick(11.0 + START_LIMIT) == [Kill()]
    lane.tick(110.0)
    assert lane.ready(110.0) == [Send(2, order)]


def test_a_refused_call_is_one_that_the_terminal_was_not_asked() -> None:
    lane, order, waiting = ready(), job(), job()
    lane.ask(order, 0.0)
    lane.ask(waiting, 0.0)
    failure = WrongAccount("another one")
    send, settle = lane.refused(failure, 1.0)
    assert send == Send(2, waiting)
    assert isinstance(settle, Settle)
    assert isinstance(settle.result, Unasked)
    assert settle.result.failure is failure


def test_a_worker_that_does_not_attach_in_time_is_replaced() -> None:
    lane = new()
    lane.tick(0.0)
    lane.attaching(40.0)
    assert lane.tick(40.0 + START_LIMIT - 0.1) == []
    assert lane.tick(40.0 + START_LIMIT) == [Kill()]
    assert lane.why == "not attached in 90.0 s"


def test_what_waits_when_the_gateway_stops_was_not_carried_out() -> None:
    lane, at_work, waiting = ready(), job(), job()
    lane.ask(at_work, 0.0)
    lane.ask(waiting, 0.0)
    ((dropped, result),) = settled(lane.drop_waiting("the gateway stopped"))
    assert dropped is waiting
    assert isinstance(result, Unasked)


def test_failure_values_are_those_of_the_operation() -> None:
    lane = ready()
    select = job("symbol_select")
    lane.ask(select, 0.0)
    assert settled(lane.tick(LIMIT)) == [(select, Result(False, IPC_TIMEOUT))]


def _down(lane: Lane) -> None:
    lane.tick(0.0)
    lane.ended("exit code -9", 0.0)
    lane.tick(FIRST_PAUSE)
    lane.ended("exit code -9", 1.0)


def _busy(lane: Lane, waiting: int = 0) -> None:
    lane.tick(0.0)
    lane.ready(0.0)
    for _ in range(1 + waiting):
        lane.ask(job(), 0.0)


@pytest.mark.parametrize(
    ("prepare", "now", "says"),
    [
        (lambda lane: lane.tick(0.0), 2.0, "starting for 2.0 s"),
        (_busy, 3.2, "busy for 3.2 s"),
        (lambda lane: _busy(lane, 4), 3.2, "busy for 3.2 s, 4 waiting"),
        (_down, 1.0, "restarting in 0.2 s (exit code -9)"),
        (lambda lane: (lane.tick(0.0), lane.ready(0.0)), 9.0, "ready"),
    ],
)
def test_a_lane_says_what_it_does(prepare: Any, now: float, says: str) -> None:
    lane = new()
    prepare(lane)
    assert lane.describe(now) == says

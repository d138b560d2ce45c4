"""The transition table: what it must and must not allow."""

import itertools

import pytest

from mt5crs.journal.states import NEXT, OPEN, WATCHED, State, Step, after, is_step

SETTLED = set(State) - OPEN - {State.NEW}


def reachable(start: State) -> set[State]:
    found, todo = {start}, [start]
    while todo:
        state = todo.pop()
        for (before, _), then in NEXT.items():
            if before is state and then not in found:
                found.add(then)
                todo.append(then)
    return found


def test_every_state_and_every_step_is_used() -> None:
    assert reachable(State.NEW) == set(State)
    assert {step for _, step in NEXT} == set(Step)


def test_nothing_begins_twice_and_nothing_settled_is_open_again() -> None:
    assert [state for state, step in NEXT if step is Step.BEGIN] == [State.NEW]
    for state in SETTLED:
        assert reachable(state) <= SETTLED


def test_what_was_done_or_refused_stays_so() -> None:
    assert reachable(State.DONE) == {State.DONE}
    assert reachable(State.REFUSED) == {State.REFUSED}


def test_from_everything_open_every_truth_can_be_reached() -> None:
    for state in OPEN:
        assert {State.DONE, State.ABSENT, State.REFUSED} <= reachable(state)


def test_a_late_trace_makes_done_of_what_was_absent() -> None:
    assert NEXT[State.ABSENT, Step.PROVE] is State.DONE
    assert State.ABSENT in WATCHED


@pytest.mark.parametrize("steps", list(itertools.product(Step, repeat=3)))
def test_any_steps_lead_somewhere_or_are_refused(steps: tuple[Step, ...]) -> None:
    state = State.NEW
    for step in steps:
        if not is_step(state, step):
            with pytest.raises(ValueError, match="cannot follow"):
                after(list(steps))
            return
        state = NEXT[state, step]
    assert after(list(steps)) is state

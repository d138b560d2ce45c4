"""Each event exactly once: whatever is traded, whenever it is looked at, wherever the process is killed."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mt5crs.terminal.simulated.config import MarginMode
from tests.terminal.desk import Desk
from tests.terminal.test_invariants import STEPS, open_desk, perform
from tests.trades.rig import Rig

QUESTIONS = 9
"""Questions of a look: before each of them something may happen."""
MOVES = st.lists(st.tuples(st.integers(0, QUESTIONS - 1), STEPS), max_size=6)
LOOK = st.tuples(st.just("look"), MOVES, st.sampled_from([99, 99, 99, *range(QUESTIONS + 2)]))


@pytest.mark.parametrize("mode", ["hedging", "netting"])
@given(
    seed=st.integers(0, 999),
    before=st.lists(STEPS, max_size=4),
    meanwhile=MOVES,
    steps=st.lists(st.one_of(LOOK, STEPS, LOOK, st.just(("restart",))), max_size=14),
)
@settings(max_examples=25, deadline=None)
def test_each_event_is_recorded_once(
    mode: MarginMode, seed: int, before: list[Any], meanwhile: list[Any], steps: list[Any]
) -> None:
    desk = open_desk(seed, mode)
    with TemporaryDirectory() as folder:
        rig = Rig(Path(folder) / "journal.db.trades", desk)
        for step in before:
            perform(desk, step)
        rig.look(between(desk, meanwhile))
        for step in steps:
            if step[0] == "look":
                rig.look(between(desk, step[1]), step[2])
            elif step[0] == "restart":
                rig.restart()
            else:
                perform(desk, step)
        rig.check()
        rig.file.close()


def between(desk: Desk, moves: list[Any]) -> list[Callable[[], None]]:
    """Return what happens before each question of a look."""

    def at(question: int) -> Callable[[], None]:
        def go() -> None:
            for number, move in moves:
                if number == question:
                    perform(desk, move)

        return go

    return [at(question) for question in range(QUESTIONS)]

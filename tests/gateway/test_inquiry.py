"""Looks through the terminal: however long they are, and whether answers come at once or later."""

from pathlib import Path

import pytest

from mt5crs.gateway.inquiry import Flow, Inquiry
from tests.guard.bench import Bench

LONG = 3000


@pytest.mark.parametrize("is_slow", [False, True])
def test_a_look_may_be_longer_than_the_stack(tmp_path: Path, is_slow: bool) -> None:
    bench = Bench(tmp_path)
    ended, answers = list[int](), list[object]()

    def flow() -> Flow:
        for number in range(LONG):
            if is_slow and not number % 1000:
                bench.terminal.slow = {"symbol_info"}
            answer = yield "symbol_info", ("EURUSD",)
            answers.append(answer.value)

    inquiry = Inquiry(bench.terminal, "looking", lambda: ended.append(len(answers)))
    inquiry.begin(flow(), 0.0, limit=5.0)
    for _ in range(3 if is_slow else 0):
        assert inquiry.is_under_way
        bench.terminal.slow = set()
        bench.terminal.settle()
    assert ended == [LONG]
    assert not inquiry.is_under_way
    assert None not in answers
    bench.close()


def test_a_look_that_is_given_up_asks_no_more(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    inquiry = Inquiry(bench.terminal, "looking")
    asked = list[int]()

    def flow() -> Flow:
        for number in range(9):
            if number == 3:
                inquiry.give_up()
            asked.append(number)
            yield "symbol_info", ("EURUSD",)

    inquiry.begin(flow(), 0.0, limit=5.0)
    assert asked == [0, 1, 2, 3]
    assert not inquiry.is_under_way
    bench.close()

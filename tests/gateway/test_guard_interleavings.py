"""No interleaving of orders, looks and answers exceeds a limit: hypothesis looks for one."""

import tempfile
from collections import deque
from math import inf
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mt5crs.last_error import IPC_TIMEOUT
from mt5crs.operation import Operation, Result
from mt5crs.terminal.port import Deferred
from tests.guard.bench import Bench, Terminal, buy, pending, sell

LIMIT = 3
POLICY = f"[account]\nmax_symbol_volume = {LIMIT}\n[keys.tim]\nmax_symbol_volume = 2\n"


class Call:
    """A call in a lane: carried out at some time, answered at a later one."""

    def __init__(self, lanes: "Lanes", op: Operation[..., Any], wire: Any) -> None:
        self._lanes, self._op, self._wire = lanes, op, wire
        self.deferred = Deferred()
        self._result: Result | None = None

    def carry_out(self) -> Result:
        if self._result is None:
            answer = Terminal.call(self._lanes, self._op, self._wire)
            assert isinstance(answer, Result)
            self._result = answer
        return self._result


class Lanes(Terminal):
    """A terminal with two lanes, as the official one has, that move when the test says so."""

    def __init__(self, bench: Bench, settings_: dict[str, Any]) -> None:
        super().__init__(bench, settings_)
        self.trade: deque[Call] = deque()
        self.read: deque[Call] = deque()

    def call(self, op: Operation[..., Any], wire: Any, until: float = inf) -> Result | Deferred:
        call = Call(self, op, wire)
        (self.trade if op.name == "order_send" else self.read).append(call)
        return call.deferred


class Laned(Bench):
    def terminal_for(self, settings_: dict[str, Any]) -> Terminal:
        return Lanes(self, settings_)


ORDERS = st.tuples(
    st.sampled_from(["buy", "sell", "pend", "close"]),
    st.sampled_from([1.0, 2.0, 3.0, 5.0]),
    st.sampled_from(["tim", "tom"]),
)
MEMORY = Path("/dev/shm")  # noqa: S108 - hundreds of journals are made, and a disk would be waited for each time
STEPS = st.one_of(
    ORDERS,
    ORDERS,
    st.sampled_from(["read", "reads", "reads", "answer", "answer", "both", "both"]),
    st.sampled_from(["carry out", "lose", "wait", "long", "again"]),
)


@pytest.mark.parametrize("margin_mode", ["hedging", "netting"])
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=st.lists(STEPS, min_size=10, max_size=40))
def test_no_interleaving_exceeds_a_limit(margin_mode: str, steps: list[Any]) -> None:
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        bench = Laned(Path(folder), POLICY, deposit=1e7, margin_mode=margin_mode)
        try:
            for step in steps:
                take(bench, step)
                check(bench, margin_mode)
        finally:
            bench.close()


def take(bench: Bench, step: Any) -> None:
    lanes = bench.terminal
    assert isinstance(lanes, Lanes)
    if isinstance(step, tuple):
        order(bench, *step)
    elif step in {"read", "reads"}:
        for _ in range(1 if step == "read" else 20):
            if lanes.read:
                call = lanes.read.popleft()
                call.deferred.settle(call.carry_out())
    elif step == "both":
        take(bench, "reads")
        take(bench, "answer")
    elif step == "carry out" and lanes.trade:
        lanes.trade[0].carry_out()
    elif step == "answer" and lanes.trade:
        call = lanes.trade.popleft()
        call.deferred.settle(call.carry_out())
    elif step == "lose" and lanes.trade:
        call = lanes.trade.popleft()
        call.carry_out()
        call.deferred.settle(Result(None, IPC_TIMEOUT))
    elif step == "again":
        lanes.read.clear()
        lanes.trade.clear()  # those that were not carried out never will be
        bench.restart()
    elif step in {"wait", "long"}:
        bench.now += 0.3 if step == "wait" else 1.1
        bench.desk.pass_time(bench.now)
    bench.flush()


def order(bench: Bench, kind: str, volume: float, by: str) -> None:
    magic = 1 if by == "tim" else 2
    if kind == "close":
        mine = [position for position in bench.positions() if position[6] == magic]
        if not mine:
            return
        make = sell if mine[0][5] == 0 else buy
        request = make(min(volume, mine[0][9]), position=mine[0][0], magic=magic)
    elif kind == "pend":
        request = pending(volume, 0.5, magic=magic)
    else:
        request = (buy if kind == "buy" else sell)(volume, magic=magic)
    bench.begin("order_send", request, by=by)


def check(bench: Bench, margin_mode: str) -> None:
    positions, orders = bench.positions(), bench.orders()
    total = sum(position[9] for position in positions) + sum(row[15] for row in orders)
    assert total <= LIMIT + 1e-9, (positions, orders)
    if margin_mode == "hedging":
        mine = sum(each[9] for each in positions if each[6] == 1) + sum(
            row[15] for row in orders if row[10] == 1
        )
        assert mine <= 2 + 1e-9, (positions, orders)

"""Answers that the terminal gives later, client core and gateway core together."""

from typing import Any

import pytest

from mt5crs.api import OPERATIONS
from mt5crs.errors import Busy, OutcomeUnknown
from mt5crs.gateway.held import PER_PEER
from mt5crs.operation import Operation, Result
from mt5crs.terminal.port import Deferred
from mt5crs.wire.codec import encode, to_client
from mt5crs.wire.messages import Ask, Receipt, Refusal
from tests.pair.bridge import BUY, Bridge


@pytest.fixture
def bridge() -> Bridge:
    joined = Bridge()
    joined.call("version")
    return joined


def test_a_slow_call_holds_nobody_up(bridge: Bridge) -> None:
    bridge.terminal.slow = {"order_send"}
    slow = bridge.ask("order_send", BUY)
    assert bridge.pump() == []
    assert bridge.call("symbol_info_tick", "EURUSD").value.time > 0
    bridge.terminal.settle()
    (done,) = bridge.pump()
    assert (done.id, done.value.retcode) == (slow, 10009)


def test_what_is_in_hand_is_waited_for_and_not_asked_again(bridge: Bridge) -> None:
    bridge.terminal.slow = {"symbol_info"}
    slow = bridge.ask("symbol_info", "EURUSD", timeout=60.0)
    assert bridge.pass_time(30.0) == []  # many probes later
    assert bridge.terminal.calls.count("symbol_info") == 1
    bridge.terminal.settle()
    (done,) = bridge.pump()
    assert (done.id, done.value.name) == (slow, "EURUSD")


def test_an_order_that_comes_twice_while_it_waits_is_carried_out_once(bridge: Bridge) -> None:
    bridge.terminal.slow = {"order_send"}
    bridge.ask("order_send", BUY, key="k1")
    (frame,) = [frame for frame in bridge.depart() if b"order_send" in frame]
    for _ in range(2):
        assert bridge.handle(frame) == []
    bridge.terminal.settle()
    (done,) = bridge.pump()
    assert done.value.retcode == 10009
    assert bridge.terminal.calls.count("order_send") == 1
    # Once more, when it is done: the outcome that is known.
    (answer,) = bridge.handle(frame)
    again = to_client(answer)
    assert isinstance(again, Receipt)
    assert again.value[2] == done.value.order
    assert bridge.terminal.calls.count("order_send") == 1


def test_an_order_without_an_answer_is_found_where_it_was_carried_out(bridge: Bridge) -> None:
    bridge.terminal.slow = {"order_send"}
    id_ = bridge.ask("order_send", BUY, timeout=5.0)
    (done,) = bridge.pass_time(6.0)
    assert (done.id, done.value.retcode) == (id_, 10009)
    bridge.terminal.settle()  # its answer comes after all, and changes nothing
    assert bridge.pump() == []
    assert bridge.call("positions_total").value == 1


def test_an_order_that_is_never_answered_is_unknown_to_its_caller(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    call, wedged = bridge.terminal.call, Deferred()

    def wedge(op: Operation[..., Any], *rest: Any) -> Result | Deferred:
        return wedged if op.name == "order_send" else call(op, *rest)

    monkeypatch.setattr(bridge.terminal, "call", wedge)
    bridge.ask("order_send", BUY, timeout=5.0)
    (done,) = bridge.pass_time(6.0)
    assert isinstance(done.failure, OutcomeUnknown)
    bridge.dispatch.sweep(bridge.now)
    assert bridge.dispatch.held.in_hand(bridge.peer) == []
    wedged.settle(call(OPERATIONS["order_send"], [BUY]))  # type: ignore[arg-type]
    assert bridge.pump() == []


def test_a_watch_is_held_when_its_answer_comes(bridge: Bridge) -> None:
    bridge.terminal.slow = {"market_book_add"}
    bridge.ask("market_book_add", "EURUSD")
    bridge.pump()
    assert bridge.call("market_book_get", "EURUSD").value is None
    bridge.terminal.settle()
    bridge.pump()
    assert bridge.call("market_book_get", "EURUSD").value is not None


def test_a_connection_cannot_make_the_terminal_hold_without_end(bridge: Bridge) -> None:
    bridge.terminal.slow = {"symbol_info"}
    op = OPERATIONS["symbol_info"]
    wire = list(op.signature.bind(op.name, ("EURUSD",), {}))
    answers = [
        bridge.dispatch.handle(
            bridge.peer, bridge.principal, encode(Ask(1000 + n, op.name, wire)), bridge.now
        )
        for n in range(PER_PEER + 1)
    ]
    assert answers[:-1] == [[]] * PER_PEER
    refusal = to_client(answers[-1][0])
    assert isinstance(refusal, Refusal)
    assert refusal.code == Busy.code
    bridge.dispatch.forget(bridge.peer)
    assert not bridge.dispatch.held

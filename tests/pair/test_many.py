"""Several requests in one frame, client core and gateway core together."""

import numpy as np
import pytest

from mt5crs.api import OPERATIONS
from mt5crs.errors import BadArguments, OutcomeUnknown, ProtocolError
from mt5crs.gateway import dispatch as gateway
from mt5crs.security.policy import Principal, Role
from mt5crs.wire.codec import encode, join, to_client, to_gateway
from mt5crs.wire.messages import (
    CHUNK,
    MANY_LIMIT,
    REQUEST_LIMIT,
    Ask,
    Cancel,
    Chunk,
    Head,
    Many,
    Ping,
    Pong,
    Refusal,
    Reply,
)
from mt5crs.wire.request import Done
from tests.pair.bridge import BUY, Bridge, messages


@pytest.fixture
def bridge() -> Bridge:
    joined = Bridge()
    joined.call("version")
    joined.sent.clear()
    return joined


def by_id(settled: list[Done]) -> dict[int, Done]:
    assert len({done.id for done in settled}) == len(settled)
    return {done.id: done for done in settled}


def handled(bridge: Bridge, *frames: bytes) -> list[object]:
    """What a gateway answers to messages that come in one frame."""
    (answer,) = bridge.dispatch.handle(bridge.peer, bridge.principal, join(frames), bridge.now)
    return messages(to_client, answer)


# ---- both cores -------------------------------------------------------------------------------------


def test_what_is_asked_together_leaves_together_and_is_answered_together(bridge: Bridge) -> None:
    answers: list[bytes] = []

    def note(frame: bytes) -> bool:
        answers.append(frame)
        return True

    bridge.to_client = note
    ids = [bridge.ask("symbol_info_tick", "EURUSD"), bridge.ask("symbol_info", "NOPE"), bridge.ask("version")]
    settled = by_id(bridge.pump())
    assert list(settled) == ids, "in order"
    assert settled[ids[0]].value.bid > 0
    assert (settled[ids[1]].value, settled[ids[1]].error[0]) == (None, -4)
    assert [len(messages(to_gateway, frame)) for frame in bridge.sent] == [3]
    assert [len(messages(to_client, frame)) for frame in answers] == [3]


def test_one_that_is_refused_does_not_touch_the_others(bridge: Bridge) -> None:
    bridge.principal = Principal("eye", Role.OBSERVER)
    bridge.call("version")
    ids = [bridge.ask("symbols_total"), bridge.ask("order_send", BUY, key="k"), bridge.ask("symbols_total")]
    settled = by_id(bridge.pump())
    assert [settled[id_].failure is None for id_ in ids] == [True, False, True]
    assert bridge.dispatch.counters["denied"] == 1


def test_arrays_come_in_chunks_of_their_own(bridge: Bridge) -> None:
    sizes = [0, 1, 100, 3 * CHUNK // 60, *[10] * 20]
    ids = [bridge.ask("copy_rates_from_pos", "EURUSD", 1, 0, size) for size in sizes]
    ids.append(bridge.ask("symbols_total"))
    settled = by_id(bridge.pump())
    assert sorted(settled) == ids
    for id_, size in zip(ids, sizes, strict=False):
        direct = bridge.terminal.carry_out(OPERATIONS["copy_rates_from_pos"], ["EURUSD", 1, 0, size]).value
        if direct is None:
            assert settled[id_].value is None
        else:
            assert np.array_equal(settled[id_].value, direct)
    assert not bridge.dispatch.transfers.in_hand(bridge.peer)


def test_more_than_a_frame_holds_leaves_in_several_in_order(bridge: Bridge) -> None:
    ids = [bridge.ask("symbols_total") for _ in range(2 * MANY_LIMIT + 1)]
    assert sorted(by_id(bridge.pump())) == ids
    assert [ask.id for frame in bridge.sent for ask in messages(to_gateway, frame)] == ids
    assert [len(messages(to_gateway, frame)) for frame in bridge.sent] == [MANY_LIMIT, MANY_LIMIT, 1]


def test_large_requests_leave_in_frames_within_the_limit(bridge: Bridge) -> None:
    ids = [bridge.ask("symbols_get", "x" * 1990) for _ in range(100)]
    assert list(by_id(bridge.pump())) == ids
    assert len(bridge.sent) == 4
    assert max(map(len, bridge.sent)) <= REQUEST_LIMIT


@pytest.mark.parametrize("lose", ["request", "answer"])
def test_of_lost_frames_reads_are_asked_again_and_trades_of_no_journal_never(
    bridge: Bridge, lose: str
) -> None:
    fates = iter([False] if lose == "request" else [False, False])
    if lose == "request":
        bridge.to_gateway = lambda _: next(fates, True)
    else:
        bridge.to_client = lambda _: next(fates, True)
    read, trade = bridge.ask("symbols_total"), bridge.ask("order_send", BUY, key="k")
    settled = by_id(bridge.pump() + bridge.pass_time(4.0))
    assert settled[read].value > 0
    failure = settled[trade].failure
    assert isinstance(failure, OutcomeUnknown)
    assert failure.key == "k"
    assert bridge.terminal.calls.count("order_send") == (lose == "answer")


def test_a_gateway_that_was_restarted_is_greeted_and_asked_again(bridge: Bridge) -> None:
    bridge.restart()
    ids = [bridge.ask("symbols_total"), bridge.ask("order_send", BUY, key="k"), bridge.ask("version")]
    settled = by_id(bridge.pump())
    assert sorted(settled) == ids
    assert settled[ids[1]].value.retcode == 10009
    assert bridge.terminal.calls.count("order_send") == 1
    assert [type(to_gateway(frame)).__name__ for frame in bridge.sent] == ["Many", "Hello", "Many"]


def test_a_result_of_the_wrong_form_leaves_what_was_answered_before_it(bridge: Bridge) -> None:
    first, second = bridge.ask("symbols_total"), bridge.ask("symbol_info_tick", "EURUSD")
    bridge.depart()
    wrong = join([encode(Reply(first, 7, 1, "Success")), encode(Reply(second, [1], 1, "Success"))])
    with pytest.raises(ProtocolError, match="wrong form") as caught:
        bridge.session.receive(wrong, bridge.now)
    settled = by_id(bridge.session.abandon(caught.value))
    assert settled[first].value == 7


@pytest.mark.parametrize("message", [Chunk(1, 0), Many([])])
def test_a_client_takes_no_rows_and_no_many_inside_of_a_many(bridge: Bridge, message: Chunk | Many) -> None:
    with pytest.raises(ProtocolError, match="inside of a Many"):
        bridge.session.receive(join([encode(message)]), bridge.now)


# ---- a gateway and any peer -------------------------------------------------------------------------


def test_messages_of_all_kinds_are_dealt_with_each_for_itself(bridge: Bridge) -> None:
    answers = handled(
        bridge,
        encode(Ask(1, "symbols_total", [])),
        encode(Cancel(9)),
        b"MT5\x02\x92\xa4nope\x01",
        encode(Ask(2, "eval", [])),
        join([encode(Ping(3))]),
        encode(Ping(4)),
    )
    codes = [answer.code for answer in answers if isinstance(answer, Refusal)]
    assert [type(answer) for answer in answers] == [Reply, Refusal, Refusal, Refusal, Pong]
    assert codes == ["protocol", "unknown-operation", "protocol"]


def test_an_array_without_credit_is_refused_in_a_many(bridge: Bridge) -> None:
    ask = Ask(1, "copy_rates_from_pos", ["EURUSD", 1, 0, 10])
    (refused,) = handled(bridge, encode(ask))
    assert isinstance(refused, Refusal)
    assert refused.code == BadArguments.code
    assert "give credit" in refused.hint
    ask.credit = 1
    (head,) = handled(bridge, encode(ask))
    assert isinstance(head, Head)


def test_a_frame_of_too_many_or_of_garbage_is_refused_once(bridge: Bridge) -> None:
    for frame in (join([encode(Ping(1))] * (MANY_LIMIT + 1)), b"MT5\x02\x92\xa4many\x93\x01"):
        (answer,) = bridge.dispatch.handle(bridge.peer, bridge.principal, frame, bridge.now)
        refused = to_client(answer)
        assert isinstance(refused, Refusal)
        assert refused.id == 0


def test_what_is_not_answered_alone_is_not_answered_together(bridge: Bridge) -> None:
    frame = join([encode(Cancel(1)), encode(Cancel(2))])
    assert bridge.dispatch.handle(bridge.peer, bridge.principal, frame, bridge.now) == []


def test_answers_beyond_one_frame_are_refused_and_not_carried_out(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway, "REPLY_LIMIT", 100)
    order = encode(Ask(3, "order_send", [BUY], key="k"))
    answers = handled(bridge, *[encode(Ask(n, "symbol_info", ["EURUSD"])) for n in (1, 2)], order)
    assert [type(answer) for answer in answers] == [Reply, Refusal, Refusal]
    assert "order_send" not in bridge.terminal.calls

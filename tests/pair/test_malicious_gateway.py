"""A gateway that answers nonsense: its answers end as errors of ours or as right results, never as a hang."""

from typing import Any

import pytest

from mt5crs.errors import BridgeError, OutcomeUnknown, ProtocolError
from mt5crs.wire.codec import encode
from mt5crs.wire.messages import Chunk, Head, Message, Pong, Refusal, Reply, Welcome
from tests.pair.bridge import BUY, Bridge

TICK = [1764000000, 1.15, 1.1501, 0.0, 0, 1764000000123, 6, 0.0]
RATES = ("copy_rates_from_pos", ("EURUSD", 1, 0, 10))
CALLS: dict[str, tuple[Any, ...]] = {
    "symbol_info_tick": ("EURUSD",),
    "symbols_get": (),
    "order_send": (BUY,),
    "copy_rates_from_pos": ("EURUSD", 1, 0, 10),
}

NONSENSE: list[tuple[str, Any]] = [
    ("symbol_info_tick", lambda n: Reply(n, TICK[:-1], 1, "")),
    ("symbol_info_tick", lambda n: Reply(n, 5, 1, "")),
    ("symbol_info_tick", lambda n: Reply(n, "abcdefgh", 1, "")),
    ("symbol_info_tick", lambda n: Reply(n, {"time": 1}, 1, "")),
    ("symbol_info_tick", lambda n: Head(n, "ticks", 1, 1, "")),
    ("symbol_info_tick", lambda n: Pong(n, 1, 1, [], {})),
    ("symbols_get", lambda n: Reply(n, [1, 2], 1, "")),
    ("symbols_get", lambda n: Reply(n, {"a": 1}, 1, "")),
    ("order_send", lambda n: Reply(n, 5, 1, "")),
    ("order_send", lambda n: Reply(n, [], 1, "")),
    ("order_send", lambda n: Reply(n, {"a": 1}, 1, "")),
    ("order_send", lambda n: Reply(n, [10009, *[0] * 9, 7], 1, "")),
    ("order_send", lambda n: Head(n, "rates", 0, 1, "")),
    ("order_send", lambda n: Pong(n, 1, 1, [], {})),
    ("order_send", lambda n: Refusal(n, "gateway-fault", "m", "h", "maybe")),
    ("order_send", lambda n: Refusal(n, "denied", "m", "h", "done")),
    ("order_send", lambda _: Refusal(0, "busy", "m", "h", "maybe")),
    ("copy_rates_from_pos", lambda n: Reply(n, [1, 2], 1, "")),
    ("copy_rates_from_pos", lambda n: Head(n, "ticks", 1, 1, "")),
    ("copy_rates_from_pos", lambda n: Head(n, "object", 1, 1, "")),
    ("copy_rates_from_pos", lambda n: Head(n, "rates", -1, 1, "")),
    ("copy_rates_from_pos", lambda n: Head(n, "rates", 2**60, 1, "")),
    ("copy_rates_from_pos", lambda n: Head(n, "rates", 2**63 - 1, 1, "")),
    ("copy_rates_from_pos", lambda n: Head(n, "rates", 2**64 - 1, 1, "")),
]


@pytest.fixture
def bridge() -> Bridge:
    bridge = Bridge()
    bridge.call("version")
    return bridge


@pytest.mark.parametrize(("name", "nonsense"), NONSENSE)
def test_nonsense_ends_the_request_it_answers(bridge: Bridge, name: str, nonsense: Any) -> None:
    id_ = bridge.ask(name, *CALLS[name], key="k" if name == "order_send" else "")
    _, pending = bridge.session.outbox.popleft()
    pending.sent = True  # type: ignore[union-attr]
    message: Message = nonsense(id_)
    try:
        event = bridge.session.receive(encode(message), bridge.now)
        settled = [event] if event is not None else []
    except BridgeError as error:
        settled = list(bridge.session.abandon(error))
    (done,) = settled
    assert done.id == id_  # type: ignore[union-attr]
    failure = done.failure  # type: ignore[union-attr]
    assert isinstance(failure, OutcomeUnknown if name == "order_send" else ProtocolError)


def test_a_result_for_a_ping_is_nonsense(bridge: Bridge) -> None:
    id_ = bridge.session.ping(bridge.now, 5.0)
    bridge.session.outbox.clear()
    with pytest.raises(ProtocolError, match="none was asked for"):
        bridge.session.receive(encode(Reply(id_, None, 1, "")), bridge.now)


def test_a_version_that_was_not_offered_is_refused() -> None:
    fresh = Bridge()
    fresh.ask("version")
    with pytest.raises(ProtocolError, match="protocol 9"):
        fresh.session.receive(encode(Welcome(9, "x", 1, 1, "simulated", 1)), fresh.now)


def test_answers_that_were_never_asked_for_are_ignored(bridge: Bridge) -> None:
    for message in (Reply(99, 5, 1, ""), Head(99, "x", -1, 1, ""), Chunk(99, 5), Pong(99, 1, 1, [], {})):
        assert bridge.session.receive(encode(message), bridge.now) is None
    assert bridge.call("version").value

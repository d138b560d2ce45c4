"""Nobody who may ask keeps the others from it: not by one long frame, not by many connections."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from mt5crs.security.keys import revoke_client
from mt5crs.security.policy import Principal
from mt5crs.wire.codec import HEADER_LENGTH, encode, part_to_client, to_client
from mt5crs.wire.messages import SPEAKS, Ask, Hello, Many, Refusal, Reply, Welcome
from tests.pair.bridge import BUY
from tests.pair.keyed import KeyedBridge


@pytest.fixture
def bridge(tmp_path: Path) -> Iterator[KeyedBridge]:
    bridge = KeyedBridge(tmp_path / "keys", tmp_path / "journal.db")
    yield bridge
    bridge.close()


def greeted(bridge: KeyedBridge, who: Principal, peer: bytes) -> bool:
    hello = encode(Hello(peer.decode(), "test", list(SPEAKS)))
    return isinstance(to_client(bytes(bridge.dispatch.handle(peer, who, hello, bridge.now)[0])), Welcome)


def test_what_takes_long_in_one_frame_is_broken_off(
    bridge: KeyedBridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mt5crs.gateway.dispatch.PATIENCE", -1.0)
    parts = [msgspec.Raw(encode(Ask(number, "version", []))[HEADER_LENGTH:]) for number in range(1, 4)]
    (frame,) = bridge.dispatch.handle(b"p", bridge.principal, encode(Many(parts)), bridge.now)
    many = to_client(bytes(frame))
    assert isinstance(many, Many)
    answers = [part_to_client(part) for part in many.messages]
    assert [type(answer) for answer in answers] == [Refusal] * 3
    assert all(isinstance(answer, Refusal) and answer.certainty == "refused" for answer in answers)
    monkeypatch.undo()
    (frame,) = bridge.dispatch.handle(b"p", bridge.principal, encode(Many(parts)), bridge.now)
    many = to_client(bytes(frame))
    assert isinstance(many, Many)
    assert [type(part_to_client(part)) for part in many.messages] == [Reply] * 3


def test_many_connections_push_out_their_own(bridge: KeyedBridge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mt5crs.gateway.dispatch.PEERS", 4)
    eve = bridge.principal_of("eve")
    bridge.terminal.slow = {"symbols_total"}
    bridge.call("version")
    bridge.ask("symbols_total")
    bridge.pump()
    for number in range(20):
        assert greeted(bridge, eve, f"eve-{number}".encode())
    bridge.terminal.settle()
    (done,) = bridge.pump()
    assert done.failure is None


def test_who_does_not_watch_a_symbol_hides_it_from_nobody(bridge: KeyedBridge) -> None:
    assert bridge.call("symbol_select", "GBPUSD", True).value
    tim = bridge.session, bridge.principal, bridge.peer
    bridge.be("eve")
    assert bridge.call("symbol_select", "GBPUSD", False).value
    bridge.session, bridge.principal, bridge.peer = tim
    assert bridge.call("symbol_info", "GBPUSD").value.visible


@pytest.mark.parametrize("key", ["k" * 65, "k" * 60_000, "\x1b[2J", "a\nb"], ids=len)
def test_a_key_that_is_none_is_refused(bridge: KeyedBridge, key: str) -> None:
    failure = bridge.call("order_send", BUY, key=key).failure
    assert failure is not None
    assert failure.code == "bad-arguments"
    assert "order_send" not in bridge.terminal.calls


def test_an_observers_signatures_cost_nobody_a_place(bridge: KeyedBridge) -> None:
    signatures = bridge.dispatch._signatures
    assert signatures is not None
    bridge.be("eve")
    failure = bridge.call("order_send", BUY).failure
    assert failure is not None
    assert failure.code == "denied"
    assert len(signatures._nonces) == 0
    assert bridge.dispatch.counters["denied"] == 1


def test_an_order_that_waits_is_not_carried_out_once_its_key_is_revoked(bridge: KeyedBridge) -> None:
    untagged = {**BUY, "comment": "x" * 29}
    bridge.call("version")
    bridge.terminal.slow = {"symbol_info_tick"}  # the server's time, which it waits for
    bridge.ask("order_send", untagged)
    for frame in bridge.depart():
        assert bridge.handle(frame) == []
    revoke_client(bridge.folder, "tim")
    bridge.keys.ring.refresh()
    bridge.dispatch.look(bridge.keys.ring.by_id)
    bridge.terminal.settle()
    bridge.dispatch.flush(bridge.now)
    assert "order_send" not in bridge.terminal.calls
    assert bridge.journal.latest(1) == []

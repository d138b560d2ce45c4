"""The proxy itself: each action as two sockets see it, and as a client of a real gateway does."""

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import zmq

from mt5crs import Client, OutcomeUnknown
from mt5crs.errors import ConnectionTimeout
from tests.adversity.actions import KINDS, Action, Cut, Delay, Drop, Duplicate, HalfClose, Reorder, Truncate
from tests.adversity.proxy import Proxy
from tests.adversity.zmtp import Message, Way
from tests.processes import Gateway

BUY: dict[str, Any] = {"action": 1, "symbol": "EURUSD", "volume": 0.1, "type": 0, "type_filling": 1}
PATIENCE_MS = 20_000


class Pair:
    """A DEALER and a ROUTER with a proxy between them."""

    def __init__(self) -> None:
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.sockets: list[zmq.Socket[bytes]] = []
        self.router = self.socket(zmq.ROUTER)
        self.proxy = Proxy(self.router.bind_to_random_port("tcp://127.0.0.1"))
        self.dealer = self.connect()
        self.peer = b""

    def socket(self, kind: int) -> zmq.Socket[bytes]:
        socket = self.context.socket(kind)
        socket.linger = 0
        socket.rcvtimeo = PATIENCE_MS
        self.sockets.append(socket)
        return socket

    def connect(self) -> zmq.Socket[bytes]:
        dealer = self.socket(zmq.DEALER)
        dealer.setsockopt(zmq.RECONNECT_IVL, 10)
        dealer.connect(f"tcp://127.0.0.1:{self.proxy.port}")
        return dealer

    def hear(self, text: bytes) -> None:
        """Send until it is heard: what a broken connection holds is lost."""
        give_up = time.monotonic() + 20
        self.router.rcvtimeo = 200
        while time.monotonic() < give_up:
            latest = text + str(time.monotonic()).encode()
            self.dealer.send(latest)
            try:
                while True:
                    self.peer, heard = self.router.recv_multipart()
                    if heard == latest:
                        self.router.rcvtimeo = PATIENCE_MS
                        return
            except zmq.Again:
                continue
        raise AssertionError(f"{text!r} was not heard")

    def close(self) -> None:
        self.proxy.close()
        for socket in self.sockets:
            socket.close()
        self.context.term()


@pytest.fixture
def pair() -> Iterator[Pair]:
    pair = Pair()
    try:
        pair.hear(b"hello")
        yield pair
    finally:
        pair.close()


def about(text: bytes) -> Any:
    return lambda message: text in message


def test_a_message_is_dropped_and_its_neighbours_are_not(pair: Pair) -> None:
    rule = pair.proxy.on(Way.TO_GATEWAY, about(b"2"), Drop())
    for n in (b"1", b"2", b"3", b"2"):
        pair.dealer.send(n)
    assert [pair.router.recv_multipart()[1] for _ in range(3)] == [b"1", b"3", b"2"]
    assert rule.happened == pair.proxy.counts["drop"] == 1


def test_the_other_direction_is_another(pair: Pair) -> None:
    pair.proxy.on(Way.TO_CLIENT, about(b"2"), Drop(), times=0)
    pair.dealer.send(b"2")
    assert pair.router.recv_multipart()[1] == b"2"
    for n in (b"2", b"2", b"3"):
        pair.router.send_multipart([pair.peer, n])
    assert pair.dealer.recv() == b"3"


def test_a_delayed_message_holds_up_those_behind_it_and_nobody_else(pair: Pair) -> None:
    pair.proxy.on(Way.TO_GATEWAY, about(b"late"), Delay(0.5))
    other = pair.connect()
    pair.dealer.send_multipart([b"late", b"whole"])
    pair.dealer.send(b"behind")
    other.send(b"other")
    heard = [pair.router.recv_multipart()[1:] for _ in range(3)]
    assert heard == [[b"other"], [b"late", b"whole"], [b"behind"]]


def test_heartbeats_pass_while_a_message_is_late(pair: Pair) -> None:
    dealer = pair.socket(zmq.DEALER)
    dealer.setsockopt(zmq.HEARTBEAT_IVL, 50)
    dealer.setsockopt(zmq.HEARTBEAT_TIMEOUT, 300)
    dealer.connect(f"tcp://127.0.0.1:{pair.proxy.port}")
    before = pair.proxy.connections
    pair.proxy.on(Way.TO_GATEWAY, about(b"late"), Delay(1.0))
    dealer.send(b"late")
    assert pair.router.recv_multipart()[1] == b"late"
    assert pair.proxy.connections == before + 1, "the silence of a second ended no connection"


def test_a_message_comes_twice(pair: Pair) -> None:
    pair.proxy.on(Way.TO_GATEWAY, about(b"twin"), Duplicate())
    pair.dealer.send_multipart([b"twin", b""])
    pair.dealer.send(b"last")
    assert [pair.router.recv_multipart()[1:] for _ in range(3)] == [[b"twin", b""], [b"twin", b""], [b"last"]]


def test_two_messages_change_places(pair: Pair) -> None:
    pair.proxy.on(Way.TO_GATEWAY, about(b"1"), Reorder(10.0))
    pair.dealer.send(b"1")
    pair.dealer.send(b"2")
    assert [pair.router.recv_multipart()[1] for _ in range(2)] == [b"2", b"1"]
    assert pair.proxy.counts["reorder"] == 1


def test_a_message_without_a_next_one_is_not_held_for_ever(pair: Pair) -> None:
    pair.proxy.on(Way.TO_GATEWAY, about(b"1"), Reorder(0.05))
    pair.dealer.send(b"1")
    assert pair.router.recv_multipart()[1] == b"1"
    assert pair.proxy.counts["reorder"] == 0


@pytest.mark.parametrize("action", [Truncate(), Cut(), HalfClose()], ids=lambda action: action.kind)
def test_a_broken_connection_loses_its_message_and_the_next_one_works(pair: Pair, action: Action) -> None:
    pair.proxy.on(Way.TO_GATEWAY, about(b"fatal"), action)
    before = pair.proxy.connections
    pair.dealer.send(b"fatal" * 1000)
    pair.hear(b"again")
    assert pair.proxy.connections > before
    assert pair.proxy.counts[action.kind] == 1


def test_a_cut_after_a_message_lets_it_arrive(pair: Pair) -> None:
    pair.proxy.on(Way.TO_GATEWAY, about(b"last"), Cut(after=True))
    before = pair.proxy.connections
    pair.dealer.send(b"last")
    assert pair.router.recv_multipart()[1] == b"last"
    pair.hear(b"again")
    assert pair.proxy.connections > before


def test_nothing_passes_a_pause(pair: Pair) -> None:
    pair.proxy.pause()
    pair.dealer.send(b"1")
    assert not pair.router.poll(300)
    pair.proxy.resume()
    assert pair.router.recv_multipart()[1] == b"1"


def test_all_connections_are_cut_and_made_again(pair: Pair) -> None:
    before = pair.proxy.connections
    pair.proxy.cut_all()
    pair.hear(b"again")
    assert pair.proxy.connections > before


def test_a_policy_decides_about_what_no_rule_is_about(pair: Pair) -> None:
    def policy(message: Message) -> Action | None:
        return Drop() if message.frames[0].isdigit() else None

    pair.proxy.policies[Way.TO_GATEWAY] = policy
    pair.proxy.on(Way.TO_GATEWAY, about(b"7"), Duplicate())
    for n in (b"1", b"7", b"x"):
        pair.dealer.send(n)
    assert [pair.router.recv_multipart()[1] for _ in range(3)] == [b"7", b"7", b"x"]
    pair.proxy.calm()
    pair.dealer.send(b"1")
    assert pair.router.recv_multipart()[1] == b"1"


def test_every_kind_is_known() -> None:
    assert {action.kind for action in Action.__subclasses__()} == {*KINDS, "pass"}


# ---- a real gateway and client ----


@pytest.fixture
def proxy(gateway: Gateway) -> Iterator[Proxy]:
    with Proxy(gateway.port) as between:
        yield between


def test_an_untouched_proxy_is_not_noticed(proxy: Proxy, gateway: Gateway) -> None:
    with Client("127.0.0.1", proxy.port, timeout=60.0) as through, gateway.client(timeout=60.0) as direct:
        bars = through.copy_rates_from("EURUSD", 1, 1_700_000_000, 200_000)
        assert bars is not None
        assert len(bars) == 200_000
        same = direct.copy_rates_from("EURUSD", 1, 1_700_000_000, 200_000)
        assert same is not None
        assert np.array_equal(bars, same)
        assert through.symbols_total() == direct.symbols_total()
    assert not proxy.counts


ALMOST: list[tuple[Action, Way]] = [
    (Drop(), Way.TO_GATEWAY),
    (Drop(), Way.TO_CLIENT),
    (Cut(), Way.TO_GATEWAY),
    (Cut(after=True), Way.TO_GATEWAY),
    (Truncate(), Way.TO_CLIENT),
    (HalfClose(), Way.TO_GATEWAY),
    (HalfClose(), Way.TO_CLIENT),
    (Duplicate(), Way.TO_GATEWAY),
    (Delay(0.3), Way.TO_CLIENT),
]


@pytest.mark.parametrize(
    ("action", "way"), ALMOST, ids=[f"{action.kind} {way.value}" for action, way in ALMOST]
)
def test_a_question_is_answered_in_spite_of_it(proxy: Proxy, action: Action, way: Way) -> None:
    with Client("127.0.0.1", proxy.port, timeout=20.0) as mt5:
        expected = mt5.symbols_total()
        rule = proxy.on(way, about(b"symbols_total" if way is Way.TO_GATEWAY else b"\xa5reply"), action)
        assert mt5.symbols_total() == expected
        rule.wait(timeout=0)


def test_an_order_whose_answer_is_lost_was_carried_out(proxy: Proxy) -> None:
    with Client("127.0.0.1", proxy.port, timeout=10.0) as mt5:
        before = mt5.positions_total()
        proxy.on(Way.TO_CLIENT, about(b"\xa7receipt"), Cut())
        with pytest.raises(OutcomeUnknown):
            mt5.order_send(BUY)
        assert mt5.positions_total() == before + 1  # type: ignore[operator]


def test_an_order_that_is_lost_was_not(proxy: Proxy) -> None:
    with Client("127.0.0.1", proxy.port, timeout=10.0) as mt5:
        before = mt5.positions_total()
        proxy.on(Way.TO_GATEWAY, about(b"order_send"), Drop())
        with pytest.raises(OutcomeUnknown):
            mt5.order_send(BUY)
        assert mt5.positions_total() == before


def test_a_gateway_that_is_down_is_down_behind_the_proxy_too() -> None:
    with zmq.Context() as context:
        socket = context.socket(zmq.ROUTER)
        port = socket.bind_to_random_port("tcp://127.0.0.1")
        socket.close(0)
    with Proxy(port) as proxy, Client("127.0.0.1", proxy.port, timeout=0.5) as mt5:
        with pytest.raises(ConnectionTimeout):
            mt5.version()

"""Arrays that travel packed: the same rows, fewer bytes, and only where both sides are for it."""

import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
import zstandard

from mt5crs.api import OPERATIONS
from mt5crs.errors import ProtocolError
from mt5crs.gateway.transfers import PACK_FROM
from mt5crs.model import RATES
from mt5crs.wire.codec import encode, to_client, to_gateway
from mt5crs.wire.messages import CHUNK, SPEAKS, Ask, Chunk, Head, Hello, Message, Welcome
from mt5crs.wire.packs import LARGE, SLOW_ROUND_TRIP, SLOW_SPEED, Packs
from mt5crs.wire.request import Fill
from mt5crs.wire.session import Session
from tests.pair.bridge import Bridge, messages

LONG = 3 * CHUNK // RATES.itemsize
SHORT = (PACK_FROM - 1) // RATES.itemsize


@pytest.fixture
def packing() -> Iterator[Bridge]:
    with closing(Bridge(compress="zstd")) as bridge:
        yield bridge


@pytest.fixture
def without_zstandard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)


def heard(bridge: Bridge) -> list[Any]:
    """Return a list to which all that arrives at the client is added."""
    found: list[Any] = []

    def note(frame: bytes) -> bool:
        found.extend(messages(to_client, frame))
        return True

    bridge.to_client = note
    return found


def packed_as(found: list[Any]) -> list[str]:
    return [message.packed for message in found if isinstance(message, Head)]


def rows_of(bridge: Bridge, name: str, *args: Any) -> bytes:
    value = bridge.terminal.carry_out(OPERATIONS[name], list(args)).value
    return bytes(value.tobytes())


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("copy_rates_from_pos", ("EURUSD", 1, 0, LONG)),
        ("copy_rates_from_pos", ("USDJPY", 1, 0, SHORT + 1)),
        ("copy_ticks_from", ("EURUSD", 1_763_000_000, LONG, -1)),
    ],
)
def test_packed_rows_are_the_rows(packing: Bridge, name: str, args: tuple[Any, ...]) -> None:
    found = heard(packing)
    value = packing.call(name, *args).value
    assert packed_as(found) == ["zstd"]
    assert value.tobytes() == rows_of(packing, name, *args)
    assert not value.flags.writeable
    assert not packing.dispatch.transfers


def test_packed_chunks_are_a_tenth_and_are_granted_as_others_are(packing: Bridge) -> None:
    packing.call("version")
    packing.ask("copy_rates_from_pos", "EURUSD", 1, 0, LONG)
    (ask,) = packing.depart()
    sizes = [len(packing.dispatch.handle(packing.peer, packing.principal, ask, packing.now)[1])]
    for _ in range(2):  # each is its turn's last: others wait while it is made
        ((_, frames),) = packing.dispatch.transfers.chunks(100)
        sizes.append(len(frames[1]))
    assert not packing.dispatch.transfers
    assert max(sizes) * 10 < CHUNK


def test_a_short_array_comes_as_it_is(packing: Bridge) -> None:
    found = heard(packing)
    value = packing.call("copy_rates_from_pos", "EURUSD", 1, 0, SHORT).value
    assert packed_as(found) == [""]
    assert value.tobytes() == rows_of(packing, "copy_rates_from_pos", "EURUSD", 1, 0, SHORT)


def test_packed_arrays_asked_for_together(packing: Bridge) -> None:
    packing.call("version")
    found = heard(packing)
    asked = [packing.ask("copy_rates_from_pos", symbol, 1, 0, LONG) for symbol in ("EURUSD", "USDJPY")]
    values = {done.id: done.value for done in packing.pump()}
    assert packed_as(found) == ["zstd", "zstd"]
    for id_, symbol in zip(asked, ("EURUSD", "USDJPY"), strict=True):
        assert values[id_].tobytes() == rows_of(packing, "copy_rates_from_pos", symbol, 1, 0, LONG)


# ---- mixed peers --------------------------------------------------------------------------------------


def test_a_client_that_does_not_want_it_gets_rows_as_they_are() -> None:
    with closing(Bridge()) as bridge:
        found = heard(bridge)
        value = bridge.call("copy_rates_from_pos", "EURUSD", 1, 0, LONG).value
        assert packed_as(found) == [""]
        assert value.tobytes() == rows_of(bridge, "copy_rates_from_pos", "EURUSD", 1, 0, LONG)
        assert [message.packs for message in found if isinstance(message, Welcome)] == [""]
        assert not bridge.missed


@pytest.mark.usefixtures("without_zstandard")
def test_a_gateway_without_zstandard_sends_rows_as_they_are(packing: Bridge) -> None:
    found = heard(packing)
    value = packing.call("copy_rates_from_pos", "EURUSD", 1, 0, LONG).value
    assert packed_as(found) == [""]
    assert value.tobytes() == rows_of(packing, "copy_rates_from_pos", "EURUSD", 1, 0, LONG)
    assert packing.missed == 1


def test_a_peer_without_credit_gets_rows_as_they_are(packing: Bridge) -> None:
    packing.call("version")
    ask = Ask(1, "copy_rates_from_pos", ["EURUSD", 1, 0, LONG])
    head, rows = packing.dispatch.handle(packing.peer, packing.principal, encode(ask), packing.now)
    assert packed_as(messages(to_client, head)) == [""]
    assert bytes(rows) == rows_of(packing, "copy_rates_from_pos", *ask.args[:1], 1, 0, LONG)


def test_a_way_that_the_gateway_does_not_know_is_none(packing: Bridge) -> None:
    hello = encode(Hello("c", "test", list(SPEAKS), packs=["lzma", "zstd9"]))
    (frame,) = packing.dispatch.handle(b"other", packing.principal, hello, packing.now)
    (welcome,) = messages(to_client, frame)
    assert welcome.packs == ""


def test_a_gateway_that_was_started_again_is_asked_again(packing: Bridge) -> None:
    packing.call("version")
    packing.restart()
    found = heard(packing)
    packing.call("copy_rates_from_pos", "EURUSD", 1, 0, LONG)
    assert packed_as(found) == ["zstd"]


# ---- where the link is slow ---------------------------------------------------------------------------


class Link:
    """A client's session, a link of a speed, and the gateway behind it; time is counted, not taken."""

    def __init__(self, connecting: float, round_trip: float, speed: float) -> None:
        self.bridge = Bridge(compress="auto")
        self.connecting, self.round_trip, self.speed = connecting, round_trip, speed
        self.greetings: list[list[str]] = []
        self.heads: list[str] = []

    def call(self, name: str, *args: Any) -> Any:
        bridge, session = self.bridge, self.bridge.session
        id_ = bridge.ask(name, *args)
        settled: list[Any] = []
        for _ in range(1000):
            if any(done.id == id_ for done in settled):
                return next(done.value for done in settled if done.id == id_)
            bridge.now += self.connecting
            self.connecting = 0.0
            frames = bridge.depart()
            bridge.now += self.round_trip if frames else 0.0
            for frame in frames:
                self.greetings += [
                    each.packs for each in messages(to_gateway, frame) if isinstance(each, Hello)
                ]
                self._take(bridge.dispatch.handle(bridge.peer, bridge.principal, frame, bridge.now), settled)
            for _, chunk in bridge.dispatch.transfers.chunks(100):
                self._take(chunk, settled)
            settled += session.tick(bridge.now)
        raise AssertionError("not settled")

    def _take(self, frames: list[Any], settled: list[Any]) -> None:
        if not frames:
            return
        bridge = self.bridge
        self.heads += packed_as(messages(to_client, frames[0]))
        bridge.now += sum(map(len, frames)) / self.speed
        event = bridge.session.receive(frames[0], bridge.now)
        if isinstance(event, Fill):
            event.buffer[: len(frames[1])] = frames[1]
            event = bridge.session.filled(event, len(frames[1]))
        if event is not None:
            settled.append(event)


def link(connecting: float, round_trip: float, speed: float = 1e12) -> Iterator[Link]:
    made = Link(connecting, round_trip, speed)
    with closing(made.bridge):
        yield made


@pytest.fixture
def near() -> Iterator[Link]:
    yield from link(0.0, 0.0004, 500e6)


@pytest.fixture
def slow_to_connect() -> Iterator[Link]:
    yield from link(0.8, 0.0004, 500e6)


@pytest.fixture
def far() -> Iterator[Link]:
    yield from link(0.05, 0.02)


@pytest.fixture
def narrow() -> Iterator[Link]:
    yield from link(0.0, 0.001, 2.5e6)


def past(rows: int) -> tuple[Any, ...]:
    """Return a call for so many bars that do not change any more."""
    return "copy_rates_range", "EURUSD", 1, 1_640_995_200, 1_640_995_200 + 60 * (rows - 1)


def test_loopback_chooses_none(near: Link) -> None:
    for _ in range(2):
        assert len(near.call(*past(8 * LONG))) == 8 * LONG
    assert near.greetings == [[]]
    assert near.heads == ["", ""]


def test_a_connection_that_took_long_says_nothing_of_the_link(slow_to_connect: Link) -> None:
    assert len(slow_to_connect.call(*past(LONG))) == LONG
    assert slow_to_connect.greetings == [[], []]
    assert slow_to_connect.heads == [""]


def test_a_long_round_trip_has_even_the_first_array_packed(far: Link) -> None:
    value = far.call(*past(LONG))
    assert value.tobytes() == rows_of(far.bridge, *past(LONG))
    assert far.greetings == [[], [], ["zstd"]]
    assert far.heads == ["zstd"]


def test_a_slow_array_has_the_next_one_packed(narrow: Link) -> None:
    for _ in range(3):
        value = narrow.call(*past(3 * LONG))
        assert value.tobytes() == rows_of(narrow.bridge, *past(3 * LONG))
    assert narrow.greetings == [[], ["zstd"]]
    assert narrow.heads == ["", "zstd", "zstd"]


def test_auto_does_not_complain(far: Link, without_zstandard: None) -> None:
    assert len(far.call(*past(LONG))) == LONG
    assert far.heads == [""]
    assert not far.bridge.missed


def test_the_thresholds() -> None:
    packs = Packs("auto")
    assert not packs.took(LARGE - 1, 3600.0)
    assert not packs.took(LARGE, LARGE / SLOW_SPEED)
    assert not packs.greeted(SLOW_ROUND_TRIP * 0.99)
    assert packs.measures
    assert packs.took(LARGE, LARGE / SLOW_SPEED * 1.01)
    assert packs.wanted == ["zstd"]


def test_each_connection_is_judged_by_a_greeting_of_its_own() -> None:
    packs = Packs("auto")
    for _ in range(3):  # as when a gateway is started again and again
        assert packs.greeted(1.0)
        assert packs.measures
        assert not packs.greeted(0.0)
    assert packs.wanted == []


# ---- a gateway that lies ------------------------------------------------------------------------------

BOMB = b"\1" + (10).to_bytes(4, "little") + zstandard.compress(bytes(50_000_000))
LIES: list[tuple[str, Callable[[int], Message], bytes]] = [
    ("bomb", lambda n: Head(n, "rates", 10, 1, "", "zstd"), BOMB),
    ("too many rows", lambda n: Head(n, "rates", 10, 1, "", "zstd"), b"\0" + bytes(11 * 60)),
    ("no packing", lambda n: Head(n, "rates", 10, 1, "", "zstd"), bytes(range(1, 200))),
    ("nothing", lambda n: Head(n, "rates", 10, 1, "", "zstd"), b""),
]


@pytest.mark.parametrize(("head", "frame"), [pytest.param(*rest, id=name) for name, *rest in LIES])
def test_a_frame_that_is_not_what_it_says_is_a_protocol_error(
    packing: Bridge, head: Callable[[int], Message], frame: bytes
) -> None:
    session = packing.session
    packing.call("version")
    id_ = packing.ask("copy_rates_from_pos", "EURUSD", 1, 0, 10)
    event = session.receive(encode(head(id_)), packing.now)
    assert isinstance(event, Fill)
    room = len(event.buffer)
    assert room <= 1 + 10 * RATES.itemsize
    event.buffer[: min(room, len(frame))] = frame[:room]
    with pytest.raises(ProtocolError):
        session.filled(event, len(frame))


@pytest.mark.parametrize("way", ["zstd", "lzma"])
def test_what_was_not_asked_for_is_a_protocol_error(way: str) -> None:
    with closing(Bridge()) as bridge:
        bridge.call("version")
        id_ = bridge.ask("copy_rates_from_pos", "EURUSD", 1, 0, 10)
        with pytest.raises(ProtocolError, match=f"packed as '{way}'"):
            bridge.session.receive(encode(Head(id_, "rates", 10, 1, "", way)), bridge.now)


def test_a_huge_array_announced_as_packed_takes_room_for_a_chunk(packing: Bridge) -> None:
    session: Session = packing.session
    packing.call("version")
    id_ = packing.ask("copy_rates_from_pos", "EURUSD", 1, 0, 10)
    event = session.receive(encode(Head(id_, "rates", 1_000_000, 1, "", "zstd")), packing.now)
    assert isinstance(event, Fill)
    assert len(event.buffer) == CHUNK
    event.buffer[:1] = b"\0"
    assert session.filled(event, 61) is None
    with pytest.raises(ProtocolError, match="from 5 on"):
        session.receive(encode(Chunk(id_, 5)), packing.now)

"""The decoder: what it takes, what it refuses, and that it never raises anything else."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mt5crs.errors import ProtocolError, VersionMismatch
from mt5crs.wire import codec
from mt5crs.wire.messages import (
    SPEAKS,
    Ask,
    Batch,
    Beat,
    Cancel,
    Chunk,
    Credit,
    Head,
    Hello,
    Many,
    Message,
    Ping,
    Pong,
    Refusal,
    Reply,
    Welcome,
)

READERS = [codec.to_gateway, codec.to_client, codec.on_stream]

MESSAGES: list[tuple[Any, Message]] = [
    (codec.to_gateway, Hello("c", "test", list(SPEAKS), [("book", "EURUSD")])),
    (codec.to_gateway, Hello("c", "test", list(SPEAKS), packs=["zstd"])),
    (codec.to_gateway, Ask(1, "symbol_info", ["EURUSD"], 5, 6, "key", 7)),
    (codec.to_gateway, Credit(1, 4)),
    (codec.to_gateway, Cancel(1)),
    (codec.to_gateway, Ping(1)),
    (codec.to_client, Welcome(1, "test", 2, 3, "simulated", 5556)),
    (codec.to_client, Reply(1, [1, 2.5, "x", None, True, {"a": 1}], 1, "Success")),
    (codec.to_client, Head(1, "rates", 10, 1, "Success")),
    (codec.to_client, Head(1, "rates", 10, 1, "Success", "zstd")),
    (codec.to_client, Chunk(1, 2)),
    (codec.to_client, Refusal(1, "busy", "m", "h", "refused")),
    (codec.to_client, Pong(1, 2, 3, [4], {"terminal": "simulated"})),
    (codec.on_stream, Batch(1, 2, 8, (7, 1), 3)),
    (codec.on_stream, Beat(1, 2, 3, {})),
]

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text()
    | st.binary(max_size=50),
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


def _packed(value: Any) -> bytes:
    try:
        return msgspec.msgpack.encode(value)
    except OverflowError:
        return b""


@pytest.mark.parametrize(("read", "message"), MESSAGES, ids=lambda value: type(value).__name__)
def test_every_message_comes_back_as_it_was(read: Any, message: Message) -> None:
    assert read(codec.encode(message)) == message


@pytest.mark.parametrize("read", READERS)
@given(frame=st.binary(max_size=300))
def test_garbage_raises_protocol_error_or_nothing(read: Any, frame: bytes) -> None:
    for bytes_ in (frame, codec.HEADER + frame):
        try:
            read(bytes_)
        except ProtocolError as error:
            assert str(error)


@pytest.mark.parametrize("read", READERS)
@given(value=plain)
def test_any_msgpack_raises_protocol_error_or_nothing(read: Any, value: Any) -> None:
    try:
        body = msgspec.msgpack.encode(value)
    except OverflowError:
        return
    with pytest.raises(ProtocolError):  # no plain value of this strategy starts with a message's name
        read(codec.HEADER + body)


@pytest.mark.parametrize(("read", "message"), MESSAGES, ids=lambda value: type(value).__name__)
@given(data=st.data())
def test_a_damaged_message_raises_protocol_error_or_nothing(
    read: Any, message: Message, data: st.DataObject
) -> None:
    frame = bytearray(codec.encode(message))
    for _ in range(data.draw(st.integers(1, 4))):
        frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(frame)))
    for damaged in (bytes(frame), bytes(frame[:cut])):
        try:
            read(damaged)
        except ProtocolError:
            pass


@pytest.mark.parametrize(
    ("read", "part"),
    [(codec.to_gateway, codec.part_to_gateway), (codec.to_client, codec.part_to_client)],
)
@given(bodies=st.lists(st.binary(max_size=40) | plain.map(_packed), max_size=300))
def test_whatever_is_joined_comes_apart_as_it_was_or_is_refused(
    read: Any, part: Any, bodies: list[bytes]
) -> None:
    try:
        many = read(codec.join([codec.HEADER + body for body in bodies]))
    except ProtocolError:
        return
    assert isinstance(many, Many)
    for each in many.messages:
        try:
            part(each)
        except ProtocolError as error:
            assert str(error)


@given(
    messages=st.lists(st.sampled_from([m for read, m in MESSAGES if read is codec.to_gateway]), max_size=300)
)
def test_messages_come_out_of_a_many_as_they_were(messages: list[Message]) -> None:
    frame = codec.join([codec.encode(message) for message in messages])
    many: Any = codec.to_gateway(frame)
    assert [codec.part_to_gateway(each) for each in many.messages] == messages
    assert len(frame) <= codec.OF_MANY + sum(len(codec.encode(m)) - codec.HEADER_LENGTH for m in messages)
    assert codec.encode(many) == frame


def test_nesting_beyond_reason_is_refused() -> None:
    body = msgspec.msgpack.encode(["ask", 1, "x"])[:-2] + b"\xa1x" + b"\x91" * 100_000
    with pytest.raises(ProtocolError):
        codec.to_gateway(codec.HEADER + b"\x94" + body[1:])


@pytest.mark.parametrize(
    "fields",
    [
        ["ask", 1, "symbol_info"],  # one too few
        ["ask", 1, "symbol_info", [], 0, 0, "", 0, "more"],  # one too many
        ["ask", "1", "symbol_info", []],
        ["ask", 1, 2, []],
        ["ask", 1.5, "symbol_info", []],
        ["nobody", 1],
        [],
        {},
        None,
    ],
)
def test_wrong_fields_are_refused(fields: Any) -> None:
    with pytest.raises(ProtocolError, match="malformed message"):
        codec.to_gateway(codec.HEADER + msgspec.msgpack.encode(fields))


@pytest.mark.parametrize(("version", "who"), [(1, "the other side"), (4, "this side"), (255, "this side")])
def test_an_unknown_version_says_which_side_to_upgrade(version: int, who: str) -> None:
    frame = codec.MAGIC + bytes([version]) + msgspec.msgpack.encode(["ping", 1])
    with pytest.raises(VersionMismatch, match=f"speaks protocol {version}.*upgrade {who}"):
        codec.to_gateway(frame)


@pytest.mark.parametrize("frame", [b"", b"M", b"MT5", b"Hello", b"GET / HTTP/1.1"])
def test_what_is_not_ours_is_named(frame: bytes) -> None:
    with pytest.raises(ProtocolError, match="do not start with MT5"):
        codec.to_gateway(frame)

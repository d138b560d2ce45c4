"""docs/protocol.md is true: its examples are the bytes, its tables are the code's."""

import re
from collections.abc import Callable
from typing import Any

import numpy
import pytest
import zstandard

from mt5crs.api import OPERATIONS
from mt5crs.errors import ProtocolError
from mt5crs.gateway.transfers import PACK_FROM
from mt5crs.model import ARRAYS, RATES
from mt5crs.wire import codec, messages
from mt5crs.wire.messages import Message
from mt5crs.wire.packing import pack, unpack
from tests.conftest import ROOT

DOCUMENT = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
EXAMPLES = [
    (block.split("\n")[0], bytes.fromhex("".join(block.split("\n")[1:])))
    for block in re.findall(r"```wire\n(.*?)\n```", DOCUMENT, re.DOTALL)
]
READERS = [codec.to_gateway, codec.to_client, codec.on_stream]
KINDS = {name: kind for name, kind in vars(messages).items() if isinstance(kind, type)}


def cells(first: str) -> list[list[str]]:
    """Return the rows of the table whose header starts with a cell."""
    lines = DOCUMENT.split("\n")
    start = next(n for n, line in enumerate(lines) if line.startswith(f"| {first} "))
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


@pytest.mark.parametrize(("text", "frame"), EXAMPLES, ids=[text for text, _ in EXAMPLES])
def test_an_example_is_its_bytes(text: str, frame: bytes) -> None:
    message: Any = eval(text, KINDS)  # noqa: S307 - our own document
    assert codec.encode(message) == frame
    assert [each for each in (decoded(read, frame) for read in READERS) if each] == [parts(message)]


def parts(message: Any) -> list[Any]:
    """Return the messages of a `Many`, or the one that it is."""
    return message.messages if isinstance(message, messages.Many) else [message]


def decoded(read: Callable[[bytes], Any], frame: bytes) -> list[Any]:
    """Return the messages of a frame, none where a reader refuses one: a `Many` belongs to one direction."""
    try:
        message = read(frame)
        if not isinstance(message, messages.Many):
            return [message]
        part = codec.part_to_gateway if read is codec.to_gateway else codec.part_to_client
        return [part(each) for each in message.messages]
    except ProtocolError:
        return []


def test_a_many_is_its_messages_joined() -> None:
    many = [eval(text, KINDS) for text, _ in EXAMPLES if text.startswith("Many")]  # noqa: S307
    assert len(many) == 2
    for message in many:
        assert codec.join([codec.encode(each) for each in message.messages]) == codec.encode(message)


def test_every_message_has_an_example() -> None:
    wanted = {kind.__name__ for kind in Message.__subclasses__()}
    assert {text.split("(")[0] for text, _ in EXAMPLES} == wanted


def test_every_operation_is_in_the_table_with_its_arguments() -> None:
    told = {
        name: [] if args == "none" else args.split(", ")
        for names, args in cells("operation")
        for name in re.findall(r"`(\w+)`", names)
    }
    assert set(told) == set(OPERATIONS)
    for name, op in OPERATIONS.items():
        example: dict[str, Any] = {"symbol": "EURUSD", "a map of request fields": {}, "login": 1, "key": "k"}
        example |= {"name": "tim", "close": True, "reason": "", "log": ""}
        wire = [example.get(place, None if "nil" in place else 1) for place in told[name]]
        if name.startswith("history") and name.endswith("get"):
            wire[3] = 1  # at least one of them must be there
        assert len(op.accept(wire)) == len(wire)


def test_the_row_layouts_are_those_of_the_arrays() -> None:
    types = {"int64": "<i8", "float64": "<f8", "uint64": "<u8", "int32": "<i4", "uint32": "<u4"}
    rows = cells("`rates`")
    for array, column in ((ARRAYS["rates"], 0), (ARRAYS["ticks"], 4)):
        dtype = array.dtype
        told = [(row[column], int(row[column + 1]), types[row[column + 2]]) for row in rows]
        assert dtype.fields is not None
        assert told == [
            (name, dtype.fields[name][1], dtype.fields[name][0].str) for name in dtype.names or ()
        ]
        assert dtype.itemsize == array.itemsize == 60


def test_the_packed_content_is_that_of_its_bars() -> None:
    rows = numpy.zeros(3, RATES.dtype)
    rows["time"] = 1764000000, 1764000060, 1764000120
    rows["open"], rows["high"], rows["low"], rows["close"] = (1.1, 1.2, 1.3), 1.35, 1.05, 1.25
    rows["tick_volume"], rows["spread"] = (10, 12, 11), 1
    (block,) = re.findall(r"```content\n(.*?)\n```", DOCUMENT, re.DOTALL)
    content = bytes.fromhex(block)
    packed = pack(rows.view("u1").data, RATES)
    assert packed[:5] == b"\1" + (3).to_bytes(4, "little")
    assert zstandard.decompress(packed[5:]) == content
    into = memoryview(bytearray(180))
    assert unpack(memoryview(packed[:5] + zstandard.compress(content)), RATES, into) == 180
    assert into == rows.tobytes()


def test_the_limits_of_packed_arrays_are_those_of_the_code() -> None:
    assert f"at least {PACK_FROM:,} bytes" in DOCUMENT
    assert f"1 to {messages.CHUNK // RATES.itemsize:,} rows" in DOCUMENT


def test_the_limits_are_those_of_the_code() -> None:
    told = [int(row[1].replace(",", "")) for row in cells("limit")]
    assert told == [messages.REQUEST_LIMIT, messages.HARD_LIMIT, messages.REPLY_LIMIT, messages.CHUNK]

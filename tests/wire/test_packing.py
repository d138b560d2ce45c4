"""Packed rows come back bit for bit, and whatever else comes is refused without room being made for it."""

import struct
import tracemalloc
from collections.abc import Iterator
from typing import Any

import numpy
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mt5crs.errors import ProtocolError
from mt5crs.model import RATES, TICKS, ArrayType
from mt5crs.wire.messages import CHUNK
from mt5crs.wire.packing import pack, unpack

MOST = CHUNK // RATES.itemsize
Rows = NDArray[Any]


def bars(count: int) -> Rows:
    """Return bars as a terminal has them: five decimals, a minute apart."""
    chance = numpy.random.default_rng(7)
    rows = numpy.zeros(count, RATES.dtype)
    rows["time"] = 1_764_000_000 + 60 * numpy.arange(count)
    close = 115_000 + chance.integers(-9, 10, count).cumsum()
    rows["open"] = numpy.concatenate((close[:1], close[:-1])) / 1e5
    rows["close"] = close / 1e5
    rows["high"] = (close + 10) / 1e5
    rows["low"] = (close - 10) / 1e5
    rows["tick_volume"] = chance.integers(20, 120, count)
    rows["spread"] = chance.integers(0, 3, count)
    return rows


def raw(rows: Rows) -> memoryview:
    return rows.view("u1").data


def unpacked(packed: bytes, layout: ArrayType, room: int) -> bytes:
    into = bytearray(room)
    size = unpack(memoryview(packed), layout, memoryview(into))
    return bytes(into[:size])


def check(rows: Rows, layout: ArrayType) -> bytes:
    packed = pack(raw(rows), layout)
    assert unpacked(packed, layout, rows.nbytes) == rows.tobytes()
    assert len(packed) <= rows.nbytes + 1
    return packed


# ---- there and back -----------------------------------------------------------------------------------

PRICES = st.integers(-(10**7), 10**7).map(lambda points: points / 1e5)
ODD = st.sampled_from(
    [0.0, -0.0, float("nan"), float("inf"), float("-inf"), 5e-324, 1e308, 0.1 + 0.2, 2.0**53]
)
FLOATS = st.one_of(PRICES, st.floats(width=64), ODD)
WHOLE: dict[str, st.SearchStrategy[int]] = {
    "<i8": st.integers(-(2**63), 2**63 - 1),
    "<u8": st.integers(0, 2**64 - 1),
    "<i4": st.integers(-(2**31), 2**31 - 1),
    "<u4": st.integers(0, 2**32 - 1),
}


@st.composite
def some_rows(draw: st.DrawFn) -> tuple[Rows, ArrayType]:
    layout = draw(st.sampled_from([RATES, TICKS]))
    count = draw(st.integers(1, 12))
    rows = numpy.zeros(count, layout.dtype)
    for name, kind in layout.fields:
        values = draw(st.sampled_from([PRICES, FLOATS])) if kind == "<f8" else WHOLE[kind]
        steady = st.integers(0, 50).map(lambda step: [step * place for place in range(count)])
        rows[name] = draw(st.one_of(st.lists(values, min_size=count, max_size=count), steady))
    return rows, layout


@given(some_rows())
def test_any_values_come_back_bit_for_bit(given: tuple[Rows, ArrayType]) -> None:
    check(*given)


@given(st.sampled_from([RATES, TICKS]), st.integers(1, 40), st.randoms(use_true_random=False))
def test_any_bits_come_back(layout: ArrayType, count: int, chance: Any) -> None:
    check(numpy.frombuffer(chance.randbytes(count * layout.itemsize), layout.dtype), layout)


@pytest.mark.parametrize(
    "value", [float("nan"), -0.0, float("inf"), struct.unpack("<d", b"\1" * 7 + b"\x7f")[0]]
)
def test_a_float_that_no_integer_gives_back_keeps_its_bits(value: float) -> None:
    rows = bars(50)
    rows["open"][20] = value
    check(rows, RATES)


def test_a_nan_keeps_its_payload() -> None:
    rows = bars(3)
    rows["low"] = numpy.frombuffer(bytes.fromhex("010203040506f87f") * 3, "<f8")
    check(rows, RATES)


def test_one_row_comes_back() -> None:
    check(bars(1), RATES)


def test_a_chunk_of_bars_is_a_tenth_of_its_size() -> None:
    rows = bars(MOST)
    assert len(check(rows, RATES)) * 10 < rows.nbytes


def test_what_cannot_be_made_smaller_goes_as_it_is_and_fits_into_a_chunk() -> None:
    rows = numpy.frombuffer(numpy.random.default_rng(1).bytes(MOST * 60), RATES.dtype)
    packed = check(rows, RATES)
    assert packed == b"\0" + rows.tobytes()
    assert len(packed) <= CHUNK


# ---- whatever comes -----------------------------------------------------------------------------------

ROOM = 50 * RATES.itemsize


def refused_or_rows(packed: bytes, layout: ArrayType = RATES) -> None:
    try:
        rows = unpacked(packed, layout, ROOM)
    except ProtocolError:
        return
    assert 0 < len(rows) <= ROOM
    assert len(rows) % layout.itemsize == 0


@given(
    st.binary(max_size=200),
    st.sampled_from([b"", b"\0", b"\1", b"\1\x0a\0\0\0", b"\1\x0a\0\0\0\x28\xb5\x2f\xfd"]),
)
def test_any_bytes_are_rows_or_refused(content: bytes, start: bytes) -> None:
    refused_or_rows(start + content)


@given(st.binary(max_size=400), st.integers(0, 51), st.sampled_from([RATES, TICKS]))
def test_any_content_of_a_sound_frame_is_rows_or_refused(
    content: bytes, count: int, layout: ArrayType
) -> None:
    refused_or_rows(framed(content, count), layout)


@given(st.data())
def test_a_spoiled_packing_is_rows_or_refused(data: st.DataObject) -> None:
    packed = bytearray(SOUND)
    for _ in range(data.draw(st.integers(1, 3))):
        packed[data.draw(st.integers(0, len(packed) - 1))] = data.draw(st.integers(0, 255))
    refused_or_rows(bytes(packed))


@given(st.data())
def test_a_spoiled_content_is_rows_or_refused(data: st.DataObject) -> None:
    content = bytearray(CONTENT)
    content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(content)))
    refused_or_rows(framed(bytes(content[:cut]), 50))
    refused_or_rows(framed(bytes(content), 50))


@given(st.data())
def test_a_packing_that_is_cut_is_refused(data: st.DataObject) -> None:
    length = data.draw(st.integers(0, len(SOUND) - 1))
    with pytest.raises(ProtocolError):
        unpacked(SOUND[:length], RATES, ROOM)


def framed(content: bytes, count: int) -> bytes:
    return b"\1" + count.to_bytes(4, "little") + zstandard.compress(content)


SOUND = pack(raw(bars(50)), RATES)
CONTENT = zstandard.decompress(SOUND[5:])


def promising(size: int, *, window: int | None = None) -> bytes:
    """Return the head of a zstd frame that promises a content of a size, and next to nothing of it.

    Args:
        size: Bytes of the content.
        window: The window's descriptor; without it the window is the content.
    """
    magic, rest = b"\x28\xb5\x2f\xfd", size.to_bytes(8, "little") + b"\3\0\0"
    head = b"\xe0" if window is None else bytes((0xC0, window))
    return b"\1" + (50).to_bytes(4, "little") + magic + head + rest


def bombs() -> Iterator[tuple[str, bytes, str]]:
    """Yield what would take memory if it were believed, and what is said of it."""
    stream = zstandard.ZstdCompressor(write_content_size=False).compressobj()
    memory, due = "more memory than rows", "were due"
    yield "zeros", framed(bytes(50_000_000), 50), memory
    yield "promise", promising(1 << 40), memory
    yield "largest promise", promising((1 << 64) - 3), memory
    yield "no promise", b"\1\x32\0\0\0" + stream.compress(bytes(50_000_000)) + stream.flush(), memory
    yield "promise with a small window", promising(1 << 40, window=0), memory
    yield "window", promising(1000, window=0x88), memory  # of 128 MB
    yield "rows", b"\1\xff\xff\xff\xff" + SOUND[5:], due
    yield "more rows than due", b"\1" + (51).to_bytes(4, "little") + SOUND[5:], due


@pytest.mark.parametrize(("bomb", "said"), [pytest.param(*rest, id=name) for name, *rest in bombs()])
def test_a_bomb_is_refused_before_there_is_room_for_it(bomb: bytes, said: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(ProtocolError, match=said):
            unpacked(bomb, RATES, ROOM)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_a_frame_of_more_than_a_chunk_is_refused() -> None:
    with pytest.raises(ProtocolError, match=f"at most {MOST} were due"):
        unpacked(framed(b"", MOST + 1), RATES, 2 * CHUNK)


@pytest.mark.parametrize(
    ("what", "packed"),
    [
        ("nothing", b""),
        ("an unknown mark", b"\2" + SOUND[1:]),
        ("no rows", b"\0"),
        ("a part of a row", b"\0" + bytes(59)),
        ("too many rows", b"\0" + bytes(ROOM + 60)),
        ("no frame", b"\1\x32\0\0\0"),
        ("bytes behind the frame", SOUND + b"\0"),
        ("a frame behind the frame", SOUND + zstandard.compress(b"")),
        ("bytes behind the columns", framed(CONTENT + b"\0", 50)),
        ("fewer rows than columns have", framed(CONTENT, 49)),
        ("an integer with a scale", framed(b"\5" + CONTENT[1:], 50)),
        ("an order of three", framed(CONTENT[:1] + b"\3" + CONTENT[2:], 50)),
        ("a width of nine", framed(b"\xff\0\x09" + bytes(9 * 50) + CONTENT, 50)),
        ("more differences than rows", framed(b"\xff\2\0" + bytes(60), 1)),
    ],
)
def test_what_is_not_a_packing_is_refused(what: str, packed: bytes) -> None:
    with pytest.raises(ProtocolError):
        unpacked(packed, RATES, ROOM)

"""Rows of an array made small for a slow link, and back, bit for bit; docs/protocol.md has the format.

Each chunk is packed by itself. Prices become integers at the smallest decimal scale that gives them back
exactly, integers become differences, columns lie side by side with their bytes in planes, and zstd takes what
repeats. That costs processor time on both sides, so it pays on a slow link and not on loopback.

What comes from a peer is not trusted: `unpack` gives rows or a `ProtocolError`, and takes no more memory than
a chunk of rows does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mt5crs.errors import ProtocolError
from mt5crs.model import ArrayType
from mt5crs.wire.messages import CHUNK

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Whole = NDArray[Any]
    """Unsigned integers, of the column's size."""

ZSTD = "zstd"
"""What greetings and heads call this way of packing."""

LEVEL = 3
"""zstd's level; higher ones take longer and gain next to nothing on planes of differences."""

_ROWS, _COLUMNS = b"\0", b"\1"  # the first byte: rows as they are, or packed columns
_AS_IT_IS = 255  # in place of a scale: the column's bits are its integers
_SCALES = 16
_EXACT = 2.0**53  # floats hold all integers below it
_SAMPLE = 16  # values that show most scales to be too small
_COUNT = 4  # bytes of the number of rows
_COLUMN_HEAD = 3  # scale, order and width, a byte each
_ORDERS = 3
_SMALLEST_WINDOW = 1024  # of a zstd frame


def can_pack() -> bool:
    """Return whether the package for it is there."""
    try:
        import zstandard  # noqa: F401  # pyright: ignore[reportUnusedImport]
    except ImportError:
        return False
    return True


# ---- packing ----------------------------------------------------------------------------------------


def pack(rows: memoryview, layout: ArrayType) -> bytes:
    """Return rows packed; as they are, behind their mark, where packing would not make them smaller.

    Args:
        rows: The bytes of at least one row, at most a chunk of them.
        layout: What the rows are.
    """
    import numpy
    import zstandard

    table = numpy.frombuffer(rows, layout.dtype)
    content = b"".join(_packed(numpy.ascontiguousarray(table[name])) for name, _ in layout.fields)
    frame = zstandard.ZstdCompressor(level=LEVEL).compress(content)
    packed = b"".join((_COLUMNS, len(table).to_bytes(_COUNT, "little"), frame))
    return packed if len(packed) <= len(rows) else _ROWS + rows


def _packed(column: NDArray[Any]) -> bytes:
    """Return a column's head, first values and planes."""
    import numpy

    size = column.dtype.itemsize
    scale, whole = _points(column) if column.dtype.kind == "f" else (_AS_IT_IS, _bits(column))
    best: tuple[float, int, bytes, Whole] | None = None
    firsts = b""
    for order in range(min(_ORDERS, len(column) + 1)):
        folded = _fold(whole, size)
        bits = float(numpy.log2(folded + 1.0).sum()) + order * size * 8
        if best is None or bits < best[0]:
            best = bits, order, firsts, folded
        firsts += whole[:1].tobytes()
        whole = whole[1:] - whole[:-1]
    assert best is not None  # noqa: S101 - order 0 is always there
    _, order, firsts, folded = best
    width = (int(folded.max(initial=0)).bit_length() + 7) // 8
    table: NDArray[numpy.uint8] = numpy.frombuffer(folded.data, numpy.uint8).reshape(len(folded), size)
    return bytes((scale, order, width)) + firsts + table[:, :width].tobytes("F")


def _points(column: NDArray[Any]) -> tuple[int, Whole]:
    """Return the smallest decimal scale at which integers give every value back, and those integers."""
    import numpy

    with numpy.errstate(all="ignore"):
        for scale in range(_SCALES):
            if not _at(column[:_SAMPLE], scale)[1]:
                continue
            points, is_exact = _at(column, scale)
            if is_exact:
                return scale, _bits(points)
    return _AS_IT_IS, _bits(column)


def _at(column: NDArray[Any], scale: int) -> tuple[NDArray[Any], bool]:
    """Return the nearest integers at a scale, and whether they give the values back, their signs too."""
    import numpy

    power = float(10**scale)
    points = numpy.rint(column * power)
    if not (numpy.abs(points) < _EXACT).all():  # nor is what is not a number
        return points, False
    points = points.astype("<i8")
    return points, bool((_bits(points / power) == _bits(column)).all())


def _bits(column: NDArray[Any]) -> Whole:
    whole: Whole = column.view(f"<u{column.dtype.itemsize}")
    return whole


def _fold(whole: Whole, size: int) -> Whole:
    """Return signed integers as unsigned ones that are small where those are near 0."""
    import numpy

    folded: Whole = (whole << 1) ^ numpy.negative(whole >> (size * 8 - 1))
    return folded


# ---- unpacking --------------------------------------------------------------------------------------


def unpack(packed: memoryview, layout: ArrayType, into: memoryview) -> int:
    """Unpack rows into a buffer; return how many of its bytes they take.

    Args:
        packed: What `pack` made, or whatever a peer sent in its place.
        layout: What the rows are.
        into: Room for the rows that are still due.

    Raises:
        ProtocolError: It is not what `pack` makes, or not of rows that fit.
    """
    mark = bytes(packed[:1])
    if mark == _ROWS:
        rows = packed[1:]
        if not 0 < len(rows) <= len(into) or len(rows) % layout.itemsize:
            raise ProtocolError(f"{len(rows)} bytes of rows, where at most {len(into)} were due")
        into[: len(rows)] = rows
        return len(rows)
    if mark != _COLUMNS:
        raise ProtocolError("packed rows that begin with no mark of theirs")
    count = int.from_bytes(packed[1 : 1 + _COUNT], "little")
    most = min(CHUNK, len(into)) // layout.itemsize
    if not 0 < count <= most:
        raise ProtocolError(f"{count} packed rows, where at most {most} were due")
    content = _content(packed[1 + _COUNT :], count, layout)
    _Columns(content, count).write(layout, into[: count * layout.itemsize])
    return count * layout.itemsize


def _content(frame: memoryview, count: int, layout: ArrayType) -> bytes:
    """Return what a zstd frame holds; its head is judged before anything is made room for."""
    import zstandard

    most = count * layout.itemsize + len(layout.fields) * (_COLUMN_HEAD + (_ORDERS - 1) * 8)
    try:
        told = zstandard.get_frame_parameters(frame)
        if told.content_size > most or told.window_size > max(most, _SMALLEST_WINDOW):
            raise ProtocolError(f"{count} packed rows that want more memory than rows take")
        return zstandard.ZstdDecompressor().decompress(frame, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise ProtocolError(f"packed rows that zstd cannot read: {error}") from error


class _Columns:
    """The columns of a frame's content, read from its beginning."""

    def __init__(self, content: bytes, count: int) -> None:
        self._content = content
        self._count = count
        self._place = 0

    def write(self, layout: ArrayType, into: memoryview) -> None:
        """Read all columns into rows."""
        import numpy

        dtype = layout.dtype
        table = numpy.frombuffer(into, dtype)
        for name, kind in layout.fields:
            table[name] = self._column(numpy.dtype(kind))
        if self._place != len(self._content):
            raise ProtocolError(f"{len(self._content) - self._place} bytes behind the packed columns")

    def _column(self, kind: numpy.dtype[Any]) -> NDArray[Any]:
        size = kind.itemsize
        scale, order, width = self._take(_COLUMN_HEAD)
        is_scaled = kind.kind == "f" and scale < _SCALES
        if not (is_scaled or scale == _AS_IT_IS) or order >= min(_ORDERS, self._count + 1) or width > size:
            raise ProtocolError(f"a packed column of scale {scale}, order {order} and width {width}")
        firsts = [self._whole(size) for _ in range(order)]
        whole = self._planes(size, width, self._count - order)
        for first in reversed(firsts):
            whole = self._summed(first, whole)
        return whole.view("<i8") / float(10**scale) if is_scaled else whole.view(kind)

    def _whole(self, size: int) -> Whole:
        import numpy

        return numpy.frombuffer(self._take(size), f"<u{size}")

    def _planes(self, size: int, width: int, length: int) -> Whole:
        """Read differences: the first bytes of all, then the second bytes of all, and so on."""
        import numpy

        table = numpy.zeros((length, size), numpy.uint8)
        table.T[:width] = numpy.frombuffer(self._take(width * length), numpy.uint8).reshape(width, length)
        folded: Whole = table.view(f"<u{size}").reshape(length)
        unfolded: Whole = (folded >> 1) ^ numpy.negative(folded & 1)
        return unfolded

    @staticmethod
    def _summed(first: Whole, differences: Whole) -> Whole:
        import numpy

        summed: Whole = numpy.concatenate((first, differences)).cumsum(dtype=first.dtype)
        return summed

    def _take(self, length: int) -> bytes:
        """Read so many bytes."""
        end = self._place + length
        if end > len(self._content):
            raise ProtocolError("packed columns that end too soon")
        taken = self._content[self._place : end]
        self._place = end
        return taken

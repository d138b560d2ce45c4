"""What a session keeps of a request until it is settled, and what it tells its driver."""

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from mt5crs.errors import BridgeError, ProtocolError
from mt5crs.last_error import LastError
from mt5crs.model import ArrayType
from mt5crs.wire.messages import CHUNK
from mt5crs.wire.packing import unpack

if TYPE_CHECKING:
    from mt5crs.model import RatesArray


class Pending(Struct, eq=False, gc=False):
    """A request whose answer is awaited.

    Attributes:
        id: Correlation id.
        op: What was asked; None for a ping or a greeting.
        args: Wire arguments.
        deadline: When it is given up, on the client's clock.
        timeout: Seconds from which the deadline is counted.
        key: Idempotency key of a trade.
        sent: Whether it has left.
        probe: Id of the ping that was sent after it.
        went_to: Of a trade that left: the account and the journal of the gateway that it left for.
        is_lost: Whether a copy of a trade left and was lost, so that it may have been carried out.
        result: The array on its way.
        filled: Bytes of it that are there.
        unacked: Chunks of it that no credit was given for.
    """

    id: int
    op: Any  # Operation | None; as a field's type it would be taken for the descriptor that it is
    args: Any
    deadline: float
    timeout: float
    key: str = ""
    sent: bool = False
    probe: int = 0
    went_to: "tuple[str, str] | None" = None
    is_lost: bool = False
    result: "Incoming | None" = None
    filled: int = 0
    unacked: int = 0


class Incoming:
    """An array on its way.

    Args:
        layout: What its rows are.
        rows: How many there are.
        error: The terminal's `last_error` for it.
        began: When it was announced, on the client's clock.
        is_packed: Whether its frames are packed.

    Attributes:
        array: The result, as far as it is there.
        bytes: The result's bytes.
        itemsize: Bytes in a row.
    """

    __slots__ = ("_layout", "_packed", "array", "began", "bytes", "error", "itemsize")

    def __init__(
        self, layout: ArrayType, rows: int, error: LastError, began: float, *, is_packed: bool
    ) -> None:
        import numpy

        self.array: RatesArray = numpy.empty(rows, layout.dtype)
        self.bytes = self.array.view(numpy.uint8).data
        self.itemsize = layout.itemsize
        self.error = error
        self.began = began
        self._layout = layout
        # What is packed is never longer than the rows and their mark.
        self._packed = memoryview(bytearray(min(CHUNK, 1 + len(self.bytes)))) if is_packed else None

    def room(self, filled: int) -> memoryview:
        """Return where the next frame goes, when so many bytes of rows are there."""
        return self.bytes[filled:] if self._packed is None else self._packed[: 1 + len(self.bytes) - filled]

    def take(self, filled: int, size: int) -> int:
        """Take a frame of a size that is in its room; return how many bytes of rows it has brought.

        Raises:
            ProtocolError: It is not one of rows that are due.
        """
        most = len(self.room(filled))
        if not 0 < size <= most or (self._packed is None and size % self.itemsize):
            raise ProtocolError(f"{size} bytes of rows, where at most {most} were due")
        if self._packed is None:
            return size
        return unpack(self._packed[:size], self._layout, self.bytes[filled:])


class Done(Struct, eq=False, gc=False):
    """What became of a request.

    Attributes:
        id: Its correlation id.
        value: The result as the operation returns it (for a ping, the `Pong`).
        error: The terminal's `last_error` for it.
        failure: Why there is no result, where there is none.
    """

    id: int
    value: Any
    error: LastError
    failure: BridgeError | None = None


class Fill:
    """A frame of rows follows: receive it into `buffer`, then call `filled`."""

    __slots__ = ("buffer", "pending")

    def __init__(self, pending: Pending, buffer: memoryview) -> None:
        self.pending = pending
        self.buffer = buffer


Event = Done | Fill

"""What a session keeps of a request until it is settled, and what it tells its driver."""

from typing import TYPE_CHECKING, Any

from mt5crs.errors import BridgeError
from mt5crs.last_error import LastError
from mt5crs.model import ArrayType
from mt5crs.operation import Operation

if TYPE_CHECKING:
    from mt5crs.model import RatesArray


class Pending:
    """A request whose answer is awaited."""

    __slots__ = (
        "args",
        "deadline",
        "filled",
        "id",
        "key",
        "op",
        "probe",
        "result",
        "sent",
        "timeout",
        "unacked",
    )

    def __init__(
        self, id_: int, op: "Operation[..., Any] | None", args: Any, deadline: float, timeout: float, key: str
    ) -> None:
        self.id = id_
        self.op = op
        self.args = args
        self.deadline = deadline
        self.timeout = timeout
        self.key = key
        self.sent = False
        self.probe = 0  # id of the ping that was sent after it
        self.result: Incoming | None = None
        self.filled = 0
        self.unacked = 0


class Incoming:
    """An array on its way."""

    __slots__ = ("array", "bytes", "error", "itemsize", "rows")

    def __init__(self, array: ArrayType, rows: int, error: LastError) -> None:
        import numpy

        self.array: RatesArray = numpy.empty(rows, array.dtype)
        self.bytes = self.array.view(numpy.uint8).data
        self.itemsize = array.itemsize
        self.rows = rows
        self.error = error


class Done:
    """What became of a request.

    Attributes:
        id: Its correlation id.
        value: The result as the operation returns it (for a ping, the `Pong`).
        error: The terminal's `last_error` for it.
        failure: Why there is no result, where there is none.
    """

    __slots__ = ("error", "failure", "id", "value")

    def __init__(self, id_: int, value: Any, error: LastError, failure: BridgeError | None = None) -> None:
        self.id = id_
        self.value = value
        self.error = error
        self.failure = failure


class Fill:
    """A frame of rows follows: receive it into `buffer`, then call `filled`."""

    __slots__ = ("buffer", "pending")

    def __init__(self, pending: Pending, buffer: memoryview) -> None:
        self.pending = pending
        self.buffer = buffer


Event = Done | Fill

"""The port that every terminal implements; the gateway knows a terminal only by it."""

from typing import TYPE_CHECKING, Any, Protocol

from mt5crs.arguments import Bound
from mt5crs.operation import Operation, Result

if TYPE_CHECKING:
    from mt5crs.model import TicksArray


class TerminalPort(Protocol):
    """A terminal beside the gateway, logged in to one account.

    Everything is called from one thread. `call` may be called at any time after the constructor.
    """

    name: str
    """`simulated` or `official`."""

    def call(self, op: Operation[..., Any], wire: Bound) -> Result:
        """Carry out one operation.

        Args:
            op: A row of the API table.
            wire: Its arguments as `op.signature.bind` makes them: one place for each parameter.

        Returns:
            The value in plain types (structures, tuples, numbers, text; arrays as NumPy arrays of the
            row layout) together with the terminal's `last_error()` for exactly this call.
        """
        ...

    def follow(self, symbol: str) -> bool:
        """Collect the ticks of a symbol from now on; False for an unknown symbol."""
        ...

    def unfollow(self, symbol: str) -> None:
        """Collect them no more."""
        ...

    def take_ticks(self) -> "list[tuple[str, TicksArray]]":
        """Return what was collected since the last time, by symbol; symbols without a new tick are absent."""
        ...

    def advance(self) -> float:
        """Let time pass: prices, activations, expirations. Returns the seconds until it is worth again."""
        ...

    def close(self) -> None:
        """Let go of the terminal."""
        ...

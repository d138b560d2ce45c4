"""What the stream lane is asked, as rows of the API table's form."""

from typing import TYPE_CHECKING, Any

from mt5crs.arguments import NO_ARGUMENTS
from mt5crs.operation import Kind, operation

if TYPE_CHECKING:
    from mt5crs.operation import Operation


@operation(Kind.WATCH, NO_ARGUMENTS)
def _follow(_self: Any, /) -> None:
    """Collect the ticks of these symbols and of no others.

    Its wire arguments are a symbol, a second and a number each: how far its ticks were taken in before, 0 and
    0 where they were not. It returns the same of the symbols that the terminal has.
    """


@operation(Kind.READ, NO_ARGUMENTS)
def _pulse(_self: Any, /) -> None:
    """Do nothing: who answers is not hung."""


FOLLOW: "Operation[..., Any]" = _follow
PULSE: "Operation[..., Any]" = _pulse

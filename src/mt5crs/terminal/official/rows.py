"""What the stream lane is asked, as rows of the API table's form."""

from typing import TYPE_CHECKING, Any

from mt5crs.arguments import NO_ARGUMENTS
from mt5crs.operation import Kind, operation

if TYPE_CHECKING:
    from mt5crs.operation import Operation


@operation(Kind.WATCH, NO_ARGUMENTS)
def _follow(_self: Any, /) -> None:
    """Look for what is new of these topics and of no others.

    Its wire arguments are a number, the topic's name and a place each: how far it was taken in before, None
    where it was not. It returns the numbers of those that are followed: not of unknown symbols.
    """


@operation(Kind.READ, NO_ARGUMENTS)
def _pulse(_self: Any, /) -> None:
    """Do nothing: who answers is not hung."""


FOLLOW: "Operation[..., Any]" = _follow
PULSE: "Operation[..., Any]" = _pulse

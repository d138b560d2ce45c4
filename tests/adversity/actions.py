"""What can be done to a message on its way."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class Action:
    """What is done to a message; `kind` is its name for people."""

    kind: ClassVar[str]


@dataclass(frozen=True)
class Pass(Action):
    """It arrives as if nobody had touched it, and is counted."""

    kind: ClassVar[str] = "pass"


@dataclass(frozen=True)
class Drop(Action):
    """It never arrives."""

    kind: ClassVar[str] = "drop"


@dataclass(frozen=True)
class Delay(Action):
    """It arrives later, and so does what is sent behind it on the same connection."""

    kind: ClassVar[str] = "delay"
    seconds: float = 0.5


@dataclass(frozen=True)
class Duplicate(Action):
    """It arrives twice."""

    kind: ClassVar[str] = "duplicate"


@dataclass(frozen=True)
class Reorder(Action):
    """It arrives behind the next one; where none comes, after `seconds`."""

    kind: ClassVar[str] = "reorder"
    seconds: float = 0.2


@dataclass(frozen=True)
class Truncate(Action):
    """A part of its bytes arrives, then both sides are cut off."""

    kind: ClassVar[str] = "truncate"
    share: float = 0.5


@dataclass(frozen=True)
class Cut(Action):
    """Both sides are cut off; with `after`, once it has been passed on."""

    kind: ClassVar[str] = "cut"
    after: bool = False


@dataclass(frozen=True)
class HalfClose(Action):
    """Nothing arrives from here on in its direction, which is ended; the other one goes on."""

    kind: ClassVar[str] = "half-close"


HARM: tuple[type[Action], ...] = (Drop, Delay, Duplicate, Reorder, Truncate, Cut, HalfClose)
KINDS = tuple(action.kind for action in HARM)
"""What can go wrong, by name."""

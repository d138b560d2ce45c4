"""What a subscription has for its program: each event once, also where an exception comes in between.

An exception can come between any two steps of a program: a signal's handler raises it (`KeyboardInterrupt`),
and whoever catches it goes on. What a message does to a subscription, and its events, count together or not
at all: what was not finished is undone, and comes again as the hole that it is.
"""

from collections import deque
from collections.abc import Sequence
from copy import copy
from typing import Any

from mt5crs.cursors import TickPages
from mt5crs.streams import AnyEvent

_MUTABLE: frozenset[type] = frozenset({list, dict, set, TickPages})
"""What objects of a subscription change in place; all else they replace."""


class Memory:
    """What some objects were like, to make them so again.

    Args:
        objects: Which.
    """

    def __init__(self, *objects: object) -> None:
        self._states = [(each, _state(each)) for each in objects]

    def restore(self) -> None:
        """Make them what they were. Can be done again, after it was interrupted, too."""
        for each, state in self._states:
            vars(each).update(state)


NOTHING = Memory()
"""What needs no restoring."""


def _state(of: object) -> dict[str, Any]:
    state: dict[str, Any] = vars(of)
    return {name: copy(value) if type(value) in _MUTABLE else value for name, value in state.items()}


class Given:
    """Events that wait for the program.

    Attributes:
        events: They.
    """

    def __init__(self) -> None:
        self.events: deque[AnyEvent] = deque()
        self._memory: Memory | None = None
        self._new: Sequence[AnyEvent] = ()

    @property
    def is_unfinished(self) -> bool:
        """Whether an exception came in the middle."""
        return self._memory is not None

    def begin(self, memory: Memory) -> None:
        """Note what is to be restored if `add` does not follow."""
        self._new = ()
        self._memory = memory

    def add(self, events: Sequence[AnyEvent]) -> None:
        """Add what came of it."""
        self._new = events
        self.events.extend(events)
        self._memory = None

    def recover(self) -> None:
        """Undo what was begun and not added. Can be done again, after it was interrupted, too."""
        has_come = bool(self._new and self.events) and self.events[-1] is self._new[-1]
        if self._memory is not None and not has_come:
            self._memory.restore()
        self._memory = None

"""Places in a symbol's history of ticks, and how all ticks behind one are read, each of them once.

Functions that read ticks take whole seconds, and ticks may have equal times. So a place is a second and how
many of its ticks come before. The terminal adds ticks behind those that it has: a place stays where it is.
"""

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from mt5crs.model import TicksArray

FEWEST, MOST = 256, 65_536
"""New ticks of a page: where few are expected, and at most (4 MB)."""


class Cursor(NamedTuple):
    """A place between two ticks of a symbol, in the order in which the terminal keeps them.

    Attributes:
        second: Epoch seconds of the server: all ticks of earlier seconds come before.
        offset: How many of this second's ticks come before.
    """

    second: int
    offset: int

    def after(self, ticks: "TicksArray") -> "Cursor":
        """Return the place behind some ticks that begin at this one: in the second of the last of them."""
        if not len(ticks):
            return self
        times = ticks["time"]
        second, count = int(times[-1]), len(ticks)
        if times[0] != second:  # by search: there may be millions of rows
            count -= int(times.searchsorted(second))
        return Cursor(second, count + self.offset if second == self.second else count)

    def rows_before(self, ticks: "TicksArray", place: "Cursor") -> int:
        """Return how many of some ticks that begin at this place come before another one."""
        times = ticks["time"]
        first = int(times.searchsorted(place.second))
        of_second = int(times.searchsorted(place.second + 1)) - first
        before = place.offset - (self.offset if place.second == self.second else 0)
        return first + min(max(before, 0), of_second)


START = Cursor(0, 0)
"""The place before all ticks."""


class TickPages:
    """Reads the ticks behind a place page by page; what asks is somebody else.

    Ask `copy_ticks_from` for `question`, and `take` the answer, until `is_at_end`. A full page is followed by
    one that is twice as large: a second that holds more ticks than a page is read in few.

    Args:
        cursor: Where to begin.
        fewest: The new ticks of a page.
        most: Where its growth ends.

    Attributes:
        cursor: The place behind all ticks that were taken.
        is_at_end: Whether the last answer had all ticks that there were.
    """

    def __init__(self, cursor: Cursor, fewest: int = FEWEST, most: int = MOST) -> None:
        self.cursor = cursor
        self.is_at_end = False
        self._fewest = self._count = fewest
        self._most = most

    @property
    def question(self) -> tuple[int, int]:
        """The second from which ticks are to be asked for, and how many."""
        return self.cursor.second, self.cursor.offset + self._count

    def take(self, ticks: "TicksArray") -> "TicksArray":
        """Take the answer to `question`; return the ticks of it that are new."""
        _, asked = self.question
        of_second = int(ticks["time"].searchsorted(self.cursor.second + 1))
        new = ticks[min(self.cursor.offset, of_second) :]  # of later seconds all are new
        self.is_at_end = len(ticks) < asked
        self._count = self._fewest if self.is_at_end else min(2 * self._count, self._most)
        self.cursor = self.cursor.after(new)
        return new

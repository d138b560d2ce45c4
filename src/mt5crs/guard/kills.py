"""The kill switch: what is written of it, and what it says."""

from collections.abc import Mapping
from datetime import datetime, timezone

import msgspec

PREFIX = "kill:"
"""What the mark of a kill switch in the journal begins with; the key's name follows, none for all orders."""
CLOSING, CLOSED, GIVEN_UP = "closing", "closed", "given up"
"""How far the guard is with closing what there is."""


class Kill(msgspec.Struct, frozen=True):
    """A kill switch that is on.

    Attributes:
        since: When it was turned on; nanoseconds since the epoch, UTC.
        by: Who turned it on.
        why: Why.
        close: How far the guard is with closing what there is; "" where it is to close nothing.
    """

    since: int
    by: str
    why: str = ""
    close: str = ""

    def __str__(self) -> str:
        at = datetime.fromtimestamp(self.since / 1e9, timezone.utc).isoformat(" ", "seconds")
        return f"on since {at} by {self.by}" + (f": {self.why}" if self.why else "")

    @property
    def is_closing(self) -> bool:
        """Whether there may be something to close."""
        return self.close == CLOSING

    def mark(self) -> str:
        """Return what is written into the journal."""
        return msgspec.json.encode(self).decode()


def kills_of(marks: Mapping[str, object]) -> dict[str, Kill]:
    """Return the kill switches that are on, by key, "" for all orders; damage is taken for one that is on."""
    found: dict[str, Kill] = {}
    for name, mark in marks.items():
        try:
            kill = msgspec.json.decode(str(mark), type=Kill)
        except (msgspec.DecodeError, msgspec.ValidationError):
            kill = Kill(0, "the journal", "its mark cannot be read")
        found[name.removeprefix(PREFIX)] = kill
    return found

"""The stop loss and take profit that a position had before a request, as far as the journal tells."""

from mt5crs import constants as c
from mt5crs.journal.entries import Entry
from mt5crs.journal.states import State
from mt5crs.journal.store import Journal

FAR = 2_000
"""Entries before a request, and after it, that are looked through."""
MAKERS = frozenset({c.TRADE_ACTION_DEAL, c.TRADE_ACTION_PENDING})
DONE = frozenset({c.TRADE_RETCODE_DONE, c.TRADE_RETCODE_DONE_PARTIAL, c.TRADE_RETCODE_PLACED})


def levels_before(journal: Journal, entry: Entry) -> tuple[float, float] | None:
    """Return the levels that the latest request for the same position left before a request of levels.

    Returns:
        Stop loss and take profit; None where the request is no change of levels, names no position, or where
        the journal does not tell: nothing is known of the position, or another request for its levels came
        after, or is in doubt itself.
    """
    request = entry.request or {}
    position = request.get("position", 0)
    if request.get("action") != c.TRADE_ACTION_SLTP or not position:
        return None
    numbers = range(max(1, entry.number - FAR), entry.number + FAR)
    found: tuple[float, float] | None = None
    for other in journal.requests(numbers):
        asked = other.request or {}
        if other.number == entry.number or not _is_about(asked, position):
            continue
        settled = journal.watched.get(other.number) or journal.entry(other.number)
        if settled is None or settled.state is not State.DONE or settled.outcome.get("retcode") not in DONE:
            if settled is not None and settled.state in {State.SENT, State.UNKNOWN} and _changes(asked):
                return None
            continue
        if not _changes(asked) and settled.outcome.get("order") != position:
            continue
        if other.number > entry.number:
            return None
        found = asked.get("sl", 0.0), asked.get("tp", 0.0)
    return found


def _is_about(asked: dict[str, object], position: int) -> bool:
    if _changes(asked):
        return asked.get("position") == position
    return asked.get("action") in MAKERS and not asked.get("position")


def _changes(asked: dict[str, object]) -> bool:
    return asked.get("action") == c.TRADE_ACTION_SLTP

"""What other requests of the journal have to do with one that changes an order or a position."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mt5crs import constants as c
from mt5crs.journal.entries import Entry
from mt5crs.journal.states import OPEN, State
from mt5crs.journal.store import MADE, Journal

FAR = 1_000
"""Requests before one, and after it, that are looked through."""
TARGET = {c.TRADE_ACTION_SLTP: "position", c.TRADE_ACTION_MODIFY: "order"}
"""The field that names what is changed, by action."""


def is_overtaken(journal: Journal, entry: Entry) -> bool:
    """Whether a later request may have changed the same: then a state says nothing of the earlier one."""
    later = journal.requests_after(entry.number, FAR)
    return any(_may_be_done(other) for other in _changes(journal, entry, later))


def levels_before(journal: Journal, entry: Entry) -> tuple[float, float] | None:
    """Return the levels that the latest request for the same position left before a request of levels.

    Returns:
        Stop loss and take profit; None where the request is no change of levels, names no position, or where
        the journal does not tell: nothing is known of the position, or another request for its levels came
        after, or is in doubt itself.
    """
    request = entry.request or {}
    position = request.get("position", 0)
    if request.get("action") != c.TRADE_ACTION_SLTP or not position or is_overtaken(journal, entry):
        return None
    earlier = journal.requests_before(entry.number, FAR)
    changes = [other for other in _changes(journal, entry, earlier) if _may_be_done(other)]
    if any(other.state in OPEN for other in changes):
        return None
    latest = changes[-1] if changes else _maker(journal, position, entry.number)
    asked = latest.request if latest is not None else None
    return None if asked is None else (asked.get("sl", 0.0), asked.get("tp", 0.0))


def _changes(journal: Journal, entry: Entry, others: Iterable[Entry]) -> Iterator[Entry]:
    """Yield those of other requests that change what an entry's request changes, as they are now."""
    about = _target(entry.request or {})
    if about is None:
        return
    for other in others:
        if _target(other.request or {}) == about:
            yield _current(journal, other)


def _target(request: Mapping[str, Any]) -> tuple[int, int | str] | None:
    """Return what a request changes: its action, and the ticket (on a netting account the symbol)."""
    action = request.get("action", 0)
    field = TARGET.get(action)
    if field is None:
        return None
    return action, request.get(field, 0) or request.get("symbol", "")


def _may_be_done(other: Entry) -> bool:
    return other.state in OPEN or (other.state is State.DONE and other.outcome.get("retcode") in MADE)


def _maker(journal: Journal, position: int, before: int) -> Entry | None:
    """Return the request whose order opened a position, None where it is not among the entries before one."""
    number = journal.claims.get(position, before)
    return journal.entry(number) if number < before else None


def _current(journal: Journal, begun: Entry) -> Entry:
    return journal.watched.get(begun.number) or journal.entry(begun.number) or begun

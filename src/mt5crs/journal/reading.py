"""What is read of a journal's file: entries, notices, events."""

from collections.abc import Collection, Iterator
from typing import Any

import msgspec

from mt5crs.journal import tags
from mt5crs.journal.chain import Event
from mt5crs.journal.entries import Entry, decode
from mt5crs.journal.file import EventFile
from mt5crs.journal.states import NoticeKind, State

COLUMNS = "number, entry, step, at, account, principal, key, note, digest, body, link"


class Reading:
    """What a file of events tells; all of it raises `JournalUnusable` where the file cannot be read.

    Args:
        file: The file.
    """

    def __init__(self, file: EventFile) -> None:
        self._file = file

    def entry(self, number: int) -> Entry | None:
        """Return an entry as the file has it, None where there is none of that number."""
        events = self.events_of(number)
        return Entry.of(events) if events else None

    def events_of(self, number: int) -> list[Event]:
        """Return the events of an entry, in order; none where there is none of that number."""
        rows = self._file.rows(
            f"select {COLUMNS} from events where number = ? and key is not null",  # noqa: S608 - our names
            (number,),
        )
        if rows:
            rows += self._file.rows(
                f"select {COLUMNS} from events where key is null and entry = ? order by number",  # noqa: S608
                (number,),
            )
        return [Event(*row) for row in rows]

    def latest(self, count: int, states: Collection[State] = tuple(State)) -> list[Entry]:
        """Return the latest entries, of all accounts, the oldest of them first.

        Args:
            count: How many at most.
            states: Those in one of these states alone.
        """
        found: list[Entry] = []
        numbers = self._file.stream("select number from events where key is not null order by number desc")
        for (number,) in numbers:
            entry = self.entry(number)
            if entry is not None and entry.state in states:
                found.append(entry)
            if len(found) >= count:
                break
        return found[::-1]

    def requests_after(self, number: int, count: int) -> list[Entry]:
        """Return the entries that were begun after an event, the next ones of them, as they were begun."""
        return self._begun("number > ? order by number", number, count)

    def requests_before(self, number: int, count: int) -> list[Entry]:
        """Return the entries that were begun before an event, the last ones of them, as they were begun."""
        return self._begun("number < ? order by number desc", number, count)[::-1]

    def _begun(self, where: str, number: int, count: int) -> list[Entry]:
        rows = self._file.rows(
            f"select {COLUMNS} from events where key is not null and {where} limit ?",  # noqa: S608
            (number, count),
        )
        return [Entry.of([Event(*row)]) for row in rows]

    def link_of(self, number: int) -> bytes | None:
        """Return the link of an event, None where there is no such event."""
        if not 0 < number < 2**63:
            return None
        rows = self._file.rows("select link from events where number = ?", (number,))
        return rows[0][0] if rows else None

    def notices(self, count: int, kinds: Collection[NoticeKind] = tuple(NoticeKind)) -> list[Event]:
        """Return the latest notices, the oldest of them first.

        Args:
            count: How many at most.
            kinds: Those of one of these kinds alone.
        """
        marks = ", ".join("?" * len(kinds))
        rows = self._file.rows(
            f"select {COLUMNS} from events where key is null and entry = number and step in ({marks})"  # noqa: S608
            " order by number desc limit ?",
            (*(kind.value for kind in kinds), count),
        )
        return [Event(*row) for row in reversed(rows)]

    def switched(self, after: int = 0) -> dict[str, Event]:
        """Return the latest notice of each kill switch, by its name: that it was turned on, or off.

        Args:
            after: Of those behind this event alone.
        """
        rows = self._file.rows(
            f"select {COLUMNS} from events where number > ? and key is null and entry = number"  # noqa: S608
            " and step in (?, ?) order by number",
            (after, NoticeKind.KILL.value, NoticeKind.RESUME.value),
        )
        found: dict[str, Event] = {}
        for event in (Event(*row) for row in rows):
            name = _name(event)
            if name is not None:
                found[name] = event
        return found

    def has_principal(self, name: str) -> bool:
        """Whether somebody of that name has sent an order."""
        return bool(
            self._file.rows("select 1 from events where key is not null and principal = ? limit 1", (name,))
        )

    def named(self, name: str) -> list[Entry]:
        """Return the entries of a key, or of a number, of whatever account and principal."""
        rows = self._file.rows(
            "select number from events where key = ? or (key is not null and number = ?)",
            (name, int(name) if name.isdecimal() and len(name) < 19 else 0),
        )
        return [entry for (number,) in rows if (entry := self.entry(number)) is not None]

    def latest_note(self) -> dict[str, Any]:
        """Return what was noted with the latest intent; empty where there is none."""
        rows = self._file.rows("select note from events where key is not null order by number desc limit 1")
        noted: dict[str, Any] = decode(rows[0][0]) if rows else {}
        return noted

    def has_tag(self, entry: int) -> bool:
        """Whether there is an entry of a tag's number, which is modulo `tags.ENTRIES`."""
        return self.tagged(entry) is not None

    def tagged(self, entry: int) -> int | None:
        """Return the number of the latest entry of a tag's number, None where there is none."""
        numbers = range(entry, self._file.head[0] + 1, tags.ENTRIES)
        query = "select 1 from events where number = ? and key is not null"
        return next((number for number in reversed(numbers) if self._file.rows(query, (number,))), None)

    def events(self) -> Iterator[Event]:
        """Yield all events in order."""
        for row in self._file.stream(f"select {COLUMNS} from events order by number"):  # noqa: S608
            yield Event(*row)

    def meta(self, name: str) -> Any:
        """Return a mark that was set, None where it was not."""
        return self._file.meta(name)

    def marks(self, prefix: str) -> dict[str, Any]:
        """Return the marks whose names begin so."""
        return self._file.marks(prefix)

    @property
    def head(self) -> tuple[int, bytes]:
        """The number and the link of the last event."""
        return self._file.head


class _Switched(msgspec.Struct):
    name: str


_switched = msgspec.msgpack.Decoder(_Switched).decode


def _name(event: Event) -> str | None:
    """Return whose kill switch a notice tells of, None where it tells of none."""
    try:
        return _switched(event.note).name
    except (msgspec.MsgspecError, TypeError):
        return None

"""The journal: what became of every trade request of a gateway.

A step is on disk when `begin` or `record` returns, and several that are written together share one flush of
the disk. Nothing is ever changed but for bodies, which `prune` drops.
"""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mt5crs.constants import (
    TRADE_ACTION_CLOSE_BY,
    TRADE_ACTION_DEAL,
    TRADE_ACTION_PENDING,
    TRADE_RETCODE_DONE,
    TRADE_RETCODE_DONE_PARTIAL,
    TRADE_RETCODE_PLACED,
)
from mt5crs.errors import JournalUnusable, KeyConflict
from mt5crs.journal import chain, tags
from mt5crs.journal.chain import Event
from mt5crs.journal.entries import NOTHING_NOTED, Entry, decode, encode
from mt5crs.journal.file import DAMAGED, EventFile
from mt5crs.journal.states import NEXT, OPEN, WATCHED, State, Step, is_step

COLUMNS = "number, entry, step, at, account, principal, key, note, digest, body, link"
KEEP = 30 * 24 * 3600.0
"""Seconds for which the bodies of settled entries are kept."""
PRUNED_AT_ONCE = 1000
"""Bodies that are dropped in one go."""
ANSWER = "answer"
"""How an outcome is known that the terminal itself has told."""
MAKERS = frozenset({TRADE_ACTION_DEAL, TRADE_ACTION_PENDING, TRADE_ACTION_CLOSE_BY})
"""The actions that make an order."""
LEGACY = "legacy"
"""The mark up to which server time other journals' orders were there before this one."""
MADE = frozenset({TRADE_RETCODE_PLACED, TRADE_RETCODE_DONE, TRADE_RETCODE_DONE_PARTIAL})
"""The return codes of a request that was carried out."""


class Begin(NamedTuple):
    """What is to be journaled before it is sent: whose request it is, and what is asked."""

    principal: str
    key: str
    request: dict[str, Any]
    note: dict[str, Any]


class Told(NamedTuple):
    """What became of an entry, for `record`."""

    entry: int
    step: Step
    note: dict[str, Any] = NOTHING_NOTED
    body: Any = None


class Journal:
    """A journal that is in use.

    Args:
        path: Its file, made if it is not there; None for one that lives in memory and ends with the process.
        account: `login@server`, part of every key.
        clock: Nanoseconds since the epoch, UTC.
        writes: Whether it is for writing as its gateway: then the lease is taken.

    Attributes:
        id: What it is told apart by; "" for one in memory, which promises nothing beyond the process.
        mark: What marks its orders; see `mt5crs.journal.tags`.

    Raises:
        SettingError: Another gateway uses it, or it is not a journal.
        JournalUnusable: It cannot be used as it is.
    """

    def __init__(
        self,
        path: Path | None,
        account: str,
        clock: Callable[[], int] = time.time_ns,
        *,
        writes: bool = True,
    ) -> None:
        self._account = account
        self._clock = clock
        self._latch = ""
        self._claims: dict[int, int] | None = None
        self._answered: dict[int, int] = {}
        self.watched: dict[int, Entry] = {}
        self._file = EventFile(path, clock, writes=writes)
        try:
            self._load()
        except BaseException:
            self._file.close()
            raise
        self.mark = tags.mark_of(self._file.id)
        self.id = "" if path is None else self._file.id

    # ---- opening ----

    def _load(self) -> None:
        """Read the chain's end, and the entries whose outcome may still change."""
        self._latch = self.meta("latch") or ""
        settled = self.meta("settled") or 0
        waiting = self._file.rows(
            "select number from events e where key is not null and number > ? and not exists (select 1 from"
            " events s where s.key is null and s.entry = e.number and s.step in ('finish', 'refuse', 'prove',"
            " 'resolve')) order by number",
            (settled,),
        )
        for (number,) in waiting:
            entry = self.entry(number)
            if entry is not None and (entry.state in OPEN or (entry.state in WATCHED and entry.request)):
                self.watched[number] = entry

    @property
    def latch(self) -> str:
        """Why orders are refused until an operator says otherwise; "" where they are not."""
        return self._latch

    @latch.setter
    def latch(self, why: str) -> None:
        self.set_meta("latch", why or None)
        self._latch = why

    # ---- writing ----

    def begin(self, batch: Sequence[Begin]) -> list[Entry]:
        """Write the intents of some requests; they are on disk when this returns.

        Raises:
            JournalUnusable: None of them is.
        """
        now = self._clock()
        begun: list[Entry] = []

        def events(number: int) -> Iterator[Event]:
            begun.clear()
            for place, (principal, key, request, note) in enumerate(batch, number + 1):
                body = encode(request)
                digest = chain.digest(body)
                noted = encode(note) if note else b"\x80"
                begun.append(Entry(place, self._account, principal, key, now, digest, request, note))
                yield Event(
                    place, place, Step.BEGIN.value, now, self._account, principal, key, noted, digest, body
                )

        self._file.append(events, self._reread)
        for entry in begun:
            self.watched[entry.number] = entry
        return begun

    def record(self, batch: Sequence[Told]) -> list[Entry]:
        """Write what became of some entries; it is on disk when this returns.

        A step that cannot follow the entry's state, since somebody else told of it before, is left out.

        Returns:
            The entries as they are now, in the order of the batch.

        Raises:
            JournalUnusable: Nothing of it is on disk.
        """
        now = self._clock()
        entries: dict[int, Entry] = {}
        accepted: list[Told] = []

        def events(number: int) -> Iterator[Event]:
            # Made anew for each attempt: an operator's command may have come between.
            entries.update((told.entry, self._known(told.entry)) for told in batch)
            accepted.clear()
            states = {entry.number: entry.state for entry in entries.values()}
            for told in batch:
                if not is_step(states[told.entry], told.step):
                    continue
                number += 1
                accepted.append(told)
                states[told.entry] = NEXT[states[told.entry], told.step]
                body = None if told.body is None else encode(told.body)
                digest = b"" if body is None else chain.digest(body)
                yield Event(
                    number,
                    told.entry,
                    told.step.value,
                    now,
                    None,
                    None,
                    None,
                    encode(told.note),
                    digest,
                    body,
                )

        self._file.append(events, self._reread)
        for told in accepted:
            entry = entries[told.entry]
            entry.take(told.step, now, told.note, told.body)
            self._claim(entry.number, told.note)
            if entry.state not in WATCHED:
                self.watched.pop(entry.number, None)
            else:
                self.watched[entry.number] = entry
        return [entries[told.entry] for told in batch]

    def refresh(self) -> None:
        """Take in what another program (an operator's command) has written since."""
        if self._file.has_changed():
            self._reread()

    def _reread(self) -> None:
        before = self._file.head[0]
        self._file.read_head()
        self._latch = self.meta("latch") or ""
        for (number,) in self._file.rows("select distinct entry from events where number > ?", (before,)):
            entry = self.entry(number)
            if entry is not None:
                self._claim(number, entry.outcome)
                self.watched.pop(number, None)
                if entry.state in WATCHED:
                    self.watched[number] = entry

    # ---- reading ----

    def find(self, principal: str, key: str, request: dict[str, Any] | None = None) -> Entry | None:
        """Return the entry of a key, None where there is none.

        Args:
            principal: Whose key it is.
            key: The key.
            request: What is asked under this key now; None where only its outcome is.

        Raises:
            KeyConflict: The key belongs to another request.
            JournalUnusable: The journal cannot be read.
        """
        rows = self._file.rows(
            "select number from events where account = ? and principal = ? and key = ?",
            (self._account, principal, key),
        )
        if not rows:
            return None
        entry = self._known(rows[0][0])
        if request is not None and chain.digest(encode(request)) != entry.digest:
            raise KeyConflict(f"the key {key!r} belongs to another request")
        return entry

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

    def requests(self, numbers: range) -> list[Entry]:
        """Return the entries with a number in a range as they were begun, whatever became of them."""
        rows = self._file.rows(
            f"select {COLUMNS} from events where key is not null and number >= ? and number < ?"  # noqa: S608
            " order by number",
            (numbers.start, numbers.stop),
        )
        return [Entry.of([Event(*row)]) for row in rows]

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
        numbers = range(entry, self._file.head[0] + 1, tags.ENTRIES)
        return any(
            self._file.rows("select 1 from events where number = ? and entry = number", (number,))
            for number in numbers
        )

    @property
    def claims(self) -> dict[int, int]:
        """Which entry made an order, by the order's ticket, of what was settled within `KEEP` seconds."""
        if self._claims is None:
            oldest = min((entry.at for entry in self.watched.values()), default=self._clock())
            since = min(oldest, self._clock()) - int(KEEP * 1e9)
            rows = self._file.rows(
                f"select {COLUMNS} from events where key is null and at >= ? order by number",  # noqa: S608
                (since,),
            )
            self._claims, self._answered = {}, {}
            for row in rows:
                self._claim(Event(*row).entry, decode(Event(*row).note))
        return self._claims

    def _claim(self, entry: int, note: dict[str, Any]) -> None:
        ticket = note.get("order", 0) if note.get("makes") else 0
        if not ticket or self._claims is None:
            return
        self._claims[ticket] = entry
        if note["how"] == ANSWER and note["retcode"] in MADE:
            self._answered[ticket] = entry

    @property
    def answered(self) -> dict[int, int]:
        """Of `claims`, those whose order the terminal has answered for: it must show them."""
        return self._answered if self.claims else {}

    def events(self) -> Iterator[Event]:
        """Yield all events in order."""
        for row in self._file.stream(f"select {COLUMNS} from events order by number"):  # noqa: S608
            yield Event(*row)

    def probe(self) -> None:
        """See whether it can be written.

        Raises:
            JournalUnusable: It cannot.
        """
        self._file.probe()

    def meta(self, name: str) -> Any:
        """Return a mark that was set, None where it was not."""
        return self._file.meta(name)

    def set_meta(self, name: str, value: Any) -> None:
        """Set a mark, durably; None takes it away."""
        self._file.set_meta(name, value)

    @property
    def head(self) -> tuple[int, bytes]:
        """The number and the link of the last event."""
        return self._file.head

    # ---- keeping ----

    def prune(self, keep: float = KEEP) -> int:
        """Drop old bodies of settled entries, some at a time; keys, digests and open entries stay.

        Args:
            keep: Seconds for which they are kept.

        Returns:
            How many were dropped; as many as can be at a time where there may be more.
        """
        before = self._clock() - int(keep * 1e9)
        open_ = [number for number, entry in self.watched.items() if entry.state in OPEN]
        marks = ", ".join("?" * len(open_))
        self._forget_absent(before)
        return self._file.change(
            "update events set body = null where number in (select number from events where at < ? and"  # noqa: S608
            f" body is not null and entry not in ({marks}) limit {PRUNED_AT_ONCE})",
            (before, *open_),
        )

    def _forget_absent(self, before: int) -> None:
        """Look no more for traces of what was found to be absent long ago."""
        for number in [n for n, e in self.watched.items() if e.state is State.ABSENT and e.at < before]:
            del self.watched[number]
        self.set_meta("settled", min(self.watched, default=self._file.head[0] + 1) - 1)

    def close(self) -> None:
        """Let the file go."""
        self._file.close()

    def _known(self, number: int) -> Entry:
        found = self.watched.get(number) or self.entry(number)
        if found is None:
            raise JournalUnusable(f"journal: {self._file.path} has no entry {number}", hint=DAMAGED)
        return found

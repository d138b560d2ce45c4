"""The journal: what became of every trade request of a gateway.

A step is on disk when `begin` or `record` returns, and several that are written together share one flush of
the disk. Nothing is ever changed but for bodies, which `prune` drops. What else is worth knowing later stands
between the requests, as notices; with a key, checkpoints too.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
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
from mt5crs.database import DAMAGED
from mt5crs.errors import JournalUnusable, KeyConflict
from mt5crs.journal import chain, tags
from mt5crs.journal.chain import Event
from mt5crs.journal.checkpoints import Checkpoint, noted
from mt5crs.journal.entries import NOTHING_NOTED, REQUEST, Entry, body_of, decode, digests_of, encode
from mt5crs.journal.file import NO_MARKS, EventFile
from mt5crs.journal.reading import COLUMNS, Reading
from mt5crs.journal.states import NEXT, OPEN, WATCHED, NoticeKind, State, Step, is_step
from mt5crs.principals import GATEWAY

KEEP = 30 * 24 * 3600.0
"""Seconds for which the bodies of settled entries are kept."""
PRUNED_AT_ONCE = 1000
"""Bodies that are dropped in one go."""
CHECKPOINT_EVERY = 1000
"""Events after which a checkpoint is due."""
CHECKPOINT_AFTER = 3600.0
"""Seconds after which one is due, where something was written since the last one."""
ANSWER = "answer"
"""How an outcome is known that the terminal itself has told."""
MAKERS = frozenset({TRADE_ACTION_DEAL, TRADE_ACTION_PENDING, TRADE_ACTION_CLOSE_BY})
"""The actions that make an order."""
LEGACY = "legacy"
"""The mark up to which server time other journals' orders were there before this one."""
MADE = frozenset({TRADE_RETCODE_PLACED, TRADE_RETCODE_DONE, TRADE_RETCODE_DONE_PARTIAL})
"""The return codes of a request that was carried out."""


class Begin(NamedTuple):
    """What is to be journaled before it is sent.

    Attributes:
        principal: Whose request it is.
        key: Its idempotency key.
        request: What is asked.
        note: What is known of it now.
        signed: The signature and the statement (`mt5crs.statement`), as its client sent them.
    """

    principal: str
    key: str
    request: dict[str, Any]
    note: dict[str, Any]
    signed: bytes = b""


class Told(NamedTuple):
    """What became of an entry, for `record`."""

    entry: int
    step: Step
    note: dict[str, Any] = NOTHING_NOTED
    body: Any = None


class Notice(NamedTuple):
    """What is worth knowing later besides requests.

    Attributes:
        kind: What happened.
        principal: Who did it, or asked for it.
        note: More of it, by name.
    """

    kind: NoticeKind
    principal: str
    note: dict[str, Any] = NOTHING_NOTED


class Journal(Reading):
    """A journal that is in use.

    Args:
        path: Its file, made if it is not there; None for one that lives in memory and ends with the process.
        account: `login@server`, part of every key.
        clock: Nanoseconds since the epoch, UTC.
        writes: Whether it is for writing as its gateway: then the lease is taken.
        sign: Signs checkpoints: returns a message with the signature before it. None: there are none.
        public: The public key that goes with it.

    Attributes:
        id: What it is told apart by; "" for one in memory, which promises nothing beyond the process.
        mark: What marks its orders; see `mt5crs.journal.tags`.
        rereads: How often something was taken in that another program had written.

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
        sign: Callable[[bytes], bytes] | None = None,
        public: bytes = b"",
    ) -> None:
        self._sign, self._public = sign, public
        self._checkpoint = 0, clock()  # the last one's number, and when it was made
        self._account = account
        self._clock = clock
        self._latch = ""
        self.rereads = 0
        self._claims: dict[int, int] | None = None
        self._answered: dict[int, int] = {}
        self.watched: dict[int, Entry] = {}
        super().__init__(EventFile(path, clock, writes=writes))
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
        if self._sign is not None and (latest := self.notices(1, {NoticeKind.CHECKPOINT})):
            self._checkpoint = latest[0].number, latest[0].at
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

        def events(head: tuple[int, bytes]) -> Iterator[Event]:
            begun.clear()
            for place, (principal, key, request, note, signed) in enumerate(batch, head[0] + 1):
                asked = encode(request)
                digests = digests_of(asked, signed)
                body = body_of(asked, signed)
                begun.append(
                    Entry(place, self._account, principal, key, now, digests[REQUEST], request, note)
                )
                yield Event(
                    place,
                    place,
                    Step.BEGIN.value,
                    now,
                    self._account,
                    principal,
                    key,
                    encode({**note, **digests}),
                    chain.digest(body),
                    body,
                )

        self._file.append(events, self._reread)
        for entry in begun:
            self.watched[entry.number] = entry
        return begun

    def record(self, batch: Sequence[Told], by: Notice | None = None) -> list[Entry]:
        """Write what became of some entries; it is on disk when this returns.

        A step that cannot follow the entry's state, since somebody else told of it before, is left out.

        Args:
            batch: What became of them.
            by: Who says so, where that is worth a notice; written with the steps, and not without one.

        Returns:
            The entries as they are now, in the order of the batch.

        Raises:
            JournalUnusable: Nothing of it is on disk.
        """
        now = self._clock()
        entries: dict[int, Entry] = {}
        accepted: list[Told] = []

        def events(head: tuple[int, bytes]) -> Iterator[Event]:
            # Made anew for each attempt: an operator's command may have come between.
            entries.update((told.entry, self._known(told.entry)) for told in batch)
            accepted.clear()
            number = head[0]
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
            if by is not None and accepted:
                yield self._notice(number + 1, now, by)

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

    def notify(self, batch: Sequence[Notice], marks: Mapping[str, Any] = NO_MARKS) -> None:
        """Write notices; they are on disk when this returns.

        Args:
            batch: The notices.
            marks: Marks that are set in the same transaction, as `set_meta` does.

        Raises:
            JournalUnusable: None of them is.
        """
        now = self._clock()

        def events(head: tuple[int, bytes]) -> Iterator[Event]:
            for number, notice in enumerate(batch, head[0] + 1):
                yield self._notice(number, now, notice)

        self._file.append(events, self._reread, marks=marks)

    def _notice(self, number: int, at: int, notice: Notice) -> Event:
        kind, principal, note = notice
        return Event(number, number, kind.value, at, self._account, principal, None, encode(note), b"", None)

    # ---- checkpoints ----

    def checkpoint(self) -> bool:
        """Sign where the journal ends, where something was written since that was done last.

        Returns:
            Whether there is a new one; never without a key.

        Raises:
            JournalUnusable: It could not be written.
        """
        if self._sign is None or self._file.head[0] == self._checkpoint[0]:
            return False
        now = self._clock()
        self._file.append(lambda head: self._signed(head, now), self._reread)
        self._checkpoint = self._file.head[0], now
        return True

    def checkpoint_if_due(self) -> bool:
        """Do so where it is time; see `CHECKPOINT_EVERY` and `CHECKPOINT_AFTER`.

        Raises:
            JournalUnusable: It could not be written.
        """
        if self._sign is None:
            return False
        number, at = self._checkpoint
        written = self._file.head[0] - number
        is_old = self._clock() - at >= CHECKPOINT_AFTER * 1e9
        return (written >= CHECKPOINT_EVERY or (written > 0 and is_old)) and self.checkpoint()

    def _signed(self, head: tuple[int, bytes], now: int) -> Iterator[Event]:
        """Yield the checkpoint of a head; nothing without a key."""
        if self._sign is None:
            return
        made = Checkpoint(self._file.id, self._account, *head, now)
        note = noted(made, self._public, self._sign(made.message()))
        yield self._notice(head[0] + 1, now, Notice(NoticeKind.CHECKPOINT, GATEWAY, note))

    def refresh(self) -> None:
        """Take in what another program (an operator's command) has written since."""
        if self._file.has_changed():
            self._reread()

    def _reread(self) -> None:
        self.rereads += 1
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

    def has_asked(self, principal: str) -> bool:
        """Whether a principal has ever had a request here.

        Raises:
            JournalUnusable: The journal cannot be read.
        """
        return bool(
            self._file.rows(
                "select 1 from events where account = ? and principal = ? and key is not null limit 1",
                (self._account, principal),
            )
        )

    @property
    def claims(self) -> dict[int, int]:
        """Which entry made an order, by the order's ticket, of what was settled within `KEEP` seconds."""
        if self._claims is None:
            oldest = min((entry.at for entry in self.watched.values()), default=self._clock())
            since = min(oldest, self._clock()) - int(KEEP * 1e9)
            rows = self._file.rows(
                f"select {COLUMNS} from events where key is null and entry < number and at >= ?"  # noqa: S608
                " order by number",
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

    def probe(self) -> None:
        """See whether it can be written.

        Raises:
            JournalUnusable: It cannot.
        """
        self._file.probe()

    def set_meta(self, name: str, value: Any) -> None:
        """Set a mark, durably; None takes it away."""
        self._file.set_meta(name, value)

    # ---- keeping ----

    def prune(self, keep: float = KEEP) -> int:
        """Drop old bodies of settled entries, some at a time; keys, digests and open entries stay.

        A notice says so, and with a key a checkpoint holds what was dropped, all in one transaction.

        Args:
            keep: Seconds for which they are kept.

        Returns:
            How many were dropped; as many as can be at a time where there may be more.
        """
        now = self._clock()
        before = now - int(keep * 1e9)
        open_ = [number for number, entry in self.watched.items() if entry.state in OPEN]
        marks = ", ".join("?" * len(open_))
        self._forget_absent(before)
        rows = self._file.rows(
            f"select number from events where at < ? and body is not null and entry not in ({marks})"  # noqa: S608
            f" limit {PRUNED_AT_ONCE}",
            (before, *open_),
        )
        drops = [number for (number,) in rows]
        if not drops:
            return 0
        told = {"bodies": len(drops), "first": min(drops), "last": max(drops), "before": before}

        def events(head: tuple[int, bytes]) -> Iterator[Event]:
            pruned = self._notice(head[0] + 1, now, Notice(NoticeKind.PRUNED, GATEWAY, told))
            yield pruned
            yield from self._signed((pruned.number, chain.link(head[1], pruned)), now)

        self._file.append(events, self._reread, drops)
        if self._sign is not None:
            self._checkpoint = self._file.head[0], now
        return len(drops)

    def _forget_absent(self, before: int) -> None:
        """Look no more for traces of what was found to be absent long ago."""
        for number in [n for n, e in self.watched.items() if e.state is State.ABSENT and e.at < before]:
            del self.watched[number]
        self.set_meta("settled", min(self.watched, default=self._file.head[0] + 1) - 1)

    def close(self) -> None:
        """Sign where it ends, and let the file go."""
        with suppress(JournalUnusable):
            self.checkpoint()
        self._file.close()

    def _known(self, number: int) -> Entry:
        found = self.watched.get(number) or self.entry(number)
        if found is None:
            raise JournalUnusable(f"journal: {self._file.path} has no entry {number}", hint=DAMAGED)
        return found

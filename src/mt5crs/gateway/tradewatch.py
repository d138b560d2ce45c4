"""Looks for what becomes of orders, deals and positions while somebody wants to know, and records it."""

import logging
import time
from collections.abc import Callable, Generator
from math import inf
from typing import Any

from mt5crs.errors import BridgeError, JournalUnusable, RecordUnusable, SettingError
from mt5crs.gateway.comments import Comments
from mt5crs.gateway.inquiry import Inquiry, Question
from mt5crs.gateway.orders import Orders
from mt5crs.gateway.tradekeys import Explains, TradeKeys
from mt5crs.gateway.tradelook import look
from mt5crs.last_error import NOT_FOUND
from mt5crs.model import Tick
from mt5crs.operation import Result, done
from mt5crs.terminal.port import TerminalPort
from mt5crs.trades.derive import Happened, contradicts, derive
from mt5crs.trades.picture import DAY, OVERLAP, Shown
from mt5crs.trades.record import TradeFile

log = logging.getLogger(__name__)

EVERY = 3.0
"""Seconds between two looks that nothing asked for."""
PAUSE = 0.05
"""Seconds between two looks at the least, however much happens."""
HOLD = 0.5
"""Seconds until another look where a request may turn out to be what made an order."""
FULL_EVERY = 600.0
"""Seconds between two looks at a whole day of history: for what a terminal shows late."""
LOOK_LIMIT = 60.0
"""Seconds after which a look that does not end is given up."""
RETRY = 1.0
"""Seconds between two attempts to open the record."""
AT_ONCE = 1000
"""Events that are given at a time."""


class TradeWatch:
    """The looks, and the record.

    Args:
        terminal: What is looked through.
        open_file: Opens the record; raises `RecordUnusable` where it cannot be used for now.
        orders: The trade requests, and their journal.
        comments: Knows which tags are ours.
        explains: Says whether an order can be that of a request whose outcome is not known yet.
        patience: Seconds for which events wait until that is known.
        clock: Nanoseconds since the epoch, UTC.

    Attributes:
        why: Why nothing is recorded, None where it is.

    Raises:
        SettingError: The record is another gateway's or another account's, or none.
    """

    def __init__(
        self,
        terminal: TerminalPort,
        open_file: Callable[[], TradeFile],
        orders: Orders,
        comments: Comments,
        explains: Explains,
        patience: float,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._terminal = terminal
        self._open_file = open_file
        self._orders = orders
        self._comments = comments
        self._keys = TradeKeys(orders, explains, patience)
        self._clock = clock
        self._inquiry = Inquiry(terminal, "looking for trade events")
        self._is_followed = self._is_wanted = False
        self._is_full = True  # whether the next look is at a whole day of history
        self._now = self._next_full = self._next_try = 0.0
        self._next_look, self._earliest = inf, 0.0
        self._file: TradeFile | None = None
        self.why: BridgeError | None = None
        try:
            self._file = open_file()
        except RecordUnusable as error:
            self._fail(error)

    # ---- the record, as a channel has it ----

    @property
    def place(self) -> tuple[str, int] | None:
        """The record's id and the serial number of its last event; None while that is not known."""
        file = self._file
        return None if file is None or file.picture is None else (file.id, file.last)

    def look(self) -> None:
        """Look for events, soon, where somebody wants to know."""
        self._is_wanted = True

    def follow(self, on: bool) -> None:
        """Look for events from now on without being told to, or do so no more."""
        self._is_followed = self._is_wanted = on
        if not on:
            self._inquiry.give_up()

    @property
    def due(self) -> float:
        """When `pass_time` has something to do, on the gateway's clock."""
        if self._file is None:
            return self._next_try
        if not self._is_followed:
            return inf
        if self._inquiry.is_under_way:
            return self._now + PAUSE if self._inquiry.is_stalled else inf
        return self._earliest if self._is_wanted else max(self._next_look, self._earliest)

    @property
    def is_looking(self) -> bool:
        """Whether it looks for events, or is about to: something has happened."""
        return self._is_followed and (self._is_wanted or self._inquiry.is_under_way)

    def since(self, serial: int) -> list[list[Any]]:
        """Return the fields of the events after a serial number, those that are not many too many."""
        try:
            return [] if self._file is None else self._file.since(serial, AT_ONCE)
        except RecordUnusable as error:
            self._fail(error)
            return []

    # ---- the record, as clients have it ----

    def events(self, after: int, count: int, log_id: str) -> Result:
        """Return the answer to `trade_events`.

        Raises:
            RecordUnusable: The record cannot be used.
        """
        file = self._usable()
        if file.picture is None or log_id not in {"", file.id} or not file.first - 1 <= after <= file.last:
            return Result(None, NOT_FOUND)
        return done(file.since(after, min(count, AT_ONCE)))

    def log(self) -> Result:
        """Return the answer to `trade_log`.

        Raises:
            RecordUnusable: The record cannot be used.
        """
        file = self._usable()
        return Result(None, NOT_FOUND) if file.picture is None else done([file.id, file.first, file.last])

    def _usable(self) -> TradeFile:
        if self._file is None:
            raise self.why or RecordUnusable("the record of trade events is closed")
        return self._file

    def state(self, *, is_admin: bool) -> str:
        """Return what is wrong with it, in words; "" where nothing is. Where it is is told to admins only."""
        is_idle = self._file is not None and not self._is_followed
        if self.why is None or is_idle:
            return ""
        return str(self.why) if is_admin else "the record of trade events cannot be used"

    # ---- looks ----

    def pass_time(self, now: float) -> float:
        """Begin a look where one is due; return the seconds until there is something to do again."""
        self._now = now
        self._inquiry.pass_time(now)
        if self._file is None and now >= self._next_try:
            self._open()
        if self._file is not None and now >= self.due and not self._inquiry.is_under_way:
            self._is_wanted = False
            self._earliest, self._next_look = now + PAUSE, now + EVERY
            self._inquiry.begin(self._look(self._file), now, limit=LOOK_LIMIT)
        return max(0.0, self.due - now)

    def _look(self, file: TradeFile) -> Generator[Question, Result, None]:
        is_full = self._is_full or self._now >= self._next_full
        self._is_full = True  # until this one has come to something
        shown = yield from look(
            self._terminal.account,
            file.picture,
            DAY if is_full else OVERLAP,
            self._orders.server_time,
            self._see,
        )
        if shown is None:
            return
        try:
            self._conclude(file, shown)
        except RecordUnusable as error:
            self._fail(error)
            return
        except JournalUnusable as error:
            self._blame(error)
            return
        self._is_full = False
        if is_full:
            self._next_full = self._now + FULL_EVERY
        if self.why is not None:
            log.warning("trade events are recorded again")
            self.why = None

    def _see(self, tick: Tick) -> float:
        server_time = self._orders.server_time
        server_time.see(tick.time_msc / 1000, self._now, self._clock() / 1e9)
        return server_time.latest(self._now)

    def _conclude(self, file: TradeFile, shown: Shown) -> None:
        """Record what a look has found, but for orders of which it is not known yet whose they are."""
        if file.picture is not None and contradicts(file.picture, shown):
            log.warning("the account has another history than the record of trade events: that begins anew")
            file.begin_anew()
            self.look()
            return
        happened, picture = derive(file.picture, shown)
        keys, waiting = self._keys.of(happened, shown, self._now)
        if waiting:
            happened, picture = derive(file.picture, shown.without(waiting))
            self._next_look = self._now + HOLD
        file.keep([self._fields(each, keys.get(each.maker, "")) for each in happened], picture)

    def _fields(self, each: Happened, key: str) -> list[Any]:
        place = each.details.__match_args__.index("comment")
        details = list(self._comments.restored(each.details, place))
        return [
            each.kind, each.time_msc, each.symbol, each.order, each.deal, each.position, each.reason, key,
            details,
        ]  # fmt: skip

    # ---- trouble ----

    def _open(self) -> None:
        try:
            self._file = self._open_file()
        except (RecordUnusable, SettingError) as error:
            self._fail(error)
        else:
            self._is_wanted = self._is_full = True

    def _fail(self, error: BridgeError) -> None:
        """Let the record go: what of the last event is on disk is known when it is opened again."""
        self._blame(error)
        self._inquiry.give_up()
        self._next_try = self._now + RETRY
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _blame(self, error: BridgeError) -> None:
        if self.why is None:
            log.error("no trade events: %s", error)
        self.why = error

    def close(self) -> None:
        """Let the record go."""
        self._inquiry.give_up()
        if self._file is not None:
            self._file.close()
            self._file = None

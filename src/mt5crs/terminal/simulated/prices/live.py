"""The present: each symbol's last tick, computed again only when the next one is due."""

from collections.abc import Callable, Generator
from contextlib import contextmanager

from mt5crs.last_error import SUCCESS
from mt5crs.model import Tick
from mt5crs.operation import Result
from mt5crs.terminal.simulated.prices.buffered import Buffered
from mt5crs.terminal.simulated.prices.zone import NEVER, UTC, ServerZone

NO_TICK = Tick((0, 0.0, 0.0, 0.0, 0, 0, 0, 0.0))


class ServerClock:
    """Server time from a clock, with a starting point, a speed and a time zone.

    Args:
        clock: Returns seconds; only differences count unless `start` is None.
        start: Server time now, epoch seconds; None for the clock's own time, taken as UTC.
        speed: Server seconds for each second of the clock.
        zone: How far server time is ahead of UTC; that changes on the way where it has a summer time.
    """

    def __init__(
        self, clock: Callable[[], float], start: float | None, speed: float, zone: ServerZone = UTC
    ) -> None:
        self.read = clock
        self.speed = speed
        self._zone = zone
        self._origin = clock()
        self._start = self._origin if start is None else zone.utc(start)
        self._stretch = zone.stretch(self._start)
        self._held: float | None = None
        self._latest = 0.0

    @property
    def is_held(self) -> bool:
        """Whether server time stands still."""
        return self._held is not None

    def hold(self, on: bool, reading: float | None = None) -> None:
        """Let server time stand still for who reads it here, or go on where it really is.

        Args:
            on: Whether it is to stand still; where it does already, it stays.
            reading: What the clock read at the moment that stays; without it, now.
        """
        if not on:
            self._held = None
        elif self._held is None:
            self._held = self.now() if reading is None else self._at(reading)

    @contextmanager
    def at(self, reading: float) -> Generator[None, None, None]:
        """Let it be the time at which the clock had a reading; where time stands still, it goes on to."""
        before, self._held = self._held, self._at(reading)
        try:
            yield
        finally:
            self._held = before

    def now(self) -> float:
        """Return the server time, epoch seconds; it never goes back, also where the clock is set back."""
        if self._held is not None:
            return self._held
        now = self._at(self.read())
        if now < self._latest:
            return self._latest
        self._latest = now
        return now

    def _at(self, reading: float) -> float:
        utc = self._start + (reading - self._origin) * self.speed
        begin, end, server, rate = self._stretch
        if not begin <= utc < end:
            begin, _end, server, rate = self._stretch = self._zone.stretch(utc)
        return server + (utc - begin) * rate

    def now_msc(self) -> int:
        """Return the server time in whole milliseconds."""
        return int(self.now() * 1000 + 0.01)  # what a float cannot hold must not cost a millisecond

    def reads_at(self, msc: float) -> float:
        """Return what the clock reads when the server time is `msc`; of an hour left out, at its end."""
        return self._origin + (self._zone.utc(msc / 1000) - self._start) / self.speed


class LiveTick:
    """The last tick of one symbol.

    Attributes:
        tick: The last tick, as of the last refresh.
        result: The same as the answer of `symbol_info_tick`.
        due: What the clock reads when another tick may be there.
    """

    __slots__ = ("_clock", "_ticks", "due", "result", "tick")

    def __init__(self, ticks: Buffered, clock: ServerClock) -> None:
        self._ticks = ticks
        self._clock = clock
        self.due = -NEVER
        self.tick = NO_TICK
        self.result = Result(NO_TICK, SUCCESS)

    def refresh(self) -> Tick:
        """Bring the tick up to the present and return it."""
        if self._clock.read() < self.due:
            return self.tick
        msc = self._clock.now_msc()
        window = self._ticks.window(msc)
        seen = window.seen(msc)
        last = window.last(seen)
        if len(last):
            (row,) = last.tolist()
            self._show(row)
        coming = int(window.msc[seen]) if seen < len(window.msc) else self._ticks.next_msc(msc)
        self.due = NEVER if coming is None else self._clock.reads_at(coming)
        return self.tick

    def _show(self, row: tuple[object, ...]) -> None:
        if row[5] != self.tick[5] or row != self.tick:
            self.tick = Tick(row)
            self.result = Result(self.tick, SUCCESS)

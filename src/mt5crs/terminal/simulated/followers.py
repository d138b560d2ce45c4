"""What follows one topic, by its kind: each knows how far it was taken, and when to look again.

What is followed agrees with what is asked: ticks are those that `copy_ticks_from` returns of all kinds, bars
those of `copy_rates_range`, states what `market_book_get` and `account_info` would answer.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Protocol

import numpy as np

from mt5crs.bars import next_open_time, open_time
from mt5crs.cursors import Cursor
from mt5crs.model import AccountInfo, BookInfo, TicksArray
from mt5crs.terminal.port import NewBars, News, NewState, NewTicks, NewTrades
from mt5crs.terminal.simulated.prices.expand import RATES_DTYPE, TICKS_DTYPE
from mt5crs.terminal.simulated.prices.market import TICKS_AT_A_TIME, Market
from mt5crs.terminal.simulated.prices.zone import NEVER
from mt5crs.topics import Account, AnyTopic, Bars, Book, Ticks, Trades

LOOK_EVERY = 1.0
"""Seconds until the account is looked at again whatever happens: a switch tells nobody that it moved."""
NO_BARS, NO_TICKS = np.zeros(0, RATES_DTYPE), np.zeros(0, TICKS_DTYPE)


class Sight(NamedTuple):
    """What followers look at.

    Attributes:
        market: The prices.
        book: Returns the depth of market of a known symbol.
        account: Returns the account.
        movers: Returns the symbols whose prices move it.
    """

    market: Market
    book: Callable[[str], tuple[BookInfo, ...]]
    account: Callable[[], AccountInfo]
    movers: Callable[[], Iterable[str]]


class Follower(Protocol):
    """What follows one topic.

    Attributes:
        topic: The topic.
        due: What the clock reads when something new may be there.
    """

    topic: AnyTopic
    due: float

    def take(self) -> News | None:
        """Return what is new since the last time, None where nothing is."""
        ...


class TickFollower:
    """The ticks of a symbol.

    Args:
        sight: Its market.
        topic: The symbol.
    """

    def __init__(self, sight: Sight, topic: Ticks) -> None:
        self.topic: AnyTopic = topic
        self.due = -NEVER
        self._of = topic
        self._clock = sight.market.clock
        self._source = source = sight.market.buffered(topic.symbol)
        self._seen_msc = seen_msc = self._clock.now_msc()
        self._window = source.window(seen_msc)
        self._place: int = self._window.seen(seen_msc)  # in this window, of what was taken
        last = self._window.last(self._place)
        second = int(last["time"][0]) if len(last) else 0
        before = source.told(second * 1000, seen_msc + 1) if second else NO_TICKS
        self._cursor = Cursor(second, len(before))
        self._is_told = False

    def take(self) -> News | None:
        """See `Follower.take`."""
        now_msc, seen_msc = self._clock.now_msc(), self._seen_msc
        # A long time is taken in pieces: each turn is to be short.
        until = min(now_msc, seen_msc + TICKS_AT_A_TIME)
        ticks = self._until(until) if until > seen_msc else NO_TICKS
        self.due = self._next() if until == now_msc else -NEVER
        if self._is_told and not len(ticks):
            return None
        self._is_told = True
        start, self._cursor = self._cursor, self._cursor.after(ticks)
        return NewTicks(self._of, start, ticks)

    def _until(self, msc: int) -> TicksArray:
        """Return the ticks from what was taken up to a time."""
        window, start_msc, first = self._source.window(msc), self._seen_msc + 1, self._place
        self._seen_msc, self._place = msc, window.seen(msc)
        if window is self._window and window.are_told:  # as nearly always: one search in it is enough
            return window.ticks[first : self._place]
        self._window = window
        return self._source.told(start_msc, msc + 1)

    def _next(self) -> float:
        """Return what the clock reads when another tick may be there."""
        window, place = self._window, self._place
        msc = int(window.msc[place]) if place < len(window.msc) else self._source.next_msc(self._seen_msc)
        return NEVER if msc is None else self._clock.reads_at(msc)


class BarFollower:
    """The closed bars of a symbol: one is closed when the first tick of a later one comes.

    Args:
        sight: Its market.
        topic: The symbol and the timeframe.
    """

    def __init__(self, sight: Sight, topic: Bars) -> None:
        self.topic: AnyTopic = topic
        self.due = -NEVER
        self._of = topic
        self._market = sight.market
        self._live = sight.market.live(topic.symbol)
        self._forming = self._open_time()
        self._after = 0
        if self._forming:
            rates, now_msc = self._market.rates(topic.symbol), self._market.clock.now_msc()
            closed = rates.last(topic.timeframe, self._forming - 1, 1, now_msc)
            self._after = int(closed["time"][-1]) if len(closed) else 0
        self._is_told = False

    def _open_time(self) -> int:
        """Return when the bar of the last tick opens; 0 before the first tick."""
        time = self._live.refresh().time
        return open_time(time, self._of.timeframe) if time else 0

    def take(self) -> News | None:
        """See `Follower.take`."""
        forming, bars = self._open_time(), NO_BARS
        if forming > self._forming:
            symbol, timeframe, clock = self._of.symbol, self._of.timeframe, self._market.clock
            rates = self._market.rates(symbol)
            bars = rates.between(timeframe, self._after + 1, forming - 1, clock.now_msc())
            self._forming = forming
        self.due = self._next()
        if self._is_told and not len(bars):
            return None
        self._is_told = True
        after = self._after
        if len(bars):
            self._after = int(bars["time"][-1])
        return NewBars(self._of, after, bars)

    def _next(self) -> float:
        """Return what the clock reads when the first tick of a later bar may be there."""
        market = self._market
        ends_msc = next_open_time(self._forming, self._of.timeframe) * 1000
        if self._forming and ends_msc > market.clock.now_msc():
            return market.clock.reads_at(ends_msc)
        return self._live.due  # of the look that was taken: a tick that has come since is still to be seen


class BookFollower:
    """The depth of market of a symbol.

    Args:
        sight: Tells it.
        topic: The symbol.
    """

    def __init__(self, sight: Sight, topic: Book) -> None:
        self.topic: AnyTopic = topic
        self.due = -NEVER
        self._of = topic
        self._sight = sight
        self._has_depth = bool(sight.market.symbols[topic.symbol].book_depth)
        self._value: list[Any] | None = None

    def take(self) -> News | None:
        """See `Follower.take`."""
        # First when to look again, then the look: a tick that comes between is seen twice, not never.
        self.due = _next_tick(self._sight.market, self._of.symbol) if self._has_depth else NEVER
        value = [list(each) for each in self._sight.book(self._of.symbol)]
        if value == self._value:
            return None
        self._value = value
        return NewState(self._of, value)


class AccountFollower:
    """The account.

    Args:
        sight: Tells it.
        topic: The account's.
    """

    def __init__(self, sight: Sight, topic: Account) -> None:
        self.topic: AnyTopic = topic
        self.due = -NEVER
        self._of = topic
        self._sight = sight
        self._movers: tuple[str, ...] = ()
        self._next_look = -NEVER
        self._value: list[Any] | None = None

    def take(self) -> News | None:
        """See `Follower.take`."""
        reading = self._sight.market.clock.read()
        if self.due == -NEVER or reading >= self._next_look:  # what moves it may have changed
            self._movers = tuple(self._sight.movers())
            self._next_look = reading + LOOK_EVERY
        ticks = [_next_tick(self._sight.market, symbol) for symbol in self._movers]
        self.due = min([self._next_look, *ticks])
        value = list(self._sight.account())  # after that, as of a book; time that passes may set `due` too
        if value == self._value:
            return None
        self._value = value
        return NewState(self._of, value)


class TradesFollower:
    """Orders, deals and positions: it is told when they have changed.

    Args:
        _sight: Not needed.
        topic: The topic.
    """

    def __init__(self, _sight: Sight, topic: Trades) -> None:
        self.topic: AnyTopic = topic
        self.due = -NEVER

    def take(self) -> News | None:
        """See `Follower.take`."""
        self.due = NEVER
        return NewTrades()


MAKES: dict[type[AnyTopic], Callable[[Sight, Any], Follower]] = {
    Ticks: TickFollower,
    Bars: BarFollower,
    Book: BookFollower,
    Account: AccountFollower,
    Trades: TradesFollower,
}
"""What follows a topic, by its kind."""


def _next_tick(market: Market, symbol: str) -> float:
    """Return what the clock reads when another tick of a symbol may be there."""
    live = market.live(symbol)
    live.refresh()
    return live.due

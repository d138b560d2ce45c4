"""What the worker of the stream lane does: it looks for what is new of all topics that are followed."""

from collections.abc import Callable
from math import inf
from time import monotonic
from typing import Any

from mt5crs.arguments import Bound
from mt5crs.last_error import AUTHORIZATION_FAILED, NO_ANSWER, SUCCESS
from mt5crs.operation import Result, done
from mt5crs.terminal.official.attachment import GONE, Attachment
from mt5crs.terminal.official.barfollower import BarFollower
from mt5crs.terminal.official.desks import Lost
from mt5crs.terminal.official.follower import Follower, Source
from mt5crs.terminal.official.news import place_after
from mt5crs.terminal.official.rows import PULSE
from mt5crs.terminal.official.statefollowers import AccountFollower, BookFollower, TradeFollower
from mt5crs.terminal.official.tickfollower import TickFollower
from mt5crs.terminal.port import News
from mt5crs.topics import Account, AnyTopic, Bars, Book, Ticks, Trades
from mt5crs.wire import topics

TROUBLE = GONE | NO_ANSWER
"""Codes after which no more is asked in this turn."""
TURN = 0.01
"""Seconds after which what was found is sent, though others are due too."""
CHECK_EVERY = 1.0
"""Seconds between two looks at the account while nothing is found, and while it is another one."""
WHILE_LOST = 0.05
"""Seconds between two looks whether it is time to attach to a lost terminal again."""

FOLLOWERS: dict[type[AnyTopic], type[Follower]] = {
    Ticks: TickFollower,
    Bars: BarFollower,
    Book: BookFollower,
    Account: AccountFollower,
    Trades: TradeFollower,
}
"""What follows a topic, by its kind."""


class Followed:
    """A topic that is followed.

    Args:
        topic: The topic.
        place: How far it was taken in; see `Follower`.

    Attributes:
        topic: See above.
        place: See above: with what was sent.
        follower: What looks for news; None where that has yet to begin at the place.
        due: When it is worth a look.
    """

    __slots__ = ("due", "follower", "place", "topic")

    def __init__(self, topic: AnyTopic, place: Any) -> None:
        self.topic = topic
        self.place = place
        self.follower: Follower | None = None
        self.due = -inf

    def end(self) -> None:
        """Let go of what the terminal holds for it."""
        if self.follower is not None:
            self.follower.end()


class StreamDesk:
    """Looks for what is new of the topics that are followed, each at its own pace.

    Nothing is sent that may be another account's: before it is, the terminal is asked whose it is logged in
    to. Where it is another one, or none, what was found is forgotten, and found again from where the last
    that was sent ended.

    Args:
        attachment: The package.
        clock: Returns seconds.
    """

    def __init__(self, attachment: Attachment, clock: Callable[[], float] = monotonic) -> None:
        self._attachment = attachment
        self._clock = clock
        self._source = Source(attachment.package)
        self._followed: dict[int, Followed] = {}
        self._check_due = -inf
        self._not_before = -inf

    @property
    def pause(self) -> float:
        """See `Desk.pause`."""
        due = min((followed.due for followed in self._followed.values()), default=inf)
        return max(0.0, max(due, self._not_before) - self._clock())

    def carry_out(self, name: str, wire: Bound) -> Result:
        """See `Desk.carry_out`."""
        return done(True) if name == PULSE.name else self._follow(wire)

    def _follow(self, wanted: Bound) -> Result:
        """Follow these topics and no others; see `rows.FOLLOW`."""
        if self._attachment.may_help:
            self._begin_again()  # once it is attached to again
            raise Lost
        for number in self._followed.keys() - {number for number, *_ in wanted}:
            self._followed.pop(number).end()
        if not self._is_ours(self._clock()):
            error = self._attachment.last_error()
            return Result(None, error if error != SUCCESS else AUTHORIZATION_FAILED)
        for number, name, place in wanted:
            topic = topics.topic(name)
            if number in self._followed or topic is None:
                continue
            if self._shows(topic):
                self._followed[number] = Followed(topic, place)
            elif (error := self._attachment.last_error())[0] in TROUBLE:
                return Result(None, error)
        return done(list(self._followed))

    def _shows(self, topic: AnyTopic) -> bool:
        """Have the terminal show a topic's symbol, where it has one; it may not know it."""
        symbol = getattr(topic, "symbol", None)
        return symbol is None or bool(self._attachment.package.symbol_select(symbol, True))

    def look(self) -> list[tuple[int, News]]:
        """See `Desk.look`."""
        now = self._clock()
        due = [(each.due, number) for number, each in self._followed.items() if each.due <= now]
        if not due or now < self._not_before or not self._may_ask(now):
            return []
        found = self._find([number for _, number in sorted(due)], now)
        if found and not self._is_ours(now):
            return []
        for number, news in found:
            self._followed[number].place = place_after(news)
        return found

    def _may_ask(self, now: float) -> bool:
        if self._attachment.may_help and self._attachment.attach(self._attachment.fence).code == SUCCESS[0]:
            self._begin_again()
        if self._attachment.is_lost:
            self._not_before = now + WHILE_LOST
            return False
        return now < self._check_due or self._is_ours(now)

    def _is_ours(self, now: float) -> bool:
        """Ask whether the terminal is logged in to the gateway's account; if not, all begins again later."""
        account = self._attachment.account()
        if account is not None and account == self._attachment.fence:
            self._check_due = now + CHECK_EVERY
            return True
        self._begin_again()
        self._not_before = now + CHECK_EVERY
        return False

    def _begin_again(self) -> None:
        """Have everything found from where the last that was sent ended."""
        self._source = Source(self._attachment.package)
        self._check_due = -inf
        for followed in self._followed.values():
            followed.follower, followed.due = None, -inf

    def _find(self, due: list[int], now: float) -> list[tuple[int, News]]:
        """Look at what is due, the longest due first, until it is time for what else there is to do."""
        found: list[tuple[int, News]] = []
        for number in due:
            followed = self._followed[number]
            news = self._poll(followed, now)
            if news is not None:
                found.append((number, news))
            elif self._attachment.last_error()[0] in TROUBLE:
                break
            if self._clock() - now >= TURN:
                break
        return found

    def _poll(self, followed: Followed, now: float) -> News | None:
        if followed.follower is None:
            if not self._shows(followed.topic):
                followed.due = now + CHECK_EVERY
                return None
            followed.follower = FOLLOWERS[type(followed.topic)](self._source, followed.topic, followed.place)
        news = followed.follower.poll(now)
        followed.due = followed.follower.due
        return news

"""A subscription without sockets: says what is to be done next, and turns what comes of it into events.

Its drivers are a loop around `next`: they listen, ask, greet or wait as it says, and tell it what came of it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from mt5crs.client.streaming.barfeed import BarFeed
from mt5crs.client.streaming.feeds import Feed, Question, StateFeed
from mt5crs.client.streaming.given import Memory
from mt5crs.client.streaming.lag import Lag
from mt5crs.client.streaming.reading import read
from mt5crs.client.streaming.tickfeed import TickFeed
from mt5crs.client.streaming.tradefeed import TradeFeed
from mt5crs.errors import (
    BridgeError,
    Busy,
    ConnectionTimeout,
    Denied,
    Expired,
    KeyRefused,
    OutcomeUnknown,
    ProtocolError,
    StaleEpoch,
    Unreachable,
    WrongGateway,
)
from mt5crs.model import TradeEvent
from mt5crs.streams import AnyEvent, Behind, Bookmark, Silent
from mt5crs.topics import Account, AnyTopic, Bars, Beat, Ticks, Trades
from mt5crs.wire import topics

GREET_EVERY = 1.0
"""Seconds between two attempts to reach a gateway that is silent, and that each of them may take."""
ATTEMPTS = 5
"""How often history is asked of a gateway that is there and does not answer, until it is a gap."""
PAUSE = 0.2
"""Seconds until it is asked again, doubled each time."""
STOPPED = 1.0
"""Seconds by which we are late where this program was stopped; so long it then has to see what has come."""
BEAT = Beat()

_LASTING = (KeyRefused, WrongGateway)
"""What does not heal by itself."""
_PASSING = (Unreachable, OutcomeUnknown, Busy, Expired, StaleEpoch)
"""What may have healed when it is asked again."""


class Listen(NamedTuple):
    """Wait for a message; `take` it, or say that it stayed `quiet`."""

    seconds: float


class Greet(NamedTuple):
    """Ask the gateway to introduce itself, and say that it `greeted` or that it is `unreached`."""

    seconds: float = GREET_EVERY


class Pause(NamedTuple):
    """Wait, whatever comes."""

    seconds: float


class Diagnose(NamedTuple):
    """Find out why nothing is heard, and say so with `diagnosed`."""

    failure: ConnectionTimeout


Step: TypeAlias = Listen | Question | Greet | Pause | Diagnose


@dataclass(frozen=True)
class Wanted:
    """What is subscribed to.

    Attributes:
        topics: Which topics.
        since: From when on ticks and bars are wanted, in seconds; from the present on without it.
        after: The trade event after which they are wanted; from the present on without it.
    """

    topics: Sequence[AnyTopic]
    since: int | None = None
    after: Bookmark | None = None


def feed_of(topic: AnyTopic, wanted: Wanted) -> Feed:
    """Return the feed of a topic; the beat is none."""
    if isinstance(topic, Ticks):
        return TickFeed(topic, wanted.since)
    if isinstance(topic, Bars):
        return BarFeed(topic, wanted.since)
    if isinstance(topic, Trades):
        return TradeFeed(topic, wanted.after)
    assert not isinstance(topic, Beat)  # noqa: S101 - see above
    return StateFeed(topic)


class Stream:
    """A subscription.

    Args:
        wanted: What is subscribed to.
        where: The gateway's address, for people.
        timeout: Seconds without a sign of life after which the gateway is silent.
        now: The time, in seconds.
    """

    def __init__(self, wanted: Wanted, where: str, timeout: float, now: float) -> None:
        self._feeds: dict[bytes, Feed] = {
            topics.name(topic): feed_of(topic, wanted) for topic in wanted.topics
        }
        self._where = where
        self._timeout = timeout
        self._lag = Lag()
        self._asking: Feed | None = None
        self._attempts = 0
        self._heard = now
        self._awake_at = now  # when we meant to be back
        self._patient_until = now
        self._first: float | None = None
        self._is_quiet = False  # there was nothing to take when we looked last
        self._is_silent = False
        self._is_lost = False  # a question was not answered: the gateway is to be greeted first
        self._greet_at = now
        # Topics that are given to some keys alone; without one of them nothing comes, and nobody says why.
        self._ungranted = {
            name: feed for name, feed in self._feeds.items() if isinstance(feed.topic, Trades | Account)
        }

    @property
    def names(self) -> list[bytes]:
        """The topics that must be subscribed to, as they are called on the wire."""
        return [*self._feeds, topics.name(BEAT)]

    def serial(self, waiting: Iterable[AnyEvent]) -> int | None:
        """Return the serial number of the last trade event that was given away; None while it is not known.

        Args:
            waiting: The events that were not.
        """
        for event in waiting:
            if isinstance(event, TradeEvent):
                return event.serial - 1
        return None if (feed := self._trades) is None else feed.serial

    def bookmark(self, waiting: Iterable[AnyEvent]) -> str | None:
        """Return what `after` takes to go on behind the last trade event that was given away.

        Args:
            waiting: The events that were not.

        Returns:
            None while nothing is known of the record.
        """
        serial, feed = self.serial(waiting), self._trades
        return None if serial is None or feed is None or not feed.log else str(Bookmark(feed.log, serial))

    @property
    def _trades(self) -> TradeFeed | None:
        feed = self._feeds.get(topics.name(Trades()))
        return feed if isinstance(feed, TradeFeed) else None

    def memory(self, frames: Sequence[bytes] = ()) -> Memory:
        """Return what restores it to what it is now.

        Args:
            frames: What is to be taken; without them, what is asked is to be answered.
        """
        feed = self._feeds.get(frames[0]) if frames else self._asking
        return Memory(self, self._lag) if feed is None else Memory(self, self._lag, feed)

    def next(self, now: float) -> Step:
        """Return what is to be done next."""
        if now > self._awake_at + STOPPED:
            # This program was stopped, or did something else: what has come since is yet to be seen.
            self._patient_until = now + STOPPED
        step = self._next(now)
        self._awake_at = now + (step.seconds if isinstance(step, Listen | Pause) else 0.0)
        return step

    def _next(self, now: float) -> Step:
        silence = now - self._heard
        patience = max(self._timeout - silence, self._patient_until - now)
        if (self._is_quiet or self._is_lost) and not self._is_silent and patience < 0:
            return Diagnose(
                ConnectionTimeout(
                    f"Connection timeout: {self._where} has published nothing for {self._timeout:g} s",
                    hint="is it running, and its stream port open on the way (`mt5crs health` says so)?",
                )
            )
        left = self._greet_at - now
        if self._is_lost:
            return Greet() if left <= 0 else Pause(left)
        if self._asking is not None and self._asking.question is not None:
            return self._asking.question
        if self._is_silent:
            return Greet() if left <= 0 else Listen(left)
        return Listen(max(patience, 0.0) + 0.001)

    # ---- what came of it ----

    def take(self, frames: Sequence[bytes], now: float) -> list[AnyEvent]:
        """Take in a message.

        Raises:
            ProtocolError: It is not what it says.
            Denied: A topic is not given to this client.
        """
        name, *rest = frames
        feed = self._feeds.get(name)
        if feed is None and name != topics.name(BEAT):
            raise ProtocolError(f"a message on topic {name!r}, which was not subscribed to")
        received = read(BEAT if feed is None else feed.topic, rest)
        self._hear(now)
        self._is_silent = False
        behind = self._lag.take(received.message.epoch, received.message.clock, now)
        events: list[AnyEvent] = [] if behind is None else [Behind(behind)]
        if feed is None:
            self._see_what_is_granted(now)
            return events
        self._ungranted.pop(name, None)
        events += feed.take(received)
        if feed.question is not None:
            self._asking = feed
        return events

    def _hear(self, now: float) -> None:
        self._heard = now
        self._is_quiet = False
        if self._first is None:
            self._first = now

    def _see_what_is_granted(self, now: float) -> None:
        if self._first is not None and self._ungranted and now - self._first > self._timeout:
            name = topics.name(next(iter(self._ungranted.values())).topic)[:-1].decode()
            raise Denied(
                f"{self._where} does not give this client the stream {name!r}",
                hint=f"it is for keys that were made with `--stream {name}`",
            )

    def quiet(self) -> list[AnyEvent]:
        """Note that no message was there."""
        self._is_quiet = True
        return []

    def answer(self, value: Any, now: float) -> list[AnyEvent]:
        """Take in the answer to a question."""
        self._hear(now)
        self._is_silent = False
        assert self._asking is not None  # noqa: S101 - there was a question
        return self._answered(self._asking.answer(value))

    def _answered(self, events: list[AnyEvent]) -> list[AnyEvent]:
        self._attempts = 0
        if self._asking is not None and self._asking.question is None:
            self._asking = None
        return events

    def unanswered(self, failure: BridgeError, now: float) -> list[AnyEvent]:
        """Take in that a question was not answered.

        Raises:
            KeyRefused: The gateway does not know this client's key any more.
            WrongGateway: Another one answers.
        """
        if isinstance(failure, _LASTING):
            raise failure
        self._attempts += 1
        assert self._asking is not None  # noqa: S101 - there was a question
        if not isinstance(failure, _PASSING) or self._attempts >= ATTEMPTS:
            return self._answered(self._asking.give_up(failure.message))
        self._is_lost = True
        self._greet_at = now + PAUSE * 2**self._attempts
        return []

    def greeted(self, now: float) -> list[AnyEvent]:
        """Note that the gateway has introduced itself."""
        self._is_lost = False
        self._greet_at = now + GREET_EVERY
        return []

    def unreached(self, failure: BridgeError, now: float) -> list[AnyEvent]:
        """Note that it has not; raises as `unanswered`."""
        if isinstance(failure, _LASTING):
            raise failure
        self._greet_at = now + GREET_EVERY
        return []

    def diagnosed(self, failure: BridgeError, now: float) -> list[AnyEvent]:
        """Take in why nothing is heard.

        Raises:
            BridgeError: Nothing was ever heard, or it does not heal by itself.
        """
        if self._first is None or not isinstance(failure, ConnectionTimeout):
            raise failure
        self._is_silent = True
        self._greet_at = now
        return [Silent(now - self._heard, failure.message)]

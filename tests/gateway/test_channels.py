"""What a topic's channel sends, and when: time by hand, no socket."""

from collections.abc import Iterator
from itertools import pairwise
from math import inf
from typing import Any

import numpy as np
import pytest

from mt5crs.cursors import Cursor
from mt5crs.gateway.channels import BATCH_ROWS, QUIET_LAST, WINDOW, Channel
from mt5crs.gateway.streams import Streams
from mt5crs.gateway.transfers import Frames
from mt5crs.model import RATES, TICKS
from mt5crs.security.policy import ANONYMOUS
from mt5crs.terminal.port import NewBars, News, NewState, NewTicks, NewTrades
from mt5crs.topics import Account, AnyTopic, Bars, Beat, Book, Ticks, Trades
from mt5crs.wire import messages, topics
from mt5crs.wire.codec import on_stream
from tests.pair.bridge import START, CountingTerminal

TOKEN, OTHER = b"0123456789abcdef", b"fedcba9876543210"
EURUSD = Ticks("EURUSD")


class Told(CountingTerminal):
    """A terminal of which a test says what is new."""

    def __init__(self) -> None:
        super().__init__(lambda: START)
        self.told: list[News] = []
        self.followed: list[AnyTopic] = []

    def follow(self, topic: AnyTopic) -> bool:
        self.followed.append(topic)
        return True

    def unfollow(self, topic: AnyTopic) -> None:
        self.followed.remove(topic)

    def take_news(self) -> list[News]:
        told, self.told = self.told, []
        return told


class Record:
    """A record of events that have their serial number as only field."""

    def __init__(self) -> None:
        self.place: tuple[str, int] | None = None
        self.due = inf
        self.looks: list[str] = []
        self.most = 3
        self.due = inf

    def look(self) -> None:
        self.looks.append("look")

    def follow(self, on: bool) -> None:
        self.looks.append("on" if on else "off")

    def since(self, serial: int) -> list[list[Any]]:
        assert self.place is not None
        return [[each] for each in range(serial + 1, self.place[1] + 1)][: self.most]


class Bench:
    """Streams on such a terminal."""

    def __init__(self, *wanted: AnyTopic) -> None:
        self.terminal, self.record = Told(), Record()
        self.streams = Streams(self.terminal, 7, lambda: {"up": True}, self.record)
        self.now = 100.0
        for topic in wanted:
            self.subscribe(topic)

    def subscribe(self, topic: AnyTopic, token: bytes = TOKEN) -> None:
        assert self.streams.grant(topics.name(topic) + token, ANONYMOUS) == topics.name(topic)

    def unsubscribe(self, topic: AnyTopic, token: bytes = TOKEN) -> None:
        assert self.streams.give_up(topics.name(topic) + token) == topics.name(topic)

    def turn(self, *news: News, later: float = 0.0) -> list[Any]:
        """The messages of a turn that are not beats, each with its rows."""
        self.now += later
        self.terminal.told += news
        return [_read(frames) for frames in self.streams.news(self.now) if frames[0] != topics.name(Beat())]


def _read(frames: Frames) -> Any:
    message = on_stream(bytes(frames[1]))
    assert message.epoch == 7
    if isinstance(message, messages.Batch):
        kind = RATES if frames[0].startswith(b"bar") else TICKS
        rows = np.frombuffer(frames[2], kind.dtype)["time"].tolist() if len(frames) == 3 else []
        assert message.rows == len(rows)
        return message.sequence, message.place, rows
    if isinstance(message, messages.Events):
        return message.sequence, message.serial, [event[0] for event in message.events]
    assert isinstance(message, messages.Snapshot)
    return message.sequence, message.value


def ticks(start: Cursor, *seconds: int) -> NewTicks:
    rows = np.zeros(len(seconds), TICKS.dtype)
    rows["time"] = seconds
    return NewTicks(EURUSD, start, rows)


def test_what_comes_on_an_idle_topic_is_sent_at_once_and_then_once_in_a_window() -> None:
    bench = Bench(EURUSD)
    assert bench.turn(ticks(Cursor(5, 2))) == [(0, (5, 2), [])]  # where it stands
    assert bench.turn(ticks(Cursor(5, 2), 5, 6)) == [(1, (5, 2), [5, 6])]
    assert bench.turn(ticks(Cursor(6, 1), 6)) == []
    assert bench.streams.due == pytest.approx(bench.now + WINDOW)
    assert bench.turn(ticks(Cursor(6, 2), 7), later=WINDOW / 2) == []
    assert bench.turn(later=WINDOW / 2 + 1e-9) == [(2, (6, 1), [6, 7])]
    assert bench.streams.due > bench.now + WINDOW  # the beat's
    assert bench.turn(ticks(Cursor(7, 1), 9), later=0.5) == [(3, (7, 1), [9])]


def test_a_batch_has_so_many_rows_at_most_and_says_where_it_begins() -> None:
    bench = Bench(EURUSD)
    seconds = np.sort(np.random.default_rng(1).integers(10, 500, 3 * BATCH_ROWS + 5)).tolist()
    batches = bench.turn(ticks(Cursor(9, 9), *seconds))
    assert [len(rows) for _, _, rows in batches] == [BATCH_ROWS] * 3 + [5]
    assert [row for _, _, rows in batches for row in rows] == seconds
    assert [sequence for sequence, _, _ in batches] == [1, 2, 3, 4]
    place = Cursor(9, 9)
    for _, begin, rows in batches:
        assert begin == place
        place = place.after(ticks(place, *rows).ticks)
    bench.subscribe(EURUSD, OTHER)
    assert bench.turn() == [(4, place, [])]


def test_who_has_just_subscribed_learns_where_a_topic_stands_as_soon_as_that_is_known() -> None:
    bench = Bench(EURUSD)
    assert bench.turn() == bench.turn(later=3.0) == []  # a terminal may need its time to know
    assert bench.turn(ticks(Cursor(5, 2))) == [(0, (5, 2), [])]
    bench.subscribe(EURUSD, OTHER)
    assert bench.turn() == [(0, (5, 2), [])]
    bench.subscribe(EURUSD, OTHER[::-1])
    assert bench.turn(ticks(Cursor(5, 2), 6)) == [(1, (5, 2), [6])]  # tells it as well
    assert bench.turn() == []


@pytest.mark.parametrize(
    ("topic", "news"),
    [
        (EURUSD, ticks(Cursor(5, 0), 5)),
        (Bars("EURUSD", 1), NewBars(Bars("EURUSD", 1), 60, np.ones(1, RATES.dtype))),
        (Account(), NewState(Account(), [1, 2])),
    ],
    ids=str,
)
def test_a_quiet_topic_says_where_it_stands_ever_more_seldom(topic: AnyTopic, news: News) -> None:
    bench = Bench(topic)
    (first,) = bench.turn(news)
    begin = bench.now
    told: list[float] = []
    while bench.now < begin + 300.0:
        for sequence, *_ in bench.turn(later=bench.streams.due - bench.now):
            assert sequence == first[0] == 1
            told.append(bench.now - begin)
    assert [round(each) for each in told] == [1, 2, 4, 8, 16, 32, 64, 128, 192, 256]
    assert max(b - a for a, b in pairwise(told)) == pytest.approx(QUIET_LAST)


def test_bars_say_after_which_one_they_come() -> None:
    topic = Bars("EURUSD", 1)
    bench = Bench(topic)
    bars = np.zeros(2, RATES.dtype)
    bars["time"] = 120, 180
    assert bench.turn(NewBars(topic, 60, bars[:0])) == [(0, (60, 0), [])]
    assert bench.turn(NewBars(topic, 60, bars)) == [(1, (60, 0), [120, 180])]
    bench.subscribe(topic, OTHER)
    assert bench.turn() == [(1, (180, 0), [])]


def test_a_state_is_told_again_to_who_comes_with_its_own_number() -> None:
    topic = Book("EURUSD")
    bench = Bench(topic)
    assert bench.turn() == []
    assert bench.turn(NewState(topic, [[1]])) == [(1, [[1]])]
    assert bench.turn() == []
    bench.subscribe(topic, OTHER)
    assert bench.turn(NewState(topic, [[2]])) == [(1, [[1]])]  # the new one has its window to wait for
    assert bench.turn(NewState(topic, [[3]])) == []
    assert bench.turn(later=WINDOW * 1.01) == [(2, [[3]])]  # what was passed over is of no use to anybody


def test_numbers_go_on_where_nobody_was_subscribed_for_a_while() -> None:
    state = Account()
    bench = Bench(EURUSD, state)
    told = bench.turn(ticks(Cursor(5, 0), 5), NewState(state, [1]))
    assert sorted(told, key=len) == [(1, [1]), (1, (5, 0), [5])]
    for topic in (EURUSD, state):
        bench.unsubscribe(topic)
    assert bench.terminal.followed == []
    assert bench.turn(ticks(Cursor(5, 1), 6)) == []
    for topic in (EURUSD, state):
        bench.subscribe(topic)
    # One number is left out: who was subscribed before is to see that something is missing.
    assert sorted(bench.turn(ticks(Cursor(9, 1))), key=len) == [(2, None), (2, (9, 1), [])]
    assert bench.turn(ticks(Cursor(9, 1), 9), later=0.5)[0] == (3, (9, 1), [9])
    bench.streams.reset()
    assert bench.terminal.followed == []
    assert bench.turn() == []
    bench.subscribe(EURUSD)
    bench.subscribe(state)
    assert bench.turn(ticks(Cursor(20, 1), 20), NewState(state, [2]), later=1.0)[0] == (5, (20, 1), [20])


def test_events_of_trades_come_from_the_record() -> None:
    bench = Bench(Trades())
    record = bench.record
    assert record.looks == ["on"]
    assert bench.turn(NewTrades()) == [(0, 0, [])]  # granted, but nothing is known yet
    assert record.looks == ["on", "look"]
    record.place = "log", 10
    assert bench.turn() == [(0, 10, [])]
    record.place = "log", 18
    assert bench.turn() == [(1, 10, [11, 12, 13])]
    told: list[Any] = []
    while bench.streams.due < bench.now + 0.01:  # the rest comes without anything new
        told += bench.turn(later=WINDOW)
    assert told == [(2, 13, [14, 15, 16]), (3, 16, [17, 18])]
    record.place = "another", 3
    assert bench.turn() == []
    bench.subscribe(Trades(), OTHER)
    assert bench.turn() == [(3, 3, [])]
    bench.unsubscribe(Trades())
    bench.unsubscribe(Trades(), OTHER)
    assert record.looks == ["on", "look", "off"]


def test_a_beat_comes_once_a_second_and_at_once_to_who_has_just_subscribed() -> None:
    bench = Bench()

    def beats(later: float) -> list[int]:
        bench.now += later
        told = [on_stream(bytes(frames[1])) for frames in bench.streams.news(bench.now)]
        assert all(isinstance(beat, messages.Beat) and beat.state == {"up": True} for beat in told)
        return [beat.sequence for beat in told]

    assert beats(10.0) == []
    bench.subscribe(Beat())
    assert beats(0.1) == [1]
    assert beats(0.1) == []
    bench.subscribe(Beat(), OTHER)
    assert beats(0.0) == [2]
    assert bench.streams.due - bench.now == pytest.approx(0.8)
    assert beats(bench.streams.due - bench.now) == [3]
    assert bench.streams.due - bench.now == pytest.approx(1.0)


def test_what_is_idle_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    many = [Ticks(f"S{number}") for number in range(2000)]
    bench = Bench(*many)
    bench.turn(*[NewTicks(topic, Cursor(5, 0), ticks(Cursor(5, 0)).ticks) for topic in many])
    looked: list[int] = []
    for name in ("flush", "mark", "remind"):

        def counted(_self: Channel, _now: float) -> Iterator[Frames]:
            looked.append(1)
            return iter(())

        monkeypatch.setattr(Channel, name, counted)
    bench.turn(NewTicks(many[7], Cursor(5, 0), ticks(Cursor(5, 0), 6).ticks), later=0.1)
    assert len(looked) == 1


def test_who_was_granted_a_private_topic_is_told_so_where_nothing_is_known_of_it() -> None:
    state, book = Account(), Book("EURUSD")
    bench = Bench(state, Trades(), book, EURUSD)
    assert sorted(bench.turn(), key=len) == [(0, None), (0, 0, [])]
    assert bench.turn(later=0.1) == []
    bench.subscribe(state, OTHER)
    assert bench.turn(later=0.1) == [(0, None)]
    bench.record.place = "log", 7
    told = bench.turn(NewState(state, [1]), ticks(Cursor(9, 1)), later=0.1)
    assert sorted(told, key=str) == [(0, (9, 1), []), (0, 7, []), (1, [1])]
    assert bench.turn(later=0.1) == []

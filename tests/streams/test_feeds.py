"""The rules of streams without sockets: any losses give the exact sequence, or it is said where not."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mt5crs import constants as c
from mt5crs.client.streaming.feeds import Question
from mt5crs.client.streaming.stream import ATTEMPTS, Diagnose, Greet, Listen, Pause, Stream, Wanted
from mt5crs.client.streaming.tradefeed import EVENTS
from mt5crs.cursors import TickPages
from mt5crs.errors import BridgeError, Busy, ConnectionTimeout, Denied, KeyRefused, Unreachable, WrongGateway
from mt5crs.model import RATES, AccountInfo, BookInfo, RatesArray, TicksArray, TradeEvent, TradeLog
from mt5crs.streams import AccountUpdate, BarBatch, Behind, Bookmark, BookSnapshot, Gap, Silent, TickBatch
from mt5crs.topics import Account, Bars, Beat, Book, Trades
from mt5crs.wire import topics
from mt5crs.wire.messages import Batch, Snapshot
from mt5crs.wire.messages import Beat as BeatMessage
from tests.streams.tape import NAME, TOPIC, Publisher, Tape, answered, event, events_message, frame, ticks_at

SECOND = 1_700_000_000


def stream_of(*wanted: Any, since: int | None = None, after: str | int | None = None) -> Stream:
    place = None if after is None else Bookmark.of(after)
    return Stream(Wanted(wanted, since, place), "gtw:5555", 10.0, 0.0)


def rows_of(events: list[Any]) -> TicksArray:
    arrays = [each.ticks for each in events if isinstance(each, TickBatch)]
    return np.concatenate([ticks_at([]), *arrays])


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("advance"), st.integers(1, 8)),
        st.tuples(st.just("publish"), st.just(0)),
        st.tuples(st.just("drop"), st.just(0)),
        st.tuples(st.sampled_from(["again", "mark", "restart"]), st.integers(0, 40)),
    ),
    min_size=12,
    max_size=40,
)
SECONDS = st.lists(st.integers(0, 2), min_size=60, max_size=120)
"""How many seconds pass before each tick: often none."""


@settings(max_examples=150, deadline=None)
@given(SECONDS, STEPS, st.integers(0, 5), st.sampled_from([1, 3, 64]))
def test_any_schedule_yields_the_exact_sequence(
    passing: list[int], steps: list[tuple[str, int]], begun: int, fewest: int
) -> None:
    tape = Tape(ticks_at(SECOND + np.cumsum(passing)))
    tape.head = start = min(begun, len(tape.ticks))
    publisher = Publisher(tape, 1)
    stream = stream_of(TOPIC)
    events: list[Any] = []
    sent: list[list[bytes]] = []

    def deliver(frames: list[bytes]) -> None:
        events.extend(stream.take(frames, 0.0))
        events.extend(answered(stream, tape))

    defaults = TickPages.__init__.__defaults__
    TickPages.__init__.__defaults__ = (fewest, 64)  # small pages, so that there are many
    try:
        deliver(publisher.mark())
        for what, number in steps:
            if what == "advance":
                tape.head = min(tape.head + number, len(tape.ticks))
            elif what == "restart":  # the next process begins where the terminal is by then
                publisher = Publisher(tape, publisher.epoch + 1)
                sent.clear()
            elif what == "mark":
                deliver(publisher.mark())
            elif what == "again" and sent:
                deliver(sent[number % len(sent)])
            elif what in {"publish", "drop"}:
                frames = publisher.publish()
                sent.append(frames)
                if what == "publish":
                    deliver(frames)
        publisher.publish()  # the last one is lost: a mark tells
        deliver(publisher.mark())
    finally:
        TickPages.__init__.__defaults__ = defaults
    assert not [each for each in events if isinstance(each, Gap)]
    assert np.array_equal(rows_of(events), tape.ticks[start : tape.head])


@settings(max_examples=100, deadline=None)
@given(SECONDS, st.integers(0, 30), st.integers(1, 60), st.integers(0, 60))
def test_what_history_has_lost_is_said(passing: list[int], seen: int, lost: int, cut: int) -> None:
    tape = Tape(ticks_at(SECOND + np.cumsum(passing)))
    ends = np.flatnonzero(np.diff(tape.ticks["time"])) + 1  # history is cut between two seconds
    tape.head = 0
    publisher, stream = Publisher(tape, 1), stream_of(TOPIC)
    events: list[Any] = stream.take(publisher.mark(), 0.0)
    tape.head = seen = min(seen, len(tape.ticks))
    events += stream.take(publisher.publish(), 0.0)
    events += answered(stream, tape)
    tape.head = min(seen + lost, len(tape.ticks))
    publisher.publish()
    tape.first = max([int(end) for end in ends if end <= min(cut, tape.head)], default=0)
    events += stream.take(publisher.mark(), 0.0)
    events += answered(stream, tape)
    got = rows_of(events)
    missing = np.setdiff1d(tape.ticks["bid"][: tape.head], got["bid"])
    assert (np.diff(got["bid"]) > 0).all()  # in order, none twice
    gaps = [each for each in events if isinstance(each, Gap)]
    for tick in tape.ticks[: tape.head][np.isin(tape.ticks["bid"][: tape.head], missing)]:
        assert seen == 0 or any(gap.start <= tick["time"] <= gap.end for gap in gaps)
    if tape.first <= seen and (not seen or tape.ticks["time"][seen - 1] >= tape.ticks["time"][tape.first]):
        assert gaps == []  # all that it asks for is there


def test_history_that_ends_too_early_is_a_gap_and_the_stream_goes_on() -> None:
    tape = Tape(ticks_at([SECOND + number // 3 for number in range(30)]))
    publisher, stream = Publisher(tape, 1), stream_of(TOPIC)
    stream.take(publisher.mark(), 0.0)
    tape.head = 20
    publisher.publish()
    tape.head = 30
    frames = publisher.publish()
    tape.head = 10  # what history has
    events = stream.take(frames, 0.0) + answered(stream, tape)
    assert np.array_equal(rows_of(events)["bid"], [*range(1, 11), *range(21, 31)])
    (gap,) = [each for each in events if isinstance(each, Gap)]
    assert gap[:3] == (TOPIC, SECOND + 3, SECOND + 6)


def test_a_refusal_of_history_is_a_gap() -> None:
    class Refusing(Tape):
        def copy_ticks_from(self, symbol: str, second: int, count: int, flags: int) -> Any:
            return None

    tape = Refusing(ticks_at([SECOND + number for number in range(10)]))
    publisher, stream = Publisher(tape, 1), stream_of(TOPIC)
    stream.take(publisher.mark(), 0.0)
    tape.head = 5
    publisher.publish()
    events = stream.take(publisher.mark(), 0.0) + answered(stream, tape)
    assert [type(each) for each in events] == [Gap]
    tape.head = 10
    assert len(rows_of(stream.take(publisher.publish(), 0.0))) == 5


def test_ticks_since_a_time_begin_in_history() -> None:
    tape = Tape(ticks_at([SECOND + number // 3 for number in range(30)]))
    tape.head = 30
    publisher, stream = Publisher(tape, 1), stream_of(TOPIC, since=SECOND + 2)
    events = stream.take(publisher.mark(), 0.0) + answered(stream, tape)
    assert np.array_equal(rows_of(events), tape.ticks[6:])
    assert not events[0].ticks.flags.writeable


# ---- bars ----

M5 = Bars("EURUSD", c.TIMEFRAME_M5)
BARS = topics.name(M5)


class Chart:
    """Bars of a terminal that gives few in one answer."""

    def __init__(self, times: list[int], most: int = 2100) -> None:
        self.bars = np.zeros(len(times), RATES.dtype)
        self.bars["time"] = times
        self.most = most
        self.sequence = 0

    def copy_rates_range(self, symbol: str, timeframe: int, start: int, end: int) -> RatesArray | None:
        found = self.bars[(self.bars["time"] >= start) & (self.bars["time"] <= end)]
        return None if len(found) >= self.most else found

    def copy_rates_from(self, symbol: str, timeframe: int, date: int, count: int) -> RatesArray | None:
        end = int(self.bars["time"].searchsorted(date, side="right"))
        return self.bars[max(end - count, 0) : end]

    def message(self, first: int, last: int, epoch: int = 1) -> list[bytes]:
        place = int(self.bars["time"][first - 1]) if first else 0
        self.sequence += 1
        frames = frame(BARS, Batch(self.sequence, epoch, 0, (place, 0), last - first))
        return [*frames, self.bars[first:last].tobytes()] if last > first else frames


def bars_of(events: list[Any]) -> list[int]:
    return [int(each) for event in events if isinstance(event, BarBatch) for each in event.bars["time"]]


OPENED = [SECOND // 300 * 300 + 300 * number + (172_800 if number > 3000 else 0) for number in range(7000)]
"""With a weekend."""


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 2500), st.booleans()), max_size=8))
def test_bars_come_once_each_over_any_losses(steps: list[tuple[bool, int, bool]]) -> None:
    chart, stream = Chart(OPENED), stream_of(M5)
    events: list[Any] = stream.take(chart.message(10, 10), 0.0)
    at = 10
    for epoch, (is_back, lost, with_rows) in enumerate(steps, 2):
        first = min(at + lost, 7000)
        if is_back and OPENED[first - 1] - OPENED[first - 2] == 300:  # another process is catching up
            first -= 1
        last = min(first + 5, 7000) if with_rows else first
        events += stream.take(chart.message(first, last, epoch), 0.0) + answered(stream, chart)
        at = max(at, last)
    assert bars_of(events) == OPENED[10:at]
    assert not [each for each in events if isinstance(each, Gap)]


def test_bars_that_history_has_lost_are_a_gap() -> None:
    chart, stream = Chart(OPENED), stream_of(M5)
    events: list[Any] = stream.take(chart.message(10, 12), 0.0)
    late = chart.message(200, 202)
    chart.bars = chart.bars[100:]
    events += stream.take(late, 0.0) + answered(stream, chart)
    assert bars_of(events) == OPENED[10:12] + OPENED[100:202]
    assert [each[:3] for each in events if isinstance(each, Gap)] == [(M5, OPENED[11], OPENED[100])]
    assert stream.take(late, 0.0) == []  # all of it came before


def test_bars_at_the_end_of_which_history_lacks_some() -> None:
    chart, stream = Chart(OPENED), stream_of(M5)
    stream.take(chart.message(10, 12), 0.0)
    late = chart.message(200, 202)
    chart.bars = chart.bars[:100]
    events = stream.take(late, 0.0) + answered(stream, chart)
    assert bars_of(events) == OPENED[12:100] + OPENED[200:202]
    assert [each[:3] for each in events if isinstance(each, Gap)] == [(M5, OPENED[99], OPENED[199])]


def test_bars_since_a_time_begin_in_history() -> None:
    chart, stream = Chart(OPENED), stream_of(M5, since=OPENED[20] - 7)
    events = stream.take(chart.message(5000, 5003), 0.0) + answered(stream, chart)
    assert bars_of(events) == OPENED[20:5003]
    assert not [each for each in events if isinstance(each, Gap)]


# ---- trade events ----

TRADES = topics.name(Trades())


class Record:
    """A record of trade events that has forgotten the first ones."""

    def __init__(self, count: int, forgotten: int = 0) -> None:
        self.events = [event(serial) for serial in range(1, count + 1)]
        self.forgotten = forgotten

    def trade_events(self, after: int, count: int, log: str) -> tuple[TradeEvent, ...] | None:
        if after < self.forgotten or log != "log":
            return None
        return tuple(self.events[after : after + count])

    def trade_log(self) -> TradeLog:
        return TradeLog(("log", self.forgotten + 1, len(self.events)))


def serials(events: list[Any]) -> list[int]:
    return [each.serial for each in events if isinstance(each, TradeEvent)]


def test_trade_events_come_once_each_and_in_order() -> None:
    record, stream = Record(3 * EVENTS), stream_of(Trades(), after=2)
    assert stream.serial([]) == 2
    message = events_message(2 * EVENTS, record.events[2 * EVENTS : 2 * EVENTS + 3])
    events = stream.take(frame(TRADES, message), 0.0) + answered(stream, record)
    assert serials(events) == [*range(3, 2 * EVENTS + 4)]
    assert events[-1].details == event(1).details
    assert stream.serial([]) == 2 * EVENTS + 3
    assert stream.serial(events[5:]) == 7
    events = stream.take(frame(TRADES, message), 0.0) + answered(stream, record)
    assert events == []
    overlapping = events_message(2 * EVENTS + 1, record.events[2 * EVENTS + 1 : 2 * EVENTS + 5], epoch=2)
    events = stream.take(frame(TRADES, overlapping), 0.0) + answered(stream, record)
    assert serials(events) == [2 * EVENTS + 4, 2 * EVENTS + 5]


def test_trade_events_that_are_forgotten_or_of_another_record_are_a_gap() -> None:
    record, stream = Record(100, forgotten=50), stream_of(Trades(), after=2)
    events = stream.take(frame(TRADES, events_message(60, record.events[60:62])), 0.0)
    events += answered(stream, record)
    assert serials(events) == [*range(51, 63)]
    assert [each[:3] for each in events if isinstance(each, Gap)] == [(Trades(), None, None)]
    lower = stream_of(Trades(), after=500)
    events = lower.take(frame(TRADES, events_message(60, [])), 0.0)
    assert [type(each) for each in events] == [Gap]
    assert lower.serial([]) == 60


def test_a_record_that_lacks_an_event_in_its_middle_is_a_gap() -> None:
    record, stream = Record(10), stream_of(Trades(), after=0)
    del record.events[4]
    events = stream.take(frame(TRADES, events_message(9, [event(10)])), 0.0) + answered(stream, record)
    assert serials(events) == [10]
    assert [type(each) for each in events] == [Gap, TradeEvent]


# ---- states ----


def test_a_state_is_told_once_and_what_was_missed_is_said() -> None:
    topic = Book("EURUSD")
    name, stream = topics.name(topic), stream_of(topic)

    def took(sequence: int, epoch: int, volume: int) -> list[Any]:
        value = [[1, 1.5, volume, float(volume)]]
        return stream.take(frame(name, Snapshot(sequence, epoch, 0, value)), 0.0)

    def book(volume: int) -> BookSnapshot:
        return BookSnapshot("EURUSD", (BookInfo((1, 1.5, volume, float(volume))),))

    assert took(5, 1, 10) == [book(10)]
    assert took(5, 1, 10) == []
    assert took(6, 1, 11) == [book(11)]
    gap, fresh = took(9, 1, 12)
    assert isinstance(gap, Gap)
    assert fresh == book(12)
    assert took(8, 1, 11) == []
    assert took(10, 1, 12) == [book(12)]
    gap, fresh = took(1, 2, 13)
    assert isinstance(gap, Gap)
    assert fresh == book(13)


def test_the_account_is_a_structure() -> None:
    stream = stream_of(Account())
    values = [kind() for kind in AccountInfo.__annotations__.values()]
    (update,) = stream.take(frame(topics.name(Account()), Snapshot(1, 1, 0, values)), 0.0)
    assert update == AccountUpdate(AccountInfo(values))


# ---- what is not what it says is covered where frames come from sockets: `test_scripted.py` ----


@pytest.mark.parametrize("rows", [1, 1024])
def test_rows_that_came_already_are_dropped_by_their_place(rows: int) -> None:
    tape = Tape(ticks_at([SECOND] * rows + [SECOND + 1] * rows))
    publisher, stream = Publisher(tape, 1), stream_of(TOPIC)
    stream.take(publisher.mark(), 0.0)
    tape.head = rows
    frames = publisher.publish()
    assert len(rows_of(stream.take(frames, 0.0))) == rows
    assert stream.take(frames, 0.0) == []
    both = frame(NAME, Batch(9, 9, 0, (SECOND, 0), 2 * rows))
    tape.head = 2 * rows
    events = stream.take([*both, tape.ticks.tobytes()], 0.0) + answered(stream, tape)
    assert len(rows_of(events)) == rows


# ---- the stream's own: behind, silent, questions that are not answered ----


def beat(seconds: float, epoch: int = 1) -> list[bytes]:
    return frame(topics.name(Beat()), BeatMessage(1, epoch, int(seconds * 1000), {}))


def test_who_is_behind_is_told_at_a_second_and_at_each_doubling_and_when_it_has_caught_up() -> None:
    stream = stream_of(TOPIC)
    delays = [3.0, 2.0, 2.9, 3.1, 3.2, 4.1, 5.9, 7.0, 2.6, 2.1, 2.0, 3.5]
    told = [stream.take(beat(100.0 + n, 1), 100.0 + n + delay) for n, delay in enumerate(delays)]
    behind = [[round(event.seconds, 1) for event in events if isinstance(event, Behind)] for events in told]
    assert behind == [[], [], [], [1.1], [], [2.1], [], [5.0], [], [0.0], [], [1.5]]
    assert stream.take(beat(5.0, 2), 500.0) == [Behind(0.0)]  # another process has another clock


def test_clocks_that_part_slowly_are_not_taken_for_being_behind() -> None:
    stream = stream_of(TOPIC)
    for hour in range(24 * 7):
        for minute in range(60):
            gone = hour * 3600 + minute * 60
            assert stream.take(beat(gone), gone * 1.0001) == []


def test_silence_is_told_once_and_the_gateway_is_greeted_until_it_is_back() -> None:
    stream = stream_of(TOPIC)
    stream.take(beat(0), 0.0)
    assert isinstance(stream.next(50.0), Listen)  # there may be messages: nobody has looked
    stream.quiet()
    assert isinstance(stream.next(50.9), Listen)  # nor has anybody been here until now: they are on their way
    stream.quiet()
    step = stream.next(51.1)
    assert isinstance(step, Diagnose)
    (silent,) = stream.diagnosed(step.failure, 51.1)
    assert isinstance(silent, Silent)
    assert silent.seconds == 51.1
    assert isinstance(stream.next(51.1), Greet)
    stream.unreached(Unreachable("down"), 51.1)
    assert isinstance(stream.next(51.1), Listen)
    assert isinstance(stream.next(52.1), Greet)
    stream.greeted(52.1)
    stream.take(beat(52), 52.1)
    step = stream.next(52.1)
    assert isinstance(step, Listen)
    assert step.seconds > 9.0


@pytest.mark.parametrize("lasting", [KeyRefused("no"), WrongGateway("another")])
def test_what_does_not_heal_is_raised(lasting: BridgeError) -> None:
    for tell in (Stream.diagnosed, Stream.unanswered, Stream.unreached):
        stream = stream_of(TOPIC)
        stream.take(beat(0), 0.0)
        with pytest.raises(type(lasting)):
            tell(stream, lasting, 50.0)


def holed() -> tuple[Stream, Tape]:
    tape = Tape(ticks_at([SECOND + number for number in range(10)]))
    publisher, stream = Publisher(tape, 1), stream_of(TOPIC)
    stream.take(publisher.mark(), 0.0)
    tape.head = 10
    publisher.publish()
    assert stream.take(publisher.mark(), 0.0) == []
    return stream, tape


def test_a_question_is_asked_again_when_the_gateway_is_back_and_nothing_is_taken_before() -> None:
    stream, tape = holed()
    now = 0.0
    assert stream.unanswered(ConnectionTimeout("down"), now) == []
    silences = 0
    for _ in range(100):  # it stays away for long
        now += 1.0
        step = stream.next(now)
        if isinstance(step, Diagnose):
            silences += len(stream.diagnosed(step.failure, now))
        elif isinstance(step, Greet):
            stream.unreached(ConnectionTimeout("down"), now)
        else:
            assert isinstance(step, Pause)
    assert silences == 1
    stream.greeted(now)
    assert len(rows_of(answered(stream, tape, now))) == 10


def test_history_that_is_never_answered_by_a_gateway_that_is_there_is_a_gap() -> None:
    stream, _ = holed()
    events: list[Any] = []
    for attempt in range(ATTEMPTS):
        assert not events
        assert isinstance(stream.next(10.0 * attempt), Question)
        events += stream.unanswered(Busy("full"), 10.0 * attempt)
        stream.greeted(10.0 * attempt + 9.0)
    assert [type(event) for event in events] == [Gap]
    refused, _ = holed()
    (gap,) = refused.unanswered(Denied("not for you"), 0.0)
    assert isinstance(gap, Gap)
    assert gap.why == "not for you"

"""Histories that are not what they were, and clocks that go back: said, never mixed in silence."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mt5crs import constants as c
from mt5crs.client.streaming.barfeed import IDLE
from mt5crs.client.streaming.feeds import Question
from mt5crs.client.streaming.rowfeed import BACK, CUT, GONE, MIXED, OTHER, SHORT
from mt5crs.client.streaming.stream import Stream, Wanted
from mt5crs.model import RATES, AccountInfo, RatesArray, TicksArray, TradeEvent, TradeLog
from mt5crs.streams import AccountUpdate, BarBatch, Bookmark, Gap, TickBatch
from mt5crs.topics import Account, AnyTopic, Bars, Beat, Trades
from mt5crs.wire import topics
from mt5crs.wire.messages import Batch, Events, Snapshot
from mt5crs.wire.messages import Beat as BeatMessage
from tests.streams.tape import NAME, TOPIC, Publisher, Tape, answered, event, events_message, frame, ticks_at

SECOND = 1_700_000_000


def stream_of(topic: AnyTopic, since: int | None = None, after: str | int | None = None) -> Stream:
    return Stream(Wanted([topic], since, None if after is None else Bookmark.of(after)), "gtw", 10.0, 0.0)


def take(stream: Stream, frames: list[bytes], now: float = 0.0) -> list[Any]:
    return [*stream.take(frames, now)]


def whys(events: list[Any]) -> list[str]:
    return [each.why for each in events if isinstance(each, Gap)]


# ---- ticks ----

SECONDS = st.lists(st.integers(0, 8), min_size=60, max_size=90)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("advance"), st.integers(1, 8)),
        st.tuples(st.sampled_from(["publish", "drop", "mark"]), st.just(0)),
        st.tuples(st.sampled_from(["again", "late", "fork", "moved", "back"]), st.integers(0, 30)),
    ),
    min_size=10,
    max_size=40,
)
MOVES = (-600, -61, -30, -1, 1, 30, 3600)


def other(tape: Tape, number: int, *, kept: int = 0, moved: int = 0) -> Tape:
    """A history that has some first ticks in common with another one."""
    found = Tape(tape.ticks.copy())
    found.head = tape.head
    found.ticks["bid"][kept:] += 1000.0 * number
    for name, unit in (("time", 1), ("time_msc", 1000)):
        found.ticks[name] += moved * unit
    return found


def is_piece(rows: TicksArray, tape: Tape) -> bool:
    starts = np.flatnonzero(tape.ticks["bid"] == rows["bid"][0])
    return any(np.array_equal(tape.ticks[start : start + len(rows)], rows) for start in starts)


@settings(max_examples=150, deadline=None)
@given(SECONDS, STEPS, st.booleans())
def test_what_came_since_the_last_gap_is_one_piece_of_one_history(
    passing: list[int], steps: list[tuple[str, int]], in_epoch: bool
) -> None:
    tape = Tape(ticks_at(SECOND + np.cumsum(passing)))
    tapes, publisher, stream = [tape], Publisher(tape, 1), stream_of(TOPIC)
    pieces: list[list[TicksArray]] = [[]]

    def deliver(frames: list[bytes]) -> None:
        for each in take(stream, frames, 0.0) + answered(stream, tape):
            if isinstance(each, TickBatch):
                pieces[-1].append(each.ticks)
            elif isinstance(each, Gap):
                assert each.why
                pieces.append([])

    def restart() -> None:
        nonlocal publisher
        tapes.append(tape)
        publisher = Publisher(tape, publisher.epoch + 1)

    deliver(publisher.mark())
    for what, number in steps:
        if what == "advance":
            tape.head = min(tape.head + number, len(tape.ticks))
        elif what == "publish":
            deliver(publisher.publish())
        elif what == "drop":
            publisher.publish()
        elif what == "mark":
            deliver(publisher.mark())
        elif what == "again":
            restart()
        elif what == "late":  # a terminal that is still catching up
            tape.head = max(tape.head - number, 0)
            restart()
        elif what == "fork":
            tape = other(tape, len(tapes), kept=max(tape.head - number, 0))
            restart()
        elif what == "moved":
            tape = other(tape, len(tapes), moved=MOVES[number % len(MOVES)])
            restart()
        elif publisher.sent > number:  # the same process, whose next message begins before its last one's end
            deliver(publisher.publish())
            at = publisher.sent - number - 1
            tape = other(tape, len(tapes))
            tapes.append(tape)
            tape.head, publisher.tape, publisher.sent = at + 1, tape, at
            deliver(publisher.publish())
    deliver(publisher.publish())
    deliver(publisher.mark())
    for piece in pieces:
        rows = np.concatenate([ticks_at([]), *piece])
        assert not len(rows) or any(is_piece(rows, each) for each in tapes)
    if in_epoch:  # nothing dries up: what comes more than a minute later is yielded
        tape.head = len(tape.ticks)
        tape.ticks["time"][-1] += 70
        before = sum(len(piece) for piece in pieces)
        if publisher.sent < tape.head:
            deliver(publisher.publish())
            assert sum(len(piece) for piece in pieces) > before
            assert is_piece(np.concatenate([ticks_at([]), *pieces[-1]])[-1:], tape)


def followed(seconds: Any, head: int) -> tuple[Tape, Stream]:
    """A tape of which all up to its head was yielded."""
    tape = Tape(ticks_at(seconds))
    publisher, stream = Publisher(tape, 1), stream_of(TOPIC)
    take(stream, publisher.mark(), 0.0)
    tape.head = head
    assert len(take(stream, publisher.publish(), 0.0)) == 1
    return tape, stream


def test_another_history_at_the_same_times_is_said_at_the_first_message() -> None:
    tape, stream = followed(SECOND + np.arange(20), 10)
    changed = other(tape, 1)
    publisher = Publisher(changed, 2)
    events = take(stream, publisher.mark(), 0.0) + answered(stream, changed)
    assert events == [Gap(TOPIC, None, SECOND + 9, OTHER)]
    changed.head = 20
    (batch,) = take(stream, publisher.publish(), 0.0)
    assert np.array_equal(batch.ticks, changed.ticks[10:])


def test_another_history_whose_place_is_ahead_is_said() -> None:
    tape, stream = followed(SECOND + np.arange(20), 10)
    changed = other(tape, 1)
    changed.head = 15
    events = take(stream, Publisher(changed, 2).mark(), 0.0) + answered(stream, changed)
    assert events == [Gap(TOPIC, SECOND + 9, SECOND + 14, OTHER)]


def test_a_history_that_is_long_past_is_said_and_followed() -> None:
    tape, stream = followed(SECOND + np.arange(20), 10)
    changed = other(tape, 1, moved=-31_536_000)
    publisher = Publisher(changed, 2)
    assert whys(take(stream, publisher.mark(), 0.0)) == [BACK]
    changed.head = 20
    (batch,) = take(stream, publisher.publish(), 0.0)
    assert np.array_equal(batch.ticks, changed.ticks[10:])


def test_a_terminal_that_catches_up_is_waited_for_in_silence() -> None:
    tape, stream = followed(SECOND + np.arange(30) * 3, 20)
    tape.head = 5
    publisher = Publisher(tape, 2)
    events = take(stream, publisher.mark(), 0.0) + answered(stream, tape)
    for head in (10, 19, 25, 30):
        tape.head = head
        events += take(stream, publisher.publish(), 0.0) + answered(stream, tape)
    assert whys(events) == []
    assert [batch.ticks["bid"].tolist() for batch in events] == [[*range(21, 26)], [*range(26, 31)]]


def test_a_last_tick_that_history_does_not_show_is_said() -> None:
    tape, stream = followed(SECOND + np.arange(20), 10)
    tape.first = 15  # history begins behind it, though the place is that behind it
    events = take(stream, Publisher(tape, 2).mark(), 0.0)
    tape.head = 20
    assert whys(events + answered(stream, tape)) == [GONE]


def test_one_tick_of_the_far_future_does_not_silence_the_right_ones() -> None:
    tape, stream = followed(SECOND + np.arange(20), 10)
    far = SECOND + 10**8
    message = [*frame(NAME, Batch(2, 1, 0, (SECOND + 9, 1), 1)), ticks_at([far]).tobytes()]
    assert [type(each) for each in take(stream, message, 0.0)] == [TickBatch]
    rows = tape.ticks[10:12]
    message = [*frame(NAME, Batch(3, 1, 0, (SECOND + 9, 1), 2)), rows.tobytes()]
    gap, batch = take(stream, message, 0.0)
    assert gap == Gap(TOPIC, None, SECOND + 9, BACK)
    assert np.array_equal(batch.ticks, rows)
    rows = tape.ticks[12:14]
    message = [*frame(NAME, Batch(4, 1, 0, (SECOND + 11, 1), 2)), rows.tobytes()]
    (batch,) = take(stream, message, 0.0)
    assert np.array_equal(batch.ticks, rows)


@pytest.mark.parametrize("times", [[9, 12, 11, 13], [8, 9, 10, 11]])
def test_history_that_is_not_in_order_or_not_what_was_asked_for_is_a_gap(times: list[int]) -> None:
    tape, stream = followed(SECOND + np.arange(20), 10)
    tape.head = 15
    assert take(stream, frame(NAME, Batch(2, 1, 0, tape.place(15), 0)), 0.0) == []
    assert whys(stream.answer(ticks_at([SECOND + each for each in times]), 0.0)) == [MIXED]


def test_history_that_has_fewer_ticks_of_the_second_where_the_message_begins_is_a_gap() -> None:
    tape, stream = followed([SECOND] * 10 + [SECOND + 1] * 10 + [SECOND + 2] * 10, 10)
    message = frame(NAME, Batch(5, 1, 0, (SECOND + 1, 12), 0))
    tape.head = 30
    events = take(stream, message, 0.0) + answered(stream, tape)
    assert whys(events) == [SHORT]


# ---- bars ----

M1 = Bars("EURUSD", c.TIMEFRAME_M1)
START = SECOND // 60 * 60


class Chart:
    """Bars of a terminal, which counts what it is asked."""

    def __init__(self, times: Any) -> None:
        self.bars = np.zeros(len(times), RATES.dtype)
        self.bars["time"] = times
        self.bars["close"] = 1.5
        self.asked = 0

    def copy_rates_range(self, symbol: str, timeframe: int, start: int, end: int) -> RatesArray:
        self.asked += 1
        return self.bars[(self.bars["time"] >= start) & (self.bars["time"] <= end)]

    def copy_rates_from(self, symbol: str, timeframe: int, date: int, count: int) -> RatesArray:
        self.asked += 1
        end = int(self.bars["time"].searchsorted(date, side="right"))
        return self.bars[max(end - count, 0) : end]


def bar_message(place: int, rows: Any = None, *, sequence: int = 1, epoch: int = 1) -> list[bytes]:
    count = 0 if rows is None else len(rows)
    frames = frame(topics.name(M1), Batch(sequence, epoch, 0, (place, 0), count))
    return [*frames, rows.tobytes()] if count else frames


def times_of(events: list[Any]) -> list[int]:
    return [int(time) for each in events if isinstance(each, BarBatch) for time in each.bars["time"]]


def charted() -> tuple[Chart, Stream]:
    """A chart of which the second to the tenth bar were yielded."""
    chart, stream = Chart(START + 60 * np.arange(20)), stream_of(M1)
    assert times_of(take(stream, bar_message(START, chart.bars[1:10]), 0.0)) == [*chart.bars["time"][1:10]]
    return chart, stream


@pytest.mark.parametrize(
    ("changes", "first", "says"),
    [
        ({}, 10, []),
        ({}, 9, []),  # a bar behind: it is catching up
        ({"tick_volume": 7, "spread": 3}, 10, []),  # corrected by the server
        ({"close": 1.6}, 10, [OTHER]),
        ({"close": 1.6}, 9, [OTHER]),
        ({"close": 1.6}, 12, [OTHER]),
        ({}, 5, [BACK]),
        ({"close": 1.6, "time": START - 10_000_000 + 60 * np.arange(20)}, 10, [BACK]),
        ({"time": START + 7 + 60 * np.arange(20)}, 12, [CUT]),
        ({"time": START + 60 * np.arange(10, 30)}, 1, [CUT]),
    ],
)
def test_bars_of_another_process(changes: dict[str, Any], first: int, says: list[str]) -> None:
    chart, stream = charted()
    for name, value in changes.items():
        chart.bars[name] = value
    message = bar_message(int(chart.bars["time"][first - 1]), chart.bars[first:15], epoch=2)
    events = take(stream, message, 0.0) + answered(stream, chart)
    assert whys(events) == says
    end = times_of(events)
    assert end[-1] == chart.bars["time"][14]
    if not says:
        assert end == [*chart.bars["time"][10:15]]


def test_bars_whose_last_one_history_does_not_show_yet() -> None:
    chart, stream = charted()
    whole, chart.bars = chart.bars, chart.bars[:9]
    assert take(stream, bar_message(int(whole["time"][8]), epoch=2), 0.0) + answered(stream, chart) == []
    chart.bars = whole
    message = bar_message(int(whole["time"][8]), whole[9:12], epoch=2, sequence=2)
    assert times_of(take(stream, message, 0.0) + answered(stream, chart)) == [*whole["time"][10:12]]


def test_bars_go_back_within_a_process() -> None:
    chart, stream = charted()
    message = bar_message(int(chart.bars["time"][3]), chart.bars[4:6], sequence=2)
    events = take(stream, message, 0.0)
    assert whys(events) == [BACK]
    assert times_of(events) == [*chart.bars["time"][4:6]]
    assert take(stream, bar_message(START, chart.bars[1:10]), 0.0) == []  # an older message is no news


@pytest.mark.parametrize("place", [1 << 61, (1 << 62) - 1, 29_347_200_000])
def test_a_place_that_is_far_ahead_takes_few_questions(place: int) -> None:
    chart, stream = charted()
    events = take(stream, bar_message(place, sequence=2), 0.0) + answered(stream, chart)
    assert whys(events) == [SHORT]
    assert times_of(events) == [*chart.bars["time"][10:]]
    assert chart.asked < 100


def test_bars_from_the_beginning_of_time_and_over_long_pauses_take_few_questions() -> None:
    times = np.concatenate([START + 60 * np.arange(3000) + pause for pause in (0, 10**7, 10**9)])
    chart, stream = Chart(times), stream_of(M1, since=0)
    events = take(stream, bar_message(int(times[-1])), 0.0) + answered(stream, chart)
    assert whys(events) == []
    assert times_of(events) == [*times]
    assert chart.asked < 100


def test_a_terminal_that_says_there_are_bars_and_gives_none_is_given_up() -> None:
    class Liar(Chart):
        def copy_rates_range(self, symbol: str, timeframe: int, start: int, end: int) -> RatesArray:
            self.asked += 1
            return self.bars[:0]

        def copy_rates_from(self, symbol: str, timeframe: int, date: int, count: int) -> RatesArray:
            self.asked += 1
            bar: RatesArray = self.bars[:1].copy()
            bar["time"] = date
            return bar

    chart, stream = Liar([START]), stream_of(M1, since=0)
    events = take(stream, bar_message(START), 0.0) + answered(stream, chart)
    assert whys(events) == [SHORT]
    assert chart.asked <= IDLE + 1


# ---- trade events ----

TRADES = topics.name(Trades())


class Record:
    """A record of trade events."""

    def __init__(self, log: str, first: int, last: int) -> None:
        self.log, self.first, self.last = log, first, last

    def trade_log(self) -> TradeLog:
        return TradeLog((self.log, self.first, self.last))

    def trade_events(self, after: int, count: int, log: str) -> tuple[TradeEvent, ...] | None:
        if log != self.log or not self.first - 1 <= after <= self.last:
            return None
        return tuple(event(serial) for serial in range(after + 1, min(after + count, self.last) + 1))


def serials(events: list[Any]) -> list[int]:
    return [each.serial for each in events if isinstance(each, TradeEvent)]


def took(stream: Stream, record: Record, serial: int, last: int, log: str = "") -> list[Any]:
    rows = [event(each) for each in range(serial + 1, last + 1)]
    message = frame(TRADES, events_message(serial, rows, log=log or record.log))
    return take(stream, message, 0.0) + answered(stream, record)


@pytest.mark.parametrize(
    ("after", "says", "expected"),
    [
        ("old:9", 1, range(3, 13)),  # all that this record has
        ("old:2", 1, range(3, 13)),
        ("new:9", 0, range(10, 13)),
        ("new:12", 0, ()),
        (9, 0, range(10, 13)),  # nothing can be compared
        (1, 1, range(3, 13)),  # forgotten: what there is follows
        ("new:0", 1, range(3, 13)),
        (None, 0, range(11, 13)),
    ],
)
def test_trade_events_after_a_bookmark(after: str | int | None, says: int, expected: Any) -> None:
    stream, record = stream_of(Trades(), after=after), Record("new", 3, 12)
    assert stream.bookmark([]) == (after if isinstance(after, str) else None)
    events = took(stream, record, 10, 12)
    assert (len(whys(events)), serials(events)) == (says, [*expected])
    assert stream.bookmark([]) == "new:12"
    if serials(events):
        assert stream.bookmark(events[1:]) == f"new:{serials(events)[0] - (0 if not says else 1)}"


def test_another_record_while_it_is_followed_is_read_from_its_first_event_on() -> None:
    stream = stream_of(Trades())
    took(stream, Record("old", 1, 5), 5, 5)
    events = took(stream, Record("new", 1, 3), 3, 3)
    assert (len(whys(events)), serials(events)) == (1, [1, 2, 3])
    events = took(stream, Record("newest", 1, 3), 2, 3, log="other")  # it has changed since the message
    assert (len(whys(events)), serials(events)) == (2, [3])
    assert stream.bookmark([]) == "other:3"


@pytest.mark.parametrize(
    "value", ["", "x", "log:", "log:-1", "log:1.5", -1, True, "log:" + "9" * 30, "log:٣"]
)
def test_what_is_no_bookmark_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="neither"):
        Bookmark.of(value)


# ---- private topics of which nothing is known yet ----


def test_a_granted_topic_of_which_nothing_is_known_yet_is_waited_for() -> None:
    waiting: dict[AnyTopic, Events | Snapshot] = {
        Trades(): Events(0, 1, 0, "", 0, []),
        Account(): Snapshot(0, 1, 0, None),
    }
    for topic, message in waiting.items():
        stream = stream_of(topic, after="log:3" if topic == Trades() else None)
        for second in range(100):
            beat = frame(topics.name(Beat()), BeatMessage(second, 1, second * 1000, {}))
            assert take(stream, beat, float(second)) == []  # `Denied` would be raised
            message.clock = second * 1000
            assert take(stream, frame(topics.name(topic), message), float(second)) == []
            assert not isinstance(stream.next(float(second)), Question)
    trades = stream_of(Trades())
    take(trades, frame(TRADES, Events(0, 1, 0, "", 0, [])))
    assert (trades.serial([]), trades.bookmark([])) == (None, None)
    assert serials(took(trades, Record("log", 1, 4), 3, 4)) == [4]
    account = stream_of(Account())
    take(account, frame(topics.name(Account()), Snapshot(0, 1, 0, None)))
    values = [kind() for kind in AccountInfo.__annotations__.values()]
    message = Snapshot(7, 1, 0, values)
    assert take(account, frame(topics.name(Account()), message), 0.0) == [AccountUpdate(AccountInfo(values))]

"""What finds news of each kind of topic: everything once and in order, and the terminal asked seldom."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mt5crs.bars import open_time
from mt5crs.constants import TIMEFRAME_M1, TIMEFRAME_MN1
from mt5crs.cursors import FEWEST
from mt5crs.terminal.official import barfollower
from mt5crs.terminal.official.barfollower import BESIDES, BarFollower
from mt5crs.terminal.official.follower import FRESH, Follower, Source
from mt5crs.terminal.official.news import place_after
from mt5crs.terminal.official.statefollowers import AccountFollower, BookFollower, TradeFollower
from mt5crs.terminal.official.tickfollower import TickFollower
from mt5crs.terminal.port import NewBars, News, NewState, NewTicks, NewTrades
from mt5crs.timeframes import DAY, TIMEFRAMES
from mt5crs.topics import Account, Bars, Book, Ticks, Trades
from tests.official.broker import MINUTE, OPENING, Broker

M1 = Bars("X", TIMEFRAME_M1)


def ticker(broker: Broker, place: Any = None) -> TickFollower:
    return TickFollower(Source(broker), Ticks("X"), place)


def barred(broker: Broker, place: Any = None) -> BarFollower:
    return BarFollower(Source(broker), M1, place)


class Watch:
    """A follower that is polled, and replaced, and what it found; it is asked long after the last time.

    Args:
        make: Makes a follower that goes on from a place.
    """

    def __init__(self, make: Any) -> None:
        self.now = 0.0
        self.place: Any = None
        self.news: list[Any] = []
        self._make = make
        self._follower: Follower = make(None)

    def poll(self, seconds: float = BESIDES) -> News | None:
        self.now += seconds
        news = self._follower.poll(self.now)
        if news is not None:
            self.place = place_after(news)
            self.news.append(news)
        return news

    def replace(self) -> None:
        self._follower = self._make(self.place)


# ---- ticks ----


def taken(follower: TickFollower) -> list[int]:
    news = follower.poll(0.0)
    return [int(time) for time in news.ticks["time_msc"]] if isinstance(news, NewTicks) else []


def test_ticks_of_equal_times_are_neither_lost_nor_doubled() -> None:
    broker = Broker()
    broker.times = [1000, 1500, 1500]
    follower = ticker(broker)
    first = follower.poll(0.0)
    assert isinstance(first, NewTicks)
    assert (first.start, len(first.ticks)) == ((1, 3), 0)
    broker.times += [1500, 1500, 1900]
    assert taken(follower) == [1500, 1500, 1900]
    broker.times += [1900, 2000, 2000]
    assert taken(follower) == [1900, 2000, 2000]
    assert taken(follower) == []
    broker.times += [2000]
    assert taken(ticker(broker, [2, 2])) == [2000]


def test_a_second_of_which_the_terminal_kept_less_costs_no_tick_of_the_next_one() -> None:
    broker = Broker()
    broker.times = [1000, 1000, 1000]
    follower = ticker(broker)
    assert taken(follower) == []
    broker.times = [1000, 2000, 2000]
    assert taken(follower) == [2000, 2000]
    assert taken(follower) == []


def test_a_symbol_without_a_price_begins_with_its_first_tick() -> None:
    broker = Broker()
    follower = ticker(broker)
    assert follower.poll(0.0) is None
    broker.times += [5000, 5001]
    news = follower.poll(0.0)
    assert isinstance(news, NewTicks)
    assert (news.start, list(news.ticks["time_msc"])) == ((5, 0), [5000, 5001])
    assert follower.poll(0.0) is None


def test_it_is_told_where_the_present_is_once_the_terminal_tells_it() -> None:
    broker = Broker()
    broker.times = [1000] * (3 * FEWEST)
    follower = ticker(broker)
    broker.failing = {"copy_ticks_from"}
    assert follower.poll(0.0) is None
    broker.failing = {"symbol_info_tick"}
    news = follower.poll(0.0)
    assert isinstance(news, NewTicks)
    assert (news.start, len(news.ticks)) == ((1, 3 * FEWEST), 0)


def test_ticks_are_asked_for_often_while_they_come_and_at_least_every_50_ms() -> None:
    broker = Broker()
    broker.times = [1000]
    follower = ticker(broker)
    pauses, now = [], 0.0
    for at in range(12):
        broker.times += [1000] * (at == 10)
        follower.poll(now)
        pauses.append(round(follower.due - now, 6))
        now = follower.due
    assert pauses == [0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.05, 0.05, 0.05, 0.05, 0.001, 0.002]


ARRIVALS = st.lists(st.sampled_from([0, 0, 0, 1, 40, 999, 1000, 61_000]), max_size=5)
BURSTS = st.tuples(st.sampled_from([0, 1]), st.sampled_from([FEWEST - 1, FEWEST, 5 * FEWEST]))
STEPS = st.lists(
    st.one_of(ARRIVALS, BURSTS, st.sampled_from(["poll", "poll", "replace", "fail"])), max_size=25
)


@given(STEPS)
@settings(max_examples=150, deadline=None)
def test_whatever_comes_when_each_tick_is_found_once_and_in_order(steps: list[Any]) -> None:
    broker = Broker()
    broker.times = [OPENING * 1000] * 3
    watch = Watch(lambda place: ticker(broker, place))
    watch.poll()
    for step in steps:
        if step == "replace":
            watch.replace()
        elif isinstance(step, str):
            broker.failing = {"copy_ticks_from"} if step == "fail" else set()
            watch.poll()
        else:
            gaps = [step[0]] + [0] * step[1] if isinstance(step, tuple) else step
            for gap in gaps:
                broker.times.append(broker.times[-1] + gap)
    broker.failing = set()
    while watch.poll() is not None:
        pass
    found = [int(bid) for news in watch.news for bid in news.ticks["bid"]]
    assert found == list(range(3, len(broker.times)))
    place = watch.news[0].start
    assert place == (OPENING, 3)
    for news in watch.news:
        assert news.start == place
        place = place.after(news.ticks)


# ---- bars ----


def bars_of(news: Any) -> tuple[int, list[int]]:
    """Return where bars begin, and their open times, in minutes after the opening."""
    assert isinstance(news, NewBars)
    times = [news.after, *news.bars["time"].tolist()]
    after, *opened = [(time - OPENING) // MINUTE for time in times]
    return after, opened


def test_a_bar_is_told_of_when_the_next_one_has_opened() -> None:
    broker = Broker()
    for _ in range(3):
        broker._open_bar()
    watch = Watch(lambda place: barred(broker, place))
    assert bars_of(watch.poll()) == (2, [])
    assert watch.poll() is None
    broker._open_bar()
    assert bars_of(watch.poll(1.0)) == (2, [3])
    broker._open_bar()
    broker._open_bar(5)
    watch.replace()
    assert bars_of(watch.poll(1.0)) == (3, [4, 5])
    assert watch.poll() is None


def test_bars_are_asked_for_when_the_present_one_should_have_ended_and_now_and_then() -> None:
    broker = Broker()
    for _ in range(3):
        broker._open_bar()
    watch = Watch(lambda place: barred(broker, place))
    watch.poll()
    asked = broker.calls["copy_rates_from_pos"]
    broker.times += [broker.times[-1] + 59_999]
    for _ in range(9):
        assert watch.poll(1.0) is None
    assert broker.calls["copy_rates_from_pos"] == asked
    watch.poll(1.0)
    assert broker.calls["copy_rates_from_pos"] == asked + 1
    broker._open_bar()
    broker.hidden = 1  # the tick is there before its bar
    for _ in range(100):
        assert watch.poll(0.01) is None
    assert asked + 5 < broker.calls["copy_rates_from_pos"] < asked + 12
    broker.hidden = 0
    assert bars_of(watch.poll(1.0)) == (2, [3])


def test_all_timeframes_of_a_symbol_share_its_last_tick() -> None:
    broker = Broker()
    broker._open_bar()
    source = Source(broker)
    for _ in range(21):
        source.last_second("X", 5.0)
    assert broker.calls["symbol_info_tick"] == 1
    source.last_second("X", 5.0 + 2 * FRESH)
    assert broker.calls["symbol_info_tick"] == 2


def test_the_first_bar_of_all_is_told_of_too() -> None:
    broker = Broker()
    watch = Watch(lambda place: barred(broker, place))
    assert watch.poll() is None
    broker._open_bar()
    assert watch.poll() is None
    broker._open_bar()
    news = watch.poll()
    assert isinstance(news, NewBars)
    assert (news.after, news.bars["open"].tolist()) == (0, [0])
    broker._open_bar()
    assert bars_of(watch.poll()) == (1, [2])


def test_no_more_bars_are_asked_for_than_the_terminal_gives() -> None:
    broker = Broker()
    broker.maxbars = 50
    for _ in range(3):
        broker._open_bar()
    watch = Watch(lambda place: barred(broker, place))
    assert bars_of(watch.poll()) == (2, [])
    for _ in range(100):
        broker._open_bar()
    # Of 49 the last one is the present; the first is where they begin, since the one before is not known.
    assert bars_of(watch.poll()) == (55, list(range(56, 103)))


def test_many_bars_come_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(barfollower, "MOST", 40)
    broker = Broker()
    for _ in range(3):
        broker._open_bar()
    watch = Watch(lambda place: barred(broker, place))
    watch.poll()
    for _ in range(100):
        broker._open_bar()
    assert [len(bars_of(watch.poll(1.0))[1]) for _ in range(3)] == [40, 40, 20]
    assert watch.poll() is None


@pytest.mark.parametrize("timeframe", TIMEFRAMES.values(), ids=TIMEFRAMES)
@pytest.mark.parametrize("at", [OPENING, 1_706_745_599, 1_709_164_800])  # also the ends of two months
def test_a_bar_ends_where_the_next_one_opens(timeframe: int, at: int) -> None:
    opened = open_time(at, timeframe)
    end = barfollower._end(opened, timeframe)
    assert end > at
    assert open_time(end, timeframe) == end
    assert open_time(end - 1, timeframe) == opened
    assert timeframe != TIMEFRAME_MN1 or end - opened in {29 * DAY, 30 * DAY, 31 * DAY}


BAR_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("bars"), st.integers(1, 9), st.sampled_from([1, 1, 1, 3, 3000])),
        st.tuples(st.just("poll"), st.sampled_from([0.01, 0.3, 20.0])),
        st.tuples(st.just("fail")),
        st.tuples(st.just("short"), st.integers(0, 5)),
        st.tuples(st.just("late"), st.integers(0, 4)),
        st.tuples(st.just("well")),
        st.tuples(st.just("replace")),
    ),
    max_size=40,
)


@given(st.integers(0, 6), BAR_STEPS)
@settings(max_examples=200, deadline=None)
def test_whatever_the_terminal_answers_each_closed_bar_is_found_once_and_in_order(
    at_first: int, steps: list[Any]
) -> None:
    broker = Broker()
    for _ in range(10 + at_first):
        broker._open_bar()
    broker.shown = max(2, at_first)
    watch = Watch(lambda place: barred(broker, place))

    def well() -> None:
        broker.failing, broker.shown, broker.hidden = set(), 1_000_000, 0

    for kind, *args in steps:
        if kind == "bars":
            for _ in range(args[0]):
                broker._open_bar(args[1])
        elif kind == "poll":
            watch.poll(*args)
        elif kind == "fail":
            broker.failing = {"copy_rates_from_pos"}
        elif kind == "short":
            broker.shown = args[0]
        elif kind == "late":
            broker.hidden = args[0]
        elif kind == "replace":
            watch.replace()
        else:
            well()
    well()
    while watch.poll() is not None:
        pass
    after = watch.news[0].after
    if after:
        assert bars_of(watch.news[0])[1] == [] or len(watch.news) == 1
    expected = [time for time in broker.opened[:-1] if time > after]
    found = [int(time) for news in watch.news for time in news.bars["time"]]
    if after == 0:  # all that there seemed to be was new
        expected = expected[len(expected) - len(found) :]
    assert found == expected
    for before, news in zip(watch.news, watch.news[1:], strict=False):
        assert news.after == place_after(before)


# ---- states ----


def test_the_account_is_told_of_when_a_field_of_it_has_changed() -> None:
    broker = Broker()
    watch = Watch(lambda place: AccountFollower(Source(broker), Account(), place))
    news = watch.poll()
    assert isinstance(news, NewState)
    assert news == (Account(), list(broker.account_info()))
    assert watch.poll() is None
    watch.replace()
    assert watch.poll() is None  # the next one knows what was told
    broker.balance += 0.01
    news = watch.poll()
    assert isinstance(news, NewState)
    assert news.value == list(broker.account_info())
    broker.failing = {"account_info"}
    assert watch.poll() is None


def test_a_book_is_subscribed_to_told_of_and_let_go() -> None:
    broker = Broker()
    broker.book = [2.0, 1.0]
    follower = BookFollower(Source(broker), Book("X"), None)
    news = follower.poll(0.0)
    assert isinstance(news, NewState)
    assert [row[1] for row in news.value] == [2.0, 1.0]
    assert follower.poll(0.1) is None
    broker.added.clear()  # as a terminal that was started again
    broker.book = []
    assert [follower.poll(now) for now in (0.2, 5.0)] == [None, (Book("X"), [])]
    follower.end()
    assert broker.added == set()


def test_a_symbol_without_depth_has_an_empty_book() -> None:
    broker = Broker()
    follower = BookFollower(Source(broker), Book("Y"), None)
    assert [follower.poll(now) for now in (0.0, 0.1, 5.0)] == [(Book("Y"), []), None, None]
    assert broker.calls["market_book_add"] == 2
    follower.end()
    assert broker.calls["market_book_release"] == 0


def test_a_book_that_the_terminal_does_not_give_is_empty_until_it_does() -> None:
    broker = Broker()
    broker.failing = {"market_book_get"}
    follower = BookFollower(Source(broker), Book("X"), None)
    assert [follower.poll(now) for now in (0.0, 0.1, 5.0)] == [(Book("X"), []), None, None]
    broker.failing = set()
    broker.book = [1.0]
    news = follower.poll(10.0)
    assert isinstance(news, NewState)
    assert len(news.value) == 1


def test_a_terminal_that_does_not_answer_has_no_book_rather_than_an_empty_one() -> None:
    broker = Broker()
    broker.failing = {"market_book_add", "symbol_info"}
    follower = BookFollower(Source(broker), Book("X"), None)
    assert follower.poll(0.0) is None
    broker.failing = set()
    broker.book = [1.0]
    news = follower.poll(5.0)
    assert isinstance(news, NewState)
    assert len(news.value) == 1


def test_trades_are_worth_a_look_when_anything_but_prices_has_changed() -> None:
    broker = Broker()
    watch = Watch(lambda place: TradeFollower(Source(broker), Trades(), place))
    assert watch.poll() == NewTrades()
    assert watch.poll() is None
    changes: list[tuple[Any, bool]] = [
        (lambda: broker.orders.append({"ticket": 1, "state": 1}), True),
        (lambda: broker.orders[0].update(price_current=1.5), False),
        (lambda: broker.orders[0].update(sl=1.5), True),
        (broker.orders.clear, True),
        (lambda: broker.positions.append({"ticket": 2, "volume": 1.0}), True),
        (lambda: broker.positions[0].update(price_current=2.0, profit=5.0, swap=-1.0), False),
        (lambda: broker.positions[0].update(volume=0.5), True),
        (lambda: broker.totals.__setitem__(0, 1), True),
        (lambda: broker.totals.__setitem__(1, 1), True),
        (lambda: broker.failing.add("positions_get"), False),
        (broker.failing.clear, False),
        (watch.replace, True),
    ]
    for change, is_worth_a_look in changes:
        change()
        assert (watch.poll() is not None) is is_worth_a_look
        assert watch.poll() is None


@pytest.mark.parametrize("make", [AccountFollower, TradeFollower])
def test_account_and_trades_are_asked_for_ten_times_a_second_at_most_and_twice_when_idle(make: Any) -> None:
    broker = Broker()
    follower = make(Source(broker), Account() if make is AccountFollower else Trades(), None)
    pauses, now = [], 0.0
    for _ in range(5):
        follower.poll(now)
        pauses.append(round(follower.due - now, 6))
        now = follower.due
    assert pauses == [0.1, 0.2, 0.4, 0.5, 0.5]

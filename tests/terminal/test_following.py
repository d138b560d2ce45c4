"""What is followed for streams: nothing missing, nothing twice, and the same as what is asked for."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mt5crs import constants as c
from mt5crs.cursors import Cursor, TickPages
from mt5crs.model import TICKS
from mt5crs.terminal.port import NewBars, News, NewState, NewTicks, NewTrades
from mt5crs.terminal.simulated import SimulatedConfig, SimulatedTerminal
from mt5crs.terminal.simulated.followers import BarFollower, TickFollower
from mt5crs.terminal.simulated.prices.market import Playback
from mt5crs.timeframes import TIMEFRAMES
from mt5crs.topics import Account, AnyTopic, Bars, Book, Ticks, Trades
from tests.terminal.desk import OPENING, Clock, Desk

Quotes = Callable[..., Desk]
Synthetic = Callable[..., Desk]

STEPS = st.lists(st.sampled_from([0.0, 0.0004, 0.001, 0.3, 1.0, 59.9, 61.0, 900.0, 30_000.0]), max_size=12)


def news_of(desk: Desk, topic: AnyTopic) -> list[Any]:
    desk.terminal.advance()
    return [news for news in desk.terminal.take_news() if news.topic == topic]


def wait_for(desk: Desk, topic: AnyTopic) -> Any:
    """Let time pass as the terminal says, until there is news."""
    for _ in range(1000):
        desk.clock.now += desk.terminal.advance()
        for news in news_of(desk, topic):
            return news
    raise AssertionError(f"nothing is told of {topic}")


def from_place(desk: Desk, symbol: str, place: Cursor) -> Any:
    """All ticks behind a place, as anybody would ask for them."""
    pages = TickPages(place, most=2_000_000)
    found = []
    while not pages.is_at_end:
        second, count = pages.question
        found.append(pages.take(desk.get("copy_ticks_from", symbol, second, count, c.COPY_TICKS_ALL)))
    return np.concatenate(found)


def crowded(seed: int) -> Desk:
    """A desk whose ticks come in crowds, some of them without any flag: those are not told."""
    random = np.random.default_rng(seed)
    ticks = np.zeros(3000, TICKS.dtype)
    msc = np.sort(random.integers(0, 100, 3000) * random.integers(0, 5_000, 3000)) + OPENING * 1000
    ticks["time_msc"], ticks["time"] = msc, msc // 1000
    ticks["bid"], ticks["ask"] = 1.1, 1.1001
    ticks["flags"] = random.choice([0, 0x10000, 2, 4, 6], 3000)
    desk = Desk.__new__(Desk)
    desk.clock = Clock(OPENING)
    playback = Playback({"EURUSD": ticks}, 60_000)
    desk.terminal = SimulatedTerminal(SimulatedConfig(start=OPENING + 100.0), desk.clock, playback)
    return desk


def desks(seed: int) -> Iterator[tuple[Desk, str]]:
    yield crowded(seed), "EURUSD"
    yield Desk(SimulatedConfig(seed=seed)), "XAUUSD"
    yield Desk(SimulatedConfig(seed=seed, start=1_700_000_000.0, speed=1000.0)), "EURUSD"


@pytest.mark.parametrize("which", range(3))
@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 99), steps=STEPS)
def test_ticks_are_those_of_the_history_from_where_they_are_followed(
    which: int, seed: int, steps: list[float]
) -> None:
    desk, symbol = list(desks(seed))[which]
    desk.terminal.follow(Ticks(symbol))
    seen: list[NewTicks] = []
    for step in [0.0, *steps]:
        desk.clock.now += step if which < 2 else step / 100
        for _ in range(100):  # a long step is taken in pieces
            seen += (told := news_of(desk, Ticks(symbol)))
            if not told:
                break
    assert seen[0].start.after(seen[0].ticks) == seen[min(1, len(seen) - 1)].start
    for one, next_one in pairwise(seen):
        assert one.start.after(one.ticks) == next_one.start
    history = from_place(desk, symbol, seen[0].start)
    assert np.concatenate([news.ticks for news in seen]).tolist() == history.tolist()


@pytest.mark.parametrize(("start", "speed"), [(1_700_000_000.0, 1.0), (1_709_250_000.0, 30.0)])
@settings(max_examples=4, deadline=None)
@given(steps=STEPS)
def test_bars_are_told_once_each_when_the_first_tick_of_a_later_one_has_come(
    start: float, speed: float, steps: list[float]
) -> None:
    desk = Desk(SimulatedConfig(seed=5, start=start, speed=speed))
    topics = [Bars("EURUSD", timeframe) for timeframe in TIMEFRAMES.values()]
    for topic in topics:
        assert desk.terminal.follow(topic)
    told: dict[Bars, list[NewBars]] = {topic: [] for topic in topics}
    for step in [0.0, *steps]:
        desk.clock.now += step
        desk.terminal.advance()
        for news in desk.terminal.take_news():
            assert isinstance(news, NewBars)
            told[news.topic].append(news)
        time = desk.get("symbol_info_tick", "EURUSD").time
        for topic in topics:
            first = told[topic][0].after
            rates = desk.get("copy_rates_range", "EURUSD", topic.timeframe, first, time)
            assert rates["time"][0] == first
            # All but the one that the last tick is in are closed.
            bars = np.concatenate([news.bars for news in told[topic]])
            assert bars.tolist() == rates[1:-1].tolist()
    for topic in topics:
        places = [int(news.bars["time"][-1]) if len(news.bars) else news.after for news in told[topic]]
        assert [news.after for news in told[topic][1:]] == places[:-1]


def test_a_bar_is_closed_by_a_tick_and_not_by_time(quotes: Quotes) -> None:
    desk = quotes((0, 1.1, 1.2), (30, 1.2, 1.3), (185, 1.1, 1.2), (250, 1.1, 1.2), (3700, 1.1, 1.2))
    minutes, hours = Bars("EURUSD", c.TIMEFRAME_M1), Bars("EURUSD", c.TIMEFRAME_H1)
    for topic in (minutes, hours):
        assert desk.terminal.follow(topic)
    told: list[tuple[float, AnyTopic, int, list[int]]] = []
    for second in (0, 59, 60, 184, 185, 239.999, 3600, 3699, 3700):
        desk.at(second)
        desk.terminal.advance()
        for news in desk.terminal.take_news():
            assert isinstance(news, NewBars)
            after = news.after and news.after - OPENING
            told.append((second, news.topic, after, [int(time) - OPENING for time in news.bars["time"]]))
    assert told == [
        (0, minutes, 0, []),
        (0, hours, 0, []),
        (185, minutes, 0, [0]),
        (3600, minutes, 0, [180]),
        (3700, minutes, 180, [240]),
        (3700, hours, 0, [0]),
    ]


def test_the_terminal_says_when_a_bar_may_close(quotes: Quotes) -> None:
    desk = quotes((0, 1.1, 1.2), (30, 1.2, 1.3), (185, 1.1, 1.2), (3700, 1.1, 1.2))
    desk.terminal.follow(Bars("EURUSD", c.TIMEFRAME_M1))
    desk.at(1)
    assert len(news_of(desk, Bars("EURUSD", c.TIMEFRAME_M1))) == 1
    assert desk.terminal.advance() == 59.0  # nothing else is followed: the tick at 30 s is not looked for
    desk.at(60)
    assert desk.terminal.take_news() == []
    desk.at(150)
    assert desk.terminal.advance() == pytest.approx(35.0, abs=0.01)


def test_the_book_is_told_when_it_changes(synthetic: Synthetic) -> None:
    desk = synthetic()
    symbol = "AAPL"
    topic = Book(symbol)
    assert desk.terminal.follow(topic)
    assert not desk.terminal.follow(Book("NOSUCH"))
    desk.get("market_book_add", symbol)

    def asked() -> list[Any]:
        return [list(each) for each in desk.get("market_book_get", symbol)]

    (news,) = news_of(desk, topic)
    assert news == NewState(topic, asked())
    assert len(news.value) > 2
    assert news_of(desk, topic) == []
    desk.deal(c.ORDER_TYPE_BUY, 1.0, symbol=symbol)  # what was filled is missing until the next tick
    ((_, filled),) = news_of(desk, topic)
    assert filled == asked() != news.value
    told = wait_for(desk, topic)
    assert told.value == asked() != filled


def test_the_book_of_a_symbol_without_depth_is_empty(synthetic: Synthetic) -> None:
    desk = synthetic()
    symbol = next(s.name for s in desk.terminal.market.symbols.values() if not s.book_depth)
    topic = Book(symbol)
    assert desk.terminal.follow(topic)
    assert news_of(desk, topic) == [NewState(topic, [])]
    desk.at(1)
    assert desk.terminal.advance() == 60.0
    desk.at(100)
    assert news_of(desk, topic) == []


def test_the_account_is_told_when_a_field_of_it_changes(synthetic: Synthetic) -> None:
    desk = synthetic()
    topic = Account()
    assert desk.terminal.follow(topic)

    def told() -> list[list[Any]]:
        return [news.value for news in news_of(desk, topic)]

    def asked() -> list[Any]:
        return list(desk.get("account_info"))

    assert told() == [asked()]
    desk.at(10)
    assert told() == []  # nothing is held: no tick moves it
    desk.deal(c.ORDER_TYPE_BUY, 1.0, symbol="EURJPY")
    assert told() == [asked()]
    for _ in range(20):
        assert wait_for(desk, topic).value == asked()
    desk.terminal.switches.account_trade_allowed = False
    desk.clock.now += 1.0
    assert told() == [asked()]


def test_no_tick_that_moves_the_account_goes_by(synthetic: Synthetic) -> None:
    """Also those of the pairs that convert: GBPJPY in USD moves with USDJPY."""
    desk, other = synthetic(), synthetic()
    for each in (desk, other):
        each.deal(c.ORDER_TYPE_BUY, 1.0, symbol="GBPJPY")
    desk.terminal.follow(Account())
    values: list[list[Any]] = []
    moments: list[float] = []
    while desk.clock.now < OPENING + 60:
        values += [news.value for news in news_of(desk, Account())]
        moments.append(desk.clock.now)
        desk.clock.now += desk.terminal.advance()
    asked: list[list[Any]] = []
    for moment in sorted({*moments, *np.arange(OPENING, OPENING + 60, 0.01).tolist()}):
        if moment <= moments[-1]:
            other.clock.now = moment
            value = list(other.get("account_info"))
            if not asked or asked[-1] != value:
                asked.append(value)
    assert values == asked


def test_trades_are_told_of_when_something_has_become_of_them(quotes: Quotes) -> None:
    desk = quotes((0, 1.1, 1.1001), (10, 1.1, 1.1001), (20, 1.2, 1.2001), (99, 1.2, 1.2001))
    topic = Trades()
    assert desk.terminal.follow(topic)

    def is_told() -> bool:
        told = news_of(desk, topic)
        assert told in ([], [NewTrades()])
        return bool(told)

    assert is_told()
    assert not is_told()
    held = desk.deal(c.ORDER_TYPE_BUY, 0.1, tp=1.15)
    assert is_told()
    desk.send(action=c.TRADE_ACTION_SLTP, position=held.order, symbol="EURUSD", tp=1.16)
    assert is_told()
    desk.at(10)
    assert not is_told()  # a tick came and changed nothing
    expires = OPENING + 15
    desk.pend(c.ORDER_TYPE_BUY_LIMIT, 1.0, type_time=c.ORDER_TIME_SPECIFIED, expiration=expires)
    assert is_told()
    desk.at(16)
    assert is_told()  # it has expired
    desk.at(20)
    assert desk.get("positions_total") == 0  # a call that lets time pass does not keep it to itself
    assert is_told()
    assert not is_told()


def test_what_is_not_followed_is_not_looked_at(synthetic: Synthetic) -> None:
    desk = synthetic()
    every: list[AnyTopic] = [Trades(), Account(), *map(Book, desk.terminal.market.symbols)]
    every += [*map(Ticks, desk.terminal.market.symbols)]
    for topic in every:
        assert desk.terminal.follow(topic)
        assert desk.terminal.follow(topic)  # also twice
    news: list[News] = desk.terminal.take_news()
    assert [each.topic for each in news] == every
    for topic in every:
        desk.terminal.unfollow(topic)
    desk.at(5)
    desk.deal(c.ORDER_TYPE_BUY, 0.1)
    assert desk.terminal.take_news() == []
    desk.terminal.close()


def test_only_what_is_due_is_looked_at(synthetic: Synthetic, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = synthetic()
    symbols = list(desk.terminal.market.symbols)
    for symbol in symbols:
        desk.terminal.follow(Ticks(symbol))
        desk.terminal.follow(Bars(symbol, c.TIMEFRAME_M1))
    assert len(desk.terminal.take_news()) == len(symbols) * 2
    looked: list[AnyTopic] = []
    for kind in (TickFollower, BarFollower):

        def counted(self: Any, take: Callable[[Any], News | None] = kind.take) -> News | None:
            looked.append(self.topic)
            return take(self)

        monkeypatch.setattr(kind, "take", counted)
    told: list[AnyTopic] = []
    for _ in range(50):
        desk.clock.now += desk.terminal.advance()
        told += [news.topic for news in desk.terminal.take_news()]
    assert set(looked) == set(told) == {topic for topic in told if isinstance(topic, Ticks)}
    assert len(looked) < 3 * len(told)


def test_a_terminal_that_is_cut_off_tells_nothing_new_and_is_not_asked_all_the_time(
    synthetic: Synthetic,
) -> None:
    desk = synthetic()
    terminal = desk.terminal
    topic = Ticks("EURUSD")
    terminal.follow(topic)
    (first,) = news_of(desk, topic)
    terminal.set_spell("disconnect", True, desk.clock.now)
    terminal.take_news()
    desk.at(30)
    assert news_of(desk, topic) == []
    assert terminal.advance() == 60.0
    terminal.set_spell("disconnect", False, desk.clock.now)
    (news,) = news_of(desk, topic)
    assert news.ticks.tolist() == from_place(desk, "EURUSD", first.start).tolist()
    assert len(news.ticks) > 10


class Hasty:
    """A clock that goes on whenever it is read."""

    def __init__(self, step: float) -> None:
        self.now, self.step = float(OPENING), step

    def __call__(self) -> float:
        self.now += self.step
        return self.now


@pytest.mark.parametrize("step", [0.0003, 0.007, 0.11, 2.0])
@pytest.mark.parametrize("topic", [Bars("AAPL", c.TIMEFRAME_M1), Book("AAPL")], ids=str)
def test_what_comes_during_a_look_is_looked_for_again(topic: Bars | Book, step: float) -> None:
    """Time that goes on meanwhile is no reason to wait for the next tick but one."""
    desk = Desk(SimulatedConfig())
    clock = Hasty(step)
    terminal = desk.terminal = SimulatedTerminal(desk.terminal.config, clock)
    terminal.follow(topic)
    desk.get("market_book_add", topic.symbol)
    told: Any = None
    for _ in range(400):
        clock.step = step
        for news in news_of(desk, topic):
            told = news.value if isinstance(news, NewState) else news.after
            if isinstance(news, NewBars) and len(news.bars):
                told = int(news.bars["time"][-1])
        clock.step = 0.0
        if isinstance(topic, Book):
            asked: Any = [list(each) for each in desk.get("market_book_get", topic.symbol)]
        else:
            time = desk.get("symbol_info_tick", topic.symbol).time
            asked = int(desk.get("copy_rates_from", topic.symbol, topic.timeframe, time, 2)["time"][0])
        if told != asked:
            assert terminal.advance() == 0.001  # at once
        clock.now += 0.05

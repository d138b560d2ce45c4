"""What the stream worker does, without a process: who is asked when, what is sent, whose account it is of."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mt5crs.last_error import AUTHORIZATION_FAILED, IPC_TIMEOUT, NO_IPC_CONNECTION
from mt5crs.operation import Result
from mt5crs.terminal.official.attachment import ATTACH_EVERY, Attachment
from mt5crs.terminal.official.desks import Lost
from mt5crs.terminal.official.following import Following
from mt5crs.terminal.official.messages import Configuration
from mt5crs.terminal.official.news import pack
from mt5crs.terminal.official.rows import FOLLOW, PULSE
from mt5crs.terminal.official.streamdesk import CHECK_EVERY, StreamDesk
from mt5crs.terminal.port import NewBars, News, NewState, NewTicks, NewTrades
from mt5crs.topics import Account, AnyTopic, Bars, Book, Ticks, Trades
from tests.official.broker import OTHERS, OURS, Broker

ANYONE = Configuration("", "", 0, "", "", 1000)
ALL: list[AnyTopic] = [Ticks("X"), Bars("X", 1), Book("X"), Account(), Trades()]


class Lane:
    """A stream worker without a process, its terminal and what that has brought."""

    def __init__(self) -> None:
        self.now = 100.0
        self.broker = Broker()
        for _ in range(5):
            self.broker._open_bar()
        self.broker.book = [1.0]
        self.following = Following()
        self.news: list[News] = []
        self.start()

    def start(self) -> None:
        """Have a new worker."""
        self.attachment = Attachment(self.broker, ANYONE, lambda: self.now)
        self.attachment.attach(OURS)
        self.desk = StreamDesk(self.attachment, lambda: self.now)
        self.following.restart()

    def tell(self) -> Result | None:
        """Tell the worker what is wanted, where that is due."""
        wanted = self.following.to_tell(self.now)
        if wanted is None:
            return None
        try:
            result = self.desk.carry_out(FOLLOW.name, wanted)
        except Lost:
            self.attachment.attach(OURS)
            result = Result(None, NO_IPC_CONNECTION)
        self.following.told(wanted, result, self.now)
        return result

    def follow(self, *topics: AnyTopic) -> None:
        for topic in topics:
            self.following.add(topic)
        self.tell()

    def look(self, seconds: float = 1.0, *, is_lost: bool = False) -> list[News]:
        """Have the worker look after a while; what it finds may be lost with it."""
        self.now += seconds
        self.tell()
        found = self.desk.look()
        if is_lost:
            return []
        for number, news in found:
            self.following.collect(number, *pack(news))
        taken = self.following.take()
        self.news += taken
        return taken


def kinds(news: list[News]) -> list[str]:
    return [type(each).__name__ for each in news]


def test_what_is_not_followed_costs_the_terminal_nothing() -> None:
    lane = Lane()
    assert lane.desk.pause == float("inf")
    lane.follow(*ALL)
    assert kinds(lane.look()) == ["NewTicks", "NewBars", "NewState", "NewState", "NewTrades"]
    assert lane.broker.added == {"X"}
    for topic in ALL:
        lane.following.remove(topic)
    lane.tell()
    assert lane.broker.added == set()
    lane.broker.calls.clear()
    for _ in range(5):
        assert lane.look() == []
    assert lane.desk.pause == float("inf")
    assert not lane.broker.calls


@pytest.mark.parametrize(
    ("topic", "asked"),
    [
        (Ticks("X"), {"symbol_select", "symbol_info_tick", "copy_ticks_from"}),
        (Bars("X", 1), {"symbol_select", "copy_rates_from_pos", "symbol_info_tick"}),
        (Book("X"), {"symbol_select", "market_book_add", "market_book_get"}),
        (Account(), set()),
        (Trades(), {"orders_get", "positions_get", "history_orders_total", "history_deals_total"}),
    ],
)
def test_what_is_followed_asks_for_nothing_else(topic: AnyTopic, asked: set[str]) -> None:
    lane = Lane()
    lane.broker.calls.clear()
    lane.follow(topic)
    lane.look()
    lane.look()
    assert lane.broker.calls.keys() - {"account_info"} == asked


def test_each_is_asked_when_it_is_due_and_busy_symbols_more_often() -> None:
    lane = Lane()
    lane.follow(Ticks("X"), Trades())
    for _ in range(10):
        lane.look()
    lane.broker.calls.clear()
    end = lane.now + 10.0
    while lane.now < end:
        lane.look(lane.desk.pause)
    assert 195 <= lane.broker.calls["copy_ticks_from"] <= 205
    assert 19 <= lane.broker.calls["orders_get"] <= 21
    lane.broker.times.append(lane.broker.times[-1])
    lane.look(0.05)
    assert lane.desk.pause == pytest.approx(0.001)


def test_a_turn_that_takes_long_sends_what_it_has_and_begins_with_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lane = Lane()
    ask = lane.broker._answer

    def slowly(name: str, *args: Any) -> Any:
        lane.now += 0.02 * (name == "copy_ticks_from")
        return ask(name, *args)

    monkeypatch.setattr(lane.broker, "_answer", slowly)
    lane.follow(Ticks("X"), Ticks("Y"))
    assert [each.topic for each in lane.look()] == [Ticks("X")]
    assert lane.desk.pause == 0.0
    assert [each.topic for each in lane.look(0.0)] == [Ticks("Y")]


def test_after_a_call_without_an_answer_the_others_wait_for_the_next_turn() -> None:
    lane = Lane()
    lane.follow(Ticks("X"), Ticks("Y"))
    lane.look()
    lane.broker.failing, lane.broker.failure = {"copy_ticks_from"}, IPC_TIMEOUT
    lane.broker.calls.clear()
    for turns in (1, 2, 3):
        lane.look(0.0 if turns > 1 else 0.5)
        assert lane.broker.calls["copy_ticks_from"] == min(turns, 2)
    lane.broker.failing = set()
    lane.broker.times.append(lane.broker.times[-1])
    assert [each.topic for each in lane.look()] == [Ticks("X"), Ticks("Y")]


def test_another_account_is_asked_for_nothing_though_nothing_happens() -> None:
    lane = Lane()
    lane.follow(Ticks("X"), Bars("X", 1))
    lane.look()
    lane.broker.account = OTHERS
    lane.look(CHECK_EVERY)
    lane.broker.calls.clear()
    for _ in range(10):
        assert lane.look(CHECK_EVERY) == []
    assert lane.broker.calls == {"account_info": 10}


def test_who_answers_is_not_hung() -> None:
    assert Lane().desk.carry_out(PULSE.name, []).value is True


def test_an_unknown_symbol_holds_no_other_up(caplog: pytest.LogCaptureFixture) -> None:
    lane = Lane()
    lane.follow(Ticks("NOPE"), Ticks("X"), Bars("NOPE", 1))
    assert [each.topic for each in lane.look()] == [Ticks("X")]
    assert caplog.text.count("NOPE") == 2
    assert "symbol='X'" not in caplog.text


def test_nothing_of_another_account_is_sent() -> None:
    lane = Lane()
    lane.follow(*ALL)
    lane.look()
    lane.broker.account = OTHERS
    lane.broker._open_bar()
    lane.broker.book = [7.0]
    lane.broker.totals[0] += 1
    lane.broker.calls.clear()
    assert [lane.look(seconds) for seconds in (0.5, 0.5, 5.0)] == [[], [], []]
    asked = lane.broker.calls.copy()
    lane.now += CHECK_EVERY / 2
    assert lane.look(0.0) == []
    assert lane.broker.calls == asked
    lane.broker.account = OURS
    news = lane.look(5.0)
    assert kinds(news) == ["NewTicks", "NewBars", "NewState", "NewTrades"]  # the account is as it was
    assert isinstance(news[0], NewTicks)
    assert isinstance(news[1], NewBars)
    assert (news[0].ticks["bid"].tolist(), news[1].bars["open"].tolist()) == ([5.0], [4.0])


def test_another_account_follows_nothing_and_is_told_again_later() -> None:
    lane = Lane()
    lane.broker.account = OTHERS
    lane.following.add(Ticks("X"))
    assert lane.tell() == Result(None, AUTHORIZATION_FAILED)
    assert lane.tell() is None
    lane.broker.account = OURS
    assert kinds(lane.look()) == ["NewTicks"]


def test_a_terminal_that_was_gone_is_attached_to_and_trades_are_worth_a_look() -> None:
    lane = Lane()
    lane.follow(*ALL)
    lane.look()
    lane.broker.account = None
    for _ in range(3):
        assert lane.look() == []
    lane.broker.added.clear()
    lane.broker.book = [2.0]
    lane.broker.account = OURS
    assert kinds(lane.look(ATTACH_EVERY)) == ["NewState", "NewTrades"]
    assert lane.broker.added == {"X"}


def test_a_terminal_attached_to_when_more_is_wanted_begins_again_with_the_rest_too() -> None:
    lane = Lane()
    lane.follow(Trades())
    lane.look()
    lane.broker.account = None
    assert lane.look() == []
    lane.now += ATTACH_EVERY
    lane.broker.account = OURS
    lane.follow(Ticks("X"))
    assert not lane.attachment.is_lost
    assert kinds(lane.look()) == ["NewTrades", "NewTicks"]


STEPS = st.lists(
    st.sampled_from(
        ["tick", "tick", "bar", "money", "look", "look", "look", "kill", "kill", "others", "nobody", "ours"]
    ),
    max_size=40,
)


@given(STEPS, st.sampled_from([0.0004, 0.06, 1.1]))
@settings(max_examples=150, deadline=None)
def test_whatever_happens_ticks_and_bars_come_once_and_all_is_of_our_account(
    steps: list[str], pause: float
) -> None:
    lane = Lane()
    lane.follow(*ALL)
    lane.look()
    broker = lane.broker
    for step in steps:
        if step == "tick":
            broker.times.append(broker.times[-1] + 100 * (len(broker.times) % 3))
        elif step == "bar":
            broker._open_bar(1 + (broker.times[-1] // 1000 - broker.opened[-1]) // 60)
        elif step == "money":
            broker.balance += 1.0
        elif step == "look":
            lane.look(pause)
        elif step == "kill":
            lane.look(pause, is_lost=True)
            lane.start()
        else:
            broker.account = {"others": OTHERS, "nobody": None, "ours": OURS}[step]
    broker.account = OURS
    for _ in range(6):
        lane.look(2.0)
    ticks = [each for each in lane.news if isinstance(each, NewTicks)]
    bars = [each for each in lane.news if isinstance(each, NewBars)]
    states = [each.value for each in lane.news if isinstance(each, NewState) and each.topic == Account()]
    assert [bid for each in ticks for bid in each.ticks["bid"]] == list(range(5, len(broker.times)))
    assert [price for each in bars for price in each.bars["open"]] == list(range(4, len(broker.opened) - 1))
    assert all(value[0] == OURS.login for value in states)
    assert states[-1] == list(broker.account_info())
    assert any(isinstance(each, NewTrades) for each in lane.news)

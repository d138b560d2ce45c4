"""The parts of the official adapter that need no process: attaching, following, what is known of it."""

from typing import Any

import numpy as np
import pytest

from mt5crs.api import OPERATIONS
from mt5crs.cursors import Cursor
from mt5crs.errors import Expired
from mt5crs.last_error import IPC_CALL_FAILED, IPC_TIMEOUT, NO_IPC_CONNECTION, SUCCESS
from mt5crs.model import RATES, TICKS, AccountInfo, TerminalInfo
from mt5crs.operation import Result, Unasked, done
from mt5crs.terminal.official.attachment import ATTACH_EVERY, Attachment
from mt5crs.terminal.official.desks import Lost, TradeDesk, WrongAccountFound
from mt5crs.terminal.official.following import AGAIN, Following
from mt5crs.terminal.official.health import ASK_EVERY, PATIENCE, Health
from mt5crs.terminal.official.messages import Configuration
from mt5crs.terminal.official.news import pack
from mt5crs.terminal.port import Account, NewBars, News, NewState, NewTicks, NewTrades
from mt5crs.topics import AnyTopic, Bars, Book, Ticks, Trades
from mt5crs.wire import topics
from tests.official.broker import OURS, record

TOLD = Configuration("", "t.exe", 7, "secret", "Broker", 1000)
ANYONE = Configuration("", "", 0, "", "", 1000)


def info(account: Account) -> AccountInfo:
    login, server, mode = account
    account_info: AccountInfo = record(AccountInfo, login=login, server=server, trade_mode=mode)
    return account_info


class Package:
    """What has some of the official functions.

    Attributes:
        account: Who the terminal is logged in for.
        remembers: Who it is logged in for when `initialize` names nobody; None for nobody.
        initialized: What `initialize` was called with, each time.
    """

    def __init__(self, account: Account | None = OURS, remembers: Account | None = OURS) -> None:
        self.account = account
        self.remembers = remembers
        self.initialized: list[dict[str, Any]] = []
        self.orders: list[Any] = []
        self.error = SUCCESS

    def initialize(self, *path: str, **wanted: Any) -> bool:
        self.initialized.append(wanted)
        self.account = Account(wanted["login"], wanted["server"], 0) if "login" in wanted else self.remembers
        self.error = SUCCESS if self.account else NO_IPC_CONNECTION
        return self.account is not None

    def account_info(self) -> AccountInfo | None:
        return info(self.account) if self.account else None

    def last_error(self) -> tuple[int, str]:
        return self.error

    def order_send(self, request: Any) -> str:
        self.orders.append(request)
        return "sent"

    def symbols_total(self) -> None:
        return None


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def attached(package: Package, told: Configuration = TOLD) -> tuple[Attachment, Clock]:
    clock = Clock()
    attachment = Attachment(package, told, clock)
    attachment.attach(OURS)
    return attachment, clock


# ---- attaching ----


def test_the_first_worker_logs_in_as_it_was_told_and_takes_the_account_for_the_fence() -> None:
    package = Package(None)
    attachment = Attachment(package, TOLD)
    ready = attachment.attach(None)
    assert package.initialized == [{"login": 7, "password": "secret", "server": "Broker", "timeout": 1000}]
    assert (ready.code, attachment.fence, attachment.is_lost) == (1, OURS, False)
    assert ready.account == list(info(OURS))


def test_an_account_that_somebody_else_chose_is_never_switched() -> None:
    package = Package(remembers=Account(8, "Broker", 0))
    attachment, _ = attached(package)
    assert package.initialized == [{"timeout": 1000}]
    assert package.account == Account(8, "Broker", 0)
    assert attachment.account() == Account(8, "Broker", 0)


def test_a_terminal_that_is_logged_out_is_logged_in_again() -> None:
    package = Package(remembers=None)
    attachment, _ = attached(package)
    assert [bool(wanted.get("login")) for wanted in package.initialized] == [False, True]
    assert attachment.account() == OURS


def test_without_credentials_a_terminal_that_is_logged_out_stays_so() -> None:
    package = Package(remembers=None)
    attachment, _ = attached(package, ANYONE)
    assert package.initialized == [{"timeout": 1000}]
    assert attachment.is_lost


def test_an_account_of_number_0_is_none() -> None:
    attachment, _ = attached(Package(remembers=Account(0, "", 0)), ANYONE)
    assert (attachment.account(), attachment.is_lost) == (None, True)


def test_a_lost_terminal_is_attached_to_again_but_not_all_the_time() -> None:
    package = Package()
    attachment, clock = attached(package)
    package.error = NO_IPC_CONNECTION
    assert attachment.call(OPERATIONS["symbols_total"], []) == (None, NO_IPC_CONNECTION)
    helps = [attachment.may_help]
    clock.now += ATTACH_EVERY
    helps.append(attachment.may_help)
    attachment.attach(OURS)
    clock.now += ATTACH_EVERY
    assert [*helps, attachment.may_help] == [False, True, False]


# ---- the fence ----


def test_an_order_is_sent_to_the_fenced_account_alone() -> None:
    package = Package()
    attachment, _ = attached(package)
    desk = TradeDesk(attachment)
    assert desk.carry_out("order_send", [{"action": 1}]) == ("sent", SUCCESS)
    for other, says in (
        (Account(8, "Broker", 0), "logged in to 8@Broker; this gateway is for 7@Broker"),
        (Account(7, "Other", 0), "logged in to 7@Other"),
        (Account(7, "Broker", 2), "7@Broker is a real account now; .* as a demo account"),
    ):
        package.account = other
        with pytest.raises(WrongAccountFound, match=says):
            desk.carry_out("order_send", [{"action": 1}])
    assert len(package.orders) == 1


def test_an_order_to_a_terminal_without_an_account_attaches_first_if_that_may_help() -> None:
    package = Package()
    attachment, clock = attached(package)
    desk = TradeDesk(attachment)
    package.account, package.error = None, NO_IPC_CONNECTION
    with pytest.raises(WrongAccountFound, match=r"no account \(No IPC connection, -10004\); .* for 7@Broker"):
        desk.carry_out("order_send", [{"action": 1}])
    clock.now += ATTACH_EVERY
    with pytest.raises(Lost):
        desk.carry_out("order_send", [{"action": 1}])
    attachment.attach(OURS)
    assert desk.carry_out("order_send", [{"action": 1}]) == ("sent", SUCCESS)


# ---- what is followed ----


def ticks(*times_msc: int) -> Any:
    rows = np.zeros(len(times_msc), TICKS.dtype)
    rows["time_msc"] = times_msc
    rows["time"] = rows["time_msc"] // 1000
    return rows


def bars(*times: int) -> Any:
    rows = np.zeros(len(times), RATES.dtype)
    rows["time"] = times
    return rows


def brought(wanted: Following, number: int, news: News) -> None:
    """Have a worker bring news."""
    wanted.collect(number, *pack(news))


def plain(news: News) -> tuple[Any, ...]:
    return tuple(part["time"].tolist() if isinstance(part, np.ndarray) else part for part in news)


A, B, MINUTES, BOOK, TRADES = Ticks("A"), Ticks("B"), Bars("A", 1), Book("A"), Trades()


def following(*all_topics: AnyTopic) -> Following:
    following = Following()
    for topic in all_topics:
        following.add(topic)
    wanted = following.to_tell(0.0)
    assert wanted == [[number, topics.name(topic), None] for number, topic in enumerate(all_topics, 1)]
    known = [number for number, topic in enumerate(all_topics, 1) if getattr(topic, "symbol", "") != "NOPE"]
    following.told(wanted, done(known), 0.0)
    return following


def test_the_next_worker_is_told_where_the_last_one_ended() -> None:
    wanted = following(A, MINUTES, BOOK, TRADES, B)
    brought(wanted, 1, NewTicks(A, Cursor(9, 1), ticks(11_000, 12_000)))
    brought(wanted, 2, NewBars(MINUTES, 60, bars(120, 180)))
    brought(wanted, 3, NewState(BOOK, [[1, 2.0]]))
    brought(wanted, 4, NewTrades())
    assert wanted.to_tell(1.0) is None
    wanted.restart()
    assert wanted.to_tell(1.0) == [
        [1, b"tick.A\0", (12, 1)],
        [2, b"bar.A.M1\0", 180],
        [3, b"book.A\0", [[1, 2.0]]],
        [4, b"trade\0", None],
        [5, b"tick.B\0", None],
    ]
    assert list(map(plain, wanted.take())) == [
        (A, (9, 1), [11, 12]),
        (MINUTES, 60, [120, 180]),
        (BOOK, [[1, 2.0]]),
        (TRADES,),
    ]
    assert wanted.take() == []


def test_it_is_told_from_where_on_ticks_and_bars_are_followed() -> None:
    wanted = following(A, MINUTES)
    brought(wanted, 1, NewTicks(A, Cursor(9, 1), ticks()))
    brought(wanted, 2, NewBars(MINUTES, 60, bars()))
    assert list(map(plain, wanted.take())) == [(A, (9, 1), []), (MINUTES, 60, [])]
    wanted.restart()
    assert [place for *_, place in wanted.to_tell(0.0) or []] == [(9, 1), 60]


def test_news_of_a_topic_become_one() -> None:
    wanted = following(A, MINUTES, BOOK, TRADES)
    brought(wanted, 1, NewTicks(A, Cursor(9, 1), ticks(9_000)))
    brought(wanted, 3, NewState(BOOK, [[1, 2.0]]))
    brought(wanted, 1, NewTicks(A, Cursor(9, 2), ticks(9_500, 10_000)))
    for after in (0, 60):
        brought(wanted, 2, NewBars(MINUTES, after, bars(after + 60)))
        brought(wanted, 4, NewTrades())
    brought(wanted, 3, NewState(BOOK, []))
    assert list(map(plain, wanted.take())) == [
        (A, (9, 1), [9, 9, 10]),
        (BOOK, []),
        (MINUTES, 0, [60, 120]),
        (TRADES,),
    ]


def test_what_nobody_follows_any_more_is_not_taken_in() -> None:
    wanted = following(A)
    brought(wanted, 1, NewTicks(A, Cursor(9, 1), ticks(9_000)))
    wanted.remove(A)
    brought(wanted, 1, NewTicks(A, Cursor(9, 2), ticks(10_000)))
    assert wanted.take() == []
    assert wanted.to_tell(0.0) == []
    wanted.add(A)
    brought(wanted, 1, NewTicks(A, Cursor(10, 1), ticks(11_000)))  # still the old subscription's
    assert wanted.take() == []
    assert wanted.to_tell(0.0) == [[2, b"tick.A\0", None]]


def test_unknown_symbols_are_forgotten_and_not_asked_for_again(caplog: pytest.LogCaptureFixture) -> None:
    wanted = following(A, Bars("NOPE", 1))
    assert "NOPE" in caplog.text
    wanted.restart()
    assert wanted.to_tell(0.0) == [[1, b"tick.A\0", None]]


def test_a_symbol_that_was_there_before_will_be_there_again() -> None:
    wanted = following(A)
    brought(wanted, 1, NewTicks(A, Cursor(9, 1), ticks(9_000)))
    wanted.restart()
    told = wanted.to_tell(5.0)
    assert told is not None
    wanted.told(told, done([]), 5.0)
    assert (wanted.to_tell(5.0), wanted.due) == (None, 5.0 + AGAIN)
    assert wanted.to_tell(5.0 + AGAIN) == told


@pytest.mark.parametrize(
    "answer",
    [Result(None, IPC_TIMEOUT), Unasked(OPERATIONS["symbol_select"], Expired("late"))],
)
def test_a_worker_that_could_not_follow_is_told_again_later(answer: Result) -> None:
    wanted = Following()
    wanted.add(A)
    told = wanted.to_tell(5.0)
    assert told is not None
    wanted.told(told, answer, 5.0)
    assert wanted.to_tell(5.0) is None
    assert wanted.due == 5.0 + AGAIN
    assert wanted.to_tell(5.0 + AGAIN) == told


# ---- what is known ----


def test_a_terminal_is_asked_again_a_while_after_it_has_answered() -> None:
    health = Health(OURS, 10.0)
    assert health.due == 10.0
    health.asked(10.0)
    assert health.due > 1e9
    health.take_terminal(done(list(record(TerminalInfo, connected=False))))
    health.take_account(done(list(info(OURS))), 11.0)
    assert health.due == 11.0 + ASK_EVERY
    assert (health.answers(11.0), health.is_connected(11.0), health.is_logged_in(11.0)) == (True, False, True)


def test_a_terminal_that_does_not_answer_in_time_counts_as_one_that_does_not() -> None:
    health = Health(OURS, 10.0)
    health.asked(10.0)
    assert health.answers(10.0 + PATIENCE - 0.1)
    assert not health.answers(10.0 + PATIENCE)


@pytest.mark.parametrize(
    ("error", "answers"),
    [(NO_IPC_CONNECTION, False), (IPC_TIMEOUT, False), (IPC_CALL_FAILED, False), ((-4, "Not found"), True)],
)
def test_any_answer_says_whether_the_terminal_is_there(error: tuple[int, str], answers: bool) -> None:
    health = Health(OURS, 0.0)
    health.heed(Result(None, error))
    assert health.answers(0.0) is answers
    health.heed(Unasked(OPERATIONS["symbols_total"], Expired("late")))
    assert health.answers(0.0) is answers
    health.heed(done(1))
    assert health.answers(0.0)


def test_another_account_is_not_ours() -> None:
    health = Health(OURS, 0.0)
    health.take_account(done(list(info(Account(7, "Broker", 2)))), 0.0)
    assert (health.answers(0.0), health.is_logged_in(0.0)) == (True, False)
    health.take_account(Result(None, (-6, "Terminal: Authorization failed")), 0.0)
    assert (health.answers(0.0), health.is_logged_in(0.0)) == (True, False)

"""Trade events of a gateway: whose orders they are, what waits for what, trouble, restarts, who may know."""

import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mt5crs import Client
from mt5crs.api import OPERATIONS
from mt5crs.errors import Denied, RecordUnusable
from mt5crs.gateway.desk import Desk
from mt5crs.gateway.operations import Caller
from mt5crs.gateway.policyfile import PolicyFile
from mt5crs.gateway.streams import Streams
from mt5crs.gateway.tradewatch import EVERY
from mt5crs.model import SymbolInfo, TradeEvent, TradeLog
from mt5crs.operation import trade_event
from mt5crs.security.keys import create_client, create_gateway
from mt5crs.security.policy import PERMITS, PRIVATE, Principal, Role
from mt5crs.terminal import port
from mt5crs.topics import Account, AnyTopic, Bars, Beat, Book, Ticks, Trades
from mt5crs.trades.record import TradeFile
from mt5crs.wire import topics
from mt5crs.wire.codec import on_stream
from mt5crs.wire.messages import Events
from tests.gateway.test_streams import TOKEN, subscriber
from tests.guard.bench import Bench, buy, pending, sell
from tests.pair.bridge import START, CountingTerminal
from tests.processes import Gateway

TRADE = frozenset({"trade"})
LONG = "a comment of 24 letters."  # no room for a tag
OPENED = ["order_add", "deal_add", "history_add"]

RECORD = "journal.db.5001001.trades"


class Watched(Bench):
    """A desk with a record on disk, and somebody who is subscribed to it."""

    def _open(self) -> Desk:
        desk = Desk(
            self.terminal,
            self._journal,
            clock=self.utc,
            policy=PolicyFile(self.path),
            open_record=lambda account: TradeFile(self.folder / RECORD, account, self.utc),
        )
        desk.trades.follow(True)
        desk.pass_time(self.now)
        return desk

    def asks(self, name: str, *args: Any, streams: frozenset[str] = TRADE) -> Any:
        op = OPERATIONS[name]
        caller = Caller("tim", "tim", "", 0.0, self.now, PERMITS[Role.OBSERVER], b"", streams)
        answer: Any = self.desk.operations.carry_out(op, op.accept(op.signature.bind(name, args, {})), caller)
        return answer.value if answer.value is None or op.reviver is None else op.reviver(answer.value)

    @property
    def events(self) -> list[TradeEvent]:
        return [trade_event(fields) for fields in self.desk.trades.since(0)]

    @property
    def told(self) -> list[tuple[str, str]]:
        return [(event.kind, event.key) for event in self.events]

    def by_hand(self, request: dict[str, Any]) -> int:
        """Send an order past the gateway."""
        answer = self.terminal.carry_out(OPERATIONS["order_send"], [request])
        return int(answer.value[2])


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Watched]:
    bench = Watched(tmp_path)
    yield bench
    bench.close()


def test_events_of_our_orders_have_their_keys_and_the_users_comments(bench: Watched) -> None:
    ticket = bench.order(buy(comment="mine"), key="k-1")
    bench.pass_time(0.25)  # at once, long before it is time to look
    assert EVERY > 0.25
    assert bench.told == [(kind, "k-1") for kind in OPENED]
    assert {event.details.comment for event in bench.events} == {"mine"}
    assert {(event.order, event.position, event.symbol) for event in bench.events} == {
        (ticket, ticket, "EURUSD")
    }
    bid = SymbolInfo(bench.quote("EURUSD")).bid
    bench.ask("order_send", {"action": 6, "symbol": "EURUSD", "position": ticket, "sl": round(bid - 0.01, 5)})
    bench.pass_time(0.5)
    (moved,) = bench.events[3:]
    assert (moved.kind, moved.position, moved.order, moved.key) == ("position_update", ticket, 0, "k-1")
    bench.by_hand(sell(position=ticket))
    bench.pass_time(EVERY + 0.5)
    assert bench.told[4:] == [(kind, "") for kind in OPENED]
    assert {event.position for event in bench.events} == {ticket}


def test_what_was_sent_before_somebody_subscribed_is_found_with_its_key(bench: Watched) -> None:
    bench.desk.trades.follow(False)
    calls = len(bench.terminal.calls)
    bench.pass_time(2 * EVERY)
    assert bench.terminal.calls[calls:] == [], "nobody wants to know"
    bench.order(buy(comment=LONG), key="k-1")
    bench.restart()
    bench.pass_time(0.5)
    assert bench.told == [(kind, "k-1") for kind in OPENED]


def test_an_answer_that_is_to_come_is_waited_for_where_an_order_may_be_ours(bench: Watched) -> None:
    bench.terminal.slow = {"order_send"}
    bench.begin("order_send", buy(comment=LONG), key="k-1")
    bench.by_hand(sell(0.3))
    bench.desk.trades.look()
    bench.pass_time(1.5)
    assert bench.told == [(kind, "") for kind in OPENED], "nobody else waits"
    bench.terminal.slow = set()
    bench.terminal.settle()
    bench.pass_time(1.0)
    assert bench.told[3:] == [(kind, "k-1") for kind in OPENED]
    assert [event.serial for event in bench.events] == [1, 2, 3, 4, 5, 6]


def test_a_tag_tells_before_the_answer_does(bench: Watched) -> None:
    bench.terminal.slow = {"order_send"}
    bench.begin("order_send", buy(comment="mine"), key="k-1")
    bench.pass_time(EVERY + 0.5)
    assert bench.told == [(kind, "k-1") for kind in OPENED]


def test_events_wait_for_the_horizon_and_no_longer(bench: Watched) -> None:
    bench.terminal.slow = {"order_send"}
    for key in ("k-1", "k-2"):  # two that are alike, of which nobody can say which is which
        bench.begin("order_send", buy(comment=LONG), key=key)
    bench.pass_time(50.0)
    assert bench.told == []
    bench.pass_time(20.0)
    assert Counter(bench.told) == dict.fromkeys([(kind, "") for kind in OPENED], 2)


def test_a_terminal_that_answers_late_is_looked_through_all_the_same(bench: Watched) -> None:
    bench.terminal.slow = {"orders_get", "history_orders_get", "history_deals_get", "positions_get"}
    bench.order(buy(), key="k-1")
    for _ in range(30):
        bench.pass_time(0.25)
        bench.terminal.settle()
    assert bench.told == [(kind, "k-1") for kind in OPENED]


def test_what_another_account_shows_is_not_ours(bench: Watched) -> None:
    account = bench.terminal.account
    bench.terminal.account = port.Account(account.login + 1, account.server, account.trade_mode)
    bench.by_hand(buy())
    bench.pass_time(2 * EVERY)
    assert bench.events == []
    bench.terminal.account = account
    bench.pass_time(2 * EVERY)
    assert [kind for kind, _ in bench.told] == OPENED


def test_a_record_that_cannot_be_written_is_quiet_and_goes_on_without_a_hole(bench: Watched) -> None:
    bench.order(buy(), key="k-1")
    bench.pass_time(0.5)
    other = sqlite3.connect(bench.folder / RECORD, isolation_level=None)
    other.execute("begin immediate")
    bench.order(buy(), key="k-2")
    bench.pass_time(2.0)
    assert "locked" in bench.desk.state()["trades"]
    bench.order(buy(), key="k-3")
    other.close()
    bench.pass_time(EVERY)
    assert bench.desk.state()["trades"] == ""
    assert [event.serial for event in bench.events] == list(range(1, 10))
    assert [key for _, key in bench.told] == ["k-1"] * 3 + ["k-2"] * 3 + ["k-3"] * 3


@pytest.mark.parametrize("is_replaced", [False, True])
def test_a_record_that_is_removed_while_in_use_is_noticed_and_begun_anew(
    bench: Watched, is_replaced: bool
) -> None:
    bench.order(buy(), key="k-1")
    bench.pass_time(EVERY)
    log = bench.asks("trade_log").log
    path = bench.folder / RECORD
    kept = path.read_bytes()
    for each in bench.folder.glob(f"{RECORD}*"):
        if not each.name.endswith(".lease"):
            each.rename(each.with_name(f"old-{each.name}"))
    if is_replaced:
        path.write_bytes(kept)
    bench.order(buy(), key="k-2")
    bench.pass_time(0.75)
    assert "moved or removed while in use" in bench.desk.state()["trades"]
    bench.pass_time(2 * EVERY)
    assert bench.desk.state()["trades"] == ""
    assert path.is_file()
    assert (bench.asks("trade_log").log == log) is False or is_replaced
    bench.order(buy(), key="k-3")
    bench.pass_time(EVERY)
    bench.restart()
    bench.pass_time(EVERY)
    assert [key for _, key in bench.told][-3:] == ["k-3"] * 3


def test_where_the_record_is_is_told_to_admins_only(tmp_path: Path) -> None:
    (tmp_path / RECORD).write_bytes(b"nothing of SQLite's" * 100)
    bench = Watched(tmp_path)
    assert str(tmp_path) in bench.desk.state(is_admin=True)["trades"]
    told = bench.desk.state(is_admin=False)["trades"]
    assert "cannot be used" in told
    assert str(tmp_path) not in told
    bench.close()


def test_a_record_that_cannot_be_opened_keeps_nothing_else(tmp_path: Path) -> None:
    (tmp_path / RECORD).write_bytes(b"nothing of SQLite's" * 100)
    bench = Watched(tmp_path)
    assert bench.order(buy(), key="k-1")
    assert bench.desk.trades.place is None
    with pytest.raises(RecordUnusable, match="not a database"):
        bench.asks("trade_log")
    (tmp_path / RECORD).unlink()
    bench.pass_time(2 * EVERY)
    assert bench.asks("trade_log").last == 0
    bench.close()


def test_events_are_given_from_any_number_on_and_none_where_they_are_not_these(bench: Watched) -> None:
    for number in range(3):
        bench.order(pending(0.1, 1.0), key=f"k-{number}")
    bench.pass_time(0.5)
    found = bench.asks("trade_log")
    assert isinstance(found, TradeLog)
    assert (found.first, found.last) == (1, 3)
    assert found.log == bench.desk.trades.place[0]  # type: ignore[index]
    assert [event.serial for event in bench.asks("trade_events")] == [1, 2, 3]
    assert [event.key for event in bench.asks("trade_events", 1, 1, found.log)] == ["k-1"]
    assert bench.asks("trade_events", 3) == ()
    for args in [(4,), (0, 9, "another")]:
        assert bench.asks("trade_events", *args) is None
    with pytest.raises(TypeError):
        bench.asks("trade_events", -1)
    for name in ("trade_events", "trade_log"):
        with pytest.raises(Denied, match="not granted the stream 'trade'") as caught:
            bench.asks(name, streams=frozenset({"account"}))
        assert "--stream trade" in caught.value.hint


class Deaf(CountingTerminal):
    """A terminal that follows every topic but trades, of which it cannot tell when something is new."""

    def follow(self, topic: AnyTopic) -> bool:
        return not isinstance(topic, Trades)


@pytest.mark.parametrize("granted", [frozenset[str](), TRADE, frozenset({"account"}), PRIVATE])
def test_every_topic_is_for_those_who_may_have_it(bench: Watched, granted: frozenset[str]) -> None:
    streams = Streams(Deaf(lambda: START), 1, dict, bench.desk.trades)
    principal = Principal("tim", Role.OBSERVER, streams=granted)
    wished: list[AnyTopic] = [Ticks("EURUSD"), Bars("EURUSD", 1), Book("EURUSD"), Trades(), Account(), Beat()]
    given = {topic: streams.grant(topics.name(topic) + TOKEN, principal) is not None for topic in wished}
    expected = dict.fromkeys(wished, True)
    expected |= {Trades(): "trade" in granted, Account(): "account" in granted}
    assert given == expected


# ---- processes ----


def received(socket: Any, until: Any, patience: float = 20.0) -> list[Events]:
    """Return the messages of a subscription until one of them is enough."""
    found: list[Events] = []
    give_up = time.monotonic() + patience
    while not found or not until(found):
        assert socket.poll(max(0, int((give_up - time.monotonic()) * 1000))), found
        message = on_stream(socket.recv_multipart()[1])
        assert isinstance(message, Events)
        found.append(message)
    return found


def told(messages: list[Events]) -> list[TradeEvent]:
    return [trade_event(fields) for message in messages for fields in message.events]


def truth(mt5: Client) -> Counter[tuple[str, int]]:
    """What the terminal has, as events; but for the deposit, which was there before."""
    done, deals = mt5.history_orders_get(0, 2**32 - 1), mt5.history_deals_get(0, 2**32 - 1)
    open_ = mt5.orders_get()
    assert done is not None
    assert deals is not None
    assert open_ is not None
    return Counter(
        [
            *(("order_add", order.ticket) for order in (*done, *open_)),
            *(("history_add", order.ticket) for order in done),
            *(("deal_add", deal.ticket) for deal in deals if deal.order),
        ]
    )


def counted(events: list[TradeEvent]) -> Counter[tuple[str, int]]:
    return Counter((event.kind, event.deal or event.order) for event in events if event.order)


def test_events_go_on_where_they_were_when_the_gateway_is_killed(tmp_path: Path) -> None:
    options = ["--journal", str(tmp_path / "journal.db"), "--state", str(tmp_path / "account.state")]
    with Gateway(tmp_path, options) as gateway:
        told_so_far: list[TradeEvent] = []
        log = ""
        for run in range(3):
            with subscriber(gateway) as sub, gateway.client() as mt5:
                sub.send(topics.wish(topics.name(Trades()), TOKEN))
                first = received(sub, lambda found: found[-1].log)[-1]
                log = log or first.log
                assert first.log == log
                missed = mt5.trade_events(len(told_so_far), 1000, log)
                assert missed is not None
                told_so_far += missed
                for number in range(3):
                    assert mt5.order_send(buy(), key=f"k-{run}-{number}") is not None
                last = f"k-{run}-2"
                received(sub, lambda found, last=last: any(event.key == last for event in told(found)))
                # What comes last is not waited for: the process may be killed before it is recorded.
                assert mt5.order_send(pending(0.1, 1.0), key=f"last-{run}") is not None
            gateway.kill()
            gateway.start()
        with subscriber(gateway) as sub, gateway.client() as mt5:
            sub.send(topics.wish(topics.name(Trades()), TOKEN))
            received(sub, lambda _: len(mt5.trade_events() or ()) >= 3 * 9 + 3)
            events = list(mt5.trade_events() or ())
            assert [event.serial for event in events] == list(range(1, len(events) + 1))
            assert events[: len(told_so_far)] == told_so_far
            assert counted(events) == truth(mt5)
            keys = {event.order: event.key for event in events}
            assert sorted(keys.values()) == sorted(
                [*(f"k-{run}-{number}" for run in range(3) for number in range(3))]
                + [f"last-{run}" for run in range(3)]
            )
            assert {event.reason for event in events} == {"expert"}


def test_an_account_that_begins_anew_has_another_record(tmp_path: Path) -> None:
    logs: list[str] = []
    with Gateway(tmp_path, ["--journal", str(tmp_path / "journal.db")]) as gateway:  # no --state
        for _ in range(2):
            with subscriber(gateway) as sub, gateway.client() as mt5:
                sub.send(topics.wish(topics.name(Trades()), TOKEN))
                received(sub, lambda found: found[-1].log not in {"", *logs})
                mt5.order_send(buy())
                (*_, last) = received(sub, lambda found: len(told(found)) >= 3)
                logs.append(last.log)
                assert [event.serial for event in mt5.trade_events(0, 9, last.log) or ()] == [1, 2, 3]
            gateway.kill()
            gateway.start()
    assert logs[0] != logs[1]
    assert "begins anew" in gateway.log.read_text()


def test_another_accounts_record_is_refused_and_said(tmp_path: Path) -> None:
    journal = tmp_path / "journal.db"
    TradeFile(tmp_path / RECORD, "5001001@elsewhere").close()
    with pytest.raises(RuntimeError, match="is that of 5001001@elsewhere") as caught:
        Gateway(tmp_path, ["--journal", str(journal)])
    assert "Traceback" not in str(caught.value)


def test_only_keys_that_were_granted_the_stream_may_read_the_record(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    create_gateway(folder)
    for name, streams in (("tim", ("trade",)), ("tom", ("account",))):
        create_client(folder, name, Role.TRADER, tmp_path / f"{name}.key", streams=streams)
    with Gateway(tmp_path, ["--keys", str(folder)]) as gateway:
        with gateway.client(keys=tmp_path / "tim.key") as mt5:
            assert mt5.trade_log() is None
            assert mt5.trade_events() is None
            assert mt5.last_error()[0] < 0
        with gateway.client(keys=tmp_path / "tom.key") as mt5, pytest.raises(Denied, match="'trade'"):
            mt5.trade_events()

"""Orders through the journal, client core and gateway core together: keys, restarts, doubt."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mt5crs import points
from mt5crs.errors import (
    BadArguments,
    BridgeError,
    Busy,
    Expired,
    JournalUnusable,
    KeyConflict,
    NotExecuted,
    OutcomeUnknown,
    SettingError,
    SplitBrain,
    WrongAccount,
)
from mt5crs.gateway import orders as gateway_orders
from mt5crs.journal import chain, tags
from mt5crs.journal.states import State
from mt5crs.journal.store import Journal
from mt5crs.operation import Operation, Result, Unasked
from mt5crs.security.policy import Role
from mt5crs.terminal.port import Deferred
from mt5crs.wire.codec import to_client
from mt5crs.wire.messages import Refusal
from mt5crs.wire.pins import Pins
from mt5crs.wire.request import Done
from tests.pair.bridge import BUY, HORIZON, Bridge

MINE: dict[str, Any] = {**BUY, "comment": "mine", "magic": 7}
LONG: dict[str, Any] = {**MINE, "comment": "a comment of 29 characters..."}


@pytest.fixture
def bridge(tmp_path: Path) -> Iterator[Bridge]:
    joined = Bridge(journal=tmp_path / "journal.db")
    joined.call("version")
    yield joined
    journal(joined).close()


def journal(bridge: Bridge) -> Journal:
    assert bridge._desk is not None
    opened = bridge._desk.orders.journal
    assert opened is not None
    return opened


def lose_answer(bridge: Bridge, *, executed: bool = True) -> None:
    """Let the next order be carried out (or not) without an answer, as when its worker is killed."""

    class Once:
        def __call__(self, op: Operation[..., Any], wire: Any, until: float = 0.0) -> Result | Deferred:
            if op.name != "order_send":
                return call(op, wire, until)
            del bridge.terminal.__dict__["call"]
            if executed:
                call(op, wire, until)
            return Result(None, (-10005, "IPC timeout"))

    call: Callable[..., Result | Deferred] = bridge.terminal.call
    bridge.terminal.__dict__["call"] = Once()


def settled(bridge: Bridge, id_: int, seconds: float = 6.0) -> Done:
    (done,) = [each for each in bridge.pump() + bridge.pass_time(seconds) if each.id == id_]
    return done


def failed(done: Done, kind: type[BridgeError]) -> str:
    assert isinstance(done.failure, kind), done.failure
    return str(done.failure)


def outcome(bridge: Bridge, key: str) -> Any:
    return bridge.call("outcome", key).value


# ---- keys -------------------------------------------------------------------------------------------


def test_the_same_key_gives_the_same_outcome_for_ever(bridge: Bridge) -> None:
    first = bridge.call("order_send", MINE, key="k").value
    assert bridge.call("order_send", MINE, key="k").value == first
    bridge.restart()
    assert bridge.call("order_send", MINE, key="k").value == first
    assert outcome(bridge, "k").result == first
    assert bridge.terminal.calls.count("order_send") == 1


def test_the_same_key_with_another_request_is_refused(bridge: Bridge) -> None:
    bridge.call("order_send", MINE, key="k")
    assert "belongs to another request" in failed(
        bridge.call("order_send", {**MINE, "volume": 0.2}, key="k"), KeyConflict
    )
    bridge.restart()
    failed(bridge.call("order_send", {**MINE, "volume": 0.2}, key="k"), KeyConflict)
    assert bridge.terminal.calls.count("order_send") == 1


def test_a_key_that_is_under_way_is_waited_for_by_all_who_ask(bridge: Bridge) -> None:
    bridge.terminal.slow = {"order_send"}
    ids = [bridge.ask("order_send", MINE, key="k") for _ in range(3)]
    assert bridge.pump() == []
    bridge.terminal.settle()
    assert sorted(done.id for done in bridge.pump()) == ids
    assert bridge.terminal.calls.count("order_send") == 1


def test_an_unknown_key_is_none(bridge: Bridge) -> None:
    done = bridge.call("outcome", "nobody's")
    assert (done.value, done.error[0]) == (None, -4)


def test_a_rejection_is_an_outcome(bridge: Bridge) -> None:
    first = bridge.call("order_send", {**MINE, "volume": 1e9}, key="k").value
    assert first.retcode == 10014
    assert bridge.call("order_send", {**MINE, "volume": 1e9}, key="k").value == first
    assert outcome(bridge, "k").state == "done"


def test_what_the_terminal_did_not_send_stays_refused(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(bridge.terminal, "call", lambda *_: Result(None, (-8, "disabled")))
        assert bridge.call("order_send", MINE, key="k").error == (-8, "disabled")
    again = bridge.call("order_send", MINE, key="k")
    assert (again.value, again.error) == (None, (-8, "disabled"))
    assert outcome(bridge, "k").state == "refused"


def test_what_was_dropped_before_the_terminal_says_so(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    op = gateway_orders.ORDER_SEND
    with monkeypatch.context() as patch:
        patch.setattr(bridge.terminal, "call", lambda *_: Unasked(op, Expired("too late")))
        failed(bridge.call("order_send", MINE, key="k"), Expired)
    assert "too late" in failed(bridge.call("order_send", MINE, key="k"), NotExecuted)
    assert outcome(bridge, "k").state == "refused"


# ---- order of things --------------------------------------------------------------------------------


def test_the_intent_is_on_disk_before_the_terminal_hears_and_the_outcome_before_the_client(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, State | None]] = []

    def note(point: str) -> None:
        entry = journal(bridge).find("anonymous", "k")
        on_disk = None if entry is None else journal(bridge).entry(entry.number)
        seen.append((point, None if on_disk is None else on_disk.state))

    monkeypatch.setattr(points, "hook", note)
    bridge.call("order_send", MINE, key="k")
    assert seen == [
        (points.BEFORE_INTENT, None),
        (points.AFTER_INTENT, State.SENT),
        (points.SENT, State.SENT),
        (points.FILLED, State.SENT),
        (points.BEFORE_OUTCOME, State.SENT),
        (points.BEFORE_REPLY, State.DONE),
    ]


def test_orders_that_come_together_are_written_together_and_keep_their_order(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    monkeypatch.setattr(points, "hook", seen.append)
    magics = list(range(100, 120))
    for magic in magics:
        bridge.ask("order_send", {**MINE, "magic": magic})
    assert len(bridge.pump()) == 20
    assert seen.count(points.BEFORE_INTENT) == seen.count(points.BEFORE_REPLY) == 1
    assert [position.magic for position in bridge.call("positions_get").value] == magics


def test_an_expired_order_never_reaches_the_terminal(bridge: Bridge) -> None:
    bridge.ask("order_send", MINE, key="k", timeout=1.0)
    (frame,) = bridge.depart()
    bridge.now += 1.5
    (answer,) = bridge.handle(frame)
    refusal = to_client(answer)
    assert isinstance(refusal, Refusal)
    assert refusal.code == Expired.code
    assert outcome(bridge, "k") is None
    assert "order_send" not in bridge.terminal.calls


def test_a_full_queue_is_busy_and_what_is_in_it_goes_on(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway_orders, "QUEUE", 3)
    bridge.terminal.slow = {"order_send"}
    ids = [bridge.ask("order_send", MINE, key=f"k{n}") for n in range(4)]
    (refused,) = bridge.pump()
    assert refused.id == ids[3]
    failed(refused, Busy)
    assert outcome(bridge, "k3") is None
    bridge.terminal.settle()
    assert [done.value.retcode for done in bridge.pump()] == [10009] * 3


# ---- comments ---------------------------------------------------------------------------------------


def test_the_terminal_sees_a_tag_and_the_user_his_own_comment(bridge: Bridge) -> None:
    sent = bridge.call("order_send", MINE, key="k").value
    pending = {**MINE, "action": 5, "type": 2, "price": 0.5, "comment": ""}
    placed = bridge.call("order_send", pending, key="p").value
    assert (sent.request.comment, sent.request.magic, placed.request.comment) == ("mine", 7, "")
    (raw,) = bridge.terminal.carry_out(_op("positions_get"), [None, None, None]).value
    found = tags.read(raw.comment)
    assert found is not None
    assert (found.comment, found.mark, raw.magic) == ("mine", journal(bridge).mark, 7)
    for name, args, comments in (
        ("positions_get", (), ["mine"]),
        ("orders_get", (), [""]),
        ("history_orders_get", (0, 2**32 - 1), ["mine"]),
        ("history_deals_get", (0, 2**32 - 1), ["Deposit", "mine"]),
    ):
        assert [row.comment for row in bridge.call(name, *args).value] == comments
    bridge.restart()
    assert [row.comment for row in bridge.call("positions_get").value] == ["mine"]


def test_a_comment_without_room_is_left_alone(bridge: Bridge) -> None:
    bridge.call("order_send", LONG)
    (raw,) = bridge.terminal.carry_out(_op("positions_get"), [None, None, None]).value
    assert raw.comment == LONG["comment"]


def test_a_comment_that_looks_like_a_tag_is_its_users(bridge: Bridge) -> None:
    looks = "x" + tags.tag(journal(bridge).mark, 999_999)
    bridge.call("order_send", {**MINE, "comment": looks, "volume": 0.3})
    bridge.call("order_send", {**LONG, "comment": "a comment 29 charact" + "~ABCDEFG"})
    assert looks in [row.comment for row in bridge.call("positions_get").value]


# ---- doubt ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("request_", [MINE, LONG], ids=["tag", "traits"])
def test_a_lost_answer_is_found_and_told_within_the_clients_deadline(
    bridge: Bridge, request_: dict[str, Any]
) -> None:
    lose_answer(bridge)
    done = settled(bridge, bridge.ask("order_send", request_, key="k"))
    (position,) = bridge.call("positions_get").value
    assert (done.value.retcode, done.value.order, done.value.volume) == (10009, position.ticket, 0.1)
    assert done.value.request.comment == request_["comment"]
    assert outcome(bridge, "k").how == ("tag" if request_ is MINE else "traits")
    assert bridge.call("order_send", request_, key="k").value == done.value
    assert bridge.terminal.calls.count("order_send") == 2 - 1


def test_what_left_no_trace_is_unknown_until_the_horizon_and_then_not_executed(bridge: Bridge) -> None:
    lose_answer(bridge, executed=False)
    unknown = settled(bridge, bridge.ask("order_send", MINE, key="k"))
    assert isinstance(unknown.failure, OutcomeUnknown)
    assert unknown.failure.key == "k"
    assert outcome(bridge, "k").state == "unknown"
    again = settled(bridge, bridge.ask("order_send", MINE, key="k"))
    failed(again, OutcomeUnknown)  # and it is not sent again
    bridge.pass_time(HORIZON + 6.0)
    assert outcome(bridge, "k").state == "absent"
    assert "no trace" in failed(bridge.call("order_send", MINE, key="k"), NotExecuted)
    assert bridge.terminal.calls.count("order_send") == 0


def test_a_trace_that_turns_up_later_still_counts(bridge: Bridge) -> None:
    sent: list[Any] = []

    def keep(op: Operation[..., Any], wire: Any, until: float = 0.0) -> Result | Deferred:
        if op.name != "order_send":
            return call(op, wire, until)
        sent.append(wire)
        return Result(None, (-10005, "IPC timeout"))

    call = bridge.terminal.call
    bridge.terminal.__dict__["call"] = keep
    bridge.ask("order_send", MINE, key="k")
    bridge.pass_time(HORIZON + 20.0)
    assert outcome(bridge, "k").state == "absent"
    late = bridge.terminal.carry_out(_op("order_send"), sent[0]).value
    bridge.pass_time(700.0, step=5.0)
    found = outcome(bridge, "k")
    assert (found.state, found.result.order, found.how) == ("done", late.order, "tag")


def test_while_the_terminal_is_not_connected_no_trace_means_nothing(bridge: Bridge) -> None:
    lose_answer(bridge, executed=False)
    bridge.ask("order_send", MINE, key="k")
    bridge.pump()
    bridge.terminal.switches.connected = False
    bridge.pass_time(HORIZON + 20.0)
    assert outcome(bridge, "k").state == "unknown"
    bridge.terminal.switches.connected = True
    bridge.pass_time(20.0)
    assert outcome(bridge, "k").state == "absent"


def test_what_a_gateway_that_died_had_sent_is_found_by_the_next_one(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def die(point: str) -> None:
        if point == where:
            raise Killed

    bridge.call("symbol_info_tick", "EURUSD")
    for number, where in enumerate(points.POINTS):
        with monkeypatch.context() as patch:
            patch.setattr(points, "hook", die)
            bridge.ask("order_send", {**MINE, "magic": 100 + number}, key=where)
            with pytest.raises(Killed):
                bridge.pump()
        bridge.session = bridge.connect()
        bridge.restart()
    bridge.pass_time(HORIZON + 20.0, step=0.5)
    states = {where: getattr(outcome(bridge, where), "state", None) for where in points.POINTS}
    assert states == {
        points.BEFORE_INTENT: None,
        points.AFTER_INTENT: "absent",
        points.SENT: "absent",
        points.FILLED: "done",
        points.BEFORE_OUTCOME: "done",
        points.BEFORE_REPLY: "done",
    }
    magics = {position.magic: position.ticket for position in bridge.call("positions_get").value}
    assert magics == {
        100 + number: outcome(bridge, where).result.order
        for number, where in enumerate(points.POINTS)
        if number > 2
    }
    assert chain.faults(journal(bridge).id, journal(bridge).events()) == []


def test_two_that_cannot_be_told_apart_stay_unknown(bridge: Bridge) -> None:
    for key in ("a", "b"):
        lose_answer(bridge, executed=key == "a")
        bridge.ask("order_send", LONG, key=key)
        bridge.pump()
    bridge.pass_time(HORIZON + 20.0)
    assert {outcome(bridge, key).state for key in ("a", "b")} == {"unknown"}


def test_an_operators_word_settles_what_nothing_proves(bridge: Bridge, tmp_path: Path) -> None:
    from mt5crs.journal.states import Step
    from mt5crs.journal.store import Told

    lose_answer(bridge, executed=False)
    id_ = bridge.ask("order_send", MINE, key="k", timeout=30.0)
    assert bridge.pass_time(3.0) == []
    operator = Journal(tmp_path / "journal.db", "", writes=False)
    (entry,) = operator.named("k")
    operator.record([Told(entry.number, Step.DISMISS, {"text": "the broker says no", "how": "operator"})])
    operator.close()
    (done,) = bridge.pass_time(1.0)
    assert done.id == id_
    assert "the broker says no" in failed(done, NotExecuted)


# ---- loss on the way --------------------------------------------------------------------------------


@pytest.mark.parametrize("lose", ["request", "answer"])
def test_a_lost_trade_is_asked_again_where_the_journal_knows_it(bridge: Bridge, lose: str) -> None:
    fates = iter([False])
    if lose == "request":
        bridge.to_gateway = lambda _: next(fates, True)
    else:
        bridge.to_client = lambda _: next(fates, True)
    done = settled(bridge, bridge.ask("order_send", MINE, key="k"), 4.0)
    assert done.value.retcode == 10009
    assert bridge.terminal.calls.count("order_send") == 1


def test_a_lost_trade_is_asked_again_of_the_gateway_that_comes_back(bridge: Bridge) -> None:
    bridge.to_client = lambda _: False
    id_ = bridge.ask("order_send", MINE, key="k")
    bridge.pump()
    bridge.to_client = lambda _: True
    bridge.restart()
    assert settled(bridge, id_, 4.0).value.retcode == 10009
    assert bridge.terminal.calls.count("order_send") == 1


def test_a_lost_trade_is_never_asked_of_another_journal(bridge: Bridge, tmp_path: Path) -> None:
    bridge.to_client = lambda _: False
    id_ = bridge.ask("order_send", MINE, key="k")
    bridge.pump()
    bridge.to_client = lambda _: True
    bridge._journal = tmp_path / "other.db"
    bridge.restart()
    done = settled(bridge, id_, 4.0)
    assert "without the journal" in failed(done, OutcomeUnknown)
    assert bridge.terminal.calls.count("order_send") == 1


def test_another_journal_for_the_same_account_gets_no_trades(bridge: Bridge, tmp_path: Path) -> None:
    bridge.call("order_send", MINE)
    bridge._journal = tmp_path / "other.db"
    bridge.restart()
    assert bridge.call("positions_total").value == 1  # reading goes on
    with pytest.raises(SplitBrain, match="another journal than before"):
        bridge.ask("order_send", MINE)
    bridge.pins = Pins()  # what a new client knows
    bridge.session = bridge.connect()
    assert bridge.call("order_send", MINE).value.retcode == 10009


# ---- two gateways on one account --------------------------------------------------------------------


def test_orders_of_another_journal_latch_trading_off(bridge: Bridge, tmp_path: Path) -> None:
    bridge.pass_time(1.0)  # what is there now was there before
    stranger = Journal(tmp_path / "stranger.db", "x")
    comment = tags.tag(stranger.mark ^ (stranger.mark == journal(bridge).mark), 5)
    stranger.close()
    bridge.now += 300.0
    bridge.terminal.carry_out(_op("order_send"), [{**BUY, "comment": comment}])
    bridge.pass_time(70.0, step=1.0)
    assert "another gateway's journal" in failed(bridge.call("order_send", MINE), SplitBrain)
    assert bridge.call("positions_total").value == 1
    bridge.restart()
    failed(bridge.call("order_send", MINE), SplitBrain)  # it survives a restart
    journal(bridge).latch = ""
    assert bridge.call("order_send", MINE).value.retcode == 10009


def test_a_comment_with_another_gateways_tag_is_refused(bridge: Bridge) -> None:
    bridge.pass_time(1.0)
    mark = journal(bridge).mark
    other, own = tags.tag(mark ^ 1, 5), tags.tag(mark, 999_999)
    for request in (
        {**BUY, "comment": other},
        {**BUY, "comment": "a comment of 29 chars"[:21] + other},
        {**BUY, "comment": "a comment of 29 chars"[:21] + own},
        {"action": 10, "position": 1, "position_by": 2, "comment": own},
    ):
        before = len(bridge.terminal.calls)
        told = failed(bridge.call("order_send", request, key="k"), BadArguments)
        assert "looks like a gateway's tag" in told
        assert bridge.terminal.calls[before:] == []
    assert bridge.call("order_send", MINE, key="k").value.retcode == 10009


@pytest.mark.parametrize(
    ("executed", "twice", "state"), [(True, False, "done"), (False, False, "absent"), (True, True, "unknown")]
)
def test_an_order_in_doubt_is_no_strangers_whatever_its_comment(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch, executed: bool, twice: bool, state: str
) -> None:
    """An earlier version let such a comment through: its order must not latch trading off."""
    monkeypatch.setattr(gateway_orders.Orders, "_check_tag", lambda *_: None)
    bridge.pass_time(60.0, step=1.0)
    comment = "x" * 21 + tags.tag(journal(bridge).mark ^ 1, 5)
    for key in ("k", "l") if twice else ("k",):
        lose_answer(bridge, executed=executed)
        bridge.ask("order_send", {**BUY, "comment": comment}, key=key, timeout=0.5)
        bridge.pump()
    bridge.pass_time(70.0, step=1.0)
    assert journal(bridge).latch == ""
    assert outcome(bridge, "k").state == state


def test_orders_that_were_there_before_the_journal_latch_nothing(tmp_path: Path) -> None:
    bridge = Bridge()
    bridge.terminal.carry_out(_op("order_send"), [{**BUY, "comment": tags.tag(5, 5)}])
    bridge._journal = tmp_path / "new.db"
    bridge.restart()
    bridge.pass_time(70.0, step=1.0)
    assert bridge.call("order_send", MINE).value.retcode == 10009
    journal(bridge).close()


# ---- a journal that fails ---------------------------------------------------------------------------


def test_without_a_journal_orders_are_refused_and_reading_goes_on(tmp_path: Path) -> None:
    class NoJournal(Bridge):
        broken = True

        def open_journal(self, account: str) -> Journal:
            if self.broken:
                raise JournalUnusable("the disk is gone", hint="bring it back")
            return super().open_journal(account)

    bridge = NoJournal(journal=tmp_path / "journal.db")
    assert "the disk is gone" in failed(bridge.call("order_send", MINE, key="k"), JournalUnusable)
    assert bridge.call("positions_total").value == 0
    assert "order_send" not in bridge.terminal.calls
    bridge.broken = False
    bridge.pass_time(1.0)
    assert bridge.call("order_send", MINE, key="k").value.retcode == 10009
    journal(bridge).close()


def test_an_outcome_that_cannot_be_written_is_told_when_it_is(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise JournalUnusable("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "record", full)
        id_ = bridge.ask("order_send", MINE, key="k")
        assert bridge.pass_time(2.0) == []
        assert "the disk is full" in failed(bridge.call("order_send", MINE), JournalUnusable)
        assert bridge.call("positions_total").value == 1
    (done,) = bridge.pass_time(2.0)
    assert (done.id, done.value.retcode) == (id_, 10009)
    assert bridge.call("order_send", MINE).value.retcode == 10009


def test_two_gateways_on_one_journal_are_refused(bridge: Bridge, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="another gateway uses"):
        Bridge(journal=tmp_path / "journal.db")


def _op(name: str) -> Operation[..., Any]:
    from mt5crs.api import OPERATIONS

    return OPERATIONS[name]


def test_levels_that_are_those_of_before_were_not_changed(bridge: Bridge) -> None:
    ticket = bridge.call("order_send", MINE).value.order
    stops: dict[str, Any] = {"action": 6, "symbol": "EURUSD", "position": ticket}
    assert bridge.call("order_send", {**stops, "sl": 0.5}).value.retcode == 10009
    lose_answer(bridge, executed=False)
    bridge.ask("order_send", {**stops, "sl": 0.6}, key="lost")
    bridge.pass_time(HORIZON + 20.0)
    assert outcome(bridge, "lost").state == "absent"
    lose_answer(bridge)
    done = settled(bridge, bridge.ask("order_send", {**stops, "sl": 0.7}, key="done"))
    assert (done.value.retcode, outcome(bridge, "done").how) == (10009, "state")


def test_levels_that_nobody_of_ours_had_set_leave_it_unknown(bridge: Bridge) -> None:
    ticket = bridge.call("order_send", MINE).value.order
    stops: dict[str, Any] = {"action": 6, "symbol": "EURUSD", "position": ticket}
    lose_answer(bridge, executed=False)
    bridge.ask("order_send", {**stops, "sl": 0.6}, key="lost")
    bridge.pass_time(1.0)
    bridge.terminal.carry_out(_op("order_send"), [{**stops, "sl": 0.55}])  # somebody else
    bridge.pass_time(HORIZON + 20.0)
    assert outcome(bridge, "lost").state == "unknown"


def test_the_order_of_an_earlier_request_proves_nothing_of_its_twin(bridge: Bridge) -> None:
    bridge.call("order_send", LONG, key="first")
    bridge.restart()
    lose_answer(bridge, executed=False)
    bridge.ask("order_send", LONG, key="twin")
    bridge.pass_time(HORIZON + 20.0)
    assert outcome(bridge, "twin").state == "absent"


def test_a_change_that_a_later_one_has_overtaken_stays_unknown(bridge: Bridge) -> None:
    pending = {**MINE, "action": 5, "type": 2, "price": 0.5}
    ticket = bridge.call("order_send", pending).value.order
    lose_answer(bridge)
    change = {"action": 7, "order": ticket, "symbol": "EURUSD", "price": 0.6}
    bridge.ask("order_send", change, key="lost", timeout=0.5)
    bridge.pump()
    bridge.call("order_send", {**change, "price": 0.7})
    bridge.pass_time(HORIZON + 20.0)
    assert outcome(bridge, "lost").state == "unknown"


def test_a_latch_that_was_lifted_stays_lifted(bridge: Bridge, tmp_path: Path) -> None:
    from mt5crs.journal.store import LEGACY

    bridge.call("order_send", MINE)
    bridge.pass_time(40.0, step=1.0)
    comment = tags.tag(journal(bridge).mark ^ 1, 5)
    bridge.terminal.carry_out(_op("order_send"), [{**BUY, "comment": comment}])
    bridge.pass_time(70.0, step=1.0)
    assert journal(bridge).latch
    operator = Journal(tmp_path / "journal.db", "", writes=False)
    operator.latch = ""
    operator.set_meta(LEGACY, None)
    operator.close()
    bridge.pass_time(200.0, step=1.0)
    assert not journal(bridge).latch


def test_an_untagged_order_of_before_a_first_tick_is_not_taken_for_ours(bridge: Bridge) -> None:
    bridge.terminal.carry_out(_op("order_send"), [LONG])  # somebody else's
    bridge.terminal.__dict__["call"] = bridge.terminal.call

    def no_ticks(op: Operation[..., Any], wire: Any, until: float = 0.0) -> Result | Deferred:
        if op.name == "symbol_info_tick":
            return Result(None, (-1, "no"))
        if op.name == "order_send":
            return Result(None, (-10005, "IPC timeout"))
        return call(op, wire, until)

    call = bridge.terminal.call
    bridge.terminal.__dict__["call"] = no_ticks
    bridge.ask("order_send", LONG, key="k")
    bridge.pass_time(HORIZON + 20.0)
    assert outcome(bridge, "k").state == "unknown"


# ---- refusals that say nothing ----------------------------------------------------------------------


def test_a_refusal_of_the_second_copy_leaves_the_outcome_open(bridge: Bridge) -> None:
    fates = iter([False])
    bridge.to_client = lambda _: next(fates, True)
    id_ = bridge.ask("order_send", MINE, key="k")
    bridge.pump()
    bridge.principal = type(bridge.principal)("anonymous", Role.OBSERVER)  # the role was taken meanwhile
    failed(settled(bridge, id_, 4.0), OutcomeUnknown)


@pytest.mark.parametrize("is_lost", [True, False])
def test_a_trade_never_goes_to_another_account(bridge: Bridge, tmp_path: Path, is_lost: bool) -> None:
    bridge.to_client = lambda _: not is_lost
    id_ = bridge.ask("order_send", MINE, key="k")
    if is_lost:
        bridge.pump()
    else:
        frames = bridge.depart()  # refused untouched by the next gateway
        assert frames
    bridge.to_client = lambda _: True
    bridge.terminal.account = bridge.terminal.account._replace(login=2002)
    bridge._journal = tmp_path / "other.db"
    bridge.restart()
    read = bridge.ask("positions_total")
    answers = {done.id: done for done in bridge.pump() + bridge.pass_time(4.0)}
    assert answers[read].value == is_lost
    assert isinstance(answers[id_].failure, OutcomeUnknown)
    with pytest.raises(WrongAccount):
        bridge.ask("order_send", MINE)
    assert bridge.terminal.calls.count("order_send") == is_lost


def test_an_order_that_needs_the_time_waits_for_it_and_those_behind_it_wait_too(bridge: Bridge) -> None:
    bridge.terminal.slow = {"symbol_info_tick"}
    magics = [100, 101]
    ids = [
        bridge.ask("order_send", {**request, "magic": m})
        for request, m in zip((LONG, MINE), magics, strict=True)
    ]
    assert bridge.pump() == []
    assert "order_send" not in bridge.terminal.calls
    bridge.terminal.settle()
    assert [done.id for done in bridge.pump()] == ids
    assert [position.magic for position in bridge.call("positions_get").value] == magics


def test_the_time_is_not_waited_for_for_long(bridge: Bridge) -> None:
    bridge.terminal.slow = {"symbol_info_tick"}
    id_ = bridge.ask("order_send", LONG)
    (done,) = bridge.pass_time(2.0)
    assert (done.id, done.value.retcode) == (id_, 10009)


def test_a_journal_that_cannot_be_read_stops_nothing_else(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(*_: object) -> None:
        raise JournalUnusable("the journal is damaged")

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "refresh", damaged)
        assert bridge.dispatch.pass_time(bridge.now) == 1.0
        assert bridge.call("positions_total").value == 0
    assert bridge.call("order_send", MINE).value.retcode == 10009

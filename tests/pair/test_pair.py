"""Client core and gateway core together: results, loss, restarts, refusals."""

import numpy as np
import pytest

from mt5crs.api import OPERATIONS
from mt5crs.errors import (
    BadArguments,
    BridgeError,
    Busy,
    Certainty,
    ConnectionTimeout,
    Denied,
    Expired,
    OutcomeUnknown,
    Refused,
    TooLarge,
)
from mt5crs.model import RATES, OrderSendResult, SymbolInfo, Tick, TradeRequest
from mt5crs.operation import Result
from mt5crs.security.policy import Principal, Role
from mt5crs.wire.codec import encode, to_client, to_gateway
from mt5crs.wire.messages import (
    CHUNK,
    SPEAKS,
    WINDOW,
    Ask,
    Credit,
    Head,
    Hello,
    Ping,
    Receipt,
    Refusal,
    Reply,
)
from tests.pair.bridge import BUY, Bridge, messages


@pytest.fixture
def bridge() -> Bridge:
    return Bridge()


def names(frames: list[bytes]) -> list[str]:
    return [type(to_gateway(frame)).__name__ for frame in frames]


def failed_with(done_failure: BridgeError | None, kind: type[BridgeError]) -> BridgeError:
    assert isinstance(done_failure, kind)
    return done_failure


# ---- results ----------------------------------------------------------------------------------------


def test_the_first_request_greets_and_further_ones_do_not(bridge: Bridge) -> None:
    tick = bridge.call("symbol_info_tick", "EURUSD")
    assert isinstance(tick.value, Tick)
    assert tick.error == (1, "Success")
    bridge.call("symbol_info_tick", "EURUSD")
    assert names(bridge.sent) == ["Hello", "Ask", "Ask"]


def test_structures_come_back_as_structures(bridge: Bridge) -> None:
    info = bridge.call("symbol_info", "EURUSD").value
    assert isinstance(info, SymbolInfo)
    assert info == bridge.terminal.carry_out(OPERATIONS["symbol_info"], ["EURUSD"]).value
    assert all(isinstance(each, SymbolInfo) for each in bridge.call("symbols_get").value)


def test_an_order_comes_back_with_its_request(bridge: Bridge) -> None:
    sent = bridge.call("order_send", BUY, key="k").value
    assert isinstance(sent, OrderSendResult)
    assert sent.retcode == 10009
    assert isinstance(sent.request, TradeRequest)
    assert (sent.request.symbol, sent.request.volume) == ("EURUSD", 0.1)


def test_the_error_comes_with_the_result(bridge: Bridge) -> None:
    done = bridge.call("symbol_info", "NOPE")
    assert (done.value, done.error) == (None, (-4, "Terminal: Not found"))


def test_an_array_comes_in_chunks_and_is_what_the_terminal_gave(bridge: Bridge) -> None:
    ahead = 0
    most = 0

    def count(frame: bytes) -> bool:
        nonlocal ahead, most
        message = to_client(frame)
        ahead += not isinstance(message, Reply)
        most = max(most, ahead)
        return True

    def grant(frame: bytes) -> bool:
        nonlocal ahead
        for message in messages(to_gateway, frame):
            if isinstance(message, Credit):
                ahead -= message.chunks
        return True

    bridge.call("version")
    bridge.to_client, bridge.to_gateway = count, grant
    rows = 12 * CHUNK // RATES.itemsize
    array = bridge.call("copy_rates_from_pos", "EURUSD", 1, 0, rows).value
    direct = bridge.terminal.carry_out(OPERATIONS["copy_rates_from_pos"], ["EURUSD", 1, 0, rows]).value
    assert array.dtype == RATES.dtype
    assert not array.flags.writeable
    assert len(array) == rows
    assert np.array_equal(array, direct)
    assert 1 < most <= WINDOW
    assert not bridge.dispatch.transfers


def test_an_empty_array_is_an_array(bridge: Bridge) -> None:
    empty = bridge.call("copy_rates_range", "EURUSD", 1, 4_000_000_000, 4_000_000_060).value
    assert empty.shape == (0,)
    assert empty.dtype == RATES.dtype


# ---- loss -------------------------------------------------------------------------------------------


class LoseOnce:
    """Loses the first frame with a message of a kind."""

    def __init__(self, read: object, kind: type) -> None:
        self._read = read
        self._kind = kind
        self.lost: list[bytes] = []

    def __call__(self, frame: bytes) -> bool:
        if not self.lost and isinstance(self._read(frame), self._kind):  # type: ignore[operator]
            self.lost.append(frame)
            return False
        return True


def test_a_lost_read_is_asked_again(bridge: Bridge) -> None:
    bridge.call("version")
    bridge.to_gateway = LoseOnce(to_gateway, Ask)
    bridge.ask("symbols_total")
    assert bridge.pump() == []
    (done,) = bridge.pass_time(2.0)
    assert done.value > 0
    assert bridge.terminal.calls.count("symbols_total") == 1
    assert names(bridge.sent)[-3:] == ["Ask", "Ping", "Ask"]


@pytest.mark.parametrize("lost", [Ask, Receipt])
def test_a_lost_trade_is_never_sent_again(bridge: Bridge, lost: type) -> None:
    bridge.call("version")
    lose = LoseOnce(to_gateway if lost is Ask else to_client, lost)
    if lost is Ask:
        bridge.to_gateway = lose
    else:
        bridge.to_client = lose
    bridge.ask("order_send", BUY, key="the-key")
    settled = bridge.pump() + bridge.pass_time(10.0)
    (done,) = settled
    unknown = failed_with(done.failure, OutcomeUnknown)
    assert isinstance(unknown, OutcomeUnknown)
    assert unknown.key == "the-key"
    assert unknown.certainty is Certainty.UNKNOWN
    assert bridge.terminal.calls.count("order_send") == (lost is Receipt)
    assert names(bridge.sent).count("Ask") == 2


def test_loss_is_noticed_before_the_timeout(bridge: Bridge) -> None:
    bridge.call("version")
    bridge.to_client = LoseOnce(to_client, Reply)
    bridge.ask("order_send", BUY, timeout=60.0)
    assert len(bridge.pump() + bridge.pass_time(2.0)) == 1


def test_a_lost_greeting_is_said_again(bridge: Bridge) -> None:
    bridge.to_gateway = LoseOnce(to_gateway, Hello)
    bridge.ask("symbols_total")
    (done,) = bridge.pump() + bridge.pass_time(2.0)
    assert done.value > 0


def test_a_slow_answer_is_not_taken_for_a_lost_one(bridge: Bridge) -> None:
    bridge.call("version")
    rows = 12 * CHUNK // RATES.itemsize

    def is_no_credit(frame: bytes) -> bool:  # so the array stays in hand
        return not any(isinstance(message, Credit) for message in messages(to_gateway, frame))

    bridge.to_gateway = is_no_credit
    bridge.ask("copy_rates_from_pos", "EURUSD", 1, 0, rows, timeout=4.0)
    bridge.pump()
    bridge.pass_time(3.0)
    assert names(bridge.sent).count("Ask") == 2
    assert "Ping" in names(bridge.sent)


def test_nothing_heard_is_a_timeout(bridge: Bridge) -> None:
    bridge.to_client = lambda _: False
    bridge.ask("symbols_total")
    assert bridge.pump() + bridge.pass_time(4.75) == []
    (done,) = bridge.pass_time(0.5)
    failure = failed_with(done.failure, ConnectionTimeout)
    assert "Connection timeout" in str(failure)
    assert failure.certainty is Certainty.REFUSED


def test_a_trade_that_never_left_is_refused_not_unknown(bridge: Bridge) -> None:
    bridge.ask("order_send", BUY, key="k")
    bridge.now += 6.0
    (done,) = bridge.session.tick(bridge.now)
    assert failed_with(done.failure, ConnectionTimeout).certainty is Certainty.REFUSED
    bridge.pump()
    assert "order_send" not in bridge.terminal.calls


def test_late_answers_are_for_nobody(bridge: Bridge) -> None:
    bridge.call("version")
    late: list[bytes] = []

    def keep(frame: bytes) -> bool:
        late.append(frame)
        return False

    bridge.to_client = keep
    bridge.ask("symbols_total", timeout=0.5)
    bridge.pump()
    bridge.pass_time(1.0)
    assert [bridge.session.receive(frame, bridge.now) for frame in late] == [None] * len(late)


# ---- the gateway is started again -------------------------------------------------------------------


def test_a_new_gateway_is_greeted_and_asked_again(bridge: Bridge) -> None:
    bridge.call("version")
    bridge.restart()
    assert bridge.call("symbols_total").value > 0
    assert names(bridge.sent)[-3:] == ["Ask", "Hello", "Ask"]


def test_a_trade_that_a_new_gateway_refused_unseen_is_sent_to_it_once(bridge: Bridge) -> None:
    bridge.call("version")
    bridge.restart()
    assert bridge.call("order_send", BUY).value.retcode == 10009
    assert bridge.terminal.calls.count("order_send") == 1


def test_what_was_watched_is_watched_again(bridge: Bridge) -> None:
    assert bridge.call("market_book_add", "EURUSD").value is True
    bridge.watches.add(("book", "EURUSD"))
    assert bridge.call("market_book_get", "EURUSD").value is not None
    bridge.restart()
    assert bridge.call("market_book_get", "EURUSD").value is not None


# ---- refusals ---------------------------------------------------------------------------------------


def test_a_request_past_its_deadline_does_not_reach_the_terminal(bridge: Bridge) -> None:
    bridge.call("version")
    bridge.ask("order_send", BUY, timeout=1.0)
    frame, _ = bridge.session.outbox.popleft()
    (answer,) = bridge.dispatch.handle(bridge.peer, bridge.principal, frame, bridge.now + 1.5)
    refusal = to_client(answer)
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.certainty) == (Expired.code, "refused")
    assert "order_send" not in bridge.terminal.calls


def test_the_deadline_is_on_the_gateways_clock(bridge: Bridge) -> None:
    bridge.call("version")
    frame = bridge.session.ask(OPERATIONS["version"], (), bridge.now, 1.0)
    assert frame
    ask = to_gateway(bridge.session.outbox[-1][0])
    assert isinstance(ask, Ask)
    assert ask.deadline == int((bridge.now + 1.0) * 1000)


def test_a_slow_greeting_does_not_make_deadlines_late(bridge: Bridge) -> None:
    """Nothing is known of when in those seconds the gateway read its clock, so the safe end is taken."""
    bridge.ask("version")
    hello, _ = bridge.session.outbox.popleft()
    bridge.now += 3.0  # the connection took its time
    (welcome,) = bridge.dispatch.handle(bridge.peer, bridge.principal, hello, bridge.now)
    bridge.session.receive(welcome, bridge.now)
    bridge.ask("order_send", BUY, timeout=1.0)
    ask = to_gateway(bridge.session.outbox[-1][0])
    assert isinstance(ask, Ask)
    assert ask.deadline == int((bridge.now + 1.0) * 1000)


def test_an_observer_may_read_and_not_trade() -> None:
    bridge = Bridge(Principal("eve", Role.OBSERVER))
    assert bridge.call("account_info").value.login
    denied = failed_with(bridge.call("order_send", BUY).failure, Denied)
    assert "eve is observer and may not order_send" in str(denied)
    assert "order_send" not in bridge.terminal.calls


def handle(bridge: Bridge, message: object) -> object:
    frame = message if isinstance(message, bytes) else encode(message)  # type: ignore[arg-type]
    (answer,) = bridge.dispatch.handle(bridge.peer, bridge.principal, frame, bridge.now)
    return answer if answer == b"OK_FROM_MT5" else to_client(answer)


def test_the_seeds_hello_is_answered(bridge: Bridge) -> None:
    assert handle(bridge, b"Hello") == b"OK_FROM_MT5"


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (b"garbage", "protocol"),
        (b"", "protocol"),
        (b"MT5\x63\x92\xa4ping\x01", "version"),
        (b"MT5\x02\x92\xa4pi", "protocol"),
        (b"MT5\x02" + b"\xc4" * 70_000, "too-large"),
        (Ask(1, "rm -rf", []), "unknown-operation"),
        (Ask(1, "__class__", []), "unknown-operation"),
        (Ask(1, "version", [1]), "bad-arguments"),
        (Ask(1, "copy_rates_from_pos", ["EURUSD", "H1", 0, 1]), "bad-arguments"),
        (Ask(1, "version", [], 1), "expired"),
        (Ask(1, "version", [], 0, 99), "stale-epoch"),
        (Hello("c", "old", [0]), "version"),
        (Hello("c" * 1000, "x", list(SPEAKS)), "bad-arguments"),
    ],
    ids=repr,
)
def test_bad_input_is_refused_counted_and_survived(bridge: Bridge, message: object, code: str) -> None:
    refusal = handle(bridge, message)
    assert isinstance(refusal, Refusal)
    assert refusal.code == code
    assert refusal.message
    assert bridge.dispatch.counters[code] == 1
    assert isinstance(handle(bridge, Ask(2, "version", [])), Reply)


@pytest.mark.parametrize(
    ("op", "args", "reply"),
    [
        ("symbol_info", [], Reply(1, None, -2, "Invalid arguments")),
        ("symbol_info", [5], Reply(1, None, -2, "Invalid arguments")),
        ("symbol_info", ["X" * 30], Reply(1, None, -2, "Invalid arguments")),
        ("symbol_select", [5, True], Reply(1, False, -2, "Invalid arguments")),
        ("order_send", [{"volume": 1}], Reply(1, None, -2, 'Invalid "volume" argument')),
        ("order_send", ["buy"], Reply(1, None, -2, "Invalid arguments")),
        ("positions_get", ["1", None, None], Reply(1, None, -2, 'Invalid "ticket" argument')),
        ("positions_get", [None], Reply(1, None, -2, "Invalid arguments")),
        ("initialize", [None, "me", None, None, None, None], Reply(1, False, -2, 'Invalid "login" argument')),
    ],
)
def test_wrong_arguments_are_answered_as_the_official_package_does(
    bridge: Bridge, op: str, args: list[object], reply: Reply
) -> None:
    assert handle(bridge, Ask(1, op, args)) == reply


def test_a_peer_without_credit_gets_an_array_in_one_message(bridge: Bridge) -> None:
    frames = bridge.dispatch.handle(
        bridge.peer,
        bridge.principal,
        encode(Ask(1, "copy_rates_from_pos", ["EURUSD", 1, 0, 20_000])),
        bridge.now,
    )
    assert to_client(frames[0]) == Head(1, "rates", 20_000, 1, "Success")
    assert len(frames[1]) == 20_000 * RATES.itemsize
    refusal = handle(bridge, Ask(1, "copy_rates_from_pos", ["EURUSD", 1, 0, 300_000]))
    assert isinstance(refusal, Refusal)
    assert refusal.code == TooLarge.code


def test_a_fifth_array_at_a_time_is_refused(bridge: Bridge) -> None:
    bridge.call("version")
    bridge.to_client = lambda _: False
    for _ in range(5):
        bridge.ask("copy_rates_from_pos", "EURUSD", 1, 0, 12 * CHUNK // RATES.itemsize)
    bridge.pump()
    assert bridge.dispatch.counters[Busy.code] == 1


def test_forgetting_an_array_frees_it(bridge: Bridge) -> None:
    bridge.call("version")
    bridge.to_client = lambda _: False
    id_ = bridge.ask("copy_rates_from_pos", "EURUSD", 1, 0, 12 * CHUNK // RATES.itemsize)
    bridge.pump()
    assert bridge.dispatch.transfers.in_hand(bridge.peer) == [id_]
    bridge.session.forget(id_)
    bridge.pump()
    assert bridge.dispatch.transfers.in_hand(bridge.peer) == []


def test_a_request_too_large_is_refused_before_it_is_sent(bridge: Bridge) -> None:
    bridge.call("version")
    with pytest.raises(TooLarge):
        bridge.session.ask(OPERATIONS["symbols_get"], ["x" * 70_000], bridge.now, 5.0)
    assert not bridge.session.outbox


@pytest.mark.parametrize("greeted", [False, True])
def test_what_cannot_be_encoded_costs_its_own_request_only(bridge: Bridge, greeted: bool) -> None:
    if greeted:
        bridge.call("version")
        with pytest.raises(BadArguments, match="symbol_info: an argument cannot be sent"):
            bridge.ask("symbol_info", "\udcff")
    else:
        bad, good = bridge.ask("symbol_info", "\udcff"), bridge.ask("symbols_total")
        settled = {done.id: done for done in bridge.pump()}
        assert isinstance(settled[bad].failure, BadArguments)
        assert settled[good].value > 0
    assert bridge.call("version").value


# ---- sessions and watches ---------------------------------------------------------------------------


def other(bridge: Bridge) -> Bridge:
    """Another client of the same gateway."""
    joined = Bridge()
    joined.now, joined.terminal, joined.dispatch, joined.peer = (
        bridge.now,
        bridge.terminal,
        bridge.dispatch,
        b"other",
    )
    joined.session._client = "other"
    return joined


def test_one_clients_release_takes_nothing_from_another(bridge: Bridge) -> None:
    second = other(bridge)
    assert bridge.call("market_book_add", "EURUSD").value
    assert second.call("market_book_add", "EURUSD").value
    assert bridge.call("market_book_release", "EURUSD").value is True
    assert bridge.call("market_book_get", "EURUSD").value is None
    assert second.call("market_book_get", "EURUSD").value is not None
    assert "market_book_release" not in bridge.terminal.calls
    assert second.call("market_book_release", "EURUSD").value is True
    assert "market_book_release" in bridge.terminal.calls


def test_a_symbol_that_another_client_watches_stays_visible(bridge: Bridge) -> None:
    second = other(bridge)
    bridge.call("symbol_select", "EURUSD", True)
    second.call("symbol_select", "EURUSD", True)
    assert bridge.call("symbol_select", "EURUSD", False).value is True
    assert second.call("symbol_info", "EURUSD").value.select is True


def test_shutdown_ends_the_session_and_not_the_terminal(bridge: Bridge) -> None:
    second = other(bridge)
    bridge.call("market_book_add", "EURUSD")
    second.call("version")
    assert bridge.call("shutdown").value is True
    assert "shutdown" not in bridge.terminal.calls
    assert "market_book_release" in bridge.terminal.calls
    assert second.call("account_info").value is not None


def test_a_silent_connection_is_forgotten_and_greets_again(bridge: Bridge) -> None:
    bridge.call("market_book_add", "EURUSD")
    bridge.now += 4000.0
    bridge.dispatch.sweep(bridge.now)
    assert "market_book_release" in bridge.terminal.calls
    bridge.watches.add(("book", "EURUSD"))
    assert bridge.call("market_book_get", "EURUSD").value is not None


def test_a_ping_tells_of_the_gateway(bridge: Bridge) -> None:
    bridge.call("version")
    id_ = bridge.session.ping(bridge.now, 5.0)
    (done,) = bridge.pump()
    assert done.id == id_
    assert done.value.state["terminal"] == "simulated"
    assert done.value.state["counters"]["read"] == 1
    assert isinstance(to_gateway(bridge.sent[-1]), Ping)


def test_a_defect_in_the_terminal_costs_its_own_request_only(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(bridge.terminal, "call", fails)
        bridge.ask("order_send", BUY, key="k")
        read = bridge.call("symbols_total").failure
        (order,) = bridge.pass_time(5.0)
    failure = order.failure
    assert isinstance(failure, OutcomeUnknown)
    assert (failure.certainty, failure.key) == (Certainty.UNKNOWN, "k")
    assert read is not None
    assert read.code == "gateway-fault"
    assert bridge.call("version").value


@pytest.mark.parametrize("code", [1, -1, -99, -10000, -10001, -10002, -10005])
def test_an_order_that_the_terminal_has_no_answer_to_is_unknown(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    monkeypatch.setattr(bridge.terminal, "call", lambda *_: Result(None, (code, "the terminal's words")))
    bridge.ask("order_send", BUY, key="k")
    assert bridge.pass_time(4.0) == []  # it is looked for
    (done,) = bridge.pass_time(1.0)
    failure = failed_with(done.failure, OutcomeUnknown)
    assert isinstance(failure, OutcomeUnknown)
    assert (failure.certainty, failure.key) == (Certainty.UNKNOWN, "k")
    assert failure.last_error == (code, "the terminal's words")
    assert f"the terminal's words ({code})" in failure.message
    read = bridge.call("symbol_info_tick", "EURUSD")
    assert (read.value, read.error, read.failure) == (None, (code, "the terminal's words"), None)


@pytest.mark.parametrize("code", [-2, -3, -4, -5, -6, -7, -8, -10003, -10004])
def test_an_order_that_the_terminal_did_not_send_is_none(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    monkeypatch.setattr(bridge.terminal, "call", lambda *_: Result(None, (code, "no")))
    done = bridge.call("order_send", BUY, key="k")
    assert (done.value, done.error, done.failure) == (None, (code, "no"), None)


def test_a_frame_that_comes_twice_is_one_order(bridge: Bridge) -> None:
    first = bridge.call("order_send", BUY, key="k").value
    frame = bridge.sent[-1]
    (again,) = bridge.handle(frame)
    assert to_client(again).value[2] == first.order  # type: ignore[union-attr]
    assert bridge.terminal.calls.count("order_send") == 1
    other = failed_with(bridge.call("order_send", {**BUY, "volume": 0.2}, key="k").failure, Refused)
    assert "belongs to another request" in str(other)
    assert bridge.call("positions_total").value == 1


def test_a_refusal_that_comes_twice_sends_an_order_once(bridge: Bridge) -> None:
    bridge.call("version")
    bridge.restart()
    bridge.ask("order_send", BUY)
    frame, pending = bridge.session.outbox.popleft()
    pending.sent = True  # type: ignore[union-attr]
    (stale,) = bridge.dispatch.handle(bridge.peer, bridge.principal, frame, bridge.now)
    for _ in range(2):
        assert bridge.session.receive(stale, bridge.now) is None
    bridge.pump()
    assert bridge.terminal.calls.count("order_send") == 1


def test_a_routing_id_that_changed_hands_is_a_stranger(bridge: Bridge) -> None:
    bridge.call("version")
    taken = encode(Ask(9, "market_book_get", ["EURUSD"], 0, bridge.dispatch.epoch))
    (answer,) = bridge.dispatch.handle(bridge.peer, Principal("eve", Role.OBSERVER), taken, bridge.now)
    refusal = to_client(answer)
    assert isinstance(refusal, Refusal)
    assert refusal.code == "stale-epoch"


def test_a_connection_that_changes_its_name_lets_go_of_the_old_ones_watches(bridge: Bridge) -> None:
    bridge.call("market_book_add", "EURUSD")
    for name in ("a", "b"):
        handle(bridge, Hello(name, "test", list(SPEAKS)))
    assert "market_book_release" in bridge.terminal.calls


def test_an_array_that_nobody_takes_in_is_dropped(bridge: Bridge) -> None:
    bridge.call("version")
    bridge.to_client = lambda _: False
    bridge.ask("copy_rates_from_pos", "EURUSD", 1, 0, 12 * CHUNK // RATES.itemsize)
    bridge.pump()
    bridge.dispatch.sweep(bridge.now)
    assert bridge.dispatch.transfers.in_hand(bridge.peer)
    bridge.dispatch.sweep(bridge.now)
    assert not bridge.dispatch.transfers.in_hand(bridge.peer)


def test_bad_arguments_name_the_operation(bridge: Bridge) -> None:
    refusal = handle(bridge, Ask(1, "order_calc_margin", ["buy", "EURUSD", 1.0, 1.0]))
    assert isinstance(refusal, Refusal)
    assert refusal.code == BadArguments.code
    assert "order_calc_margin" in refusal.message

"""Worker processes: what hangs, dies, is lost or is not the gateway's account costs as little as it can."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import zmq

from mt5crs import Client
from mt5crs.constants import TIMEFRAME_M1
from mt5crs.errors import Busy, Expired, TerminalMissing, WrongAccount
from mt5crs.last_error import IPC_TIMEOUT, NO_ANSWER
from mt5crs.model import BookInfo
from mt5crs.operation import Unasked
from mt5crs.terminal.official import OfficialTerminal
from mt5crs.terminal.official import terminal as official_terminal
from mt5crs.terminal.official.messages import Reply, encode
from mt5crs.terminal.official.news import pack, place_after
from mt5crs.terminal.official.process import BOOT
from mt5crs.terminal.port import NewBars, NewState, NewTicks
from mt5crs.terminal.simulated import SimulatedConfig
from mt5crs.topics import Account, AnyTopic, Bars, Beat, Book, Ticks, Trades
from mt5crs.wire.topics import KINDS
from tests.official.driving import (
    PACKAGE,
    all_ready,
    ask,
    buy,
    get,
    kill,
    lane,
    official,
    pid,
    settled,
    wait_until,
    workers_of,
)
from tests.processes import PATIENCE, Gateway

pytestmark = pytest.mark.long
BULK = ("EURUSD", 1, 1_700_000_000, 1_703_000_000)


def faulty(folder: Path, *faults: str) -> Gateway:
    return Gateway(folder, [option for fault in faults for option in ("--fault", fault)])


def comments(upstream: Gateway) -> list[str]:
    """Return the comments of the account's positions, in the order in which they were opened."""
    with upstream.client() as direct:
        positions = direct.positions_get()
        assert positions is not None
        return [position.comment for position in sorted(positions, key=lambda each: each.ticket)]


def orders_heard_of(upstream: Gateway) -> int:
    with upstream.client() as direct:
        return counter(direct, "trade")


def counter(direct: Client, name: str) -> int:
    return int(direct.ping().pong.state["counters"].get(name, 0))


@pytest.fixture(scope="module")
def terminal(gateway: Gateway) -> Iterator[OfficialTerminal]:
    """A terminal in good order, shared by the tests that leave it so."""
    with official(gateway) as terminal:
        yield terminal


# ---- good order ----


def test_the_account_at_the_start_is_the_one_to_be_kept(gateway: Gateway, terminal: OfficialTerminal) -> None:
    with gateway.client() as direct:
        account = direct.account_info()
    assert account is not None
    assert terminal.account == (account.login, account.server, account.trade_mode)
    assert terminal.account_info[:3] == list(account[:3])


def test_long_arrays_come_in_parts_and_are_the_same(gateway: Gateway, terminal: OfficialTerminal) -> None:
    result = get(terminal, "copy_rates_range", *BULK)
    with gateway.client() as direct:
        rates = direct.copy_rates_range(*BULK)
    assert rates is not None
    assert rates.nbytes > 5 * 512 * 1024
    assert result.error == (1, "Success")
    assert result.value.dtype == rates.dtype
    assert np.array_equal(result.value, rates)


def test_an_empty_array_is_an_array(terminal: OfficialTerminal) -> None:
    result = get(terminal, "copy_ticks_range", "EURUSD", 100, 200, -1)
    assert (len(result.value), result.error) == (0, (1, "Success"))


def test_failures_have_the_error_of_their_own_call(terminal: OfficialTerminal) -> None:
    answers = [ask(terminal, "symbol_info_tick", symbol) for symbol in ["EURUSD", "NOPE"] * 3]
    errors = [settled(terminal, answer).error[0] for answer in answers]
    assert errors == [1, -4] * 3


def test_it_is_as_it_says(terminal: OfficialTerminal) -> None:
    all_ready(terminal)
    condition = terminal.condition()
    assert (condition.terminal, condition.broker, condition.account) == (True, True, True)
    assert list(condition.lanes) == ["trade", "read", "stream"]


def test_an_idle_terminal_is_not_asked_all_the_time(terminal: OfficialTerminal) -> None:
    all_ready(terminal)
    wait_until(terminal, lambda: terminal.advance() > 0.1)


def test_a_disconnected_broker_is_noticed_by_itself(tmp_path: Path) -> None:
    with faulty(tmp_path, "disconnect:start=1,seconds=0") as upstream, official(upstream) as terminal:
        wait_until(terminal, lambda: not terminal.condition().broker)
        condition = terminal.condition()
        assert (condition.terminal, condition.account) == (True, True)


# ---- what hangs ----


def test_an_order_is_not_held_up_by_a_read_that_hangs(tmp_path: Path) -> None:
    with (
        faulty(tmp_path, "wedge:operation=copy_rates_range") as upstream,
        official(upstream, read_limit=3.0) as terminal,
    ):
        stuck, behind = ask(terminal, "copy_rates_range", *BULK), ask(terminal, "symbols_total")
        wait_until(terminal, lambda: lane(terminal, "read").startswith("busy for"))
        hung = pid(terminal, "read")
        assert get(terminal, "order_send", buy()).value[0] == 10009
        assert stuck.result is None
        assert settled(terminal, stuck) == (None, IPC_TIMEOUT)
        assert lane(terminal, "read").startswith(("restarting in", "starting for"))
        assert not terminal.condition().terminal
        assert settled(terminal, behind).value > 0
        assert pid(terminal, "read") != hung
        assert terminal.condition().terminal
        assert len(get(terminal, "copy_rates_range", *BULK).value)
        wait_until(terminal, lambda: not psutil.pid_exists(hung))


def test_an_order_that_hangs_is_in_doubt_and_the_next_goes_on(tmp_path: Path) -> None:
    with faulty(tmp_path, "lose") as upstream, official(upstream, trade_limit=1.0) as terminal:
        lost, other = (ask(terminal, "order_send", buy(comment)) for comment in ("lost", "other"))
        assert settled(terminal, lost) == (None, IPC_TIMEOUT)
        assert IPC_TIMEOUT[0] in NO_ANSWER
        assert settled(terminal, other).value[0] == 10009
        assert comments(upstream) == ["lost", "other"]


def test_what_waited_too_long_never_reaches_the_terminal(tmp_path: Path) -> None:
    with faulty(tmp_path, "wedge") as upstream, official(upstream) as terminal:
        stuck = ask(terminal, "order_send", buy("stuck"))
        late = ask(terminal, "order_send", buy("late"), until=time.monotonic() + 0.2)
        third = ask(terminal, "order_send", buy("third"))
        result = settled(terminal, late)
        assert isinstance(result, Unasked)
        assert isinstance(result.failure, Expired)
        assert stuck.result is None
        kill(terminal, "trade")
        assert settled(terminal, third).value[0] == 10009
        assert comments(upstream) == ["third"]
        assert orders_heard_of(upstream) == 2  # the stuck one and the third


def test_a_full_lane_is_busy_and_the_other_is_not(tmp_path: Path) -> None:
    with (
        faulty(tmp_path, "wedge:operation=symbols_total") as upstream,
        official(upstream, room=3) as terminal,
    ):
        all_ready(terminal)
        ask(terminal, "symbols_total")
        wait_until(terminal, lambda: lane(terminal, "read").startswith("busy"))
        room = 3 - lane(terminal, "read").count("waiting")
        for _ in range(room):
            ask(terminal, "symbols_total")
        with pytest.raises(Busy, match="read lane"):
            ask(terminal, "symbols_total")
        assert get(terminal, "order_send", buy()).value[0] == 10009


# ---- what dies ----


@pytest.mark.parametrize(("fault", "filled"), [("wedge", []), ("lose", ["one"])])
def test_a_worker_killed_amid_an_order_leaves_that_one_in_doubt(
    tmp_path: Path, fault: str, filled: list[str]
) -> None:
    with faulty(tmp_path, fault) as upstream, official(upstream) as terminal:
        names = ["one", "two", "three", "four"]
        orders = [ask(terminal, "order_send", buy(name)) for name in names]
        with upstream.client() as direct:
            wait_until(terminal, lambda: counter(direct, "trade"))
        kill(terminal, "trade")
        doubtful = settled(terminal, orders[0])
        assert not isinstance(doubtful, Unasked)
        assert doubtful.value is None
        assert doubtful.error[0] in NO_ANSWER
        assert [settled(terminal, order).value[0] for order in orders[1:]] == [10009] * 3
        assert comments(upstream) == [*filled, *names[1:]]


def test_an_order_to_a_worker_that_died_in_peace_is_not_in_doubt(
    gateway: Gateway, terminal: OfficialTerminal
) -> None:
    all_ready(terminal)
    kill(terminal, "trade")
    assert get(terminal, "order_send", buy("after")).value[0] == 10009
    assert comments(gateway).count("after") == 1


def test_a_worker_that_died_is_replaced_by_itself_and_it_says_so(terminal: OfficialTerminal) -> None:
    all_ready(terminal)
    dead = pid(terminal, "trade")
    kill(terminal, "trade")
    wait_until(terminal, lambda: lane(terminal, "trade") != "ready")
    said = lane(terminal, "trade")
    assert said.startswith("restarting in 0.")
    assert said.endswith(" s (exit code -9)")
    all_ready(terminal)
    assert pid(terminal, "trade") != dead


def test_half_an_array_dies_with_its_worker(terminal: OfficialTerminal) -> None:
    all_ready(terminal)
    stuck = ask(terminal, "copy_rates_range", "EURUSD", 1, 1_600_000_000, 1_700_000_000)
    member = terminal._crew._members["read"]
    wait_until(terminal, lambda: member._array is not None)
    assert stuck.result is None
    kill(terminal, "read")
    assert settled(terminal, stuck).value is None
    assert get(terminal, "symbols_total").value > 0


def test_books_are_watched_again_by_the_next_worker(terminal: OfficialTerminal) -> None:
    assert get(terminal, "market_book_add", "EURUSD").value is True
    before = len(get(terminal, "market_book_get", "EURUSD").value)
    kill(terminal, "read")
    wait_until(terminal, lambda: lane(terminal, "read") != "ready")
    assert len(get(terminal, "market_book_get", "EURUSD").value) == before
    assert get(terminal, "market_book_release", "EURUSD").value is True


# ---- streams ----

EURUSD, MINUTES, DEPTH = Ticks("EURUSD"), Bars("EURUSD", TIMEFRAME_M1), Book("AAPL")


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway at which a minute lasts a second, shared by the tests that leave it so."""
    with Gateway(tmp_path_factory.mktemp("quick"), ["--speed", "60"]) as running:
        yield running


class Stream:
    """News of some topics, by topic and in order.

    Args:
        terminal: Where they come from.
        topics: What is followed.
    """

    def __init__(self, terminal: OfficialTerminal, *topics: AnyTopic) -> None:
        self._terminal = terminal
        self.news: dict[AnyTopic, list[Any]] = {topic: [] for topic in topics}
        for topic in topics:
            assert terminal.follow(topic)

    def collect(self, **least: int) -> None:
        """Collect news until there are so many more: ticks, bars, or news of states and trades."""
        before = {name: self.count(name) for name in least}

        def enough() -> bool:
            for each in self._terminal.take_news():
                self.news[each.topic].append(each)
            return all(self.count(name) - before[name] >= count for name, count in least.items())

        wait_until(self._terminal, enough)

    def count(self, kind: str) -> int:
        """Return how many ticks, bars, or news of another kind of topic there are."""
        news = [each for topic, those in self.news.items() if KINDS[type(topic)] == kind for each in those]
        return sum(len(each[2]) if isinstance(each, NewTicks | NewBars) else 1 for each in news)

    def end(self) -> None:
        """Follow nothing more."""
        for topic in self.news:
            self._terminal.unfollow(topic)

    def is_without_loss_or_double(self, upstream: Gateway) -> bool:
        """Hold ticks and bars against the history."""
        ticks = np.concatenate([each.ticks for each in self.news[EURUSD]])
        first, last = int(ticks["time"][0]), int(ticks["time"][-1])
        with upstream.client() as direct:
            history: Any = direct.copy_ticks_range("EURUSD", first, last + 1, -1)
            bars = [each.bars for each in self.news.get(MINUTES, ()) if len(each.bars)]
            if bars:
                rates = np.concatenate(bars)
                span = int(rates["time"][0]), int(rates["time"][-1])
                closed: Any = direct.copy_rates_range("EURUSD", TIMEFRAME_M1, *span)
                assert np.array_equal(closed, rates)
        for news in self.news.values():
            for before, after in pairwise(news):
                if isinstance(before, NewTicks | NewBars):
                    assert pack(after)[0] == place_after(before)
                elif isinstance(before, NewState):
                    assert before.value != after.value
        within = (history["time_msc"] >= ticks["time_msc"][0]) & (
            history["time_msc"] <= ticks["time_msc"][-1]
        )
        return np.array_equal(history[within], ticks)


def test_ticks_bars_and_states_are_followed_across_the_death_of_their_worker(quick: Gateway) -> None:
    with official(quick) as terminal:
        assert get(terminal, "order_send", buy()).value[0] == 10009
        stream = Stream(terminal, EURUSD, MINUTES, Account(), Trades())
        stream.collect(tick=10, bar=1, account=2, trade=1)
        for _ in range(2):
            kill(terminal, "stream")
            stream.collect(tick=40, bar=2, account=2, trade=1)
        assert stream.is_without_loss_or_double(quick)
        assert not stream.news[EURUSD][0].ticks.size
        assert not stream.news[MINUTES][0].bars.size
        assert {value[0] for _, value in stream.news[Account()]} == {terminal.account.login}


def test_a_stream_worker_that_hangs_is_replaced_and_nothing_is_missed(tmp_path: Path) -> None:
    options = ["--speed", "60", "--fault", "wedge:operation=copy_ticks_from,skip=40"]
    with Gateway(tmp_path, options) as upstream, official(upstream, read_limit=1.0) as terminal:
        stream = Stream(terminal, EURUSD, MINUTES)
        stream.collect(tick=1)
        hung = pid(terminal, "stream")
        wait_until(terminal, lambda: pid(terminal, "stream") not in {0, hung})
        stream.collect(tick=50, bar=1)
        assert stream.is_without_loss_or_double(upstream)


def test_books_and_trades_are_told_of_beside_what_clients_ask_for(quick: Gateway) -> None:
    with official(quick) as terminal:
        assert get(terminal, "market_book_get", "AAPL").value is None
        stream = Stream(terminal, DEPTH, Book("EURUSD"), Trades())
        stream.collect(book=4, trade=1)
        assert [each.value for each in stream.news[Book("EURUSD")]] == [[]]
        assert all(len(row) == BookInfo.n_fields for each in stream.news[DEPTH] for row in each.value)
        # Clients' subscriptions are another process's, and neither ends the other's.
        assert get(terminal, "market_book_get", "AAPL").value is None
        assert get(terminal, "market_book_add", "AAPL").value is True
        assert get(terminal, "market_book_get", "AAPL").value
        assert get(terminal, "market_book_release", "AAPL").value is True
        stream.collect(book=2)
        assert get(terminal, "market_book_add", "AAPL").value is True
        terminal.unfollow(DEPTH)
        all_ready(terminal)
        assert get(terminal, "market_book_get", "AAPL").value
        signs = len(stream.news[Trades()])
        assert get(terminal, "order_send", buy()).value[0] == 10009
        stream.collect(trade=1)
        assert len(stream.news[Trades()]) > signs


def test_an_unknown_symbol_brings_nothing_and_holds_no_other_up(quick: Gateway) -> None:
    with official(quick) as terminal:
        for topic in (Ticks(""), Bars("N" * 30, TIMEFRAME_M1), Bars("EURUSD", 7), Beat()):
            assert not terminal.follow(topic)
        stream = Stream(terminal, Ticks("NOPE"), Bars("NOPE", TIMEFRAME_M1), Book("NOPE"), EURUSD)
        stream.collect(tick=1)
        stream.end()
        assert [topic for topic, news in stream.news.items() if news] == [EURUSD]
        all_ready(terminal)
        assert terminal.take_news() == []


# ---- the account ----


def test_for_another_account_no_order_is_sent_and_of_it_nothing_is_told(tmp_path: Path) -> None:
    with Gateway(tmp_path) as before, official(before, timeout=0.5) as terminal:
        stream = Stream(terminal, EURUSD, MINUTES, Account(), Trades())
        stream.collect(tick=1, account=1, trade=1)
        before.kill()
        with Gateway(tmp_path, ["--login", "777"], port=before.port) as after, after.client() as direct:
            wait_until(terminal, lambda: terminal.condition().terminal and not terminal.condition().account)
            stream.collect()
            told = {topic: len(news) for topic, news in stream.news.items()}
            result = get(terminal, "order_send", buy())
            assert isinstance(result, Unasked)
            assert isinstance(result.failure, WrongAccount)
            assert f"logged in to 777@{terminal.account.server}" in result.failure.message
            assert f"this gateway is for {terminal.account}" in result.failure.message
            assert orders_heard_of(after) == 0
            assert get(terminal, "initialize", *[None] * 6) == (False, (-6, "Terminal: Authorization failed"))
            assert direct.order_send(buy()) is not None
            asked = counter(direct, "read")
            wait_until(terminal, lambda: counter(direct, "read") >= asked + 4)  # among them, whose account
            stream.collect()
            assert {topic: len(news) for topic, news in stream.news.items()} == told
        before.start()
        stream.collect(tick=2, trade=1)
        assert stream.is_without_loss_or_double(before)
        assert {value[0] for _, value in stream.news[Account()]} == {terminal.account.login}


def test_a_terminal_that_ends_is_noticed_and_used_again_when_it_is_back(tmp_path: Path) -> None:
    with Gateway(tmp_path) as upstream, official(upstream, timeout=0.5) as terminal:
        all_ready(terminal)
        upstream.kill()
        wait_until(terminal, lambda: not terminal.condition().terminal)
        condition = terminal.condition()
        assert (condition.broker, condition.account) == (False, False)
        result = get(terminal, "order_send", buy())
        assert isinstance(result, Unasked)
        assert isinstance(result.failure, WrongAccount)
        assert "logged in to no account" in result.failure.message
        upstream.start()
        wait_until(terminal, lambda: all(terminal.condition()[:3]))
        give_up = time.monotonic() + PATIENCE
        while isinstance(result, Unasked) and time.monotonic() < give_up:
            result = get(terminal, "order_send", buy("again"))
        assert result.value[0] == 10009
        assert comments(upstream) == ["again"]
        assert get(terminal, "symbols_total").value > 0


# ---- strangers and secrets ----


def test_strangers_on_the_port_are_ignored(terminal: OfficialTerminal) -> None:
    all_ready(terminal)
    endpoint = terminal.sources[0].getsockopt_string(zmq.LAST_ENDPOINT)
    old = terminal._crew._members["trade"].process.token
    kill(terminal, "trade")
    wait_until(terminal, lambda: pid(terminal, "trade") and lane(terminal, "trade") == "ready")
    number = terminal._lanes["trade"]._number + 1
    lie = encode(Reply(number, [10009], 1, "Success"))
    with zmq.Context() as context, context.socket(zmq.DEALER) as stranger, context.socket(zmq.DEALER) as dead:
        dead.setsockopt(zmq.ROUTING_ID, old)  # what the dead worker may have said last
        for socket in (stranger, dead):
            socket.linger = 0
            socket.connect(endpoint)
            for message in ([lie], [b""], [b"\xff" * 100], [lie, lie], [b"", b"", b""]):
                socket.send_multipart(message)
        assert terminal.sources[0].poll(int(PATIENCE * 1000))
        assert len(get(terminal, "order_send", buy()).value) == 11


def test_nothing_secret_can_be_seen_of_a_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = SimulatedConfig()
    account: dict[str, Any] = {"login": own.login, "password": own.password, "server": own.server}
    monkeypatch.setenv("MT5_PASSWORD", own.password)
    with Gateway(tmp_path) as upstream, official(upstream, **account) as terminal:
        all_ready(terminal)
        tokens = [member.process.token.decode() for member in terminal._crew._members.values()]
        assert len(set(tokens)) == 3
        for name in terminal.condition().lanes:
            process = psutil.Process(pid(terminal, name))
            shown = " ".join([*process.cmdline(), *map(str, process.environ().items())])
            assert not [secret for secret in (own.password, *tokens) if secret in shown]


# ---- start and end ----


def module(folder: Path, name: str, code: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Write a module for workers to load."""
    (folder / f"{name}.py").write_text(code)
    monkeypatch.syspath_prepend(folder)
    return name


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("import os; os._exit(3)", "the worker that calls broken has ended .exit code 3."),
        ("import nowhere", "broken package cannot be imported: No module named 'nowhere'"),
        (
            "import time\ndef initialize(*args, **kwargs): time.sleep(600)\ndef shutdown(): ...",
            "the worker that calls broken has ended .not attached in",
        ),
    ],
)
def test_a_package_that_cannot_be_used_ends_the_start_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, says: str
) -> None:
    others = workers_of(os.getpid())
    monkeypatch.setattr(official_terminal, "START_MARGIN", 2.0)
    with pytest.raises(TerminalMissing, match=says):
        OfficialTerminal(module(tmp_path, "broken", code, monkeypatch), timeout=1)
    assert workers_of(os.getpid()) == others


def test_a_defect_in_the_package_is_an_answer_that_did_not_come(
    gateway: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = f"from {PACKAGE} import *\ndef symbols_total(): return chr(0xd800)\ndef order_send(request): 1 / 0"
    with official(gateway, package=module(tmp_path, "defective", code, monkeypatch)) as terminal:
        for name, wire in (("symbols_total", []), ("order_send", [buy()])):
            result = get(terminal, name, *wire)
            assert (result.value, result.error[0] in NO_ANSWER) == (None, True)
        assert get(terminal, "symbol_info", "EURUSD").value


@pytest.mark.parametrize("fault", ["slow:seconds=0", "wedge:operation=symbols_total,times=0"])
def test_a_gateway_killed_leaves_no_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    with faulty(tmp_path, fault) as upstream:
        monkeypatch.setenv("MT5_HOST", "127.0.0.1")
        monkeypatch.setenv("MT5_PORT", str(upstream.port))
        monkeypatch.setenv("MT5_TIMEOUT", "600")
        options = ["--terminal", "official", "--package", PACKAGE, "--read-limit", "600"]
        with Gateway(tmp_path, options) as gateway, gateway.client(timeout=1.0) as client:
            workers = workers_of(gateway.process.pid)
            assert len(workers) == 3
            assert client.account_info() is not None
            if fault.startswith("wedge"):
                with pytest.raises(TimeoutError):
                    client.symbols_total()
            gateway.kill()
            assert psutil.wait_procs(workers, PATIENCE)[1] == []


def test_a_gateway_told_to_stop_takes_its_workers_along(
    gateway: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MT5_HOST", "127.0.0.1")
    monkeypatch.setenv("MT5_PORT", str(gateway.port))
    options = ["--terminal", "official", "--package", PACKAGE, "--trade-limit", "5"]
    with Gateway(tmp_path, options) as chained:
        workers = workers_of(chained.process.pid)
        with chained.client() as client:
            account = client.account_info()
            assert account is not None
        assert chained.end() == 0
        assert psutil.wait_procs(workers, PATIENCE)[1] == []
        said = chained.log.read_text()
        assert "official terminal" in said
        assert f"account {account.login} on {account.server}, hedging" in said
        assert "Traceback" not in said
        assert "WARNING" not in said


def test_what_waits_when_it_is_closed_was_not_carried_out(tmp_path: Path) -> None:
    with faulty(tmp_path, "wedge") as upstream:
        with official(upstream) as terminal:
            stuck, waiting = (ask(terminal, "order_send", buy()) for _ in range(2))
            with upstream.client() as direct:
                wait_until(terminal, lambda: counter(direct, "trade"))
        assert stuck.result is None  # nobody knows
        assert isinstance(waiting.result, Unasked)
        assert comments(upstream) == []


def test_a_worker_without_a_gateway_ends_by_itself() -> None:
    worker = [sys.executable, "-c", BOOT, *sys.path]
    assert subprocess.run(worker, stdin=subprocess.DEVNULL, timeout=PATIENCE, check=False).returncode == 0


def test_a_worker_that_lets_no_other_thread_run_ends_without_its_gateway_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gateway: Gateway
) -> None:
    """What holds the interpreter while it waits keeps the end of the life line from being noticed."""
    code = f"import ctypes\nfrom {PACKAGE} import *\ndef symbols_total(): ctypes.PyDLL(None).sleep(600)"
    (tmp_path / "greedy.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("MT5_HOST", "127.0.0.1")
    monkeypatch.setenv("MT5_PORT", str(gateway.port))
    options = ["--terminal", "official", "--package", "greedy", "--read-limit", "3"]
    with Gateway(tmp_path, options) as chained, chained.client(timeout=1.0) as client:
        workers = workers_of(chained.process.pid)
        assert client.account_info() is not None
        with pytest.raises(TimeoutError):
            client.symbols_total()
        chained.kill()
        assert psutil.wait_procs(workers, PATIENCE)[1] == []


def test_modules_in_the_current_directory_are_not_taken_for_ours(gateway: Gateway, tmp_path: Path) -> None:
    Path("secrets.py").write_text("1 / 0")
    Path("mt5crs.py").write_text("1 / 0")
    with official(gateway) as terminal:
        all_ready(terminal)

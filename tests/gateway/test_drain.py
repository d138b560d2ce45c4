"""A gateway that is stopped finishes what it has in hand and takes nothing new; clients notice nothing."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import zmq

from mt5crs import Client
from mt5crs.errors import BridgeError, SettingError
from mt5crs.gateway.config import GatewayConfig
from mt5crs.gateway.drain import STALL, Drain, InHand
from mt5crs.journal.states import OPEN, NoticeKind, State
from mt5crs.journal.store import Journal
from mt5crs.model import OrderSendResult, TradeEvent
from mt5crs.security.keys import create_client, create_gateway
from mt5crs.security.policy import Role
from mt5crs.wire.codec import encode, to_client
from mt5crs.wire.messages import Ask, Chunk, Credit, Head
from tests.previous.peers import DONE, PreviousClient
from tests.processes import PATIENCE, Gateway

BUY: dict[str, Any] = {"action": 1, "symbol": "EURUSD", "volume": 0.1, "type": 0, "type_filling": 1}
PACKAGE = "mt5crs.MetaTrader5"
WAITS = "stopping: waits"


def until(is_so: Callable[[], Any]) -> None:
    """Wait until something is so that nothing tells of."""
    give_up = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < give_up
        time.sleep(0.02)


def says(gateway: Gateway, text: str) -> None:
    """Wait until the gateway's log has a text."""
    until(lambda: text in gateway.log.read_text())


def has_in_hand(gateway: Gateway, orders: int = 1) -> None:
    """Wait until the gateway holds so many orders."""
    with gateway.client() as client:
        until(lambda: client.ping().pong.state["orders"]["held"] == orders)


def states(path: Path, account: str) -> list[State]:
    """Return how the orders of a journal stand."""
    journal = Journal(path, account, writes=False)
    try:
        return [entry.state for entry in journal.latest(100)]
    finally:
        journal.close()


@contextmanager
def background(call: Callable[[], Any]) -> Iterator["Future[Any]"]:
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(call)


def journaled(folder: Path, *options: str, **more: Any) -> Gateway:
    return Gateway(folder, ["--journal", str(folder / "journal.db"), *options], **more)


# ---- how long ---------------------------------------------------------------------------------------


def test_nothing_in_hand_is_not_waited_for() -> None:
    assert not Drain(InHand(chunks=5), 0.0).goes_on(InHand(chunks=5), 0.0)


@pytest.mark.parametrize("in_hand", [InHand(orders=1), InHand(answers=1), InHand(answers=1, arrays=1)])
def test_the_terminal_is_waited_for_up_to_the_limit(in_hand: InHand) -> None:
    drain = Drain(in_hand, 0.0, limit=10.0)
    assert drain.goes_on(in_hand, 9.9)
    assert not drain.goes_on(in_hand, 10.0)


@pytest.mark.parametrize("in_hand", [InHand(arrays=1), InHand(unsent=1), InHand(news=1)])
def test_what_clients_take_in_is_waited_for_while_it_moves(in_hand: InHand) -> None:
    drain = Drain(in_hand, 0.0, limit=10.0)
    assert drain.goes_on(in_hand, 0.9 * STALL)
    assert drain.goes_on(in_hand._replace(chunks=1), 0.9 * STALL)
    assert drain.goes_on(in_hand._replace(chunks=1), 1.8 * STALL)
    assert not drain.goes_on(in_hand._replace(chunks=1), 1.9 * STALL)


def test_what_is_waited_for_and_given_up_is_said(caplog: pytest.LogCaptureFixture) -> None:
    drain = Drain(InHand(2, 3, 1, 1, 1), 0.0, limit=4.0)
    drain.goes_on(InHand(1), 4.0)
    drain.end(4.0)
    waits, gave_up = (record.message for record in caplog.records)
    assert "4 s for 2 orders, 3 requests at the terminal, 1 array on its way, 1 slow client" in waits
    assert gave_up == "stopped after 4.0 s, and gave up 1 order"


@pytest.mark.parametrize("seconds", [-1.0, 3600.1, 1e300, float("inf"), float("nan")])
def test_a_limit_is_a_number_of_seconds(seconds: float) -> None:
    with pytest.raises(SettingError, match="drain"):
        GatewayConfig(drain=seconds).check()


# ---- what is in hand --------------------------------------------------------------------------------


def test_an_order_at_an_official_terminal_gets_its_outcome(tmp_path: Path) -> None:
    with Gateway(tmp_path, ["--fault", "slow:seconds=1"]) as upstream:
        environment = {**os.environ, "MT5_HOST": "127.0.0.1", "MT5_PORT": str(upstream.port)}
        options = ["--terminal", "official", "--package", PACKAGE]
        with journaled(tmp_path, *options, environment=environment) as gateway, gateway.client() as client:
            account = client.welcome().account
            with background(lambda: client.order_send(BUY, key="k")) as sent:
                has_in_hand(gateway)
                assert gateway.end() == 0
                assert sent.result(PATIENCE).retcode == DONE
        log = gateway.log.read_text()
        assert f"{WAITS} up to 10 s for 1 order" in log
        assert "all was answered" in log
        assert states(tmp_path / "journal.db", account) == [State.DONE]
        with upstream.client() as direct:
            assert direct.positions_total() == 1


def test_with_standard_input_it_ends_as_gently(tmp_path: Path) -> None:
    ready = tmp_path / "ready.json"
    command = [
        *(sys.executable, "-m", "mt5crs", "gateway", "--port", "0", "--stream-port", "0"),
        *("--fault", "slow:seconds=0.5", "--ready-file", str(ready), "--stop-with-stdin"),
    ]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline().partition(",")[0].rpartition(":")[2])
        with Client("127.0.0.1", port) as client, background(lambda: client.order_send(BUY)) as sent:
            with Client("127.0.0.1", port) as other:
                until(lambda: other.ping().pong.state["orders"]["held"])
            assert process.stdin is not None
            process.stdin.close()
            assert sent.result(PATIENCE).retcode == DONE
        assert process.wait(PATIENCE) == 0


def test_a_read_that_is_held_is_answered(tmp_path: Path) -> None:
    with (
        Gateway(tmp_path, ["--fault", "slow:operation=symbols_total,seconds=0.5"]) as gateway,
        PreviousClient(gateway.port) as client,
    ):
        client.greet()
        ask = client.asked("symbols_total")
        client.send(ask)
        client.send(ask)  # it is held by the time that its copy has been dropped
        until(lambda: ask.id in client.ping().in_hand)
        gateway.process.terminate()
        answer, _ = client.receive()
        assert answer.value > 0
        assert gateway.process.wait(PATIENCE) == 0


def test_a_deal_is_published_before_the_end(tmp_path: Path) -> None:
    came: list[TradeEvent] = []
    with journaled(tmp_path, "--fault", "slow:seconds=0.5") as gateway, gateway.client() as client:
        with client.trades() as stream, background(lambda: client.order_send(BUY)) as sent:
            is_known = threading.Event()

            def follow() -> None:
                for event in stream:
                    is_known.set()
                    came.extend(each for each in [event] if isinstance(each, TradeEvent))
                    if came and came[-1].kind == "deal_add":
                        return

            with background(follow) as followed:
                has_in_hand(gateway)
                assert gateway.end() == 0
                assert sent.result(PATIENCE).retcode == DONE
                followed.result(PATIENCE)
    assert came[-1].kind == "deal_add"


class Taker:
    """Somebody who takes an array chunk by chunk."""

    def __init__(self, gateway: Gateway) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.linger = 0
        self._socket.rcvtimeo = int(PATIENCE * 1000)
        self._socket.connect(f"tcp://127.0.0.1:{gateway.port}")

    def ask(self) -> None:
        """Ask for an array of three chunks."""
        self._socket.send(encode(Ask(1, "copy_rates_from_pos", ["EURUSD", 1, 0, 20_000], credit=1)))

    def begin(self) -> int:
        """Return the bytes of its first chunk."""
        head, rows = self._socket.recv_multipart()
        assert isinstance(to_client(head), Head)
        return len(rows)

    def go_on(self) -> int:
        """Take the next chunk; return its bytes."""
        self._socket.send(encode(Credit(1, 1)))
        message, rows = self._socket.recv_multipart()
        assert isinstance(to_client(message), Chunk)
        return len(rows)

    def close(self) -> None:
        self._socket.close()
        self._context.term()


@pytest.fixture
def taker(fresh_gateway: Gateway) -> Iterator[Taker]:
    with closing(Taker(fresh_gateway)) as taker:
        taker.ask()
        yield taker


def test_an_array_that_the_terminal_has_in_hand_is_sent_to_its_end(tmp_path: Path) -> None:
    with Gateway(tmp_path, ["--fault", "slow:operation=copy_rates_from_pos,seconds=0.5"]) as gateway:
        with closing(Taker(gateway)) as taker, gateway.client() as client:
            taker.ask()
            until(lambda: client.ping().pong.state["counters"].get("read"))
            gateway.process.terminate()
            assert taker.begin() + taker.go_on() + taker.go_on() == 20_000 * 60
        assert gateway.process.wait(PATIENCE) == 0
    assert "1 request at the terminal" in gateway.log.read_text()


def test_an_array_on_its_way_is_sent_to_its_end(fresh_gateway: Gateway, taker: Taker) -> None:
    size = taker.begin()
    fresh_gateway.process.terminate()
    says(fresh_gateway, f"{WAITS} up to 10 s for 1 array")
    assert size + taker.go_on() + taker.go_on() == 20_000 * 60
    assert fresh_gateway.process.wait(PATIENCE) == 0
    assert "all was answered" in fresh_gateway.log.read_text()


def test_an_array_that_nobody_takes_is_given_up(fresh_gateway: Gateway, taker: Taker) -> None:
    taker.begin()
    assert fresh_gateway.end() == 0
    assert "gave up 1 array on its way" in fresh_gateway.log.read_text()


def test_a_client_that_lives_is_not_taken_for_dead_by_a_gateway_that_stops(tmp_path: Path) -> None:
    keys, key, policy = tmp_path / "keys", tmp_path / "tim.key", tmp_path / "limits.toml"
    create_gateway(keys)
    create_client(keys, "tim", Role.TRADER, key)
    policy.write_text("[keys.tim]\ndead_man = 0.5\ndead_man_close = true\n")
    policy.chmod(0o600)
    options = ["--keys", str(keys), "--policy", str(policy), "--fault", "slow:skip=1,seconds=2"]
    with (
        journaled(tmp_path, *options) as gateway,
        gateway.client(keys=key) as client,
        gateway.client(keys=key, timeout=0.1) as living,
    ):
        done = client.order_send(BUY)
        assert done is not None
        assert done.retcode == DONE
        account = client.welcome().account
        with background(lambda: client.order_send(BUY)) as sent:
            until(lambda: living.ping().pong.state["orders"]["held"])
            gateway.process.terminate()
            while gateway.process.poll() is None:
                with suppress(BridgeError):
                    living.ping()  # which nobody reads any more
            assert sent.result(PATIENCE).retcode == DONE
    assert "kill switch" not in gateway.log.read_text()
    assert states(tmp_path / "journal.db", account) == [State.DONE, State.DONE]


# ---- what cannot be finished ------------------------------------------------------------------------


@pytest.mark.parametrize("signals", [1, 2])
def test_a_wedged_terminal_is_waited_for_within_the_bound(tmp_path: Path, signals: int) -> None:
    seconds = {1: "0.3", 2: "1000"}[signals]
    with (
        journaled(tmp_path, "--fault", "wedge", "--drain", seconds) as gateway,
        PreviousClient(gateway.port) as client,
    ):
        account = client.greet().account
        client.send(client.asked("order_send", BUY, key="k"))
        has_in_hand(gateway)
        gateway.process.terminate()
        says(gateway, f"{WAITS} up to {seconds} s for 1 order")
        for _ in range(signals - 1):
            gateway.process.send_signal(signal.SIGINT)
        assert gateway.process.wait(PATIENCE) == 0
        assert client.receive(0) == (None, b"")
    assert "gave up 1 order" in gateway.log.read_text()
    assert states(tmp_path / "journal.db", account)[0] in OPEN


def test_signals_do_not_break_off_an_end(tmp_path: Path) -> None:
    with journaled(tmp_path) as gateway:
        while gateway.process.poll() is None:
            gateway.process.terminate()
        assert gateway.process.returncode == 0
    notices = subprocess.run(
        [sys.executable, "-m", "mt5crs", "journal", "notices", "--journal", str(tmp_path / "journal.db")],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert NoticeKind.STOPPED.value in notices


# ---- across a restart -------------------------------------------------------------------------------


class Trader:
    """Trades and reads in a loop in a thread of its own, until it has done so often enough after a moment.

    Attributes:
        sent: Orders that were carried out.
        goes_on: Set once another gateway answers.
    """

    AFTER = 3

    def __init__(self, use: Callable[["Trader"], None]) -> None:
        self.sent = 0
        self.rest = self.AFTER
        self.began, self.goes_on = threading.Event(), threading.Event()
        self._pool = ThreadPoolExecutor(1)
        self.ended = self._pool.submit(use, self)

    def take(self, result: OrderSendResult | Any, total: int | None) -> bool:
        """Note an order and a count of positions; return whether to go on."""
        assert result[0] == DONE, result
        assert total is not None
        self.sent += 1
        assert total >= self.sent
        self.began.set()
        self.rest -= self.goes_on.is_set()
        return self.rest > 0

    def end(self) -> int:
        self.ended.result(2 * PATIENCE)
        self._pool.shutdown()
        return self.sent


def blocking(gateway: Gateway) -> Callable[[Trader], None]:
    def use(trader: Trader) -> None:
        with gateway.client(timeout=PATIENCE) as client:
            while trader.take(client.order_send(BUY), client.positions_total()):
                pass

    return use


def by_asyncio(gateway: Gateway) -> Callable[[Trader], None]:
    async def trade(trader: Trader) -> None:
        async with gateway.async_client(timeout=PATIENCE) as client:
            while trader.take(await client.order_send(BUY), await client.positions_total()):
                pass

    return lambda trader: asyncio.run(trade(trader))


def previous(gateway: Gateway) -> Callable[[Trader], None]:
    def use(trader: Trader) -> None:
        with PreviousClient(gateway.port) as client:
            while trader.take(
                client.surely("order_send", BUY, key=os.urandom(8).hex()), client.surely("positions_total")
            ):
                pass

    return use


def test_clients_notice_nothing_of_a_restart(tmp_path: Path) -> None:
    options = ["--state", str(tmp_path / "account.json"), "--fault", "slow:times=0,seconds=0.05"]
    with journaled(tmp_path, *options) as gateway, gateway.client() as client:
        traders = [Trader(make(gateway)) for make in (blocking, by_asyncio, previous)]
        for trader in traders:
            assert trader.began.wait(PATIENCE)
        assert gateway.end() == 0
        gateway.start()
        for trader in traders:
            trader.goes_on.set()
        sent = sum(trader.end() for trader in traders)
        assert client.positions_total() == sent
        account = client.welcome().account
    assert "gave up" not in gateway.log.read_text()
    found = states(tmp_path / "journal.db", account)
    assert set(found) == {State.DONE}
    assert len(found) == min(sent, 100)

"""Streams of real gateways: cut, killed, started again, too fast for their subscriber; no tick is lost."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mt5crs import AsyncClient, Client
from mt5crs import constants as c
from mt5crs.client.core import Core
from mt5crs.client.streaming.blocking import Subscription
from mt5crs.client.streaming.stream import Wanted
from mt5crs.errors import Denied, UnknownSymbol
from mt5crs.model import TicksArray, TradeEvent
from mt5crs.security.keys import create_client, create_gateway
from mt5crs.security.policy import Role
from mt5crs.streams import AccountUpdate, BarBatch, BookSnapshot, Gap, Silent, TickBatch
from mt5crs.topics import Account, AnyTopic, Bars, Beat, Book, Ticks, Trades
from tests.adversity.proxy import Proxy
from tests.gateway.test_publisher import crowd, serving
from tests.processes import Gateway
from tests.terminal.desk import OPENING

PATIENCE = 30.0


def gathered(events: list[Any]) -> TicksArray:
    return np.concatenate([event.ticks for event in events if isinstance(event, TickBatch)])


def check_exact(client: Client, events: list[Any], since: int) -> None:
    """Hold what came against history."""
    got = gathered(events)
    last = int(got["time"][-1])
    history = client.copy_ticks_range("EURUSD", since, last + 1, c.COPY_TICKS_ALL)
    assert history is not None
    assert np.array_equal(history[: len(got)], got)
    assert not [event for event in events if isinstance(event, Gap)]


def later_than(time_: int) -> Callable[[list[Any]], bool]:
    """Whether a tick later than some server time has come."""
    return lambda events: isinstance(events[-1], TickBatch) and int(events[-1].ticks["time"][-1]) > time_


def now_of(client: Client) -> int:
    tick = client.symbol_info_tick("EURUSD")
    assert tick is not None
    return tick.time


def take(stream: Iterator[Any], is_enough: Callable[[list[Any]], bool]) -> list[Any]:
    events: list[Any] = []
    give_up = time.monotonic() + PATIENCE
    for event in stream:
        events.append(event)
        if is_enough(events):
            return events
        assert time.monotonic() < give_up
    raise AssertionError(f"the stream has ended: {events[-3:]}")


async def take_async(stream: Any, is_enough: Callable[[list[Any]], bool]) -> list[Any]:
    events: list[Any] = []
    give_up = time.monotonic() + PATIENCE
    async for event in stream:
        events.append(event)
        if is_enough(events):
            return events
        assert time.monotonic() < give_up
    raise AssertionError(f"the stream has ended: {events[-3:]}")


def test_a_connection_that_is_cut_again_and_again_loses_no_tick(gateway: Gateway) -> None:
    with gateway.client() as client, Proxy(gateway.stream_port) as proxy:
        since = now_of(client) - 60
        core = Core({"host": "127.0.0.1", "port": gateway.port, "timeout": 15.0})
        wanted = Wanted([Ticks("EURUSD")], since)
        with Subscription[Any](core, wanted, proxy.port, client.twin, None) as stream:
            events: list[Any] = []
            for _ in range(3):
                events += take(stream, lambda events: isinstance(events[-1], TickBatch))
                proxy.cut_all()
                reached = now_of(client)
                events += take(stream, later_than(reached))
        check_exact(client, events, since)
        assert proxy.connections > 3


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_gateway_that_is_killed_and_comes_back_elsewhere_loses_no_tick(
    tmp_path: Path, asynchronous: bool
) -> None:
    with Gateway(tmp_path) as gateway, gateway.client() as client:
        since = now_of(client) - 20
        events: list[Any] = []

        def kill() -> None:
            gateway.kill()

        def start_elsewhere() -> None:
            gateway.stream_port = 0
            gateway.start()

        def is_silent(events: list[Any]) -> bool:
            return isinstance(events[-1], Silent)

        async def scenario() -> None:
            async with gateway.async_client(timeout=2.5) as other:
                async with other.ticks("EURUSD", since=since) as stream:
                    events.extend(await take_async(stream, later_than(since + 20)))
                    kill()
                    events.extend(await take_async(stream, is_silent))
                    await asyncio.to_thread(start_elsewhere)
                    events.extend(await take_async(stream, later_than(now_of(client) + 1)))

        if asynchronous:
            asyncio.run(scenario())
        else:
            with gateway.client(timeout=2.5) as other:
                stream = other.ticks("EURUSD", since=since)
            events += take(stream, later_than(since + 20))  # a closed client does not end its streams
            kill()
            events += take(stream, is_silent)
            start_elsewhere()
            events += take(stream, later_than(now_of(client) + 1))
            stream.close()
        check_exact(client, events, since)
        assert sum(isinstance(event, Silent) for event in events) == 1


def test_a_subscriber_that_sleeps_until_messages_are_dropped_misses_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mt5crs.client.streaming.socket.QUEUE", 1)
    ticks = crowd(15, 100_000)
    with serving(8) as server, Client("127.0.0.1", server.port, timeout=10.0) as client:

        def dropped() -> int:
            counters: dict[str, int] = client.ping().pong.state["counters"]
            return counters.get("dropped-messages", 0)

        with client.ticks("EURUSD", since=OPENING) as stream:
            events = take(stream, lambda events: isinstance(events[-1], TickBatch))
            give_up = time.monotonic() + PATIENCE
            while not dropped():
                assert time.monotonic() < give_up
            reached = now_of(client)
            events += take(stream, later_than(reached))
        got = gathered(events)
        assert np.array_equal(got["time_msc"], ticks.prices["EURUSD"]["time_msc"][: len(got)])
        assert not [event for event in events if isinstance(event, Gap)]
        assert client.last_error() == (1, "Success")


def test_several_kinds_in_one_subscription(gateway: Gateway) -> None:
    wanted: list[AnyTopic] = [Ticks("EURUSD"), Bars("EURUSD", c.TIMEFRAME_M1), Book("EURUSD"), Account()]
    kinds = {TickBatch, BarBatch, BookSnapshot, AccountUpdate}

    def has_all(events: list[Any]) -> bool:
        return {type(event) for event in events} >= kinds

    async def scenario(since: int) -> None:
        async with gateway.async_client() as client:
            assert client.stream(*wanted, since=since).serial is None
            await take_async(client.stream(*wanted, since=since), has_all)

    with gateway.client() as client:
        since = now_of(client) - 600
        with client.stream(*wanted, since=since) as stream:
            events = take(stream, has_all)
        (bars, *_) = [event for event in events if isinstance(event, BarBatch)]
        history = client.copy_rates_range("EURUSD", c.TIMEFRAME_M1, since, int(bars.bars["time"][-1]))
        assert history is not None
        assert np.array_equal(bars.bars, history)
    asyncio.run(scenario(since))


def test_the_short_forms(gateway: Gateway) -> None:
    with gateway.client() as client:
        assert isinstance(next(client.book("EURUSD")), BookSnapshot)
        account = next(client.account())
        assert isinstance(account, AccountUpdate)
        known = client.account_info()
        assert known is not None
        assert account.account.login == known.login
        since = now_of(client) - 600
        assert isinstance(next(client.bars("EURUSD", c.TIMEFRAME_M1, since=since)), BarBatch)
        assert list(client.trades(seconds=0.3)) == []


BUY = {
    "action": c.TRADE_ACTION_DEAL,
    "type": c.ORDER_TYPE_BUY,
    "type_filling": c.ORDER_FILLING_IOC,
    "symbol": "EURUSD",
    "volume": 0.1,
}


def test_trade_events_go_on_after_the_one_that_was_seen_last(gateway: Gateway) -> None:
    with gateway.client() as client:

        def buy(key: str) -> None:
            tick = client.symbol_info_tick("EURUSD")
            assert tick is not None
            result = client.order_send({**BUY, "price": tick.ask}, key=key)
            assert result is not None
            assert result.retcode == c.TRADE_RETCODE_DONE

        def has_deals(number: int) -> Callable[[list[Any]], bool]:
            return lambda events: sum(event.kind == "deal_add" for event in events) == number

        with client.trades() as stream:
            buy("first")  # it is subscribed from the start
            events = take(stream, has_deals(1))
            assert {event.key for event in events} == {"first"}
            serial, bookmark = stream.serial, stream.bookmark
        assert serial == events[-1].serial
        assert bookmark is not None
        with client.trades() as watching:  # that of another: the record is kept while somebody is subscribed
            buy("second")
            buy("third")
            take(watching, has_deals(2))
            with client.trades(after=bookmark) as stream:
                events += take(stream, has_deals(2))
        serials = [event.serial for event in events]
        assert serials == [*range(serials[0], serials[0] + len(serials))]
        assert [event.key for event in events if event.kind == "deal_add"] == ["first", "second", "third"]


def test_bars_trades_and_states_go_on_across_the_death_of_their_gateway(tmp_path: Path) -> None:
    kept = ["--state", str(tmp_path / "account"), "--journal", str(tmp_path / "journal.db")]
    wanted: list[AnyTopic] = [Bars("EURUSD", c.TIMEFRAME_M1), Trades(), Account()]
    with Gateway(tmp_path, ["--speed", "120", *kept]) as gateway, gateway.client(timeout=10.0) as client:

        def buy() -> int:
            tick = client.symbol_info_tick("EURUSD")
            assert tick is not None
            result = client.order_send({**BUY, "price": tick.ask, "deviation": 1000})
            assert result is not None
            return result.order

        def has_deals_and_bars(number: int) -> Callable[[list[Any]], bool]:
            def is_enough(events: list[Any]) -> bool:
                deals = [event for event in events if isinstance(event, TradeEvent) and event.deal]
                bars = [event for event in events if isinstance(event, BarBatch)]
                states = [event for event in events if isinstance(event, AccountUpdate)]
                return len(deals) >= number and bool(bars) and bool(states)

            return is_enough

        since = now_of(client) - 600
        orders = []
        with client.stream(*wanted, since=since) as stream:
            orders.append(buy())
            events = take(stream, has_deals_and_bars(1))
            for _ in range(2):
                orders.append(buy())  # of this one the subscriber may hear from the next gateway alone
                gateway.kill()
                gateway.start()
                events += take(stream, has_deals_and_bars(1))
        trades = [event for event in events if isinstance(event, TradeEvent)]
        assert [event.serial for event in trades] == [*range(1, len(trades) + 1)]
        assert [event.order for event in trades if event.deal] == orders
        bars = np.concatenate([event.bars for event in events if isinstance(event, BarBatch)])
        history = client.copy_rates_range("EURUSD", c.TIMEFRAME_M1, since, int(bars["time"][-1]))
        assert history is not None
        assert np.array_equal(bars, history)
        gaps = [event for event in events if isinstance(event, Gap)]
        assert {gap.topic for gap in gaps} == {
            Account()
        }  # a state that was missed is said, nothing else is missing


def test_a_gateway_that_comes_back_with_another_history_is_said_and_followed(tmp_path: Path) -> None:
    def has_both(events: list[Any]) -> bool:
        gaps = [each.topic for each in events if isinstance(each, Gap)]
        return {*wanted} <= {*gaps} and isinstance(events[-1], TickBatch)

    wanted: list[AnyTopic] = [Ticks("EURUSD"), Bars("EURUSD", c.TIMEFRAME_M1)]
    with Gateway(tmp_path, ["--set", "start=2025-06-03T10:00:00"]) as gateway, gateway.client() as client:
        with client.stream(*wanted, since=now_of(client) - 600) as stream:
            take(stream, lambda events: {type(each) for each in events} >= {TickBatch, BarBatch})
            gateway.kill()
            (tmp_path / "later").mkdir()
            earlier = ["--set", "start=2024-06-04T10:00:00"]
            ports = gateway.port, gateway.stream_port
            with Gateway(tmp_path / "later", earlier, port=ports[0], stream_port=ports[1]):
                events = take(stream, has_both)
        assert events[-1].ticks["time"][0] < 1_720_000_000


def test_what_cannot_be_subscribed_to(gateway: Gateway) -> None:
    with gateway.client() as client:
        for call, failure in (
            (lambda: client.stream(Beat()), ValueError),
            (client.ticks, ValueError),
            (lambda: client.stream("EURUSD"), TypeError),  # type: ignore[arg-type]
            (lambda: client.ticks("EURUSD", since="2025-01-01"), TypeError),  # type: ignore[arg-type]
            (lambda: client.bars("EURUSD", 7777), ValueError),
            (lambda: client.stream(Ticks("EURUSD"), after=1), ValueError),
            (lambda: client.trades(after="no bookmark"), ValueError),
            (lambda: client.book("NOPE"), UnknownSymbol),
        ):
            with pytest.raises(failure):
                call()


def test_a_topic_that_a_key_was_not_granted_is_said(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    create_gateway(keys)
    create_client(keys, "ann", Role.OBSERVER, tmp_path / "ann.key")
    with Gateway(tmp_path, ["--keys", str(keys)]) as gateway:
        with gateway.client(keys=tmp_path / "ann.key", timeout=1.5) as client:
            with pytest.raises(Denied, match="'account'"):
                take(client.stream(Ticks("EURUSD"), Account()), lambda _: False)
            health = client.health()
            assert (health.streams, health.why) == (True, "")


def test_callbacks_are_called_in_a_thread_of_their_own_until_they_are_closed(gateway: Gateway) -> None:
    came = threading.Event()
    threads: set[str] = set()

    def note(event: object) -> None:
        threads.add(threading.current_thread().name)
        came.set()

    with gateway.client() as client:
        calls = client.ticks("EURUSD").call(note)
        assert came.wait(PATIENCE)
        assert not calls.join(0.01)
        calls.close()
        assert calls.join()
        assert threads == {"mt5crs stream"}


def test_a_callback_that_fails_ends_the_calls_and_is_raised(gateway: Gateway) -> None:
    def fail(event: object) -> None:
        raise KeyError("mine")

    with gateway.client() as client:
        with pytest.raises(KeyError, match="mine"):
            client.ticks("EURUSD").call(fail).join(PATIENCE)


def test_closing_from_another_thread_ends_the_iteration(gateway: Gateway) -> None:
    with gateway.client() as client:
        stream = client.stream(Bars("EURUSD", c.TIMEFRAME_MN1))  # nothing comes
        closer = threading.Timer(0.1, stream.close)
        closer.start()
        assert [*stream] == []
        closer.join()
        stream.close()
        assert [*stream] == []


def test_an_asyncio_subscription_ends_when_it_is_closed_and_can_be_waited_for_in_parts(
    gateway: Gateway,
) -> None:
    async def scenario() -> list[Any]:
        events: list[Any] = []
        async with gateway.async_client() as client:
            stream = client.ticks("EURUSD")
            while len(events) < 3:
                waiting = asyncio.ensure_future(stream.__anext__())
                await asyncio.wait({waiting}, timeout=0.05)
                if waiting.done():
                    events.append(waiting.result())
                else:
                    waiting.cancel()
                    await asyncio.gather(waiting, return_exceptions=True)
            ended = asyncio.ensure_future(take_async(stream, lambda _: False))
            await asyncio.sleep(0)
            await stream.close()
            await asyncio.wait([ended], timeout=PATIENCE)
            assert isinstance(ended.exception(), AssertionError)  # it was told that the stream has ended
        return events

    with gateway.client() as client:
        since = int(gathered(asyncio.run(scenario()))["time"][0])
        assert now_of(client) >= since


def test_asyncio_callbacks_are_a_task(gateway: Gateway) -> None:
    async def scenario() -> None:
        async with gateway.async_client() as client:
            came = asyncio.Event()

            async def note(event: object) -> None:
                came.set()

            task = client.ticks("EURUSD").call(note)
            await came.wait()
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()

            def fail(event: object) -> None:
                raise KeyError("mine")

            with pytest.raises(KeyError, match="mine"):
                await client.ticks("EURUSD").call(fail)

    asyncio.run(scenario())


def test_health_says_whether_what_is_published_arrives(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def ask(client: AsyncClient) -> Any:
        async with client:
            return await client.health(1.0)

    with gateway.client() as client:
        assert client.health().streams is True
        welcome = client.welcome()
        welcome.stream_port = gateway.port  # nothing is published there
        monkeypatch.setattr(client, "welcome", lambda *_: welcome)
        health = client.health(0.5)
        assert (health.gateway, health.streams) == (True, False)
        assert "stream port" in health.why
    assert asyncio.run(ask(gateway.async_client())).streams is True
    assert asyncio.run(ask(AsyncClient("127.0.0.1", 1, timeout=0.2))).streams is None

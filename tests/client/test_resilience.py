"""The gateway goes away, freezes, comes back; threads, forks and many connections."""

import asyncio
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from mt5crs import AsyncClient, BridgeError, Client, OutcomeUnknown
from mt5crs.errors import Certainty, ConnectionTimeout, SettingError, Unreachable
from tests.client.test_functions import BUY, length
from tests.processes import Gateway


def connections(port: int) -> int:
    own = psutil.Process().net_connections(kind="tcp")
    return sum(each.status == "ESTABLISHED" and bool(each.raddr) and each.raddr.port == port for each in own)


@pytest.mark.alone
def test_a_killed_gateway_is_a_timeout_and_its_return_needs_no_new_client(fresh_gateway: Gateway) -> None:
    with fresh_gateway.client() as client:
        assert client.symbols_total()
        fresh_gateway.kill()
        start = time.monotonic()
        with pytest.raises(ConnectionTimeout, match="Connection timeout"):
            client.symbols_total()
        assert 4.5 < time.monotonic() - start < 6.5  # the default is 5 s
        assert client.last_error() == (-10005, "IPC timeout")
        fresh_gateway.start()
        assert client.symbols_total()
        assert client.last_error() == (1, "Success")


def test_a_gateway_that_returns_in_time_is_not_even_noticed(fresh_gateway: Gateway) -> None:
    with fresh_gateway.client(timeout=20.0) as client:
        total = client.symbols_total()
        fresh_gateway.kill()
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(client.symbols_total)
            fresh_gateway.start()
            assert asked.result(20.0) == total


def test_asyncio_survives_a_killed_gateway(fresh_gateway: Gateway) -> None:
    async def scenario() -> None:
        async with fresh_gateway.async_client(timeout=1.5) as client:
            total = await client.symbols_total()
            fresh_gateway.kill()
            results = await asyncio.gather(
                *(client.symbols_total() for _ in range(5)), return_exceptions=True
            )
            assert all(isinstance(each, ConnectionTimeout) for each in results)
            await asyncio.to_thread(fresh_gateway.start)
            assert await client.symbols_total() == total

    asyncio.run(scenario())


def test_an_order_to_a_frozen_gateway_is_unknown_and_is_not_carried_out_late(fresh_gateway: Gateway) -> None:
    with fresh_gateway.client(timeout=1.5) as hasty, fresh_gateway.client(timeout=20.0) as patient:
        assert hasty.positions_total() == 0
        fresh_gateway.freeze()
        try:
            with pytest.raises(OutcomeUnknown) as caught:
                hasty.order_send(BUY)
            assert caught.value.certainty is Certainty.UNKNOWN
            assert caught.value.key
        finally:
            fresh_gateway.thaw()
        counters: dict[str, int] = {}
        give_up = time.monotonic() + 20.0
        while "expired" not in counters and "trade" not in counters and time.monotonic() < give_up:
            counters = patient.ping().pong.state["counters"]
        assert counters.get("expired") == 1
        assert patient.positions_total() == 0


def test_closing_under_an_order_that_was_sent_leaves_it_unknown(fresh_gateway: Gateway) -> None:
    async def scenario() -> BaseException | None:
        client = fresh_gateway.async_client(timeout=20.0)
        assert await client.positions_total() == 0
        fresh_gateway.freeze()
        order = asyncio.create_task(client.order_send(BUY))
        read = asyncio.create_task(client.symbols_total())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await client.close()
        await asyncio.wait([order, read])
        assert isinstance(read.exception(), Unreachable)
        return order.exception()

    try:
        failure = asyncio.run(scenario())
        assert isinstance(failure, OutcomeUnknown)
        assert failure.key
    finally:
        fresh_gateway.thaw()


@pytest.mark.parametrize("asynchronous", [False, True])
def test_an_order_answered_with_nonsense_is_unknown(order_taker: int, asynchronous: bool) -> None:
    async def scenario() -> None:
        client = AsyncClient("127.0.0.1", order_taker, timeout=10.0)
        try:
            await client.order_send(BUY)
        finally:
            await client.close()

    with pytest.raises(OutcomeUnknown, match="order_send was sent"):
        if asynchronous:
            asyncio.run(scenario())
        else:
            with Client("127.0.0.1", order_taker, timeout=10.0) as client:
                client.order_send(BUY)


def test_an_order_without_a_gateway_never_leaves(fresh_gateway: Gateway) -> None:
    with fresh_gateway.client(timeout=1.0) as client:
        client.symbols_total()
        fresh_gateway.kill()
        with pytest.raises(BridgeError) as caught:
            client.order_send(BUY)
        # Either the dead connection was noticed first, or the order was written into it.
        assert isinstance(caught.value, OutcomeUnknown | Unreachable)
        fresh_gateway.start()
        assert client.positions_total() == 0


def test_nothing_listening_is_a_timeout_that_says_where(free_port: int) -> None:
    with Client("127.0.0.1", free_port, timeout=0.5) as client:
        with pytest.raises(ConnectionTimeout, match=f"127.0.0.1:{free_port}"):
            client.version()


def test_a_peer_that_is_no_gateway_is_named(rep_peer: int) -> None:
    with Client("127.0.0.1", rep_peer, timeout=2.0) as client, pytest.raises(BridgeError):
        client.version()


def test_one_thread_has_one_connection(fresh_gateway: Gateway) -> None:
    with fresh_gateway.client() as client:
        for _ in range(50):
            client.symbol_info_tick("EURUSD")
        client.copy_rates_from_pos("EURUSD", 1, 0, 50_000)
        assert connections(fresh_gateway.port) == 1
        assert connections(fresh_gateway.stream_port) == 0


def test_many_threads_get_their_own_answers(gateway: Gateway) -> None:
    symbols = ["EURUSD", "GBPUSD", "USDJPY", "XAUUSD", "NOPE"]

    def work(number: int) -> None:
        for turn in range(40):
            symbol = symbols[(number + turn) % len(symbols)]
            info = client.symbol_info(symbol)
            assert (info.name if info else "NOPE") == symbol
            assert client.last_error()[0] == (-4 if info is None else 1)

    with gateway.client() as client, ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(16)))
        assert connections(gateway.port) <= 8


def test_a_download_does_not_hold_up_another_thread(gateway: Gateway) -> None:
    with gateway.client() as client:
        rows = 400_000
        client.copy_rates_from_pos("EURUSD", 1, 0, rows)
        done = threading.Event()

        def download() -> None:
            try:
                for _ in range(5):
                    assert length(client.copy_rates_from_pos("EURUSD", 1, 0, rows)) == rows
            finally:
                done.set()

        thread = threading.Thread(target=download)
        thread.start()
        served = 0
        while not done.is_set():
            assert client.symbol_info_tick("EURUSD")
            served += 1
        thread.join()
        assert served > 10


def test_a_forked_child_has_connections_of_its_own(gateway: Gateway) -> None:
    with gateway.client() as client:
        total = client.symbols_total()
        child = os.fork()
        if child == 0:
            os._exit(0 if client.symbols_total() == total else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert client.symbols_total() == total


def test_a_closed_client_says_so(gateway: Gateway) -> None:
    client = gateway.client()
    client.version()
    client.close()
    client.close()
    with pytest.raises(Unreachable, match="closed"):
        client.version()


def test_closing_lets_a_call_in_progress_end(fresh_gateway: Gateway) -> None:
    client = fresh_gateway.client(timeout=20.0)
    client.version()
    fresh_gateway.freeze()
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(client.symbols_total)
        while not client._links - len(client._idle):
            time.sleep(0.001)
        client.close()
        fresh_gateway.thaw()
        assert asked.result(20.0)


def test_a_client_in_two_event_loops(gateway: Gateway) -> None:
    client = gateway.async_client()
    assert asyncio.run(_total(client)) == asyncio.run(_total(client))
    asyncio.run(client.close())


async def _total(client: Any) -> int:
    total: int = await client.symbols_total()
    return total


def test_cancelling_a_call_leaves_the_others(gateway: Gateway) -> None:
    async def scenario() -> None:
        async with gateway.async_client() as client:
            await client.version()
            download = asyncio.create_task(client.copy_rates_from_pos("EURUSD", 1, 0, 1_000_000))
            await asyncio.sleep(0)
            download.cancel()
            with pytest.raises(asyncio.CancelledError):
                await download
            assert length(await client.copy_rates_from_pos("EURUSD", 1, 0, 100)) == 100

    asyncio.run(scenario())


def test_sixty_four_in_flight(gateway: Gateway) -> None:
    async def scenario() -> None:
        async with gateway.async_client() as client:
            infos = await asyncio.gather(*(client.symbol_info(s) for s in ["EURUSD", "USDJPY"] * 32))
            assert [info.name for info in infos if info] == ["EURUSD", "USDJPY"] * 32
            assert connections(gateway.port) == 1

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("options", "says"),
    [({"port": 70_000}, "70000"), ({"timeout": -1.0}, "-1"), ({"host": "192.168.x.x"}, "192.168.x.x")],
)
def test_a_wrong_setting_is_refused_with_its_value(options: dict[str, Any], says: str) -> None:
    with pytest.raises(SettingError, match=says):
        Client(**options)


def test_settings_come_from_the_dotenv_file(gateway: Gateway) -> None:
    Path(".env").write_text(f"MT5_HOST=127.0.0.1\nMT5_PORT={gateway.port}\n")
    with Client() as client:
        assert client.version()

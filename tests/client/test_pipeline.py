"""Pipelines, against a gateway process."""

import asyncio

import pytest

from mt5crs import OutcomeUnknown
from mt5crs.errors import BridgeError, Certainty, ConnectionTimeout, TooLarge, Unreachable
from mt5crs.model import OrderSendResult, Tick
from mt5crs.wire.session import Session
from tests.client.test_functions import BUY, length
from tests.processes import Gateway


def test_all_kinds_of_operations_in_one_block(gateway: Gateway) -> None:
    with gateway.client() as client:
        with client.pipeline() as ask:
            tick = ask.symbol_info_tick("EURUSD")
            nothing = ask.symbol_info("NOPE")
            misused = ask.symbol_info("")
            bars = [ask.copy_rates_from_pos("EURUSD", 1, 0, count) for count in (10, 20_000, *[5] * 10)]
            order = ask.order_send(BUY)
            with pytest.raises(RuntimeError, match="before the pipeline's block ends"):
                _ = tick.value
        assert isinstance(tick.value, Tick)
        assert tick.last_error == (1, "Success")
        assert (nothing.value, nothing.last_error) == (None, (-4, "Terminal: Not found"))
        assert (misused.value, misused.last_error) == (None, (-2, "Invalid arguments"))
        assert [length(each.value) for each in bars] == [10, 20_000, *[5] * 10]
        assert isinstance(order.value, OrderSendResult)
        assert client.last_error() == (1, "Success")
        with pytest.raises(RuntimeError, match="has ended"):
            ask.symbols_total()


def test_more_than_fits_into_one_frame_comes_back_in_order(gateway: Gateway) -> None:
    with gateway.client() as client:
        names = [info.name for info in client.symbols_get() or ()]
        with client.pipeline() as ask:
            infos = [ask.symbol_info(names[n % len(names)]) for n in range(600)]
        values = [info.value for info in infos]
        assert [value.name for value in values if value] == [names[n % len(names)] for n in range(600)]


def test_a_block_that_is_left_by_an_exception_sends_nothing(gateway: Gateway) -> None:
    with gateway.client() as client:
        before = client.positions_total()
        with pytest.raises(ZeroDivisionError), client.pipeline() as ask:
            order = ask.order_send(BUY)
            _ = 1 / 0
        with pytest.raises(RuntimeError):
            _ = order.value
        with pytest.raises(RuntimeError):
            _ = order.last_error
        assert client.positions_total() == before


def test_an_empty_block_is_no_trip(free_port: int) -> None:
    from mt5crs import Client

    with Client("127.0.0.1", free_port) as client, client.pipeline() as ask:
        misused = ask.symbol_info("")
    assert misused.value is None


def test_what_cannot_be_sent_fails_alone(gateway: Gateway) -> None:
    with gateway.client() as client:
        with client.pipeline() as ask:
            large = ask.symbols_get("x" * 1997)
            huge = ask.order_check({**BUY, "comment": "x" * 29, "magic": 1})
            unsendable = ask.symbol_info("\udc80")
            total = ask.symbols_total()
        assert large.value is not None
        assert huge.value
        with pytest.raises(BridgeError):
            _ = unsendable.value
        assert total.value
        assert not isinstance(unsendable.last_error, TooLarge)


def test_a_gateway_that_is_not_there_fails_each_by_itself(free_port: int) -> None:
    from mt5crs import Client

    with Client("127.0.0.1", free_port, timeout=0.3) as client:
        with client.pipeline() as ask:
            total, order = ask.symbols_total(), ask.order_send(BUY)
        for later in (total, order):
            with pytest.raises(ConnectionTimeout) as caught:
                _ = later.value
            assert caught.value.certainty is Certainty.REFUSED
            assert later.last_error == (-10005, "IPC timeout")
        assert client.last_error() == (-10005, "IPC timeout")


def test_each_order_on_its_way_to_a_frozen_gateway_is_unknown(fresh_gateway: Gateway) -> None:
    with fresh_gateway.client(timeout=1.5) as client:
        client.version()
        fresh_gateway.freeze()
        with client.pipeline() as ask:
            orders = [ask.order_send(BUY), ask.order_send(BUY)]
            total = ask.symbols_total()
        fresh_gateway.thaw()
        keys = set()
        for order in orders:
            with pytest.raises(OutcomeUnknown) as caught:
                _ = order.value
            keys.add(caught.value.key)
        assert len(keys) == 2
        with pytest.raises(ConnectionTimeout):
            _ = total.value


def test_an_interrupted_pipeline_says_unknown_of_its_orders(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    with gateway.client() as client:
        client.version()

        def interrupted(*_: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt), client.pipeline() as ask:
            order, total = ask.order_send(BUY), ask.symbols_total()
            patch.setattr(Session, "depart", interrupted)
        with pytest.raises(OutcomeUnknown):
            _ = order.value
        with pytest.raises(Unreachable):
            _ = total.value
        assert client.symbols_total()


def test_what_a_stateful_operation_changes_is_remembered(gateway: Gateway) -> None:
    with gateway.client() as client:
        with client.pipeline() as ask:
            added = ask.market_book_add("EURUSD")
            ended = ask.shutdown()
        assert added.value
        assert ended.value
        assert client.symbols_total() is None
        assert client.initialize()


def test_what_is_asked_of_asyncio_in_one_turn_is_answered(gateway: Gateway) -> None:
    async def scenario() -> None:
        async with gateway.async_client() as client:
            await client.version()
            asked = [client.symbol_info_tick("EURUSD") for _ in range(300)]
            bars = asyncio.ensure_future(client.copy_rates_from_pos("EURUSD", 1, 0, 10))
            assert all(await asyncio.gather(*asked))
            assert length(await bars) == 10

    asyncio.run(scenario())

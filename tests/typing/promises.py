"""What editors and type checkers know of both clients; checked by mypy and basedpyright, never run.

Lines that must be refused carry an ignore comment: both checkers report an ignore that is not needed.
"""

import numpy as np
from numpy.typing import NDArray
from typing_extensions import assert_type

from mt5crs import AsyncClient, Client, constants
from mt5crs.client.streaming.asynchronous import AsyncSubscription
from mt5crs.client.streaming.blocking import Subscription
from mt5crs.model import OrderSendResult, SymbolInfo, Tick, TradePosition, TradeRequest
from mt5crs.operation import Answer, Later
from mt5crs.streams import AnyEvent, BarBatch, Notice, TickBatch
from mt5crs.topics import Account, Ticks


def blocking(client: Client) -> None:
    """The blocking client returns values."""
    assert_type(client.symbol_info_tick("EURUSD"), Tick | None)
    assert_type(client.symbols_total(), int | None)
    assert_type(client.symbols_get("*USD*"), tuple[SymbolInfo, ...] | None)
    assert_type(client.positions_get(symbol="EURUSD"), tuple[TradePosition, ...] | None)
    assert_type(client.copy_rates_from_pos("EURUSD", constants.TIMEFRAME_H1, 0, 10), NDArray[np.void] | None)
    assert_type(client.initialize(login=1, password="", server=""), bool)
    assert_type(client.last_error(), tuple[int, str])
    assert_type(client.ticks("EURUSD"), Subscription[TickBatch | Notice])
    assert_type(client.bars("EURUSD", constants.TIMEFRAME_M1), Subscription[BarBatch | Notice])
    assert_type(client.stream(Ticks("EURUSD"), Account()), Subscription[AnyEvent])
    sent = client.order_send({"action": constants.TRADE_ACTION_DEAL})
    assert_type(sent, OrderSendResult | None)
    if sent is not None:
        assert_type(sent.request, TradeRequest)
        assert_type(sent.price, float)
        sent.prize  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]  # noqa: B018


def pipelined(client: Client) -> None:
    """A pipeline returns what will have a value."""
    with client.pipeline() as ask:
        tick = ask.symbol_info_tick("EURUSD")
        assert_type(tick, Later[Tick | None])
        assert_type(ask.symbols_total(), Later[int | None])
        ask.symbol_info(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert_type(tick.value, Tick | None)
    assert_type(tick.last_error, tuple[int, str])
    tick.bid  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]  # noqa: B018


async def asynchronous(client: AsyncClient) -> None:
    """The asyncio client returns what must be awaited."""
    assert_type(await client.symbol_info_tick("EURUSD"), Tick | None)
    assert_type(await client.symbols_total(), int | None)
    assert_type(await client.answers.symbol_info("EURUSD"), Answer[SymbolInfo | None])
    assert_type((await client.answers.symbols_total()).last_error, tuple[int, str])
    assert_type(client.ticks("EURUSD"), AsyncSubscription[TickBatch | Notice])


async def mistakes(client: Client, other: AsyncClient) -> None:
    """What must be refused."""
    client.symbol_info(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.symbol_info(symbol="EURUSD")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    client.copy_rates_from("EURUSD", 1, 2)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    client.positions_get("EURUSD")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    client.symbol_infos("EURUSD")  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    other.symbol_info_tick("EURUSD").bid  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]  # noqa: B018
    other.version()  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]

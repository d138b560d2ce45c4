"""Each of the official package's 32 functions, across two processes, on both clients."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mt5crs import Client, model
from mt5crs import constants as mt5
from tests.conftest import ROOT
from tests.processes import Gateway

BUY: dict[str, Any] = {
    "action": mt5.TRADE_ACTION_DEAL,
    "symbol": "EURUSD",
    "volume": 0.1,
    "type": mt5.ORDER_TYPE_BUY,
    "type_filling": mt5.ORDER_FILLING_IOC,
    "comment": "test",
}


def length(array: model.RatesArray | None) -> int:
    assert array is not None
    return len(array)


def records(kind: type, *, some: bool = True) -> Callable[[Any], bool]:
    return lambda value: (
        isinstance(value, tuple) and bool(value) >= some and all(isinstance(each, kind) for each in value)
    )


def array(kind: model.ArrayType, rows: int) -> Callable[[Any], bool]:
    return lambda value: (
        value.dtype == kind.dtype
        and value.dtype.itemsize == kind.itemsize
        and 0 < len(value) <= rows
        and not value.flags.writeable
        and bool((np.diff(value["time"]) >= 0).all())
    )


def is_a(kind: type) -> Callable[[Any], bool]:
    return lambda value: type(value) is kind


NOW = int(time.time())
HOUR = 3600

# In an order in which each makes sense: a position and an order exist where they are asked for.
CALLS: list[tuple[str, tuple[Any, ...], dict[str, Any], Callable[[Any], bool]]] = [
    ("initialize", (), {}, lambda v: v is True),
    ("version", (), {}, lambda v: v[0] == 500 and isinstance(v[1], int) and isinstance(v[2], str)),
    ("terminal_info", (), {}, is_a(model.TerminalInfo)),
    ("account_info", (), {}, is_a(model.AccountInfo)),
    ("symbols_total", (), {}, lambda v: v >= 10),
    ("symbols_get", ("*USD*",), {}, records(model.SymbolInfo)),
    ("symbol_select", ("EURUSD", True), {}, lambda v: v is True),
    ("symbol_info", ("EURUSD",), {}, is_a(model.SymbolInfo)),
    ("symbol_info_tick", ("EURUSD",), {}, is_a(model.Tick)),
    ("market_book_add", ("EURUSD",), {}, lambda v: v is True),
    ("market_book_get", ("EURUSD",), {}, records(model.BookInfo, some=False)),
    ("market_book_release", ("EURUSD",), {}, lambda v: v is True),
    ("copy_rates_from", ("EURUSD", mt5.TIMEFRAME_H1, NOW, 50), {}, array(model.RATES, 50)),
    ("copy_rates_from_pos", ("EURUSD", mt5.TIMEFRAME_M5, 0, 50), {}, array(model.RATES, 50)),
    ("copy_rates_range", ("EURUSD", mt5.TIMEFRAME_M1, NOW - HOUR, NOW), {}, array(model.RATES, 61)),
    ("copy_ticks_from", ("EURUSD", NOW - HOUR, 100, mt5.COPY_TICKS_ALL), {}, array(model.TICKS, 100)),
    (
        "copy_ticks_range",
        ("EURUSD", NOW - HOUR, NOW, mt5.COPY_TICKS_INFO),
        {},
        array(model.TICKS, 100_000),
    ),
    ("order_calc_margin", (mt5.ORDER_TYPE_BUY, "EURUSD", 0.1, 1.1), {}, lambda v: v > 0.0),
    ("order_calc_profit", (mt5.ORDER_TYPE_BUY, "EURUSD", 0.1, 1.1, 1.2), {}, lambda v: v == 1000.0),
    ("order_check", (BUY,), {}, lambda v: is_a(model.OrderCheckResult)(v) and v.retcode == 0),
    ("order_send", (BUY,), {}, lambda v: v.retcode == 10009 and v.request.comment == "test"),
    ("positions_total", (), {}, lambda v: v >= 1),
    ("positions_get", (), {"symbol": "EURUSD"}, records(model.TradePosition)),
    (
        "order_send",
        (),
        {
            "action": mt5.TRADE_ACTION_PENDING,
            "symbol": "EURUSD",
            "volume": 0.1,
            "type": mt5.ORDER_TYPE_BUY_LIMIT,
            "price": 0.5,
            "type_filling": mt5.ORDER_FILLING_RETURN,
        },
        lambda v: v.retcode == 10009,
    ),
    ("orders_total", (), {}, lambda v: v >= 1),
    ("orders_get", (), {"group": "EUR*"}, records(model.TradeOrder)),
    ("history_orders_total", (NOW - HOUR, NOW + HOUR), {}, lambda v: v >= 1),
    ("history_orders_get", (NOW - HOUR, NOW + HOUR), {}, records(model.TradeOrder)),
    ("history_deals_total", (0, NOW + HOUR), {}, lambda v: v >= 2),
    ("history_deals_get", (0, NOW + HOUR), {"group": "*"}, records(model.TradeDeal)),
    ("login", (0,), {}, lambda v: v is False),
    ("shutdown", (), {}, lambda v: v is True),
]
IDS = [f"{name}-{place}" for place, (name, *_) in enumerate(CALLS)]


@pytest.fixture(scope="module")
def client(gateway: Gateway) -> Iterator[Client]:
    with gateway.client() as client:
        yield client


def test_the_list_is_complete() -> None:
    surface = ROOT.parent / "shared" / "mt5-api-surface.json"
    names = {name for name, *_ in CALLS} | {"last_error"}
    assert len(names) == 32
    if surface.exists():
        rows = json.loads(surface.read_text())["functions"]
        assert names == {row["name"] for row in rows if "_core" in row["implemented_in"]}


@pytest.mark.parametrize(("name", "args", "kwargs", "expected"), CALLS, ids=IDS)
def test_blocking(
    client: Client, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], expected: Callable[[Any], bool]
) -> None:
    value = getattr(client, name)(*args, **kwargs)
    assert expected(value), value
    wrong = name == "login"  # a login of 0 is refused before anything is sent
    assert client.last_error() == ((-2, 'Invalid "login" argument') if wrong else (1, "Success"))


def test_asyncio(gateway: Gateway) -> None:
    async def call_all() -> None:
        async with gateway.async_client() as client:
            for name, args, kwargs, expected in CALLS:
                value = await getattr(client, name)(*args, **kwargs)
                assert expected(value), (name, value)
                assert client.last_error()[0] == (-2 if name == "login" else 1)

    asyncio.run(call_all())


def test_last_error_reports_and_resets(gateway: Gateway) -> None:
    with gateway.client() as client:
        assert client.symbol_info("NOPE") is None
        assert client.last_error() == (-4, "Terminal: Not found")
        assert client.symbols_total()
        assert client.last_error() == (1, "Success")
        assert client.symbol_info(5) is None  # type: ignore[arg-type]
        assert client.last_error() == (-2, "Invalid arguments")


def test_after_shutdown_there_is_no_connection_until_initialize(gateway: Gateway) -> None:
    with gateway.client() as client:
        assert client.shutdown() is True
        assert client.account_info() is None
        assert client.last_error() == (-10004, "No IPC connection")
        assert client.symbol_select("EURUSD", True) is False
        assert client.shutdown() is True
        assert client.initialize() is True
        assert client.account_info() is not None


def test_errors_are_per_task_and_on_the_answer(gateway: Gateway) -> None:
    async def concurrently() -> None:
        async with gateway.async_client() as client:

            async def ask(symbol: str) -> tuple[str, tuple[int, str]]:
                await client.symbol_info(symbol)
                await asyncio.sleep(0)
                return symbol, client.last_error()

            results = await asyncio.gather(*(ask(symbol) for symbol in ["EURUSD", "NOPE"] * 10))
            assert all(error[0] == (1 if symbol == "EURUSD" else -4) for symbol, error in results)
            answer = await client.answers.symbol_info("NOPE")
            assert (answer.value, answer.last_error) == (None, (-4, "Terminal: Not found"))

    asyncio.run(concurrently())


def test_nothing_is_written_where_the_gateway_runs(tmp_path: Path) -> None:
    with Gateway(tmp_path) as gateway, gateway.client() as client:
        client.order_send(BUY)
    assert {path.suffix for path in tmp_path.iterdir()} <= {".log", ".env", ""}

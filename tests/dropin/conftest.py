"""The drop-in module, connected to a gateway on the simulated terminal, and at once without one."""

import socket
from collections.abc import Iterator
from typing import Any

import pytest

import mt5crs.MetaTrader5
from tests.processes import Gateway


@pytest.fixture
def mt5(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module after `initialize`; untyped, since it is called as no type checker would allow."""
    module: Any = mt5crs.MetaTrader5
    monkeypatch.setenv("MT5_HOST", "127.0.0.1")
    monkeypatch.setenv("MT5_PORT", str(gateway.port))
    assert module.initialize()
    yield module
    module.shutdown()


@pytest.fixture
def unconnected() -> Any:
    """The module before `initialize`."""
    module: Any = mt5crs.MetaTrader5
    module.shutdown()
    return module


@pytest.fixture
def flat(mt5: Any) -> Iterator[Any]:
    """The module on an account where nothing is open, before the test and after it."""
    _close_all(mt5)
    yield mt5
    _close_all(mt5)


def _close_all(mt5: Any) -> None:
    mt5.initialize()
    for order in mt5.orders_get():
        mt5.order_send(action=mt5.TRADE_ACTION_REMOVE, order=order.ticket)
    for position in mt5.positions_get():
        mt5.Close(position.symbol, ticket=position.ticket)
    assert (mt5.orders_total(), mt5.positions_total()) == (0, 0)


@pytest.fixture
def free_port() -> Iterator[int]:
    """A port that nobody listens on: it is held, without listening, while the test runs."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
        yield port

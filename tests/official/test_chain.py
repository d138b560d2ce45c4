"""The official adapter, given our own module on a second gateway in place of the Windows package.

That module has the official package's functions, so the adapter's workers pass through it everything that a
real terminal would be asked; a chain of two gateways must answer as one.
"""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from mt5crs import Client
from mt5crs.errors import TerminalMissing
from mt5crs.gateway.config import GatewayConfig
from mt5crs.gateway.server import Server
from mt5crs.terminal.official import OfficialTerminal
from tests.client.test_functions import BUY, CALLS, IDS
from tests.official.driving import official
from tests.processes import Gateway


@pytest.fixture(scope="module")
def chained(gateway: Gateway) -> Iterator[Client]:
    """A client of a gateway whose terminal is a client of another gateway."""
    with official(gateway) as terminal:
        server = Server(GatewayConfig(port=0, stream_port=0), terminal)
        thread = threading.Thread(target=server.run)
        thread.start()
        with Client("127.0.0.1", server.port) as client:
            yield client
        server.stop()
        thread.join(10)
        assert not thread.is_alive()


@pytest.mark.parametrize(("name", "args", "kwargs", "expected"), CALLS[:-1], ids=IDS[:-1])
def test_each_function_through_the_chain(
    chained: Client, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], expected: Callable[[Any], bool]
) -> None:
    value = getattr(chained, name)(*args, **kwargs)
    assert expected(value), value


@pytest.mark.parametrize("name", ["symbol_info", "symbol_info_tick", "market_book_get"])
def test_failures_come_through_with_their_error(chained: Client, name: str, gateway: Gateway) -> None:
    with gateway.client() as direct:
        assert getattr(chained, name)("NOPE") is None
        assert getattr(direct, name)("NOPE") is None
        assert chained.last_error() == direct.last_error()
        assert chained.last_error()[0] < 0


def test_history_is_the_same_through_one_gateway_and_two(chained: Client, gateway: Gateway) -> None:
    with gateway.client() as direct:
        args = ("EURUSD", 1, 1_700_000_000, 1_700_600_000)
        one, two = direct.copy_rates_range(*args), chained.copy_rates_range(*args)
        assert one is not None
        assert two is not None
        assert len(one) > 5000
        assert np.array_equal(one, two)
        names = [[info.name for info in client.symbols_get() or ()] for client in (direct, chained)]
        assert names[0] == names[1] != []


def test_ticks_are_followed_without_loss_or_double(chained: Client) -> None:
    batches: list[Any] = []
    for event in chained.ticks("EURUSD"):
        batches.append(event.ticks)  # type: ignore[union-attr]
        if sum(map(len, batches)) >= 3:
            break
    ticks = np.concatenate(batches)
    first, last = int(ticks["time"][0]), int(ticks["time"][-1])
    history = chained.copy_ticks_range("EURUSD", first, last + 1, -1)
    assert history is not None
    span = (history["time_msc"] >= ticks["time_msc"][0]) & (history["time_msc"] <= ticks["time_msc"][-1])
    assert np.array_equal(history[span], ticks)


def test_a_login_to_another_account_is_refused_not_carried_out(chained: Client, gateway: Gateway) -> None:
    account = chained.account_info()
    assert account is not None
    assert chained.login(account.login, "x", account.server) is True
    assert chained.login(account.login + 1, "x", account.server) is False
    assert chained.last_error() == (-6, "Terminal: Authorization failed")
    assert chained.initialize(login=account.login, server="Elsewhere") is False
    assert chained.account_info() is None  # as in the official package, until the next initialize
    assert chained.initialize() is True
    with gateway.client() as direct:
        assert direct.account_info().login == account.login  # type: ignore[union-attr]


def test_an_order_reaches_the_account_of_record(chained: Client, gateway: Gateway) -> None:
    sent = chained.order_send(BUY)
    assert sent is not None
    with gateway.client() as direct:
        (position,) = direct.positions_get(ticket=sent.order) or ()
        assert position.volume == 0.1


def test_without_the_package_the_next_step_is_said() -> None:
    with pytest.raises(TerminalMissing, match="pip install MetaTrader5"):
        OfficialTerminal()


def test_wrong_credentials_end_the_start_with_the_reason(gateway: Gateway) -> None:
    with (
        pytest.raises(TerminalMissing, match="Authorization failed.*check login"),
        official(gateway, login=1, password="x", server="y"),
    ):
        pass

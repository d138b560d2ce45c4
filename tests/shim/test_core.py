"""What programs do with the official package besides calling its functions."""

import copy
import importlib
import os
import pickle
import subprocess
import sys

import pytest

import mt5crs.MetaTrader5 as mt5  # noqa: N813 - its usual name
from mt5crs.cli.run import SHIM
from mt5crs.model import OrderSendResult, TradePosition, TradeRequest
from tests.conftest import ROOT
from tests.processes import Gateway


@pytest.mark.parametrize(
    "program",
    [
        "from MetaTrader5._core import Tick; import MetaTrader5 as mt5; assert Tick is mt5.Tick",
        "import MetaTrader5 as mt5; from MetaTrader5._core import *; assert login is mt5.login",
        "import MetaTrader5._core as c, MetaTrader5 as m; assert c.last_error() == m._core.last_error()",
        "import MetaTrader5._core; assert MetaTrader5._core.TIMEFRAME_H1 == 16385",
    ],
)
def test_inner_module(program: str) -> None:
    """Types and functions are found in the module where the official package keeps them."""
    path = os.pathsep.join([str(SHIM), str(ROOT / "src")])
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_values_are_copied_but_not_pickled() -> None:
    """A structure has a copy of its kind, as CPython's structure sequences have."""
    request = TradeRequest(range(TradeRequest.n_fields))
    values = [0] * (OrderSendResult.n_fields - 1)
    for record in (TradePosition(range(TradePosition.n_fields)), OrderSendResult([*values, request])):
        for twin in (copy.copy(record), copy.deepcopy(record), copy.deepcopy([record])[0]):
            assert twin == record
            assert type(twin) is type(record)
            assert repr(twin) == repr(record)
        with pytest.raises(pickle.PicklingError):
            pickle.dumps(record)


def test_reload_keeps_the_connection(gateway: Gateway) -> None:
    """In a notebook the module is loaded again; the connection and its functions are still there."""
    try:
        assert mt5.initialize(host="127.0.0.1", port=gateway.port)
        before = mt5.account_info
        again = importlib.reload(mt5)
        assert again.account_info() == before()
        assert again.account_info() is not None
    finally:
        mt5.shutdown()

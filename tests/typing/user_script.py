"""A user's script as editors and type checkers see it where `mt5crs shim` or `mt5crs run` stands in.

Checked by mypy and basedpyright with the stand-in on their path (`make lint`), never run. Lines that must be
refused carry an ignore comment: both checkers report an ignore that is not needed.
"""

import MetaTrader5 as mt5  # noqa: N813 - as every program writes it
import numpy as np
from MetaTrader5 import TradePosition
from numpy.typing import NDArray
from typing_extensions import assert_type

assert_type(
    mt5.initialize("terminal64.exe", login=1, password="", server="", timeout=1, portable=False), bool
)
assert_type(mt5.symbol_info_tick("EURUSD"), mt5.Tick | None)
assert_type(mt5.copy_rates_from_pos("EURUSD", mt5.TIMEFRAME_H1, 0, 10), NDArray[np.void] | None)
assert_type(mt5.positions_get(symbol="EURUSD"), tuple[TradePosition, ...] | None)
assert_type(mt5.last_error(), tuple[int, str])
assert_type(mt5.Buy("EURUSD", 0.1), mt5.OrderSendResult | None)

request: dict[str, object] = {"action": mt5.TRADE_ACTION_DEAL, "symbol": "EURUSD", "volume": 0.1}
result = mt5.order_send(request)
if result is not None and result.retcode == mt5.TRADE_RETCODE_DONE:
    assert_type(result.request.volume, float)

account = mt5.account_info()
assert account is not None
assert_type(account.balance, float)
assert_type(account.login, int)

mt5.symbol_info(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
mt5.copy_rates_from_pos("EURUSD", 1, 0)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
mt5.symbol_infos()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]

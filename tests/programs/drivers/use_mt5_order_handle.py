# mypy: disable-error-code="import-not-found, import-untyped"
"""mt5-order-handle: a script that hands the module to OrderHandle, reads positions by index."""

import MetaTrader5 as mt5  # noqa: N813 - its usual name
from mt5_order_handle.mt5order import OrderHandle, position_data

assert mt5.initialize()
assert mt5.login(5001001, password="simulated", server="MT5CRS-Simulated")
handle = OrderHandle(mt5)
info = handle.get_symbol_info("EURUSD")
assert info["digits"] == 5
assert info["lot"] == 0

ticket = handle.open_position("EURUSD", "BUY", 0.1, ocm="handled")
assert ticket > 0
limit = handle.open_position("EURUSD", "SELLLIMIT", 0.1, op_price=round(info["ask"] + 0.02, 5))
assert limit > 0
assert handle.total_buy_on_symbol("EURUSD") == 1
assert handle.total_sell_on_symbol("EURUSD") == 0
assert mt5.orders_get(symbol="EURUSD")[0].ticket == limit
[position] = mt5.positions_get(symbol="EURUSD")
assert position_data(position)["comment"] == "handled"
assert position_data(position, "ticket") == ticket
assert handle.modify_position("EURUSD", ticket, nw_sl=round(info["bid"] - 0.01, 5)) is True
frame = handle.get_all_position("EURUSD")
assert list(frame["ticket"]) == [ticket]
assert frame["sl"][0] == round(info["bid"] - 0.01, 5)
assert handle.get_average_spread("EURUSD") > 0
assert handle.get_bar_price("EURUSD", mt5.TIMEFRAME_H4, 1)["High"] > 1

assert handle.delete_pending(limit)
handle.close_positions_by_symbol("EURUSD")
assert handle.total_position_on_symbol("EURUSD") == 0
assert handle.get_all_position().empty
mt5.shutdown()

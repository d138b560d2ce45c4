# mypy: disable-error-code="import-not-found, import-untyped"
"""contigion-metatrader: names imported from the module one by one; account, bars, a trade, its history."""

import contigion_metatrader as contigion
import MetaTrader5 as mt5  # noqa: N813 - its usual name

contigion.connect()
assert contigion.get_account_balance() == "USD 10000.00"
assert contigion.get_account_number() == "5001001 - MT5CRS-Simulated"
assert contigion.get_account_exposure() == "0.0"
assert "EURUSD" in contigion.get_symbol_names()
bars = contigion.get_market_data("EURUSD", contigion.get_timeframe_value("M15"), 200)
assert len(bars) == 199
assert contigion.get_point("EURUSD") == 0.00001
assert contigion.calculate_profit(mt5.ORDER_TYPE_BUY, "EURUSD", 0.1, 1.1, 1.101) == 10.0

opened = contigion.open_long_trade("EURUSD", 0.5, stop_loss=500, take_profit=1000)
trade = contigion.get_open_trade(opened.order)
assert trade.sl < trade.price_open < trade.tp
assert contigion.get_account_exposure() == "0.5"
assert contigion.trades_in_profit().endswith("/ 1")
assert mt5.Close("EURUSD", ticket=opened.order) is True
closed = contigion.get_trade_history(hours_ago=1, is_close_history=True)
assert [each.position_id for each in closed] == [opened.order]
contigion.disconnect()

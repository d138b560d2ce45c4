# mypy: disable-error-code="import-not-found, import-untyped"
"""mt5-wrapper: every function through its typed wrappers."""

from datetime import datetime, timedelta

import mt5_wrapper as mt5

assert mt5.initialize(login=5001001, password="simulated", server="MT5CRS-Simulated", timeout=10000)
assert mt5.version()[0] == 500
assert mt5.last_error() == (1, "Success")
assert mt5.account_info().login == 5001001
assert mt5.terminal_info().connected
assert mt5.symbols_total() == len(mt5.symbols_get())
assert mt5.symbol_select("GBPUSD", True)
assert mt5.market_book_add("EURUSD")
assert mt5.market_book_release("EURUSD")

now = datetime.now()  # noqa: DTZ005 - naive, as programs have it
assert len(mt5.copy_rates_from("EURUSD", mt5.TIMEFRAME_H1, now, 10)) == 10
assert len(mt5.copy_rates_from_pos("EURUSD", mt5.TIMEFRAME_H1, 0, 10)) == 10
assert len(mt5.copy_rates_range("EURUSD", mt5.TIMEFRAME_H1, now - timedelta(days=7), now)) > 20
assert len(mt5.copy_ticks_from("EURUSD", now - timedelta(minutes=5), 10, mt5.COPY_TICKS_ALL)) == 10
assert mt5.copy_rates_from_pos("NOSUCH", mt5.TIMEFRAME_H1, 0, 10) is None
assert mt5.last_error()[0] < 0

tick = mt5.symbol_info_tick("EURUSD")
request = {
    "action": mt5.TRADE_ACTION_DEAL,
    "symbol": "EURUSD",
    "volume": 0.1,
    "type": mt5.ORDER_TYPE_BUY,
    "price": tick.ask,
    "deviation": 20,
    "type_filling": mt5.ORDER_FILLING_FOK,
}
assert mt5.order_calc_margin(mt5.ORDER_TYPE_BUY, "EURUSD", 0.1, tick.ask) > 0
assert mt5.order_calc_profit(mt5.ORDER_TYPE_BUY, "EURUSD", 0.1, tick.ask, tick.ask + 0.01) == 100.0
assert mt5.order_check(request).retcode == 0
sent = mt5.order_send(request)
assert sent.retcode == mt5.TRADE_RETCODE_DONE
[position] = mt5.positions_get(ticket=sent.order)
assert mt5.positions_total() == 1
closing = {**request, "type": mt5.ORDER_TYPE_SELL, "position": position.ticket, "price": tick.bid}
assert mt5.order_send(closing).retcode == mt5.TRADE_RETCODE_DONE
assert mt5.positions_get() == ()
assert mt5.orders_total() == 0
assert mt5.orders_get(group="*EUR*") == ()
later = now + timedelta(days=1)
assert mt5.history_deals_total(now - timedelta(days=1), later) == 3
deals = mt5.history_deals_get(now - timedelta(days=1), later, group="*EURUSD*")
assert {each.position_id for each in deals} == {position.ticket}
assert len(mt5.history_orders_get(now - timedelta(days=1), later)) == 2
mt5.shutdown()
assert mt5.account_info() is None

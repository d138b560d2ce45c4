# mypy: disable-error-code="import-not-found, import-untyped"
"""metatrader-mcp-server: the client that its tools use: account, market, orders, history."""

from datetime import datetime, timedelta

from metatrader_client import MT5Client

client = MT5Client(
    {
        "path": "C:\\Program Files\\MetaTrader 5\\terminal64.exe",
        "login": "5001001",
        "password": "simulated",
        "server": "MT5CRS-Simulated",
        "cooldown_time": 0.1,
    }
)
assert client.connect()
assert client.is_connected()
assert client.get_terminal_info()["connected"]
assert client.account.get_balance() == 10000.0
assert client.account.is_trade_allowed()
assert client.account.get_trade_statistics()["leverage"] == 100
assert "EURUSD" in client.market.get_symbols("*USD*")
assert client.market.get_symbol_price("EURUSD")["bid"] > 0
assert len(client.market.get_candles_latest("EURUSD", "H1", 50)) == 50
now = datetime.now()  # noqa: DTZ005 - naive, as programs have it
week = now - timedelta(days=7)
assert len(client.market.get_candles_by_date("EURUSD", "H1", week.strftime("%Y-%m-%d"))) > 20

opened = client.order.place_market_order(type="BUY", symbol="EURUSD", volume=0.1)
assert not opened["error"], opened
ticket = opened["data"].order
[price] = client.order.get_positions_by_id(ticket)["open"]
changed = client.order.modify_position(
    ticket, stop_loss=round(price - 0.01, 5), take_profit=round(price + 0.01, 5)
)
assert not changed["error"], changed
pending = client.order.place_pending_order(
    type="BUY", symbol="EURUSD", volume=0.1, price=round(price - 0.02, 5)
)
assert not pending["error"], pending
assert len(client.order.get_all_pending_orders()) == 1
assert not client.order.cancel_all_pending_orders()["error"]
closed = client.order.close_position(ticket)
assert not closed["error"], closed
assert client.order.get_all_positions().empty
deals = client.history.get_deals_as_dataframe(week, now + timedelta(days=1))
assert len(deals[deals["symbol"] == "EURUSD"]) == 2
assert client.disconnect()

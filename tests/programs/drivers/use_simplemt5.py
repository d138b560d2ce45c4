# mypy: disable-error-code="import-not-found, import-untyped"
"""simplemt5: bars, a position with stops in points, moving the stops, closing all."""

from simplemt5 import SimpleMT5

terminal = SimpleMT5()
bars = terminal.get_data("EURUSD", "H1", 100)
assert list(bars.columns) == ["time", "open", "high", "low", "close"]
assert len(bars) == 100
assert terminal.get_data("NOSUCH", "H1", 100) is None
account = terminal.get_account_info()
assert account["balance"] == 10000.0

bought = terminal.buy("EURUSD", 0.1, tp_points=100, sl_points=50)
assert bought["type"] == "BUY"
sold = terminal.sell_simple("USDJPY", 0.1)
assert sold["type"] == "SELL"
[position] = terminal.get_positions("EURUSD")
assert position["ticket"] == bought["order"]
assert position["stop_loss"] < position["price_open"] < position["take_profit"]
assert terminal.modify_tp_sl(position["ticket"], tp_points=300, sl_points=200)
assert terminal.get_positions("EURUSD")[0]["take_profit"] > position["take_profit"]
assert terminal.close_positions("EURUSD")
assert [each.symbol for each in terminal.get_positions_simple()] == ["USDJPY"]
assert terminal.close_positions()
assert terminal.get_positions() == []

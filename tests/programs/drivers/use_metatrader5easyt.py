# mypy: disable-error-code="import-not-found, import-untyped"
"""metatrader5EasyT: symbol set-up, ticks, rates; its order, of a filling not allowed here, is refused."""

from pathlib import Path

import MetaTrader5 as mt5  # noqa: N813 - its usual name
from metatrader5EasyT.initialization import Initialize
from metatrader5EasyT.rates import Rates
from metatrader5EasyT.tick import Tick
from metatrader5EasyT.timeframe import TimeFrame
from metatrader5EasyT.trade import Trade

start = Initialize()
assert start.initialize_platform() is True
assert start.initialize_symbol("eurusd") is True

tick = Tick("EURUSD")
tick.get_new_tick()
assert 0 < tick.bid < tick.ask
rates = Rates("EURUSD", TimeFrame().FIVE_MINUTES, 20)
rates.update_rates()
assert len(rates.close) == 20

trade = Trade(symbol="EURUSD", lot=0.1, stop_loss=0.05, take_profit=0.05)
trade._trade_allowed = True  # as its documentation does
assert trade.position_open(buy=True, sell=False) is None
assert "Something went wrong" in Path("metatrader5.log").read_text()

# by another program the position is opened, which it sees and reports
assert mt5.Buy("EURUSD", 0.1).retcode == mt5.TRADE_RETCODE_DONE
trade.position_check()
assert trade.trade_direction == "buy"
assert mt5.Close("EURUSD") is True
trade.position_check()
assert trade.trade_direction is None

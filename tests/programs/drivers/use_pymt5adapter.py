# mypy: disable-error-code="import-not-found, import-untyped"
"""pymt5adapter: its connection context, errors as exceptions, its Symbol, Order and Trade objects."""

from datetime import datetime, timedelta

import pymt5adapter as mt5
from pymt5adapter.order import Order
from pymt5adapter.symbol import Symbol
from pymt5adapter.trade import Trade

MAGIC = 7001

connection = mt5.connected(
    login=5001001,
    password="simulated",
    server="MT5CRS-Simulated",
    timeout=5000,
    ensure_trade_enabled=True,
    raise_on_errors=True,
)
with connection as terminal:
    assert terminal.terminal_info.connected
    assert terminal.ping().terminal is not None
    account = mt5.account_info()
    assert account.login == 5001001
    assert account.trade_mode == mt5.ACCOUNT_TRADE_MODE.DEMO

    try:
        mt5.history_deals_get("sdf", "asdfa")
    except mt5.MT5Error as error:
        assert error.error_code is mt5.ERROR_CODE.INVALID_PARAMS
        assert "Invalid arguments" in error.description
    else:
        raise AssertionError("wrong arguments were taken")

    now = datetime.now()  # noqa: DTZ005 - naive, as programs have it
    rates = mt5.copy_rates_range("EURUSD", mt5.TIMEFRAME.H1, now - timedelta(days=7), now)
    assert rates.dtype.names[:5] == ("time", "open", "high", "low", "close")
    assert len(rates) > 20
    assert len(mt5.copy_ticks_from("EURUSD", now - timedelta(minutes=5), 100, mt5.COPY_TICKS.ALL)) > 0
    assert "USDJPY" in [each.name for each in mt5.symbols_get(regex="USD")]

    symbol = Symbol("EURUSD")
    symbol.select = True
    assert 0 < symbol.bid < symbol.ask
    assert symbol.normalize_price(1.1234567) == 1.12346

    check = Order.as_buy(symbol="EURUSD", volume=0.1, price=symbol.ask).check()
    assert check.retcode == 0
    assert check.margin > 0
    trade = Trade("EURUSD", magic=MAGIC)
    assert trade.position is None
    bought = trade.buy(0.1, comment="adapter")
    assert bought.retcode == mt5.TRADE_RETCODE.DONE
    assert bought.request.magic == MAGIC
    position = trade.refresh().position
    assert (position.ticket, position.volume, position.comment) == (bought.order, 0.1, "adapter")
    assert trade.modify_sltp_by_price(sl=round(position.price_open - 0.01, 5)).retcode == 10009
    assert trade.refresh().position.sl == round(position.price_open - 0.01, 5)

    pending = Order.as_buy_limit(symbol="EURUSD", volume=0.1, price=round(symbol.bid - 0.02, 5), magic=MAGIC)
    placed = pending.send()
    assert placed.retcode == mt5.TRADE_RETCODE.DONE
    [order] = mt5.orders_get(ticket=placed.order)
    assert order.type == mt5.ORDER_TYPE.BUY_LIMIT
    assert Order.as_delete_pending(order).send().retcode == mt5.TRADE_RETCODE.DONE

    assert Order.as_flatten(position).send().retcode == mt5.TRADE_RETCODE.DONE
    assert mt5.positions_total() == 0
    deals = mt5.history_deals_get(position=position.ticket)
    assert [each.entry for each in deals] == [mt5.DEAL_ENTRY.IN, mt5.DEAL_ENTRY.OUT]

assert mt5.account_info() is None
assert mt5.last_error() == (-10004, "No IPC connection")

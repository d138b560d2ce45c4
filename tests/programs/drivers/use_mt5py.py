# mypy: disable-error-code="import-not-found, import-untyped"
"""mt5py: checked market and pending orders, stops, risk sizing, a report, on its Trader."""

from datetime import datetime, timedelta, timezone

import MetaTrader5
from MT5pytrader import ExecutionLimits, TradeError, Trader

now = datetime.now(timezone.utc)
limits = ExecutionLimits(allowed_symbols=frozenset({"EURUSD"}), max_spread_points=100)
with Trader(magic=7002, comment="mt5py", limits=limits) as trader:
    account = trader.connect(5001001, "simulated", "MT5CRS-Simulated")
    assert account.balance == 10000.0
    bars = trader.get_rates("EURUSD", MetaTrader5.TIMEFRAME_H1, now - timedelta(days=7), now)
    assert len(bars) > 20
    assert len(trader.get_ticks("EURUSD", now - timedelta(minutes=5), now)) > 0

    tick = MetaTrader5.symbol_info_tick("EURUSD")
    risk = trader.calculate_volume("EURUSD", "buy", tick.ask, round(tick.ask - 0.005, 5), 50.0)
    assert 0 < risk.estimated_loss <= 50.0
    assert trader.margin_required("EURUSD", "buy", risk.volume) > 0

    bought = trader.open_buy("EURUSD", lot=0.2, stop_loss=500, take_profit=1000)
    assert (bought.status, bought.executed_volume) == ("done", 0.2)
    [position] = trader.positions(symbol="EURUSD", magic=7002)
    assert position.sl < position.price_open < position.tp
    try:
        trader.open_buy("GBPUSD")
    except TradeError as error:
        assert error.code
    else:
        raise AssertionError("a symbol outside the limits was bought")
    assert all(each.accepted for each in trader.modify_sl("EURUSD", sl=round(position.sl - 0.001, 5)))
    assert trader.close_position(position.ticket, 0.1).status == "done"
    assert trader.positions(ticket=position.ticket)[0].volume == 0.1

    pending = trader.open_sell_limit("EURUSD", round(tick.ask + 0.02, 5), lot=0.1)
    assert pending.accepted
    assert len(trader.get_orders("EURUSD")) == 1
    assert trader.cancel_order(pending.order).accepted

    assert trader.close_position(position.ticket).completed
    assert not trader.positions()
    report = trader.performance_report(now - timedelta(hours=1), now + timedelta(days=1))
    assert report["deal_count"] == 3
    assert report["currency"] == "USD"

# mypy: disable-error-code="import-not-found, import-untyped"
"""pdmt5: account, prices, orders and history as data frames and dictionaries."""

from datetime import datetime, timedelta

import pandas as pd
from pdmt5 import Mt5Config, Mt5DataClient, parse_copy_ticks, parse_order_type, parse_timeframe

config = Mt5Config(login=5001001, password="simulated", server="MT5CRS-Simulated", timeout=60000)
with Mt5DataClient(config=config) as client:
    assert client.version_as_dict()["mt5_terminal_version"] == 500
    account = client.account_info_as_df()
    assert account.loc[0, "login"] == 5001001
    assert account.loc[0, "balance"] == 10000.0
    assert client.terminal_info_as_dict()["connected"] is True

    majors = client.symbols_get_as_df(group="*USD*")
    assert "EURUSD" in set(majors.reset_index()["name"])
    tick = client.symbol_info_tick_as_dict("EURUSD")
    assert 0 < tick["bid"] < tick["ask"]

    now = datetime.now()  # noqa: DTZ005 - naive, as programs have it
    bars = client.copy_rates_from_as_df(
        "EURUSD", parse_timeframe("H1"), date_from=now, count=100, index_keys="time"
    )
    assert len(bars) == 100
    assert isinstance(bars.index, pd.DatetimeIndex)
    assert (bars["high"] >= bars["low"]).all()
    latest = client.copy_rates_from_pos_as_df("EURUSD", parse_timeframe("M1"), start_pos=0, count=10)
    assert latest["time"].is_monotonic_increasing
    assert latest["time"].dtype.kind == "M"
    ticks = client.copy_ticks_range_as_df(
        "EURUSD", now - timedelta(minutes=5), now, flags=parse_copy_ticks("ALL")
    )
    assert {"bid", "ask"} <= set(ticks.columns)

    order = {
        "action": client.mt5.TRADE_ACTION_DEAL,
        "symbol": "EURUSD",
        "volume": 0.1,
        "type": parse_order_type("BUY"),
        "price": client.symbol_info_tick_as_dict("EURUSD")["ask"],
        "deviation": 20,
        "type_filling": client.mt5.ORDER_FILLING_IOC,
    }
    assert client.order_check_as_dict(order)["retcode"] == 0
    sent = client.order_send_as_df(order)
    assert sent.loc[0, "retcode"] == 10009
    [position] = client.positions_get_as_dicts(symbol="EURUSD")
    assert position["volume"] == 0.1
    close = order | {
        "type": parse_order_type("SELL"),
        "position": position["ticket"],
        "price": client.symbol_info_tick_as_dict("EURUSD")["bid"],
    }
    assert client.order_send_as_dict(close)["retcode"] == 10009
    assert client.positions_get_as_df().empty
    deals = client.history_deals_get_as_df(position=position["ticket"])
    assert list(deals["entry"]) == [0, 1]
    margin = client.order_calc_margin(parse_order_type("BUY"), "EURUSD", 0.1, tick["ask"])
    assert margin > 0

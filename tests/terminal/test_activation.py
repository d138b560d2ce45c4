"""What keeps a touched order from trading; digest sections 5 and 8."""

from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import pytest

from mt5crs import constants as c
from mt5crs.terminal.simulated import SimulatedConfig
from tests.terminal.desk import OPENING, Desk

Quotes = Callable[..., Desk]
BUY = c.ORDER_TYPE_BUY
NOON_BREAK = "mon-fri 00:00-01:00 02:00-24:00"


def specified(folder: Path, fields: str) -> Path:
    """EURUSD with some fields of its own."""
    path = folder / "instruments.toml"
    path.write_text(f"[symbols.EURUSD]\n{fields}\n", encoding="utf-8")
    return path


def iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, timezone.utc).isoformat()


def with_trades(folder: Path, *ticks: tuple[float, float, float, float]) -> Desk:
    """A desk for (second, bid, ask, last) of a symbol whose trades are published."""
    path = folder / "eurusd_ticks.csv"
    rows = [f"{iso(OPENING + second)},{bid},{ask},{last},1" for second, bid, ask, last in ticks]
    path.write_text("\n".join(["timestamp,bid,ask,last,volume", *rows, ""]), encoding="utf-8")
    instruments = specified(folder, "has_last = true\nfilling_mode = 7")
    return Desk(SimulatedConfig(replay=(path,), start=OPENING, speed=1.0, instruments=(instruments,)))


def test_a_passive_stop_limit_that_would_trade_at_once_is_cancelled(tmp_path: Path) -> None:
    # Section 5: book or cancel is cancelled if it would trade at once. A trade at 1.1010 sets the order off
    # when 1.1004 is asked: the limit order at 1.1005 would buy there and then.
    desk = with_trades(tmp_path, (0, 1.1, 1.1001, 1.1), (10, 1.1003, 1.1004, 1.101), (20, 1.1, 1.1001, 1.1))
    kind, filling = c.ORDER_TYPE_BUY_STOP_LIMIT, c.ORDER_FILLING_BOC
    order = desk.pend(kind, 1.101, stoplimit=1.1005, type_filling=filling).order
    desk.at(20)
    (gone,) = desk.get("history_orders_get", ticket=order)
    assert (gone.state, gone.type) == (c.ORDER_STATE_CANCELED, c.ORDER_TYPE_BUY_LIMIT)
    assert (gone.time_done, gone.volume_current) == (OPENING + 10, 0.1)
    assert desk.get("positions_total") == 0


def test_one_that_would_wait_does(tmp_path: Path) -> None:
    # The same with 1.1011 asked: it waits, and the trade at 1.1004 fills it at its price.
    desk = with_trades(tmp_path, (0, 1.1, 1.1001, 1.1), (10, 1.101, 1.1011, 1.101), (20, 1.1, 1.1006, 1.1004))
    kind, filling = c.ORDER_TYPE_BUY_STOP_LIMIT, c.ORDER_FILLING_BOC
    order = desk.pend(kind, 1.101, stoplimit=1.1005, type_filling=filling).order
    desk.at(20)
    (deal,) = desk.get("history_deals_get", ticket=order)
    assert (deal.time, deal.price) == (OPENING + 20, 1.1005)


@pytest.mark.parametrize(
    "lines",
    [
        ["timestamp,bid,ask", "{0},1.1,1.1001", "{1},1.098,1.0981", "{2},1.1,1.1001"],
        ["time,open,high,low,close,tick_volume,spread,real_volume", "{0:.0f},1.1,1.1,1.098,1.1,40,10,0"],
    ],
    ids=["ticks", "bars"],
)
def test_of_a_replay_without_trades_the_quotes_count(tmp_path: Path, lines: list[str]) -> None:
    """Section 5: exchange symbols trigger on last, of which there is none in a file of quotes."""
    path = tmp_path / "eurusd_m1.csv"
    is_bars = len(lines) == 2
    moments = [OPENING + s if is_bars else iso(OPENING + s) for s in (0, 30, 60)]
    path.write_text("\n".join([*lines, ""]).format(*moments), encoding="utf-8")
    instruments = specified(tmp_path, "has_last = true")
    desk = Desk(SimulatedConfig(replay=(path,), start=OPENING, speed=1.0, instruments=(instruments,)))
    ticket = desk.deal(BUY, 0.1, sl=1.0985).order
    assert desk.get("symbol_info_tick", "EURUSD").last == 0.0
    desk.at(59)
    assert desk.get("history_deals_get", position=ticket)[-1].reason == c.DEAL_REASON_SL


def test_where_hedging_is_prohibited_no_activation_opens_against_a_position(quotes: Quotes) -> None:
    # Section 8: an opposite position where hedging is prohibited. Both orders come before any position.
    ticks = (0, 1.1, 1.1001), (10, 1.1012, 1.1013), (20, 1.0985, 1.0986)
    desk = quotes(*ticks, hedge_allowed=False)
    bought = desk.pend(c.ORDER_TYPE_BUY_STOP, 1.101).order
    sold = desk.pend(c.ORDER_TYPE_SELL_STOP, 1.099).order
    desk.at(20)
    (order,) = desk.get("history_orders_get", ticket=sold)
    assert (order.state, order.comment) == (c.ORDER_STATE_REJECTED, "[Hedging prohibited]")
    assert [position.ticket for position in desk.get("positions_get")] == [bought]


def test_outside_of_trade_sessions_a_quote_sets_nothing_off(quotes: Quotes, tmp_path: Path) -> None:
    # Section 8: outside the trading session. Quotes go on from one to two o'clock, trading does not.
    ticks = (0, 1.1, 1.1001), (5400, 1.098, 1.0981), (7210, 1.0985, 1.0986), (7300, 1.0985, 1.0986)
    instruments = specified(tmp_path, f'trade_sessions = "{NOON_BREAK}"')
    desk = quotes(*ticks, instruments=(instruments,), sessions="real")
    order = desk.pend(c.ORDER_TYPE_BUY_LIMIT, 1.099).order
    held = desk.deal(BUY, 0.1, sl=1.0983).order
    desk.at(7250)
    (deal,) = desk.get("history_deals_get", ticket=order)
    assert (deal.time, deal.price) == (OPENING + 7210, 1.0986)
    assert held in [position.ticket for position in desk.get("positions_get")]


def test_a_stop_out_waits_for_the_market(quotes: Quotes, tmp_path: Path) -> None:
    # Section 7. 0.8 lot at 1.1001 holds 880.08. While the market is closed 1.0930 leaves 432.00, 49.1 %;
    # when it is open again 1.0932 leaves 448.00, 50.9 %, then 1.0931 leaves 440.00, just below half.
    ticks = (0, 1.1, 1.1001), (5400, 1.093, 1.0931), (7210, 1.0932, 1.0933), (7220, 1.0931, 1.0932)
    instruments = specified(tmp_path, f'trade_sessions = "{NOON_BREAK}"')
    desk = quotes(*ticks, instruments=(instruments,), sessions="real", deposit=1000.0)
    desk.deal(BUY, 0.8)
    desk.at(7215)
    assert desk.get("positions_total") == 1
    desk.at(7220)
    deal = desk.get("history_deals_get", 0, 1 << 40)[-1]
    assert (deal.reason, deal.time, deal.price) == (c.DEAL_REASON_SO, OPENING + 7220, 1.0931)
    assert deal.comment == "so: 50.00%/440.00/880.08"

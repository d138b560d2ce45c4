"""The simulated terminal by itself: ticks through a full account, and a year of M1 bars through a strategy.

The year is played by the tester and by `backtesting`, in turn, on the same bars: five days a week, seeded, no
spread, no commission. Both call the strategy on every bar. Each full hour it closes what is open and opens
10,000 EUR the other way, with SL and TP at 5 %, which both have to watch and neither reaches: inside a bar
the two differ (ours fills a stop at the tick that is beyond it, theirs at its level). Orders fill at the next
bar's open. A figure is made only if all trades are the same: bars and prices of entry and exit, size, and
profit to the cent (ours is rounded to it).
"""

import gc
import warnings
from collections.abc import Callable, Sequence
from statistics import median
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from backtesting import Backtest, Strategy

from benchmarks.measure import Case, Effort, Figure, Rounds, ratio, summary, take_turns, timed
from mt5crs import constants as c
from mt5crs.api import OPERATIONS
from mt5crs.model import RATES, TICKS, RatesArray, TicksArray
from mt5crs.terminal.simulated import SimulatedConfig, SimulatedTerminal
from mt5crs.terminal.simulated.prices.market import Playback
from mt5crs.terminal.simulated.tester import Bar, Tester

SYMBOL = "EURUSD"
START = 1_704_067_200  # 2024-01-01, a Monday
DAY, HOUR, MINUTE = 86_400, 3600, 60
YEAR = 261 * 1440  # minutes of Monday to Friday
LOTS, UNITS = 0.1, 10_000
FAR = 0.05  # of the price: where SL and TP are
HELD = 100  # positions, and as many pending orders
TICK_EVERY = 100  # milliseconds
STRETCH, STEPS = 1_000_000, 100_000  # ticks; in a quick run too, since they take tenths of a second
LEAST_ROUNDS = 3
CENT = 0.01


class Trade(NamedTuple):
    """A closed trade."""

    entry_bar: int
    exit_bar: int
    entry: float
    exit: float
    units: int
    profit: float


# ---- prices -----------------------------------------------------------------------------------------


def year(count: int) -> RatesArray:
    """Return so many M1 bars of a walk that stays between 1.02 and 1.18; they open where the last closed."""
    random = np.random.default_rng(1)
    minutes = np.arange(START, START + count * MINUTE * 2, MINUTE)
    minutes = minutes[(minutes // DAY + 3) % 7 < 5][:count]  # 1970-01-01 was a Thursday
    closes = np.clip(110_000 + np.cumsum(random.integers(-8, 9, count)), 102_000, 118_000)
    opens = np.r_[110_000, closes[:-1]]
    wicks = random.integers(0, 6, (2, count))
    bars = np.zeros(count, RATES.dtype)
    bars["time"], bars["tick_volume"] = minutes, 4
    columns = (opens, np.maximum(opens, closes) + wicks[0], np.minimum(opens, closes) - wicks[1], closes)
    for name, points in zip(("open", "high", "low", "close"), columns, strict=True):
        bars[name] = np.round(points / 100_000, 5)
    return bars


def quotes(count: int) -> TicksArray:
    """Return so many ticks of a walk that never leaves 1.096 to 1.104."""
    random = np.random.default_rng(2)
    walk = np.clip(np.cumsum(random.integers(-1, 2, count)), -400, 400)
    ticks = np.zeros(count, TICKS.dtype)
    ticks["time_msc"] = START * 1000 + np.arange(count) * TICK_EVERY
    ticks["time"] = ticks["time_msc"] // 1000
    ticks["bid"] = np.round(1.1 + walk / 100_000, 5)
    ticks["ask"] = np.round(ticks["bid"] + 0.0001, 5)
    ticks["flags"] = c.TICK_FLAG_BID | c.TICK_FLAG_ASK
    return ticks


# ---- a full account ---------------------------------------------------------------------------------


class Stage:
    """A terminal that holds 100 positions with stops and 100 pending orders, and its clock."""

    def __init__(self, ticks: TicksArray) -> None:
        self.now = 0.0
        config = SimulatedConfig(deposit=1_000_000.0, speed=1.0)
        playback = Playback({SYMBOL: ticks}, 15 * MINUTE * 1000)
        self.terminal = SimulatedTerminal(config, lambda: self.now, playback)
        for number in range(HELD):
            kind = number % 2
            levels = (0.9 + number / 10_000, 1.3 - number / 10_000)
            sl, tp = levels if kind == c.ORDER_TYPE_BUY else levels[::-1]
            self._send(action=c.TRADE_ACTION_DEAL, type=kind, sl=sl, tp=tp)
            pending = (c.ORDER_TYPE_BUY_LIMIT, c.ORDER_TYPE_SELL_LIMIT)[kind]
            self._send(action=c.TRADE_ACTION_PENDING, type=pending, price=levels[kind], type_filling=2)
        self.terminal.advance()

    def _send(self, **fields: Any) -> None:
        order_send = OPERATIONS["order_send"]
        request = {"symbol": SYMBOL, "volume": LOTS, **fields}
        result = self.terminal.carry_out(
            order_send, order_send.signature.bind("order_send", (request,), {})
        ).value
        if result.retcode != c.TRADE_RETCODE_DONE:
            raise RuntimeError(f"the account cannot be filled: {result.comment}")

    def check(self) -> None:
        """Make sure that all is still there."""
        for name in ("positions_total", "orders_total"):
            if self.terminal.carry_out(OPERATIONS[name], ()).value != HELD:
                raise RuntimeError(f"{name} has changed")


def one_comparison(ticks: TicksArray) -> Case:
    """Return the floor: all bids and asks compared with the levels around them, and nothing else."""
    bids, asks = np.ascontiguousarray(ticks["bid"]), np.ascontiguousarray(ticks["ask"])

    def once() -> None:
        outside = (bids <= 1.0) | (bids >= 1.2) | (asks <= 1.0) | (asks >= 1.2)
        if outside.any():
            raise RuntimeError("a level was touched")

    return lambda times: timed(once, times)


def in_one_step(ticks: TicksArray) -> Case:
    """Return the case of all ticks passing at once."""

    def once() -> float:
        stage = Stage(ticks)
        stage.now = (len(ticks) - 1) * TICK_EVERY / 1000
        start = perf_counter()
        stage.terminal.advance()
        took = perf_counter() - start
        stage.check()
        return took

    return lambda times: [once() for _ in range(times)]


def step_by_step(ticks: TicksArray) -> Case:
    """Return the case of the terminal being asked at every tick; seconds a tick."""

    def once() -> float:
        stage = Stage(ticks)
        advance = stage.terminal.advance
        moments = [number * TICK_EVERY / 1000 for number in range(STEPS)]
        start = perf_counter()
        for stage.now in moments:
            advance()
        took = perf_counter() - start
        stage.check()
        return took / STEPS

    return lambda times: [once() for _ in range(times)]


def _account(effort: Effort) -> list[Figure]:
    ticks = quotes(STRETCH)
    cases = {"floor": one_comparison(ticks), "once": in_one_step(ticks), "steps": step_by_step(ticks)}
    rounds, _ = take_turns(cases, max(effort.transfers, LEAST_ROUNDS), 1)
    held = f"{HELD} positions and {HELD} pending orders"
    rate = [len(ticks) / seconds / 1e6 for seconds in rounds["once"]]
    each = [seconds * 1e9 for seconds in rounds["steps"]]
    return [
        ratio(
            "ticks through a full account",
            "NumPy, one comparison",
            rounds["once"],
            rounds["floor"],
            target=12,
        ),
        summary("ticks through it in one step", held, rate, unit="million/s"),
        summary("asked at every tick", held, each, unit="ns/tick"),
    ]


# ---- a year of bars ---------------------------------------------------------------------------------


def _turns(bar_time: int) -> bool:
    """Whether a bar is the last one of an hour."""
    return (bar_time + MINUTE) % HOUR == 0


def _kind(bar_time: int) -> int:
    """Return what to open after it: the order type."""
    return (bar_time + MINUTE) // HOUR % 2


def _levels(kind: int, close: float) -> tuple[float, float]:
    down, up = round(close * (1 - FAR), 5), round(close * (1 + FAR), 5)
    return (down, up) if kind == c.ORDER_TYPE_BUY else (up, down)


def rehearse(bars: RatesArray) -> Sequence[Trade]:
    """Play the bars to the strategy on the tester."""
    deal = c.TRADE_ACTION_DEAL

    def reverse_hourly(mt5: Any, bar: Bar) -> None:
        if not _turns(bar.time):
            return
        kind = _kind(bar.time)
        for held in mt5.positions_get(symbol=SYMBOL):
            mt5.order_send(action=deal, symbol=SYMBOL, volume=LOTS, type=1 - held.type, position=held.ticket)
        sl, tp = _levels(kind, bar.close)
        mt5.order_send(action=deal, symbol=SYMBOL, volume=LOTS, type=kind, sl=sl, tp=tp)

    tester = Tester(prices={SYMBOL: bars})
    tester.run(reverse_hourly, SYMBOL)
    return _ours(tester, bars)


def _ours(tester: Tester, bars: RatesArray) -> Sequence[Trade]:
    deals = tester.mt5.history_deals_get(0, 1 << 40) or ()
    opened = {deal.position_id: deal for deal in deals if deal.entry == c.DEAL_ENTRY_IN}
    closed = [(opened[deal.position_id], deal) for deal in deals if deal.entry == c.DEAL_ENTRY_OUT]
    times = np.array([(entered.time, out.time) for entered, out in closed], np.int64).reshape(-1, 2)
    places = np.searchsorted(bars["time"], times // MINUTE * MINUTE).tolist()
    trades = []
    for (entered, out), (entry, left) in zip(closed, places, strict=True):
        units = round(entered.volume * UNITS / LOTS) * (1 if entered.type == c.DEAL_TYPE_BUY else -1)
        trades.append(Trade(entry, left, entered.price, out.price, units, out.profit))
    return trades


def backtest(bars: RatesArray) -> Callable[[], Sequence[Trade]]:
    """Return what plays the bars to the same strategy on `backtesting`."""
    names = {"Open": "open", "High": "high", "Low": "low", "Close": "close", "Volume": "tick_volume"}
    index = pd.to_datetime(bars["time"], unit="s")
    data = pd.DataFrame({name: bars[column] for name, column in names.items()}, index=index)
    times = bars["time"].tolist()

    class ReverseHourly(Strategy):  # type: ignore[misc] # the package has no types
        def init(self) -> None: ...

        def next(self) -> None:
            bar_time = times[len(self.data) - 1]
            if not _turns(bar_time):
                return
            kind = _kind(bar_time)
            if self.position:
                self.position.close()
            sl, tp = _levels(kind, self.data.Close[-1])
            (self.buy, self.sell)[kind](size=UNITS, sl=sl, tp=tp)

    def once() -> Sequence[Trade]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a trade that is open at the end
            trades = Backtest(data, ReverseHourly, cash=10_000, margin=0.01).run()["_trades"]
        columns = ("EntryBar", "ExitBar", "EntryPrice", "ExitPrice", "Size", "PnL")
        return [Trade(*row) for row in zip(*(trades[name].tolist() for name in columns), strict=True)]

    return once


def compare(ours: Sequence[Trade], theirs: Sequence[Trade]) -> None:
    """Make sure that both did the same.

    Raises:
        RuntimeError: They did not.
    """
    if len(ours) != len(theirs) or not ours:
        raise RuntimeError(f"{len(ours)} trades are not {len(theirs)}")
    for one, other in zip(ours, theirs, strict=True):
        if one[:-1] != other[:-1] or abs(one.profit - other.profit) > CENT / 2 + 1e-6:
            raise RuntimeError(f"{one} is not {other}")


def _once(play: Callable[[], Sequence[Trade]], per: int) -> Case:
    def once() -> float:
        gc.collect()
        start = perf_counter()
        play()
        return (perf_counter() - start) / per

    return lambda times: [once() for _ in range(times)]


def _year(effort: Effort) -> list[Figure]:
    bars = year(min(effort.bars, YEAR))
    theirs = backtest(bars)
    compare(rehearse(bars), theirs())
    cases = {"ours": _once(lambda: rehearse(bars), len(bars)), "theirs": _once(theirs, len(bars))}
    rounds: Rounds = take_turns(cases, max(effort.transfers, LEAST_ROUNDS), 1)[0]
    trades = f"{len(bars):,} M1 bars, reversed every hour"
    raw = {"backtesting_us_per_bar": median(rounds["theirs"]) * 1e6}
    each = [seconds * 1e6 for seconds in rounds["ours"]]
    return [
        summary("a bar of the tester", trades, each, unit="us", raw=raw),
        ratio("a bar of backtesting", "our bar", rounds["theirs"], rounds["ours"], target=1.0, at_most=False),
    ]


def figures(effort: Effort) -> list[Figure]:
    """Measure the simulated terminal."""
    return [*_account(effort), *_year(effort)]

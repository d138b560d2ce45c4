"""From M1 bars to ticks and back: bars made again of the ticks are the bars that they came from.

Where the price goes is `modelling`. On top of that, for symbols whose trades are published (ours; the
terminal's help has only quotes of generated ticks): the minute's real volume is spread evenly over its ticks
in whole units, a tick that gets none has no trade, a trade is a buy at the ask where the price rose and a
sell at the bid where it fell (in turn where it stood). `last` and `volume` are those of the last trade.
"""

import numpy as np
from numpy.typing import NDArray

from mt5crs.constants import (
    TICK_FLAG_ASK,
    TICK_FLAG_BID,
    TICK_FLAG_BUY,
    TICK_FLAG_LAST,
    TICK_FLAG_SELL,
    TICK_FLAG_VOLUME,
)
from mt5crs.model import RATES, TICKS, RatesArray, TicksArray
from mt5crs.terminal.simulated.prices.modelling import Flags, Ints, Path, every_tick, ohlc

RATES_DTYPE = RATES.dtype
TICKS_DTYPE = TICKS.dtype
QUOTE = TICK_FLAG_BID | TICK_FLAG_ASK
TRADE = TICK_FLAG_LAST | TICK_FLAG_VOLUME
MODELS = {"every_tick": every_tick, "ohlc": ohlc}

Masks = NDArray[np.uint32]


def quote_changes(ticks: TicksArray) -> Masks:
    """Return which of bid and ask changed from tick to tick; the first states both."""
    flags = np.full(len(ticks), QUOTE, np.uint32)
    bid = (ticks["bid"][1:] != ticks["bid"][:-1]) * np.uint32(TICK_FLAG_BID)
    ask = (ticks["ask"][1:] != ticks["ask"][:-1]) * np.uint32(TICK_FLAG_ASK)
    flags[1:] = bid | ask
    return flags


def flag_changes(ticks: TicksArray, trades: Masks | int = 0) -> None:
    """Write into `flags` what changed from tick to tick; the first, and a repeated quote, carry both prices.

    Args:
        ticks: Ascending; only their flags are written.
        trades: Flags of the trades, 0 where there was none.
    """
    flags = quote_changes(ticks) | np.asarray(trades, np.uint32)
    ticks["flags"] = np.where(flags == 0, QUOTE, flags)


def expand(
    bars: RatesArray,
    digits: int,
    *,
    rising: Flags | None = None,
    has_last: bool = False,
    modelling: str = "every_tick",
) -> TicksArray:
    """Return the ticks of M1 bars, ascending in time.

    Args:
        bars: M1 bars of one symbol, ascending.
        digits: Digits of its prices.
        rising: Whether each bar goes to its low first; without it, if it does not fall.
        has_last: Whether ticks carry trades.
        modelling: One of `MODELS`.
    """
    if rising is None:
        rising = bars["close"] >= bars["open"]
    path = MODELS[modelling](bars, digits, rising)
    scale = 10.0**digits
    ticks = np.zeros(len(path.place), TICKS_DTYPE)
    ticks["bid"] = path.points / scale
    ticks["ask"] = (path.points + np.repeat(bars["spread"], path.counts)) / scale
    ticks["time_msc"] = np.repeat(bars["time"] * 1000, path.counts) + path.msc
    ticks["time"] = ticks["time_msc"] // 1000
    flag_changes(ticks, _trades(ticks, bars, path) if has_last else 0)
    # What comes before a minute is not always at hand: its first tick states the whole quote.
    ticks["flags"][path.place == 0] |= QUOTE
    return ticks


def _trades(ticks: TicksArray, bars: RatesArray, path: Path) -> Masks:
    """Write the trades of expanded bars into their ticks and return their flags."""
    n, real = np.repeat(path.counts, path.counts), np.repeat(_real_volume(bars), path.counts)
    volume = _spread_evenly(real, path.place + 1, n) - _spread_evenly(real, path.place, n)
    moved = np.diff(path.points, prepend=path.points[:1])
    buys = np.where((moved == 0) | (path.place == 0), path.place % 2 == 0, moved > 0)
    traded = volume > 0
    # Where a minute has trades its first tick has one; a minute without keeps its opening price.
    place = np.arange(len(volume))
    latest = np.maximum.accumulate(np.where(traded | (path.place == 0), place, 0))
    ticks["last"] = np.where(buys & traded, ticks["ask"], ticks["bid"])[latest]
    ticks["volume"] = ticks["volume_real"] = volume[latest]
    sides = np.where(buys, TICK_FLAG_BUY, TICK_FLAG_SELL)
    flags: Masks = np.where(traded, TRADE | sides, 0).astype(np.uint32)
    return flags


def _real_volume(bars: RatesArray) -> Ints:
    volume: Ints = bars["real_volume"].astype(np.int64)
    return volume


def _spread_evenly(total: Ints, part: Ints, parts: Ints) -> Ints:
    """Return how much of a total the first parts have, rounded up."""
    shared: Ints = -(-total * part // parts)
    return shared

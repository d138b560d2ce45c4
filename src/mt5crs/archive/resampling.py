"""Bars of a longer timeframe, as MT5 groups them, from bars or ticks of an archive."""

from typing import TYPE_CHECKING, Any, TypeVar

from mt5crs.bars import WEEK_OFFSET, aggregate, collect, digits_of
from mt5crs.constants import TICK_FLAG_VOLUME, TIMEFRAME_MN1, TIMEFRAME_W1
from mt5crs.errors import SettingError
from mt5crs.timeframes import PERIODS, TIMEFRAMES, WEEK

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    Source = TypeVar("Source", NDArray[Any], pl.LazyFrame)
else:
    Source = TypeVar("Source")


def resample(source: Source, timeframe: str, *, digits: int | None = None) -> Source:
    """Return the bars of a timeframe, exactly as MetaTrader groups them.

    Bars group by server time, counted from 1970-01-01; weeks open on Sunday, months on the 1st; the spread is
    the smallest. Ticks make bars of their bids, and each counts as one of `tick_volume`.

    Args:
        source: Bars or ticks, ascending: an array in MT5's layout, or a LazyFrame with the archive's columns.
            Bars must be of a timeframe of which whole bars make one of the other.
        timeframe: The name of the timeframe, such as `M5` or `H4`.
        digits: Digits of the symbol's prices, for the spreads of ticks; those of an array's prices without
            it.

    Returns:
        The same kind of thing, with MT5's columns of bars.

    Raises:
        SettingError: An argument cannot be used.
    """
    number = TIMEFRAMES.get(timeframe)
    if number is None:
        raise SettingError(f"timeframe is {timeframe!r}: must be one of {', '.join(TIMEFRAMES)}")
    build = _frame if hasattr(source, "collect_schema") else _array
    built: Source = build(source, number, digits)
    return built


def _array(rows: Any, timeframe: int, digits: int | None) -> Any:
    names = rows.dtype.names or ()
    if "bid" in names:
        if digits is None:
            digits = digits_of(rows["bid"], rows["ask"])
        return aggregate(collect(rows, digits), timeframe)
    if "open" not in names:
        raise _unknown(names)
    return aggregate(rows, timeframe)


def _frame(frame: Any, timeframe: int, digits: int | None) -> Any:
    import polars as pl

    names = frame.collect_schema().names()
    if "bid" in names:
        if digits is None:
            raise SettingError(
                "digits is not given: spreads of ticks are told in points of it",
                hint="give the digits of the symbol's prices, as symbol_info(symbol).digits says them",
            )
        frame, aggregates = frame.with_columns(time=pl.col("time_msc")), _of_ticks(pl, digits)
    elif "open" in names:
        aggregates = _of_bars(pl)
    else:
        raise _unknown(names)
    opened = _opened(pl, pl.col("time"), timeframe)
    return frame.group_by(opened.alias("time"), maintain_order=True).agg(**aggregates)


def _of_bars(pl: Any) -> dict[str, Any]:
    return {
        "open": pl.col("open").first(),
        "high": pl.col("high").max(),
        "low": pl.col("low").min(),
        "close": pl.col("close").last(),
        "tick_volume": pl.col("tick_volume").sum(),
        "spread": pl.col("spread").min(),
        "real_volume": pl.col("real_volume").sum(),
    }


def _of_ticks(pl: Any, digits: int) -> dict[str, Any]:
    bid, points = pl.col("bid"), (pl.col("ask") - pl.col("bid")).min() * 10.0**digits
    traded = (pl.col("flags") & TICK_FLAG_VOLUME) != 0
    return {
        "open": bid.first(),
        "high": bid.max(),
        "low": bid.min(),
        "close": bid.last(),
        "tick_volume": pl.len().cast(pl.Int64),
        "spread": points.round(mode="half_to_even").cast(pl.Int32),
        "real_volume": pl.col("volume").filter(traded).sum(),
    }


def _opened(pl: Any, time: Any, timeframe: int) -> Any:
    """Return when the bar opens that a time falls in: what `mt5crs.bars.open_times` does for arrays."""
    if timeframe == TIMEFRAME_MN1:
        return time.dt.month_start().dt.truncate("1d")
    if timeframe == TIMEFRAME_W1:
        offset, period = WEEK_OFFSET * 1000, WEEK * 1000
    else:
        offset, period = 0, PERIODS[timeframe] * 1000
    return (((time.cast(pl.Int64) + offset) // period) * period - offset).cast(pl.Datetime("ms"))


def _unknown(names: Any) -> SettingError:
    listed = ", ".join(names) or "none"
    return SettingError(
        f"the source has neither bars nor ticks: its columns are {listed}", hint="give what `scan` returns"
    )

"""Bars of a longer timeframe, as MT5 groups them, from bars or ticks of an archive."""

from collections.abc import Callable, Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any, TypeVar

from mt5crs.bars import MOST_DIGITS, WEEK_OFFSET, aggregate, collect, digits_of, open_times
from mt5crs.constants import TICK_FLAG_VOLUME, TIMEFRAME_MN1, TIMEFRAME_W1
from mt5crs.errors import SettingError
from mt5crs.timeframes import PERIODS, TIMEFRAMES, WEEK

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

    Source = TypeVar("Source", NDArray[Any], pl.LazyFrame)
else:
    Source = TypeVar("Source")

OF_TICKS = frozenset({"time_msc", "bid", "ask", "volume", "flags"})
OF_BARS = frozenset({"time", "open", "high", "low", "close", "tick_volume", "spread", "real_volume"})
FEWEST = 16
"""Bars whose times show how long they are."""
LOOKED_AT = 1024
"""Bars of a frame that are looked at for that."""


def resample(source: Source, timeframe: str, *, digits: int | None = None) -> Source:
    """Return the bars of a timeframe, exactly as MetaTrader groups them.

    Bars group by server time, counted from 1970-01-01; weeks open on Sunday, months on the 1st; the spread is
    the smallest. Ticks make bars of their bids, and each counts as one of `tick_volume`.

    Args:
        source: Bars or ticks: an array in MT5's layout, or a LazyFrame with the archive's columns. Bars must
            be of a timeframe of which whole bars make one of the other; the first times of a frame of bars
            are read to see that.
        timeframe: The name of the timeframe, such as `M5` or `H4`.
        digits: Digits of the symbol's prices, for the spreads of ticks; those of an array's prices without
            it.

    Returns:
        The same kind of thing, with MT5's columns of bars.

    Raises:
        SettingError: An argument cannot be used.
    """
    if timeframe not in list(TIMEFRAMES):  # also of what has no hash
        raise SettingError(f"timeframe is {timeframe!r}: must be one of {', '.join(TIMEFRAMES)}")
    if digits is not None and (
        isinstance(digits, bool) or not isinstance(digits, Integral) or not 0 <= digits <= MOST_DIGITS
    ):
        raise SettingError(f"digits is {digits!r}: must be a whole number from 0 to {MOST_DIGITS}")
    build: Callable[[Any, str, int | None], Any]
    if hasattr(source, "collect_schema"):
        build = _frame
    elif hasattr(source, "dtype") and hasattr(source, "argsort"):
        build = _array
    else:
        hint = "give what `scan` returns as polars or numpy; of a DuckDB relation, relation.pl().lazy()"
        raise SettingError(f"the source is a {type(source).__name__}: neither array nor frame", hint=hint)
    built: Source = build(source, timeframe, digits)
    return built


def _array(rows: Any, timeframe: str, digits: int | None) -> Any:
    import numpy as np

    names = rows.dtype.names or ()
    is_ticks = _is_ticks(names, ("time",))
    times = rows["time_msc" if is_ticks else "time"]
    if times.dtype.kind not in "iu" or rows.ndim != 1:
        raise SettingError("the source's times are no epoch seconds", hint="give what `scan` returns")
    if (times[1:] < times[:-1]).any():
        rows = rows[np.argsort(times, kind="stable")]
    if is_ticks:
        if digits is None:
            digits = digits_of(rows["bid"], rows["ask"])
        return aggregate(collect(rows, digits), TIMEFRAMES[timeframe])
    _refuse_longer(times.astype(np.int64), timeframe)
    return aggregate(rows, TIMEFRAMES[timeframe])


def _frame(frame: Any, timeframe: str, digits: int | None) -> Any:
    import polars as pl

    schema = frame.collect_schema()
    is_ticks = _is_ticks(schema.names(), ())
    column = "time_msc" if is_ticks else "time"
    kind = schema[column]
    if not isinstance(kind, pl.Datetime) or kind.time_zone is not None:
        raise SettingError(
            f"the source's {column} is {kind}: server time has no zone",
            hint="give times without a zone, of the trade server's clock",
        )
    # Others count in microseconds. What is in order already costs little to sort.
    frame = frame.with_columns(time=pl.col(column).cast(pl.Datetime("ms"))).sort("time", maintain_order=True)
    if is_ticks:
        if digits is None:
            raise SettingError(
                "digits is not given: spreads of ticks are told in points of it",
                hint="give the digits of the symbol's prices, as symbol_info(symbol).digits says them",
            )
        aggregates = _of_ticks(pl, digits)
    else:
        aggregates = _of_bars(pl)
        some = frame.lazy().select("time").head(LOOKED_AT).collect()["time"].drop_nulls()
        _refuse_longer(some.to_numpy().astype("datetime64[s]").astype("int64"), timeframe)
    opened = _opened(pl, pl.col("time"), TIMEFRAMES[timeframe])
    return frame.group_by(opened.alias("time"), maintain_order=True).agg(**aggregates)


def _is_ticks(names: Sequence[str], times: Sequence[str]) -> bool:
    """Return whether columns are those of ticks.

    Raises:
        SettingError: They are neither those of ticks nor those of bars.
    """
    if {*times, *OF_TICKS}.issubset(names):
        return True
    if OF_BARS.issubset(names):
        return False
    raise SettingError(
        f"the source has neither bars nor ticks: its columns are {', '.join(names) or 'none'}",
        hint="give what `scan` returns",
    )


def _refuse_longer(times: "NDArray[np.int64]", timeframe: str) -> None:
    """Refuse bars of which no whole number makes one of the timeframe, as far as their times show it.

    Raises:
        SettingError: They do.
    """
    import numpy as np

    if len(times) < FEWEST:
        return
    number = TIMEFRAMES[timeframe]
    steps = int(np.gcd.reduce(np.diff(times)))
    is_months = bool((open_times(times, TIMEFRAME_MN1) == times).all())
    fits = number == TIMEFRAME_MN1 if is_months else steps == 0 or PERIODS[number] % steps == 0
    if not fits:
        raise SettingError(
            f"the source's bars are too long for {timeframe}, or do not fit into it",
            hint="give bars of a timeframe of which whole bars make one, such as M1",
        )


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

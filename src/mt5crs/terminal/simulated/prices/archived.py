"""Prices of an archive (`mt5crs.archive`): of each symbol its ticks where there are any, else its M1 bars.

Ticks hold for a day whose file has some, or of which there are no M1 bars; in the minutes in which a row of
such days begins or ends M1 bars hold, as wherever there are no ticks. Ticks that are no quotes are left out.
Each file is held against its checksum. Symbols that have neither ticks nor M1 bars are none of the replay.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mt5crs.archive.layout import DESCRIPTION, TICK, Series, all_series, files
from mt5crs.archive.stored import Stored, load
from mt5crs.bars import collect, digits_of
from mt5crs.errors import SettingError
from mt5crs.model import RATES, TICKS, RatesArray, TicksArray
from mt5crs.terminal.simulated.instruments.calendar import MINUTE
from mt5crs.terminal.simulated.prices.recorded import OHLC

M1 = "M1"

Spans = Sequence[tuple[int, int]]


class Archived(NamedTuple):
    """The prices of one symbol.

    Attributes:
        symbol: Its name.
        digits: The most digits found in them.
        bars: M1 bars of all the time; those of ticks where ticks hold.
        ticks: All ticks that hold; None where only bars are known.
        covered: Where they hold: whole minutes, begin and end in epoch seconds, in order.
    """

    symbol: str
    digits: int
    bars: RatesArray
    ticks: TicksArray | None
    covered: Spans


def is_archive(path: Path) -> bool:
    """Whether a path is an archive's folder."""
    return (
        (path / DESCRIPTION).is_file() or any(path.glob("rates/symbol=*")) or any(path.glob("ticks/symbol=*"))
    )


def symbols_of(root: Path) -> list[str]:
    """Return the symbols of which an archive has ticks or M1 bars."""
    return sorted({series.symbol for series in all_series(root) if series.tf in {TICK, M1}})


def read_archive(root: Path, symbol: str = "") -> list[Archived]:
    """Read the prices of an archive's symbols, or of one of them.

    Raises:
        DamagedFile: A file is not as it was written.
        ArchiveError: It cannot be read.
        SettingError: There is nothing to replay.
    """
    names = symbols_of(root)
    if symbol and symbol not in names:
        raise SettingError(
            f"replay: the archive {root} has no ticks and no M1 bars of {symbol}",
            hint=f"it has those of {', '.join(names) or 'no symbol'}",
        )
    found = [_archived(root, name) for name in names if symbol in {"", name}]
    replayed = [each for each in found if len(each.bars)]
    if not replayed:
        raise SettingError(
            f"replay: the archive {root} has no ticks and no M1 bars",
            hint="pull some: `mt5crs archive pull SYMBOL --tf M1`",
        )
    return replayed


def _archived(root: Path, symbol: str) -> Archived:
    bars = np.concatenate(
        [np.zeros(0, RATES.dtype), *(file.rows for file in _files(root, Series(symbol, M1)))]
    )
    days = [file for file in _files(root, Series(symbol, TICK)) if len(file.rows)]
    spans = _covered(days, bars)
    if not spans:
        digits = digits_of(*(bars[name] for name in OHLC))
        return Archived(symbol, digits, _locked(bars), None, ())
    ticks = np.concatenate([np.zeros(0, TICKS.dtype), *(file.rows for file in days)])
    quoted = (ticks["bid"] > 0) & (ticks["ask"] >= ticks["bid"]) & np.isfinite(ticks["ask"])
    ticks = ticks[quoted & _inside(ticks, spans)]
    digits = digits_of(ticks["bid"], ticks["ask"], *(bars[name] for name in OHLC))
    whole = np.concatenate([bars[~_inside(bars, spans)], collect(ticks, digits)])
    return Archived(symbol, digits, _locked(whole[np.argsort(whole["time"])]), _locked(ticks), spans)


def _files(root: Path, series: Series) -> list[Stored]:
    return [load(series, period, path) for period, path in files(root, series.symbol, series.tf).items()]


def _covered(days: Sequence[Stored], bars: RatesArray) -> list[tuple[int, int]]:
    """Return where ticks hold."""
    spans: list[tuple[int, int]] = []
    for day in days:
        end = min(-(-day.footer.until // 1000), day.period.end)
        if spans and not len(_between(bars, spans[-1][1], day.period.start)):
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((int(day.rows["time"][0]), end))
    return [_whole_minutes(begin, end, bars) for begin, end in spans]


def _whole_minutes(begin: int, end: int, bars: RatesArray) -> tuple[int, int]:
    """Return a stretch of ticks without the minutes of which it may have a part, where bars have those."""
    first, last = begin // MINUTE * MINUTE, end // MINUTE * MINUTE
    if len(_between(bars, first, first + MINUTE)):
        first += MINUTE
    if end > last and not len(_between(bars, last, last + MINUTE)):
        last += MINUTE
    return first, last


def _between(bars: RatesArray, start: int, stop: int) -> RatesArray:
    begin, end = np.searchsorted(bars["time"], (start, stop))
    return bars[begin:end]


def _inside(rows: RatesArray | TicksArray, spans: Spans) -> NDArray[np.bool_]:
    """Return which rows are of a time in which ticks hold."""
    edges = np.array(spans, np.int64).reshape(-1)
    inside: NDArray[np.bool_] = np.searchsorted(edges, rows["time"], side="right") % 2 == 1
    return inside


def _locked(rows: NDArray[np.void]) -> NDArray[np.void]:
    rows.flags.writeable = False
    return rows

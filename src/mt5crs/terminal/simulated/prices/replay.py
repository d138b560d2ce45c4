"""Prices from a file, in the forms that MetaTrader, TrueFX and HistData write.

- M1 bars as MetaTrader exports them: a header with time (epoch seconds of the server), open, high, low,
  close, tick_volume and spread (points); real_volume may be there.
- TrueFX ticks: a header timestamp,bid,ask; ISO 8601 times.
- HistData ticks: no header; `YYYYMMDD HHMMSSmmm,bid,ask,volume`.

Each plain or gzipped. The symbol is taken from the file's name (`mt5_eurusd_m1_2025-11.csv.gz` is
EURUSD). Times are taken as server time, as they stand.

Where a replay starts: at the first minute after 80 % of the file's minutes that has 30 ticks or more, so
that most of the file is history and live ticks come at once; if there is none, at the busiest minute of
the file's second half. How fast: as it was; a starting minute with fewer than 20 ticks is played so much
faster that 20 come in a minute, at most 60 times. When the file ends the last prices stay and the market
for the symbol is closed.
"""

import csv
import gzip
import re
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import NamedTuple, TextIO

import msgspec
import numpy as np
from numpy.typing import NDArray

from mt5crs.errors import SettingError
from mt5crs.model import RatesArray
from mt5crs.terminal.simulated.instruments.catalogue import Instrument
from mt5crs.terminal.simulated.prices.expand import MINUTE, RATES_DTYPE, TICKS_DTYPE, flag_changes
from mt5crs.terminal.simulated.prices.sources import BarSource, PriceSource, TickSource

HISTORY_SHARE = 0.8
BUSY_MINUTE = 30
WATCHABLE = 20
FASTEST = 60.0
FAR_FUTURE = 1 << 40

Row = tuple[float, ...]
Parser = Callable[[list[str]], Row]

BAR_COLUMNS = ("time", "open", "high", "low", "close", "tick_volume", "spread")
TICK_COLUMNS = ("timestamp", "bid", "ask")
EXPECTED = (
    "expected MetaTrader M1 bars (header time,open,high,low,close,tick_volume,spread), TrueFX ticks "
    "(header timestamp,bid,ask) or HistData ticks (YYYYMMDD HHMMSSmmm,bid,ask,volume)"
)


class Replay(NamedTuple):
    """A file that was read.

    Attributes:
        symbol: The symbol replayed.
        source: Its prices.
        digits: The most digits found in them.
        price: One of them.
        start: The server time at which to start, epoch seconds.
        speed: Server seconds for each second of the clock.
    """

    symbol: str
    source: PriceSource
    digits: int
    price: float
    start: float
    speed: float

    def fit(self, instrument: Instrument) -> Instrument:
        """Return the instrument with the file's digits where it has more, and in Market Watch."""
        digits = max(self.digits, instrument.digits)
        return msgspec.structs.replace(
            instrument, digits=digits, tick_size=float(f"1e-{digits}"), visible=True
        )


def load_replay(path: Path, symbol: str = "") -> Replay:
    """Read a file of prices.

    Args:
        path: The file.
        symbol: Its symbol; empty to take it from the file's name.

    Raises:
        SettingError: The file cannot be read as one of the known forms; the message says where.
    """
    name = symbol or symbol_in(path)
    with _opened(path) as stream:
        lines = csv.reader(stream)
        try:
            first = next(lines, None)
        except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
            raise SettingError(f"replay: {path}, line 1: {error}", hint=EXPECTED) from error
        if first is None:
            raise SettingError(f"replay: {path} is empty", hint=EXPECTED)
        parse, rows, is_bars = _form(path, first, lines)
        values, digits = _parsed(path, parse, rows)
    source: PriceSource
    source = _bar_source(path, values, digits) if is_bars else _tick_source(path, values, digits)
    minute, speed = _starting_point(source.bars(0, FAR_FUTURE))
    start = int(source.ticks(minute * 1000, (minute + MINUTE) * 1000)["time_msc"][0]) / 1000
    return Replay(name, source, digits, values[0][1], start, speed)


def replay_of(symbol: str, bars: RatesArray) -> Replay:
    """Return the replay of M1 bars, as `copy_rates_range` returns them.

    Args:
        symbol: Their symbol.
        bars: The bars, ascending.

    Raises:
        SettingError: There are none, or their time goes back.
    """
    if not len(bars):
        hint = "give M1 bars, as copy_rates_range returns them"
        raise SettingError(f"rates: there are no bars of {symbol}", hint=hint)
    if (np.diff(bars["time"]) <= 0).any():
        raise SettingError(f"rates: the bars of {symbol} do not ascend in time")
    columns = [bars[name] for name in ("open", "high", "low", "close")]
    digits = next((n for n in range(8) if all((np.round(c, n) == c).all() for c in columns)), 8)
    source = BarSource(bars, digits)
    return Replay(symbol, source, digits, float(bars["open"][0]), float(bars["time"][0]), 1.0)


def symbol_in(path: Path) -> str:
    """Return the symbol that a file's name mentions.

    Raises:
        SettingError: It mentions none.
    """
    for word in re.split(r"[^A-Za-z0-9]+", path.name.split(".")[0]):
        if re.fullmatch(r"[A-Za-z]{6}", word) and word.lower() not in {"truefx", "ducasc"}:
            return word.upper()
    raise SettingError(
        f"replay: no symbol in the name of {path}",
        hint="name the file after its symbol (eurusd_m1.csv), or say --symbol EURUSD",
    )


def _opened(path: Path) -> TextIO:
    try:
        if path.suffix == ".gz":
            return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
        return path.open(encoding="utf-8-sig", newline="")
    except OSError as error:
        raise SettingError(f"replay: {path} cannot be read ({error.strerror})", hint=EXPECTED) from error


NumberedRow = tuple[int, list[str]]


def _form(
    path: Path, first: list[str], rest: Iterator[list[str]]
) -> tuple[Parser, Iterator[NumberedRow], bool]:
    """Return what parses a row, the rows with their line numbers, and whether they are bars."""
    header = [column.strip().lower() for column in first]
    if set(BAR_COLUMNS) <= set(header):
        return _bar_parser(header), enumerate(rest, 2), True
    if set(TICK_COLUMNS) <= set(header):
        return _tick_parser(header), enumerate(rest, 2), False
    if re.fullmatch(r"\d{8} \d{9}", first[0].strip() if first else "") and len(first) >= 3:
        return _histdata_row, _with_first(first, rest), False
    raise SettingError(f"replay: {path}, line 1: columns {','.join(first)[:80]!r} are unknown", hint=EXPECTED)


def _with_first(first: list[str], rest: Iterator[list[str]]) -> Iterator[NumberedRow]:
    yield 1, first
    yield from enumerate(rest, 2)


def _parsed(path: Path, parse: Parser, rows: Iterator[NumberedRow]) -> tuple[list[Row], int]:
    values: list[Row] = []
    digits = 0
    line = 0
    try:
        for number, row in rows:
            line = number
            if row:
                values.append(parse(row))
                digits = max(digits, *(_digits(text) for text in row[1:3]))
    except (ValueError, IndexError) as error:
        raise SettingError(f"replay: {path}, line {line}: {error}", hint=EXPECTED) from error
    except (OSError, EOFError, csv.Error) as error:
        raise SettingError(f"replay: {path}, after line {line}: {error}", hint=EXPECTED) from error
    if not values:
        raise SettingError(f"replay: {path} has no prices", hint=EXPECTED)
    return values, min(digits, 8)


def _digits(text: str) -> int:
    return len(text.strip().rstrip("0").partition(".")[2])


def _bar_parser(header: list[str]) -> Parser:
    places = [header.index(name) for name in BAR_COLUMNS]
    real = header.index("real_volume") if "real_volume" in header else None

    def parse(row: list[str]) -> Row:
        time, open_, high, low, close, volume, spread = (float(row[place]) for place in places)
        if not 0 < low <= min(open_, close) <= max(open_, close) <= high:
            raise ValueError(f"open {open_}, high {high}, low {low}, close {close} do not make a bar")
        return time, open_, high, low, close, max(volume, 1), spread, float(row[real]) if real else 0.0

    return parse


def _tick_parser(header: list[str]) -> Parser:
    time, bid, ask = (header.index(name) for name in TICK_COLUMNS)

    def parse(row: list[str]) -> Row:
        moment = datetime.fromisoformat(row[time].strip().replace("Z", "+00:00"))
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=timezone.utc)
        return _quote(round(moment.timestamp() * 1000), row[bid], row[ask])

    return parse


def _histdata_row(row: list[str]) -> Row:
    text = row[0].strip()
    moment = datetime.strptime(text[:15], "%Y%m%d %H%M%S").replace(tzinfo=timezone.utc)
    return _quote(int(moment.timestamp()) * 1000 + int(text[15:]), row[1], row[2])


def _quote(msc: int, bid: str, ask: str) -> Row:
    if not 0 < float(bid) <= float(ask):
        raise ValueError(f"bid {bid} and ask {ask} are not a quote")
    return msc, float(bid), float(ask)


def _ascending(path: Path, times: NDArray[np.float64]) -> None:
    back = np.flatnonzero(np.diff(times) < 0)
    if len(back):
        raise SettingError(f"replay: {path}: time goes back after row {int(back[0]) + 1}", hint=EXPECTED)


def _bar_source(path: Path, values: list[Row], digits: int) -> BarSource:
    table = np.array(values)
    _ascending(path, table[:, 0])
    bars = np.zeros(len(table), RATES_DTYPE)
    for place, name in enumerate((*BAR_COLUMNS, "real_volume")):
        bars[name] = table[:, place]
    bars.flags.writeable = False
    return BarSource(bars, digits)


def _tick_source(path: Path, values: list[Row], digits: int) -> TickSource:
    table = np.array(values)
    _ascending(path, table[:, 0])
    ticks = np.zeros(len(table), TICKS_DTYPE)
    ticks["time_msc"] = table[:, 0]
    ticks["time"] = ticks["time_msc"] // 1000
    ticks["bid"], ticks["ask"] = table[:, 1], table[:, 2]
    flag_changes(ticks)
    ticks.flags.writeable = False
    return TickSource(ticks, digits)


def _starting_point(bars: RatesArray) -> tuple[int, float]:
    """Return the minute and the speed to start with; the rule is in the module's docstring."""
    volumes = bars["tick_volume"]
    first = int(len(bars) * HISTORY_SHARE)
    busy = np.flatnonzero(volumes[first:] >= BUSY_MINUTE)
    half = len(bars) // 2
    place = first + int(busy[0]) if len(busy) else half + int(np.argmax(volumes[half:]))
    speed = min(max(WATCHABLE / int(volumes[place]), 1.0), FASTEST)
    return int(bars["time"][place]), speed

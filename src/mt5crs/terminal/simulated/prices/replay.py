"""Prices from files: which symbols they are of, and where and how fast a replay of them runs.

Files are text (see `csvfile`) or Parquet (see `parquetfile`); `recorded` says what they must hold. The folder
of an archive stands for all its symbols (see `archived`). Times are taken as server time, as they stand.

The symbol of a file is the one that it names itself (Parquet), else the one in its name: of
`EURUSD_M1_202511030000_202511282356.csv`, as MetaTrader names exports, all before the timeframe, of any other
name the first word of six letters (`mt5_eurusd_m1_2025-11.csv.gz` is EURUSD). Several files of one symbol are
joined; they must not overlap. Two files of bars without a spread, with `bid` and `ask` as words of their
names, are one symbol: the bars are those of the bid, of the minutes that both have, and the spread is the
smaller of what lies between both opens and both closes, the only prices of one moment; not below 0.

Where a replay starts: of the time that all symbols have prices for, at the first minute after 80 % of a
symbol's minutes that has 30 ticks or more, so that most of it is history and live ticks come at once; if
there is none, at the busiest minute of the second half. Of several symbols it is the latest of these minutes.
How fast: as it was; a starting minute with fewer than 20 ticks, those of all symbols together, is played so
much faster that 20 come in a minute, at most 60 times. When a symbol's prices end the last ones stay and its
market is closed.
"""

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from mt5crs.bars import collect, digits_of
from mt5crs.errors import SettingError
from mt5crs.model import RatesArray, TicksArray
from mt5crs.terminal.simulated.instruments.calendar import MINUTE
from mt5crs.terminal.simulated.instruments.catalogue import Instrument
from mt5crs.terminal.simulated.prices.archived import Spans, is_archive, read_archive
from mt5crs.terminal.simulated.prices.csvfile import read_csv
from mt5crs.terminal.simulated.prices.expand import RATES_DTYPE
from mt5crs.terminal.simulated.prices.parquetfile import SUFFIXES, read_parquet
from mt5crs.terminal.simulated.prices.recorded import OHLC, Floats, Recording, Table, recording
from mt5crs.terminal.simulated.prices.sources import BarSource, JoinedSource, PriceSource, TickSource

HISTORY_SHARE = 0.8
BUSY_MINUTE = 30
WATCHABLE = 20
FASTEST = 60.0
EXPORTED = re.compile(r"(.+?)(?:_(?:M|H|D|W|MN)\d+)?_\d{8,12}_\d{8,12}")
NO_SYMBOL = {"truefx", "ducasc"}


class Replay(NamedTuple):
    """The prices of a symbol that were read.

    Attributes:
        symbol: Its name.
        digits: The most digits found in them.
        bars: M1 bars; of ticks, those that they make.
        ticks: None if only bars are known.
        spreads: Of each bar, in units of the price, where it is not in the bar.
        covered: The stretches of time in which the ticks are; empty if they are all that is known.
    """

    symbol: str
    digits: int
    bars: RatesArray
    ticks: TicksArray | None = None
    spreads: Floats | None = None
    covered: Spans = ()

    @property
    def price(self) -> float:
        """One of the prices."""
        return float(self.bars["open"][0])

    def fit(self, instrument: Instrument) -> Instrument:
        """Return the instrument with the file's digits where it has more, and in Market Watch.

        Where the file has quotes alone no trades are published, so quotes set orders off.
        """
        has_last = instrument.has_last and self._has_trades()
        instrument = msgspec.structs.replace(instrument, visible=True, has_last=has_last)
        if self.digits <= instrument.digits:
            return instrument
        size = float(f"1e-{self.digits}")
        return msgspec.structs.replace(instrument, digits=self.digits, tick_size=size)

    def _has_trades(self) -> bool:
        trades = self.bars["real_volume"] if self.ticks is None else self.ticks["last"]
        return bool((trades > 0).any())

    def source(self, instrument: Instrument, modelling: str = "every_tick") -> PriceSource:
        """Return the prices as those of an instrument that fits."""
        if self.ticks is not None and self.covered:
            how: dict[str, Any] = {"has_last": instrument.has_last, "modelling": modelling}
            return JoinedSource(self.bars, self.ticks, self.covered, instrument.digits, **how)
        if self.ticks is not None:
            return TickSource(self.ticks, instrument.digits)
        bars = self.bars
        if self.spreads is not None:
            bars = np.array(bars, RATES_DTYPE)
            bars["spread"] = np.rint(self.spreads * 10.0**instrument.digits)
            bars.flags.writeable = False
        return BarSource(bars, instrument.digits, has_last=instrument.has_last, modelling=modelling)


class Start(NamedTuple):
    """Where a replay starts.

    Attributes:
        time: Server time, epoch seconds.
        speed: Server seconds for each second of the clock.
    """

    time: float
    speed: float


class _Part(NamedTuple):
    """A file's prices: `side` is bid or ask where there are two files of bars, else empty."""

    symbol: str
    side: str
    held: Recording


def load_replays(paths: Sequence[Path], symbol: str = "") -> list[Replay]:
    """Read files of prices.

    Args:
        paths: The files, folders of Parquet, and archives.
        symbol: The symbol of the only file, or the one that is wanted of the only archive; empty to take it
            from the file or its name, and all of an archive.

    Returns:
        One for each symbol, in the order of the files.

    Raises:
        SettingError: A file cannot be read as one of the known forms (the message says where), or what is
            in them does not go together.
    """
    if symbol and len(paths) > 1:
        raise SettingError(
            f"replay: {symbol} is to be the symbol of {len(paths)} files",
            hint="name each file after its symbol (eurusd_m1.csv)",
        )
    archives = [path for path in paths if is_archive(path)]
    parts = [part for path in paths if path not in archives for part in _parts(path, symbol)]
    symbols = dict.fromkeys(part.symbol for part in parts)
    replays = [_dated(_replay(name, [part for part in parts if part.symbol == name])) for name in symbols]
    for held in (held for path in archives for held in read_archive(path, symbol)):
        if held.symbol in {replay.symbol for replay in replays}:
            hint = "give every symbol once"
            raise SettingError(
                f"replay: there are prices of {held.symbol} twice, once of an archive", hint=hint
            )
        replays.append(_dated(Replay(held.symbol, held.digits, held.bars, held.ticks, covered=held.covered)))
    return replays


def replay_of(symbol: str, rows: RatesArray | TicksArray) -> Replay:
    """Return the replay of M1 bars or ticks, as `copy_rates_range` and `copy_ticks_range` return them.

    Args:
        symbol: Their symbol.
        rows: The bars or ticks, ascending.

    Raises:
        SettingError: There are none, their time goes back, or one of them is none.
    """
    are_ticks = "bid" in (rows.dtype.names or ())
    if not len(rows):
        hint = "give M1 bars or ticks, as copy_rates_range and copy_ticks_range return them"
        raise SettingError(f"prices: there are none of {symbol}", hint=hint)
    steps = np.diff(rows["time_msc"]) < 0 if are_ticks else np.diff(rows["time"]) <= 0
    if steps.any():
        raise SettingError(f"prices: those of {symbol} do not ascend in time")
    wrong = _wrong_ticks(rows) if are_ticks else _wrong_bars(rows)
    if wrong.any():
        place, what = int(np.argmax(wrong)), "quote" if are_ticks else "bar"
        raise SettingError(f"prices: row {place} of {symbol} is no {what}: {rows[place]}")
    if not are_ticks:
        return _dated(Replay(symbol, digits_of(*(rows[name] for name in OHLC)), rows))
    digits = digits_of(rows["bid"], rows["ask"])
    return _dated(Replay(symbol, digits, collect(rows, digits), rows))


def _wrong_bars(bars: RatesArray) -> NDArray[np.bool_]:
    """Return which rows are no bars: a comparison with what is no number is never true."""
    low, high = bars["low"], bars["high"]
    inside = np.minimum(bars["open"], bars["close"]) >= low
    right: NDArray[np.bool_] = (low > 0) & inside & (np.maximum(bars["open"], bars["close"]) <= high)
    return ~(right & (high < np.inf))


def _wrong_ticks(ticks: TicksArray) -> NDArray[np.bool_]:
    right: NDArray[np.bool_] = (ticks["bid"] > 0) & (ticks["bid"] <= ticks["ask"]) & (ticks["ask"] < np.inf)
    return ~right


def symbol_in(path: Path) -> str:
    """Return the symbol that a file's name mentions.

    Raises:
        SettingError: It mentions none.
    """
    exported = EXPORTED.fullmatch(re.sub(r"(\.[a-z]+)+$", "", path.name))
    if exported is not None and not exported[1].upper().startswith("DAT_"):
        return exported[1]
    for word in _words(path):
        if re.fullmatch(r"[a-z]{6}", word) and word not in NO_SYMBOL:
            return word.upper()
    raise SettingError(
        f"replay: no symbol in the name of {path}",
        hint="name the file after its symbol (eurusd_m1.csv), or say --symbol EURUSD",
    )


def starting_point(replays: Sequence[Replay], start: float | None = None) -> Start:
    """Return where and how fast to start; the rule is in the module's docstring.

    Args:
        replays: What is replayed, one or more.
        start: Server time to start at, if that is not to be chosen.

    Raises:
        SettingError: There is no time that all of them have prices for.
    """
    if start is None:
        minute, replay = max(_busy_minutes(replays), key=lambda found: found[0])
        start = _first_tick(replay, minute)
    minute = int(start) // MINUTE * MINUTE
    ticks = sum(int(replay.bars["tick_volume"][replay.bars["time"] == minute].sum()) for replay in replays)
    return Start(start, min(max(WATCHABLE / ticks, 1.0), FASTEST) if ticks else 1.0)


def _busy_minutes(replays: Sequence[Replay]) -> Iterable[tuple[int, Replay]]:
    first = max(int(replay.bars["time"][0]) for replay in replays)
    last = min(int(replay.bars["time"][-1]) for replay in replays)
    for replay in replays:
        times = replay.bars["time"]
        bars = replay.bars[(times >= first) & (times <= last)]
        if not len(bars):
            names = ", ".join(replay.symbol for replay in replays)
            raise SettingError(
                f"replay: there is no time that all of {names} have prices for",
                hint="give files of the same days",
            )
        yield _busy_minute(bars), replay


def _busy_minute(bars: RatesArray) -> int:
    volumes = bars["tick_volume"]
    first = int(len(bars) * HISTORY_SHARE)
    busy = np.flatnonzero(volumes[first:] >= BUSY_MINUTE)
    half = len(bars) // 2
    place = first + int(busy[0]) if len(busy) else half + int(np.argmax(volumes[half:]))
    return int(bars["time"][place])


def _first_tick(replay: Replay, minute: int) -> float:
    """Return when the first tick of a minute comes; a bar's comes as it opens."""
    if replay.ticks is not None:
        times = replay.ticks["time_msc"]
        place = int(np.searchsorted(times, minute * 1000))
        if place < len(times) and times[place] < (minute + MINUTE) * 1000:
            return int(times[place]) / 1000
    return float(minute)


def _parts(path: Path, symbol: str) -> list[_Part]:
    found: list[tuple[str, Table]]
    found = read_parquet(path) if path.is_dir() or path.suffix in SUFFIXES else [("", read_csv(path))]
    if symbol and len(found) > 1:
        raise SettingError(
            f"replay: {path} holds {len(found)} symbols, and {symbol} is to be the only one",
            hint="leave the symbol out",
        )
    parts: list[_Part] = []
    for name, table in found:
        held = recording(table)
        sides = [word for word in _words(path) if word in {"bid", "ask"}]
        side = sides[0] if len(sides) == 1 and held.ticks is None and not held.has_spread else ""
        parts.append(_Part(symbol or name or symbol_in(path), side, held))
    return parts


def _words(path: Path) -> list[str]:
    return re.split(r"[^a-z0-9]+", path.name.split(".")[0].lower())


def _replay(symbol: str, parts: list[_Part]) -> Replay:
    sides = {side: [part.held for part in parts if part.side == side] for side in ("", "bid", "ask")}
    if sides["bid"] and sides["ask"] and not sides[""]:
        return _paired(symbol, _joined(symbol, sides["bid"]), _joined(symbol, sides["ask"]))
    if sides["ask"] and not sides["bid"]:
        raise SettingError(
            f"replay: {sides['ask'][0].path} has only asks of {symbol}", hint="give the file of its bids too"
        )
    return _joined(symbol, [part.held for part in parts])


def _joined(symbol: str, held: list[Recording]) -> Replay:
    """Return the prices of files one after another."""
    digits = max(part.digits for part in held)
    if len({part.ticks is None for part in held}) > 1:
        raise SettingError(
            f"replay: of {symbol} there are both bars and ticks", hint="give files of one kind for a symbol"
        )
    stretches = sorted(held, key=_begin)
    for before, after in pairwise(stretches):
        if _begin(after) <= _end(before):
            raise SettingError(
                f"replay: {before.path} and {after.path} have prices of {symbol} for the same time",
                hint="give every minute of a symbol once",
            )
    ticks = [part.ticks for part in stretches if part.ticks is not None]
    if not ticks:
        return Replay(symbol, digits, _one([part.bars for part in stretches]))
    whole = _one(ticks)
    return Replay(symbol, digits, collect(whole, digits), whole)


def _dated(replay: Replay) -> Replay:
    """Return a replay all of whose times are ones that MetaTrader has."""
    if replay.bars["time"][0] < 0:
        hint = "times are counted from 1970-01-01 on"
        raise SettingError(f"replay: prices of {replay.symbol} are older than 1970", hint=hint)
    return replay


def _begin(part: Recording) -> int:
    return int(part.bars["time"][0]) * 1000 if part.ticks is None else int(part.ticks["time_msc"][0])


def _end(part: Recording) -> int:
    return int(part.bars["time"][-1]) * 1000 if part.ticks is None else int(part.ticks["time_msc"][-1])


def _one(stretches: list[RatesArray]) -> RatesArray:
    if len(stretches) == 1:
        return stretches[0]
    whole: RatesArray = np.concatenate(stretches)
    whole.flags.writeable = False
    return whole


def _paired(symbol: str, bid: Replay, ask: Replay) -> Replay:
    """Return the bars of the bid with spreads of both."""
    _times, at_bid, at_ask = np.intersect1d(bid.bars["time"], ask.bars["time"], return_indices=True)
    if not len(_times):
        raise SettingError(
            f"replay: bids and asks of {symbol} have no minute in common", hint="give files of the same days"
        )
    bids, asks = bid.bars[at_bid], ask.bars[at_ask]
    spreads: Floats = np.minimum(asks["open"] - bids["open"], asks["close"] - bids["close"])
    digits = digits_of(*(bars[name] for bars in (bids, asks) for name in OHLC))
    bids.flags.writeable = False
    return Replay(symbol, digits, bids, None, np.maximum(spreads, 0.0))

"""Files of prices as text: plain or gzipped, UTF-8 or UTF-16, split by tabs, semicolons or commas.

A block of rows is turned into columns at once; only a block that fails is gone through row by row, to say
which line it was.
"""

import csv
import gzip
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple, TextIO

import numpy as np

from mt5crs.errors import SettingError
from mt5crs.terminal.simulated.prices.recorded import EXPECTED, OHLC, Columns, Floats, Ints, Table

BLOCK = 100_000
DAY_MSC = 86_400_000
EPOCH = date(1970, 1, 1).toordinal()
MILLISECONDS_FROM = 1e11  # seconds until the year 5138; milliseconds since 1973
CLOCK = re.compile(r"(\d\d):?(\d\d):?(\d\d)?\.?(\d{0,9})(?:Z|([+-])(\d\d):?(\d\d))?")
EPOCH_TIME = re.compile(r"\d+(\.\d*)?(e\+?\d+)?")
DATE_ALONE = re.compile(r"(19|20)\d{6}|\d{4}\.\d\d\.\d\d")
BOMS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}

ALIASES = {"tickvol": "tick_volume", "vol": "real_volume"}
TIMES = (("time_msc",), ("date", "time"), ("date",), ("timestamp",), ("time",))
BARS = {*OHLC, "tick_volume", "spread", "real_volume"}
TICKS = {"bid", "ask", "last", "volume", "volume_real", "flags"}
HEADERLESS = (
    (r"\d{8} \d{9}", ("timestamp", "bid", "ask")),
    (r"\d{4}\.\d\d\.\d\d", ("date", "time", *OHLC, "tick_volume")),
)
"""What a file without a header begins with, and its columns."""

Row = list[str]


class _Memo(dict[str, int]):
    """Parsed texts: few days and minutes are met again and again."""

    def __init__(self, parse: Callable[[str], int]) -> None:
        super().__init__()
        self._parse = parse

    def __missing__(self, text: str) -> int:
        if len(self) > BLOCK:
            self.clear()
        value = self[text] = self._parse(text)
        return value


class _Form(NamedTuple):
    """Where what stands in a row, and the days and clocks that were met.

    `sample` is the first time in the file: it decides how all are written.
    """

    times: tuple[int, ...]
    numbers: dict[str, int]
    has_header: bool
    is_ticks: bool
    days: _Memo
    clocks: _Memo
    sample: str = ""


def read_csv(path: Path) -> Table:
    """Return the columns of a text file.

    Raises:
        SettingError: It cannot be read as one of the known forms; the message says where.
    """
    rows = _rows(path)
    first = next(rows, None)
    if first is None:
        raise SettingError(f"replay: {path} is empty", hint=EXPECTED)
    form = _form(path, first)
    blocks: list[Table] = []
    number = 2 if form.has_header else 1
    rows = rows if form.has_header else chain([first], rows)
    while block := list(islice(rows, BLOCK)):
        if not form.sample:
            form = form._replace(sample=_sample(form, block))
        table = _block(path, form, block, number)
        number += len(block)
        if len(table.rows):
            blocks.append(table)
    columns = {
        name: np.concatenate([block.columns[name] for block in blocks])
        for name in (blocks[0].columns if blocks else ())
    }
    counted = [block.rows for block in blocks] or [np.zeros(0, np.int64)]
    return Table(path, columns, np.concatenate(counted))


def _sample(form: _Form, rows: list[Row]) -> str:
    place = form.times[0]
    return next((row[place].strip() for row in rows if len(row) > place), "")


def _rows(path: Path) -> Iterator[Row]:
    """Yield the rows, split by what the first line has most of."""
    number = 0
    try:
        with _opened(path) as stream:
            first = stream.readline()
            delimiter = max(",\t;", key=first.count)
            for row in csv.reader(chain([first] if first else [], stream), delimiter=delimiter):
                number += 1
                yield row
    except (OSError, EOFError, UnicodeError, csv.Error, zlib.error) as error:
        raise SettingError(f"replay: {path}, line {number + 1}: {error}", hint=EXPECTED) from error


def _opened(path: Path) -> TextIO:
    packed = path.suffix == ".gz"
    try:
        with gzip.open(path) if packed else path.open("rb") as stream:
            encoding = BOMS.get(stream.read(2), "utf-8-sig")
        if packed:
            return gzip.open(path, "rt", encoding=encoding, newline="")
        return path.open(encoding=encoding, newline="")
    except (OSError, EOFError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SettingError(f"replay: {path} cannot be read ({reason})", hint=EXPECTED) from error


def _form(path: Path, first: Row) -> _Form:
    """Return where what stands, from the first row of a file.

    Raises:
        SettingError: It is none of the known forms.
    """
    for beginning, names in HEADERLESS:
        if re.fullmatch(beginning, first[0].strip() if first else ""):
            return _places(names[: len(first)], has_header=False)
    form = _places([cell.strip().strip("<>").lower() for cell in first], has_header=True)
    if not form.times or not (set(OHLC) <= form.numbers.keys() or {"bid", "ask"} <= form.numbers.keys()):
        raise SettingError(
            f"replay: {path}, line 1: columns {','.join(first)[:80]!r} are unknown", hint=EXPECTED
        )
    return form


def _places(names: Sequence[str], *, has_header: bool) -> _Form:
    places = {ALIASES.get(name, name): place for place, name in enumerate(names)}
    times = next((time for time in TIMES if set(time) <= places.keys()), ())
    is_ticks = {"bid", "ask"} <= places.keys()
    if not is_ticks and "tick_volume" not in places and "volume" in places:
        places["tick_volume"] = places["volume"]
    numbers = {name: place for name, place in places.items() if name in (TICKS if is_ticks else BARS)}
    cells = tuple(places[name] for name in times)
    return _Form(cells, numbers, has_header, is_ticks, _Memo(_day), _Memo(_clock))


def _block(path: Path, form: _Form, rows: list[Row], number: int) -> Table:
    """Return the columns of some rows, the first of which is line `number`."""
    lines = np.arange(number, number + len(rows))
    if not all(rows):
        lines = lines[np.array([bool(row) for row in rows])]
        rows = [row for row in rows if row]
    if not rows:
        return Table(path, {}, lines)
    try:
        return Table(path, _columns(form, rows), lines)
    except (ValueError, IndexError) as error:
        raise _located(path, form, rows, lines) from error


def _located(path: Path, form: _Form, rows: list[Row], lines: Ints) -> SettingError:
    """Return the error of the first row that cannot be read."""
    faults = ((line, _fault(form, row)) for row, line in zip(rows, lines.tolist(), strict=True))
    line, fault = next(((line, fault) for line, fault in faults if fault), (int(lines[0]), "cannot be read"))
    return SettingError(f"replay: {path}, line {line}: {fault}", hint=EXPECTED)


def _fault(form: _Form, row: Row) -> str:
    """Return what is wrong with a row, empty if nothing."""
    try:
        _columns(form, [row])
    except IndexError:
        return f"only {len(row)} columns"
    except ValueError as error:
        return str(error)
    return ""


def _columns(form: _Form, rows: list[Row]) -> Columns:
    """Return rows as columns.

    Raises:
        ValueError: A cell is not what it should be.
        IndexError: A row is too short.
    """
    cells = [[row[place].strip() for row in rows] for place in form.times]
    columns: Columns = {"time_msc": _moments(form, cells)}
    for name, place in form.numbers.items():
        columns[name] = _ticks_column(rows, place) if form.is_ticks else _column([row[place] for row in rows])
    return columns


def _column(cells: list[str]) -> Floats:
    values = np.array([float(cell) for cell in cells])
    if not np.isfinite(values).all():
        raise ValueError(f"{cells[int(np.argmin(np.isfinite(values)))]!r} is not a number")
    return values


def _ticks_column(rows: list[Row], place: int) -> Floats:
    """Return a column of ticks: NaN where a cell is empty, or not there since the rest of its row is."""
    cells = [row[place] if place < len(row) else "" for row in rows]
    if "" not in cells:
        return _column(cells)
    stated = np.array([bool(cell) for cell in cells])
    values = np.full(len(cells), np.nan)
    values[stated] = _column([cell for cell in cells if cell])
    return values


def _moments(form: _Form, cells: list[list[str]]) -> Ints:
    """Return times in milliseconds, from columns of dates and clocks or from one of moments."""
    if len(cells) == 2:
        days, clocks = cells
        return _summed(form, days, clocks)
    (texts,) = cells
    if not EPOCH_TIME.fullmatch(form.sample) or DATE_ALONE.fullmatch(form.sample):
        width = 8 if form.sample[:8].isdigit() else 10
        return _summed(form, [text[:width] for text in texts], [text[width + 1 :] for text in texts])
    numbers = _column(texts)
    milliseconds = numbers if float(form.sample) > MILLISECONDS_FROM else numbers * 1000
    return np.rint(milliseconds).astype(np.int64)


def _summed(form: _Form, days: list[str], clocks: list[str]) -> Ints:
    return np.array([form.days[text] for text in days], np.int64) + _clocks(form.clocks, clocks)


def _clocks(clock: _Memo, texts: list[str]) -> Ints:
    """Return times of the day; milliseconds apart, as no memory of them would be of use."""
    cut = _fraction_at(texts[0])
    if not cut or any(len(text) < cut + 3 or _fraction_at(text) != cut for text in texts):
        return np.array([clock[text] for text in texts], np.int64)
    seconds = np.array([clock[text[:cut] + text[cut + 3 :]] for text in texts], np.int64)
    return seconds + np.array([int(text[cut : cut + 3]) for text in texts], np.int64)


def _fraction_at(text: str) -> int:
    """Return where the milliseconds begin in HH:MM:SS.mmm or HHMMSSmmm; 0 if there are none."""
    if text[8:9] == ".":
        return 9
    return 6 if len(text) == 9 and text.isdigit() else 0


def _day(text: str) -> int:
    """Return midnight of a date written YYYY.MM.DD, with other marks or with none."""
    digits = re.sub(r"[./-]", "", text)
    if not re.fullmatch(r"\d{8}", digits):
        raise ValueError(f"{text!r} is not a date")
    return (date(int(digits[:4]), int(digits[4:6]), int(digits[6:])).toordinal() - EPOCH) * DAY_MSC


def _clock(text: str) -> int:
    """Return the time of a day written HH:MM[:SS[.mmm]], with or without colons; with an offset, in UTC."""
    if not text:
        return 0
    match = CLOCK.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a time")
    hours, minutes, seconds, fraction, sign, off_hours, off_minutes = match.groups(default="0")
    if int(hours) > 23 or int(minutes) > 59 or int(seconds) > 59:
        raise ValueError(f"{text!r} is not a time")
    offset = (int(off_hours) * 60 + int(off_minutes)) * (-1 if sign == "-" else 1)
    at = (int(hours) * 60 + int(minutes) - offset) * 60 + int(seconds)
    return at * 1000 + int(fraction.ljust(3, "0")[:3])

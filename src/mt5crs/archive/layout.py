"""How an archive lies on the disk: its folders, and the periods that its files are for.

    DIR/rates/symbol=EURUSD/tf=M1/year=2025/2025-03.parquet    a month of M1 to M30
    DIR/rates/symbol=EURUSD/tf=H1/year=2025/2025.parquet       a year of H1 and longer
    DIR/ticks/symbol=EURUSD/year=2025/2025-03-14.parquet       a day of ticks
    DIR/_archive.json, DIR/_lock, DIR/_work/                   what no reader looks at

`rows.py` has what is in a file.
"""

import calendar
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from mt5crs.constants import TIMEFRAME_H1
from mt5crs.errors import ArchiveError
from mt5crs.model import RATES, TICKS, ArrayType
from mt5crs.timeframes import TIMEFRAMES

DESCRIPTION = "_archive.json"
"""What the archive is, and of which accounts; readers leave out what begins with an underscore."""
LOCK = "_lock"
WORK = "_work"
"""The folder of files that are being written."""
SUFFIX = ".parquet"
TICK = "tick"
"""What stands in the place of a timeframe where ticks are meant."""
EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - server time has no zone

_TREES = {"rates": RATES, "ticks": TICKS}
# All readers of such folders take %XX. Letters beyond ASCII stay: not all join their bytes again.
_UNUSUAL = re.compile(r"[\x00-\x2c/:-@\[-\^`{-\x7f]|\.$")
_NAMES = (
    re.compile(r"(?P<year>\d{4})"),
    re.compile(r"(?P<year>\d{4})-(?P<month>\d{2})"),
    re.compile(r"(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})"),
)


def seconds_of(when: datetime) -> int:
    """Return server time without a zone as MT5's epoch seconds."""
    return calendar.timegm(when.timetuple())


class Period(NamedTuple):
    """What one file is for.

    Attributes:
        start: Its first second, server time.
        end: The first second after it.
        name: The name of its file, without the ending: `2025`, `2025-03` or `2025-03-14`.
    """

    start: int
    end: int
    name: str

    @classmethod
    def named(cls, name: str) -> "Period | None":
        """Return the period that a file is named for; None for any other name."""
        found = next((match for each in _NAMES if (match := each.fullmatch(name))), None)
        if found is None:
            return None
        parts = {key: int(value) for key, value in found.groupdict().items()}
        try:
            start = datetime(parts["year"], parts.get("month", 1), parts.get("day", 1))  # noqa: DTZ001
            if "day" in parts:
                end = start + timedelta(days=1)
            elif "month" in parts:
                end = (start + timedelta(days=31)).replace(day=1)
            else:
                end = start.replace(year=start.year + 1)
        except (ValueError, OverflowError):  # a day that no calendar has
            return None
        return cls(seconds_of(start), seconds_of(end), name)


@dataclass(frozen=True, order=True)
class Series:
    """The bars of one symbol and timeframe, or its ticks.

    Args:
        symbol: The symbol's name.
        tf: A timeframe's name, or `tick`.
    """

    symbol: str
    tf: str

    def __str__(self) -> str:
        return f"{self.symbol} {self.tf}"

    @property
    def is_ticks(self) -> bool:
        """Whether it is ticks."""
        return self.tf == TICK

    @property
    def timeframe(self) -> int:
        """The `TIMEFRAME_*` value of its bars."""
        return TIMEFRAMES[self.tf]

    @property
    def tree(self) -> str:
        """The archive's folder for all that is like it."""
        return "ticks" if self.is_ticks else "rates"

    @property
    def array(self) -> ArrayType:
        """MT5's layout of its rows."""
        return _TREES[self.tree]

    def folder(self, root: Path) -> Path:
        """Return the folder of its files."""
        folder = root / self.tree / f"symbol={quoted(self.symbol)}"
        return folder if self.is_ticks else folder / f"tf={self.tf}"

    def path(self, root: Path, period: Period) -> Path:
        """Return the file of one of its periods."""
        return self.folder(root) / f"year={period.name[:4]}" / f"{period.name}{SUFFIX}"

    def period(self, time: int) -> Period:
        """Return the period that a second of server time falls in."""
        when = EPOCH + timedelta(seconds=time)
        name = f"{when:%Y-%m-%d}"
        period = Period.named(name[: len(self._shape)])
        if period is None:
            raise ArchiveError(f"{when} is beyond what an archive has names for")
        return period

    def periods(self, start: int, end: int) -> Iterator[Period]:
        """Yield the periods of the server time from `start` up to `end`, which is not part of it."""
        while start < end:
            period = self.period(start)
            yield period
            start = period.end

    @property
    def _shape(self) -> str:
        if self.is_ticks:
            return "YYYY-MM-DD"
        return "YYYY-MM" if self.timeframe < TIMEFRAME_H1 else "YYYY"

    def owns(self, name: str) -> bool:
        """Say whether a period of that name is one of its own."""
        return len(name) == len(self._shape)


def quoted(symbol: str) -> str:
    """Return a symbol's name as part of a folder's name, with %XX for what folders cannot have."""
    return _UNUSUAL.sub(lambda match: f"%{ord(match[0]):02X}", symbol)


def files(root: Path, symbol: str, tf: str) -> dict[Period, Path]:
    """Return the files of a series by their periods, in order; those alone that lie in their own places.

    Raises:
        ArchiveError: A folder of it cannot be read.
    """
    series = Series(symbol, tf)
    found: dict[Period, Path] = {}
    for year in listed(series.folder(root)):
        for path in listed(year):
            period = Period.named(path.stem) if series.owns(path.stem) else None
            if period is not None and path == series.path(root, period):
                found[period] = path
    return dict(sorted(found.items()))


def all_series(root: Path, *, is_strict: bool = True) -> list[Series]:
    """Return the series that an archive has folders for, in order.

    Args:
        root: The archive's folder.
        is_strict: Whether a folder that cannot be read is an error; it is passed over without it.

    Raises:
        ArchiveError: A folder cannot be read.
    """
    bars = [path for above in listed(root / "rates") for path in listed(above, is_strict=is_strict)]
    named = [(path, Series(_value(path.parent), _value(path))) for path in bars]
    named += [(path, Series(_value(path), TICK)) for path in listed(root / "ticks")]
    known = {TICK, *TIMEFRAMES}
    return sorted(
        series
        for path, series in named
        if series.tf in known and path == series.folder(root) and is_folder(path)
    )


def listed(folder: Path, *, is_strict: bool = True) -> list[Path]:
    """Return what is in a folder, in order; nothing where there is no such folder.

    Args:
        folder: Which one.
        is_strict: Whether one that cannot be read is an error; there is nothing in it without it.

    Raises:
        ArchiveError: It cannot be read.
    """
    try:
        with os.scandir(folder) as entries:
            return sorted(folder / each.name for each in entries)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        if not is_strict:
            return []
        raise ArchiveError(
            f"the folder {folder} cannot be read: {error.strerror or error}", hint="see to its permissions"
        ) from error


def is_folder(path: Path) -> bool:
    """Return whether there is a folder; unlike `Path.is_dir`, False also where nobody may look."""
    return os.path.isdir(path)  # noqa: PTH112


def _value(folder: Path) -> str:
    return unquote(folder.name.partition("=")[2])

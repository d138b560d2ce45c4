"""The files of one series as they are: rows where they are whole, and what is wrong where they are not."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mt5crs.archive.layout import Period, Series, files, is_folder, listed
from mt5crs.archive.rows import read_footer, read_rows
from mt5crs.errors import ArchiveError, DamagedFile

if TYPE_CHECKING:
    from mt5crs.archive.rows import Footer, Rows

DAMAGED_MARK = "is damaged: "


class Stored(NamedTuple):
    """One whole file.

    Attributes:
        period: What it is for.
        path: Where it is.
        footer: What it says of itself.
        rows: What is in it, in MT5's layout.
    """

    period: Period
    path: Path
    footer: "Footer"
    rows: "Rows"


class Broken(NamedTuple):
    """One file that cannot be used.

    Attributes:
        period: What it is for.
        path: Where it is.
        why: What is wrong.
    """

    period: Period
    path: Path
    why: str


def footer_of(series: Series, period: Period, path: Path) -> "Footer":
    """Return what a file says of itself.

    Raises:
        DamagedFile: It is not whole, or is a file of something else.
    """
    footer = read_footer(path)
    if (footer.series, footer.period) != (series, period):
        raise DamagedFile(path, f"it is of {footer.series} {footer.period.name}, and lies in another's place")
    return footer


def load(series: Series, period: Period, path: Path) -> Stored:
    """Return a file and its rows, held against their checksum.

    Raises:
        DamagedFile: It is not as it was written, or is a file of something else.
    """
    return Stored(period, path, footer_of(series, period, path), read_rows(path))


def stored(root: Path, series: Series) -> Iterator[Stored | Broken]:
    """Yield the files of a series in order.

    Raises:
        ArchiveError: A folder of it cannot be read.
    """
    for period, path in files(root, series.symbol, series.tf).items():
        yield _whole_or_broken(series, period, path)


def _whole_or_broken(series: Series, period: Period, path: Path) -> Stored | Broken:
    try:
        return load(series, period, path)
    except ArchiveError as error:  # one odd file does not keep anybody from looking at the others
        why = error.message.removeprefix(f"{path} ").removeprefix(DAMAGED_MARK)
        return Broken(period, path, why)


def opened(root: Path) -> Path:
    """Return the folder of an archive.

    Raises:
        ArchiveError: There is none, or it cannot be read.
    """
    if not any(is_folder(root / tree) for tree in ("rates", "ticks")):
        listed(root)  # says so where it cannot be read
        problem = "has no archive in it" if is_folder(root) else "is not there"
        raise ArchiveError(f"the folder {root} {problem}", hint="`mt5crs archive pull` makes one")
    return root

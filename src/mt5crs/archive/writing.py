"""Rows as they come become files of an archive: one for each period, each whole, always the same bytes."""

import hashlib
from collections import deque
from concurrent.futures import Executor, Future, wait
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any

from mt5crs.archive.folder import flush, put, told
from mt5crs.archive.layout import WORK, Period, Series, quoted
from mt5crs.archive.rows import Footer, arrow, read_footer, read_rows, schema, to_table

if TYPE_CHECKING:
    from typing_extensions import Self

    from mt5crs.archive.rows import Rows

GROUP = 65_536
"""Rows of a row group: what is in memory of a file at most."""
ON_THEIR_WAY = 4
"""Files of a series that are being compressed and written while rows come for the next one."""
_TIMES = ("time", "time_msc")


def parquet_options(series: Series) -> dict[str, Any]:
    """Return how files of a series are written: what Arrow is told of encodings and compression."""
    names: list[str] = schema(series).names
    return {
        "compression": "zstd",
        "compression_level": 1,  # 3 makes files 3 % smaller, and takes 15 % longer
        "use_dictionary": [name for name in names if name not in _TIMES],
        "column_encoding": {name: "DELTA_BINARY_PACKED" for name in names if name in _TIMES},
        "write_page_checksum": True,
        "store_schema": False,
    }


class FileWriter:
    """Writes the file of one period.

    Args:
        root: The archive.
        series: Whose rows they are.
        period: What the file is for.
        server: The trade server that they are from.
        since: Server time in milliseconds where the terminal's history begins, if that is in this period.
    """

    def __init__(
        self, root: Path, series: Series, period: Period, server: str, since: int | None = None
    ) -> None:
        self.period = period
        self._since = since
        self._series = series
        self._server = server
        self._path = series.path(root, period)
        tf, symbol = series.tf, quoted(series.symbol)
        self._draft = root / WORK / f"{tf}.{symbol}.{period.name}"
        self._hash = hashlib.sha256()
        self._waiting: list[Rows] = []
        self._waiting_rows = self._rows = 0
        self._file: IO[bytes] | None = None
        self._parquet: Any = None

    def add(self, rows: "Rows") -> None:
        """Add rows behind those that are there; what is in memory is bounded.

        Raises:
            ArchiveError: They cannot be written, or no archive can hold them.
        """
        self._waiting.append(rows)
        self._waiting_rows += len(rows)
        if self._waiting_rows >= GROUP:
            self._write(self._waiting_rows // GROUP * GROUP)

    def finish(self, until: int) -> None:
        """Give the file its place.

        Args:
            until: Server time in milliseconds before which all rows are in it.

        Raises:
            ArchiveError: It cannot be; what was in its place is still there.
        """
        try:
            self._write(self._waiting_rows)
            until = min(until, self.period.end * 1000)
            digest = self._hash.hexdigest()
            footer = Footer(self._series, self.period, self._server, until, self._rows, digest, self._since)
            with told(self._path):
                file, parquet = self._opened()
                parquet.add_key_value_metadata(footer.as_metadata())
                parquet.close()
                put(file, self._draft, self._path)
            self._file = None
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Leave no draft behind."""
        if self._file is not None:
            try:
                self._parquet.close()
                self._file.close()
            except OSError:  # of a full disk: it goes anyway
                pass
            self._file = None
            self._draft.unlink(missing_ok=True)

    def _write(self, count: int) -> None:
        """Write the first of the waiting rows; the groups of a file do not depend on how its rows came."""
        import numpy as np

        if not count:
            return
        rows = self._waiting[0] if len(self._waiting) == 1 else np.concatenate(self._waiting)
        now, later = rows[:count], rows[count:]
        self._waiting, self._waiting_rows = [later], len(later)
        self._hash.update(now.data)
        self._rows += count
        with told(self._path):
            self._opened()[1].write_table(to_table(now, self._series), row_group_size=GROUP)

    def _opened(self) -> tuple[IO[bytes], Any]:
        if self._file is None:
            self._file = self._draft.open("wb")
            columns = schema(self._series)
            self._parquet = arrow("pyarrow.parquet").ParquetWriter(
                self._file, columns, **parquet_options(self._series)
            )
        return self._file, self._parquet


class SeriesWriter:
    """Writes the rows of a series from some moment on, each period's into its file as soon as it is over.

    A context manager: what is left without `finish` leaves no draft behind.

    Args:
        root: The archive.
        series: Whose rows they are.
        server: The trade server that they are from.
        begin: Server time in milliseconds: all rows from it on will be added. If it is inside a period, the
            rows that this period's file has are kept.
        pool: Compresses files and waits for the disk, while rows come for the next ones.
        since: Server time in milliseconds where the terminal's history begins, if in the first period.

    Attributes:
        kept: Those rows; None where there are none.
        files: How many files were written.
    """

    def __init__(
        self,
        root: Path,
        series: Series,
        server: str,
        begin: int,
        pool: Executor,
        since: int | None = None,
    ) -> None:
        self._root = root
        self._series = series
        self._server = server
        self._begin = self._until = begin
        self._column = "time_msc" if series.is_ticks else "time"
        self._unit = 1 if series.is_ticks else 1000
        self._pool = pool
        self._finishing: deque[Future[None]] = deque()
        self._folders: set[Path] = set()
        self.files = 0
        period = series.period(begin // 1000)
        self.kept = read_rows(series.path(root, period)) if begin > period.start * 1000 else None
        if self.kept is not None:
            since = read_footer(series.path(root, period)).since
        self._file = self._begun(period, since)
        if self.kept is not None:
            self._file.add(self.kept)

    def add(self, rows: "Rows", until: int) -> None:
        """Add rows that follow those that are there.

        Args:
            rows: The rows.
            until: Server time in milliseconds: after these rows, there are no more before it.

        Raises:
            ArchiveError: They cannot be written.
        """
        while until >= (end := self._file.period.end * 1000):
            count = int(rows[self._column].searchsorted(end // self._unit))
            self._file.add(rows[:count])
            rows = rows[count:]
            self._finish(end)
            self._until = end
            self._file = self._begun(self._series.period(end // 1000))
        self._file.add(rows)
        self._until = max(until, self._until)

    def finish(self) -> None:
        """Write the last file, of a period that is not over.

        Raises:
            ArchiveError: It cannot be written.
        """
        if self._until > max(self._begin, self._file.period.start * 1000):
            self._finish(self._until)
        while self._finishing:
            self._await()
        with told(self._root):
            flush(self._root, *self._folders)

    def _finish(self, until: int) -> None:
        """Have the current file finished, when few others are on their way."""
        while len(self._finishing) >= ON_THEIR_WAY:
            self._await()
        self._folders.add(self._series.path(self._root, self._file.period).parent)
        self._finishing.append(self._pool.submit(self._file.finish, until))

    def _await(self) -> None:
        self._finishing.popleft().result()
        self.files += 1

    def _begun(self, period: Period, since: int | None = None) -> FileWriter:
        return FileWriter(self._root, self._series, period, self._server, since)

    def __enter__(self) -> "Self":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        wait(self._finishing)
        self._file.abandon()

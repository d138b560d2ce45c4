"""The one table renderer: for people, as JSON, as CSV.

People see some columns, rounded as MetaTrader rounds them; programs get every field with its exact number.
"""

import csv
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TextIO

from mt5crs.cli.report import printable

if TYPE_CHECKING:
    from rich.console import Console

Row = Mapping[str, Any]

GAP = 2
"""Blanks between two columns."""
UNBOUNDED = 100_000
"""Columns of an output that is no terminal: nothing is cut off."""


ASCII_HEAD = "    \n    \n -- \n" + 5 * "    \n"
"""The frame of a table where only ASCII can be written: a line below the headings, as in the other."""


class Form(str, Enum):
    """How a result is written."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


@dataclass(frozen=True)
class Column:
    """A column that people see.

    Attributes:
        title: Its heading.
        show: Returns the text of a row's cell.
        right: Whether it is aligned to the right, as numbers are.
        spare: Whether it is left out where the terminal is too narrow for all.
    """

    title: str
    show: Callable[[Row], str]
    right: bool = False
    spare: bool = False

    @property
    def justify(self) -> Literal["left", "right"]:
        """How its cells are aligned."""
        return "right" if self.right else "left"


class Table(NamedTuple):
    """A result.

    Attributes:
        title: What it is.
        columns: What people see.
        fields: The fields of a row for programs, in order.
        rows: The rows.
        view: The rows that people see, where these are others.
        document: What is written as JSON, where that is not the list of rows.
    """

    title: str
    columns: Sequence[Column]
    fields: Sequence[str]
    rows: Sequence[Row]
    view: Sequence[Row] | None = None
    document: Any = None


def field(
    name: str,
    title: str = "",
    show: Callable[[Any], str] = str,
    *,
    right: bool = False,
    spare: bool = False,
) -> Column:
    """Return a column that shows one field."""
    return Column(title or name, lambda row: show(row[name]), right, spare)


def fitting(columns: Sequence[Column], rows: Sequence[Row], width: int) -> list[Column]:
    """Return the columns that a terminal has room for: spare ones are left out, the last first."""
    widths = {
        column: max(len(column.title), *(len(column.show(row)) for row in rows)) + GAP for column in columns
    }
    kept = list(columns)
    for column in reversed(columns):
        if column.spare and sum(widths[each] for each in kept) - GAP > width:
            kept.remove(column)
    return kept


class Output:
    """Where results go.

    Args:
        form: How they are written.
        stream: Where to; the standard output without it.
    """

    def __init__(self, form: Form = Form.TABLE, stream: TextIO | None = None) -> None:
        self.form = form
        self._stream = stream or sys.stdout
        self._separate = False  # a blank line parts a table from what comes before it

    @property
    def unicode(self) -> bool:
        """Whether more than ASCII can be written."""
        return (getattr(self._stream, "encoding", None) or "").lower().startswith("utf")

    def console(self) -> "Console":
        """Return a console for people, plain where the output is no terminal."""
        from rich.console import Console

        width = None if self._stream.isatty() else UNBOUNDED
        return Console(file=self._stream, width=width, highlight=False, markup=False, emoji=False)

    def write(self, table: Table) -> None:
        """Write a result."""
        if self.form is Form.TABLE:
            self._write_table(table)
        elif self.form is Form.JSON:
            document = list(table.rows) if table.document is None else table.document
            self._stream.write(json.dumps(document, indent=2) + "\n")
        else:
            self._writer(table.fields, header=True).writerows(table.rows)
        self._stream.flush()

    def say(self, text: str, *, bold: bool = False) -> None:
        """Write a line for people."""
        self.console().print(text, style="bold" if bold else None, soft_wrap=True)
        self._stream.flush()

    def lines(self, columns: Sequence[Column], fields: Sequence[str]) -> Callable[[Row], None]:
        """Return what writes one row after the other, each as soon as it is there."""
        if self.form is Form.TABLE:
            return _Lines(self._stream, columns).write
        if self.form is Form.JSON:
            return self._write_json_line
        writer = self._writer(fields, header=True)
        self._stream.flush()

        def write(row: Row) -> None:
            writer.writerow(row)
            self._stream.flush()

        return write

    def _write_json_line(self, row: Row) -> None:
        self._stream.write(json.dumps(row) + "\n")
        self._stream.flush()

    def _writer(self, fields: Sequence[str], *, header: bool) -> "csv.DictWriter[str]":
        writer = csv.DictWriter(self._stream, fields, extrasaction="ignore", lineterminator="\n")
        if header:
            writer.writeheader()
        return writer

    def _write_long(self, columns: Sequence[Column], rows: Sequence[Row]) -> None:
        """Write many rows line by line: laying a table out takes most of a millisecond for each."""
        write = _Lines(self._stream, columns).write
        for row in rows:
            write(row)

    def _write_table(self, table: Table) -> None:
        from rich import box
        from rich.table import Table as RichTable

        rows = table.rows if table.view is None else table.view
        if not rows:
            self._stream.write(f"{table.title}: none\n")
            return
        if len(rows) > LAID_OUT:
            self._write_long(table.columns, rows)
            return
        console = self.console()
        frame = box.SIMPLE_HEAD if self.unicode else box.Box(ASCII_HEAD, ascii=True)
        grid = RichTable(
            title=table.title,
            title_justify="left",
            title_style="bold",
            box=frame,
            show_edge=False,
            padding=(0, GAP - 1, 0, 0),  # the frame adds one blank
            pad_edge=False,
        )
        columns = fitting(table.columns, rows, console.width)
        for column in columns:
            grid.add_column(column.title, justify=column.justify, overflow="fold")
        for row in rows:
            grid.add_row(*(printable(column.show(row)) for column in columns))
        if self._separate:
            console.print()
        console.print(grid)
        if left_out := [column.title for column in table.columns if column not in columns]:
            console.print(f"no room for {', '.join(left_out)}: --json has all", style="dim", soft_wrap=True)
        self._separate = True


LAID_OUT = 1000
"""Rows up to which a table is laid out as a whole."""


class _Lines:
    """Rows for people one by one: a column keeps the width of its widest cell so far."""

    def __init__(self, stream: TextIO, columns: Sequence[Column]) -> None:
        self._stream = stream
        self._columns = columns
        self._widths: list[int] = []

    def write(self, row: Row) -> None:
        cells = [printable(column.show(row)) for column in self._columns]
        if not self._widths:  # the heading waits for the first row, to be as wide
            self._widths = [len(cell) for cell in cells]
            self._write([column.title for column in self._columns])
        self._write(cells)

    def _write(self, cells: list[str]) -> None:
        self._widths = [max(width, len(cell)) for width, cell in zip(self._widths, cells, strict=True)]
        aligned = [
            cell.rjust(width) if column.right else cell.ljust(width)
            for cell, width, column in zip(cells, self._widths, self._columns, strict=True)
        ]
        self._stream.write("  ".join(aligned).rstrip() + "\n")
        self._stream.flush()

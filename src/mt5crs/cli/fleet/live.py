"""How a rollout goes on, on the error stream: a row a node on a terminal, else a line a step."""

import sys
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mt5crs.cli.report import note, printable

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table

    from mt5crs.fleet.apply import NodeProgress, Watch

MARKS = {"begun": "…", "said": "…", "ended": "✓", "failed": "✗"}
OVER = frozenset({"ended", "failed"})
RATE = 8
"""Times in a second that the rows are drawn."""


class Rows:
    """A row for each node: its step, how long that has been going on, what it says.

    Args:
        nodes: Their names, in order.
        clock: Seconds.
    """

    def __init__(self, nodes: Iterable[str], clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._rows: dict[str, NodeProgress | None] = dict.fromkeys(nodes)
        self._since: dict[str, float] = {}
        self._took: dict[str, float] = {}

    def took(self, event: "NodeProgress") -> None:
        """Take in what happened on a node."""
        last = self._rows.get(event.node)
        if last is None or last.step != event.step:
            self._since[event.node] = self._clock()
        self._rows[event.node] = event
        self._took.pop(event.node, None)
        if event.state.value in OVER:  # what has ended takes no more time
            self._took[event.node] = self._clock() - self._since[event.node]

    def __rich__(self) -> "Table":
        """Draw the rows."""
        from rich.table import Table

        grid = Table.grid(padding=(0, 2))
        for _ in range(5):
            grid.add_column(no_wrap=True)
        for name, event in self._rows.items():
            if event is None:
                grid.add_row(" ", name, "", "", "waits")
                continue
            seconds = f"{self._took.get(name, self._clock() - self._since[name]):.0f} s"
            mark = MARKS[event.state.value]
            grid.add_row(mark, name, event.step.words, seconds, printable(event.text))
        return grid


class Watching:
    """Shows how it goes on: nothing until it is told which nodes there are."""

    def __init__(self) -> None:
        self._live: Live | None = None

    def over(self, nodes: Iterable[str]) -> "Watch":
        """Return what is told what happens on some nodes."""
        if not sys.stderr.isatty():
            return tell
        from rich.console import Console
        from rich.live import Live

        rows = Rows(nodes)
        console = Console(file=sys.stderr, markup=False, emoji=False, highlight=False)
        self._live = Live(rows, console=console, refresh_per_second=RATE, transient=True)
        self._live.start()
        return rows.took

    def end(self) -> None:
        """Show no more."""
        if self._live is not None:
            self._live.stop()
            self._live = None


def tell(event: "NodeProgress") -> None:
    """Write what happened on a node as a line."""
    if event.text:
        failed = "failed: " if event.state.value == "failed" else ""
        note(f"{event.node}: {event.step.words}: {failed}{event.text}")


@contextmanager
def watching() -> Generator[Watching, None, None]:
    """Show how it goes on while the block lasts."""
    watch = Watching()
    try:
        yield watch
    finally:
        watch.end()

"""What tests of pulls share: a terminal whose time stands still, commands, and what an archive holds."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mt5crs import Client
from mt5crs.archive.layout import LOCK, WORK, Series, files
from mt5crs.archive.pull import pull
from mt5crs.archive.rows import read_rows
from tests.cli.commands import MT5CRS, environment
from tests.processes import Gateway

BEGIN = 1_742_256_000  # 2025-03-18
NOW = "2025-03-20T10:30"
DAY = 86_400
PATIENCE = 60.0
EVERYTHING = [Series(symbol, tf) for symbol in ("EURUSD", "USDJPY") for tf in ("M1", "H1", "tick")]
COMMAND = ("EURUSD", "USDJPY", "--tf", "M1,H1,tick", "--from", "2025-03-18")


def still(folder: Path, *options: str, start: str = NOW) -> Gateway:
    """Return a gateway whose server time stands still."""
    return Gateway(folder, ("--set", f"start={start}", "--speed", "1e-9", *options))


def command(gateway: Gateway, root: Path, *arguments: str) -> list[str]:
    """Return the command of a pull."""
    return [*MT5CRS, "archive", "pull", *arguments, "--out", str(root), "--port", str(gateway.port)]


def run(
    gateway: Gateway, root: Path, *arguments: str, before: Callable[[], None] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a pull as a process of its own, to its end."""
    return subprocess.run(
        command(gateway, root, *arguments),
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        preexec_fn=before if sys.platform != "win32" else None,
        check=False,
    )


def pulled(client: Any, root: Path, wanted: Sequence[Series] = EVERYTHING, **options: Any) -> None:
    """Pull, and expect that nothing fails."""
    done = pull(client, root, wanted, options.pop("begin", BEGIN), **options)
    assert [each.failure for each in done] == [None] * len(wanted)


def data(root: Path) -> dict[str, bytes]:
    """Return every file of an archive but its lock, with what is in it."""
    assert not list((root / WORK).iterdir())
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name != LOCK
    }


def rows(root: Path, series: Series) -> Any:
    """Return all rows that an archive has of a series."""
    return np.concatenate([read_rows(path) for path in files(root, series.symbol, series.tf).values()])


def terminals_rows(client: Client, series: Series, begin: int) -> Any:
    """Return the terminal's rows from a time on that are final."""
    if series.is_ticks:
        found = client.copy_ticks_from(series.symbol, begin, 10**7, -1)
        assert found is not None
        return found[found["time_msc"] < found["time_msc"][-1]]
    found = client.copy_rates_range(series.symbol, series.timeframe, begin, 2**31 - 1)
    assert found is not None
    return found[:-1]


class Counting:
    """A client that remembers what it was asked; nothing else about it is different."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.asked: list[tuple[str, tuple[Any, ...]]] = []

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        def call(*arguments: Any) -> Any:
            self.asked.append((name, arguments))
            return method(*arguments)

        return method if name == "last_error" else call

    def history(self) -> list[tuple[str, tuple[Any, ...]]]:
        """Return the questions for rows."""
        return [each for each in self.asked if each[0].startswith("copy_")]

"""How tests run commands: in this process where only text matters, else as processes of their own."""

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from io import StringIO
from typing import Any, NamedTuple

PATIENCE = 30.0
MT5CRS = (sys.executable, "-m", "mt5crs")


class Outcome(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def csv(self) -> list[dict[str, str]]:
        return list(csv.DictReader(StringIO(self.out)))

    @property
    def table(self) -> list[list[str]]:
        """The rows of a table for people: what stands below its line, split where blanks part columns."""
        lines = self.out.splitlines()
        start = next(place for place, line in enumerate(lines) if line.strip() and not line.strip(" ─-"))
        rows = [line.strip() for line in lines[start + 1 :]]
        return [[cell.strip() for cell in row.split("  ") if cell.strip()] for row in rows if row]


Run = Callable[..., Outcome]


def environment(**more: str) -> dict[str, str]:
    """Return an environment in which no setting of the caller's decides."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MT5_")}
    return {**kept, "COLUMNS": "80", **more}


def process(*arguments: str, **env: str) -> Outcome:
    """Run a command as a process."""
    done = subprocess.run(
        [*MT5CRS, *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env=environment(**env),
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


@contextmanager
def start(*arguments: str, **options: Any) -> Generator["subprocess.Popen[str]", None, None]:
    """Start a command as a process whose output is read line by line; it ends with the test at the latest."""
    given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": environment(), **options}
    with subprocess.Popen([*MT5CRS, *arguments], text=True, **given) as started:
        try:
            yield started
        finally:
            started.kill()

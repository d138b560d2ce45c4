"""The gateway of the demo: a process of its own, which never outlives the demo."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from mt5crs.cli.report import Failure

START = 60.0
"""Seconds that a gateway may take to start; a large replay takes some."""
STOP = 5.0
"""Seconds that it may take to stop before it is killed."""
LOOK = 0.02
"""Seconds between two looks for its ready file: there is no portable event for a file that appears."""


class GatewayProcess:
    """A gateway on the simulated terminal.

    It is told to stop by the end of its standard input, which comes in any case: also when this process is
    killed, and on Windows, where a process cannot be asked by a signal.

    Args:
        folder: Where its ready file and its log are.
        options: Further options of `mt5crs gateway`.

    Attributes:
        port: Where it listens.
        pid: Its process id.
    """

    def __init__(self, folder: Path, options: Sequence[str]) -> None:
        self._ready_file = folder / "ready.json"
        self._log = folder / "gateway.log"
        command = [
            *(sys.executable, "-m", "mt5crs", "gateway", "--terminal", "simulated", "--host", "127.0.0.1"),
            *(
                "--port",
                "0",
                "--stream-port",
                "0",
                "--ready-file",
                str(self._ready_file),
                "--stop-with-stdin",
            ),
            *options,
        ]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - ourselves
                command, stdin=subprocess.PIPE, stdout=log, stderr=log
            )
        self.pid = self._process.pid
        self.port = 0

    def wait(self, still: Callable[[float], None]) -> None:
        """Wait until it listens.

        Args:
            still: Called with the seconds waited so far.

        Raises:
            Failure: It did not come up; with what it said.
        """
        began = time.monotonic()
        while not self._ready_file.exists():
            code = self._process.poll()
            waited = time.monotonic() - began
            if code is not None:
                raise Failure(f"the gateway did not start\n{self.log()}", code=2 if code == 2 else 1)
            if waited > START:
                raise Failure(f"the gateway was not ready in {START:g} s\n{self.log()}")
            still(waited)
            time.sleep(LOOK)
        ready: dict[str, Any] = json.loads(self._ready_file.read_text(encoding="utf-8"))
        self.port = ready["port"]

    def log(self) -> str:
        """Return what it wrote."""
        return self._log.read_text(encoding="utf-8", errors="replace").strip()

    def end(self) -> None:
        """End it: ask, wait, kill."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(STOP)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> "GatewayProcess":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.end()

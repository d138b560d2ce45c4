"""Real gateway processes for tests: started on free ports, ended by their process id."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from mt5crs import AsyncClient, Client

PATIENCE = 30.0


class Gateway:
    """`mt5crs gateway` on the simulated terminal.

    Args:
        folder: Where its ready file and its log go.
        options: More options of the command.
        port: Command port; a free one without it.
        environment: Its environment; that of the test without it.
        python: The interpreter that runs it.
    """

    def __init__(
        self,
        folder: Path,
        options: Sequence[str] = (),
        *,
        port: int = 0,
        stream_port: int = 0,
        environment: Mapping[str, str] | None = None,
        python: str = sys.executable,
    ) -> None:
        self.ready_file = folder / f"ready-{os.urandom(4).hex()}.json"
        self.log = self.ready_file.with_suffix(".log")
        self._command = [
            *(python, "-m", "mt5crs", "gateway", "--terminal", "simulated"),
            *("--ready-file", str(self.ready_file), *options),
        ]
        self.port = port
        self.stream_port = stream_port
        self._environment = None if environment is None else dict(environment)
        self.start()

    def start(self) -> None:
        """Start the process (again, on the same ports) and wait until it listens."""
        ports = ("--port", str(self.port), "--stream-port", str(self.stream_port))
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self._command, *ports], stdout=log, stderr=log, env=self._environment
            )
        ready = self._wait_for_ready()
        self.port, self.stream_port = ready["port"], ready["stream_port"]

    def _wait_for_ready(self) -> dict[str, Any]:
        give_up = time.monotonic() + PATIENCE
        while time.monotonic() < give_up:
            if self.process.poll() is not None:
                raise RuntimeError(
                    f"the gateway ended with {self.process.returncode}:\n{self.log.read_text()}"
                )
            try:
                ready: dict[str, Any] = json.loads(self.ready_file.read_text())
            except FileNotFoundError:
                time.sleep(0.01)  # the event is the file's appearance; there is nothing to wait on
                continue
            if ready["pid"] == self.process.pid:
                return ready
        self.end()
        raise RuntimeError(f"the gateway was not ready in {PATIENCE:g} s:\n{self.log.read_text()}")

    def client(self, **options: Any) -> Client:
        """Return a client of this gateway."""
        return Client("127.0.0.1", self.port, **options)

    def async_client(self, **options: Any) -> AsyncClient:
        """Return an asyncio client of this gateway."""
        return AsyncClient("127.0.0.1", self.port, **options)

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self.process.wait(PATIENCE)

    def freeze(self) -> None:
        """Stop it from running, connections open."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it run again."""
        self.process.send_signal(signal.SIGCONT)

    def end(self) -> int:
        """Ask it to stop; return its exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait(PATIENCE)

    def __enter__(self) -> "Gateway":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.end()

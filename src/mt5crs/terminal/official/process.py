"""A worker as its terminal sees it: a process, and the secret that its messages are known by."""

import secrets
import subprocess
import sys
from collections.abc import Mapping

import msgspec

from mt5crs.terminal.official.messages import Configuration

BOOT = "import sys; sys.path[:] = sys.argv[1:]; from mt5crs.terminal.official import worker; worker.main()"
"""What a worker begins with: it finds modules where the gateway does, and not in the current directory."""
GROUP_OF_ITS_OWN: int = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)  # on Windows


class Process:
    """A worker process; nothing of its configuration can be seen from outside.

    Args:
        configuration: What it is told, but for its token.
        environment: Its environment.

    Attributes:
        token: The routing id of its messages; another one for each process, so that what a dead one had said
            is never taken for an answer of the next.
        pid: Its process id.
    """

    def __init__(self, configuration: Configuration, environment: Mapping[str, str]) -> None:
        token = secrets.token_hex(16)
        self.token = token.encode()
        # Ctrl-C in the gateway's console is for the gateway; each system ignores the other's way to say so.
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-c", BOOT, *sys.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            env=dict(environment),
            start_new_session=True,
            creationflags=GROUP_OF_ITS_OWN,
        )
        self.pid = self._process.pid
        self._tell(msgspec.json.encode(msgspec.structs.replace(configuration, token=token)) + b"\n")

    def _tell(self, line: bytes) -> None:
        if self._process.stdin is not None:
            try:
                self._process.stdin.write(line)
                self._process.stdin.flush()
            except OSError:  # it is dead already, which is found out where that is looked for
                pass

    @property
    def exit_code(self) -> int | None:
        """How it ended; None while it runs."""
        return self._process.poll()

    def kill(self) -> None:
        """End it, whatever it does; its exit code comes a moment later."""
        self._process.kill()
        self.let_go()

    def wait(self, seconds: float) -> bool:
        """Wait for its end; return whether it came in time."""
        try:
            self._process.wait(max(0.0, seconds))
        except subprocess.TimeoutExpired:
            return False
        return True

    def let_go(self) -> None:
        """Cut its life line."""
        if self._process.stdin is not None:
            try:
                self._process.stdin.close()
            except OSError:  # what it was told last could not be delivered
                pass

"""What a gateway has of the process that it runs in: its signals, and the file that says it is ready."""

import os
import signal
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from socket import socket
from typing import Any

import msgspec

from mt5crs.errors import SettingError

SIGNALS = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGBREAK", "SIGHUP")  # not every system has all of them
    if hasattr(signal, name)
)
"""What asks a process to end."""


def heeded() -> list[int]:
    """Return the signals that are answered: a hangup that `nohup` has us ignore is none of them."""
    hangup = getattr(signal, "SIGHUP", None)
    return [
        number for number in SIGNALS if number != hangup or signal.getsignal(number) is not signal.SIG_IGN
    ]


@contextmanager
def on_signals(handle: Callable[[], object], *, last: bool = False) -> Generator[None, None, None]:
    """Have the signals that end a process call something instead; only where we are the main thread.

    Args:
        handle: What they call.
        last: Whether the process ends where the block went well: they are ignored from then on.
    """
    try:
        before: dict[Any, Any] = {
            number: signal.signal(number, lambda _number, _frame: handle()) for number in heeded()
        }
    except ValueError:  # another thread: whoever started it has to say that it shall end
        yield
        return
    after = before
    try:
        yield
        after = dict.fromkeys(before, signal.SIG_IGN) if last else before
    finally:
        for number, handler in after.items():
            signal.signal(number, handler)


@contextmanager
def woken_by_signals(waker: socket) -> Generator[None, None, None]:
    """Have a byte written to a socket for each signal, so that a poller's wait ends."""
    try:
        before = signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
    except ValueError:  # another thread, to which no signal comes
        yield
        return
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)


@contextmanager
def ready_file(path: Path | None, told: Mapping[str, Any]) -> Generator[None, None, None]:
    """Have a file, if one is named, that tells something as JSON; it is there at once, and gone in the end.

    Raises:
        SettingError: It cannot be written.
    """
    if path is None:
        yield
        return
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_bytes(msgspec.json.encode({**told, "pid": os.getpid()}))
        beside.replace(path)
    except OSError as error:
        raise SettingError(f"cannot write the ready file {path}: {error.strerror}") from error
    try:
        yield
    finally:
        path.unlink(missing_ok=True)

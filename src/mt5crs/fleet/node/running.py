"""Programs that an operation runs, and the end of all of them when nobody waits any more.

Each child has a session (on Windows a process group) of its own, so that what it started ends with it. A
program that is to outlive the request, as a service, is not started here.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import IO, Any, cast

from .operations import Failed, Tell

MOST = 1 << 20
"""Characters of a child's output that are kept: the last."""
LAST = 12
"""Lines of it that a failure shows."""
GRACE = 5.0
"""Seconds in which a child, and we ourselves, may put things in order before we are killed."""
FULL = "No space left on device", "Disk quota exceeded", "There is not enough space on the disk"
"""How programs say that a disk is full."""


class Ended(BaseException):
    """Nobody waits for the result any more: what is under way is to be left in order, at once."""


class _Children:
    """The children that run, and whether there may be more."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.running: set[subprocess.Popen[str]] = set()
        self.ended = False
        self.known = False
        """Whether the operation has learned of it."""
        self.gone = threading.Event()

    def start(self, command: Sequence[str], **options: Any) -> subprocess.Popen[str]:
        with self.lock:
            if self.ended:
                raise self.told()
            child = subprocess.Popen(command, **options)  # noqa: S603 - what our own operations name
            self.running.add(child)
        return child

    def told(self) -> Ended:
        """Return what tells the operation, once: no signal disturbs it while it puts things in order."""
        self.known = True
        return Ended()

    def forget(self, child: subprocess.Popen[str]) -> None:
        with self.lock:
            self.running.discard(child)

    def end(self) -> list[subprocess.Popen[str]]:
        """Let no more begin; return those that run."""
        with self.lock:
            self.ended = True
            return list(self.running)


_CHILDREN = _Children()


def run(
    command: Sequence[str | Path],
    tell: Tell | None = None,
    *,
    timeout: float = 600.0,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> str:
    """Run a program to its end; return what it wrote, the error stream with it.

    Args:
        command: The program and its arguments.
        tell: Is told each line as it comes.
        timeout: How long it may take, in seconds.
        env: Its environment; ours without it.
        cwd: The folder that it begins in.

    Raises:
        Failed: It is not there, took too long, or ended with an error; with its last lines. The code is
            `no-space` where the disk is full.
        Ended: Nobody waits for it any more.
    """
    words = [str(word) for word in command]
    group: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        group = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    try:
        child = _CHILDREN.start(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            env=None if env is None else dict(env),
            cwd=None if cwd is None else str(cwd),
            **group,
        )
    except FileNotFoundError as error:
        raise Failed(f"{words[0]} is not there ({error.filename})", f"install {words[0]}") from None
    late = threading.Event()

    def too_late() -> None:
        late.set()
        end_child(child)

    alarm = threading.Timer(timeout, too_late)
    alarm.daemon = True
    alarm.start()
    try:
        output = _output(child, tell)
        code = child.wait()
    except BaseException:
        if not _CHILDREN.ended:  # then they end already
            end_child(child)
        raise
    finally:
        alarm.cancel()
        _CHILDREN.forget(child)
    if _CHILDREN.ended:
        raise _CHILDREN.told()
    if late.is_set():
        raise Failed(f"{_shown(words)} took longer than {timeout:g} s", _last(output), "timeout")
    if code:
        raise Failed(
            f"{_shown(words)} ended with {code}",
            _last(output),
            "no-space" if any(each in output for each in FULL) else "failed",
        )
    return output


def _output(child: subprocess.Popen[str], tell: Tell | None) -> str:
    kept = ""
    with cast("IO[str]", child.stdout) as stream:
        for line in iter(lambda: stream.readline(MOST), ""):
            kept = (kept + line)[-MOST:]
            if tell is not None and line.strip():
                tell(line.rstrip())
    return kept


def _shown(words: Sequence[str]) -> str:
    text = " ".join(words)
    return text if len(text) <= 200 else f"{text[:200]}..."


def _last(output: str) -> str:
    return "\n".join(output.strip().splitlines()[-LAST:])[-2000:]


def end_child(child: subprocess.Popen[str]) -> None:
    """End a child and all that it started: first asked to, killed where that does not help."""
    if sys.platform == "win32":
        tree = ("taskkill", "/F", "/T", "/PID", str(child.pid))
        subprocess.run(tree, capture_output=True, check=False, timeout=GRACE)  # noqa: S603
        return
    _signal(child.pid, signal.SIGTERM)
    give_up = time.monotonic() + GRACE
    while _signal(child.pid, 0) and time.monotonic() < give_up:
        child.poll()  # takes it in, or its group would never be empty
        time.sleep(0.02)
    _signal(child.pid, signal.SIGKILL)


def _signal(group: int, number: int) -> bool:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def end() -> None:
    """End our children and then ourselves; the operation learns of it by `Ended`."""
    children = _CHILDREN.end()
    for child in children:
        end_child(child)
    _CHILDREN.gone.set()
    if sys.platform == "win32":
        import _thread

        _thread.interrupt_main(signal.SIGTERM)
    else:
        main = threading.main_thread()
        if main.is_alive() and main.ident is not None:
            signal.pthread_kill(main.ident, signal.SIGTERM)
    time.sleep(GRACE)
    os._exit(1)  # the operation did not listen


def settle() -> None:
    """Wait until our children have ended; the operation knows of it, and has left things in order."""
    _CHILDREN.gone.wait(2 * GRACE)


def watch(descriptor: int, beat: float = 0.0) -> None:
    """End everything when a stream ends, or a signal asks for it.

    Args:
        descriptor: The stream.
        beat: How many seconds it may be silent, too; 0 for ever. A lost machine ends no stream.
    """
    heard = threading.Event()

    def until_the_end() -> None:
        while os.read(descriptor, 1 << 16):
            heard.set()
        end()

    def until_silence() -> None:
        while heard.wait(beat):
            heard.clear()
        end()

    def by_signal(_number: int, _frame: FrameType | None) -> None:
        if _CHILDREN.ended:
            if not _CHILDREN.known:
                raise _CHILDREN.told()
            return
        threading.Thread(target=end, daemon=True).start()

    for name in ("SIGTERM", "SIGINT", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), by_signal)
    for wait in (until_the_end, until_silence) if beat else (until_the_end,):
        threading.Thread(target=wait, daemon=True).start()

"""The keeper: keeps one service running, where nothing else does: `node.pyz keep PATH NAME`.

It has no socket and no user interface: it looks for a request file five times a second, and writes how the
service is to a state file (`kept`). Each time that it begins the program it reads the command anew and takes
`mt5crs` and `python` from the release that is in use then, so that a restart is all that a new release needs.
The program's standard input is a pipe that says nothing: its end asks the program to stop, which works on
every system and also when the keeper itself is killed.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, Any

from .kept import Kept, holding, private, read, replace, write
from .left import DRAIN, KILLED, MARK, POLL, boot, end_what_is_left, environment, identity, kill, left, mark
from .operations import Failed
from .place import Place

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
"""Seconds until a program that ended by itself is begun again: from, doubled each time, up to."""
PROVEN = 60.0
"""Seconds that a program has to run until its next end counts as the first one."""
LISTENS = 60.0
"""Seconds in which a gateway has to listen."""
SETTLED = 2.0
"""Seconds that any other program has to run until it counts as running."""
LAST_WORDS = 1.0
"""Seconds for which what it said last is waited for: a process outside its group may hold the pipe."""
ENTRY = 1.0
"""Seconds for which the lock is tried: who only looks whether there is a keeper has it for a moment."""
LARGEST, OLDER = 4 << 20, 2
"""Bytes of a log file, and how many older ones are kept."""
OURS = ("mt5crs", "python")
FLAGS = 0x0800_0000 | 0x0200 if os.name == "nt" else 0
"""CREATE_NO_WINDOW, so that none appears on the terminal's desktop, and CREATE_NEW_PROCESS_GROUP."""


def pause(ended: int) -> float:
    """Return the seconds to wait after a program has ended by itself so many times in a row."""
    return min(FIRST_PAUSE * 2.0 ** min(ended - 1, 16), LONGEST_PAUSE)


def words(command: str, *, windows: bool = os.name == "nt") -> list[str]:
    """Return the words of a command; on Windows a backslash is a part of a path."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars=False)
    lexer.whitespace_split = True
    lexer.commenters = ""
    if windows:
        lexer.escape = ""
    return list(lexer)


def resolve(place: Place, kept: Kept, command: str) -> list[str]:
    """Return what is run for a command: programs of the release in use, and a gateway told how to behave.

    Raises:
        Failed: There is no command, or no release in use.
    """
    try:
        line = words(command)
    except ValueError as error:
        raise Failed(f"the command of {kept.name} cannot be read: {error}: {command}") from None
    if not line:
        raise Failed(f"{kept.name} has no command", f'set [services."{kept.name}"] command in fleet.toml')
    if is_gateway(line):
        line += ["--ready-file", str(kept.ready), "--stop-with-stdin"]
    if line[0] in OURS:
        id_ = place.current_id()
        if not id_:
            raise Failed(f"no release is in use in {place.path}", "mt5crs fleet sync brings one")
        python = place.python(id_)
        line[0] = str(python.with_name(line[0] + python.suffix))
    return line


def is_gateway(line: Sequence[str]) -> bool:
    """Return whether a command is one of a gateway, which tells that it listens."""
    return list(line[:2]) == ["mt5crs", "gateway"]


class Log:
    """A log of bounded size: the file, and a few older ones.

    Args:
        path: The file.
        largest: Bytes of a file.
    """

    def __init__(self, path: Path, largest: int = LARGEST) -> None:
        self._path = path
        self._largest = largest
        self._lock = threading.Lock()
        self._file: IO[bytes] | None = None
        self._closed = False

    def _opened(self) -> IO[bytes]:
        return open(self._path, "ab", buffering=0, opener=private)

    def say(self, text: str) -> None:
        """Write a line of the keeper's own."""
        self.write(f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ} keeper: {text}\n".encode())

    def write(self, content: bytes) -> None:
        """Write what the program said."""
        with self._lock:
            if self._closed:
                return
            try:
                if self._file is None:
                    self._file = self._opened()
                if self._file.tell() + len(content) > self._largest:
                    self._file.close()
                    self._file = None  # opened with the next line where a full disk does not let it be now
                    self._turn_over()
                    self._file = self._opened()
                self._file.write(content)
            except OSError:  # a full disk must not end what trades
                pass

    def _turn_over(self) -> None:
        names = [self._path, *(self._path.with_name(f"{self._path.name}.{n + 1}") for n in range(OLDER))]
        for index in reversed(range(OLDER)):
            if names[index].exists():
                replace(names[index], names[index + 1])

    def copy(self, source: IO[bytes]) -> None:
        """Write all that comes until it ends."""
        for content in iter(lambda: os.read(source.fileno(), 65536), b""):
            self.write(content)
        source.close()

    def close(self) -> None:
        """Write no more."""
        with self._lock:
            self._closed = True
            if self._file is not None:
                self._file.close()


class Keeper:
    """Keeps one service running until it is asked to stop.

    Args:
        place: The node's folder.
        kept: The service's files.
    """

    def __init__(self, place: Place, kept: Kept) -> None:
        self._place = place
        self._kept = kept
        self._log = Log(kept.log)
        self._process: subprocess.Popen[bytes] | None = None
        self._copying: threading.Thread | None = None
        self._spec: dict[str, Any] = {}
        self._ended = 0
        self._begun = 0.0
        self._again = 0.0
        self._signalled = False
        self._state: dict[str, Any] = {"restarts": 0, "keeper": os.getpid(), "answer": ""}

    def run(self) -> int:
        """Keep it; return the exit code once it is stopped."""
        try:
            self._keep()
        except Exception as error:
            self._log.say(f"the keeper failed: {type(error).__name__}: {error}")
            kill(self._kept, self._state if self._process else None)
            raise
        finally:
            self._log.close()
        return 0

    def _keep(self) -> None:
        for name in ("SIGTERM", "SIGINT", "SIGHUP"):
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), self._on_signal)
        since = time.time() - ENTRY
        end_what_is_left(self._kept)
        request = self._requested(since)
        stopped = request.get("do") == "stop"
        if not stopped and not self._signalled:
            self._begin(request.get("id", ""))
        while not stopped:
            # Without the lock file nobody can ask it any more, and another keeper may begin.
            left_alone = self._signalled or not self._kept.lock.exists()
            request = {"do": "stop"} if left_alone else self._requested()
            stopped = self._turn(request)
            if not stopped:
                time.sleep(POLL)
        self._tell("stopped", pid=0, answer=request.get("id", ""))
        self._log.say("stopped")

    def _on_signal(self, _number: int, _frame: object) -> None:
        self._signalled = True

    def _requested(self, since: float = 0.0) -> dict[str, Any]:
        """Take the request away, as a whole: what is written meanwhile is the next one.

        Args:
            since: A stop that was asked for before that is another keeper's, which did not live to do it.
        """
        try:
            asked = self._kept.request.stat().st_mtime
            replace(self._kept.request, self._kept.taken)
        except OSError:
            return {}
        request = read(self._kept.taken)
        if request.get("do") not in {"restart", "stop"} or (request["do"] == "stop" and asked < since):
            return {}
        return request

    def _turn(self, request: dict[str, Any]) -> bool:
        """Do what is to be done now; return whether it was asked to stop."""
        do = request.get("do")
        if do:
            self._end()
            if do == "stop":
                return True
            self._ended = 0
            self._begin(request.get("id", ""))
        elif self._process is None:
            if time.monotonic() >= self._again:
                self._state["restarts"] += 1
                self._begin(self._state["answer"])
        elif self._process.poll() is not None:
            self._crashed(f"it ended by itself with exit code {self._process.returncode}")
        elif self._state["state"] == "starting":
            self._watch()
        return False

    def _begin(self, answer: str) -> None:
        self._begun = time.monotonic()
        self._spec = read(self._kept.command)
        place = Place(self._place.path, windows=self._spec.get("windows", self._place.windows))
        try:
            self._kept.ready.unlink(missing_ok=True)
            line = resolve(place, self._kept, self._spec.get("command", ""))
            if left(self._kept):
                kill(self._kept)
                if still := left(self._kept):
                    ids = ", ".join(map(str, sorted(still)))
                    raise Failed(f"what ran before has not ended, and cannot be killed: process {ids}")
            # Nothing is begun that the next keeper might not hear of: an old state may name a process that
            # is gone, and a full disk does not let it be written anew.
            self._state.update(state="starting", answer=answer, pid=0, identity="")
            write(self._kept.state, self._state)
            process = subprocess.Popen(  # noqa: S603 - the inventory's own, no shell
                line, cwd=place.path, env={**environment(), MARK: mark(self._kept)},
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                start_new_session=True, creationflags=FLAGS,
            )  # fmt: skip
        except (Failed, OSError) as error:
            self._state.update(answer=answer, release=place.current_id(), pid=0)
            self._crashed(f"it cannot be begun: {error}")
            return
        self._process = process
        self._log.say(f"begun as process {process.pid}: {shlex.join(line)}")
        self._copying = threading.Thread(target=self._log.copy, args=(process.stdout,), daemon=True)
        self._copying.start()
        self._tell(
            "starting", answer=answer, pid=process.pid, identity=identity(process.pid, dead=""), boot=boot(),
            since=time.time(), release=place.current_id(), error="",
        )  # fmt: skip

    def _watch(self) -> None:
        """Look whether it is up."""
        passed = time.monotonic() - self._begun
        if not is_gateway(words(self._spec["command"])):
            if passed >= self._spec.get("settle", SETTLED):
                self._tell("running")
        elif self._kept.ready.exists():
            self._tell("running")
        elif passed >= LISTENS:
            self._end()
            self._crashed(f"it did not listen within {LISTENS:g} s")

    def _crashed(self, error: str) -> None:
        if self._process is not None:
            self._sweep(self._process)
        if time.monotonic() - self._begun >= PROVEN:
            self._ended = 0
        self._ended += 1
        self._again = time.monotonic() + pause(self._ended)
        self._log.say(f"{error}; begun again in {pause(self._ended):g} s")
        self._tell("failed", pid=0, error=error)

    def _end(self) -> None:
        """End the program: ask it, give it time, kill it with all that it started."""
        process = self._process
        if process is None:
            return
        self._tell("stopping")
        if os.name != "nt" and not is_gateway(words(self._spec["command"])):
            process.terminate()  # a gateway watches its standard input; others may or may not
        if process.stdin is not None:
            process.stdin.close()
        drain = self._spec.get("drain", DRAIN)
        try:
            process.wait(drain)
        except subprocess.TimeoutExpired:
            self._log.say(f"it did not end within {drain:g} s and is killed")
        self._sweep(process)

    def _sweep(self, process: subprocess.Popen[bytes]) -> None:
        """Leave nothing of it."""
        kill(self._kept, self._state)
        process.kill()
        try:
            process.wait(KILLED)
        except subprocess.TimeoutExpired:
            self._log.say(f"process {process.pid} cannot be killed")
        if process.stdin is not None and not process.stdin.closed:
            process.stdin.close()
        if self._copying is not None:
            self._copying.join(LAST_WORDS)
        self._process = None

    def _tell(self, state: str, **more: Any) -> None:
        self._state.update(state=state, **more)
        try:
            write(self._kept.state, self._state)
        except OSError as error:
            self._log.say(f"cannot write {self._kept.state}: {error}")


def main(arguments: Sequence[str]) -> int:
    """Run `keep PATH NAME [--detached]`; return the exit code: 3 where there is a keeper already."""
    path, name, *options = arguments
    place = Place(path)
    try:
        kept = Kept(place, name)
    except Failed as error:
        sys.stderr.write(f"{error.what}: {error.hint}\n")
        return 2
    if "--detached" in options and sys.platform != "win32":
        if os.fork():
            return 0  # nobody's child: it stays when who asked for it goes
        os.setsid()
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(nothing, stream)
    os.chdir(place.path)
    kept.make_folder()
    end = time.monotonic() + ENTRY
    while True:
        with holding(kept.lock) as ours:
            if ours:
                return Keeper(place, kept).run()
        if time.monotonic() >= end:
            return 3
        time.sleep(POLL)

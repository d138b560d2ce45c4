"""The program: one request in, lines of JSON out.

The request is one line on the standard input: `{"do": NAME, "path": PATH, "who": WHO, ...}`. Each line of
the answer is `{"say": TEXT}`, `{"done": RESULT}` or `{"failed": {"what": TEXT, "hint": TEXT, "code": CODE}}`;
one of the last two ends it. The standard input stays open as long as somebody waits: when it ends, so does
the program, with all that it started; with `"beat": SECONDS` also when nothing comes on it for so long, and
there is a line `{"beat": 1}` in the answer now and then. An operation that changes the node holds its lock
meanwhile.
"""

from __future__ import annotations

import getpass
import json
import sys
import threading
import time
import traceback
from contextlib import nullcontext
from importlib import import_module
from typing import Any, cast

from .held import held
from .operations import OPERATIONS, Failed
from .place import Place
from .running import Ended, settle, watch
from .trouble import in_words, with_room

HOMES = {
    "build": "build",
    "bundle": "hub",
    "clock": "observe",
    "deploy": "deploy",
    "drift": "drift",
    "have": "incoming",
    "log": "history",
    "losses": "history",
    "observe": "observe",
    "probe": "probe",
    "received": "incoming",
    "record": "record",
    "release": "hub",
    "remove": "removal",
    "reset": "history",
    "revert": "history",
    "revision": "hub",
    "service": "services",
    "services": "services",
    "wheelhouse": "wheels",
    "windows": "windows",
    "windows-status": "windows",
}
"""The module that declares an operation. Nothing else is loaded for it: a packed program is compiled anew by
each run, and most of a short one was that."""
COMMANDS = {"keep": "keeper", "service": "services"}
"""The module whose `main` is run by hand, or by what keeps services, instead of over SSH."""
USAGE = """\
  service PATH status                              how the services of the node's folder PATH are
  service PATH start|stop|restart [NAME]           through their keepers; all of them without a name
  keep PATH NAME                                   keep a service running, until that is ended
without a command: one request on the standard input, as `mt5crs fleet` sends it
"""
BEAT = 10.0
"""Seconds after which we say again that we are there."""
LONGEST = 1 << 26
"""Bytes of a request."""
SILENCE = 3600
"""The most seconds of silence that a request may ask to be borne."""


def main() -> int:
    """Carry out the request on the standard input, or what the command line says; return the exit code."""
    if sys.argv[1:]:
        if sys.argv[1] not in COMMANDS or len(sys.argv) < 4:
            known = "needs more words" if sys.argv[1] in COMMANDS else "is no command"
            sys.stderr.write(f"{sys.argv[1]!r} {known}; there are:\n{USAGE}")
            return 2
        code: int = _module(COMMANDS[sys.argv[1]]).main(sys.argv[2:])
        return code
    try:
        line = sys.stdin.buffer.readline(LONGEST)
        request = _request(line)
        beats = request.pop("beat", 0.0)
        watch(sys.stdin.fileno(), beats)
        if beats:
            threading.Thread(target=_beat, daemon=True).start()
        _write({"done": _done(request)})
    except Ended:
        settle()
        return _failed(Failed("nobody waited for it any more", code="ended"))
    except BrokenPipeError:  # nobody reads
        return 1
    except Failed as error:
        return _failed(error)
    return 0


def _module(name: str) -> Any:
    return import_module(f".{name}", __package__)


def _done(request: dict[str, Any]) -> dict[str, Any]:
    place = Place(request.pop("path"), **request.pop("place", {}))
    name = request.pop("do")
    if name in HOMES:
        _module(HOMES[name])
    operation = OPERATIONS.get(name)
    if operation is None:
        raise Failed(f"there is no operation {name!r}", f"there are: {', '.join(HOMES)}", "request")
    lock = held(place, name, str(request.get("who") or _user())) if operation.changes else nullcontext()
    try:
        if operation.changes:
            for folder in (place.path, place.own):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with lock:
            return operation.run(place, request, lambda text: _write({"say": text}))
    except Failed as error:
        raise with_room(error, place) from error
    except BrokenPipeError:
        raise
    except OSError as error:
        raise in_words(error, place, _user()) from error
    except Exception as error:
        last = traceback.format_exc().strip().splitlines()[-8:]
        raise Failed(
            f"a defect in {name}: {type(error).__name__}: {error}", "\n".join(last), "defect"
        ) from error


def _request(line: bytes) -> dict[str, Any]:
    """Return a request that has what every request has.

    Raises:
        Failed: It has not: code `request`.
    """
    try:
        found: Any = json.loads(line)
    except (ValueError, RecursionError):
        found = None
    request = cast("dict[str, Any]", found if isinstance(found, dict) else {})
    if (
        not isinstance(request.get("do"), str)
        or not isinstance(request.get("path"), str)
        or not _is_beat(request.get("beat", 0.0))
        or request.get("place", {}) not in ({}, {"windows": False}, {"windows": True})
    ):
        raise Failed(
            "this is no request", 'one is a line such as {"do": "have", "path": "/opt/mt5-crs"}', "request"
        )
    return request


def _is_beat(value: Any) -> bool:
    """Return whether it is seconds for which silence may be borne; a watch for longer would be none."""
    return isinstance(value, (int, float)) and 0 <= value <= SILENCE


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # one without a name
        return "somebody"


def _failed(error: Failed) -> int:
    try:
        _write({"failed": {"what": error.what, "hint": error.hint, "code": error.code}})
    except BrokenPipeError:
        pass
    return 1


_WRITING = threading.Lock()


def _write(line: dict[str, Any]) -> None:
    with _WRITING:
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()


def _beat() -> None:
    """Say now and then that we are there."""
    try:
        while True:
            time.sleep(BEAT)
            _write({"beat": 1})
    except (OSError, ValueError):  # nobody reads
        return

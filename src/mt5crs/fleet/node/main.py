"""The program: one request in, lines of JSON out.

The request is one line on the standard input: `{"do": NAME, "path": PATH, ...}`. Each line of the answer is
one of `{"say": TEXT}`, `{"done": RESULT}`, `{"failed": {"what": TEXT, "hint": TEXT, "code": CODE}}`; one of
the last two ends it. The standard input stays open as long as somebody waits: when it ends, so does the
program, with all that it started.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from .operations import OPERATIONS, Failed
from .place import Place


def main() -> int:
    """Carry out the request on the standard input; return the exit code."""
    request = json.loads(sys.stdin.readline())
    try:
        place = Place(request.pop("path"), **request.pop("place", {}))
        _write(
            {"done": OPERATIONS[request.pop("do")].run(place, request, lambda text: _write({"say": text}))}
        )
    except Failed as error:
        _write({"failed": {"what": error.what, "hint": error.hint, "code": error.code}})
        return 1
    return 0


def _write(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()

"""Make docs/compatibility.md from the API table, the signatures and what is said here of differences.

python docs/compatibility.py            write the document
python docs/compatibility.py --check    say whether it is current
"""

import inspect
import json
from pathlib import Path

from page import make

from mt5crs import constants
from mt5crs.api import OFFICIAL
from mt5crs.arguments import History, Keywords, NoArguments, Request
from mt5crs.model import ARRAYS, Record
from mt5crs.operation import Kind, Operation

DOCS = Path(__file__).resolve().parent
DOCUMENT = DOCS / "compatibility.md"
PROGRAMS = DOCS / "programs.json"

EVERYWHERE = "exact: arguments, result, failure value, error"
DIFFERENCES = {
    "initialize": "`path` and `portable` are accepted and not used: the gateway's machine decides which terminal "
    "runs. `host` and `port` are ours. Where no gateway answers, the error is -10003 with our reason behind "
    "`IPC initialize failed, `. On an official terminal the password is not checked: the gateway never logs in "
    "for a client, it compares login and server.",
    "login": "Checks the account and never switches it under others; the password is checked by the simulated "
    "terminal alone.",
    "shutdown": "Ends this client's session; the terminal goes on for the others.",
    "symbol_select": "Counted per client: a symbol that another client watches stays visible.",
    "market_book_release": "Counted per client: another client's book stays.",
    "market_book_get": "None without this client's own `market_book_add`, also where another client has one.",
    "order_send": "Happens at most once. Where no answer comes the result is None with -10005, or the terminal's own "
    "error, and the order may have been executed: with a `key` of your own (an addition: `order_send(request, "
    "key=...)`) send it again under the same key until it is known. `mt5crs.Client` raises `OutcomeUnknown` there.",
    "copy_rates_range": "Large results come in chunks; one that stalls for the timeout fails as a whole.",
}
"""What a program could notice, by function."""

STYLES = {
    NoArguments: "no arguments",
    Keywords: "keywords",
    History: "two dates, or keywords",
    Request: "a dict, or its fields as keywords",
}
KINDS = {
    Kind.READ: "read",
    Kind.WATCH: "watch",
    Kind.SESSION: "session",
    Kind.TRADE: "trade",
    Kind.ADMIN: "admin",
}

HEAD = """# Compatibility

<!-- Made by docs/compatibility.py: change that, then run it. -->

`mt5crs.MetaTrader5` is the official `MetaTrader5` package, version 5.0.6231, on a gateway. `mt5crs run SCRIPT.py`
and `mt5crs shim install` make it the one that `import MetaTrader5` finds.

What is said here of the official package was read from its published wheel and its documentation; it could not be
run beside ours, for want of Windows and a terminal. `mt5crs conformance` can be: it runs the same rules against any
gateway and, on Windows, against the official package, and prints each difference.

## For all functions

- Argument errors come before the connection check, and the first wrong one wins.
- `last_error()` belongs to the process, is set to `(1, 'Success')` by each call, and costs no trip.
- A gateway that does not answer in time is `(-10005, 'IPC timeout')`, one that cannot be reached or a session that
  was not opened is `(-10004, 'No IPC connection')`; nothing is raised.
- Naive datetimes are local time of the program's process, as in the original.
- Calls of several threads run side by side; the original serialises them.
- A call waits as long as `MT5_TIMEOUT` says (5 s), the original as long as the terminal takes.

## Functions

| function | takes | kind | |
| --- | --- | --- | --- |
"""


def _takes(op: Operation[..., object]) -> str:
    style = next((text for kind, text in STYLES.items() if isinstance(op.signature, kind)), None)
    if style is not None:
        return style
    names = [name for name in inspect.signature(op.__wrapped__).parameters if name != "self"]
    return ", ".join(f"`{name}`" for name in names)


def _functions() -> list[str]:
    rows = [
        f"| `{op.name}` | {_takes(op)} | {KINDS[op.kind]} | {DIFFERENCES.get(op.name, EVERYWHERE)} |"
        for op in OFFICIAL.values()
    ]
    return [*rows, f"| `last_error` | no arguments | no trip | {EVERYWHERE} |"]


def _structures() -> list[str]:
    kinds = sorted(Record.__subclasses__(), key=lambda kind: kind.__name__)
    return [f"| `{kind.__name__}` | {kind.n_fields} |" for kind in kinds]


def _arrays() -> list[str]:
    return [
        f"| {array.name} | {array.itemsize} | {', '.join(f'`{name}` {kind}' for name, kind in array.fields)} |"
        for array in ARRAYS.values()
    ]


def _programs() -> list[str]:
    if not PROGRAMS.exists():
        return []
    told = json.loads(PROGRAMS.read_text(encoding="utf-8"))
    rows = [f"| {each['name']} | {each['version']} | {each['did']} |" for each in told]
    return [
        "",
        "## Programs",
        "",
        "Written for the official package, installed from the package index as they are, and run unchanged by",
        "`mt5crs run --simulated` in the tests (tests/programs):",
        "",
        "| program | version | what it did |",
        "| --- | --- | --- |",
        *rows,
    ]


def document() -> str:
    """Return the whole document."""
    numbers = [name for name in vars(constants) if name.isupper()]
    lines = [
        *_functions(),
        "| `Buy` `Sell` `Close` | as the original's Python helpers | trade | exact |",
        "",
        "## Structures",
        "",
        "Tuples with names, as CPython's structure sequences: index and attribute access, `_asdict`,",
        "`__match_args__`, `n_fields`, repr, equality; they refuse to be pickled, as the original's do.",
        "They are classes made in Python where the original's are made in C, so `type(x).__mro__` has one more.",
        "",
        "| structure | fields |",
        "| --- | --- |",
        *_structures(),
        "",
        "## Arrays",
        "",
        "One-dimensional, packed, read-only, owning their memory; an empty result is an empty array.",
        "",
        "| array | bytes in a row | fields |",
        "| --- | --- | --- |",
        *_arrays(),
        "",
        "## Constants",
        "",
        f"All {len(numbers)}, in `mt5crs.constants` and on the module.",
        *_programs(),
    ]
    return HEAD + "\n".join(lines) + "\n"


if __name__ == "__main__":
    raise SystemExit(make(DOCUMENT, document))

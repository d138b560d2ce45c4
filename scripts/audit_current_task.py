#!/usr/bin/env python3
"""Audit this project, or the release in this folder: what `mt5crs audit` holds, from a bare checkout.

    python3 scripts/audit_current_task.py

Needs nothing but a Python; what else it takes it finds in the environment of this folder (`.venv`, that of
the current release) and goes on there. Gate 1 is held always, gate 2 where there is a `fleet.toml` beside
it. `mt5crs audit` does the same, signs the report and writes the pages.

Exit codes: 0 the audit holds, 1 it does not, 2 something here is missing or wrong, 130 interrupted.
"""

# Python 3.9 must be able to read this file: only then can it be told why it is refused.
from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from mt5crs.fleet.audit.report import Report

FOLDER = Path(__file__).resolve().parent.parent
NEEDS = ("msgspec",)
"""What nothing can be done without."""
WANTS = (*NEEDS, "packaging")
"""What a better environment than this one has; on a node it may lack the last."""
WENT_ON = "MT5CRS_AUDIT_WENT_ON"
"""Set where another Python was found already: it looks for no third."""
GATES = "MT5CRS_AUDIT_GATES"
"""Set to 1 by who asks this node about itself alone, as `mt5crs fleet verify` does."""
PYTHON = Path("Scripts/python.exe" if os.name == "nt" else "bin/python")
OLDEST = (3, 10)


def audit_task_003() -> bool:
    """Audit this folder and print what was found; return whether the audit holds.

    Raises:
        ImportError: Something that it needs is missing.
        mt5crs.errors.BridgeError: The folder or its inventory cannot be used.
    """
    from mt5crs.fleet.audit.gates import audited
    from mt5crs.fleet.audit.tree import released

    # A release on a node never looks at the others: it is looked at by them.
    alone = os.environ.get(GATES) == "1" or released(FOLDER) is not None
    both = not alone and (FOLDER / "fleet.toml").is_file()
    report = audited(FOLDER, wanted=(1, 2) if both else (1,))
    _show(report)
    return report.holds


def main() -> int:
    """Audit, in the first environment that can; return the exit code."""
    went_on = WENT_ON in os.environ
    fits = sys.version_info >= OLDEST
    if fits and all(map(find_spec, NEEDS if went_on else WANTS)):
        return _audit()
    for environment in () if went_on else (FOLDER / ".venv", FOLDER / "current" / ".venv"):
        python = environment / PYTHON
        if python.is_file():
            command = [str(python), str(Path(__file__).resolve())]
            return subprocess.run(command, env={**os.environ, WENT_ON: "1"}, check=False).returncode
    if fits and all(map(find_spec, NEEDS)):
        return _audit()
    if not fits:
        version = ".".join(map(str, sys.version_info[:3]))
        _say(f"Python 3.10 or newer is needed, this is {version}: make one's environment here", sys.stderr)
    else:
        _say(f"{', '.join(NEEDS)} cannot be imported by {sys.executable}", sys.stderr)
    _say(f"  do: cd {FOLDER} && python3 -m venv .venv && {_PIP} -e '.[cli,fleet,secure]'", sys.stderr)
    return 2


_PIP = f"{Path('.venv') / PYTHON} -m pip install"


def _audit() -> int:
    sources = FOLDER / "src"
    if (sources / "mt5crs").is_dir():
        # Before an installed package, which may be of another version than this checkout.
        sys.path.insert(0, str(sources))
    try:
        from mt5crs.errors import BridgeError
    except ImportError as error:
        _say(f"mt5crs cannot be imported: {error}", sys.stderr)
        return 2
    try:
        return 0 if audit_task_003() else 1
    except ImportError as error:
        _say(f"{error.name} is needed: {sys.executable} -m pip install 'mt5crs[fleet,secure]'", sys.stderr)
    except BridgeError as error:
        _say(str(error), sys.stderr)
    return 2


def _show(report: Report) -> None:
    """Write what was found; the last line alone says enough for who asks from elsewhere."""
    from mt5crs.fleet.audit.report import counted, text, wrong

    plain = not (sys.stdout.encoding or "").lower().startswith("utf")
    for line in report.lines:
        _say(text(line, plain=plain))
        if line.remedy:
            _say(f"     do: {line.remedy}")
    for gate in report.gates:
        if not gate.held:
            _say(f"gate {gate.number} was not held here: `mt5crs audit` on HUB, where fleet.toml is, does")
    _say(
        f"{'it holds' if report.holds else 'it does not hold'}: {counted(report.lines)}{wrong(report.lines)}"
    )


def _say(text: str, stream: TextIO | None = None) -> None:
    stream = stream or sys.stdout
    encoding = stream.encoding or "ascii"
    print(text.encode(encoding, "backslashreplace").decode(encoding), file=stream, flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)

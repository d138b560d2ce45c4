"""Access control lists of Windows, by its own programs `icacls` and `whoami`; not run on Windows yet.

Tests play the two programs, after their documentation. `icacls FILE /save LIST` writes a line with the file's
name and a line of SDDL, in UTF-16.
"""

import csv
import functools
import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from mt5crs.private import NotPrivate, sddl

Run = Callable[[Sequence[str]], str]
"""Runs a program of the system and returns what it wrote."""


def run(arguments: Sequence[str]) -> str:
    """Run a program of Windows itself, found where Windows keeps them and nowhere else.

    Raises:
        OSError: It cannot be run, or failed.
    """
    program = Path(os.environ.get("SYSTEMROOT", r"C:\Windows"), "System32", f"{arguments[0]}.exe")
    done = subprocess.run(  # noqa: S603 - no shell, and a program of the system
        [str(program), *arguments[1:]], capture_output=True, text=True, errors="replace", check=False
    )
    if done.returncode:
        raise OSError(f"{arguments[0]} failed: {(done.stderr or done.stdout).strip()}")
    return done.stdout


@functools.cache
def own_sid(run: Run = run) -> str:
    """Return the SID of the user whose process this is.

    Raises:
        OSError: It cannot be told.
    """
    rows = list(csv.reader(run(("whoami", "/user", "/fo", "csv", "/nh")).splitlines()))
    if not rows or not re.fullmatch(r"S-1-[0-9-]+", rows[0][-1]):
        raise OSError("whoami does not tell the user's SID")
    return rows[0][-1]


def restrict(path: Path, run: Run = run) -> None:
    """Let nobody but its owner use a file or a folder, and what will be in that.

    Raises:
        OSError: It cannot be done.
    """
    grant = f"*{own_sid(run)}:{'(OI)(CI)' if path.is_dir() else ''}F"
    run(("icacls", str(path), "/inheritance:r", "/grant:r", grant))


def check(path: Path, run: Run = run) -> None:
    """Refuse a file that others can use.

    Raises:
        NotPrivate: Others can.
        OSError: It cannot be told.
    """
    path = path.resolve()
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder, "acl")
        run(("icacls", str(path), "/save", str(saved)))
        _, _, descriptor = saved.read_bytes().decode("utf-16").strip().partition("\n")
    others = sddl.strangers(descriptor, own_sid(run))
    if others:
        mend = f'icacls "{path}" /inheritance:r /grant:r *{own_sid(run)}:F'
        raise NotPrivate(path, f"can be read by others ({', '.join(others)})", mend)

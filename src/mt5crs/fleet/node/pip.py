"""An environment's Python, the pip that installs into it, and what their failures mean.

No environment has a pip of its own: to install that, and to compile it, took longer than all the rest of a
build. The one that comes with Python is unpacked once for all environments of a node.
"""

from __future__ import annotations

import os
import re
import sys
import sysconfig
import zipfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from .files import MIB, free
from .operations import Failed, Tell
from .place import Place
from .running import run

FOREIGN = ("PYTHON", "VIRTUAL_ENV", "__PYVENV", "MT5")
"""What the variables begin with that would lead a release's Python elsewhere."""
LONGEST = 1800.0
"""Seconds that one run of pip may take."""
NO_VENV = "install its venv module (on Debian: apt install python3-venv), or name another in the inventory"
INSTALL = (
    "install",
    "--no-compile",  # half of the time; what is used is compiled when it is first imported
    "--no-deps",
    "--require-hashes",
    "--only-binary",
    ":all:",
    "--no-input",
    "--retries",
    "2",
)
ERRORS = (
    (r"DO NOT MATCH THE HASHES|Hashes are required|hash mismatch", "hash",
     "a package is not the one that was locked", "lock again, or see who changes packages on the way: "
     "the environment was not touched by it"),
    (r"No space left|Errno 28|not enough space|Disk quota exceeded", "no-space",
     "there is no room for the packages", "make room on its disk"),
    (r"establish a new connection|name resolution|getaddrinfo|timed out|Connection (?:refused|reset)"
     r"|unreachable|ProxyError|SSLError|HTTPError|Could not fetch URL|Max retries", "no-index",
     "no package index can be reached",
     "set index = false for this node in the inventory: then it gets its packages from HUB"),
    (r"No matching distribution|is not a supported wheel", "no-package",
     "a package is not to be had for this Python",
     "lock for it, or name another interpreter in the inventory (python =)"),
)  # fmt: skip
"""What pip says, by kind, in the order in which it counts."""


def environment(*, own_index: bool = True) -> dict[str, str]:
    """Return the variables that a release's programs get.

    Args:
        own_index: Whether pip is to use what the node says of indexes; else it uses none.
    """
    foreign = FOREIGN if own_index else (*FOREIGN, "PIP_")
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(foreign)}
    if not own_index:
        kept["PIP_CONFIG_FILE"] = os.devnull
    kept["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
    kept["PYTHONUTF8"] = "1"
    return kept


def make_environment(folder: Path) -> None:
    """Make an environment of the Python that runs this, without a pip of its own.

    Raises:
        Failed: It cannot make any.
    """
    try:
        run([sys.executable, "-m", "venv", "--without-pip", folder], env=environment())
    except Failed as error:
        _no_room(error.hint, folder)
        raise Failed(
            f"{sys.executable} cannot make an environment: {_end(error)}", NO_VENV, "no-venv"
        ) from None


@cache
def program(place: Place) -> Path:
    """Return the pip that every Python of the node runs; it is unpacked, or mended, where it has to be.

    Raises:
        Failed: There is none to unpack.
    """
    wheel = _bundled()
    if wheel is None:
        raise Failed(f"{sys.executable} comes without pip", NO_VENV, "no-venv")
    folder = _folder(place, wheel)
    for name, content in _wrong(wheel, folder).items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = target.with_name(f".{target.name}.{os.getpid()}")
        draft.write_bytes(content)
        draft.replace(target)
    return folder / "pip"


def there(place: Place) -> Path | None:
    """Return a pip to ask without leaving anything behind, None where there is none."""
    wheel = _bundled()
    if wheel is None:
        return None
    folder = _folder(place, wheel)
    return (wheel if _wrong(wheel, folder) else folder) / "pip"


def _bundled() -> Path | None:
    """Return the wheel of pip that comes with Python; some distributions have it in a folder of their own."""
    try:
        import ensurepip
    except ImportError:
        return None
    folders = (sysconfig.get_config_var("WHEEL_PKG_DIR"), Path(ensurepip.__file__).parent / "_bundled")
    name = f"pip-{ensurepip.version()}-py3-none-any.whl"
    return next((path for folder in folders if folder and (path := Path(folder, name)).is_file()), None)


def _folder(place: Place, wheel: Path) -> Path:
    return place.own / wheel.name.partition("-py")[0]


def _wrong(wheel: Path, folder: Path) -> dict[str, bytes]:
    """Return what is not in a folder as it is in pip's wheel, which a power cut may have done.

    Its metadata stay away: else pip would take itself for a package of the environment.
    """
    with zipfile.ZipFile(wheel) as archive:
        packed = {name: archive.read(name) for name in archive.namelist() if name.startswith("pip/")}
    return {name: content for name, content in packed.items() if not _holds(folder / name, content)}


def _holds(path: Path, content: bytes) -> bool:
    try:
        return path.read_bytes() == content
    except OSError:
        return False


def install(place: Place, python: Path, arguments: Sequence[str], *, own_index: bool, tell: Tell) -> None:
    """Have pip install what is locked into an environment.

    Raises:
        Failed: It could not; the code says why.
    """

    def collecting(line: str) -> None:
        if line.startswith("Collecting "):
            tell(line.split(" (from", 1)[0].strip())

    command = [str(python), "-I", str(program(place)), *INSTALL, *arguments]
    try:
        run(command, collecting, timeout=LONGEST, env=environment(own_index=own_index))
    except Failed as error:
        if error.code == "timeout":
            raise
        _no_room(error.hint, python.parent.parent)
        for pattern, kind, what, hint in ERRORS:
            if re.search(pattern, error.hint, re.IGNORECASE):
                raise Failed(f"{what}: {_end(error)}", hint, kind) from None
        raise Failed(f"pip failed: {_end(error)}", error.hint, "pip") from None


def check(place: Place, python: Path) -> None:
    """Have pip look whether packages fit together.

    Raises:
        Failed: They do not.
    """
    try:
        run([python, "-I", program(place), "check"], env=environment())
    except Failed as error:
        raise Failed(f"packages do not fit together: {_end(error)}", "lock again", "pip-check") from None


def ask(
    python: Path,
    arguments: Sequence[str],
    folder: Path | None = None,
    variables: Mapping[str, str] | None = None,
) -> tuple[int, str]:
    """Run an environment's Python by itself; return its exit code, 1 for any error, and what it says.

    Of what it says before an error only the end is returned.

    Raises:
        Failed: It cannot be run, or takes too long.
    """
    command = [str(python), "-I", *arguments]
    try:
        return 0, run(command, timeout=LONGEST, env={**environment(), **(variables or {})}, cwd=folder)
    except Failed as error:
        if error.code == "timeout" or not python.exists():
            raise
        return 1, error.hint


def _no_room(output: str, folder: Path) -> None:
    """Raise Failed where there was no room; venv hides what pip said, so see what is left."""
    pattern, kind, what, hint = ERRORS[1]
    if re.search(pattern, output, re.IGNORECASE) or free(folder) < MIB:
        raise Failed(f"{what}: {free(folder) // MIB} MiB are free below {folder.parent}", hint, kind)


def _end(error: Failed) -> str:
    """Return what a program said last, in one line, without what pip says of itself."""
    lines = [line.strip() for line in error.hint.splitlines() if line and not line.startswith("[notice]")]
    errors = [line for line in lines if line.startswith("ERROR")]
    return " ".join((errors or lines)[-4:])[-600:]

"""`mt5crs shim`: let `import MetaTrader5` find the drop-in module in a virtual environment, for good."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from mt5crs.cli.report import Failure
from mt5crs.cli.run import SHIM

INSTALLER = "mt5crs"
"""What our distribution says of who installed it: nothing else is ever replaced or removed."""
NAMES = tuple(sorted(path.name for path in SHIM.iterdir() if path.name.startswith("MetaTrader5")))
"""The module's folder and its distribution metadata."""

_NO_CACHES = shutil.ignore_patterns("__pycache__")

_PROBE = """
import importlib.metadata, importlib.util, json, sys, sysconfig
try:
    found = importlib.metadata.distribution("MetaTrader5")
    official = (found.read_text("INSTALLER") or "").strip() != "mt5crs"
except importlib.metadata.PackageNotFoundError:
    official = importlib.util.find_spec("MetaTrader5") is not None
print(json.dumps({
    "folder": sysconfig.get_path("purelib"),
    "virtual": sys.prefix != sys.base_prefix,
    "official": official,
    "ours": importlib.util.find_spec("mt5crs") is not None,
}))
"""

app = typer.Typer(help="Let `import MetaTrader5` be ours in a virtual environment.", no_args_is_help=True)

PythonOption = Annotated[
    Path | None, typer.Option("--python", help="The environment's Python; this command's own without it.")
]


class Target(NamedTuple):
    """A virtual environment.

    Attributes:
        folder: Where its packages are.
        python: Its interpreter.
    """

    folder: Path
    python: Path


def register(parent: typer.Typer) -> None:
    """Add the group of commands."""
    parent.add_typer(app, name="shim")


@app.command()
def install(python: PythonOption = None) -> None:
    """Install the stand-in and its metadata, so that packages that require MetaTrader5 install, too."""
    target = _target(python)
    record: list[Path] = []
    for name in NAMES:  # the metadata comes last: it says that all is there
        shutil.copytree(
            SHIM / name,
            target.folder / name,
            dirs_exist_ok=True,
            ignore=shutil.ignore_patterns("__pycache__"),
        )
        record += [path for path in sorted((target.folder / name).rglob("*")) if path.is_file()]
    metadata = target.folder / next(name for name in NAMES if name.endswith(".dist-info"))
    lines = [f"{path.relative_to(target.folder).as_posix()},," for path in record if path.name != "RECORD"]
    (metadata / "RECORD").write_text("\n".join([*lines, f"{metadata.name}/RECORD,,", ""]), encoding="utf-8")
    typer.echo(f"in {target.folder}, `import MetaTrader5` is mt5crs now; `mt5crs shim remove` takes it back")


@app.command()
def remove(python: PythonOption = None) -> None:
    """Remove the stand-in; an official package is never touched."""
    target = _target(python)
    present = [target.folder / name for name in NAMES if (target.folder / name).exists()]
    for folder in present:
        shutil.rmtree(folder)
    typer.echo(f"removed from {target.folder}" if present else f"there was none in {target.folder}")


def _target(python: Path | None) -> Target:
    """Return the environment, or refuse one that must not be touched."""
    interpreter = python or Path(sys.executable)
    found = _probe(interpreter)
    folder = Path(found["folder"])
    if not found["virtual"]:
        raise Failure(
            f"{interpreter} is not of a virtual environment",
            hint="make one with `python3 -m venv`, install mt5crs there, and run this command in it",
            code=2,
        )
    if found["official"]:
        raise Failure(
            f"{folder} has the official MetaTrader5 package, which is left as it is",
            hint="use another virtual environment, or `mt5crs run`",
        )
    if not found["ours"]:
        raise Failure(f"mt5crs is not installed in {folder}", hint=f"{interpreter} -m pip install mt5crs")
    return Target(folder, interpreter)


def _probe(interpreter: Path) -> dict[str, Any]:
    try:
        answer = subprocess.run(  # noqa: S603 - the Python that the user names
            [str(interpreter), "-I", "-c", _PROBE], capture_output=True, text=True, check=True, timeout=60
        )
        found: dict[str, Any] = json.loads(answer.stdout)
    except (OSError, subprocess.SubprocessError, json.JSONDecodeError) as error:
        raise Failure(f"{interpreter} cannot be asked: {error}", code=2) from error
    return found

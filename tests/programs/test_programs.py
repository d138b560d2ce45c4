"""Programs from the package index, written for the official package, run unchanged on the drop-in module.

Each is installed from the index, never copied, into an environment where mt5crs is installed as a user would
do it and `mt5crs shim install` meets a requirement of MetaTrader5. Its driver, under
`mt5crs run --simulated`, uses the public interface that the program documents and asserts what came of it.
`docs/programs.json` is the record: versions, and what each did.
"""

import json
import os
import re
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.long
HERE = Path(__file__).resolve().parent
DRIVERS = HERE / "drivers"
INSTALL_PATIENCE = 300.0
RUN_PATIENCE = 60.0

PROGRAMS: list[dict[str, Any]] = json.loads((ROOT / "docs" / "programs.json").read_text(encoding="utf-8"))


def _runs_here(program: dict[str, Any]) -> bool:
    """Whether the program is published for this Python."""
    needed = tuple(int(part) for part in program.get("python", "3.10").split("."))
    return sys.version_info >= needed


def _run(command: list[str | Path], patience: float) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    return subprocess.run(
        command,
        env=environment | {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PYTHONUTF8": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        timeout=patience,
        check=False,
    )


@pytest.fixture(scope="session")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with mt5crs and every program, made once for all."""
    folder = tmp_path_factory.mktemp("programs") / "venv"
    venv.create(folder, with_pip=True, symlinks=os.name != "nt")
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    def install(*what: str | Path) -> None:
        constraints = ("-c", HERE / "constraints.txt")
        done = _run(
            [python, "-m", "pip", "install", "--quiet", "--no-compile", *constraints, *what], INSTALL_PATIENCE
        )
        assert done.returncode == 0, done.stdout

    install(f"{ROOT}[cli]")
    done = _run([python, "-m", "mt5crs", "shim", "install"], RUN_PATIENCE)
    assert done.returncode == 0, done.stdout
    install("-r", HERE / "requirements.txt")
    install("--no-deps", "-r", HERE / "requirements-alone.txt")
    return python


@pytest.mark.timeout(3 * INSTALL_PATIENCE)
def test_requirement_is_met(python: Path) -> None:
    """What pip installed to meet `MetaTrader5` is what mt5crs brings."""
    done = _run([python, "-m", "pip", "show", "MetaTrader5"], RUN_PATIENCE)
    assert done.returncode == 0, done.stdout
    assert "Name: MetaTrader5" in done.stdout
    assert "mt5crs" in done.stdout


@pytest.mark.timeout(3 * INSTALL_PATIENCE)
@pytest.mark.parametrize(
    "program", [each for each in PROGRAMS if _runs_here(each)], ids=lambda program: program["name"]
)
def test_program_runs(python: Path, program: dict[str, Any]) -> None:
    """A program does what its documentation shows, without a line changed, and ends well."""
    done = _run(
        [python, "-m", "mt5crs", "run", "--simulated", DRIVERS / program["driver"]],
        RUN_PATIENCE,
    )
    assert done.returncode == 0, done.stdout


def test_record_is_complete() -> None:
    """Every driver and every pinned program is in the record, at the version that is installed."""
    assert {program["driver"] for program in PROGRAMS} == {path.name for path in DRIVERS.glob("*.py")}
    pins = {
        name.lower(): version
        for file in ("requirements.txt", "requirements-alone.txt")
        for name, version in re.findall(r"^([\w-]+)==([\w.]+)", (HERE / file).read_text(), re.MULTILINE)
    }
    for program in PROGRAMS:
        assert pins[program["name"].lower()] == program["version"]

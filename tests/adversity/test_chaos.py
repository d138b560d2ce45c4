"""A small chaos run is good, and each of three defects makes it a bad one."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.adversity.chaos import FOUND
from tests.adversity.kills import ROOT

pytestmark = pytest.mark.long
LIMIT = 110.0


def chaos(folder: Path, *arguments: str) -> tuple[int, dict[str, Any], str]:
    """Return the exit code of a run, its report, and what it says."""
    told = folder / "report.json"
    command = [sys.executable, "-m", "tests.adversity.chaos", "--json", str(told), *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT, check=False)
    said = done.stdout + done.stderr
    assert told.exists(), said
    report: dict[str, Any] = json.loads(told.read_text())
    return done.returncode, report, said


def test_nothing_is_doubled_lost_or_unknown(tmp_path: Path) -> None:
    code, report, said = chaos(tmp_path, "--seed", "1", "--orders", "400")
    assert code == 0, said
    assert min(report["kills"].values()) >= 1
    assert report["unknown_at_first"] > 0


EXPOSED: list[tuple[str, str, list[str]]] = [
    ("no-journal", "doubled", ["--point", "before-reply", "--point", "filled", "--kills", "3"]),
    ("resend", "doubled", ["--point", "filled", "--kills", "8"]),
    ("no-reconcile", "unknown", ["--point", "filled", "--point", "before-outcome", "--kills", "3"]),
]


@pytest.mark.parametrize(("mutant", "wrong", "adversity"), EXPOSED, ids=[row[0] for row in EXPOSED])
def test_a_defect_is_noticed(tmp_path: Path, mutant: str, wrong: str, adversity: list[str]) -> None:
    told = ("--seed", "1", "--orders", "150", "--settling", "6", "--mutant", mutant)
    code, report, said = chaos(tmp_path, *told, *adversity)
    assert code == FOUND, said
    assert report[wrong], said

"""Processes that end at a named point, and defects that are put into them."""

import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from mt5crs.points import POINTS
from tests.adversity.kills import Fuse
from tests.adversity.mutants import MUTANTS

REACH = "from mt5crs import points\nfor point in points.POINTS * 20: points.reach(point)"


def run(fuse: Fuse, program: str = REACH, **options: Any) -> int:
    return subprocess.run(
        [sys.executable, "-c", program], env=fuse.environment(**options), check=False
    ).returncode


def test_a_process_ends_at_the_arrival_that_is_named(tmp_path: Path) -> None:
    fuse = Fuse(tmp_path)
    assert run(fuse, kill={"sent": [21]}) == 0
    assert run(fuse, kill={"sent": [3], "filled": [7]}) == -signal.SIGKILL
    assert fuse.kills() == Counter(sent=1)


def test_a_process_ends_with_the_likelihood_that_is_named(tmp_path: Path) -> None:
    fuse = Fuse(tmp_path)
    assert run(fuse, kill={"filled": 0.5}, seed=3) == -signal.SIGKILL
    assert run(fuse, kill={"filled": 0.0}) == 0
    assert fuse.kills() == Counter(filled=1)


@pytest.mark.parametrize("point", POINTS)
def test_one_process_ends_where_a_point_is_armed(tmp_path: Path, point: str) -> None:
    fuse = Fuse(tmp_path)
    fuse.arm(point)
    assert fuse.is_armed(point)
    assert [run(fuse), run(fuse)] == [-signal.SIGKILL, 0]
    assert not fuse.is_armed(point)
    assert fuse.kills() == Counter([point])


def test_nobody_ends_at_a_point_that_was_disarmed(tmp_path: Path) -> None:
    fuse = Fuse(tmp_path)
    fuse.arm("sent")
    assert [fuse.disarm("sent"), fuse.disarm("sent")] == [True, False]
    assert run(fuse) == 0


def test_without_the_variable_nothing_is_hooked(tmp_path: Path) -> None:
    environment = Fuse(tmp_path).environment()
    del environment["MT5CRS_TEST_CHAOS"]
    program = "import sys; from mt5crs import points; sys.exit(points.hook is not None)"
    assert subprocess.run([sys.executable, "-c", program], env=environment, check=False).returncode == 0


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_mutant_has_its_defect_and_others_have_not(tmp_path: Path, mutant: str) -> None:
    program = "\n".join(
        (
            "import sys",
            "from importlib import import_module",
            "from tests.adversity.mutants import MUTANTS",
            "spoilt = []",
            "for name, (module, _) in MUTANTS.items():",
            "    import_module(module)",
            "    if type(sys.modules[module].__spec__.loader).__name__ == '_Spoiling': spoilt.append(name)",
            f"sys.exit(spoilt != [{mutant!r}])",
        )
    )
    assert run(Fuse(tmp_path), program, mutant=mutant) == 0

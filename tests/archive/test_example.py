"""The example that trains on an archive runs, and its score is honest."""

import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.archive.making import MON, fill_all, trading, walk

SCRIPT = Path(__file__).resolve().parents[2] / "examples/train_on_archive.py"


def test_it_runs_on_an_archive(tmp_path: Path) -> None:
    fill_all(tmp_path, "EURUSD", walk(trading(MON, 26)), ("M1",))
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(tmp_path), "EURUSD", "--timeframe", "M5"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "scored on the" in done.stdout
    assert "baseline" in done.stdout
    failed = subprocess.run(
        [sys.executable, str(SCRIPT), str(tmp_path), "GBPUSD"], capture_output=True, text=True, check=False
    )
    assert (failed.returncode, "has no GBPUSD M1" in failed.stderr) == (2, True)


@pytest.mark.parametrize(("memory", "finds"), [(0.0, False), (-0.6, True)])
def test_it_finds_what_is_there_and_nothing_else(memory: float, finds: bool) -> None:
    example: dict[str, Any] = runpy.run_path(str(SCRIPT), run_name="example")
    rng = np.random.default_rng(5)
    returns = rng.normal(0, 1e-4, 6000)
    for place in range(1, len(returns)):
        returns[place] += memory * returns[place - 1]
    found = example["score"](np.exp(np.cumsum(returns)), 8)
    assert (found.model - found.baseline > 5 * found.error) is finds
    assert found.trained + found.tested == 6000 - 1 - 8


@pytest.mark.parametrize(
    ("closes", "lags", "said"),
    [
        ([1.0] * 5, 8, "5 bars are too few"),
        ([], 8, "0 bars are too few"),
        ([1.0, 2.0, 0.0, 3.0] * 9, 2, "no numbers above 0"),
        ([1.0, 2.0, float("nan"), 3.0] * 9, 2, "no numbers above 0"),
        ([1.0] * 50, 2, "0 bars that moved are too few"),
    ],
)
def test_it_says_what_is_no_use(closes: list[float], lags: int, said: str) -> None:
    example: dict[str, Any] = runpy.run_path(str(SCRIPT), run_name="example")
    with pytest.raises(SystemExit, match=said):
        example["score"](np.array(closes), lags)


def test_it_refuses_more_lags_than_it_can_have(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    example: dict[str, Any] = runpy.run_path(str(SCRIPT), run_name="example")
    with pytest.raises(SystemExit):
        example["main"]([str(tmp_path), "EURUSD", "--lags", str(10**18)])
    assert "--lags is 1 to 1000" in capsys.readouterr().err

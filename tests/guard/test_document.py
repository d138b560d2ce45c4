"""docs/guard.md is true: its table is the code's, its policy can be used, its commands exist."""

import subprocess
import sys

import pytest

from mt5crs.guard.policy import parse
from tests.conftest import ROOT
from tests.docs.test_documents import blocks, commands, known

GUARD = "docs/guard.md"


def test_the_table_of_limits_is_the_codes() -> None:
    done = subprocess.run(
        [sys.executable, "docs/guard.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_the_policy_of_the_guide_can_be_used() -> None:
    (policy,) = blocks(GUARD, "toml")
    assert set(parse(policy.encode(), "limits.toml").keys) == {"tim"}


@pytest.mark.parametrize("words", commands(GUARD), ids=" ".join)
def test_the_commands_of_the_guide_exist(words: list[str]) -> None:
    assert list(known(words)) == []

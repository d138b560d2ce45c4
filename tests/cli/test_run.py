"""`mt5crs run`: what it does not take."""

import pytest

from tests.cli.commands import Run


@pytest.mark.parametrize(
    "arguments",
    [
        ("--simulated", "--set", "seed=3", "bot.py"),
        ("--set=seed=3", "bot.py"),
        ("--set", "seed=3", "-m", "bot"),
    ],
)
def test_options_of_the_gateway_are_said_not_to_be_taken(run: Run, arguments: tuple[str, ...]) -> None:
    result = run("run", *arguments)
    assert result.code == 2
    assert "`mt5crs run` has no option --set\n" in result.err
    assert "start `mt5crs gateway` with them by itself" in result.err


def test_a_script_that_is_not_there_is_named(run: Run) -> None:
    result = run("run", "--simulated", "bot.py", "--set", "seed=3")
    assert (result.code, result.err) == (2, "error: there is no script bot.py\n")

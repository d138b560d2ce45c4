"""Commands run against one gateway for each module."""

import pytest

from mt5crs.cli import main
from tests.cli.commands import Outcome, Run
from tests.processes import Gateway


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in this process."""

    def run_(*arguments: str) -> Outcome:
        capsys.readouterr()
        try:
            code = main(arguments)
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        out, err = capsys.readouterr()
        return Outcome(code, out, err)

    return run_


@pytest.fixture
def ask(run: Run, gateway: Gateway) -> Run:
    """Run a command in this process with the module's gateway."""

    def ask_(*arguments: str) -> Outcome:
        return run(*arguments, "--port", str(gateway.port))

    return ask_

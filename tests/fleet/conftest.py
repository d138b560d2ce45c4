"""Machines for the tests of a module, and what they said where a test fails."""

from collections.abc import Generator, Iterator

import pytest

from tests.cli.conftest import run
from tests.fleet.machines import Machine
from tests.fleet.machines import machines as started
from tests.fleet.rollouts import fleet

__all__ = ("fleet", "machines", "run")
NAMES = ("hub", "gtw", "inf", "gpu")


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Machine]]:
    """A machine of each role, shared by the tests of a module."""
    with started(tmp_path_factory.mktemp("machines"), NAMES) as running:
        yield running


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the machines of a failed test said."""
    report = yield
    running = getattr(item, "funcargs", {}).get("machines")
    if report.when == "call" and report.failed and running:
        logs = "".join(f"--- {each.name} ---\n{each.log()[-4000:]}\n" for each in running.values())
        report.sections.append(("machines", logs))
    return report

"""What all tests share: no skipping in CI, no settings from outside, real gateways, recorded prices."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import Gateway

ROOT = Path(__file__).resolve().parent.parent
MOST_WORKERS = 16
DATA = ROOT / ".." / "shared" / "data"


@pytest.fixture(autouse=True)
def _no_settings_from_outside(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Neither the caller's environment nor a .env above the current directory decides a test."""
    for name in [name for name in os.environ if name.startswith("MT5_")]:
        monkeypatch.delenv(name)
    here = tmp_path_factory.mktemp("here")
    (here / ".env").touch()
    monkeypatch.chdir(here)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway process on the simulated terminal, shared by the tests of a module."""
    with Gateway(tmp_path_factory.mktemp("gateway")) as running:
        yield running


@pytest.fixture
def fresh_gateway(tmp_path: Path) -> Iterator[Gateway]:
    """A gateway process of the test's own."""
    with Gateway(tmp_path) as running:
        yield running


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Two for each core: most tests wait for a process more than they compute."""
    return min(2 * (os.cpu_count() or 1), MOST_WORKERS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put what is long first, lest one worker is still busy with it when all others are done."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of recorded prices."""
    if not DATA.is_dir():
        if os.environ.get("CI"):
            pytest.fail("the shared data folder is missing")
        pytest.skip("the shared data folder is not beside this checkout")
    return DATA


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say loudly what was skipped; in CI it is a failure (see `pytest_sessionfinish`)."""
    if os.environ.get("CI") and terminalreporter.stats.get("skipped"):
        terminalreporter.write_line("skipped tests are failures in CI", red=True)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Let no skip pass in CI."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED

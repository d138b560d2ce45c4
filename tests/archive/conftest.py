"""One terminal whose time stands still, for each module."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from mt5crs import Client
from tests.archive.pulls import pulled, still
from tests.cli.conftest import ask, run
from tests.processes import Gateway

__all__ = ["ask", "run"]


@pytest.fixture(scope="package")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway whose server time stands still."""
    with still(tmp_path_factory.mktemp("still")) as running:
        yield running


@pytest.fixture(scope="package")
def client(gateway: Gateway) -> Iterator[Client]:
    """A client of it."""
    with gateway.client() as client:
        yield client


@pytest.fixture(scope="package")
def whole(client: Client, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive that was pulled without interruption; nobody changes it."""
    root = tmp_path_factory.mktemp("whole") / "archive"
    pulled(client, root)
    return root

"""What a client measures of a real gateway, in a process of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.processes import PATIENCE, Gateway

MB = 1 << 20


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with Gateway(tmp_path_factory.mktemp("gateway")) as running:
        yield running


def run(folder: Path, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MT5_")}
    return subprocess.run(
        [sys.executable, "-m", "mt5crs.client.measure", *arguments],
        cwd=folder, env=inherited | environment, capture_output=True, text=True, timeout=PATIENCE,
        check=False,
    )  # fmt: skip


def told(folder: Path, *arguments: str, **environment: str) -> dict[str, Any]:
    done = run(folder, *arguments, **environment)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_a_client_measures_its_gateway(gateway: Gateway, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"MT5_HOST=127.0.0.1\nMT5_PORT={gateway.port}\n")
    answer = told(tmp_path, "20")
    assert answer["settings"]["port"] == [str(gateway.port), str(tmp_path / ".env")]
    assert answer["settings"]["keys"] == [None, "the default"]
    measured = answer["measured"]
    assert len(measured["rtts"]) == 20
    assert all(0 < each < 5000 for each in measured["rtts"])
    assert measured["lost"] == 0
    assert measured["software"].startswith("mt5crs/")
    assert measured["terminal"] == "simulated"
    assert measured["state"]["answers"] is True
    assert (measured["stream_port"], measured["streams"], measured["unread"]) == (
        gateway.stream_port,
        True,
        None,
    )


def test_a_gateway_that_stops_answering_is_told(tmp_path: Path) -> None:
    with Gateway(tmp_path, ("--fault", "wedge:operation=copy_rates_from_pos")) as stuck:
        measured = told(tmp_path, "2", MT5_PORT=str(stuck.port), MT5_TIMEOUT="0.5")["measured"]
    assert measured["unread"]["code"] in {"timeout", "outcome-unknown"}, measured["unread"]
    assert measured["memory"]["arrays"] is None


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_its_memory_is_that_of_a_client(gateway: Gateway, tmp_path: Path) -> None:
    memory = told(tmp_path, "5", MT5_PORT=str(gateway.port))["measured"]["memory"]
    # Less would be no client with numpy in it; more is what a client promises not to need.
    assert 10 * MB < memory["connected"] < memory["arrays"] <= memory["peak"] < 50 * MB


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    answer = told(tmp_path, "2", MT5_PORT="1", MT5_TIMEOUT="0.2")
    assert answer["failed"]["code"] == "timeout"
    assert "MT5_KEYS" in answer["failed"]["hint"]
    assert "measured" not in answer


def test_settings_that_cannot_be_used_are_told(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("MT5_HOST=192.168.x.x\n")
    wrong = told(tmp_path, "0")["wrong"]
    assert wrong["code"] == "setting"
    assert "MT5_HOST" in wrong["message"]
    assert "placeholder" in wrong["message"]


def test_without_pings_nobody_is_connected_to(tmp_path: Path) -> None:
    assert told(tmp_path, "0", MT5_PORT="1").keys() == {"settings"}


@pytest.mark.parametrize("arguments", [("many",), ("-1",), ("1001",), ("1", "2")])
def test_a_wrong_command_line_is_refused(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = run(tmp_path, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "a number from 0 to 1000" in done.stderr

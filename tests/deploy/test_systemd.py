"""The units: systemd reads them without a word, and finds little exposed."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mt5crs.fleet.node.services import systemctl

UNITS = Path(__file__).parents[2] / "deploy" / "systemd"
NAMES = ("mt5crs-gateway.service", "mt5crs-strategy@mean.service", "mt5crs-keeper@x.service")
EXPOSURE = 20
"""Tenths of ten; a unit without hardening has more than 90."""
PATIENCE = 60


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a root with the units, whose programs are there."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not on this machine (apt-get install systemd)")
    folder = tmp_path / "etc" / "systemd" / "system"
    shutil.copytree(UNITS, folder)
    home = tmp_path / "opt" / "mt5-crs"
    programs = home / "current" / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name in ("python", "mt5crs"):
        (programs / name).symlink_to("/bin/true")
    for unit in folder.glob("*.service"):
        text = unit.read_text().replace("/opt/mt5-crs", str(home))
        unit.write_text(text.replace("/usr/bin/python3", sys.executable))
    return tmp_path


def verified(root: Path, name: str) -> str:
    """Return what systemd has to say of a unit."""
    folder = root / "etc" / "systemd" / "system"
    template = re.sub("@.*[.]", "@.", name)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(folder / template)],
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{folder}:"},
        capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    return done.stderr + (f"exit code {done.returncode}" if done.returncode else "")


def exposed(root: Path, name: str) -> bool:
    """Return whether more of a unit is exposed than may be."""
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--no-pager", f"--root={root}",
         f"--threshold={EXPOSURE}", name],
        capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert "Overall exposure level" in done.stdout, done.stderr
    return done.returncode != 0


@pytest.mark.parametrize("name", NAMES)
def test_a_unit_is_understood_and_little_of_it_exposed(root: Path, name: str) -> None:
    assert verified(root, name) == ""
    assert not exposed(root, name)


def test_what_is_wrong_in_a_unit_would_be_noticed(root: Path) -> None:
    folder = root / "etc" / "systemd" / "system"
    unit = folder / NAMES[0]
    unit.write_text(unit.read_text().replace("Restart=on-failure", "Restarts=on-failure"))
    assert "Restarts" in verified(root, NAMES[0])
    shutil.rmtree(folder / "mt5crs-.service.d")
    assert exposed(root, NAMES[0])


def test_all_units_are_looked_at() -> None:
    assert {unit.name for unit in UNITS.glob("*.service")} == {re.sub("@.*[.]", "@.", name) for name in NAMES}


@pytest.mark.parametrize("name", ["gateway", "strategy@mean", "keeper@x"])
def test_a_service_of_the_inventory_is_its_unit(name: str) -> None:
    assert systemctl("start", name, root=True)[-1] in NAMES


def test_the_gateways_command_serves(tmp_path: Path) -> None:
    line = (UNITS / NAMES[0]).read_text().split("ExecStart=")[1].splitlines()[0].split()
    assert line[0] == "/opt/mt5-crs/current/.venv/bin/mt5crs"
    here = [sys.executable, "-m", "mt5crs"]
    environment = {**os.environ, "MT5_PORT": "0", "MT5_STREAM_PORT": "0"}
    subprocess.run([*here, "keys", "init"], cwd=tmp_path, check=True, capture_output=True, timeout=PATIENCE)
    with subprocess.Popen(
        [*here, *line[1:]], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True
    ) as gateway:  # fmt: skip
        assert gateway.stdout is not None
        assert gateway.stdout.readline().startswith("listening on tcp://127.0.0.1:")
        gateway.terminate()
        assert gateway.wait(PATIENCE) == 0
    assert {"journal.db", "account.state"} <= {file.name for file in tmp_path.iterdir()}

"""A node that only another leads to: all goes through that one's SSH server, which can read nothing of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from mt5crs.fleet import ssh
from tests.cli.commands import Run
from tests.fleet.machines import Machine, inventory
from tests.fleet.machines import machines as started

NAMES = ("hub", "gtw", "inf")


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Machine]]:
    """Machines of which INF drops what comes from us."""
    with started(tmp_path_factory.mktemp("machines"), NAMES, isolated=NAMES) as running:
        inf = running["inf"]
        inf.filter(inf.port, f"{inf.address.rpartition('.')[0]}.1")
        yield running


@pytest.fixture
def file(machines: dict[str, Machine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(ssh, "CONNECT", 5)
    file = tmp_path / "fleet.toml"
    file.write_text(inventory(machines).replace('role = "inf"', 'role = "inf"\nthrough = "hub"'))
    return file


def problems(run: Run, file: Path) -> dict[str, str]:
    return {each["node"]: each["problem"] for each in run("fleet", "status", "-i", str(file), "--json").json}


def test_it_is_not_reached_directly(file: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh, "CONNECT", 0.5)
    file.write_text(file.read_text().replace('through = "hub"\n', ""))
    found = problems(run, file)
    assert "does not answer" in found["inf"]
    assert not found["gtw"]


def test_it_is_reached_through_the_other(file: Path, run: Run) -> None:
    assert problems(run, file) == {"hub": "", "gtw": "", "inf": ""}


def test_its_own_host_key_is_held(machines: dict[str, Machine], file: Path, run: Run) -> None:
    hub, inf = machines["hub"], machines["inf"]
    file.write_text(file.read_text().replace(inf.host_key, "", 1))
    shown = run("fleet", "pin", "inf", "--yes", "-i", str(file))
    assert shown.code == 0, shown.err
    assert inf.host_key in file.read_text()
    pinned = file.read_text()
    file.write_text(pinned.replace(f'address = "{inf.address}"', f'address = "{hub.address}"'))
    result = run("fleet", "status", "-i", str(file))
    assert "its host key is SHA256:" in " ".join((result.out + result.err).split())


def test_pins_follow_each_other(machines: dict[str, Machine], file: Path, run: Run) -> None:
    keys = {name: machine.host_key for name, machine in machines.items()}
    text = file.read_text()
    for key in keys.values():
        text = text.replace(f'host_key = "{key}"', 'host_key = ""')
    file.write_text(text)
    alone = run("fleet", "pin", "inf", "--yes", "-i", str(file))
    assert alone.code == 1
    assert "inf: the way there is lost: hub: the inventory has no host key of it" in alone.err
    assert "mt5crs fleet pin hub" in alone.err
    assert run("fleet", "pin", "--all", "--yes", "-i", str(file)).code == 0
    assert all(key in file.read_text() for key in keys.values())
    file.write_text(text.replace('role = "hub"', 'role = "hub"\nthrough = "gtw"'))  # it comes before gtw
    assert run("fleet", "pin", "--all", "--yes", "-i", str(file)).code == 0
    assert all(key in file.read_text() for key in keys.values())


def test_a_key_that_no_inventory_may_have_is_not_written(
    machines: dict[str, Machine], file: Path, run: Run
) -> None:
    hub, inf = machines["hub"], machines["inf"]
    text = file.read_text().replace(inf.host_key, "").replace(f'"{inf.address}"', f'"{hub.address}"')
    file.write_text(text)
    result = run("fleet", "pin", "inf", "--yes", "-i", str(file))
    assert (result.code, "the same folder of the same machine" in result.err) == (2, True)
    assert file.read_text() == text


def test_what_is_off_is_told_apart_from_the_way_to_it(
    machines: dict[str, Machine], file: Path, run: Run
) -> None:
    hub, inf = machines["hub"], machines["inf"]
    where = f'address = "{inf.address}"\nport = '
    closed = file.read_text().replace(f"{where}22", f"{where}23")
    file.write_text(closed.replace('through = "hub"', 'through = "hub"\noptional = true'))
    off = run("fleet", "status", "-i", str(file)).err
    assert f"inf: off: hub finds no way to {inf.address} port 23: Connection refused" in off
    assert "hint: is it on, and does sshd run there?" in off
    config = hub.ssh / "sshd_config"
    before = config.read_text()
    try:
        config.write_text(before + "AllowTcpForwarding no\n")
        hub.stop()
        hub.start()
        result = run("fleet", "status", "-i", str(file))
        assert result.code == 1  # though it is optional: it would stay so when it is on
        assert f"inf: cannot be asked: hub may not lead to {inf.address} port 23" in result.err
        assert "AllowTcpForwarding" in result.err
    finally:
        config.write_text(before)
        hub.stop()
    try:
        result = run("fleet", "pin", "inf", "--yes", "-i", str(file))
        assert result.code == 1
        assert "inf: the way there is lost: hub: " in result.err
    finally:
        hub.start()

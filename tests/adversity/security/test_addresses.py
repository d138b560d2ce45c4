"""Addresses that may connect and others: on loopback, and from network namespaces, as from other machines."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from mt5crs.security.keys import create_client, create_gateway
from mt5crs.security.policy import Role
from tests.adversity.security.defences import environment
from tests.adversity.security.scene import Scene
from tests.cli.commands import MT5CRS, Outcome, process
from tests.cli.commands import environment as without_settings
from tests.processes import Gateway

PATIENCE = 30.0


def test_an_address_that_is_allowed_is_let_in(tmp_path: Path) -> None:
    """So that the attacks from others do not fail for want of a way."""
    scene = Scene(tmp_path)
    try:
        with scene.peer(scene.key_file(Role.OBSERVER), source="127.0.0.4") as peer:
            assert peer.greet()
    finally:
        scene.end()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_without_keys_only_this_machine_is_served(host: str, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    done = process("gateway", "--host", host, "--port", "0", "--stream-port", "0", "--ready-file", str(ready))
    assert done.code == 2
    assert "can be reached from other machines, and there are no keys" in done.err
    assert not ready.exists()


# ---- other machines ---------------------------------------------------------------------------------


class Network(NamedTuple):
    """Two namespaces beside this machine, each on a cable of its own.

    Attributes:
        machines: Their names.
        here: This machine's address on each cable.
        there: Theirs.
    """

    machines: tuple[str, str]
    here: tuple[str, str]
    there: tuple[str, str]

    def run(self, machine: int, *arguments: str, **env: str) -> Outcome:
        """Run a command on one of them."""
        done = subprocess.run(
            ["ip", "netns", "exec", self.machines[machine], *MT5CRS, *arguments],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            env=without_settings(**env),
            check=False,
        )
        return Outcome(done.returncode, done.stdout, done.stderr)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=PATIENCE)


def _can_have_namespaces() -> bool:
    """Whether this user may make them; root may, which a machine for tests has."""
    return sys.platform == "linux" and os.geteuid() == 0


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    if not _can_have_namespaces():
        pytest.skip("network namespaces are for root on Linux")
    tag = f"{os.getpid() % 100_000}"
    net = os.getpid() % 250  # of a range that is for tests
    here, there = ((f"198.18.{net}.{host}", f"198.19.{net}.{host}") for host in (1, 2))
    network = Network((f"mt5a{tag}", f"mt5b{tag}"), here, there)
    made: list[str] = []
    try:
        for machine, near, far in zip(*network, strict=True):
            _ip("netns", "add", machine)
            made.append(machine)
            cable = f"v{machine}"[:15]
            _ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", machine)
            _ip("addr", "add", f"{near}/24", "dev", cable)
            _ip("link", "set", cable, "up")
            _ip("-n", machine, "addr", "add", f"{far}/24", "dev", "eth0")
            _ip("-n", machine, "link", "set", "eth0", "up")
        yield network
    finally:
        for machine in made:  # the cables go with them
            _ip("netns", "del", machine)


def _serving(folder: Path, network: Network, *without: str) -> Gateway:
    policy = folder / "policy.toml"
    first, second = network.there
    policy.write_text(f'[addresses]\nallow = ["{first}", "198.19.0.0/16"]\ndeny = ["{second}"]\n')
    keys = folder / "keys"
    create_gateway(keys)
    create_client(keys, "tim", Role.ADMIN, folder / "tim.key")
    return Gateway(
        folder,
        ["--host", "0.0.0.0", "--keys", str(keys), "--policy", str(policy)],
        environment=environment(*without) if without else None,
    )


def _ping(network: Network, machine: int, gateway: Gateway, key: Path) -> Outcome:
    at = ("--host", network.here[machine], "--port", str(gateway.port), "--timeout", "2")
    return network.run(machine, "ping", "--count", "1", *at, MT5_KEYS=str(key))


def test_other_machines_are_let_in_by_their_addresses(network: Network, tmp_path: Path) -> None:
    with _serving(tmp_path, network) as gateway:
        allowed = _ping(network, 0, gateway, tmp_path / "tim.key")
        assert allowed.code == 0, allowed.err
        denied = _ping(network, 1, gateway, tmp_path / "tim.key")
        assert denied.code != 0
        assert "does not let tim in" in denied.err
        assert "or does not admit this address" in denied.err


def test_another_machine_without_a_key_is_told_to_have_one(network: Network, tmp_path: Path) -> None:
    with _serving(tmp_path, network) as gateway:
        at = ("--host", network.here[0], "--port", str(gateway.port), "--timeout", "2")
        told = network.run(0, "positions", *at)
        assert told.code != 0
        assert " wants keys" in told.err


def test_without_its_addresses_the_gateway_lets_both_in(network: Network, tmp_path: Path) -> None:
    with _serving(tmp_path, network, "addresses") as gateway:
        for machine in range(2):
            let_in = _ping(network, machine, gateway, tmp_path / "tim.key")
            assert let_in.code == 0, let_in.err

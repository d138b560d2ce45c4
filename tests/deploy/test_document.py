"""docs/deploy.md is true of the code."""

import re
import shlex
from pathlib import Path

import msgspec

from mt5crs.fleet.inventory import Role, Service
from mt5crs.fleet.node import keeper
from mt5crs.fleet.node.services import systemctl
from tests.deploy.test_systemd import UNITS
from tests.deploy.test_windows import SOURCE, parameters, parsed

TEXT = (Path(__file__).parents[2] / "docs" / "deploy.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT.replace("\n   ", "\n"), re.DOTALL)


def test_its_services_can_be_in_an_inventory() -> None:
    services = [msgspec.toml.decode(block).get("services", {}) for block in blocks("toml")]
    read = {name: msgspec.convert(one, Service) for each in services for name, one in each.items()}
    assert {name: one.manager for name, one in read.items()} == {
        "gateway": "keeper", "strategy@mean": "systemd"
    }  # fmt: skip


def test_each_client_gets_a_key_and_names_it() -> None:
    (recipe,) = (block for block in blocks("sh") if "keys init" in block)
    made = set(re.findall(r"keys new (\w+) --keys keys .*--out \1\.key", recipe))
    (sent,) = re.findall(r"for node in (.*); do", recipe)
    assert {each.partition(":")[0] for each in sent.split()} == made
    (named,) = (found for block in blocks("toml") if (found := msgspec.toml.decode(block).get("nodes")))
    assert named == {name: {"env": {"MT5_KEYS": f"keys/{name}.key"}} for name in made}
    assert made == {role.value for role in Role if role is not Role.GTW}


def test_sudo_allows_what_is_asked_for() -> None:
    allowed = re.findall(r"NOPASSWD: /usr/bin/(.+)", TEXT)
    assert allowed == [
        shlex.join(systemctl(verb, "strategy@mean", root=True)) for verb in ("start", "stop", "restart")
    ]


def test_the_gateways_command_is_the_scripts() -> None:
    command = re.search(r"DefaultCommand = '(.+)'", SOURCE.read_text())
    assert command is not None
    assert f'command = "{command[1]}"' in TEXT


def test_the_scripts_parameters_exist() -> None:
    known = set(parameters(parsed(SOURCE.read_bytes()))) | {"WhatIf"}
    calls = [
        line.split("mt5crs.ps1", 1)[1]
        for line in "\n".join(blocks("powershell")).splitlines()
        if "ps1" in line
    ]
    assert calls
    named = {word for call in calls for word in re.findall(r" -(\w+)", call)}
    named |= {
        word for words in re.findall(r"`(-[A-Z].+?)`", TEXT) for word in re.findall(r"-([A-Z]\w+)", words)
    }
    assert {"Clients", "Wheel", "Requirements", "WhatIf"} <= named <= known


def test_the_units_and_their_common_part_exist() -> None:
    named = re.findall(r"`(mt5crs-[\w@.-]*\.(?:service|service\.d/\w+\.conf))`", TEXT)
    assert len(named) == 5
    assert all((UNITS / name).is_file() for name in named if "NAME" not in name)


def test_the_numbers_are_the_keepers() -> None:
    assert f"within {keeper.LISTENS:g} s; anything else when it has run for {keeper.SETTLED:g} s" in TEXT
    assert (
        f"after {keeper.FIRST_PAUSE:g} s, twice that the next time, up to {keeper.LONGEST_PAUSE:g} s" in TEXT
    )
    assert keeper.PROVEN == 60  # "after a minute of running"
    assert f"{keeper.LARGEST >> 20} MiB and two older files" in TEXT
    assert keeper.OLDER == 2

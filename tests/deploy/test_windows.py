"""The script for Windows: parsed, never run here; and what the fleet sends."""

import asyncio
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tree_sitter_powershell
from msgspec.structs import replace
from tree_sitter import Language, Node, Parser, Tree

from mt5crs.errors import SettingError
from mt5crs.fleet import windows
from mt5crs.fleet.inventory import Fleet, Role
from mt5crs.fleet.node.operations import OPERATIONS, Failed
from mt5crs.fleet.node.place import Place
from mt5crs.fleet.ssh import NodeError

SOURCE = Path(__file__).parents[2] / "deploy" / "windows" / "mt5crs.ps1"
INVENTORY = """\
[nodes.hub]
role = "hub"
address = "10.0.0.2"
host_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g"

[nodes.gtw]
role = "gtw"
address = "10.0.0.3"
host_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyAh"
os = "windows"
path = "C:/mt5-crs"
user = "trader"
env = { MT5_STREAM_PORT = "6556" }

[nodes.inf]
role = "inf"
address = "10.0.0.5"
host_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fICEi"

[roles.gtw]
services = ["gateway", "other"]

[services.gateway]
command = 'mt5crs gateway --terminal official'

[services.other]
manager = "systemd"
"""
START = "powershell.exe -NoLogo -NoProfile -NonInteractive -ExecutionPolicy Bypass -File"


def parsed(source: bytes) -> Tree:
    return Parser(Language(tree_sitter_powershell.language())).parse(source)


def nodes(node: Node, kind: str = "") -> Iterator[Node]:
    """Return a node and all below it, those of a kind."""
    if kind in {"", node.type}:
        yield node
    for child in node.children:
        yield from nodes(child, kind)


def text(node: Node | None) -> str:
    assert node is not None
    assert node.text is not None
    return node.text.decode()


def wrong(tree: Tree) -> list[str]:
    """Return the places that are no PowerShell."""
    return [
        f"{node.start_point}: {text(node)}"
        for node in nodes(tree.root_node)
        if node.is_error or node.is_missing
    ]


def commands(tree: Tree) -> list[tuple[str, set[str]]]:
    """Return the commands that are called, with the names of their parameters."""
    return [
        (
            text(next(iter(nodes(command, "command_name")), None) or command.children[0]),
            {text(each).lower() for each in nodes(command, "command_parameter")},
        )
        for command in nodes(tree.root_node, "command")
    ]


@pytest.fixture(scope="module")
def tree() -> Tree:
    return parsed(SOURCE.read_bytes())


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    path = tmp_path / "fleet.toml"
    path.write_text(INVENTORY)
    return Fleet.read(path)


def test_it_is_powershell_in_ascii(tree: Tree) -> None:
    assert wrong(tree) == []
    assert (
        SOURCE.read_bytes().isascii()
    )  # Windows PowerShell 5.1 reads a file without a mark in the old code page


@pytest.mark.parametrize(
    ("good", "broken"),
    [
        (b"function Get-Release {", b"function Get-Release {{"),
        (b"if (-not $Wheel) {", b"if (-not $Wheel {"),
        (b"[string] $Path =", b"[string $Path ="),
    ],
)
def test_what_is_broken_would_be_noticed(good: bytes, broken: bytes) -> None:
    source = SOURCE.read_bytes()
    assert source.count(good) == 1
    assert wrong(parsed(source.replace(good, broken)))


def test_it_stops_at_the_first_error_and_knows_its_variables(tree: Tree) -> None:
    said = text(tree.root_node)
    assert "Set-StrictMode -Version 3.0" in said
    assert "$ErrorActionPreference = 'Stop'" in said
    assert "[CmdletBinding(SupportsShouldProcess)]" in said


def test_it_downloads_and_evaluates_nothing(tree: Tree) -> None:
    forbidden = {"invoke-expression", "iex", "invoke-webrequest", "invoke-restmethod", "iwr", "irm", "curl",
                 "wget", "start-bitstransfer", "add-type"}  # fmt: skip
    assert not forbidden & {name.lower() for name, _ in commands(tree)}
    members = {text(node).lower() for node in nodes(tree.root_node, "member_name")}
    assert not {"downloadstring", "downloadfile", "create"} & members
    assert "webclient" not in text(tree.root_node).lower()


def test_a_firewall_rule_always_names_who_may(tree: Tree) -> None:
    rules = [
        parameters
        for name, parameters in commands(tree)
        if name in {"New-NetFirewallRule", "Set-NetFirewallRule"}
    ]
    assert len(rules) == 2
    assert all("-remoteaddress" in parameters for parameters in rules)


def test_what_changes_asks_first(tree: Tree) -> None:
    """Each function that changes something is one that -WhatIf holds back."""
    changes = {"new-item", "move-item", "register-scheduledtask", "unregister-scheduledtask",
               "new-netfirewallrule", "set-netfirewallrule", "remove-netfirewallrule"}  # fmt: skip
    seen: set[str] = set()
    for function in nodes(tree.root_node, "function_statement"):
        for guarded in nodes(function, "if_statement"):
            if "$PSCmdlet.ShouldProcess" in text(guarded).split("{")[0]:
                seen |= {text(name).lower() for name in nodes(guarded, "command_name")}
    called = {name.lower() for name, _ in commands(tree)}
    assert changes <= called
    assert changes <= seen


def parameters(tree: Tree) -> dict[str, str]:
    """Return the script's parameters: names, and how they are declared."""
    block = next(nodes(tree.root_node, "param_block"))
    return {
        text(next(child for child in each.children if child.type == "variable")).removeprefix("$"): text(each)
        for each in nodes(block, "script_parameter")
    }


@pytest.mark.parametrize("do", ["install", "uninstall", "start", "stop", "restart", "status"])
def test_it_takes_what_the_fleet_sends(tree: Tree, fleet: Fleet, do: windows.Action) -> None:
    known = parameters(tree)
    for line in windows.arguments(fleet.nodes["gtw"], fleet, do):
        assert f"'{line[0]}'" in known["Do"]
        names = [word.removeprefix("-") for word in line[1:] if word.startswith("-")]
        assert names
        assert set(names) <= set(known)


def test_the_command_lines(fleet: Fleet) -> None:
    gtw = fleet.nodes["gtw"]
    assert windows.commands(gtw, fleet, "install") == [
        f"{START} C:/mt5-crs/.fleet/mt5crs.ps1 install -Path C:/mt5-crs -Service gateway "
        "-Clients 10.0.0.2,10.0.0.5 -Ports 5555,6556 -User trader"
    ]
    assert windows.commands(gtw, fleet, "restart") == [
        f"{START} C:/mt5-crs/.fleet/mt5crs.ps1 restart -Path C:/mt5-crs -Service gateway"
    ]
    assert windows.commands(fleet.nodes["inf"], fleet, "install") == []


def test_a_release_that_is_to_be_used_makes_the_first_keys_where_it_can(fleet: Fleet) -> None:
    gtw = fleet.nodes["gtw"]
    (line,) = windows.commands(gtw, fleet, "install", "1.0.0-0123456789ab")
    assert line.endswith(" -User trader -NewRelease 1.0.0-0123456789ab")
    roles = {**fleet.roles, Role.GTW: replace(fleet.roles[Role.GTW], extras=("cli",))}
    (line,) = windows.commands(gtw, replace(fleet, roles=roles), "install", "1.0.0-0123456789ab")
    assert line.endswith(" -User trader")


SET_UP = windows.Status(
    "C:/mt5-crs", "1.0.0-0123456789ab", has_keys=True, is_private=True, task="Running",
    clients=("10.0.0.5/255.255.255.255", "10.0.0.2"), ports=("6556", "5555"),
)  # fmt: skip


def test_what_the_script_tells_is_what_is_understood(tree: Tree) -> None:
    told = next(each for each in nodes(tree.root_node, "function_statement") if "Show-Status" in text(each))
    keys = [text(each) for each in nodes(next(nodes(told, "hash_literal_expression")), "key_expression")]
    assert keys == list(windows.Status.__struct_fields__)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({}, ()),
        ({"has_keys": False}, ()),  # they may be elsewhere: what runs has some
        ({"has_keys": False, "release": ""}, ("it has no keys yet",)),
        ({"is_private": False}, ("its folder is not for its user alone",)),
        ({"task": None}, ("the task mt5crs-gateway is not there",)),
        ({"task": "Disabled"}, ("the task mt5crs-gateway is disabled",)),
        ({"clients": ("Any",)}, ("the firewall rule admits Any to 6556, 5555",)),
        ({"clients": (), "ports": ()}, ("the firewall rule admits nobody to no port",)),
        ({"ports": ("5555",)}, ("the firewall rule admits 10.0.0.5/255.255.255.255, 10.0.0.2 to 5555",)),
    ],
)
def test_what_is_not_as_install_makes_it(
    fleet: Fleet, changes: dict[str, Any], what: tuple[str, ...]
) -> None:
    assert windows.missing(fleet.nodes["gtw"], fleet, [replace(SET_UP, **changes)]) == what


def test_a_client_with_a_name_is_named(fleet: Fleet) -> None:
    named = {**fleet.nodes, "inf": replace(fleet.nodes["inf"], address="inf.example")}
    with pytest.raises(SettingError, match="needs the IP address of inf, not 'inf.example'"):
        windows.missing(fleet.nodes["gtw"], replace(fleet, nodes=named), [SET_UP])


def test_the_firewall_rule() -> None:
    assert windows.firewall_rule(["5555", "5556"], ["10.0.0.5", "10.1.0.0/16", "fd00::5", "10.0.0.5"]) == (
        "New-NetFirewallRule -Name mt5crs-gateway -DisplayName 'MT5-CRS gateway' -Direction Inbound "
        "-Action Allow -Protocol TCP -LocalPort 5555,5556 -RemoteAddress 10.0.0.5,10.1.0.0/16,fd00::5"
    )


@pytest.mark.parametrize(
    "clients", [[], ["Any"], ["0.0.0.0/0"], ["::/0"], ["0.0.0.0"], ["inf.example"], ["1.2.3.4; x"]]
)
def test_a_rule_for_everybody_is_refused(clients: list[str]) -> None:
    with pytest.raises(SettingError):
        windows.firewall_rule(["5555"], clients)


def test_the_script_is_the_one_in_the_checkout_and_in_the_wheel() -> None:
    assert windows.script() == SOURCE.read_bytes()
    project = (SOURCE.parents[2] / "pyproject.toml").read_text()
    assert '"deploy/windows/mt5crs.ps1" = "mt5crs/fleet/mt5crs.ps1"' in project


class Told:
    """A node that has an operation run in this process."""

    def __init__(self, fleet: Fleet, place: Place) -> None:
        self.node = fleet.nodes["gtw"]
        self.place = place

    async def ask(self, operation: str, tell: Any = print, **request: Any) -> dict[str, Any]:
        return OPERATIONS[operation].run(self.place, request, tell)

    async def put(self, content: bytes) -> str:
        (self.place.incoming / "digest").write_bytes(content)
        return "digest"

    async def send(self, source: object, path: str, sha256: str, size: int) -> None:
        raise NotImplementedError


@pytest.fixture
def told(fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Told:
    """A node where powershell.exe is a program that tells what it was asked."""
    place = Place(tmp_path / "node")
    place.incoming.mkdir(parents=True)
    program = tmp_path / "powershell.exe"
    program.write_text(
        f"#!{sys.executable}\nimport sys\nprint(*sys.argv[1:], sep='|')\n"
        "if 'uninstall' in sys.argv:\n"
        "    sys.stderr.write('it needs an administrator\\nhint: log in as one\\n')\n    sys.exit(2)\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return Told(fleet, place)


def test_the_script_is_sent_and_run(told: Told, fleet: Fleet) -> None:
    heard: list[str] = []
    asyncio.run(windows.apply(told, fleet, "restart", heard.append))
    script = told.place.own / "mt5crs.ps1"
    assert script.read_bytes() == SOURCE.read_bytes()
    assert heard == [
        f"-NoLogo|-NoProfile|-NonInteractive|-ExecutionPolicy|Bypass|-File|{script}"
        "|restart|-Path|C:/mt5-crs|-Service|gateway"
    ]


def test_what_the_script_refuses_is_told(told: Told, fleet: Fleet) -> None:
    with pytest.raises(Failed) as refused:
        asyncio.run(windows.apply(told, fleet, "uninstall", print))
    assert refused.value.what == "mt5crs.ps1 uninstall: it needs an administrator"
    assert refused.value.hint == "log in as one"


def test_what_it_tells_and_is_not_understood_is_said(told: Told, fleet: Fleet) -> None:
    found = asyncio.run(windows.look(fleet, [told]))["gtw"]
    assert isinstance(found, NodeError)
    assert "mt5crs.ps1 status tells what is not understood" in found.message


def test_without_powershell_that_is_said(told: Told, fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(Failed, match="powershell.exe is not on this machine"):
        asyncio.run(windows.apply(told, fleet, "restart", print))

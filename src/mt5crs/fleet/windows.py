"""What a Windows node is sent: `mt5crs.ps1`, which makes folder, keys, firewall rule and scheduled task.

Nothing of this was run on Windows yet: the script is parsed and its command lines are checked by tests.
"""

import asyncio
import ipaddress
import json
import subprocess
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import msgspec

from mt5crs.errors import SettingError
from mt5crs.firewall import is_address, windows_rule
from mt5crs.fleet.answers import answered
from mt5crs.fleet.facts import Output
from mt5crs.fleet.inventory import Fleet, Node, Role
from mt5crs.fleet.node.windows import POWERSHELL, SCRIPT
from mt5crs.fleet.ssh import NodeError, Remote, Tell

Action = Literal["install", "uninstall", "start", "stop", "restart", "status"]
PORTS = {"MT5_PORT": "5555", "MT5_STREAM_PORT": "5556"}
"""The variables of a gateway's ports, and what they are without these."""
HERE = Path(__file__).parents[3] / "deploy" / "windows"
"""Where the script is in a checkout; a wheel has it beside this module."""


class Status(msgspec.Struct, frozen=True):
    """What the script's `status` tells of a service.

    Attributes:
        path: The node's folder.
        release: The release in use; "" for none.
        has_keys: Whether the folder has keys.
        is_private: Whether the folder is there, with rights of its own.
        task: How the scheduled task is; None where there is none.
        clients: Who may connect, as the firewall rule has it; nobody where it is off.
        ports: The ports that it is for.
        service: What the service's keeper tells; None where there is none.
    """

    path: str
    release: str
    has_keys: bool
    is_private: bool
    task: str | None
    clients: tuple[str, ...]
    ports: tuple[str, ...]
    service: Any = None


@cache
def script() -> bytes:
    """Return the script."""
    packaged = files("mt5crs.fleet") / SCRIPT
    return packaged.read_bytes() if packaged.is_file() else (HERE / SCRIPT).read_bytes()


def addresses(clients: Sequence[str]) -> list[str]:
    """Return addresses and networks as a firewall rule has them, each once.

    Raises:
        SettingError: There are none, one is no address, or is everybody's.
    """
    if not clients:
        raise SettingError(
            "the gateway has no clients that its firewall rule could name",
            hint="give the addresses of the nodes that use it",
        )
    for each in clients:
        try:
            network = ipaddress.ip_network(each, strict=False)
        except ValueError:
            raise SettingError(
                f"a firewall rule needs addresses, not {each!r}",
                hint="set the node's address to its IP address, or a network such as 10.0.0.0/24",
            ) from None
        if network.prefixlen == 0 or network.network_address.is_unspecified:
            raise SettingError(f"{each} is everybody: the gateway's ports are for its clients alone")
    return list(dict.fromkeys(clients))


def ports(node: Node, fleet: Fleet) -> list[str]:
    """Return the ports of a node's gateway."""
    env = fleet.env(node)
    return [env.get(name, default) for name, default in PORTS.items()]


def clients(fleet: Fleet) -> list[str]:
    """Return the addresses of those who use the gateway.

    Raises:
        SettingError: One of them has a name in place of an address.
    """
    using = [node for node in fleet.nodes.values() if node.role is not Role.GTW]
    for node in using:
        if not is_address(node.address):
            raise SettingError(
                f"the firewall rule of {fleet.gateway.name} needs the IP address of {node.name}, not "
                f"{node.address!r}",
                hint=f"write that as the address of [nodes.{node.name}] in the inventory",
            )
    return addresses([node.address for node in using])


def kept(node: Node, fleet: Fleet) -> list[str]:
    """Return the services that the script sets up on a node: a gateway's, on Windows, that a keeper keeps."""
    if node.os != "windows" or node.role is not Role.GTW:
        return []
    return [name for name, each in fleet.services_of(node).items() if each.manager == "keeper"]


def firewall_rule(ports: Sequence[str], clients: Sequence[str]) -> str:
    """Return the PowerShell command that lets clients reach the gateway's ports, and nobody else.

    Raises:
        SettingError: There are no clients, one is no address, or is everybody's.
    """
    return windows_rule(ports, addresses(clients))


def arguments(node: Node, fleet: Fleet, do: Action, release: str = "") -> list[list[str]]:
    """Return the arguments of the script, for each of the services in `kept`.

    Lists are one word with commas: `powershell.exe -File` does not make arrays of its arguments. A release
    that is about to be used makes the first keys, if it can.

    Raises:
        SettingError: See `clients`.
    """
    lines: list[list[str]] = []
    for name in kept(node, fleet):
        line = [do, "-Path", node.path, "-Service", name]
        if do == "install":
            line += ["-Clients", ",".join(clients(fleet)), "-Ports", ",".join(ports(node, fleet))]
            line += ["-User", node.user] if node.user else []
            line += ["-NewRelease", release] if release and "secure" in fleet.extras(node) else []
        lines.append(line)
    return lines


def commands(node: Node, fleet: Fleet, do: Action, release: str = "") -> list[str]:
    """Return the same as command lines, for people and for `--dry-run`.

    Raises:
        SettingError: See `clients`.
    """
    return [
        subprocess.list2cmdline([*POWERSHELL, f"{node.path}/.fleet/{SCRIPT}", *line])
        for line in arguments(node, fleet, do, release)
    ]


def missing(node: Node, fleet: Fleet, found: Iterable[Status]) -> tuple[str, ...]:
    """Return what on a node is not as `install` makes it, in words.

    Raises:
        SettingError: See `clients`.
    """
    wanted = _networks(clients(fleet)), set(ports(node, fleet))
    told: list[str] = []
    for name, each in zip(kept(node, fleet), found, strict=True):
        have = _networks(each.clients), set(each.ports)
        admits = f"{', '.join(each.clients) or 'nobody'} to {', '.join(each.ports) or 'no port'}"
        task = "is disabled" if each.task else "is not there"
        told += [
            what
            for what, wrong in (
                ("its folder is not for its user alone", not each.is_private),
                (f"the firewall rule admits {admits}", have != wanted),
                (f"the task mt5crs-{name} {task}", each.task in {None, "Disabled"}),
                ("it has no keys yet", not (each.has_keys or each.release)),
            )
            if wrong
        ]
    return tuple(dict.fromkeys(told))


def _networks(addresses: Iterable[str]) -> set[object]:
    """Return addresses in one form, whichever of theirs Windows tells; any other text as it is."""

    def form(text: str) -> object:
        try:
            return ipaddress.ip_network(text, strict=False)
        except ValueError:
            return text

    return {form(text) for text in addresses}


async def statuses(remote: Remote, fleet: Fleet) -> list[Status]:
    """Return what the script's `status` tells of each service in `kept`; it is sent where it is not there.

    Raises:
        NodeError: It tells nothing.
    """
    sha256 = await remote.put(script())
    found: list[Status] = []
    for line in arguments(remote.node, fleet, "status"):
        answer = await remote.ask("windows-status", script=sha256, arguments=line)
        output = answered(remote.node.name, answer, Output).output
        try:
            found.append(msgspec.convert(json.loads(output), Status))
        except ValueError as error:
            raise NodeError(
                remote.node.name, f"{SCRIPT} status tells what is not understood: {error}"
            ) from None
    return found


async def look(fleet: Fleet, remotes: Iterable[Remote]) -> dict[str, list[Status] | NodeError]:
    """Return what the script tells on each node that it sets up, by name."""

    async def one(remote: Remote) -> list[Status] | NodeError:
        try:
            return await statuses(remote, fleet)
        except NodeError as error:
            return error

    on = [remote for remote in remotes if kept(remote.node, fleet)]
    found = await asyncio.gather(*(one(remote) for remote in on))
    return {remote.node.name: each for remote, each in zip(on, found, strict=True)}


async def apply(
    remote: Remote, fleet: Fleet, do: Action, tell: Tell = lambda _text: None, release: str = ""
) -> list[dict[str, Any]]:
    """Send the script to a Windows node and run it there, for each of its services; return what it wrote.

    Raises:
        SettingError: See `clients`.
        NodeError: It was not done.
    """
    lines = arguments(remote.node, fleet, do, release)
    sha256 = await remote.put(script())
    return [await remote.ask("windows", tell, script=sha256, arguments=line) for line in lines]

"""The inventory, `fleet.toml`: which nodes there are, and what each needs."""

from enum import Enum
from pathlib import Path
from typing import Literal

from msgspec import Struct, field

from mt5crs.errors import SettingError

NAME = "fleet.toml"


class Role(str, Enum):
    """What a node is for, in the order in which a release comes to them."""

    HUB = "hub"
    GTW = "gtw"
    INF = "inf"
    GPU = "gpu"


STAGES = tuple(Role)
"""A release comes to gateways before their clients: a gateway also speaks the protocol before its own."""


EXTRAS: dict[Role, tuple[str, ...]] = {
    Role.HUB: ("cli", "secure", "fleet"),
    Role.GTW: ("cli", "secure"),
    Role.INF: ("cli", "secure"),
    Role.GPU: ("cli", "secure", "archive"),
}
"""Extras of a role where the inventory names none; a gateway on Windows gets `official` too."""
PORT = "5555"
"""The gateway's port where nobody says another."""


class Needs(Struct, frozen=True, forbid_unknown_fields=True):
    """What nodes of a role need.

    Attributes:
        extras: Extras of the package; those in `EXTRAS` where there are none here.
        env: Lines of `.env` that are ours, by variable.
        services: Names of the services that run there.
    """

    extras: tuple[str, ...] | None = None
    env: dict[str, str] = field(default_factory=dict)
    services: tuple[str, ...] = ()


class Service(Struct, frozen=True, forbid_unknown_fields=True):
    """A program that runs on a node all the time.

    Attributes:
        command: Its command, begun in the node's folder; `mt5crs` and `python` are the current release's.
        manager: What keeps it running: our own keeper (on Windows below a scheduled task), or systemd, where
            it is the unit `mt5crs-NAME.service`.
        drain: Seconds that it is given to end what it has begun.
    """

    command: str = ""
    manager: Literal["keeper", "systemd"] = "keeper"
    drain: float = 30.0


class Node(Struct, frozen=True, forbid_unknown_fields=True):
    """A machine.

    Attributes:
        role: What it is for.
        address: Where SSH finds it.
        host_key: Its SSH host keys, as in `known_hosts` without the address; no other is accepted.
        port: Of SSH.
        user: Whom we log in as.
        ssh_key: The private key to log in with, relative to the inventory; without it those of an SSH agent
            and the usual files.
        path: The folder of the releases; `C:/mt5-crs` on Windows where the file names none.
        os: `linux` or `windows`.
        optional: Whether it may be off: that is told, and is no error.
        index: Whether it reaches a package index; one that does not gets its packages from HUB.
        python: Its interpreter, of which releases are made; `python` on Windows where the file names none.
        extras: Besides those of its role.
        env: Besides that of its role, or other than that.
        services: In place of those of its role.
        gateway: Of GTW: where its clients reach the gateway; `address` without it.
        through: The node whose SSH server leads to it, at `address` as it is seen from there; "" without.
        name: Its name; the table's name in the file.
    """

    role: Role
    address: str
    host_key: str | tuple[str, ...] = ()
    port: int = 22
    user: str = ""
    ssh_key: str = ""
    path: str = "/opt/mt5-crs"
    os: Literal["linux", "windows"] = "linux"
    optional: bool = False
    index: bool = True
    python: str = "python3"
    extras: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    services: tuple[str, ...] | None = None
    gateway: str = ""
    through: str = ""
    name: str = ""


class Source(Struct, frozen=True, forbid_unknown_fields=True):
    """Where releases come from: a git repository on HUB, or a wheel there.

    Attributes:
        repository: The repository on HUB, relative to HUB's path.
        revision: The revision of record: a branch, a tag or a commit.
        wheel: A wheel on HUB instead.
    """

    repository: str = "."
    revision: str = "main"
    wheel: str = ""


class Fleet(Struct, frozen=True, forbid_unknown_fields=True):
    """The inventory.

    Attributes:
        nodes: By name.
        source: Where releases come from.
        roles: What each role needs.
        services: Services, by name.
        on_failure: Whether a rollout stops at a node that fails, or goes on with the others.
        keep: How many releases a node keeps, besides the current one.
        checks: Python files with checks of the project's own, relative to the inventory.
        folder: Where the inventory is; relative paths start there.
    """

    nodes: dict[str, Node]
    source: Source = Source()
    roles: dict[Role, Needs] = field(default_factory=dict)
    services: dict[str, Service] = field(default_factory=dict)
    on_failure: Literal["stop", "continue"] = "stop"
    keep: int = 3
    checks: tuple[str, ...] = ()
    folder: str = "."

    @classmethod
    def read(cls, path: Path) -> "Fleet":
        """Read an inventory.

        Raises:
            SettingError: It is not there, or not right; says where and what would be.
        """
        from mt5crs.fleet.validation import fleet_of

        try:
            content = path.read_bytes()
        except OSError as error:
            raise SettingError(
                f"{path} cannot be read: {error.strerror or error}", hint="`mt5crs fleet init` makes one"
            ) from None
        return fleet_of(path, content)

    @property
    def hub(self) -> Node:
        """The node that has the releases."""
        return next(node for node in self.nodes.values() if node.role is Role.HUB)

    @property
    def gateway(self) -> Node:
        """The node whose gateway the others use."""
        return next(node for node in self.nodes.values() if node.role is Role.GTW)

    def extras(self, node: Node) -> tuple[str, ...]:
        """Return the extras that a node needs, sorted: its role's (else those in `EXTRAS`) and its own."""
        needed = self._needs(node).extras
        if needed is None:
            needed = EXTRAS[node.role] + (
                ("official",) if node.role is Role.GTW and node.os == "windows" else ()
            )
        return tuple(sorted({*needed, *node.extras}))

    def env(self, node: Node) -> dict[str, str]:
        """Return the lines of `.env` that are ours on a node, by variable.

        Where the inventory does not say it, clients find the gateway: `MT5_HOST` is GTW's `gateway`, or else
        its address, and the ports are those that GTW's own lines name, or else the usual ones. GTW itself
        gets what the inventory says alone.
        """
        own = {**self._needs(node).env, **node.env}
        if node.role is Role.GTW:
            return own
        gateway = self.gateway
        served = self.env(gateway)
        found = {"MT5_HOST": gateway.gateway or gateway.address, "MT5_PORT": served.get("MT5_PORT", PORT)}
        if "MT5_STREAM_PORT" in served:
            found["MT5_STREAM_PORT"] = served["MT5_STREAM_PORT"]
        return {**found, **own}

    def way(self, node: Node) -> tuple[Node, ...]:
        """Return the nodes that lead to a node by `through`, from the nearest to us on."""
        return (*self.way(before), before) if (before := self.nodes.get(node.through)) else ()

    def services_of(self, node: Node) -> dict[str, Service]:
        """Return the services of a node, by name."""
        names = self._needs(node).services if node.services is None else node.services
        return {name: self.services[name] for name in names}

    def _needs(self, node: Node) -> Needs:
        return self.roles.get(node.role, Needs())

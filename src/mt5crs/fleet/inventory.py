"""The inventory, `fleet.toml`: which nodes there are, and what each needs."""

from enum import Enum
from pathlib import Path
from typing import Literal

import msgspec
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


class Needs(Struct, frozen=True, forbid_unknown_fields=True):
    """What nodes of a role need.

    Attributes:
        extras: Extras of the package.
        env: Lines of `.env` that are ours, by variable.
        services: Names of the services that run there.
    """

    extras: tuple[str, ...] = ()
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
        ssh_key: The private key to log in with; those of an SSH agent without it.
        path: The folder of the releases.
        os: `linux` or `windows`.
        optional: Whether it may be off: that is told, and is no error.
        index: Whether it reaches a package index; one that does not gets its packages from HUB.
        python: Its interpreter, of which releases are made.
        extras: Besides those of its role.
        env: Besides that of its role, or other than that.
        services: In place of those of its role.
        gateway: Of GTW: where its clients reach the gateway; `address` without it.
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
        try:
            fleet = msgspec.toml.decode(path.read_bytes(), type=cls)
        except OSError as error:
            raise SettingError(
                f"{path} cannot be read: {error.strerror or error}", hint="`mt5crs fleet init` makes one"
            ) from None
        except msgspec.MsgspecError as error:
            raise SettingError(f"{path}: {error}") from None
        nodes = {
            name: msgspec.structs.replace(node, name=name)
            for name, node in sorted(fleet.nodes.items(), key=lambda item: STAGES.index(item[1].role))
        }
        return msgspec.structs.replace(fleet, nodes=nodes, folder=str(path.parent))

    @property
    def hub(self) -> Node:
        """The node that has the releases."""
        return next(node for node in self.nodes.values() if node.role is Role.HUB)

    @property
    def gateway(self) -> Node:
        """The node whose gateway the others use."""
        return next(node for node in self.nodes.values() if node.role is Role.GTW)

    def extras(self, node: Node) -> tuple[str, ...]:
        """Return the extras that a node needs, sorted."""
        return tuple(sorted({*self._needs(node).extras, *node.extras}))

    def env(self, node: Node) -> dict[str, str]:
        """Return the lines of `.env` that are ours on a node, by variable."""
        return {**self._needs(node).env, **node.env}

    def services_of(self, node: Node) -> dict[str, Service]:
        """Return the services of a node, by name."""
        names = self._needs(node).services if node.services is None else node.services
        return {name: self.services[name] for name in names}

    def _needs(self, node: Node) -> Needs:
        return self.roles.get(node.role, Needs())

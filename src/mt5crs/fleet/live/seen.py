"""What a live check looks at: a node as it was seen, among the others."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from mt5crs.firewall import is_address, linux_rule, windows_rule
from mt5crs.fleet.facts import NodeState
from mt5crs.fleet.inventory import Fleet, Node, Role
from mt5crs.fleet.observed import Observed

PORTS = (("MT5_PORT", 5555), ("MT5_STREAM_PORT", 5556))
"""The gateway's ports: the variable of each, and its default."""
NOTHING = Observed(0, 0, "", None, {}, {}, (), ())


class Clock(NamedTuple):
    """How far a clock is ahead of ours, in seconds: between two bounds."""

    low: float = 0.0
    high: float = 0.0

    def ahead_of(self, other: "Clock") -> tuple[float, float]:
        """Return how far it is ahead of another, and how far that may be wrong."""
        middle = (self.low + self.high - other.low - other.high) / 2
        return middle, (self.high - self.low + other.high - other.low) / 2


class Failure(NamedTuple):
    """Why a node was not seen."""

    message: str
    hint: str = ""
    kind: str = "failed"


EVEN = Clock()


@dataclass(frozen=True)
class Seen:
    """A node as it was seen.

    Attributes:
        fleet: The inventory.
        node: The node.
        facts: What was observed there; `NOTHING` where it was not reached.
        state: What a rollout would find there; None where it was not reached.
        clock: Its clock against ours.
        failure: Why it was not reached; None where it was.
        others: All nodes that were looked at, with itself, by name.
    """

    fleet: Fleet
    node: Node
    facts: Observed = NOTHING
    state: NodeState | None = None
    clock: Clock = EVEN
    failure: Failure | None = None
    others: Mapping[str, "Seen"] = field(default_factory=dict[str, "Seen"], repr=False)

    @property
    def is_gateway(self) -> bool:
        """Whether the gateway runs there."""
        return self.node.role is Role.GTW

    @property
    def gateway(self) -> "Seen | None":
        """The gateway's node; None where it is not among those that were reached."""
        return next((each for each in self.reached if each.is_gateway), None)

    @property
    def clients(self) -> "list[Seen]":
        """The nodes of clients that were reached."""
        return [each for each in self.reached if not each.is_gateway]

    @property
    def reached(self) -> "list[Seen]":
        """The nodes that were reached."""
        return [each for each in self.others.values() if each.failure is None]

    @property
    def has_tree(self) -> bool:
        """Whether its release is a revision, with the files of one, and not a wheel alone."""
        return self.facts.built is not None and bool(self.facts.built.tree)


def gateway_host(fleet: Fleet) -> str:
    """Return where clients reach the gateway."""
    return fleet.gateway.gateway or fleet.gateway.address


def gateway_ports(fleet: Fleet) -> list[int]:
    """Return the gateway's ports for requests and for streams."""
    env = fleet.env(fleet.gateway)
    given = [env.get(name, "") for name, _ in PORTS]
    return [
        int(text) if text.isdecimal() else default for text, (_, default) in zip(given, PORTS, strict=True)
    ]


def client_addresses(fleet: Fleet) -> list[str]:
    """Return the addresses of the nodes whose clients use the gateway; a name stands for its address."""
    named = [node for node in fleet.nodes.values() if node.role is not Role.GTW]
    return [node.address if is_address(node.address) else f"<address of {node.name}>" for node in named]


def firewall_rule(fleet: Fleet) -> str:
    """Return the command that lets clients in at the gateway, and nobody else."""
    rule = windows_rule if fleet.gateway.os == "windows" else linux_rule
    return rule(gateway_ports(fleet), client_addresses(fleet))

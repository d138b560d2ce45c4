"""Gate 1: how a fleet's gateway and nodes are protected, by what the inventory and `.env` say."""

import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import wraps
from pathlib import Path
from typing import NamedTuple

from mt5crs.checks import Finding, failed, off, passed, warned
from mt5crs.errors import SettingError
from mt5crs.firewall import is_loopback
from mt5crs.fleet.audit.static import registry
from mt5crs.fleet.audit.tree import Tree
from mt5crs.fleet.inventory import Fleet, Node, Role
from mt5crs.guard.policy import load

HOST = "127.0.0.1"
"""Where a gateway is bound, and where a client looks for it, that is told nothing."""
CLIENTS = frozenset({Role.INF, Role.GPU})


class Serving(NamedTuple):
    """A service that is a gateway.

    Attributes:
        node: The node that it runs on.
        name: The service's name.
        words: Its command.
        env: What the inventory has in its node's `.env`.
    """

    node: Node
    name: str
    words: tuple[str, ...]
    env: Mapping[str, str]

    @property
    def told(self) -> str:
        """What it is, for people."""
        return f"service {self.name} on {self.node.name}"

    @property
    def host(self) -> str:
        """The address that it is bound to."""
        return self.value("--host") or self.env.get("MT5_HOST", "") or HOST

    def value(self, option: str) -> str:
        """Return what an option of its command is given; "" without."""
        for word, after in zip(self.words, (*self.words[1:], ""), strict=True):
            if word == option:
                return after
            if word.startswith(f"{option}="):
                return word.partition("=")[2]
        return ""


def gateways(fleet: Fleet) -> list[Serving]:
    """Return the services of a fleet that are gateways."""
    found: list[Serving] = []
    for node in fleet.nodes.values():
        for name, service in fleet.services_of(node).items():
            try:
                words = tuple(shlex.split(service.command))
            except ValueError:  # a quote that is not closed
                words = tuple(service.command.split())
            if "gateway" in words:
                found.append(Serving(node, name, words, fleet.env(node)))
    return found


def _without(tree: Tree) -> Finding:
    """Return what there is to say where no inventory can be looked at."""
    return failed(tree.wrong_fleet, "correct the inventory") if tree.wrong_fleet else off(tree.no_fleet)


def _of_fleet(look: Callable[[Tree, Fleet], Iterable[Finding]]) -> Callable[[Tree], Iterator[Finding]]:
    """Return a check of the inventory as one of the tree: where there is none, that is what it finds."""

    @wraps(look)
    def held(tree: Tree) -> Iterator[Finding]:
        if tree.fleet is None:
            yield _without(tree)
        else:
            yield from look(tree, tree.fleet)

    return held


@registry.check(
    "security.authentication",
    "a gateway that other machines reach has keys",
    reason="without keys anybody in the network can trade on the account",
    remedy="`mt5crs keys init` on the gateway's node, then --keys DIR in the service's command",
)
@_of_fleet
def _authentication(_tree: Tree, fleet: Fleet) -> Iterator[Finding]:
    serving = gateways(fleet)
    for each in serving:
        if each.value("--keys"):
            yield passed(f"{each.told}: --keys {each.value('--keys')}")
        elif is_loopback(each.host):
            yield passed(f"{each.told}: only its own machine reaches it")
        else:
            yield failed(f"{each.told} is bound to {each.host} and has no --keys")
    if not serving:
        yield off("the inventory runs no gateway as a service: gate 2 looks at what listens")


@registry.check(
    "security.insecure",
    "no service is told to be insecure",
    reason="--insecure lets anybody who reaches the gateway trade",
    remedy="take --insecure out of the service's command, and give it --keys DIR",
)
@_of_fleet
def _insecure(_tree: Tree, fleet: Fleet) -> Iterator[Finding]:
    wrong = [name for name, each in fleet.services.items() if "--insecure" in each.command.split()]
    for name in wrong:
        yield failed(f"service {name} has --insecure")
    if not wrong:
        yield passed(f"{len(fleet.services)} services looked at")


@registry.check(
    "security.signatures",
    "clients of a gateway elsewhere have keys, with which every order is signed",
    reason="the gateway takes an order from a key that signed it, and each one once",
    remedy="`mt5crs keys new NAME --role trader` beside the gateway; name the file in MT5_KEYS of the node",
)
def _signatures(tree: Tree) -> Iterator[Finding]:
    if tree.fleet is not None:
        yield from _clients_signed(tree.fleet)
    elif tree.wrong_fleet or tree.env is None or tree.env.settings is None:
        yield _without(tree)
    elif tree.env.settings.keys is not None:
        yield passed(f"MT5_KEYS is {tree.env.settings.keys.name}")
    elif is_loopback(tree.env.settings.host):
        yield passed("the gateway is on this machine")
    else:
        yield warned(f"MT5_KEYS is not set, and the gateway is {tree.env.settings.host}")


def _clients_signed(fleet: Fleet) -> Iterator[Finding]:
    addresses = [node.gateway or node.address for node in fleet.nodes.values() if node.role is Role.GTW]
    clients = [node for node in fleet.nodes.values() if node.role in CLIENTS]
    for node in clients:
        env = fleet.env(node)
        host = env.get("MT5_HOST") or next(iter(addresses), HOST)
        if env.get("MT5_KEYS"):
            yield passed(f"{node.name}: MT5_KEYS is {env['MT5_KEYS']}")
        elif is_loopback(host):
            yield passed(f"{node.name}: its gateway is {host}")
        else:
            yield failed(f"{node.name}: MT5_KEYS is not set, and its gateway is {host}")
    if not clients:
        yield off("the inventory has no clients")


@registry.check(
    "security.addresses",
    "a gateway that other machines reach lists the addresses that may connect",
    reason="who cannot connect cannot try keys",
    remedy='give the gateway --policy FILE with `[addresses]` and `allow = ["10.0.0.0/24"]`',
)
@_of_fleet
def _addresses(tree: Tree, fleet: Fleet) -> Iterator[Finding]:
    serving = gateways(fleet)
    for each in serving:
        if is_loopback(each.host):
            yield passed(f"{each.told}: only its own machine reaches it")
        elif not each.value("--policy"):
            yield warned(f"{each.told} has no --policy")
        else:
            yield _listed(each, tree.folder / each.value("--policy"))
    if not serving:
        yield off("the inventory runs no gateway as a service")


def _listed(serving: Serving, policy: Path) -> Finding:
    """Return whether a policy that is kept with the project lists addresses; others are on their node."""
    if not policy.is_file():
        return passed(f"{serving.told}: --policy {policy.name}, which is kept there")
    try:
        written = load(policy).written
    except SettingError as error:
        return failed(str(error), "correct the policy")
    if "addresses" in written and "allow" in written["addresses"]:
        return passed(f"{serving.told}: allow in {policy.name}")
    return warned(f"{serving.told}: {policy.name} has no allow in [addresses]")


@registry.check(
    "security.host-keys",
    "each node's SSH host key is pinned",
    reason="whoever answers at a node's address would get the releases and the settings",
    remedy="mt5crs fleet pin NODE, after comparing the key on the node itself",
)
@_of_fleet
def _host_keys(_tree: Tree, fleet: Fleet) -> Iterator[Finding]:
    for node in fleet.nodes.values():
        yield passed(node.name) if node.host_key else failed(f"{node.name} has no host_key")


@registry.check(
    "security.ssh-keys",
    "the SSH keys that the inventory names can be read by their owner alone",
    reason="whoever reads one can log in to the nodes",
    remedy="chmod 600 FILE",
)
@_of_fleet
def _ssh_keys(tree: Tree, fleet: Fleet) -> Iterator[Finding]:
    for name, problem in tree.open_keys.items():
        yield failed(f"{name}: {problem}")
    if not tree.open_keys:
        named = sum(bool(node.ssh_key) for node in fleet.nodes.values())
        yield passed(f"{named} named")

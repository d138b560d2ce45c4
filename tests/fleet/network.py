"""A network for machines: a bridge of this host, from which nothing leads outside.

A machine on it has interfaces, routes and ports of its own. What is not `isolated` stays in the network of
the host, with an address on the bridge.
"""

import os
import random
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FIRST = 10
"""The last byte of the first machine's address; 1 is the host."""


def ip(*arguments: str, inside: int | None = None) -> str:
    """Run `ip`, in the network of a process if one is named; return what it says."""
    into = ("nsenter", "--target", str(inside), "--net") if inside else ()
    done = subprocess.run([*into, "ip", *arguments], capture_output=True, text=True, timeout=30, check=False)
    if done.returncode:
        raise RuntimeError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


class Bridge:
    """A bridge.

    Attributes:
        name: Its interface.
        net: The first three bytes of its addresses.
    """

    def __init__(self, name: str, net: str) -> None:
        self.name = name
        self.net = net
        self._given = 0

    def address(self) -> str:
        """Return another address."""
        self._given += 1
        return f"{self.net}.{FIRST + self._given}"

    def keep(self, address: str) -> None:
        """Give the host an address."""
        ip("address", "add", f"{address}/24", "dev", self.name)

    def join(self, process: int, address: str) -> None:
        """Give the network of a process an interface `eth0` on the bridge."""
        outer, inner = f"m5v{os.urandom(4).hex()}", f"m5w{os.urandom(4).hex()}"
        ip("link", "add", outer, "type", "veth", "peer", "name", inner)
        ip("link", "set", inner, "netns", str(process))
        ip("link", "set", outer, "master", self.name, "up")
        ip("link", "set", "lo", "up", inside=process)
        ip("link", "set", inner, "name", "eth0", "address", _card(address), inside=process)
        ip("address", "add", f"{address}/24", "dev", "eth0", inside=process)
        ip("link", "set", "eth0", "up", inside=process)


def _card(address: str) -> str:
    """Return the hardware address of an address: a machine that starts again is found where it was."""
    return ":".join(["02", "00", *(f"{int(each):02x}" for each in address.split("."))])


def filter_port(process: int, port: int, source: str = "all") -> None:
    """Have what comes for a TCP port dropped without an answer, as a firewall does; from a source alone."""
    if "\n0:" in f"\n{ip('rule', inside=process)}":  # addresses of one's own are looked up first
        ip("rule", "add", "pref", "100", "lookup", "local", inside=process)
        ip("rule", "del", "pref", "0", inside=process)
    ip(*f"rule add pref 50 from {source} iif eth0 ipproto tcp dport {port} blackhole".split(), inside=process)


@contextmanager
def bridge() -> Iterator[Bridge]:
    """Make a bridge that ends with the block, and remove those that a killed test left."""
    for each in Path("/sys/class/net").glob("m5-*-*"):
        if not Path("/proc", each.name.split("-")[1]).exists():
            ip("link", "del", each.name)
    chance = random.SystemRandom()
    made = Bridge(
        f"m5-{os.getpid()}-{chance.randrange(1000)}",
        f"10.{chance.randrange(128, 255)}.{chance.randrange(1, 255)}",
    )
    ip("link", "add", "name", made.name, "type", "bridge")
    try:
        made.keep(f"{made.net}.1")
        ip("link", "set", made.name, "up")
        yield made
    finally:
        ip("link", "del", made.name)

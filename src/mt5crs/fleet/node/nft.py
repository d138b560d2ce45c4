"""Whom the rules of nftables let in at a TCP port: what is not understood is told, never passed over."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

ANY = "Any"
EXTRAS = re.compile(
    r"\s*\b(?:counter(?: packets \d+ bytes \d+)?|comment \"[^\"]*\"|log(?: prefix \"[^\"]*\")?)"
)
"""Parts of a rule that decide nothing."""
BASE = re.compile(r"type filter hook input priority [^;]*;(?: policy (\w+);)?")
SET = r"(\{[^}]*\}|\S+)"
SOURCES = re.compile(rf"\b(ip6?) saddr (?!!=|@){SET}")
PORTS = re.compile(rf"\btcp dport (?!!=|@){SET}")
ELSEWHERE = re.compile(
    r"\biif(?:name)? \"?lo\"?(?: |$)|\bct state (?!.*(?:!=|\bnew\b|\buntracked\b))"
    r"|\budp dport\b|\bicmp(?:v6)? type\b"
    r"|\b(?:ip protocol|ip6 nexthdr|meta l4proto) (?:icmp|icmpv6|ipv6-icmp|udp)\b"
)
"""What makes a rule one of other packets than those that begin a TCP connection from another machine."""
CLOSED = re.compile(r"(?:drop|reject(?: with .*)?)$")
FAMILIES = {"ip": (4,), "ip6": (6,), "inet": (4, 6)}


class Chain(NamedTuple):
    """A chain that packets for this machine come through.

    Attributes:
        name: Of its table and itself.
        versions: Of IP.
        policy: What becomes of who matches no rule.
        rules: Its rules.
    """

    name: str
    versions: tuple[int, ...]
    policy: str
    rules: list[str]


def admitted(said: str, port: int, versions: tuple[int, ...] = (4,)) -> list[dict[str, Any]]:
    """Return whom `nft list ruleset` lets in, as `sockets.admitted` does.

    Args:
        said: What it writes.
        port: The port.
        versions: Of IP that somebody listens with there.
    """
    found: list[dict[str, Any]] = []
    chains = list(_chains(said))
    for version in versions:
        through = [_through(chain, port) for chain in chains if version in chain.versions]
        # Who gets in comes through all of them: one that limits it limits it.
        limiting = [each for each in through if all(r["understood"] and ANY not in r["from"] for r in each)]
        if limiting:
            found += [each for each in min(limiting, key=len) if each not in found]
        elif through:
            found += [rule for each in through for rule in each if rule not in found]
        else:
            found.append(_rule(f"no chain filters what comes by IPv{version}", [ANY]))
    return found


def _chains(said: str) -> Iterator[Chain]:
    table: tuple[str, str] = ("", "")
    chain: Chain | None = None
    name = ""
    for line in map(str.strip, said.splitlines()):
        words = line.split()
        if words[:1] == ["table"] and len(words) >= 3:
            table = words[1], words[2]
        elif words[:1] == ["chain"]:
            name, chain = words[1], None
        elif name and (base := BASE.match(line)):
            versions = FAMILIES.get(table[0], ())
            chain = Chain(f"{table[1]} {name}", versions, base[1] or "accept", [])
        elif chain is not None and chain.rules and chain.rules[-1].count("{") > chain.rules[-1].count("}"):
            chain.rules[-1] += f" {line}"  # a long set goes on
        elif line == "}":
            if chain is not None:
                yield chain
            name, chain = "", None
        elif chain is not None and line:
            chain.rules.append(line)


def _through(chain: Chain, port: int) -> list[dict[str, Any]]:
    """Return the rules of a chain that let somebody in at a port, in their order."""
    found: list[dict[str, Any]] = []
    for line in chain.rules:
        rule = EXTRAS.sub("", line).strip()
        ports, sources = PORTS.search(rule), SOURCES.search(rule)
        covers = _covers(ports[1], port) if ports else None
        rest = PORTS.sub("", SOURCES.sub("", rule)).strip()
        if covers is False:
            continue
        if CLOSED.match(rest) and sources is None and (covers or ports is None):
            return found  # who comes as far as that gets no farther
        if CLOSED.search(rest) or ELSEWHERE.search(rest):  # nobody comes in by what drops some of them
            continue
        understood = rest == "accept" and (ports is None or covers is not None)
        found.append(_rule(line, _listed(sources[2]) if sources else [ANY], understood))
    if chain.policy == "accept":
        found.append(_rule(f"the policy of {chain.name} is to accept", [ANY]))
    return found


def _rule(name: str, sources: list[str], understood: bool = True) -> dict[str, Any]:
    return {"name": name, "from": sources, "understood": understood}


def _listed(text: str) -> list[str]:
    return [each.strip() for each in text.strip("{} ").split(",")]


def _covers(text: str, port: int) -> bool | None:
    """Return whether a port is in a set; None where that is not known."""
    known = True
    for each in _listed(text):
        first, _, last = each.partition("-")
        if not first.isdecimal() or not (last or first).isdecimal():
            known = False  # a service's name
        elif int(first) <= port <= int(last or first):
            return True
    return False if known else None

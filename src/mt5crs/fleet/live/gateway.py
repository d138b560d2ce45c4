"""Checks of the gateway and the way to it: who listens, who gets there, how far away it is."""

import math
from collections.abc import Iterator
from ipaddress import ip_address, ip_network

from mt5crs.checks import Finding, Registry, failed, off, passed, warned
from mt5crs.client.measure import percentile
from mt5crs.firewall import is_address, is_loopback
from mt5crs.fleet.live.seen import (
    Seen,
    client_addresses,
    firewall_rule,
    gateway_host,
    gateway_ports,
)
from mt5crs.fleet.observed import Measured
from mt5crs.settings import address

RTT_MOST = 100.0
"""Milliseconds."""
MEMORY_MOST = 50.0
"""Of a client with its first arrays."""
MB = 1 << 20
EVERYBODY = frozenset({"any", "0.0.0.0/0", "::/0", "*"})
STATES = (
    ("answers", "does not answer"),
    ("broker", "has no connection to its trade server"),
    ("account", "is not logged in to the gateway's account"),
)
"""What the gateway says of its terminal, and what it means where it is not so."""
OPEN = "NULL"
"""ZMTP's mechanism of a gateway without keys."""
OUTSIDE = "end it, and start the gateway as a service of the inventory: it runs from `current` then"
LIMIT = "take those out of the rule, or add their nodes to the inventory"
START = "start it there: `mt5crs gateway`, or the service of the inventory that does"

checks: Registry[Seen] = Registry()


@checks.check(
    "gateway.listens",
    "the gateway listens on its ports",
    reason="clients have nobody to connect to otherwise",
    remedy=START,
)
def listens(seen: Seen) -> Iterator[Finding]:
    """Hold that somebody listens on GTW's ports, where clients can get to."""
    if not seen.is_gateway:
        return
    host = gateway_host(seen.fleet)
    for port in gateway_ports(seen.fleet):
        addresses = seen.facts.listeners.get(str(port))
        if addresses is None:
            yield off(f"who listens on {port} cannot be seen")
        elif not addresses:
            yield failed(f"nobody listens on {port}")
        elif _is_at(host, addresses):
            yield passed(f"{port} on {' and '.join(sorted({*addresses}))}")
        else:
            there = " and ".join(sorted({*addresses}))
            yield failed(f"{port} is open on {there} alone, not on {host}", f"start it with --host {host}")


def _is_at(host: str, addresses: tuple[str, ...]) -> bool:
    """Return whether one of the addresses that are listened on is that of a host."""
    found = [ip_address(each) for each in addresses if is_address(each)]
    if not is_address(host):
        return any(not each.is_loopback for each in found)
    return any(each.is_unspecified or each == ip_address(host) for each in found)


@checks.check(
    "gateway.keys",
    "nobody reaches the gateway without a key",
    reason="who reaches a gateway without keys can trade",
    remedy="give it keys (`mt5crs keys`), or have it listen on the loopback address alone",
)
def with_keys(seen: Seen) -> Iterator[Finding]:
    """Hold that a gateway that is not on loopback alone greets nobody without a key, seen from any node."""
    if not seen.is_gateway:
        return
    ports = gateway_ports(seen.fleet)
    lists = [seen.facts.listeners.get(str(port)) for port in ports]
    addresses = [each for list_ in lists for each in list_ or ()]
    if None not in lists and not addresses:
        return
    if None not in lists and all(map(is_loopback, addresses)):
        yield passed("it listens on loopback alone")
        return
    greeted = [
        (each.node.name, address(one.host, one.port), one.mechanism)
        for each in seen.reached
        for one in each.facts.greeted
        if not is_loopback(one.host) and one.mechanism
    ]
    to_all = [(name, where) for name, where, mechanism in greeted if mechanism == OPEN]
    to_all += [(each.node.name, "") for each in seen.clients if _measured(each) and _keys(each) is None]
    if to_all:
        names = " and ".join(dict.fromkeys(name for name, _ in to_all))
        places = " and ".join(dict.fromkeys(where for _, where in to_all if where))
        yield failed(f"{names} got in without a key{f', at {places}' if places else ''}")
    elif greeted:
        names = " and ".join(dict.fromkeys(name for name, *_ in greeted))
        yield passed(f"it wants one of {names}")
    else:
        yield warned("not proved: what listens there greets nobody", "`mt5crs doctor` on a node says more")


def _measured(seen: Seen) -> Measured | None:
    return None if seen.facts.client is None else seen.facts.client.measured


def _keys(seen: Seen) -> str | None:
    return None if seen.facts.client is None else seen.facts.client.settings.get("keys", (None, ""))[0]


@checks.check(
    "gateway.reachable",
    "the gateway's ports are open from here",
    reason="a firewall that is closed looks like a gateway that is off",
    remedy="open the ports for the clients alone",
)
def reachable(seen: Seen) -> Iterator[Finding]:
    """Hold that TCP connections to the gateway can be made from a node, and say what is in the way."""
    remedies = {
        "filtered": f"a firewall drops it; on the gateway's machine: {firewall_rule(seen.fleet)}",
        "refused": f"the machine answers and nobody listens there: {START}",
        "unknown": "state an address as `gateway` of GTW in the inventory, or mend the name service",
        "failed": "is there a route to it?",
    }
    for each in () if seen.is_gateway else seen.facts.reached:
        found = f"{each.host} port {each.port}"
        if each.state == "open":
            yield passed(f"{found} in {each.milliseconds:.1f} ms")
        else:
            yield failed(f"{found}: {each.state}: {each.detail}", remedies[each.state])


@checks.check(
    "gateway.admits",
    "the firewall lets clients in, and nobody else",
    reason="a rule without addresses lets the whole network try",
    remedy="limit the rule to the clients' addresses",
)
def admits(seen: Seen) -> Iterator[Finding]:
    """Hold that the rules of GTW's firewall for its ports are limited to clients, where they can be seen."""
    ours = clients_of(seen)
    for port, rules in seen.facts.admitted.items() if seen.is_gateway else ():
        if rules is None:
            yield off(f"not proved: the firewall's rules for {port} cannot be seen")
            continue
        open_ = [
            rule.name
            for rule in rules
            if rule.understood and {each.lower() for each in rule.sources} & EVERYBODY
        ]
        allowed = sorted({source for rule in rules for source in rule.sources})
        odd = [rule.name for rule in rules if not rule.understood]
        strangers = [source for source in allowed if not _is_of(source, ours)]
        if odd:
            yield warned(f"not proved: not understood at {port}: {odd[0]}", "look at that rule yourself")
        elif open_:
            only = f"remove it, and limit the new one: {firewall_rule(seen.fleet)}"
            yield warned(f"{open_[0]!r} lets everybody in at {port}", only)
        elif strangers:
            yield warned(f"{port} is open for {', '.join(strangers)}, which no client has", LIMIT)
        elif allowed:
            yield passed(f"{port} for {', '.join(allowed)}")
        else:
            expected = ", ".join(client_addresses(seen.fleet))
            yield warned(
                f"no rule lets anybody in at {port}; expected are {expected}", firewall_rule(seen.fleet)
            )


def clients_of(seen: Seen) -> frozenset[str]:
    """Return the addresses of clients' nodes: those of the inventory, and those that they came from."""
    own = {each.own for client in seen.clients for each in client.facts.reached if each.own}
    return frozenset({*client_addresses(seen.fleet), *own, gateway_host(seen.fleet), "127.0.0.1", "::1"})


def _is_of(source: str, addresses: frozenset[str]) -> bool:
    """Return whether a rule's source is one of some addresses, and no more than that."""
    try:
        network = ip_network(source, strict=False)
    except ValueError:
        return False
    return network.num_addresses == 1 and str(network.network_address) in addresses


@checks.check(
    "gateway.answers",
    "the gateway answers a client from here",
    reason="that is what all of it is for",
    remedy="`mt5crs doctor` on that node says what is in the way",
)
def answers(seen: Seen) -> Iterator[Finding]:
    """Hold that a client with the node's settings gets a handshake, answers to all pings, and an array."""
    client = seen.facts.client
    if seen.is_gateway or client is None:
        return
    measured = client.measured
    if client.failed is not None:
        yield failed(client.failed.message, client.failed.hint)
    elif measured is not None:
        found = f"{measured.software}, protocol {measured.protocol}, {measured.terminal} terminal"
        lost = f"{measured.lost} of {measured.lost + len(measured.rtts)} pings were lost"
        if measured.lost:
            yield failed(f"{found}; {lost}")
        elif measured.unread is not None:
            yield failed(f"{found}; then: {measured.unread.message}", measured.unread.hint)
        else:
            yield passed(found)


@checks.check(
    "gateway.streams",
    "what the gateway publishes arrives here",
    reason="ticks, bars and trade events come by a port of their own",
    remedy="set MT5_STREAM_PORT in the inventory to the port that the gateway publishes on, and open it",
)
def streams(seen: Seen) -> Iterator[Finding]:
    """Hold that the gateway publishes on the inventory's port, and that a beat comes from there."""
    measured = _measured(seen)
    if seen.is_gateway or measured is None:
        return
    wanted = gateway_ports(seen.fleet)[1]
    if measured.stream_port is None:
        yield off("the release here does not measure that")
    elif measured.stream_port != wanted:
        yield failed(f"it publishes on {measured.stream_port}, and the inventory says {wanted}")
    elif measured.streams:
        yield passed(f"a beat came from {wanted}")
    elif measured.streams is None:
        yield failed(f"not listened to {wanted}: the gateway stopped answering before", START)
    else:
        yield failed(f"nothing came from {wanted}")


@checks.check(
    "gateway.terminal",
    "the gateway's terminal is ready",
    reason="a gateway without its terminal answers, and can do nothing",
    remedy="start the terminal on GTW and log it in to the gateway's account; `mt5crs health` says more",
)
def terminal(seen: Seen) -> Iterator[Finding]:
    """Hold that the terminal answers, is logged in and has its trade server, as clients are told."""
    measured = _measured(seen)
    if seen.is_gateway or measured is None:
        return
    wrong = [words for name, words in STATES if not measured.state.get(name)]
    if wrong:
        yield failed(f"the terminal {wrong[0]}")
    else:
        yield passed(f"{measured.terminal}, {measured.account}")


@checks.check(
    "gateway.version",
    "the gateway that runs is that of the current release",
    reason="a release is in use when its services were started again",
    remedy="start the gateway's service again: `mt5crs fleet sync`",
)
def version(seen: Seen) -> Iterator[Finding]:
    """Hold that what a client was told is the version, and the id, of GTW's release."""
    measured, gateway = _measured(seen), seen.gateway
    if measured is None or gateway is None or gateway.facts.built is None or seen.is_gateway:
        return
    wanted = gateway.facts.built.release.version
    running = measured.software.rpartition("/")[2]
    id_, current = measured.state.get("release"), gateway.facts.current
    if running != wanted:
        yield failed(f"{running} runs, {wanted} is the release's")
    elif id_ is None:  # of a gateway that is older than that answer
        yield warned(f"{running}; which build of it runs is not told")
    elif not id_:
        yield failed(f"{running} runs outside of any release, and {current} is in use", OUTSIDE)
    else:
        yield passed(f"{id_}") if id_ == current else failed(f"{id_} runs, and {current} is in use")


@checks.check(
    "client.rtt",
    f"a round trip to the gateway takes less than {RTT_MOST:g} ms",
    reason="orders are as late as that",
    remedy="look for what is slow on the way; `mt5crs ping` shows the distribution",
)
def rtt(seen: Seen) -> Iterator[Finding]:
    """Hold that 99 of 100 round trips are quick; one that did not come back took for ever."""
    measured = _measured(seen)
    if measured is None or seen.is_gateway:
        return
    ordered = [*sorted(measured.rtts), *[math.inf] * measured.lost]
    if not ordered:
        return
    middle, worst = percentile(ordered, 50), percentile(ordered, 99)
    lost = f", {measured.lost} lost" if measured.lost else ""
    found = f"p50 {middle:.2f} ms, p99 {worst:.2f} ms of {len(ordered)}{lost}"
    yield passed(found) if worst < RTT_MOST else failed(found)


@checks.check(
    "client.memory",
    f"a client needs less than {MEMORY_MOST:g} MB",
    reason="many strategies run beside each other on a node",
    remedy="which Python and which packages are these? A client imports numpy, and nothing larger",
)
def memory(seen: Seen) -> Iterator[Finding]:
    """Hold that a connected client with its first arrays is small."""
    measured = _measured(seen)
    if measured is None or seen.is_gateway:
        return
    arrays, connected = measured.memory.arrays, measured.memory.connected
    used = connected if arrays is None else arrays
    if used is None:
        yield off("this system does not tell")
        return
    found = f"{used / MB:.1f} MB {'connected' if arrays is None else 'with its first arrays'}"
    yield passed(found) if used < MEMORY_MOST * MB else failed(found)

"""Checks of the machine: is it there, its clock, disk and Python, and what runs on it."""

from collections.abc import Iterator

from packaging.version import Version

from mt5crs.checks import Finding, Registry, failed, off, passed, warned
from mt5crs.fleet.live.seen import EVEN, Seen

MB = 1 << 20
DISK_LEAST = 500 * MB
"""Bytes: less than a release with its packages may take."""
DISK_LITTLE = 2048 * MB
SKEW_MOST = 30.0
"""Seconds: as much as a signed request's time may differ from the gateway's."""
SKEW_MUCH = 5.0
PYTHON_LEAST = "3.10"

checks: Registry[Seen] = Registry()


@checks.check(
    "node.reached",
    "the node is reached by SSH and answers",
    reason="what cannot be reached cannot be brought a release, nor looked at",
    remedy="is it on, is sshd running, is its address in the inventory right?",
)
def reached(seen: Seen) -> Finding:
    """Hold that the node was reached."""
    failure = seen.failure
    if failure is None:
        return passed(f"{seen.node.address} port {seen.node.port}")
    if seen.node.optional and failure.kind == "unreachable":
        return off(f"it may be off, and is: {failure.message}")
    return failed(failure.message, failure.hint)


@checks.check(
    "node.clock",
    "its clock agrees with the gateway's",
    reason=f"the gateway refuses requests that were signed {SKEW_MOST:g} s before or after its own time",
    remedy="let NTP set the clock: `timedatectl set-ntp true`; on Windows `w32tm /resync`",
)
def clock(seen: Seen) -> Finding:
    """Hold that a node's clock is the gateway's; the gateway's, that it is ours."""
    gateway = seen.gateway
    against = None if gateway is None or seen.is_gateway else gateway
    skew, doubt = seen.clock.ahead_of(EVEN if against is None else against.clock)
    of = "this machine" if against is None else against.node.name
    found = f"{abs(skew):.2f} s {'ahead of' if skew >= 0 else 'behind'} {of}, to {doubt:.2f} s"
    sure = abs(skew) - doubt
    return failed(found) if sure >= SKEW_MOST else warned(found) if sure > SKEW_MUCH else passed(found)


@checks.check(
    "node.disk",
    "there is room for the next release",
    reason="a release is built beside the one in use; without room nothing can be deployed",
    remedy="make room, or keep fewer releases (`keep` in the inventory)",
)
def disk(seen: Seen) -> Finding:
    """Hold that the disk is not full."""
    free = seen.facts.free
    found = f"{free / MB:,.0f} MB free of {seen.facts.total / MB:,.0f} MB"
    return failed(found) if free < DISK_LEAST else warned(found) if free < DISK_LITTLE else passed(found)


@checks.check(
    "node.python",
    f"Python is {PYTHON_LEAST} or newer",
    reason="the package does not run on an older one",
    remedy=f"install Python {PYTHON_LEAST} or newer, name it in the inventory (`python`), deploy again",
)
def python(seen: Seen) -> Iterator[Finding]:
    """Hold that the node's Python and the release's are new enough."""
    about = seen.facts.about
    of_release = about.python if about is not None else ""
    of_node = seen.state.python.version if seen.state is not None else ""
    for version, whose in ((of_release, "the release's"), (of_node, "the node's")):
        if version:
            found = f"{whose} is {version}"
            yield passed(found) if Version(version) >= Version(PYTHON_LEAST) else failed(found)


@checks.check(
    "node.services",
    "its services run",
    reason="a release that nothing runs is of no use",
    remedy="its log is in `.fleet/services` of the node's folder; on systemd `journalctl -u mt5crs-NAME`",
)
def services(seen: Seen) -> Iterator[Finding]:
    """Hold that all services of the inventory run."""
    states = {} if seen.state is None else seen.state.services
    for name in seen.fleet.services_of(seen.node):
        state = states.get(name, "unknown")
        yield passed(f"{name} is running") if state == "running" else failed(f"{name} is {state}")

"""Checks of the settings: those of the inventory, accepted by the release, and nobody else's to read."""

from collections.abc import Iterator

from mt5crs.checks import Finding, Registry, failed, off, passed, warned
from mt5crs.fleet.live.seen import Seen, gateway_host
from mt5crs.fleet.observed import Mode

DEFAULT = "the default"
SET = "set it for the node's role in the inventory (`env`), then `mt5crs fleet sync`"

checks: Registry[Seen] = Registry()


@checks.check(
    "settings.accepted",
    "the release accepts the settings",
    reason="a program with a setting that cannot be used does not start",
    remedy=SET,
)
def accepted(seen: Seen) -> Iterator[Finding]:
    """Hold that the release can use `.env` as it is."""
    client = seen.facts.client
    if client is None:
        return
    if client.wrong is None:
        yield passed("all of them")
    else:
        yield failed(client.wrong.message, client.wrong.hint)


@checks.check(
    "settings.host",
    "MT5_HOST in .env is the gateway's address",
    reason="with another one, or a placeholder, no client finds the gateway",
    remedy="`mt5crs fleet sync` writes GTW's address there, unless `env` in the inventory says another",
)
def host(seen: Seen) -> Iterator[Finding]:
    """Hold that `.env` has MT5_HOST, that it is the right one and no placeholder: [3] of the guide."""
    client = seen.facts.client
    if seen.is_gateway or client is None:
        return
    wanted = gateway_host(seen.fleet)
    if client.wrong is not None:
        if "MT5_HOST" in client.wrong.message:
            yield failed(client.wrong.message)
        return
    value, source = client.settings.get("host", (None, DEFAULT))
    if source == DEFAULT:
        yield failed(f"it is not set, and the gateway is at {wanted}")
    elif value != wanted:
        yield failed(f"it is {value}, and the gateway is at {wanted}")
    else:
        yield passed(f"{value}")


@checks.check(
    "settings.inventory",
    ".env has the inventory's lines",
    reason="what was changed there by hand is changed back by the next deployment",
    remedy="put what is right into the inventory, then `mt5crs fleet sync`",
)
def ours(seen: Seen) -> Iterator[Finding]:
    """Hold that our lines of `.env` are those of the inventory."""
    if seen.state is None:
        return
    if seen.state.env_trouble:
        yield failed(seen.state.env_trouble)
        return
    wanted, there = seen.fleet.env(seen.node), seen.state.env
    other = [
        f"{name} is {there[name]!r} instead of {value!r}" if name in there else f"{name} is missing"
        for name, value in sorted(wanted.items())
        if there.get(name) != value
    ]
    yield failed("; ".join(other)) if other else passed(f"{len(wanted)} lines")


@checks.check(
    "settings.keys",
    "the key file is there, and its owner's alone",
    reason="who can read the keys can trade with them",
    remedy="make keys with `mt5crs keys`; `chmod 600` takes a file from others",
)
def keys(seen: Seen) -> Iterator[Finding]:
    """Hold that the key file of MT5_KEYS exists and is private."""
    client = seen.facts.client
    if client is None or client.wrong is not None:
        return
    path = client.settings.get("keys", (None, DEFAULT))[0]
    mode = next((each for each in seen.facts.modes if each.path == path), None)
    if path is None:
        yield off("MT5_KEYS is not set")
    elif mode is None or not mode.exists:
        yield failed(f"{path} is not there")
    elif mode.others:
        yield failed(f"{path} has mode {mode.bits}", f"chmod 600 {path}")
    elif mode.trouble:
        yield failed(f"{path}: {mode.trouble}", _own(mode))
    elif mode.others is None:
        yield off(f"{path} is there; who may read it cannot be seen this way on Windows")
    else:
        yield passed(f"{path}")


def _own(mode: Mode) -> str:
    folder = mode.path.rpartition("/")[0]
    return f"chown the user of the node {mode.path} {folder}; chmod go-w {folder}"


@checks.check(
    "settings.private",
    ".env is its owner's alone",
    reason="projects keep passwords of their own in it",
    remedy="`chmod 600 .env`",
)
def private(seen: Seen) -> Iterator[Finding]:
    """Hold that others cannot read `.env`."""
    for mode in seen.facts.modes[:1]:
        if not mode.exists:
            yield off(f"there is no {mode.path}")  # what should be in one, `settings.inventory` holds
        elif mode.trouble:
            yield failed(mode.trouble, _own(mode))
        elif mode.others:
            yield warned(f"it has mode {mode.bits}")
        elif mode.others is None:
            yield off("its owner cannot be seen on Windows this way")
        else:
            yield passed(f"mode {mode.bits}")

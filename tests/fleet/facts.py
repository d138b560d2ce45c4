"""A fleet as it is seen where all is well; tests change what they are about."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec

from mt5crs.checks import Result
from mt5crs.fleet.facts import NodeState
from mt5crs.fleet.inventory import Fleet, Needs, Node, Role, Service
from mt5crs.fleet.live import Clock, Seen, registry
from mt5crs.fleet.observed import Observed

GTW_ADDRESS = "10.0.0.2"
ID = "1.0.0-0123456789ab"
PACKAGES = {"mt5crs": "1.0.0", "pyzmq": "26.4.0", "numpy": "2.3.0"}
ABOUT = {"version": "1.0.0", "speaks": [2, 1], "files": {}, "python": "3.11.7", "packages": PACKAGES}
BUILT = {
    "release": {"id": ID, "version": "1.0.0", "revision": "0" * 40, "made": "", "subject": "", "files": []},
    "about": ABOUT,
    "pins": "",
    "extras": [],
    "built": "2026-01-01T00:00:00Z",
    "tree": {"src/client/mt5_connector.py": "0" * 64},
}
MEASURED = {
    "rtts": [0.2] * 100,
    "lost": 0,
    "software": "mt5crs/1.0.0",
    "protocol": 2,
    "terminal": "simulated",
    "account": "1@Broker",
    "state": {"answers": True, "broker": True, "account": True, "release": ID},
    "stream_port": 5556,
    "streams": True,
    "memory": {"connected": 24 << 20, "arrays": 32 << 20, "peak": 33 << 20},
}
SETTINGS = {
    "host": [GTW_ADDRESS, "/opt/mt5-crs/.env"],
    "port": ["5555", "the default"],
    "keys": ["/opt/mt5-crs/keys/inf.key", "/opt/mt5-crs/.env"],
}
RAN = {"code": 0, "output": "fine", "answer": "fine"}
OBSERVED: dict[str, Any] = {
    "free": 50 << 30,
    "total": 100 << 30,
    "current": ID,
    "built": BUILT,
    "listeners": {},
    "admitted": {},
    "reached": [
        {"host": GTW_ADDRESS, "port": port, "state": "open", "milliseconds": 0.3, "detail": ""}
        for port in (5555, 5556)
    ],
    "greeted": [{"host": GTW_ADDRESS, "port": port, "mechanism": "CURVE"} for port in (5555, 5556)],
    "modes": [
        {"path": "/opt/mt5-crs/.env", "exists": True, "others": False, "bits": "600"},
        {"path": "/opt/mt5-crs/keys/inf.key", "exists": True, "others": False, "bits": "600"},
    ],
    "files": {"count": 900, "total": 0},
    "package_files": {"count": 4000, "total": 0},
    "texts": [
        {
            "name": "scripts/audit_current_task.py",
            "text": "audit_task_003",
            "exists": True,
            "has": True,
        },
        {"name": "src/client/mt5_connector.py", "text": "", "exists": True, "has": True},
    ],
    "about": ABOUT,
    "consistent": RAN,
    "client": {"settings": SETTINGS, "measured": MEASURED},
    "ran": {"audit": RAN},
}
ON_GATEWAY = {
    "listeners": {"5555": [GTW_ADDRESS], "5556": [GTW_ADDRESS]},
    "admitted": {"5555": [{"name": "MT5", "from": ["10.0.0.3"]}], "5556": None},
    "reached": [],
    "client": {"settings": SETTINGS},
}
STATE: dict[str, Any] = {
    "time": 0.0,
    "host": "inf",
    "user": "root",
    "os": "linux",
    "python": {"version": "3.11.7", "markers": {}, "libc": ["glibc", "2.36"], "has_venv": True},
    "free": 50 << 30,
    "current": ID,
    "releases": {},
    "incomplete": [],
    "env": {"MT5_HOST": GTW_ADDRESS, "MT5_PORT": "5555"},
    "services": {"strategy": "running"},
    "unfinished": None,
    "journals": {},
    "git": True,
}

FLEET = Fleet(
    nodes={
        "hub": Node(Role.HUB, "10.0.0.1", name="hub"),
        "gtw": Node(Role.GTW, GTW_ADDRESS, os="windows", name="gtw"),
        "inf": Node(Role.INF, "10.0.0.3", name="inf"),
        "gpu": Node(Role.GPU, "10.0.0.4", optional=True, name="gpu"),
    },
    roles={role: Needs(env={"MT5_HOST": GTW_ADDRESS}) for role in Role}
    | {Role.INF: Needs(env={"MT5_HOST": GTW_ADDRESS}, services=("strategy",))},
    services={"strategy": Service("python strategy.py")},
)


def fleet_seen(**changed: Callable[[Seen], Seen]) -> dict[str, Seen]:
    """Return all nodes as they are seen where all is well, some of them changed."""
    others: dict[str, Seen] = {}
    for name, node in FLEET.nodes.items():
        facts = OBSERVED | (ON_GATEWAY if node.role is Role.GTW else {})
        seen = Seen(
            FLEET,
            node,
            msgspec.convert(facts, Observed),
            msgspec.convert(STATE, NodeState),
            Clock(-0.01, 0.01),
            others=others,
        )
        others[name] = changed[name](seen) if name in changed else seen
    return others


def facts(**changes: Any) -> Callable[[Seen], Seen]:
    """Return what gives a node other facts; each as the node would answer it."""

    def change(seen: Seen) -> Seen:
        raw = msgspec.to_builtins(seen.facts) | changes
        return replace(seen, facts=msgspec.convert(raw, Observed))

    return change


def state(**changes: Any) -> Callable[[Seen], Seen]:
    """Return what gives a node another state."""

    def change(seen: Seen) -> Seen:
        return replace(seen, state=msgspec.convert(msgspec.to_builtins(seen.state) | changes, NodeState))

    return change


def results(check: str, node: str = "inf", **changed: Callable[[Seen], Seen]) -> list[Result]:
    """Return what a check says of a node of such a fleet."""
    return registry.run(fleet_seen(**changed)[node], node, [check])

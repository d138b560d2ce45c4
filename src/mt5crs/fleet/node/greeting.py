"""How what listens on a port greets somebody who has no key: ZMTP's greeting says what it wants."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable, Sequence

from .sockets import listeners

HALF = b"\xff" + bytes(8) + b"\x7f\3\1"
"""Signature and version: the other side answers with all of its own, and hears of no mechanism of ours."""
GREETING = 64
"""Bytes of a greeting."""
MECHANISM = slice(12, 32)
PATIENCE = 3.0
"""Seconds that connecting and the greeting may take, both."""


def greeted(places: Iterable[Sequence[object]], ports: Iterable[int]) -> list[dict[str, object]]:
    """Say how each place greets; with ports, each other address too that somebody here listens on."""
    wanted = [(str(host), int(str(port))) for host, port in places]
    for port in ports:
        wanted += [(host, port) for host in listeners(port) or () if not _stands_for_all(host)]
    return [
        {"host": host, "port": port, "mechanism": mechanism(host, port)}
        for host, port in dict.fromkeys(wanted)
    ]


def _stands_for_all(host: str) -> bool:
    return host in ("0.0.0.0", "::", "*")  # noqa: S104 - nobody binds it here


def mechanism(host: str, port: int, patience: float = PATIENCE) -> str:
    """Return the mechanism that a peer greets with, "" where it does not greet as ZeroMQ does, or in time."""
    end = time.monotonic() + patience
    greeting = b""
    try:
        with socket.create_connection((host, port), timeout=patience) as connection:
            connection.sendall(HALF)
            while len(greeting) < GREETING and (left := end - time.monotonic()) > 0:
                connection.settimeout(left)
                part = connection.recv(GREETING)
                if not part:
                    break
                greeting += part
    except OSError:
        pass
    if len(greeting) < MECHANISM.stop or greeting[:1] != HALF[:1]:
        return ""
    return greeting[MECHANISM].rstrip(b"\0").decode("ascii", "replace")

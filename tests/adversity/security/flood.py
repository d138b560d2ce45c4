"""A process that floods a port: `python -m tests.adversity.security.flood KIND PORT KEY SECONDS`.

It prints how many connections it has made. KEY is the public CURVE key of the gateway.
"""

import os
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress

import zmq

HELD = 600
"""Connections that one process leaves open."""
GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x01CURVE" + bytes(48)
"""The first 64 bytes of a connection that speaks the transport's protocol."""

_refusals = (ConnectionError, TimeoutError)


def _connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=2.0)


def silent(port: int, key: bytes, until: float) -> int:
    """Open connections and say nothing on them."""
    return _holding(port, b"", until)


def greeting(port: int, key: bytes, until: float) -> int:
    """Open connections, and stop in the middle of the handshake."""
    return _holding(port, GREETING, until)


def _holding(port: int, first: bytes, until: float) -> int:
    held: list[socket.socket] = []
    made = 0
    while time.monotonic() < until:
        with suppress(*_refusals):
            held.append(_connected(port))
            held[-1].sendall(first)
            made += 1
        if len(held) >= HELD:
            held.pop(0).close()
    for each in held:
        each.close()
    return made


def garbage(port: int, key: bytes, until: float) -> int:
    """Open connections, send what is no protocol, and hang up."""
    made = 0
    while time.monotonic() < until:
        with suppress(*_refusals), _connected(port) as connection:
            connection.sendall(os.urandom(200))
            made += 1
    return made


def strangers(port: int, key: bytes, until: float) -> int:
    """Shake hands with keys that nobody knows."""
    made = 0
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    while time.monotonic() < until:
        sockets = []
        for _ in range(10):
            stranger = context.socket(zmq.DEALER)
            stranger.linger = 0
            stranger.curve_publickey, stranger.curve_secretkey = zmq.curve_keypair()
            stranger.curve_serverkey = key
            stranger.connect(f"tcp://127.0.0.1:{port}")
            sockets.append(stranger)
            made += 1
        sockets[-1].poll(20)
        for each in sockets:
            each.close()
    context.term()
    return made


KINDS: dict[str, Callable[[int, bytes, float], int]] = {
    "silent": silent,
    "greeting": greeting,
    "garbage": garbage,
    "strangers": strangers,
}

if __name__ == "__main__":
    _, kind, to, server_key, seconds = sys.argv
    sys.stdout.write(f"{KINDS[kind](int(to), server_key.encode(), time.monotonic() + float(seconds))}\n")

"""Why a gateway does not answer: one more handshake, watched, after all else has failed."""

from __future__ import annotations

import socket
import time

import zmq
from zmq.utils.monitor import recv_monitor_message

from mt5crs.client.core import Core
from mt5crs.client.link import Sockets
from mt5crs.errors import BridgeError, ConnectionTimeout, KeyRefused, WrongGateway

PATIENCE_MS = 1000
"""How long the handshake is watched."""
HALF = b"\xff" + bytes(8) + b"\x7f\3\1"
"""The first half of a ZMTP 3.1 greeting, signature and version: the other side answers with all of its own.
It would close the connection if it heard of another mechanism."""
GREETING = 64
"""Bytes of a greeting."""
MECHANISM = slice(12, 32)
_ENDS = zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_CLOSED | zmq.EVENT_DISCONNECTED
_FAILED = zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
_REFUSED = zmq.EVENT_HANDSHAKE_FAILED_AUTH


def diagnosed(core: Core, failure: BridgeError) -> BridgeError:
    """Return why nobody answers, where a handshake tells more than the failure itself.

    Args:
        core: Whose gateway it is.
        failure: What is known already; returned for want of something better.
    """
    if not isinstance(failure, ConnectionTimeout):
        return failure
    event = _handshake(core)
    if event & _REFUSED:
        return _refused(core)
    return _broken_off(core, failure) if event & _FAILED else failure


def _handshake(core: Core) -> int:
    """Connect once; return the event that ended the handshake, 0 where none came."""
    sockets = Sockets()
    try:
        _, monitor = sockets.connect_once(zmq.DEALER, core, core.settings.port, _ENDS | _FAILED | _REFUSED)
        return int(recv_monitor_message(monitor)["event"]) if monitor.poll(PATIENCE_MS) else 0
    finally:
        sockets.close()


def _refused(core: Core) -> KeyRefused:
    if core.keys is None:
        return KeyRefused(
            f"{core.where} lets no connection in from this address",
            hint="the gateway's policy says which addresses it admits",
        )
    return KeyRefused(
        f"{core.where} does not let {core.keys.name} in: it does not know the key {core.keys.key_id},"
        " or does not admit this address"
    )


def _broken_off(core: Core, failure: BridgeError) -> BridgeError:
    """Return why a handshake was broken off, by what the other side's greeting says that it wants."""
    wanted = mechanism(core.settings.host, core.settings.port)
    if wanted == b"CURVE" and core.keys is None:
        return KeyRefused(
            f"{core.where} wants keys",
            hint="name this client's key file in MT5_KEYS; `mt5crs keys new` beside the gateway makes one",
        )
    if wanted == b"CURVE" and core.keys is not None:
        return WrongGateway(f"{core.where} is not the gateway that the key file of {core.keys.name} is for")
    if wanted == b"NULL" and core.keys is not None:
        return WrongGateway(
            f"{core.where} has no keys, and is not the gateway that the key file of {core.keys.name} is for"
        )
    return failure


def mechanism(host: str, port: int) -> bytes:
    """Return the mechanism in the other side's ZMTP greeting; nothing where it greets otherwise, or not."""
    return mechanism_in(greeting(host, port, PATIENCE_MS / 1000))


def greeting(host: str, port: int, patience: float) -> bytes:
    """Return what the other side says first, in so many seconds for all of it; nothing where it is silent."""
    end = time.monotonic() + patience
    said = b""
    try:
        with socket.create_connection((host, port), timeout=patience) as connection:
            connection.sendall(HALF)
            while len(said) < GREETING and (left := end - time.monotonic()) > 0:
                connection.settimeout(left)
                if not (part := connection.recv(GREETING)):
                    break
                said += part
    except OSError:
        pass
    return said


def mechanism_in(said: bytes) -> bytes:
    """Return the mechanism in a ZMTP greeting; nothing where it is none, or not whole so far."""
    is_one = len(said) >= MECHANISM.stop and said[:1] == HALF[:1]
    return said[MECHANISM].rstrip(b"\0") if is_one else b""

"""Why a gateway does not answer: one more handshake, watched, after all else has failed."""

from __future__ import annotations

import socket

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
    mechanism = _mechanism(core.settings.host, core.settings.port)
    if mechanism == b"CURVE" and core.keys is None:
        return KeyRefused(
            f"{core.where} wants keys",
            hint="name this client's key file in MT5_KEYS; `mt5crs keys new` beside the gateway makes one",
        )
    if mechanism == b"CURVE" and core.keys is not None:
        return WrongGateway(f"{core.where} is not the gateway that the key file of {core.keys.name} is for")
    if mechanism == b"NULL" and core.keys is not None:
        return WrongGateway(
            f"{core.where} has no keys, and is not the gateway that the key file of {core.keys.name} is for"
        )
    return failure


def _mechanism(host: str, port: int) -> bytes:
    """Return the mechanism in the other side's ZMTP greeting; nothing where it greets otherwise, or not."""
    patience = PATIENCE_MS / 1000
    greeting = b""
    try:
        with socket.create_connection((host, port), timeout=patience) as connection:
            connection.settimeout(patience)
            connection.sendall(HALF)
            while len(greeting) < GREETING and (part := connection.recv(GREETING)):
                greeting += part
    except OSError:
        return b""
    return greeting[12:32].rstrip(b"\0") if greeting[:1] == HALF[:1] else b""

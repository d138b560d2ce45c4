"""One ZeroMQ connection to a gateway: what both drivers do with a socket."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import zmq

from mt5crs.errors import ProtocolError, SettingError
from mt5crs.settings import address
from mt5crs.wire.session import Session

if TYPE_CHECKING:
    from mt5crs.security.keys import ClientKeys

RECONNECT_MS = (50, 1000)
"""First and longest pause between attempts to reconnect."""
MESSAGE_LIMIT = 64 * 1024 * 1024
"""Bytes of a message from a gateway; a longer one ends the connection."""
HEARTBEAT_MS = (1000, 3000)
"""How often the transport asks for a sign of life, and how long it waits for one."""

_RECV_INTO = hasattr(zmq.Socket, "recv_into")  # since pyzmq 26.4


def connect(
    context: zmq.Context[zmq.Socket[bytes]], kind: int, host: str, port: int, keys: ClientKeys | None
) -> zmq.Socket[bytes]:
    """Return a socket that is connecting to the gateway, and reconnects by itself.

    Args:
        context: Where the socket belongs.
        kind: `zmq.DEALER` or `zmq.XSUB`.
        host: The gateway's host.
        port: The command port or the stream port.
        keys: The client's keys, where it has some.

    Raises:
        SettingError: The address cannot be used.
    """
    socket = context.socket(kind)
    try:
        _configure(socket, host, keys)
        socket.connect(f"tcp://{address(host, port)}")
    except zmq.ZMQError as error:
        socket.close()
        raise SettingError(
            f"{host}:{port} is not an address to connect to: {error.strerror}",
            hint="MT5_HOST is a name or address, MT5_PORT a port",
        ) from error
    except BaseException:
        socket.close()
        raise
    return socket


def _configure(socket: zmq.Socket[bytes], host: str, keys: ClientKeys | None) -> None:
    socket.linger = 0
    socket.setsockopt(zmq.MAXMSGSIZE, MESSAGE_LIMIT)
    # Never queue for a peer that is not there: what waited would be executed when it comes back.
    socket.setsockopt(zmq.IMMEDIATE, 1)
    socket.setsockopt(zmq.RECONNECT_IVL, RECONNECT_MS[0])
    socket.setsockopt(zmq.RECONNECT_IVL_MAX, RECONNECT_MS[1])
    socket.setsockopt(zmq.HEARTBEAT_IVL, HEARTBEAT_MS[0])
    socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, HEARTBEAT_MS[1])
    socket.setsockopt(zmq.IPV6, int(":" in host))
    if keys is not None:
        socket.curve_publickey = keys.public
        socket.curve_secretkey = keys.secret
        socket.curve_serverkey = keys.gateway


def sender(socket: zmq.Socket[bytes]) -> Callable[[bytes, int], object]:
    """Return what sends on a socket.

    It is without the wrapper for options of other kinds of socket, which costs as much as it wraps.
    """
    return super(zmq.Socket, socket).send


def flush(socket: zmq.Socket[bytes], session: Session, flags: int = 0) -> None:
    """Send what is on the outbox.

    Raises:
        zmq.Again: There is no connection, or it takes no more for now; the rest stays on the outbox.
    """
    session.depart(sender(socket), flags)


def discard(socket: zmq.Socket[bytes]) -> None:
    """Take the rest of a message that nobody waits for any more."""
    while socket.getsockopt(zmq.RCVMORE):
        socket.recv()


def fill(socket: zmq.Socket[bytes], buffer: memoryview) -> int:
    """Receive the frame of rows that follows its message into a buffer; return its size.

    Raises:
        ProtocolError: There is none.
    """
    if not socket.getsockopt(zmq.RCVMORE):
        raise ProtocolError("the gateway announced rows and sent none")
    if _RECV_INTO:
        return int(socket.recv_into(buffer))
    rows = memoryview(socket.recv(copy=False).buffer)
    if len(rows) <= len(buffer):
        buffer[: len(rows)] = rows
    return len(rows)

"""One ZeroMQ connection to a gateway: what both drivers do with a socket."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING
from weakref import finalize

import zmq

from mt5crs.errors import ProtocolError, SettingError
from mt5crs.settings import address
from mt5crs.wire.session import Session

if TYPE_CHECKING:
    from mt5crs.client.core import Core
    from mt5crs.security.keys import ClientKeys

RECONNECT_MS = (50, 1000)
"""First and longest pause between attempts to reconnect."""
CONNECT_MS = 5000
"""How long the attempt of a socket that connects once may take."""
MESSAGE_LIMIT = 64 * 1024 * 1024
"""Bytes of a message from a gateway; a longer one ends the connection."""
HEARTBEAT_MS = (1000, 3000)
"""How often the transport asks for a sign of life, and how long it waits for one."""

_RECV_INTO = hasattr(zmq.Socket, "recv_into")  # since pyzmq 26.4


class Sockets:
    """The sockets of one owner, in a context of their own.

    They end with their owner, also one that was never closed. A context waits for its sockets when it ends,
    and knows them by weak references alone; in a cycle that the garbage collector takes apart those are gone
    before it ends. So all of them are held here by what ends them, in their order, which is in no such cycle.
    After a fork they are the parent's: the child leaves them alone.

    Attributes:
        close: Closes all, and ends the context. Can be called again.
    """

    def __init__(self) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._open: dict[zmq.Socket[bytes], Callable[[], object] | None] = {}
        self._process = os.getpid()
        self.close = finalize(self, _end, self._context, self._open, self._process)
        # Nothing waits for sockets when the process ends, and threads may still use them.
        self.close.atexit = False

    @property
    def closed(self) -> bool:
        """Whether they were closed for good."""
        return not self.close.alive

    @property
    def is_inherited(self) -> bool:
        """Whether they belong to the process that this one was forked from."""
        return self._process != os.getpid()

    def connect(self, kind: int, core: Core, port: int) -> zmq.Socket[bytes]:
        """Return a socket that is connecting to a core's gateway, and reconnects by itself; see `connect`."""
        socket = connect(self._context, kind, core.settings.host, port, core.keys)
        self._open[socket] = None
        return socket

    def connect_once(
        self, kind: int, core: Core, port: int, events: int, queue: int = 1000
    ) -> tuple[zmq.Socket[bytes], zmq.Socket[bytes]]:
        """Return a socket that connects once, and its monitor.

        Args:
            kind: As for `connect`.
            core: Whose gateway it is.
            port: As for `connect`.
            events: What is monitored.
            queue: Messages that wait in the socket.
        """
        socket = self._context.socket(kind)
        self._open[socket] = None
        _configure(socket, core.settings.host, core.keys)
        socket.setsockopt(zmq.RCVHWM, queue)
        # It is to be told by events that there will be another attempt, so there must be one: in a day.
        # To forbid it would throw away what waits in the socket.
        socket.setsockopt(zmq.RECONNECT_IVL, 24 * 60 * 60 * 1000)
        socket.setsockopt(zmq.RECONNECT_IVL_MAX, 0)
        socket.setsockopt(zmq.CONNECT_TIMEOUT, CONNECT_MS)
        place = f"inproc://{os.urandom(8).hex()}"
        socket.monitor(place, events)
        monitor = self._context.socket(zmq.PAIR)
        self._open[monitor] = None
        monitor.connect(place)
        _begin(socket, core.settings.host, port)
        return socket, monitor

    def before_close(self, socket: zmq.Socket[bytes], call: Callable[[], object]) -> None:
        """Have something called before a socket is closed; it must not hold the owner."""
        self._open[socket] = call

    def drop(self, socket: zmq.Socket[bytes]) -> None:
        """Close one of them."""
        _close(self._open, socket)

    def drop_all(self) -> None:
        """Close all of them; the context can go on."""
        if not self.is_inherited:
            for socket in tuple(self._open):
                _close(self._open, socket)


def _end(
    context: zmq.Context[zmq.Socket[bytes]],
    sockets: dict[zmq.Socket[bytes], Callable[[], object] | None],
    process: int,
) -> None:
    if process != os.getpid():
        return
    for socket in tuple(sockets):
        _close(sockets, socket)
    context.term()


def _close(sockets: dict[zmq.Socket[bytes], Callable[[], object] | None], socket: zmq.Socket[bytes]) -> None:
    before = sockets.get(socket)
    if before is not None:
        before()
    socket.close(0)
    sockets.pop(socket, None)


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
        _begin(socket, host, port)
    except BaseException:
        socket.close()
        raise
    return socket


def _begin(socket: zmq.Socket[bytes], host: str, port: int) -> None:
    try:
        socket.connect(f"tcp://{address(host, port)}")
    except zmq.ZMQError as error:
        raise SettingError(
            f"{host}:{port} is not an address to connect to: {error.strerror}",
            hint="MT5_HOST is a name or address, MT5_PORT a port",
        ) from error


def _configure(socket: zmq.Socket[bytes], host: str, keys: ClientKeys | None) -> None:
    """Set what is the same for all sockets."""
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

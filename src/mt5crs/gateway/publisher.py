"""The stream socket: grants wishes to subscribe, publishes, and starts again when somebody is shut out.

It is an XPUB in manual mode: nobody is subscribed to anything unless we say so, for the connection that the
latest wish came from. Which of its connections is whose it does not tell, so to shut one out all are closed.
"""

import logging
import os
import time
from collections.abc import Callable
from typing import TypeAlias

import zmq

from mt5crs.errors import SettingError
from mt5crs.gateway.streams import Streams
from mt5crs.gateway.transfers import Frames
from mt5crs.security.policy import Principal
from mt5crs.wire.topics import SUBSCRIBE

log = logging.getLogger(__name__)

Socket: TypeAlias = zmq.Socket[bytes]

WISH_LIMIT = 1024
"""Bytes of a wish, and of a message of the handshake; a longer one ends its connection."""
WISHES = 256
"""Wishes that are taken in one turn."""
ATTEMPTS, PAUSE = 50, 0.002
"""How often the port is tried in one go, and the pause between, in seconds: a socket that was closed lets go
of its port a moment later."""
SPARE = 16
"""Descriptors that must be there before a socket is made and bound."""

_NOBLOCK = int(zmq.NOBLOCK)


class Publisher:
    """The stream socket.

    Args:
        make: Makes a socket of a kind, with keys where the gateway has them.
        bind: Binds a socket to a port; returns the port.
        port: The port; 0 for any free one.

    Attributes:
        socket: The socket; another one after `start_again`.
        port: Its port.

    Raises:
        SettingError: The port is taken.
    """

    def __init__(self, make: Callable[[int], Socket], bind: Callable[[Socket, int], int], port: int) -> None:
        self._make = make
        self._bind = bind
        self.socket = self._new()
        try:
            self.port = bind(self.socket, port)
        except BaseException:
            self.socket.close()
            raise
        self._is_bound = True

    def _new(self) -> Socket:
        socket = self._make(zmq.XPUB)
        socket.setsockopt(zmq.MAXMSGSIZE, WISH_LIMIT)
        socket.setsockopt(zmq.XPUB_MANUAL, 1)
        return socket

    def publish(self, frames: Frames) -> None:
        """Send a message to whoever was granted its topic."""
        if not self.socket.closed:
            self.socket.send_multipart(frames, _NOBLOCK)

    def take_wishes(self, streams: Streams, who: Callable[[object], Principal | None]) -> int:
        """Grant wishes to subscribe, or not, and note those that end; return how many were refused.

        Args:
            streams: Decides.
            who: Says whose message a frame is.
        """
        refused = 0
        try:
            for _ in range(WISHES):
                received = self.socket.recv(_NOBLOCK, False)
                wish: bytes = received.bytes
                if wish[:1] == SUBSCRIBE:
                    principal = who(received)
                    topic = None if principal is None else streams.grant(wish[1:], principal)
                    refused += topic is None
                    option = zmq.SUBSCRIBE
                else:
                    topic, option = streams.give_up(wish[1:]), zmq.UNSUBSCRIBE
                if topic is not None:
                    self.socket.setsockopt(option, topic)  # of the connection that the wish came from
        except zmq.Again:
            pass
        return refused

    def close_all(self) -> None:
        """Close all connections; those that still may will come back after `start_again`."""
        self.socket.close(linger=0)
        self._is_bound = False

    def start_again(self) -> bool:
        """Have another socket, where it was closed; return whether there is one.

        Not while strangers use all descriptors up: the transport ends the process if it has none to bind.
        """
        if not _has_room():
            return False
        try:
            self.socket = self._new()
        except zmq.ZMQError:
            return False
        self.see_to_it()
        return True

    def see_to_it(self) -> None:
        """See that the port is bound; where it cannot be, that is for a later turn."""
        if self._is_bound or self.socket.closed or not _has_room():
            return
        for _ in range(ATTEMPTS):
            if self._try():
                return
            time.sleep(PAUSE)
        log.error("streams cannot be published on port %d for now", self.port)

    def _try(self) -> bool:
        try:
            self._bind(self.socket, self.port)
        except SettingError:
            return False
        self._is_bound = True
        return True

    def close(self) -> None:
        """Close it; what was published goes out first."""
        self.socket.close()


def _has_room() -> bool:
    """Whether there are descriptors for another socket."""
    taken: list[int] = []
    try:
        for _ in range(SPARE):
            taken.append(os.open(os.devnull, os.O_RDONLY))  # noqa: PERF401 - what was taken is given back
    except OSError:
        return False
    finally:
        for each in taken:
            os.close(each)
    return True

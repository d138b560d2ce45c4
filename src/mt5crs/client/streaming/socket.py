"""The socket of a subscription."""

import os
import time
from collections.abc import Callable, Sequence
from math import ceil, inf

import zmq
from zmq.backend import zmq_poll

from mt5crs.client.core import Core
from mt5crs.client.link import Sockets
from mt5crs.errors import Unreachable
from mt5crs.topics import Beat
from mt5crs.wire import topics

TOKEN = 16
"""Random bytes that tell a connection's wishes apart from those of others."""
QUEUE = 256
"""Messages that wait in the socket, 60 KB each at most; what comes beyond them waits at the gateway."""
BEAT_PATIENCE = 3.0
"""Seconds for which a beat is waited for at most; a gateway publishes one at once to who has subscribed."""
ARRIVAL = 1.0
"""Seconds for which a subscription waits for its first message before it is given to the program."""
PAUSES = (0.05, 1.0)
"""First and longest pause before another connection, for one that was lost as soon as it was made."""
STALE = 5.0
"""Seconds in which a connection has brought nothing, though the gateway answers, until it is given up."""
STEP_MS = 100
"""How long a socket waits before the process's signals get their turn."""

_LOST = zmq.EVENT_CONNECT_RETRIED | zmq.EVENT_DISCONNECTED

_now = time.monotonic


class Subscribed:
    """A subscribed connection, with a context of its own: a client can be closed while its streams go on.

    Each connection has a socket and a random token of its own. The transport would reconnect by itself with
    the same wishes and the same token, and the gateway could not tell a connection from the dead ones before
    it. What a lost connection still had is a hole like any other.

    Args:
        core: Whose gateway it is.
        names: The topics, as they are called on the wire.
        port: Where it publishes.

    Attributes:
        socket: The socket of the present connection.
        monitor: What tells that it is lost.
    """

    socket: "zmq.Socket[bytes]"
    monitor: "zmq.Socket[bytes]"

    def __init__(self, core: Core, names: Sequence[bytes], port: int) -> None:
        self._core = core
        self._names = names
        self._port = port
        self._sockets = Sockets()
        self._pause = 0.0
        try:
            self._renew()
        except BaseException:
            self.close()
            raise

    def _renew(self) -> None:
        """Close the connection, and make another one."""
        self._is_spoilt = True
        self._sockets.drop_all()
        self.socket, self.monitor = self._sockets.connect_once(zmq.XSUB, self._core, self._port, _LOST, QUEUE)
        self._message = [(self.socket, int(zmq.POLLIN))]
        self._either = [*self._message, (self.monitor, int(zmq.POLLIN))]
        token = os.urandom(TOKEN).hex().encode()
        for name in self._names:
            self.socket.send(topics.wish(name, token))
        self._made = self._heard = _now()
        self._due = inf  # when another connection is to be made
        self._is_spoilt = False

    def spoil(self) -> None:
        """Note that a message was taken in part: the connection cannot be used any more."""
        self._is_spoilt = True

    def ready(self, seconds: float) -> bool:
        """Wait for a message, on another connection where this one is lost; return whether there is one."""
        now = _now()
        if self._is_spoilt or (now >= self._due and not zmq_poll(self._message, 0)):
            self._renew()
        is_lost = self._due < inf
        wait = ceil(min(seconds, max(0.0, self._due - now)) * 1000)
        found = zmq_poll(self._message if is_lost else self._either, wait)
        if any(socket is self.socket for socket, _ in found):
            self._heard = _now()
            return True
        if found:
            self._lose(_now())
        return False

    def _lose(self, now: float) -> None:
        first, longest = PAUSES
        has_lived = now - self._made > longest
        self._pause = 0.0 if has_lived else min(longest, max(first, 2 * self._pause))
        self._due = now + self._pause

    @property
    def pause(self) -> float:
        """Seconds after which `ready` has something to do, whether a message comes or not."""
        return 0.0 if self._is_spoilt else max(0.0, self._due - _now())

    def move(self, port: int) -> None:
        """Take it that the gateway answers, and publishes there: what has brought nothing is given up."""
        if port == self._port and (_now() - self._heard < STALE or zmq_poll(self._message, 0)):
            return
        self._is_spoilt = True  # also where an exception comes in between
        self._port = port
        self._renew()

    def hears(self, seconds: float) -> bool:
        """Wait for a first message: the gateway has granted what was wished. Return whether one came."""
        end = _now() + seconds
        while (left := end - _now()) > 0:
            # In short steps, so that the process's signals get their turn.
            if self.ready(min(STEP_MS / 1000, left)):
                return True
        return False

    def before_close(self, socket: "zmq.Socket[bytes]", call: Callable[[], object]) -> None:
        """Have something called before a socket of the connection is closed; it must not hold this."""
        self._sockets.before_close(socket, call)

    @property
    def is_inherited(self) -> bool:
        """Whether it is that of the process that this one was forked from."""
        return self._sockets.is_inherited

    def check_process(self) -> None:
        """Refuse to be used in a forked child.

        Raises:
            Unreachable: It belongs to another process.
        """
        if self._sockets.is_inherited:
            raise Unreachable(
                "this stream belongs to the process that this one was forked from",
                hint="subscribe in this process, too",
            )

    def close(self) -> None:
        """End it. Can be called again."""
        self._sockets.close()


def hears_beat(core: Core, port: int, seconds: float) -> bool:
    """Return whether a beat comes from a stream port in time."""
    subscribed = Subscribed(core, [topics.name(Beat())], port)
    try:
        return subscribed.hears(min(seconds, BEAT_PATIENCE))
    finally:
        subscribed.close()

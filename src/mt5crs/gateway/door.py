"""The door: answers the transport's questions about who may connect, and hears of handshakes that fail.

Both come at whatever rate strangers like. So in one turn only some are dealt with, they are counted, and a
line of the log now and then says how many there were.
"""

import logging
import os
from collections import defaultdict
from math import inf

import zmq

from mt5crs.gateway.access import ENDPOINT, GRANTED, Access
from mt5crs.gateway.publisher import Socket

log = logging.getLogger(__name__)

HANDSHAKE_MS = 5000
"""How long a handshake may take."""
AT_ONCE = 16
"""Questions that are answered in one turn."""
NEWS = 256
"""Failed handshakes that are taken note of in one turn."""
COMPLAINT = 10.0
"""Seconds between two lines of the log."""

# Not those that could not be accepted for want of descriptors: the transport tries that again at once, as
# fast as it can, and each time would be one more piece of news.
_FAILURES = zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
_NOBLOCK = int(zmq.NOBLOCK)


class Door:
    """The door of a gateway.

    Args:
        context: Whose sockets it watches over.
        access: Says who may connect.
        counters: How often what happened: `refused-connections` were refused by us, `failed-handshakes`
            failed by themselves (broken off, too slow; of other protocols the transport tells little).
    """

    def __init__(
        self, context: "zmq.Context[Socket]", access: Access, counters: "defaultdict[str, int]"
    ) -> None:
        self._context = context
        self._access = access
        self._counters = counters
        self._next_complaint = -inf
        self._questions = context.socket(zmq.REP)
        self._questions.linger = 0
        self._questions.bind(ENDPOINT)
        self._monitors: dict[Socket, Socket] = {}

    @property
    def sources(self) -> list[Socket]:
        """The sockets on which something comes."""
        return [self._questions, *self._monitors.values()]

    def watch(self, socket: Socket) -> Socket:
        """Hear of the handshakes of a socket that fail; return where that comes."""
        address = f"inproc://door-{os.urandom(8).hex()}"
        socket.monitor(address, _FAILURES)
        monitor = self._context.socket(zmq.PAIR)
        monitor.linger = 0
        monitor.rcvhwm = 0  # the transport waits for room here, and all connections with it
        monitor.connect(address)
        self._monitors[socket] = monitor
        return monitor

    def leave(self, socket: Socket) -> Socket:
        """Hear of a socket no more; return where its news came."""
        if not socket.closed:
            socket.disable_monitor()
        monitor = self._monitors.pop(socket)
        monitor.close()
        return monitor

    def take_turn(self, now: float) -> None:
        """Answer some of the questions, and take note of what failed."""
        try:
            for _ in range(AT_ONCE):
                reply = self._access.answer(self._questions.recv_multipart(_NOBLOCK))
                self._questions.send_multipart(reply)
                if reply[2] != GRANTED:
                    self._note("refused-connections", reply[3].decode(), now)
        except zmq.Again:
            pass
        for monitor in self._monitors.values():
            self._hear(monitor, now)

    def _hear(self, monitor: Socket, now: float) -> None:
        try:
            for _ in range(NEWS):
                monitor.recv_multipart(_NOBLOCK)
                self._note("failed-handshakes", "the handshake failed", now)
        except zmq.Again:
            return

    def _note(self, counter: str, why: str, now: float) -> None:
        self._counters[counter] += 1
        if now >= self._next_complaint:
            self._next_complaint = now + COMPLAINT
            log.warning("connection refused: %s (%d %s so far)", why, self._counters[counter], counter)

    def close(self) -> None:
        """Close it."""
        for socket in list(self._monitors):
            self.leave(socket)
        self._questions.close()

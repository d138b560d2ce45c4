"""Answers on their way out: at once where a connection takes them, else behind those that wait for it."""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import zmq

from mt5crs.gateway.backlog import Backlog
from mt5crs.gateway.transfers import Frames

COPY_BELOW = 64 * 1024
"""Rows of fewer bytes are copied into the transport, larger ones are referred to."""

_AHEAD = int(zmq.SNDMORE | zmq.NOBLOCK)  # joining enum flags costs more than sending does
_MORE = int(zmq.SNDMORE)


class Outgoing:
    """The way out of a ROUTER socket.

    Args:
        router: The socket.
        counters: Counts what could not be sent.
        gone: Told of a connection that is not there any more.
        full: Told of one that has too many answers waiting.

    Attributes:
        backlog: What waits, by connection.
    """

    def __init__(
        self,
        router: "zmq.Socket[Any]",
        counters: "defaultdict[str, int]",
        gone: Callable[[bytes], object],
        full: Callable[[bytes], object],
    ) -> None:
        # Without the wrapper for options of other kinds of socket, which costs as much as it wraps.
        self._send_frame = super(zmq.Socket, router).send
        self._counters = counters
        self._gone = gone
        self._full = full
        self.backlog: dict[bytes, Backlog] = {}

    def send(self, peer: bytes, envelope: tuple[bytes, ...], frames: Frames) -> None:
        """Send one message, or let it wait behind those that its connection cannot take yet."""
        if self.backlog and peer in self.backlog:
            self._postpone(peer, envelope, frames)
            return
        send = self._send_frame
        try:
            send(peer, _AHEAD)
            for frame in (*envelope, *frames[:-1]) if envelope or len(frames) > 1 else ():
                send(frame, _MORE)
            last = frames[-1]
            send(last, 0, len(last) < COPY_BELOW)
        except zmq.ZMQError as error:
            if error.errno == zmq.EHOSTUNREACH:
                self._counters["peer-gone"] += 1
                self._gone(peer)
            elif error.errno == zmq.EAGAIN:
                self._postpone(peer, envelope, frames)
            else:
                raise

    def _postpone(self, peer: bytes, envelope: tuple[bytes, ...], frames: Frames) -> None:
        """Keep an answer for a connection whose queue is full; beyond the limit it is dropped and counted."""
        if not self.backlog.setdefault(peer, Backlog()).add(envelope, frames):
            self._counters["dropped-answers"] += 1
            self._full(peer)

    def catch_up(self) -> None:
        """Send what waits for slow connections, as far as they take it."""
        backlog, self.backlog = self.backlog, {}
        for peer, waiting in backlog.items():
            while waiting.answers:
                envelope, frames = waiting.take()
                self.send(peer, envelope, frames)
                again = self.backlog.get(peer)
                if again is not None:  # it takes no more for now
                    again.follow(waiting)
                    break

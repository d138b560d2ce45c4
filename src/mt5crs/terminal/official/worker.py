"""A worker: the process in which the package is called, for one lane.

It is started with one line of JSON on its standard input, which stays open for as long as the gateway lives:
when it ends, however the gateway ended, so does the worker.
"""

import faulthandler
import logging
import os
import signal
import sys
import threading
import time
from math import ceil, inf
from typing import Any, TextIO

import msgspec
import zmq

from mt5crs.api import OPERATIONS
from mt5crs.last_error import IPC_CALL_FAILED
from mt5crs.operation import Result
from mt5crs.terminal.official.attachment import Attachment
from mt5crs.terminal.official.desks import Desk, Lost, ReadDesk, TradeDesk, WrongAccountFound
from mt5crs.terminal.official.messages import (
    CHUNK,
    QUEUE,
    Attach,
    Back,
    Call,
    Chunk,
    Configuration,
    Found,
    Head,
    Here,
    Missing,
    Refused,
    Reply,
    ToTerminal,
    ToWorker,
    encode,
    to_worker,
)
from mt5crs.terminal.official.news import as_bytes, pack
from mt5crs.terminal.official.package import load
from mt5crs.terminal.official.streamdesk import StreamDesk
from mt5crs.terminal.port import Account

log = logging.getLogger(__name__)

FLUSH_MS = 1000
"""How long an ending worker gives its last messages."""
GRACE = 5.0
"""Seconds beyond the gateway's own limit after which a worker that hangs ends by itself."""
LONGEST_WATCH = 86_400.0
DESKS: dict[str, type[Desk]] = {"trade": TradeDesk, "read": ReadDesk, "stream": StreamDesk}
"""What a worker does, by its lane."""


class Channel:
    """The worker's end of the connection to its terminal.

    Args:
        told: Where the terminal listens, and the secret that it knows this worker by.
    """

    def __init__(self, told: Configuration) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.ROUTING_ID, told.token.encode())
        self._socket.setsockopt(zmq.SNDHWM, QUEUE)
        self._socket.linger = FLUSH_MS
        self._socket.connect(told.endpoint)

    def receive(self, seconds: float) -> ToWorker | None:
        """Return the next message, None where none comes in time."""
        if seconds < inf and not self._socket.poll(ceil(seconds * 1000)):
            return None
        message: ToWorker = to_worker(self._socket.recv())
        return message

    def send(self, message: ToTerminal, *rows: Any) -> None:
        """Send a message and the rows that belong to it."""
        self._socket.send_multipart([encode(message), *rows], copy=not rows)

    def close(self) -> None:
        """Give what was sent its time to leave, and close."""
        self._socket.close()
        self._context.term()


class Watch:
    """Ends this process when it has run no Python for too long, whether anybody is left to do so or not.

    A package that lets no other thread run while it waits would keep the end of the life line from being
    noticed; what is set here needs none.

    Args:
        seconds: How long is too long.
    """

    def __init__(self, seconds: float) -> None:
        self._file: TextIO | int = sys.stderr or os.open(os.devnull, os.O_WRONLY)  # a service has none
        self.allow(seconds)
        threading.Thread(target=self._run, daemon=True).start()

    def allow(self, seconds: float) -> None:
        """Let so long be too long from now on; the gateway, while it lives, is not so patient."""
        self._seconds = min(seconds + GRACE, LONGEST_WATCH)
        self._set()

    def _set(self) -> None:
        faulthandler.dump_traceback_later(self._seconds, exit=True, file=self._file)

    def _run(self) -> None:
        while True:
            time.sleep(GRACE / 5)
            self._set()


class Worker:
    """Attaches to the terminal, carries out what it is asked, and says what is new.

    Args:
        channel: Where messages come from and go to.
        attachment: The package.
        desk: What this worker is for.
        told: How long what may take.
    """

    def __init__(self, channel: Channel, attachment: Attachment, desk: Desk, told: Configuration) -> None:
        self._channel = channel
        self._attachment = attachment
        self._desk = desk
        self._told = told
        self._watch = Watch(told.start_limit)

    def run(self) -> None:
        """Do as the messages say, until one says to leave."""
        self._channel.send(Here())
        while True:
            message = self._channel.receive(self._desk.pause)
            if isinstance(message, Call):
                self._answer(message)
            elif isinstance(message, Attach):
                fence = message.fence
                self._attach(None if fence is None else Account(*fence))
            elif message is not None:
                self._attachment.package.shutdown()
                return
            self._look()

    def _attach(self, fence: Account | None) -> None:
        self._watch.allow(self._told.start_limit)
        self._channel.send(self._attachment.attach(fence))
        self._watch.allow(self._told.limit)

    def _answer(self, call: Call) -> None:
        try:
            result = self._desk.carry_out(call.op, call.args)
            self._reply(call, result)
        except Lost:
            self._channel.send(Back(call.number))
            self._attach(self._attachment.fence)
        except WrongAccountFound as why:
            self._channel.send(Refused(call.number, str(why)))
        except Exception:  # the terminal may have heard of it, and there is no answer
            log.exception("%s failed in its worker", call.op)
            self._channel.send(Reply(call.number, None, *IPC_CALL_FAILED))

    def _reply(self, call: Call, result: Result) -> None:
        value, error = result
        op = OPERATIONS.get(call.op)
        if op is None or op.array is None or value is None:
            self._channel.send(Reply(call.number, value, *error))
            return
        rows = as_bytes(value, op.array.dtype)
        self._channel.send(Head(call.number, len(value), *error))
        for start in range(0, len(rows), CHUNK):
            self._channel.send(Chunk(call.number), rows[start : start + CHUNK])

    def _look(self) -> None:
        for number, news in self._desk.look():
            begins, *rows = pack(news)
            self._channel.send(Found(number, begins), *rows)


def _first_line(descriptor: int) -> bytes:
    """Return the configuration; nothing behind it is read, and nothing is kept in a buffer of Python's."""
    line = b""
    while not line.endswith(b"\n"):
        more = os.read(descriptor, 1)
        if not more:  # the gateway has gone already
            sys.exit(0)
        line += more
    return line


def _end_with(descriptor: int) -> None:
    while os.read(descriptor, 4096):
        pass
    os._exit(0)  # whatever the package is doing: nobody is left to answer


def _life_line() -> int:
    """Return the standard input under another number, with nothing in its place.

    On Windows a library that asks what kind of file the standard input is, as many do while they are loaded,
    would wait for as long as another thread reads from it.
    """
    line = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return line


def main() -> None:
    """Be a worker until the gateway says to leave, or is gone."""
    for name in ("SIGINT", "SIGBREAK"):  # Ctrl-C is for the gateway
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    line = _life_line()
    told = msgspec.json.decode(_first_line(line), type=Configuration)
    logging.basicConfig(
        format=f"%(asctime)s %(levelname)s %(name)s ({told.lane}): %(message)s", stream=sys.stderr
    )
    threading.Thread(target=_end_with, args=(line,), daemon=True).start()
    channel = Channel(told)
    try:
        package = load(told.package)
    except ImportError as error:
        channel.send(Missing(str(error)))
        channel.receive(inf)  # to leave: whoever ends before is taken for one that failed in another way
    else:
        attachment = Attachment(package, told)
        Worker(channel, attachment, DESKS[told.lane](attachment), told).run()
    channel.close()

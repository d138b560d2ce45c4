"""A client and a gateway of protocol 2, as small as they can be: they know the frozen protocol alone."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import zmq

from mt5crs.security.keys import ClientKeys
from tests.previous import protocol2 as old

PATIENCE = 20.0
AGAIN_AFTER_MS = 500
"""Milliseconds without an answer after which the client asks again, under the same key."""
DONE = 10009


class Refused(Exception):
    """The gateway refused what was asked."""


class PreviousClient:
    """A client of protocol 2, which has one request under way at a time.

    Args:
        port: The gateway's command port.
        keys: Its key file, on a gateway with keys.

    Attributes:
        welcome: The gateway's answer to the greeting.
    """

    def __init__(self, port: int, keys: Path | None = None) -> None:
        self._keys = None if keys is None else ClientKeys.load(keys)
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._open: list[zmq.Socket[bytes]] = []
        self.socket = self._socket(zmq.DEALER)
        self.socket.setsockopt(zmq.IMMEDIATE, 1)
        self.socket.sndtimeo = int(PATIENCE * 1000)
        self.socket.connect(f"tcp://127.0.0.1:{port}")
        self._id = 0
        self.welcome: old.Welcome | None = None

    def _socket(self, kind: int) -> zmq.Socket[bytes]:
        socket = self._context.socket(kind)
        self._open.append(socket)
        socket.linger = 0
        if self._keys is not None:
            socket.curve_publickey = self._keys.public
            socket.curve_secretkey = self._keys.secret
            socket.curve_serverkey = self._keys.gateway
        return socket

    def close(self) -> None:
        for socket in self._open:
            socket.close()
        self._context.term()

    def __enter__(self) -> "PreviousClient":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ---- one message ----

    def send(self, *messages: old.Message) -> None:
        """Send messages, several as a `Many`."""
        frames = [old.encode(message) for message in messages]
        self.socket.send(frames[0] if len(frames) == 1 else old.join(frames))

    def receive(self, wait_ms: int = int(PATIENCE * 1000)) -> tuple[Any, bytes]:
        """Return the next message and the rows that follow it; None where none comes in time."""
        if not self.socket.poll(wait_ms):
            return None, b""
        first, *rest = self.socket.recv_multipart()
        return old.to_client(first), b"".join(rest)

    def greet(self, **more: Any) -> old.Welcome:
        """Introduce the connection."""
        self.send(old.Hello("previous", "mt5crs/0.0.9", [old.PROTOCOL], **more))
        answer, _ = self.receive()
        assert isinstance(answer, old.Welcome), answer
        self.welcome = answer
        return answer

    def ping(self) -> old.Pong:
        """Ask how the gateway is."""
        self.send(old.Ping(self._next()))
        answer, _ = self.receive()
        assert isinstance(answer, old.Pong)
        return answer

    def _next(self) -> int:
        self._id += 1
        return self._id

    def asked(self, op: str, *args: Any, key: str = "", credit: int = 0) -> old.Ask:
        """Return a request."""
        epoch = self.welcome.epoch if self.welcome else 0
        return old.Ask(self._next(), op, list(args), 0, epoch, key, credit)

    def signed(self, op: str, *args: Any, key: str) -> old.Signed:
        """Return a request with its signature."""
        assert self._keys is not None
        assert self.welcome is not None
        ask = self.asked(op, *args, key=key)
        statement = old.Statement(
            old.PROTOCOL, self._keys.gateway_signing, self.welcome.account, self._keys.key_id, os.urandom(16),
            time.time_ns() // 1_000_000, ask.id, op, list(args), 0, ask.epoch, key,
        )  # fmt: skip
        return old.Signed(ask.id, self._keys.signer.sign(old.statement(statement)))

    def ask(self, op: str, *args: Any, key: str = "") -> Any:
        """Ask for an operation; return its answer's value."""
        self.send(self.signed(op, *args, key=key) if self._keys and key else self.asked(op, *args, key=key))
        return self._value(self.receive()[0])

    def _value(self, answer: Any) -> Any:
        if isinstance(answer, old.Refusal):
            raise Refused(answer.code, answer.message)
        assert isinstance(answer, old.Reply | old.Receipt), answer
        return answer.value

    def many(self, *asks: old.Ask) -> list[Any]:
        """Ask for several operations in one frame; return their values."""
        self.send(*asks)
        answer, _ = self.receive()
        assert isinstance(answer, old.Many)
        return [self._value(old.part_to_client(part)) for part in answer.messages]

    def array(self, op: str, *args: Any, credit: int = 1) -> bytes:
        """Return the rows of an array, given chunk by chunk."""
        ask = self.asked(op, *args, credit=credit)
        self.send(ask)
        head, rows = self.receive()
        assert isinstance(head, old.Head)
        while len(rows) < 60 * head.rows:
            self.send(old.Credit(ask.id, 1))
            chunk, more = self.receive()
            assert isinstance(chunk, old.Chunk)
            assert chunk.start * 60 == len(rows)
            rows += more
        return rows

    # ---- whatever happens ----

    def surely(self, op: str, *args: Any, key: str = "") -> Any:
        """Ask until it is answered: again under the same key, and of a new process after a new greeting."""
        give_up = time.monotonic() + PATIENCE
        while time.monotonic() < give_up:
            if self.welcome is None:
                self.send(old.Hello("previous", "mt5crs/0.0.9", [old.PROTOCOL]))
            else:
                self.send(self.asked(op, *args, key=key))
            answer, _ = self.receive(AGAIN_AFTER_MS)
            while getattr(answer, "id", self._id) != self._id:  # of an earlier copy
                answer, _ = self.receive(AGAIN_AFTER_MS)
            if isinstance(answer, old.Welcome):
                self.welcome = answer
            elif isinstance(answer, old.Refusal) and answer.code == "stale-epoch":
                self.welcome = None
            elif answer is not None:
                return self._value(answer)
        raise AssertionError(f"{op} was not answered within {PATIENCE:g} s")

    # ---- streams ----

    def subscribe(self, *topics: bytes) -> zmq.Socket[bytes]:
        """Return a socket on which topics come."""
        assert self.welcome is not None
        socket = self._socket(zmq.XSUB)
        socket.connect(f"tcp://127.0.0.1:{self.welcome.stream_port}")
        token = os.urandom(16).hex().encode()
        for topic in topics:
            socket.send(b"\1" + topic + b"\0" + token)
        return socket


def stands(message: Any) -> bool:
    """Whether it is known where the trade events stand: what comes after this is published."""
    return isinstance(message, old.Events) and bool(message.log)


def has_rows(message: Any) -> bool:
    return isinstance(message, old.Batch) and message.rows > 0


def has_events(message: Any) -> bool:
    return isinstance(message, old.Events) and bool(message.events)


def published(socket: zmq.Socket[bytes], wanted: Callable[[Any], bool]) -> tuple[Any, bytes]:
    """Return the next message on a stream that is wanted, and its rows."""
    give_up = time.monotonic() + PATIENCE
    while time.monotonic() < give_up:
        assert socket.poll(int(PATIENCE * 1000))
        _, frame, *rows = socket.recv_multipart()
        message = old.on_stream(frame)
        if wanted(message):
            return message, b"".join(rows)
    raise AssertionError(f"nothing that {wanted.__name__} came within {PATIENCE:g} s")


class PreviousGateway:
    """A gateway of protocol 2: it answers a few questions, and refuses all that is not protocol 2.

    Attributes:
        port: Its port.
        hellos: How it was greeted.
        refused: How many frames it refused by their version.
        orders: The keys of the orders that it was sent.
    """

    ROWS = 20_000
    CHUNK = 8738

    def __init__(self, *, speaks: tuple[int, ...] = (old.PROTOCOL,)) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._router = self._context.socket(zmq.ROUTER)
        self._router.linger = 0
        self.port = self._router.bind_to_random_port("tcp://127.0.0.1")
        self._speaks = speaks
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self.hellos: list[old.Hello] = []
        self.refused = 0
        self.orders: list[str] = []

    def _serve(self) -> None:
        while not self._ended.is_set():
            if self._router.poll(20):
                peer, frame = self._router.recv_multipart()
                for answer in self._answer(frame):
                    self._router.send_multipart([peer, *answer])

    def _answer(self, frame: bytes) -> Iterator[list[bytes]]:
        try:
            message = old.to_gateway(frame)
        except old.VersionMismatch:
            self.refused += 1
            yield [old.encode(self._refusal("version", "upgrade the other side of the bridge"))]
            return
        except msgspec.MsgspecError as error:
            yield [old.encode(self._refusal("protocol", str(error)))]
            return
        if isinstance(message, old.Many):
            parts = [msgspec.msgpack.decode(part, type=old.ToGateway) for part in message.messages]
            yield [old.join([frame for part in parts for (frame,) in self._one(part)])]
        else:
            yield from self._one(message)

    def _refusal(self, code: str, text: str) -> old.Refusal:
        return old.Refusal(0, code, text, text, "refused")

    def _one(self, message: Any) -> Iterator[list[bytes]]:
        if isinstance(message, old.Hello):
            self.hellos.append(message)
            if set(self._speaks) & set(message.speaks):
                welcome = old.Welcome(2, "mt5crs/0.0.9", 7, 0, "simulated", 1, "1@Previous", "j" * 32)
                yield [old.encode(welcome)]
            else:
                yield [old.encode(self._refusal("version", "upgrade the client"))]
        elif isinstance(message, old.Ping):
            yield [old.encode(old.Pong(message.id, 7, 0, [], {"terminal": "simulated"}))]
        elif isinstance(message, old.Ask) and message.op == "order_send":
            self.orders.append(message.key)
            result = [
                DONE,
                1,
                1,
                0.1,
                1.1,
                1.1,
                1.1,
                "",
                1,
                0,
                [0] * 3 + [""] + [0.0] * 5 + [0] * 5 + ["", 0, 0],
            ]
            yield [old.encode(old.Receipt(message.id, result, 1, "Success", 1, bytes(32)))]
        elif isinstance(message, old.Ask) and message.op == "copy_rates_from_pos":
            yield [old.encode(old.Head(message.id, "rates", self.ROWS, 1, "Success")), bytes(60 * self.CHUNK)]
            for start in range(self.CHUNK, self.ROWS, self.CHUNK):
                rows = bytes(60 * min(self.CHUNK, self.ROWS - start))
                yield [old.encode(old.Chunk(message.id, start)), rows]
        elif isinstance(message, old.Ask):
            yield [old.encode(old.Reply(message.id, 7, 1, "Success"))]


@contextmanager
def previous_gateway(**options: Any) -> Iterator[PreviousGateway]:
    """Serve a gateway of protocol 2 in a thread."""
    gateway = PreviousGateway(**options)
    gateway._thread.start()
    try:
        yield gateway
    finally:
        gateway._ended.set()
        gateway._thread.join()
        gateway._context.destroy(linger=0)

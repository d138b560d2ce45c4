"""A connection of somebody who keeps to no rule: any key, any routing id, any frame, from any address."""

import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import zmq

from mt5crs.api import OPERATIONS
from mt5crs.client.proofs import RequestSigner
from mt5crs.errors import from_wire
from mt5crs.security.keys import ClientKeys
from mt5crs.wire.codec import encode, to_client
from mt5crs.wire.messages import SPEAKS, Ask, Hello, Refusal, Reply, Signed, Welcome

PATIENCE = 5.0


class NoAnswer(Exception):
    """Nothing came."""


class Peer:
    """A raw connection to a gateway.

    Args:
        port: The gateway's command port.
        keys: A client's key file; none without it.
        source: The address to connect from.
        routing_id: The name of the connection; the gateway chooses one without it.
    """

    def __init__(
        self, port: int, keys: Path | None = None, *, source: str = "", routing_id: bytes = b""
    ) -> None:
        self.keys = None if keys is None else ClientKeys.load(keys)
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.socket = self._context.socket(zmq.DEALER)
        self.socket.linger = 0
        if routing_id:
            self.socket.setsockopt(zmq.IDENTITY, routing_id)
        if self.keys is not None:
            self.socket.curve_publickey = self.keys.public
            self.socket.curve_secretkey = self.keys.secret
            self.socket.curve_serverkey = self.keys.gateway
        self.socket.connect(f"tcp://{source and source + ':0;'}127.0.0.1:{port}")
        self.welcome: Welcome | None = None
        self._id = time.time_ns() // 1000  # no two connections have the same ones

    def send(self, frame: bytes) -> None:
        """Send a frame."""
        self.socket.send(frame)

    def receive(self, seconds: float = PATIENCE) -> list[bytes]:
        """Return the frames of the next message.

        Raises:
            NoAnswer: None came.
        """
        if not self.socket.poll(int(seconds * 1000)):
            raise NoAnswer
        return self.socket.recv_multipart()

    def say(self, frame: bytes, seconds: float = PATIENCE) -> Any:
        """Send a frame; return the message that answers it.

        Raises:
            BridgeError: It was refused.
            NoAnswer: Nothing answered it.
        """
        self.send(frame)
        answer = to_client(self.receive(seconds)[0])
        if isinstance(answer, Refusal):
            raise from_wire(answer.code, answer.message, answer.hint, answer.certainty)
        return answer

    def greet(self, seconds: float = PATIENCE) -> Welcome:
        """Introduce the connection."""
        answer = self.say(encode(Hello("somebody", "none", list(SPEAKS))), seconds)
        assert isinstance(answer, Welcome)
        self.welcome = answer
        return answer

    def ask(self, name: str, *args: Any, epoch: int | None = None, key: str = "", credit: int = 0) -> Any:
        """Ask for an operation without a signature; return the answer."""
        return self.say(encode(self._asked(name, args, epoch, key, credit)))

    def value(self, name: str, *args: Any, epoch: int | None = None) -> Any:
        """Ask for an operation; return its value."""
        answer = self.ask(name, *args, epoch=epoch)
        assert isinstance(answer, Reply)
        return answer.value

    def signed(
        self,
        name: str,
        *args: Any,
        key: str = "",
        by: ClientKeys | None = None,
        clock: Callable[[], int] = time.time_ns,
    ) -> bytes:
        """Return the frame of a signed request.

        Args:
            name: The operation.
            args: Its arguments.
            key: The idempotency key of a trade.
            by: Whose key signs it; the connection's own without it.
            clock: Nanoseconds since the epoch, UTC.
        """
        by = by or self.keys
        assert by is not None
        welcome = self.welcome or self.greet()
        ask = self._asked(name, args, None, key, 0)
        return encode(Signed(ask.id, RequestSigner(by, clock)(ask, welcome.account)))

    def _asked(self, name: str, args: Any, epoch: int | None, key: str, credit: int) -> Ask:
        self._id += 1
        if epoch is None:
            epoch = (self.welcome or self.greet()).epoch
        wire = list(OPERATIONS[name].signature.bind(name, args, {}))
        return Ask(self._id, name, wire, 0, epoch, key, credit)

    def close(self) -> None:
        """Close it."""
        self._context.destroy(linger=0)

    def __enter__(self) -> "Peer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

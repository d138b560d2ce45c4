"""Somebody between client and gateway who listens: what they sent, byte for byte."""

import socket
import threading
from types import TracebackType

PATIENCE = 30.0


class Relay:
    """A relay on a free port of loopback that keeps what passes through.

    Args:
        port: The gateway's port.

    Attributes:
        port: Where clients connect to.
        to_gateway: What clients sent, connection by connection, in the parts in which it came.
        to_client: What the gateway sent.
    """

    def __init__(self, port: int) -> None:
        self._gateway = port
        self.to_gateway: list[list[bytes]] = []
        self.to_client: list[list[bytes]] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:  # closed
                return
            far = socket.create_connection(("127.0.0.1", self._gateway))
            self._sockets += [near, far]
            for source, target, heard in ((near, far, self.to_gateway), (far, near, self.to_client)):
                heard.append([])
                thread = threading.Thread(target=_pass_on, args=(source, target, heard[-1]))
                self._threads.append(thread)
                thread.start()

    @property
    def heard(self) -> bytes:
        """All of it."""
        return b"".join(part for each in (*self.to_gateway, *self.to_client) for part in each)

    def close(self) -> None:
        """End it and its connections."""
        for each in (self._listener, *self._sockets):
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:  # the other side has ended it
                pass
        for thread in self._threads:
            thread.join(PATIENCE)
        for each in (self._listener, *self._sockets):
            each.close()

    def __enter__(self) -> "Relay":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _pass_on(source: socket.socket, target: socket.socket, heard: list[bytes]) -> None:
    try:
        while part := source.recv(65536):
            heard.append(part)
            target.sendall(part)
        target.shutdown(socket.SHUT_WR)
    except OSError:  # one of the two has ended
        return

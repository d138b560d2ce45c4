#!/usr/bin/env python3
"""Ask whether an MT5 gateway answers: send `Hello`, expect `OK_FROM_MT5`.

    python3 src/client/mt5_connector.py [--host HOST] [--port PORT] [--timeout SECONDS]

Runs from a bare checkout with Python 3.10 or newer and pyzmq; nothing needs to be installed besides. What is
not given comes from MT5_HOST, MT5_PORT and MT5_TIMEOUT in the environment or a `.env` file. For more than
this question use the package itself, `mt5crs`.

Exit codes: 0 the gateway answered, 1 it did not, or not as it should, 2 something here is missing or wrong,
130 interrupted.
"""

# Python 3.9 must be able to read this file: only then can it be told why it is refused.
from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    import argparse
    from types import TracebackType

    import zmq

_SOURCES = Path(__file__).resolve().parent.parent
if (_SOURCES / "mt5crs").is_dir() and str(_SOURCES) not in sys.path:
    # Before an installed package, which may be of another version than this checkout.
    sys.path.insert(0, str(_SOURCES))


class MT5Client:
    """A connection to one gateway, for the handshake.

    It belongs to one thread. After a failed test the same object can be used again: it goes on as soon as the
    gateway is back.

    Args:
        host: The gateway's name or address.
        port: Its port for requests.
        timeout: How long an answer may take, in seconds.

    Attributes:
        round_trip: The seconds that the last answer took; None if there was none.

    Raises:
        SettingError: A value, given or from the settings, cannot be used.
        ImportError: This Python is too old.
    """

    def __init__(
        self, host: str | None = None, port: int | str | None = None, timeout: float | str | None = None
    ) -> None:
        from mt5crs.settings import Settings, address

        settings = Settings.read({"host": host, "port": port, "timeout": timeout})
        self.host = settings.host
        self.port = settings.port
        self.timeout = settings.timeout
        self.round_trip: float | None = None
        self._address = address(settings.host, settings.port)
        self._socket: zmq.Socket[bytes] | None = None

    def connect(self) -> bool:
        """Open the socket; whether the gateway is there, only `test_connection` can tell.

        Returns:
            Whether the address could be used.

        Raises:
            ImportError: pyzmq is missing.
        """
        return self._open() is not None

    def test_connection(self) -> bool:
        """Send `Hello` and print what came of it; connects first if need be.

        Returns:
            Whether `OK_FROM_MT5` came back in time.

        Raises:
            ImportError: pyzmq is missing.
        """
        from mt5crs.wire.greeting import HELLO, OK_FROM_MT5

        self.round_trip = None
        socket = self._open()
        if socket is None:
            return False
        start = time.perf_counter()
        answer = self._ask(socket, HELLO)
        took = time.perf_counter() - start
        if answer is None:
            _say("[✗] Connection timeout", sys.stdout)
            _say(
                f"No answer from {self._address} in {self.timeout:g} s: "
                "is the address right, the gateway running and the port open in its firewall? "
                "Or does this gateway want keys? Then use: mt5crs ping",
                sys.stderr,
            )
            return False
        if answer != [OK_FROM_MT5]:
            _say(
                f"[✗] {self._address} answered {_shown(answer)} instead of OK_FROM_MT5: "
                "is another program listening on that port?",
                sys.stderr,
            )
            return False
        self.round_trip = took
        _say(f"[✓] OK_FROM_MT5 from {self._address} in {took * 1000:.1f} ms", sys.stdout)
        return True

    def disconnect(self) -> None:
        """Close the socket; `connect` or `test_connection` open a new one."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def __enter__(self) -> MT5Client:
        self.connect()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.disconnect()

    def _open(self) -> zmq.Socket[bytes] | None:
        try:
            import zmq
        except ImportError as error:
            raise ImportError(
                f"pyzmq cannot be imported ({error}). Install it with: {sys.executable} -m pip install pyzmq"
            ) from error
        if self._socket is not None:
            return self._socket
        # The shared context is never ended here: that would wait for a host name still being looked up.
        context = zmq.Context[zmq.Socket[bytes]].instance()
        socket = context.socket(zmq.REQ)
        socket.setsockopt(zmq.LINGER, 0)
        try:
            socket.setsockopt(zmq.IPV6, int(":" in self.host))
            socket.connect(f"tcp://{self._address}")
        except zmq.ZMQError as error:
            socket.close()
            _say(f"[✗] Cannot connect to {self._address}: {error}", sys.stderr)
            return None
        self._socket = socket
        return socket

    def _ask(self, socket: zmq.Socket[bytes], request: bytes) -> list[bytes] | None:
        """Return the frames of the answer; without one, drop the socket and return None.

        A REQ socket that still waits for an answer refuses to send again, so the next test needs a new one.
        """
        answered = False
        try:
            socket.send(request)
            answered = self._wait(socket)
            return socket.recv_multipart() if answered else None
        finally:
            if not answered:
                self.disconnect()

    def _wait(self, socket: zmq.Socket[bytes]) -> bool:
        """Wait in short steps: Ctrl-C just before a step, or on Windows during one, is seen only after it."""
        end = time.monotonic() + self.timeout
        while (left := end - time.monotonic()) > 0:
            if socket.poll(max(1, min(100, round(left * 1000)))):
                return True
        return False


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    try:
        return _run(arguments)
    except KeyboardInterrupt:
        _say("Interrupted", sys.stderr)
        return 130
    except ImportError as error:
        _say(str(error), sys.stderr)
        return 2


def _run(arguments: list[str] | None) -> int:
    # First of all, because this refuses a Python that is too old.
    from mt5crs.errors import SettingError

    options = _parser().parse_args(arguments)
    try:
        client = MT5Client(options.host, options.port, options.timeout)
    except SettingError as error:
        _say(str(error), sys.stderr)
        return 2
    try:
        return 0 if client.test_connection() else 1
    finally:
        client.disconnect()


def _parser() -> argparse.ArgumentParser:
    import argparse

    parser = argparse.ArgumentParser(
        description="Ask whether an MT5 gateway answers: send Hello, expect OK_FROM_MT5.",
        epilog="What is not given comes from the environment, then from .env, then from the default. "
        "Exit codes: 0 the gateway answered, 1 it did not, 2 something here is missing or wrong.",
    )
    parser.add_argument("--host", help="name or address of the gateway (MT5_HOST, default 127.0.0.1)")
    parser.add_argument("--port", help="its port for requests (MT5_PORT, default 5555)")
    parser.add_argument("--timeout", help="seconds that the answer may take (MT5_TIMEOUT, default 5)")
    return parser


def _shown(answer: list[bytes]) -> str:
    text = " ".join(repr(frame[:40]) for frame in answer[:3])
    return text if len(text) <= 60 else f"{text[:57]}..."


def _say(text: str, stream: TextIO) -> None:
    """Print a line, with "?" for what a terminal of an old encoding cannot show."""
    try:
        print(text, file=stream, flush=True)
    except UnicodeEncodeError:
        encoding = stream.encoding or "ascii"
        print(text.encode(encoding, "replace").decode(encoding), file=stream, flush=True)


if __name__ == "__main__":
    sys.exit(main())

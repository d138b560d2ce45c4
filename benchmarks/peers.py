"""Processes that are measured against: `python -m benchmarks.peers KIND` prints its port and serves."""

import socket
import sys
import threading
import time
from collections.abc import Callable

PIECE = 16 * 1024
"""Bytes that a slow link hands on at once."""


def pong(reply_size: int) -> None:
    """Answer every message with so many bytes, in the fastest way that pyzmq has."""
    import zmq

    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    router = context.socket(zmq.ROUTER)
    print(router.bind_to_random_port("tcp://127.0.0.1"), flush=True)
    reply = bytes(reply_size)
    receive, send, more = router.recv, router.send, zmq.SNDMORE
    while True:
        peer = receive()
        receive()
        send(peer, more)
        send(reply)


def pour(size: int) -> None:
    """Send so many bytes for every byte that comes, over TCP."""
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    content = bytes(size)
    connection, _ = listener.accept()
    with connection:
        while connection.recv(1):
            connection.sendall(content)


def slow(port: int, speed: int) -> None:
    """Hand TCP connections on to a port, and give back at most so many bytes a second to each."""
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    while True:
        near, _ = listener.accept()
        far = socket.create_connection(("127.0.0.1", port))
        for connection in (near, far):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=_hand_on, args=(near, far, 0), daemon=True).start()
        threading.Thread(target=_hand_on, args=(far, near, speed), daemon=True).start()


def _hand_on(source: socket.socket, target: socket.socket, speed: int) -> None:
    """Hand on what comes until one side ends; at a speed, 0 for any."""
    due = 0.0
    try:
        while content := source.recv(PIECE):
            if speed:
                due = max(due, time.monotonic()) + len(content) / speed
                time.sleep(max(0.0, due - time.monotonic()))
            target.sendall(content)
    except OSError:
        pass
    for connection in (source, target):
        connection.close()


def rpyc_classic() -> None:
    """Serve an interpreter by rpyc, as mt5linux does on the terminal's machine."""
    from rpyc.core.service import ClassicService
    from rpyc.utils.server import ThreadedServer

    server = ThreadedServer(ClassicService, hostname="127.0.0.1", port=0)
    server.listener.listen()  # before its port is told; `start` does it again
    print(server.port, flush=True)
    server.start()


def main() -> None:
    """Serve what the command line names."""
    kind, *sizes = sys.argv[1:]
    kinds: dict[str, Callable[..., None]] = {"pong": pong, "pour": pour, "slow": slow, "rpyc": rpyc_classic}
    kinds[kind](*map(int, sizes))


if __name__ == "__main__":
    main()

"""Processes that are measured against: `python -m benchmarks.peers KIND` prints its port and serves."""

import socket
import sys
from collections.abc import Callable


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
    kinds: dict[str, Callable[..., None]] = {"pong": pong, "pour": pour, "rpyc": rpyc_classic}
    kinds[kind](*map(int, sizes))


if __name__ == "__main__":
    main()

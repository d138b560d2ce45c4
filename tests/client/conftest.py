"""Peers that are not gateways."""

import threading
from collections.abc import Iterator

import pytest
import zmq


@pytest.fixture
def free_port() -> Iterator[int]:
    """A port on which nothing listens while the test runs."""
    import socket

    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        yield reserved.getsockname()[1]


@pytest.fixture
def rep_peer() -> Iterator[int]:
    """A ROUTER that answers everything with something else."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    router = context.socket(zmq.ROUTER)
    router.linger = 0
    port = router.bind_to_random_port("tcp://127.0.0.1")
    ended = threading.Event()

    def answer() -> None:
        while not ended.is_set():
            if router.poll(20):
                router.send_multipart([router.recv_multipart()[0], b"200 OK"])

    thread = threading.Thread(target=answer)
    thread.start()
    yield port
    ended.set()
    thread.join()
    router.close()
    context.term()

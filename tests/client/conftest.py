"""Peers that are not gateways."""

import threading
from collections.abc import Callable, Iterator

import pytest
import zmq

from mt5crs.wire.codec import encode, to_gateway
from mt5crs.wire.messages import PROTOCOL, Hello, Welcome


@pytest.fixture
def free_port() -> Iterator[int]:
    """A port on which nothing listens while the test runs."""
    import socket

    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        yield reserved.getsockname()[1]


def _peer(answer: Callable[[bytes], bytes]) -> Iterator[int]:
    """A ROUTER in a thread that answers each message in its own way."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    router = context.socket(zmq.ROUTER)
    router.linger = 0
    port = router.bind_to_random_port("tcp://127.0.0.1")
    ended = threading.Event()

    def serve() -> None:
        while not ended.is_set():
            if router.poll(20):
                peer, frame = router.recv_multipart()
                router.send_multipart([peer, answer(frame)])

    thread = threading.Thread(target=serve)
    thread.start()
    yield port
    ended.set()
    thread.join()
    router.close()
    context.term()


@pytest.fixture
def rep_peer() -> Iterator[int]:
    """A peer that answers everything with something else."""
    yield from _peer(lambda _: b"200 OK")


@pytest.fixture
def order_taker() -> Iterator[int]:
    """A peer that greets as a gateway does, and answers an order with nonsense."""

    def answer(frame: bytes) -> bytes:
        if isinstance(to_gateway(frame), Hello):
            return encode(Welcome(PROTOCOL, "test", 1, 0, "simulated", 1))
        return b"\0nonsense"

    yield from _peer(answer)

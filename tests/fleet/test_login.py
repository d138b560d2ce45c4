"""What it means that no connection came about."""

import asyncio
import errno
import socket

import asyncssh
import pytest
from asyncssh.constants import OPEN_ADMINISTRATIVELY_PROHIBITED, OPEN_CONNECT_FAILED

from mt5crs.fleet.inventory import Node, Role
from mt5crs.fleet.login import unreachable

NODE = Node(Role.GPU, "10.0.0.4", name="gpu", through="hub", optional=True)
CALL = "Connect call failed ('10.0.0.4', 22)"


def refused(*numbers: int) -> OSError:
    """Return what asyncio raises: of several addresses it has no number, and one text of all."""
    if len(numbers) == 1:
        return OSError(numbers[0], CALL)
    return OSError(f"Multiple exceptions: {', '.join(str(OSError(number, CALL)) for number in numbers)}")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (refused(errno.EHOSTUNREACH), "no machine is found at 10.0.0.4 port 22"),
        (refused(errno.ENETUNREACH), "no network leads to 10.0.0.4 port 22"),
        (refused(errno.ETIMEDOUT), "10.0.0.4 port 22 does not answer"),
        (refused(errno.ENETUNREACH, errno.ECONNREFUSED), "nothing listens at 10.0.0.4 port 22"),
        (refused(errno.EPERM), "this machine may not connect to 10.0.0.4 port 22"),
        (asyncio.TimeoutError(), "10.0.0.4 port 22 does not answer"),
        (socket.gaierror(socket.EAI_NONAME, "?"), "there is no address of the name 10.0.0.4"),
        (
            OSError(errno.EIO, "Input/output error"),
            "10.0.0.4 port 22 cannot be reached: [Errno 5] Input/output",
        ),
        (asyncssh.ChannelOpenError(OPEN_CONNECT_FAILED, "No route to host"), "hub finds no way to"),
    ],
)
def test_it_is_told_in_words_what_is_in_the_way(error: Exception, told: str) -> None:
    found = unreachable(NODE, error)
    assert found.message.startswith(f"gpu: {told}")
    assert "Connect call" not in found.message
    assert found.kind == "unreachable"
    assert found.hint


def test_a_way_that_is_forbidden_is_no_node_that_is_off() -> None:
    error = asyncssh.ChannelOpenError(OPEN_ADMINISTRATIVELY_PROHIBITED, "open failed")
    found = unreachable(NODE, error)
    assert found.kind == "forbidden"
    assert "AllowTcpForwarding" in found.hint

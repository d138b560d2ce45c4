"""Messages of ZeroMQ as they are on a TCP connection: ZMTP 3, without encryption.

After a greeting of 64 bytes each side sends frames: a byte of flags, the length in one byte or in eight, and
that many bytes. Commands (the handshake, heartbeats) are frames of their own; a message is one frame or more,
all but the last marked. https://rfc.zeromq.org/spec/23
"""

import asyncio
from dataclasses import dataclass
from enum import Enum

GREETING = 64
MORE, LONG, COMMAND = 1, 2, 4


class Way(str, Enum):
    """The direction of a message."""

    TO_GATEWAY = "to gateway"
    TO_CLIENT = "to client"


@dataclass(frozen=True)
class Message:
    """A message on its way, whole.

    Attributes:
        way: Where it goes.
        connection: Counts the connections of a proxy from 1.
        frames: What the sender gave to its socket.
        raw: The same as bytes on the connection.
    """

    way: Way
    connection: int
    frames: tuple[bytes, ...]
    raw: bytes

    def __contains__(self, part: bytes) -> bool:
        """Whether one of its frames contains these bytes."""
        return any(part in frame for frame in self.frames)


@dataclass(frozen=True)
class Command:
    """A command, as bytes on the connection."""

    raw: bytes


async def read(reader: asyncio.StreamReader, way: Way, connection: int) -> Message | Command:
    """Read the next message or command.

    Raises:
        asyncio.IncompleteReadError: The connection ended.
    """
    frames: list[bytes] = []
    raw: list[bytes] = []
    flags = MORE
    while flags & MORE:
        head = await reader.readexactly(2)
        flags = head[0]
        if flags & LONG:
            head += await reader.readexactly(7)
        body = await reader.readexactly(int.from_bytes(head[1:], "big"))
        raw += head, body
        if flags & COMMAND:
            return Command(b"".join(raw))
        frames.append(body)
    return Message(way, connection, tuple(frames), b"".join(raw))

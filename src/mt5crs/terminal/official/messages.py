"""What a terminal and its workers say to each other, as msgpack arrays whose first element names the message.

Rows of an array follow their message as a second frame. Both sides are of one release: there are no versions.
"""

from typing import Any, TypeAlias

from msgspec import Struct
from msgspec.msgpack import Decoder, Encoder

CHUNK = 512 * 1024
"""Bytes of an array in one message, so that taking one in never holds the gateway up for long."""
QUEUE = 16
"""Messages that a socket holds for either side: a worker waits with further rows until these are taken in."""
MESSAGE_LIMIT = 64 * 1024 * 1024
"""Bytes of a message at which a worker's connection is dropped."""


class Configuration(Struct, forbid_unknown_fields=True):
    """What a worker is told on its standard input, in one line of JSON.

    Attributes:
        package: Name of the module with the official functions.
        path: The terminal's program, where it is not the installed default.
        login: Account to log in to; the terminal's current one without it.
        password: Password of the account.
        server: Name of the trade server.
        timeout: Milliseconds that the terminal may take to start and synchronise.
        endpoint: Where its terminal listens.
        token: The secret that its messages are known by.
        lane: What it is for.
        limit: Seconds that a call may take before the gateway ends the worker.
        start_limit: Seconds that attaching to the terminal may take before it does.
    """

    package: str
    path: str
    login: int
    password: str
    server: str
    timeout: int
    endpoint: str = ""
    token: str = ""
    lane: str = ""
    limit: float = 0.0
    start_limit: float = 0.0


class Message(Struct, array_like=True, forbid_unknown_fields=True, gc=False):
    """What all messages have in common."""


# ---- to a worker ------------------------------------------------------------------------------------


class Attach(Message, tag="attach"):
    """Attach the package to the terminal; answered by `Ready`.

    Attributes:
        fence: Login, server and trade mode of the gateway's account; None where it is to be found out.
    """

    fence: tuple[int, str, int] | None


class Call(Message, tag="call"):
    """Carry out one operation; a worker is asked for one at a time.

    Attributes:
        number: Chosen by the lane.
        op: The operation's name.
        args: Its wire arguments.
    """

    number: int
    op: str
    args: list[Any]


class Leave(Message, tag="leave"):
    """Let go of the terminal and end."""


ToWorker: TypeAlias = Attach | Call | Leave

# ---- from a worker ----------------------------------------------------------------------------------


class Here(Message, tag="here"):
    """The package is loaded; `Attach` is waited for."""


class Missing(Message, tag="missing"):
    """The package cannot be loaded."""

    text: str


class Ready(Message, tag="ready"):
    """Calls are waited for.

    Attributes:
        code: The terminal's error where it could not be attached to, or where it is logged in to no account.
        text: The same in words.
        account: The fields of its `AccountInfo`; None where it has none.
    """

    code: int
    text: str
    account: list[Any] | None


class Reply(Message, tag="reply"):
    """The result of a call and the package's `last_error()` for it."""

    number: int
    value: Any
    code: int
    text: str


class Head(Message, tag="head"):
    """The result is an array of that many rows, which follow in chunks."""

    number: int
    rows: int
    code: int
    text: str


class Chunk(Message, tag="chunk"):
    """More rows of an array follow as a frame."""

    number: int


class Back(Message, tag="back"):
    """The terminal was not asked: it is attached to again first, which ends with `Ready`."""

    number: int


class Refused(Message, tag="refused"):
    """The terminal was not asked, since it is logged in to another account than the gateway's."""

    number: int
    text: str


class Found(Message, tag="found"):
    """Something is new of a topic that is followed; rows follow as a frame.

    Attributes:
        number: The number of the wish that it is for.
        begins: The place in the topic's history after which the rows come; of a state, the state.
    """

    number: int
    begins: Any


ToTerminal: TypeAlias = Here | Missing | Ready | Reply | Head | Chunk | Back | Refused | Found

encode = Encoder().encode
to_worker = Decoder[ToWorker](ToWorker).decode
to_terminal = Decoder[ToTerminal](ToTerminal).decode

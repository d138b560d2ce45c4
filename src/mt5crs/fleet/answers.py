"""What a node says: each answer is taken for what it should be, and for nothing else."""

import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from mt5crs.fleet.failure import NodeError

T = TypeVar("T")

LONGEST = 1 << 25
"""Characters of a line: far more than a node with thousands of files in each of its releases says."""
PIECE = 1 << 16
EXCERPT = 200
"""Characters of what is told of a stranger's words."""


class What(Struct, frozen=True):
    """Why something was not done (`node/operations.py`)."""

    what: str
    hint: str = ""
    code: str = "failed"


class Line(Struct, frozen=True):
    """A line of the node program: one of these; `beat` only says that it is still there."""

    say: str | None = None
    done: dict[str, Any] | None = None
    failed: What | None = None
    beat: float | None = None


def line_of(node: str, text: str) -> Line:
    """Return what a line of the node program says.

    Raises:
        NodeError: It is none.
    """
    try:
        return msgspec.convert(json.loads(text), Line)
    except (ValueError, RecursionError) as error:
        raise odd(node, f"{error}: {readable(text[:200])}") from None


def answered(node: str, answer: object, kind: type[T]) -> T:
    """Return an answer in its form.

    Raises:
        NodeError: It has another: of the kind `protocol`.
    """
    try:
        return msgspec.convert(answer, kind)
    except msgspec.ValidationError as error:
        raise odd(node, str(error)) from None


def odd(node: str, what: str) -> NodeError:
    """Return what it means that a node answers something else than it should."""
    return NodeError(
        node,
        f"it answers what is not understood: {what}",
        hint="the other nodes go on without it; look at what is at its path, and at its Python",
        kind="protocol",
    )


async def lines(node: str, read: Callable[[int], Awaitable[str]]) -> AsyncGenerator[str, None]:
    """Yield the lines of what comes in pieces.

    Raises:
        NodeError: One is longer than any of ours.
    """
    begun: list[str] = []
    size = 0
    while piece := await read(PIECE):
        first, *others = piece.split("\n")
        for each in others:
            yield "".join((*begun, first))
            begun, size, first = [], 0, each
        begun.append(first)
        size += len(first)
        if size > LONGEST:
            raise odd(node, f"a line of more than {LONGEST >> 20} MiB")
    if size:
        yield "".join(begun)


def readable(text: str, keep: str = "") -> str:
    """Return a text with all that is no printed character escaped, but for those to keep.

    Else a node could write what looks like another's line, or speak to the terminal.
    """
    return "".join(
        each if each.isprintable() or each in keep else each.encode("unicode_escape").decode()
        for each in text
    )


def excerpt(said: object) -> str:
    """Return in one short line what somebody said who is not proved yet: anybody may be at an address."""
    return readable(str(said))[:EXCERPT]


def paragraph(text: str) -> str:
    """Return a text of several lines, each after the first set in: none looks like one of ours."""
    return "\n  ".join(readable(text, "\n\t").split("\n"))

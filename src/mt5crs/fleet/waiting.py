"""How long a node is waited for, and what it means when nothing comes from it."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

import asyncssh

from mt5crs.fleet.answers import excerpt
from mt5crs.fleet.failure import NodeError
from mt5crs.fleet.inventory import Node

SILENT = 60.0
"""Seconds without a word of ours after which a node ends what it does for us: we are gone without a trace.

Without a word of its own for so long we give a node up: it says that it is there far more often."""
LOST = (OSError, asyncssh.Error, asyncio.TimeoutError)
"""How it shows that a connection is gone, or that nothing comes over it."""
T = TypeVar("T")


async def within(seconds: float | None, doing: Awaitable[T]) -> T:
    """Wait for something, so long; then it is cancelled, and waited for until it has ended.

    As `asyncio.wait_for`, which before Python 3.12 forgets that the caller was cancelled where what it waits
    for is done at that very moment: who talks without end would be listened to without end.

    Raises:
        asyncio.TimeoutError: It was not done by then.
    """
    task = asyncio.ensure_future(doing)
    try:
        await asyncio.wait({task}, timeout=seconds)
    finally:
        is_late = not task.done()
        if is_late:
            task.cancel()
            await asyncio.wait({task})
        if not task.cancelled():
            task.exception()  # where we are cancelled nobody else asks for it
    if is_late and task.cancelled():
        raise asyncio.TimeoutError
    return task.result()


async def soon(doing: Awaitable[T]) -> T:
    """Wait for something that takes no time, or of which something comes now and then."""
    return await within(SILENT, doing)


def lost(node: Node, doing: str, error: BaseException) -> NodeError:
    """Return what it means that a connection was lost, or that nothing came over it."""
    if isinstance(error, (TimeoutError, asyncio.TimeoutError)):
        return stuck(node, f"nothing came from it for {SILENT:g} s while {doing}")
    return NodeError(
        node.name,
        f"the connection was lost while {doing}: {excerpt(error)}",
        hint="what was asked for may be done in part; the same command goes on from there",
        kind="lost",
    )


def stuck(node: Node, what: str) -> NodeError:
    """Return what it means that a node is there and does not go on."""
    return NodeError(
        node.name, what, kind="unreachable",
        hint="is a disk of it gone, or is it overloaded? what it does there may be done in part",
    )  # fmt: skip

"""A worker as its crew sees it: the process, and the array that it is sending."""

from math import inf
from typing import Any

from mt5crs.model import ArrayType
from mt5crs.operation import Result
from mt5crs.terminal.official.messages import Head
from mt5crs.terminal.official.process import Process


class Member:
    """A worker, and what has come of the array that it is sending; that ends with the worker.

    Args:
        process: Its process.

    Attributes:
        is_here: Whether it waits to be told to attach to the terminal, or was told.
        dead_since: When it was found dead.
    """

    __slots__ = ("_array", "_head", "_room", "dead_since", "is_here", "process")

    def __init__(self, process: Process) -> None:
        self.process = process
        self.is_here = False
        self.dead_since = inf
        self._head: Head | None = None
        self._array: Any = None
        self._room = memoryview(b"")  # where the next chunk goes

    def begin_array(self, head: Head, layout: ArrayType) -> Result | None:
        """Make room for an array; return it if it is complete already, being empty."""
        import numpy

        self._head = head
        self._array = numpy.empty(head.rows, layout.dtype)
        self._room = self._array.view("u1").data
        return self._complete()

    def add_chunk(self, number: int, chunk: memoryview) -> Result | None:
        """Take rows of the array in; return it if it is complete with them."""
        if self._head is None or self._head.number != number:
            return None
        self._room[: len(chunk)] = chunk
        self._room = self._room[len(chunk) :]
        return self._complete()

    def _complete(self) -> Result | None:
        if self._head is None or len(self._room):
            return None
        result = Result(self._array, (self._head.code, self._head.text))
        self._head = self._array = None
        return result

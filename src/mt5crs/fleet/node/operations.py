"""The operations that a node knows: each module declares its own with `operation`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .place import Place

Tell = Callable[[str], None]
"""Tells how it goes on, in a few words for people."""
Function = Callable[[Place, Mapping[str, Any], Tell], "dict[str, Any]"]


class Failed(Exception):
    """An operation was not done.

    Args:
        what: What happened, to what.
        hint: What to do next.
        code: Names the kind for programs, where somebody acts on it: `no-space`, `no-index`, `busy` ...
    """

    def __init__(self, what: str, hint: str = "", code: str = "failed") -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint
        self.code = code


@dataclass(frozen=True)
class Operation:
    """An operation.

    Attributes:
        name: How it is asked for.
        run: Does it.
        changes: Whether it changes the node: one at a time does.
    """

    name: str
    run: Function
    changes: bool


OPERATIONS: dict[str, Operation] = {}
"""All that modules declared, by name."""


def operation(name: str, *, changes: bool) -> Callable[[Function], Function]:
    """Return a decorator that declares an operation: a function of place, request and `Tell`."""

    def declare(run: Function) -> Function:
        OPERATIONS[name] = Operation(name, run, changes)
        return run

    return declare

"""Defects that the chaos run must notice, each put into the product's own classes while they are imported.

A run in which one of them goes unnoticed is a test that tests nothing.
"""

import os
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from math import inf
from types import ModuleType
from typing import Any


def _forget_keys(orders: ModuleType) -> None:
    """The gateway knows no key again: each request is a new one."""
    send = orders.Orders.send

    def forgetful(self: Any, wire: Any, principal: str, key: str, *rest: Any) -> Any:
        return send(self, wire, principal, os.urandom(16).hex(), *rest)

    orders.Orders.send = forgetful


def _send_again(lane: ModuleType) -> None:
    """An order whose worker has ended without an answer is given to the next worker."""
    lose = lane.Lane._lose

    def insistent(self: Any, *why: Any) -> Any:
        self._queue.extendleft(self._give_up())
        return lose(self, *why)

    lane.Lane._lose = insistent


def _never_look(recovery: ModuleType) -> None:
    """What became of orders without an answer is never looked for."""

    def never(self: Any, now: float) -> float:
        return inf

    recovery.Recovery.pass_time = never


MUTANTS: dict[str, tuple[str, Callable[[ModuleType], None]]] = {
    "no-journal": ("mt5crs.gateway.orders", _forget_keys),
    "resend": ("mt5crs.terminal.official.lane", _send_again),
    "no-reconcile": ("mt5crs.gateway.recovery", _never_look),
}
"""By name: the module, and what is done to it."""


class _Spoiling(Loader):
    def __init__(self, loader: Loader, spoil: Callable[[ModuleType], None]) -> None:
        self._loader = loader
        self._spoil = spoil

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        self._spoil(module)


class Finder(MetaPathFinder):
    """Finds the module of a mutant as always, and has it spoilt once it is there.

    Args:
        mutant: A name in `MUTANTS`.
    """

    def __init__(self, mutant: str) -> None:
        self._module, self._spoil = MUTANTS[mutant]

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """See `importlib.abc.MetaPathFinder`."""
        if fullname != self._module:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Spoiling(spec.loader, self._spoil)
        return spec

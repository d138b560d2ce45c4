"""Defects that the chaos run must notice, each put into the product's own classes while they are imported.

A run in which one of them goes unnoticed is a test that tests nothing.
"""

import os
from math import inf
from types import ModuleType
from typing import Any

from tests.adversity.spoiling import Spoil


def _forget_keys(orders: ModuleType) -> None:
    """The gateway knows no key again: each request is a new one."""
    send = orders.Orders.send

    def forgetful(self: Any, wire: Any, principal: str, key: str, *rest: Any, **more: Any) -> Any:
        return send(self, wire, principal, os.urandom(16).hex(), *rest, **more)

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


MUTANTS: dict[str, tuple[str, Spoil]] = {
    "no-journal": ("mt5crs.gateway.orders", _forget_keys),
    "resend": ("mt5crs.terminal.official.lane", _send_again),
    "no-reconcile": ("mt5crs.gateway.recovery", _never_look),
}
"""By name: the module, and what is done to it."""

"""Official terminals on our own module, whose terminal is a gateway of its own; driven by the test."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import psutil

from mt5crs.api import OPERATIONS
from mt5crs.operation import Result
from mt5crs.terminal.official import OfficialTerminal
from mt5crs.terminal.official.process import BOOT
from mt5crs.terminal.port import Deferred
from tests.processes import PATIENCE, Gateway

PACKAGE = "mt5crs.MetaTrader5"
HANGING = 600.0
"""A timeout of our module at which a wedged call of it hangs as one of the official package does."""


@contextmanager
def official(upstream: Gateway, *, timeout: float = HANGING, **options: Any) -> Iterator[OfficialTerminal]:
    """Return a terminal whose workers use our module on a gateway.

    Args:
        upstream: The gateway.
        timeout: Seconds that our module waits for it.
        options: Of the terminal.
    """
    environment = {"MT5_HOST": "127.0.0.1", "MT5_PORT": str(upstream.port), "MT5_TIMEOUT": str(timeout)}
    others = workers_of(os.getpid())
    with patch.dict(os.environ, environment):
        terminal = OfficialTerminal(options.pop("package", PACKAGE), **options)
    try:
        yield terminal
    finally:
        workers = [worker for worker in workers_of(os.getpid()) if worker not in others]
        terminal.close()
        assert psutil.wait_procs(workers, PATIENCE)[1] == []


def workers_of(gateway: int) -> list[psutil.Process]:
    """Return the worker processes of a gateway's process."""
    children = psutil.Process(gateway).children()
    return [child for child in children if BOOT in child.cmdline()]


def wait_until(terminal: OfficialTerminal, is_so: Callable[[], Any], seconds: float = PATIENCE) -> None:
    """Let the terminal go on until something is so."""
    give_up = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < give_up, terminal.condition()
        terminal.sources[0].poll(10)
        terminal.advance()


def ask(terminal: OfficialTerminal, name: str, *wire: Any, until: float = float("inf")) -> Deferred:
    """Ask for an operation."""
    answer = terminal.call(OPERATIONS[name], list(wire), until)
    assert isinstance(answer, Deferred)
    return answer


def settled(terminal: OfficialTerminal, answer: Deferred) -> Result:
    """Wait for an answer."""
    wait_until(terminal, lambda: answer.result is not None)
    assert answer.result is not None
    return answer.result


def get(terminal: OfficialTerminal, name: str, *wire: Any) -> Result:
    """Carry out an operation."""
    return settled(terminal, ask(terminal, name, *wire))


def buy(comment: str = "") -> dict[str, Any]:
    """Return a trade request."""
    return {
        "action": 1,
        "symbol": "EURUSD",
        "volume": 0.1,
        "type": 0,
        "type_filling": 1,
        "comment": comment,
    }


def pid(terminal: OfficialTerminal, lane: str) -> int:
    """Return the process id of a lane's worker, 0 where there is none."""
    member = terminal._crew._members.get(lane)
    return member.process.pid if member else 0


def lane(terminal: OfficialTerminal, name: str) -> str:
    """Return what a lane is doing, in words."""
    return terminal.condition().lanes[name]


def kill(terminal: OfficialTerminal, name: str) -> None:
    """End a lane's worker as a power cut would."""
    worker = terminal._crew._members[name].process
    psutil.Process(worker.pid).kill()
    assert worker.wait(PATIENCE)


def all_ready(terminal: OfficialTerminal) -> None:
    """Wait until every lane has a worker that waits to be asked."""
    wait_until(terminal, lambda: set(terminal.condition().lanes.values()) == {"ready"})

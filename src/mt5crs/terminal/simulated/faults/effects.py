"""What faults do to calls."""

import logging
import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from heapq import heappop, heappush
from itertools import count
from typing import Any, Protocol, cast

from mt5crs import constants as c
from mt5crs.arguments import Bound
from mt5crs.last_error import IPC_TIMEOUT
from mt5crs.operation import Operation, Result
from mt5crs.terminal.port import Deferred
from mt5crs.terminal.simulated.faults.plan import Fault, Kind, Schedule
from mt5crs.terminal.simulated.prices.zone import NEVER

log = logging.getLogger(__name__)

POWER_CUT = 137
"""Exit code of a process that ends by a fault; that of one that was killed."""

REFUSALS: dict[Kind, int] = {
    "requote": c.TRADE_RETCODE_REQUOTE,
    "off_quotes": c.TRADE_RETCODE_PRICE_OFF,
    "reject": c.TRADE_RETCODE_REJECT,
}


class Levers(Protocol):
    """What faults move at a terminal."""

    def set_spell(self, name: str, on: bool, reading: float) -> None:
        """Let `disconnect` or `disable` begin or end, at the time at which the clock had a reading."""
        ...

    def at(self, reading: float) -> AbstractContextManager[None]:
        """Let it be the time at which the clock had a reading."""
        ...

    def refuse(self, request: Mapping[str, object], retcode: int) -> Result:
        """Answer an order with a return code; nothing is done."""
        ...

    def carry_out(self, op: Operation[..., Any], wire: Bound) -> Result:
        """Carry out one operation at once."""
        ...

    def carry_out_scarce(self, op: Operation[..., Any], wire: Bound, share: float) -> Result:
        """Carry out an order while only a share of its volume is to be had."""
        ...


def _end_process() -> None:
    os._exit(POWER_CUT)  # nothing is flushed, nobody is told


class Faults:
    """Lets a terminal's calls meet the faults that are set.

    Args:
        schedule: Which fault happens when.
        levers: The terminal.
        clock: Returns seconds.
        die: Ends the process.
    """

    def __init__(
        self,
        schedule: Schedule,
        levers: Levers,
        clock: Callable[[], float],
        die: Callable[[], None] = _end_process,
    ) -> None:
        self._schedule = schedule
        self._levers = levers
        self._clock = clock
        self._die = die
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._spells: frozenset[str] = frozenset()
        self._next_spell = clock() if schedule else NEVER
        self.armed = bool(schedule)
        """Whether anything is set or under way: without it calls need not come here."""
        self._effects: dict[str, Callable[[Fault, Operation[..., Any], Bound], Result | Deferred]] = {
            "refuse": self._refuse,
            **dict.fromkeys(REFUSALS, self._refuse),
            "partial": self._partial,
            "slow": self._slow,
            "wedge": self._wedge,
            "lose": self._lose,
            "late": self._late,
            "crash": self._crash,
        }

    def add(self, fault: Fault) -> None:
        """Set a fault from now on."""
        self.pass_time()
        self._schedule.add(fault, self._clock())
        self._next_spell = self._clock()
        self.armed = True

    def clear(self) -> None:
        """Set no fault any more; what is under way goes on."""
        self._schedule.clear()
        self._next_spell = self._clock()

    def call(self, op: Operation[..., Any], wire: Bound) -> Result | Deferred:
        """Carry out a call, or let a fault befall it."""
        self.pass_time()
        fault = self._schedule.draw(op.name, _symbol(wire), self._clock())
        if fault is None:
            return self._levers.carry_out(op, wire)
        log.warning("fault: %s befalls %s %s", fault.kind, op.name, _symbol(wire))
        return self._effects[fault.kind](fault, op, wire)

    def pass_time(self) -> float:
        """Do what is due, each at its time; return the clock's reading at which something is due next."""
        now = self._clock()
        while (due := min(self._next_call(), self._next_spell)) <= now:
            if self._next_call() < self._next_spell:
                with self._levers.at(due):
                    heappop(self._agenda)[2]()
            else:
                self._change_spells(due)
        self.armed = bool(self._schedule or self._agenda or self._spells)
        return due

    def _next_call(self) -> float:
        return self._agenda[0][0] if self._agenda else NEVER

    def _change_spells(self, reading: float) -> None:
        spells = self._schedule.spells(reading)
        self._next_spell = self._schedule.next_change(reading)
        for name in sorted(spells ^ self._spells):
            log.warning("fault: %s %s", name, "begins" if name in spells else "is over")
            self._levers.set_spell(name, name in spells, reading)
        self._spells = spells

    def _plan(self, seconds: float, act: Callable[[], None]) -> None:
        heappush(self._agenda, (self._clock() + seconds, next(self._order), act))

    def _refuse(self, fault: Fault, op: Operation[..., Any], wire: Bound) -> Result:
        return self._levers.refuse(wire[0], REFUSALS.get(fault.kind, fault.retcode))

    def _partial(self, fault: Fault, op: Operation[..., Any], wire: Bound) -> Result:
        return self._levers.carry_out_scarce(op, wire, fault.share)

    def _slow(self, fault: Fault, op: Operation[..., Any], wire: Bound) -> Deferred:
        deferred = Deferred()
        self._plan(fault.seconds, lambda: deferred.settle(self._levers.carry_out(op, wire)))
        return deferred

    def _wedge(self, fault: Fault, op: Operation[..., Any], wire: Bound) -> Deferred:
        return Deferred()

    def _lose(self, fault: Fault, op: Operation[..., Any], wire: Bound) -> Deferred:
        self._levers.carry_out(op, wire)
        return Deferred()

    def _late(self, fault: Fault, op: Operation[..., Any], wire: Bound) -> Result:
        self._plan(fault.seconds, lambda: self._carry_out_unseen(op, wire))
        return (
            self._levers.refuse(wire[0], fault.retcode) if fault.retcode else Result(op.failure, IPC_TIMEOUT)
        )

    def _carry_out_unseen(self, op: Operation[..., Any], wire: Bound) -> None:
        if "disconnect" in self._spells:  # it is done, and shows when the connection is back
            heappush(
                self._agenda, (self._next_spell, next(self._order), lambda: self._carry_out_unseen(op, wire))
            )
        else:
            self._levers.carry_out(op, wire)

    def _crash(self, fault: Fault, op: Operation[..., Any], wire: Bound) -> Result:
        if fault.point == "before":
            self._die()
        result = self._levers.carry_out(op, wire)
        self._die()
        return result


def _symbol(wire: Bound) -> str:
    """Return the symbol that a call is about, where it has one: its first argument, or its request's."""
    first: Any = wire[0] if wire else None
    if isinstance(first, Mapping):
        first = cast("Mapping[str, object]", first).get("symbol")
    return first if isinstance(first, str) else ""

"""One lane's rules, without a process and without a clock: time and events in, actions out.

A worker is asked for one call at a time, and what waits is kept here: when a worker dies, exactly one call is
in doubt, and the others go on to the next worker.
"""

from collections import deque
from collections.abc import Iterator
from enum import Enum
from math import inf
from typing import Any, NamedTuple, TypeAlias

from mt5crs.arguments import Bound
from mt5crs.errors import BridgeError, Busy, Expired
from mt5crs.last_error import IPC_CALL_FAILED, IPC_TIMEOUT, LastError
from mt5crs.model import ArrayType
from mt5crs.operation import Result, Unasked
from mt5crs.terminal.port import Deferred

ROOM = 256
"""Calls that wait in one lane; further ones are refused."""
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 10.0
"""Seconds until a worker is replaced: doubled each time, from the first after a call that was answered."""


class Job(NamedTuple):
    """A call that a lane was asked for.

    Attributes:
        op: The operation.
        wire: Its wire arguments.
        until: Time after which it is dropped, if the terminal has not heard of it by then.
        deferred: Where its answer goes.
    """

    op: Any  # an `Operation`; type checkers would take that for a descriptor here
    wire: Bound
    until: float
    deferred: Deferred


class Start(NamedTuple):
    """Start a worker."""


class Send(NamedTuple):
    """Have the worker carry out a job.

    Attributes:
        number: What the worker's answer will be known by.
        job: The job.
    """

    number: int
    job: Job


class Kill(NamedTuple):
    """End the worker, whatever it does; it may be dead already."""


class Settle(NamedTuple):
    """Give an answer to those who wait for it.

    Attributes:
        job: What was asked.
        result: The answer.
    """

    job: Job
    result: Result


Action: TypeAlias = Start | Send | Kill | Settle
Actions: TypeAlias = list[Action]


class State(Enum):
    """What a lane's worker is doing."""

    DOWN = "there is none"
    STARTING = "it attaches to the terminal"
    READY = "it waits to be asked"
    BUSY = "it carries out a job"


class Lane:
    """A queue of calls, and the worker that carries them out one at a time.

    Times are seconds on the monotonic clock.

    Args:
        name: What it is called.
        limit: Seconds that a call may take before it costs the worker.
        start_limit: Seconds that attaching to the terminal may take before it does.
        room: Calls that may wait.

    Attributes:
        limit: See above.
        start_limit: See above.
        state: What the worker is doing.
        why: Why the last worker is no more.
    """

    def __init__(self, name: str, limit: float, start_limit: float, room: int = ROOM) -> None:
        self.name = name
        self.state = State.DOWN
        self.limit = limit
        self.start_limit = start_limit
        self._room = room
        self._queue: deque[Job] = deque()
        self._at_work: Job | None = None
        self._number = 0
        self._since = -inf  # what the state's limit or pause is counted from
        self._pause = 0.0
        self._next_pause = FIRST_PAUSE
        self.why = ""

    # ---- calls ----

    def ask(self, job: Job, now: float) -> Actions:
        """Take a call.

        Raises:
            Busy: Too many wait already.
        """
        if len(self._queue) >= self._room:
            raise Busy(f"{self._room} calls wait for the terminal already (in its {self.name} lane)")
        self._queue.append(job)
        return self._go_on(now)

    def ask_first(self, job: Job, now: float) -> Actions:
        """Take a call of our own, which goes before all that wait."""
        self._queue.appendleft(job)
        return self._go_on(now)

    def _go_on(self, now: float) -> Actions:
        """Have the next job carried out that is still waited for, if the worker is free."""
        actions = self._drop_expired(now)
        if self.state is State.READY and self._queue:
            self.state, self._since = State.BUSY, now
            self._at_work = self._queue.popleft()
            self._number += 1
            actions.insert(0, Send(self._number, self._at_work))
        return actions

    def _drop_expired(self, now: float) -> Actions:
        if all(job.until >= now for job in self._queue):
            return []
        expired = [job for job in self._queue if job.until < now]
        self._queue = deque(job for job in self._queue if job.until >= now)
        waited = "waited for the terminal until its deadline, and was not carried out"
        return [_unasked(job, Expired(f"{job.op.name} {waited}")) for job in expired]

    # ---- what the worker does ----

    def attaching(self, now: float) -> None:
        """Note that the worker was told to attach to the terminal: its limit is counted from here."""
        self._since = now

    def ready(self, now: float) -> Actions:
        """Note that the worker waits to be asked."""
        if self.state is not State.STARTING:
            return []
        self.state = State.READY
        return self._go_on(now)

    def is_current(self, number: int) -> bool:
        """Say whether this is the number of the job at work."""
        return self.state is State.BUSY and number == self._number

    def layout(self, number: int) -> ArrayType | None:
        """Return the row layout of the answer to the job of that number; None where that is not at work."""
        if self._at_work is None or number != self._number:
            return None
        layout: ArrayType | None = self._at_work.op.array
        return layout

    def progress(self, number: int, now: float) -> None:
        """Note that a part of the answer is there: the limit is counted anew."""
        if self.is_current(number):
            self._since = now

    def answered(self, result: Result, now: float) -> Actions:
        """Take the answer to the job at work."""
        self._next_pause = FIRST_PAUSE
        job = self._give_up()
        self.state = State.READY
        return [*self._go_on(now), *(Settle(each, result) for each in job)]

    def refused(self, failure: BridgeError, now: float) -> Actions:
        """Take the worker's word that it did not ask the terminal for the job at work, and why."""
        (job,) = self._give_up()
        self.state = State.READY
        return [*self._go_on(now), _unasked(job, failure)]

    def back(self, now: float) -> None:
        """Take the job at work back: the worker attaches to the terminal again before it is asked."""
        self._queue.extendleft(self._give_up())
        self.state, self._since = State.STARTING, now

    def unsent(self, why: str, now: float) -> Actions:
        """Take the job at work back: it could not be sent to the worker, who is dead."""
        self._queue.extendleft(self._give_up())
        return self._lose(why, IPC_CALL_FAILED, now)

    def ended(self, why: str, now: float) -> Actions:
        """Note that the worker has ended by itself, or can be of no use."""
        return [] if self.state is State.DOWN else self._lose(why, IPC_CALL_FAILED, now)

    def _give_up(self) -> list[Job]:
        job, self._at_work = self._at_work, None
        return [] if job is None else [job]

    def _lose(self, why: str, error: LastError, now: float) -> Actions:
        """Do without the worker; what it had in hand has no answer and may have been carried out."""
        self.state, self._since, self.why = State.DOWN, now, why
        self._pause = self._next_pause
        self._next_pause = min(2 * self._pause, LONGEST_PAUSE)
        return [Kill(), *(Settle(job, Result(job.op.failure, error)) for job in self._give_up())]

    # ---- time ----

    def tick(self, now: float) -> Actions:
        """Do what is due: start a worker, do without one that hangs, drop what nobody waits for any more."""
        actions: Actions = []
        if now >= self._state_ends:
            actions += self._end_state(now)
        return actions + self._go_on(now)

    def _end_state(self, now: float) -> Actions:
        if self.state is State.DOWN:
            self.state, self._since = State.STARTING, now
            return [Start()]
        missing = "not attached" if self.state is State.STARTING else "no answer"
        return self._lose(f"{missing} in {now - self._since:.1f} s", IPC_TIMEOUT, now)

    @property
    def _state_ends(self) -> float:
        lasts = {State.DOWN: self._pause, State.STARTING: self.start_limit, State.BUSY: self.limit}
        return self._since + lasts.get(self.state, inf)

    @property
    def due(self) -> float:
        """When `tick` is worth calling again."""
        return min(self._state_ends, *(job.until for job in self._queue), inf)

    def drop_waiting(self, until: str) -> Actions:
        """Let nothing wait any more; what is at work stays in doubt.

        Args:
            until: Until when it has waited, in words.
        """
        waiting, self._queue = self._queue, deque()
        waited = f"waited for the terminal until {until}, and was not carried out"
        return [_unasked(job, Expired(f"{job.op.name} {waited}")) for job in waiting]

    # ---- in words ----

    @property
    def is_idle(self) -> bool:
        """Whether the worker waits to be asked, and nothing waits for it."""
        return self.state is State.READY and not self._queue

    def describe(self, now: float) -> str:
        """Return what the lane is doing, in words."""
        return ", ".join(self._words(now))

    def _words(self, now: float) -> Iterator[str]:
        lasted = f"{now - self._since:.1f} s"
        if self.state is State.READY:
            yield "ready"
        elif self.state is State.BUSY:
            yield f"busy for {lasted}"
        elif self.state is State.STARTING:
            yield f"starting for {lasted}"
        else:
            yield f"restarting in {max(0.0, self._state_ends - now):.1f} s ({self.why})"
        if self._queue:
            yield f"{len(self._queue)} waiting"


def _unasked(job: Job, failure: BridgeError) -> Settle:
    return Settle(job, Unasked(job.op, failure))

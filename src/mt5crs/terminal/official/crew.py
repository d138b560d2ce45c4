"""The workers of all lanes: their processes, and the socket on which they are asked and answer."""

import logging
import time
from collections.abc import Callable, Mapping
from math import inf
from typing import Any, ClassVar, Protocol

import msgspec
import zmq

from mt5crs.arguments import Bound
from mt5crs.errors import WrongAccount
from mt5crs.operation import Operation, Result
from mt5crs.terminal.official.lane import Actions, Job, Kill, Lane, Send, Settle, Start, State
from mt5crs.terminal.official.member import Member
from mt5crs.terminal.official.messages import (
    MESSAGE_LIMIT,
    QUEUE,
    Attach,
    Back,
    Call,
    Chunk,
    Configuration,
    Found,
    Head,
    Here,
    Leave,
    Missing,
    Ready,
    Refused,
    Reply,
    ToTerminal,
    ToWorker,
    encode,
    to_terminal,
)
from mt5crs.terminal.official.process import Process
from mt5crs.terminal.port import Account, Deferred

log = logging.getLogger(__name__)

AT_ONCE = 64
"""Messages that are taken in in one turn."""
ROWS_AT_ONCE = 4
"""Those with rows among them: copying one takes the time of dozens of the others."""
WATCH_BUSY, WATCH_IDLE = 0.02, 0.5
"""Seconds between two looks for workers that have died, while something is expected of one, and otherwise."""
LAST_WORDS = 0.05
"""Seconds that the last messages of a worker that has died are waited for."""
PARTING = 2.0
"""Seconds that workers are given to let go of the terminal."""

_now = time.monotonic


class News(Protocol):
    """Who is told of what workers say of their own accord."""

    def here(self, lane: str) -> None:
        """A new worker waits to be told to attach to the terminal."""
        ...

    def missing(self, lane: str, text: str) -> None:
        """A worker cannot load the package."""
        ...

    def ready(self, lane: str, message: Ready) -> None:
        """A worker has tried to attach to the terminal."""
        ...

    def found(self, message: Found, *rows: Any) -> None:
        """Something is new of what is followed; rows that belong to it are bytes."""
        ...


class Crew:
    """The workers of all lanes.

    Args:
        lanes: The lanes, by name.
        configuration: What each worker is told, but for what is its own.
        environment: Their environment, also that of those who take the place of others later.
        news: Who is told of what workers say of their own accord.

    Attributes:
        source: The socket on which their messages come.
    """

    def __init__(
        self,
        lanes: Mapping[str, Lane],
        configuration: Configuration,
        environment: Mapping[str, str],
        news: News,
    ) -> None:
        self._lanes = lanes
        self._environment = environment
        self._news = news
        self._members: dict[str, Member] = {}
        self._by_token: dict[bytes, str] = {}
        self._ending: list[Process] = []
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.source = self._context.socket(zmq.ROUTER)
        self.source.linger = 0
        self.source.setsockopt(zmq.ROUTER_MANDATORY, 1)
        self.source.setsockopt(zmq.MAXMSGSIZE, MESSAGE_LIMIT)
        self.source.setsockopt(zmq.RCVHWM, QUEUE)
        self.source.bind("tcp://127.0.0.1:*")
        endpoint = self.source.getsockopt_string(zmq.LAST_ENDPOINT)
        self._configuration = msgspec.structs.replace(configuration, endpoint=endpoint)

    # ---- asking ----

    def ask(self, lane: str, op: Operation[..., Any], wire: Bound, until: float = inf) -> Deferred:
        """Have a lane carry out an operation.

        Raises:
            Busy: Too many calls wait in it already.
        """
        job = Job(op, wire, until, Deferred())
        self._perform(lane, self._lanes[lane].ask(job, _now()))
        return job.deferred

    def ask_first(self, lane: str, op: Operation[..., Any], wire: Bound) -> Deferred:
        """Have a lane carry out an operation of our own before all that wait in it."""
        job = Job(op, wire, inf, Deferred())
        self._perform(lane, self._lanes[lane].ask_first(job, _now()))
        return job.deferred

    def drop_waiting(self, lane: str, until: str) -> None:
        """Let nothing wait in a lane any more; see `Lane.drop_waiting`."""
        self._perform(lane, self._lanes[lane].drop_waiting(until))

    def attach(self, lane: str, fence: Account | None) -> None:
        """Tell a lane's worker to attach to the terminal, once it is there."""
        member = self._members.get(lane)
        if member is not None and member.is_here:
            self._lanes[lane].attaching(_now())
            self._post(member, Attach(fence))

    # ---- going on ----

    def advance(self) -> float:
        """Take in what came, and do what is due; return the seconds until it is worth calling again."""
        more = self._take_in()
        self._look_for_the_dead(_now())
        for name, lane in self._lanes.items():
            self._perform(name, lane.tick(_now()))
        self._ending = [process for process in self._ending if process.exit_code is None]
        if more:
            return 0.0
        expected = self._ending or any(lane.state is not State.READY for lane in self._lanes.values())
        due = min(lane.due for lane in self._lanes.values())
        return max(0.0, min(due - _now(), WATCH_BUSY if expected else WATCH_IDLE))

    def _take_in(self) -> bool:
        """Take in what workers sent; return whether there may be more."""
        rows = 0
        for _ in range(AT_ONCE):
            try:
                token, *frames = self.source.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return False
            name = self._by_token.get(token.bytes)
            if name is None or not frames:  # a stranger's, or a dead worker's
                continue
            message = to_terminal(frames[0].buffer)
            self._HANDLERS[type(message)](self, name, message, *frames[1:])
            rows += len(frames) > 1
            if rows >= ROWS_AT_ONCE:
                break
        return True

    def _look_for_the_dead(self, now: float) -> None:
        for name, member in list(self._members.items()):
            code = member.process.exit_code
            if code is None:
                continue
            member.dead_since = min(member.dead_since, now)
            if now - member.dead_since >= LAST_WORDS:
                log.warning("the %s worker has ended by itself (exit code %d)", name, code)
                self._perform(name, self._lanes[name].ended(f"exit code {code}", now))

    def close(self) -> None:
        """Let the workers let go of the terminal, and end those that do not in time."""
        for member in self._members.values():
            if not self._post(member, Leave()):  # it has not come so far as to attach
                member.process.kill()
        give_up = _now() + PARTING
        for process in (member.process for member in self._members.values()):
            if not process.wait(give_up - _now()):
                process.kill()
            process.let_go()
        for process in (*self._ending, *(member.process for member in self._members.values())):
            process.wait(PARTING)
        self._members.clear()
        self._by_token.clear()
        self.source.close()
        self._context.term()
        for name in self._lanes:
            self.drop_waiting(name, "the gateway stopped")

    # ---- what workers say ----

    def _here(self, name: str, message: Here) -> None:
        self._members[name].is_here = True
        self._news.here(name)

    def _missing(self, name: str, message: Missing) -> None:
        self._news.missing(name, message.text)
        self._perform(name, self._lanes[name].ended(message.text, _now()))

    def _ready(self, name: str, message: Ready) -> None:
        self._news.ready(name, message)
        self._perform(name, self._lanes[name].ready(_now()))

    def _reply(self, name: str, message: Reply) -> None:
        if self._lanes[name].is_current(message.number):
            self._answer(name, Result(message.value, (message.code, message.text)))

    def _answer(self, name: str, result: Result) -> None:
        self._perform(name, self._lanes[name].answered(result, _now()))

    def _head(self, name: str, message: Head) -> None:
        layout = self._lanes[name].layout(message.number)
        if layout is not None:
            self._end_array(name, self._members[name].begin_array(message, layout))

    def _chunk(self, name: str, message: Chunk, frame: zmq.Frame) -> None:
        self._lanes[name].progress(message.number, _now())
        self._end_array(name, self._members[name].add_chunk(message.number, frame.buffer))

    def _end_array(self, name: str, result: Result | None) -> None:
        if result is not None:
            self._answer(name, result)

    def _back(self, name: str, message: Back) -> None:
        lane = self._lanes[name]
        if lane.is_current(message.number):
            log.warning("the %s worker has lost the terminal, and attaches to it again", name)
            lane.back(_now())

    def _refused(self, name: str, message: Refused) -> None:
        if self._lanes[name].is_current(message.number):
            self._perform(name, self._lanes[name].refused(WrongAccount(message.text), _now()))

    def _found(self, name: str, message: Found, *frames: zmq.Frame) -> None:
        self._news.found(message, *(frame.buffer for frame in frames))

    _HANDLERS: ClassVar[dict[type[ToTerminal], Callable[..., None]]] = {
        Here: _here,
        Missing: _missing,
        Ready: _ready,
        Reply: _reply,
        Head: _head,
        Chunk: _chunk,
        Back: _back,
        Refused: _refused,
        Found: _found,
    }

    # ---- what lanes decide ----

    def _perform(self, name: str, actions: Actions) -> None:
        for action in actions:
            self._ACTS[type(action)](self, name, action)

    def _start(self, name: str, action: Start) -> None:
        lane = self._lanes[name]
        configuration = msgspec.structs.replace(
            self._configuration, lane=name, limit=lane.limit, start_limit=lane.start_limit
        )
        try:
            process = Process(configuration, self._environment)
        except OSError as error:
            log.error("the %s worker cannot be started: %s", name, error)
            self._perform(name, lane.ended(f"cannot be started: {error}", _now()))
            return
        self._members[name] = Member(process)
        self._by_token[process.token] = name

    def _send(self, name: str, action: Send) -> None:
        number, job = action
        member = self._members[name]
        call = Call(number, job.op.name, list(job.wire))
        # What a dead worker cannot have heard of is not in doubt.
        if member.process.exit_code is not None or not self._post(member, call):
            self._perform(name, self._lanes[name].unsent("found dead", _now()))

    def _post(self, member: Member, message: ToWorker) -> bool:
        """Send a message; return whether there is a connection that takes it."""
        try:
            self.source.send_multipart([member.process.token, encode(message)], zmq.NOBLOCK)
        except zmq.ZMQError:
            return False
        return True

    def _kill(self, name: str, action: Kill) -> None:
        member = self._members.pop(name, None)
        if member is not None:
            log.warning("the %s worker is replaced: %s", name, self._lanes[name].why)
            del self._by_token[member.process.token]
            member.process.kill()
            self._ending.append(member.process)

    def _settle(self, name: str, action: Settle) -> None:
        action.job.deferred.settle(action.result)

    _ACTS: ClassVar[dict[type, Callable[["Crew", str, Any], None]]] = {
        Start: _start,
        Send: _send,
        Kill: _kill,
        Settle: _settle,
    }

"""A client core and a gateway core joined in memory: no socket, no sleep, time by hand."""

from collections.abc import Callable
from math import inf
from pathlib import Path
from typing import Any

from mt5crs.api import OPERATIONS
from mt5crs.gateway.desk import Desk
from mt5crs.gateway.dispatch import Dispatch
from mt5crs.journal.store import Journal
from mt5crs.operation import Operation, Result
from mt5crs.security.policy import ANONYMOUS, Principal
from mt5crs.terminal.port import Deferred, then
from mt5crs.terminal.simulated import SimulatedConfig, SimulatedTerminal
from mt5crs.wire.codec import part_to_client, part_to_gateway, to_client, to_gateway
from mt5crs.wire.messages import Many
from mt5crs.wire.packs import Packs
from mt5crs.wire.pins import Pins
from mt5crs.wire.request import Done, Fill
from mt5crs.wire.session import Session

HORIZON = 60.0
START = 1_763_985_600.0  # Monday 2025-11-24 12:00 UTC

Fate = Callable[[bytes], bool]
"""Decides whether a frame arrives."""


def arrives(_frame: bytes) -> bool:
    return True


PARTS: dict[Any, Callable[[Any], Any]] = {to_gateway: part_to_gateway, to_client: part_to_client}
"""How the messages of a `Many` are read, by how it was read."""


def messages(read: Callable[[bytes], Any], frame: bytes) -> list[Any]:
    """Return the messages of a frame: those of a `Many`, or the one that it is."""
    message = read(frame)
    return [PARTS[read](each) for each in message.messages] if isinstance(message, Many) else [message]


class CountingTerminal(SimulatedTerminal):
    """The simulated terminal, with a count of what reached it.

    Attributes:
        calls: The operations, in their order.
        slow: The operations that it answers when `settle` is called, not before.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__(SimulatedConfig(seed=7), clock=clock)
        self.calls: list[str] = []
        self.slow: set[str] = set()
        self._waiting: list[tuple[Deferred, Result | Deferred]] = []

    def call(self, op: Operation[..., Any], wire: Any, until: float = inf) -> Result | Deferred:
        self.calls.append(op.name)
        answer = super().call(op, wire, until)
        if op.name not in self.slow:
            return answer
        self._waiting.append((Deferred(), answer))
        return self._waiting[-1][0]

    def settle(self) -> None:
        """Answer what was slow."""
        waiting, self._waiting = self._waiting, []
        for deferred, answer in waiting:
            then(answer, deferred.settle)


class Bridge:
    """One connection between one client and one gateway.

    Attributes:
        now: The client's and the gateway's monotonic clock, in seconds.
        to_gateway: Decides which frames arrive at the gateway.
        to_client: Decides which messages arrive at the client.
        missed: How often the client was told that the gateway does not pack.
    """

    def __init__(
        self, principal: Principal = ANONYMOUS, journal: Path | None = None, compress: str = "none"
    ) -> None:
        self.now = 100.0
        self.compress = compress
        self.missed = 0
        self._journal = journal
        self._desk: Desk | None = None
        self.principal = principal
        self.terminal = CountingTerminal(lambda: START + self.now)
        self.watches: set[tuple[str, str]] = set()
        self.pins = Pins()
        self.session = self.connect()
        self.to_gateway: Fate = arrives
        self.to_client: Fate = arrives
        self.sent: list[bytes] = []
        self.restart()

    def connect(self) -> Session:
        """Return the session of a new connection."""
        return Session(
            client="me",
            software="test",
            where="gtw:5555",
            watches=self.watches,
            pins=self.pins,
            packs=Packs(self.compress, self.miss),
        )

    def miss(self) -> None:
        """Count that the gateway does not pack."""
        self.missed += 1

    def restart(self) -> None:
        """Start the gateway again: the same terminal and journal, nothing else left."""
        if self._desk is not None:
            self._desk.close()
        self._desk = Desk(self.terminal, self.open_journal, horizon=HORIZON, clock=self.utc)
        self.dispatch = self.dispatched(self._desk)
        self.peer = f"peer-{self.dispatch.epoch}".encode()

    def dispatched(self, desk: Desk) -> Dispatch:
        """Return what deals with frames; one with keys in `KeyedBridge`."""
        return Dispatch(self.terminal, stream_port=5556, desk=desk)

    @property
    def journal(self) -> Journal:
        """The gateway's journal."""
        assert self._desk is not None
        journal = self._desk.orders.journal
        assert journal is not None
        return journal

    def close(self) -> None:
        """End the gateway."""
        if self._desk is not None:
            self._desk.close()

    def utc(self) -> int:
        """Return the time of day on the gateway's clock, in nanoseconds."""
        return int((START + self.now) * 1e9)

    def open_journal(self, account: str) -> Journal:
        """Open the journal; replaced by tests in which it cannot be."""
        return Journal(self._journal, account, self.utc)

    def ask(self, name: str, *args: Any, timeout: float = 5.0, key: str = "", **kwargs: Any) -> int:
        """Ask for an operation; nothing moves yet."""
        op = OPERATIONS[name]
        return self.session.ask(op, op.signature.bind(name, args, kwargs), self.now, timeout, key)

    def handle(self, frame: bytes) -> list[bytes]:
        """Have the gateway deal with a frame, and carry orders on; return all that it answers."""
        frames = list(self.dispatch.handle(self.peer, self.principal, frame, self.now))
        self.dispatch.flush(self.now)
        while self.dispatch.held.ready:
            frames += self.dispatch.held.ready.popleft()[1]
        return frames

    def pump(self) -> list[Done]:
        """Move frames until nothing moves; return what was settled."""
        settled = self.session.tick(self.now)
        self.dispatch.pass_time(self.now)
        while self.session.outbox or self.dispatch.held.ready or self.dispatch.is_waiting:
            for frame in self.depart():
                if self.to_gateway(frame):
                    answer = self.dispatch.handle(self.peer, self.principal, frame, self.now)
                    if answer:
                        self._deliver(answer, settled)
                while self.dispatch.transfers:
                    for _, chunk in self.dispatch.transfers.chunks(100):
                        self._deliver(chunk, settled)
            self.dispatch.flush(self.now)
            while self.dispatch.held.ready:
                self._deliver(self.dispatch.held.ready.popleft()[1], settled)
            settled += self.session.tick(self.now)
        return settled

    def depart(self) -> list[bytes]:
        """Take the frames that are to be sent."""
        frames: list[bytes] = []
        self.session.depart(lambda frame, _: frames.append(frame))
        self.sent += frames
        return frames

    def _deliver(self, frames: list[Any], settled: list[Done]) -> None:
        if not self.to_client(frames[0]):
            return
        event = self.session.receive(frames[0], self.now)
        if isinstance(event, Fill):
            rows = frames[1]
            event.buffer[: len(rows)] = rows
            event = self.session.filled(event, len(rows))
        if isinstance(event, Done):
            settled.append(event)

    def pass_time(self, seconds: float, step: float = 0.25) -> list[Done]:
        """Let time pass, moving frames as it goes."""
        settled: list[Done] = []
        for _ in range(round(seconds / step)):
            self.now += step
            settled += self.pump()
        return settled

    def call(self, name: str, *args: Any, **kwargs: Any) -> Done:
        """Ask, and move frames until it is settled."""
        id_ = self.ask(name, *args, **kwargs)
        (done,) = [done for done in self.pump() if done.id == id_]
        return done


BUY: dict[str, Any] = {"action": 1, "symbol": "EURUSD", "volume": 0.1, "type": 0, "type_filling": 1}

"""What both clients have in common: settings, a name, the session's end, what is watched."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from mt5crs._version import __version__
from mt5crs.arguments import ArgumentError, Bound
from mt5crs.errors import BridgeError, OutcomeUnknown, UnknownSymbol, Unreachable
from mt5crs.last_error import IPC_CALL_FAILED, IPC_TIMEOUT, NO_IPC_CONNECTION, SUCCESS, LastError
from mt5crs.model import Tick
from mt5crs.operation import Operation
from mt5crs.settings import Settings, address
from mt5crs.wire.messages import Pong
from mt5crs.wire.session import Session

# What a successful WATCH operation adds to, or takes from, the things this client watches.
_WATCHED = {"symbol_select": "symbol", "market_book_add": "book", "market_book_release": "book"}


def last_error_of(failure: BridgeError) -> LastError:
    """Return what `last_error()` says after a failure of the bridge: the official package's nearest error."""
    if isinstance(failure, OutcomeUnknown) and failure.last_error is not None:
        return failure.last_error
    if isinstance(failure, TimeoutError):
        return IPC_TIMEOUT
    return NO_IPC_CONNECTION if isinstance(failure, Unreachable) else IPC_CALL_FAILED


class Ping(NamedTuple):
    """An answered ping.

    Attributes:
        seconds: The round trip.
        pong: What the gateway said of itself.
    """

    seconds: float
    pong: Pong


class Immediate(NamedTuple):
    """An answer that needs no trip."""

    value: Any
    error: LastError


def fresh_key() -> str:
    """Return an idempotency key that no other request has."""
    return os.urandom(16).hex()


class Core:
    """A client's state that does not depend on how it waits.

    Args:
        flags: Settings given by the caller, by their field names in `Settings`.

    Attributes:
        settings: Where the gateway is, and how long to wait for it.
        name: The client's name for itself, the same on all its connections.
        watches: What it watches, for the gateway to establish again after a restart.
    """

    def __init__(self, flags: Mapping[str, object]) -> None:
        self.settings = Settings.read(flags)
        self.rename()
        self.watches: set[tuple[str, str]] = set()
        self._open = True

    def rename(self) -> None:
        """Take a new name: what was forked is another client to the gateway."""
        self.name = f"{os.getpid()}-{os.urandom(6).hex()}"

    @property
    def where(self) -> str:
        """The gateway's address, for people."""
        return address(self.settings.host, self.settings.port)

    def session(self) -> Session:
        """Return the session of a new connection."""
        return Session(
            client=self.name, software=f"mt5crs/{__version__}", where=self.where, watches=self.watches
        )

    def prepare(self, op: Operation[..., Any], args: Bound, kwargs: dict[str, Any]) -> Bound | Immediate:
        """Return the wire arguments of a call, or its answer where it needs no trip.

        As in the official package the arguments are checked first, then the session.

        Raises:
            TypeError: As the official function does.
            SystemError: As the official function does.
        """
        try:
            wire = op.signature.bind(op.name, args, kwargs)
        except ArgumentError as error:
            return Immediate(op.misuse, error.error)
        if self._open or op.name == "initialize":
            return wire
        return Immediate(True, SUCCESS) if op.name == "shutdown" else Immediate(op.failure, NO_IPC_CONNECTION)

    def check_symbol(self, symbol: str, tick: Tick | None) -> None:
        """Refuse to wait for ticks that can never come.

        Raises:
            UnknownSymbol: The terminal knows no last tick of it.
        """
        if tick is None:
            raise UnknownSymbol(f"{self.where} has no symbol {symbol!r}")

    def remember(self, op: Operation[..., Any], wire: Bound, value: Any) -> None:
        """Note what an answer to a stateful operation means for the calls to come."""
        if op.is_watch and value:
            watched = (_WATCHED[op.name], wire[0])
            if op.name == "market_book_add" or (op.name == "symbol_select" and wire[1]):
                self.watches.add(watched)
            else:
                self.watches.discard(watched)
        elif op.name == "initialize":
            self._open = bool(value)
        elif op.name == "shutdown":
            self.watches.clear()
            self._open = False

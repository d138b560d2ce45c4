"""Questions to a terminal that is not ready, or away: they are asked again, and never many at once."""

import time
from collections.abc import Callable
from threading import Event, Semaphore
from typing import TYPE_CHECKING, TypeVar

from mt5crs import constants as c
from mt5crs.errors import (
    ArchiveError,
    BridgeError,
    Busy,
    Expired,
    GatewayFault,
    StaleEpoch,
    TerminalMissing,
    Unreachable,
)
from mt5crs.last_error import LastError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LOADING = (0.1, 0.3, 0.6, 1.0, 2.0)
"""Seconds between questions to a terminal that may be loading history still."""
PAUSES = (0.05, 0.1, 0.2, 0.5, 1.0)
"""Seconds between attempts to reach a gateway; the last one again and again."""
AT_ONCE = 2
"""Questions that are under way at once: one is answered while the next one is on its way."""

_AWAY = (Unreachable, GatewayFault, Busy, Expired, StaleEpoch, TerminalMissing)
_NOT_READY = frozenset({c.RES_E_FAIL, c.RES_E_INVALID_PARAMS, c.RES_E_NOT_FOUND})
_NO_TERMINAL = frozenset(
    {
        c.RES_E_INTERNAL_FAIL,
        c.RES_E_INTERNAL_FAIL_SEND,
        c.RES_E_INTERNAL_FAIL_RECEIVE,
        c.RES_E_INTERNAL_FAIL_INIT,
        c.RES_E_INTERNAL_FAIL_CONNECT,
        c.RES_E_INTERNAL_FAIL_TIMEOUT,
    }
)

T = TypeVar("T")
Rows = TypeVar("Rows", bound="NDArray[np.void]")


class Interrupted(Exception):
    """Whoever started it wants it to end."""


class Asking:
    """Asks a terminal, for several threads.

    Args:
        last_error: What the terminal says of the last question of a thread.
        patience: Seconds in a row for which it may be away.
        stop: Set by whoever wants it to end.
    """

    def __init__(self, last_error: Callable[[], LastError], patience: float, stop: Event) -> None:
        self._last_error = last_error
        self._patience = patience
        self._stop = stop
        self._turns = Semaphore(AT_ONCE)

    def got(
        self, what: str, ask: Callable[[], T | None], is_enough: Callable[[T], object] | None = None
    ) -> T:
        """Return what the terminal gives; one that is loading history still is asked again.

        Raises:
            ArchiveError: It gives nothing.
        """
        pauses = iter(LOADING)
        while True:
            value = self.ask(ask)
            if value is not None and (is_enough is None or is_enough(value)):
                return value
            code, text = self._last_error()
            pause = next(pauses, None)
            if pause is None or (value is None and code not in _NOT_READY):
                break
            self.wait(pause)
        if value is not None:
            return value
        raise ArchiveError(
            f"the terminal gave no {what}: {text} ({code})",
            hint="what was pulled is in the archive: pull again, and it goes on from there",
        )

    def ask(self, ask: Callable[[], T | None]) -> T | None:
        """Return the terminal's answer; wait where it is away, and go on when it is back.

        Raises:
            BridgeError: It is away for too long, or refuses.
            Interrupted: All is to end.
        """
        until, attempt = 0.0, 0
        while True:
            try:
                value = self._answer(ask)
                error: BridgeError | None = None
                if value is not None or self._last_error()[0] not in _NO_TERMINAL:
                    return value
            except _AWAY as failure:
                error = failure
            now = time.monotonic()
            until = until or now + self._patience
            if now >= until:
                if error is None:
                    return None
                raise type(error)(
                    f"{error.message}; it was waited for {self._patience:g} s",
                    hint="what was pulled is in the archive: pull again, and it goes on from there",
                ) from error
            self.wait(PAUSES[min(attempt, len(PAUSES) - 1)])
            attempt += 1

    def sure(self, ask: Callable[[], Rows], is_doubtful: Callable[[Rows], bool]) -> Rows:
        """Return rows; where they are doubtful, those that were the same twice in a row."""
        rows = ask()
        if not is_doubtful(rows):
            return rows
        for pause in LOADING:
            self.wait(pause)
            before, rows = rows, ask()
            if rows.tobytes() == before.tobytes():
                break
        return rows

    def _answer(self, ask: Callable[[], T]) -> T:
        """Return an answer, when it is this question's turn."""
        while not self._turns.acquire(timeout=PAUSES[0]):
            self.wait(0)
        try:
            self.wait(0)
            return ask()
        finally:
            self._turns.release()

    def wait(self, seconds: float) -> None:
        """Wait a little, unless all is to end.

        Raises:
            Interrupted: It is.
        """
        if self._stop.wait(seconds):
            raise Interrupted

"""What is known of a terminal without asking it: what its last answers said."""

from math import inf
from typing import Any

from mt5crs.last_error import NO_ANSWER
from mt5crs.model import AccountInfo, TerminalInfo
from mt5crs.operation import Result, Unasked
from mt5crs.terminal.official.attachment import GONE
from mt5crs.terminal.port import Account

ASK_EVERY = 2.0
"""Seconds between two looks at a terminal."""
PATIENCE = 5.0
"""Seconds without an answer to such a look after which the terminal counts as one that does not answer."""


class Health:
    """What the terminal's answers say of it.

    Args:
        account: The gateway's account, as it was at the start.
        now: Seconds on the monotonic clock.
    """

    def __init__(self, account: Account, now: float) -> None:
        self._account = account
        self._answers = self._connected = self._fits = True
        self._asked_at = inf
        self._next = now

    @property
    def due(self) -> float:
        """When the terminal is to be asked again; not while it is being asked."""
        return self._next

    def asked(self, now: float) -> None:
        """Note that it is asked; at infinity where the question waits behind others."""
        self._asked_at, self._next = now, inf

    def take_terminal(self, result: Result) -> None:
        """Take the answer to `terminal_info`."""
        self.heed(result)
        if result.value is not None:
            self._connected = bool(TerminalInfo(result.value).connected)

    def take_account(self, result: Result, now: float) -> None:
        """Take the answer to `account_info`, which is asked for last."""
        self.heed(result)
        self._asked_at, self._next = inf, now + ASK_EVERY
        if not isinstance(result, Unasked):
            self._fits = result.value is not None and account_of(result.value) == self._account

    def heed(self, result: Result) -> None:
        """Take what any answer says of whether the terminal answers."""
        if not isinstance(result, Unasked):
            self._answers = result.error[0] not in GONE | NO_ANSWER

    def answers(self, now: float) -> bool:
        """Say whether the terminal answers."""
        return self._answers and now - self._asked_at < PATIENCE

    def is_connected(self, now: float) -> bool:
        """Say whether it is connected to its trade server."""
        return self.answers(now) and self._connected

    def is_logged_in(self, now: float) -> bool:
        """Say whether it is logged in to the gateway's account."""
        return self.answers(now) and self._fits


def account_of(values: list[Any]) -> Account:
    """Return whose account the fields of an `AccountInfo` are."""
    info = AccountInfo(values)
    return Account(info.login, info.server, info.trade_mode)

"""The package, attached to a terminal: who it is logged in for, and attaching again when it is lost."""

from collections.abc import Callable
from math import inf
from time import monotonic
from typing import Any

from mt5crs import constants as c
from mt5crs.arguments import Bound
from mt5crs.last_error import SUCCESS, LastError
from mt5crs.model import AccountInfo
from mt5crs.operation import Operation, Result
from mt5crs.terminal.official.messages import Configuration, Ready
from mt5crs.terminal.port import Account

GONE = frozenset({c.RES_E_INTERNAL_FAIL_SEND, c.RES_E_INTERNAL_FAIL_RECEIVE, c.RES_E_INTERNAL_FAIL_CONNECT})
"""Codes that say that the terminal is not there any more: only `initialize` finds it again."""
ATTACH_EVERY = 1.0
"""Seconds between two attempts to attach to a terminal that is gone."""


class Attachment:
    """The package and the terminal that it is attached to.

    Args:
        package: What has the official functions.
        told: The terminal's program, the account and how long attaching may take.
        clock: Returns seconds.

    Attributes:
        package: See above.
        fence: The gateway's account, None until that is known.
        is_lost: Whether the terminal is gone.
    """

    def __init__(self, package: Any, told: Configuration, clock: Callable[[], float] = monotonic) -> None:
        self.package = package
        self.fence: Account | None = None
        self.is_lost = True
        self._clock = clock
        self._tried = -inf
        self._path = [told.path] if told.path else []
        account = {"login": told.login, "password": told.password, "server": told.server}
        self._credentials = {name: value for name, value in account.items() if value}
        self._timeout = {"timeout": told.timeout}

    @property
    def may_help(self) -> bool:
        """Whether the terminal is lost, and it is time to attach to it again."""
        return self.is_lost and self._clock() - self._tried >= ATTACH_EVERY

    def attach(self, fence: Account | None) -> Ready:
        """Attach to the terminal, and say which account it is logged in to.

        With a fence the account is never switched under those who use the terminal: the terminal is taken as
        it is, and logged in only where it is logged in to no account. Without one, what it is logged in to is
        the fence from now on.
        """
        error = self._initialize(self._credentials if fence is None else {})
        account = self._account_info()
        if account is None and fence is not None and self._credentials:
            error = self._initialize(self._credentials)
            account = self._account_info()
        if account is None and error == SUCCESS:
            error = self.package.last_error()
        self.fence = fence or _whose(account)
        self.is_lost = account is None
        self._tried = self._clock()
        return Ready(error[0], error[1], None if account is None else list(account))

    def _initialize(self, credentials: dict[str, Any]) -> LastError:
        is_there = self.package.initialize(*self._path, **credentials, **self._timeout)
        error: LastError = SUCCESS if is_there else self.package.last_error()
        return error

    def _account_info(self) -> AccountInfo | None:
        """Return the account that the terminal is logged in to, None for none."""
        info: AccountInfo | None = self.package.account_info()
        return info if info is not None and info.login else None

    def account(self) -> Account | None:
        """Ask for the account that the terminal is logged in to; None, and lost, for none."""
        info = self._account_info()
        self.is_lost = self.is_lost or info is None
        return _whose(info)

    def call(self, op: Operation[..., Any], wire: Bound) -> Result:
        """Carry out one operation; note it where the terminal turns out to be gone."""
        args, kwargs = op.signature.unpack(wire)
        value = getattr(self.package, op.name)(*args, **kwargs)
        return Result(value, self.last_error())

    def last_error(self) -> LastError:
        """Return the error of the latest call; note it where the terminal turns out to be gone."""
        error: LastError = self.package.last_error()
        self.is_lost = self.is_lost or error[0] in GONE
        return error


def _whose(info: AccountInfo | None) -> Account | None:
    return None if info is None else Account(info.login, info.server, info.trade_mode)

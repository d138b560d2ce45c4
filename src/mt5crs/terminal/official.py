"""The real terminal, through the official `MetaTrader5` package on the same Windows machine.

The package is synchronous and not thread-safe: everything here is called from one thread. It could not be
run where this project is built (it exists for Windows only); the adapter is tested by giving it a client of
a second gateway in place of the package, which has the same functions.
"""

import math
from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

from mt5crs.arguments import Bound
from mt5crs.constants import COPY_TICKS_ALL
from mt5crs.errors import TerminalMissing
from mt5crs.last_error import AUTHORIZATION_FAILED, NO_IPC_CONNECTION, SUCCESS
from mt5crs.operation import Operation, Result
from mt5crs.terminal.port import Account, Condition

if TYPE_CHECKING:
    import zmq

    from mt5crs.model import TicksArray

POLL = 0.02
"""Seconds between two looks for new ticks while somebody follows them."""
FIRST_COUNT = 256
"""Ticks asked for at a time; doubled while a second holds more."""


class OfficialTerminal:
    """The terminal that the official package is attached to.

    Args:
        package: What has the official functions; the `MetaTrader5` package itself without it.
        path: The terminal's program, where it is not the installed default.
        login: Account to log in to; the terminal's current one without it.
        password: Password of the account.
        server: Name of the trade server.
        timeout: Milliseconds that the terminal may take to start and synchronise.

    Raises:
        TerminalMissing: The package or the terminal cannot be used, with the reason and the next step.
    """

    name = "official"
    sources: "Sequence[zmq.Socket[bytes]]" = ()

    def __init__(
        self,
        package: Any = None,
        *,
        path: str = "",
        login: int = 0,
        password: str = "",
        server: str = "",
        timeout: int = 60_000,
    ) -> None:
        self._mt5 = package if package is not None else _package()
        self._followers: dict[str, _Follower] = {}
        options = {"login": login, "password": password, "server": server, "timeout": timeout}
        wanted = {name: value for name, value in options.items() if value}
        if not self._mt5.initialize(*([path] if path else []), **wanted):
            code, text = self._mt5.last_error()
            raise TerminalMissing(f"the terminal cannot be used: {text} ({code})", hint=_HINTS.get(code, ""))
        info = self._mt5.account_info()
        self.account = Account(info.login, info.server, info.trade_mode)

    def call(self, op: Operation[..., Any], wire: Bound, until: float = math.inf) -> Result:
        """See `TerminalPort.call`."""
        args, kwargs = op.signature.unpack(wire)
        if op.name in ("initialize", "login"):
            return self._check_account(kwargs)
        value = getattr(self._mt5, op.name)(*args, **kwargs)
        return Result(value, self._mt5.last_error())

    def _check_account(self, wanted: dict[str, Any]) -> Result:
        """Answer a client's `initialize` or `login`: the account is never switched under the others."""
        account = self._mt5.account_info()
        if account is None:
            return Result(False, NO_IPC_CONNECTION)
        same = all(wanted.get(field) in (None, getattr(account, field)) for field in ("login", "server"))
        return Result(True, SUCCESS) if same else Result(False, AUTHORIZATION_FAILED)

    def condition(self) -> Condition:
        """See `TerminalPort.condition`."""
        info = self._mt5.terminal_info()
        return Condition(terminal=info is not None, broker=bool(info and info.connected), account=True)

    def follow(self, symbol: str) -> bool:
        """See `TerminalPort.follow`."""
        if symbol not in self._followers:
            if not self._mt5.symbol_select(symbol, True):
                return False
            self._followers[symbol] = _Follower(self._mt5, symbol)
        return True

    def unfollow(self, symbol: str) -> None:
        """See `TerminalPort.unfollow`."""
        self._followers.pop(symbol, None)

    def take_ticks(self) -> "list[tuple[str, TicksArray]]":
        """See `TerminalPort.take_ticks`."""
        taken = [(symbol, follower.take()) for symbol, follower in self._followers.items()]
        return [(symbol, ticks) for symbol, ticks in taken if ticks is not None]

    def advance(self) -> float:
        """See `TerminalPort.advance`: the terminal keeps its own time, only followers need polling."""
        return POLL if self._followers else math.inf

    def close(self) -> None:
        """See `TerminalPort.close`."""
        self._mt5.shutdown()


class _Follower:
    """Finds the new ticks of a symbol with a function that takes whole seconds.

    Asks from the second of the last tick on and skips what it has delivered of that second, so that ticks
    with equal times are neither lost nor doubled.
    """

    def __init__(self, mt5: Any, symbol: str) -> None:
        self._mt5 = mt5
        self._symbol = symbol
        tick = mt5.symbol_info_tick(symbol)
        self._second = 0 if tick is None else int(tick.time)
        self._count = FIRST_COUNT
        self._delivered = 0
        self._delivered = len(self._ask())

    def _ask(self) -> Any:
        while True:
            ticks = self._mt5.copy_ticks_from(self._symbol, self._second, self._count, COPY_TICKS_ALL)
            if ticks is None:
                return ()
            if len(ticks) < self._count or len(ticks) > self._delivered + 1:
                return ticks
            self._count *= 2  # the second holds more than was asked for

    def take(self) -> "TicksArray | None":
        """Return the ticks that came since the last time, None where there are none."""
        ticks = self._ask()
        new = ticks[self._delivered :]
        if not len(new):
            return None
        second = int(ticks[-1]["time"])
        if second > self._second:
            self._second, self._count = second, FIRST_COUNT
            self._delivered = int((ticks["time"] == second).sum())
        else:
            self._delivered = len(ticks)
        array: TicksArray = new
        return array


def _package() -> ModuleType:
    try:
        import MetaTrader5  # on Windows only
    except ImportError as error:
        raise TerminalMissing(
            f"the official MetaTrader5 package cannot be imported: {error}",
            hint="it exists for Windows only: there, `pip install MetaTrader5` beside an installed terminal; "
            "anywhere else use --terminal simulated",
        ) from error
    package: ModuleType = MetaTrader5
    return package


_HINTS = {
    -2: "check path, login, password and server",
    -6: "check login, password and server",
    -10003: "install MetaTrader 5, or give the path of its terminal64.exe",
    -10004: "start the terminal in this desktop session",
    -10005: "the account did not synchronise in time: look at the terminal's connection, then try again",
}

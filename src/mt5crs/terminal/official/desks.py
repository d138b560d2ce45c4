"""What the workers of each lane do when they are asked."""

from math import inf
from typing import Any, Protocol

from mt5crs import points
from mt5crs.api import OPERATIONS
from mt5crs.arguments import Bound
from mt5crs.constants import ACCOUNT_TRADE_MODE_CONTEST, ACCOUNT_TRADE_MODE_DEMO, ACCOUNT_TRADE_MODE_REAL
from mt5crs.cursors import Cursor
from mt5crs.last_error import NO_ANSWER, SUCCESS
from mt5crs.operation import Result, done
from mt5crs.terminal.official.attachment import GONE, Attachment
from mt5crs.terminal.official.follower import Follower
from mt5crs.terminal.official.rows import PULSE
from mt5crs.terminal.port import Account

SHORTEST, LONGEST = 0.001, 0.05
"""Seconds between two looks for ticks while they come, and while none does."""
MODES = {
    ACCOUNT_TRADE_MODE_DEMO: "demo",
    ACCOUNT_TRADE_MODE_CONTEST: "contest",
    ACCOUNT_TRADE_MODE_REAL: "real",
}


class WrongAccountFound(Exception):
    """The terminal is not logged in to the gateway's account, so it was not asked."""


class Lost(Exception):
    """The terminal is gone, so it was not asked: it is worth attaching to it again first."""


class Desk(Protocol):
    """What a worker does when it is asked, and between two questions."""

    def __init__(self, attachment: Attachment) -> None: ...

    def carry_out(self, name: str, wire: Bound) -> Result:
        """Carry out one operation.

        Raises:
            WrongAccountFound: The terminal was not asked: see there.
            Lost: The terminal was not asked: see there.
        """
        ...

    @property
    def pause(self) -> float:
        """Seconds until `look` is worth calling again."""
        ...

    def look(self) -> "list[tuple[str, tuple[int, int], Any]]":
        """Return what is new: symbol, how far its ticks are taken in now, and the ticks."""
        ...


class ReadDesk:
    """Carries out everything but orders."""

    pause = inf

    def __init__(self, attachment: Attachment) -> None:
        self._attachment = attachment

    def carry_out(self, name: str, wire: Bound) -> Result:
        """See `Desk.carry_out`."""
        if self._attachment.may_help:
            raise Lost
        return self._attachment.call(OPERATIONS[name], wire)

    def look(self) -> "list[tuple[str, tuple[int, int], Any]]":
        """See `Desk.look`: nothing comes unasked."""
        return []


class TradeDesk(ReadDesk):
    """Carries out orders, each only while the terminal is logged in to the gateway's account."""

    def carry_out(self, name: str, wire: Bound) -> Result:
        """See `Desk.carry_out`."""
        attachment = self._attachment
        account = attachment.account()
        if account is None and attachment.may_help:
            raise Lost
        if account is None or account != attachment.fence:
            raise WrongAccountFound(self._why(account))
        points.reach(points.SENT)
        result = attachment.call(OPERATIONS[name], wire)
        points.reach(points.FILLED)
        return result

    def _why(self, account: Account | None) -> str:
        wanted = self._attachment.fence
        if account is None:
            code, text = self._attachment.last_error()
            return f"the terminal is logged in to no account ({text}, {code}); this gateway is for {wanted}"
        if wanted is not None and account[:2] == wanted[:2]:
            is_, was = (MODES.get(mode, str(mode)) for mode in (account.trade_mode, wanted.trade_mode))
            return f"{account} is a {is_} account now; this gateway was started for it as a {was} account"
        return f"the terminal is logged in to {account}; this gateway is for {wanted}"


class StreamDesk:
    """Polls for the ticks of the symbols that are followed."""

    def __init__(self, attachment: Attachment) -> None:
        self._attachment = attachment
        self._followers: dict[str, Follower] = {}
        self._pause = SHORTEST

    @property
    def pause(self) -> float:
        """See `Desk.pause`."""
        return self._pause if self._followers else inf

    def carry_out(self, name: str, wire: Bound) -> Result:
        """See `Desk.carry_out`."""
        return done(True) if name == PULSE.name else self._follow(wire)

    def _follow(self, wanted: Bound) -> Result:
        """Follow these symbols and no others; see `rows.FOLLOW`."""
        if self._attachment.may_help:
            raise Lost
        names = {symbol for symbol, _, _ in wanted}
        self._followers = {
            symbol: follower for symbol, follower in self._followers.items() if symbol in names
        }
        for symbol, second, delivered in wanted:
            if symbol in self._followers:
                continue
            if self._select(symbol):
                self._followers[symbol] = Follower(
                    self._attachment.package, symbol, Cursor(second, delivered)
                )
            elif (error := self._attachment.last_error())[0] in GONE | NO_ANSWER:
                return Result(None, error)
        self._pause = SHORTEST
        return done([[symbol, *follower.cursor] for symbol, follower in self._followers.items()])

    def _select(self, symbol: str) -> bool:
        return bool(self._attachment.package.symbol_select(symbol, True))

    def look(self) -> "list[tuple[str, tuple[int, int], Any]]":
        """See `Desk.look`."""
        if self._attachment.may_help:
            self._attach_again()
        found: list[tuple[str, tuple[int, int], Any]] = []
        for symbol, follower in self._followers.items():
            ticks = follower.take()
            if ticks is not None:
                found.append((symbol, follower.cursor, ticks))
            elif self._attachment.last_error()[0] in GONE:
                break
        self._pause = SHORTEST if found else min(2 * self._pause, LONGEST)
        return found

    def _attach_again(self) -> None:
        if self._attachment.attach(self._attachment.fence).code == SUCCESS[0]:
            for symbol in self._followers:
                self._select(symbol)


DESKS: "dict[str, type[Desk]]" = {"trade": TradeDesk, "read": ReadDesk, "stream": StreamDesk}
"""By lane."""

"""What the workers of the lanes for orders and reads do when they are asked."""

from math import inf
from typing import Protocol

from mt5crs import points
from mt5crs.api import OPERATIONS
from mt5crs.arguments import Bound
from mt5crs.constants import ACCOUNT_TRADE_MODE_CONTEST, ACCOUNT_TRADE_MODE_DEMO, ACCOUNT_TRADE_MODE_REAL
from mt5crs.operation import Result
from mt5crs.terminal.official.attachment import Attachment
from mt5crs.terminal.port import Account, News

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

    def look(self) -> list[tuple[int, News]]:
        """Return what is new, with the number of the wish that it is for."""
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

    def look(self) -> list[tuple[int, News]]:
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

"""What a client has met first, and keeps to: an account, its journal, and where that journal ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mt5crs.errors import SplitBrain, WrongAccount
from mt5crs.heads import LINK
from mt5crs.wire.messages import Receipt, Welcome

HEADS = 16
"""Journals whose heads are told to a gateway."""
Keep = Callable[[str, int, bytes], None]
"""Keeps where a journal ended: its id, its number of events, the last one's link."""


LIMIT = 1 << 63
"""Beyond the events that any journal can have."""


def _keep_nothing(journal: str, events: int, link: bytes) -> None:
    pass


class Pins:
    """What a client keeps to, shared by its connections.

    Args:
        heads: Where journals ended that were met before: number of events and last link, by their ids.
        keep: Keeps where a journal ends now.
        where: The file in which that is kept, for messages.

    Attributes:
        account: The account of the first gateway that greeted it, as `login@server`.
        journal: The journal that keeps that account's orders; "" while none has been met.
    """

    __slots__ = ("_heads", "_keep", "_where", "account", "journal")

    def __init__(
        self,
        heads: Mapping[str, tuple[int, bytes]] | None = None,
        keep: Keep = _keep_nothing,
        where: str = "",
    ) -> None:
        self._heads = dict(heads or {})
        self._keep = keep
        self._where = where
        self.account = ""
        self.journal = ""

    def heads(self) -> list[tuple[str, int, bytes]]:
        """Return where journals ended when they were heard of last: they must have that still."""
        return [(journal, *head) for journal, head in list(self._heads.items())[-HEADS:]]

    def see(self, receipt: Receipt) -> None:
        """Take in where the journal ends, as the answer to a trade tells; what none can say is left out."""
        is_head = 0 <= receipt.events < LIMIT and len(receipt.link) == LINK
        if self.journal and is_head and receipt.events > self._heads.get(self.journal, (0, b""))[0]:
            self._heads[self.journal] = receipt.events, receipt.link
            self._keep(self.journal, receipt.events, receipt.link)

    def meet(self, welcome: Welcome) -> None:
        """Take in a gateway's greeting."""
        self.account = self.account or welcome.account

    def check(self, welcome: Welcome, where: str) -> None:
        """See that a trade goes to the account and to the journal that it belongs to.

        Args:
            welcome: How the gateway introduced itself.
            where: The gateway's address.

        Raises:
            WrongAccount: The gateway is for another account than at first.
            SplitBrain: Another journal keeps the account's orders than at first, or it was cut.
        """
        if welcome.account != self.account:
            raise WrongAccount(
                f"{where} is for {welcome.account or 'no account'} now, and was for {self.account}",
                hint="a new client takes it as it is",
            )
        if self.journal and self.journal != welcome.journal:
            raise SplitBrain(
                f"{where} keeps the orders of {welcome.account} in another journal than before"
                f" ({welcome.journal[:8] or 'none'} instead of {self.journal[:8]})",
                hint="was it replaced, or does another gateway answer? A new client takes it as it is",
            )
        if not welcome.whole:
            events, _ = self._heads.get(welcome.journal, (0, b""))
            raise SplitBrain(
                f"the journal of {where} no longer has what this client was told of it (event {events}): it"
                " was cut, is an older copy, or was written anew, and may not know what was sent",
                hint=self._way_out(),
            )
        self.journal = welcome.journal

    def _way_out(self) -> str:
        """Return what to do where a journal was cut."""
        if not self._where:
            return "`mt5crs journal verify --head` proves it; a new client takes the journal as it is"
        return (
            f"`mt5crs journal verify --head {self._where}` on its machine proves it; if you know why"
            f" that is so, move {self._where} away: a new client then takes the journal as it is"
        )

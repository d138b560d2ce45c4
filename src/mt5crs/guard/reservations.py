"""What orders may have done that no look has shown yet: counted in full, on top of what was shown."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from mt5crs import constants as c
from mt5crs.guard.facts import Quote, Usage, pending_price
from mt5crs.guard.requests import PRICES, Asked


class Reservation:
    """What one order may have done.

    Attributes:
        principal: Whose order it is.
        order: The order, for whoever made the reservation.
        symbol: Its symbol.
        volume: Lots to be counted.
        turns: See `mt5crs.guard.requests.Asked`.
        price: What its exposure is counted at.
        extra: See `mt5crs.guard.requests.Asked`.
        worth: Its exposure.
        ticket: The order's ticket, once it is known.
        known: When it became known that it was carried out, epoch seconds; 0 before.
    """

    __slots__ = (
        "extra", "known", "order", "price", "principal", "symbol", "ticket", "turns", "volume", "worth",
    )  # fmt: skip

    def __init__(self, principal: str, order: Any, asked: Asked) -> None:
        self.principal = principal
        self.order = order
        self.symbol = asked.symbol
        self.volume = asked.held
        self.turns = asked.turns
        self.price = asked.price
        self.extra = asked.extra
        self.worth = 0.0
        self.ticket = 0
        self.known = 0.0


def unread(request: Mapping[str, Any]) -> Asked:
    """Return what a request may have done whose account is not known as it was then: all that it can."""
    asked = Asked(request)
    if asked.request["action"] == c.TRADE_ACTION_DEAL:
        asked.turns = asked.volume
        if asked.request["position"]:
            asked.held = 0.0
    asked.price = max(asked.request[name] for name in PRICES)
    return asked


class Reservations:
    """All of them.

    Attributes:
        under_way: Lots by symbol by which the one position of a symbol may have been turned.
    """

    def __init__(self) -> None:
        self._all: set[Reservation] = set()
        self._usages: dict[str, Usage] = {"": Usage()}
        self.under_way: dict[str, float] = {}

    def __iter__(self) -> Iterator[Reservation]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    @property
    def symbols(self) -> set[str]:
        """The symbols that they are about."""
        return {each.symbol for each in self._all if each.volume or each.extra} - {""}

    def usage(self, principal: str = "") -> Usage:
        """Return what those of a principal use of limits, "" for all; the object stays the same."""
        used = self._usages.get(principal)
        if used is None:
            used = self._usages[principal] = Usage()
        return used

    def add(self, reservation: Reservation, quote: Quote | None) -> None:
        """Count one."""
        self._all.add(reservation)
        symbol, volume = reservation.symbol, reservation.volume
        if reservation.turns:
            self.under_way[symbol] = self.under_way.get(symbol, 0.0) + reservation.turns
        if volume or reservation.extra:
            price = pending_price(reservation.price, 0.0, quote)
            extra = reservation.extra
            reservation.worth = 0.0 if quote is None else (volume * price + extra) * quote.worth
            for name in ("", reservation.principal):
                self.usage(name).add(symbol, volume, price, quote, extra)

    def drop(self, reservation: Reservation) -> None:
        """Count it no more."""
        if reservation not in self._all:
            return
        self._all.discard(reservation)
        symbol = reservation.symbol
        if reservation.turns:
            self.under_way[symbol] -= reservation.turns
            if self.under_way[symbol] <= 0.0:
                del self.under_way[symbol]
        if reservation.volume or reservation.extra:
            for name in ("", reservation.principal):
                used = self.usage(name)
                used.volumes[symbol] -= reservation.volume
                used.exposure -= reservation.worth

    def recount(self, keeps: Callable[[Reservation], bool], quotes: Mapping[str, Quote | None]) -> None:
        """Drop some, and count the others anew, at new prices."""
        kept = [each for each in self._all if keeps(each)]
        self._all.clear()
        self.under_way.clear()
        for used in self._usages.values():
            used.volumes.clear()
            used.exposure, used.unknown = 0.0, ""
        for each in kept:
            self.add(each, quotes.get(each.symbol))

"""What counts as evidence: whose order one can be, which prices are equal, what was closed when.

A terminal shows orders, deals and positions at slightly different moments, and a broker may rewrite comments.
So nothing here takes a missing comment for a proof, while a comment that was kept without our tag is one: the
tag would have been kept with it.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct

from mt5crs import constants as c
from mt5crs.journal import tags
from mt5crs.model import TradeDeal, TradeOrder, TradePosition

VOLUME_HAIR = 1e-7
"""Lots by which a volume that was asked for may be beside its step; far less than any step."""
PRICE_HAIR = 1e-12
"""Part of a price that floats add to half a point."""
STATED_REASONS = frozenset(range(c.ORDER_REASON_CLIENT, c.DEAL_REASON_SPLIT + 1))
"""Reasons of which each says who made an order or a deal; another value says nothing."""
SERVER_REASONS = frozenset({c.ORDER_REASON_SL, c.ORDER_REASON_TP, c.ORDER_REASON_SO})
"""Reasons of orders that the server makes itself; some brokers give them the comment of the position."""
CLOSING = frozenset({c.DEAL_ENTRY_OUT, c.DEAL_ENTRY_INOUT, c.DEAL_ENTRY_OUT_BY})
STOP_FIELDS = {c.DEAL_REASON_SL: "sl", c.DEAL_REASON_TP: "tp"}
"""The field of a request whose level a deal of that reason proves."""
STOP_COMMENT = re.compile(r"\[(?:sl|tp) (\d+(?:\.\d+)?)\]")
"""What the server writes behind a deal that a stop made: the level that was in force."""

How = Literal["tag", "traits", "state"]
"""What proves an outcome: the order's tag or traits, or a state as it was asked for, whoever made it so."""


class Intent(Struct, frozen=True):
    """A trade request whose outcome is to be found out.

    Attributes:
        entry: Its number in the journal.
        request: The user's own fields by their official names; a missing one is zero or empty.
        tag: What was sent behind the comment, empty where there was no room.
        window: Server time, epoch seconds, in which an order of this request was set up if there is one; what
            clocks differ by is in it already.
        before: Of a change of a position's levels: stop loss and take profit as the journal's latest request
            for that position had left them, None where that is not known.
    """

    entry: int
    request: dict[str, Any]
    tag: str
    window: tuple[float, float]
    before: tuple[float, float] | None = None

    def number(self, name: str) -> Any:
        """Return a number that was asked for."""
        return self.request.get(name, 0)

    def text(self, name: str) -> str:
        """Return a text that was asked for."""
        text: str = self.request.get(name, "")
        return text

    def is_after(self, msc: int) -> bool:
        """Whether it was sent after a moment, in milliseconds of server time, for certain; 0 is no moment."""
        return 0 < msc / 1000 < self.window[0]

    def spans(self, msc: int) -> bool:
        """Whether a moment, in milliseconds of server time, is in the window."""
        return self.window[0] <= msc / 1000 <= self.window[1]


class Observed(Struct, frozen=True):
    """What a terminal shows.

    Attributes:
        orders: The active orders.
        history: The orders that are done.
        deals: The deals; they and `history` reach back to before the windows of all intents.
        positions: The open positions.
        points: The smallest step of prices, by symbol.
        claimed: The entry that an order is known to belong to, by its ticket.
        hedging: Whether a symbol can have several positions.
    """

    orders: Sequence[TradeOrder]
    history: Sequence[TradeOrder]
    deals: Sequence[TradeDeal]
    positions: Sequence[TradePosition]
    points: Mapping[str, float]
    claimed: Mapping[int, int]
    hedging: bool


class Done(Struct, frozen=True):
    """The trade server answered it, and so; the fields are those of an `OrderSendResult`.

    Attributes:
        how: See `How`.
    """

    retcode: int
    order: int
    deal: int
    volume: float
    price: float
    how: How


class NoTrace(Struct, frozen=True):
    """Nothing is there that it could have brought about; it may still turn up."""


class Never(Struct, frozen=True):
    """It was not carried out, and cannot be any more."""

    why: str


class Ambiguous(Struct, frozen=True):
    """What is there does not say what became of it, or not yet: it stays unknown."""

    why: str


Verdict = Done | NoTrace | Never | Ambiguous
NO_TRACE = NoTrace()
Trace = TradeDeal | TradePosition
"""What an order has made."""


class Shown:
    """What a terminal shows, by what it is looked up by.

    Attributes:
        claimed: See `Observed`.
        hedging: See `Observed`.
        points: See `Observed`.
        orders: Active and done orders by ticket. One that was seen as both, between two looks, is done.
        tagged: The tickets of orders by the tag at the end of their comment.
        marked: The tickets of orders by the tag of their deals and positions.
        deals: The deals of an order, in the order in which they were made.
        positions: By ticket.
        unshown: Deals and positions whose order is not shown.
    """

    def __init__(self, observed: Observed) -> None:
        self.claimed = observed.claimed
        self.hedging = observed.hedging
        self.points = observed.points
        self.orders = {order.ticket: order for order in (*observed.orders, *observed.history)}
        self.positions = {position.ticket: position for position in observed.positions}
        self.deals: defaultdict[int, list[TradeDeal]] = defaultdict(list)
        self.tagged: defaultdict[str, set[int]] = defaultdict(set)
        self.marked: defaultdict[str, set[int]] = defaultdict(set)
        self.unshown: list[tuple[int, Trace]] = []
        self._loose = [ticket for ticket in self.orders if ticket not in observed.claimed]
        self._own: defaultdict[int, list[int]] = defaultdict(list)
        for ticket, entry in observed.claimed.items():
            if ticket in self.orders:
                self._own[entry].append(ticket)
        for order in self.orders.values():
            _note(self.tagged, order.ticket, order)
        for deal in sorted(observed.deals, key=lambda deal: deal.ticket):
            self.deals[deal.order].append(deal)
            self._mark(deal.order, deal)
        for position in observed.positions:
            self._mark(position.ticket, position)

    def _mark(self, order: int, trace: Trace) -> None:
        if not order:  # money that came or went
            return
        _note(self.marked, order, trace)
        if order not in self.orders:
            self.unshown.append((order, trace))

    def unclaimed(self, intent: Intent, by_tag: Mapping[str, set[int]]) -> set[int]:
        """Return the orders with a request's tag; long ago another entry may have had it."""
        return {ticket for ticket in by_tag.get(intent.tag, ()) if self._is_unclaimed(intent, ticket)}

    def _is_unclaimed(self, intent: Intent, ticket: int) -> bool:
        return self.claimed.get(ticket, intent.entry) == intent.entry

    def candidates(self, intent: Intent) -> list[int]:
        """Return the orders that no other request has made, by ticket: few of many."""
        return self._loose + self._own.get(intent.entry, [])

    def is_free(self, intent: Intent, ticket: int, record: TradeOrder | Trace) -> bool:
        """Whether nothing says that an order is somebody else's.

        Args:
            intent: The request that it may be of.
            ticket: The order's.
            record: The order, or what it has made.
        """
        is_sent = record.reason == c.ORDER_REASON_EXPERT or record.reason not in STATED_REASONS
        return is_sent and self._is_unclaimed(intent, ticket) and allows_comment(intent, record.comment)

    def position_of(self, intent: Intent) -> TradePosition | None:
        """Return the position that a request names; on a netting account its symbol names one as well."""
        ticket = intent.number("position")
        if ticket or self.hedging:
            return self.positions.get(ticket)
        named = [held for held in self.positions.values() if held.symbol == intent.text("symbol")]
        return named[0] if len(named) == 1 else None

    def identifier(self, ticket: int) -> int:
        """Return the identifier of a position that an order of this ticket opened, or reversed."""
        return self.orders[ticket].position_id if ticket in self.orders else ticket

    def closings(self, intent: Intent, field: str = "position") -> list[TradeDeal]:
        """Return the deals, in their order, that closed a bit or all of the position that a request names."""
        ticket, symbol = intent.number(field), intent.text("symbol")
        made = [deal for deals in self.deals.values() for deal in deals if deal.entry in CLOSING]
        if ticket:
            identifier = self.identifier(ticket)
            made = [deal for deal in made if deal.position_id == identifier]
        else:
            made = [deal for deal in made if symbol and deal.symbol == symbol and not self.hedging]
        return sorted(made, key=lambda deal: (deal.time_msc, deal.ticket))

    def same_price(self, symbol: str, asked: float, shown: float) -> bool:
        """Whether a price is the one that was asked for: a terminal rounds it to the symbol's digits."""
        allowed = self.points.get(symbol, 0.0) / 2 + PRICE_HAIR * abs(shown)
        return abs(asked - shown) <= allowed

    def has_levels(self, intent: Intent, held: TradePosition | TradeOrder) -> bool:
        """Whether stop loss and take profit are those that were asked for."""
        return self._has((intent.number("sl"), intent.number("tp")), held)

    def has_levels_of_before(self, intent: Intent, held: TradePosition | TradeOrder) -> bool:
        """Whether stop loss and take profit are those of before the request, as far as is known."""
        return intent.before is not None and self._has(intent.before, held)

    def _has(self, levels: tuple[float, float], held: TradePosition | TradeOrder) -> bool:
        sl, tp = levels
        return self.same_price(held.symbol, sl, held.sl) and self.same_price(held.symbol, tp, held.tp)


def _note(by_tag: defaultdict[str, set[int]], ticket: int, record: TradeOrder | Trace) -> None:
    if record.reason not in SERVER_REASONS and record.comment[-tags.LENGTH : 1 - tags.LENGTH] == tags.SIGIL:
        by_tag[record.comment[-tags.LENGTH :]].add(ticket)


def allows_comment(intent: Intent, comment: str) -> bool:
    """Whether the comment of an order leaves it open that the order is that of a request.

    As it was sent it does. One with the tag of another entry, or of another journal, does not. Neither does
    the user's own one without the tag that was sent behind it: who keeps the comment keeps the tag. An empty,
    cut or rewritten comment says nothing.
    """
    own = intent.text("comment")
    if comment == own + intent.tag:
        return True
    kept_without_tag = intent.tag and own and comment == own
    return not kept_without_tag and tags.read(comment) is None


def same_volume(one: float, other: float) -> bool:
    """Whether two volumes are the same."""
    return abs(one - other) <= VOLUME_HAIR


def traces(intent: Intent, shown: Shown) -> Iterator[int]:
    """Yield the tickets of orders that are not shown and can be the request's, by what they have made."""
    for ticket, made in shown.unshown:
        is_like = made.symbol == intent.text("symbol") and made.magic == intent.number("magic")
        if is_like and not intent.is_after(made.time_msc) and shown.is_free(intent, ticket, made):
            yield ticket


def named(tickets: Collection[int]) -> str:
    """Return orders in words."""
    return f"order{'s' * (len(tickets) > 1)} {', '.join(map(str, sorted(tickets)))}"


def proves_level(intent: Intent, deal: TradeDeal, shown: Shown) -> bool:
    """Whether the deal that closed a position shows that a level was in force which the request had set.

    The server names the level in the comment; the price proves nothing, since a stop is filled at the
    market's. A level that the position was opened with was in force anyway.
    """
    field = STOP_FIELDS.get(deal.reason)
    named = STOP_COMMENT.search(deal.comment)
    opening = shown.orders.get(deal.position_id)
    if field is None or named is None or opening is None:
        return False
    asked, level = intent.number(field), float(named[1])
    was_there = shown.same_price(deal.symbol, getattr(opening, field), level)
    return not was_there and shown.same_price(deal.symbol, asked, level)

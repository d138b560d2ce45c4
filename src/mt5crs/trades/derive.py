"""What has happened between two looks: a picture and what a terminal shows in, events and a new picture out.

Nothing is concluded from what is missing: an order has left the open ones when history shows it. So whatever
moves while a look is under way is seen in this look or in the next one, and never twice.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

from mt5crs import constants
from mt5crs.model import TradeDeal, TradeOrder, TradePosition
from mt5crs.trades.picture import DAY, OVERLAP, Picture, Shown, done_msc, fields_of, levels_of

Row: TypeAlias = TradeOrder | TradeDeal | TradePosition

RANKS = {"order_add": 0, "order_update": 1, "deal_add": 2, "history_add": 3, "position_update": 4}
"""Which of two events of the same moment comes first, by kind: as a terminal tells of them."""
NEW = frozenset({"order_add", "deal_add", "history_add"})
"""The kinds of events that may tell of something that was never shown before."""
REASONS = {
    getattr(constants, name): name.removeprefix("DEAL_REASON_").lower()
    for name in vars(constants)
    if name.startswith("DEAL_REASON_")
} | dict.fromkeys(
    (constants.DEAL_REASON_CLIENT, constants.DEAL_REASON_MOBILE, constants.DEAL_REASON_WEB), "manual"
)
"""MetaTrader's reasons in words; those of orders and positions are the first ones of those of deals."""


class Happened(NamedTuple):
    """What has happened: a `TradeEvent` that has no number and no key yet.

    Attributes:
        kind: As in `TradeEvent`.
        time_msc: As there.
        details: As there.
        maker: Ticket of the order that it came of; of a position, of the order that opened it.
    """

    kind: str
    time_msc: int
    details: Row
    maker: int

    @property
    def symbol(self) -> str:
        """The symbol."""
        return self.details.symbol

    @property
    def order(self) -> int:
        """Ticket of the order; 0 without one."""
        return 0 if isinstance(self.details, TradePosition) else self.maker

    @property
    def deal(self) -> int:
        """Ticket of the deal; 0 without one."""
        return self.details.ticket if isinstance(self.details, TradeDeal) else 0

    @property
    def position(self) -> int:
        """Identifier of the position; 0 without one."""
        return self.maker if isinstance(self.details, TradePosition) else self.details.position_id

    @property
    def reason(self) -> str:
        """Why, in words; the number of a reason that has none."""
        return REASONS.get(self.details.reason, str(self.details.reason))


def derive(before: Picture | None, shown: Shown) -> tuple[list[Happened], Picture]:
    """Return what has happened since a picture, in order, and the picture as it is now.

    Args:
        before: What was shown before. None: nothing was, and what is there now is no event.
        shown: What a look has found.
    """
    known = before or Picture(0.0, 0.0, {}, {}, {}, {}, {})
    history = {
        order.ticket: order
        for order in shown.history
        if done_msc(order) >= shown.start * 1000 or order.ticket in known.orders
    }
    # An order that was seen as open and as done, by two questions, is done.
    orders = {
        order.ticket: order
        for order in shown.orders
        if order.ticket not in history and order.ticket not in known.done
    }
    deals = {deal.ticket: deal for deal in shown.deals if deal.time >= shown.start}
    placed = {0, *known.orders, *known.done, *orders, *history}
    held = {
        ticket: True
        for ticket, deal in deals.items()
        if deal.order not in placed and ticket not in known.deals and ticket not in known.held
    }
    time = max(known.time, shown.time, *(done_msc(order) / 1000 for order in history.values()), 0.0)
    time = max(time, *(deal.time_msc / 1000 for deal in deals.values()), 0.0)
    after = Picture(
        time if before is None else known.begin,
        time,
        {ticket: was for ticket, was in known.orders.items() if ticket not in history}
        | {ticket: fields_of(order) for ticket, order in orders.items()},
        _recent(known.done | {t: done_msc(order) / 1000 for t, order in history.items()}, time),
        _recent(known.deals | {t: d.time_msc / 1000 for t, d in deals.items() if t not in held}, time),
        {position.identifier: levels_of(position) for position in shown.positions},
        held,
    )
    if before is None:
        return [], after
    happened = [
        *_placed(before, orders.values(), history.values(), shown),
        *(_dealt(deal) for deal in deals.values() if deal.ticket not in before.deals | held),
        *_moved(before, shown.positions, orders | history),
    ]
    return _sorted([each for each in happened if not _is_older(before, each)]), after


def _is_older(before: Picture, each: Happened) -> bool:
    """Whether a terminal shows late what was there before the first picture: that is no event either."""
    is_new = each.kind in NEW and each.maker not in before.orders
    return is_new and each.time_msc < (before.begin - OVERLAP) * 1000


def contradicts(before: Picture, shown: Shown) -> bool:
    """Whether a look shows another history than a picture is of: a simulated account that began anew.

    A deal of the same ticket was made at another time, or the server's clock is far behind what it was; once
    a year that is set back an hour, which is not far.
    """
    is_behind = shown.latest < before.time - OVERLAP
    return is_behind or any(
        before.deals.get(deal.ticket, deal.time_msc / 1000) != deal.time_msc / 1000 for deal in shown.deals
    )


def _recent(times: dict[int, float], time: float) -> dict[int, float]:
    """Return what history may still show: no look asks for more."""
    earliest = int(time) - DAY
    return {ticket: at for ticket, at in times.items() if at >= earliest}


def _placed(
    before: Picture, orders: Iterable[TradeOrder], history: Iterable[TradeOrder], shown: Shown
) -> Iterable[Happened]:
    for order in orders:
        was = before.orders.get(order.ticket)
        if was is None:
            yield Happened("order_add", order.time_setup_msc, order, order.ticket)
        elif was != fields_of(order):
            at = max(order.time_setup_msc, int(shown.tick * 1000))
            yield Happened("order_update", at, order, order.ticket)
    for order in history:
        if order.ticket in before.done:
            continue
        if order.ticket not in before.orders:
            yield Happened("order_add", order.time_setup_msc, order, order.ticket)
        yield Happened("history_add", done_msc(order), order, order.ticket)


def _dealt(deal: TradeDeal) -> Happened:
    return Happened("deal_add", deal.time_msc, deal, deal.order)


def _moved(
    before: Picture, positions: Iterable[TradePosition], orders: dict[int, TradeOrder]
) -> Iterable[Happened]:
    """Yield the positions that have other levels than before; a new one, than the order that opened it."""
    for position in positions:
        was = before.levels.get(position.identifier)
        opening = orders.get(position.identifier)
        if was is None and opening is not None:
            was = levels_of(opening)
        if was is not None and was != levels_of(position):
            yield Happened("position_update", position.time_update_msc, position, position.identifier)


def _sorted(happened: list[Happened]) -> list[Happened]:
    """Return events by time, but none before what it came of, whatever the server's times say."""
    moment: dict[int, int] = {}  # by identity
    of_order: defaultdict[int, int] = defaultdict(int)
    of_position: defaultdict[int, int] = defaultdict(int)
    for each in sorted(happened, key=lambda each: RANKS[each.kind]):
        floor = of_position[each.position] if each.kind == "position_update" else of_order[each.order]
        at = moment[id(each)] = max(each.time_msc, floor if each.maker else 0)
        of_order[each.order] = max(of_order[each.order], at)
        if each.kind == "deal_add":
            of_position[each.position] = max(of_position[each.position], at)
    return sorted(happened, key=lambda each: (moment[id(each)], RANKS[each.kind], each.maker, each.deal))

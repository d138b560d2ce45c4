"""A record beside a simulated terminal that moves between any two questions of a look."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mt5crs.api import OPERATIONS
from mt5crs.gateway.servertime import ServerTime
from mt5crs.gateway.tradelook import look
from mt5crs.model import Tick, TradeDeal, TradeEvent, TradeOrder
from mt5crs.operation import Result, trade_event
from mt5crs.trades.derive import contradicts, derive
from mt5crs.trades.picture import DAY, OVERLAP, Picture, Shown
from mt5crs.trades.record import TradeFile
from tests.terminal.desk import Desk

ALL = 0, 2**32 - 1
NOTHING: Sequence[Callable[[], None]] = ()


class Rig:
    """A terminal and a record of it.

    Args:
        path: The record's file; None for one in memory.
        desk: The terminal.
    """

    def __init__(self, path: Path | None, desk: Desk) -> None:
        self.path = path
        self.desk = desk
        self.first: Picture | None = None
        self._open()

    def _open(self) -> None:
        self.file = TradeFile(self.path, "1@test")
        self.server_time = ServerTime()  # a new process knows nothing of it
        self.is_full = True

    def restart(self) -> None:
        """End the process: what was written is there, nothing else."""
        self.file.close()
        self._open()

    def ask(self, name: str, wire: Any) -> Result:
        answer = self.desk.terminal.call(OPERATIONS[name], wire)
        assert isinstance(answer, Result)
        return answer

    def look(self, between: Sequence[Callable[[], None]] = NOTHING, killed: int = 99) -> None:
        """Look.

        Args:
            between: What happens before each question, as far as there is something.
            killed: Before which question the process is killed; after those, what was derived is not
                written.
        """
        shown = self.shown(between, killed)
        if shown is None:
            self.restart()
            return
        assert self.file.picture is None or not contradicts(self.file.picture, shown)
        happened, picture = derive(self.file.picture, shown)
        if killed < 99:
            self.restart()
            return
        plain = [
            [e.kind, e.time_msc, e.symbol, e.order, e.deal, e.position, e.reason, "", list(e.details)]
            for e in happened
        ]
        self.file.keep(plain, picture)
        self.first = self.first or picture
        self.is_full = False

    def shown(self, between: Sequence[Callable[[], None]] = NOTHING, killed: int = 99) -> Shown | None:
        """Ask the questions of a look; None where it was killed between."""
        overlap = DAY if self.is_full else OVERLAP
        now = self.desk.clock.now

        def see(tick: Tick) -> float:
            self.server_time.see(tick.time_msc / 1000, now, now)
            return self.server_time.latest(now)

        flow = look(
            self.desk.terminal.account,
            self.file.picture,
            overlap,
            self.server_time,
            see,
        )
        question = next(flow)
        for number in range(99):
            if number == killed:
                return None
            if number < len(between):
                between[number]()
            try:
                question = flow.send(self.ask(*question))
            except StopIteration as end:
                assert isinstance(end.value, Shown)
                return end.value
        raise AssertionError("a look that does not end")

    @property
    def events(self) -> list[TradeEvent]:
        return [trade_event(fields) for fields in self.file.since(0, 1_000_000)]

    @property
    def kinds(self) -> list[tuple[str, str]]:
        return [(event.kind, event.reason) for event in self.events]

    # ---- what must have come of it ----

    def check(self) -> None:
        """See that the events are what the terminal has, each once and in an order that makes sense."""
        self.check_in_place()
        before = len(self.events)
        self.restart()
        self.look()
        assert len(self.events) == before, "nothing has happened"

    def check_in_place(self) -> None:
        """The same without a restart, which a record in memory does not survive."""
        self.look()
        self.look()  # what waited for its order
        events = self.events
        assert [event.serial for event in events] == list(range(1, len(events) + 1))
        assert (self.file.first, self.file.last) == (1, len(events))
        self._check_counts(events)
        self._check_order(events)
        self._check_states(events)

    def _check_counts(self, events: list[TradeEvent]) -> None:
        first = self.first
        assert first is not None
        done = {order.ticket for order in self.desk.get("history_orders_get", *ALL)}
        open_ = {order.ticket for order in self.desk.get("orders_get")}
        deals = {deal.ticket for deal in self.desk.get("history_deals_get", *ALL)}
        found = Counter((event.kind, event.deal or event.order) for event in events)
        once = {
            *(("order_add", ticket) for ticket in (done | open_) - first.orders.keys() - first.done.keys()),
            *(("history_add", ticket) for ticket in done - first.done.keys()),
            *(("deal_add", ticket) for ticket in deals - first.deals.keys()),
        }
        changes = {"order_update", "position_update"}
        assert {each: n for each, n in found.items() if each[0] not in changes} == dict.fromkeys(once, 1)

    def _check_order(self, events: list[TradeEvent]) -> None:
        added: set[int] = set()
        gone: set[int] = set()
        for event in events:
            if event.kind == "order_add":
                added.add(event.order)
            elif event.order and event.kind != "position_update":
                assert event.order not in gone
                assert self.first is not None
                assert event.order in added | self.first.orders.keys() | self.first.done.keys()
            if event.kind == "history_add":
                gone.add(event.order)

    def _check_states(self, events: list[TradeEvent]) -> None:
        assert self.first is not None
        orders: dict[int, Any] = {}
        levels = {ticket: tuple(was) for ticket, was in self.first.levels.items()}
        for event in events:
            if isinstance(event.details, TradeOrder):
                orders[event.order] = event.details
            elif not isinstance(event.details, TradeDeal):
                levels[event.position] = event.details.sl, event.details.tp
        for order in self.desk.get("orders_get"):
            if order.ticket in orders:
                assert _steady(orders[order.ticket]) == _steady(order)
        for position in self.desk.get("positions_get"):
            opening = orders.get(position.identifier)
            told = levels.get(position.identifier, opening and (opening.sl, opening.tp))
            assert told is None or told == (position.sl, position.tp)


def _steady(order: TradeOrder) -> Any:
    return {name: value for name, value in order._asdict().items() if name != "price_current"}

"""Orders before their intent is written: in line for the server's time, and for the guard's word."""

from collections import deque
from collections.abc import Callable, Collection

from mt5crs.errors import BridgeError
from mt5crs.gateway.order import Order, is_tagged
from mt5crs.gateway.servertime import ServerTime
from mt5crs.journal.store import MAKERS

TIME_LIMIT = 0.5
"""Seconds that an order waits for the server's time, where it needs it; then it goes on without."""

See = Callable[[str, float, Callable[[], None]], None]
"""Looks at the server's time by a symbol's last tick, and says when that was done."""


class Line:
    """Orders that wait to be let through, in the order in which they came; only the guard's own overtake.

    Args:
        judge: Says whether an order may go on: False where that is not known yet; raises what refuses it.
        refuse: Called with an order that is refused, and why.
        see_time: Looks at the server's time.
        server_time: The trade server's time.

    Attributes:
        is_ripe: Whether something was told that the first one may have waited for.
        through: Those that were let through.
    """

    def __init__(
        self,
        judge: Callable[[Order, float], bool],
        refuse: Callable[[Order, BridgeError], None],
        see_time: See,
        server_time: ServerTime,
    ) -> None:
        self._judge = judge
        self._refuse = refuse
        self._see_time = see_time
        self._server_time = server_time
        self._orders: deque[Order] = deque()
        self._is_timing = False
        self.is_ripe = False
        self.through: list[Order] = []

    def __len__(self) -> int:
        return len(self._orders) + len(self.through)

    def join(self, order: Order, now: float) -> None:
        """Take an order; it goes on at once where nothing is lacking, the guard's own in any case.

        Those close what there is: they must not wait for what clients' orders wait for.
        """
        if not order.is_guarded:
            try:
                self._judge(order, now)
            except BridgeError as error:
                self._refuse(order, error)
            else:
                self.through.append(order)
            return
        self._orders.append(order)
        self.pass_time(now)

    def pass_time(self, now: float) -> None:
        """Let those go on that lack nothing any more, or have waited long enough."""
        while self._orders:
            order = self._orders[0]
            if self._lacks_time(order, now):
                break
            try:
                # What is late is dropped further on.
                if order.until >= now and not self._judge(order, now):
                    break
            except BridgeError as error:
                self._orders.popleft()
                self._refuse(order, error)
            else:
                self.through.append(self._orders.popleft())
        self.is_ripe = False

    def _lacks_time(self, order: Order, now: float) -> bool:
        """Whether an order waits for the server's time: it could be told from an older one by that alone."""
        if order.is_timed or order.request.get("action") not in MAKERS or is_tagged(order.request):
            return False
        if self._server_time.is_fresh(now):
            return False
        if now >= order.came + TIME_LIMIT:
            self._is_timing = False  # the next one asks for itself
            return False
        if not self._is_timing:
            self._is_timing = True
            self._see_time(str(order.request.get("symbol", "")), now, self._note_time)
        return not order.is_timed

    def _note_time(self) -> None:
        """Note that the server's time was looked at, whether that told it or not."""
        self._is_timing = False
        self.is_ripe = True
        for order in self._orders:
            order.is_timed = True

    def leave(self, principals: Collection[str]) -> list[Order]:
        """Return the orders of all but some principals; they wait no more."""
        gone = [order for order in (*self.through, *self._orders) if order.principal not in principals]
        self.through = [order for order in self.through if order.principal in principals]
        self._orders = deque(order for order in self._orders if order.principal in principals)
        return gone

    def note_facts(self) -> None:
        """Note that a look of the guard has ended."""
        self.is_ripe = bool(self._orders)

"""Where the rules trade: least volumes of one symbol, under a magic number of this run's own."""

import math
import secrets
import time
from collections.abc import Callable
from typing import Any, TypeVar

from mt5crs.conformance.rule import NotApplicable

PATIENCE = 10.0
"""Seconds in which a terminal must show what it has done."""
LOOK = 0.02
"""Seconds between two looks: a terminal has no event for it."""
FAR = 0.1
"""How far from the price an order rests that must not be filled, as a fraction of it."""
DEVIATION = 50
TIDIES = 5
PREFERRED = ("EURUSD", "GBPUSD", "USDJPY")

S = TypeVar("S")


class Desk:
    """A symbol on which nothing was open, and what this run has opened on it.

    Args:
        mt5: A module with the official functions, connected.
        symbol: The symbol's name; a liquid one without it.

    Attributes:
        name: The symbol's name.
        magic: The magic number of this run's orders.
    """

    def __init__(self, mt5: Any, symbol: str = "") -> None:
        self._mt5 = mt5
        self._before = {each.ticket for each in (*(mt5.positions_get() or ()), *(mt5.orders_get() or ()))}
        self.magic = secrets.randbits(47) | 1 << 46
        self.name = symbol or self._choose()
        mt5.symbol_select(self.name, True)

    # ---- the symbol ----

    def _choose(self) -> str:
        mt5 = self._mt5
        held = {each.symbol for each in (*(mt5.positions_get() or ()), *(mt5.orders_get() or ()))}
        free = [info for info in mt5.symbols_get() or () if info.name not in held]
        tradable = [info for info in free if info.trade_mode == mt5.SYMBOL_TRADE_MODE_FULL]
        if not tradable:
            raise NotApplicable("no symbol is free of positions and orders and can be traded")
        best: str = min(tradable, key=lambda info: (*_rank(info.name), not info.visible)).name
        return best

    @property
    def info(self) -> Any:
        """The symbol's specification."""
        return self._mt5.symbol_info(self.name)

    @property
    def tick(self) -> Any:
        """The symbol's last tick."""
        return self._mt5.symbol_info_tick(self.name)

    def price(self, share: float) -> float:
        """Return a price at a fraction of the bid, as the symbol's prices are written."""
        info, tick = self.info, self.tick
        if not tick.bid:
            raise NotApplicable(f"{self.name} has no price")
        step = info.trade_tick_size or info.point
        price: float = round(round(tick.bid * share / step) * step, info.digits)
        return price

    # ---- requests ----

    def market(self, side: int, lots: int = 1, **more: Any) -> dict[str, Any]:
        """Return the request of a market order.

        Args:
            side: A buy (0) or a sell (1).
            lots: How many times the least volume.
            more: Further fields, or others.
        """
        info, tick = self.info, self.tick
        return {
            "action": self._mt5.TRADE_ACTION_DEAL,
            "symbol": self.name,
            "volume": round(info.volume_min * lots, 8),
            "type": side,
            "price": tick.ask if side == self._mt5.ORDER_TYPE_BUY else tick.bid,
            "deviation": DEVIATION,
            "magic": self.magic,
            "type_filling": self.filling(),
            **more,
        }

    def pending(self, kind: int, price: float, **more: Any) -> dict[str, Any]:
        """Return the request of a pending order of the least volume."""
        return {
            **self.market(0),
            "action": self._mt5.TRADE_ACTION_PENDING,
            "type": kind,
            "price": price,
            "type_filling": self._mt5.ORDER_FILLING_RETURN,
            **more,
        }

    def filling(self) -> int:
        """Return a filling mode that the symbol takes for market orders."""
        mt5, mode = self._mt5, self.info.filling_mode
        modes: dict[int, int] = {1: mt5.ORDER_FILLING_FOK, 2: mt5.ORDER_FILLING_IOC}
        fitting = [filling for bit, filling in modes.items() if mode & bit]
        return fitting[0] if fitting else int(mt5.ORDER_FILLING_RETURN)

    # ---- orders ----

    def send(self, request: dict[str, Any]) -> Any:
        """Send a request that must be carried out.

        Raises:
            NotApplicable: The account, the terminal or the market does not let anybody trade now.
        """
        mt5 = self._mt5
        result = mt5.order_send(request)
        if result is None:
            raise NotApplicable(f"an order was not sent: {mt5.last_error()}")
        if result.retcode not in (mt5.TRADE_RETCODE_DONE, mt5.TRADE_RETCODE_PLACED):
            if result.retcode in self._closed_doors():
                raise NotApplicable(f"nobody may trade now: {result.comment} ({result.retcode})")
            raise RuntimeError(f"{result.comment} ({result.retcode}) for {request}")
        return result

    def _closed_doors(self) -> tuple[int, ...]:
        mt5 = self._mt5
        return (
            mt5.TRADE_RETCODE_MARKET_CLOSED,
            mt5.TRADE_RETCODE_TRADE_DISABLED,
            mt5.TRADE_RETCODE_SERVER_DISABLES_AT,
            mt5.TRADE_RETCODE_CLIENT_DISABLES_AT,
            mt5.TRADE_RETCODE_NO_MONEY,
            mt5.TRADE_RETCODE_CONNECTION,
        )

    def open(self, side: int = 0, lots: int = 1, **more: Any) -> Any:
        """Open a position; return it."""
        result = self.send(self.market(side, lots, **more))
        return self.until(lambda: self.position(result.order))

    def place(self, kind: int, price: float, **more: Any) -> Any:
        """Place a pending order; return it."""
        result = self.send(self.pending(kind, price, **more))
        return self.until(lambda: self.order(result.order))

    def close(self, position: Any, lots: int = 0) -> Any:
        """Close a position, or a part of it; return the result once it shows."""
        result = self.send(self.closing(position, lots))
        self.until(lambda: self._mt5.history_orders_get(ticket=result.order))
        return result

    def closing(self, position: Any, lots: int = 0) -> dict[str, Any]:
        """Return the request that closes a position, or so many least volumes of it."""
        request = self.market(1 - position.type, max(lots, 1), position=position.ticket)
        return request if lots else {**request, "volume": position.volume}

    def position(self, ticket: int) -> Any:
        """Return an open position, None where it is not open."""
        return next(iter(self._mt5.positions_get(ticket=ticket) or ()), None)

    def only(self) -> Any:
        """Return the symbol's position, None where it has none."""
        return next(iter(self._mt5.positions_get(symbol=self.name) or ()), None)

    def order(self, ticket: int) -> Any:
        """Return a pending order, None where it is none."""
        return next(iter(self._mt5.orders_get(ticket=ticket) or ()), None)

    def done(self, ticket: int) -> Any:
        """Return an order from history, once it is there."""
        return self.until(lambda: next(iter(self._mt5.history_orders_get(ticket=ticket) or ()), None))

    def deals(self, ticket: int, count: int = 1) -> Any:
        """Return the deals of an order, once so many are there."""

        def enough() -> Any:
            deals = self._mt5.history_deals_get(ticket=ticket) or ()
            return deals if len(deals) >= count else None

        return self.until(enough)

    def until(self, look: Callable[[], S]) -> S:
        """Look until there is something; return it, or what there was at the end."""
        give_up = time.monotonic() + PATIENCE
        while not (seen := look()) and time.monotonic() < give_up:
            time.sleep(LOOK)
        return seen

    def hedging(self) -> None:
        """Go on only where positions in both directions can be open.

        Raises:
            NotApplicable: The account nets.
        """
        if self._mt5.account_info().margin_mode != self._mt5.ACCOUNT_MARGIN_MODE_RETAIL_HEDGING:
            raise NotApplicable("the account is no hedging account")

    # ---- afterwards ----

    def tidy(self) -> None:
        """Remove and close what this run has opened, and nothing else."""
        mt5 = self._mt5
        for _ in range(TIDIES):
            orders, positions = self.left()
            for order in orders:
                mt5.order_send(
                    {"action": mt5.TRADE_ACTION_REMOVE, "order": order.ticket, "magic": self.magic}
                )
            for position in positions:
                mt5.order_send(self.closing(position))
            if not orders and not positions:
                return
            self.until(lambda: self.left() == ((), ()))

    def left(self) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Return the orders and the positions of this run that are still there."""
        mt5 = self._mt5
        return self._own(mt5.orders_get()), self._own(mt5.positions_get())

    def _own(self, things: Any) -> tuple[Any, ...]:
        return tuple(
            thing for thing in things or () if thing.magic == self.magic and thing.ticket not in self._before
        )


def _rank(name: str) -> tuple[float, int]:
    """Return how early a symbol is chosen: preferred ones first, the shortest name among those alike."""
    places = [place for place, start in enumerate(PREFERRED) if name.startswith(start)]
    return (places[0] if places else math.inf), len(name)

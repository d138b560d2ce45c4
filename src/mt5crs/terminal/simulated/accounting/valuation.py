"""What an account's positions and orders are worth together: profit, margin, assets, and what moves them."""

from collections.abc import Callable, Iterable, Mapping
from math import inf

from mt5crs import constants as c
from mt5crs.model import VOLUME_DIGITS, Tick, TradeDeal
from mt5crs.terminal.simulated.accounting.entities import BUYS, MARKET_TYPES, PENDING_TYPES, Order, Position
from mt5crs.terminal.simulated.accounting.formulas import EXCHANGE_PRICED, lot_margin
from mt5crs.terminal.simulated.accounting.holdings import EMPTY, Holdings, Leg, Side
from mt5crs.terminal.simulated.accounting.margin import (
    hedged_margin,
    hedging_margin,
    netting_margin,
    resting_margins,
)
from mt5crs.terminal.simulated.accounting.money import Money, exchange_price, margin_factor
from mt5crs.terminal.simulated.accounting.stakes import QUOTIENT, add, add_stakes
from mt5crs.terminal.simulated.instruments.catalogue import Instrument

HEDGING, EXCHANGE = "hedging", "exchange"
NO_SUMS = [[0.0] * 3, [0.0] * 3]
Resting = tuple[int, float, float]  # of a pending order: type, volume, price


class Valuation:
    """Values the positions and orders of one account.

    What needs no present price (margin, sums of volumes) is kept until a deal changes it.

    Args:
        positions: The account's open positions by ticket.
        orders: Its pending orders by ticket.
        symbols: All instruments.
        quote: Returns the last tick of a symbol.
        calculator: Calculates in the account currency.
        margin_mode: `hedging`, `netting` or `exchange`.
    """

    def __init__(
        self,
        positions: Mapping[int, Position],
        orders: Mapping[int, Order],
        symbols: Mapping[str, Instrument],
        quote: Callable[[str], Tick],
        calculator: Money,
        margin_mode: str,
    ) -> None:
        self._orders = orders
        self._symbols = symbols
        self._quote = quote
        self._money = calculator
        self._netting = margin_mode != HEDGING
        self._rule = netting_margin if self._netting else hedging_margin
        self._holdings = Holdings(positions, symbols, calculator, netting=self._netting)
        self._margins: dict[str, float] = {}
        self._held = 0.0  # all of them
        on_exchange = margin_mode == EXCHANGE
        self._floating = {s.name for s in symbols.values() if on_exchange and s.calc_mode in EXCHANGE_PRICED}
        collateral = c.SYMBOL_CALC_MODE_SERV_COLLATERAL
        self._collateral = {s.name for s in symbols.values() if s.calc_mode == collateral}
        self._resting = {
            symbol.name
            for symbol in symbols.values()
            if any(margin_factor(symbol, order_type) for order_type in PENDING_TYPES)
        }

    def note(self, deal: TradeDeal) -> None:
        """Take note of a deal with a symbol; its position changes before or right after."""
        self._holdings.note(deal)

    def refresh(self, positions: Iterable[Position]) -> None:
        """Take note that positions have changed without a deal."""
        self._holdings.refresh(positions)

    def sums(self) -> tuple[float, float, float, float]:
        """Return what positions and orders amount to, account currency.

        Returns:
            The margin that positions hold, what pending orders add to it, the floating profit with swap
            (each position's own is rounded), and what collateral counts for: its worth times its
            liquidity rate.
        """
        self._update()
        return *self._both_margins(), self._profit(), self._assets()

    def _profit(self) -> float:
        profit = 0.0
        for name, legs in self._holdings.legs.items():
            tick = self._quote(name)
            for leg, closed in zip(legs, (tick.bid, tick.ask), strict=True):
                if leg.held:
                    profit += self._leg_profit(name, leg, closed) + leg.swap()
        return self._money.round(profit)

    def _assets(self) -> float:
        if self._collateral.isdisjoint(self._holdings.legs):
            return 0.0
        worth = sum(
            self._worth(name, legs) * self._symbols[name].liquidity_rate
            for name, legs in self._holdings.legs.items()
            if name in self._collateral
        )
        return self._money.round(worth)

    def _both_margins(self) -> tuple[float, float]:
        if not self._floating and not (self._orders and self._resting):
            return self._held, 0.0
        held, resting = sum(self._margins.values()), 0.0
        held += sum(
            self._symbol_margin(name, *self._sides(name), ()) - self._margins[name]
            for name in self._floating.intersection(self._margins)
        )
        for name in self._symbols_with_orders():
            sides = self._sides(name)
            resting += self._symbol_margin(name, *sides, self._resting_orders(name))
            resting -= self._symbol_margin(name, *sides, ())
        return self._money.round(held), self._money.round(resting)

    def margin_with(
        self,
        symbol: str,
        order_type: int,
        volume: float,
        price: float,
        position: Position | None,
        order: Order | None,
    ) -> float:
        """See `Account.margin_with`."""
        instrument = self._symbols[symbol]
        rate = self._money.margin_rate(instrument, order_type in BUYS, price)
        if rate is None or not self._money.converts(instrument):
            return inf
        self._update()
        total = sum(self._both_margins())
        sides = self._sides(symbol)
        resting = self._resting_orders(symbol)
        if resting or symbol in self._floating:
            before = self._symbol_margin(symbol, *sides, resting)
        else:
            before = self._margins.get(symbol, 0.0)
        if order is not None:
            resting = self._resting_orders(symbol, without=order.ticket)
        if order_type in MARKET_TYPES:
            new = Side(volume, price, rate)
            after = self._after_deal(instrument, order_type, new, sides, resting, position)
        else:
            after = self._symbol_margin(symbol, *sides, [*resting, (order_type, volume, price)])
        return self._money.round(total - before + after)

    def margin_of(self, positions: Iterable[Position], orders: Iterable[Order]) -> float:
        """See `Account.margin`."""
        sums: dict[str, list[list[float]]] = {}
        waiting: dict[str, list[Resting]] = {}
        for position in positions:
            symbol, is_buy = self._symbols[position.symbol], position.is_buy
            rate = position.margin_rate or self._money.margin_rate(symbol, is_buy, position.price_open)
            side = sums.setdefault(position.symbol, [[0.0] * 3, [0.0] * 3])[0 if is_buy else 1]
            side[0] += position.volume
            side[1] += position.volume * position.price_open
            side[2] += position.volume * (rate or 0.0)
        for order in orders:
            if order.type not in MARKET_TYPES:
                row = (order.type, order.volume_current, order.price_open)
                waiting.setdefault(order.symbol, []).append(row)
        total = 0.0
        for name in {**sums, **waiting}:
            buys, sells = (Side.of(*side) for side in sums.get(name, NO_SUMS))
            sides = self._at_market(name, buys, sells)
            total += self._symbol_margin(name, *sides, waiting.get(name, ()))
        return self._money.round(total)

    def stakes(self) -> dict[str, float]:
        """See `Account.stakes`."""
        self._update()
        stakes: dict[str, float] = {}
        for name, legs in self._holdings.legs.items():
            margin = self._symbol_margin(name, *self._sides(name), ()) if name in self._floating else 0.0
            add_stakes(stakes, self._money, self._symbols[name], self._quote(name), legs, margin)
        for name in self._symbols_with_orders():
            margin = self._symbol_margin(name, EMPTY, EMPTY, self._resting_orders(name))
            for pair, _forward in self._money.conversion.route(self._symbols[name].currency_margin) or ():
                add(stakes, pair, QUOTIENT * margin)
        return stakes

    # ---- inside ----

    def _update(self) -> None:
        changed = self._holdings.update()
        if not changed:
            return
        for name in changed:
            if name in self._holdings.legs:
                buys, sells = self._holdings.legs[name]
                self._margins[name] = self._symbol_margin(name, buys.side(), sells.side(), ())
            else:
                self._margins.pop(name, None)
        self._held = self._money.round(sum(self._margins.values()))

    def _leg_profit(self, name: str, leg: Leg, closed: float) -> float:
        rates = self._money.profit_rates(self._symbols[name], closed)
        return leg.profit(closed, *rates, self._money.scale) if rates is not None else 0.0

    def _sides(self, name: str) -> tuple[Side, Side]:
        """Return buys and sells of a symbol, on an exchange at market prices."""
        legs = self._holdings.legs.get(name)
        if legs is None:
            return EMPTY, EMPTY
        return self._at_market(name, legs[0].side(), legs[1].side())

    def _at_market(self, name: str, buys: Side, sells: Side) -> tuple[Side, Side]:
        if name not in self._floating:
            return buys, sells
        symbol, tick = self._symbols[name], self._quote(name)
        return (
            buys._replace(price=exchange_price(symbol, tick, tick.bid)),
            sells._replace(price=exchange_price(symbol, tick, tick.ask)),
        )

    def _symbol_margin(self, name: str, buys: Side, sells: Side, orders: Iterable[Resting]) -> float:
        symbol = self._symbols[name]
        resting = resting_margins(self._money, symbol, orders) if name in self._resting else ()
        return self._rule(self._money, symbol, buys, sells, resting)

    def _symbols_with_orders(self) -> list[str]:
        """Return the symbols whose pending orders hold margin."""
        if not self._orders or not self._resting:
            return []
        pending = (order for order in self._orders.values() if order.type not in MARKET_TYPES)
        return sorted({order.symbol for order in pending} & self._resting)

    def _resting_orders(self, name: str, without: int = 0) -> list[Resting]:
        """Return the pending orders of a symbol; the rest of a market order holds no margin."""
        if name not in self._resting:
            return []
        return [
            (order.type, order.volume_current, order.price_open)
            for order in self._orders.values()
            if order.symbol == name and order.ticket != without and order.type not in MARKET_TYPES
        ]

    def _after_deal(
        self,
        symbol: Instrument,
        order_type: int,
        new: Side,
        sides: tuple[Side, Side],
        orders: list[Resting],
        position: Position | None,
    ) -> float:
        """Return the margin of a symbol after a deal: it closes, opposes what there is, or adds to it."""
        is_buy = order_type == c.ORDER_TYPE_BUY
        own, other = sides if is_buy else sides[::-1]
        if self._netting:
            closing = min(new.volume, other.volume)
            other = other.with_more(-closing, other.price, other.rate)
            new = new._replace(volume=round(new.volume - closing, VOLUME_DIGITS))
        elif position is not None:
            other = other.with_more(-new.volume, position.price_open, position.margin_rate)
            new = EMPTY
        at_first = 0.0
        if symbol.margin_maintenance:
            at_first = self._initial(symbol, order_type, new, own, other)
        else:
            own = own.with_more(*new)
        buys, sells = (own, other) if is_buy else (other, own)
        return self._symbol_margin(symbol.name, buys, sells, orders) + at_first

    def _initial(self, symbol: Instrument, order_type: int, new: Side, own: Side, other: Side) -> float:
        """Return what opening needs beside what is held, where holding needs less than opening.

        What covers the other side needs the hedged margin, the rest the initial one.
        """
        covered = min(new.volume, max(other.volume - own.volume, 0.0))
        lot = lot_margin(symbol, new.price, self._money.leverage)
        factor = margin_factor(symbol, order_type)
        initial = self._money.round(lot * (new.volume - covered) * new.rate * factor)
        if not covered or symbol.margin_hedged_use_leg:
            return initial
        return initial + hedged_margin(self._money, symbol, covered, other.with_more(*new))

    def _worth(self, name: str, legs: tuple[Leg, Leg]) -> float:
        """Return what the lots of a symbol could be sold for, account currency, without its liquidity."""
        symbol, tick = self._symbols[name], self._quote(name)
        rate = self._money.rate(symbol.currency_profit, dear=False) or 0.0
        volume = legs[0].side().volume - legs[1].side().volume
        return volume * symbol.contract_size * exchange_price(symbol, tick, tick.bid) * rate

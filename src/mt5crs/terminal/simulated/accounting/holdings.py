"""The open positions as columns of numbers, by symbol and side, so that thousands cost little.

The positions themselves stay what they are; here are copies of the numbers that totals are made of. What a
deal changed is brought up to date when the totals are next asked for.
"""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from math import floor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mt5crs.constants import DEAL_ENTRY_IN, DEAL_ENTRY_INOUT, DEAL_TYPE_BUY
from mt5crs.model import VOLUME_DIGITS, TradeDeal
from mt5crs.terminal.simulated.accounting.entities import Position
from mt5crs.terminal.simulated.accounting.formulas import price_worth
from mt5crs.terminal.simulated.accounting.money import HALF, Money
from mt5crs.terminal.simulated.instruments.catalogue import Instrument

FEW = 24  # so many positions are summed faster one by one than as arrays
VOLUME, PRICE, RATE, SWAP = range(4)
NONE: AbstractSet[str] = frozenset()


class Side(NamedTuple):
    """The positions of one symbol on one side, taken together.

    Attributes:
        volume: Lots.
        price: Their volume-weighted average open price.
        rate: The volume-weighted average of what their margin currency was worth when they were opened.
    """

    volume: float
    price: float
    rate: float

    @classmethod
    def of(cls, volume: float, by_price: float, by_rate: float) -> "Side":
        """Return a side from sums: of volumes, and of volumes times open price and times margin rate."""
        if not volume:
            return EMPTY
        return cls(round(volume, VOLUME_DIGITS), by_price / volume, by_rate / volume)

    def with_more(self, volume: float, price: float, rate: float) -> "Side":
        """Return the side with another volume on it; a negative one takes away."""
        if not self.volume:
            return Side(volume, price, rate)
        total = round(self.volume + volume, VOLUME_DIGITS)
        if total <= 0:
            return EMPTY
        return Side(
            total,
            (self.volume * self.price + volume * price) / total,
            (self.volume * self.rate + volume * rate) / total,
        )


EMPTY = Side(0.0, 0.0, 0.0)


class Leg:
    """The positions of one symbol on one side.

    Attributes:
        held: The positions, in no order.
    """

    __slots__ = ("_is_buy", "_rows", "_side", "_swap", "_table", "_volumes", "_worth", "held")

    def __init__(self, symbol: Instrument, is_buy: bool) -> None:
        self.held: list[Position] = []
        self._is_buy = is_buy
        self._worth = price_worth(symbol)
        self._rows: dict[int, int] = {}
        self._volumes: list[float] = []  # as they were when the positions were last taken in
        self._table: NDArray[np.float64] | None = None  # once they are many
        self._side: Side | None = None
        self._swap: float | None = None

    def put(self, position: Position) -> None:
        """Take a position in, or its numbers again."""
        row = self._rows.setdefault(position.identifier, len(self.held))
        if row == len(self.held):
            self.held.append(position)
            self._volumes.append(0.0)
        self.held[row] = position
        self._volumes[row] = position.volume
        self._side = self._swap = None
        if len(self.held) <= FEW:
            self._table = None
        elif self._table is None or row >= self._table.shape[1]:
            self._table = np.zeros((4, 2 * len(self.held)))
            self._table[:, : len(self.held)] = np.array([_numbers(held) for held in self.held]).T
        else:
            self._table[:, row] = _numbers(position)

    def drop(self, identifier: int) -> None:
        """Forget a position; the last one takes its row."""
        row = self._rows.pop(identifier)
        last, volume = self.held.pop(), self._volumes.pop()
        if row < len(self.held):
            self.held[row], self._volumes[row] = last, volume
            self._rows[last.identifier] = row
            if self._table is not None:
                self._table[:, row] = self._table[:, len(self.held)]
        self._side = self._swap = None

    def volume_of(self, identifier: int) -> float:
        """Return the volume that a position had when it was last taken in; 0 for an unknown one."""
        row = self._rows.get(identifier)
        return 0.0 if row is None else self._volumes[row]

    def side(self) -> Side:
        """Return the positions taken together."""
        if self._side is None:
            self._side = self._together()
        return self._side

    def swap(self) -> float:
        """Return the swap that they have gathered."""
        if self._swap is None:
            if self._table is None:
                self._swap = sum([position.swap for position in self.held])
            else:
                self._swap = float(self._row(SWAP).sum())
        return self._swap

    def profit(self, closed: float, gain: float, loss: float, scale: float) -> float:
        """Return the sum of their profits, each one rounded, without swap.

        Args:
            closed: What they would be closed at.
            gain: What a unit of the profit currency is worth as a profit.
            loss: The same as a loss.
            scale: What makes an amount of the account currency a whole number.
        """
        if self._table is not None:
            return self._profit_of_many(closed, gain, loss, scale)
        total = 0
        for position in self.held:
            opened = position.price_open
            move = closed - opened if self._is_buy else opened - closed
            amount = move * self._worth * position.volume
            if amount < 0:
                total -= floor(-amount * loss * scale + HALF)
            else:
                total += floor(amount * gain * scale + HALF)
        return total / scale

    def gross(self, closed: float) -> float:
        """Return the sum of what they gain or lose, neither set off against the other, profit currency."""
        if self._table is not None:
            return float(np.abs(self._row(PRICE) - closed) @ self._row(VOLUME)) * self._worth
        moves = 0.0
        for position in self.held:
            moves += abs(position.price_open - closed) * position.volume
        return moves * self._worth

    def _profit_of_many(self, closed: float, gain: float, loss: float, scale: float) -> float:
        opened, volumes = self._row(PRICE), self._row(VOLUME)
        amounts = (closed - opened if self._is_buy else opened - closed) * self._worth * volumes
        amounts *= np.where(amounts < 0, loss, gain)
        units = np.copysign(np.floor(np.abs(amounts) * scale + HALF), amounts)
        return float(units.sum()) / scale

    def _row(self, number: int) -> NDArray[np.float64]:
        assert self._table is not None  # noqa: S101 - asked for where they are many
        return self._table[number, : len(self.held)]

    def _together(self) -> Side:
        if not self.held:
            return EMPTY
        return Side.of(*(self._sums() if self._table is None else self._sums_of_many()))

    def _sums(self) -> tuple[float, float, float]:
        """Return the volumes, and the volumes times open price and times margin rate, summed."""
        volume = by_price = by_rate = 0.0
        for position in self.held:
            volume += position.volume
            by_price += position.volume * position.price_open
            by_rate += position.volume * position.margin_rate
        return volume, by_price, by_rate

    def _sums_of_many(self) -> tuple[float, float, float]:
        volumes = self._row(VOLUME)
        by_price, by_rate = volumes * self._row(PRICE), volumes * self._row(RATE)
        return float(volumes.sum()), float(by_price.sum()), float(by_rate.sum())


def _numbers(position: Position) -> tuple[float, float, float, float]:
    return position.volume, position.price_open, position.margin_rate, position.swap


_Opened = tuple[float, float]  # of a position: its volume and its margin rate


class Holdings:
    """The legs of an account, kept up to date from its deals.

    Args:
        positions: The account's open positions by ticket; of them only the `margin_rate` is changed here.
        symbols: All instruments.
        calculator: Calculates in the account currency.
        netting: Whether there is one position for each symbol.

    Attributes:
        legs: By symbol: the buys and the sells; only symbols with a position.
    """

    def __init__(
        self,
        positions: Mapping[int, Position],
        symbols: Mapping[str, Instrument],
        calculator: Money,
        *,
        netting: bool,
    ) -> None:
        self.legs: dict[str, tuple[Leg, Leg]] = {}
        self._positions = positions
        self._symbols = symbols
        self._money = calculator
        self._netting = netting
        self._left: dict[str, tuple[Leg, Leg]] = {}  # of symbols without a position
        self._places: dict[int, tuple[str, Leg]] = {}
        self._stale: dict[int, _Opened | None] = {}  # None where only a deal would say so

    def note(self, deal: TradeDeal) -> None:
        """Take note of a deal; its position may have changed already or change right after."""
        symbol = self._symbols[deal.symbol]
        rate = 0.0
        if deal.entry in (DEAL_ENTRY_IN, DEAL_ENTRY_INOUT):
            rate = self._money.margin_rate(symbol, deal.type == DEAL_TYPE_BUY, deal.price) or 0.0
        identifier, volume = deal.position_id, deal.volume
        held, old = self._opened(identifier)
        if deal.entry == DEAL_ENTRY_INOUT:
            self._stale[identifier] = (max(volume - held, 0.0), rate)
        elif deal.entry == DEAL_ENTRY_IN:
            self._stale[identifier] = (held + volume, (held * old + volume * rate) / (held + volume))
        else:
            self._stale[identifier] = (max(held - volume, 0.0), old)

    def _opened(self, identifier: int) -> _Opened:
        """Return what a position is after the deals so far; volume that is added brings its rate along."""
        known = self._stale.get(identifier)
        if known is not None:
            return known
        place = self._places.get(identifier)
        if place is None:
            return 0.0, 0.0
        position = self._find(identifier)
        return place[1].volume_of(identifier), 0.0 if position is None else position.margin_rate

    def refresh(self, positions: Iterable[Position]) -> None:
        """Take note that positions have changed without a deal."""
        for position in positions:
            self._stale.setdefault(position.identifier, None)

    def update(self) -> AbstractSet[str]:
        """Bring the legs up to date; return the symbols of which anything changed."""
        if not self._stale and len(self._places) == len(self._positions):
            return NONE
        changed: set[str] = set()
        for identifier, opened in self._stale.items():
            changed |= self._place(identifier, 0.0 if opened is None else opened[1])
        self._stale.clear()
        if len(self._places) != len(self._positions):
            changed |= self._start_over()
        return changed

    def _place(self, identifier: int, rate: float) -> set[str]:
        """Put a position where it belongs now; return the symbols that are concerned."""
        before = self._places.pop(identifier, None)
        position = self._find(identifier)
        if position is None:
            return set() if before is None else self._forget(identifier, *before)
        if rate:
            position.margin_rate = rate
        if not position.margin_rate:  # it was not opened by a deal of this account
            symbol = self._symbols[position.symbol]
            position.margin_rate = (
                self._money.margin_rate(symbol, position.is_buy, position.price_open) or 0.0
            )
        leg = self._leg(position)
        if before is not None and before[1] is not leg:
            self._forget(identifier, *before)
            leg = self._leg(position)
        leg.put(position)
        self._places[identifier] = (position.symbol, leg)
        return {position.symbol}

    def _forget(self, identifier: int, symbol: str, leg: Leg) -> set[str]:
        leg.drop(identifier)
        buys, sells = self.legs[symbol]
        if not (buys.held or sells.held):
            self._left[symbol] = self.legs.pop(symbol)
        return {symbol}

    def _leg(self, position: Position) -> Leg:
        legs = self.legs.get(position.symbol)
        if legs is None:
            legs = self.legs[position.symbol] = self._empty(position.symbol)
        return legs[0 if position.is_buy else 1]

    def _empty(self, name: str) -> tuple[Leg, Leg]:
        """Return legs without positions: those that a symbol had before, since who trades trades often."""
        legs = self._left.pop(name, None)
        if legs is None:
            symbol = self._symbols[name]
            legs = Leg(symbol, True), Leg(symbol, False)
        return legs

    def _find(self, identifier: int) -> Position | None:
        """Return the open position of an identifier; after a reversal (netting) its ticket is another."""
        if not self._netting:
            return self._positions.get(identifier)
        return next((p for p in self._positions.values() if p.identifier == identifier), None)

    def _start_over(self) -> set[str]:
        """Read all positions: some came or went without a deal."""
        changed = set(self.legs)
        self.legs.clear()
        self._places.clear()
        for position in self._positions.values():
            changed |= self._place(position.identifier, 0.0)
        return changed

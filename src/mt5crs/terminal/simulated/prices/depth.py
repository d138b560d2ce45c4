"""How much volume there is at which price."""

from typing import NamedTuple

from mt5crs.model import Tick
from mt5crs.terminal.simulated.instruments.catalogue import Instrument


class Level(NamedTuple):
    """Volume at a price."""

    price: float
    volume: float


class Depth:
    """The depth of market of all symbols: any volume at the quote.

    Args:
        seed: Selects the volumes.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def take(
        self, instrument: Instrument, tick: Tick, is_buy: bool, volume: float, limit: float | None = None
    ) -> list[Level]:
        """Take volume out of the depth, best price first, and remember that it is gone.

        Args:
            instrument: The symbol.
            tick: Its quote.
            is_buy: Whether to take from those who sell.
            volume: Lots.
            limit: The worst price to take at; None for any.

        Returns:
            What was taken: the levels with the lots at each, together not more than the volume.
        """
        return self.peek(instrument, tick, is_buy, volume, limit)

    def peek(
        self, instrument: Instrument, tick: Tick, is_buy: bool, volume: float, limit: float | None = None
    ) -> list[Level]:
        """Return what `take` would, without taking it."""
        price = tick.ask if is_buy else tick.bid
        beyond = limit is not None and (price > limit if is_buy else price < limit)
        return [] if beyond else [Level(price, volume)]

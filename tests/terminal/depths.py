"""Depths of market that a test writes down."""

from mt5crs.model import Tick
from mt5crs.terminal.simulated.instruments.catalogue import Instrument
from mt5crs.terminal.simulated.prices.depth import Depth, Level

Offer = tuple[float, float]


class Offers(Depth):
    """So many lots at these prices, and no more once they are taken; best price first."""

    def __init__(self, asks: list[Offer], bids: list[Offer] | None = None) -> None:
        super().__init__(seed=0)
        self._sides = {
            is_buy: [Level(*offer) for offer in offers if offer[1]]
            for is_buy, offers in ((True, asks), (False, bids or []))
        }

    def _left(self, instrument: Instrument, tick: Tick, is_buy: bool) -> list[Level]:
        return self._sides[is_buy]

    def take(
        self,
        instrument: Instrument,
        tick: Tick,
        is_buy: bool,
        volume: float,
        limit: float | None = None,
        least: float = 0.0,
    ) -> list[Level]:
        taken = super().take(instrument, tick, is_buy, volume, limit, least)
        gone = dict(taken)
        left = [Level(price, round(lots - gone.get(price, 0.0), 8)) for price, lots in self._sides[is_buy]]
        self._sides[is_buy] = [level for level in left if level.volume]
        return taken


class Thin(Depth):
    """Three levels, a point apart, of as few lots as the volume of the quote's last digit says."""

    def _left(self, instrument: Instrument, tick: Tick, is_buy: bool) -> list[Level]:
        price, away = (tick.ask, instrument.point) if is_buy else (tick.bid, -instrument.point)
        lots = round(0.01 * (1 + round(price / instrument.point) % 7), 8)
        return [Level(instrument.normalize(price + step * away), lots) for step in range(3)]

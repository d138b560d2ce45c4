"""From one currency to another, through the pairs that the terminal quotes."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from mt5crs.constants import SYMBOL_CALC_MODE_CFD, SYMBOL_CALC_MODE_CFDLEVERAGE
from mt5crs.model import Tick
from mt5crs.terminal.simulated.instruments.catalogue import FOREX_MODES, Instrument

BRIDGE = "USD"
GOODS = (SYMBOL_CALC_MODE_CFD, SYMBOL_CALC_MODE_CFDLEVERAGE)


class Step(NamedTuple):
    """One pair on the way from a currency to another.

    Attributes:
        symbol: The pair.
        forward: Whether its price multiplies; else it divides.
    """

    symbol: str
    forward: bool


Route = tuple[Step, ...]


class Conversion:
    """Converts to one currency.

    A direct pair comes first, then two pairs by way of USD, then the shortest way there is; of several
    alike the alphabetically first.

    Args:
        symbols: All instruments.
        quote: Returns the last tick of a symbol.
        currency: What is converted to.

    Attributes:
        quote: As given.
    """

    def __init__(
        self, symbols: Mapping[str, Instrument], quote: Callable[[str], Tick], currency: str
    ) -> None:
        self.quote = quote
        self.currency = currency
        self._steps = _steps(symbols.values())
        self._routes: dict[str, Route | None] = {currency: ()}

    def route(self, currency: str) -> Route | None:
        """Return the pairs that lead from a currency to this one; None if none do."""
        try:
            return self._routes[currency]
        except KeyError:
            route = self._routes[currency] = self._search(currency)
            return route

    def known(self) -> list[str]:
        """Return the currencies that some pair has, in alphabetical order."""
        return sorted(self._steps)

    def rate(self, currency: str, *, dear: bool) -> float | None:
        """Return what one unit of a currency is worth in this one.

        Args:
            currency: Its code.
            dear: At the trader's buying price of that currency, not its selling price; so at each step.

        Returns:
            The rate; None if no pairs lead there or one of them has no quote.
        """
        route = self.route(currency)
        if not route:
            return None if route is None else 1.0
        rate = 1.0
        for name, forward in route:
            tick = self.quote(name)
            price = tick.ask if forward is dear else tick.bid
            if not price:
                return None
            rate = rate * price if forward else rate / price
        return rate

    def rates(self, currency: str) -> tuple[float, float] | None:
        """Return what one unit is worth when it is sold and when it is bought; None as `rate` says."""
        if currency == self.currency:
            return 1.0, 1.0
        sold, bought = self.rate(currency, dear=False), self.rate(currency, dear=True)
        return None if sold is None or bought is None else (sold, bought)

    def _search(self, currency: str) -> Route | None:
        waiting: deque[tuple[str, Route]] = deque([(currency, ())])
        seen = {currency}
        while waiting:
            here, route = waiting.popleft()
            for there, step in self._steps.get(here, ()):
                if there == self.currency:
                    return (*route, step)
                if there not in seen:
                    seen.add(there)
                    waiting.append((there, (*route, step)))
        return None


def _steps(symbols: Iterable[Instrument]) -> dict[str, list[tuple[str, Step]]]:
    """Return where each currency leads to, USD first.

    Currency pairs convert, and goods (gold, crypto) that no currency pair has.
    """
    by_name = sorted(symbols, key=lambda symbol: symbol.name)
    forex = [symbol for symbol in by_name if symbol.calc_mode in FOREX_MODES]
    currencies = {name for symbol in forex for name in (symbol.currency_base, symbol.currency_profit)}
    goods = [s for s in by_name if s.calc_mode in GOODS and s.currency_base not in currencies]
    pairs: dict[tuple[str, str], Step] = {}
    for symbol in (*forex, *goods):
        base, profit = symbol.currency_base, symbol.currency_profit
        if base != profit:
            pairs.setdefault((base, profit), Step(symbol.name, True))
    for (base, profit), (name, _forward) in list(pairs.items()):
        pairs.setdefault((profit, base), Step(name, False))
    steps: dict[str, list[tuple[str, Step]]] = {}
    for (source, target), step in sorted(pairs.items(), key=lambda pair: (pair[0][1] != BRIDGE, pair[0])):
        steps.setdefault(source, []).append((target, step))
    return steps

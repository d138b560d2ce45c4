"""What the currencies and goods of a broker's list are worth in USD, from the prices in it.

A currency is worth what a pair with one that is known says: USD first, then what was found from USD, and so
on. Where no pair of the list leads to it, it is worth what it is in the catalogue that ships, else 1 USD. Any
symbol that is no currency pair has a leg of its own at its price; one without a price starts at 100.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from mt5crs.terminal.simulated.instruments.catalogue import FOREX_MODES

Fields = dict[str, Any]
CURRENCY_VOLATILITY, OTHER_VOLATILITY = 0.006, 0.015
"""Standard deviations of a day's change, for what has no leg yet."""
BRIDGE = "USD"
CURRENCIES = ("currency_base", "currency_profit")
PRICES = ("bid", "last", "ask", "session_price_settlement", "session_close")
"""Where a price is looked for; the first that there is counts."""
LEAST_WORTH, MOST_WORTH = 1e-12, 1e12
DEFAULT_PRICE = 100.0
"""Of a symbol without a price, in its profit currency."""


class Worths(NamedTuple):
    """Legs, and what of them is made up.

    Attributes:
        legs: As the tables of an instruments file have them.
        without_price: The symbols that have a price by default.
        without_pair: The currencies that are worth 1 USD by default.
    """

    legs: dict[str, Fields]
    without_price: list[str]
    without_pair: list[str]


def is_pair(info: Mapping[str, Any]) -> bool:
    """Whether a symbol is one currency in another, which needs no leg of its own."""
    return info["trade_calc_mode"] in FOREX_MODES and info["currency_base"] != info["currency_profit"]


def own_legs(told: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return the names of the legs that symbols have for themselves, by symbol.

    They are named as the symbol, unless a currency is: there are shares that are called USD.
    """
    told = list(told)
    currencies = {info[name] for info in told for name in CURRENCIES} | {BRIDGE}
    names = [info["name"] for info in told if not is_pair(info)]
    return {name: f"{name} itself" if name in currencies else name for name in names}


def broker_legs(told: Iterable[Mapping[str, Any]], shipped: Mapping[str, float]) -> Worths:
    """Return the legs that the symbols need, at the broker's prices.

    Args:
        told: `SymbolInfo` structures, field by name.
        shipped: What one unit of each currency and good that ships is worth in USD.
    """
    told = list(told)
    own = own_legs(told)
    prices = {info["name"]: _price(info) for info in told}
    worth, without_pair = _currencies(told, prices, shipped)
    legs = {name: _leg(price, CURRENCY_VOLATILITY) for name, price in worth.items() if name != BRIDGE}
    without_price = [name for name, price in prices.items() if not price]
    for info in told:
        name, unit = info["name"], worth[info["currency_profit"]]
        if name not in own:
            continue
        if not LEAST_WORTH <= prices[name] * unit <= MOST_WORTH:
            prices[name] = DEFAULT_PRICE * max(1.0, info.get("trade_tick_size", 0.0))
        legs[own[name]] = _leg(prices[name] * unit, OTHER_VOLATILITY)
    known = {  # what ships knows how much it moves
        name: {"price": leg["price"]} if name in shipped else leg for name, leg in legs.items()
    }
    return Worths(known, without_price, without_pair)


def _leg(price: float, volatility: float) -> Fields:
    return {"price": price, "volatility": volatility}


def _price(info: Mapping[str, Any]) -> float:
    """Return the price that a symbol has; 0 where it has none."""
    return next((info[name] for name in PRICES if info.get(name, 0.0) > 0), 0.0)


def _currencies(
    told: Iterable[Mapping[str, Any]], prices: Mapping[str, float], shipped: Mapping[str, float]
) -> tuple[dict[str, float], list[str]]:
    """Return what each currency is worth in USD, and for which of them nothing says it."""
    wanted = list(dict.fromkeys(info[name] for info in told for name in CURRENCIES))
    pairs = [
        (info["currency_base"], info["currency_profit"], prices[info["name"]])
        for info in told
        if is_pair(info) and prices[info["name"]]
    ]
    worth = {BRIDGE: 1.0}
    _spread(worth, pairs)
    invented: list[str] = []
    for name in sorted(wanted, key=lambda name: name not in shipped):
        if name not in worth:
            worth[name] = shipped.get(name, 1.0)
            invented += [] if name in shipped else [name]
            _spread(worth, pairs)
    return worth, invented


def _spread(worth: dict[str, float], pairs: Iterable[tuple[str, str, float]]) -> None:
    """Add the currencies that a pair has with one that is known, until nothing new is found."""
    found: dict[str, float] = {}
    for base, profit, price in pairs:
        if base in worth and profit not in worth:
            found.setdefault(profit, worth[base] / price)
        elif profit in worth and base not in worth:
            found.setdefault(base, worth[profit] * price)
    found = {name: price for name, price in found.items() if LEAST_WORTH <= price <= MOST_WORTH}
    if found:
        worth.update(found)
        _spread(worth, pairs)

"""A broker's own instruments, as a terminal tells them: what `mt5crs symbols --json` writes.

So strategies can be rehearsed on the specification that they will trade on. What `SymbolInfo` does not say is
as `Instrument` has it where nothing is said: sessions, holidays, margin rates, commissions.

Made-up prices begin where the broker's stood: a currency is worth what its pair with USD was quoted at, any
other symbol has a leg of its own at its bid.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from mt5crs.constants import SYMBOL_CALC_MODE_CFDINDEX
from mt5crs.model import SymbolInfo
from mt5crs.terminal.simulated.instruments.catalogue import FOREX_MODES, FUTURES_MODES, Instrument

Fields = dict[str, Any]
SAID = set(SymbolInfo.__annotations__)
PREFIX = "trade_"
OTHER_WAYS = {
    "book_depth": "ticks_bookdepth",
    "face_value": "trade_face_value",
    "accrued_interest": "trade_accrued_interest",
    "liquidity_rate": "trade_liquidity_rate",
}
CURRENCY_VOLATILITY, OTHER_VOLATILITY = 0.006, 0.015
"""Standard deviations of a day's change, for what has no leg yet."""
BRIDGE = "USD"
TICK_VALUED = (*FUTURES_MODES, SYMBOL_CALC_MODE_CFDINDEX)


def is_symbol(entry: object) -> bool:
    """Whether a part of a file is one symbol as a terminal tells it."""
    return isinstance(entry, Mapping) and {"name", "trade_calc_mode", "digits", "volume_step"} <= entry.keys()


def broker_symbols(told: Iterable[Mapping[str, Any]]) -> dict[str, Fields]:
    """Return the symbols as the tables of an instruments file have them.

    Args:
        told: `SymbolInfo` structures, field by name.
    """
    return {info["name"]: _fields(info) for info in told}


def broker_legs(told: Iterable[Mapping[str, Any]], worth: Mapping[str, float]) -> dict[str, Fields]:
    """Return the legs that the symbols need, at the broker's prices.

    Args:
        told: `SymbolInfo` structures, field by name.
        worth: What one unit of each currency that ships is worth in USD.
    """
    told = list(told)
    prices: dict[str, float] = {}
    for info in told:
        base, profit, bid = info["currency_base"], info["currency_profit"], info.get("bid") or 0.0
        if info["trade_calc_mode"] in FOREX_MODES and bid > 0 and BRIDGE in (base, profit) and base != profit:
            prices.setdefault(*((base, bid) if profit == BRIDGE else (profit, 1 / bid)))
    legs = {name: {"price": price, "volatility": CURRENCY_VOLATILITY} for name, price in prices.items()}
    for info in told:
        leg = _own_leg(info)
        quoted = prices.get(info["currency_profit"], worth.get(info["currency_profit"], 0.0))
        if leg and quoted and (info.get("bid") or 0.0) > 0:
            legs[leg] = {"price": info["bid"] * quoted, "volatility": OTHER_VOLATILITY}
    return {
        name: {"price": leg["price"]} if name in worth else leg  # what ships knows how much it moves
        for name, leg in legs.items()
    }


def _fields(info: Mapping[str, Any]) -> Fields:
    """Return the fields of an instrument that a structure says."""
    fields: Fields = {}
    for name in Instrument.__struct_fields__:
        source = OTHER_WAYS.get(name) or (PREFIX + name if PREFIX + name in SAID else name)
        if source in info and source in SAID and name != "name":
            fields[name] = info[source]
    if info["trade_calc_mode"] not in TICK_VALUED:
        fields.pop("tick_value", None)  # it is in the account's currency, and follows from the rest
    fields["path"] = str(info.get("path", "")).rpartition("\\")[0] or "Broker"
    fields["spread"] = max(int(info.get("spread", 0)), 1)
    fields["has_last"] = (info.get("last") or 0.0) > 0
    fields["price_leg"] = _own_leg(info)
    fields["kind"] = "broker"
    if fields.get("book_depth"):
        fields["book_volume"] = info["volume_max"]  # how much there is the structure does not say
    return fields


def _own_leg(info: Mapping[str, Any]) -> str:
    """Return the leg of a symbol that is no currency pair; empty for a pair."""
    is_pair = info["trade_calc_mode"] in FOREX_MODES and info["currency_base"] != info["currency_profit"]
    return "" if is_pair else str(info["name"])

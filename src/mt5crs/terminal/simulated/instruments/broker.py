"""A broker's own instruments, as a terminal tells them: what `mt5crs symbols --json` writes.

So strategies can be rehearsed on the specification that they will trade on. What `SymbolInfo` does not say is
as `Instrument` has it where nothing is said: sessions, holidays, margin rates, commissions.

Brokers list what can be traded beside what cannot: indicators, series, options, symbols whose prices nobody
asked for. So what a field leaves open is filled in here, as near to what was told as can be simulated.
"""

from collections.abc import Iterable, Mapping
from math import ceil
from typing import Any

from mt5crs.constants import SYMBOL_CALC_MODE_CFDINDEX
from mt5crs.model import SymbolInfo
from mt5crs.terminal.simulated.instruments.calendar import MINUTE
from mt5crs.terminal.simulated.instruments.catalogue import FUTURES_MODES, POINTS, Instrument
from mt5crs.terminal.simulated.instruments.worth import own_legs

Fields = dict[str, Any]
SAID = SymbolInfo.__annotations__
PREFIX = "trade_"
OTHER_WAYS = {
    "book_depth": "ticks_bookdepth",
    "face_value": "trade_face_value",
    "accrued_interest": "trade_accrued_interest",
    "liquidity_rate": "trade_liquidity_rate",
}
NEEDED = {
    "name", "trade_calc_mode", "digits", "volume_min", "volume_max", "volume_step", "trade_contract_size",
    "currency_base", "currency_profit",
}  # fmt: skip
TICK_VALUED = (*FUTURES_MODES, SYMBOL_CALC_MODE_CFDINDEX)
FIT: dict[type, tuple[type, ...]] = {float: (float, int), int: (int,), str: (str,), bool: (bool, int)}
NO_LESS_THAN_ZERO = (
    "trade_stops_level", "trade_freeze_level", "ticks_bookdepth", "volume_limit", "margin_initial",
    "margin_maintenance", "margin_hedged", "trade_tick_value", "trade_tick_size", "trade_face_value",
    "trade_accrued_interest", "trade_liquidity_rate", "start_time", "expiration_time", "volume_min",
    "volume_step", "volume_max",
)  # fmt: skip
MASKS = {"filling_mode": 7, "expiration_mode": 15, "order_mode": 127}
"""The bits that are known here."""
CHOICES = {
    "swap_mode": (8, 0), "swap_rollover3days": (6, 3), "order_gtc_mode": (2, 0), "trade_exemode": (3, 2),
    "trade_mode": (4, 0),
}  # fmt: skip
"""The last value that is known here, and what stands for those that are not."""
TOLD = "tick_value_told"
"""Beside a symbol's fields: whether the worth of its tick was told, in the currency of the account."""


def is_symbol(entry: Mapping[str, Any]) -> bool:
    """Whether a part of a file is one symbol as a terminal tells it."""
    return entry.keys() >= NEEDED and all(
        isinstance(value, FIT[SAID[name]]) for name, value in entry.items() if name in SAID
    )


def proper(info: Mapping[str, Any]) -> Fields:
    """Return a structure with what it leaves open filled in.

    Args:
        info: `SymbolInfo`, field by name.
    """
    fields = {name: value for name, value in info.items() if name in SAID}
    for change in (_bounded, _currencies, _volumes, _ticks):
        fields |= change(fields)
    return fields


def without_swap(told: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the symbols whose way of charging swap is not known here: `proper` charges none."""
    return [info["name"] for info in told if not 0 <= info.get("swap_mode", 0) <= CHOICES["swap_mode"][0]]


def broker_symbols(told: Iterable[Mapping[str, Any]]) -> dict[str, Fields]:
    """Return symbols as the tables of an instruments file have them.

    Args:
        told: What `proper` made of `SymbolInfo` structures.
    """
    told = list(told)
    legs = own_legs(told)
    rates = _account_rates(told)
    symbols: dict[str, Fields] = {
        info["name"]: {**_fields(info), "price_leg": legs.get(info["name"], "")} for info in told
    }
    for info in told:
        fields: Fields = symbols[info["name"]]
        if "tick_value" in fields and info.get(TOLD):
            fields["tick_value"] /= rates.get(info["currency_profit"], 1.0)
    return symbols


def _account_rates(told: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Return what a unit of each profit currency was worth in the currency of the account that was asked.

    A tick's worth is told in that currency. Where it follows from the price alone it tells the rate, which
    the symbols need that fix the worth of their tick.
    """
    rates: dict[str, float] = {}
    for info in told:
        worth, size = (
            info.get("trade_tick_value") or 0.0,
            info["trade_tick_size"] * info["trade_contract_size"],
        )
        if info["trade_calc_mode"] not in TICK_VALUED and worth > 0 and size > 0:
            rates.setdefault(info["currency_profit"], worth / size)
    return rates


def _bounded(info: Fields) -> Fields:
    """Return the fields that are outside of what is known, brought inside."""
    changes: Fields = {name: max(info[name], 0) for name in NO_LESS_THAN_ZERO if name in info}
    changes |= {name: info[name] & mask for name, mask in MASKS.items() if name in info}
    for name, (last, otherwise) in CHOICES.items():
        if name in info and not 0 <= info[name] <= last:
            changes[name] = otherwise
    for name in ("start_time", "expiration_time"):
        changes[name] = changes.get(name, 0) // MINUTE * MINUTE
    return changes


def _currencies(info: Fields) -> Fields:
    """Return the currencies; one that is empty is as the others are."""
    profit = info["currency_profit"] or info.get("currency_margin") or info["currency_base"] or "USD"
    return {"currency_profit": profit, "currency_base": info["currency_base"] or profit}


def _volumes(info: Fields) -> Fields:
    """Return volumes that go together: the least and the most are steps, which are not nothing."""
    step = info["volume_step"] or info["volume_min"] or 1.0
    least = round(max(ceil(round(info["volume_min"] / step, 6)), 1) * step, 8)
    return {
        "volume_step": step,
        "volume_min": least,
        "volume_max": max(info["volume_max"], least),
        "trade_contract_size": info["trade_contract_size"] if info["trade_contract_size"] > 0 else 1.0,
    }


def _ticks(info: Fields) -> Fields:
    """Return the tick, in whole points, and what it is worth where the price alone does not say it."""
    digits: int = info["digits"]
    if not 0 <= digits < len(POINTS):
        return {}  # `Instrument` says what is wrong
    points = max(round(info.get("trade_tick_size", 0.0) / POINTS[digits]), 1)
    size = round(points * POINTS[digits], digits)
    told: float = info.get("trade_tick_value") or 0.0
    worth = told or size * info["trade_contract_size"]
    return {"trade_tick_size": size, "trade_tick_value": worth, TOLD: told > 0}


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
    fields["kind"] = "broker"
    if fields.get("book_depth"):
        fields["book_volume"] = info["volume_max"]  # how much there is the structure does not say
    return fields

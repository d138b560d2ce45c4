"""What people type, checked before anything is sent: each refusal says what would be right."""

import math
import re
from datetime import datetime, timezone

import typer

from mt5crs.model import SymbolInfo
from mt5crs.timeframes import TIMEFRAMES

_STEP_TOLERANCE = 1e-6
"""How far a volume may be from a whole number of steps: binary fractions of decimal steps are inexact."""


def timeframe(text: str, option: str = "--tf") -> int:
    """Return a timeframe by its name."""
    value = TIMEFRAMES.get(text.upper())
    if value is None:
        names = " ".join(TIMEFRAMES)
        raise typer.BadParameter(f"{text!r} is no timeframe: {names}", param_hint=option)
    return value


def complete_timeframe(incomplete: str) -> list[str]:
    """Return the timeframes that begin so, for shells."""
    return [name for name in TIMEFRAMES if name.startswith(incomplete.upper())]


def moment(text: str, option: str) -> int:
    """Return a point in server time, epoch seconds."""
    if re.fullmatch(r"[0-9]{9,10}", text):
        return int(text)
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        when = None
    if when is None or when.tzinfo is not None:
        raise typer.BadParameter(
            f"{text!r} is no date in server time: 2025-11-03, '2025-11-03 10:30' or epoch seconds",
            param_hint=option,
        )
    return int(when.replace(tzinfo=timezone.utc).timestamp())


def number(text: str, option: str) -> float:
    """Return a positive number."""
    try:
        value = float(text) if re.fullmatch(r"[0-9]*\.?[0-9]*", text) else math.nan
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise typer.BadParameter(f"{text!r} is no number above 0, such as 1.25", param_hint=option)
    return value


def price(text: str, symbol: SymbolInfo, option: str) -> float:
    """Return a price that its symbol can have."""
    value = number(text, option)
    if round(value, symbol.digits) != value:
        raise typer.BadParameter(
            f"{text} has too many digits: prices of {symbol.name} have {symbol.digits}, "
            f"such as {symbol.bid:.{symbol.digits}f}",
            param_hint=option,
        )
    return value


def volume(text: str, symbol: SymbolInfo, option: str, most: float | None = None) -> float:
    """Return a volume that its symbol, and the position that it is to be taken from, can have."""
    value = number(text, option)
    highest = symbol.volume_max if most is None else most
    steps = value / symbol.volume_step
    if not symbol.volume_min <= value <= highest or abs(steps - round(steps)) > _STEP_TOLERANCE:
        raise typer.BadParameter(
            f"{text} lots of {symbol.name} cannot be: from {symbol.volume_min:g} to {highest:g} "
            f"in steps of {symbol.volume_step:g}",
            param_hint=option,
        )
    return value

"""What the values of limits may be: each function returns a value for use, or says what would be right."""

from collections.abc import Callable, Sequence
from math import isfinite
from typing import Any, cast

from mt5crs.groups import group_filter
from mt5crs.guard.hours import EXPECTED, Hours

PASTE = 10_000
"""Symbols that a mask remembers its answer for."""


class Masks:
    """Symbols by group masks, as in MetaTrader 5."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._selects = group_filter(text)
        self._known: dict[str, bool] = {}

    def __str__(self) -> str:
        return self._text

    def __contains__(self, symbol: str) -> bool:
        known = self._known.get(symbol)
        if known is None:
            known = self._selects(symbol)
            if len(self._known) < PASTE:
                self._known[symbol] = known
        return known


class Magics:
    """Magic numbers: some of them, and ranges."""

    def __init__(self, entries: Sequence["int | tuple[int, int]"]) -> None:
        self._numbers = frozenset(entry for entry in entries if isinstance(entry, int))
        self._ranges = [entry for entry in entries if not isinstance(entry, int)]
        self._text = ", ".join(
            str(each) if isinstance(each, int) else f"{each[0]} to {each[1]}" for each in entries
        )

    def __str__(self) -> str:
        return self._text

    def __contains__(self, magic: int) -> bool:
        return magic in self._numbers or any(low <= magic <= high for low, high in self._ranges)


def amount(value: Any) -> float:
    """A number, 0 or more."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not isfinite(value) or value < 0:
        raise ValueError("a number, 0 or more")
    return float(value)


def more_than_none(value: Any) -> float:
    """A number above 0."""
    try:
        number = amount(value)
    except ValueError:
        number = 0.0
    if not number:
        raise ValueError("a number above 0")
    return number


def count(value: Any) -> int:
    """A whole number, 0 or more."""
    if not _is_whole(value):
        raise ValueError("a whole number, 0 or more")
    return int(value)


def masks(value: Any) -> Masks:
    """Group masks."""
    parts = [part.strip() for part in value.split(",")] if isinstance(value, str) else []
    if not parts or not all(part.removeprefix("!").strip() for part in parts):
        raise ValueError('group masks, none of them empty, such as "EURUSD, *USD*, !XAU*"')
    if all(part.startswith("!") for part in parts):
        raise ValueError('group masks that select something: put "*" before what is excluded')
    return Masks(value)


def magics(value: Any) -> Magics:
    """Magic numbers and ranges of them."""
    wrong = "a list of magic numbers and of ranges, such as [7, [100, 199]]"
    if not isinstance(value, list) or not value:
        raise ValueError(wrong)
    return Magics([_magic(each, wrong) for each in cast("list[object]", value)])


def _magic(entry: object, wrong: str) -> "int | tuple[int, int]":
    if isinstance(entry, int) and _is_whole(entry):
        return int(entry)
    pair = cast("list[object]", entry) if isinstance(entry, list) else []
    low, high = pair if len(pair) == 2 else (None, None)
    if not (isinstance(low, int) and isinstance(high, int) and _is_whole(low) and _is_whole(high)):
        raise ValueError(wrong)
    if low > high:
        raise ValueError(f"{wrong}; a range begins with its lower number")
    return low, high


def hours(value: Any) -> Hours:
    """Hours of the week."""
    entries = cast("list[object]", value) if isinstance(value, list) else []
    texts = [each for each in entries if isinstance(each, str)]
    if not texts or len(texts) < len(entries):
        raise ValueError(EXPECTED)
    return Hours(texts)


def truth(value: Any) -> bool:
    """A truth value."""
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 64


Parse = Callable[[Any], Any]


def text(value: Any) -> str:
    """A text that is not empty."""
    if not isinstance(value, str) or not value:
        raise ValueError("a text")
    return value

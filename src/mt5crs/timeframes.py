"""The 21 timeframes: their names, and how long their bars are."""

from mt5crs import constants

MINUTE = 60
DAY = 86_400
WEEK = 7 * DAY
_UNITS = {"M": 60, "H": 3600, "D": DAY, "W": WEEK}
_MONTH = "MN1"

_NUMBERS: dict[int, str] = {
    value: name.removeprefix("TIMEFRAME_")
    for name, value in vars(constants).items()
    if name.startswith("TIMEFRAME_")
}
TIMEFRAMES = {_NUMBERS[value]: value for value in sorted(_NUMBERS)}
"""The timeframes by the names that people know, shortest first: their numbers ascend with them."""
NAMES = {value: name for name, value in TIMEFRAMES.items()}
"""The names by the timeframes."""
PERIODS: dict[int, int] = {
    value: 30 * DAY if name == _MONTH else int(name[1:]) * _UNITS[name[0]]
    for name, value in TIMEFRAMES.items()
}
"""Seconds in a bar of each timeframe; of a month, roughly."""

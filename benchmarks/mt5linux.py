"""The way mt5linux takes, rebuilt: source text evaluated on the far side by rpyc, its result pickled back.

Both halves are here: `symbol_info_tick` and `copy_rates_range` are what the far side imports in place of the
Windows package, with values ready at hand, so that the path alone is measured; `Path` is the near side.
"""

from typing import Any, NamedTuple

import numpy
import rpyc
from rpyc.utils.classic import obtain

from mt5crs.model import RATES


class Tick(NamedTuple):
    """As the Windows package's structure."""

    time: int
    bid: float
    ask: float
    last: float
    volume: int
    time_msc: int
    flags: int
    volume_real: float


_TICK = Tick(1_700_000_000, 1.08123, 1.08131, 0.0, 0, 1_700_000_000_123, 6, 0.0)
_bars: dict[int, Any] = {}


def symbol_info_tick(symbol: str) -> Tick:
    """Answer at once."""
    return _TICK


def copy_rates_range(symbol: str, timeframe: int, date_from: int, date_to: int) -> Any:
    """Return an array of as many M1 bars as the range has minutes."""
    rows = (date_to - date_from) // 60 + 1
    if rows not in _bars:
        _bars[rows] = numpy.zeros(rows, RATES.dtype)
    return _bars[rows]


class Path:
    """The near side: each call is formatted as source text, evaluated there and obtained by pickle."""

    def __init__(self, port: int) -> None:
        self._connection = rpyc.classic.connect("127.0.0.1", port)
        self._connection.execute("import benchmarks.mt5linux as mt5")

    def call(self, name: str, *args: object) -> Any:
        """Call a function of the far side."""
        return obtain(self._connection.eval(f"mt5.{name}(*{args!r})"))

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

"""The real terminal, through the official `MetaTrader5` package on the same Windows machine.

The package is synchronous, not thread-safe, can block for a minute and can wedge. So it is called in worker
processes: one lane for orders, one for reads, one that looks for news. It could not be run where this
project is built (it exists for Windows only); the adapter is tested by giving it our own module in its place,
which has the same functions.
"""

from mt5crs.terminal.official.terminal import OfficialTerminal

__all__ = ["OfficialTerminal"]

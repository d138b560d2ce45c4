"""MetaTrader 5 for Python programs on Linux, over ZeroMQ: connect, rehearse, sync."""

import sys

from mt5crs._version import __version__ as __version__

if sys.version_info < (3, 10):  # noqa: UP036 - a bare checkout is imported without an installer's check
    raise ImportError(
        f"mt5crs needs Python 3.10 or newer, this is {sys.version.split()[0]}: "
        "Python 3.9 has been without security fixes since October 2025"
    )

"""MetaTrader 5 for Python programs on Linux, over ZeroMQ: connect, rehearse, sync.

`Client` and `AsyncClient` are the official package's functions on a gateway; `mt5crs.constants` has its
constants, `mt5crs.model` its structures, `mt5crs.errors` what the bridge itself can say.
"""

import sys
from typing import TYPE_CHECKING, Any

from mt5crs._version import __version__

if sys.version_info < (3, 10):  # noqa: UP036 - a bare checkout is imported without an installer's check
    raise ImportError(
        f"mt5crs needs Python 3.10 or newer, this is {sys.version.split()[0]}: "
        "Python 3.9 has been without security fixes since October 2025"
    )

if TYPE_CHECKING:
    from mt5crs.client.asynchronous import AsyncClient
    from mt5crs.client.blocking import Client
    from mt5crs.errors import BridgeError, OutcomeUnknown

_HOMES = {
    "AsyncClient": "mt5crs.client.asynchronous",
    "BridgeError": "mt5crs.errors",
    "Client": "mt5crs.client.blocking",
    "OutcomeUnknown": "mt5crs.errors",
}

__all__ = ["AsyncClient", "BridgeError", "Client", "OutcomeUnknown", "__version__"]


def __getattr__(name: str) -> Any:
    # A program that uses one client does not pay for the other: asyncio alone is 7 MB.
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(home), name)

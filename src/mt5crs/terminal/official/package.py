"""The module with the official functions, which nothing here imports: it is loaded by its name."""

from importlib import import_module
from types import ModuleType

OFFICIAL = "MetaTrader5"
"""Its name on Windows."""

HINTS = {
    -2: "check path, login, password and server",
    -6: "check login, password and server",
    -10003: "install MetaTrader 5, or give the path of its terminal64.exe",
    -10004: "start the terminal in this desktop session",
    -10005: "the account did not synchronise in time: look at the terminal's connection, then try again",
}
"""What to do next where the terminal cannot be attached to, by its error."""
NOT_INSTALLED = (
    "it exists for Windows only: there, `pip install MetaTrader5` beside an installed terminal; "
    "anywhere else use --terminal simulated"
)
"""What to do next where the package cannot be loaded."""


def load(name: str) -> ModuleType:
    """Return the module with the official functions.

    Raises:
        ImportError: There is none of that name, or it cannot be used here.
    """
    return import_module(name)

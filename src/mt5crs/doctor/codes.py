"""What the numbers mean that MetaTrader answers with: `last_error()` codes and return codes of trades."""

from typing import NamedTuple

from mt5crs import constants as c
from mt5crs.retcodes import MEANINGS


class Explained(NamedTuple):
    """A number.

    Attributes:
        code: The number.
        name: The official constant's name.
        text: What it says.
        next: What to do.
    """

    code: int
    name: str
    text: str
    next: str


_SAME_DESKTOP = "the terminal and the gateway must run for the same user, in the same desktop session"

ERRORS = {
    c.RES_S_OK: ("success", ""),
    c.RES_E_FAIL: (
        "the terminal could not carry the call out",
        "ask again; the terminal's Journal tab has the reason",
    ),
    c.RES_E_INVALID_PARAMS: (
        "the arguments are not those that the function takes",
        "compare the call with the official documentation: names, order and types of the arguments",
    ),
    c.RES_E_NO_MEMORY: ("the terminal is out of memory", "ask for less at a time, or restart the terminal"),
    c.RES_E_NOT_FOUND: (
        "there is no such thing, or no history of it",
        "is the symbol's name right (`mt5crs symbols`), and is there history in that range?",
    ),
    c.RES_E_INVALID_VERSION: (
        "package and terminal are of versions that do not fit",
        "update both: the terminal by Help, Check for updates, the package by pip on the gateway's machine",
    ),
    c.RES_E_AUTH_FAILED: (
        "the trade server does not accept login and password",
        "log in by hand in the terminal once: File, Login to Trade Account; a server's name is written "
        "exactly as in that window; the password comes from MT5_PASSWORD_FILE, MT5_PASSWORD or the keyring",
    ),
    c.RES_E_UNSUPPORTED: ("this terminal does not have the function", "update the terminal"),
    c.RES_E_AUTO_TRADING_DISABLED: (
        "trading through the Python API is switched off in the terminal",
        "in the terminal: Tools, Options, Expert Advisors, and take the tick off 'Disable algorithmic "
        "trading via external Python API'",
    ),
    c.RES_E_INTERNAL_FAIL: (
        "the connection between package and terminal broke",
        f"restart the terminal; {_SAME_DESKTOP}",
    ),
    c.RES_E_INTERNAL_FAIL_SEND: (
        "the request could not be given to the terminal",
        f"restart the terminal; {_SAME_DESKTOP}",
    ),
    c.RES_E_INTERNAL_FAIL_RECEIVE: (
        "the terminal's answer did not come",
        f"restart the terminal; {_SAME_DESKTOP}",
    ),
    c.RES_E_INTERNAL_FAIL_INIT: (
        "the package found no terminal that it could start (IPC initialize failed)",
        "install the 64 bit terminal on the gateway's machine, or name its terminal64.exe with "
        f"`mt5crs gateway --path`; {_SAME_DESKTOP}",
    ),
    c.RES_E_INTERNAL_FAIL_CONNECT: (
        "the package is not connected to a terminal (No IPC connection)",
        f"is the terminal running, and was it closed meanwhile? start it; {_SAME_DESKTOP}",
    ),
    c.RES_E_INTERNAL_FAIL_TIMEOUT: (
        "the terminal did not answer in time (IPC timeout)",
        "it is busy, waits in a dialog, or has not synchronised its account yet: look at its window, close "
        "what is open, wait until the corner shows a connection",
    ),
}
"""What `last_error()` says, by code: what it means, what to do."""

_MORE = {
    c.TRADE_RETCODE_CLIENT_DISABLES_AT: (
        "press Algo Trading in the terminal's toolbar until it is green, and in Tools, Options, Expert "
        "Advisors allow algorithmic trading; a terminal switches it off by itself when the account changes"
    ),
    c.TRADE_RETCODE_INVALID_FILL: (
        "give the request a type_filling that the symbol has: its filling_mode is a mask, 1 for "
        "ORDER_FILLING_FOK, 2 for ORDER_FILLING_IOC; ORDER_FILLING_RETURN is for pending orders and exchange "
        "symbols. Without type_filling it is FOK. `mt5crs doctor --symbol NAME` tells what a symbol has"
    ),
}
"""Where there is more to say than a command has room for."""


def _name(code: int, beginning: str) -> str:
    return next((name for name, value in vars(c).items() if name.startswith(beginning) and value == code), "")


def explained(code: int) -> Explained | None:
    """Return what a number means; None where MetaTrader has none such."""
    if code in ERRORS:
        text, then = ERRORS[code]
        return Explained(code, _name(code, "RES_"), text, then)
    if code in MEANINGS:
        text, hint = MEANINGS[code]
        return Explained(code, _name(code, "TRADE_RETCODE_"), text, _MORE.get(code, hint))
    return None

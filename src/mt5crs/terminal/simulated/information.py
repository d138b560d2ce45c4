"""`terminal_info`, `account_info` and `version` of the simulated terminal."""

from mt5crs._version import __version__
from mt5crs.constants import (
    ACCOUNT_MARGIN_MODE_EXCHANGE,
    ACCOUNT_MARGIN_MODE_RETAIL_HEDGING,
    ACCOUNT_MARGIN_MODE_RETAIL_NETTING,
    ACCOUNT_STOPOUT_MODE_MONEY,
    ACCOUNT_STOPOUT_MODE_PERCENT,
    ACCOUNT_TRADE_MODE_DEMO,
)
from mt5crs.model import AccountInfo, TerminalInfo
from mt5crs.terminal.simulated.accounting.account import Totals
from mt5crs.terminal.simulated.accounting.money import currency_digits
from mt5crs.terminal.simulated.config import SimulatedConfig
from mt5crs.terminal.simulated.switches import Switches

TERMINAL_VERSION = 500
BUILD = 5231
RELEASED = "19 Aug 2025"
COMPANY = "MT5-CRS"
SO_MODES = {"percent": ACCOUNT_STOPOUT_MODE_PERCENT, "money": ACCOUNT_STOPOUT_MODE_MONEY}
MARGIN_MODES = {
    "netting": ACCOUNT_MARGIN_MODE_RETAIL_NETTING,
    "exchange": ACCOUNT_MARGIN_MODE_EXCHANGE,
    "hedging": ACCOUNT_MARGIN_MODE_RETAIL_HEDGING,
}


def version() -> tuple[int, int, str]:
    """Return (terminal version, build, release date) of the terminal that is simulated."""
    return TERMINAL_VERSION, BUILD, RELEASED


def terminal_info(config: SimulatedConfig, switches: Switches) -> TerminalInfo:
    """Return the terminal's state and settings."""
    values: dict[str, object] = {
        "community_account": False,
        "community_connection": False,
        "connected": switches.connected,
        "dlls_allowed": False,
        "trade_allowed": switches.terminal_trade_allowed,
        "tradeapi_disabled": switches.tradeapi_disabled,
        "email_enabled": False,
        "ftp_enabled": False,
        "notifications_enabled": False,
        "mqid": False,
        "build": BUILD,
        "maxbars": config.maxbars,
        "codepage": 0,
        "ping_last": 1000,  # microseconds to the trade server
        "community_balance": 0.0,
        "retransmission": 0.0,
        "company": COMPANY,
        "name": f"MT5-CRS simulated terminal {__version__}",
        "language": "English",
        "path": "",
        "data_path": "",
        "commondata_path": "",
    }
    return TerminalInfo(values[name] for name in TerminalInfo.__annotations__)


def account_info(config: SimulatedConfig, switches: Switches, totals: Totals) -> AccountInfo:
    """Return the account's settings and totals."""
    values: dict[str, object] = {
        "login": config.login,
        "trade_mode": ACCOUNT_TRADE_MODE_DEMO,
        "leverage": config.leverage,
        "limit_orders": config.limit_orders,
        "margin_so_mode": SO_MODES[config.margin_so_mode],
        "trade_allowed": switches.account_trade_allowed,
        "trade_expert": switches.account_trade_expert,
        "margin_mode": MARGIN_MODES[config.margin_mode],
        "currency_digits": currency_digits(config.currency, config.currency_digits),
        "fifo_close": config.fifo_close and config.margin_mode == "hedging",
        "margin_so_call": config.margin_so_call,
        "margin_so_so": config.margin_so_so,
        "liabilities": 0.0,
        "commission_blocked": 0.0,
        "name": "Simulated account",
        "server": config.server,
        "currency": config.currency,
        "company": COMPANY,
        **totals._asdict(),
    }
    return AccountInfo(values[name] for name in AccountInfo.__annotations__)

"""What may be switched off while the terminal runs."""

from dataclasses import dataclass

from mt5crs.terminal.simulated.config import SimulatedConfig


@dataclass(slots=True)
class Switches:
    """The permissions to trade, from the terminal's button to the trade server; all may change at run time.

    Attributes:
        connected: Whether the terminal has a connection to the trade server.
        terminal_trade_allowed: Whether the terminal's "Algo Trading" button is on.
        tradeapi_disabled: Whether the terminal refuses trading from Python.
        account_trade_allowed: Whether the account may trade at all; an investor's password may not.
        account_trade_expert: Whether the trade server lets programs trade on the account.
    """

    connected: bool = True
    terminal_trade_allowed: bool = True
    tradeapi_disabled: bool = False
    account_trade_allowed: bool = True
    account_trade_expert: bool = True

    @classmethod
    def of(cls, config: SimulatedConfig) -> "Switches":
        """Return the switches as the settings say."""
        return cls(
            terminal_trade_allowed=config.terminal_trade_allowed,
            tradeapi_disabled=config.tradeapi_disabled,
            account_trade_allowed=config.account_trade_allowed,
            account_trade_expert=config.account_trade_expert,
        )

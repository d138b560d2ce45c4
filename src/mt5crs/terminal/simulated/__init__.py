"""A MetaTrader 5 terminal that needs neither Windows nor a broker."""

from mt5crs.terminal.simulated.config import SimulatedConfig
from mt5crs.terminal.simulated.terminal import SimulatedTerminal

__all__ = ["SimulatedConfig", "SimulatedTerminal"]

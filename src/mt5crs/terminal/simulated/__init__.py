"""A MetaTrader 5 terminal that needs neither Windows nor a broker."""

from mt5crs.terminal.simulated.config import SimulatedConfig
from mt5crs.terminal.simulated.faults.plan import Fault
from mt5crs.terminal.simulated.terminal import SimulatedTerminal
from mt5crs.terminal.simulated.tester import Handle, Tester

__all__ = ["Fault", "Handle", "SimulatedConfig", "SimulatedTerminal", "Tester"]

"""A terminal to trade on: prices that a test writes down, and a clock that it sets."""

from typing import Any

from mt5crs.api import OPERATIONS
from mt5crs.operation import Result
from mt5crs.terminal.port import NewTicks, TerminalPort
from mt5crs.terminal.simulated import SimulatedConfig, SimulatedTerminal

OPENING = 1_700_006_400  # 2023-11-15 00:00:00 UTC, a Wednesday


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Desk:
    """A terminal with its clock; operations are called as on the official package."""

    def __init__(self, config: SimulatedConfig, now: float = OPENING) -> None:
        self.clock = Clock(now)
        self.terminal = SimulatedTerminal(config, self.clock)

    def ask(self, name: str, *args: Any, **kwargs: Any) -> Result:
        operation = OPERATIONS[name]
        answer = self.terminal.call(operation, operation.signature.bind(name, args, kwargs))
        assert isinstance(answer, Result)
        return answer

    def get(self, name: str, *args: Any, **kwargs: Any) -> Any:
        value, error = self.ask(name, *args, **kwargs)
        assert error == (1, "Success")
        return value

    def send(self, **fields: Any) -> Any:
        return self.get("order_send", fields)

    def deal(self, kind: int, volume: float, **fields: Any) -> Any:
        return self.send(**{"action": 1, "symbol": "EURUSD", "volume": volume, "type": kind} | fields)

    def pend(self, kind: int, price: float, **fields: Any) -> Any:
        request = {"action": 5, "symbol": "EURUSD", "volume": 0.1, "type": kind, "price": price}
        return self.send(**request | fields)

    def at(self, second: float) -> None:
        """Go to a second after the opening."""
        self.clock.now = OPENING + second


def new_ticks(terminal: TerminalPort) -> list[NewTicks]:
    """What is new of the ticks that are followed."""
    return [news for news in terminal.take_news() if isinstance(news, NewTicks)]

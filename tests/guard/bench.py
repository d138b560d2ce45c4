"""A gateway's desk with a policy, on a terminal in memory: time by hand, several principals."""

from math import inf
from pathlib import Path
from typing import Any

from mt5crs import constants as c
from mt5crs.api import OPERATIONS
from mt5crs.errors import BridgeError
from mt5crs.gateway.desk import Desk
from mt5crs.gateway.operations import Caller
from mt5crs.gateway.policyfile import PolicyFile
from mt5crs.journal.store import Journal
from mt5crs.operation import Result, Unasked
from mt5crs.security.policy import PERMITS, Role
from mt5crs.terminal.port import Deferred
from mt5crs.terminal.simulated import SimulatedConfig, SimulatedTerminal
from tests.pair.bridge import START, CountingTerminal


class Terminal(CountingTerminal):
    """The simulated terminal; what is `slow` is answered when `settle` is called."""

    def __init__(self, bench: "Bench", settings: dict[str, Any]) -> None:
        SimulatedTerminal.__init__(
            self, SimulatedConfig(**{"seed": 7, **settings}), clock=lambda: START + bench.now
        )
        self.calls = []
        self.slow = set()
        self._waiting = []


class Bench:
    """A desk, and what a test does with it.

    Args:
        folder: Where policy and journal are.
        policy: The policy file's text.
        settings: Of the terminal.
    """

    def __init__(self, folder: Path, policy: str = "", **settings: Any) -> None:
        self.now = 100.0
        self.folder = folder
        self.path = folder / "limits.toml"
        self.path.write_text(policy)
        self.path.chmod(0o600)
        self.journal = folder / "journal.db"
        self.terminal = self.terminal_for(settings)
        self.desk = self._open()
        self._keys = 0

    def terminal_for(self, settings: dict[str, Any]) -> Terminal:
        return Terminal(self, settings)

    def _open(self) -> Desk:
        desk = Desk(self.terminal, self._journal, clock=self.utc, policy=PolicyFile(self.path))
        desk.pass_time(self.now)
        return desk

    def _journal(self, account: str) -> Journal:
        return Journal(self.journal, account, self.utc)

    def utc(self) -> int:
        return int((START + self.now) * 1e9)

    def restart(self) -> None:
        """Start the gateway again: the same terminal and journal, nothing else left."""
        self.desk.close()
        self.desk = self._open()

    def close(self) -> None:
        self.desk.close()

    @property
    def sent(self) -> int:
        """How many orders have reached the terminal."""
        return self.terminal.calls.count("order_send")

    def begin(self, name: str, *args: Any, by: str = "tim", key: str = "", role: Role = Role.ADMIN) -> Any:
        """Ask for an operation; return its answer, or where it will be."""
        op = OPERATIONS[name]
        caller = Caller(by, by, key, inf, self.now, PERMITS[role])
        wire = op.accept(op.signature.bind(name, args, {}))
        if name not in self.desk.operations.OWN:
            return self.terminal.call(op, wire)
        try:
            answer = self.desk.operations.carry_out(op, wire, caller)
        except BridgeError as error:
            return Unasked(op, error)
        self.flush()
        return answer

    def flush(self) -> None:
        """Carry orders on."""
        while self.desk.orders.is_waiting:
            self.desk.orders.flush(self.now)

    def ask(self, name: str, *args: Any, **options: Any) -> Any:
        """Ask for an operation; return its value.

        Raises:
            BridgeError: It was refused.
        """
        return value_of(self.begin(name, *args, **options))

    def order(self, request: dict[str, Any], by: str = "tim", key: str = "") -> int:
        """Send an order; return its ticket.

        Raises:
            BridgeError: It was refused.
        """
        result = self.ask("order_send", request, by=by, key=key)
        assert result[0] in {c.TRADE_RETCODE_DONE, c.TRADE_RETCODE_PLACED}, result
        return int(result[2])

    def refusal(self, request: dict[str, Any], by: str = "tim", key: str = "") -> str:
        """Send an order that must be refused; return why. It must not have reached the terminal."""
        before = self.sent
        answer = self.begin("order_send", request, by=by, key=key)
        if isinstance(answer, Deferred):
            assert answer.result is not None, "it waits"
            answer = answer.result
        assert isinstance(answer, Unasked), answer
        assert self.sent == before
        return f"{answer.failure.code}: {answer.failure.message}"

    def pass_time(self, seconds: float, step: float = 0.25) -> None:
        """Let time pass."""
        for _ in range(round(seconds / step)):
            self.now += step
            self.terminal.advance()
            self.desk.pass_time(self.now)
            self.flush()

    def quote(self, symbol: str) -> Any:
        return self.terminal.carry_out(OPERATIONS["symbol_info"], [symbol]).value

    def positions(self) -> Any:
        return list(self.terminal.carry_out(OPERATIONS["positions_get"], [None, None, None]).value)

    def orders(self) -> Any:
        return list(self.terminal.carry_out(OPERATIONS["orders_get"], [None, None, None]).value)

    def write(self, policy: str) -> None:
        """Change the policy file, and wait until it was looked at."""
        self.path.write_text(policy)
        self.pass_time(3.0)


def value_of(answer: Any) -> Any:
    if isinstance(answer, Deferred):
        assert answer.result is not None, "it waits"
        answer = answer.result
    if isinstance(answer, Unasked):
        raise answer.failure
    assert isinstance(answer, Result)
    return answer.value


def buy(volume: float = 0.1, symbol: str = "EURUSD", **fields: Any) -> dict[str, Any]:
    return {"action": 1, "symbol": symbol, "volume": volume, "type": 0, "type_filling": 1, **fields}


def sell(volume: float = 0.1, symbol: str = "EURUSD", **fields: Any) -> dict[str, Any]:
    return buy(volume, symbol, **{"type": 1, **fields})


def pending(volume: float, price: float, kind: int = 2, **fields: Any) -> dict[str, Any]:
    request = {"action": 5, "symbol": "EURUSD", "volume": volume, "type": kind, "price": price}
    return {**request, "type_filling": 2, **fields}

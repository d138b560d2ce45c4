"""The machines of a chaos run: an account of record that is never harmed, and a gateway that is."""

import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from tests.adversity.kills import Fuse
from tests.processes import Gateway

ACCOUNT = (
    *("--deposit", "1000000000", "--leverage", "500", "--margin-mode", "hedging"),
    *("--set", "limit_orders=0"),
)
"""Rich enough that no order is refused for want of money."""
FAULTS = {
    "requote": "", "reject": "", "partial": ",share=0.5", "slow": ",seconds=0.2", "late": ",seconds=0.3",
    "lose": "", "wedge": "",
}  # fmt: skip
"""What goes wrong at the account of record itself, with more options of each."""
SILENT = frozenset({"lose", "wedge"})
"""Those that are never answered: each costs a worker, and its limit of time."""
LIMIT, ANSWER = 0.5, 3.0
"""Seconds that the trade worker may take for an order, and that its own client would wait for the answer."""
RESTARTS = 200
"""After so many the gateway under test is given up."""


def faults(chance: float) -> list[str]:
    """Return options for the account of record: each fault with this chance, slow ones less often."""
    chances = {kind: chance / 5 if kind in SILENT else chance for kind in FAULTS}
    return [
        option
        for kind, more in FAULTS.items()
        for option in ("--fault", f"{kind}:times=0,chance={chances[kind]:g}{more}")
    ]


class GatewayUnderTest:
    """A gateway with a journal on the account of record; whenever it dies it is started again.

    Args:
        folder: Where its journal and its log go.
        record: The account of record.
        fuse: Ends it and its workers.
        seed: See `Fuse.environment`.
        mutant: See `Fuse.environment`.
        options: More options of the command.
    """

    def __init__(
        self,
        folder: Path,
        record: Gateway,
        fuse: Fuse,
        *,
        seed: int = 0,
        mutant: str = "",
        options: Sequence[str] = (),
    ) -> None:
        environment = {
            **fuse.environment(seed=seed, mutant=mutant),
            "MT5_HOST": "127.0.0.1",
            "MT5_PORT": str(record.port),
            "MT5_TIMEOUT": f"{ANSWER:g}",
        }
        self.gateway = Gateway(
            folder,
            [
                *("--terminal", "official", "--package", "mt5crs.MetaTrader5"),
                *("--trade-limit", f"{LIMIT:g}", "--journal", str(folder / "journal.sqlite"), *options),
            ],
            environment=environment,
        )
        self.port = self.gateway.port
        self.restarts = 0
        self.failure = ""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._supervise, name="supervisor", daemon=True)
        self._thread.start()

    def _supervise(self) -> None:
        while not self._stopping.is_set():
            self.gateway.process.wait()
            if self._stopping.is_set():
                return
            if self.restarts >= RESTARTS:
                self.failure = f"it was started {RESTARTS} times"
                return
            self.restarts += 1
            try:
                self.gateway.start()
            except RuntimeError as error:  # it may have been ended while it started: its next start counts
                self.failure = str(error)
                if self.gateway.process.poll() is None:
                    return
            else:
                self.failure = ""

    def cut_power(self) -> None:
        """End it, whatever it does; its workers end with it."""
        self.gateway.process.kill()

    def close(self) -> None:
        """Stop it for good."""
        self._stopping.set()
        self.gateway.end()
        self._thread.join(60.0)
        self.gateway.end()  # it may have been started just then

    def __enter__(self) -> "GatewayUnderTest":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

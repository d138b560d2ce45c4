"""Where attacks take place: a gateway with all that it has against them, or without one thing of it."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mt5crs import Client
from mt5crs.journal.store import Journal
from mt5crs.security.keys import ClientKeys, create_client, create_gateway
from mt5crs.security.policy import Role
from tests.adversity.security.defences import environment
from tests.adversity.security.peer import Peer
from tests.processes import Gateway

BUY: dict[str, Any] = {"action": 1, "symbol": "EURUSD", "volume": 0.1, "type": 0, "type_filling": 1}
SPEED = 20
"""How much faster than by the clock its market goes."""
POLICY = """
[addresses]
allow = ["127.0.0.1", "127.0.0.2", "127.0.0.4"]
deny = ["127.0.0.2"]

[account]
max_order_volume = 2

[keys.secret]
max_order_volume = 1

[keys.mortal]
dead_man = 1
"""


class State(NamedTuple):
    """What is left of trading: at the terminal, and in the journal."""

    balance: float
    positions: Any
    orders: Any
    deals: int
    intents: int


class Scene:
    """A gateway with keys, a journal and a policy.

    Args:
        folder: Where its files go.
        without: Names of `DEFENCES` that it does without.
        options: More options of the command.
        keeps_account: Whether the account is kept in a file, for when the gateway is started again.

    Attributes:
        gateway: The gateway.
        keys: Its folder of keys.
        policy: Its policy.
        journal: Its journal.
        has_curve: Whether clients need keys.
    """

    def __init__(
        self, folder: Path, *without: str, options: Sequence[str] = (), keeps_account: bool = True
    ) -> None:
        self.folder = folder
        self.keys, self.policy, self.journal = folder / "keys", folder / "policy.toml", folder / "journal.db"
        self.has_curve = "curve" not in without
        self.policy.write_text(POLICY)
        create_gateway(self.keys)
        for name, role in (("owner", Role.ADMIN), ("mortal", Role.TRADER)):
            self.key_file(role, name)
        self.gateway = Gateway(
            folder,
            [
                *("--keys", str(self.keys), "--journal", str(self.journal), "--policy", str(self.policy)),
                *(("--state", str(folder / "account.state")) if keeps_account else ()),
                *("--speed", str(SPEED), *options),
            ],
            environment=environment(*without) if without else None,
        )
        self.before = self.state()

    def key_file(self, role: Role, name: str = "") -> Path:
        """Return the key file of a new client."""
        name = name or f"{role.value}-{os.urandom(4).hex()}"
        return create_client(self.keys, name, role, self.folder / f"{name}.key")

    def known(self, name: str) -> ClientKeys:
        """Return the keys of a client."""
        return ClientKeys.load(self.folder / f"{name}.key")

    def client(self, keys: Path, timeout: float = 10.0) -> Client:
        """Return a client."""
        return self.gateway.client(keys=keys if self.has_curve else None, timeout=timeout)

    def owner(self) -> Client:
        """Return an honest client, of an admin."""
        return self.client(self.folder / "owner.key")

    def peer(self, keys: Path, **options: Any) -> Peer:
        """Return a raw connection."""
        return Peer(self.gateway.port, keys if self.has_curve else None, **options)

    def state(self) -> State:
        """Return what an honest client sees, and what is in the journal."""
        with self.owner() as honest:
            account, positions = honest.account_info(), honest.positions_get() or ()
            orders, deals = honest.orders_get(), honest.history_deals_total(0, 2**32 - 1)
        assert account is not None
        assert deals is not None
        reader = Journal(self.journal, "", writes=False)
        intents = sum(event.step == "begin" for event in reader.events())
        reader.close()
        held = [(each.ticket, each.volume, each.sl, each.tp) for each in positions]
        return State(account.balance, held, orders, deals, intents)

    def mark(self) -> None:
        """From here on nothing may change; what comes before is the honest part of an attack."""
        self.before = self.state()

    def end(self) -> None:
        """End the gateway."""
        self.gateway.end()

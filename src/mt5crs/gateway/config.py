"""A gateway's configuration: frozen, checked, and safe by default."""

import ipaddress
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from mt5crs.errors import SettingError
from mt5crs.gateway.drain import LIMIT, LONGEST
from mt5crs.gateway.policyfile import PolicyFile
from mt5crs.gateway.recovery import HORIZON
from mt5crs.journal.store import Journal
from mt5crs.security.keys import GatewayKeys
from mt5crs.trades.record import TradeFile

if TYPE_CHECKING:
    from mt5crs.security.signing import Signer


class GatewayConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where a gateway listens, and for whom.

    Attributes:
        host: Address to bind, a numeric one or `localhost`.
        port: Command port; 0 picks a free one.
        stream_port: Stream port; 0 picks a free one.
        keys: The gateway's folder of keys; without it there is no authentication.
        insecure: Allow an address beyond this machine without keys.
        ready_file: Written when the gateway listens, removed when it stops.
        journal: The file that keeps every order and its outcome; in memory without it.
        horizon: Seconds in doubt after which an order without a trace was not carried out.
        policy: The file that says what orders may do; without it there are no limits.
        drain: Seconds that a stopping gateway takes at most to finish what it has in hand.
        stream_queue: Messages that wait for one slow subscriber at most, each up to `BATCH_ROWS` rows: 32 MB.
    """

    host: str = "127.0.0.1"
    port: int = 5555
    stream_port: int = 5556
    keys: Path | None = None
    insecure: bool = False
    ready_file: Path | None = None
    journal: Path | None = None
    horizon: float = HORIZON
    policy: Path | None = None
    drain: float = LIMIT
    stream_queue: int = 512

    def open_keys(self) -> GatewayKeys | None:
        """Read the keys, None without; may ask for their passphrase.

        Raises:
            KeyFileError: They cannot be used.
        """
        return None if self.keys is None else GatewayKeys.load(self.keys)

    def open_policy(self) -> PolicyFile:
        """Read the policy.

        Raises:
            SettingError: It cannot be used.
        """
        return PolicyFile(self.policy)

    def open_journal(self, signer: "Signer | None", account: str) -> Journal:
        """Open the journal of an account (`login@server`).

        Args:
            signer: Signs its checkpoints, on a gateway with keys.
            account: The account.

        Raises:
            SettingError: Another gateway uses it, or it is not a journal.
            JournalUnusable: It cannot be used for now.
        """
        if signer is None:
            return Journal(self.journal, account)
        return Journal(self.journal, account, sign=signer.sign, public=signer.public)

    def open_record(self, account: str) -> TradeFile:
        """Open the record of an account's trade events, a file beside the journal: `JOURNAL.LOGIN.trades`.

        Raises:
            SettingError: Another gateway uses it, it is another account's, or it is no such record.
            RecordUnusable: It cannot be used for now.
        """
        if self.journal is None:
            return TradeFile(None, account)
        login = account.partition("@")[0]  # a journal may be that of several accounts
        return TradeFile(self.journal.with_name(f"{self.journal.name}.{login}.trades"), account)

    def check(self) -> None:
        """Refuse what cannot work and what is not safe.

        Raises:
            SettingError: With the setting and what would be right.
        """
        for name, port in (("port", self.port), ("stream port", self.stream_port)):
            if not 0 <= port <= 65535:
                raise SettingError(f"{name} {port}", hint="a port is a number from 0 (any free one) to 65535")
        if self.port == self.stream_port != 0:
            raise SettingError(f"port and stream port are both {self.port}", hint="give them different ports")
        if not 0 < self.horizon < inf:
            raise SettingError(f"horizon {self.horizon:g}", hint="a number of seconds above 0")
        if not 0 <= self.drain <= LONGEST:
            raise SettingError(
                f"drain {self.drain:g}", hint=f"seconds, at most {LONGEST:g}; 0 to end at once"
            )
        if self.stream_queue < 1:
            raise SettingError(f"stream queue {self.stream_queue}", hint="a number of messages from 1")
        if self.keys is None and not self.insecure and not self.is_loopback:
            raise SettingError(
                f"{self.host} can be reached from other machines, and there are no keys",
                hint="make keys with `mt5crs keys init`, or bind 127.0.0.1, "
                "or say --insecure if anybody in that network may trade",
            )

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can connect.

        Raises:
            SettingError: The host is not an address to bind.
        """
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError as error:
            raise SettingError(
                f"host {self.host!r}", hint="bind a numeric address such as 127.0.0.1 or 0.0.0.0"
            ) from error

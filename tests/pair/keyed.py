"""The bridge with keys: real key files, real signatures, a real key ring; in memory all the same."""

import os
from pathlib import Path
from typing import Any

from mt5crs.client.proofs import RequestSigner
from mt5crs.gateway.access import Access
from mt5crs.gateway.desk import Desk
from mt5crs.gateway.dispatch import Dispatch
from mt5crs.journal.store import Journal
from mt5crs.security.keys import ClientKeys, GatewayKeys, create_client, create_gateway
from mt5crs.security.policy import Principal, Role
from mt5crs.wire.codec import to_gateway
from mt5crs.wire.messages import Signed
from mt5crs.wire.session import Session
from tests.pair.bridge import Bridge


class KeyedBridge(Bridge):
    """One connection of the trader `tim` to a gateway with keys; `eve` observes, `ada` is an admin.

    Attributes:
        keys: The gateway's keys.
        folder: Their folder, with the clients' key files in it.
        skew: Seconds that the client's time of day is ahead.
    """

    def __init__(self, folder: Path, journal: Path | None = None) -> None:
        self.folder = folder
        create_gateway(folder)
        for name, role in (("tim", Role.TRADER), ("eve", Role.OBSERVER), ("ada", Role.ADMIN)):
            create_client(folder, name, role, folder / f"{name}.key")
        self.keys = GatewayKeys.load(folder)
        self.skew = 0.0
        self.who = "tim"
        super().__init__(self.principal_of("tim"), journal)

    def client_keys(self, name: str) -> ClientKeys:
        """Return the keys in a client's file."""
        return ClientKeys.load(self.folder / f"{name}.key")

    def principal_of(self, name: str) -> Principal:
        """Return who the transport says that a client is."""
        return self.keys.ring.by_id[self.client_keys(name).key_id]

    def be(self, name: str) -> None:
        """Let another client have a connection of its own."""
        self.who, self.principal = name, self.principal_of(name)
        self.peer = f"{name}-{self.dispatch.epoch}".encode()
        self.session = self.connect()

    def connect(self) -> Session:
        return Session(
            client="me",
            software="test",
            where="gtw:5555",
            watches=self.watches,
            pins=self.pins,
            sign=RequestSigner(self.client_keys(self.who), self.signing_time),
        )

    def open_journal(self, account: str) -> Journal:
        signer = self.keys.signer
        return Journal(self._journal, account, self.utc, sign=signer.sign, public=signer.public)

    def signing_time(self) -> int:
        """Return the time of day on the client's clock, in nanoseconds."""
        return self.utc() + int(self.skew * 1e9)

    def dispatched(self, desk: Desk) -> Dispatch:
        access = Access(self.keys.ring, admits_all)
        return Dispatch(
            self.terminal, stream_port=5556, desk=desk, access=access, gateway=self.keys.signer.public
        )

    def ask(self, name: str, *args: Any, timeout: float = 5.0, key: str = "", **kwargs: Any) -> int:
        return super().ask(name, *args, timeout=timeout, key=key or os.urandom(8).hex(), **kwargs)

    def signed(self, name: str, *args: object, key: str = "") -> bytes:
        """Return the frame of a signed request; nothing has moved yet but the greeting."""
        self.call("version")
        self.ask(name, *args, key=key)
        (frame,) = self.depart()
        assert isinstance(to_gateway(frame), Signed)
        return frame


def admits_all(_address: str) -> bool:
    return True

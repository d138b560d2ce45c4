"""What a client with keys proves and keeps: its signature on what it asks, and where the journal ended."""

import os
import time
from collections.abc import Callable
from pathlib import Path

from msgspec.msgpack import Encoder

from mt5crs.errors import SettingError
from mt5crs.heads import Head, HeadFile
from mt5crs.security.keys import ClientKeys
from mt5crs.statement import FORM, NONCE, Statement
from mt5crs.wire.messages import Ask
from mt5crs.wire.pins import Pins

_encode = Encoder().encode


class RequestSigner:
    """Signs requests with a client's key, for the gateway that the key's file names.

    Args:
        keys: The client's keys.
        clock: Nanoseconds since the epoch, UTC.
    """

    def __init__(self, keys: ClientKeys, clock: Callable[[], int] = time.time_ns) -> None:
        self._gateway = keys.gateway_signing
        self._key_id = keys.key_id
        self._sign = keys.signer.sign
        self._clock = clock

    def __call__(self, ask: Ask, account: str) -> bytes:
        """Return the signature and, behind it, the statement that is signed.

        Args:
            ask: The request.
            account: The account that it is for, as `login@server`.
        """
        return self._sign(
            _encode(
                Statement(
                    FORM,
                    self._gateway,
                    account,
                    self._key_id,
                    os.urandom(NONCE),
                    self._clock() // 1_000_000,
                    ask.id,
                    ask.op,
                    ask.args,
                    ask.deadline,
                    ask.epoch,
                    ask.key,
                )
            )
        )


class KeptHeads:
    """Where journals end, kept in a file beside the keys.

    Args:
        keys: The client's key file; the other one is named as it is, with `.heads` behind.

    Attributes:
        pins: Pins that know what is kept there, and keep what comes.
    """

    def __init__(self, keys: Path) -> None:
        self._file = HeadFile(keys.with_name(f"{keys.name}.heads"))
        self.pins = Pins(self._known(), self._keep, str(self._file.path))

    def _known(self) -> dict[str, tuple[int, bytes]]:
        known: dict[str, tuple[int, bytes]] = {}
        try:
            for head in self._file.heads().heads:
                if head.events >= known.get(head.journal, (0, b""))[0]:
                    known[head.journal] = head.events, head.link
        except SettingError:  # none yet, or one that cannot be written either, which is logged
            pass
        return known

    def _keep(self, journal: str, events: int, link: bytes) -> None:
        self._file.keep(Head(journal, events, link))

    def close(self) -> None:
        """Let the file go until another head comes."""
        self._file.close()

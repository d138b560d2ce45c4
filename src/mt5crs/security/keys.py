"""The keys of a gateway and of its clients: use them, make them, replace them, end them.

`folder.py` says what is in a gateway's folder, `keyfiles.py` what is in each file. A client's file is moved
to the client out of band.
"""

import os
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import zmq
from msgspec.structs import replace

from mt5crs import private
from mt5crs.principals import OWN
from mt5crs.security import folder as folders
from mt5crs.security.keyfiles import (
    ClientEntry,
    ClientFile,
    EntryKey,
    GatewayFile,
    KeyFileError,
    check_streams,
    decode,
    encode,
    key_id,
    raw,
    read_private,
    text,
)
from mt5crs.security.pair import Pair
from mt5crs.security.policy import Role
from mt5crs.security.ring import KeyRing

WINDOW = 86_400.0
"""Seconds for which a key that is replaced stays valid."""
LONGEST_WINDOW = 366 * WINDOW
RESERVED = OWN | {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))}
"""Names of the gateway's own, and those that no file can have on Windows."""
FOR_GOOD = "that is for good: make another client, with another name"


class ClientKeys(Pair):
    """What a client needs to connect and to sign.

    Attributes:
        name: The client's name.
        role: What the key is for.
        key_id: Which of the client's keys it is.
        public: Its CURVE public key, Z85.
        secret: Its CURVE secret key, Z85.
        gateway: The gateway's CURVE public key, Z85.
        gateway_signing: The gateway's public signing key, 32 bytes.
    """

    __slots__ = ("gateway", "gateway_signing", "key_id", "name", "role")

    def __init__(self, path: Path, file: ClientFile) -> None:
        super().__init__(path, file)
        self.name = file.name
        self.role = file.role
        self.key_id = file.key_id
        self.gateway = file.gateway.encode()
        self.gateway_signing = raw(file.gateway_signing)

    def __repr__(self) -> str:
        return f"<keys of {self.name} ({self.role.value}), {self.key_id}>"

    @classmethod
    def load(cls, path: Path) -> "ClientKeys":
        """Read a client's key file; may ask for its passphrase, which takes a while to check.

        Raises:
            KeyFileError: It is missing, damaged, readable by others, or its passphrase is missing or wrong.
        """
        return cls(path, decode(path, read_private(path), ClientFile))


class GatewayKeys(Pair):
    """A gateway's own keys, and the clients that it knows.

    Attributes:
        public: Its CURVE public key, Z85.
        secret: Its CURVE secret key, Z85.
        ring: The clients.
    """

    __slots__ = ("ring",)

    def __init__(self, path: Path, file: GatewayFile, ring: KeyRing) -> None:
        super().__init__(path, file)
        self.ring = ring

    def __repr__(self) -> str:
        return f"<gateway keys with {self.ring}>"

    @classmethod
    def load(cls, folder: Path) -> "GatewayKeys":
        """Read a gateway's folder of keys; may ask for its passphrase.

        Raises:
            KeyFileError: A file is missing, damaged, open to others, or its passphrase is missing or wrong.
        """
        path = folder / folders.GATEWAY
        file = decode(path, read_private(path), GatewayFile)
        ring = KeyRing(folder)
        ring.check()
        return cls(path, file, ring)


# ---- making ----


def create_gateway(folder: Path, *, passphrase: str = "") -> Path:
    """Create a gateway's folder and its keys; return the private file.

    Args:
        folder: The folder; one that is there is used as it is.
        passphrase: What the secrets are encrypted with; they are not, without it.

    Raises:
        KeyFileError: There is one already, or it cannot be made.
    """
    path = folder / folders.GATEWAY
    try:
        for each in (folder, folder / folders.CLIENTS):
            private.make_folder(each)
        with folders.locked(folder):
            with suppress(FileExistsError):  # what an attempt before this one left
                private.create(folder / folders.CHANGES, b"")
            folders.check(folder)
            own = _new_keys(passphrase)
            _create(path, encode(GatewayFile(**own)))
            _note(folder, "init", "gateway", [key_id(own["public"], own["signing"])])
    except OSError as error:
        raise KeyFileError(f"{folder} cannot be made: {error.strerror or error}") from None
    return path


def create_client(
    folder: Path,
    name: str,
    role: Role,
    target: Path,
    *,
    streams: tuple[str, ...] = (),
    passphrase: str = "",
) -> Path:
    """Create a client's key file and enter the client in the gateway's folder.

    Args:
        folder: The gateway's folder.
        name: The client's name: letters, digits, `-` and `_`.
        role: What the client may do.
        target: The client's file, to be moved to the client.
        streams: The private streams that it is granted.
        passphrase: What the secrets in the client's file are encrypted with; they are not, without it.

    Raises:
        KeyFileError: The name is taken or cannot be one, or the folder is not a gateway's.
    """
    _check_name(name)
    try:
        check_streams(streams)
    except ValueError as error:
        raise KeyFileError(str(error)) from None
    with folders.locked(folder):
        path = folders.entry_path(folder, name)
        if os.path.lexists(path):
            raise KeyFileError(f"{path} is there already", hint=_taken(path, name))
        file, key = _new_client(folder, name, role, passphrase)
        entry = ClientEntry(name, role, tuple(sorted(set(streams))), (key,))
        _hand_out(folder, target, file, entry, "new")
    return target


def rotate_client(
    folder: Path,
    name: str,
    target: Path | None = None,
    *,
    window: float = WINDOW,
    passphrase: str = "",
) -> Path:
    """Create another key file for a client; the keys that it had end after a while.

    Args:
        folder: The gateway's folder.
        name: The client's name.
        target: The new file; NAME-KEYID.key without it.
        window: Seconds until the others end, 0 for at once.
        passphrase: What the secrets in the new file are encrypted with; they are not, without it.

    Returns:
        The new file.

    Raises:
        KeyFileError: There is no such client, or it was revoked.
    """
    if not 0 <= window <= LONGEST_WINDOW:
        raise KeyFileError(f"a window of {window:g} s", hint="a key that is replaced ends within a year")
    with folders.locked(folder):
        entry = known_client(folder, name)
        if all(key.revoked for key in entry.keys):
            raise KeyFileError(f"{name} was revoked", hint=FOR_GOOD)
        file, key = _new_client(folder, name, entry.role, passphrase)
        ends = key.made + timedelta(seconds=window)
        former = tuple(
            each if each.revoked or (each.until and each.until <= ends) else replace(each, until=ends)
            for each in entry.keys
        )
        target = target or Path(f"{name}-{key.id}.key")
        _hand_out(folder, target, file, replace(entry, keys=(*former, key)), "rotate")
    return target


def revoke_client(folder: Path, name: str, key_id: str | None = None) -> list[str]:
    """Revoke all keys of a client or one of them, for good; return the ids of those that were not yet.

    Raises:
        KeyFileError: There is no such client or no such key.
    """
    with folders.locked(folder):
        entry = known_client(folder, name)
        if key_id is not None and key_id not in {key.id for key in entry.keys}:
            raise KeyFileError(
                f"{name} has no key {key_id}", hint=f"`mt5crs keys show {name}` lists its keys"
            )
        now = _now()
        doomed = [key.id for key in entry.keys if key.revoked is None and key_id in {None, key.id}]
        keys = tuple(replace(key, revoked=now) if key.id in doomed else key for key in entry.keys)
        if doomed:
            path = folders.entry_path(folder, name)
            try:
                private.replace(path, encode(replace(entry, keys=keys)))
            except OSError as error:
                raise KeyFileError(f"{path} cannot be written: {error.strerror or error}") from None
            _note(folder, "revoke", name, doomed)
    return doomed


def known_client(folder: Path, name: str) -> ClientEntry:
    """Return what a gateway knows of a client.

    Raises:
        KeyFileError: It knows none of that name, or its entry cannot be read.
    """
    _check_name(name)
    path = folders.entry_path(folder, name)
    if not os.path.lexists(path):
        raise KeyFileError(f"{folder} has no client {name}", hint="`mt5crs keys list` lists them")
    return folders.read_entry(path)


def _check_name(name: str) -> None:
    if not name.replace("-", "").replace("_", "").isalnum() or len(name) > 64 or name.lower() in RESERVED:
        raise KeyFileError(f"{name!r} cannot name a client", hint="use up to 64 letters, digits, - and _")


def _taken(path: Path, name: str) -> str:
    """Return what to do where a name is taken."""
    if all(key.revoked for key in folders.read_entry(path).keys):
        return f"{name} was revoked, {FOR_GOOD}"
    return f"`mt5crs keys rotate {name}` makes it another key"


def _new_keys(passphrase: str) -> dict[str, Any]:
    """Return the fields of `Own` for new keys."""
    from mt5crs.security.signing import SEED, Signer

    public, secret = (key.decode() for key in zmq.curve_keypair())
    seed = os.urandom(SEED)
    keys: dict[str, Any] = {"public": public, "signing": text(Signer(seed).public)}
    if not passphrase:
        return keys | {"secret": secret, "seed": text(seed)}
    from mt5crs.security.sealing import seal

    return keys | {"sealed": seal(passphrase, raw(secret), seed)}


def _new_client(folder: Path, name: str, role: Role, passphrase: str) -> tuple[ClientFile, EntryKey]:
    """Return a client's file with new keys, and what the gateway is to know of them."""
    path = folder / folders.GATEWAY
    gateway = decode(path, read_private(path), GatewayFile)
    own = _new_keys(passphrase)
    public, signing = own["public"], own["signing"]
    file = ClientFile(
        **own,
        name=name,
        role=role,
        key_id=key_id(public, signing),
        gateway=gateway.public,
        gateway_signing=gateway.signing,
    )
    return file, EntryKey(file.key_id, public, signing, _now(), sealed=bool(passphrase))


def _hand_out(folder: Path, target: Path, file: ClientFile, entry: ClientEntry, what: str) -> None:
    """Create a client's file, then let the gateway know it: not one without the other."""
    path = folders.entry_path(folder, entry.name)
    _create(target, encode(file))
    try:
        private.replace(path, encode(entry))
    except BaseException as error:
        target.unlink()
        if isinstance(error, OSError):
            raise KeyFileError(f"{path} cannot be written: {error.strerror or error}") from None
        raise
    _note(folder, what, entry.name, [file.key_id])


def _create(path: Path, content: bytes) -> None:
    try:
        private.create(path, content)
    except FileExistsError:
        raise KeyFileError(f"{path} is there already", hint="keys are never overwritten") from None
    except OSError as error:
        raise KeyFileError(f"{path} cannot be written: {error.strerror or error}") from None


def _note(folder: Path, what: str, name: str, ids: Iterable[str]) -> None:
    try:
        for each in ids:
            folders.note(folder, _now(), what, name, each)
    except OSError as error:
        raise KeyFileError(
            f"it was done, but not written to {folder / folders.CHANGES}: {error.strerror or error}",
            hint="a gateway that runs takes it within a second",
        ) from None


def _now() -> datetime:
    return datetime.now(timezone.utc).replace(microsecond=0)

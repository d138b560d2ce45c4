"""Key files: the gateway's folder of keys, and the one small file that each client is given.

A gateway's folder holds `gateway.json` (its CURVE key pair, private) and `clients/NAME.json` for each
client (public key and role). A client's file holds the client's own key pair and the gateway's public key,
and is moved to the client out of band. Whatever holds a secret is created with mode 0600, and is refused
when others can read it.
"""

import os
import stat
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
import zmq

from mt5crs.errors import SettingError
from mt5crs.security.policy import Principal, Role

F = TypeVar("F", bound=msgspec.Struct)


class KeyFileError(SettingError):
    """A key file is missing, damaged or not private."""

    code = "key-file"


Key = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-zA-Z.:+=^!/*?&<>()\[\]{}@%$#-]{40}$")]
"""A CURVE key as text: 40 characters of Z85."""


class _GatewayFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    public: Key
    secret: Key

    def __repr__(self) -> str:
        return f"<gateway key {self.public}>"


class _ClientEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    role: Role
    public: Key


class _ClientFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    role: Role
    public: Key
    secret: Key
    gateway: Key

    def __repr__(self) -> str:
        return f"<client key {self.name} {self.public}>"


class ClientKeys:
    """What a client needs to connect: its CURVE key pair and the gateway's public key (Z85 bytes)."""

    def __init__(self, name: str, role: Role, public: bytes, secret: bytes, gateway: bytes) -> None:
        self.name = name
        self.role = role
        self.public = public
        self.secret = secret
        self.gateway = gateway

    def __repr__(self) -> str:
        return f"<keys of {self.name} ({self.role.value})>"

    @classmethod
    def load(cls, path: Path) -> "ClientKeys":
        """Read a client's key file.

        Raises:
            KeyFileError: It is missing, damaged or readable by others.
        """
        file = _read_private(path, _ClientFile)
        return cls(file.name, file.role, file.public.encode(), file.secret.encode(), file.gateway.encode())


class GatewayKeys:
    """A gateway's own key pair and the clients that it knows, by their public keys (Z85 bytes)."""

    def __init__(self, public: bytes, secret: bytes, clients: dict[bytes, Principal]) -> None:
        self.public = public
        self.secret = secret
        self.clients = clients

    def __repr__(self) -> str:
        return f"<gateway keys with {len(self.clients)} clients>"

    @classmethod
    def load(cls, folder: Path) -> "GatewayKeys":
        """Read a gateway's folder of keys.

        Raises:
            KeyFileError: A file is missing, damaged or readable by others.
        """
        own = _read_private(folder / "gateway.json", _GatewayFile)
        clients: dict[bytes, Principal] = {}
        for path in sorted((folder / "clients").glob("*.json")):
            entry = _read_entry(path)
            if entry.public.encode() in clients:
                raise KeyFileError(f"{path} has the key of another client", hint="remove one of the two")
            clients[entry.public.encode()] = Principal(entry.name, entry.role)
        return cls(own.public.encode(), own.secret.encode(), clients)


def create_gateway(folder: Path) -> Path:
    """Create a gateway's folder and key pair; return the private file.

    Raises:
        KeyFileError: There is one already.
    """
    public, secret = zmq.curve_keypair()
    for private in (folder, folder / "clients"):
        private.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / "gateway.json"
    _write_new(path, _GatewayFile(public.decode(), secret.decode()))
    return path


def create_client(folder: Path, name: str, role: Role, target: Path) -> Path:
    """Create a client's key file and enter the client in the gateway's folder.

    Args:
        folder: The gateway's folder.
        name: The client's name: letters, digits, `-` and `_`.
        role: What the client may do.
        target: The client's file, to be moved to the client.

    Raises:
        KeyFileError: The name is taken or cannot be one, or the folder is not a gateway's.
    """
    if not name or not name.replace("-", "").replace("_", "").isalnum() or len(name) > 64:
        raise KeyFileError(f"{name!r} cannot name a client", hint="use up to 64 letters, digits, - and _")
    gateway = _read_private(folder / "gateway.json", _GatewayFile)
    public, secret = (key.decode() for key in zmq.curve_keypair())
    _write_new(target, _ClientFile(name, role, public, secret, gateway.public))
    try:
        _write_new(folder / "clients" / f"{name}.json", _ClientEntry(name, role, public))
    except KeyFileError:
        target.unlink()
        raise
    return target


def _read_entry(path: Path) -> _ClientEntry:
    """Read a client's entry; its name is the file's, so that no two keys can share a name and a role."""
    try:
        entry = _decode(path, path.read_bytes(), _ClientEntry)
    except OSError as error:
        raise KeyFileError(f"{path} cannot be read: {error.strerror}") from error
    if entry.name != path.stem:
        raise KeyFileError(f"{path} is the entry of {entry.name!r}", hint="an entry has its client's name")
    return entry


def _write_new(path: Path, content: msgspec.Struct) -> None:
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY
    try:
        with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(content)) + b"\n")
    except FileExistsError as error:
        raise KeyFileError(f"{path} is there already", hint="keys are never overwritten") from error
    except OSError as error:
        raise KeyFileError(f"{path} cannot be written: {error.strerror}") from error


def _read_private(path: Path, kind: type[F]) -> F:
    try:
        with path.open("rb") as file:
            if os.name == "posix" and os.fstat(file.fileno()).st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise KeyFileError(f"{path} can be read by others", hint=f"chmod 600 {path}")
            return _decode(path, file.read(), kind)
    except OSError as error:
        raise KeyFileError(
            f"{path} cannot be read: {error.strerror}",
            hint="`mt5crs keys init` and `keys new` make key files",
        ) from error


def _decode(path: Path, content: bytes, kind: type[F]) -> F:
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise KeyFileError(f"{path} is not a key file of ours: {error}") from error

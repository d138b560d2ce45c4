"""What is in a key file: three forms, JSON, each with its name in the field `form`.

====================  ======================================  ==============================================
form                  file                                    what it holds
====================  ======================================  ==============================================
mt5crs-gateway-key-1  `gateway.json` in a gateway's folder    the gateway's own keys
mt5crs-client-key-1   the one file that a client is given     its own keys, and the gateway's public ones
mt5crs-client-entry-1 `clients/NAME.json` in that folder      what the gateway knows of a client
====================  ======================================  ==============================================

A key, and the seed that a signing key is made of, is 32 bytes as 40 characters of Z85. Secrets are there as
they are, or encrypted with a passphrase (`sealing.py`); never both. A file that is not exactly of its form is
refused.
"""

import struct
from datetime import datetime, timezone
from hashlib import sha256
from pathlib import Path
from typing import Annotated, TypeAlias, TypeVar

import msgspec
from zmq.utils import z85

from mt5crs import private
from mt5crs.errors import SettingError
from mt5crs.security.policy import PRIVATE, Role

HOW_TO_MAKE = "`mt5crs keys init` and `keys new` make key files"


class KeyFileError(SettingError):
    """A key file is missing, damaged, not private, or its passphrase is.

    Attributes:
        passes: Whether it may be gone the next time, though the file stays as it is.
    """

    code = "key-file"
    passes = False


Key = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-zA-Z.:+=^!/*?&<>()\[\]{}@%$#-]{40}$")]
"""A key as text: 40 characters of Z85."""
Moment = Annotated[datetime, msgspec.Meta(tz=True)]


def raw(key: Key) -> bytes:
    """Return the 32 bytes of a key.

    Raises:
        ValueError: It is not one: five of its characters are more than 32 bits.
    """
    try:
        return z85.decode(key)
    except struct.error:
        raise ValueError("what should be a key is none") from None


def text(key: bytes) -> Key:
    """Return 32 bytes as the text of a key."""
    return z85.encode(key).decode()


def key_id(public: Key, signing: Key) -> str:
    """Return the id of a pair of public keys, CURVE and Ed25519: 16 hexadecimal digits."""
    return sha256(public.encode() + raw(signing)).hexdigest()[:16]


class Sealed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Secrets that a passphrase encrypts: argon2id makes the key of a secretbox, both of libsodium.

    The bounds are there so that a file cannot make its reader take gigabytes or minutes.

    Attributes:
        passes: Passes of argon2id.
        memory: Bytes of memory that it takes.
        salt: Its salt.
        box: The box: nonce, tag, the CURVE secret key and the seed of the signing key.
    """

    passes: Annotated[int, msgspec.Meta(ge=1, le=8)]
    memory: Annotated[int, msgspec.Meta(ge=8192, le=256 * 1024 * 1024)]
    salt: Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]
    box: Annotated[bytes, msgspec.Meta(min_length=104, max_length=104)]


class Own(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """Whose key file it is: a pair of key pairs.

    Attributes:
        public: The CURVE public key.
        signing: The public signing key.
        secret: The CURVE secret key, unless it is sealed.
        seed: What the signing key is made of, unless it is sealed.
        sealed: The two, encrypted.
    """

    public: Key
    signing: Key
    secret: Key | None = None
    seed: Key | None = None
    sealed: Sealed | None = None

    def __post_init__(self) -> None:
        for key in (self.public, self.signing, self.secret, self.seed):
            if key is not None:
                raw(key)
        clear = self.secret is not None, self.seed is not None
        if clear != (self.sealed is None, self.sealed is None):
            raise ValueError("its secrets are not complete")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.public}>"


class GatewayFile(Own, frozen=True, forbid_unknown_fields=True, tag_field="form", tag="mt5crs-gateway-key-1"):
    """The gateway's own keys."""


class ClientFile(Own, frozen=True, forbid_unknown_fields=True, tag_field="form", tag="mt5crs-client-key-1"):
    """A client's keys, and the gateway's public ones, to which it holds.

    Attributes:
        name: The client's name.
        role: What the key is for.
        key_id: Which of the client's keys it is.
        gateway: The gateway's CURVE public key.
        gateway_signing: The gateway's public signing key.
    """

    name: str
    role: Role
    key_id: str
    gateway: Key
    gateway_signing: Key

    def __post_init__(self) -> None:
        super().__post_init__()
        for key in (self.gateway, self.gateway_signing):
            raw(key)
        if self.key_id != key_id(self.public, self.signing):
            raise ValueError("its key_id is not that of its keys")


class EntryKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One key of a client, as its gateway knows it.

    Attributes:
        id: Its id.
        public: The CURVE public key.
        signing: The public signing key.
        made: When it was made.
        until: When it ends, or ended; a key that was not replaced has no end.
        revoked: When it was revoked, which is for good.
        sealed: Whether the client's file was made with a passphrase; the next one will be, too.
    """

    id: str
    public: Key
    signing: Key
    made: Moment
    until: Moment | None = None
    revoked: Moment | None = None
    sealed: bool = False

    def __post_init__(self) -> None:
        raw(self.public)
        if self.id != key_id(self.public, self.signing):
            raise ValueError("the id of a key is not that of the key")

    def is_valid(self, now: float) -> bool:
        """Return whether it opens the gateway at a time."""
        return self.revoked is None and (self.until is None or now < self.until.timestamp())

    def state(self, now: float) -> str:
        """Return what is the matter with it, in words."""
        if self.revoked is not None:
            return f"revoked {stamp(self.revoked)}"
        if self.until is None:
            return "valid"
        return f"{'valid until' if self.is_valid(now) else 'ended'} {stamp(self.until)}"


class ClientEntry(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="form", tag="mt5crs-client-entry-1"
):
    """What a gateway knows of a client.

    Attributes:
        name: The client's name, which is also its file's.
        role: What it may do.
        streams: The private streams that it was granted.
        keys: Its keys, the oldest first.
    """

    name: str
    role: Role
    streams: tuple[str, ...]
    keys: tuple[EntryKey, ...]

    def __post_init__(self) -> None:
        check_streams(self.streams)
        for public in ([key.public for key in self.keys], [key.signing for key in self.keys]):
            if len(set(public)) < len(public):
                raise ValueError("it has a key twice")


File: TypeAlias = GatewayFile | ClientFile | ClientEntry
F = TypeVar("F", GatewayFile, ClientFile, ClientEntry)
WHAT = {
    GatewayFile: "a gateway's own key file",
    ClientFile: "a client's key file",
    ClientEntry: "a gateway's entry of a client",
}


def check_streams(streams: tuple[str, ...]) -> None:
    """Refuse streams that are no private ones.

    Raises:
        ValueError: One is not.
    """
    unknown = set(streams) - PRIVATE
    if unknown:
        raise ValueError(f"{min(unknown)!r} is no private stream; they are {', '.join(sorted(PRIVATE))}")


def stamp(moment: datetime) -> str:
    """Return a time as people and files have it: UTC, ISO 8601."""
    return f"{moment.astimezone(timezone.utc):%Y-%m-%dT%H:%M:%SZ}"


def encode(file: File) -> bytes:
    """Return the content of a file."""
    return msgspec.json.format(msgspec.json.encode(file)) + b"\n"


def decode(path: Path, content: bytes, kind: type[F]) -> F:
    """Return what is in a file.

    Raises:
        KeyFileError: It is not of that form.
    """
    file = decode_any(path, content)
    if not isinstance(file, kind):
        raise KeyFileError(
            f"{path} is not {WHAT[kind]} but {WHAT[type(file)]}",
            hint="MT5_KEYS names a client's file, `--keys` of a gateway its folder",
        )
    return file


def decode_any(path: Path, content: bytes) -> File:
    """Return what is in a file of any form.

    Raises:
        KeyFileError: It is of none.
    """
    try:
        file: File = msgspec.json.decode(content, type=File)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:  # the last: nested deeply
        # Not chained: the other error knows the content.
        raise KeyFileError(f"{path} is not a key file of ours: {error}", hint=HOW_TO_MAKE) from None
    return file


def read_private(path: Path) -> bytes:
    """Return the content of a key file that holds secrets.

    Raises:
        KeyFileError: It is missing, or others can read it.
    """
    try:
        return private.read(path)
    except private.NotPrivate as error:
        raise KeyFileError(f"{path} {error.strerror}", hint=error.hint) from None
    except OSError as error:
        raise KeyFileError(f"{path} cannot be read: {error.strerror or error}", hint=HOW_TO_MAKE) from None

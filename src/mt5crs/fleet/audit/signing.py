"""The key that audits are signed with: a private file, made when it is first needed."""

import os
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Struct

from mt5crs import private
from mt5crs.errors import SettingError
from mt5crs.fleet.audit.history import Repository, in_repository

NAME, PUBLIC = "audit.key", "audit.pub"
Digits = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]


class AuditKey(Struct, frozen=True, forbid_unknown_fields=True, tag_field="form", tag="mt5crs-audit-key-1"):
    """The key's file.

    Attributes:
        seed: What the key is made of; 32 bytes as 40 characters of Z85.
        public: The public key, in hexadecimal digits.
    """

    seed: str
    public: Digits

    def __repr__(self) -> str:
        return f"<audit key {self.public[:16]}>"


def seed(path: Path) -> bytes:
    """Return the seed of the key in a file, which is made if it is not there, with `.pub` beside it.

    Raises:
        SettingError: It cannot be read or made, is not private, or is no such key.
        GitError: Git cannot say whether it would take the key.
    """
    from mt5crs.security.keyfiles import raw

    try:
        if not path.exists():
            _make(path)
        key = msgspec.json.decode(private.read(path), type=AuditKey)
        return raw(key.seed)
    except SettingError:  # one is a ValueError
        raise
    except private.NotPrivate as error:
        raise SettingError(f"{path} {error.strerror}", hint=error.hint) from None
    except OSError as error:
        raise SettingError(f"{path}: {error.strerror or error}", hint="name another with --key") from None
    except (ValueError, UnicodeDecodeError, msgspec.MsgspecError):  # not chained: it knows the content
        raise SettingError(
            f"{path} is not a key of audits",
            hint="remove it to have one made, or name one with --key",
        ) from None


def prepare(path: Path) -> None:
    """Refuse to make a key where something else would be lost, or where git would take it.

    Raises:
        SettingError: It cannot be made there.
        GitError: Git cannot say whether it would take the key.
    """
    if path.exists():
        return
    beside = path.with_suffix(".pub")
    if os.path.lexists(beside):
        raise SettingError(
            f"{beside} is there, and no {path.name} that it would belong to: it is left as it is",
            hint="move it away, or name another key with --key",
        )
    folder = path.absolute().parent
    if folder.is_dir() and in_repository(folder) and not Repository(folder).ignores(path.name):
        raise SettingError(
            f"git would take {path}, a private key",
            hint=f"echo {path.name} >> {path.parent / '.gitignore'}, or name another place with --key",
        )


def public(path: Path) -> str:
    """Return the public key in a file, as 64 hexadecimal digits.

    Raises:
        SettingError: It cannot be read, or holds none.
    """
    try:
        found = path.read_text(encoding="ascii").split()[:1]
        return msgspec.convert("".join(found), Digits)
    except OSError as error:
        raise SettingError(f"{path} cannot be read: {error.strerror or error}") from None
    except (UnicodeDecodeError, msgspec.ValidationError):
        raise SettingError(f"{path} holds no public key of audits", hint="audit.pub of who audits") from None


def _make(path: Path) -> None:
    from mt5crs.security.keyfiles import text
    from mt5crs.security.signing import SEED, Signer

    prepare(path)
    fresh = os.urandom(SEED)
    own = AuditKey(text(fresh), Signer(fresh).public.hex())
    private.create(path, msgspec.json.encode(own) + b"\n")
    with path.with_suffix(".pub").open("x", encoding="ascii") as beside:  # nothing is written over
        beside.write(f"{own.public}\n")

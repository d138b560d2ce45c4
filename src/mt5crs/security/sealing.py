"""Encrypt the secrets of a key file with a passphrase: argon2id and secretbox, both of libsodium."""

import os

from mt5crs.security.keyfiles import Sealed
from mt5crs.security.signing import SEED  # first of all: it says what to install where PyNaCl is missing

PASSES, MEMORY = 3, 64 * 1024 * 1024
"""What argon2id is given: the choice of RFC 9106 for machines with little memory."""
SALT = 16
CURVE = 32
"""Bytes of a CURVE secret key."""


class WrongPassphrase(Exception):
    """The passphrase does not open the box."""


def seal(passphrase: str, secret: bytes, seed: bytes) -> Sealed:
    """Return secrets, encrypted.

    Args:
        passphrase: What opens them.
        secret: The CURVE secret key, raw.
        seed: The seed of the signing key.
    """
    from nacl.secret import SecretBox

    salt = os.urandom(SALT)
    box = SecretBox(_key(passphrase, PASSES, MEMORY, salt)).encrypt(secret + seed)
    return Sealed(PASSES, MEMORY, salt, bytes(box))


def unseal(passphrase: str, sealed: Sealed) -> tuple[bytes, bytes]:
    """Return the CURVE secret key, raw, and the seed of the signing key.

    Raises:
        WrongPassphrase: They were encrypted with another one, or changed since.
        MemoryError: There is not enough memory.
    """
    from nacl.exceptions import CryptoError
    from nacl.secret import SecretBox

    key = _key(passphrase, sealed.passes, sealed.memory, sealed.salt)
    try:
        opened = SecretBox(key).decrypt(sealed.box)
    except CryptoError:
        raise WrongPassphrase from None
    return opened[:CURVE], opened[CURVE:]


def _key(passphrase: str, passes: int, memory: int, salt: bytes) -> bytes:
    from nacl.exceptions import RuntimeError as Failed
    from nacl.pwhash import argon2id

    try:
        return argon2id.kdf(SEED, passphrase.encode("utf-8", "surrogateescape"), salt, passes, memory)
    except Failed:
        raise MemoryError(f"argon2id needs {memory // 1024 // 1024} MiB of memory") from None

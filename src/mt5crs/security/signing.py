"""Ed25519 by libsodium: keys, signatures, and bytes with their signature before them."""

from mt5crs.errors import BadSignature, SettingError

try:
    from nacl import bindings
    from nacl.exceptions import CryptoError
except ImportError as missing:
    raise SettingError(
        "keys need PyNaCl, which is not installed", hint="pip install 'mt5crs[secure]'"
    ) from missing

SIGNATURE = 64
"""Bytes of a signature."""
PUBLIC = SEED = 32
"""Bytes of a public key, and of the seed that its secret one is made of."""


class Signer:
    """What signs.

    Args:
        seed: The secret: `SEED` random bytes.

    Attributes:
        public: The public key, `PUBLIC` bytes.
    """

    __slots__ = ("_secret", "public")

    def __init__(self, seed: bytes) -> None:
        self.public, self._secret = bindings.crypto_sign_seed_keypair(seed)

    def __repr__(self) -> str:
        return f"<signer {self.public.hex()[:16]}>"

    def sign(self, message: bytes) -> bytes:
        """Return a message with its signature before it."""
        return bindings.crypto_sign(message, self._secret)


def opened(content: bytes, public: bytes) -> bytes:
    """Return the message behind a signature.

    Args:
        content: What `Signer.sign` returned.
        public: The public key of who is said to have signed it.

    Raises:
        BadSignature: It was not signed by that key, or was changed since.
    """
    try:
        return bindings.crypto_sign_open(content, public)
    except (CryptoError, ValueError) as error:
        raise BadSignature("the signature is not one of these bytes by that key") from error

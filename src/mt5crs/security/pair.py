"""A pair of key pairs as it is used: what connects and what signs, read from a key file."""

from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import zmq

from mt5crs.security.keyfiles import Key, KeyFileError, Own, raw, text

if TYPE_CHECKING:
    from mt5crs.security.signing import Signer


class Pair:
    """A CURVE key pair and what signs, made when it is first asked for; nothing shows the secrets."""

    __slots__ = ("_path", "_seed", "_signer", "_signing", "public", "secret")

    def __init__(self, path: Path, own: Own) -> None:
        secret, seed = _open_secrets(path, own)
        self.public = own.public.encode()
        self.secret = secret.encode()
        if zmq.curve_public(self.secret) != self.public:
            raise KeyFileError(f"{path}: its public and its secret key are not a pair")
        self._path = path
        self._seed = seed
        self._signing = raw(own.signing)
        self._signer: Signer | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.public.decode()}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("keys are read from their file, not pickled")

    @property
    def signer(self) -> "Signer":
        """What signs with this key.

        Raises:
            KeyFileError: The file's signing keys are not a pair.
            SettingError: PyNaCl is missing.
        """
        if self._signer is None:
            from mt5crs.security.signing import Signer

            signer = Signer(raw(self._seed))
            if signer.public != self._signing:
                raise KeyFileError(f"{self._path}: its signing keys are not a pair")
            self._signer = signer
        return self._signer


def _open_secrets(path: Path, own: Own) -> tuple[Key, Key]:
    """Return the CURVE secret key and the seed of a key file; may ask for its passphrase.

    Raises:
        KeyFileError: The passphrase is missing or wrong, or there is not enough memory to check it.
    """
    if own.sealed is None:
        return own.secret or "", own.seed or ""  # both are there: `Own` sees to that
    from mt5crs.security.passphrase import existing
    from mt5crs.security.sealing import WrongPassphrase, unseal

    try:
        secret, seed = unseal(existing(str(path)), own.sealed)
    except WrongPassphrase:
        raise KeyFileError(
            f"the passphrase does not open {path}", hint="it is wrong, or the file is damaged"
        ) from None
    except MemoryError as error:
        raise KeyFileError(f"{path} cannot be opened: {error}") from None
    return text(secret), text(seed)

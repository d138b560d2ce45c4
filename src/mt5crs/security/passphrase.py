"""Where a passphrase comes from: a secret of this process (`secrets.py`), or the person at its terminal."""

import getpass
import sys

from mt5crs.security import secrets
from mt5crs.security.keyfiles import KeyFileError

WHERE = (
    f"give it in a file that {secrets.PASSPHRASE}_FILE names, in {secrets.PASSPHRASE}, "
    "in the keyring, or at a terminal"
)


def existing(what: str) -> str:
    """Return the passphrase of a file.

    Args:
        what: The file, for people.

    Raises:
        KeyFileError: There is nowhere to have it from.
        SettingError: The file that it should be in cannot be used.
    """
    return secrets.find(secrets.PASSPHRASE) or _ask(f"passphrase of {what}: ", what)


def fresh(what: str) -> str:
    """Return the passphrase for a new file; it is asked for twice.

    Raises:
        KeyFileError: There is nowhere to have it from, it is empty, or the two are not the same.
        SettingError: The file that it should be in cannot be used.
    """
    given = secrets.find(secrets.PASSPHRASE)
    if given is not None:
        return given
    first = _ask(f"new passphrase for {what}: ", what)
    if not first:
        raise KeyFileError("the passphrase is empty", hint="without --passphrase nothing is encrypted")
    if _ask("the same again: ", what) != first:
        raise KeyFileError("the two passphrases are not the same", hint="nothing was made: try again")
    return first


def _ask(prompt: str, what: str) -> str:
    if sys.stdin is None or not sys.stdin.isatty():
        raise KeyFileError(f"{what} needs a passphrase, and there is none", hint=WHERE)
    try:
        return getpass.getpass(prompt)
    except EOFError:
        raise KeyFileError(f"no passphrase was given for {what}", hint=WHERE) from None

"""Secrets that somebody hands to a process: found by name, in the first place that has one, never in a flag.

1. The file that `NAME_FILE` names, which only its owner can read; one line.
2. The environment variable `NAME`.
3. The system's keyring, where the `keyring` package is installed: the password of user `NAME` of `mt5crs`.

An empty value counts as unset. A `.env` file is not looked at: it is often shared and copied.
"""

import os
from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

from mt5crs import private
from mt5crs.errors import SettingError

PASSWORD = "MT5_PASSWORD"  # noqa: S105 - a name
"""The password of an official terminal's account."""
PASSPHRASE = "MT5_KEYS_PASSPHRASE"  # noqa: S105 - a name
"""What the secrets of a key file are encrypted with."""
SERVICE = "mt5crs"

_withdrawn: dict[str, str] = {}


@contextmanager
def withdrawn() -> Generator[None, None, None]:
    """Take the secrets out of the environment for good, so that no process that is started later has them.

    `find` still knows them meanwhile. What a process was started with stays in its own `/proc/PID/environ`,
    which its user and root can read: a secret in a file is better kept.
    """
    _withdrawn.update((name, os.environ.pop(name)) for name in (PASSWORD, PASSPHRASE) if name in os.environ)
    try:
        yield
    finally:
        _withdrawn.clear()


def is_given(name: str) -> bool:
    """Return whether this process was given a secret, in a file or in its environment."""
    return bool(os.environ.get(f"{name}_FILE") or os.environ.get(name) or _withdrawn.get(name))


def find(name: str) -> str | None:
    """Return a secret from the first place that has it, or None.

    Raises:
        SettingError: The file that is named for it cannot be used, or is not private.
    """
    path = os.environ.get(f"{name}_FILE")
    if path:
        return _in_file(f"{name}_FILE", path)
    return os.environ.get(name) or _withdrawn.get(name) or _in_keyring(name)


def _in_file(variable: str, text: str) -> str:
    try:
        path = Path(text).expanduser()
        line = private.read(path).decode().removesuffix("\n").removesuffix("\r")
    except private.NotPrivate as error:
        raise SettingError(f"{variable}: {text} {error.strerror}", hint=error.hint) from None
    except OSError as error:
        raise SettingError(f"{variable}: {text} cannot be read: {error.strerror or error}") from None
    except (ValueError, RuntimeError):  # not UTF-8, a NUL in the path, or no such home directory
        raise SettingError(f"{variable}: {text!r} is not a file of UTF-8 text") from None
    if not line or not {"\n", "\r", "\0"}.isdisjoint(line):
        raise SettingError(f"{variable}: {text} does not hold a secret", hint="write it there as one line")
    return line


def _in_keyring(name: str) -> str | None:
    try:
        keyring = import_module("keyring")
    except ImportError:
        return None
    try:
        found: str | None = keyring.get_password(SERVICE, name)
    except keyring.errors.KeyringError:  # there is none on this machine, or it stays locked
        return None
    return found or None

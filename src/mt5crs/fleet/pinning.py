"""Another host key in an inventory, and no other byte of it changed but the comment that it is missing."""

import os
import re
import shutil
import tempfile
from pathlib import Path

import msgspec

from mt5crs.errors import SettingError
from mt5crs.fleet.validation import fleet_of

MISSING = "# host_key = ..."
"""How a line begins that `init` writes where the key was not compared; a key comes into its place."""
VALUE = r"""(?P<value>"[^"\n]*"|'[^'\n]*'|\[[^\]]*\])"""


def with_host_key(content: bytes, name: str, host_key: str) -> bytes:
    """Return an inventory with the host key of a node.

    Raises:
        ValueError: The file is written in a way in which that place is not found.
    """
    text = content.decode()
    quoted = rf"(?:{re.escape(name)}|\"{re.escape(name)}\"|'{re.escape(name)}')"
    header = re.search(
        rf"^[ \t]*\[[ \t]*nodes[ \t]*\.[ \t]*{quoted}[ \t]*\][^\n]*(?:\n|\Z)", text, re.MULTILINE
    )
    if header is None:
        raise ValueError("its table is not found")
    following = re.compile(r"^[ \t]*\[", re.MULTILINE).search(text, header.end())
    end = following.start() if following else len(text)
    known = re.compile(rf"^[ \t]*host_key[ \t]*=[ \t]*{VALUE}", re.MULTILINE).search(text, header.end(), end)
    if known is not None:
        changed = f'{text[: known.start("value")]}"{host_key}"{text[known.end("value") :]}'
    elif empty := re.compile(rf"^{re.escape(MISSING)}[^\r\n]*", re.MULTILINE).search(text, header.end(), end):
        changed = f'{text[: empty.start()]}host_key = "{host_key}"{text[empty.end() :]}'
    else:
        line_end = "\r\n" if header[0].endswith("\r\n") else "\n"
        before = header[0] if header[0].endswith("\n") else header[0] + line_end
        changed = f'{text[: header.start()]}{before}host_key = "{host_key}"{line_end}{text[header.end() :]}'
    _prove(text, changed, name, host_key)
    return changed.encode()


def _prove(before: str, after: str, name: str, host_key: str) -> None:
    """Raise ValueError where anything else than the host key means something else than before."""
    wanted = msgspec.toml.decode(before)
    wanted["nodes"][name]["host_key"] = host_key
    try:
        found = msgspec.toml.decode(after)
    except msgspec.DecodeError:
        found = None
    if found != wanted:
        raise ValueError("its host key is not found")


def pin(path: Path, name: str, host_key: str) -> None:
    """Write the host key of a node into an inventory.

    Raises:
        SettingError: It could not be, or the inventory would be refused with it; the file is as it was.
    """
    path = path.resolve()
    try:
        content = with_host_key(path.read_bytes(), name, host_key)
        fleet_of(path, content)
    except ValueError as error:
        raise SettingError(
            f"{path} is written in a way that is not changed here: {error}",
            hint=f'write it there yourself, for {name}: host_key = "{host_key}"',
        ) from None
    try:
        handle, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(handle)
            shutil.copymode(path, draft)
            Path(draft).replace(path)
        finally:
            Path(draft).unlink(missing_ok=True)
    except OSError as error:
        raise SettingError(f"{path} cannot be written: {error.strerror or error}") from None

"""Reviewed exceptions, `audit.toml` beside the code: what looks like a secret and is none, and why.

```toml
[[allow]]
file = "tests/vectors/*.json"   # a path from the project's folder, with *, ** and ?; at all times
reason = "keys of test vectors; they open nothing"
kind = "mt5crs key"             # of this kind alone
blob = "5f2c..."                # this content alone, by git's id or the begin of it
```
"""

import re
from functools import cache
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Struct

from mt5crs.errors import SettingError

NAME = "audit.toml"
Text = Annotated[str, msgspec.Meta(min_length=1)]


class Allowed(Struct, frozen=True, forbid_unknown_fields=True):
    """An exception.

    Attributes:
        reason: Why it is none.
        file: The files in which it is.
        kind: The kind of secret that it looks like.
        blob: The content in which it is.
    """

    reason: Text
    file: str = ""
    kind: str = ""
    blob: Annotated[str, msgspec.Meta(pattern=r"^(?:[0-9a-f]{12,64})?$")] = ""

    def __post_init__(self) -> None:
        if not self.file and not self.blob:
            raise ValueError("an exception names a file or a blob")
        if self.file and not re.search(r"[^*?/.]", self.file):
            raise ValueError(f"file = '{self.file}' is for everything: name a file")

    def covers(self, kind: str, path: str, blob: str) -> bool:
        """Return whether it is for what was found."""
        return (
            (not self.kind or self.kind == kind)
            and (not self.file or _form(self.file).fullmatch(path) is not None)
            and blob.startswith(self.blob)
        )


@cache
def _form(file: str) -> "re.Pattern[str]":
    """Return the form of paths: `*` and `?` stay within a folder, `**` does not."""
    forms = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = re.split(r"(\*\*|\*|\?)", file)
    return re.compile("".join(forms.get(part) or re.escape(part) for part in parts), re.DOTALL)


class _File(Struct, frozen=True, forbid_unknown_fields=True):
    allow: tuple[Allowed, ...] = ()


def read(folder: Path) -> tuple[Allowed, ...]:
    """Return the exceptions of a project; none where it has no such file.

    Raises:
        SettingError: The file cannot be read, or is not right.
    """
    path = folder / NAME
    try:
        return msgspec.toml.decode(path.read_bytes(), type=_File).allow
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise SettingError(f"{path} cannot be read: {error.strerror or error}") from None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise SettingError(f"{path}: {error}") from None

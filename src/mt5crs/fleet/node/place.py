"""Where things are on a node.

```text
PATH/                     /opt/mt5-crs
  current                 -> releases/ID; on Windows a file with the ID
  releases/ID/            a release: src/, scripts/ ... of a revision, .venv/, release.json (written last)
  .env                    the node's settings, which all releases share
  .fleet/                 what the fleet command keeps
    record.jsonl          every deployment, append-only
    record.head           its last line's number and digest
    lock                  held by who changes something
    node-*.pyz            this program; keeper.pyz, the copy that keeps services
    incoming/SHA256       files that were sent
    working/              of the operation that goes on
    settings/             backups of .env, what a switch would put back, our settings as each release had
                          them, which services it had
    services/             what keeps services running, and their logs
    pip-VERSION/          what packages are installed with, by version
    bundles/ID/           on HUB: a release as it is sent: wheel, tree.tar.gz, requirements.lock
    wheels/ builder-*/    on HUB: packages for nodes without an index, and what builds a release
  keys/ journal.db ...    the node's own: never touched
```
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, cast

MANIFEST: Any = {
    "release": {
        "id": str, "version": str, "revision": str, "made": str, "subject": str,
        "files": [{"name": str, "size": int, "sha256": str}],
    },
    "about": {"version": str, "speaks": [int], "files": (int,), "python": str, "packages": (str,)},
    "pins": str, "extras": [str], "built": str, "tree": (str,),
}  # fmt: skip
"""What `release.json` has at least; `(X,)` is a table with any names."""


class Place:
    """A node's folder.

    Args:
        path: The folder.
        windows: Whether it is kept as on Windows, which has no symbolic links for everybody.
    """

    def __init__(self, path: str | Path, *, windows: bool = os.name == "nt") -> None:
        self.path = Path(path)
        self.windows = windows
        self.current = self.path / "current"
        self.releases = self.path / "releases"
        self.settings = self.path / ".env"
        self.own = self.path / ".fleet"
        self.record = self.own / "record.jsonl"
        self.head = self.own / "record.head"
        self.lock = self.own / "lock"
        self.incoming = self.own / "incoming"
        self.backups = self.own / "settings"
        self.services = self.own / "services"
        self.bundles = self.own / "bundles"
        self.wheels = self.own / "wheels"

    def release(self, id_: str) -> Path:
        """Return the folder of a release."""
        return self.releases / id_

    def python(self, id_: str) -> Path:
        """Return the interpreter of a release."""
        folder = self.release(id_) / ".venv"
        return folder / "Scripts" / "python.exe" if os.name == "nt" else folder / "bin" / "python"

    def current_id(self) -> str:
        """Return the id of the release that is in use, "" where there is none."""
        try:
            if self.windows:
                return self.current.read_text(encoding="utf-8").strip()
            return os.path.basename(os.readlink(self.current))  # noqa: PTH115, PTH119
        except OSError:
            return ""

    def manifest(self, id_: str) -> dict[str, Any] | None:
        """Return what is known of a release (see `build`), None where it is not complete.

        One whose `release.json` is not as we write it is not complete either.
        """
        try:
            content = (self.release(id_) / "release.json").read_text(encoding="utf-8")
            manifest: dict[str, Any] = json.loads(content)
        except (OSError, ValueError):
            return None
        return manifest if _has_form(manifest, MANIFEST) else None


def _has_form(value: Any, form: Any) -> bool:
    """Return whether a value is of a type, or a list, a table or a table of anything with such values."""
    if isinstance(form, list) and isinstance(value, list):
        (kind,) = cast("list[object]", form)
        return all(_has_form(each, kind) for each in cast("list[object]", value))
    if isinstance(form, tuple) and isinstance(value, dict):
        (kind,) = cast("tuple[object]", form)
        return all(_has_form(each, kind) for each in cast("dict[str, object]", value).values())
    if isinstance(form, dict) and isinstance(value, dict):
        table = cast("dict[str, object]", value)
        return all(_has_form(table.get(key), each) for key, each in cast("dict[str, object]", form).items())
    return type(value) is form

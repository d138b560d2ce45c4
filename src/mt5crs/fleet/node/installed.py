"""Whether what is there is what was installed: the files of a release, and those of its packages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .trees import drift, packages_drift

SHOWN = 20
"""How many names of a kind are told at most; the number of all is told besides."""
SOURCES = ("src", "scripts")
"""Folders of a release in which a file that was not deployed would be used."""
PASSED_OVER = frozenset({"__pycache__"})


def changes(folder: Path, tree: Mapping[str, str]) -> dict[str, Any]:
    """Compare a release's files with those of its revision.

    Args:
        folder: The release.
        tree: SHA-256 of each file, by path.

    Returns:
        `count` of the files; the names of those that are `changed`, `missing` and `added`, `SHOWN` of each at
        most; `total` of those names.
    """
    found = drift(folder, tree)
    # A wheel's release has no tree: nothing in its folder was deployed as a file of its own.
    found.update((name, "added") for name in _under(folder) if tree and name not in tree)
    return _told(len(tree), found)


def package_changes(packages: Path, listing: str) -> dict[str, Any]:
    """Compare the files of packages with their list (see `packages_drift`); `count` is that of packages."""
    wrong = packages_drift(packages, listing)
    found = {name: kind for files in wrong.values() for name, kind in files.items()}
    return _told(len(list(packages.glob("*.dist-info"))), found)


def _under(folder: Path) -> Iterator[str]:
    for top in SOURCES:
        for path in (folder / top).rglob("*"):
            name = path.relative_to(folder)
            if path.is_file() and not PASSED_OVER.intersection(name.parts):
                yield name.as_posix()


def _told(count: int, found: Mapping[str, str]) -> dict[str, Any]:
    names = {
        kind: sorted(name for name in found if found[name] == kind)
        for kind in ("changed", "missing", "added")
    }
    return {"count": count, "total": len(found), **{kind: each[:SHOWN] for kind, each in names.items()}}

"""What lies in an archive's folder and is none of its files: who reads all there is would take it, too."""

import os
from collections.abc import Iterator
from pathlib import Path

from mt5crs.archive.findings import Finding, Kind
from mt5crs.archive.folder import is_written, read_description
from mt5crs.archive.layout import DESCRIPTION, SUFFIX, WORK, is_folder, listed
from mt5crs.archive.rows import read_footer
from mt5crs.errors import ArchiveError, BridgeError

FOLDERS = 3
"""How deep a symbol's folders lie in a tree: only those may be links to other places."""


def strays(root: Path, own: set[Path]) -> Iterator[Finding]:
    """Yield what does not belong in an archive, and what cannot be looked at.

    Args:
        root: The archive's folder.
        own: The files of its series.
    """
    problem = description_problem(root)
    if problem:
        yield _told(root, root / DESCRIPTION, problem, Kind.DAMAGED)
    drafts = listed(root / WORK, is_strict=False)
    for path in [] if drafts and is_written(root) else drafts:
        yield _told(root, path, "a half-written file was left behind; the next pull or repair removes it")
    for tree in ("rates", "ticks"):
        yield from _in(root, root / tree, own, 1)


def description_problem(root: Path) -> str:
    """Return what is wrong with an archive's description; nothing where there is none, as in copies."""
    if not os.path.lexists(root / DESCRIPTION):
        return ""
    try:
        read_description(root)
    except BridgeError as error:
        return f"{error.message.removeprefix(f'{root / DESCRIPTION} ')} ({error.hint})"
    return ""


def _in(root: Path, folder: Path, own: set[Path], depth: int) -> Iterator[Finding]:
    try:
        paths = listed(folder)
    except ArchiveError as error:
        problem = error.message.removeprefix(f"the folder {folder} ")
        yield _told(root, folder, f"the folder {problem}; nothing in it was looked at", Kind.DAMAGED)
        return
    for path in paths:
        if path in own:
            continue
        if is_folder(path) and (depth <= FOLDERS or not path.is_symlink()):
            yield from _in(root, path, own, depth + 1)
        else:
            yield _told(root, path, _misplaced(root, path))


def _misplaced(root: Path, path: Path) -> str:
    """Return what a file is that does not lie where a file of the archive would."""
    if path.suffix == SUFFIX:
        try:
            footer = read_footer(path)
            place = footer.series.path(root, footer.period)
        except (ArchiveError, ValueError):
            pass
        else:
            what = f"it is of {footer.series} {footer.period.name}, and lies in another's place"
            where = place.relative_to(root).as_posix()
            there = "remove it: that is there" if os.path.lexists(place) else "move it there"
            return f"{what}: its own is {where}; {there}"
    return "it is no file of an archive: remove it, or move it away"


def _told(root: Path, path: Path, what: str, kind: Kind = Kind.TEMPORARY) -> Finding:
    return Finding(kind, "", "", 0, 0, what, path.relative_to(root).as_posix())

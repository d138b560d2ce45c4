"""A private, empty repository through which git reads the objects of another, whose settings it never sees.

A repository names programs in many of its settings (filters, signatures, monitors, transports), and hides
history in others (replacements, grafts, commit graphs). So none of them is given to git: it gets settings of
ours, the objects, a copy of the index, and the list of what is kept out. References are read here.
"""

import os
import re
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

SETTINGS = """\
[core]
	repositoryformatversion = {version}
	bare = false
	fsmonitor = false
	untrackedCache = false
	commitGraph = false
	multiPackIndex = false
	hooksPath = {nowhere}
	attributesFile = {nowhere}
	excludesFile = {nowhere}
[extensions]
	objectFormat = {digests}
"""
MOST = 100_000
"""References that are read."""
LONGEST = 1024
"""Bytes of a file that holds a reference, or says where a repository is."""
ID = re.compile(rb"[0-9a-f]{40}(?:[0-9a-f]{24})?")


class Place(NamedTuple):
    """Where a repository is.

    Attributes:
        top: The folder of its files.
        own: What belongs to this checkout: its HEAD and index.
        common: What all checkouts share: objects and references.
    """

    top: Path
    own: Path
    common: Path


def place(folder: Path) -> Place | None:
    """Return the repository that a folder is in; None where there is none.

    Raises:
        OSError: It cannot be read.
    """
    for top in (folder, *folder.parents):
        own = top / ".git"
        if own.is_file():
            own = top / os.fsdecode(_short(own).removeprefix(b"gitdir:").strip())
        if not own.is_dir():
            continue
        shared = own / "commondir"
        common = own / os.fsdecode(_short(shared).strip()) if shared.is_file() else own
        return Place(top, own, common)
    return None


def is_whole(at: Place) -> bool:
    """Return whether it looks like a repository that this can read."""
    head = _short(at.own / "HEAD").strip()
    named = head.startswith(b"ref: refs/") or ID.fullmatch(head) is not None
    return named and (at.common / "objects").is_dir() and not (at.common / "reftable").exists()


def head(at: Place) -> str:
    """Return the commit that is checked out; "" before the first one."""
    told = _short(at.own / "HEAD").strip()
    if ID.fullmatch(told):
        return told.decode()
    name = told.removeprefix(b"ref: ")
    loose = at.common / os.fsdecode(name)
    if loose.is_file():
        found = _short(loose).strip()
        return found.decode() if ID.fullmatch(found) else ""
    packed = (line.partition(b" ") for line in _packed(at))
    return next((id_.decode() for id_, _, each in packed if each == name and ID.fullmatch(id_)), "")


def tips(at: Place) -> set[str]:
    """Return what references and the HEAD of every checkout lead to, without those of `git replace`."""
    found = {line.lstrip(b"^").split(b" ")[0] for line in _packed(at) if b" refs/replace/" not in line}
    files = [at.own / "HEAD", at.common / "HEAD", *at.common.glob("worktrees/*/HEAD")]
    for number, file in enumerate((*files, *_loose(at.common / "refs"))):
        if number > MOST:
            raise OSError(f"{at.common} has more than {MOST} references")
        found.add(_short(file).strip())
    return {each.decode() for each in found if ID.fullmatch(each)}


def shallow(at: Place) -> bool:
    """Return whether the repository says that a part of its history is not there."""
    file = at.common / "shallow"
    return file.is_file() and file.stat().st_size > 0


def cast(at: Place) -> tuple[Path, dict[str, str]]:
    """Make the private repository; return its folder, which goes with the last user, and git's environment.

    Raises:
        OSError: It cannot be made.
    """
    folder = Path(tempfile.mkdtemp(prefix="mt5crs-audit-"))
    (folder / "refs").mkdir()
    (folder / "info").mkdir()
    (folder / "HEAD").write_text("ref: refs/heads/none\n", encoding="ascii")
    config = at.common / "config"
    wide = config.is_file() and re.search(rb'(?i)objectformat\s*=\s*"?sha256', config.read_bytes())
    (folder / "config").write_text(
        SETTINGS.format(
            version=1 if wide else 0, digests="sha256" if wide else "sha1", nowhere=os.devnull
        ).replace("[extensions]\n\tobjectFormat = sha1\n", ""),
        encoding="ascii",
    )
    copies = [*((each, each.name) for each in (at.own / "index", *at.own.glob("sharedindex.*")))]
    copies += [(at.common / "info/exclude", "info/exclude"), (at.common / "shallow", "shallow")]
    for source, name in copies:
        if source.is_file():
            shutil.copyfile(source, folder / name)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    ours = {
        "GIT_DIR": str(folder),
        "GIT_WORK_TREE": str(at.top),
        "GIT_OBJECT_DIRECTORY": str((at.common / "objects").resolve()),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        "HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder),
        "LC_ALL": "C",
    }
    return folder, {**kept, **ours}


def drop_with(owner: object, folder: Path) -> None:
    """Remove the private repository when who uses it is gone."""
    weakref.finalize(owner, shutil.rmtree, folder, ignore_errors=True)


def _loose(folder: Path) -> Iterator[Path]:
    for here, folders, names in os.walk(folder):
        folders[:] = [each for each in folders if Path(here, each) != folder / "replace"]
        yield from (Path(here, name) for name in names)


def _packed(at: Place) -> list[bytes]:
    file = at.common / "packed-refs"
    return file.read_bytes().split(b"\n") if file.is_file() else []


def _short(file: Path) -> bytes:
    """Return the begin of a regular file; nothing of what is none."""
    if not file.is_file():
        return b""
    with file.open("rb") as stream:
        return stream.read(LONGEST)

"""A release's files: unpacked where nothing can get out, and looked at later."""

from __future__ import annotations

import base64
import csv
import gzip
import json
import os
import posixpath
import re
import tarfile
import zlib
from collections.abc import Container, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import IO, Optional

from .files import digest
from .operations import Failed

MOST = 100_000
"""Files in a tree at most."""
LARGEST = 1 << 30
"""Bytes of a tree at most."""
OURS = (".venv", "release.json")
"""What a release has besides its tree."""
LISTING = ".installed.json"
"""The digests of all files of the packages, as they were when these were installed; beside them."""
UNOWNED = ""
"""Stands for the package of files that are no package's."""
COMPILED = re.compile(r"\.[^.]+(\.opt-[^.]+)?\.pyc$")
"""What the name of a compiled file has behind that of its source."""
UNCHECKED = b"\1\0\0\0"
"""Flags of a compiled file that Python uses without a look at its source."""
CORNERS = re.compile(r"^[A-Za-z]:|\\|\0")
"""What means something else on Windows."""


def unpack(archive: Path, folder: Path) -> dict[str, str]:
    """Unpack a tree; return the digest of each file.

    Raises:
        Failed: The archive would reach outside, or is none.
        OSError: A file could not be written.
    """
    digests: dict[str, str] = {}
    with _Readable():
        for name, member, file in _members(archive):
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if member.isdir():
                target.mkdir(exist_ok=True)
                continue
            _write(target, member, file)
            digests[name] = digest(target)
    return digests


def repair(archive: Path, folder: Path, names: Mapping[str, str]) -> None:
    """Unpack some files again, each in the place of what is there."""
    with _Readable():
        for name, member, file in _members(archive):
            if name not in names:
                continue
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            draft = target.with_name(f".{target.name}.new")
            if draft.is_symlink() or draft.exists():
                draft.unlink()
            _write(draft, member, file)
            draft.replace(target)


def drift(folder: Path, digests: Mapping[str, str]) -> dict[str, str]:
    """Return which files of a tree are not as they were, each with `changed` or `missing`."""
    return {name: state for name, wanted in digests.items() if (state := _state(folder / name, wanted))}


def list_packages(packages: Path) -> str:
    """Write down the digest of each file of installed packages as they are now; return that list's digest."""
    listed, _ = _recorded(packages)
    of_packages = {name for files in listed.values() for name in files}
    others = {name: digest(packages / name) for name in _files(packages) if name not in of_packages}
    (packages / LISTING).write_text(json.dumps({**listed, UNOWNED: others}), encoding="utf-8")
    return digest(packages / LISTING)


def packages_drift(packages: Path, listing: str = "") -> dict[str, dict[str, str]]:
    """Return which files of installed packages are not as they were: `changed`, `missing` or `added`.

    Args:
        packages: The folder of the packages, in which each has its `RECORD`.
        listing: The digest of the list that was written when they were installed. Without it what the
            packages' own `RECORD`s say has to do.

    Returns:
        The files by package; those of none, and those of all where the list itself is another, at `UNOWNED`.
    """
    state = _state(packages / LISTING, listing) if listing else ""
    if listing and not state:
        listed: dict[str, dict[str, str]] = json.loads((packages / LISTING).read_text(encoding="utf-8"))
        broken: dict[str, dict[str, str]] = {}
    else:
        listed, broken = _recorded(packages)
    found = {name: wrong for name, files in listed.items() if (wrong := drift(packages, files))}
    for name, wrong in broken.items():
        found.setdefault(name, {}).update(wrong)
    known = {name for files in listed.values() for name in files}
    unowned = {name: "added" for name in _files(packages) if name not in known}
    unowned.update((name, "added") for name in _compiled(packages))
    if state:
        unowned[LISTING] = state
    if unowned:
        found.setdefault(UNOWNED, {}).update(unowned)
    return found


def _recorded(packages: Path) -> tuple[dict[str, dict[str, str]], dict[str, dict[str, str]]]:
    """Return the digests that each package's `RECORD` has, and which of these cannot be used."""
    listed: dict[str, dict[str, str]] = {}
    broken: dict[str, dict[str, str]] = {}
    for info in sorted(packages.glob("*.dist-info")):
        name, record = info.name.split("-")[0].replace("_", "-").lower(), info / "RECORD"
        own = f"{info.name}/RECORD"
        try:
            with record.open(newline="", encoding="utf-8") as file:
                rows = [row for row in csv.reader(file) if len(row) == 3 and row[1].startswith("sha256=")]
            files = {row[0]: _hexadecimal(row[1][len("sha256=") :]) for row in rows}
            listed[name] = {**files, own: digest(record)}
        except FileNotFoundError:
            broken[name] = {own: "missing"}
        except (OSError, ValueError, csv.Error):  # whatever somebody wrote there
            broken[name] = {own: "changed"}
    return listed, broken


def _files(packages: Path) -> Iterator[str]:
    """Give each file, but for the list and what Python compiled."""
    for folder, folders, names in os.walk(packages):
        here = Path(folder)
        links = [name for name in folders if (here / name).is_symlink()]
        for name in (*names, *links):
            path = (here / name).relative_to(packages).as_posix()
            if path != LISTING and not name.endswith(".pyc"):
                yield path


def _compiled(packages: Path) -> Iterator[str]:
    """Give what is compiled and would be used whatever its source says: without one, or never compared."""
    for path in packages.rglob("*.pyc"):
        source = path.parent.parent / f"{COMPILED.sub('', path.name)}.py"
        try:
            with path.open("rb") as file:
                flags = file.read(8)[4:]
        except OSError:
            flags = b""
        if path.parent.name != "__pycache__" or not source.exists() or flags == UNCHECKED:
            yield path.relative_to(packages).as_posix()


def packages_of(environment: Path) -> Path:
    """Return the folder of an environment's packages."""
    if os.name == "nt":
        return environment / "Lib" / "site-packages"
    return next(iter(sorted((environment / "lib").glob("python*/site-packages"))), environment / "lib")


def _state(path: Path, wanted: str) -> str:
    try:
        if not path.is_symlink() and not path.is_file():  # a pipe would be read for ever
            return "missing"
        return "" if digest(path) == wanted else "changed"
    except (OSError, ValueError):
        return "missing"


def _hexadecimal(text: str) -> str:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).hex()


class _Readable:
    """Says what is wrong where an archive is none, while something is done with it."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile)):
            raise Failed(f"the tree cannot be unpacked: {error}", "send it again", "tree") from error


def _members(archive: Path) -> Iterator[tuple[str, tarfile.TarInfo, Optional[IO[bytes]]]]:  # noqa: UP045 - 3.8
    seen: set[str] = set()
    found: list[tuple[str, tarfile.TarInfo]] = []
    total = 0
    with tarfile.open(archive, "r:gz") as tar:
        for count, member in enumerate(tar, 1):
            name = posixpath.normpath(member.name)
            if name == ".":
                continue
            total += member.size
            _admit(name, member)
            if name in seen and not member.isdir():
                raise Failed(f"the tree has {name} twice", "look at the revision", "tree")
            if count > MOST or total > LARGEST:
                raise Failed(
                    f"the tree is larger than {MOST} files or {LARGEST} bytes", "look at the revision", "tree"
                )
            seen.add(name)
            found.append((name, member))
        links = {name for name, member in found if member.issym()}
        for name, member in found:
            _stay_inside(name, member, links)
        for name, member in found:
            yield name, member, tar.extractfile(member) if member.isreg() else None


def _stay_inside(name: str, member: tarfile.TarInfo, links: Container[str]) -> None:
    """Raise Failed where something lies behind a link, or a link leads outside, to a link or over one.

    What a link leads to is walked step by step: `..` behind another link is not what it looks like.
    """
    if any(str(each) in links for each in PurePosixPath(name).parents):
        raise Failed(f"the tree has {member.name!r:.200}, which it may not", "look at the revision", "tree")
    if not member.issym():
        return
    at = list(PurePosixPath(name).parts[:-1])
    for step in member.linkname.split("/"):
        if step == ".." and not at:
            raise Failed(f"the tree's link {name!r:.200} leads outside", "look at the revision", "tree")
        if step == "..":
            at.pop()
        elif step not in {"", "."}:
            at.append(step)
        if "/".join(at) in links:
            raise Failed(
                f"the tree's link {name!r:.200} leads over the link {'/'.join(at)!r:.200}",
                "have it lead to the file or folder itself",
                "tree",
            )


def _admit(name: str, member: tarfile.TarInfo) -> None:
    """Raise Failed where a member would reach outside of its folder, or is nothing that a tree has."""
    path = PurePosixPath(name)
    outside = member.name.startswith("/") or ".." in path.parts or CORNERS.search(name)
    if outside or path.parts[0].lower() in OURS:
        raise Failed(f"the tree has {member.name!r:.200}, which it may not", "look at the revision", "tree")
    if member.issym():
        if member.linkname.startswith("/") or CORNERS.search(member.linkname):
            raise Failed(f"the tree's link {name!r:.200} leads outside", "look at the revision", "tree")
    elif not (member.isreg() or member.isdir()):
        raise Failed(
            f"the tree has {name!r:.200}, which is no file, folder or link", "look at the revision", "tree"
        )


def _write(target: Path, member: tarfile.TarInfo, file: IO[bytes] | None) -> None:
    if file is None and os.name != "nt":
        target.symlink_to(member.linkname)
        return
    # A link is a file that says where it leads where not everybody may make links, as git does it.
    with target.open("xb") as out:
        if file is None:
            out.write(member.linkname.encode())
        else:
            for block in iter(lambda: file.read(1 << 20), b""):
                out.write(block)
    target.chmod(0o755 if member.mode & 0o100 else 0o644)

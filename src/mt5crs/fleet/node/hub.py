"""What HUB does for a release: find the revision, make of it what is sent to nodes.

A bundle is a folder `.fleet/bundles/ID`: the wheel, `requirements.lock` and, of a revision, `tree.tar.gz`,
which is all that `git archive` gives of it. Two bundles of one revision have the same bytes. `bundle.json`
says what is in it; the folder gets its name when it is complete.
"""

from __future__ import annotations

import ast
import gzip
import json
import os
import re
import shutil
import tarfile
import zipfile
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

from .git import Repository
from .operations import Failed, Tell, operation
from .place import Place
from .probe import markers
from .wheels import described, environment, run_pip
from .working import working

LOCK = "requirements.lock"
VERSION = "src/mt5crs/_version.py"
METADATA = r"mt5crs-[^/]+\.dist-info/METADATA"
TREE = "tree.tar.gz"
STEADY = ("-c", "tar.umask=0022", "-c", "core.autocrlf=false", "-c", "core.eol=lf")
"""Settings of git that would change the bytes of an archive."""
NO_LOCK = "`make lock` writes it; commit it, or name a revision that has it"


class Source(NamedTuple):
    """Where a release comes from.

    Attributes:
        release: It, as `facts.Release` has it, without `files`.
        lock: Its `requirements.lock`.
        project: Its `pyproject.toml`; "" of a wheel.
        made: When it was committed, seconds since 1970; 0 of a wheel.
        repository: The repository; None of a wheel.
        wheel: The wheel; None of a revision.
    """

    release: dict[str, Any]
    lock: str
    project: str
    made: int
    repository: Repository | None
    wheel: Path | None


@operation("revision", changes=False)
def revision(place: Place, request: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
    """Say what a revision is, or a wheel, before anything is made of it.

    The request: `repository` and `revision`, or `wheel`, a path on HUB.

    Returns:
        The `release`, as `facts.Release` has it, without `files`; the text of its `lock` and of its
        `project`; the `markers` of HUB's own interpreter, which builds it; `changes`, the paths that are
        changed there and not committed.
    """
    source = _source(place, request)
    repository = source.repository
    found = {"release": source.release, "lock": source.lock, "project": source.project, "markers": markers()}
    bare = repository is None or "true" in repository.try_("rev-parse", "--is-bare-repository").out
    return {**found, "changes": [] if repository is None or bare else repository.changes(repository.path)}


@operation("release", changes=True)
def release(place: Place, request: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
    """Make the bundle of a revision or a wheel, unless it is there and right.

    The request: that of `revision`, and `builder_pins`, locked requirements of what builds it.

    Returns:
        It, as `facts.Release` has it.
    """
    source = _source(place, request)
    id_ = source.release["id"]
    made = _bundle(place, id_)
    if made is not None:
        tell(f"{id_} is there")
        return made
    place.bundles.mkdir(parents=True, exist_ok=True)
    with working(place) as work:
        folder = work / "bundle"
        folder.mkdir()
        (folder / LOCK).write_bytes(source.lock.encode())
        if source.wheel:
            shutil.copyfile(source.wheel, folder / source.wheel.name)
        else:
            _build(place, source, work, request.get("builder_pins", ""), tell)
        files = [described(each) for each in sorted(folder.iterdir())]
        content = json.dumps({**source.release, "files": files}, indent=1)
        (folder / "bundle.json").write_text(content, encoding="utf-8")
        shutil.rmtree(place.bundles / id_, ignore_errors=True)
        folder.replace(place.bundles / id_)
    return {**source.release, "files": files}


@operation("bundle", changes=False)
def bundle(place: Place, request: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
    """Return what a bundle says of itself, by the release's `id`.

    Returns:
        The `release`, as `facts.Release` has it, the text of its `lock`, and its wheel's `metadata`.
    """
    id_ = os.path.basename(request["id"])  # noqa: PTH119
    made = _bundle(place, id_)
    if made is None:
        raise Failed(
            f"{id_} is not on HUB, or was changed there", "`mt5crs fleet sync` makes it", "no-bundle"
        )
    folder = place.bundles / id_
    wheel = next(folder / each["name"] for each in made["files"] if each["name"].endswith(".whl"))
    return {
        "release": made,
        "lock": (folder / LOCK).read_text(encoding="utf-8"),
        "metadata": _inside(wheel, METADATA),
    }


def _source(place: Place, request: Mapping[str, Any]) -> Source:
    return _wheel(place, request["wheel"]) if request.get("wheel") else _revision(place, request)


def _revision(place: Place, request: Mapping[str, Any]) -> Source:
    repository = Repository(place, request["repository"])
    commit = repository.commit(request["revision"])
    short = commit.revision[:12]
    version = _version(repository.text(commit.revision, VERSION), short)
    lock = repository.text(commit.revision, LOCK)
    if lock is None:
        raise Failed(f"{short} ({commit.subject}) has no {LOCK}", NO_LOCK, "no-lock")
    found = {
        "id": f"{version}-{short}",
        "version": version,
        "revision": commit.revision,
        "made": datetime.fromtimestamp(commit.made, timezone.utc).isoformat(),
        "subject": commit.subject,
    }
    project = repository.text(commit.revision, "pyproject.toml") or ""
    return Source(found, lock, project, commit.made, repository, None)


def _wheel(place: Place, name: str) -> Source:
    path = place.path / name
    if not path.is_file():
        raise Failed(f"{path} is not there", "set `wheel` of [source] to a wheel on HUB", "no-wheel-file")
    parts = path.name.split("-")
    if path.suffix != ".whl" or len(parts) not in {5, 6} or not zipfile.is_zipfile(path):
        raise Failed(f"{path} is not a wheel", "give it the name that it was built with", "no-wheel-file")
    version = parts[1]
    if f"\nVersion: {version}\n" not in _inside(path, METADATA).replace("\r\n", "\n"):
        raise Failed(f"{path} is of another version than its name says", "build it again", "no-wheel-file")
    lock = _inside(path, f"mt5crs/{LOCK}")
    digest = described(path)["sha256"]
    found = {"id": f"{version}-w{digest[:12]}", "version": version, "revision": "", "made": "", "subject": ""}
    return Source(found, lock, "", 0, None, path)


def _inside(wheel: Path, pattern: str) -> str:
    """Return a file of a wheel, by a pattern of its whole path."""
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if re.fullmatch(pattern, name):
                return archive.read(name).decode()
    raise Failed(f"{wheel} has no {pattern}", "a wheel of mt5crs has it: build it again", "no-lock")


def _version(text: str | None, short: str) -> str:
    try:
        for node in ast.parse(text or "").body:
            if (
                isinstance(node, ast.Assign)
                and isinstance(node.targets[0], ast.Name)
                and node.targets[0].id == "__version__"
                and isinstance(node.value, ast.Constant)
            ):
                return str(node.value.value)
    except SyntaxError:
        pass
    raise Failed(f"{short} has no version in {VERSION}", "name a revision of mt5crs", "no-version")


def _bundle(place: Place, id_: str) -> dict[str, Any] | None:
    """Return what is in a bundle, None where it is not complete or not as it was made."""
    folder = place.bundles / id_
    try:
        made: dict[str, Any] = json.loads((folder / "bundle.json").read_text(encoding="utf-8"))
        right = all(described(folder / each["name"]) == each for each in made["files"])
    except (OSError, ValueError):
        return None
    return made if right else None


def _build(place: Place, source: Source, work: Path, pins: str, tell: Tell) -> None:
    """Put the archive and the wheel of a revision into a folder's `bundle`."""
    id_, commit = source.release["id"], source.release["revision"]
    repository, folder = source.repository, work / "bundle"
    if repository is None:
        raise ValueError("a wheel is built of a revision")
    tar, tree = work / "tree.tar", work / "tree"
    tell(f"packing {id_}")
    with tar.open("wb") as file:
        answer = repository.try_(*STEADY, "archive", "--format=tar", commit, to=file)
    if answer.code:
        raise repository.mistake(answer, "git archive")
    with (folder / TREE).open("wb") as file, gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed:
        packed.write(tar.read_bytes())
    with tarfile.open(tar) as archive:
        # Older Pythons have no filters; what git packed stays below its folder.
        archive.extraction_filter = getattr(tarfile, "data_filter", lambda member, _path: member)
        archive.extractall(tree)  # noqa: S202
    python = environment(place, pins, tell)
    tell(f"building {id_}")
    options = ("--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(folder))
    when = {"SOURCE_DATE_EPOCH": str(source.made)}
    run_pip(place, python, "wheel", *options, str(tree), variables=when)
    if len(list(folder.glob(f"mt5crs-{source.release['version']}-*.whl"))) != 1:
        raise Failed(f"{id_} did not become a wheel of that version", "is its pyproject.toml right?", "build")

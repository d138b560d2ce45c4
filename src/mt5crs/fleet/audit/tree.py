"""What an audit sees of a project's folder, collected once; the checks look at nothing else."""

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from msgspec import Struct

from mt5crs import private
from mt5crs.errors import BridgeError, SettingError
from mt5crs.fleet.audit import exceptions
from mt5crs.fleet.audit.exceptions import Allowed
from mt5crs.fleet.audit.history import GitError, Repository, in_repository
from mt5crs.fleet.audit.leaks import History, Leak, in_files, in_history
from mt5crs.fleet.audit.secrets import KEY_KINDS, find, views
from mt5crs.fleet.inventory import NAME, Fleet
from mt5crs.settings import Settings, read_dotenv

LOOKED_INTO = (
    *("src/client/mt5_connector.py", "scripts/audit_current_task.py", "src/mt5crs/_version.py"),
    *(".env.example", "requirements.lock", "pyproject.toml"),
)
"""Files whose content the checks look into, as far as they are there."""
MOST = 100_000
"""Files of a folder that are looked at."""
PASSED_OVER = re.compile(r"\.fleet|releases|node_modules|__pycache__|.*_cache")
"""Folders of others: what is in them is no part of the project, if git keeps them out."""
KEY_BEGINS = re.compile(
    rb"(?:\s|(?:#|//)[^\n]*\n)*(?:[\[{]|-----BEGIN|PuTTY-User-Key-File|metadata|['\"]?(?:form|secret|seed|sealed)\b)"
)
"""How a file begins, after comments, that is a key, not one that shows one."""


class Named(Struct, frozen=True):
    """A release, as far as it matters here."""

    id: str


class Manifest(Struct, frozen=True):
    """What a node keeps with a release, `release.json`, as far as it matters here (`fleet.facts.Built`).

    Attributes:
        release: The release.
        tree: SHA-256 of each of its files, by path.
    """

    release: Named
    tree: dict[str, str] = {}


@dataclass(frozen=True)
class KeyFile:
    """A file that is a private key.

    Attributes:
        path: From the folder.
        kind: Which kind.
        problem: What is wrong with who can read it; "" where only its owner can.
        hint: The command that mends that.
        tracked: Whether git has it.
        ignored: Whether git keeps it out.
    """

    path: str
    kind: str
    problem: str
    hint: str
    tracked: bool
    ignored: bool


@dataclass(frozen=True)
class Env:
    """The `.env` that holds for the folder.

    Attributes:
        path: Where it is.
        problem: What is wrong with who can read it.
        hint: The command that mends that.
        lines: Its variables; empty where it cannot be read.
        settings: What `mt5crs.settings` makes of it; None where it is refused.
        refusal: Why it is refused.
        tracked: Whether git has it.
        ignored: Whether git keeps it out.
    """

    path: Path
    problem: str
    hint: str
    lines: Mapping[str, str | None]
    settings: Settings | None
    refusal: str
    tracked: bool
    ignored: bool


@dataclass(frozen=True)
class Tree:
    """What was seen.

    Attributes:
        folder: The folder.
        release: The id of the release whose folder on a node it is; "" of a project's own folder.
        files: What is in the files of `LOOKED_INTO` that are there.
        altered: Files of a release that are not as they were sent, or are missing.
        env: The settings; None where there are none.
        keys: Private keys in the folder.
        leaks: Secrets in what is, was, or would be committed; without git, in the folder's files.
        history: What git has; None where there is none to look at.
        no_history: Why not.
        allowed: Reviewed exceptions.
        exceptions: What is wrong with their file.
        fleet: The inventory; None without one.
        no_fleet: Why there is none; "" where there is one, even if it cannot be used.
        wrong_fleet: Why it cannot be used.
        open_keys: What is wrong with the SSH keys that the inventory names, by node.
        left_out: What could not be looked at.
    """

    folder: Path
    release: str = ""
    files: Mapping[str, bytes] = field(default_factory=dict[str, bytes])
    altered: tuple[str, ...] = ()
    env: Env | None = None
    keys: tuple[KeyFile, ...] = ()
    leaks: tuple[Leak, ...] = ()
    history: History | None = None
    no_history: str = ""
    allowed: tuple[Allowed, ...] = ()
    exceptions: str = ""
    fleet: Fleet | None = None
    no_fleet: str = ""
    wrong_fleet: str = ""
    open_keys: Mapping[str, str] = field(default_factory=dict[str, str])
    left_out: tuple[str, ...] = ()


def collected(folder: Path, inventory: Path | None = None) -> Tree:
    """Look at a folder.

    Args:
        folder: A checkout, or the folder of a release on a node.
        inventory: The inventory; `fleet.toml` in the folder without it.

    Raises:
        SettingError: There is no such folder, or the inventory that is given cannot be used.
    """
    folder = folder.resolve()
    if not folder.is_dir():
        raise SettingError(f"{folder} is no folder", hint="name the folder of a checkout")
    manifest = released(folder)
    repository, no_history = _repository(folder, manifest)
    tracked = {} if repository is None else repository.tracked()
    paths, left_out = _walked(folder, repository, own=manifest is not None)
    history: History | None = None
    if repository is None:
        leaks = in_files(folder, paths, left_out)
    else:
        history, leaks = in_history(repository, tracked, left_out)
    allowed, wrong = _exceptions(folder, repository, tracked, history)
    fleet, no_fleet, wrong_fleet = _fleet(folder, inventory)
    return Tree(
        folder=folder,
        release="" if manifest is None else manifest.release.id,
        files={name: content for name in LOOKED_INTO if (content := _content(folder / name)) is not None},
        altered=tuple(_altered(folder, manifest)),
        env=_env(folder, manifest, repository, tracked),
        keys=tuple(_keys(folder, paths, repository, tracked, left_out)),
        leaks=tuple(leaks),
        history=history,
        no_history=no_history,
        allowed=allowed,
        exceptions=wrong,
        fleet=fleet,
        no_fleet=no_fleet,
        wrong_fleet=wrong_fleet,
        open_keys={} if fleet is None else _open_keys(fleet),
        left_out=tuple(dict.fromkeys(left_out)),
    )


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def released(folder: Path) -> Manifest | None:
    """Return what a node keeps with a release; None of what is not laid out as a node lays one out.

    A project may have a file of that name, and must not get around its history with it.
    """
    folder = folder.resolve()
    try:
        found = msgspec.json.decode((folder / "release.json").read_bytes(), type=Manifest)
    except (OSError, msgspec.MsgspecError):
        return None
    laid_out = folder.parent.name == "releases" and folder.name == found.release.id
    own = (folder / ".venv").is_dir() and not os.path.lexists(folder / ".git")
    return found if laid_out and own and found.tree else None


def _repository(folder: Path, manifest: Manifest | None) -> tuple[Repository | None, str]:
    """Return the repository that the folder is in, or why there is none."""
    if manifest:
        return None, "a release on a node comes without its history: the audit on HUB looks at that"
    if not in_repository(folder):
        return None, f"{folder} is in no git repository"
    try:
        return Repository(folder), ""
    except GitError as error:
        return None, str(error)


def _walked(folder: Path, repository: Repository | None, *, own: bool) -> tuple[list[str], list[str]]:
    """Return the files of a folder, sorted, and what was left out.

    Args:
        folder: The folder.
        repository: The repository, which keeps out what may be passed over without a word.
        own: Whether it is a release, whose environment the node made.
    """
    found: list[str] = []
    left_out: list[str] = []

    def shut(error: OSError) -> None:
        left_out.append(_unread(folder, Path(error.filename), error))

    for here, folders, names in os.walk(folder, onerror=shut):
        entered: list[str] = []
        for name in sorted(folders):
            path = Path(here, name)
            told = path.relative_to(folder).as_posix()
            # Not by pathlib, whose questions fail where we may not look.
            others = PASSED_OVER.fullmatch(name) or os.path.exists(path / "pyvenv.cfg")  # noqa: PTH110
            if os.path.islink(path) or name == ".git" or (own and told == ".venv"):  # noqa: PTH114
                continue
            if not others or (repository is not None and not repository.ignores(f"{told}/")):
                entered.append(name)
            elif repository is None and name != "__pycache__":
                left_out.append(f"{told} is a folder of other programs")
        folders[:] = entered
        found += [Path(here, name).relative_to(folder).as_posix() for name in sorted(names)]
        if len(found) > MOST:
            left_out.append(f"{folder} has more than {MOST} files: those after {found[MOST - 1]}")
            return found[:MOST], left_out
    return found, left_out


def _unread(folder: Path, path: Path, error: OSError) -> str:
    told = path.relative_to(folder).as_posix()
    return f"{folder if told == '.' else told} cannot be read: {error.strerror or error}"


def _keys(
    folder: Path,
    paths: list[str],
    repository: Repository | None,
    tracked: Mapping[str, str],
    left_out: list[str],
) -> Iterator[KeyFile]:
    for path in paths:
        file = folder / path
        try:
            if file.is_symlink() or not file.is_file() or file.stat().st_size > private.LIMIT:
                continue
            content = file.read_bytes()
        except FileNotFoundError:
            continue
        except OSError as error:  # what git keeps out is looked at here alone
            left_out.append(_unread(folder, file, error))
            continue
        if not any(KEY_BEGINS.match(view) for view in views(content)):
            continue
        kind = next((spot.kind for spot in find(content) if spot.kind in KEY_KINDS), "")
        if kind:
            problem, hint = _open(file)
            ignored = repository is not None and repository.ignores(path)
            yield KeyFile(path, kind, problem, hint, path in tracked, ignored)


def _open(path: Path) -> tuple[str, str]:
    """Return what is wrong with who can read a file, and what mends it; empty where nothing is."""
    try:
        private.read(path)
    except private.NotPrivate as error:
        return str(error.strerror), error.hint
    except OSError as error:
        return f"cannot be read: {error.strerror or error}", ""
    return "", ""


def _env(
    folder: Path, manifest: Manifest | None, repository: Repository | None, tracked: Mapping[str, str]
) -> Env | None:
    # All releases of a node share the one beside them.
    path = (folder.parent.parent if manifest else folder) / ".env"
    if not path.is_file():
        return None
    problem, hint = _open(path)
    lines: Mapping[str, str | None] = {}
    settings: Settings | None = None
    refusal = ""
    try:
        lines = read_dotenv(str(path))
        settings = Settings.read(environ={}, dotenv=path)
    except SettingError as error:
        refusal = str(error)
    ignored = repository is not None and repository.ignores(".env")
    return Env(path, problem, hint, lines, settings, refusal, ".env" in tracked, ignored)


def _altered(folder: Path, manifest: Manifest | None) -> Iterator[str]:
    for path, digest in sorted(manifest.tree.items() if manifest else ()):
        content = _content(folder / path)
        if content is None:
            yield f"{path} is missing"
        elif hashlib.sha256(content).hexdigest() != digest:
            yield f"{path} was changed"


def _exceptions(
    folder: Path, repository: Repository | None, tracked: Mapping[str, str], history: History | None
) -> tuple[tuple[Allowed, ...], str]:
    """Return the exceptions that count: in a repository, those that were committed and so reviewed."""
    try:
        allowed = exceptions.read(folder)
    except SettingError as error:
        return (), str(error)
    if not allowed or repository is None or history is None:
        return allowed, ""
    name = exceptions.NAME
    if name in history.changed or repository.committed(name) != tracked.get(name, "nowhere"):
        return (), f"{name} is not as it was committed: no exception counts until it is"
    return allowed, ""


def _fleet(folder: Path, inventory: Path | None) -> tuple[Fleet | None, str, str]:
    path = inventory or folder / NAME
    if inventory is None and not path.exists():
        return None, f"there is no {path}", ""
    try:
        return Fleet.read(path), "", ""
    except BridgeError as error:
        if inventory is not None:
            raise
        return None, "", str(error)


def _open_keys(fleet: Fleet) -> dict[str, str]:
    wrong: dict[str, str] = {}
    for node in fleet.nodes.values():
        if node.ssh_key:
            path = Path(fleet.folder, Path(node.ssh_key).expanduser())
            problem, hint = _open(path)
            if problem:
                wrong[node.name] = f"{path} {problem}" + (f" ({hint})" if hint else "")
    return wrong

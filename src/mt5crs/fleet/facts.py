"""What nodes answer, as `node/` writes it."""

import re
from typing import Any

from msgspec import Struct, field

VERSION = re.compile(r"\d{1,3}\.\d{1,3}(?:[.+a-z]\w*)*\+?")
"""The version of a Python, or of a C library."""


class About(Struct, frozen=True):
    """What a release says of itself in its own environment (`mt5crs.about`)."""

    version: str
    speaks: tuple[int, ...]
    files: dict[str, int]
    python: str
    packages: dict[str, str]


class File(Struct, frozen=True):
    """A file that is sent.

    Attributes:
        name: Its name, without folder.
        size: In bytes.
        sha256: In hexadecimal digits.
    """

    name: str
    size: int
    sha256: str


class Release(Struct, frozen=True):
    """A release as HUB has it.

    Attributes:
        id: `VERSION-COMMIT`, 12 digits of it; `VERSION-wDIGEST` of a wheel.
        version: The package's version.
        revision: The commit; "" of a wheel.
        made: When it was committed, ISO 8601 in UTC; "" of a wheel.
        subject: The commit's subject; "" of a wheel.
        files: The wheel, `requirements.lock` and, of a revision, `tree.tar.gz`; in HUB's `.fleet/bundles/ID`.
    """

    id: str
    version: str
    revision: str
    made: str
    subject: str
    files: tuple[File, ...]


class Built(Struct, frozen=True):
    """A release on a node (its `release.json`).

    Attributes:
        release: What was sent.
        about: What it says of itself there.
        pins: SHA-256 of the locked requirements that were installed.
        extras: The extras that these are for.
        built: When, ISO 8601 in UTC.
        tree: SHA-256 of each file of the revision, by path.
        installed: SHA-256 of the list of all files of its packages (`.installed.json` beside them); "" of a
            release that was built without one.
        repaired: What `build` found that was not as it was built, and put right in place.
    """

    release: Release
    about: About
    pins: str
    extras: tuple[str, ...]
    built: str
    tree: dict[str, str] = field(default_factory=dict)
    installed: str = ""
    repaired: tuple[str, ...] = ()


class Interpreter(Struct, frozen=True):
    """The Python of which a node makes environments.

    Attributes:
        version: Such as 3.11.7.
        markers: The environment that markers of requirements are evaluated in.
        libc: Of Linux: `glibc` or `musl`, and its version; else empty.
        has_venv: Whether it can make environments.
    """

    version: str
    markers: dict[str, str]
    libc: tuple[str, ...]
    has_venv: bool

    def __post_init__(self) -> None:
        """Refuse what nothing can be decided by.

        Raises:
            ValueError: It is no version.
        """
        if not VERSION.fullmatch(self.version):
            raise ValueError(f"{self.version!r:.40} is no version of Python")
        if self.libc and (len(self.libc) != 2 or not VERSION.fullmatch(self.libc[1])):
            raise ValueError(f"{self.libc!r:.60} is no C library with its version")


class NodeState(Struct, frozen=True):
    """What `probe` answers.

    Attributes:
        time: Its clock, seconds since 1970.
        host: Its own name.
        user: Who we are there.
        os: `linux` or `windows`.
        python: Its interpreter.
        free: Bytes free below the path.
        current: The release in use; "" for none.
        releases: Complete releases, by id.
        incomplete: Ids of releases that were begun and are not complete.
        env: Our variables in `.env`, without secrets.
        services: How each service is: `running`, `stopped`, `unknown`.
        unfinished: The deployment that was begun last and has no result; None where there is none.
        journals: Versions of the files of ours that lie there, the newest of each kind (`journal`, `trades`,
            `state`).
        git: Whether git is there.
        env_trouble: Why `.env` cannot be read; empty where it can.
        previous: The release in use before the current one that is still there; "" for none.
        record_problems: What is wrong with the record, in words.
        unwritable: Why its folder cannot be written to: `read-only`, `permission`; empty where it can.
    """

    time: float
    host: str
    user: str
    os: str
    python: Interpreter
    free: int
    current: str
    releases: dict[str, Built]
    incomplete: tuple[str, ...]
    env: dict[str, str]
    services: dict[str, str]
    unfinished: dict[str, Any] | None
    journals: dict[str, int]
    git: bool
    env_trouble: str = ""
    previous: str = ""
    record_problems: tuple[str, ...] = ()
    unwritable: str = ""


class Have(Struct, frozen=True):
    """What `have` answers: which of some files are there."""

    have: tuple[str, ...]


class Deployed(Struct, frozen=True):
    """What `deploy` answers: what it wrote down."""

    record: dict[str, Any]


class Recorded(Struct, frozen=True):
    """What `record` answers: lines of the record, and what is wrong with it."""

    lines: tuple[dict[str, Any], ...]
    problems: tuple[str, ...] = ()


class Told(Struct, frozen=True):
    """A commit, as it is told."""

    revision: str
    subject: str = ""


class Commits(Struct, frozen=True):
    """What `log` and `revert` answer: commits, newest first."""

    commits: tuple[Told, ...]
    passed: tuple[str, ...] = ()


class Losing(Struct, frozen=True):
    """What `losses` and `reset` answer (`node/history.py`)."""

    branch: str
    commits: tuple[Told, ...]
    changes: tuple[str, ...]
    confirm: str
    kept: tuple[str, ...] = ()


class Files(Struct, frozen=True):
    """What `wheelhouse` answers."""

    files: tuple[File, ...]


class Bundled(Struct, frozen=True):
    """What `bundle` answers: a release, its lock, and its wheel's metadata."""

    release: Release
    lock: str
    metadata: str


class Found(Struct, frozen=True):
    """What a release would be: the same, before there are files of it."""

    id: str
    version: str
    revision: str
    made: str
    subject: str


class Revision(Struct, frozen=True):
    """What `revision` answers of a revision, or of a wheel; `changes` were never committed on HUB."""

    release: Found
    lock: str = ""
    project: str = ""
    markers: dict[str, str] = field(default_factory=dict)
    changes: tuple[str, ...] = ()


class Made(Struct, frozen=True):
    """What `release` answers, as far as we need it."""

    id: str


class Output(Struct, frozen=True):
    """What `windows` and `windows-status` answer: what the script wrote."""

    output: str = ""

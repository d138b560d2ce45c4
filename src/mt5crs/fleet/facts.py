"""What nodes answer, as `node/` writes it."""

from typing import Any

from msgspec import Struct, field


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
    """

    release: Release
    about: About
    pins: str
    extras: tuple[str, ...]
    built: str
    tree: dict[str, str] = field(default_factory=dict)


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
    libc: tuple[str, str] | tuple[()]
    has_venv: bool


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

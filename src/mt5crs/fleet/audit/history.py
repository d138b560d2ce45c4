"""What a git repository has and ever had: each content once, streamed through one `git cat-file`.

Nothing is run that the repository could name, and nothing is fetched: git never sees its settings
(`shadow`), and whether files are as git has them is found here, by their digests.
"""

import hashlib
import shutil
import subprocess
import threading
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from graphlib import TopologicalSorter
from pathlib import Path
from typing import IO, NamedTuple

from mt5crs.errors import BridgeError
from mt5crs.fleet.audit import shadow

LARGEST = 32 * 1024 * 1024
"""Bytes of the largest content that is looked into."""
PATIENCE = 120.0
"""Seconds for a command of git that answers at once, on a slow disk."""
SCANNED = frozenset({b"blob", b"commit", b"tag"})
"""Objects that hold what somebody wrote."""
LINK, GITLINK = "120000", "160000"
"""Modes of a symbolic link, and of another repository's commit."""
NO_FILES = {
    40: "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
    64: "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321",
}
"""Git's id of a folder without files, by the digits that ids have."""


class GitError(BridgeError):
    """Git did not do what it was asked for."""

    code = "git"


class Object(NamedTuple):
    """An object of a repository.

    Attributes:
        id: Its id.
        kind: `blob`, `commit` or `tag`.
        size: In bytes.
    """

    id: str
    kind: str
    size: int


class Commit(NamedTuple):
    """What a commit leads to.

    Attributes:
        tree: The id of its files.
        parents: The commits that it came from.
    """

    tree: str
    parents: tuple[str, ...]

    @classmethod
    def read(cls, content: bytes) -> "Commit":
        """Read a commit."""
        heads = [
            line.decode("ascii", "replace").split(" ") for line in content.partition(b"\n\n")[0].split(b"\n")
        ]
        named = [(name, rest[0]) for name, *rest in heads if rest]
        tree = next((id_ for name, id_ in named if name == "tree"), "")
        return cls(tree, tuple(id_ for name, id_ in named if name == "parent"))


class Place(NamedTuple):
    """Where a content came into the history.

    Attributes:
        commit: The commit, 12 digits.
        path: The path that it had there.
    """

    commit: str
    path: str


def in_repository(folder: Path) -> bool:
    """Return whether a folder looks as if it were in a git repository, even in one that is broken."""
    folder = folder.resolve()
    return any((each / ".git").exists() for each in (folder, *folder.parents))


class Repository:
    """The git repository that a folder is in.

    Args:
        folder: The folder.

    Attributes:
        folder: The folder.
        prefix: Where it is in the repository: "" or a path that ends with a slash.

    Raises:
        GitError: Git is missing, or the folder is in no repository that can be read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        found = shutil.which("git")
        if found is None:
            raise GitError("git is not there", hint="install git on this machine: apt-get install git")
        self._git = found
        try:
            at = shadow.place(folder.resolve())
            if at is None or not shadow.is_whole(at):
                raise GitError(f"{folder}: this is not a git repository that can be read", hint="git fsck")
            self._at = at
            private, self._environment = shadow.cast(at)
            shadow.drop_with(self, private)
            self._head, self._tips = shadow.head(at), shadow.tips(at)
        except OSError as error:
            raise GitError(f"{folder}: its git repository: {error}") from None
        inside = folder.resolve().relative_to(at.top).as_posix()
        self.prefix = "" if inside == "." else f"{inside}/"
        self._index = [(path, *head.split(" ")[:2]) for path, head in self._listed()]

    def revision(self) -> str:
        """Return the commit that is checked out; "" before the first one."""
        return self._head

    def is_shallow(self) -> bool:
        """Return whether a part of what references lead to is not there."""
        if shadow.shallow(self._at):
            return True
        command = ("rev-list", "--objects", "--no-object-names", "--missing=print", "--stdin")
        asked = "".join(f"{each}\n" for each in sorted(self._tips)).encode()
        told = self._run(*command, input_=asked, ok=(0, 128))
        return told.returncode != 0 or any(line.startswith(b"?") for line in told.stdout.split(b"\n"))

    def tracked(self) -> dict[str, str]:
        """Return the ids of what is tracked, by path from the folder; other repositories are none of it."""
        return {path: id_ for path, mode, id_ in self._index if mode != GITLINK}

    def others(self) -> list[str]:
        """Return the paths, from the folder, of other repositories in this one, which it does not hold."""
        links = {path for path, mode, _ in self._index if mode == GITLINK}
        return sorted(links | {path.rstrip("/") for path in self._untracked() if path.endswith("/")})

    def changed(self) -> list[str]:
        """Return the paths, from the folder, whose content is not what git has, and that it takes.

        Whatever git was told to assume of a file, it is looked at.
        """
        differ = {
            path for path, mode, id_ in self._index if mode != GITLINK and not self._same(path, mode, id_)
        }
        return sorted(differ | {path for path in self._untracked() if not path.endswith("/")})

    def committed(self, path: str) -> str:
        """Return the id that a path of the folder has in the commit that is checked out; "" without one."""
        if not self._head:
            return ""
        told = self._text("ls-tree", "-z", self._head, "--", path).partition("\0")[0]
        return told.partition("\t")[0].split(" ")[-1]

    def ignores(self, path: str) -> bool:
        """Return whether git keeps a path of the folder out."""
        return not self._run("check-ignore", "-q", "--no-index", "--", path, ok=(0, 1)).returncode

    def objects(self) -> list[Object]:
        """Return everything that is there, whatever leads to it, each once."""
        form = "--batch-check=%(objectname) %(objecttype) %(objectsize)"
        told = self._run("cat-file", form, "--batch-all-objects", "--unordered", "--buffer").stdout
        lines = (line.split(b" ") for line in told.split(b"\n") if line)
        found = {each[0]: each for each in lines if each[1] in SCANNED}
        return [Object(id_.decode(), kind.decode(), int(size)) for id_, kind, size in found.values()]

    def contents(self, objects: Iterable[Object]) -> Iterator[tuple[Object, bytes]]:
        """Yield the content of objects, one after the other; no more than one is held."""
        wanted = list(objects)
        with self._reading(wanted) as stream:
            for each in wanted:
                head = stream.readline().split()
                if len(head) != 3 or head[0] != each.id.encode():
                    raise GitError(f"{self.folder}: git does not give the object {each.id}", hint="git fsck")
                content = stream.read(int(head[2]))
                stream.read(1)
                yield each, content

    def places(self, ids: Iterable[str], commits: Mapping[str, Commit]) -> dict[str, list[Place]]:
        """Return where contents came into the history, by id, the oldest first.

        Args:
            ids: The contents.
            commits: Every commit by its id.
        """
        wanted = set(ids)
        places: dict[str, list[Place]] = {}
        if not wanted or not commits:
            return places
        nothing = NO_FILES[len(next(iter(commits)))]
        steps: dict[str, str] = {}
        for id_ in TopologicalSorter({id_: each.parents for id_, each in commits.items()}).static_order():
            own = commits.get(id_)
            if own is None:  # a parent that is not there
                continue
            known = [commits[each].tree for each in own.parents if each in commits] or [nothing]
            for before in known:
                steps.setdefault(f"{before} {own.tree}", id_)
        asked = "".join(f"{step}\n" for step in steps).encode()
        command = ("diff-tree", "--stdin", "-r", "--raw", "-z", "--no-abbrev", "--no-renames")
        told = self._run(*command, "--diff-filter=AMT", input_=asked, ok=(0, 128)).stdout
        commit = ""
        fields = iter(told.decode("utf-8", "surrogateescape").split("\0"))
        for field in fields:
            heads, mark, begun = field.rpartition("\n")
            if mark:
                commit = steps.get(heads.rpartition("\n")[2], "")
            if begun.startswith(":"):
                id_, path = begun.split(" ")[3], next(fields, "")
                if id_ in wanted:
                    places.setdefault(id_, []).append(Place(commit[:12], path))
        return places

    def _listed(self) -> Iterator[tuple[str, str]]:
        for each in self._text("ls-files", "-s", "-z").split("\0"):
            head, mark, path = each.partition("\t")
            if mark:
                yield path, head

    def _untracked(self) -> list[str]:
        return [each for each in self._text("ls-files", "-z", "-o", "--exclude-standard").split("\0") if each]

    def _same(self, path: str, mode: str, id_: str) -> bool:
        """Return whether a file is what git has, or that with the line ends of Windows; no filter runs."""
        file = self.folder / path
        try:
            if file.is_symlink() or mode == LINK:
                return (
                    mode == LINK
                    and _digest(id_, str(file.readlink()).encode("utf-8", "surrogateescape")) == id_
                )
            if not file.is_file() or file.stat().st_size > LARGEST:
                return file.is_file() and _digest_of(id_, file) == id_
            content = file.read_bytes()
        except OSError:
            return False
        return _digest(id_, content) == id_ or (
            b"\r\n" in content and _digest(id_, content.replace(b"\r\n", b"\n")) == id_
        )

    @contextmanager
    def _reading(self, wanted: list[Object]) -> Generator[IO[bytes], None, None]:
        process = subprocess.Popen(  # noqa: S603 - git, found on the path
            [self._git, "cat-file", "--batch", "--buffer"],
            cwd=self.folder, env=self._environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        assert process.stdin is not None  # noqa: S101 - both are pipes
        assert process.stdout is not None  # noqa: S101
        # Git answers while it is still asked: whoever asks must not wait until all is said.
        asking = threading.Thread(target=_ask, args=(process.stdin, wanted), daemon=True)
        asking.start()
        try:
            yield process.stdout
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
            asking.join()

    def _text(self, *command: str) -> str:
        return self._run(*command).stdout.decode("utf-8", "surrogateescape")

    def _run(
        self, *command: str, input_: bytes | None = None, ok: tuple[int, ...] = (0,)
    ) -> "subprocess.CompletedProcess[bytes]":
        try:
            done = subprocess.run(  # noqa: S603 - as above
                [self._git, *command],
                cwd=self.folder, env=self._environment, input=input_, capture_output=True, timeout=PATIENCE,
                stdin=subprocess.DEVNULL if input_ is None else None, check=False,
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as error:
            raise GitError(f"{self.folder}: git {command[0]}: {error}") from None
        if done.returncode not in ok:
            said = done.stderr.decode("utf-8", "replace").strip().splitlines() or [f"exit {done.returncode}"]
            raise GitError(f"{self.folder}: git {command[0]}: {said[0]}")
        return done


def _ask(stdin: IO[bytes], wanted: list[Object]) -> None:
    try:
        with stdin:
            for each in wanted:
                stdin.write(f"{each.id}\n".encode())
    except (BrokenPipeError, ValueError):  # nobody reads the answers any more
        return


def _digest(like: str, content: bytes) -> str:
    """Return git's id of a content, with as many digits as another id has."""
    made = hashlib.sha256() if len(like) > 40 else hashlib.sha1(usedforsecurity=False)
    made.update(b"blob %d\0" % len(content))
    made.update(content)
    return made.hexdigest()


def _digest_of(like: str, file: Path) -> str:
    """Return the same of a file that is too large to be held."""
    made = hashlib.sha256() if len(like) > 40 else hashlib.sha1(usedforsecurity=False)
    made.update(b"blob %d\0" % file.stat().st_size)
    with file.open("rb") as stream:
        while part := stream.read(1 << 20):
            made.update(part)
    return made.hexdigest()

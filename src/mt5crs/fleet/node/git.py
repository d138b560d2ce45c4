"""A git repository on HUB, asked through `git`, with its mistakes told to people."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

from .operations import Failed
from .place import Place

ELSEWHERE = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_NAMESPACE")
"""Variables that would have git look at another repository."""

NAMED = 8
"""Branches, and tags, that are named to who asked for one that is not there."""
MISTAKES = (
    (
        "dubious ownership",
        "belongs to another user, and git does not read such a repository",
        "log in as its owner (`user` in the inventory), or run there: "
        "git config --global --add safe.directory {path}",
        "dubious-ownership",
    ),
    (
        "not a git repository",
        "is not a git repository",
        "set `repository` of [source] in the inventory to where it is on HUB, or `wheel` to a wheel there",
        "no-repository",
    ),
    ("No space left on device", "could not be written: the disk is full", "make room on HUB", "no-space"),
)
"""What git says, what that means of the repository, what to do, and the code."""


class Commit(NamedTuple):
    """A commit, told by name.

    Attributes:
        revision: Its id.
        made: When it was committed, seconds since 1970.
        who: Its author.
        subject: The first line of its message.
    """

    revision: str
    made: int
    who: str
    subject: str


class Answer(NamedTuple):
    """What git answered.

    Attributes:
        code: The exit code.
        out: The standard output.
        error: The standard error.
    """

    code: int
    out: str
    error: str


class Repository:
    """A repository.

    Args:
        place: HUB's folder.
        name: The repository's own folder, relative to that one.

    Raises:
        Failed: There is no git, or no repository.
    """

    def __init__(self, place: Place, name: str) -> None:
        found = shutil.which("git")
        if found is None:
            raise Failed(
                "git is not installed", "install git on HUB, or give a `wheel` in [source]", "no-git"
            )
        self._git = found
        self.path = Path(os.path.abspath(place.path / name))  # noqa: PTH100 - a link stays as it is named
        if not self.path.is_dir():
            raise Failed(f"{self.path} is not there", MISTAKES[1][2], "no-repository")
        self.run("rev-parse", "--git-dir")

    def try_(
        self,
        *arguments: str,
        at: Path | None = None,
        env: Mapping[str, str] | None = None,
        to: IO[bytes] | None = None,
    ) -> Answer:
        """Run git and return what it answered.

        Args:
            arguments: Its arguments.
            at: Another work tree of the repository.
            env: Variables besides ours.
            to: A file for the standard output.
        """
        folder = at or self.path
        environment = {name: value for name, value in os.environ.items() if name not in ELSEWHERE}
        # Not a repository that happens to be around this folder.
        environment.update(
            LC_ALL="C", GIT_TERMINAL_PROMPT="0", GIT_EDITOR="true", GIT_CEILING_DIRECTORIES=str(folder.parent)
        )
        with subprocess.Popen(  # noqa: S603 - no shell, and revisions were resolved
            [self._git, "-C", str(folder), "-c", "i18n.logOutputEncoding=UTF-8", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=to or subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**environment, **(env or {})},
        ) as child:
            try:
                out, error = child.communicate()
            except BaseException:
                child.terminate()  # then it takes its locks away
                raise
        return Answer(child.returncode, (out or b"").decode(errors="replace"), error.decode(errors="replace"))

    def run(self, *arguments: str, at: Path | None = None, env: Mapping[str, str] | None = None) -> str:
        """Run git and return its output.

        Raises:
            Failed: It failed.
        """
        answer = self.try_(*arguments, at=at, env=env)
        if answer.code:
            raise self.mistake(answer, f"git {arguments[0]}")
        return answer.out

    def mistake(self, answer: Answer, what: str) -> Failed:
        """Return what git's answer means."""
        for said, meaning, hint, code in MISTAKES:
            if said in answer.error:
                return Failed(f"{self.path} {meaning}", hint.format(path=self.path), code)
        return Failed(f"{self.path}: {what}: {(answer.error or answer.out).strip()[-500:]}", "", "git")

    def commit(self, revision: str) -> Commit:
        """Return the commit that a revision means.

        Raises:
            Failed: It means none, or more than one.
        """
        shown = f"revision {revision!r} of {self.path}"
        if not revision or revision.startswith("-") or ".." in revision:
            raise Failed(f"{shown} is not a name", "give a branch, a tag or a commit", "unknown-revision")
        answer = self.try_("rev-parse", "--verify", f"{revision}^{{commit}}")
        if "is ambiguous" in answer.error:
            candidates = re.findall(r"^hint:   (\S+ commit .*)$", answer.error, re.MULTILINE)
            found = "; ".join(candidates) or "a branch and a tag have this name"
            raise Failed(
                f"{shown} is ambiguous: {found}", "give more digits, or refs/heads/NAME", "ambiguous"
            )
        if answer.code:
            raise Failed(
                f"{shown} is unknown",
                f"set `[source] revision` in fleet.toml, or --to; {self._names()}; fetch others",
                "unknown-revision",
            )
        return self.commits(["--no-walk", answer.out.strip()])[0]

    def _names(self) -> str:
        """Return which branches and tags there are, in words; of tags the newest first."""
        told: list[str] = []
        for kind, where in (("branches", "refs/heads"), ("tags", "refs/tags")):
            asked = ("for-each-ref", "--format=%(refname:strip=2)", "--sort=-creatordate", where)
            names = self.try_(*asked).out.split()
            more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
            told.append(f"{kind} there: {', '.join(names[:NAMED])}{more}" if names else f"no {kind} there")
        return "; ".join(told)

    def commits(self, arguments: Sequence[str]) -> list[Commit]:
        """Return the commits that arguments of `git log` select."""
        out = self.run(
            "log", "-z", "--no-show-signature", "--format=%H%x1f%ct%x1f%an%x1f%s", *arguments, "--"
        )
        rows = [line.split("\x1f", 3) for line in out.split("\0") if line]
        return [Commit(id_, int(made), who, subject) for id_, made, who, subject in rows]

    def is_empty(self, commit: str) -> bool:
        """Return whether a commit changes nothing, as seen from its first parent."""
        return not self.try_("diff", "--quiet", f"{commit}^1", commit).code

    def text(self, commit: str, path: str) -> str | None:
        """Return a file of a commit, None where it has none of that name."""
        answer = self.try_("cat-file", "blob", f"{commit}:{path}")
        return None if answer.code else answer.out

    def branch(self, name: str) -> str:
        """Return the name of a branch; of the one that HEAD is on for "".

        Raises:
            Failed: There is none.
        """
        if not name:
            answer = self.try_("symbolic-ref", "--quiet", "--short", "HEAD")
            if answer.code:
                raise Failed(f"{self.path} is on no branch", "name the branch", "no-branch")
            name = answer.out.strip()
        if self.try_("show-ref", "--verify", "--quiet", f"refs/heads/{name}").code:
            raise Failed(
                f"{self.path} has no branch {name!r}", "name a branch of HUB's repository", "no-branch"
            )
        return name

    def work_tree(self, branch: str) -> Path | None:
        """Return the folder where a branch is checked out, None where it is nowhere."""
        for block in self.run("worktree", "list", "--porcelain").split("\n\n"):
            lines = block.splitlines()
            if f"branch refs/heads/{branch}" in lines:
                return Path(lines[0][len("worktree ") :])
        return None

    def changes(self, work_tree: Path) -> list[str]:
        """Return the paths with changes that are not committed; new files that git does not know are none."""
        out = self.run("status", "--porcelain", "-z", "--no-renames", "--untracked-files=no", at=work_tree)
        return [line[3:] for line in out.split("\0") if line]

    def told(self, commit: Commit) -> dict[str, Any]:
        """Return a commit as it is answered."""
        return commit._asdict()

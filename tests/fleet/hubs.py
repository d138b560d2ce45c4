"""A HUB on this machine: the packed node program, run as SSH would run it, and git repositories for it."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mt5crs.fleet.inventory import Node, Role
from mt5crs.fleet.ssh import NodeError
from tests.fleet.asking import program, write

ROOT = Path(__file__).parents[2]
PATIENCE = 100


class Hub:
    """A `Remote` without SSH.

    Attributes:
        path: HUB's folder.
        told: What it said while it worked.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "hub"
        self.path.mkdir(parents=True)
        self.node = Node(Role.HUB, "127.0.0.1", name="hub", path=str(self.path))
        self.told: list[str] = []
        self.env: dict[str, str] = {}
        self._program = write(folder)

    async def ask(
        self, operation: str, tell: Callable[[str], None] = lambda _text: None, **request: Any
    ) -> dict[str, Any]:
        line = json.dumps({"do": operation, "path": str(self.path), **request})
        with program(
            line, (sys.executable, "-I", str(self._program)), env={**os.environ, **self.env}
        ) as asked:
            end = asked.answer()
        self.told = asked.said
        if "failed" in end:
            raise NodeError(
                "hub", end["failed"]["what"], hint=end["failed"]["hint"], kind=end["failed"]["code"]
            )
        done: dict[str, Any] = end["done"]
        return done

    async def send(self, source: object, path: str, sha256: str, size: int) -> None:
        raise NotImplementedError

    async def put(self, content: bytes) -> str:
        raise NotImplementedError

    def do(self, operation: str, **request: Any) -> dict[str, Any]:
        return asyncio.run(self.ask(operation, **request))


class Git:
    """A repository with two commits and a branch `main`."""

    def __init__(self, path: Path, *, bare_of: "Git | None" = None) -> None:
        self.path = path
        if bare_of:
            path.parent.mkdir(parents=True, exist_ok=True)
            bare_of("clone", "--quiet", "--bare", str(bare_of.path), str(path))
            return
        path.mkdir(parents=True, exist_ok=True)
        self("init", "--quiet", "--initial-branch=main")

    def __call__(self, *arguments: str) -> str:
        who = {f"GIT_{each}_{what}": "dev" for each in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        return subprocess.run(
            ["git", "-C", self.path, *arguments],
            check=True, timeout=PATIENCE, capture_output=True, text=True, env={**os.environ, **who},
        ).stdout.strip()  # fmt: skip

    def commit(self, subject: str, files: Mapping[str, str | None]) -> str:
        for name, text in files.items():
            file = self.path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            if text is None:
                file.unlink()
            else:
                file.write_text(text)
        self("add", "--all", "--force")
        self("commit", "--quiet", "--message", subject)
        return self("rev-parse", "HEAD")


def of_this_tree(path: Path) -> Git:
    """Return a repository with one commit: the files of the tree that is tested."""
    git = Git(path)
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, timeout=PATIENCE, capture_output=True, text=True,
    ).stdout.split("\0")[:-1]  # fmt: skip
    for name in listed:
        if (ROOT / name).is_file():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes((ROOT / name).read_bytes())
            (path / name).chmod((ROOT / name).stat().st_mode & 0o777)
    git("add", "--all", "--force")
    git("commit", "--quiet", "--message", "The tree")
    return git

"""A fleet of machines, a made-up release for it, and the command line that a user would type."""

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.fleet.machines import Machine, inventory

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 300.0
REPOSITORY = "project"
"""Where HUB has its repository, below its path."""
PASSED_OVER = (".fleet/bundles", ".fleet/lock", f"{REPOSITORY}/.git")
"""What HUB may write to say what a release is, and what is held while somebody looks."""

PROJECT = """\
[build-system]
requires = ["hatchling>=1.25"]
build-backend = "hatchling.build"
[project]
name = "mt5crs"
requires-python = ">=3.10"
dynamic = ["version"]
dependencies = ["python-dotenv>=1.0"]
[tool.hatch.version]
path = "src/mt5crs/_version.py"
[tool.hatch.build.targets.wheel]
packages = ["src/mt5crs"]
[tool.hatch.build.targets.wheel.force-include]
"requirements.lock" = "mt5crs/requirements.lock"
"""
ABOUT = """\
import json, socket, sys
from mt5crs._version import __version__
{before}
python = sys.version.split()[0]
print(json.dumps(dict(
    version=__version__, speaks={speaks}, files=dict(journal=1), python=python, packages=dict()
)))
"""
SETTINGS = """\
class Settings:
    @classmethod
    def read(cls, given=None, environ=None, dotenv=None, bind=False):
        return cls()
"""
SERVE = "import signal\nsignal.pause()\n"
LOCKED = ("hatchling", "packaging", "pathspec", "pluggy", "trove-classifiers", "python-dotenv", "tomli")
GIT = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"} | {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "Operator"), ("EMAIL", "operator@example.org"))
}


def locked(names: Sequence[str] = LOCKED) -> str:
    """Return the pins of some packages, as the project's own lock has them."""
    blocks = re.split(r"(?m)^(?=[a-zA-Z0-9])", (ROOT / "requirements.lock").read_text())
    return "".join(block for block in blocks if block.partition("==")[0] in names)


class Repository:
    """A git repository, as HUB has it.

    Args:
        folder: Where; it is made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *arguments: str) -> str:
        """Run git there; return what it writes."""
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.folder, env={**os.environ, **GIT},
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def commit(self, subject: str, files: Mapping[str, str]) -> str:
        """Commit files; return the commit."""
        for name, content in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", subject)
        return self.git("rev-parse", "HEAD")

    def release(self, version: str, *, before: str = "", speaks: tuple[int, ...] = (2,)) -> str:
        """Commit a made-up release, tagged with its version; return its id.

        Args:
            version: Its version.
            before: What it does when it is asked what it is.
            speaks: The protocols that it speaks.
        """
        commit = self.commit(
            f"Release {version}",
            {
                "pyproject.toml": PROJECT,
                "requirements.lock": locked(),
                "src/mt5crs/__init__.py": "",
                "src/mt5crs/_version.py": f'__version__ = "{version}"\n',
                "src/mt5crs/about.py": ABOUT.format(before=before, speaks=list(speaks)),
                "src/mt5crs/settings.py": SETTINGS,
                "src/mt5crs/serve.py": SERVE,
                "scripts/note.txt": f"This is {version}.\n",
            },
        )
        self.git("tag", version)
        return f"{version}-{commit[:12]}"


class Done:
    """What became of a command.

    Attributes:
        code: Its exit code.
        out: What it wrote.
        err: What it wrote beside that.
    """

    def __init__(self, done: "subprocess.CompletedProcess[str]") -> None:
        self.code = done.returncode
        self.out = done.stdout
        self.err = done.stderr

    @property
    def json(self) -> Any:
        """The document that it wrote."""
        return json.loads(self.out)

    def __repr__(self) -> str:
        return f"exit code {self.code}\n--- out\n{self.out}\n--- err\n{self.err}"


class World:
    """Machines, their inventory, and the command line.

    Args:
        folder: Where the inventory is.
        machines: The machines.
        rest: What the inventory says besides.
        nodes: Lines for the table of each node.
    """

    def __init__(
        self,
        folder: Path,
        machines: Mapping[str, Machine],
        rest: str = "",
        nodes: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.machines = machines
        text = inventory(machines, f'{rest}\n[source]\nrepository = "{REPOSITORY}"\n')
        for name, lines in (nodes or {}).items():
            text = text.replace(f"[nodes.{name}]\n", f"[nodes.{name}]\n{lines}\n")
        self.text = text
        (folder / "fleet.toml").write_text(text)

    @property
    def command(self) -> list[str]:
        """How the command line is begun."""
        return [sys.executable, "-m", "mt5crs"]

    def run(self, *arguments: str, text: str = "") -> Done:
        """Run `mt5crs`; with another inventory where its text is given."""
        if text:
            (self.folder / "other.toml").write_text(text)
            arguments = (*arguments, "--inventory", "other.toml")
        return Done(
            subprocess.run(
                [*self.command, *arguments],
                cwd=self.folder, capture_output=True, text=True, timeout=PATIENCE, stdin=subprocess.DEVNULL,
                check=False,
            )
        )  # fmt: skip

    def sync(self, to: str, *arguments: str, text: str = "") -> Done:
        """Bring a release to the nodes, without a question."""
        return self.run("fleet", "sync", "--to", to, "--yes", "--json", *arguments, text=text)

    @property
    def _roots(self) -> dict[str, Path]:
        """The folders of the machines that are on."""
        return {name: each.root for name, each in self.machines.items() if each.process.poll() is None}

    def releases(self) -> dict[str, str]:
        """Return the release in use on each machine, as it lies there."""
        found = {}
        for name, root in self._roots.items():
            current = root / "current"
            found[name] = current.readlink().name if current.is_symlink() else ""
        return found

    def digests(self) -> dict[str, dict[str, str]]:
        """Return the digest of each file of each machine."""
        return {name: _digests(root) for name, root in self._roots.items()}


def _digests(root: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if name.startswith(PASSED_OVER):
            continue
        if path.is_symlink():
            found[name] = str(path.readlink())
        elif path.is_file():
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found

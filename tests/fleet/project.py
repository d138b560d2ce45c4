"""A project to audit: a small git repository with what every node relies on. Secrets are made when needed, so
that none lies in a file of ours."""

import atexit
import shutil
import string
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from random import Random

from tests.conftest import ROOT

FILES = (
    *("src/client/mt5_connector.py", "scripts/audit_current_task.py", "src/mt5crs/_version.py"),
    *(".env.example", "requirements.lock", "pyproject.toml"),
)
ALPHABET = string.ascii_letters + string.digits
AUTHOR = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.org", "-c", "commit.gpgsign=false")


def random(length: int, alphabet: str = ALPHABET) -> str:
    """Return characters at random, each as seldom as can be, and of every kind that there is."""
    shuffled = Random().sample(alphabet, len(alphabet))  # noqa: S311 - secrets of nobody
    made = "".join(shuffled[number % len(shuffled)] for number in range(length - 3))
    return made + "".join(each if each in alphabet else alphabet[0] for each in ("x", "7", "Q"))


def aws() -> str:
    return "AKIA" + random(16, string.ascii_uppercase + string.digits)


@cache
def _template() -> Path:
    """Return a project as it begins, made once: most of it takes processes."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder)
    for name in FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    made = Project.__new__(Project)
    made.folder = folder
    made.write(".gitignore", ".env\n*.key\nfleet.toml\n/docs/archive/\n__pycache__/\n/.venv\n")
    made.git("init", "-q", "-b", "main")
    made.commit("Begin")
    made.write(".env", "MT5_HOST=10.0.0.5\nMT5_PORT=5555\n", 0o600)
    return folder


class Project:
    """A project in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(_template(), folder)
        self.git("status")  # times of copies are others: git looks once whether anything has changed

    def git(self, *arguments: str, given: bytes | None = None) -> str:
        done = subprocess.run(
            ["git", *AUTHOR, *arguments],
            cwd=self.folder, input=given, capture_output=True, check=True, timeout=30,
        )  # fmt: skip
        return done.stdout.decode().strip()

    def write(self, name: str, content: str | bytes, mode: int = 0o644) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        path.chmod(mode)
        return path

    def change(self, name: str, old: str, new: str) -> None:
        path = self.folder / name
        before = path.read_text()
        assert old in before
        path.write_text(before.replace(old, new))

    def commit(self, message: str = "Go on") -> str:
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

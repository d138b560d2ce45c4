"""The node's program as a process, and small releases for it."""

import base64
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mt5crs.fleet.node.points import EXIT, VARIABLE

SOURCE = Path(__file__).parents[2] / "src"
PYTHON = Path(sys.base_prefix) / "bin" / "python3"
ABOUT = """\
import json, sys
from importlib.metadata import distributions
packages = {each.metadata["Name"].lower(): each.version for each in distributions()}
print(json.dumps({"version": "%s", "speaks": [1], "files": %s, "python": sys.version.split()[0],
                  "packages": packages}))
"""
FILES = {"journal": 2, "trades": 1, "state": 1}
PATIENCE = 120


def changed_program(folder: Path, additions: Mapping[str, str]) -> Path:
    """Make a copy of the program with something more in some of its modules; return its `program`."""
    shutil.copytree(SOURCE / "mt5crs" / "fleet" / "node", folder / "node")
    for name, text in additions.items():
        with (folder / "node" / name).open("a") as module:
            module.write(text)
    return folder


class Refused(Exception):
    """The program answered that it failed."""

    def __init__(self, failed: Mapping[str, str], told: Sequence[str]) -> None:
        super().__init__(failed["what"])
        self.what = failed["what"]
        self.hint = failed["hint"]
        self.code = failed["code"]
        self.told = told


class Killed(Exception):
    """The program was ended at a point."""


def ask(
    path: Path,
    operation: str,
    *,
    program: Path | None = None,
    stop_at: str = "",
    environ: Mapping[str, str] = {},
    before: Sequence[str] = (),
    **request: Any,
) -> dict[str, Any]:
    """Ask a program that runs for this alone, ours or a changed one; return its result."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    variables = {**inherited, "PYTHONPATH": str(program or SOURCE), VARIABLE: stop_at, **environ}
    process = subprocess.Popen(
        [*before, PYTHON, "-m", "node" if program else "mt5crs.fleet.node"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=variables, text=True,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    told: list[str] = []
    with process:
        process.stdin.write(json.dumps({"do": operation, "path": str(path), **request}) + "\n")
        process.stdin.flush()
        for line in process.stdout:
            answer = json.loads(line)
            if "done" in answer:
                done: dict[str, Any] = answer["done"]
                return done
            if "failed" in answer:
                raise Refused(answer["failed"], told)
            told.append(answer.get("say", ""))
        error = process.stderr.read()
    if process.returncode == EXIT:
        raise Killed(stop_at)
    raise AssertionError(f"{operation} ended with {process.returncode}: {error}")


def wheel(folder: Path, name: str, version: str, files: Mapping[str, str]) -> Path:
    """Make a wheel of some files."""
    info = f"{name}-{version}.dist-info"
    content = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = [
        f"{path},sha256={base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip('=')},"
        f"{len(text.encode())}"
        for path, text in content.items()
    ]
    content[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,", ""])
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for each, text in content.items():
            archive.writestr(zipfile.ZipInfo(each), text)
    return path


def package(version: str, writes: Mapping[str, int] = FILES) -> dict[str, str]:
    """Return a package that says what it is and reads settings as ours does."""
    ours = {name: (SOURCE / "mt5crs" / name).read_text() for name in ("settings.py", "errors.py")}
    return {
        "mt5crs/__init__.py": "",
        "mt5crs/about.py": ABOUT % (version, json.dumps(dict(writes))),
        "mt5crs/__main__.py": f"print('mt5crs {version}')\n",
        **{f"mt5crs/{name}": text for name, text in ours.items()},
    }


def tree(files: Mapping[str, str], links: Mapping[str, str] = {}) -> bytes:
    """Return a tree as it is sent."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
        for name, target in links.items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            archive.addfile(member)
    return buffer.getvalue()


def sent(path: Path, name: str, content: bytes) -> dict[str, Any]:
    """Have a file on a node as if it was sent; return what a request says of it."""
    digest = hashlib.sha256(content).hexdigest()
    incoming = path / ".fleet" / "incoming"
    incoming.mkdir(parents=True, exist_ok=True)
    (incoming / digest).write_bytes(content)
    return {"name": name, "size": len(content), "sha256": digest}


def release(id_: str, files: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """Return a release as HUB tells of it."""
    version, _, revision = id_.partition("-")
    return {
        "id": id_, "version": version, "revision": revision, "made": "2026-01-01T00:00:00+00:00",
        "subject": "", "files": list(files),
    }  # fmt: skip


def ready(path: Path, id_: str, writes: Mapping[str, int] = FILES) -> None:
    """Have a complete release on a node, made without pip."""
    folder = path / "releases" / id_
    folder.mkdir(parents=True)
    subprocess.run([PYTHON, "-m", "venv", "--without-pip", folder / ".venv"], check=True, timeout=60)
    packages = next((folder / ".venv" / "lib").glob("python*/site-packages"))
    for name, text in package(id_.partition("-")[0], writes).items():
        target = packages / name
        target.parent.mkdir(exist_ok=True)
        target.write_text(text)
    about = {"version": id_, "speaks": [1], "files": dict(writes), "python": "3", "packages": {}}
    manifest = {"release": release(id_), "about": about, "pins": "", "extras": [], "built": "", "tree": {}}
    (folder / "release.json").write_text(json.dumps(manifest))

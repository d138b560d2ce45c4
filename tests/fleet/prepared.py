"""A node's folder with a release that nobody had to build: its environment uses the packages of ours."""

import base64
import hashlib
import json
import os
import sys
from pathlib import Path

import msgspec

import mt5crs
from mt5crs.fleet.node import record
from mt5crs.fleet.node.place import Place
from mt5crs.fleet.node.trees import list_packages

ID = "1.0.0-0123456789ab"
AUDIT = "scripts/audit_current_task.py"
CONNECTOR = "src/client/mt5_connector.py"
TREE = {
    AUDIT: "import os\nprint('gates', os.environ['MT5CRS_AUDIT_GATES'])\n# audit_task_003\n",
    CONNECTOR: "print('Hello')\n",
    "README.md": "# project\n",
}


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def prepare(folder: Path, env: str = "", id_: str = ID) -> Place:
    """Make a node's folder with a release, whose environment finds the packages of this one."""
    place = Place(folder, windows=False)
    release = place.release(id_)
    for name, content in TREE.items():
        (release / name).parent.mkdir(parents=True, exist_ok=True)
        (release / name).write_text(content)
    packages = release / ".venv" / "lib" / f"python3.{sys.version_info[1]}" / "site-packages"
    packages.mkdir(parents=True)
    shared = Path(msgspec.__file__).parents[1]
    (packages / "shared.pth").write_text(f"{Path(mt5crs.__file__).parents[1]}\n{shared}\n")
    (release / ".venv" / "bin").mkdir()
    (release / ".venv" / "bin" / "python").symlink_to(os.path.realpath(sys.executable))
    home = Path(os.path.realpath(sys.executable)).parent
    (release / ".venv" / "pyvenv.cfg").write_text(f"home = {home}\ninclude-system-site-packages = false\n")
    install(packages, "thing", {"thing/__init__.py": "VALUE = 1\n", "thing/more.py": ""})
    about = {"version": "1.0.0", "speaks": [2], "files": {}, "python": "3.11.7", "packages": {}}
    files = {name: digest(content.encode()) for name, content in TREE.items()}
    parts = {"id": id_, "version": "1.0.0", "revision": "0" * 40, "made": "", "subject": "", "files": []}
    built = {"release": parts, "about": about, "pins": "", "extras": [], "built": "", "tree": files}
    built["installed"] = list_packages(packages)
    (release / "release.json").write_text(json.dumps(built))
    for event in (record.BEGUN, record.ENDED):
        record.append(place, event, id=id_, to=id_, result=record.OK)
    place.current.symlink_to(Path("releases", id_))
    place.settings.write_text(env)
    place.settings.chmod(0o600)
    return place


def install(packages: Path, name: str, files: dict[str, str], *, again: bool = False) -> None:
    lines = [f"{name}-1.0.dist-info/RECORD,,"]
    for path, content in files.items():
        (packages / path).parent.mkdir(exist_ok=True)
        (packages / path).write_text(content)
        raw = base64.urlsafe_b64encode(hashlib.sha256(content.encode()).digest()).rstrip(b"=").decode()
        lines.append(f"{path},sha256={raw},{len(content)}")
    info = packages / f"{name}-1.0.dist-info"
    info.mkdir(exist_ok=again)
    (info / "RECORD").write_text("\n".join(lines) + "\n")
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")

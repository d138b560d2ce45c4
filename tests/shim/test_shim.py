"""`mt5crs shim`: real virtual environments, real pip."""

import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.conftest import ROOT


class Environment:
    """A virtual environment that sees this one's packages, and can have its own."""

    def __init__(self, folder: Path, *, ours: bool = True) -> None:
        venv.create(folder, with_pip=False, symlinks=True)
        self.python = folder / "bin" / "python"
        self.packages = Path(self.run("-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
        if ours:
            outside = [str(ROOT / "src"), *(path for path in sys.path if path.endswith("site-packages"))]
            (self.packages / "outside.pth").write_text("\n".join(outside))

    def run(self, *arguments: str) -> str:
        done = subprocess.run(
            [self.python, *arguments], capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


def shim(*arguments: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "mt5crs", "shim", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    return Environment(tmp_path / "venv")


IMPORT = (
    "import importlib.metadata as m, MetaTrader5 as a, mt5crs.MetaTrader5 as b;"
    "print(a is b, m.version('MetaTrader5'), a.symbol_info('EURUSD'), a.last_error())"
)


def test_install_and_remove(environment: Environment) -> None:
    before = sorted(path.name for path in environment.packages.iterdir())
    for _ in range(2):  # twice is once
        done = shim("install", "--python", environment.python)
        assert done.returncode == 0, done.stderr
        assert environment.run("-c", IMPORT) == "True 5.0.6231 None (-10004, 'No IPC connection')\n"
    done = shim("remove", "--python", environment.python)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in environment.packages.iterdir()) == before
    assert "there was none" in shim("remove", "--python", environment.python).stdout


def test_pip_takes_the_requirement_for_met(environment: Environment) -> None:
    shim("install", "--python", environment.python)
    pip = [sys.executable, "-m", "pip", "--python", str(environment.python)]
    done = subprocess.run(
        [*pip, "install", "--no-index", "MetaTrader5>=5.0.45"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "already satisfied: MetaTrader5" in done.stdout
    done = subprocess.run(
        [*pip, "uninstall", "-y", "MetaTrader5"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert not (environment.packages / "MetaTrader5").exists()


def test_an_official_package_is_left_as_it_is(environment: Environment) -> None:
    official = environment.packages / "MetaTrader5"
    official.mkdir()
    (official / "__init__.py").write_text("official = True\n")
    for command in ("install", "remove"):
        done = shim(command, "--python", environment.python)
        assert done.returncode == 1
        assert "has the official MetaTrader5 package" in done.stderr
    metadata = environment.packages / "MetaTrader5-5.0.45.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: MetaTrader5\nVersion: 5.0.45\n")
    (metadata / "INSTALLER").write_text("pip\n")
    assert shim("install", "--python", environment.python).returncode == 1
    assert (official / "__init__.py").read_text() == "official = True\n"


def test_where_it_cannot_work_it_says_so(tmp_path: Path) -> None:
    bare = Environment(tmp_path / "bare", ours=False)
    assert "mt5crs is not installed" in shim("install", "--python", bare.python).stderr
    outside = Path(sys.base_prefix) / "bin" / "python3"
    assert "not of a virtual environment" in shim("install", "--python", outside).stderr
    assert "cannot be asked" in shim("install", "--python", tmp_path / "nothing").stderr

"""Which pins of the lock a node gets: the repository's own lock, every supported Python, a real pip."""

import io
import os
import subprocess
import zipfile
from pathlib import Path

import msgspec
import pytest
from packaging.markers import default_environment
from packaging.utils import canonicalize_name

from mt5crs.errors import SettingError
from mt5crs.fleet import lock
from mt5crs.fleet.facts import Interpreter
from mt5crs.fleet.node.pip import make_environment, program
from mt5crs.fleet.node.place import Place

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / lock.NAME).read_text()
PROJECT = msgspec.toml.decode((ROOT / "pyproject.toml").read_bytes())["project"]
GROUP = msgspec.toml.decode((ROOT / "pyproject.toml").read_bytes())["dependency-groups"]["release"]
SYSTEMS = {
    "linux": {"os_name": "posix", "platform_machine": "x86_64", "platform_system": "Linux"},
    "win32": {"os_name": "nt", "platform_machine": "AMD64", "platform_system": "Windows"},
}


def markers(python: str, system: str = "linux", **others: str) -> dict[str, str]:
    return {
        "implementation_name": "cpython", "implementation_version": f"{python}.4",
        "platform_python_implementation": "CPython", "platform_release": "", "platform_version": "",
        "python_full_version": f"{python}.4", "python_version": python, "sys_platform": system,
        **SYSTEMS[system], **others,
    }  # fmt: skip


def interpreter(
    python: str, system: str = "linux", libc: tuple[str, str] | tuple[()] = (), **others: str
) -> Interpreter:
    return Interpreter(f"{python}.4", markers(python, system, **others), libc, has_venv=True)


def metadata() -> str:
    """Return the METADATA that a wheel of this repository has."""
    extras = PROJECT["optional-dependencies"]
    lines = [f"Requires-Dist: {each}" for each in PROJECT["dependencies"]]
    for extra, requirements in extras.items():
        lines.append(f"Provides-Extra: {extra}")
        for each in requirements:
            name, _, marker = each.partition(";")
            condition = f"({marker.strip()}) and extra == '{extra}'" if marker else f"extra == '{extra}'"
            lines.append(f"Requires-Dist: {name}; {condition}")
    return "\n".join(["Metadata-Version: 2.4", "Name: mt5crs", "Version: 1", *lines, "", "README"])


WANTS = lock.wants(metadata())
PINS = lock.parse(TEXT)


def names(extras: tuple[str, ...], python: str, system: str = "linux") -> dict[str, str]:
    here = markers(python, system)
    return {pin.name: pin.version for pin in lock.subset(PINS, WANTS.roots(extras, here), here)}


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("python", ["3.10", "3.11", "3.12", "3.13"])
def test_the_lock_satisfies_every_extra(python: str, system: str) -> None:
    here = markers(python, system)
    for extra in WANTS.extras:
        chosen = names((extra,), python, system)
        for root in WANTS.roots((extra,), here):
            assert root.specifier.contains(chosen[canonicalize_name(root.name)])
    assert {"hatchling", "pluggy"} <= {pin.name for pin in lock.subset(PINS, GROUP, here)}


def test_a_core_is_small() -> None:
    assert {*names((), "3.12")} <= {"cffi", "msgspec", "numpy", "pycparser", "python-dotenv", "pyzmq"}
    assert "tomli" in names((), "3.10")


def test_windows_gets_what_is_for_windows() -> None:
    windows = names(("cli", "official"), "3.11", "win32")
    assert {"colorama", "metatrader5"} <= windows.keys()
    assert not {"colorama", "metatrader5"} & names(("cli", "official"), "3.11").keys()


def test_each_python_gets_its_own_version() -> None:
    assert len({names((), python)["numpy"] for python in ("3.10", "3.11", "3.12")}) == 3


def test_an_unknown_extra_is_told_with_those_there_are() -> None:
    with pytest.raises(SettingError, match=r"no extra sekure \(there are archive, cli, .*secure"):
        WANTS.roots(("cli", "sekure"), markers("3.11"))


def test_a_stale_lock_is_refused() -> None:
    with pytest.raises(SettingError, match=r"msgspec 0.*needed is msgspec>=99 \(`make lock`"):
        lock.subset(PINS, ["msgspec>=99"], markers("3.11"))
    with pytest.raises(SettingError, match=r"no flask for Python 3.11.4 on win32"):
        lock.subset(PINS, ["flask"], markers("3.11", "win32"))


def test_a_node_that_does_not_say_what_it_is_gets_nothing() -> None:
    here = markers("3.11")
    del here["sys_platform"], here["os_name"]
    with pytest.raises(SettingError, match="does not say its os_name, sys_platform"):
        lock.subset(PINS, ["numpy"], here)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("--hash=sha256:7969bb", "--hash=sha256:7969bz", "line 3 is not a pin"),
        ("--hash=sha256:7969bb", "--hash=md5:7969bb", "line 3 is not a pin"),
        ("annotated-doc==0.0.6", "annotated-doc>=0.0.6", "line 1 is not a pin"),
        ("asyncssh==2.24.1", "asyncssh @ https://example.org/a.whl", "line 13 is not a pin"),
        ("    # via pydantic\n", "", "annotated-types==0.8.0 has no `# via`"),
        ("0.0.7 ; python_full_version >= '3.11' \\", "0.0.7 \\", "has two of annotated-doc"),
    ],
)  # fmt: skip
def test_a_lock_that_was_tampered_with_is_refused(old: str, new: str, message: str) -> None:
    assert old in TEXT
    with pytest.raises(SettingError, match=message):
        lock.subset(lock.parse(TEXT.replace(old, new, 1)), ["typer"], markers("3.10"))
    with pytest.raises(SettingError, match="six==1 has no hash"):
        lock.parse("six==1 \\\n    # via attrs\n")


def test_a_wheel_tells_what_it_needs() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("mt5crs/__init__.py", "")
        archive.writestr("mt5crs/shim/MetaTrader5-5.dist-info/METADATA", "Requires-Dist: numpy")
        archive.writestr("mt5crs-1.dist-info/METADATA", metadata())
    assert lock.wheel_requirements(buffer.getvalue()) == WANTS
    with pytest.raises(SettingError, match="not a wheel"):
        lock.wheel_requirements(b"#!/bin/sh")


def test_tags_of_platforms() -> None:
    assert lock.platforms(interpreter("3.11", "win32")) == ["win_amd64"]
    glibc = lock.platforms(interpreter("3.11", libc=("glibc", "2.18")))
    assert glibc[:4] == [
        "manylinux_2_18_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64", "manylinux_2_16_x86_64",
    ]  # fmt: skip
    assert glibc[-3:] == ["manylinux_2_5_x86_64", "manylinux1_x86_64", "linux_x86_64"]
    arm = lock.platforms(interpreter("3.11", libc=("glibc", "2.18"), platform_machine="aarch64"))
    assert arm[-3:] == ["manylinux_2_17_aarch64", "manylinux2014_aarch64", "linux_aarch64"]
    musl = lock.platforms(interpreter("3.11", libc=("musl", "1.2")))
    assert musl == ["musllinux_1_2_x86_64", "musllinux_1_1_x86_64", "musllinux_1_0_x86_64", "linux_x86_64"]
    with pytest.raises(SettingError, match="no wheels are known for linux on x86_64"):
        lock.platforms(interpreter("3.11"))


def test_tags_of_python() -> None:
    assert lock.python_tags(interpreter("3.11")) == ("3.11.4", "cp311")
    with pytest.raises(SettingError, match="CPython, not pypy"):
        lock.python_tags(interpreter("3.11", implementation_name="pypy"))


@pytest.mark.long
def test_pip_installs_the_pins_and_finds_nothing_missing(tmp_path: Path) -> None:
    here = {name: str(value) for name, value in default_environment().items()}
    pins = lock.subset(PINS, WANTS.roots(("cli", "secure"), here), here)
    (tmp_path / "pins.txt").write_text(lock.locked(pins))
    wrong = lock.locked([pins[0]._replace(hashes=("0" * 64,))])
    (tmp_path / "wrong.txt").write_text(wrong)
    make_environment(tmp_path / "venv")
    python = tmp_path / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
    pip = [str(python), str(program(Place(tmp_path))), "--disable-pip-version-check"]
    install = [*pip, "install", "--no-compile", "--no-deps", "--require-hashes", "-r"]
    subprocess.run([*install, tmp_path / "pins.txt"], check=True, timeout=90)
    subprocess.run([*pip, "check"], check=True, timeout=60)
    there = subprocess.run([*pip, "freeze"], check=True, timeout=60, capture_output=True, text=True).stdout
    assert len(there.splitlines()) == len(pins)
    with pytest.raises(subprocess.CalledProcessError):
        subprocess.run([*install, tmp_path / "wrong.txt", "--force-reinstall"], check=True, timeout=60)

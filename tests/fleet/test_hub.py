"""What HUB makes of a revision: real repositories, a real build, a real pip, the real node program."""

import asyncio
import io
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from packaging.markers import default_environment

from mt5crs.errors import SettingError
from mt5crs.fleet import hub as controller
from mt5crs.fleet import lock
from mt5crs.fleet.facts import Interpreter
from mt5crs.fleet.inventory import Source
from mt5crs.fleet.node.wheels import fits
from mt5crs.fleet.ssh import NodeError
from tests.fleet.hubs import ROOT, Git, Hub, of_this_tree
from tests.fleet.test_lock import PINS, markers

VERSION = "src/mt5crs/_version.py"
MANYLINUX = ["manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "linux_x86_64"]


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Hub:
    """Return a HUB whose environments are made once for all tests."""
    return Hub(tmp_path_factory.mktemp("machine"))


@pytest.fixture(scope="module")
def small(hub: Hub) -> Git:
    """Return a repository that is built quickly."""
    git = Git(hub.path / "small")
    git.commit("Begin", {VERSION: '__version__ = "1.2.3"\n', "README.md": "small"})
    git.commit("Lock", {
        lock.NAME: (ROOT / lock.NAME).read_text(),
        "scripts/run.sh": "#!/bin/sh\n",
        "deploy/unit.service": "[Unit]\n",
        "src/mt5crs/__init__.py": "",
        "pyproject.toml": """
[build-system]
requires = ["hatchling>=1.25"]
build-backend = "hatchling.build"
[project]
name = "mt5crs"
dynamic = ["version"]
requires-python = ">=3.10"
dependencies = ["msgspec>=0.18", "colorama>=0.4; sys_platform == 'win32'"]
[project.optional-dependencies]
cli = ["rich"]
[tool.hatch.version]
path = "src/mt5crs/_version.py"
[tool.hatch.build.targets.wheel]
packages = ["src/mt5crs"]
[tool.hatch.build.targets.wheel.force-include]
"requirements.lock" = "mt5crs/requirements.lock"
""",
    })  # fmt: skip
    return git


def released(hub: Hub, **source: str) -> controller.Bundle:
    return asyncio.run(controller.release_of(hub, Source(**source), lambda _text: None))


def contents(hub: Hub, bundle: controller.Bundle) -> dict[str, bytes]:
    folder = hub.path / ".fleet" / "bundles" / bundle.release.id
    files = {file.name: (folder / file.name).read_bytes() for file in bundle.release.files}
    assert all(sha256(files[file.name]).hexdigest() == file.sha256 for file in bundle.release.files)
    assert {each.name for each in folder.iterdir()} == {*files, "bundle.json"}
    return files


def kind(found: pytest.ExceptionInfo[NodeError]) -> str:
    return found.value.kind


@pytest.mark.long
def test_this_tree_becomes_a_release(hub: Hub) -> None:
    git = of_this_tree(hub.path / "tree")
    bundle = released(hub, repository="tree")
    files = contents(hub, bundle)
    assert bundle.release.revision == git("rev-parse", "HEAD")
    assert bundle.release.id == f"{bundle.release.version}-{bundle.release.revision[:12]}"
    assert bundle.release.subject == "The tree"
    assert {"cli", "secure", "official"} <= {*bundle.wants.extras}
    assert "pynacl" in bundle.pins(("secure",), Interpreter("3.12.1", markers("3.12"), (), has_venv=True))
    with tarfile.open(fileobj=io.BytesIO(files["tree.tar.gz"])) as archive:
        packed = {each.name for each in archive if each.isfile()}
    assert packed == {*git("ls-files").splitlines()}
    wheel = next(content for name, content in files.items() if name.endswith(".whl"))
    assert lock.wheel_requirements(wheel) == bundle.wants
    with zipfile.ZipFile(io.BytesIO(wheel)) as inside:
        assert inside.read(f"mt5crs/{lock.NAME}") == files[lock.NAME] == (ROOT / lock.NAME).read_bytes()


@pytest.mark.long
def test_a_bundle_is_made_once_and_again_with_the_same_bytes_where_it_is_not_right(
    hub: Hub, small: Git
) -> None:
    first = released(hub, repository="small")
    files = contents(hub, first)
    assert {name for name in files if not name.endswith(".whl")} == {"requirements.lock", "tree.tar.gz"}
    folder = hub.path / ".fleet" / "bundles" / first.release.id
    made = (folder / "tree.tar.gz").stat().st_ino
    assert released(hub, repository="small", revision=small("rev-parse", "--short", "HEAD")) == first
    assert (folder / "tree.tar.gz").stat().st_ino == made
    (folder / "bundle.json").unlink()
    (hub.path / ".fleet" / "working" / "bundle").mkdir(parents=True)
    with pytest.raises(NodeError, match="is not on HUB") as found:
        asyncio.run(controller.bundle(hub, first.release.id))
    assert kind(found) == "no-bundle"
    hub.env["TZ"] = "Asia/Tokyo"
    assert released(hub, repository="small") == first
    del hub.env["TZ"]
    assert contents(hub, first) == files
    assert not (hub.path / ".fleet" / "working").exists()
    assert asyncio.run(controller.bundle(hub, first.release.id)) == first
    (folder / "tree.tar.gz").write_bytes(b"something else")
    with pytest.raises(NodeError, match="or was changed there"):
        asyncio.run(controller.bundle(hub, first.release.id))


def test_a_wheel_is_a_release(hub: Hub, small: Git) -> None:
    bundle = released(hub, repository="small")
    name = "mt5crs-1.2.3-py3-none-any.whl"
    shutil.copy(hub.path / ".fleet" / "bundles" / bundle.release.id / name, hub.path / name)
    alone = released(hub, wheel=name)
    assert alone.release.id == f"1.2.3-w{sha256((hub.path / name).read_bytes()).hexdigest()[:12]}"
    assert alone.release.revision == ""
    assert [file.name for file in alone.release.files] == [name, lock.NAME]
    assert (alone.lock, alone.wants) == (bundle.lock, bundle.wants)
    assert released(hub, wheel=name) == alone
    shutil.copy(hub.path / name, hub.path / "mt5crs-9-py3-none-any.whl")
    shutil.copy(hub.path / name, hub.path / "new.whl")
    for wrong, message in (
        ("mt5crs-9-py3-none-any.whl", "another version than its name"),
        ("new.whl", "is not a wheel"),
        ("old.whl", "is not there"),
    ):
        with pytest.raises(NodeError, match=message):
            released(hub, wheel=wrong)


def test_a_revision_that_cannot_be_released_is_told(hub: Hub, small: Git) -> None:
    with pytest.raises(NodeError, match=r"\(Begin\) has no requirements.lock \(`make lock`") as found:
        released(hub, repository="small", revision="main~1")
    assert kind(found) == "no-lock"
    Git(hub.path / "other").commit("Begin", {"README": "another project"})
    with pytest.raises(NodeError, match=f"has no version in {VERSION}"):
        released(hub, repository="other")
    git = Git(hub.path / "stale")
    git.commit("Begin", {
        VERSION: '__version__ = "1"\n', lock.NAME: (ROOT / lock.NAME).read_text(),
        "pyproject.toml": '[build-system]\nrequires = ["flit-core"]\n',
    })  # fmt: skip
    with pytest.raises(SettingError, match="no flit-core for Python"):
        released(hub, repository="stale")
    git.commit("Break", {"pyproject.toml": "[project]\n"})
    with pytest.raises(SettingError, match="does not say what builds it"):
        released(hub, repository="stale")


@pytest.mark.parametrize(
    ("repository", "revision", "message", "code"),
    [
        ("small", "nightly", "revision 'nightly' of .*small is unknown", "unknown-revision"),
        ("small", "--all", "'--all' of .* is not a name", "unknown-revision"),
        ("small", "main~1..main", "is not a name", "unknown-revision"),
        ("nowhere", "main", "nowhere is not there", "no-repository"),
        ("small/scripts", "main", "scripts is not a git repository", "no-repository"),
    ],
)
def test_a_source_that_is_not_there_is_told(
    hub: Hub, small: Git, repository: str, revision: str, message: str, code: str
) -> None:
    with pytest.raises(NodeError, match=message) as found:
        released(hub, repository=repository, revision=revision)
    assert kind(found) == code
    assert found.value.hint
    assert ("branches there: main; no tags there" in found.value.hint) is (revision == "nightly")


def test_tags_are_named_to_who_asks_for_an_unknown_revision(hub: Hub) -> None:
    git = Git(hub.path / "tagged")
    for number in range(10):
        git.commit(f"Release 1.{number}", {"a": str(number)})
        git("tag", f"v1.{number}")
    with pytest.raises(NodeError) as found:
        hub.do("revision", repository="tagged", revision="0.1.0")
    names = found.value.hint.partition("tags there: ")[2].partition(";")[0]
    assert names.endswith(" and 2 more")
    assert {"v1.0", "v1.9"} & {*names.removesuffix(" and 2 more").split(", ")}


def test_what_was_never_committed_is_told(hub: Hub, small: Git) -> None:
    version = small.path / VERSION
    before = version.read_text()
    version.write_text(f"{before}# more\n")
    try:
        assert hub.do("revision", repository="small", revision="main")["changes"] == [VERSION]
    finally:
        version.write_text(before)
    assert hub.do("revision", repository="small", revision="main")["changes"] == []


def test_a_name_with_two_meanings_is_told(hub: Hub) -> None:
    git = Git(hub.path / "many")
    stream = "".join(
        f"commit refs/heads/main\ncommitter dev <dev> {1700000000 + number} +0000\ndata 2\nc\n"
        for number in range(1000)
    )
    subprocess.run(
        ["git", "fast-import", "--quiet"], cwd=git.path, input=stream, text=True, check=True, timeout=60
    )
    ids = git("rev-list", "main").splitlines()
    short = next(each[:4] for each in ids if sum(other[:4] == each[:4] for other in ids) > 1)
    with pytest.raises(
        NodeError, match=f"'{short}' of .* is ambiguous: {short}[0-9a-f]+ commit .*; "
    ) as found:
        released(hub, repository="many", revision=short)
    assert kind(found) == "ambiguous"
    git("branch", "stable", "main")
    git("tag", "stable", "main~5")
    with pytest.raises(NodeError, match="a branch and a tag have this name"):
        released(hub, repository="many", revision="stable")


def test_a_hub_without_git_is_told(hub: Hub, small: Git) -> None:
    alone = hub.path / "bin"
    alone.mkdir()
    hub.env["PATH"] = str(alone)
    try:
        with pytest.raises(NodeError, match="git is not installed") as found:
            released(hub, repository="small")
    finally:
        del hub.env["PATH"]
    assert kind(found) == "no-git"


@pytest.mark.skipif(os.name == "nt" or os.getuid() != 0, reason="only root gives a file to another user")
def test_a_repository_of_another_user_is_told(hub: Hub) -> None:
    git = Git(hub.path / "foreign")
    git.commit("Begin", {"a": "1"})
    for path in (git.path, git.path / ".git"):
        os.chown(path, 12345, 12345)
    with pytest.raises(NodeError, match="belongs to another user.*safe.directory .*foreign") as found:
        hub.do("log", repository="foreign")
    assert kind(found) == "dubious-ownership"


def target(python: str = "3.11.4", abi: str = "cp311", platforms: list[str] = MANYLINUX) -> dict[str, object]:
    return {"python": python, "abi": abi, "platforms": platforms}


def pins(*names: str, system: str = "linux") -> str:
    roots = ["msgspec", "rich", "colorama; sys_platform == 'win32'", "MetaTrader5; sys_platform == 'win32'"]
    chosen = lock.subset(PINS, roots, markers("3.11", system))
    return lock.locked(pin for pin in chosen if pin.name in names)


@pytest.fixture
def wheels(hub: Hub) -> Iterator[Path]:
    yield hub.path / ".fleet" / "wheels"
    hub.env.clear()


def test_wheels_come_once_and_only_right_ones(hub: Hub, wheels: Path) -> None:
    wanted = pins("msgspec", "mdurl")
    files = hub.do("wheelhouse", pins=wanted, **target())["files"]
    assert [file["name"].split("-")[0] for file in files] == ["mdurl", "msgspec"]
    assert all(file["sha256"] in wanted for file in files)
    hub.env.update(PIP_NO_INDEX="1", PIP_CONFIG_FILE=os.devnull)
    assert hub.do("wheelhouse", pins=wanted, **target())["files"] == files
    assert hub.told == ["2 of 2 packages are there"]
    (wheels / files[0]["name"]).write_bytes(b"something else")
    with pytest.raises(NodeError, match="not to be had for this Python.*mdurl") as found:
        hub.do("wheelhouse", pins=wanted, **target())
    assert kind(found) == "no-package"
    hub.env.clear()
    assert hub.do("wheelhouse", pins=wanted, **target())["files"] == files


def test_wheels_for_windows_come_to_linux(hub: Hub, wheels: Path) -> None:
    node = Interpreter("3.11.4", markers("3.11", "win32"), (), has_venv=True)
    asked = pins("msgspec", "metatrader5", "colorama", system="win32")
    files = asyncio.run(controller.wheelhouse(hub, asked, node, lambda _text: None))
    assert [file.name for file in files if "win_amd64" in file.name] == [
        "metatrader5-5.0.6231-cp311-cp311-win_amd64.whl", "msgspec-0.22.0-cp311-cp311-win_amd64.whl",
    ]  # fmt: skip
    assert all((wheels / file.name).stat().st_size == file.size for file in files)


NO_INDEX = {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": "http://127.0.0.1:9/", "PIP_RETRIES": "1"}


@pytest.mark.parametrize(
    ("version", "digest", "env", "code"),
    [
        ("0.1.2", "0" * 64, {}, "hash"),
        ("99", "0" * 64, {}, "no-package"),
        ("0.1.2", "0" * 64, NO_INDEX, "no-index"),
    ],
    ids=["another-file", "no-such-version", "no-index"],
)
def test_wheels_that_do_not_come_are_told(
    hub: Hub, wheels: Path, version: str, digest: str, env: dict[str, str], code: str
) -> None:
    there = sorted(wheels.glob("*"))
    hub.env.update(env)
    asked = lock.locked([lock.Pin("mdurl", version, "", (digest,), frozenset())])
    with pytest.raises(NodeError) as found:
        hub.do("wheelhouse", pins=asked, **target())
    assert kind(found) == code
    assert found.value.hint
    assert sorted(wheels.glob("*")) == there


def test_pins_that_cannot_be_read_are_refused(hub: Hub) -> None:
    with pytest.raises(NodeError, match="cannot be read"):
        hub.do("wheelhouse", pins=pins("mdurl") + "rich>=1\n", **target())


@pytest.mark.parametrize(
    ("wheel", "right"),
    [
        ("a-1-py3-none-any.whl", True),
        ("a-1-py2.py3-none-any.whl", True),
        ("a-1-py2-none-any.whl", False),
        ("a-1-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl", True),
        ("a-1-1-cp311-cp311-manylinux_2_28_x86_64.whl", True),
        ("a-1-cp311-cp311-manylinux_2_31_x86_64.whl", False),
        ("a-1-cp311-cp311-win_amd64.whl", False),
        ("a-1-cp310-cp310-manylinux_2_28_x86_64.whl", False),
        ("a-1-cp38-abi3-manylinux_2_28_x86_64.whl", True),
        ("a-1-cp312-abi3-manylinux_2_28_x86_64.whl", False),
        ("a-1-py3-none-manylinux_2_28_x86_64.whl", True),
        ("a-1-py312-none-any.whl", False),
        ("a-1-cp311-none-any.whl", True),
        ("a-1-cp310-none-any.whl", False),
        ("a-1-pp310-pypy310_pp73-manylinux_2_28_x86_64.whl", False),
    ],
)
def test_which_wheels_fit(wheel: str, right: bool) -> None:
    assert fits(wheel, "cp311", MANYLINUX) is right


def test_the_markers_are_those_of_packaging(hub: Hub, small: Git) -> None:
    found = hub.do("revision", repository="small", revision="main")["markers"]
    assert found == {name: value for name, value in default_environment().items() if name != "extra"}
    assert found["python_full_version"] == sys.version.split()[0]

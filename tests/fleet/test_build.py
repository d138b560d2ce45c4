"""A release is built on a node beside the one that runs: whole, or not at all."""

import ast
import hashlib
import io
import json
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mt5crs.fleet import facts
from mt5crs.fleet.node import pip, trees
from mt5crs.fleet.node.operations import Failed
from mt5crs.fleet.node.place import Place
from tests.fleet.nodes import (
    SOURCE,
    Killed,
    Refused,
    ask,
    package,
    release,
    sent,
    tree,
    wheel,
)

ID = "9.1.0-0123456789ab"
TREE = {"src/client/mt5_connector.py": "print('connected')\n", "scripts/audit.py": "audit\n"}
BUILD_POINTS = ("unpacked", "venv", "packages", "installed", "complete")


class Node:
    """A node's folder, and what is sent to it: a release that needs one package."""

    def __init__(self, path: Path, packages: Path) -> None:
        self.path = path
        self.needed = wheel(packages, "tinyneed", "1.0", {"tinyneed.py": "NEEDED = True\n"})
        self.pin = (
            f"tinyneed==1.0 \\\n    --hash=sha256:{hashlib.sha256(self.needed.read_bytes()).hexdigest()}\n"
        )
        self.environ = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(packages)}
        own = wheel(packages.parent / "own", "mt5crs", "9.1.0", package("9.1.0"))
        self.release = release(
            ID,
            [
                sent(path, own.name, own.read_bytes()),
                sent(path, "tree.tar.gz", tree(TREE, {"here": "src"})),
                sent(path, "requirements.lock", b""),
            ],
        )

    def build(self, **changes: Any) -> dict[str, Any]:
        request = {"release": self.release, "pins": self.pin, "extras": ["cli"], "wheels": None}
        return ask(self.path, "build", **{"environ": self.environ, **request, **changes})

    @property
    def folder(self) -> Path:
        return self.path / "releases" / ID

    @property
    def packages(self) -> Path:
        return trees.packages_of(self.folder / ".venv")


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Node:
    """Return a node on which the release is built and in use."""
    folder = tmp_path_factory.mktemp("node")
    node = Node(folder / "mt5-crs", folder / "packages")
    built = msgspec.convert(node.build(), facts.Built)
    assert built.about.version == "9.1.0"
    assert built.about.packages["tinyneed"] == "1.0"
    assert built.repaired == ()
    (node.path / "current").symlink_to(f"releases/{ID}")
    return node


@pytest.fixture
def empty(tmp_path: Path) -> Node:
    """Return a node that has nothing but what was sent."""
    return Node(tmp_path / "mt5-crs", tmp_path / "packages")


@pytest.fixture
def in_use(node: Node) -> Iterator[Node]:
    """Return the node, whose release is whole again afterwards."""
    yield node
    node.build()


def test_a_release_is_there_with_tree_packages_and_manifest(node: Node) -> None:
    manifest = json.loads((node.folder / "release.json").read_text())
    assert manifest["tree"] == {
        **{name: hashlib.sha256(text.encode()).hexdigest() for name, text in TREE.items()},
        "here": hashlib.sha256(b"src").hexdigest(),
    }
    assert manifest["pins"] == hashlib.sha256(node.pin.encode()).hexdigest()
    assert trees.drift(node.folder, manifest["tree"]) == {}
    assert trees.packages_drift(node.packages) == {}
    assert (node.folder.stat().st_mode & 0o777, (node.path / ".fleet").stat().st_mode & 0o777) == (
        0o755,
        0o755,
    )
    assert not (node.folder / ".venv" / "wheelhouse").exists()


def test_a_complete_release_is_left_as_it_is(node: Node) -> None:
    before = {each: each.stat().st_mtime_ns for each in node.folder.rglob("*") if each.is_file()}
    node.build(environ={})  # without any index: nothing is asked of it
    assert {each: each.stat().st_mtime_ns for each in node.folder.rglob("*") if each.is_file()} == before


def test_what_drifted_in_the_release_in_use_is_put_right_in_place(in_use: Node) -> None:
    inode = in_use.folder.stat().st_ino
    (in_use.folder / "scripts" / "audit.py").write_text("other\n")
    (in_use.folder / "here").unlink()
    (in_use.packages / "tinyneed.py").write_text("NEEDED = False\n")
    (in_use.packages / "mt5crs" / "errors.py").unlink()
    (in_use.packages / "evil.pth").write_text("")
    (in_use.packages / "tinyneed-1.0.dist-info" / "RECORD").write_bytes(b"\xff\0")
    built = in_use.build()
    repaired = {
        "here",
        "packages: evil.pth",
        "tinyneed: tinyneed-1.0.dist-info/RECORD",
        "mt5crs: mt5crs/errors.py",
        "scripts/audit.py",
        "tinyneed: tinyneed.py",
    }
    assert repaired <= {*built["repaired"]} <= {*repaired, ".venv"}
    assert in_use.folder.stat().st_ino == inode
    assert (in_use.folder / "scripts" / "audit.py").read_text() == "audit\n"
    assert not (in_use.packages / "evil.pth").exists()
    assert in_use.build()["repaired"] == []


def test_other_pins_come_to_the_release_in_use_in_place(in_use: Node) -> None:
    more = wheel(in_use.needed.parent, "tinymore", "2.0", {"tinymore.py": ""})
    pins = f"{in_use.pin}tinymore==2.0 --hash=sha256:{hashlib.sha256(more.read_bytes()).hexdigest()}\n"
    built = in_use.build(pins=pins, extras=["cli", "zstd"])
    assert built["about"]["packages"]["tinymore"] == "2.0"
    assert built["extras"] == ["cli", "zstd"]


def test_killed_anywhere_the_next_build_finishes(empty: Node) -> None:
    for point in BUILD_POINTS:
        with pytest.raises(Killed):
            empty.build(stop_at=point)
        assert Place(empty.path).manifest(ID) is None
        state = ask(empty.path, "probe")
        assert (state["incomplete"], state["releases"]) == ([ID], {})
    assert empty.build()["about"]["version"] == "9.1.0"


def test_packages_that_were_sent_need_no_index(empty: Node) -> None:
    packages = [sent(empty.path, empty.needed.name, empty.needed.read_bytes())]
    unreachable = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple"}
    assert empty.build(wheels=packages, environ=unreachable)["about"]["packages"]["tinyneed"] == "1.0"
    # It drifted and is not in use: it is built anew, which goes wrong.
    (empty.packages / "tinyneed.py").unlink()
    with pytest.raises(Refused) as refused:
        empty.build(environ={**unreachable, "PIP_CONFIG_FILE": "/dev/null", "PIP_DEFAULT_TIMEOUT": "1"})
    assert refused.value.code == "no-index"
    assert "index = false" in refused.value.hint
    assert not empty.folder.exists()


def test_another_package_than_was_locked_is_refused(empty: Node) -> None:
    with pytest.raises(Refused) as refused:
        empty.build(pins=f"tinyneed==1.0 --hash=sha256:{'0' * 64}\n")
    assert refused.value.code == "hash"
    assert not empty.folder.exists()


def test_what_was_sent_is_looked_at_before_anything_is_made(empty: Node) -> None:
    wheel_, tree_, _ = empty.release["files"]
    (empty.path / ".fleet" / "incoming" / wheel_["sha256"]).write_bytes(b"other")
    with pytest.raises(Refused, match=r"mt5crs-9\.1\.0.*not what was sent") as refused:
        empty.build()
    assert refused.value.code == "hash"
    (empty.path / ".fleet" / "incoming" / tree_["sha256"]).unlink()
    with pytest.raises(Refused) as refused:
        empty.build()
    assert refused.value.code == "missing"
    with pytest.raises(Refused) as refused:
        empty.build(release={**empty.release, "id": "../out"})
    assert refused.value.code == "name"
    assert [*(empty.path / "releases").iterdir()] == []


@pytest.mark.parametrize("size", [16, 72])
def test_without_room_nothing_is_left(empty: Node, tmp_path: Path, size: int) -> None:
    """With 72 MiB it seems to fit, and a package turns out to be larger than anybody said."""
    script = (
        f'mount -t tmpfs -o size={size}m none "$0/releases" && "$@"; code=$?; '
        'ls -A "$0/releases" >"$0.left"; exit $code'
    )
    (empty.path / "releases").mkdir()
    large = wheel(empty.needed.parent, "tinyneed", "1.1", {"tinyneed.py": " " * (80 << 20)})
    pin = f"tinyneed==1.1 --hash=sha256:{hashlib.sha256(large.read_bytes()).hexdigest()}\n"
    before = ["unshare", "--mount", "sh", "-c", script, str(empty.path)]
    with pytest.raises(Refused) as refused:
        empty.build(before=before, pins=pin, environ={**empty.environ, "TMPDIR": str(tmp_path)})
    assert refused.value.code == "no-space"
    assert "MiB" in refused.value.what
    assert not empty.path.with_name("mt5-crs.left").read_text()


def test_a_release_that_says_another_version_is_refused(empty: Node) -> None:
    own = wheel(empty.path.parent, "mt5crs", "9.2.0", package("9.1.0"))
    files = [sent(empty.path, own.name, own.read_bytes())]
    with pytest.raises(Refused, match=r"says that it is 9\.1\.0, not 9\.2\.0"):
        empty.build(release=release("9.2.0-w1", files), pins="")
    assert not (empty.path / "releases" / "9.2.0-w1").exists()


def _tree_through_link() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        link = tarfile.TarInfo("a")
        link.type, link.linkname = tarfile.SYMTYPE, "b"
        archive.addfile(link)
        archive.addfile(tarfile.TarInfo("a/c"))
    return buffer.getvalue()


def _tree_of_type(kind: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        member = tarfile.TarInfo("a")
        member.type, member.linkname = kind, "b"
        archive.addfile(member)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "make",
    [
        lambda: tree({"../out": ""}),
        lambda: tree({"/out": ""}),
        lambda: tree({"a/../../out": ""}),
        lambda: tree({"C:\\out": ""}),
        lambda: tree({".venv/bin/python": ""}),
        lambda: tree({"release.json": ""}),
        lambda: tree({}, {"out": "/etc"}),
        lambda: tree({}, {"a/out": "../../etc"}),
        lambda: tree({"a": "1", "./a": "2"}),
        _tree_through_link,
        lambda: _tree_of_type(b"1"),
        lambda: _tree_of_type(b"3"),
        lambda: _tree_of_type(b"6"),
        lambda: tree({"a": "a" * 5000})[:-20],
        lambda: b"no archive",
    ],
)
def test_nothing_gets_out_of_a_tree(tmp_path: Path, make: Callable[[], bytes]) -> None:
    archive, folder = tmp_path / "tree", tmp_path / "in" / "folder"
    archive.write_bytes(make())
    folder.mkdir(parents=True)
    with pytest.raises(Failed) as refused:
        trees.unpack(archive, folder)
    assert refused.value.code == "tree"
    outside = {*tmp_path.rglob("*")} - {archive, folder, folder.parent, *folder.rglob("*")}
    assert outside == set()


def test_an_interpreter_that_makes_no_environments_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "python3"
    broken.write_text("#!/bin/sh\necho ensurepip is not available; exit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(broken))
    with pytest.raises(Failed, match="ensurepip is not available") as refused:
        pip.make_environment(tmp_path / ".venv")
    assert refused.value.code == "no-venv"


def test_the_pip_of_all_environments_is_unpacked_once_and_mended(tmp_path: Path) -> None:
    program = pip.there(Place(tmp_path))
    assert program is not None
    assert program.parent.suffix == ".whl", "who only looks unpacks nothing"
    unpacked = pip.program(Place(tmp_path))
    (unpacked / "__init__.py").write_text("")
    (unpacked / "__main__.py").unlink()
    other = (unpacked / "py.typed").stat().st_ino
    assert pip.there(Place(tmp_path)) == program
    assert pip.program(Place(tmp_path)) == unpacked == pip.there(Place(tmp_path))
    assert (unpacked / "py.typed").stat().st_ino == other


@pytest.mark.parametrize(
    "module", sorted((SOURCE / "mt5crs" / "fleet" / "node").glob("*.py")), ids=lambda p: p.name
)
def test_what_runs_on_a_node_parses_on_old_interpreters(module: Path) -> None:
    ast.parse(module.read_text(), feature_version=(3, 8))

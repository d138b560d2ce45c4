"""Trees: no link of one leads out of it, whatever it leads over."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from mt5crs.fleet.node import trees
from mt5crs.fleet.node.operations import Failed
from tests.fleet.nodes import tree


def unpacked(folder: Path, links: Mapping[str, str]) -> Path:
    archive, target = folder / "tree.tar.gz", folder / "releases" / "X"
    target.mkdir(parents=True)
    archive.write_bytes(tree({"a/file": "text", "top": "text"}, links))
    trees.unpack(archive, target)
    return target


@pytest.mark.parametrize(
    "links",
    [
        {"a/b": "..", "env": "a/b/../../.env"},
        {"env": "a/b/../../.env", "a/b": ".."},
        {"one": "top", "two": "one"},
        {"two": "one", "one": "top"},
        {"out": ".."},
        {"out": "../.env"},
        {"a/out": "../../.env"},
        {"out": "a/../../.env"},
        {"out": "nothing/../../.env"},
        {"self": "self"},
        {"l": "a", "l/below": "../top"},
        {"l/below": "../top", "l": "a"},
    ],
)
def test_a_link_that_leads_out_or_over_a_link_is_refused(tmp_path: Path, links: Mapping[str, str]) -> None:
    with pytest.raises(Failed) as caught:
        unpacked(tmp_path, links)
    assert caught.value.code == "tree"
    assert not list((tmp_path / "releases" / "X").iterdir()), "it is refused before anything is written"


def test_a_link_that_stays_inside_is_made(tmp_path: Path) -> None:
    folder = unpacked(tmp_path, {"a/up": "../top", "b": "a", "c": "./a/../a/file", "gone": "a/none"})
    assert {each: (folder / each).exists() for each in ("a/up", "b/file", "c", "gone")} == {
        "a/up": True, "b/file": True, "c": True, "gone": False,
    }  # fmt: skip

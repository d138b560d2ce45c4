"""`.env` files: `mt5crs.settings` reads what was merged, and no other byte changes."""

import re
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from mt5crs import settings
from mt5crs.errors import SettingError
from mt5crs.fleet.node import envfile
from mt5crs.fleet.node.operations import Failed

SEEDS_EXAMPLE = Path(__file__).parents[2] / ".env.example"
TEXT = st.text(st.characters(exclude_categories=("C", "Z"), include_characters=" #'\"\\$={}"), max_size=24)
VALUES = TEXT.filter(lambda text: text.isprintable() and "${" not in text and not text.endswith("\\"))
NAMES = st.sampled_from(["MT5_HOST", "MT5_PORT", "MT5_TIMEOUT", "MT5_SERVER", "MT5_KEYS"])
LINES = st.sampled_from(
    [
        "", "   ", "# a comment", "  # MT5_HOST=no", "OTHER=1", "export OTHER='a b'  # x", 'OTHER="x"',
        "OTHER=", "MT5_HOST=192.168.1.7", "export MT5_HOST = 'old'   # here",
        'MT5_PORT="1"', "MT5_PORT=2 # why",
        "MT5_SERVER=", "MT5_SERVER= # none yet", "MT5_TIMEOUT=\t3", "MT5_TIMEOUT=a#b", "PATH_LIKE=a=b:c",
        'SEVERAL="one\nMT5_HOST=inside\ntwo"', r"OTHER='it\'s'", "LONE", "'MT5_PORT'=7",
        "MT5_KEYS=C:\\keys\\",
        "DERIVED=${MT5_HOST}:1", "MT5_SERVER=${OTHER}",
    ]
)  # fmt: skip
FILES = st.builds(
    lambda bom, lines, last: bom + "".join(line + end for line, end in lines).encode() + last.encode(),
    st.sampled_from([b"", envfile.BOM]),
    st.lists(st.tuples(LINES, st.sampled_from(["\n", "\r\n", "\r"])), max_size=6),
    LINES,
)


def read(content: bytes) -> dict[str, str | None]:
    """Return what our settings make of a file, without what they would check."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, ".env")
        path.write_bytes(content)
        return dict(settings.read_dotenv(str(path)))


@hypothesis_settings(deadline=None)
@given(FILES, st.dictionaries(NAMES, VALUES, max_size=4))
@example(b"MT5_SERVER= # none yet\nOTHER='it\\'s'\n", {"MT5_SERVER": ""})
@example(b"MT5_KEYS=a\n", {"MT5_KEYS": "a'b\"c \\ d #e"})
@example(b"'MT5_PORT'=7", {"MT5_PORT": "8", "MT5_HOST": "# x"})
def test_settings_read_what_was_merged_and_nothing_else_changed(content: bytes, ours: dict[str, str]) -> None:
    merged = envfile.merge(content, ours)
    found = read(merged)
    assert {name: found[name] for name in ours} == ours
    assert envfile.merge(merged, ours) == merged
    assert {name: envfile.values(merged)[name] for name in ours} == ours
    assert _without(merged, ours, appended=True) == _without(content, ours)


def _without(content: bytes, names: dict[str, str], *, appended: bool = False) -> str:
    """Return a file without values of the last assignments to some variables, and without our section."""
    text = content.decode("utf-8")
    if content.startswith(envfile.BOM):
        text = text[1:]
    last = {each.name: each for each in envfile._assignments(text) if each.name in names}
    for each in sorted(last.values(), key=lambda item: item.start, reverse=True):
        text = text[: each.start] + "\0" + text[each.end :]
    if appended and envfile.HEADING[1] in text:
        text = re.split(r"(?:\r\n|\n|\r|^)" + re.escape(envfile.HEADING[0]), text)[0]
    return re.sub(r"\r\n$|\n$|\r$", "", text)


def test_lines_keep_their_shape() -> None:
    before = (
        b"\xef\xbb\xbf# mine\r\nexport MT5_HOST = 'old'   # at\nMT5_PORT=1\r\nMT5_PORT=2 # why\nOTHER=x # y"
    )
    after = envfile.merge(before, {"MT5_HOST": "10.0.0.5", "MT5_PORT": "5555"})
    assert after == before.replace(b"'old'", b"'10.0.0.5'").replace(b"MT5_PORT=2", b"MT5_PORT=5555")


def test_what_is_set_already_leaves_the_same_bytes() -> None:
    before = b'MT5_HOST="10.0.0.5"\r\n\r\nMT5_PORT=5555   # x\nB=\'1'
    with pytest.raises(Failed, match="line 4"):
        envfile.merge(before, {"MT5_HOST": "10.0.0.5"})
    before = before.replace(b"'", b"")
    assert envfile.merge(before, {"MT5_HOST": "10.0.0.5", "MT5_PORT": "5555"}) == before


def test_new_variables_come_in_a_section_at_the_end() -> None:
    assert envfile.merge(b"", {"MT5_HOST": "10.0.0.5"}).decode() == (
        "\n".join([*envfile.HEADING, "MT5_HOST=10.0.0.5", ""])
    )
    first = envfile.merge(b"A=1\r\nB=2", {"MT5_HOST": "10.0.0.5"})
    assert first == ("A=1\r\nB=2\r\n\r\n" + "\r\n".join([*envfile.HEADING, "MT5_HOST=10.0.0.5", ""])).encode()
    assert envfile.merge(first, {"MT5_PORT": "1"}) == first + b"MT5_PORT=1\r\n"


def test_our_own_example_is_read_and_changed() -> None:
    content = SEEDS_EXAMPLE.read_bytes()
    assert envfile.values(content)["MT5_HOST"] == "127.0.0.1"
    merged = envfile.merge(content, {"MT5_HOST": "10.0.0.5"})
    assert merged == content.replace(b"MT5_HOST=127.0.0.1", b"MT5_HOST=10.0.0.5")


@pytest.mark.parametrize(
    "content", [b"MT5_HOST 1\n", b"A=1\n='2'\n", b"A='x' y\n", b'A="1\n', b"MT5_PORT\n", b"A=\xff\n"]
)
def test_what_settings_cannot_read_is_refused_with_its_line(content: bytes) -> None:
    with pytest.raises(SettingError) as theirs:
        read(content)
    with pytest.raises(Failed) as ours:
        envfile.merge(content, {})
    line = re.search(r"line \d+ is not (?:UTF-8|of the form NAME=value)", str(theirs.value))
    assert line is not None
    assert line[0] in ours.value.what


@pytest.mark.parametrize(
    ("name", "value"),
    [("MT5_PASSWORD", "x"), ("MT5-HOST", "x"), ("", "x"), ("MT5_HOST", "a\nb"), ("MT5_HOST", "${A}"),
     ("MT5_HOST", "'a\\")],
)  # fmt: skip
def test_what_cannot_be_written_is_refused(name: str, value: str) -> None:
    with pytest.raises(Failed) as refused:
        envfile.merge(b"", {name: value})
    assert refused.value.code == "env"
    assert (name or "''") in refused.value.what

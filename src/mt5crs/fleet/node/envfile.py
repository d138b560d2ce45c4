"""`.env` files: our variables are changed, every other byte stays.

What a statement is, is decided as python-dotenv does; for a file of simple lines, which `mt5crs.settings`
reads by itself, that is the same. Of several assignments to a variable the last counts, so that one is
changed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from .operations import Failed

SECRETS = ("MT5_PASSWORD", "MT5_KEYS_PASSPHRASE")
"""Variables that are never read from such a file, so they are neither written to it nor shown."""
HEADING = (
    "# ============================================================================",
    "# MT5 ZeroMQ Gateway Configuration",
    "# ============================================================================",
)
"""What our section at the end begins with."""
BOM = b"\xef\xbb\xbf"

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_BLANK = re.compile(r"\s*")
_BEGIN = re.compile(r"(?:export[^\S\r\n]+)?(?:'([^']+)'|([^=#'\s][^=#\s]*))[^\S\r\n]*")
_EQUALS = re.compile(r"=[^\S\r\n]*")
_QUOTED = {
    "'": re.compile(r"'((?:\\.|[^'\\])*)'", re.DOTALL),
    '"': re.compile(r'"((?:\\.|[^"\\])*)"', re.DOTALL),
}
_ESCAPES = {"'": re.compile(r"\\([\\'])"), '"': re.compile(r"\\([\\'\"abfnrtv])")}
_MEANING = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_BARE = re.compile(r"[^\r\n]*")
_END = re.compile(r"[^\S\r\n]*(?:#[^\r\n]*)?[^\S\r\n]*(?:\r\n|\n|\r|\Z)")
_NEWLINE = re.compile(r"\r\n|\n|\r")
_HEADED = re.compile(
    r"(?:(?<=[\r\n])(?:\r\n|\n|\r))?" + r"(?:\r\n|\n|\r)".join(map(re.escape, HEADING)) + r"\s*\Z"
)


class Assignment(NamedTuple):
    """An assignment in a file.

    Attributes:
        name: The variable.
        value: What it is given.
        start: Where the value begins in the text, with its quotes.
        end: Where it ends.
        comment: Whether what looks like the value is a comment to one reader and a value to another.
    """

    name: str
    value: str
    start: int
    end: int
    comment: bool


def values(content: bytes) -> dict[str, str]:
    """Return what a file says, by variable.

    Raises:
        Failed: It is not UTF-8, or has a line that is no assignment.
    """
    return {each.name: each.value for each in _assignments(_decoded(content))}


def merge(content: bytes, ours: Mapping[str, str]) -> bytes:
    """Return a file with our variables set; where they are already, it is the same.

    Args:
        content: The file; empty for none.
        ours: Values by variable.

    Raises:
        Failed: A variable cannot be in such a file, or the file cannot be read.
    """
    for name, value in ours.items():
        _check(name, value)
    text = _decoded(content)
    last = {each.name: each for each in _assignments(text)}
    merged = text
    for name, old in sorted(last.items(), key=lambda item: item[1].start, reverse=True):
        if name in ours and (old.value != ours[name] or old.comment):
            written = _written(ours[name], text[old.start : old.end])
            merged = f"{merged[: old.start]}{written}{merged[old.end :]}"
    new = [f"{name}={_written(value, '')}" for name, value in ours.items() if name not in last]
    mark = BOM if content.startswith(BOM) else b""
    return mark + (_appended(merged, new) if new else merged).encode()


def without(content: bytes, gone: Mapping[str, Sequence[str]]) -> bytes:
    """Return a file without some variables, where they have one of the values that are named.

    Our heading goes with the last line below it.

    Raises:
        Failed: The file cannot be read.
    """
    text = _decoded(content)
    left = text
    for each in sorted(_assignments(text), key=lambda each: each.start, reverse=True):
        if each.value in gone.get(each.name, ()):
            start = max(text.rfind("\n", 0, each.start), text.rfind("\r", 0, each.start)) + 1
            over = _END.match(text, each.end)
            left = left[:start] + left[each.end if over is None else over.end() :]
    if left == text:
        return content
    mark = BOM if content.startswith(BOM) else b""
    return mark + _HEADED.sub("", left).encode()


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise Failed(f".env, line {line} is not UTF-8", "save the file as UTF-8", "env") from None


def _assignments(text: str) -> Iterator[Assignment]:
    position = 0
    while True:
        start = position = _end(_BLANK, text, position)
        if position == len(text):
            return
        begin = _BEGIN.match(text, position)
        if begin is None:
            position = _end(_END, text, position)
            if position == start:
                raise _wrong(text, start)
            continue
        name = begin.group(1) or begin.group(2)
        position = begin.end()
        equals = _EQUALS.match(text, position)
        if equals is not None:
            found = _value(text, equals, name, start)
            yield found
            position = found.end
        elif name.startswith("MT5_"):
            raise _wrong(text, start)
        over = _END.match(text, position)
        if over is None:
            raise _wrong(text, start)
        position = over.end()


def _value(text: str, equals: re.Match[str], name: str, line: int) -> Assignment:
    start = equals.end()
    quote = text[start : start + 1]
    if quote in _QUOTED:
        match = _QUOTED[quote].match(text, start)
        if match is None:
            raise _wrong(text, line)
        value = _ESCAPES[quote].sub(lambda each: _MEANING.get(each[1], each[1]), match[1])
        return Assignment(name, value, start, match.end(), comment=False)
    raw = text[start : _end(_BARE, text, start)]
    if raw.startswith("#") and len(equals[0]) > 1:
        return Assignment(name, "", equals.start() + 1, equals.start() + 1, comment=True)
    value = re.sub(r"\s+#.*", "", raw).rstrip()
    return Assignment(name, value, start, start + len(value), comment=False)


def _end(pattern: re.Pattern[str], text: str, position: int) -> int:
    match = pattern.match(text, position)
    return position if match is None else match.end()


def _wrong(text: str, position: int) -> Failed:
    line = len(_NEWLINE.findall(text, 0, position)) + 1
    return Failed(f".env, line {line} is not of the form NAME=value", "correct the line", "env")


def _check(name: str, value: str) -> None:
    if name in SECRETS:
        raise Failed(
            f"{name} is a secret, which is never read from .env",
            f"name a private file with {name}_FILE in the environment of what needs it",
            "env",
        )
    if not _NAME.fullmatch(name):
        raise Failed(f"{name!r:.80} is no name of a variable", "correct it in the inventory", "env")
    if not value.isprintable() or "${" in value or (value.endswith("\\") and _must_quote(value)):
        raise Failed(
            f"the value of {name} cannot be written to .env so that every program reads the same",
            "no control characters, no ${...}, and no backslash at the end of what has quotes or ' #' in it",
            "env",
        )


def _must_quote(value: str) -> bool:
    return value != value.strip() or value[:1] in {"'", '"', "#"} or re.search(r"\s#", value) is not None


def _written(value: str, old: str) -> str:
    """Return a value as it is written in place of another: in the same quotes where it can be."""
    if old[:1] in {"'", '"'} and not re.search(r"['\"\\]", value):
        return f"{old[0]}{value}{old[0]}"
    if value and not _must_quote(value):
        return value
    escaped = re.sub(r"(['\\])", r"\\\1", value)  # nothing before a comment must not be taken for the comment
    return f"'{escaped}'"


def _appended(text: str, lines: list[str]) -> str:
    end = (_NEWLINE.findall(text) or ["\n"])[-1]  # the last: another one behind it could make one of both
    if text and not text.endswith(("\n", "\r")):
        text += end
    if HEADING[1] not in text:
        lines = [*([""] if text else []), *HEADING, *lines]
    return text + "".join(line + end for line in lines)

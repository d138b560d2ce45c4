"""What secrets look like, and where there are some in a file.

What is found is told by its kind and its place, never by itself. The forms are those that say what they are
(key files, tokens with a prefix of their own); randomness alone is no sign, for digests and ids are random
too, unless it is assigned to a name such as `password`.
"""

import codecs
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple

from mt5crs.security.secrets import PASSPHRASE, PASSWORD

HIGH = 3.2
"""Bits for each character, from which on a value is a secret that somebody made, and not a word."""
Z85 = rb"[0-9a-zA-Z.:+=^!/*?&<>()\[\]{}@%$#-]{40}"

MOST = 1000
"""Spots of a kind that are told of one content."""

_WORDS = (
    rb"(?:your|my|the|a|an|some|this|change|replace|insert|put|enter|example|dummy|sample|placeholder|redacted|"
    rb"secret|password|passwd|passphrase|token|key|api|here|me|it|in|to|new|none|null|true|false)"
)
PLACEHOLDERS = re.compile(
    rb"(?i:x+|\*+|\.+|-+|<[^<>]*>?|" + _WORDS + rb"(?:[\W_]*" + _WORDS + rb")*)"
    rb"|\$\{[^{}]*\}|\$\([^()]*\)|\$(?:env:)?[A-Z_][A-Z0-9_]*|%[A-Z_][A-Z0-9_]*%|\{\{?[^{}]*\}?\}"
)
"""What stands where a secret is to be put in."""


class Spot(NamedTuple):
    """A place of a secret.

    Attributes:
        kind: Which kind of secret.
        line: The line where it begins, from 1.
    """

    kind: str
    line: int


class Kind(NamedTuple):
    """A kind of secret.

    Attributes:
        name: Its name.
        needles: One of these, in any case, is in a content that has one; looked for first, which is fast.
        pattern: Its form.
        real: Whether a match is one, of its group 1.
    """

    name: str
    needles: tuple[bytes, ...]
    pattern: re.Pattern[bytes]
    real: Callable[[bytes], bool] = lambda _value: True


def entropy(value: bytes) -> float:
    """Return the bits for each byte, by how often each occurs."""
    counts = Counter(value).values()
    return -sum(count / len(value) * math.log2(count / len(value)) for count in counts)


def _given(value: bytes) -> bool:
    is_name = re.fullmatch(rb"(?:MT5(?:CRS)?_)?[A-Z]+(?:_[A-Z]+)*", value)  # that of a variable
    return not is_name and not PLACEHOLDERS.fullmatch(value) and b"EXAMPLE" not in value


def _mixed(value: bytes) -> bool:
    return (
        all(re.search(part, value) for part in (rb"[a-z]", rb"[A-Z]", rb"[0-9]")) and entropy(value) >= HIGH
    )


def _random(value: bytes) -> bool:
    mixed = sum(bool(re.search(part, value)) for part in (rb"[a-z]", rb"[A-Z]", rb"[0-9]", rb"[^a-zA-Z0-9]"))
    return _given(value) and mixed >= 2 and re.search(rb"[0-9]", value) is not None and entropy(value) >= HIGH


def _kind(name: str, needles: str, pattern: bytes, real: Callable[[bytes], bool] | None = None) -> Kind:
    compiled = re.compile(pattern)
    words = tuple(word.lower().encode() for word in needles.split())
    return Kind(name, words, compiled) if real is None else Kind(name, words, compiled, real)


_OURS = f"{PASSWORD}|{PASSPHRASE}".encode()
_NAMES = "password passwd passphrase secret token api_key access_key private_key"
_PARTS = "passw passphrase secret token api access private"

_QUOTE = rb"\\{0,4}['\"]?"
"""What is around a name or a value in JSON, in JSON within JSON, in YAML and in Python."""
_SET = _QUOTE + rb"\s{0,8}[:=]\s{0,8}" + _QUOTE

KINDS = (
    _kind(
        "mt5crs key",
        "secret seed",
        rb"(?i:\b(?:secret|seed))" + _SET + rb"(" + Z85 + rb")(?![0-9a-zA-Z.:+=^!/*?&<>()\[\]{}@%$#-])",
        _mixed,
    ),
    _kind(
        "mt5crs key with a passphrase",
        "sealed",
        rb"(?i:\bsealed)" + _QUOTE + rb"\s{0,8}[:=]\s{0,8}\{?[^{}]{0,400}?"
        rb"\bbox" + _SET + rb"[A-Za-z0-9+/]{100,}",
    ),
    _kind("ZeroMQ CURVE key", "secret-key", rb'secret-key\s{0,8}=\s{0,8}"' + Z85 + rb'"'),
    _kind(
        "private key",
        "PRIVATE",
        rb"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----[^\0]{0,300}?[A-Za-z0-9+/]{40}",
    ),
    _kind(
        "PuTTY key",
        "PuTTY-User-Key-File",
        rb"PuTTY-User-Key-File-[0-9]: (?:[^\0P]|P(?!uTTY-User)){1,2000}?Private-Lines: ",
    ),
    _kind(
        "password of ours",
        f"{PASSWORD} {PASSPHRASE}",
        rb"(?:\bsetx[ \t]{1,8}(?:" + _OURS + rb")[ \t]{1,8}|"
        rb"\b(?:" + _OURS + rb")\b['\"]?\]?[ \t]{0,8}(?:[=:]|,(?=[ \t]{0,8}['\"]))[ \t]{0,8})"
        rb"(?:b?['\"]([^'\"\r\n]{4,200})['\"]|([^\s'\"#(){}\[\],;]{4,200})(?![^\s'\"]))",
        _given,
    ),
    _kind("AWS access key", "AKIA ASIA", rb"\b((?:AKIA|ASIA)[0-9A-Z]{16})\b", _given),
    _kind(
        "GitHub token",
        "ghp_ gho_ ghu_ ghs_ ghr_ github_pat_",
        rb"\b(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{60,255})\b",
    ),
    _kind("GitLab token", "glpat-", rb"\bglpat-[A-Za-z0-9_-]{20,}"),
    _kind("Slack token", "xox", rb"\bxox[abeoprs]-[A-Za-z0-9-]{10,250}"),
    _kind(
        "Slack webhook",
        "hooks.slack.com",
        rb"hooks\.slack\.com/services/T[A-Z0-9]{6,14}/B[A-Z0-9]{6,14}/[A-Za-z0-9]{20,30}",
    ),
    _kind("Telegram bot token", ":AA", rb"\b[0-9]{8,10}:AA[A-Za-z0-9_-]{32,34}\b"),
    _kind("Google API key", "AIza", rb"\bAIza[0-9A-Za-z_-]{35}"),
    _kind("Stripe key", "sk_live_ rk_live_", rb"\b[sr]k_live_[0-9a-zA-Z]{20,}"),
    _kind("PyPI token", "pypi-AgE", rb"\bpypi-AgE[A-Za-z0-9_-]{50,}"),
    _kind("npm token", "npm_", rb"\bnpm_[A-Za-z0-9]{36}\b"),
    _kind("OpenAI or Anthropic key", "sk-", rb"\bsk-(?:ant-|proj-)?[A-Za-z0-9_-]{20,}T3BlbkFJ[A-Za-z0-9_-]{20,}|\bsk-ant-[a-z0-9]+-[A-Za-z0-9_-]{60,}"),  # noqa: E501
    _kind(
        "password in an address",
        "://",
        rb"\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@'\"<>{}$]{1,64}:([^\s/:@'\"<>{}$]{6,128})@[A-Za-z0-9\[]",
        _random,
    ),
    _kind(
        "secret assigned to a name",
        _PARTS,
        rb"(?i)(?:" + _NAMES.replace(" ", "|").replace("_", "[_-]?").encode() + rb")"
        rb"[a-z0-9_]{0,20}['\"]?[ \t]{0,8}(?::=|=>|[=:])[ \t]{0,8}(?:b|r|f)?['\"]([^\s'\"]{12,200})['\"]",
        _random,
    ),
    _kind(
        "secret assigned to a variable",
        _PARTS,
        rb"(?im)^[ \t]{0,8}(?:export[ \t]+|set[ \t]+|\$env:)?[a-z0-9_]{0,40}"
        rb"(?:" + _NAMES.replace(" ", "|").replace("_", "_?").encode() + rb")[ \t]{0,2}=[ \t]{0,2}"
        rb"([^\s'\"(){}\[\],;#.]{12,200})[ \t]{0,8}\r?$",
        _random,
    ),
)  # fmt: skip
"""Every kind. A name that holds a secret is found in any case, all else as it is written."""


def find(content: bytes) -> Iterator[Spot]:
    """Yield where there is a secret in a content, of each kind once for each line, `MOST` of a kind."""
    told: set[str] = set()
    for view in views(content):
        lowered = view.lower()
        fresh: set[str] = set()
        for kind in KINDS:
            if kind.name in told or not any(needle in lowered for needle in kind.needles):
                continue
            for line in _lines(kind, view):
                fresh.add(kind.name)
                yield Spot(kind.name, line)
        told |= fresh


def _lines(kind: Kind, content: bytes) -> Iterator[int]:
    """Yield the lines where a content has a kind of secret, each once."""
    line = told = 0
    counted = found = 0
    for match in kind.pattern.finditer(content):
        if not kind.real(next(filter(None, match.groups()), match[0])):
            continue
        line += content.count(b"\n", counted, match.start())
        counted = match.start()
        if line + 1 != told:
            told = line + 1
            yield told
            found += 1
            if found == MOST:
                return


def views(content: bytes) -> list[bytes]:
    """Return the texts that a content may be: as it is; of Windows, UTF-16; and that in a part of it."""
    found = [content.removeprefix(codecs.BOM_UTF8)]
    if content[:2] in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE}:
        found.append(content.decode("utf-16", "replace").encode("utf-8", "replace"))
    if b"\0" in content:  # what is ASCII in UTF-16 is that without these, whatever is before it
        found.append(re.sub(rb"\A(?:\xff\xfe|\xfe\xff)", b"", content).replace(b"\0", b""))
    return found


KEY_KINDS = frozenset({kind.name for kind in KINDS[:5]})
"""The kinds that are key files."""

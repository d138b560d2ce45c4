"""A short tag behind an order's comment, by which the order is found again in the terminal's history.

Eight characters: `~` and seven letters and digits that hold 41 bits: which journal (9), which of its entries
(26), and a check (6), so that a comment of somebody else's is not taken for one of ours. The tag stands
behind the user's own comment only where both fit into what MetaTrader 5 keeps.
"""

from typing import NamedTuple
from zlib import crc32

COMMENT_LENGTH = 29
"""Characters of a comment that the official package takes."""
SIGIL = "~"
LENGTH = 8
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
MARKS = 1 << 9
ENTRIES = 1 << 26
"""Entries with different tags; the next one has the first one's tag again."""
_CHECKS = 1 << 6
_DIGITS = {letter: value for value, letter in enumerate(ALPHABET)}


class Tag(NamedTuple):
    """What a tag says.

    Attributes:
        comment: What stands before it: the user's own comment.
        mark: The journal's mark.
        entry: The entry's number, modulo `ENTRIES`.
    """

    comment: str
    mark: int
    entry: int


def mark_of(journal: str) -> int:
    """Return the mark of a journal's id."""
    return crc32(journal.encode()) % MARKS


def tag(mark: int, entry: int) -> str:
    """Return the tag of an entry."""
    body = mark * ENTRIES + entry % ENTRIES
    number = body * _CHECKS + _check(body)
    letters: list[str] = []
    for _ in range(LENGTH - 1):
        number, digit = divmod(number, len(ALPHABET))
        letters.append(ALPHABET[digit])
    return SIGIL + "".join(letters)


def has_room(comment: str) -> bool:
    """Whether a tag fits behind a comment."""
    return len(comment) + LENGTH <= COMMENT_LENGTH


def read(comment: str) -> Tag | None:
    """Return what the tag at the end of a comment says, None where there is none."""
    if comment[-LENGTH : 1 - LENGTH] != SIGIL:  # nearly all that are not ours
        return None
    number = 0
    for letter in reversed(comment[1 - LENGTH :]):
        digit = _DIGITS.get(letter)
        if digit is None:
            return None
        number = number * len(ALPHABET) + digit
    body, check = divmod(number, _CHECKS)
    mark, entry = divmod(body, ENTRIES)
    if mark >= MARKS or check != _check(body):
        return None
    return Tag(comment[:-LENGTH], mark, entry)


def _check(body: int) -> int:
    return crc32(body.to_bytes(5, "big")) % _CHECKS

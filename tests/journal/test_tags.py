"""Tags behind comments."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mt5crs.journal import tags

COMMENTS = st.text(max_size=tags.COMMENT_LENGTH - tags.LENGTH)


@given(COMMENTS, st.integers(0, tags.MARKS - 1), st.integers(1, 1 << 40))
def test_a_tag_says_what_it_was_made_of(comment: str, mark: int, entry: int) -> None:
    tag = tags.tag(mark, entry)
    assert len(tag) == tags.LENGTH
    assert tag.isascii()
    assert tags.read(comment + tag) == (comment, mark, entry % tags.ENTRIES)


@given(st.text(max_size=31))
def test_whatever_a_comment_is_it_is_read_without_failing(comment: str) -> None:
    found = tags.read(comment)
    assert found is None or comment == found.comment + tags.tag(found.mark, found.entry)


@pytest.mark.parametrize("place", range(tags.LENGTH))
def test_a_changed_letter_shows_in_nearly_every_case(place: int) -> None:
    tag = tags.tag(300, 123_456)
    others = [tag[:place] + letter + tag[place + 1 :] for letter in tags.ALPHABET if letter != tag[place]]
    taken = [other for other in others if tags.read(other) is not None]
    assert len(taken) <= len(others) // 16


@pytest.mark.parametrize("comment", ["", "~", "~1234567", "grid 7", "~ABCDEF", "[sl 1.08500]", "~ABC DEF"])
def test_comments_of_others_are_not_taken_for_tags(comment: str) -> None:
    assert tags.read(comment) is None


def test_there_is_room_for_twenty_one_characters() -> None:
    assert tags.has_room("x" * 21)
    assert not tags.has_room("x" * 22)

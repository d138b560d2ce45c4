"""Topic names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mt5crs.wire import topics


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=29))
def test_a_symbol_comes_back(symbol: str) -> None:
    assert topics.tick_symbol(topics.tick(symbol)) == symbol


def test_no_topic_is_a_prefix_of_another() -> None:
    assert not topics.tick("EURUSDm").startswith(topics.tick("EURUSD"))


@pytest.mark.parametrize(
    "topic", [b"", b"tick.", b"tick.\0", b"tick.EURUSD", b"tick.A\0B\0", b"bar.A\0", b"tick.\xff\0"]
)
def test_what_is_not_a_tick_topic_in_full_has_no_symbol(topic: bytes) -> None:
    assert topics.tick_symbol(topic) is None

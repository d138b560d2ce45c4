"""Names of topics."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mt5crs.timeframes import TIMEFRAMES
from mt5crs.topics import Account, AnyTopic, Bars, Beat, Book, Ticks, Trades
from mt5crs.wire import topics

SYMBOLS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=29)
TOPICS: st.SearchStrategy[AnyTopic] = st.one_of(
    st.builds(Ticks, SYMBOLS),
    st.builds(Book, SYMBOLS),
    st.builds(Bars, SYMBOLS, st.sampled_from(list(TIMEFRAMES.values()))),
    st.sampled_from([Trades(), Account(), Beat()]),
)


@given(TOPICS)
def test_a_topic_comes_back(topic: AnyTopic) -> None:
    assert topics.topic(topics.name(topic)) == topic


@given(TOPICS, TOPICS)
def test_no_topic_is_a_prefix_of_another(one: AnyTopic, other: AnyTopic) -> None:
    assert one == other or not topics.name(other).startswith(topics.name(one))


def test_names_may_have_dots() -> None:
    assert topics.name(Bars("BRK.B", TIMEFRAMES["M15"])) == b"bar.BRK.B.M15\0"
    assert topics.topic(b"bar.BRK.B.M15\0") == Bars("BRK.B", TIMEFRAMES["M15"])


@pytest.mark.parametrize(
    "name",
    [
        *(b"", b"\0", b"tick.", b"tick.\0", b"tick\0", b"tick.EURUSD", b"tick.A\0B\0", b"tick.\xff\0"),
        *(b"bar.A\0", b"bar.A.M7\0", b"bar..M1\0", b"beat.\0", b"beat", b"trade.X\0", b"account.\0"),
        *(b"tick." + b"x" * 30 + b"\0", b"nothing\0", b"TICK.A\0"),
    ],
)
def test_what_is_not_a_topic_in_full_is_none(name: bytes) -> None:
    assert topics.topic(name) is None

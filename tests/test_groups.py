"""Group masks; the rules are those of section 2 of the semantics digest."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mt5crs.groups import group_filter

NAMES = ("EURUSD", "EURGBP", "GBPUSD", "EUR", "EUR?", "eurusd", "")


@pytest.mark.parametrize(
    ("group", "selected"),
    [
        ("", NAMES),
        ("*", NAMES),
        ("EURUSD", ("EURUSD",)),
        ("EUR", ("EUR",)),
        ("EUR*", ("EURUSD", "EURGBP", "EUR", "EUR?")),
        ("*USD", ("EURUSD", "GBPUSD")),
        ("E*D", ("EURUSD",)),
        ("EUR?", ("EUR?",)),
        ("*USD*,*GBP*", ("EURUSD", "EURGBP", "GBPUSD")),
        # the documentation's own example drops only a symbol of that very name
        ("*, !EUR", ("EURUSD", "EURGBP", "GBPUSD", "EUR?", "eurusd", "")),
        ("!EURUSD,*USD", ("GBPUSD",)),
        ("*USD,!EURUSD", ("GBPUSD",)),
        ("!*EUR*", ()),
    ],
)
def test_a_group_selects_by_name(group: str, selected: tuple[str, ...]) -> None:
    assert tuple(filter(group_filter(group), NAMES)) == selected


@given(st.text("ab*", max_size=12), st.text("ab", max_size=12))
def test_stars_mean_any_text(mask: str, name: str) -> None:
    expected = re.fullmatch(".*".join(map(re.escape, mask.split("*"))), name) is not None
    assert group_filter(mask)(name) == (expected or not mask)


@pytest.mark.parametrize("mask", ["*" * 1900 + "!", "*a" * 900 + "b", "a*" * 900])
def test_no_mask_takes_long(mask: str) -> None:
    """One pass over the name: a backtracking matcher would not end in this universe."""
    assert not group_filter(mask)("a" * 29)

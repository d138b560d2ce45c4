"""Group masks; the rules are those of section 2 of the semantics digest."""

import pytest

from mt5crs.terminal.groups import group_filter

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

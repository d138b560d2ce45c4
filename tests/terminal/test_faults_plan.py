"""When faults happen, and what a file or a command line can say of it."""

from pathlib import Path

import pytest

from mt5crs.errors import SettingError
from mt5crs.terminal.simulated.faults.plan import Fault, Schedule, load_faults


def drawn(schedule: Schedule, calls: int, name: str = "order_send", symbol: str = "EURUSD") -> list[int]:
    """Return which of so many calls were befallen."""
    return [number for number in range(calls) if schedule.draw(name, symbol, 100.0) is not None]


def test_a_fault_happens_once_to_the_next_order() -> None:
    assert drawn(Schedule(1, [Fault(kind="reject")], 0.0), 5) == [0]


def test_skip_and_times_count_the_calls_that_match() -> None:
    schedule = Schedule(1, [Fault(kind="reject", symbol="EURUSD", skip=2, times=3)], 0.0)
    assert drawn(schedule, 4, symbol="GBPUSD") == []
    assert drawn(schedule, 4, name="symbol_info") == []
    assert drawn(schedule, 10) == [2, 3, 4]
    assert not schedule


def test_times_0_is_every_call() -> None:
    assert drawn(Schedule(1, [Fault(kind="reject", times=0)], 0.0), 50) == list(range(50))


def test_the_first_of_two_that_fit_happens() -> None:
    schedule = Schedule(1, [Fault(kind="requote"), Fault(kind="off_quotes", times=2)], 0.0)
    kinds = [schedule.draw("order_send", "", 0.0) for _ in range(4)]
    assert [fault and fault.kind for fault in kinds] == ["requote", "off_quotes", "off_quotes", None]


def test_chances_are_the_seeds() -> None:
    fault = Fault(kind="reject", times=0, chance=0.3)
    first, again, other = (drawn(Schedule(seed, [fault], 0.0), 1000) for seed in (1, 1, 2))
    assert first == again != other
    assert 240 < len(first) < 360  # four standard deviations of 1000 draws are 58


def test_nothing_happens_before_its_start() -> None:
    schedule = Schedule(1, [Fault(kind="reject", start=5.0)], 100.0)
    assert schedule.draw("order_send", "", 104.9) is None
    assert schedule.draw("order_send", "", 105.0) is not None


def test_a_spell_lasts_from_its_start_for_its_seconds() -> None:
    schedule = Schedule(1, [Fault(kind="disconnect", start=10.0, seconds=30.0)], 100.0)
    moments = (100.0, 109.9, 110.0, 139.9, 140.0)
    assert [schedule.spells(now) == {"disconnect"} for now in moments] == [False, False, True, True, False]
    assert not schedule


def test_a_spell_of_0_seconds_does_not_end_until_it_is_cleared() -> None:
    schedule = Schedule(1, [Fault(kind="disable", seconds=0.0)], 0.0)
    assert schedule.spells(1e9) == {"disable"}
    schedule.clear()
    assert schedule.spells(1e9) == frozenset()


def test_when_a_spell_changes_next() -> None:
    schedule = Schedule(1, [Fault(kind="disconnect", start=10.0, seconds=30.0)], 100.0)
    assert [schedule.next_change(now) for now in (100.0, 110.0, 140.0)] == [110.0, 140.0, float("inf")]


def test_a_command_line_says_a_fault() -> None:
    text = "slow:operation=copy_rates_range,times=0,chance=0.1,seconds=3"
    expected = Fault(kind="slow", operation="copy_rates_range", times=0, chance=0.1, seconds=3.0)
    assert Fault.parse(text) == expected
    assert Fault.parse("requote") == Fault(kind="requote")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nothing",
        "slow:seconds",
        "slow:seconds=x",
        "slow:seconds=-1",
        "slow:day=1",
        "slow:operation=nothing",
        "reject:operation=symbol_info",
        "reject:chance=1.5",
        "partial:share=1",
        "refuse",
        "reject:retcode=10013",
        "crash:point=noon",
        "slow:seconds=nan",
        "slow:seconds=inf",
        "slow:",
        "slow:seconds=1,seconds=2",
        "refuse:retcode=1",
        "refuse:retcode=10009",
    ],
)
def test_what_is_not_a_fault_is_said(text: str) -> None:
    with pytest.raises(SettingError, match="fault"):
        Fault.parse(text)


def test_a_file_lists_faults(tmp_path: Path) -> None:
    path = tmp_path / "faults.toml"
    path.write_text('[[fault]]\nkind = "requote"\n[[fault]]\nkind = "disconnect"\nstart = 10.0\n')
    assert load_faults(path) == (Fault(kind="requote"), Fault(kind="disconnect", start=10.0))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("fault = 1", "tables"),
        ("[[fault]]\nkind = 'nap'", "fault 1"),
        ("[[fault]", "faults.toml"),
        ("[[fault]]\nkind = 'slow'\n[other]", "tables"),
    ],
)
def test_a_file_that_does_not_is_refused(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "faults.toml"
    path.write_text(content)
    with pytest.raises(SettingError, match=said):
        load_faults(path)


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="cannot be read"):
        load_faults(tmp_path / "nothing.toml")

"""What people type: accepted as meant, or refused with what would be right."""

from datetime import datetime, timezone

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from mt5crs.cli import values
from mt5crs.cli.formats import moment
from mt5crs.guard.closing import market_filling
from mt5crs.model import SymbolInfo
from mt5crs.timeframes import TIMEFRAMES

FILLINGS = {1: 0, 2: 1, 3: 0, 0: 2}


def symbol(**fields: object) -> SymbolInfo:
    given_ = {
        "name": "EURUSD", "digits": 5, "bid": 1.1, "volume_min": 0.01, "volume_max": 100.0,
        "volume_step": 0.01, **fields,
    }  # fmt: skip
    names: tuple[str, ...] = SymbolInfo.__match_args__
    return SymbolInfo(given_.get(name, 0) for name in names)


@pytest.mark.parametrize("text", ["m1", "H1", "mn1"])
def test_timeframes_in_any_case(text: str) -> None:
    assert values.timeframe(text) == TIMEFRAMES[text.upper()]


def test_an_unknown_timeframe_lists_them_by_length() -> None:
    with pytest.raises(typer.BadParameter, match="M1 M2 .* H1 H2 H3 H4 .* D1 W1 MN1"):
        values.timeframe("H7")


@given(st.datetimes(datetime(2000, 1, 1), datetime(2037, 1, 1)))  # noqa: DTZ001 - server time has no zone
def test_a_date_is_server_time(when: datetime) -> None:
    when = when.replace(microsecond=0)
    seconds = values.moment(str(when), "--from")
    assert datetime.fromtimestamp(seconds, timezone.utc).replace(tzinfo=None) == when
    assert values.moment(str(seconds), "--from") == seconds
    assert moment(seconds) == str(when)


@pytest.mark.parametrize("text", ["yesterday", "2025-13-01", "2025-11-03T10:00+02:00", "", "5", "\uff11" * 9])
def test_a_wrong_date_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="2025-11-03") as refused:
        values.moment(text, "--from")
    assert refused.value.param_hint == "--from"


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "1e5", "1,5", "", ".", "1.2.3", "0x10"])
def test_a_wrong_number_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match=r"above 0, such as 1\.25"):
        values.number(text, "--sl")


@given(st.integers(1, 10_000))
def test_every_whole_step_is_a_volume(steps: int) -> None:
    text = f"{steps / 100:.2f}"
    assert values.volume(text, symbol(), "VOLUME") == float(text)


@pytest.mark.parametrize("text", ["0.001", "0.015", "100.01"])
def test_a_volume_off_the_steps_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match=r"from 0\.01 to 100 in steps of 0\.01"):
        values.volume(text, symbol(), "VOLUME")


def test_no_more_than_the_position_can_be_closed() -> None:
    with pytest.raises(typer.BadParameter, match=r"from 0\.01 to 0\.5"):
        values.volume("0.6", symbol(), "--volume", 0.5)


def test_a_price_with_too_many_digits_is_refused() -> None:
    assert values.price("1.12345", symbol(), "--sl") == 1.12345
    with pytest.raises(typer.BadParameter, match=r"have 5, such as 1\.10000"):
        values.price("1.123456", symbol(), "--sl")


@pytest.mark.parametrize(("bits", "filling"), FILLINGS.items())
def test_the_filling_mode_is_one_that_the_symbol_takes(bits: int, filling: int) -> None:
    assert market_filling(symbol(filling_mode=bits)) == filling

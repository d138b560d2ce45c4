"""Where an archive's files lie, what they are for, and that rows come back as they were."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mt5crs.archive.layout import Period, Series, all_series, files, quoted
from mt5crs.archive.rows import Footer, to_rows, to_table
from mt5crs.errors import ArchiveError
from mt5crs.model import RATES, TICKS

NAMES = st.text(
    st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), min_size=1, max_size=20
)


def _column(kind: str, low: int, high: int) -> st.SearchStrategy[object]:
    return st.floats(width=64) if kind == "<f8" else st.integers(low, high)


def _rows(series: Series) -> st.SearchStrategy[list[tuple[object, ...]]]:
    limits = {
        "<i8": (-(2**52), 2**52),
        "<u8": (0, 2**63 - 1),
        "<i4": (-(2**31), 2**31 - 1),
        "<u4": (0, 2**32 - 1),
    }
    columns = [_column(kind, *limits.get(kind, (0, 0))) for _, kind in series.array.fields]
    return st.lists(st.tuples(*columns), max_size=50)


@pytest.mark.parametrize("series", [Series("X", "M1"), Series("X", "tick")], ids=str)
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_rows_come_back_bit_by_bit(series: Series, data: st.DataObject) -> None:
    rows = np.array(data.draw(_rows(series)), series.array.dtype)
    if series.is_ticks:
        rows["time"] = rows["time_msc"] // 1000
    back = to_rows(to_table(rows, series), series)
    assert back.dtype == series.array.dtype
    assert back.tobytes() == rows.tobytes()


def test_numbers_that_do_not_fit_are_refused() -> None:
    bars = np.zeros(1, RATES.dtype)
    bars["tick_volume"] = 2**63
    with pytest.raises(ArchiveError, match="tick_volume"):
        to_table(bars, Series("X", "M1"))
    ticks = np.zeros(1, TICKS.dtype)
    ticks["time_msc"] = 5000
    with pytest.raises(ArchiveError, match="time_msc"):
        to_table(ticks, Series("X", "tick"))


@given(symbol=NAMES)
def test_any_symbol_has_one_folder_of_its_own(symbol: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    name = quoted(symbol)
    assert not set(name) & set('/\\:*?"<>|#% =') - {"%"}
    assert not name.endswith(".")
    series = Series(symbol, "tick")
    root = tmp_path_factory.getbasetemp() / "names"
    assert series.folder(root).parent == root / "ticks"


def test_names_and_periods_belong_together(tmp_path: Path) -> None:
    march = 1_741_910_400  # 2025-03-14
    names = {"M1": "2025-03", "M30": "2025-03", "H1": "2025", "MN1": "2025", "tick": "2025-03-14"}
    for tf, name in names.items():
        series = Series("EUR/USD.m", tf)
        period = series.period(march)
        assert period.name == name
        assert period == Period.named(name)
        assert period.start <= march < period.end
        path = series.path(tmp_path, period)
        path.parent.mkdir(parents=True)
        path.touch()
        (path.parent / "else.parquet").touch()
        (path.parent / "2025-13.parquet").touch()
        assert files(tmp_path, "EUR/USD.m", tf) == {period: path}
    assert all_series(tmp_path) == sorted(Series("EUR/USD.m", tf) for tf in names)
    assert Period.named("2025-02-30") is None


def test_periods_follow_each_other_without_gaps() -> None:
    for tf in ("M1", "H4", "tick"):
        periods = list(Series("X", tf).periods(951_696_000, 1_741_910_401))  # over a leap day
        assert all(one.end == next_.start for one, next_ in pairwise(periods))
        assert periods[0].start <= 951_696_000
        assert periods[-1].start < 1_741_910_401 <= periods[-1].end


def test_a_footer_is_read_as_it_was_written() -> None:
    period = Series("X", "M1").period(1_741_910_400)
    footer = Footer(Series("X#", "M1"), period, "Sim-Demo", period.end * 1000 - 1, 5, "ab")
    metadata = {key.encode(): value.encode() for key, value in footer.as_metadata().items()}
    assert Footer.of(Path("f"), metadata) == footer
    assert not footer.is_complete

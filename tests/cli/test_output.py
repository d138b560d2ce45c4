"""The one renderer: the same rows for people, as JSON and as CSV."""

import csv
import json
import re
from io import BytesIO, StringIO, TextIOWrapper

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mt5crs.cli import formats
from mt5crs.cli.output import Form, Output, Table, field
from mt5crs.cli.ping import histogram, summary
from mt5crs.client.measure import percentile

COLUMNS = (field("name"), field("price", show=formats.priced(2), right=True))
FIELDS = ("name", "price")
FINITE = st.floats(allow_nan=False, allow_infinity=False)


def written(form: Form, rows: list[dict[str, object]], encoding: str = "utf-8") -> str:
    raw = BytesIO()
    stream = TextIOWrapper(raw, encoding=encoding, errors="backslashreplace", newline="\n")
    Output(form, stream).write(Table("things", COLUMNS, FIELDS, rows))
    return raw.getvalue().decode(encoding)


@given(FINITE)
def test_programs_get_the_exact_number(price: float) -> None:
    rows: list[dict[str, object]] = [{"name": "x", "price": price}]
    assert json.loads(written(Form.JSON, rows))[0]["price"] == price
    (row,) = csv.DictReader(StringIO(written(Form.CSV, rows)))
    assert float(row["price"]) == price


@given(st.text(st.characters(exclude_categories=("Cs", "Cc"))))
def test_programs_get_the_exact_text(name: str) -> None:
    rows: list[dict[str, object]] = [{"name": name, "price": 1.0}]
    assert json.loads(written(Form.JSON, rows, "ascii"))[0]["name"] == name
    (row,) = csv.DictReader(StringIO(written(Form.CSV, rows)))
    assert row["name"] == name


def test_people_get_digits_and_all_of_a_long_name() -> None:
    name = "a name " * 60
    text = written(Form.TABLE, [{"name": name, "price": 1.005}])
    assert name.strip() in text
    assert "1.00" in text
    assert "\x1b" not in text


def test_a_name_beyond_the_encoding_is_escaped() -> None:
    text = written(Form.TABLE, [{"name": "Zürich €", "price": 1.0}], "ascii")
    assert "Z\\xfcrich \\u20ac" in text
    assert text.isascii()


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("width", "titles"), [(80, "name  price  note"), (20, "name  price")])
def test_a_narrow_terminal_leaves_out_what_can_be_spared(
    monkeypatch: pytest.MonkeyPatch, width: int, titles: str
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    row = {"name": "x", "price": 1.0, "note": "a long note"}
    table = Table("things", (*COLUMNS, field("note", spare=True)), (), [row])
    Output(Form.TABLE, terminal).write(table)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", terminal.getvalue())
    assert titles in [line.strip() for line in plain.splitlines()]


@pytest.mark.parametrize(
    ("form", "empty"), [(Form.JSON, "[]\n"), (Form.CSV, "name,price\n"), (Form.TABLE, "things: none\n")]
)
def test_no_rows(form: Form, empty: str) -> None:
    assert written(form, []) == empty


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        (Form.TABLE, "name    price\nEURUSD   1.50\nX        2.25\n"),
        (Form.JSON, '{"name": "EURUSD", "price": 1.5}\n{"name": "X", "price": 2.25}\n'),
        (Form.CSV, "name,price\nEURUSD,1.5\nX,2.25\n"),
    ],
)
def test_rows_one_by_one(form: Form, expected: str) -> None:
    stream = StringIO()
    write = Output(form, stream).lines(COLUMNS, FIELDS)
    write({"name": "EURUSD", "price": 1.5})
    write({"name": "X", "price": 2.25})
    assert stream.getvalue() == expected


@pytest.mark.parametrize(
    ("volume", "text"),
    [(0.1, "0.10"), (1.0, "1.00"), (0.125, "0.125"), (0.00001, "0.00001"), (100.0, "100.00")],
)
def test_lots_have_two_decimals_at_least(volume: float, text: str) -> None:
    assert formats.lots(volume) == text


def test_names_of_enumerations() -> None:
    shown = formats.named("ORDER_TYPE_")
    assert [shown(0), shown(2), shown(99)] == ["buy", "buy limit", "99"]


def test_times_are_the_servers() -> None:
    assert formats.moment(1_762_128_000) == "2025-11-03 00:00:00"
    assert formats.moment_msc(1_762_128_000_042) == "2025-11-03 00:00:00.042"
    assert formats.moment(0) == formats.moment_msc(0) == ""


@given(st.lists(st.floats(0.001, 1e4), min_size=1), st.integers(1, 100))
def test_a_percentile_was_measured_and_covers_its_share(trips: list[float], share: int) -> None:
    value = percentile(sorted(trips), share)
    assert value in trips
    assert sum(trip <= value for trip in trips) >= share / 100 * len(trips)


@given(st.lists(st.floats(0.001, 1e4), min_size=1))
def test_a_histogram_has_every_round_trip(trips: list[float]) -> None:
    table = histogram(trips, Output(Form.TABLE, StringIO()))
    assert sum(row["count"] for row in table.rows) == len(trips)
    assert all(set(row["bar"]) <= {"#"} for row in table.rows), "a stream without an encoding gets ASCII"


def test_lost_pings_are_counted() -> None:
    (row,) = summary([1.0, None, 3.0, None]).rows
    assert (row["sent"], row["received"], row["loss_percent"], row["min_ms"]) == (4, 2, 50, 1.0)
    assert summary([None]).rows[0]["p50_ms"] is None


def test_nothing_that_was_written_by_others_steers_the_terminal() -> None:
    from mt5crs.cli.report import printable

    hostile = "\x1b]0;PWN\x07\x1b[2J\x9b31m\u202e"
    shown = printable(hostile)
    assert shown.isprintable()
    assert shown.startswith("\\x1b]0;PWN\\x07")
    assert printable("Zürich 行情 ✓\n\t") == "Zürich 行情 ✓\n\t"

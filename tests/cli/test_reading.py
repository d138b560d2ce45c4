"""ping, info, symbols, rates and ticks: a table for people, JSON and CSV for programs."""

import pytest

from mt5crs import constants as c
from mt5crs.model import RATES, SymbolInfo
from tests.cli.commands import Run
from tests.processes import Gateway

BAR_FIELDS = [name for name, _ in RATES.fields]


def test_ping_measures(ask: Run) -> None:
    result = ask("ping", "-c", "3", "-i", "0", "--json")
    assert result.code == 0
    assert (result.json["sent"], result.json["received"], result.json["loss_percent"]) == (3, 3, 0)
    assert len(result.json["trips_ms"]) == 3
    assert result.json["min_ms"] <= result.json["p50_ms"] <= result.json["p99_ms"] <= result.json["max_ms"]


def test_ping_for_people_and_for_spreadsheets(ask: Run) -> None:
    people = ask("ping", "-c", "3", "-i", "0")
    assert (people.code, people.table[0][:3]) == (0, ["3", "3", "0 %"])
    assert "distribution" in people.out
    assert ask("ping", "-c", "2", "-i", "0", "--csv").csv[0]["received"] == "2"


def test_ping_of_nobody(run: Run) -> None:
    result = run("ping", "--port", "1", "--timeout", "0.2", "--json")
    assert (result.code, result.json["received"]) == (1, 0)
    assert "[✗] Connection timeout: 127.0.0.1:1" in result.err
    assert "hint:" in result.err


def test_info_has_three_sections(ask: Run, gateway: Gateway) -> None:
    sections = ask("info", "--json").json
    with gateway.client() as client:
        account, terminal = client.account_info(), client.terminal_info()
    assert account is not None
    assert terminal is not None
    assert sections["account"] == account._asdict()
    assert sections["terminal"] == terminal._asdict()
    assert sections["gateway"]["stream_port"] == gateway.stream_port
    rows = {(row["section"], row["name"]): row["value"] for row in ask("info", "--csv").csv}
    assert float(rows["account", "balance"]) == account.balance
    assert ["account", "leverage", "1:100"] in ask("info").table


def test_symbols_of_a_mask(ask: Run, gateway: Gateway) -> None:
    with gateway.client() as client:
        names = [symbol.name for symbol in client.symbols_get("*JPY") or ()]
    assert [row["name"] for row in ask("symbols", "*JPY", "--json").json] == names
    rows = ask("symbols", "*JPY", "--csv").csv
    assert [row["name"] for row in rows] == names
    assert list(rows[0]) == list(SymbolInfo.__match_args__)
    shown = {row[0]: row for row in ask("symbols", "*JPY").table}
    assert list(shown) == names
    assert len(shown["USDJPY"][1].partition(".")[2]) == 3, "a bid has the symbol's digits"


def test_a_mask_of_nothing_is_a_no(ask: Run) -> None:
    result = ask("symbols", "ZZZ*")
    assert (result.code, result.out) == (1, "")
    assert "no symbol is like 'ZZZ*'" in result.err


def test_rates_are_exact(ask: Run, gateway: Gateway) -> None:
    with gateway.client() as client:
        bars = client.copy_rates_range("EURUSD", c.TIMEFRAME_H4, 1_760_000_000, 1_760_600_000)
    assert bars is not None
    span = ("--tf", "h4", "--from", "1760000000", "--to", "1760600000")
    expected = [dict(zip(BAR_FIELDS, row, strict=True)) for row in bars.tolist()]
    assert ask("rates", "EURUSD", *span, "--json").json == expected
    rows = ask("rates", "EURUSD", *span, "--csv").csv
    assert [[float(row[name]) for name in BAR_FIELDS] for row in rows] == [
        list(row.values()) for row in expected
    ]
    table = ask("rates", "EURUSD", *span, "-n", "2").table
    assert [row[1] for row in table] == [f"{bar['open']:.5f}" for bar in expected[:2]]


@pytest.mark.parametrize(
    ("options", "count"),
    [((), 20), (("-n", "3"), 3), (("--to", "2025-06-02 12:00", "-n", "4"), 4), (("--from", "2100-01-01"), 0)],
)
def test_how_many_bars(ask: Run, options: tuple[str, ...], count: int) -> None:
    result = ask("rates", "EURUSD", *options, "--json")
    assert (result.code, len(result.json)) == (0, count)


def test_bars_up_to_a_time_end_there(ask: Run) -> None:
    rows = ask("rates", "EURUSD", "--to", "2025-06-02 12:30", "-n", "4", "--json").json
    assert rows[-1]["time"] == 1_748_865_600


def test_the_last_ticks(ask: Run) -> None:
    rows = ask("ticks", "EURUSD", "GBPUSD", "-n", "3", "--json").json
    assert [row["symbol"] for row in rows] == ["EURUSD"] * 3 + ["GBPUSD"] * 3
    times = [row["time_msc"] for row in rows[:3]]
    assert times == sorted(times)
    assert [row["symbol"] for row in ask("ticks", "USDJPY", "-n", "2", "--csv").csv] == ["USDJPY"] * 2
    assert len(ask("ticks", "USDJPY", "-n", "2").table) == 2


@pytest.mark.parametrize("form", ["--json", "--csv"])
def test_ticks_are_followed_up_to_a_count(ask: Run, form: str) -> None:
    result = ask("ticks", "EURUSD", "GBPUSD", "--follow", "-n", "2", form)
    assert result.code == 0
    assert len(result.out.splitlines()) == (2 if form == "--json" else 3)


def test_following_ends_after_its_time_also_when_nothing_comes(ask: Run) -> None:
    assert ask("ticks", "EURUSD", "--follow", "--seconds", "0").code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("rates", "NOPE"), 1, "`mt5crs symbols '*NOP*'`"),
        (("ticks", "NOPE"), 1, "there is no symbol 'NOPE'"),
        (("rates", "EURUSD", "--tf", "H7"), 2, "is no timeframe"),
        (("rates", "EURUSD", "--from", "2025-01-02", "--to", "2025-01-01"), 2, "later than"),
        (("ticks", "EURUSD", "--seconds", "1"), 2, "needs --follow"),
        (("ticks",), 2, "Missing argument"),
        (("orders", "--json", "--csv"), 2, "exclude each other"),
        (("symbols", "\udcff"), 2, "an argument cannot be sent"),
    ],
)
def test_mistakes_are_told_and_never_traced(
    ask: Run, arguments: tuple[str, ...], code: int, says: str
) -> None:
    result = ask(*arguments)
    assert (result.code, result.out) == (code, "")
    assert says in " ".join(result.err.replace("│", " ").split())
    assert "Traceback" not in result.err


@pytest.mark.parametrize(
    ("options", "says"),
    [(("--port", "abc"), "MT5_PORT"), (("--timeout", "0"), "MT5_TIMEOUT"), (("--keys", "/nope"), "/nope")],
)
def test_a_wrong_setting_exits_2(run: Run, options: tuple[str, ...], says: str) -> None:
    result = run("orders", *options)
    assert (result.code, result.out) == (2, "")
    assert says in result.err


def test_the_port_comes_from_the_environment(
    run: Run, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MT5_PORT", str(gateway.port))
    assert run("orders", "--json").json == []

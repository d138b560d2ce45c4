"""Books, bars, the account and trade events on the command line: once, and as they come."""

import json
from itertools import islice

import pytest

from mt5crs.model import TradeEvent
from tests.cli.commands import Run
from tests.processes import Gateway


@pytest.fixture
def ask(run: Run, gateway: Gateway) -> Run:
    return lambda *arguments: run(*arguments, "--port", str(gateway.port))


def test_bars_are_followed_from_a_time_on(ask: Run) -> None:
    whole = ask("rates", "EURUSD", "--tf", "M1", "-n", "30", "--json").json
    first = str(whole[0]["time"])
    result = ask("rates", "EURUSD", "--tf", "M1", "-f", "--from", first, "-n", "20", "--csv")
    assert result.code == 0
    assert [int(row["time"]) for row in result.csv] == [bar["time"] for bar in whole[:20]]


@pytest.mark.parametrize("form", ["--json", "--csv"])
def test_a_book_is_followed_book_by_book(ask: Run, form: str) -> None:
    now = ask("book", "EURUSD", form)
    result = ask("book", "EURUSD", "-f", "-n", "1", form)
    assert (now.code, result.code) == (0, 0)
    rows = [json.loads(line) for line in result.out.splitlines()] if form == "--json" else result.csv
    assert [int(row["level"]) for row in rows] == [*range(1, len(rows) + 1)]


def test_the_account_once_and_as_it_changes(ask: Run) -> None:
    now = ask("account", "--json").json
    followed = json.loads(ask("account", "-f", "-n", "1", "--json").out.splitlines()[0])
    assert list(now) == list(followed)
    assert now["login"] == followed["login"]
    assert ask("account").table[0][1] == now["currency"]


def test_trade_events_of_the_record_and_as_they_come(ask: Run, gateway: Gateway) -> None:
    with gateway.client() as client, client.trades() as stream:
        assert ask("buy", "EURUSD", "0.1").code == 0
        serials = [event.serial for event in islice(stream, 3) if isinstance(event, TradeEvent)]
        rows = ask("trades", "--json").json
        assert [row["serial"] for row in rows][:3] == serials
        assert rows[0]["details"]["symbol"] == "EURUSD"
        followed = ask("trades", "-f", "--after", "1", "-n", "2", "--csv").csv
        assert [int(row["serial"]) for row in followed] == serials[1:]
        mark = rows[0]["bookmark"]
        lines = ask("trades", "-f", "--after", mark, "-n", "2", "--json").out.splitlines()
        later = [json.loads(line) for line in lines]
        assert [row["serial"] for row in later] == serials[1:]
        assert [row["bookmark"] for row in later] == [row["bookmark"] for row in rows[1:3]]
        listed = ask("trades", "--after", mark, "-n", "2", "--json").json
        assert [row["serial"] for row in listed] == serials[1:]
        refused = ask("trades", "--after", "another:1")
        assert (refused.code, "another record" in refused.err) == (1, True)
        told = ask("trades", "-f", "--after", "another:2", "-n", "3", "--json")
        assert "another record" in told.err
        assert [json.loads(line).get("serial") for line in told.out.splitlines()] == [None, *serials]
        assert len(ask("trades", "-n", "1").table) == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("book", "EURUSD", "-n", "1"), "needs --follow"),
        (("account", "--seconds", "1"), "needs --follow"),
        (("trades", "--seconds", "1"), "needs --follow"),
        (("rates", "EURUSD", "--seconds", "1"), "needs --follow"),
        (("trades", "--after", "yesterday"), "neither a bookmark"),
        (("rates", "EURUSD", "--follow", "--to", "2025-01-01"), "exclude"),
        (("book", "NOPE"), "no symbol"),
    ],
)
def test_wrong_command_lines(ask: Run, arguments: tuple[str, ...], says: str) -> None:
    result = ask(*arguments)
    assert result.code in {1, 2}
    assert says in result.err


def test_health_has_a_row_for_streams(ask: Run) -> None:
    result = ask("health")
    assert result.code == 0
    assert ["what it publishes arrives", "yes"] in result.table
    assert ask("health", "--json").json["streams"] is True

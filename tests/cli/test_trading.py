"""buy, sell, close, positions and orders."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mt5crs import Client
from mt5crs import constants as c
from mt5crs.errors import GatewayFault, OutcomeUnknown
from mt5crs.retcodes import MEANINGS, meaning
from tests.cli.commands import Run
from tests.processes import Gateway


@pytest.fixture(autouse=True)
def _nothing_open(gateway: Gateway) -> Iterator[None]:
    yield
    with gateway.client() as client:
        for order in client.orders_get() or ():
            client.order_send({"action": c.TRADE_ACTION_REMOVE, "order": order.ticket})
        for held in client.positions_get() or ():
            client.order_send(
                action=c.TRADE_ACTION_DEAL,
                position=held.ticket,
                symbol=held.symbol,
                volume=held.volume,
                type=1 - held.type,
            )


def bid(gateway: Gateway, symbol: str = "EURUSD") -> float:
    with gateway.client() as client:
        tick = client.symbol_info_tick(symbol)
    assert tick is not None
    return tick.bid


def test_a_market_order_and_its_position(ask: Run, gateway: Gateway) -> None:
    sl, tp = f"{bid(gateway) - 0.01:.5f}", f"{bid(gateway) + 0.01:.5f}"
    options = ("--sl", sl, "--tp", tp, "--magic", "7", "--comment", "by hand")
    (bought,) = ask("buy", "EURUSD", "0.1", *options, "--json").json
    assert (bought["retcode"], bought["meaning"]) == (c.TRADE_RETCODE_DONE, "done")
    assert bought["request"]["type_filling"] == c.ORDER_FILLING_FOK, "the first that the symbol takes"
    (held,) = ask("positions", "--json").json
    assert (held["ticket"], held["volume"], held["magic"]) == (bought["order"], 0.1, 7)
    assert (held["sl"], held["tp"], held["comment"]) == (float(sl), float(tp), "by hand")
    (row,) = ask("positions", "--csv").csv
    assert (int(row["ticket"]), float(row["price_open"])) == (held["ticket"], held["price_open"])
    (shown,) = ask("positions").table
    assert shown[:7] == [str(held["ticket"]), "EURUSD", "buy", "0.10", f"{held['price_open']:.5f}", sl, tp]
    assert ask("positions", "--symbol", "GBPUSD", "--json").json == []


def test_selling_and_closing_in_parts(ask: Run) -> None:
    sold = ask("sell", "USDJPY", "0.3", "--csv").csv[0]
    assert sold["retcode"] == "10009"
    ticket = sold["order"]
    (part,) = ask("close", ticket, "--volume", "0.1", "--json").json
    assert (part["volume"], part["request"]["type"]) == (0.1, c.ORDER_TYPE_BUY)
    assert ask("positions", "--json").json[0]["volume"] == pytest.approx(0.2)
    too_much = ask("close", ticket, "--volume", "0.3")
    assert too_much.code == 2
    assert "to 0.2" in " ".join(too_much.err.split())
    (rest,) = ask("close", ticket).table
    assert rest[:4] == ["close", "USDJPY", "10009", "done"]
    assert ask("positions", "--json").json == []


@pytest.mark.parametrize(
    ("side", "kind", "away", "type_"),
    [
        ("buy", "limit", -0.01, c.ORDER_TYPE_BUY_LIMIT),
        ("buy", "stop", 0.01, c.ORDER_TYPE_BUY_STOP),
        ("sell", "limit", 0.01, c.ORDER_TYPE_SELL_LIMIT),
        ("sell", "stop", -0.01, c.ORDER_TYPE_SELL_STOP),
    ],
)
def test_a_pending_order_is_placed_and_cancelled(
    ask: Run, gateway: Gateway, side: str, kind: str, away: float, type_: int
) -> None:
    price = f"{bid(gateway) + away:.5f}"
    (placed,) = ask(side, "EURUSD", "0.1", f"--{kind}", "--price", price, "--json").json
    (order,) = ask("orders", "--json").json
    assert (order["ticket"], order["type"], order["price_open"]) == (placed["order"], type_, float(price))
    (row,) = ask("orders", "--csv").csv
    assert (int(row["ticket"]), row["symbol"]) == (placed["order"], "EURUSD")
    (shown,) = ask("orders").table
    assert shown[:5] == [str(placed["order"]), "EURUSD", f"{side} {kind}", "0.10", price]
    (cancelled,) = ask("close", str(placed["order"]), "--json").json
    assert (cancelled["action"], cancelled["retcode"]) == ("cancel", c.TRADE_RETCODE_DONE)
    assert ask("orders", "--json").json == []


def test_closing_a_symbol_and_closing_all(ask: Run) -> None:
    for symbol in ("EURUSD", "EURUSD", "GBPUSD"):
        assert ask("buy", symbol, "0.01").code == 0
    assert len(ask("close", "--symbol", "EURUSD", "--json").json) == 2
    assert [row["symbol"] for row in ask("positions", "--json").json] == ["GBPUSD"]
    assert len(ask("close", "--all", "--csv").csv) == 1
    nothing = ask("close", "--all")
    assert (nothing.code, nothing.out) == (0, "result: none\n")


def test_a_hidden_symbol_is_shown_first(ask: Run) -> None:
    assert ask("buy", "CHFJPY", "0.01").code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("buy", "EURUSD", "0.1", "--sl", "2"), 1, "10016, invalid stops hint: of a buy, SL is below"),
        (("buy", "EURUSD", "99"), 1, "10019, not enough money hint:"),
        (("buy", "EURUSD", "0.1", "--filling", "boc"), 1, "10030, the filling mode is not supported hint:"),
        (("sell", "EURUSD", "0.1", "--limit", "--price", "0.5"), 1, "10015, invalid price hint:"),
        (("close", "77"), 1, "there is no position or pending order 77 hint:"),
        (("buy", "NOPE", "1"), 1, "there is no symbol 'NOPE'"),
        (("close", "--symbol", "NOPE"), 1, "there is no symbol 'NOPE'"),
        (("buy", "EURUSD", "0.001"), 2, "from 0.01 to 100 in steps of 0.01"),
        (("buy", "EURUSD", "lots"), 2, "is no number above 0"),
        (("buy", "EURUSD", "0.1", "--tp", "1.234567"), 2, "too many digits"),
        (("buy", "EURUSD", "0.1", "--price", "1.1"), 2, "a pending order has --price"),
        (("buy", "EURUSD", "0.1", "--limit"), 2, "a pending order has --price"),
        (("buy", "EURUSD", "0.1", "--limit", "--stop", "--price", "1"), 2, "exclude each other"),
        (("buy", "EURUSD", "0.1", "--comment", "x" * 32), 2, "up to 29 characters"),
        (("buy", "EURUSD", "0.1", "--filling", "all"), 2, "--filling"),
        (("buy", "EURUSD", "0.1", "--magic", "9223372036854775808"), 2, "--magic"),
        (("close",), 2, "say what to close"),
        (("close", "7", "--all"), 2, "say what to close"),
        (("close", "--all", "--volume", "1"), 2, "--volume is for one TICKET"),
    ],
)
def test_refusals(ask: Run, arguments: tuple[str, ...], code: int, says: str) -> None:
    result = ask(*arguments)
    assert result.code == code
    assert says in " ".join(result.err.replace("│", " ").split())
    assert "Traceback" not in result.err
    assert ask("positions", "--json").json == ask("orders", "--json").json == []


def test_a_rejected_order_is_a_result_for_programs(ask: Run) -> None:
    result = ask("buy", "EURUSD", "99", "--json")
    assert (result.code, result.json[0]["retcode"]) == (1, c.TRADE_RETCODE_NO_MONEY)


@pytest.mark.parametrize(
    "failure", [OutcomeUnknown("the gateway did not answer", key="k-1"), GatewayFault("a defect")]
)
def test_an_unknown_outcome_exits_3_and_says_what_to_do(
    ask: Run, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    def order_send(*_args: Any, **_kwargs: Any) -> None:
        raise failure

    monkeypatch.setattr(Client, "order_send", order_send)
    result = ask("buy", "EURUSD", "0.1")
    assert (result.code, result.out) == (3, "")
    key = failure.key if isinstance(failure, OutcomeUnknown) else "[0-9a-f]{32}"
    assert re.search(f"mt5crs outcome {key}\n", result.err)


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("late:seconds=600", "IPC timeout (-10005)"),
        ("late:seconds=600,retcode=10012", "the server did not answer in time: 10012"),
    ],
)
def test_an_order_that_is_late_exits_3(run: Run, tmp_path: Path, fault: str, says: str) -> None:
    with Gateway(tmp_path, ["--fault", fault]) as late:
        result = run("buy", "EURUSD", "0.1", "--json", "--port", str(late.port))
    assert result.code == 3
    assert says in result.err
    assert "do not send it under another key" in result.err
    assert re.search("mt5crs outcome [0-9a-f]{32}\n", result.err)
    assert [row["retcode"] for row in json.loads(result.out or "[]")] == [10012] * ("10012" in fault)


def test_one_unknown_outcome_among_rejections_exits_3(run: Run, tmp_path: Path) -> None:
    faults = ("late:retcode=10012,seconds=600,skip=2", "reject:skip=2")
    with Gateway(tmp_path, [each for fault in faults for each in ("--fault", fault)]) as gateway:
        port = ("--port", str(gateway.port))
        for _ in range(2):
            assert run("buy", "EURUSD", "0.1", *port).code == 0
        result = run("close", "--all", "--csv", *port)
    assert sorted(row["retcode"] for row in result.csv) == ["10006", "10012"]
    assert result.code == 3
    assert "1 of 2 orders was sent" in result.err


@pytest.mark.parametrize(
    ("retcode", "says"),
    [
        (c.TRADE_RETCODE_REJECT, ("journal", "fill or kill", "--filling ioc")),
        (c.TRADE_RETCODE_INVALID_PRICE, ("below the market", "trade_stops_level", "trade_tick_size")),
        (c.TRADE_RETCODE_INVALID_STOPS, ("SL is below", "trade_stops_level", "trade_tick_size")),
        (c.TRADE_RETCODE_MARKET_CLOSED, ("trading hours", "replay may be over")),
    ],
)
def test_a_hint_names_every_usual_reason(retcode: int, says: tuple[str, ...]) -> None:
    """The reasons are those that docs/retcodes.md lists."""
    assert [word for word in says if word not in meaning(retcode).hint] == []


def test_every_return_code_has_a_meaning() -> None:
    codes = {value for name, value in vars(c).items() if name.startswith("TRADE_RETCODE_")}
    assert set(MEANINGS) == codes
    assert "not documented" in meaning(1).text


def test_the_same_key_again_is_the_same_order(ask: Run) -> None:
    first = ask("buy", "EURUSD", "0.1", "--key", "k-7", "--json")
    again = ask("buy", "EURUSD", "0.1", "--key", "k-7", "--json")
    assert (first.code, again.code) == (0, 0)
    assert first.json[0]["order"] == again.json[0]["order"]
    assert "was used before" in again.err
    other = ask("buy", "EURUSD", "0.2", "--key", "k-7")
    assert other.code == 1
    assert "belongs to another request" in other.err
    told = ask("outcome", "k-7", "--json").json
    assert (told["state"], told["result"]["order"]) == ("done", first.json[0]["order"])
    ask("close", str(first.json[0]["order"]))


def test_a_key_that_was_never_used_has_no_outcome(ask: Run) -> None:
    result = ask("outcome", "nobody's")
    assert result.code == 4
    assert "has no key" in result.err


def test_health_names_what_is_down(ask: Run, run: Run, tmp_path: Path) -> None:
    assert ask("health", "--json").json["trading"] is True
    with Gateway(tmp_path, ["--fault", "disconnect:seconds=0"]) as cut_off:
        result = run("health", "--json", "--port", str(cut_off.port))
    assert (result.code, result.json["gateway"], result.json["broker"]) == (1, True, False)
    assert "no connection to its trade server" in result.err
    gone = run("health", "--json", "--port", str(cut_off.port), "--timeout", "0.5")
    assert (gone.code, gone.json["gateway"], gone.json["terminal"]) == (1, False, None)


@pytest.mark.parametrize("key", ["", "x" * 65, "a\nb"])
def test_a_key_that_cannot_be_one_sends_nothing(ask: Run, key: str) -> None:
    before = ask("positions", "--json").json
    result = ask("buy", "EURUSD", "0.1", "--key", key)
    assert result.code == 2
    assert "64 characters" in result.err
    assert ask("positions", "--json").json == before


def test_a_position_is_closed_once_under_its_key(ask: Run) -> None:
    ticket = str(ask("buy", "EURUSD", "0.1", "--json").json[0]["order"])
    first = ask("close", ticket, "--key", "c-7", "--json")
    again = ask("close", ticket, "--key", "c-7", "--json")
    assert (first.code, again.code) == (0, 0)
    assert first.json[0]["deal"] == again.json[0]["deal"]


def test_an_order_in_doubt_is_not_sent_again_at_another_price(run: Run, tmp_path: Path) -> None:
    with Gateway(tmp_path, ["--fault", "wedge"]) as gateway:
        port = ("--port", str(gateway.port), "--timeout", "3")
        first = run("buy", "EURUSD", "0.1", "--key", "k", *port)
        again = run("buy", "EURUSD", "0.1", "--key", "k", *port)
        assert (first.code, again.code) == (3, 3)
        assert run("positions", "--json", *port).json == []

"""The conformance suite on the simulated terminal, through one gateway and two, and on wrong terminals."""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import mt5crs.MetaTrader5
from mt5crs.conformance.desk import Desk
from mt5crs.conformance.rule import SURE, Rule, Rules
from mt5crs.conformance.suite import RULES, NotDemo, Status, Verdict, conform, judge
from tests.cli.commands import MT5CRS, environment, process
from tests.processes import PATIENCE, Gateway

BY_ID = {rule.id: rule for rule in RULES}


class Terminal:
    """A module with the official functions, of which some are others."""

    def __init__(self, **others: Any) -> None:
        self.calls: list[str] = []
        self._others = others

    def __getattr__(self, name: str) -> Any:
        self.calls.append(name)
        return self._others.get(name) or getattr(mt5crs.MetaTrader5, name)


@pytest.fixture
def mt5(gateway: Gateway) -> Iterator[Any]:
    module: Any = mt5crs.MetaTrader5
    assert module.initialize(host="127.0.0.1", port=gateway.port)
    yield module
    module.shutdown()


@pytest.fixture
def chained(gateway: Gateway) -> Iterator[int]:
    """The port of a gateway in front of the gateway."""
    where = environment(MT5_HOST="127.0.0.1", MT5_PORT=str(gateway.port))
    with subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("chained.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=where,
        text=True,
    ) as running:
        assert running.stdout is not None
        assert running.stdin is not None
        yield int(running.stdout.readline())
        running.stdin.close()
        assert running.wait(PATIENCE) == 0


def open_things(mt5: Any) -> tuple[int, int]:
    return mt5.positions_total(), mt5.orders_total()


def test_rules_are_complete() -> None:
    assert len(RULES) >= 60
    assert max(Counter(rule.id for rule in RULES).values()) == 1
    for rule in RULES:
        assert rule.statement
        assert rule.sure
        assert set(rule.sure) <= set(SURE)


def conforms(port: int, file: Path) -> dict[str, str]:
    """Run the suite as a command; return the status of each rule."""
    where = ("--host", "127.0.0.1", "--port", str(port))
    done = process("conformance", *where, "--trade", "--json", str(file))
    assert done.code == 0, done.out + done.err
    rows = json.loads(file.read_text(encoding="utf-8"))
    assert {row["id"] for row in rows} - {"desk.tidy"} == set(BY_ID)
    assert f"{len(rows)} rules: " in done.out
    return {row["id"]: row["status"] for row in rows}


@pytest.mark.parametrize("through", ["one gateway", "two gateways"])
def test_the_simulated_terminal_conforms(
    through: str, gateway: Gateway, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    port = gateway.port if through == "one gateway" else request.getfixturevalue("chained")
    found = conforms(port, tmp_path / "result.json")
    netting = {name for name in found if name.startswith("netting.")}
    assert {found[name] for name in netting} == {"not applicable"}
    assert {found[name] for name in found.keys() - netting} <= {"same", "informative"}


@pytest.mark.parametrize("mode", ["netting", "exchange"])
def test_accounts_that_net_conform(mode: str, tmp_path: Path) -> None:
    with Gateway(tmp_path, ["--margin-mode", mode]) as gateway:
        found = conforms(gateway.port, tmp_path / "result.json")
    assert {status for name, status in found.items() if name.startswith("netting.")} == {"same"}
    hedging = {"trading.close_part", "trading.close_over", "trading.hedge", "trading.close_by"}
    assert {name for name, status in found.items() if status == "not applicable"} == {
        *hedging,
        "trading.reject_position",
    }


def test_without_leave_nothing_is_traded(mt5: Any) -> None:
    before = open_things(mt5), mt5.history_orders_total(0, 1 << 31)
    verdicts = conform(mt5)
    assert {verdict.status for verdict in verdicts} <= {Status.SAME, Status.INFORMATIVE}
    assert len(verdicts) == len([rule for rule in RULES if not rule.trades]) >= 60
    assert (open_things(mt5), mt5.history_orders_total(0, 1 << 31)) == before


# ---- wrong terminals ----


def deaf_to_direction(*args: Any) -> Any:
    bars = mt5crs.MetaTrader5.copy_rates_range(*args)
    return bars if bars is None else bars[::-1]


def lenient(*args: Any, **fields: Any) -> Any:
    request = {
        name: float(value) if name in ("sl", "tp") else value for name, value in (*args, fields)[0].items()
    }
    return mt5crs.MetaTrader5.order_check(request)


def none_for_nothing(**keywords: Any) -> Any:
    return mt5crs.MetaTrader5.positions_get(**keywords) or None


def without_the_first(*args: Any) -> Any:
    ticks = mt5crs.MetaTrader5.copy_ticks_from(*args)
    return ticks if ticks is None else ticks[len(ticks) // 2 :]


WRONG = [
    ("prices.ticks_second", {"copy_ticks_from": without_the_first}),
    ("prices.ascending", {"copy_rates_range": deaf_to_direction}),
    ("calls.int_sl", {"order_check": lenient}),
    ("calls.position_unknown", {"positions_get": none_for_nothing}),
]


@pytest.mark.parametrize(("rule", "others"), WRONG, ids=[row[0] for row in WRONG])
def test_a_wrong_terminal_differs(rule: str, others: dict[str, Any], mt5: Any) -> None:
    (right,) = conform(mt5, rules=[BY_ID[rule]])
    (wrong,) = conform(Terminal(**others), rules=[BY_ID[rule]])
    assert (right.status, wrong.status) == (Status.SAME, Status.DIFFERENT)
    assert wrong.observed


def newest_first(*args: Any) -> Any:
    ticks = mt5crs.MetaTrader5.copy_ticks_from(*args)
    return ticks if ticks is None else ticks[::-1]


def moving(*args: Any) -> Any:
    bars = mt5crs.MetaTrader5.copy_rates_from_pos(*args)
    assert bars is not None
    bars = bars.copy()
    bars["close"] += time.monotonic()
    return bars


@pytest.mark.parametrize(
    ("rule", "others"),
    [
        ("prices.ticks_added", {"copy_ticks_from": newest_first}),
        ("prices.closed", {"copy_rates_from_pos": moving}),
    ],
)
def test_what_streams_rely_on_is_seen_not_to_hold(rule: str, others: dict[str, Any], mt5: Any) -> None:
    (right,) = conform(mt5, rules=[BY_ID[rule]])
    (wrong,) = conform(Terminal(**others), rules=[BY_ID[rule]])
    assert (right.status, wrong.status) == (Status.SAME, Status.INFORMATIVE)


def test_what_is_only_presumed_is_no_difference(mt5: Any) -> None:
    rule = Rule("x.y", "z", "K", lambda _mt5, _desk: 1, 2)
    assert judge(mt5, Desk(mt5), rule).status is Status.INFORMATIVE


def test_a_terminal_that_raises_differs(mt5: Any) -> None:
    (verdict,) = conform(Terminal(version=lambda: 1 / 0), rules=[BY_ID["calls.version"]])
    assert (verdict.status, verdict.observed) == (Status.DIFFERENT, "ZeroDivisionError: division by zero")


# ---- whose account ----


@pytest.mark.parametrize("trade_mode", [1, 2])
def test_an_account_that_is_no_demo_account_is_refused(trade_mode: int, mt5: Any) -> None:
    terminal = Terminal(account_info=lambda: SimpleNamespace(login=7, trade_mode=trade_mode))
    with pytest.raises(NotDemo, match="account 7 is no demo account"):
        conform(terminal, trade=True)
    assert terminal.calls == ["account_info", "ACCOUNT_TRADE_MODE_DEMO"]


def test_an_account_that_cannot_be_seen_is_refused() -> None:
    with pytest.raises(NotDemo, match="cannot be seen"):
        conform(mt5crs.MetaTrader5, trade=True)


def test_the_command_refuses_with_the_next_step(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from mt5crs.cli.app import run

    real = SimpleNamespace(login=7, trade_mode=2)
    monkeypatch.setattr(mt5crs.MetaTrader5, "account_info", lambda: real)
    assert run(["conformance", "--host", "127.0.0.1", "--port", str(gateway.port), "--trade"]) == 2
    assert "no demo account" in capsys.readouterr().err


# ---- what is left behind ----

LEAVING = Rules("leaving", trades=True)


@LEAVING.rule("open", "Leaves a position and an order behind, then goes wrong", "D")
def _leaves(mt5: Any, desk: Desk) -> object:
    desk.open()
    desk.place(2, desk.price(0.9))
    raise RuntimeError("wrong")


@LEAVING.rule("interrupted", "Is interrupted", "D")
def _interrupted(mt5: Any, desk: Desk) -> object:
    desk.open()
    raise KeyboardInterrupt


def test_what_was_opened_is_closed_whatever_happens(mt5: Any) -> None:
    own = mt5.Buy("EURUSD", 0.03).order
    price = round(mt5.symbol_info_tick("GBPUSD").bid * 0.9, 5)
    order = mt5.order_send(action=5, symbol="GBPUSD", volume=0.01, type=2, price=price, type_filling=2).order
    told: list[Verdict] = []
    with pytest.raises(KeyboardInterrupt):
        conform(mt5, trade=True, rules=LEAVING, told=told.append)
    assert [verdict.status for verdict in told] == [Status.DIFFERENT]
    assert [position.ticket for position in mt5.positions_get()] == [own]  # what others opened stays
    assert [each.ticket for each in mt5.orders_get()] == [order]
    mt5.Close("EURUSD")
    mt5.order_send(action=8, order=order)


def test_it_trades_where_nothing_is_open_and_the_least(mt5: Any) -> None:
    assert Desk(mt5).name == "EURUSD"
    mt5.Buy("EURUSD", 0.03)
    desk = Desk(mt5)
    assert desk.name == "GBPUSD"
    assert desk.market(0)["volume"] == mt5.symbol_info("GBPUSD").volume_min
    mt5.Close("EURUSD")


# ---- the command ----


def test_no_gateway_and_no_package() -> None:
    alone = process("conformance", "--host", "127.0.0.1", "--port", "1", MT5_TIMEOUT="0.5")
    assert (alone.code, "no connection" in alone.err) == (1, True)
    both = process("conformance", "--official", "--host", "127.0.0.1")
    assert (both.code, "--official" in both.err) == (2, True)
    if os.name == "posix":
        missing = process("conformance", "--official")
        assert (missing.code, "for Windows only" in missing.err) == (1, True)


def test_differences_are_shown_and_exit_with_1(gateway: Gateway, tmp_path: Path) -> None:
    """A program that spoils one function, then runs the command as a user would."""
    file = tmp_path / "result.json"
    spoil = "import sys, mt5crs.MetaTrader5 as m; m.version = lambda: (1, 2, 3); import mt5crs.cli as c; "
    where = ["--host", "127.0.0.1", "--port", str(gateway.port), "--json", str(file)]
    done = subprocess.run(
        [MT5CRS[0], "-c", f"{spoil}sys.exit(c.main(['conformance', *sys.argv[1:]]))", *where],
        capture_output=True,
        text=True,
        env=environment(),
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "calls.version" in done.stdout
    rows = json.loads(file.read_text(encoding="utf-8"))
    assert [row["id"] for row in rows if row["status"] == "different"] == ["calls.reset", "calls.version"]

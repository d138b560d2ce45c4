"""`mt5crs doctor`: each way in which it may not work is found, with its next step."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from mt5crs import constants as c
from mt5crs.checks import Result, Status
from mt5crs.client.core import Health
from mt5crs.client.diagnosis import greeting
from mt5crs.doctor import checks, symptoms
from mt5crs.doctor.codes import ERRORS, explained
from mt5crs.doctor.symptoms import Attempt, Clocks, Door, Symptoms
from mt5crs.errors import ClockSkew, ConnectionTimeout, KeyRefused, SettingError, VersionMismatch
from mt5crs.model import AccountInfo, SymbolInfo, TerminalInfo
from mt5crs.security.keys import create_client, create_gateway
from mt5crs.security.policy import Role
from mt5crs.settings import Settings
from tests.cli.commands import Outcome, process
from tests.conftest import ROOT
from tests.processes import Gateway


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with Gateway(tmp_path_factory.mktemp("gateway")) as running:
        yield running


def _doctor(*arguments: str, **env: str) -> tuple[Outcome, dict[str, dict[str, Any]]]:
    done = process("doctor", "--json", *arguments, **env)
    return done, {each["check"]: each for each in json.loads(done.out)}


def _first_failure(found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    failure = next(each for each in found.values() if each["status"] == "fail")
    behind = list(found.values())[list(found).index(failure["check"]) + 1 :]
    assert all(each["status"] != "pass" for each in behind if each["check"].startswith("net."))
    return failure


def test_all_is_well(gateway: Gateway) -> None:
    done, found = _doctor("--port", str(gateway.port))
    assert done.code == 0
    assert {each["status"] for each in found.values()} == {"pass"}
    assert "5001001" in found["terminal.account"]["found"]
    assert "FOK or IOC" in found["trading.filling"]["found"]


def test_people_see_each_part_in_words(gateway: Gateway) -> None:
    done = process("doctor", "--port", str(gateway.port), "--symbol", "AAPL")
    assert done.code == 0
    assert "both clocks agree" in done.out
    assert "AAPL" in done.out


def test_a_setting_that_cannot_be_used() -> None:
    done, found = _doctor("--port", "seven")
    assert done.code == 1
    failure = _first_failure(found)
    assert failure["check"] == "here.settings"
    assert "MT5_PORT" in failure["found"]


def test_a_name_without_an_address() -> None:
    _, found = _doctor("--host", "gtw.invalid")
    assert _first_failure(found)["check"] == "net.name"


def test_a_port_where_nothing_listens() -> None:
    with socket.socket() as taken:  # bound, and not listening
        taken.bind(("127.0.0.1", 0))
        done, found = _doctor("--port", str(taken.getsockname()[1]))
        shown = process("doctor", "--port", str(taken.getsockname()[1])).out
    failure = _first_failure(found)
    assert failure["check"] == "net.port"
    assert "closed" in failure["found"]
    assert "mt5crs gateway" in failure["remedy"]
    assert failure["remedy"] in done.err  # the next step is what a person reads last
    left = [each for each in found.values() if each["status"] == "off"]
    (row,) = [line.rstrip() for line in shown.splitlines() if f" {len(left)} more " in line]
    assert len(row) < 100, "it does not name them all, which would widen every row"


def test_a_port_that_is_filtered_says_the_very_rule_that_opens_it() -> None:
    with ExitStack() as stack:
        full = stack.enter_context(socket.socket())  # its queue is full: the kernel drops who comes
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        place = full.getsockname()
        for _ in range(2):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(place)
        _, found = _doctor("--port", str(place[1]))
    failure = _first_failure(found)
    assert failure["check"] == "net.port"
    assert "filtered" in failure["found"]
    assert (
        f"-Direction Inbound -Action Allow -Protocol TCP -LocalPort {place[1]} -RemoteAddress 127.0.0.1"
        in failure["remedy"]
    )


def test_another_program_has_the_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:

        def answer() -> None:
            for _ in range(2):  # whoever knocks, and who listens for a greeting
                with other.accept()[0] as connection:
                    connection.recv(100)
                    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        _, found = _doctor("--port", str(other.getsockname()[1]))
        thread.join()
    failure = _first_failure(found)
    assert failure["check"] == "net.peer"
    assert "does not greet as ZeroMQ does" in failure["found"]
    assert "another program has that port" in failure["remedy"]


def test_a_gateway_that_hangs_is_no_other_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(symptoms, "GREETING_PATIENCE", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        seen = symptoms.look({"host": "127.0.0.1", "port": silent.getsockname()[1]})
    (result,) = checks.registry.run(seen, only=["net.peer"])
    assert result.status is Status.FAIL
    assert "accepts connections and says nothing" in result.found
    assert "another program" not in result.remedy


def test_a_greeting_that_drips_ends_in_time() -> None:
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as slow:

        def drip() -> None:
            with slow.accept()[0] as connection:
                while not ended.wait(0.02):  # never silent for as long as the patience is
                    with suppress(OSError):
                        connection.sendall(b"\xff")

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        said = greeting("127.0.0.1", slow.getsockname()[1], 0.3)
        ended.set()
        thread.join()
    assert 0 < len(said) < 64


def test_a_question_that_nobody_answered_is_no_lack_of_symbols(tmp_path: Path) -> None:
    with Gateway(tmp_path, ("--fault", "wedge:operation=symbols_get")) as running:
        done, found = _doctor("--port", str(running.port), MT5_TIMEOUT="0.5")
    assert done.code == 1
    assert found["trading.filling"]["status"] == "fail"


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gateway, Path]]:
    folder = tmp_path_factory.mktemp("keyed")
    create_gateway(folder / "keys")
    create_client(folder / "keys", "inf", Role.TRADER, folder / "inf.key")
    create_gateway(folder / "other")
    create_client(folder / "other", "inf", Role.TRADER, folder / "other.key")
    with Gateway(folder, ("--keys", str(folder / "keys"))) as running:
        yield running, folder


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("other.key", "is not the gateway that the key file of inf is for"),
        ("missing.key", "missing.key"),
    ],
)
def test_a_key_that_is_not_the_right_one(keyed: tuple[Gateway, Path], key: str, says: str) -> None:
    running, folder = keyed
    _, found = _doctor("--port", str(running.port), "--keys", str(folder / key))
    failure = _first_failure(found)
    assert failure["check"] == "gateway.welcome"
    assert says in failure["found"]
    assert failure["remedy"]


def test_the_gateways_own_machine_needs_no_key(keyed: tuple[Gateway, Path]) -> None:
    running, _ = keyed
    done, found = _doctor("--port", str(running.port))
    assert done.code == 0
    assert "with keys" in found["net.peer"]["found"]
    assert found["gateway.welcome"]["status"] == "off"
    assert "mt5crs keys new NAME" in found["gateway.welcome"]["found"]
    left = [each for each in found.values() if each["status"] == "off"]
    done = process("doctor", "--port", str(running.port))
    assert done.code == 0
    assert "the gateway has keys and this node" in done.out
    assert f"what was looked at holds; {len(left)} of {len(found)} were not looked at" in done.out


def test_anywhere_else_a_client_without_a_key_is_not_let_in() -> None:
    refused = KeyRefused("10.0.0.5:5555 wants keys", hint="name this client's key file in MT5_KEYS")
    here = Attempt("10.0.0.5", 5555, Door.OPEN, 0.0, "10.0.0.5")
    result = _result("gateway.welcome", welcome=refused, command=here._replace(own="10.0.0.9"))
    assert (result.status, result.found) == (Status.FAIL, "10.0.0.5:5555 wants keys")
    assert _result("gateway.welcome", welcome=refused, command=here).status is Status.OFF
    keyed = Settings.read({"keys": "inf.key"}, environ={}, dotenv=Path("/dev/null"))
    assert _result("gateway.welcome", welcome=refused, command=here, settings=keyed).status is Status.FAIL


def test_the_right_key(keyed: tuple[Gateway, Path]) -> None:
    running, folder = keyed
    done, found = _doctor("--port", str(running.port), "--keys", str(folder / "inf.key"))
    assert done.code == 0
    assert "with keys" in found["net.peer"]["found"]


@pytest.mark.parametrize(
    ("options", "check", "says"),
    [
        (("--set", "terminal_trade_allowed=false"), "trading.terminal", "10027"),
        (("--set", "account_trade_allowed=false"), "trading.account", "10017"),
        (("--fault", "disconnect:seconds=600"), "terminal.broker", "no connection"),
    ],
)
def test_a_terminal_that_cannot_trade(
    tmp_path: Path, options: tuple[str, ...], check: str, says: str
) -> None:
    with Gateway(tmp_path, options) as running:
        done, found = _doctor("--port", str(running.port))
    assert done.code == 1
    assert found[check]["status"] == "fail"
    assert says in found[check]["found"]
    assert found[check]["remedy"]


# ---- what cannot be had here: made-up symptoms ------------------------------------------------------


def _result(check: str, **seen: Any) -> Result:
    settings = seen.pop("settings", Settings.read({}, environ={}, dotenv=Path("/dev/null")))
    (result,) = checks.registry.run(
        Symptoms("3.11.7", seen.pop("pyzmq", "27.1.0"), settings, **seen), only=[check]
    )
    return result


@pytest.mark.parametrize("code", [-10003, -10004, -10005, -6])
def test_errors_of_the_terminal_are_explained(code: int) -> None:
    result = _result("terminal.answers", terminal=(code, "as the terminal says it"))
    assert result.status is Status.FAIL
    assert str(code) in result.found
    assert result.remedy == ERRORS[code][1]


@pytest.mark.parametrize(
    ("ahead", "status"), [(0.4, Status.PASS), (-12.0, Status.WARN), (31.0, Status.FAIL), (-40.0, Status.FAIL)]
)
def test_clocks(ahead: float, status: Status) -> None:
    assert _result("gateway.clock", clocks=Clocks(ahead, 0.01)).status is status


def test_a_clock_cannot_be_blamed_for_a_slow_way() -> None:
    assert _result("gateway.clock", clocks=Clocks(31.0, 30.0)).status is Status.PASS


def test_another_protocol() -> None:
    result = _result(
        "gateway.welcome", welcome=VersionMismatch("the peer speaks 9", hint="upgrade this side")
    )
    assert result.status is Status.FAIL
    assert "upgrade this side" in result.remedy
    assert "mt5crs fleet sync" in result.remedy


_MISSING = (c.RES_E_INTERNAL_FAIL_CONNECT, "No IPC connection")
FAILING: dict[str, dict[str, Any]] = {
    "here.packages": {"pyzmq": "23.2.1"},
    "here.settings": {"settings": SettingError("MT5_PORT is 'x'")},
    "net.name": {"names": "Name or service not known"},
    "net.port": {"command": Attempt("192.0.2.1", 5555, Door.NO_ROUTE, 0.0, "")},
    "net.peer": {"greeting": ""},
    "gateway.welcome": {"welcome": ConnectionTimeout("no answer")},
    "gateway.answers": {"ping": ConnectionTimeout("no answer")},
    "gateway.clock": {"ping": ClockSkew("signed 40 s before")},
    "gateway.streams": {"stream": Attempt("192.0.2.1", 5556, Door.SILENT, 3.0, "192.0.2.9")},
    "terminal.answers": {"terminal": _MISSING},
    "terminal.broker": {"terminal": TerminalInfo([False] * 22)},
    "terminal.account": {"account": _MISSING},
    "trading.gateway": {"health": Health(True, True, True, True, True, False, 0.1, "the kill switch is on")},
    "trading.terminal": {"terminal": TerminalInfo([False] * 22)},
    "trading.account": {"account": AccountInfo([False] * 28)},
    "trading.filling": {"symbol": (c.RES_E_NOT_FOUND, "Terminal: Not found")},
}


def test_every_check_can_fail_and_says_what_to_do() -> None:
    assert list(FAILING) == [check.id for check in checks.registry]
    for check, seen in FAILING.items():
        result = _result(check, **seen)
        assert result.status is Status.FAIL, check
        assert result.remedy, check
        assert result.reason, check


def test_what_stops_behind_the_ping_is_a_failure() -> None:
    gone = Health(False, None, None, None, None, None, None, "no answer in 10 s")
    assert _result("trading.gateway", health=gone).status is Status.FAIL
    mute = Health(True, False, True, True, True, True, 0.1, "")
    stream = Attempt("192.0.2.1", 5556, Door.OPEN, 0.1, "")
    assert _result("gateway.streams", stream=stream, health=mute).status is Status.FAIL
    assert _result("gateway.streams", stream=stream, health=mute._replace(streams=True)).status is Status.PASS


def test_what_lies_behind_a_failure_is_not_judged() -> None:
    results = checks.registry.run(Symptoms("3.11.7", "27.1.0", SettingError("MT5_PORT is 'x'")))
    assert [each.status for each in results[2:]] == [Status.OFF] * (len(results) - 2)


@pytest.mark.parametrize(
    ("exemode", "mask", "says"),
    [
        (c.SYMBOL_TRADE_EXECUTION_MARKET, 3, "FOK or IOC"),
        (c.SYMBOL_TRADE_EXECUTION_MARKET, 2, "IOC"),
        (c.SYMBOL_TRADE_EXECUTION_EXCHANGE, 1, "FOK or RETURN"),
        (c.SYMBOL_TRADE_EXECUTION_INSTANT, 0, "any"),
    ],
)
def test_fillings_by_execution(gateway: Gateway, exemode: int, mask: int, says: str) -> None:
    with gateway.client() as client:
        real = client.symbol_info("EURUSD")
    assert real is not None
    fields = {**real._asdict(), "trade_exemode": exemode, "filling_mode": mask}
    result = _result("trading.filling", symbol=SymbolInfo(list(fields.values())))
    assert f"type_filling {says}" in result.found


# ---- numbers ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["-10003", "-10004", "-10005", "10027", "10030"])
def test_a_number_is_explained(code: str) -> None:
    done = process("doctor", code)
    assert done.code == 0
    meaning = explained(int(code))
    assert meaning is not None
    assert meaning.name in done.out
    assert meaning.next in done.out


def test_every_code_of_the_official_package_is_explained() -> None:
    for name, value in vars(c).items():
        if name.startswith(("RES_", "TRADE_RETCODE_")):
            meaning = explained(value)
            assert meaning is not None, name
            assert meaning.name, name


@pytest.mark.parametrize(("text", "says"), [("77", "has no code 77"), ("seven", "is no number")])
def test_what_is_no_code(text: str, says: str) -> None:
    done = process("doctor", text)
    assert done.code == 2
    assert says in done.err


def test_the_page_has_every_check() -> None:
    page = (ROOT / "docs" / "doctor.md").read_text()
    rows = [f"| `{check.id}` | {check.title} | {check.reason} |" for check in checks.registry]
    assert [line for line in page.splitlines() if line.startswith("| `")] == rows

"""Connecting, failing to, and the one state that threads share and processes do not."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from mt5crs import Client, OutcomeUnknown
from tests.processes import Gateway

SUCCESS = (1, "Success")
NO_CONNECTION = (-10004, "No IPC connection")
REFUSED = (-6, "Terminal: Authorization failed")
ACCOUNT: dict[str, Any] = {"login": 5_001_001, "password": "simulated", "server": "MT5CRS-Simulated"}


def test_last_error_begins_as_success() -> None:
    code = "import mt5crs.MetaTrader5 as mt5; print(mt5.last_error())"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout == f"{SUCCESS}\n"


def test_each_call_resets_the_error_and_asking_does_not(mt5: Any) -> None:
    mt5.symbol_info(5)
    assert mt5.last_error() == mt5.last_error() == (-2, "Invalid arguments")
    mt5.version()
    assert mt5.last_error() == SUCCESS
    mt5.symbol_info(5)
    with pytest.raises(TypeError):
        mt5.symbols_total(1)
    assert mt5.last_error()[0] in (1, -2)  # which one, after a call that raised, is not known


def test_shutdown_ends_and_initialize_begins_again(mt5: Any) -> None:
    for _ in range(2):
        assert mt5.shutdown() is True
        assert mt5.last_error() == SUCCESS
        assert mt5.account_info() is None
        assert mt5.last_error() == NO_CONNECTION
    assert mt5.initialize() is True
    assert mt5.last_error() == SUCCESS
    assert mt5.account_info() is not None


def test_a_second_initialize_reconnects(mt5: Any) -> None:
    for _ in range(3):
        assert mt5.initialize() is True
    assert mt5.symbols_total() > 0


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ((), {}),
        (("C:\\Program Files\\MetaTrader 5\\terminal64.exe",), {}),
        ((), {"path": "terminal64.exe", "portable": True, "timeout": 10_000}),
        ((), {"timeout": 0, "portable": 0}),
        ((), ACCOUNT),
        (("terminal64.exe",), {**ACCOUNT, "timeout": 60_000}),
        ((), {"unheard_of": 1}),
    ],
)
def test_what_initialize_accepts(args: tuple[Any, ...], kwargs: dict[str, Any], mt5: Any) -> None:
    assert mt5.initialize(*args, **kwargs) is True
    assert mt5.last_error() == SUCCESS


@pytest.mark.parametrize("field", ACCOUNT)
def test_wrong_credentials_disconnect(field: str, mt5: Any) -> None:
    wrong = {**ACCOUNT, field: 1 if field == "login" else "wrong"}
    assert mt5.initialize(**wrong) is False
    assert mt5.last_error() == REFUSED
    assert mt5.account_info() is None
    assert mt5.last_error() == NO_CONNECTION


def test_wrong_arguments_leave_the_connection_alone(mt5: Any) -> None:
    """So the arguments of `initialize` are checked before anything is closed."""
    assert mt5.initialize(login="5001001") is False
    assert mt5.account_info() is not None


def test_login(mt5: Any) -> None:
    login, password, server = ACCOUNT.values()
    assert mt5.login(login) is True
    assert mt5.login(login, password, server) is True  # this order, whatever its documentation lists
    assert mt5.login(login, server=server, password=password, timeout=1000) is True
    assert mt5.login(login, server, password) is False
    assert mt5.last_error() == REFUSED
    assert mt5.login(login + 1) is False
    assert mt5.last_error() == REFUSED


def test_without_a_gateway(unconnected: Any, free_port: int) -> None:
    assert unconnected.initialize(host="127.0.0.1", port=free_port) is False
    code, text = unconnected.last_error()
    assert code == -10003
    assert text.startswith("IPC initialize failed, ")
    assert unconnected.symbols_total() is None
    assert unconnected.last_error() == NO_CONNECTION


def test_an_order_without_the_terminals_answer_is_none(unconnected: Any, tmp_path: Path) -> None:
    with Gateway(tmp_path, ["--fault", "late:seconds=600"]) as gateway:
        assert unconnected.initialize(host="127.0.0.1", port=gateway.port)
        buy = {"action": 1, "symbol": "EURUSD", "volume": 0.1, "type": 0, "type_filling": 1}
        assert unconnected.order_send(buy) is None
        assert unconnected.last_error() == (-10005, "IPC timeout")
        unconnected.shutdown()


@pytest.mark.parametrize("code", [-10000, -10001, -10002, -10005])
def test_an_unknown_outcome_has_the_terminals_own_error(
    mt5: Any, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def order_send(*_: object) -> None:
        raise OutcomeUnknown("no answer", last_error=(code, "the terminal's words"))

    monkeypatch.setattr(Client, "call", order_send)
    assert mt5.order_send(action=1) is None
    assert mt5.last_error() == (code, "the terminal's words")


def test_a_setting_that_cannot_be_used_is_no_exception(unconnected: Any) -> None:
    assert unconnected.initialize(host="http://x/", port=0) is False
    assert unconnected.last_error()[0] == -10003


def test_where_the_gateway_is_can_be_an_argument(gateway: Gateway, unconnected: Any) -> None:
    assert unconnected.initialize(host="127.0.0.1", port=gateway.port) is True
    assert unconnected.symbols_total() > 0


def test_threads_share_connection_and_error(mt5: Any) -> None:
    """As in the official package, whose error belongs to the process."""
    errors: list[Any] = []

    def other() -> None:
        errors.append(mt5.last_error())
        mt5.symbol_info("NOPE")

    mt5.symbol_info(5)
    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert errors == [(-2, "Invalid arguments")]
    assert mt5.last_error() == (-4, "Terminal: Not found")


def test_threads_do_not_disturb_each_other(mt5: Any) -> None:
    names = [info.name for info in mt5.symbols_get()]
    wrong: list[str] = []

    def look(start: int) -> None:
        for turn in range(50):
            name = names[(start + turn) % len(names)]
            info = mt5.symbol_info(name)
            if info is None or info.name != name:
                wrong.append(name)

    threads = [threading.Thread(target=look, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


PROGRAM = """
import json, multiprocessing, os, subprocess, sys
import MetaTrader5 as mt5

def child(begin):
    if begin:
        assert mt5.initialize()
    return os.getpid(), mt5.symbol_info("EURUSD").name, mt5.__version__

if __name__ == "__main__":
    assert mt5.initialize()
    found = [child(False)]
    mt5.symbol_info(5)
    for method in sys.argv[1:]:
        with multiprocessing.get_context(method).Pool(1) as pool:
            found.append(pool.apply(child, (method != "fork",)))
    code = "import MetaTrader5 as m; m.initialize(); print(m.symbol_info('EURUSD').name, m.__version__)"
    found.append((0, *subprocess.check_output([sys.executable, "-c", code], text=True).split()))
    assert mt5.last_error() == (-2, "Invalid arguments"), mt5.last_error()
    assert child(False) == tuple(found[0])
    print(json.dumps(found))
"""
METHODS = ("fork", "spawn") if os.name == "posix" else ("spawn",)


@pytest.mark.parametrize("simulated", [False, True])
def test_children_of_every_kind(simulated: bool, gateway: Gateway, tmp_path: Path) -> None:
    script = tmp_path / "program.py"
    script.write_text(PROGRAM, encoding="utf-8")
    where = ["--simulated"] if simulated else ["--host", "127.0.0.1", "--port", str(gateway.port)]
    done = subprocess.run(
        [sys.executable, "-m", "mt5crs", "run", *where, str(script), *METHODS],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [row[1:] for row in found] == [["EURUSD", "5.0.6231"]] * (len(METHODS) + 2)
    assert len({row[0] for row in found}) == len(found)

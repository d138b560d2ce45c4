"""What only a process of its own shows: signals, pipes, encodings, completion, start and stop."""

import json
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from mt5crs import Client
from mt5crs.cli import main
from tests.cli.commands import MT5CRS, PATIENCE, Outcome, Run, environment, process, start
from tests.processes import Gateway


def finish(command: "subprocess.Popen[str]") -> Outcome:
    out, err = command.communicate(timeout=PATIENCE)
    return Outcome(command.returncode, out, err)


def line(command: "subprocess.Popen[str]") -> str:
    assert command.stdout is not None
    return command.stdout.readline()


# ---- the gateway ----


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_gateway_says_where_it_listens_and_stops_on_a_signal(
    tmp_path: Path, number: signal.Signals
) -> None:
    ready_file = tmp_path / "ready.json"
    options = ("--port", "0", "--stream-port", "0", "--ready-file", str(ready_file))
    with start("gateway", *options) as gateway:
        said, account, journal, keys = (line(gateway) for _ in range(4))
        gateway.send_signal(number)  # at once: also a signal before the loop has begun stops it well
        err = gateway.communicate(timeout=PATIENCE)[1]
    assert said.startswith("listening on tcp://127.0.0.1:")
    assert "streams on " in said
    assert (
        "account 5001001 on MT5CRS-Simulated, hedging, 1:100, balance 10000.00 USD, password simulated"
        in account
    )
    assert "journal in memory" in journal
    assert "keys off" in keys
    assert (gateway.returncode, err) == (0, "")
    assert not ready_file.exists()


def test_a_gateway_says_what_it_replays(tmp_path: Path) -> None:
    file = tmp_path / "eurusd.csv"
    rows = [f"{1_763_985_600 + 60 * n},1.1,1.2,1.0,1.1,5,1" for n in range(10)]
    file.write_text("\n".join(["time,open,high,low,close,tick_volume,spread", *rows, ""]))
    options = ("--port", "0", "--stream-port", "0", "--replay", str(file), "--set", "start=2025-11-24T12:05")
    with start("gateway", *options, "--fault", "crash:operation=account_info") as gateway:
        assert line(gateway).startswith("listening")
        assert "account 5001001" in line(gateway)  # faults befall clients' calls alone
        said = line(gateway)
        gateway.send_signal(signal.SIGINT)
        gateway.communicate(timeout=PATIENCE)
    assert "a replay of EURUSD (10 minutes, 2025-11-24 to 2025-11-24), from 2025-11-24 12:05 on" in said


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("leverag=5", "there is no setting 'leverag'"),
        ("leverage", "no value"),
        ("leverage=x", "Expected `int`"),
        ("start=noon", "no time"),
        ("margin_mode=both", "must be one of hedging, netting, exchange"),
    ],
)
def test_a_setting_that_is_wrong_is_said(value: str, said: str) -> None:
    result = process("gateway", "--port", "0", "--stream-port", "0", "--set", value)
    assert (result.code, "Traceback" in result.err) == (2, False)
    assert said in result.err


def test_a_gateway_can_stop_with_its_standard_input() -> None:
    options = ("--port", "0", "--stream-port", "0", "--stop-with-stdin")
    with start("gateway", *options, stdin=subprocess.PIPE) as gateway:
        assert line(gateway).startswith("listening")
        assert finish(gateway).code == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_one_that_waits_for_its_standard_input(number: signal.Signals) -> None:
    options = ("--port", "0", "--stream-port", "0", "--stop-with-stdin")
    with start("gateway", *options, stdin=subprocess.PIPE) as gateway:
        assert line(gateway).startswith("listening")
        gateway.send_signal(number)
        assert gateway.wait(PATIENCE) == 0
        assert gateway.stderr is not None
        assert gateway.stderr.read() == ""


def test_a_hangup_that_is_ignored_stays_so() -> None:
    options = ("gateway", "--port", "0", "--stream-port", "0")
    with start(*options, preexec_fn=partial(signal.signal, signal.SIGHUP, signal.SIG_IGN)) as gateway:
        assert line(gateway).startswith("listening")
        gateway.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            gateway.wait(0.5)
        gateway.send_signal(signal.SIGTERM)
        assert finish(gateway).code == 0


def test_a_gateway_open_to_others_warns_each_time() -> None:
    options = ("--host", "0.0.0.0", "--insecure", "--port", "0", "--stream-port", "0", "--stop-with-stdin")
    with start("gateway", *options, stdin=subprocess.DEVNULL) as gateway:
        result = finish(gateway)
    assert result.code == 0
    assert "warning: 0.0.0.0:" in result.err
    assert "without keys" in result.err


def test_settings_of_a_gateway_come_from_the_environment(fresh_gateway: Gateway) -> None:
    result = process("gateway", MT5_PORT=str(fresh_gateway.port), MT5_STREAM_PORT="0")
    assert result.code == 2
    assert f"port {fresh_gateway.port}" in result.err
    assert "another gateway" in result.err


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("--host", "0.0.0.0"), 2, "mt5crs keys init"),
        (("--port", "x"), 2, "MT5_PORT"),
        (("--instruments", "/nope.json", "--instruments", "/more.toml"), 2, "/nope.json is not there"),
        (("--replay", "/nope.csv"), 2, "/nope.csv is not there"),
        (("--replay", "."), 2, "is a folder without Parquet files"),
        (("--symbol", "X"), 2, "--replay file"),
        (("--speed", "0"), 2, "speed is 0.0"),
        (("--path", "x"), 2, "not for the simulated terminal"),
        (("--terminal", "official", "--seed", "1"), 2, "not for the official terminal"),
        (("--terminal", "official"), 1, "MetaTrader5"),
        (("--keys", "nokeys"), 2, "gateway.json"),
        (("--ready-file", "no/such/folder/ready"), 2, "ready file"),
    ],
)
def test_a_gateway_that_cannot_start_says_why(
    run: Run, arguments: tuple[str, ...], code: int, says: str
) -> None:
    before = signal.getsignal(signal.SIGINT)
    result = run("gateway", "--port", "0", "--stream-port", "0", *arguments)
    assert result.code == code
    assert signal.getsignal(signal.SIGINT) is before  # a failure is told by a process that still hears
    assert says in " ".join(result.err.replace("│", " ").split())
    assert "Traceback" not in result.err


def test_a_password_without_a_login_is_refused(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MT5_PASSWORD", "x")
    result = run("gateway", "--terminal", "official", "--port", "0", "--stream-port", "0")
    assert (result.code, "MT5_LOGIN" in result.err) == (2, True)


# ---- keys ----


def test_keys_from_the_first_to_the_last_command(run: Run, tmp_path: Path) -> None:
    folder, file = str(tmp_path / "keys"), str(tmp_path / "ann.key")
    made = run("keys", "init", "--keys", folder)
    assert made.code == 0
    assert run("keys", "new", "ann", "--role", "observer", "--keys", folder, "--out", file).code == 0
    secrets = [json.loads(Path(path).read_text())["secret"] for path in (file, f"{folder}/gateway.json")]
    (client,) = run("keys", "list", "--keys", folder, "--json").json
    assert (client["name"], client["role"]) == ("ann", "observer")
    assert run("keys", "list", "--keys", folder, "--csv").csv == [client]
    assert run("keys", "list", "--keys", folder).table[0][:2] == ["ann", "observer"]
    with Gateway(tmp_path, ["--keys", folder]) as gateway:
        where = ("--port", str(gateway.port), "--timeout", "5")
        allowed = run("info", *where, "--keys", file, "--json")
        denied = run("buy", "EURUSD", "0.1", *where, "--keys", file)
        stranger = run("ping", "--port", str(gateway.port), "--timeout", "0.3")
        log = gateway.log.read_text()
    assert allowed.code == 0
    assert (denied.code, "observer" in denied.err) == (1, True)
    assert stranger.code == 1
    assert "keys on" in log
    assert not any(secret in text for secret in secrets for text in (made.out, log, allowed.out))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("keys", "list", "--keys", "nowhere"), "nowhere"),
        (("keys", "new", "ann", "--keys", "nowhere"), "keys init"),
        (("keys", "init", "--keys", ".env"), ".env"),
        (("keys", "new", "a b"), "cannot name a client"),
        (("keys", "new", "ann", "--role", "king"), "observer"),
    ],
)
def test_wrong_keys_commands(run: Run, arguments: tuple[str, ...], says: str) -> None:
    result = run(*arguments)
    assert result.code == 2
    assert says in result.err


def test_keys_are_never_overwritten(run: Run) -> None:
    assert run("keys", "init").code == 0
    assert run("keys", "init").code == 2


# ---- output and ends ----


def test_ctrl_c_ends_following_with_130(gateway: Gateway) -> None:
    with start("ticks", "EURUSD", "--follow", "--csv", "--port", str(gateway.port)) as follow:
        assert line(follow).startswith("symbol,time")
        line(follow)
        follow.send_signal(signal.SIGINT)
        result = finish(follow)
    assert (result.code, result.err) == (130, "")


def test_a_reader_that_goes_away_is_no_error(gateway: Gateway) -> None:
    follow = ("ticks", "EURUSD", "GBPUSD", "--follow", "--json", "--port", str(gateway.port))
    with start(*follow) as command:
        line(command)
        assert command.stdout is not None
        assert command.stderr is not None
        command.stdout.close()
        err = command.stderr.read()
    assert err == ""


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp437"])
def test_legacy_encodings(gateway: Gateway, encoding: str) -> None:
    port = str(gateway.port)
    result = process("symbols", "EUR*", "--port", port, PYTHONIOENCODING=encoding)
    assert (result.code, result.err) == (0, "")
    assert result.table[0][0] == "EURUSD"
    assert result.out.isascii()


def test_help_in_ascii_with_its_exit_codes() -> None:
    result = process("--help", PYTHONIOENCODING="ascii")
    assert result.code == 0
    text = " ".join(result.out.split())
    for words in (
        "0 done",
        "1 no, or it failed",
        "2 a wrong command line",
        "3 a trade was sent",
        "130 interrupted",
    ):
        assert words in text


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell: str) -> None:
    result = process("--show-completion", shell, _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert result.code == 0
    assert "_MT5CRS_COMPLETE" in result.out


@pytest.mark.parametrize(
    ("words", "expected"),
    [("mt5crs po", "positions"), ("mt5crs rates EURUSD --tf H", "H12"), ("mt5crs keys n", "new")],
)
def test_completion_completes(words: str, expected: str) -> None:
    place = str(len(words.split()) - 1)
    result = process(_MT5CRS_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=place)
    assert expected in result.out.split()


def test_the_version_and_an_unknown_command(run: Run) -> None:
    assert run("--version").out.startswith("mt5crs 0.")
    assert run("frobnicate").code == 2


def test_without_the_extra_one_line_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("mt5crs.cli.find_spec", lambda _name: None)
    assert main(["ping"]) == 2
    err = capsys.readouterr().err
    assert "pip install 'mt5crs[cli]'" in err
    assert err.count("\n") == 1


def test_help_loads_neither_sockets_nor_arrays() -> None:
    code = (
        "import sys\nfrom mt5crs.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "sys.stderr.write(' '.join(sorted({'zmq', 'numpy', 'asyncio'} & sys.modules.keys())))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=environment(),
        timeout=PATIENCE,
    )
    assert done.stderr == ""


def test_what_there_is_to_know_of_a_stream_is_told(
    run: Run, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    from contextlib import nullcontext

    from mt5crs.streams import Behind, Gap, Silent
    from mt5crs.topics import Ticks

    def stream(_client: Client, *topics: Ticks, **_options: object) -> object:
        gap = Gap(topics[0], 1_700_000_000, None, "history is gone")
        return nullcontext([gap, Behind(2.5), Behind(0.0), Silent(15.2, "no route")])

    monkeypatch.setattr(Client, "stream", stream)
    result = run("ticks", "EURUSD", "-f", "--json", "--port", str(gateway.port))
    assert result.err.splitlines() == [
        "gap: something of tick.EURUSD is missing from 2023-11-14 22:13:20: history is gone",
        "behind: what comes is 2.5 s old",
        "caught up",
        "silent: nothing has come for 15 s, still waiting: no route",
    ]
    rows = [json.loads(text) for text in result.out.splitlines()]
    assert rows[0] == {
        "notice": "gap",
        "topic": "tick.EURUSD",
        "start": 1_700_000_000,
        "end": None,
        "why": "history is gone",
    }
    assert [row["notice"] for row in rows] == ["gap", "behind", "behind", "silent"]


def test_a_gateway_that_went_away_under_a_stream(tmp_path: Path) -> None:
    with Gateway(tmp_path) as gateway:
        port = str(gateway.port)
        with start("ticks", "EURUSD", "--follow", "--csv", "--port", port, "--timeout", "1") as follow:
            line(follow)
            line(follow)
            gateway.kill()
            assert follow.stderr is not None
            assert follow.stderr.readline().startswith("silent: nothing has come for ")
            gateway.start()
            while not line(follow).startswith("EURUSD,"):  # it goes on
                pass
            follow.send_signal(signal.SIGINT)
            result = finish(follow)
    assert (result.code, result.err) == (130, "")


def test_python_m_is_the_same_program(gateway: Gateway) -> None:
    assert MT5CRS[1:] == ("-m", "mt5crs")
    assert process("orders", "--json", "--port", str(gateway.port)).json == []
    with Client("127.0.0.1", gateway.port) as client:
        assert client.orders_total() == 0

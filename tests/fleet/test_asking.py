"""`mt5crs fleet` init, pin and show: from answers to a file, and another host key in it."""

import signal
import subprocess
from collections.abc import Callable, Iterable
from io import StringIO
from pathlib import Path
from typing import Protocol

import pytest

from mt5crs.errors import SettingError
from mt5crs.fleet.asking import interview, text_of
from mt5crs.fleet.hostkeys import fingerprint
from mt5crs.fleet.inventory import Fleet
from mt5crs.fleet.login import key_trouble
from mt5crs.fleet.pinning import pin, with_host_key
from mt5crs.fleet.validation import fleet_of
from tests.cli.commands import MT5CRS, Outcome, Run, environment
from tests.fleet.keys import host_key
from tests.fleet.machines import Machine, inventory

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMFGMeLUe0qP58SEIp0Vf0F6m4cNlB3k0m7ZVw1Zq3xA"
OLD = host_key(3)
OTHER = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAFGMeLUe0qP58SEIp0Vf0F6m4cNlB3k0m7ZVw1Zq3xB"


class Piped(Protocol):
    def __call__(self, *arguments: str, answers: Iterable[str] = ()) -> Outcome: ...


@pytest.fixture
def piped(run: Run, monkeypatch: pytest.MonkeyPatch) -> Piped:
    """Run a command with answers on its standard input."""
    monkeypatch.setenv("HOME", "/nowhere")
    monkeypatch.setenv("COLUMNS", "200")

    def piped_(*arguments: str, answers: Iterable[str] = ()) -> Outcome:
        monkeypatch.setattr("sys.stdin", StringIO("".join(f"{each}\n" for each in answers)))
        return run("fleet", *arguments)

    return piped_


def answers_for(hub: Machine, gtw: Machine, inf: Machine) -> list[str]:
    def place(machine: Machine) -> list[str]:
        return [str(machine.port), "root", "/srv/mt5-crs", ""]

    return [
        str(hub.ssh_key),
        *(hub.address, *place(hub)),
        *(gtw.address, "linux", *place(gtw), "gw.lan", "maybe", "no", ""),  # maybe is asked again
        *(inf.address, *place(inf), ""),
        "",  # no second one
        "",  # no gpu
        *("/srv/git", "release"),
    ]


def test_answers_become_a_file_with_the_keys_that_were_confirmed(
    machines: dict[str, Machine], tmp_path: Path, piped: Piped
) -> None:
    hub, gtw, inf = (machines[name] for name in ("hub", "gtw", "inf"))
    file = tmp_path / "fleet.toml"
    done = piped("init", str(file), answers=[*answers_for(hub, gtw, inf), "yes", "y", "no"])
    assert done.code == 0, done.err
    made, following = done.out.splitlines()
    assert made == f"made {file}: hub, gtw, inf"
    assert following.startswith("next: mt5crs fleet pin inf; then, before `mt5crs fleet sync`, the keys of ")
    assert "'maybe': yes or no" in done.err
    assert f"hub offers ssh-ed25519 {fingerprint(hub.host_key)}" in done.err
    fleet = Fleet.read(file)
    assert (fleet.source.repository, fleet.source.revision) == ("/srv/git", "release")
    assert list(fleet.services_of(fleet.gateway)) == ["gateway"]
    assert fleet.services["gateway"].command.startswith("mt5crs gateway --terminal simulated --keys keys")
    assert [node.host_key for node in fleet.nodes.values()] == [hub.host_key, gtw.host_key, ()]
    assert [node.index for node in fleet.nodes.values()] == [True, False, True]
    assert fleet.env(fleet.nodes["inf"])["MT5_HOST"] == "gw.lan"
    assert (
        "# The keys of the gateway and of each client are there before the first `sync`" in file.read_text()
    )
    keys = {node.name: fleet.env(node).get("MT5_KEYS") for node in fleet.nodes.values()}
    assert keys == {"hub": "keys/hub.key", "gtw": None, "inf": "keys/inf.key"}
    assert {node.ssh_key for node in fleet.nodes.values()} == {str(hub.ssh_key)}
    before = file.read_bytes()
    again = piped("init", str(file))
    assert (again.code, file.read_bytes()) == (2, before)
    assert "is there already" in again.err


def test_answers_that_end_too_early_write_nothing(tmp_path: Path, piped: Piped) -> None:
    file = tmp_path / "fleet.toml"
    done = piped("init", str(file), "--no-scan", answers=["-", "10.0.0.1", "22"])
    assert done.code == 1
    assert "the answers ended too early: nothing was written" in done.err
    assert list(tmp_path.iterdir()) == []
    assert piped("init", str(tmp_path / "none" / "fleet.toml")).code == 2


def test_an_interruption_writes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "fleet.toml"
    pipes = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE, "stdout": subprocess.DEVNULL}
    with subprocess.Popen([*MT5CRS, "fleet", "init", str(file)], env=environment(), **pipes) as asking:  # type: ignore[call-overload]
        while asking.stderr.read(1) != b":":
            assert asking.poll() is None
        asking.send_signal(signal.SIGINT)
        assert asking.wait(30) != 0
        assert b"nothing was written" in asking.stderr.read()
    assert not file.exists()


def test_each_answer_is_checked_at_once() -> None:
    typed = "nothing-there - http://hub hub 0 22 a@b root opt /opt/x = hub linux 22 = /opt/x /opt/y"
    given = iter(f"{typed} = = = = - = --all . =".replace("=", "").split(" "))
    asked: list[str] = []

    def ask(question: str, default: str, check: object) -> str:
        while True:
            answer = next(given) or default
            try:
                assert callable(check)
                check(answer)
            except ValueError as error:
                asked.append(f"{question}: {error}")
            else:
                return answer

    answers = interview(ask, lambda _text: None, "mt5", "")
    assert [node.path for node in answers.nodes] == ["/opt/x", "/opt/y"]
    assert [each.partition(": ")[0] for each in asked] == [
        "private key to log in with (- for those of an SSH agent)",
        "hub address", "hub SSH port", "hub user", "hub folder of the releases",
        "gtw folder of the releases", "git repository (. is the hub's own folder)",
    ]  # fmt: skip
    fleet = fleet_of(Path("fleet.toml"), text_of(answers, {"hub": KEY}).encode())
    assert fleet.hub.host_key == KEY


def test_an_answer_can_be_taken_back() -> None:
    def ask(question: str, default: str, check: Callable[[str], object]) -> str:
        asked.append(question)
        answer = next(given, "") or default
        check(answer)
        return answer

    asked: list[str] = []
    said: list[str] = []
    given = iter(["<", "-", "wrong", "<", "10.0.0.1", "", "", "", "", "<", "python3.12", "10.0.0.2"])
    answers = interview(ask, said.append, "mt5", "")
    assert [node.address for node in answers.nodes] == ["10.0.0.1", "10.0.0.2"]
    assert answers.nodes[0].python == "python3.12"
    assert asked.count("hub address") == 2
    assert said.count("inf: strategies and models, which use the gateway") == 1
    assert answers.gateway.startswith("mt5crs gateway --terminal official")
    assert "Nothing keeps a gateway running" in text_of(answers._replace(gateway=""), {})
    keyless = text_of(answers._replace(gateway="mt5crs gateway --host 127.0.0.1"), {})
    assert "keys of the gateway" not in keyless
    assert "MT5_KEYS" not in keyless


# --- pin --------------------------------------------------------------------------------------------------

WRITTEN = f"""\
# ours
[nodes.hub]
role = "hub" # it has the code
address = '10.0.0.1'
  host_key   =  ["{OTHER}",
    "{KEY}"]   # since May

[ nodes . "gtw" ]\t# the gateway
role = "gtw"
address = "10.0.0.2"
[nodes.inf]
role = "inf"
address = "10.0.0.3"
host_key = '{OLD}'  # old
"""


def test_a_key_is_written_and_no_other_byte() -> None:
    content = WRITTEN.encode()
    hub = with_host_key(content, "hub", KEY)
    assert hub == content.replace(f'["{OTHER}",\n    "{KEY}"]'.encode(), f'"{KEY}"'.encode())
    gtw = with_host_key(content, "gtw", KEY)
    assert gtw == content.replace(b"# the gateway\n", f'# the gateway\nhost_key = "{KEY}"\n'.encode())
    inf = with_host_key(content, "inf", KEY)
    assert inf == content.replace(f"'{OLD}'".encode(), f'"{KEY}"'.encode())
    made = content.replace(b"# the gateway\n", b"# the gateway\n# host_key = ...  # without it\n")
    assert with_host_key(made, "gtw", KEY) == gtw
    dos = content.replace(b"\n", b"\r\n")
    assert with_host_key(dos, "gtw", KEY) == gtw.replace(b"\n", b"\r\n")


@pytest.mark.parametrize(
    "text",
    [
        'nodes = { hub = { role = "hub", address = "x" } }',
        '[nodes]\nhub = { role = "hub", address = "x" }',
        '[nodes.hub]\nrole = "hub"\nhost_key = """\nx"""',
        'x = """\n[nodes.hub]\n"""\n[nodes]\nhub.role = "hub"',
    ],
)
def test_what_is_written_in_another_way_is_left_alone(tmp_path: Path, text: str) -> None:
    file = tmp_path / "fleet.toml"
    file.write_text(text)
    with pytest.raises(SettingError, match="not changed here") as caught:
        pin(file, "hub", KEY)
    assert KEY in caught.value.hint
    assert file.read_text() == text
    assert list(tmp_path.iterdir()) == [file]


def test_pin_shows_both_fingerprints_and_asks(
    machines: dict[str, Machine], tmp_path: Path, piped: Piped
) -> None:
    inf = machines["inf"]
    file = tmp_path / "fleet.toml"
    file.write_text(inventory(machines, "# mine\n").replace(inf.host_key, OTHER))
    file.chmod(0o640)
    before = file.read_bytes()
    refused = piped("pin", "inf", "-i", str(file), answers=["no"])
    assert refused.code == 1
    assert fingerprint(OTHER) in refused.out
    assert fingerprint(inf.host_key) in refused.out
    assert "nothing was written" in refused.err
    nobody = piped("pin", "inf", "-i", str(file))
    assert (nobody.code, file.read_bytes()) == (1, before)
    done = piped("pin", "inf", "-i", str(file), answers=["yes"])
    assert done.code == 0, done.err
    assert file.read_bytes() == before.replace(OTHER.encode(), inf.host_key.encode())
    assert file.stat().st_mode & 0o777 == 0o640
    assert "already" in piped("pin", "inf", "-i", str(file)).out
    wrong = piped("pin", "imf", "-i", str(file))
    assert (wrong.code, "perhaps inf" in wrong.err) == (2, True)
    assert piped("pin", "-i", str(file)).code == 2
    every = piped("pin", "--all", "-i", str(file))
    assert (every.code, every.out) == (0, "every node has a host key in the inventory\n")


def test_show_is_a_table_and_data(tmp_path: Path, piped: Piped) -> None:
    file = tmp_path / "fleet.toml"
    text = (
        WRITTEN
        + 'optional = true\nindex = false\n[services.bot]\ncommand = "x"\n[roles.inf]\nservices = ["bot"]\n'
    )
    file.write_text(text)
    shown = piped("show", "-i", str(file))
    assert [row[0] for row in shown.table] == ["hub", "gtw", "inf"]
    assert shown.table[-1][-1] == "optional, no index"
    rows = piped("show", "-i", str(file), "--json").json
    assert rows[0]["host_keys"] == [fingerprint(OTHER), fingerprint(KEY)]
    assert rows[2]["env"] == {"MT5_HOST": "10.0.0.2", "MT5_PORT": "5555"}
    assert rows[2]["services"] == ["bot"]
    table = piped("show", "-i", str(file), "--csv").csv
    assert table[1]["address"] == "10.0.0.2"
    assert table[2]["env"] == "MT5_HOST=10.0.0.2 MT5_PORT=5555"
    assert table[0]["host_keys"] == f"{fingerprint(OTHER)} {fingerprint(KEY)}"
    file.write_text("[nodes.hub]\nadress = 1\n")
    wrong = piped("show", "-i", str(file))
    assert wrong.code == 2
    assert "there is no key 'adress'" in wrong.err
    assert "Traceback" not in wrong.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("init",), ("pin", "inf"), ("show",), ("sync",), ("rollback",), ("status",), ("history",),
        ("verify",), ("checklist",), ("windows", "gtw", "status"),
    ],
    ids=lambda arguments: arguments[0],
)  # fmt: skip
def test_without_the_extra_each_command_says_what_to_install(
    run: Run, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.setattr("mt5crs.cli.fleet.opening.find_spec", lambda _name: None)
    result = run("fleet", *arguments)
    assert (result.code, "asyncssh and packaging not found" in result.err) == (2, True)
    assert run("fleet", arguments[0], "--help").code == 0


def test_a_key_that_others_can_read_is_no_answer(tmp_path: Path) -> None:
    key = tmp_path / "id"
    key.write_text("x")
    key.chmod(0o644)
    assert key_trouble(key) == (f"others can read the key {key}", f"chmod 600 {key}")
    key.chmod(0o600)
    assert key_trouble(key) == ("", "")
    assert "cannot be read" in key_trouble(tmp_path / "none")[0]

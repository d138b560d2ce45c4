"""`mt5crs keys` and the gateway's secrets, as processes and at a terminal."""

import contextlib
import json
import os
import pty
import select
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from mt5crs.security.keys import ClientKeys, GatewayKeys, known_client
from mt5crs.security.ring import KeyRing
from mt5crs.terminal.simulated.config import SimulatedConfig
from tests.cli.commands import MT5CRS, PATIENCE, Outcome, Run, environment, process
from tests.conftest import ROOT
from tests.processes import Gateway

PHRASE = "correct horse battery"


def secrets_of(*paths: Path) -> list[str]:
    files = [json.loads(path.read_text()) for path in paths]
    return [file[name] for file in files for name in ("secret", "seed") if name in file]


class AtTerminal:
    """A command with a terminal of its own as its three streams."""

    def __init__(self, *arguments: str, **env: str) -> None:
        self._own, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [*MT5CRS, *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            env=environment(TERM="dumb", **env),
        )
        os.close(theirs)
        self.seen = ""

    def wait_for(self, text: str) -> None:
        give_up = time.monotonic() + PATIENCE
        while text not in self.seen:
            ready, _, _ = select.select([self._own], [], [], max(0.0, give_up - time.monotonic()))
            assert ready, f"{text!r} did not come: {self.seen!r}"
            self.seen += os.read(self._own, 4096).decode()

    def answer(self, prompt: str, line: str) -> None:
        """Wait until it asks, and answer."""
        self.wait_for(prompt)
        self.seen = self.seen.replace(prompt, "")
        os.write(self._own, line.encode() + b"\n")

    def end(self) -> int:
        with contextlib.suppress(OSError):  # EIO: the last one that had it open is gone
            while select.select([self._own], [], [], PATIENCE)[0]:
                read = os.read(self._own, 4096)
                if not read:
                    break
                self.seen += read.decode()
        code = self.process.wait(PATIENCE)
        os.close(self._own)
        return code


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").touch()
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def made(run: Run) -> Run:
    """Run commands where there is a gateway's folder with the trader ann."""
    assert run("keys", "init").code == 0
    assert run("keys", "new", "ann", "--role", "trader", "--stream", "trade").code == 0
    return run


def ok(outcome: Outcome) -> str:
    assert outcome.code == 0, outcome.err
    return outcome.out


# ---- from the first to the last ----


def test_each_command_says_what_to_do_next(run: Run) -> None:
    assert "next: mt5crs keys new NAME --role trader --keys keys" in ok(run("keys", "init"))
    said = ok(run("keys", "new", "ann", "--role", "trader"))
    assert "made ann.key for ann (trader)" in said
    assert "MT5_KEYS" in said
    rotated = ok(run("keys", "rotate", "ann", "--window", "2h", "--out", "ann-2.key"))
    assert "made ann-2.key for ann, its former key stays valid for 2h" in rotated
    assert "its former key has ended" in ok(run("keys", "rotate", "ann", "--window", "0"))
    revoked = ok(run("keys", "revoke", "ann"))
    assert "can be removed" in revoked
    assert all("a gateway that runs takes it at once" in each for each in (said, rotated, revoked))
    assert "was revoked before" in ok(run("keys", "revoke", "ann"))


def test_a_running_ring_takes_what_commands_do(made: Run) -> None:
    ring = KeyRing(Path("keys"))
    ok(process("keys", "new", "bob"))
    assert ring.refresh()
    assert sorted(each.name for each in ring.by_id.values()) == ["ann", "bob"]
    first = ClientKeys.load(Path("ann.key")).key_id
    ok(process("keys", "rotate", "ann", "--out", "ann-2.key"))
    assert ring.refresh()
    assert len(ring.by_id) == 3
    ok(process("keys", "revoke", "ann", "--key-id", first))
    assert ring.refresh()
    assert set(ring.by_id) == {ClientKeys.load(Path(name)).key_id for name in ("ann-2.key", "bob.key")}


def test_the_list_has_each_key_with_its_state(made: Run) -> None:
    ok(made("keys", "new", "bob"))
    ok(made("keys", "rotate", "ann", "--window", "1d", "--out", "ann-2.key"))
    ok(made("keys", "revoke", "bob"))
    rows = made("keys", "list", "--json").json
    ids = [ClientKeys.load(Path(f"{name}.key")).key_id for name in ("ann", "ann-2", "bob")]
    assert [row["key_id"] for row in rows] == ids
    assert [row["name"] for row in rows] == ["ann", "ann", "bob"]
    assert [row["streams"] for row in rows] == ["trade", "trade", ""]
    until, revoked = rows[0]["until"], rows[2]["revoked"]
    assert [row["state"] for row in rows] == [f"valid until {until}", "valid", f"revoked {revoked}"]
    assert made("keys", "list", "--csv").csv == rows
    assert [row[0] for row in made("keys", "list").table] == ["ann", "ann", "bob"]
    ok(made("keys", "rotate", "ann", "--window", "0", "--out", "ann-3.key"))
    states = [row["state"] for row in made("keys", "list", "--json").json[:3]]
    assert [state.split()[0] for state in states] == ["ended", "ended", "valid"]


def test_the_list_shows_the_rest_and_what_is_wrong(made: Run) -> None:
    ok(made("keys", "new", "bob"))
    Path("keys/clients/ann.json").write_text("{")
    listed = made("keys", "list", "--json")
    assert [row["name"] for row in listed.json] == ["bob"]
    assert listed.code == 2
    assert "ann.json is not a key file" in listed.err
    assert "Traceback" not in listed.err


def test_show_a_client_and_key_files(made: Run) -> None:
    keys, own = ClientKeys.load(Path("ann.key")), GatewayKeys.load(Path("keys"))
    (row,) = made("keys", "show", "ann", "--json").json
    assert (row["key_id"], row["public_key"]) == (keys.key_id, keys.public.decode())
    file = made("keys", "show", "ann.key", "--json").json
    assert {name: file[name] for name in ("kind", "name", "role", "key_id", "encrypted")} == {
        "kind": "client",
        "name": "ann",
        "role": "trader",
        "key_id": keys.key_id,
        "encrypted": "no",
    }
    assert file["gateway_public_key"] == own.public.decode()
    assert made("keys", "show", "keys/gateway.json", "--json").json["public_key"] == own.public.decode()
    assert ["kind", "client"] in made("keys", "show", "ann.key").table


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("show", "nobody"), "no client nobody"),
        (("show", "keys/clients/ann.json"), "keys show ann"),
        (("revoke", "nobody"), "keys list"),
        (("revoke", "ann", "--key-id", "12"), "no key 12"),
        (("revoke", "../ann"), "cannot name a client"),
        (("rotate", "nobody"), "keys list"),
        (("rotate", "ann", "--window", "soon"), "such as 24h"),
        (("rotate", "ann", "--window", "900d"), "within a year"),
        (("rotate", "ann", "--out", "ann.key"), "never overwritten"),
        (("new", "ann"), "keys rotate ann"),
        (("new", "eve", "--out", "ann.key"), "never overwritten"),
        (("new", "eve", "--stream", "ticks"), "account, trade"),
        (("new", "eve", "--out", "no/such/eve.key"), "No such file"),
        (("init",), "there already"),
    ],
)
def test_what_cannot_be_done_says_why(made: Run, arguments: tuple[str, ...], says: str) -> None:
    whole = {path: path.read_bytes() for path in Path.cwd().rglob("*") if path.is_file()}
    result = made("keys", *arguments)
    assert result.code == 2
    assert says in " ".join(result.err.replace("│", " ").split())
    assert "Traceback" not in result.err
    assert {path: path.read_bytes() for path in Path.cwd().rglob("*") if path.is_file()} == whole


def test_no_command_shows_a_secret(made: Run) -> None:
    ok(made("keys", "rotate", "ann", "--out", "ann-2.key"))
    said = "".join(
        str(made("keys", *arguments, *form))
        for arguments in (("list",), ("show", "ann"), ("show", "ann.key"), ("show", "keys/gateway.json"))
        for form in ((), ("--json",), ("--csv",))
    )
    said += Path("keys/changes.log").read_text() + Path("keys/clients/ann.json").read_text()
    found = secrets_of(Path("ann.key"), Path("ann-2.key"), Path("keys/gateway.json"))
    assert len(found) == 6
    assert not [secret for secret in found if secret in said]


# ---- at a terminal ----


def test_a_passphrase_is_asked_for_without_echo_and_is_no_argument(made: Run) -> None:
    asking = AtTerminal("keys", "new", "eve", "--passphrase")
    asking.answer("new passphrase for the keys of eve: ", PHRASE)
    asking.wait_for("the same again: ")
    shown = psutil.Process(asking.process.pid)
    assert PHRASE not in " ".join([*shown.cmdline(), *shown.environ().values()])
    asking.answer("the same again: ", PHRASE)
    assert asking.end() == 0, asking.seen
    assert PHRASE not in asking.seen
    assert "made eve.key" in asking.seen
    assert PHRASE not in Path("eve.key").read_text()
    assert made("keys", "show", "eve.key", "--json").json["encrypted"] == "yes"
    assert known_client(Path("keys"), "eve").keys[0].sealed


def test_two_that_differ_make_nothing(made: Run) -> None:
    for first, second, says in (("one", "two", "are not the same"), ("", "", "is empty")):
        asking = AtTerminal("keys", "new", "eve", "--passphrase")
        asking.answer("new passphrase for the keys of eve: ", first)
        if first:
            asking.answer("the same again: ", second)
        assert asking.end() == 2
        assert says in asking.seen
        assert not Path("eve.key").exists()
        assert not Path("keys/clients/eve.json").exists()


def test_rotation_keeps_the_passphrase(made: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MT5_KEYS_PASSPHRASE", PHRASE)
    ok(made("keys", "new", "eve", "--passphrase"))
    ok(made("keys", "rotate", "eve", "--out", "eve-2.key"))
    ok(made("keys", "rotate", "eve", "--out", "eve-3.key", "--no-passphrase"))
    ok(made("keys", "rotate", "eve", "--out", "eve-4.key"))
    ok(made("keys", "rotate", "ann", "--out", "ann-2.key"))
    sealed = {
        name: made("keys", "show", f"{name}.key", "--json").json["encrypted"]
        for name in ("eve-2", "eve-3", "eve-4", "ann-2")
    }
    assert sealed == {"eve-2": "yes", "eve-3": "no", "eve-4": "no", "ann-2": "no"}


def test_a_gateway_and_a_client_with_passphrases(run: Run, tmp_path: Path) -> None:
    ok(process("keys", "init", "--passphrase", MT5_KEYS_PASSPHRASE=PHRASE))
    ok(process("keys", "new", "ann", "--passphrase", MT5_KEYS_PASSPHRASE=PHRASE))
    for given, says in ({"MT5_KEYS_PASSPHRASE": "wrong"}, "does not open"), ({}, "needs a passphrase"):
        refused = process("gateway", "--keys", "keys", "--port", "0", "--stream-port", "0", **given)
        assert refused.code == 2
        assert says in refused.err
        assert "Traceback" not in refused.err
    file = tmp_path / "passphrase"
    file.write_text(PHRASE)
    file.chmod(0o600)
    env = environment(MT5_KEYS_PASSPHRASE=PHRASE)
    with Gateway(tmp_path, ["--keys", "keys"], environment=env) as gateway:
        where = ("info", "--port", str(gateway.port), "--keys", "ann.key", "--json")
        asked = process(*where, MT5_KEYS_PASSPHRASE_FILE=str(file))
        assert asked.code == 0, asked.err
        assert PHRASE not in gateway.log.read_text()


# ---- the broker's password ----


PACKAGE = """
import os
def initialize(*args, password="", **kwargs):
    with open(os.environ["TOLD"], "a") as file:
        seen = {name: value for name, value in os.environ.items() if name.startswith("MT5_")}
        file.write(repr((password, seen)) + "\\n")
    return False
def last_error(): return (-6, "Terminal: Authorization failed")
def shutdown(): pass
"""


@pytest.mark.parametrize("place", ["file", "environment", "both"])
def test_an_official_terminals_workers_are_told_the_password_and_inherit_none(
    tmp_path: Path, place: str
) -> None:
    (tmp_path / "told_by.py").write_text(PACKAGE)
    told, file = tmp_path / "told", tmp_path / "password"
    file.write_text("from the file\n")
    file.chmod(0o600)
    given = {"MT5_KEYS_PASSPHRASE": "something else"}
    if place != "environment":
        given["MT5_PASSWORD_FILE"] = str(file)
    if place != "file":
        given |= {"MT5_PASSWORD": "from the environment"}
    path = os.pathsep.join([str(tmp_path), str(ROOT / "src")])
    started = process(
        *("gateway", "--terminal", "official", "--package", "told_by", "--login", "5", "--server", "X"),
        *("--port", "0", "--stream-port", "0"),
        **given,
        TOLD=str(told),
        PYTHONPATH=path,
    )
    assert started.code == 1
    expected = "from the environment" if place == "environment" else "from the file"
    lines = told.read_text().splitlines()
    assert lines
    for line in lines:
        assert line.startswith(repr((expected,))[:-2])
        assert "MT5_PASSWORD'" not in line
        assert "PASSPHRASE" not in line
    assert expected not in started.out + started.err


def test_a_password_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("x\n")
    file.chmod(0o644)
    for terminal in ("official", "simulated"):
        refused = process(
            *("gateway", "--terminal", terminal, "--login", "5", "--port", "0", "--stream-port", "0"),
            MT5_PASSWORD_FILE=str(file),
        )
        assert refused.code == 2
        assert "can be read by others" in refused.err


def test_a_password_file_without_a_login_is_refused(tmp_path: Path) -> None:
    refused = process("gateway", "--terminal", "official", MT5_PASSWORD_FILE=str(tmp_path / "x"))
    assert (refused.code, "MT5_LOGIN" in refused.err) == (2, True)


def test_a_simulated_account_has_the_password_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("s3cret\n")
    file.chmod(0o600)
    env = environment(MT5_PASSWORD_FILE=str(file))
    with Gateway(tmp_path, ["--login", "77"], environment=env) as gateway:
        with gateway.client() as client:
            assert client.login(77, password="s3cret")
            assert not client.login(77, password=SimulatedConfig().password)
        assert "s3cret" not in gateway.log.read_text()

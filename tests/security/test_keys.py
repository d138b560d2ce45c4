"""Key files: private, never overwritten, refused when they are damaged; made, replaced and revoked."""

import copy
import json
import os
import pickle
import stat
import subprocess
import sys
import threading
import time
import traceback
from datetime import datetime, timezone
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from zmq.utils import z85

from mt5crs import private
from mt5crs.security import folder as folders
from mt5crs.security import keys as making
from mt5crs.security.keyfiles import KeyFileError, decode_any
from mt5crs.security.keys import (
    ClientKeys,
    GatewayKeys,
    create_client,
    create_gateway,
    known_client,
    revoke_client,
    rotate_client,
)
from mt5crs.security.policy import Role
from mt5crs.security.signing import opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    create_gateway(tmp_path / "keys")
    return tmp_path / "keys"


def change(path: Path, **fields: Any) -> None:
    """Change fields of a file by hand; None removes one."""
    content = json.loads(path.read_text()) | fields
    path.write_text(json.dumps({name: value for name, value in content.items() if value is not None}))


# ---- what they are ----


def test_a_client_and_its_gateway_know_each_other(folder: Path, tmp_path: Path) -> None:
    path = create_client(folder, "inf-1", Role.TRADER, tmp_path / "inf-1.key", streams=("trade",))
    client, gateway = ClientKeys.load(path), GatewayKeys.load(folder)
    assert client.gateway == gateway.public
    assert client.gateway_signing == gateway.signer.public
    assert (client.name, client.role) == ("inf-1", Role.TRADER)
    principal = gateway.ring.by_curve[client.public]
    assert gateway.ring.by_id[client.key_id] is principal
    assert (principal.name, principal.role, principal.key_id) == ("inf-1", Role.TRADER, client.key_id)
    assert principal.signing == client.signer.public
    assert principal.streams == {"trade"}
    assert opened(client.signer.sign(b"order"), principal.signing) == b"order"
    assert client.signer is client.signer


def test_the_id_of_a_key_is_made_of_its_public_keys(folder: Path, tmp_path: Path) -> None:
    keys = ClientKeys.load(create_client(folder, "a", Role.OBSERVER, tmp_path / "a.key"))
    assert keys.key_id == sha256(keys.public + keys.signer.public).hexdigest()[:16]


def test_the_forms_of_the_files(folder: Path, tmp_path: Path) -> None:
    path = create_client(folder, "a", Role.OBSERVER, tmp_path / "a.key", streams=("trade", "account"))
    own, entry, client = (
        json.loads(each.read_text()) for each in (folder / "gateway.json", folder / "clients/a.json", path)
    )
    assert set(own) == {"form", "public", "signing", "secret", "seed"}
    assert set(client) == {*own, "name", "role", "key_id", "gateway", "gateway_signing"}
    assert [each["form"] for each in (own, entry, client)] == [
        *("mt5crs-gateway-key-1", "mt5crs-client-entry-1", "mt5crs-client-key-1")
    ]
    (key,) = entry.pop("keys")
    assert entry == {"form": entry["form"], "name": "a", "role": "observer", "streams": ["account", "trade"]}
    assert [key[name] for name in ("id", "public", "signing")] == [
        client[name] for name in ("key_id", "public", "signing")
    ]
    assert (key["until"], key["revoked"]) == (None, None)
    assert abs(datetime.fromisoformat(key["made"].replace("Z", "+00:00")).timestamp() - time.time()) < 60
    assert key["made"].endswith("Z")
    assert all(len(z85.decode(each[name])) == 32 for each in (own, client) for name in ("secret", "seed"))


def test_what_holds_a_secret_is_private_whatever_the_umask(tmp_path: Path) -> None:
    for umask in (0, 0o077):
        folder, path = tmp_path / f"keys{umask}", tmp_path / f"a{umask}.key"
        before = os.umask(umask)
        try:
            create_gateway(folder)
            create_client(folder, "a", Role.OBSERVER, path)
            revoke_client(folder, "a")
        finally:
            os.umask(before)
        for file in (path, folder / "gateway.json", folder / "clients/a.json", folder / "changes.log"):
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
        for each in (folder, folder / "clients"):
            assert stat.S_IMODE(each.stat().st_mode) == 0o700


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_a_secret_that_others_can_read_is_refused(folder: Path, tmp_path: Path, mode: int) -> None:
    path = create_client(folder, "a", Role.OBSERVER, tmp_path / "a.key")
    path.chmod(mode)
    with pytest.raises(KeyFileError, match="can be read by others.*chmod 600"):
        ClientKeys.load(path)
    (folder / "gateway.json").chmod(mode)
    with pytest.raises(KeyFileError, match="can be read by others"):
        GatewayKeys.load(folder)


@pytest.mark.parametrize("what", [".", "clients", "clients/a.json"])
def test_a_gateway_whose_clients_others_can_change_does_not_start(
    folder: Path, tmp_path: Path, what: str
) -> None:
    create_client(folder, "a", Role.OBSERVER, tmp_path / "a.key")
    (folder / what).chmod((folder / what).stat().st_mode | 0o020)
    with pytest.raises(KeyFileError, match="can be changed by others.*chmod go-w"):
        GatewayKeys.load(folder)


# ---- names and places ----


def test_keys_are_never_overwritten(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="there already"):
        create_gateway(folder)
    first = create_client(folder, "a", Role.OBSERVER, tmp_path / "a.key").read_bytes()
    for target in (tmp_path / "a.key", tmp_path / "other.key"):
        with pytest.raises(KeyFileError, match="there already"):
            create_client(folder, "a", Role.ADMIN, target)
    with pytest.raises(KeyFileError, match="never overwritten"):
        create_client(folder, "b", Role.ADMIN, tmp_path / "a.key")
    with pytest.raises(KeyFileError, match="never overwritten"):
        rotate_client(folder, "a", tmp_path / "a.key")
    assert (tmp_path / "a.key").read_bytes() == first
    assert not (tmp_path / "other.key").exists()
    assert [path.name for path in (folder / "clients").iterdir()] == ["a.json"]
    assert len(known_client(folder, "a").keys) == 1


@pytest.mark.parametrize("name", ["", "../x", "a b", "a/b", "x" * 65, ".", "NUL", "com1"])
def test_a_name_is_a_name(folder: Path, tmp_path: Path, name: str) -> None:
    for do in (
        lambda: create_client(folder, name, Role.TRADER, tmp_path / "x.key"),
        lambda: rotate_client(folder, name, tmp_path / "x.key"),
        lambda: revoke_client(folder, name),
    ):
        with pytest.raises(KeyFileError, match="cannot name a client"):
            do()


def test_a_stream_is_a_private_one(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="'tick' is no private stream; they are account, trade"):
        create_client(folder, "a", Role.TRADER, tmp_path / "a.key", streams=("trade", "tick"))


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    for do in (
        lambda: create_client(tmp_path / "none", "a", Role.TRADER, tmp_path / "x.key"),
        lambda: revoke_client(tmp_path / "none", "a"),
        lambda: GatewayKeys.load(tmp_path / "none"),
    ):
        with pytest.raises(KeyFileError, match="mt5crs keys"):
            do()
    (tmp_path / "file").touch()
    with pytest.raises(KeyFileError, match="file cannot be made"):
        create_gateway(tmp_path / "file")
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o775)
    with pytest.raises(KeyFileError, match="can be changed by others"):
        create_gateway(tmp_path / "open")
    assert not (tmp_path / "open/gateway.json").exists()


def test_an_attempt_that_was_cut_short_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "keys/clients").mkdir(mode=0o700, parents=True)
    (tmp_path / "keys").chmod(0o700)
    private.create(tmp_path / "keys/changes.log", b"")
    create_gateway(tmp_path / "keys")
    assert GatewayKeys.load(tmp_path / "keys").ring.by_id == {}


def test_without_an_entry_there_is_no_client_file(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_client(folder, "old", Role.TRADER, tmp_path / "old.key")

    def full(_path: Path, _content: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(private, "replace", full)
    for do in (
        lambda: create_client(folder, "a", Role.TRADER, tmp_path / "a.key"),
        lambda: rotate_client(folder, "old", tmp_path / "a.key"),
        lambda: revoke_client(folder, "old"),
    ):
        with pytest.raises(KeyFileError, match=r"json cannot be written: No space left"):
            do()
        assert not (tmp_path / "a.key").exists()
    assert known_client(folder, "old").keys[0].state(time.time()) == "valid"


# ---- damage ----


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"\xff", b'{"name": 1}', b"[]", b"x" * 70_000, b'{"x":' + b"[" * 9999]
)
def test_a_damaged_file_is_named(folder: Path, tmp_path: Path, content: bytes) -> None:
    path = create_client(folder, "a", Role.OBSERVER, tmp_path / "a.key")
    path.write_bytes(content)
    with pytest.raises(KeyFileError, match=r"a\.key (is not a key file|cannot be read: File too large)"):
        ClientKeys.load(path)


def test_a_missing_file_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="mt5crs keys"):
        ClientKeys.load(tmp_path / "none.key")


def test_a_file_of_the_other_side_is_called_so(folder: Path, tmp_path: Path) -> None:
    path = create_client(folder, "a", Role.OBSERVER, tmp_path / "a.key")
    with pytest.raises(KeyFileError, match="not a client's key file but a gateway's own"):
        ClientKeys.load(folder / "gateway.json")
    with pytest.raises(KeyFileError, match="not a client's key file but a gateway's entry"):
        ClientKeys.load(folder / "clients" / "a.json")
    (folder / "gateway.json").write_bytes(path.read_bytes())
    with pytest.raises(KeyFileError, match="not a gateway's own key file but a client's"):
        GatewayKeys.load(folder)


@pytest.mark.parametrize("public", ["short", "x" * 39, "x" * 41, "ä" * 40, '"' * 40, "#" * 40])
def test_what_is_no_key_is_refused_at_once(folder: Path, tmp_path: Path, public: str) -> None:
    path = create_client(folder, "a", Role.OBSERVER, tmp_path / "a.key")
    for field in ("public", "secret", "seed", "signing", "gateway", "gateway_signing"):
        file = tmp_path / f"{field}.key"
        private.create(file, path.read_bytes())
        change(file, **{field: public})
        with pytest.raises(KeyFileError, match=rf"{field}\.key is not a key file"):
            ClientKeys.load(file)
    entry = folder / "clients" / "a.json"
    change(entry, keys=[json.loads(entry.read_text())["keys"][0] | {"public": public}])
    with pytest.raises(KeyFileError, match=r"a\.json is not a key file"):
        GatewayKeys.load(folder)


@pytest.mark.parametrize(
    "fields",
    [
        {"more": 1},
        {"form": "mt5crs-client-key-2"},
        {"form": None},
        {"role": "king"},
        {"seed": None},
        {"secret": None, "seed": None},
        {"key_id": "0" * 16},
        {"sealed": {"passes": 3, "memory": 8192, "salt": "A" * 22 + "==", "box": "A" * 140}},
    ],
)
def test_a_client_file_is_exactly_of_its_form(folder: Path, tmp_path: Path, fields: dict[str, Any]) -> None:
    path = create_client(folder, "a", Role.OBSERVER, tmp_path / "a.key")
    change(path, **fields)
    with pytest.raises(KeyFileError, match=r"a\.key is not a key file"):
        ClientKeys.load(path)


def test_a_pair_is_a_pair(folder: Path, tmp_path: Path) -> None:
    path = create_client(folder, "a", Role.OBSERVER, tmp_path / "a.key")
    other = json.loads(create_client(folder, "b", Role.OBSERVER, tmp_path / "b.key").read_text())
    whole = path.read_bytes()
    change(path, secret=other["secret"])
    with pytest.raises(KeyFileError, match="are not a pair"):
        ClientKeys.load(path)
    path.write_bytes(whole)
    change(path, seed=other["seed"])
    with pytest.raises(KeyFileError, match="signing keys are not a pair"):
        _ = ClientKeys.load(path).signer


def test_two_keys_cannot_share_a_name(folder: Path, tmp_path: Path) -> None:
    create_client(folder, "bob", Role.TRADER, tmp_path / "bob.key")
    create_client(folder, "eve", Role.OBSERVER, tmp_path / "eve.key")
    entry = folder / "clients" / "eve.json"
    entry.write_text(entry.read_text().replace('"eve"', '"bob"'))
    with pytest.raises(KeyFileError, match="is the entry of 'bob'"):
        GatewayKeys.load(folder)
    entry.write_bytes((folder / "clients" / "bob.json").read_bytes().replace(b'"bob"', b'"eve"'))
    with pytest.raises(KeyFileError, match="has the key of another client"):
        GatewayKeys.load(folder)


# ---- secrets stay secret ----


def test_nothing_that_holds_a_secret_shows_it(folder: Path, tmp_path: Path) -> None:
    path = create_client(folder, "a", Role.OBSERVER, tmp_path / "a.key")
    client, gateway = ClientKeys.load(path), GatewayKeys.load(folder)
    files = [decode_any(each, each.read_bytes()) for each in (path, folder / "gateway.json")]
    holders = [client, gateway, client.signer, gateway.signer, *files]
    texts = [json.loads(each.read_text()) for each in (path, folder / "gateway.json")]
    secrets = {each[name] for each in texts for name in ("secret", "seed")}
    shown = [f"{each!r} {each} {[each]}" for each in holders]
    for each in (client, gateway):
        with pytest.raises(TypeError):
            vars(each)
        for copied in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError, match="not pickled"):
                copied(each)
    assert not [secret for secret in secrets if secret in "".join(shown)]


def test_no_secret_is_in_what_is_said_of_a_damaged_file(folder: Path, tmp_path: Path) -> None:
    path = create_client(folder, "a", Role.OBSERVER, tmp_path / "a.key")
    whole = path.read_text()
    content = json.loads(whole)
    for damaged in (
        *(whole[:length] for length in range(0, len(whole) - 2, 40)),
        whole.replace(content["secret"], content["secret"] + "x"),
        whole.replace(content["seed"], content["seed"][:-1] + "ä"),
        whole.replace('"seed"', '"sead"'),
    ):
        path.write_text(damaged, encoding="latin-1")
        with pytest.raises(KeyFileError) as refused:
            ClientKeys.load(path)
        said = "".join(traceback.format_exception(refused.value))
        assert content["secret"][:8] not in said
        assert content["seed"][:8] not in said


# ---- rotation ----


def test_a_key_is_replaced_and_the_former_one_ends(folder: Path, tmp_path: Path) -> None:
    first = ClientKeys.load(create_client(folder, "a", Role.TRADER, tmp_path / "a.key", streams=("trade",)))
    second = ClientKeys.load(rotate_client(folder, "a", tmp_path / "b.key", window=60))
    assert (second.name, second.role, second.gateway) == (first.name, first.role, first.gateway)
    former, present = known_client(folder, "a").keys
    assert (former.id, present.id) == (first.key_id, second.key_id)
    assert present.until is None
    assert former.until is not None
    assert (former.until - present.made).total_seconds() == 60
    ring = GatewayKeys.load(folder).ring
    assert {first.key_id, second.key_id} == set(ring.by_id)
    third = rotate_client(folder, "a", tmp_path / "c.key", window=3600)
    ends = [key.until for key in known_client(folder, "a").keys]
    assert ends[0] == former.until, "another rotation never makes a key live longer"
    assert ends[1] is not None
    assert ends[2] is None
    now = ClientKeys.load(third).key_id
    rotate_client(folder, "a", tmp_path / "d.key", window=0)
    valid = set(GatewayKeys.load(folder).ring.by_id)
    assert len(valid) == 1
    assert not valid & {first.key_id, second.key_id, now}


def test_a_new_file_has_a_name_of_its_own(folder: Path, tmp_path: Path) -> None:
    create_client(folder, "a", Role.TRADER, tmp_path / "a.key")
    path = rotate_client(folder, "a")
    assert path.name == f"a-{ClientKeys.load(path).key_id}.key"


@pytest.mark.parametrize("window", [-1.0, 1e12, float("nan")])
def test_a_window_is_one(folder: Path, tmp_path: Path, window: float) -> None:
    create_client(folder, "a", Role.TRADER, tmp_path / "a.key")
    with pytest.raises(KeyFileError, match="window"):
        rotate_client(folder, "a", tmp_path / "b.key", window=window)


# ---- revocation ----


def test_a_revoked_name_is_never_made_again(folder: Path, tmp_path: Path) -> None:
    keys = ClientKeys.load(create_client(folder, "a", Role.TRADER, tmp_path / "a.key"))
    assert revoke_client(folder, "a") == [keys.key_id]
    assert revoke_client(folder, "a") == []
    assert GatewayKeys.load(folder).ring.by_id == {}
    with pytest.raises(KeyFileError, match="for good"):
        create_client(folder, "a", Role.TRADER, tmp_path / "b.key")
    with pytest.raises(KeyFileError, match="for good"):
        rotate_client(folder, "a", tmp_path / "b.key")
    assert not (tmp_path / "b.key").exists()


def test_one_key_of_a_client_is_revoked(folder: Path, tmp_path: Path) -> None:
    first = ClientKeys.load(create_client(folder, "a", Role.TRADER, tmp_path / "a.key"))
    second = ClientKeys.load(rotate_client(folder, "a", tmp_path / "b.key"))
    with pytest.raises(KeyFileError, match="has no key 0123"):
        revoke_client(folder, "a", "0123")
    assert revoke_client(folder, "a", first.key_id) == [first.key_id]
    assert set(GatewayKeys.load(folder).ring.by_id) == {second.key_id}
    with pytest.raises(KeyFileError, match="there already.*keys rotate a"):
        create_client(folder, "a", Role.TRADER, tmp_path / "c.key")
    with pytest.raises(KeyFileError, match="no client nobody"):
        revoke_client(folder, "nobody")


def test_a_revocation_does_not_depend_on_the_clock(folder: Path, tmp_path: Path) -> None:
    create_client(folder, "a", Role.TRADER, tmp_path / "a.key")
    entry = folder / "clients" / "a.json"
    key = json.loads(entry.read_text())["keys"][0]
    change(entry, keys=[key | {"revoked": "2999-01-01T00:00:00Z"}])
    assert GatewayKeys.load(folder).ring.by_id == {}


# ---- the log, and several at once ----


def test_every_change_is_written_down(folder: Path, tmp_path: Path) -> None:
    first = ClientKeys.load(create_client(folder, "a", Role.TRADER, tmp_path / "a.key")).key_id
    second = ClientKeys.load(rotate_client(folder, "a", tmp_path / "b.key")).key_id
    revoke_client(folder, "a")
    lines = [line.split() for line in (folder / "changes.log").read_text().splitlines()]
    assert [line[1:] for line in lines[1:]] == [
        *(["new", "a", first], ["rotate", "a", second], ["revoke", "a", first], ["revoke", "a", second])
    ]
    assert lines[0][1:3] == ["init", "gateway"]
    for moment, *_ in lines:
        assert datetime.fromisoformat(moment.replace("Z", "+00:00")).tzinfo == timezone.utc


def test_a_change_that_cannot_be_written_down_says_that_it_was_done(folder: Path, tmp_path: Path) -> None:
    create_client(folder, "a", Role.TRADER, tmp_path / "a.key")
    (folder / "changes.log").unlink()
    with pytest.raises(KeyFileError, match="it was done, but not written to"):
        revoke_client(folder, "a")
    assert known_client(folder, "a").keys[0].revoked


ROTATOR = """
import sys
from pathlib import Path
from mt5crs.security.keys import rotate_client
sys.stdin.read()
for number in range(5):
    rotate_client(Path("keys"), "a", Path(f"{sys.argv[1]}-{number}.key"))
"""


def test_commands_at_once_do_not_lose_each_others_changes(folder: Path, tmp_path: Path) -> None:
    create_client(folder, "a", Role.TRADER, tmp_path / "a.key")
    started = [
        subprocess.Popen([sys.executable, "-c", ROTATOR, str(n)], cwd=tmp_path, stdin=subprocess.PIPE)
        for n in range(4)
    ]
    for each in started:
        assert each.stdin
        each.stdin.close()
    assert [each.wait(60) for each in started] == [0] * 4
    keys = known_client(folder, "a").keys
    assert len(keys) == 21
    files = [ClientKeys.load(path).key_id for path in tmp_path.glob("*.key")]
    assert sorted(files) == sorted(key.id for key in keys)
    assert len((folder / "changes.log").read_text().splitlines()) == 22


def test_only_one_gateway_is_made(tmp_path: Path) -> None:
    made: list[object] = []

    def make() -> None:
        try:
            made.append(create_gateway(tmp_path / "keys"))
        except KeyFileError as error:
            made.append(error)

    threads = [threading.Thread(target=make) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sum(isinstance(each, Path) for each in made) == 1
    assert all("there already" in str(each) for each in made if isinstance(each, KeyFileError))


def test_a_lock_that_is_not_given_back_is_an_error(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "PATIENCE", 0.05)
    with folders.locked(folder):
        with pytest.raises(KeyFileError, match="cannot be locked.*another command"):
            create_client(folder, "a", Role.TRADER, tmp_path / "a.key")
    create_client(folder, "a", Role.TRADER, tmp_path / "a.key")


KILLED = """
import os, sys
from pathlib import Path
from mt5crs import private
from mt5crs.security import folder, keys
point = sys.argv[1]
def die(*_, **__): os.kill(os.getpid(), 9)
setattr(*{
    "before-file": (private, "create", die),
    "before-entry": (private, "replace", die),
    "before-name": (Path, "replace", die),
    "before-log": (private, "append", die),
}[point])
keys.rotate_client(Path("keys"), "a", Path("b.key"))
"""


@pytest.mark.parametrize("point", ["before-file", "before-entry", "before-name", "before-log"])
def test_a_command_that_is_killed_leaves_whole_files(folder: Path, tmp_path: Path, point: str) -> None:
    create_client(folder, "a", Role.TRADER, tmp_path / "a.key")
    done = subprocess.run([sys.executable, "-c", KILLED, point], cwd=tmp_path, check=False, timeout=30)
    assert done.returncode == -9
    assert len(known_client(folder, "a").keys) == (2 if point == "before-log" else 1)
    assert (tmp_path / "b.key").exists() == (point != "before-file")
    for path in tmp_path.glob("*.key"):
        ClientKeys.load(path)
    assert GatewayKeys.load(folder).ring.problems == []
    rotate_client(folder, "a", tmp_path / "c.key")


def test_the_client_side_needs_no_signing_library_to_connect(folder: Path, tmp_path: Path) -> None:
    path = create_client(folder, "a", Role.OBSERVER, tmp_path / "a.key")
    code = (
        "import sys; sys.modules['nacl'] = None\n"
        "from pathlib import Path\nfrom mt5crs.security.keys import ClientKeys\n"
        f"keys = ClientKeys.load(Path({str(path)!r}))\n"
        "try: keys.signer\nexcept Exception as error: print(type(error).__name__, error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout.startswith("SettingError keys need PyNaCl")


def test_the_default_window_is_a_day() -> None:
    assert making.WINDOW == 86_400

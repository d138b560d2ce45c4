"""Key files whose secrets a passphrase encrypts."""

import json
import time
import traceback
from pathlib import Path
from typing import Any

import pytest

from mt5crs.errors import SettingError
from mt5crs.security import sealing
from mt5crs.security.keyfiles import KeyFileError
from mt5crs.security.keys import ClientKeys, GatewayKeys, create_client, create_gateway
from mt5crs.security.policy import Role
from mt5crs.security.sealing import WrongPassphrase, seal, unseal

PHRASE = "correct horse  "


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "MEMORY", 8192)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    create_gateway(tmp_path / "keys", passphrase=PHRASE)
    return tmp_path / "keys"


@pytest.fixture
def file(folder: Path, tmp_path: Path) -> Path:
    """A client's file; making it needs no passphrase of the gateway's."""
    return create_client(folder, "a", Role.TRADER, tmp_path / "a.key", passphrase=PHRASE)


def test_the_right_one_opens_the_file(folder: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MT5_KEYS_PASSPHRASE", PHRASE)
    client, gateway = ClientKeys.load(file), GatewayKeys.load(folder)
    assert gateway.ring.by_curve[client.public].signing == client.signer.public
    assert client.gateway_signing == gateway.signer.public
    for path, secret in ((file, client.secret), (folder / "gateway.json", gateway.secret)):
        content = path.read_text()
        assert secret.decode() not in content
        assert not {"secret", "seed"} & json.loads(content).keys()


@pytest.mark.parametrize("given", ["hunter2", PHRASE.strip(), PHRASE.upper(), "ä\udcff"])
def test_a_wrong_one_says_so(folder: Path, file: Path, monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv("MT5_KEYS_PASSPHRASE", given)
    for load in (lambda: ClientKeys.load(file), lambda: GatewayKeys.load(folder)):
        with pytest.raises(KeyFileError, match="the passphrase does not open .*(wrong|damaged)") as refused:
            load()
        assert given not in "".join(traceback.format_exception(refused.value))


def test_without_one_and_without_a_terminal_it_says_where_it_may_be(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for stdin in (open("/dev/null"), None):  # noqa: PTH123, SIM115
        monkeypatch.setattr("sys.stdin", stdin)
        with pytest.raises(KeyFileError, match=r"a\.key needs a passphrase.*MT5_KEYS_PASSPHRASE_FILE"):
            ClientKeys.load(file)
        if stdin:
            stdin.close()


def test_one_in_a_file(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "passphrase"
    path.write_text(PHRASE + "\n")
    path.chmod(0o600)
    monkeypatch.setenv("MT5_KEYS_PASSPHRASE_FILE", str(path))
    assert ClientKeys.load(file).name == "a"
    path.chmod(0o644)
    with pytest.raises(SettingError, match="can be read by others"):
        ClientKeys.load(file)


@pytest.mark.parametrize(
    "change",
    [
        {"memory": 2**40},
        {"memory": 257 * 1024 * 1024},
        {"memory": 1},
        {"memory": -1},
        {"passes": 0},
        {"passes": 9},
        {"passes": 2**31},
        {"salt": "AAAA"},
        {"box": "AAAA"},
        {"box": "A" * 100_000},
        {"more": 1},
    ],
)
def test_hostile_parameters_cost_nothing(
    file: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    monkeypatch.setenv("MT5_KEYS_PASSPHRASE", PHRASE)
    content = json.loads(file.read_text())
    content["sealed"] |= change
    file.write_text(json.dumps(content))
    started = time.process_time()
    with pytest.raises(KeyFileError, match=r"a\.key (is not a key file|cannot be read)"):
        ClientKeys.load(file)
    assert time.process_time() - started < 1


def test_a_box_that_was_changed_does_not_open(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MT5_KEYS_PASSPHRASE", PHRASE)
    content = json.loads(file.read_text())
    box = content["sealed"]["box"]
    content["sealed"]["box"] = ("B" if box[0] == "A" else "A") + box[1:]
    file.write_text(json.dumps(content))
    with pytest.raises(KeyFileError, match="does not open"):
        ClientKeys.load(file)


def test_another_files_box_is_noticed(folder: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MT5_KEYS_PASSPHRASE", PHRASE)
    content = json.loads(file.read_text())
    content["sealed"] = json.loads((folder / "gateway.json").read_text())["sealed"]
    file.write_text(json.dumps(content))
    with pytest.raises(KeyFileError, match="not a pair"):
        ClientKeys.load(file)


def test_the_real_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert (sealing.PASSES, sealing.MEMORY) == (3, 64 * 1024 * 1024)
    sealed = seal("x", b"s" * 32, b"t" * 32)
    assert (sealed.passes, sealed.memory) == (3, 64 * 1024 * 1024)
    assert unseal("x", sealed) == (b"s" * 32, b"t" * 32)
    with pytest.raises(WrongPassphrase):
        unseal("y", sealed)


def test_too_little_memory_says_so(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nacl import exceptions, pwhash

    def fail(*_: object) -> bytes:
        raise exceptions.RuntimeError("Key derivation failed")

    monkeypatch.setenv("MT5_KEYS_PASSPHRASE", PHRASE)
    monkeypatch.setattr(pwhash.argon2id, "kdf", fail)
    with pytest.raises(KeyFileError, match="needs 0 MiB of memory"):
        ClientKeys.load(file)


def test_the_same_passphrase_makes_another_box_each_time() -> None:
    boxes = [seal(PHRASE, b"s" * 32, b"t" * 32) for _ in range(2)]
    assert boxes[0].salt != boxes[1].salt
    assert boxes[0].box[:24] != boxes[1].box[:24]

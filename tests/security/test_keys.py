"""Key files: private, never overwritten, refused when they are damaged."""

import json
import stat
from pathlib import Path

import pytest

from mt5crs.security.keys import ClientKeys, GatewayKeys, KeyFileError, create_client, create_gateway
from mt5crs.security.policy import Role


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    create_gateway(tmp_path / "keys")
    return tmp_path / "keys"


def test_a_client_and_its_gateway_know_each_other(folder: Path, tmp_path: Path) -> None:
    path = create_client(folder, "inf-1", Role.TRADER, tmp_path / "inf-1.key")
    client, gateway = ClientKeys.load(path), GatewayKeys.load(folder)
    assert client.gateway == gateway.public
    assert gateway.clients[client.public].name == "inf-1"
    assert gateway.clients[client.public].role is Role.TRADER


def test_what_holds_a_secret_is_private(folder: Path, tmp_path: Path) -> None:
    path = create_client(folder, "a", Role.OBSERVER, tmp_path / "a.key")
    for private in (path, folder / "gateway.json"):
        assert stat.S_IMODE(private.stat().st_mode) == 0o600


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_a_secret_that_others_can_read_is_refused(folder: Path, tmp_path: Path, mode: int) -> None:
    path = create_client(folder, "a", Role.OBSERVER, tmp_path / "a.key")
    path.chmod(mode)
    with pytest.raises(KeyFileError, match="can be read by others.*chmod 600"):
        ClientKeys.load(path)
    (folder / "gateway.json").chmod(mode)
    with pytest.raises(KeyFileError, match="can be read by others"):
        GatewayKeys.load(folder)


def test_keys_are_never_overwritten(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="there already"):
        create_gateway(folder)
    first = create_client(folder, "a", Role.OBSERVER, tmp_path / "a.key").read_bytes()
    with pytest.raises(KeyFileError, match="there already"):
        create_client(folder, "a", Role.ADMIN, tmp_path / "a.key")
    with pytest.raises(KeyFileError, match="there already"):
        create_client(folder, "a", Role.ADMIN, tmp_path / "other.key")
    assert (tmp_path / "a.key").read_bytes() == first
    assert not (tmp_path / "other.key").exists()


@pytest.mark.parametrize("name", ["", "../x", "a b", "a/b", "x" * 65, "."])
def test_a_name_is_a_name(folder: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(KeyFileError, match="cannot name a client"):
        create_client(folder, name, Role.TRADER, tmp_path / "x.key")


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b'{"name": 1}', b"[]"])
def test_a_damaged_file_is_named(folder: Path, tmp_path: Path, content: bytes) -> None:
    path = create_client(folder, "a", Role.OBSERVER, tmp_path / "a.key")
    path.write_bytes(content)
    with pytest.raises(KeyFileError, match=r"a\.key is not a key file"):
        ClientKeys.load(path)


def test_a_missing_file_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="mt5crs keys"):
        ClientKeys.load(tmp_path / "none.key")


def test_no_secret_in_a_repr(folder: Path, tmp_path: Path) -> None:
    path = create_client(folder, "a", Role.OBSERVER, tmp_path / "a.key")
    client, gateway = ClientKeys.load(path), GatewayKeys.load(folder)
    assert client.secret.decode() not in repr(client)
    assert gateway.secret.decode() not in repr(gateway)


@pytest.mark.parametrize("public", ["short", "x" * 39, "x" * 41, "ä" * 40, '"' * 40])
def test_what_is_no_key_is_refused_at_once(folder: Path, public: str) -> None:
    (folder / "clients" / "a.json").write_text(
        json.dumps({"name": "a", "role": "trader", "public": public}), encoding="utf-8"
    )
    with pytest.raises(KeyFileError, match=r"a\.json is not a key file"):
        GatewayKeys.load(folder)


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

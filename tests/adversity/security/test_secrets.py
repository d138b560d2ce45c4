"""Secrets: they are in the files that are for them, and nowhere else."""

import json
import subprocess
import sys
import traceback
from pathlib import Path

import msgspec
import psutil
import pytest

from mt5crs import Client
from mt5crs.errors import KeyRefused
from mt5crs.security import keyfiles
from mt5crs.security.keys import ClientKeys, GatewayKeys, create_client
from mt5crs.security.policy import Role
from tests.adversity.security.defences import environment
from tests.adversity.security.scene import BUY, Scene
from tests.cli.commands import process

PASSWORD = "the-brokers-own-password-1"  # noqa: S105 - made up
LOGIN_PASSWORD = "another-password-of-the-broker-2"  # noqa: S105 - made up
PASSPHRASE = "a passphrase that nobody else knows 3"  # noqa: S105 - made up


def secrets_of(*files: Path) -> set[str]:
    """Return the secrets in key files, in each form in which they could turn up."""
    found: set[str] = set()
    for file in files:
        content = json.loads(file.read_text())
        for name in ("secret", "seed"):
            raw = keyfiles.raw(content[name])
            found |= {content[name], raw.hex(), repr(raw)[2:-1], raw.decode("latin-1")}
    return found


def found_in(secrets: set[str], *texts: str) -> list[str]:
    return [secret for secret in secrets for text in texts if secret in text]


def test_no_secret_is_shown_or_kept_anywhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MT5_PASSWORD", PASSWORD)
    monkeypatch.setenv("MT5_KEYS_PASSPHRASE", PASSPHRASE)
    scene = Scene(tmp_path)
    tim = scene.key_file(Role.TRADER, "tim")
    sealed = create_client(scene.keys, "ada", Role.ADMIN, tmp_path / "ada.key", passphrase=PASSPHRASE)
    secrets = secrets_of(scene.keys / "gateway.json", tim, tmp_path / "owner.key")
    secrets |= {PASSWORD, LOGIN_PASSWORD, PASSPHRASE}
    at = ("--port", str(scene.gateway.port), "--timeout", "2")
    texts: list[str] = []
    try:
        with scene.client(tim) as client:
            account = client.account_info()
            assert account is not None
            assert client.order_send(BUY)
            assert not client.login(account.login, LOGIN_PASSWORD, account.server)
            assert not client.initialize(login=account.login, password=LOGIN_PASSWORD, server=account.server)
            texts += [repr(client), str(client.ping()), str(client.limits()), str(vars(client._core))]
        with scene.client(sealed) as admin:
            assert admin.account_info()
            texts += [repr(admin), str(vars(admin._core))]
        commands = (
            ("positions", "--json"), ("limits", "--json"), ("health",), ("ping", "--count", "1"),
        )  # fmt: skip
        for command in commands:
            done = process(*command, *at, MT5_KEYS=str(tim))
            assert done.code == 0, done.err
            texts += [done.out, done.err]
        for command in (("keys", "list"), ("keys", "list", "--json"), ("keys", "show", "tim")):
            done = process(*command, "--keys", str(scene.keys))
            assert done.code == 0, done.err
            texts += [done.out, done.err]
        running = psutil.Process(scene.gateway.process.pid)
        texts += [" ".join(each.cmdline()) for each in (running, *running.children(recursive=True))]
        texts.append(scene.gateway.ready_file.read_text())
    finally:
        scene.end()
    done = process("journal", "list", "--json", "--journal", str(scene.journal))
    texts += [done.out, done.err, scene.gateway.log.read_text()]
    for file in (scene.journal, tim.with_name("tim.key.heads"), scene.keys / "changes.log"):
        texts.append(file.read_bytes().decode("latin-1"))
    assert (scene.keys / "changes.log").stat().st_size
    assert all(texts[:3])
    assert not found_in(secrets, *texts)


def test_a_search_for_secrets_finds_them_where_they_are(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.end()
    file = scene.folder / "owner.key"
    assert found_in(secrets_of(file), file.read_text())
    decoded = keyfiles.decode(file, file.read_bytes(), keyfiles.ClientFile)
    assert found_in(secrets_of(file), msgspec.Struct.__repr__(decoded)), (
        "what its own __repr__ keeps to itself"
    )


def test_objects_and_tracebacks_do_not_show_them(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    file, own = tmp_path / "owner.key", scene.keys / "gateway.json"
    secrets = secrets_of(file, own)
    keys, gateway_keys = ClientKeys.load(file), GatewayKeys.load(scene.keys)
    decoded = keyfiles.decode(file, file.read_bytes(), keyfiles.ClientFile)
    shown = [
        form(each)
        for each in (keys, keys.signer, gateway_keys, gateway_keys.signer, gateway_keys.ring, decoded)
        for form in (repr, str)
    ]
    (scene.keys / "clients" / "owner.json").write_text("garbage")
    try:
        with scene.client(file, timeout=1.0) as shut_out, pytest.raises(KeyRefused) as caught:
            for _ in range(10_000):
                shut_out.version()
        shown += ["".join(traceback.format_exception(caught.value)), repr(shut_out), str(caught.value)]
        told = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
        ours = [frame for frame in told.stack if frame.filename != __file__]  # this one knows the secrets
        assert ours
        shown += [f"{frame.name} {frame.locals}" for frame in ours]
    finally:
        scene.end()
    shown.append(scene.gateway.log.read_text())
    assert all(shown)
    assert not found_in(secrets, *shown)


@pytest.mark.parametrize("without", [(), ("private files",)], ids=["defended", "undefended"])
def test_a_key_file_that_others_can_read_is_not_used(without: tuple[str, ...], tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    try:
        key = tmp_path / "owner.key"
        key.chmod(0o644)
        done = subprocess.run(
            [sys.executable, "-m", "mt5crs", "ping", "--count", "1", "--port", str(scene.gateway.port)],
            capture_output=True,
            text=True,
            timeout=30.0,
            env={**environment(*without or ("roles",)), "MT5_KEYS": str(key)},  # roles are not for clients
            check=False,
        )
    finally:
        scene.end()
    if without:
        assert done.returncode == 0, done.stderr
    else:
        assert done.returncode == 2
        assert "can be read by others" in done.stderr
        assert f"chmod 600 {key}" in done.stderr
        assert not found_in(secrets_of(key), done.stderr, done.stdout)


def test_a_client_needs_its_key_file_to_be_private_too(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.end()
    (tmp_path / "owner.key").chmod(0o640)
    with pytest.raises(keyfiles.KeyFileError, match="can be read by others"):
        Client("127.0.0.1", 1, keys=tmp_path / "owner.key")

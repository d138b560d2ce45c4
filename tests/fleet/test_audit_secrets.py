"""What looks like a secret, and what does not."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from mt5crs.fleet.audit.secrets import KINDS, MOST, find
from mt5crs.security.keys import create_client, create_gateway
from mt5crs.security.policy import Role
from tests.fleet.project import aws, random


def client_key(folder: Path, passphrase: str = "") -> str:
    create_gateway(folder / "keys")
    create_client(folder / "keys", "ann", Role.TRADER, folder / "ann.key", passphrase=passphrase)
    return (folder / "ann.key").read_text()


def ssh_key(folder: Path) -> str:
    path = folder / "id"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True, timeout=30)
    return path.read_text()


PASSWORD = "MT5_" + "PASSWORD"
MADE: dict[str, list[Callable[[Path], str]]] = {
    "mt5crs key": [client_key],
    "mt5crs key with a passphrase": [lambda folder: client_key(folder, "a passphrase")],
    "ZeroMQ CURVE key": [lambda _: 'curve\n    secret-key = "' + random(40) + '"\n'],
    "private key": [
        ssh_key,
        lambda folder: json.dumps({"private_key": ssh_key(folder)}),
        lambda _: f"-----BEGIN RSA {'PRIVATE'} KEY-----\nProc-Type: 4,ENCRYPTED\n\n{random(64)}\n",
    ],
    "PuTTY key": [
        lambda _: f"PuTTY-User-Key-File{'-3'}: ssh-ed25519\nComment: x\nPrivate-Lines: 1\n{random(40)}"
    ],
    "password of ours": [
        lambda _: f"{PASSWORD}=hunter2\n",
        lambda _: f"docker run -e {PASSWORD}=hunter2 image",
        lambda _: f'"{PASSWORD}": "hunter2 and more",',
        lambda _: f'setenv("{PASSWORD}", "hunter2")',
    ],
    "AWS access key": [lambda _: f"key: {aws()}"],
    "GitHub token": [lambda _: "ghp_" + random(36), lambda _: "github_pat_" + random(70)],
    "GitLab token": [lambda _: "glpat" + "-" + random(20)],
    "Slack token": [lambda _: "xoxb" + "-" + random(30)],
    "Slack webhook": [lambda _: f"https://hooks.slack.com{'/services'}/T01ABCDEF/B01ABCDEF/{random(24)}"],
    "Telegram bot token": [lambda _: "123456789" + ":AA" + random(33)],
    "Google API key": [lambda _: "AIza" + random(35)],
    "Stripe key": [lambda _: "sk_live" + "_" + random(24)],
    "PyPI token": [lambda _: "pypi-AgE" + random(60)],
    "npm token": [lambda _: "npm_" + random(36)],
    "OpenAI or Anthropic key": [lambda _: "sk-ant" + "-api03-" + random(80)],
    "password in an address": [lambda _: f"postgres://me:{random(12)}@db.example.org/x"],
    "secret assigned to a name": [
        lambda _: f'broker_password = "{random(16)}"',
        lambda _: f"'api-key': '{random(24)}'",
        lambda _: f'const TOKEN: "{random(24)}"',
    ],
    "secret assigned to a variable": [
        lambda _: f"DB_PASSWORD={random(16)}\n",
        lambda _: f"export token={random(24)}",
    ],
}


def kinds(content: bytes) -> set[str]:
    return {spot.kind for spot in find(content)}


@pytest.mark.parametrize("name", [kind.name for kind in KINDS])
def test_each_kind_is_found_wherever_it_is(name: str, tmp_path: Path) -> None:
    for number, make in enumerate(MADE[name]):
        (tmp_path / str(number)).mkdir()
        secret = make(tmp_path / str(number))
        lines = f"first\nsecond\n{secret}\n"
        assert name in kinds(secret.encode())
        assert name in kinds(lines.replace("\n", "\r\n").encode())
        assert name in kinds(lines.encode("utf-16")), "what PowerShell writes"
        found = [spot.line for spot in find(lines.encode()) if spot.kind == name]
        assert min(found) >= 3
        if "assigned to a variable" not in name:  # that is a whole line
            assert name in kinds(b"\0\xff\n" + secret.encode() + b"\n\0\0"), "in a binary"


def test_only_what_somebody_made_is_a_secret() -> None:
    digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
    for line in (
        f"--hash=sha256:{digest}",
        f'revision = "{digest}"',
        f"{PASSWORD}=",
        f"{PASSWORD}=<your password>",
        f"{PASSWORD}=$BROKER_PASSWORD",
        f"{PASSWORD}=changeme",
        f"{PASSWORD}=xxxxxxxx",
        f'PASSWORD = "{PASSWORD}"',
        f'frozenset({{"{PASSWORD}", "MT5_KEYS_PASSPHRASE"}})',
        f"process({PASSWORD}=PHRASE)",
        'password = "correct horse"',
        'token = "the-stream-token"',
        "password = getpass.getpass()",
        "https://user:password@example.org/",
        "-----BEGIN PRIVATE KEY-----",
        "AKIAIOSFODNN7EXAMPLE",
        '"secret": "short"',
    ):
        assert kinds(line.encode()) == set(), line


def test_a_password_that_only_looks_like_a_placeholder_is_found() -> None:
    for line in (
        f"{PASSWORD}=TRADER_2024_GO",
        f"{PASSWORD}='my-Str0ng!Pass99x'",
        f"{PASSWORD}=$ecret99x",
        f"os.environ['{PASSWORD}'] = 'hunter2'",
        f"setx {PASSWORD} hunter2",
    ):
        assert "password of ours" in kinds(line.encode()), line
    for line in (
        "${BROKER}",
        "$BROKER_PASSWORD",
        "$env:BROKER",
        "%BROKER%",
        "<put it here>",
        "your-password",
    ):
        assert kinds(f"{PASSWORD}='{line}'".encode()) == set(), line


def test_our_key_is_found_in_every_form(tmp_path: Path) -> None:
    for passphrase, kind in (("", "mt5crs key"), ("a passphrase", "mt5crs key with a passphrase")):
        folder = tmp_path / kind.replace(" ", "-")
        folder.mkdir()
        text = client_key(folder, passphrase)
        fields = json.loads(text)
        inner = fields.get("sealed", fields)
        listed = "".join(f"  {name}: {value}\n" for name, value in inner.items())
        assigned = "".join(f"{name} = '{value}'\n" for name, value in inner.items())
        for form in (
            *(repr(fields), json.dumps({"file": text}), json.dumps([fields])),
            *((f"sealed:\n{listed}",) if passphrase else (listed, assigned)),
        ):
            assert kind in kinds(form.encode()), form[:20]
        assert kind in kinds(text.encode("utf-16-le"))
        assert kind in kinds(b"# notes\n" + text.encode("utf-16-be"))
        assert kind in kinds(b"\xff\xfe" + text.encode())


def test_a_mark_before_the_first_line_hides_nothing() -> None:
    assert kinds(f"\ufeffDB_PASSWORD={random(16)}".encode()) == {"secret assigned to a variable"}


def test_a_content_with_very_many_is_told_of_in_part() -> None:
    content = b"".join(b"%s\n" % aws().encode() for _ in range(MOST + 5))
    assert [spot.line for spot in find(content)] == list(range(1, MOST + 1))


def test_one_line_is_told_once_and_each_line_by_its_number() -> None:
    content = "\n".join(["x", f"{aws()} {aws()}", "y", aws()]).encode()
    assert [spot.line for spot in find(content)] == [2, 4]


def test_whatever_the_bytes_are_the_search_ends() -> None:
    header = b"-----BEGIN PRIVATE KEY-----"
    for content in (
        *(b"", b"\xff\xfe", b"\xff\xfe\x00", b"a" * 1_000_000, bytes(1_000_000)),
        *(part * 50_000 for part in (b"password=", b'"secret":', b"://a:", b"-token", header)),
    ):
        assert kinds(content) == set()

"""Secrets by name: a private file, the environment, the keyring; nothing else, and nothing is handed on."""

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from mt5crs.errors import SettingError
from mt5crs.security import secrets

NAME = secrets.PASSWORD


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text("in the file\n")
    path.chmod(0o600)
    return path


class KeyringError(Exception):
    """As the package has it."""


def keyring(monkeypatch: pytest.MonkeyPatch, kept: dict[tuple[str, str], str] | None) -> None:
    """Install a stand-in of the `keyring` package; without a backend where there is nothing to keep."""

    def get_password(service: str, user: str) -> str | None:
        if kept is None:
            raise KeyringError("no backend")
        return kept.get((service, user))

    module = ModuleType("keyring")
    module.__dict__.update(get_password=get_password, errors=ModuleType("keyring.errors"))
    module.__dict__["errors"].__dict__["KeyringError"] = KeyringError
    monkeypatch.setitem(sys.modules, "keyring", module)


def test_the_first_place_that_has_it_wins(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (secrets.find(NAME), secrets.is_given(NAME)) == (None, False)
    keyring(monkeypatch, {("mt5crs", NAME): "in the keyring"})
    assert (secrets.find(NAME), secrets.is_given(NAME)) == ("in the keyring", False)
    monkeypatch.setenv(NAME, "in the environment")
    assert (secrets.find(NAME), secrets.is_given(NAME)) == ("in the environment", True)
    monkeypatch.setenv(f"{NAME}_FILE", str(path))
    assert (secrets.find(NAME), secrets.is_given(NAME)) == ("in the file", True)


def test_an_empty_value_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    keyring(monkeypatch, {("mt5crs", NAME): ""})
    monkeypatch.setenv(NAME, "")
    monkeypatch.setenv(f"{NAME}_FILE", "")
    assert (secrets.find(NAME), secrets.is_given(NAME)) == (None, False)


def test_a_keyring_that_cannot_be_used_has_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    keyring(monkeypatch, None)
    assert secrets.find(NAME) is None


def test_a_dotenv_file_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text(f"{NAME}=shared\n")
    assert secrets.find(NAME) is None


@pytest.mark.parametrize(
    ("content", "expected"),
    [("a b\n", "a b"), ("a b \r\n", "a b "), ("pässwörd", "pässwörd"), (" x", " x"), ("a\tb", "a\tb")],
)
def test_one_line_is_the_secret(
    path: Path, monkeypatch: pytest.MonkeyPatch, content: str, expected: str
) -> None:
    path.write_bytes(content.encode())
    monkeypatch.setenv(f"{NAME}_FILE", str(path))
    assert secrets.find(NAME) == expected


@pytest.mark.parametrize("content", [b"", b"\n", b"a\nb\n", b"a\n\n", b"\xff", b"a\0b", b"x" * 70_000])
def test_what_is_not_one_line_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    path.write_bytes(content)
    monkeypatch.setenv(f"{NAME}_FILE", str(path))
    monkeypatch.setenv(NAME, "in the environment")
    with pytest.raises(SettingError, match="MT5_PASSWORD_FILE: ") as refused:
        secrets.find(NAME)
    assert "a\nb" not in str(refused.value)


def test_a_file_that_others_can_read_or_that_is_none_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{NAME}_FILE", str(path))
    path.chmod(0o640)
    with pytest.raises(SettingError, match="can be read by others.*chmod 600"):
        secrets.find(NAME)
    path.unlink()
    with pytest.raises(SettingError, match="cannot be read: No such file"):
        secrets.find(NAME)
    monkeypatch.setenv(f"{NAME}_FILE", "~nobody-of-this-name/x")
    with pytest.raises(SettingError, match="MT5_PASSWORD_FILE"):
        secrets.find(NAME)


def test_what_is_withdrawn_is_known_and_not_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (secrets.PASSWORD, secrets.PASSPHRASE):
        monkeypatch.setenv(name, f"value of {name}")
    with secrets.withdrawn():
        for name in (secrets.PASSWORD, secrets.PASSPHRASE):
            assert secrets.find(name) == f"value of {name}"
            assert secrets.is_given(name)
            assert name not in os.environ
        code = "import os; print(*os.environ)"
        child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert not {secrets.PASSWORD, secrets.PASSPHRASE} & set(child.stdout.split())
    assert secrets.find(secrets.PASSWORD) is None

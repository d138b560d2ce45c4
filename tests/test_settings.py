"""Where settings come from, what they must be, and what is said when they are not."""

import io
import os
import stat
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import dotenv
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mt5crs import settings
from mt5crs.errors import SettingError
from mt5crs.settings import Settings, address, make_dotenv

ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current directory, which has no `.env` and none above it."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def no_dotenv(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have python-dotenv look as if it was not installed."""
    monkeypatch.setitem(sys.modules, "dotenv", None)


def read(
    flags: Mapping[str, object] = {},
    environ: Mapping[str, str] = {},
    *,
    dotenv: Path | None = None,
    bind: bool = False,
) -> Settings:
    return Settings.read(flags, environ=environ, dotenv=dotenv, bind=bind)


def refusal(
    flags: Mapping[str, object] = {}, environ: Mapping[str, str] = {}, *, dotenv: Path | None = None
) -> str:
    with pytest.raises(SettingError) as caught:
        read(flags, environ, dotenv=dotenv)
    return str(caught.value)


class TestPrecedence:
    def test_defaults(self) -> None:
        found = read()
        assert tuple(found[:-1]) == ("127.0.0.1", 5555, 5556, 5.0, None, "none", None, None)
        assert {found.source_of(field) for field in Settings._fields[:-1]} == {"the default"}

    @pytest.mark.parametrize(
        ("flag", "variable", "line", "host", "source"),
        [
            ("flag", "variable", "line", "flag", "the argument host"),
            ("flag", None, "line", "flag", "the argument host"),
            ("flag", None, None, "flag", "the argument host"),
            (None, "variable", "line", "variable", "the environment"),
            (None, "variable", None, "variable", "the environment"),
            (None, None, "line", "line", ".env"),
            ("", "variable", "line", "variable", "the environment"),
            ("", " ", "line", "line", ".env"),
            ("", "", "", "127.0.0.1", "the default"),
        ],
    )
    def test_the_first_place_that_has_a_value_wins(
        self,
        *,
        folder: Path,
        flag: str | None,
        variable: str | None,
        line: str | None,
        host: str,
        source: str,
    ) -> None:
        if line is not None:
            (folder / ".env").write_text(f"MT5_HOST={line}\n")
        found = read({"host": flag}, {} if variable is None else {"MT5_HOST": variable})
        assert found.host == host
        assert found.source_of("host") == (str(folder / ".env") if source == ".env" else source)

    def test_each_setting_is_looked_for_on_its_own(self, folder: Path) -> None:
        (folder / ".env").write_text("MT5_HOST=gateway\nMT5_PORT=1111\nMT5_STREAM_PORT=2222\n")
        found = read({"timeout": 0.25}, {"MT5_PORT": "3333"})
        assert found[:5] == ("gateway", 3333, 2222, 0.25, None)

    def test_the_environment_of_the_process_is_the_default(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MT5_PORT", "4321")
        assert Settings.read().port == 4321

    def test_a_flag_that_is_no_setting_is_a_mistake_of_the_caller(self) -> None:
        with pytest.raises(TypeError, match="hots"):
            read({"hots": "gateway"})

    def test_settings_do_not_change(self) -> None:
        with pytest.raises(AttributeError):
            read().port = 1  # type: ignore[misc]


class TestValues:
    @pytest.mark.parametrize(
        "host", ["gtw", "gtw-1.lan.", "10.0.0.7", "localhost", "::1", "fe80::1%eth0", "1.example", "x"]
    )
    def test_hosts(self, host: str) -> None:
        assert read({"host": host}).host == host

    @pytest.mark.parametrize(
        "host",
        [
            *("tcp://10.0.0.7", "10.0.0.7:5555", "10.0.0.256", "10.0.7", "10..0.7", "[::1]", "*"),
            *("two words", "-gtw", "h\0", "h" * 300, "\uff11.\uff12.\uff13.\uff14", "gtw\n.lan"),
        ],
    )
    def test_wrong_hosts(self, host: str) -> None:
        assert "a host is a name or an address alone" in refusal({}, {"MT5_HOST": host})

    @pytest.mark.parametrize("host", ["192.168.x.x", "192.168.1.x", "10.X.X.X", "x.x.x.x"])
    def test_the_placeholder_of_the_example_is_not_taken_for_a_name(self, folder: Path, host: str) -> None:
        (folder / ".env").write_text(f"MT5_HOST={host}\n")
        assert refusal() == (
            f"MT5_HOST is '{host}' (from {folder / '.env'}): "
            "that is a placeholder, put in the address of the GTW node"
        )

    @pytest.mark.parametrize("port", [1, "1", 65_535, " 5555 "])
    def test_ports(self, port: object) -> None:
        assert read({"port": port}).port == int(str(port))

    @pytest.mark.parametrize(
        "port", ["abc", "0", "65536", "-1", "5_555", "5555.0", "\uff15\uff15", "9" * 70, "+1"]
    )
    @pytest.mark.parametrize(
        ("variable", "field"), [("MT5_PORT", "port"), ("MT5_STREAM_PORT", "stream_port")]
    )
    def test_wrong_ports(self, variable: str, field: str, port: str) -> None:
        right = "a port is a number from 1 to 65535"
        assert refusal({}, {variable: port}) == f"{variable} is {port!r} (from the environment): {right}"
        assert refusal({field: port}) == f"{variable} is {port!r} (from the argument {field}): {right}"

    @pytest.mark.parametrize("port", [True, 5555.0, 0])
    def test_flags_of_the_wrong_type(self, port: object) -> None:
        assert f"MT5_PORT is {port!r} (from the argument port)" in refusal({"port": port})

    def test_a_gateway_may_bind_any_free_port(self) -> None:
        assert read({"port": 0}, {"MT5_STREAM_PORT": "0"}, bind=True)[1:3] == (0, 0)
        with pytest.raises(SettingError, match="or 0 for any free one"):
            read({"port": -1}, bind=True)

    @pytest.mark.parametrize(
        ("text", "seconds"),
        [("5", 5.0), ("0.25", 0.25), (".5", 0.5), ("2.", 2.0), ("1e-05", 1e-05), (86_400, 86_400)],
    )
    def test_timeouts(self, text: object, seconds: float) -> None:
        assert read({"timeout": text}).timeout == seconds

    @pytest.mark.parametrize(
        "text", ["0", "-1", "nan", "inf", "5s", "1_0", ".", "e5", "1e999", "86401", "five", "0x5"]
    )
    def test_wrong_timeouts(self, text: str) -> None:
        assert refusal({}, {"MT5_TIMEOUT": text}) == (
            f"MT5_TIMEOUT is {text!r} (from the environment): "
            "a timeout is a number of seconds above 0 and at most 86400"
        )

    def test_keys_are_found_from_where_they_were_named(
        self, monkeypatch: pytest.MonkeyPatch, folder: Path
    ) -> None:
        (folder / ".env").write_text("MT5_KEYS=keys/client.key\n")
        below = folder / "below"
        below.mkdir()
        monkeypatch.chdir(below)
        assert read().keys == folder / "keys" / "client.key"
        assert read({"keys": "mine.key"}).keys == Path("mine.key")
        assert read({}, {"MT5_KEYS": str(folder / "a.key")}).keys == folder / "a.key"
        assert read({}, {"MT5_KEYS": "~/a.key"}).keys == Path.home() / "a.key"

    def test_wrong_keys(self) -> None:
        assert "MT5_KEYS is 'a\\x00b' (from the argument keys)" in refusal({"keys": "a\0b"})
        if sys.platform != "win32":  # there, any name is taken to have a home beside one's own
            assert "no home directory" in refusal({"keys": "~nobody-of-that-name/a.key"})

    @pytest.mark.parametrize("way", ["none", "zstd", "auto"])
    def test_compress(self, way: str) -> None:
        assert read({}, {"MT5_COMPRESS": way}).compress == way

    def test_wrong_compress(self) -> None:
        wrong = refusal({}, {"MT5_COMPRESS": "gzip"})
        assert "MT5_COMPRESS is 'gzip' (from the environment): it is one of none, zstd, auto" in wrong

    @pytest.mark.parametrize(("host", "shown"), [("gtw", "gtw:5555"), ("::1", "[::1]:5555")])
    def test_address(self, host: str, shown: str) -> None:
        assert address(host, 5555) == shown


class TestDotenvFile:
    def test_the_search_goes_up_to_the_first(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        deep = folder / "a" / "b" / "c"
        deep.mkdir(parents=True)
        monkeypatch.chdir(deep)
        (folder / ".env").write_text("MT5_HOST=far\nMT5_PORT=1234\n")
        assert read()[:2] == ("far", 1234)
        (folder / "a" / ".env").write_text("MT5_HOST=near\n")
        assert read()[:2] == ("near", 5555)

    def test_a_directory_of_that_name_is_passed_over(
        self, monkeypatch: pytest.MonkeyPatch, folder: Path
    ) -> None:
        (folder / ".env").write_text("MT5_HOST=gateway\n")
        (folder / "work" / ".env").mkdir(parents=True)
        monkeypatch.chdir(folder / "work")
        assert read().host == "gateway"

    def test_the_current_directory_may_be_gone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def gone() -> str:
            raise FileNotFoundError

        monkeypatch.setattr(os, "getcwd", gone)
        assert read().source_of("host") == "the default"

    def test_a_named_file_is_read_and_must_be_there(self, folder: Path) -> None:
        (folder / ".env").write_text("MT5_HOST=unused\n")
        (folder / "other").write_text("MT5_HOST=gateway\n")
        assert read(dotenv=folder / "other").host == "gateway"
        assert refusal(dotenv=folder / "none").startswith(f"{folder / 'none'} cannot be read: ")

    def test_a_file_that_may_not_be_read(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        (folder / ".env").write_text("")

        def denied(*_: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("builtins.open", denied)
        assert refusal() == f"{folder / '.env'} cannot be read: Permission denied"

    def test_a_file_that_is_not_utf8(self, folder: Path) -> None:
        (folder / ".env").write_bytes(b"# one\nMT5_HOST=\xff\xfe\n")
        assert refusal() == f"{folder / '.env'}, line 2 is not UTF-8 (save the file as UTF-8)"

    def test_a_byte_order_mark_is_no_part_of_a_name(self, folder: Path) -> None:
        (folder / ".env").write_bytes(b"\xef\xbb\xbfMT5_HOST=gateway\r\nMT5_PORT=1234\r\n")
        assert read()[:2] == ("gateway", 1234)

    @pytest.mark.parametrize(
        "line", ["MT5_HOST: gateway", "MT5_HOST 'gateway'", "MT5_HOST='gateway", "= gateway", "MT5_HOST"]
    )
    def test_a_malformed_line(self, folder: Path, line: str) -> None:
        (folder / ".env").write_text(f"# one\n\nMT5_PORT=5555\n\n{line}\n")
        assert refusal() == f"{folder / '.env'}, line 5 is not of the form NAME=value (correct the line)"

    @pytest.mark.parametrize(
        "line", ["MT5_HOST: gateway", "MT5_HOST='gateway", "MT5_HOST", 'A="a\\n"', "A=${B}"]
    )
    @pytest.mark.usefixtures("no_dotenv")
    def test_an_odd_line_without_python_dotenv(self, folder: Path, line: str) -> None:
        (folder / ".env").write_text(f"MT5_PORT=5555\n{line}\n")
        text = refusal()
        assert text.startswith(f"{folder / '.env'}, line 2 is not of the form NAME=value (correct it;")
        assert "python-dotenv" in text

    def test_what_only_python_dotenv_reads(self, folder: Path) -> None:
        (folder / ".env").write_text(
            'GTW=gateway\nMT5_HOST=${GTW}\nOTHER="two\nlines"\nHANDED_ON\nMT5_KEYS="a\\tb"\n',
            encoding="utf-8",
        )
        found = read()
        assert found.host == "gateway"
        assert found.keys == folder / "a\tb"

    def test_simple_files_do_without_python_dotenv(self, folder: Path) -> None:
        (folder / ".env").write_bytes((ROOT / ".env.example").read_bytes())
        script = "import sys; from mt5crs.settings import Settings; Settings.read(); print(*sys.modules)"
        loaded = run_python("-c", script, cwd=folder).stdout.split()
        assert not {"dotenv", "pathlib", "inspect", "dataclasses"} & set(loaded)

    def test_the_example_file_says_what_the_defaults_are(self, folder: Path) -> None:
        text = (ROOT / ".env.example").read_text(encoding="utf-8")
        (folder / "all").write_text(text.replace("# MT5_", "MT5_"), encoding="utf-8")
        found = read(dotenv=folder / "all")
        assert found[:4] == read(dotenv=ROOT / ".env.example")[:4] == read(dotenv=Path(os.devnull))[:4]
        assert found.keys == folder / "keys" / "client.key"

    @pytest.mark.usefixtures("no_dotenv")
    @pytest.mark.parametrize(
        ("line", "value"),
        [
            ("A=b", "b"),
            ("export A=b", "b"),
            (" A = b # note", "b"),
            ("A=b#c", "b#c"),
            ("A= # note", ""),
            ("A='b # c' # note", "b # c"),
            ('A="b"', "b"),
            ("A=", ""),
            ("A=C:\\keys", "C:\\keys"),
        ],
    )
    def test_simple_lines(self, line: str, value: str) -> None:
        assert settings._simple_lines(line) == ({"A": value}, 0)


WORD = st.text(st.sampled_from("abz 019_.,:;/=!()[]{}~*&%\u00a0\u00e9\u4e2d\u2028"), max_size=8)
SPACE = st.sampled_from(["", " ", "  ", "\t"])
NAME = st.sampled_from(["A", "b", "_", "MT5_HOST", "x9", "exported"])
COMMENTS = st.builds("{}{}{}".format, SPACE, st.sampled_from(["#", "# "]), WORD)
# A bare value that is nothing but a comment means other things to other versions of python-dotenv.
VALUES = st.one_of(
    st.builds("{0}{1}{0}{2}".format, st.sampled_from(["'", '"']), WORD, COMMENTS | st.just("")),
    st.builds("v{}{}".format, WORD, st.builds(" {}".format, COMMENTS) | SPACE),
    st.builds("{}#".format, WORD.filter(lambda word: bool(word.strip()))),
    st.just(""),
)
ASSIGNMENTS = st.builds(
    "{}{}{}{}={}{}".format, SPACE, st.sampled_from(["", "export ", "export\t"]), NAME, SPACE, SPACE, VALUES
)


@given(st.lists(ASSIGNMENTS | COMMENTS | SPACE, max_size=8), st.sampled_from(["\n", "\r\n"]))
def test_simple_lines_mean_what_they_mean_to_python_dotenv(content: list[str], newline: str) -> None:
    text = newline.join(content)
    found, odd = settings._simple_lines(text)
    assert not odd
    assert found == dotenv.dotenv_values(stream=io.StringIO(text), interpolate=False)


@given(st.text(st.sampled_from("AB= \t\n\r'\"#\\${}export"), max_size=40))
def test_what_is_taken_as_simple_never_differs_from_python_dotenv(text: str) -> None:
    found, odd = settings._simple_lines(text)
    if not odd and "= #" not in text.replace("\t", " "):
        assert found == dotenv.dotenv_values(stream=io.StringIO(text))


class TestMakeDotenv:
    def test_it_is_made_once_and_for_its_owner_only(self, tmp_path: Path) -> None:
        (tmp_path / ".env.example").write_bytes(b"MT5_HOST=127.0.0.1\r\n")
        assert make_dotenv(tmp_path)
        made = tmp_path / ".env"
        assert made.read_bytes() == b"MT5_HOST=127.0.0.1\r\n"
        if sys.platform != "win32":  # which has no such modes
            assert stat.S_IMODE(made.stat().st_mode) == 0o600
        assert {path.name for path in tmp_path.iterdir()} == {".env", ".env.example"}
        made.write_text("MT5_HOST=gateway\n")
        assert not make_dotenv(tmp_path)
        assert made.read_text() == "MT5_HOST=gateway\n"

    def test_one_that_appears_in_between_is_left_alone(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / ".env.example").write_text("MT5_HOST=127.0.0.1\n")
        (tmp_path / ".env").write_text("MT5_HOST=gateway\n")
        monkeypatch.setattr(os.path, "lexists", lambda _: False)
        assert not make_dotenv(tmp_path)
        assert (tmp_path / ".env").read_text() == "MT5_HOST=gateway\n"
        assert {path.name for path in tmp_path.iterdir()} == {".env", ".env.example"}

    def test_without_an_example(self, tmp_path: Path) -> None:
        with pytest.raises(SettingError, match=r"\.env cannot be made from \.env\.example: No such file"):
            make_dotenv(tmp_path)

    def test_as_a_command(self, tmp_path: Path) -> None:
        missing = run_python("-m", "mt5crs.settings", cwd=tmp_path)
        assert missing.returncode == 2
        assert missing.stderr.count("\n") == 1
        (tmp_path / ".env.example").write_text("MT5_HOST=127.0.0.1\n")
        assert run_python("-m", "mt5crs.settings", cwd=tmp_path).stdout == "made .env from .env.example\n"
        again = run_python("-m", "mt5crs.settings", cwd=tmp_path)
        assert (again.returncode, again.stdout) == (0, "there is a .env already\n")


def run_python(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a Python that has this checkout and no other package."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("MT5_")}
    return subprocess.run(
        [sys.executable, "-S", *arguments],
        cwd=cwd,
        env=environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

"""The one place where flag, environment, ``.env`` and default meet.

Each setting is looked for in this order, and the first place that has it wins:

1. the flag of a command, or the argument that a caller passed,
2. the environment variable of that name,
3. the line of that name in a ``.env`` file,
4. the default.

An empty value counts as unset. The ``.env`` file is the one in the current directory or, without one, in the
nearest directory above it; the search ends at the first that is found, so that files are never mixed. A
relative path in a ``.env`` file starts at the file's own folder, elsewhere at the current directory.

========================  =============  ===============================================================
variable (field)          default        what it is
========================  =============  ===============================================================
MT5_HOST (host)           127.0.0.1      the gateway's name or address
MT5_PORT (port)           5555           its port for requests, 1 to 65535
MT5_STREAM_PORT           5556           its port for streams, 1 to 65535
MT5_TIMEOUT (timeout)     5              seconds that an answer may take, above 0 and at most a day
MT5_KEYS (keys)           none           the file with this client's keys
MT5_COMPRESS (compress)   none           long arrays packed on their way: none, zstd, auto (on a slow link)
MT5_LOGIN (login)         none           an official terminal's account, for its gateway
MT5_SERVER (server)       none           that account's trade server
========================  =============  ===============================================================

Everything that connects imports this module, so it imports next to nothing: python-dotenv alone would add two
megabytes to a client. Lines of the form ``NAME=value`` are read here; python-dotenv is imported only for a
file with a line that needs it (escapes, quotes over several lines, ``${...}``).
"""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from mt5crs.errors import SettingError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

LONGEST_TIMEOUT = 86_400.0
"""Seconds; ZeroMQ counts milliseconds in 32 bits, and nobody waits a day for an answer."""

COMPRESS = ("none", "zstd", "auto")
"""Whether long arrays are packed on their way: never, always, where the link is slow."""


class Settings(NamedTuple):
    """What a client or a gateway was told, checked and typed.

    Attributes:
        host: The gateway's name or address.
        port: The port for requests.
        stream_port: The port for streams.
        timeout: How long an answer may take, in seconds.
        keys: The file with this client's keys, if any.
        compress: Whether long arrays are packed on their way: `none`, `zstd` or `auto`.
        login: The account of an official terminal, if one is to be logged in to.
        server: The trade server of that account, if one is named.
        sources: Where each field's value came from.
    """

    host: str
    port: int
    stream_port: int
    timeout: float
    keys: Path | None
    compress: str
    login: int | None
    server: str | None
    sources: Mapping[str, str]

    @classmethod
    def read(
        cls,
        flags: Mapping[str, object] = {},
        *,
        environ: Mapping[str, str] = os.environ,
        dotenv: Path | None = None,
        bind: bool = False,
    ) -> Settings:
        """Return the settings, each from the first place that has it.

        Args:
            flags: Values by field name, as a command or a caller gave them; None and "" count as not given.
            environ: The environment.
            dotenv: The ``.env`` file to read; without one it is searched for, and may be absent.
            bind: Whether the ports are for a gateway to bind, where 0 means any free one.

        Raises:
            SettingError: A value cannot be used, or the ``.env`` file cannot be read.
            TypeError: A flag is no setting.
        """
        strangers = flags.keys() - {setting.field for setting in TABLE}
        if strangers:
            raise TypeError(f"no such setting: {', '.join(sorted(strangers))}")
        path = _find_dotenv() if dotenv is None else str(dotenv)
        lines: Mapping[str, str | None] = read_dotenv(path) if path else {}
        values: dict[str, Any] = {}
        sources: dict[str, str] = {}
        for setting in TABLE:
            places = (
                (flags.get(setting.field), _Place(f"the argument {setting.field}", "", bind)),
                (environ.get(setting.variable), _Place("the environment", "", bind)),
                (lines.get(setting.variable), _Place(path, os.path.dirname(path), bind)),  # noqa: PTH120
            )
            values[setting.field], sources[setting.field] = _first(setting, places)
        return cls(**values, sources=sources)

    def source_of(self, field: str) -> str:
        """Return where the value of a field came from, in words that fit after "from"."""
        return self.sources[field]


def checked(variable: str, value: str) -> object:
    """Return a value as the setting of that variable has it, apart from where it was found.

    Raises:
        KeyError: There is no such setting.
        ValueError: The value cannot be used; says what would be right.
    """
    setting = next((setting for setting in TABLE if setting.variable == variable), None)
    if setting is None:
        raise KeyError(variable)
    return setting.convert(value, _Place("", "", bind=False))


def address(host: str, port: int) -> str:
    """Return ``host:port``, with the brackets that an IPv6 address needs."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class _Place(NamedTuple):
    """Where a value was found, as far as that changes what it means."""

    source: str
    folder: str
    bind: bool


class _Setting(NamedTuple):
    """One row of the table; `convert` raises ValueError with a sentence that says what would be right."""

    field: str
    variable: str
    default: object
    convert: Callable[[str, _Place], object]


def _first(setting: _Setting, places: tuple[tuple[object, _Place], ...]) -> tuple[object, str]:
    for value, place in places:
        text = "" if value is None else str(value).strip()
        if not text:
            continue
        try:
            return setting.convert(text, place), place.source
        except ValueError as wrong:
            raise SettingError(
                f"{setting.variable} is {value!r:.80} (from {place.source}): {wrong}"
            ) from None
    return setting.default, "the default"


# --- what each value must be ------------------------------------------------------------------------------


def _host(text: str, _place: _Place) -> str:
    if re.fullmatch(r"(?:[0-9]+\.|[xX]\.)+[xX]", text):
        raise ValueError("that is a placeholder, put in the address of the GTW node")
    byte = r"(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])"
    ipv4 = rf"{byte}(?:\.{byte}){{3}}"
    ipv6 = r"(?=.*:.*:)[0-9A-Fa-f:.]{2,45}(?:%[A-Za-z0-9_.-]+)?"
    name = r"(?![0-9.]*$)[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9_.])?"
    if not re.fullmatch(f"{ipv4}|{ipv6}|{name}", text):
        raise ValueError("a host is a name or an address alone, such as 127.0.0.1, without scheme and port")
    return text


def _port(text: str, place: _Place) -> int:
    lowest = 0 if place.bind else 1
    if not re.fullmatch(r"[0-9]{1,5}", text) or not lowest <= int(text) <= 65_535:
        raise ValueError(
            "a port is a number from 1 to 65535" + (", or 0 for any free one" if place.bind else "")
        )
    return int(text)


def _timeout(text: str, _place: _Place) -> float:
    number = r"[0-9]{0,20}\.?[0-9]{0,20}(?:[eE][+-]?[0-9]{1,3})?"
    try:
        seconds = float(text) if re.fullmatch(number, text) else 0.0
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= LONGEST_TIMEOUT:
        raise ValueError(f"a timeout is a number of seconds above 0 and at most {LONGEST_TIMEOUT:.0f}")
    return seconds


def _login(text: str, _place: _Place) -> int:
    if not re.fullmatch(r"[0-9]{1,18}", text) or int(text) == 0:
        raise ValueError("a login is an account number, digits alone")
    return int(text)


def _server(text: str, _place: _Place) -> str:
    if len(text) > 253:
        raise ValueError("a trade server's name has at most 253 characters")
    return text


def _keys(text: str, place: _Place) -> Path:
    from pathlib import Path

    if "\0" in text:
        raise ValueError("a path has no NUL character")
    try:
        return Path(place.folder, Path(text).expanduser())
    except RuntimeError:
        raise ValueError("there is no home directory of that name") from None


def _compress(text: str, _place: _Place) -> str:
    if text not in COMPRESS:
        raise ValueError(f"it is one of {', '.join(COMPRESS)}")
    return text


TABLE = (
    _Setting("host", "MT5_HOST", "127.0.0.1", _host),
    _Setting("port", "MT5_PORT", 5555, _port),
    _Setting("stream_port", "MT5_STREAM_PORT", 5556, _port),
    _Setting("timeout", "MT5_TIMEOUT", 5.0, _timeout),
    _Setting("keys", "MT5_KEYS", None, _keys),
    _Setting("compress", "MT5_COMPRESS", "none", _compress),
    _Setting("login", "MT5_LOGIN", None, _login),
    _Setting("server", "MT5_SERVER", None, _server),
)
"""Every setting, once."""


# --- the .env file ----------------------------------------------------------------------------------------


def _find_dotenv() -> str:
    """Return the path of the nearest ``.env`` from the current directory upwards, or "".

    A directory of that name (often a virtual environment) is passed over. This runs in every client, hence
    os.path: pathlib would cost it more than half a megabyte.
    """
    try:
        folder = os.getcwd()  # noqa: PTH109
    except OSError:  # the current directory was removed
        return ""
    while True:
        path = os.path.join(folder, ".env")  # noqa: PTH118
        if os.path.isfile(path):  # noqa: PTH113
            return path
        above = os.path.dirname(folder)  # noqa: PTH120
        if above == folder:
            return ""
        folder = above


def read_dotenv(path: str) -> Mapping[str, str | None]:
    """Return all lines of a ``.env`` file, by variable; None is the value of a name alone.

    Raises:
        SettingError: It cannot be read, or a line has no form that such files have.
    """
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - as in _find_dotenv
            text = file.read().decode("utf-8-sig")
    except OSError as error:
        raise SettingError(f"{path} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise SettingError(f"{path}, line {line} is not UTF-8", hint="save the file as UTF-8") from None
    lines, odd = _simple_lines(text)
    return lines if not odd else _any_lines(text, path, odd)


_LINE = r"""
    \s* (?:export\s+)? (?!export\s) (?P<name>[A-Za-z_][A-Za-z0-9_]*) \s* =
    (?: \s* (?P<quote>['"]) (?P<quoted>[^'"\\]*) (?P=quote) \s* (?:\#.*)?
      | (?P<bare> \s* (?:[^\s'"].*)? )
    )
"""


def _simple_lines(text: str) -> tuple[dict[str, str | None], int]:
    """Read lines that mean the same to every reader of such files.

    These are blank lines, comments, and ``NAME=value`` with an optional ``export``, optional matching quotes
    and an optional comment behind it.

    Returns:
        The values, and the number of the first line that is none of these, or 0.
    """
    found: dict[str, str | None] = {}
    for number, line in enumerate(re.split(r"\r\n|\n|\r", text), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = re.fullmatch(_LINE, line, re.VERBOSE)
        if match is None or "${" in line:
            return found, number
        name, _, quoted, bare = match.groups()
        found[name] = re.sub(r"\s+#.*", "", bare).strip() if quoted is None else quoted
    return found, 0


def _any_lines(text: str, path: str, odd: int) -> Mapping[str, str | None]:
    """Read a file that has more than simple lines, of which line `odd` is the first."""
    try:
        from dotenv import dotenv_values
        from dotenv.parser import parse_stream
    except ImportError:
        raise SettingError(
            f"{path}, line {odd} is not of the form NAME=value",
            hint="correct it; escapes, quotes over several lines and ${...} need python-dotenv installed",
        ) from None
    from io import StringIO

    for binding in parse_stream(StringIO(text)):
        # A name alone is how other programs hand on a variable; for ours it is a value that got lost.
        lost = binding.value is None and (binding.key or "").startswith("MT5_")
        if binding.error or lost:
            statement = binding.original.string
            blank = statement[: len(statement) - len(statement.lstrip())]
            line = binding.original.line + blank.count("\n")
            raise SettingError(f"{path}, line {line} is not of the form NAME=value", hint="correct the line")
    return dotenv_values(stream=StringIO(text))


def make_dotenv(folder: Path) -> bool:
    """Create ``.env`` from ``.env.example`` in a folder, unless there is one.

    The file appears complete or not at all, readable by its owner only, and never replaces another.

    Returns:
        Whether it was created.

    Raises:
        SettingError: It could not be.
    """
    from mt5crs import private

    target = folder / ".env"
    if os.path.lexists(target):
        return False
    try:
        private.create(target, (folder / ".env.example").read_bytes())
    except FileExistsError:
        return False
    except OSError as error:
        raise SettingError(
            f"{target} cannot be made from .env.example: {error.strerror or error}", hint="copy it by hand"
        ) from None
    return True


def main() -> int:
    """Make the ``.env`` of the current directory; return the exit code."""
    from pathlib import Path

    try:
        made = make_dotenv(Path.cwd())
    except (SettingError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write("made .env from .env.example\n" if made else "there is a .env already\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

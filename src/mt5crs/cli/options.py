"""What commands have in common, as data: how to reach the gateway, and how to write the result."""

import inspect
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TypeAlias

import typer

from mt5crs.cli.output import Form, Output
from mt5crs.cli.report import Failure
from mt5crs.settings import Settings, address

if TYPE_CHECKING:
    from mt5crs.client.blocking import Client
    from mt5crs.model import SymbolInfo

Declare: TypeAlias = Callable[[Callable[..., None]], Callable[..., None]]
"""A decorator that makes a function a command."""

# name, flag, help; the name is the field's in `Settings`, which says what a value must be
_CONNECTION = (
    ("host", "--host", "The gateway's name or address (MT5_HOST)."),
    ("port", "--port", "Its port for requests (MT5_PORT)."),
    ("timeout", "--timeout", "Seconds that an answer may take (MT5_TIMEOUT)."),
    ("keys", "--keys", "The file with this client's keys (MT5_KEYS)."),
    (
        "compress",
        "--compress",
        "Whether long arrays are packed on their way: none, zstd, auto (MT5_COMPRESS).",
    ),
)
_FORMS = (
    (Form.JSON.value, "--json", "Write JSON, with every field."),
    (Form.CSV.value, "--csv", "Write CSV, with every field."),
)


class Call:
    """What a command works with.

    Attributes:
        settings: Where the gateway is.
        output: Where the result goes.
        client: A client of that gateway; it connects when it is first used.
    """

    def __init__(self, settings: Settings, output: Output, client: "Client") -> None:
        self.settings = settings
        self.output = output
        self.client = client

    @property
    def where(self) -> str:
        """The gateway's address, for people."""
        return address(self.settings.host, self.settings.port)

    def got(self, value: Any, what: str) -> Any:
        """Return a result of the terminal.

        Raises:
            Failure: It is None; with the terminal's own reason.
        """
        if value is None:
            code, text = self.client.last_error()
            raise Failure(f"the terminal gave no {what}: {text} ({code})")
        return value

    def symbol(self, name: str) -> "SymbolInfo":
        """Return the specification of a symbol.

        Raises:
            Failure: There is none of that name.
        """
        info = self.client.symbol_info(name)
        if info is None:
            like = f"*{name[:3].upper()}*"
            raise Failure(
                f"there is no symbol {name!r}", hint=f"`mt5crs symbols '{like}'` lists similar ones"
            )
        return info


class Told(NamedTuple):
    """What a command was told.

    Attributes:
        flags: Settings, as `Settings.read` takes them.
        output: Where the result goes.
    """

    flags: dict[str, Any]
    output: Output


def connected(app: typer.Typer, name: str | None = None) -> Declare:
    """Declare a command that uses a gateway: a function of a `Call` and its own options."""

    def declare(function: Callable[..., None]) -> Callable[..., None]:
        return _declare(app, name, function, _CONNECTION_OPTIONS + _FORM_OPTIONS, _opened)

    return declare


def written(app: typer.Typer, name: str | None = None) -> Declare:
    """Declare a command that needs no gateway: a function of an `Output` and its own options."""

    def declare(function: Callable[..., None]) -> Callable[..., None]:
        return _declare(app, name, function, _FORM_OPTIONS, _output)

    return declare


def told(app: typer.Typer, name: str | None = None, **how: Any) -> Declare:
    """Declare a command that is told of a gateway and finds its own way to it: a function of a `Told`."""

    def declare(function: Callable[..., None]) -> Callable[..., None]:
        return _declare(app, name, function, _CONNECTION_OPTIONS + _FORM_OPTIONS, _told, **how)

    return declare


def _declare(
    app: typer.Typer,
    name: str | None,
    function: Callable[..., None],
    shared: Sequence[inspect.Parameter],
    first: Callable[[dict[str, Any]], AbstractContextManager[Any]],
    **how: Any,
) -> Callable[..., None]:
    """Give typer a function of all options, from whose common ones the command's first argument is made."""

    def run(**values: Any) -> None:
        common = {parameter.name: values.pop(parameter.name) for parameter in shared}
        with first(common) as argument:
            function(argument, **values)

    own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
    parameters = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in (*own, *shared)]
    run.__name__, run.__doc__, run.__module__ = function.__name__, function.__doc__, function.__module__
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    setattr(run, "__signature__", inspect.Signature(parameters))  # noqa: B010 - not a declared attribute
    app.command(name, **how)(run)
    return function


@contextmanager
def _told(common: dict[str, Any]) -> Generator[Told, None, None]:
    with _output(common) as output:
        yield Told({name: common[name] for name, *_ in _CONNECTION}, output)


@contextmanager
def _opened(common: dict[str, Any]) -> Generator[Call, None, None]:
    from mt5crs.client.blocking import Client

    settings = Settings.read({name: common[name] for name, *_ in _CONNECTION})
    with (
        _output(common) as output,
        Client(
            settings.host,
            settings.port,
            timeout=settings.timeout,
            keys=settings.keys,
            compress=settings.compress,
        ) as client,
    ):
        yield Call(settings, output, client)


@contextmanager
def _output(common: dict[str, Any]) -> Generator[Output, None, None]:
    forms = [Form(name) for name, *_ in _FORMS if common[name]]
    if len(forms) > 1:
        raise typer.BadParameter("--json and --csv exclude each other")
    yield Output(forms[0] if forms else Form.TABLE)


def _parameter(name: str, kind: Any, default: object, option: Any) -> inspect.Parameter:
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, option]
    )


_CONNECTION_OPTIONS = [
    _parameter(name, str | None, None, typer.Option(flag, help=text, rich_help_panel="Gateway"))
    for name, flag, text in _CONNECTION
]
_FORM_OPTIONS = [
    _parameter(name, bool, False, typer.Option(flag, help=text, rich_help_panel="Output"))
    for name, flag, text in _FORMS
]


def existing(path: Path | None, what: str) -> Path | None:
    """Return a file that is there.

    Raises:
        Failure: It is not; with exit code 2.
    """
    if path is not None and not path.is_file():
        problem = "is a directory" if path.is_dir() else "is not there"
        raise Failure(f"the {what} {path} {problem}", hint="state the path of a file", code=2)
    return path

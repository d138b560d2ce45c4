"""The command: a gateway and its keys in a folder that goes away, then one step after the other."""

import signal
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated

import typer

from mt5crs.cli.demo.child import GatewayProcess
from mt5crs.cli.demo.steps import STEPS, Demo
from mt5crs.cli.options import Call, existing
from mt5crs.cli.output import Output
from mt5crs.settings import Settings

SLOW = 1.0
"""Seconds after which something is said about a wait."""


def demo(
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Replay these bars or ticks, or an archive, instead of made-up prices."
        ),
    ] = None,
    symbol: Annotated[
        str | None, typer.Option(help="The symbol of that file, where its name has none.")
    ] = None,
    seconds: Annotated[float, typer.Option(min=0, max=60, help="How long to watch live ticks.")] = 5.0,
) -> None:
    """Show the main job in under a minute: connect, read, stream, trade; on a simulated terminal."""
    replay = data if data is not None and data.is_dir() else existing(data, "data file")
    if symbol is not None and replay is None:
        raise typer.BadParameter("--symbol names the symbol of a --data file")
    began = time.monotonic()
    output = Output()
    with _ended_by_signals(), ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mt5crs-demo-")))
        client_keys = _make_keys(folder)
        options = ["--keys", str(folder / "keys")]
        options += ["--replay", str(replay.resolve())] if replay else []
        options += ["--symbol", symbol] if symbol else []
        output.say("Starting a gateway beside a simulated terminal, as a process of its own ...")
        gateway = stack.enter_context(GatewayProcess(folder, options))
        gateway.wait(_Patience(output, "reading the data" if replay else "starting"))
        output.say(f"It listens on 127.0.0.1:{gateway.port} (process {gateway.pid}), with encryption.")
        call = stack.enter_context(_opened(output, gateway.port, client_keys))
        _walk(Demo(call, symbol or _symbol_of(replay), seconds))
    output.say(f"\nAll {len(STEPS)} steps done in {time.monotonic() - began:.1f} s; nothing is left running.")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(demo)


def _walk(show: Demo) -> None:
    for number, (title, step) in enumerate(STEPS, 1):
        show.output.say(f"\n{number}. {title}", bold=True)
        step(show)


def _symbol_of(replay: Path | None) -> str:
    if replay is None:
        return "EURUSD"
    from mt5crs.terminal.simulated.prices.archived import is_archive, symbols_of
    from mt5crs.terminal.simulated.prices.replay import symbol_in

    held = symbols_of(replay) if is_archive(replay) else []
    return held[0] if held else symbol_in(replay)


def _make_keys(folder: Path) -> Path:
    """Make keys for both sides: no setting from outside then decides whom the client talks to, or how."""
    from mt5crs.security.keys import create_client, create_gateway
    from mt5crs.security.policy import Role

    create_gateway(folder / "keys")
    return create_client(folder / "keys", "demo", Role.TRADER, folder / "demo.key")


@contextmanager
def _opened(output: Output, port: int, keys: Path) -> Generator[Call, None, None]:
    from mt5crs.client.blocking import Client

    settings = Settings.read({"host": "127.0.0.1", "port": port, "timeout": 5.0, "keys": keys})
    with Client(settings.host, settings.port, timeout=settings.timeout, keys=settings.keys) as client:
        yield Call(settings, output, client)


class _Patience:
    """Says what a long wait is for, once a second."""

    def __init__(self, output: Output, what: str) -> None:
        self._output = output
        self._what = what
        self._next = SLOW

    def __call__(self, waited: float) -> None:
        if waited >= self._next:
            self._next += SLOW
            self._output.say(f"  {self._what}, {waited:.0f} s ...")


@contextmanager
def _ended_by_signals(names: Sequence[str] = ("SIGTERM", "SIGHUP")) -> Generator[None, None, None]:
    """Let signals that would end this process at once unwind it instead, so that nothing is left behind."""

    def leave(number: int, frame: object) -> None:
        sys.exit(128 + number)

    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    before = [signal.signal(number, leave) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)

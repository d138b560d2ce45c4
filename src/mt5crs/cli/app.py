"""All commands under one name, and what becomes of their failures."""

import contextlib
import io
import os
import sys
from collections.abc import Generator

import typer

from mt5crs import __version__
from mt5crs.cli import (
    archive,
    archive_reading,
    audit,
    conformance,
    doctor,
    fleet,
    gateway,
    guard,
    health,
    journal,
    keys,
    market,
    ping,
    positions,
    shim,
    streams,
    trade,
)
from mt5crs.cli import run as run_command
from mt5crs.cli.demo import command as demo
from mt5crs.cli.report import EXIT_CODES, Failure, report
from mt5crs.errors import BridgeError

EPILOG = "Exit codes: " + ", ".join(f"{code} {meaning}" for code, meaning in EXIT_CODES.items()) + "."

app = typer.Typer(
    name="mt5crs",
    help="Use a MetaTrader 5 terminal from anywhere, over ZeroMQ.",
    epilog=EPILOG,
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)
for module in (
    gateway,
    ping,
    health,
    doctor,
    market,
    positions,
    streams,
    trade,
    journal,
    guard,
    archive,
    archive_reading,
    keys,
    fleet,
    audit,
    run_command,
    shim,
    conformance,
    demo,
):
    module.register(app)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mt5crs {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
    ),
) -> None:
    """Use a MetaTrader 5 terminal from anywhere, over ZeroMQ."""


def run(arguments: list[str]) -> int:
    """Run one command; return the exit code of a failure, or raise `SystemExit` as typer does."""
    for stream in (sys.stdout, sys.stderr):
        # A name that the terminal's encoding lacks is written as an escape; it is no reason to fail.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        with _quiet_pipes():
            app(arguments, prog_name="mt5crs")
    except (BridgeError, Failure) as error:
        return report(error)
    return 0


@contextlib.contextmanager
def _quiet_pipes() -> Generator[None, None, None]:
    """End in silence when whoever reads our output has read enough (`| head`)."""
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes once more when it exits: give it somewhere to write to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None

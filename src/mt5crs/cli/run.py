"""`mt5crs run`: run a program written for the official package."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

import mt5crs
from mt5crs.cli.demo.child import GatewayProcess
from mt5crs.cli.report import Failure, note
from mt5crs.settings import Settings

SHIM = Path(mt5crs.__file__).parent / "shim"
"""A folder on whose path `import MetaTrader5` finds the drop-in module, distribution metadata included."""


def run(
    context: typer.Context,
    module: Annotated[
        str | None, typer.Option("-m", metavar="MODULE", help="Run a module, as `python -m` does.")
    ] = None,
    simulated: Annotated[
        bool, typer.Option("--simulated", help="Bring a gateway on a simulated terminal along.")
    ] = False,
    host: Annotated[str | None, typer.Option(help="The gateway's name or address (MT5_HOST).")] = None,
    port: Annotated[str | None, typer.Option(help="Its port for requests (MT5_PORT).")] = None,
) -> None:
    """Run SCRIPT.py ARGS..., in which `import MetaTrader5` is ours, and in its children.

    Options of this command come before the script; what follows the script is the script's own. A gateway
    with options of its own is started by itself, with `mt5crs gateway`; then leave --simulated out.
    """
    if module is None and not context.args:
        raise typer.BadParameter("name a script, or a module with -m")
    if module is None and not Path(context.args[0]).is_file():
        raise _no_script(context.args[0])
    command = [sys.executable, *(["-m", module] if module is not None else []), *context.args]
    environment = {**os.environ, "PYTHONPATH": _path()}
    if simulated:
        raise typer.Exit(_with_gateway(command, environment))
    settings = Settings.read({"host": host, "port": port})
    environment |= {"MT5_HOST": settings.host, "MT5_PORT": str(settings.port)}
    raise typer.Exit(_become(command, environment))


def _no_script(name: str) -> Failure:
    if not name.startswith("-"):
        return Failure(f"there is no script {name}", code=2)
    return Failure(
        f"`mt5crs run` has no option {name.partition('=')[0]}",
        hint="options of the gateway are not taken here: start `mt5crs gateway` with them by itself, and the "
        "program with `mt5crs run`, without --simulated",
        code=2,
    )


def register(app: typer.Typer) -> None:
    """Add the command."""
    settings = {"allow_extra_args": True, "ignore_unknown_options": True, "allow_interspersed_args": False}
    app.command(context_settings=settings)(run)


def _path() -> str:
    """Return a module path with ours first, for the program and for what it starts."""
    others = os.environ.get("PYTHONPATH", "")
    return os.pathsep.join([str(SHIM), *([others] if others else [])])


def _become(command: list[str], environment: dict[str, str]) -> int:
    """Go on as the program, so that signals and the exit code are its own."""
    if os.name == "posix":  # Windows can only start another process beside this one
        sys.stdout.flush()
        os.execve(command[0], command, environment)  # noqa: S606 - the user's own program
    return _wait(command, environment)


def _with_gateway(command: list[str], environment: dict[str, str]) -> int:
    with (
        tempfile.TemporaryDirectory(prefix="mt5crs-run-") as folder,
        GatewayProcess(Path(folder), []) as gateway,
    ):
        gateway.wait(lambda _waited: None)
        note(f"simulated terminal on 127.0.0.1:{gateway.port}; it ends with the program")
        where = {"MT5_HOST": "127.0.0.1", "MT5_PORT": str(gateway.port), "MT5_KEYS": ""}
        return _wait(command, environment | where)


def _wait(command: list[str], environment: dict[str, str]) -> int:
    """Run the program to its end; Ctrl-C is the program's to answer, a request to end is handed on."""
    child = subprocess.Popen(command, env=environment)  # noqa: S603 - the user's own program
    before = {signal.SIGINT: signal.signal(signal.SIGINT, signal.SIG_IGN)}
    before[signal.SIGTERM] = signal.signal(signal.SIGTERM, lambda _number, _frame: child.terminate())
    try:
        code = child.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return code if code >= 0 else 128 - code

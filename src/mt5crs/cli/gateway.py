"""`mt5crs gateway`: serve a terminal."""

import logging
import os
import sys
import threading
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mt5crs.cli.report import Failure, note
from mt5crs.settings import Settings, address

if TYPE_CHECKING:
    from mt5crs.gateway.config import GatewayConfig
    from mt5crs.gateway.server import Server
    from mt5crs.operation import Result
    from mt5crs.security.keys import GatewayKeys
    from mt5crs.terminal.port import TerminalPort

STDIN = 0
MARGIN_MODES = ("netting", "exchange", "hedging")
"""By `AccountInfo.margin_mode`."""

DEFAULT_JOURNAL = Path("journal.db")

DESCRIPTORS = 8192
"""Open files and connections that the gateway asks the system for: so many strangers have to use up."""

WARNING = """\
warning: {where} is open without keys: anybody who reaches it can trade on this account.
  hint: `mt5crs keys init` makes keys; then start the gateway with --keys"""


class TerminalKind(str, Enum):
    """What the gateway stands beside."""

    SIMULATED = "simulated"
    OFFICIAL = "official"


_ONLY_FOR = {
    TerminalKind.SIMULATED: (
        "seed", "replay", "symbol", "speed", "deposit", "currency", "leverage", "margin_mode", "sessions",
        "instruments", "state", "fault", "faults", "set",
    ),
    TerminalKind.OFFICIAL: ("path", "package", "trade_limit", "read_limit"),
}  # fmt: skip

_SIMULATED: Any = {"rich_help_panel": "Simulated terminal"}
_OFFICIAL: Any = {"rich_help_panel": "Official terminal"}


def gateway(
    terminal: Annotated[TerminalKind, typer.Option(help="Which terminal to serve.")] = TerminalKind.SIMULATED,
    host: Annotated[str | None, typer.Option(help="Address to bind (MT5_HOST).")] = None,
    port: Annotated[
        str | None, typer.Option(help="Port for requests, 0 for any free one (MT5_PORT).")
    ] = None,
    stream_port: Annotated[
        str | None, typer.Option(help="Port for streams, 0 for any free one (MT5_STREAM_PORT).")
    ] = None,
    keys: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The gateway's folder of keys; see `mt5crs keys`.")
    ] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Allow other machines to connect without keys.")
    ] = False,
    ready_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write this file while the gateway listens.")
    ] = None,
    journal: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Keep every order and its outcome in this file; journal.db for an official terminal.",
        ),
    ] = None,
    horizon: Annotated[
        float | None,
        typer.Option(help="Seconds in doubt after which an order without a trace was not carried out."),
    ] = None,
    policy: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="What orders may do and who may connect, TOML; read again when it changes.",
        ),
    ] = None,
    drain: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="What is in hand when it is stopped is finished within these seconds (10); 0 ends at once.",
        ),
    ] = None,
    stop_with_stdin: Annotated[
        bool, typer.Option("--stop-with-stdin", help="Stop when the standard input ends.")
    ] = False,
    seed: Annotated[int | None, typer.Option(help="Selects the made-up prices.", **_SIMULATED)] = None,
    replay: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Replay real bars or ticks; once for each symbol.", **_SIMULATED),
    ] = None,
    symbol: Annotated[
        str | None, typer.Option(help="The symbol of a single file, where its name has none.", **_SIMULATED)
    ] = None,
    speed: Annotated[
        float | None, typer.Option(help="Server seconds in a second of the clock.", **_SIMULATED)
    ] = None,
    deposit: Annotated[
        float | None, typer.Option(help="The balance that the account opens with.", **_SIMULATED)
    ] = None,
    currency: Annotated[str | None, typer.Option(help="The account's currency.", **_SIMULATED)] = None,
    leverage: Annotated[int | None, typer.Option(help="100 means 1:100.", **_SIMULATED)] = None,
    margin_mode: Annotated[
        str | None, typer.Option(help="hedging, netting or exchange.", **_SIMULATED)
    ] = None,
    sessions: Annotated[
        str | None, typer.Option(help="always open, or real: each symbol's own hours.", **_SIMULATED)
    ] = None,
    instruments: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="A broker's instruments, JSON; more of them, TOML.", **_SIMULATED),
    ] = None,
    state: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Keep the account in this file.", **_SIMULATED)
    ] = None,
    fault: Annotated[
        list[str] | None,
        typer.Option(metavar="KIND:...", help="Let something go wrong, as in slow:seconds=3.", **_SIMULATED),
    ] = None,
    faults: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Faults and when they happen, TOML.", **_SIMULATED)
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Any other setting of it.", **_SIMULATED),
    ] = None,
    login: Annotated[
        str | None, typer.Option(help="The account's number (MT5_LOGIN for an official one).")
    ] = None,
    server: Annotated[
        str | None, typer.Option(help="Name of the trade server (MT5_SERVER for an official one).")
    ] = None,
    path: Annotated[str | None, typer.Option(help="The terminal's program.", **_OFFICIAL)] = None,
    package: Annotated[
        str | None,
        typer.Option(
            metavar="MODULE",
            help="A module with the official functions, in place of MetaTrader5.",
            **_OFFICIAL,
        ),
    ] = None,
    trade_limit: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            min=0.1,
            help="An order that takes longer has no answer, and its worker is replaced (15).",
            **_OFFICIAL,
        ),
    ] = None,
    read_limit: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            min=0.1,
            help="The same for everything that is not an order (120).",
            **_OFFICIAL,
        ),
    ] = None,
) -> None:
    """Serve a terminal to clients, until a signal or Ctrl-C; a second one does not wait for what is in hand.

    The password of the account comes from the file that MT5_PASSWORD_FILE names, else from MT5_PASSWORD, else
    from the system's keyring: a command line can be read by every user of the machine. A simulated account
    has one of its own, which is shown, unless --login names another account.
    """
    from mt5crs.security import secrets

    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    rest: dict[str, Any] = {"keys": keys, "insecure": insecure, "ready_file": ready_file, "policy": policy}
    if journal is not None or terminal is TerminalKind.OFFICIAL:
        rest["journal"] = journal or DEFAULT_JOURNAL
    rest |= {name: given for name, given in (("horizon", horizon), ("drain", drain)) if given is not None}
    config = _config(host, port, stream_port, **rest)
    options = {
        "seed": seed, "replay": replay, "symbol": symbol, "speed": speed, "deposit": deposit,
        "currency": currency, "leverage": leverage, "margin_mode": margin_mode, "sessions": sessions,
        "instruments": instruments, "state": state, "fault": fault, "faults": faults, "set": set_,
        "login": login, "server": server, "path": path, "package": package, "trade_limit": trade_limit,
        "read_limit": read_limit,
    }  # fmt: skip
    with secrets.withdrawn():  # before any other process is started
        own_keys = config.open_keys()  # may ask for a passphrase: not while a terminal waits
        served, about = _terminal(terminal, options)
        _serve(config, own_keys, served, about, stop_with_stdin)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(gateway)


def _config(host: str | None, port: str | None, stream_port: str | None, **rest: Any) -> "GatewayConfig":
    from mt5crs.gateway.config import GatewayConfig

    # MT5_KEYS names a client's file; a gateway's folder of keys is given by its flag alone.
    flags = {"host": host, "port": port, "stream_port": stream_port}
    settings = Settings.read(flags, bind=True)
    config = GatewayConfig(host=settings.host, port=settings.port, stream_port=settings.stream_port, **rest)
    config.check()  # before the terminal: a replay can take seconds to read
    config.open_policy()
    return config


def _terminal(kind: TerminalKind, options: dict[str, Any]) -> "tuple[TerminalPort, list[str]]":
    """Return the terminal, and lines about it."""
    given = {name: value for name, value in options.items() if value not in (None, [])}
    for other, names in _ONLY_FOR.items():
        surplus = [name for name in names if name in given and other is not kind]
        if surplus:
            raise typer.BadParameter(f"--{surplus[0].replace('_', '-')} is not for the {kind.value} terminal")
    return _simulated(given) if kind is TerminalKind.SIMULATED else _official(given)


def _simulated(given: dict[str, Any]) -> "tuple[TerminalPort, list[str]]":
    from mt5crs.api import OPERATIONS
    from mt5crs.cli.simulated import documented_password, replay_lines, simulated_config
    from mt5crs.terminal.simulated import SimulatedTerminal

    config = simulated_config(given)
    terminal = SimulatedTerminal(config)
    account = _account(terminal.carry_out(OPERATIONS["account_info"], []))
    password = documented_password(config)
    lines = [f"{account}, password {password}" if password else account]
    return terminal, lines + replay_lines(terminal.market)


def _official(given: dict[str, Any]) -> "tuple[TerminalPort, list[str]]":
    from mt5crs.operation import done
    from mt5crs.security import secrets
    from mt5crs.terminal.official import OfficialTerminal

    account = {name: given.get(name) for name in ("login", "server")}
    settings = Settings.read(account)
    if settings.login is None and secrets.is_given(secrets.PASSWORD):
        raise Failure("MT5_PASSWORD is set and no login", hint="give --login or MT5_LOGIN as well", code=2)
    password = "" if settings.login is None else secrets.find(secrets.PASSWORD) or ""
    own = {name: given[name] for name in _ONLY_FOR[TerminalKind.OFFICIAL] if name in given}
    terminal = OfficialTerminal(
        login=settings.login or 0, server=settings.server or "", password=password, **own
    )
    return terminal, [_account(done(terminal.account_info))]


def _serve(
    config: "GatewayConfig",
    keys: "GatewayKeys | None",
    terminal: "TerminalPort",
    about: list[str],
    stop_with_stdin: bool,
) -> None:
    from mt5crs.gateway.process import on_signals
    from mt5crs.gateway.server import Server

    _make_room()
    try:
        server = Server(config, terminal, keys)
    except BaseException:
        terminal.close()
        raise
    with on_signals(server.stop, last=True):  # `run` takes them over, and gives them back
        if stop_with_stdin:
            threading.Thread(target=_wait_for_stdin, args=(server,), daemon=True).start()
        if not config.is_loopback and config.keys is None:
            note(WARNING.format(where=address(config.host, server.port)))
        _announce(config, server, terminal, about)
        server.run()


def _make_room() -> None:
    """Raise the limit of open files to `DESCRIPTORS`, as far as the system allows."""
    try:
        import resource
    except ImportError:  # Windows, which has no such limit
        return
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if most == resource.RLIM_INFINITY else min(DESCRIPTORS, most)
    if now != resource.RLIM_INFINITY and now < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def _wait_for_stdin(server: "Server") -> None:
    try:  # not through `sys.stdin`, whose lock a thread that waits would hold when the process ends
        while os.read(STDIN, 4096):
            pass
    except OSError as error:
        note(f"the standard input cannot be read, and counts as ended: {error.strerror}")
    server.stop()


def _announce(config: "GatewayConfig", server: "Server", terminal: "TerminalPort", about: list[str]) -> None:
    where = address(config.host, server.port)
    lines = [
        f"listening on tcp://{where}, streams on {server.stream_port}, {terminal.name} terminal",
        *about,
        f"journal {config.journal or 'in memory, ends with this process'}",
        *([f"limits of {config.policy}"] if config.policy else []),
        f"keys {'on' if config.keys else 'off'}; stop with Ctrl-C",
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def _account(answer: "Result") -> str:
    from mt5crs.model import AccountInfo

    if answer.value is None:
        return "account none yet"
    account = AccountInfo(answer.value)
    kind = f"{MARGIN_MODES[account.margin_mode]}, 1:{account.leverage}"
    balance = f"{account.balance:.2f} {account.currency}"
    return f"account {account.login} on {account.server}, {kind}, balance {balance}"

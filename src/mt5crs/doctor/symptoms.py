"""What there is to see from this node: each part is looked at once, and nothing is decided here.

A part that cannot be looked at, because one nearer to us fails, is None.
"""

import errno
import platform
import socket
import time
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import zmq

from mt5crs.client.blocking import Client
from mt5crs.client.diagnosis import greeting, mechanism_in
from mt5crs.errors import BridgeError, SettingError
from mt5crs.last_error import LastError
from mt5crs.model import AccountInfo, SymbolInfo, TerminalInfo
from mt5crs.settings import Settings

if TYPE_CHECKING:
    from mt5crs.client.core import Health, Ping
    from mt5crs.wire.messages import Welcome

GREETING_PATIENCE = 10.0
"""Seconds that a whole greeting may take, however it comes."""
PATIENCE = 3.0
"""Seconds that an attempt to connect may take."""


class Door(str, Enum):
    """What comes of an attempt to connect to a port."""

    OPEN = "open"
    REFUSED = "refused"
    """The machine is there, and nothing listens."""
    SILENT = "silent"
    """Nothing came back at all: filtered, or no such machine."""
    NO_ROUTE = "no route"


class Attempt(NamedTuple):
    """An attempt to connect.

    Attributes:
        address: Where to.
        port: At which port.
        door: What came of it.
        seconds: How long it took.
        own: Our address on that way; "" where it is not known.
    """

    address: str
    port: int
    door: Door
    seconds: float
    own: str


class Clocks(NamedTuple):
    """How the two clocks compare.

    Attributes:
        ahead: Seconds that the gateway's is ahead of ours.
        within: How exact that is, in seconds: half a round trip.
    """

    ahead: float
    within: float


class Symptoms(NamedTuple):
    """What was seen.

    Attributes:
        python: Our version.
        pyzmq: Its version.
        settings: Where the gateway is; or why that is not known.
        names: Addresses that its name stands for; or why there are none.
        command: The attempt to reach its command port; at the first address that opens, else at the last.
        stream: The same for its stream port.
        greeting: The mechanism that the peer greets with (NULL, CURVE); "" where it is no ZeroMQ peer.
        said: How many bytes it said; 0 of one that takes connections and is silent.
        welcome: How the gateway introduced itself; or why it did not.
        ping: What it says of itself; or why it does not.
        health: Gateway, terminal and broker told apart.
        clocks: How its clock compares with ours; None of a gateway that does not say.
        terminal: The terminal's state; or the error that it gave.
        account: The account; or the error.
        symbol: The specification of the symbol that was asked about; or the error.
        wanted: The name of that symbol.
    """

    python: str
    pyzmq: str
    settings: Settings | SettingError
    names: tuple[str, ...] | str | None = None
    command: Attempt | None = None
    stream: Attempt | None = None
    greeting: str | None = None
    said: int = 0
    welcome: "Welcome | BridgeError | None" = None
    ping: "Ping | BridgeError | None" = None
    health: "Health | None" = None
    clocks: Clocks | None = None
    terminal: TerminalInfo | LastError | BridgeError | None = None
    account: AccountInfo | LastError | BridgeError | None = None
    symbol: SymbolInfo | LastError | BridgeError | None = None
    wanted: str = ""


def look(flags: Mapping[str, object], symbol: str = "", *, dotenv: Path | None = None) -> Symptoms:
    """Look at everything between this program and the account.

    Args:
        flags: Settings that a command was given; see `Settings.read`.
        symbol: A symbol to look at as well; the first that the terminal shows without it.
        dotenv: The `.env` to read; the nearest one without it.
    """
    seen = Symptoms(platform.python_version(), zmq.__version__, _settings(flags, dotenv))
    settings = seen.settings
    if isinstance(settings, SettingError):
        return seen
    names = _addresses(settings.host)
    seen = seen._replace(names=names)
    if isinstance(names, str):
        return seen
    command = _knock_at(names, settings.port)
    seen = seen._replace(command=command)
    if command.door is not Door.OPEN:
        return seen
    said = greeting(command.address, settings.port, GREETING_PATIENCE)
    seen = seen._replace(greeting=mechanism_in(said).decode(errors="replace"), said=len(said))
    if not seen.greeting:
        return seen
    return _ask(seen, settings, command.address, symbol)


def _settings(flags: Mapping[str, object], dotenv: Path | None) -> Settings | SettingError:
    try:
        return Settings.read(flags, dotenv=dotenv)
    except SettingError as error:
        return error


def _addresses(host: str) -> tuple[str, ...] | str:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        return str(error)
    return tuple(dict.fromkeys(str(each[4][0]) for each in found))


def _knock_at(addresses: tuple[str, ...], port: int) -> Attempt:
    attempt = _knock(addresses[0], port)
    for address in addresses[1:]:
        if attempt.door is Door.OPEN:
            break
        attempt = _knock(address, port)
    return attempt


def _knock(address: str, port: int) -> Attempt:
    began = time.monotonic()
    own = ""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as knocking:
        knocking.settimeout(PATIENCE)
        try:
            knocking.connect((address, port))
            own = str(knocking.getsockname()[0])
            door = Door.OPEN
        except ConnectionRefusedError:
            door = Door.REFUSED
        except TimeoutError:
            door = Door.SILENT
        except OSError as error:
            no_route = error.errno in {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EACCES, errno.EPERM}
            door = Door.NO_ROUTE if no_route else Door.SILENT
    return Attempt(address, port, door, time.monotonic() - began, own or _own_address(address))


def _own_address(address: str) -> str:
    """Return the address that we would speak from, by the routing table alone: nothing is sent."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((address, 9))
            return str(probe.getsockname()[0])
        except OSError:
            return ""


def _ask(seen: Symptoms, settings: Settings, address: str, symbol: str) -> Symptoms:
    try:
        client = Client(
            settings.host,
            settings.port,
            timeout=settings.timeout,
            keys=settings.keys,
            compress=settings.compress,
        )
    except BridgeError as error:
        return seen._replace(welcome=error)
    with client:
        welcome = _tried(client.welcome)
        seen = seen._replace(welcome=welcome)
        if isinstance(welcome, BridgeError):
            return seen
        ping = _tried(client.ping)
        seen = seen._replace(
            ping=ping,
            stream=_knock(address, welcome.stream_port),
        )
        if isinstance(ping, BridgeError):
            return seen
        return _terminal(seen._replace(health=client.health(), clocks=_clocks(ping)), client, symbol)


def _clocks(ping: "Ping") -> Clocks | None:
    theirs = ping.pong.state.get("utc")
    if not isinstance(theirs, float | int):
        return None
    # The ping has just come back; what it says is from the middle of its trip, as far as anybody can tell.
    return Clocks(theirs - (time.time() - ping.seconds / 2), ping.seconds / 2)


def _terminal(seen: Symptoms, client: Client, symbol: str) -> Symptoms:
    terminal = _got(client, client.terminal_info)
    account = _got(client, client.account_info)
    if not symbol:
        shown: tuple[SymbolInfo, ...] | BridgeError = _tried(lambda: client.symbols_get() or ())
        if isinstance(shown, BridgeError):
            return seen._replace(terminal=terminal, account=account, symbol=shown)
        symbol = next((each.name for each in shown if each.visible), "")
    specification = _got(client, lambda: client.symbol_info(symbol)) if symbol else None
    return seen._replace(terminal=terminal, account=account, symbol=specification, wanted=symbol)


def _got(client: Client, call: Any) -> Any:
    """Return what a call gives; where that is None, the terminal's reason."""
    value = _tried(call)
    return client.last_error() if value is None else value


def _tried(call: Any) -> Any:
    try:
        return call()
    except BridgeError as error:
        return error

"""What symptoms mean, from near to far, and the next step for each.

Where something nearer fails, what is behind it is not looked at: its finding is `OFF` and says so. So is what
only a key would show of a gateway on this very machine, which needs none of its own.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from mt5crs.checks import Finding, Registry, failed, off, passed, warned
from mt5crs.constants import (
    SYMBOL_TRADE_EXECUTION_EXCHANGE,
    SYMBOL_TRADE_EXECUTION_INSTANT,
    SYMBOL_TRADE_EXECUTION_REQUEST,
)
from mt5crs.doctor.codes import explained
from mt5crs.doctor.symptoms import Attempt, Door, Symptoms
from mt5crs.errors import BridgeError, ClockSkew, KeyRefused, SettingError, VersionMismatch, WrongGateway
from mt5crs.firewall import is_loopback, windows_rule
from mt5crs.model import AccountInfo, SymbolInfo, TerminalInfo
from mt5crs.settings import Settings, address

OLDEST_PYZMQ = (24,)
SKEW = 30.0
"""Seconds by which the clocks may differ: signatures are good for so long."""
CLOSE = 5.0
"""Seconds by which they may differ without a word."""
FILLINGS = {1: "FOK", 2: "IOC"}
"""Bits of a symbol's `filling_mode` that market orders can use."""
ANY_FILLING = {SYMBOL_TRADE_EXECUTION_REQUEST, SYMBOL_TRADE_EXECUTION_INSTANT}
"""Where a market order is filled whole or not at all, whatever it asks for."""

registry: Registry[Symptoms] = Registry()

T = TypeVar("T")
FARTHER = off("not looked at: something nearer is in the way")
KEYLESS = off(
    "not looked at: the gateway has keys and this node, its own machine, has none; to look further: "
    "mt5crs keys new NAME --out NAME.key, then mt5crs doctor --keys NAME.key"
)


def _there(value: T | None, say: Callable[[T], Finding]) -> Finding:
    return FARTHER if value is None else say(value)


def _settings(seen: Symptoms) -> Settings:
    assert isinstance(seen.settings, Settings)  # noqa: S101 - nothing behind the settings is seen without them
    return seen.settings


def _where(seen: Symptoms) -> str:
    settings = _settings(seen)
    return address(settings.host, settings.port)


@registry.check(
    "here.packages",
    "this Python and its pyzmq are new enough",
    reason="the client needs Python 3.10 and pyzmq 24",
    remedy="pip install --upgrade 'pyzmq>=24'",
)
def packages(seen: Symptoms) -> Finding:
    """Python was new enough to come here."""
    major = int(seen.pyzmq.split(".", maxsplit=1)[0])
    found = f"Python {seen.python}, pyzmq {seen.pyzmq}"
    return passed(found) if (major,) >= OLDEST_PYZMQ else failed(found)


@registry.check(
    "here.settings",
    "the settings can be used",
    reason="they say where the gateway is",
    remedy="correct the value",
)
def settings(seen: Symptoms) -> Finding:
    """Flags, environment and .env."""
    if isinstance(seen.settings, SettingError):
        return failed(seen.settings.message, seen.settings.hint)
    found = seen.settings
    keys = f", keys {found.keys} (from {found.source_of('keys')})" if found.keys else ", no keys"
    return passed(
        f"{_where(seen)} (host from {found.source_of('host')}, port from {found.source_of('port')}){keys}"
    )


@registry.check(
    "net.name",
    "the gateway's name stands for an address",
    reason="without an address there is nobody to ask",
    remedy="is MT5_HOST spelt right? put the address there, or the name into DNS or the hosts file",
)
def name(seen: Symptoms) -> Finding:
    """DNS, the hosts file, or an address as it is."""
    return _there(
        seen.names,
        lambda names: (
            failed(f"{_settings(seen).host}: {names}") if isinstance(names, str) else passed(", ".join(names))
        ),
    )


def _door(attempt: Attempt) -> Finding:
    port = attempt.port
    where = address(attempt.address, port)
    if attempt.door is Door.OPEN:
        return passed(f"{where} is open, {attempt.seconds * 1000:.1f} ms")
    if attempt.door is Door.REFUSED:
        return failed(
            f"{where} is closed: the machine is there, and nothing listens on that port",
            "start the gateway there (`mt5crs gateway`); if it runs, is it on this port, and bound to more "
            f'than 127.0.0.1 (--host)? on Windows: netstat -an | find "{port}"',
        )
    if attempt.door is Door.NO_ROUTE:
        return failed(
            f"there is no way to {where}",
            f"look at this machine's network: ip route get {attempt.address}; is a VPN down?",
        )
    return failed(
        f"{where} does not answer at all: filtered, or there is no such machine",
        f"ping {attempt.address}; if the machine is up, let this one in, in PowerShell as administrator "
        f"there: {windows_rule([port], [attempt.own or '<this address>'])}",
    )


@registry.check(
    "net.port",
    "the gateway's port is open",
    reason="requests go there",
    remedy="start the gateway and open its port",
)
def port(seen: Symptoms) -> Finding:
    """TCP."""
    return _there(seen.command, _door)


@registry.check(
    "net.peer",
    "a ZeroMQ peer listens there",
    reason="another program may have the port",
    remedy="another program has that port: MT5_PORT must be the one that the gateway listens on",
)
def peer(seen: Symptoms) -> Finding:
    """The greeting; silence is no other program."""

    def say(greeting: str) -> Finding:
        if greeting:
            return passed(f"ZeroMQ, {'with keys' if greeting == 'CURVE' else 'without keys'}")
        if seen.said:
            return failed(f"what listens on {_where(seen)} does not greet as ZeroMQ does")
        return failed(
            f"{_where(seen)} accepts connections and says nothing: it hangs, or the way is very slow",
            "look at the gateway's log and start it again; if it answers others, measure the way: "
            f"ping {seen.command.address if seen.command else _settings(seen).host}",
        )

    return _there(seen.greeting, say)


def _on_gateways_machine(seen: Symptoms) -> bool:
    """Return whether the gateway is on this very machine: then we speak from the address that we speak to."""
    return seen.command is not None and (
        seen.command.own == seen.command.address or is_loopback(seen.command.address)
    )


_KEYS = {
    KeyRefused: "is its key file in MT5_KEYS, the newest one (keys are rotated), and is this address in the "
    "policy's allow-list? on the gateway: mt5crs keys list",
    WrongGateway: "the key file is for another gateway, or the gateway has new keys: get a new key file "
    "from it, by a safe way",
    SettingError: "mend the key file: mt5crs keys show FILE",
    VersionMismatch: "bring both sides to one release: mt5crs fleet sync",
}


@registry.check(
    "gateway.welcome",
    "the gateway lets us in and speaks our protocol",
    reason="the key, the address and the version decide that",
    remedy="the gateway's log says whom it turned away, and why",
)
def welcome(seen: Symptoms) -> Finding:
    """Key, address, version."""

    def say(answer: Any) -> Finding:
        if not isinstance(answer, BridgeError):
            return passed(f"{answer.software}, protocol {answer.protocol}, {answer.terminal} terminal")
        if isinstance(answer, KeyRefused) and _on_gateways_machine(seen) and _settings(seen).keys is None:
            return KEYLESS
        more = next((text for kind, text in _KEYS.items() if isinstance(answer, kind)), "")
        return failed(answer.message, "; ".join(each for each in (answer.hint, more) if each))

    return _there(seen.welcome, say)


@registry.check(
    "gateway.answers",
    "it answers a ping",
    reason="a gateway that hangs greets nobody",
    remedy="look at the gateway's log, and start it again",
)
def answers(seen: Symptoms) -> Finding:
    """The round trip."""

    def say(ping: Any) -> Finding:
        if isinstance(ping, BridgeError):
            return failed(ping.message, ping.hint)
        return passed(f"{ping.seconds * 1000:.2f} ms")

    return _there(seen.ping, say)


@registry.check(
    "gateway.clock",
    "both clocks agree",
    reason=f"a signed order is good for {SKEW:.0f} s by the gateway's clock",
    remedy="set both clocks by NTP: on Linux `timedatectl set-ntp true`, on Windows `w32tm /resync`",
)
def clock(seen: Symptoms) -> Finding:
    """Only as exact as the round trip."""
    if isinstance(seen.ping, ClockSkew):
        return failed(seen.ping.message)

    def say(clocks: Any) -> Finding:
        way = "ahead of" if clocks.ahead > 0 else "behind"
        found = f"the gateway's is {abs(clocks.ahead):.2f} s {way} ours (to {clocks.within * 1000:.1f} ms)"
        off_by = abs(clocks.ahead) - clocks.within
        return failed(found) if off_by >= SKEW else warned(found) if off_by > CLOSE else passed(found)

    return _there(seen.clocks, say)


@registry.check(
    "gateway.streams",
    "its stream port is open",
    reason="ticks, bars and trade events come that way",
    remedy="open it as the other one",
)
def streams(seen: Symptoms) -> Finding:
    """The second port, and whether anything comes from it."""
    is_open = seen.stream is not None and seen.stream.door is Door.OPEN
    if is_open and seen.health is not None and seen.health.streams is False:
        return failed(
            "it is open, and nothing that the gateway publishes comes from there",
            "is it the gateway that has that port? look at its log, and start it again",
        )
    return _there(seen.stream, _door)


def _by_code(error: Any) -> Finding:
    """Return a finding for an error of the terminal, explained."""
    if isinstance(error, BridgeError):
        return failed(error.message, error.hint)
    code, text = error
    meaning = explained(code)
    if meaning is None:
        return failed(f"{text} ({code})")
    return failed(f"{text} ({code}): {meaning.text}", meaning.next)


@registry.check(
    "terminal.answers",
    "the terminal answers",
    reason="it executes everything",
    remedy="start the terminal in the desktop session of the gateway's user",
)
def terminal(seen: Symptoms) -> Finding:
    """Including -10003, -10004, -10005."""

    def say(info: Any) -> Finding:
        if isinstance(info, TerminalInfo):
            return passed(f"{info.name}, build {info.build}")
        return _by_code(info)

    if seen.health is not None and seen.health.terminal is False and isinstance(seen.terminal, BridgeError):
        return failed(f"the gateway says that its terminal does not answer; {seen.terminal.message}")
    return _there(seen.terminal, say)


@registry.check(
    "terminal.broker",
    "the terminal is connected to its trade server",
    reason="prices and orders go there",
    remedy="look at the terminal's lower right corner: is there a connection? is the account logged in, and "
    "its trade server up?",
)
def broker(seen: Symptoms) -> Finding:
    """The far end."""
    if not isinstance(seen.terminal, TerminalInfo):
        return FARTHER
    return passed("connected") if seen.terminal.connected else failed("no connection")


@registry.check(
    "terminal.account",
    "it is logged in to the gateway's account",
    reason="a gateway serves one account",
    remedy="log in to that account in the terminal, or start the gateway with --login and --server",
)
def account(seen: Symptoms) -> Finding:
    """Which account."""

    def say(info: Any) -> Finding:
        if not isinstance(info, AccountInfo):
            return _by_code(info)
        found = f"{info.login} on {info.server}"
        if seen.health is not None and seen.health.account is False:
            return failed(f"{found}, and the gateway is for another")
        return passed(found)

    return _there(seen.account, say)


@registry.check(
    "trading.gateway",
    "the gateway takes orders",
    reason="its journal, its limits and its kill switch may forbid them",
    remedy="`mt5crs limits` and `mt5crs health` tell more",
)
def orders(seen: Symptoms) -> Finding:
    """Journal, kill switch, split brain."""
    return _there(
        seen.health,
        lambda health: (
            failed(health.why)
            if not health.gateway
            else FARTHER
            if health.trading is None
            else passed("it does")
            if health.trading
            else failed(health.why or "it does not")
        ),
    )


def _permission(code: int, found: str) -> Finding:
    meaning = explained(code)
    assert meaning is not None  # noqa: S101 - both codes are in the table
    return failed(f"{found}: orders are answered with {code}", meaning.next)


@registry.check(
    "trading.terminal",
    "the terminal lets programs trade",
    reason="else each order is answered with 10027",
    remedy="press Algo Trading in the terminal's toolbar",
)
def algo_trading(seen: Symptoms) -> Finding:
    """10027, and the switch for Python alone (-8)."""
    if not isinstance(seen.terminal, TerminalInfo):
        return FARTHER
    if not seen.terminal.trade_allowed:
        return _permission(10027, "Algo Trading is off")
    if seen.terminal.tradeapi_disabled:
        meaning = explained(-8)
        return failed("trading through the Python API is off (-8)", meaning.next if meaning else "")
    return passed("Algo Trading is on")


@registry.check(
    "trading.account",
    "the account may trade, by programs too",
    reason="else each order is answered with 10017 or 10026",
    remedy="an investor's password cannot trade: log in with the master password; else ask the broker",
)
def account_trades(seen: Symptoms) -> Finding:
    """10017, 10026."""
    if not isinstance(seen.account, AccountInfo):
        return FARTHER
    if not seen.account.trade_allowed:
        return failed("trading is disabled for the account: orders are answered with 10017")
    if not seen.account.trade_expert:
        return _permission(10026, "the trade server forbids programs")
    return passed("yes")


@registry.check(
    "trading.filling",
    "fillings of a symbol are known",
    reason="another one than the symbol has is answered with 10030",
    remedy="name a symbol that the terminal has: mt5crs symbols",
)
def filling(seen: Symptoms) -> Finding:
    """10030."""

    def say(info: Any) -> Finding:
        if not isinstance(info, SymbolInfo):
            return _by_code(info)
        has = [word for bit, word in FILLINGS.items() if info.filling_mode & bit]
        if info.trade_exemode == SYMBOL_TRADE_EXECUTION_EXCHANGE:
            has.append("RETURN")
        if info.trade_exemode in ANY_FILLING:
            has = ["any (it is taken for FOK)"]
        return passed(f"{info.name}: at the market type_filling {' or '.join(has) or 'none'}")

    return _there(seen.symbol, say)

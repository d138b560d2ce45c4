"""From the command line to the settings of a simulated terminal."""

import difflib
from datetime import datetime, timezone
from typing import Any, Literal, get_origin, get_type_hints

import msgspec
import typer

from mt5crs.cli.options import existing
from mt5crs.errors import SettingError
from mt5crs.security import secrets
from mt5crs.terminal.simulated import SimulatedConfig
from mt5crs.terminal.simulated.faults.plan import Fault, load_faults
from mt5crs.terminal.simulated.prices.market import Market

NAMES = {"symbol": "replay_symbol"}
OWN_FLAGS = frozenset({"replay", "replay_symbol", "instruments", "state", "faults", "password"})
"""Settings that `--set` does not take: they have flags of their own, or are no business of a command line."""
KINDS = {name: kind for name, kind in get_type_hints(SimulatedConfig).items() if name not in OWN_FLAGS}


def simulated_config(given: dict[str, Any]) -> SimulatedConfig:
    """Return the settings.

    Args:
        given: The options that were given, by name; `set` are pairs NAME=VALUE, `fault` faults in words.

    Raises:
        SettingError: Some cannot be used.
    """
    replay = tuple(given.pop("replay", ()))
    for path in replay:
        if not path.is_dir():  # one of Parquet
            existing(path, "replay file")
    if "symbol" in given and len(replay) != 1:
        raise typer.BadParameter("--symbol names the symbol of one --replay file")
    instruments = tuple(given.pop("instruments", ()))
    for path in instruments:
        existing(path, "instruments file")
    existing(given.get("faults"), "faults file")
    faults = load_faults(given.pop("faults")) if "faults" in given else ()
    faults += tuple(Fault.parse(text) for text in given.pop("fault", ()))
    settings = dict(_pair(text) for text in given.pop("set", ()))
    given = {NAMES.get(name, name): value for name, value in given.items()}
    password = secrets.find(secrets.PASSWORD) if "login" in given else None
    if password:
        settings["password"] = password
    flags: dict[str, Any] = {"instruments": instruments} | {
        name: _convert(f"--{name.replace('_', '-')} {value}", name, value) for name, value in given.items()
    }
    return SimulatedConfig(**{**settings, **flags}, replay=replay, faults=faults)


def documented_password(config: SimulatedConfig) -> str:
    """Return the account's password if it is the one that everybody can read; empty if it is another."""
    return config.password if config.password == SimulatedConfig().password else ""


def replay_lines(market: Market) -> list[str]:
    """Return what is replayed, from when on and how fast; nothing where nothing is."""
    if not market.replayed:
        return []
    start = datetime.fromtimestamp(market.clock.now(), timezone.utc)
    return [f"{', '.join(market.replayed)}, from {start:%Y-%m-%d %H:%M} on, speed {market.clock.speed:g}"]


def _pair(text: str) -> tuple[str, Any]:
    """Return name and value of `NAME=VALUE`, the value as its setting wants it."""
    name, equals, value = text.partition("=")
    if not equals:
        raise SettingError(f"--set {text}: no value", hint="NAME=VALUE, as in leverage=500")
    if name not in KINDS:
        known = difflib.get_close_matches(name, KINDS, n=3) or sorted(KINDS)
        raise SettingError(f"--set {text}: there is no setting {name!r}", hint=f"perhaps {', '.join(known)}")
    if name == "start":
        return name, _moment(text, value)
    return name, _convert(f"--set {text}", name, value)


def _moment(said: str, value: str) -> float:
    """Return a server time: epoch seconds, or a date with or without a time."""
    try:
        return float(value)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(value)
    except ValueError as error:
        raise SettingError(
            f"--set {said}: no time", hint="2025-11-03, 2025-11-03T08:00 or epoch seconds"
        ) from error
    return moment.replace(tzinfo=timezone.utc).timestamp()  # the server's wall clock, as if it were UTC


def _convert(said: str, name: str, value: object) -> Any:
    """Return a value as its setting wants it; which words are choices the settings themselves say."""
    if name not in KINDS or get_origin(KINDS[name]) is Literal:
        return value
    try:
        return msgspec.convert(value, KINDS[name], strict=False)
    except msgspec.ValidationError as error:
        raise SettingError(f"{said}: {error}") from error

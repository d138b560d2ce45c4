"""The instruments of the simulated trade server, read from data.

`catalogue.json` holds what ships: price legs (what one unit of a currency or good is worth in USD, and how
much it moves in a day), kinds (what symbols of one sort have in common) and symbols. A pair's price is the
quotient of its two legs, so crosses agree with the majors at every minute. Sessions in it are those of a
server seven hours ahead of New York (`server_offset` 2, `server_dst` us); they are server time whatever the
offset is.

A TOML file of a user (`SimulatedConfig.instruments`) has the same three tables and adds to them: a symbol,
kind or leg that ships is changed in the fields that are named, any other is new.

    [legs.NOK]              # every currency that is new needs one
    price = 0.0985          # in USD, on 2025-11-01
    volatility = 0.006      # of a day, as a fraction

    [kinds.exotic]          # shared by the symbols that name it; the kinds that ship can be named too
    spread = 400
    stops_level = 50
    swap_mode = 0

    [symbols.EURNOK]
    kind = "exotic"         # without it: forex
    description = "Euro vs Norwegian Krone"
    currency_base = "EUR"
    currency_profit = "NOK"
    holidays = [2026-05-17, "12-25"]

    [symbols.EURUSD]        # ships: all else stays
    spread = 1
    commission = {per = "lot", value = 3.5}

The fields are those of `Instrument`, whose defaults hold where neither symbol nor kind says anything. A
moment (`start_time`, `expiration_time`) is epoch seconds or a TOML date with time; without an offset it is
server time.

A JSON file is what `mt5crs symbols --json` writes of any terminal: it takes the place of the symbols that
ship (see `broker`), and TOML files add to it. Symbols in it that cannot be simulated are left out; a warning
says which, and which prices are made up.
"""

import logging
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime, timezone
from functools import lru_cache
from importlib.resources import files
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar, cast

import msgspec

from mt5crs import constants as c
from mt5crs.errors import SettingError
from mt5crs.terminal.simulated.instruments.broker import broker_symbols, is_symbol, proper, without_swap
from mt5crs.terminal.simulated.instruments.calendar import parse_holidays, parse_sessions
from mt5crs.terminal.simulated.instruments.catalogue import (
    BOND_MODES,
    FUTURES_MODES,
    Catalogue,
    Instrument,
    Leg,
)
from mt5crs.terminal.simulated.instruments.worth import broker_legs

log = logging.getLogger(__name__)

FOREX = "forex"
BROKER = "broker"
STEP_TOLERANCE = 1e-6
ORDER_TYPES = tuple(
    name[11:].lower() for name in vars(c) if name.startswith("ORDER_TYPE_") and name != "ORDER_TYPE_CLOSE_BY"
)
MOMENTS = ("start_time", "expiration_time")
NAMED = 5
"""How many of a long list a warning names."""
Made = TypeVar("Made")


class _Tables(msgspec.Struct, forbid_unknown_fields=True):
    """A file: tables of fields, as they are written."""

    legs: dict[str, dict[str, Any]] = {}
    kinds: dict[str, dict[str, Any]] = {}
    symbols: dict[str, dict[str, Any]] = {}

    def extended(self, other: "_Tables") -> "_Tables":
        """Return these tables with the other's fields in them."""
        return _Tables(*(_merged(getattr(self, n), getattr(other, n)) for n in ("legs", "kinds", "symbols")))


def _merged(
    shipped: Mapping[str, dict[str, Any]], own: Mapping[str, dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    return {**shipped, **{name: shipped.get(name, {}) | fields for name, fields in own.items()}}


def load_catalogue(*paths: Path) -> Catalogue:
    """Return the catalogue that comes with the package, replaced or extended by files.

    Args:
        paths: A broker's JSON file, at most one, takes the place of the symbols that ship; TOML files extend
            what is there in their order. Without any file, what ships.

    Raises:
        SettingError: A file cannot be used; the message says where and what is expected.
    """
    if not paths:
        return _shipped_catalogue()
    told = [path for path in paths if path.suffix == ".json"]
    if len(told) > 1:
        raise SettingError(
            f"instruments: {told[0]} and {told[1]} are a broker's list each",
            hint="give one JSON file; TOML files add to it",
        )
    tables, quoted_at = _broker(told[0]) if told else (_shipped(), 0)
    catalogue = _catalogue(tables, str(told[0]), quoted_at) if told else _shipped_catalogue()
    for path in paths:
        if path not in told:
            tables = tables.extended(_read(path))
            catalogue = _catalogue(tables, str(path), quoted_at)  # now, so that a mistake is said of its file
    return catalogue


def _shipped() -> _Tables:
    data = files("mt5crs.terminal.simulated.instruments").joinpath("catalogue.json").read_bytes()
    return msgspec.json.decode(data, type=_Tables)


@lru_cache(maxsize=1)
def _shipped_catalogue() -> Catalogue:
    return _catalogue(_shipped(), "catalogue.json")


def _broker(path: Path) -> tuple[_Tables, int]:
    """Return the tables of a broker's symbols, and when it told them."""
    hint = "expected what `mt5crs symbols --json` writes"
    try:
        told = msgspec.json.decode(path.read_bytes(), type=list[dict[str, Any]])
    except OSError as error:
        raise SettingError(f"instruments: {path} cannot be read ({error.strerror})", hint=hint) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SettingError(f"instruments: {path}: {error}", hint=hint) from error
    if not told or not all(map(is_symbol, told)):
        raise SettingError(f"instruments: {path} does not list symbols with all their fields", hint=hint)
    name, count = Counter(info["name"] for info in told).most_common(1)[0]
    if count > 1:
        raise SettingError(f"instruments: {path} lists {name} {count} times", hint="each symbol once")
    return _told(told, str(path)), max(info.get("time", 0) for info in told)


def _told(listed: Sequence[Mapping[str, Any]], file: str) -> _Tables:
    """Return the tables of a broker's symbols, those left out that cannot be simulated."""
    told = [proper(info) for info in listed]
    shipped = _shipped()
    kinds = shipped.kinds | {BROKER: {}}
    symbols = broker_symbols(told)
    reasons = {name: _objection(name, fields, kinds) for name, fields in symbols.items()}
    left_out = {name: reason for name, reason in reasons.items() if reason}
    kept = [info for info in told if info["name"] not in left_out]
    worths = broker_legs(kept, {name: leg["price"] for name, leg in shipped.legs.items()})
    notes = [
        _note("invented prices", worths.without_price),
        _note("worth 1 USD for want of a pair, which trading needs", worths.without_pair),
        _note("without swap, whose mode is not known", without_swap(listed)),
        _note("left out", [f"{name} ({reason})" for name, reason in left_out.items()]),
    ]
    if not kept:
        raise SettingError(f"instruments: {file} has no symbol that can be simulated", hint=notes[-1])
    if any(notes):
        log.warning("instruments: %s: %s", file, "; ".join(filter(None, notes)))
    return _Tables(
        _merged(shipped.legs, worths.legs), kinds, {info["name"]: symbols[info["name"]] for info in kept}
    )


def _objection(name: str, fields: Mapping[str, Any], kinds: Mapping[str, dict[str, Any]]) -> str:
    """Return why a symbol cannot be simulated; empty if it can."""
    try:
        _instrument(name, fields, kinds, name)
    except SettingError as error:
        return error.message.removeprefix(f"instruments: {name}: ")
    return ""


def _note(what: str, names: Sequence[str]) -> str:
    """Return which names something is true of: the first of them, and how many; empty if of none."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{what}: {', '.join(names[:NAMED])}{more}" if names else ""


def _read(path: Path) -> _Tables:
    hint = "expected a TOML file with [symbols.NAME], [kinds.NAME] and [legs.NAME]"
    try:
        return msgspec.toml.decode(path.read_bytes(), type=_Tables)
    except OSError as error:
        raise SettingError(f"instruments: {path} cannot be read ({error.strerror})", hint=hint) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SettingError(f"instruments: {path}: {error}", hint=hint) from error


def _catalogue(tables: _Tables, file: str, quoted_at: int = 0) -> Catalogue:
    legs = {name: _made(Leg, fields, f"{file}: leg {name}") for name, fields in tables.legs.items()}
    symbols: dict[str, Instrument] = {}
    for name, fields in tables.symbols.items():
        where = f"{file}: symbol {name}"
        symbols[name] = symbol = _instrument(name, fields, tables.kinds, where)
        for leg in (symbol.price_leg, symbol.currency_profit):
            if leg not in legs:
                raise _wrong(f"{where}: there is no leg {leg}", f"add [legs.{leg}] with price and volatility")
    return Catalogue(symbols, legs, quoted_at)


def _instrument(
    name: str, fields: Mapping[str, Any], kinds: Mapping[str, dict[str, Any]], where: str
) -> Instrument:
    kind = fields.get("kind", FOREX)
    if not isinstance(kind, str) or kind not in kinds:
        raise _wrong(f"{where}: kind is {kind!r}", f"expected one of {', '.join(kinds)}")
    given = kinds[kind] | {key: value for key, value in fields.items() if key != "kind"}
    plain = {key: _plain(value, key in MOMENTS) for key, value in given.items()}
    symbol = _made(Instrument, plain | {"name": name}, where)
    for contradiction in _contradictions(symbol, is_told=kind == BROKER):
        raise _wrong(f"{where}: {contradiction}")
    return symbol


def _contradictions(symbol: Instrument, *, is_told: bool) -> Iterator[str]:
    """Say which fields do not go together; what is wrong by itself, the types say.

    Args:
        symbol: What is judged.
        is_told: Whether a terminal told it: there are futures that need no margin.
    """
    yield from _sessions(symbol)
    if symbol.volume_max < symbol.volume_min:
        yield f"volume_max is {symbol.volume_max}: expected volume_min ({symbol.volume_min}) or more"
    if not _divides(symbol.volume_step, symbol.volume_min):
        yield f"volume_min is {symbol.volume_min}: expected a multiple of volume_step ({symbol.volume_step})"
    if not _divides(symbol.point, symbol.tick_size):
        yield f"tick_size is {symbol.tick_size}: expected a multiple of the last digit ({symbol.point})"
    unknown = sorted(set(symbol.margin_rates) - set(ORDER_TYPES))
    if unknown:
        yield f"margin_rates has {unknown[0]!r}: expected order types, {', '.join(ORDER_TYPES)}"
    if len(symbol.swap_days) not in (0, 7):
        yield f"swap_days has {len(symbol.swap_days)} numbers: expected 7, one for each rollover of a week"
    for name in ("start_time", "expiration_time"):
        if getattr(symbol, name) % 60:
            yield f"{name} is {getattr(symbol, name)}: expected a whole minute"
    if symbol.expiration_time and symbol.expiration_time <= symbol.start_time:
        yield f"expiration_time is {symbol.expiration_time}: expected a time after start_time"
    if symbol.calc_mode in FUTURES_MODES and not symbol.tick_value:
        yield "calc_mode is a future's: expected tick_value"
    if symbol.calc_mode in FUTURES_MODES[:2] and not (symbol.margin_initial or is_told):
        yield "calc_mode is a future's: expected margin_initial"
    if symbol.calc_mode == c.SYMBOL_CALC_MODE_CFDINDEX and not symbol.tick_value:
        yield "calc_mode is an index's: expected tick_value"
    if symbol.calc_mode in BOND_MODES and not symbol.face_value:
        yield "calc_mode is a bond's: expected face_value"
    if symbol.book_depth and not symbol.book_volume:
        yield f"book_depth is {symbol.book_depth}: expected a book_volume"


def _sessions(symbol: Instrument) -> Iterator[str]:
    for name in ("quote_sessions", "trade_sessions"):
        text = getattr(symbol, name)
        if text or name == "quote_sessions":
            try:
                parse_sessions(text)
            except ValueError as error:
                yield f"{name}: {error}"
    try:
        parse_holidays(symbol.holidays)
    except ValueError as error:
        yield f"holidays: {error}"


def _divides(step: float, value: float) -> bool:
    count = value / step
    return count > 0.5 and abs(count - round(count)) < STEP_TOLERANCE


def _plain(value: object, moment: bool = False) -> object:
    """Return what was written as a date the way that the structures have it."""
    if moment and isinstance(value, str):
        with suppress(ValueError):
            value = datetime.fromisoformat(value)
    if isinstance(value, datetime):
        aware = value if value.tzinfo is not None else value.replace(tzinfo=timezone.utc)
        return int(aware.timestamp())
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list):
        return [_plain(part) for part in cast("list[object]", value)]
    return value


def _made(kind: type[Made], fields: Mapping[str, Any], where: str) -> Made:
    for name, value in fields.items():
        if not _is_finite(value):
            raise _wrong(f"{where}: {name} is {value!r}: expected a finite number")
    try:
        return msgspec.convert(fields, kind)
    except msgspec.ValidationError as error:
        raise _wrong(f"{where}: {_explained(str(error), fields)}") from error


def _is_finite(value: object) -> bool:
    """Whether there is no infinity in what was written, and nothing that is no number."""
    if isinstance(value, dict):
        return all(map(_is_finite, cast("dict[str, object]", value).values()))
    return not isinstance(value, float) or isfinite(value)


def _explained(message: str, fields: Mapping[str, Any]) -> str:
    """Return what msgspec says of a structure in terms of the file: the field first."""
    said, _, place = message.partition(" - at `$.")
    if not place:
        return said
    field = place.rstrip("`")
    value = fields.get(re.split(r"[.\[]", field)[0])
    return f"{field} is {value!r}: {said[0].lower()}{said[1:]}"


def _wrong(what: str, hint: str = "the fields are in mt5crs.terminal.simulated.instruments") -> SettingError:
    return SettingError(f"instruments: {what}", hint=hint)

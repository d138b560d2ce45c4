"""How values are shown to people: MT5's digits, the server's time, the names of MT5's enumerations."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from mt5crs import constants
from mt5crs.model import Record

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mt5crs.client.blocking import Client


def moment(seconds: float) -> str:
    """Return server time; the empty text for no time."""
    return f"{datetime.fromtimestamp(seconds, timezone.utc):%Y-%m-%d %H:%M:%S}" if seconds else ""


def moment_msc(milliseconds: int) -> str:
    """Return server time with its milliseconds."""
    seconds, rest = divmod(milliseconds, 1000)
    return f"{moment(seconds)}.{rest:03d}" if milliseconds else ""


def money(value: float) -> str:
    """Return an amount of the account currency."""
    return f"{value:,.2f}"


def lots(value: float) -> str:
    """Return a volume, with the decimals that it has but two at least."""
    whole, _, decimals = f"{value:.8f}".partition(".")
    return f"{whole}.{decimals.rstrip('0'):0<2}"


def price(value: float, digits: int) -> str:
    """Return a price with its symbol's digits; the empty text for no price, which MT5 writes as 0."""
    return f"{value:.{digits}f}" if value else ""


def priced(digits: int) -> Callable[[float], str]:
    """Return what shows the prices of one symbol."""
    return lambda value: price(value, digits)


def yes_no(value: object) -> str:
    """Return a truth."""
    return "yes" if value else "no"


def named(prefix: str) -> Callable[[int], str]:
    """Return what shows the values of an MT5 enumeration by name: `buy limit` of `ORDER_TYPE_`."""
    names = {
        value: name.removeprefix(prefix).replace("_", " ").lower()
        for name, value in vars(constants).items()
        if name.startswith(prefix)
    }
    return lambda value: names.get(value, str(value))


def digits_of(client: "Client", symbols: Iterable[str]) -> dict[str, int]:
    """Return the digits of the prices of some symbols."""
    infos = {symbol: client.symbol_info(symbol) for symbol in symbols}
    return {symbol: info.digits if info else 5 for symbol, info in infos.items()}


def fields_of(record: Record) -> dict[str, Any]:
    """Return the fields of a structure, in order; one inside it becomes a mapping, too."""
    return {
        name: fields_of(value) if isinstance(value, Record) else value
        for name, value in zip(names_of(type(record)), record, strict=True)
    }


def names_of(kind: type[Record]) -> tuple[str, ...]:
    """Return the names of a structure's fields, in order."""
    return kind.__match_args__


def array_rows(array: "NDArray[np.void] | None") -> list[Mapping[str, Any]]:
    """Return the rows of an array as mappings of exact Python numbers."""
    if array is None or array.dtype.names is None:
        return []
    names = array.dtype.names
    return [dict(zip(names, values, strict=True)) for values in array.tolist()]

"""How the official functions take their arguments, as data: one signature for each of the call styles.

A signature turns a Python call into wire arguments (`bind`: a list with a fixed place for each
parameter) and wire arguments back into a Python call (`unpack`). Both sides use it: a client before
anything is sent, and the gateway to check what came, since binding an unpacked call again accepts
exactly what a well-behaved client can send.

The rules are facts about the official package: positional-only functions raise `TypeError` for
keywords, wrong arguments set `(-2, text)` and give the function's failure value, a wrong scalar where
the C code parses numbers raises `SystemError`. Only `datetime` objects need care: a naive one is local
time of this process, an aware one is converted, and both become whole epoch seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from math import ldexp
from operator import index
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, cast

from mt5crs.constants import RES_E_INVALID_PARAMS

INVALID_ARGUMENTS = "Invalid arguments"
UNNAMED_NOT_ALLOWED = "Unnamed arguments not allowed"
INVALID_NUMBER = "Invalid number of arguments"
INVALID_FIRST_UNNAMED = "Invalid 1st unnamed argument"

SYMBOL_LENGTH = 29
KEY_LENGTH = 64
LABEL_LENGTH = 200
UINT64 = 1 << 64
INT64 = 1 << 63
PLAIN = frozenset({float, int, str})

Converter = Callable[[Any], Any]
Bound = Sequence[Any]
Call = tuple[Sequence[Any], dict[str, Any]]


class ArgumentError(Exception):
    """The arguments are refused the way the official package refuses them.

    Attributes:
        error: What `last_error()` says afterwards.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.error = (RES_E_INVALID_PARAMS, text)


# A protocol takes longer to make than everything else here: it is for type checkers.
if TYPE_CHECKING:

    class Signature(Protocol):
        """A call style."""

        def bind(self, name: str, args: Bound, kwargs: dict[str, Any]) -> Bound:
            """Return the wire arguments of a call.

            Raises:
                ArgumentError: The official function would refuse them with error -2.
                TypeError: The official function would raise it.
                SystemError: As the official function does for a wrong scalar.
            """
            ...

        def unpack(self, wire: Bound) -> Call:
            """Return the call that `bind` made these wire arguments of."""
            ...


# ---- single values ----------------------------------------------------------------------------------


def symbol(value: Any) -> str:
    """A symbol name: a str of 1 to 29 characters."""
    if isinstance(value, str) and 0 < len(value) <= SYMBOL_LENGTH:
        return value
    raise ArgumentError(INVALID_ARGUMENTS)


def key(value: Any) -> str:
    """An idempotency key: a str of 1 to 64 printable characters."""
    if isinstance(value, str) and 0 < len(value) <= KEY_LENGTH and value.isprintable():
        return value
    raise ArgumentError('Invalid "key" argument')


def time(value: Any) -> int:
    """A point in time as epoch seconds."""
    if isinstance(value, datetime):
        return int(value.timestamp())
    if isinstance(value, (int, float)) and -INT64 <= value < INT64:
        return int(value)
    raise ArgumentError(INVALID_ARGUMENTS)


def integer(value: Any) -> int:
    """A C int, as `PyArg_ParseTuple` takes it."""
    number = index(value)
    if not -(1 << 31) <= number < 1 << 31:
        raise OverflowError("signed integer is greater than maximum")
    return number


def real(value: Any) -> float:
    """A C double, as `PyArg_ParseTuple` takes it: unlike `float`, no text and no bytes."""
    return ldexp(value, 0)


def truth(value: Any) -> bool:
    """Anything that is true or false."""
    return bool(value)


def label(value: Any) -> str:
    """A name or a remark: a str of up to 200 printable characters, perhaps none."""
    if isinstance(value, str) and len(value) <= LABEL_LENGTH and value.isprintable():
        return value
    raise ArgumentError(INVALID_ARGUMENTS)


def natural(value: Any) -> int:
    """An int from 0 on."""
    if type(value) is int and 0 <= value < INT64:
        return value
    raise ArgumentError(INVALID_ARGUMENTS)


def switch(value: Any) -> bool:
    """True or False, and nothing that is like it."""
    if isinstance(value, bool):
        return value
    raise ArgumentError(INVALID_ARGUMENTS)


# ---- call styles ------------------------------------------------------------------------------------


class NoArguments:
    """A function that takes nothing."""

    def bind(self, name: str, args: Bound, kwargs: dict[str, Any]) -> Bound:
        """See `Signature.bind`."""
        if kwargs:
            raise TypeError(f"{name}() takes no keyword arguments")
        if args:
            raise TypeError(f"{name}() takes no arguments ({len(args)} given)")
        return ()

    def unpack(self, wire: Bound) -> Call:
        """See `Signature.unpack`."""
        return wire, {}


class Positional:
    """A positional-only function.

    Args:
        converters: One for each parameter.
        defaults: Values of the last parameters when they are left out.
    """

    def __init__(self, *converters: Converter, defaults: tuple[Any, ...] = ()) -> None:
        self._converters = converters
        self._defaults = defaults
        self._is_symbol = converters == (symbol,)

    def bind(self, name: str, args: Bound, kwargs: dict[str, Any]) -> Bound:
        """See `Signature.bind`."""
        if self._is_symbol and len(args) == 1 and not kwargs:  # most calls, so the shortest way is theirs
            return [symbol(args[0])]
        if kwargs:
            raise TypeError(f"{name}() takes no keyword arguments")
        missing = len(self._converters) - len(args)
        if missing:
            if not 0 < missing <= len(self._defaults):
                raise ArgumentError(INVALID_ARGUMENTS)
            args = (*args, *self._defaults[-missing:])
        try:
            return [convert(value) for convert, value in zip(self._converters, args, strict=True)]
        except (TypeError, ValueError, OverflowError) as error:
            # The C function returns None with Python's error still set.
            raise SystemError(
                f"<built-in function {name}> returned a result with an exception set"
            ) from error

    def unpack(self, wire: Bound) -> Call:
        """See `Signature.unpack`."""
        return wire, {}


class Plain:
    """A function of our own: each parameter with or without its name, and strict about both.

    Args:
        parameters: Each parameter's converter and its default.
    """

    def __init__(self, **parameters: tuple[Converter, Any]) -> None:
        self._parameters = parameters

    def bind(self, name: str, args: Bound, kwargs: dict[str, Any]) -> Bound:
        """See `Signature.bind`."""
        names = tuple(self._parameters)
        if len(args) > len(names):
            raise TypeError(f"{name}() takes at most {len(names)} arguments ({len(args)} given)")
        given = dict(zip(names, args, strict=False))
        for keyword in kwargs:
            if keyword not in self._parameters or keyword in given:
                raise TypeError(f"{name}() got an unexpected or a second argument {keyword!r}")
        given |= kwargs
        try:
            return [
                convert(given.get(keyword, default))
                for keyword, (convert, default) in self._parameters.items()
            ]
        except ArgumentError:
            raise TypeError(f"{name}() cannot take such arguments: {given!r:.200}") from None

    def unpack(self, wire: Bound) -> Call:
        """See `Signature.unpack`."""
        return wire, {}


# ---- keywords ---------------------------------------------------------------------------------------


def _is_text(longest: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and len(value) <= longest


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and -INT64 <= value < INT64


def _is_unsigned(value: Any) -> bool:
    return isinstance(value, int) and 0 <= value < UINT64


def _is_float(value: Any) -> bool:
    return isinstance(value, float)


Check = Callable[[Any], bool]


def _checked(kwargs: dict[str, Any], checks: dict[str, Check]) -> list[Any]:
    """Return the keywords in the order of `checks`, None where absent; unknown ones are ignored."""
    _check(kwargs, checks)
    return [kwargs.get(name) for name in checks]


def _check(kwargs: dict[str, Any], checks: dict[str, Check]) -> None:
    """Make sure that the keywords which are there are what they must be; the first bad one wins."""
    wrong = [name for name, value in kwargs.items() if name in checks and not checks[name](value)]
    if wrong:
        raise ArgumentError(f'Invalid "{min(wrong, key=list(checks).index)}" argument')


def _present(names: Sequence[str], wire: Bound) -> dict[str, Any]:
    if len(wire) != len(names):
        raise ArgumentError(INVALID_ARGUMENTS)
    return {name: value for name, value in zip(names, wire, strict=True) if value is not None}


class Keywords:
    """A function of keywords, the first of which may come unnamed.

    Args:
        checks: Each keyword and what its value must be, in wire order.
        unnamed: How many may come without a name.
        required: The keyword that must be there and not zero.
    """

    def __init__(self, checks: dict[str, Check], *, unnamed: int = 0, required: str = "") -> None:
        self._checks = checks
        self._names = tuple(checks)
        self._unnamed = unnamed
        self._required = required

    def bind(self, name: str, args: Bound, kwargs: dict[str, Any]) -> Bound:
        """See `Signature.bind`."""
        if len(args) > self._unnamed:
            raise ArgumentError(INVALID_NUMBER if self._unnamed else UNNAMED_NOT_ALLOWED)
        given = dict(zip(self._names, args, strict=False))
        for place, (keyword, value) in enumerate(given.items()):
            if not self._checks[keyword](value):
                ordinal = ("1st", "2nd", "3rd")[place]
                raise ArgumentError(f"Invalid {ordinal} unnamed argument")
        wire = _checked({**kwargs, **given}, self._checks)
        if self._required and not wire[self._names.index(self._required)]:
            raise ArgumentError(f'Invalid "{self._required}" argument')
        return wire

    def unpack(self, wire: Bound) -> Call:
        """See `Signature.unpack`."""
        return (), _present(self._names, wire)


class History:
    """`history_orders_get` and `history_deals_get`: two dates and a group, or a ticket, or a position."""

    _BY_DATE: ClassVar[dict[str, Check]] = {"group": _is_text(1997)}
    _BY_ID: ClassVar[dict[str, Check]] = {"ticket": _is_unsigned, "position": _is_unsigned}
    _NAMES = ("date_from", "date_to", "group", "ticket", "position")

    def bind(self, name: str, args: Bound, kwargs: dict[str, Any]) -> Bound:
        """See `Signature.bind`."""
        if len(args) == 2:
            return [time(args[0]), time(args[1]), *_checked(kwargs, self._BY_DATE), None, None]
        wire = [None, None, None, *_checked(kwargs, self._BY_ID)]
        if args:
            raise ArgumentError(INVALID_ARGUMENTS if wire == [None] * 5 else UNNAMED_NOT_ALLOWED)
        if wire == [None] * 5:
            raise ArgumentError(INVALID_ARGUMENTS)
        return wire

    def unpack(self, wire: Bound) -> Call:
        """See `Signature.unpack`."""
        given = _present(self._NAMES, wire)
        dates = [given.pop(name) for name in ("date_from", "date_to") if name in given]
        return dates, given


class Request:
    """`order_check` and `order_send`: one dict, or its fields as keywords."""

    # In the order in which the official package checks them: the first bad field wins.
    FIELDS: ClassVar[dict[str, Check]] = {
        "action": _is_integer,
        "magic": _is_unsigned,
        "order": _is_unsigned,
        "symbol": _is_text(SYMBOL_LENGTH),
        "volume": _is_float,
        "price": _is_float,
        "stoplimit": _is_float,
        "sl": _is_float,
        "tp": _is_float,
        "deviation": _is_unsigned,
        "type": _is_integer,
        "type_filling": _is_integer,
        "type_time": _is_integer,
        "expiration": _is_integer,
        "comment": _is_text(SYMBOL_LENGTH),
        "position": _is_unsigned,
        "position_by": _is_unsigned,
    }

    def bind(self, name: str, args: Bound, kwargs: dict[str, Any]) -> Bound:
        """See `Signature.bind`; the wire carries the known fields that were given."""
        if args and kwargs:
            raise ArgumentError(UNNAMED_NOT_ALLOWED)
        if len(args) > 1:
            raise ArgumentError(INVALID_NUMBER)
        request: Any = args[0] if args else kwargs
        if not isinstance(request, dict):
            raise ArgumentError(INVALID_ARGUMENTS)
        fields = cast("dict[str, Any]", request)
        _check(fields, self.FIELDS)
        return [
            {
                field: value if type(value) in PLAIN else _plain(value)
                for field, value in fields.items()
                if field in self.FIELDS
            }
        ]

    def unpack(self, wire: Bound) -> Call:
        """See `Signature.unpack`."""
        return wire, {}


def _plain(value: Any) -> Any:
    """Return the built-in value of a subclass (numpy.float64 is a float, a bool an int)."""
    for kind in (float, int):
        if isinstance(value, kind):
            return kind(value)
    return str(value)


NO_ARGUMENTS = NoArguments()
SYMBOL = Positional(symbol)
HISTORY = History()
REQUEST = Request()
OPEN = Keywords({"ticket": _is_unsigned, "symbol": _is_text(SYMBOL_LENGTH), "group": _is_text(1997)})
GROUP = Keywords({"group": _is_text(1997)}, unnamed=1)
INITIALIZE = Keywords(
    {
        "path": _is_text(258),
        "login": _is_integer,
        "password": _is_text(253),
        "server": _is_text(253),
        "timeout": _is_integer,
        "portable": lambda _value: True,
    },
    unnamed=1,
)
LOGIN = Keywords(
    {"login": _is_integer, "password": _is_text(253), "server": _is_text(253), "timeout": _is_integer},
    unnamed=3,
    required="login",
)

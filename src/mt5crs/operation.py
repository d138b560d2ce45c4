"""What an operation is: a typed row of the API table that clients call and the gateway dispatches."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from enum import Enum
from functools import update_wrapper
from types import GenericAlias, MethodType, NoneType, UnionType
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Generic,
    NamedTuple,
    ParamSpec,
    Protocol,
    TypeVar,
    get_args,
    overload,
)

from msgspec import Struct

from mt5crs.arguments import Bound, Positional
from mt5crs.errors import BridgeError
from mt5crs.last_error import CALL_FAILED, SUCCESS, LastError
from mt5crs.model import (
    DETAILS,
    ArrayType,
    OrderCheckResult,
    OrderSendResult,
    Outcome,
    Record,
    TradeEvent,
    TradeRequest,
)

_NO_KEYWORDS: dict[str, Any] = {}

P = ParamSpec("P")
R = TypeVar("R")
C = TypeVar("C")


class Kind(str, Enum):
    """What an operation may change; permissions, retries and signatures are decided by it."""

    READ = "read"
    """Changes nothing; asked again when an answer is lost."""
    WATCH = "watch"
    """Changes what the terminal watches for this caller; doing it twice is doing it once."""
    SESSION = "session"
    """Opens, checks or ends the caller's session; the terminal stays as it is for all others."""
    TRADE = "trade"
    """Reaches the broker: sent once, never again."""
    ADMIN = "admin"
    """Changes the terminal for everybody."""


SIGNED = frozenset({Kind.TRADE, Kind.ADMIN})
"""What needs its client's signature, where clients have keys."""


class Result(NamedTuple):
    """What a terminal answers: the value and, in the same breath, its `last_error()`."""

    value: Any
    error: LastError


class Unasked(Result):
    """The place of a result where the terminal was not asked at all: nothing happened.

    Attributes:
        failure: Why.
    """

    failure: BridgeError

    def __new__(cls, op: Operation[..., Any], failure: BridgeError) -> Unasked:
        """Return what stands for the result of an operation."""
        unasked = super().__new__(cls, op.failure, CALL_FAILED)
        unasked.failure = failure
        return unasked


def done(value: object) -> Result:
    """Return a value as the result of a call that succeeded."""
    return Result(value, SUCCESS)


class Answer(Struct, Generic[R], frozen=True):
    """A result together with the error of the same call.

    Attributes:
        value: What the operation returned.
        last_error: The terminal's error for it, `(1, 'Success')` where it had none.
    """

    value: R
    last_error: LastError


_UNSETTLED = BridgeError("")


class Later(Generic[R]):
    """What an operation of a pipeline will have returned when the pipeline's block has ended."""

    __slots__ = ("_failure", "_last_error", "_value", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self._failure: BridgeError | None = _UNSETTLED

    def settle(self, value: R, last_error: LastError, failure: BridgeError | None = None) -> None:
        """Note what became of it."""
        self._value, self._last_error, self._failure = value, last_error, failure

    @property
    def value(self) -> R:
        """What the operation returned.

        Raises:
            BridgeError: There is no answer to it; its class says what is known of the outcome.
            RuntimeError: The pipeline's block has not ended, or was left by an exception.
        """
        if self._failure is not None:
            self._must_be_settled()
            raise self._failure
        return self._value

    @property
    def failure(self) -> BridgeError | None:
        """What `value` raises, None where it raises nothing.

        Raises:
            RuntimeError: The pipeline's block has not ended, or was left by an exception.
        """
        self._must_be_settled()
        return self._failure

    @property
    def last_error(self) -> LastError:
        """The terminal's error for it, `(1, 'Success')` where it had none.

        Raises:
            RuntimeError: The pipeline's block has not ended, or was left by an exception.
        """
        self._must_be_settled()
        return self._last_error

    def _must_be_settled(self) -> None:
        if self._failure is _UNSETTLED:
            raise RuntimeError(f"{self.name}: there is no value before the pipeline's block ends")

    def __repr__(self) -> str:
        return f"<{self.name} of a pipeline>"


# Protocols take longer to make than the table they are for: they are for type checkers.
if TYPE_CHECKING:
    from mt5crs.arguments import Signature

    class Caller(Protocol):
        """Whoever carries operations out and waits for them."""

        def call(self, op: Operation[P, R], args: Bound, kwargs: dict[str, Any], /) -> R:
            """Carry out one operation."""
            ...

    class AsyncCaller(Protocol):
        """Whoever carries operations out while its caller awaits them."""

        def call(self, op: Operation[P, R], args: Bound, kwargs: dict[str, Any], /) -> Coroutine[Any, Any, R]:
            """Carry out one operation."""
            ...

    class AnswerCaller(Protocol):
        """As `AsyncCaller`, with the error beside each value."""

        def call(
            self, op: Operation[P, R], args: Bound, kwargs: dict[str, Any], /
        ) -> Coroutine[Any, Any, Answer[R]]:
            """Carry out one operation."""
            ...

    class LaterCaller(Protocol):
        """Whoever collects operations and carries them out together."""

        def call(self, op: Operation[P, R], args: Bound, kwargs: dict[str, Any], /) -> Later[R]:
            """Note one operation."""
            ...


class Operation(Generic[P, R]):
    """One row of the table: a descriptor that keeps the row's signature on every kind of caller.

    Attributes:
        name: The official function's name, also on the wire.
        kind: What it may change.
        signature: How it takes its arguments.
        failure: What it returns when the terminal fails it or cannot be reached.
        misuse: What it returns for wrong arguments.
        array: The row layout of its result where that is an array.
        is_trade: Whether it is sent at most once.
        is_signed: Whether it needs its client's signature, where clients have keys.
        is_watch: Whether it changes what the terminal watches for its caller.
        is_stateful: Whether its caller remembers that it was carried out.
        method: The row as a plain function of a caller and the arguments.
        reviver: Makes its result of a plain wire value; None where the value is the result.
    """

    def __init__(
        self,
        declared: Callable[Concatenate[Any, P], R],
        kind: Kind,
        signature: Signature,
        failure: bool | None,
        misuse: bool | None,
    ) -> None:
        self.name = declared.__name__
        self.kind = kind
        self.signature = signature
        self.failure: Any = failure  # of the result's type, by what the row declares
        self.misuse: Any = misuse
        self.__doc__ = declared.__doc__
        self.__wrapped__ = declared
        self._is_positional = isinstance(signature, Positional)
        self._bind = signature.bind
        self.is_trade = kind is Kind.TRADE
        self.is_signed = kind in SIGNED
        self.is_watch = kind is Kind.WATCH
        self.is_stateful = kind in (Kind.WATCH, Kind.SESSION)
        result = _without_none(declared.__annotations__["return"])
        self.array: ArrayType | None = getattr(result, "array", None)
        self.reviver = _reviver(result)

        def method(caller: Any, *args: Any, **kwargs: Any) -> Any:
            return caller.call(self, args, kwargs)

        self.method = update_wrapper(method, declared)

    @overload
    def __get__(self, instance: None, owner: type) -> Operation[P, R]: ...
    @overload
    def __get__(self, instance: LaterCaller, owner: type) -> Callable[P, Later[R]]: ...
    @overload
    def __get__(self, instance: Caller, owner: type) -> Callable[P, R]: ...
    @overload
    def __get__(self, instance: AsyncCaller, owner: type) -> Callable[P, Coroutine[Any, Any, R]]: ...
    @overload
    def __get__(self, instance: AnswerCaller, owner: type) -> Callable[P, Coroutine[Any, Any, Answer[R]]]: ...
    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return self
        return MethodType(self.method, instance)

    def __repr__(self) -> str:
        return f"<operation {self.name} ({self.kind.value})>"

    def accept(self, wire: Bound) -> Bound:
        """Return wire arguments that came from outside, checked as the caller's own were.

        Raises:
            ArgumentError: They are wrong in a way that the official function answers.
            TypeError: They are wrong in a way that it raises.
            SystemError: They are wrong in a way that it raises.
        """
        if self._is_positional:
            return self._bind(self.name, wire, _NO_KEYWORDS)
        args, kwargs = self.signature.unpack(wire)
        return self.signature.bind(self.name, args, kwargs)


def directly(caller: type[C]) -> type[C]:
    """Put the rows of a caller's table on the class as functions.

    Python calls a function of a class without going through a descriptor written in Python, which would
    cost as much as encoding the request.
    """
    for base in caller.__mro__[1:]:
        for name, row in vars(base).items():
            if isinstance(row, Operation):
                setattr(caller, name, row.method)
    return caller


def _without_none(annotation: Any) -> Any:
    if isinstance(annotation, UnionType):
        (annotation,) = (part for part in get_args(annotation) if part is not NoneType)
    return annotation


def _with_request(kind: type[Record]) -> Callable[[Any], Any]:
    def revive(values: Any) -> Record:
        return kind([*values[:-1], TradeRequest(values[-1])])

    return revive


def _outcome(values: Any) -> Outcome:
    key, state, result, error, how, since = values
    sent = None if result is None else _with_request(OrderSendResult)(result)
    return Outcome([key, state, sent, tuple(error), how, since])


def trade_event(values: Any) -> TradeEvent:
    """Return a trade event from its plain fields, as they are on the wire."""
    *fields, details = values
    return TradeEvent([*fields, DETAILS[fields[1]](details)])


_NESTED: dict[Any, Callable[[Any], Any]] = {
    OrderSendResult: _with_request(OrderSendResult),
    OrderCheckResult: _with_request(OrderCheckResult),
    Outcome: _outcome,
    TradeEvent: trade_event,
}
"""What revives the structures that have others inside."""


def _not_an_array(value: Any) -> Any:
    raise TypeError(f"{type(value).__name__}, where an array was due")


def _reviver(annotation: Any) -> Callable[[Any], Any] | None:
    """Return what turns a plain wire value into the annotated result; None where it is one already."""
    if hasattr(annotation, "array"):
        return _not_an_array
    if isinstance(annotation, GenericAlias):
        item = get_args(annotation)[0]
        revive = _record_of(item)
        return tuple if revive is None else lambda rows: tuple([revive(row) for row in rows])
    return _record_of(annotation)


def _record_of(kind: Any) -> Callable[[Any], Any] | None:
    """Return what makes a structure of its plain values; None where it is none."""
    if kind in _NESTED:
        return _NESTED[kind]
    return kind.of if isinstance(kind, type) and issubclass(kind, Record) else None


def operation(
    kind: Kind, signature: Signature, *, failure: bool | None = None, misuse: bool | None = None
) -> Callable[[Callable[Concatenate[Any, P], R]], Operation[P, R]]:
    """Declare a row of the API table.

    Args:
        kind: What the operation may change.
        signature: How the official function takes its arguments.
        failure: What the official function returns when the terminal fails it.
        misuse: What it returns for wrong arguments.
    """

    def declare(declared: Callable[Concatenate[Any, P], R]) -> Operation[P, R]:
        return Operation(declared, kind, signature, failure, misuse)

    return declare

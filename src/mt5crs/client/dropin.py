"""The official package's state: one connection and one last error for the whole process."""

import threading
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from mt5crs.api import Terminal
from mt5crs.arguments import NO_ARGUMENTS, ArgumentError, Bound
from mt5crs.client.blocking import Client
from mt5crs.client.core import last_error_of
from mt5crs.constants import RES_E_INTERNAL_FAIL_INIT
from mt5crs.errors import BridgeError, Refused
from mt5crs.last_error import NO_IPC_CONNECTION, SUCCESS, LastError
from mt5crs.operation import Operation, P, R

S = TypeVar("S")
OWN_OPTIONS = ("host", "port")
"""What `initialize` takes besides the official options: where the gateway is."""


def _bare(function: Callable[[S], R]) -> Callable[[S], R]:
    """Refuse arguments in the official words."""

    @wraps(function)
    def method(self: S, /, *args: Any, **kwargs: Any) -> R:
        NO_ARGUMENTS.bind(function.__name__, args, kwargs)
        return function(self)

    return method


class DropIn(Terminal):
    """The functions of the official module, before and after `initialize`.

    Failures of the bridge become failure values and an error, since the official functions raise nothing.
    """

    def __init__(self) -> None:
        self._client: Client | None = None
        self._error: LastError = SUCCESS
        self._lock = threading.Lock()  # of `initialize` and `shutdown`; calls share the client's connections

    def call(self, op: "Operation[P, R]", args: Bound, kwargs: dict[str, Any], /) -> R:
        """Carry out one operation; see the class."""
        self._error = SUCCESS
        own = {name: kwargs.pop(name) for name in OWN_OPTIONS if name in kwargs}
        given = {name: value for name, value in kwargs.items() if name != "key"} if op.is_trade else kwargs
        try:
            op.signature.bind(op.name, args, given)
        except ArgumentError as error:
            self._error = error.error
            return op.misuse  # type: ignore[no-any-return]
        if op.name == "initialize":
            return self._initialize(op, args, kwargs, own)  # type: ignore[no-any-return]
        if op.name == "shutdown":
            return self._shutdown(op)  # type: ignore[no-any-return]
        client = self._client
        if client is None:
            self._error = NO_IPC_CONNECTION
            return op.failure  # type: ignore[no-any-return]
        try:
            value = client.call(op, args, kwargs)
        except BridgeError as failure:
            code, text = last_error_of(failure)
            self._error = code, f"{text}, {failure.message}" if isinstance(failure, Refused) else text
            return op.failure  # type: ignore[no-any-return]
        self._error = client.last_error()
        return value

    @_bare
    def last_error(self) -> LastError:
        """Return the error of the latest call of this process; no trip."""
        return self._error

    def _initialize(
        self, op: Operation[..., Any], args: Bound, kwargs: dict[str, Any], own: dict[str, Any]
    ) -> Any:
        with self._lock:
            self._disconnect()
            try:
                client = Client(**own)
                try:
                    connected = bool(client.call(op, args, kwargs))
                    self._error = client.last_error()
                except BaseException:
                    client.close()
                    raise
            except BridgeError as failure:
                self._error = (RES_E_INTERNAL_FAIL_INIT, f"IPC initialize failed, {failure.message}")
                return False
            if connected:
                self._client = client
            else:  # as in the official package, a refused login leaves no connection
                client.close()
            return connected

    def _shutdown(self, op: Operation[..., Any]) -> Any:
        with self._lock:
            if self._client is not None:
                try:
                    self._client.call(op, (), {})
                except BridgeError:
                    pass  # the gateway forgets a silent client by itself
            self._disconnect()
            return True

    def _disconnect(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()

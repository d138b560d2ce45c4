"""The blocking client."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakSet

import zmq

from mt5crs.api import Bridge
from mt5crs.arguments import Bound
from mt5crs.client.core import Core, Health, Immediate, Ping, Sent, keys_for, last_error_of, symbols_of
from mt5crs.client.link import Sockets, discard, fill, sender
from mt5crs.errors import BridgeError, Refused, Unreachable
from mt5crs.last_error import SUCCESS, LastError
from mt5crs.operation import Operation, P, R, directly
from mt5crs.topics import Account, Bars, Book, Ticks, Trades
from mt5crs.wire.messages import Welcome
from mt5crs.wire.request import Done, Fill
from mt5crs.wire.session import Session

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from typing_extensions import Self

    from mt5crs.api import Time
    from mt5crs.client.pipeline import Asked, Pipeline
    from mt5crs.client.streaming.blocking import Subscription
    from mt5crs.model import TradeEvent
    from mt5crs.streams import AccountUpdate, AnyEvent, BarBatch, BookSnapshot, Notice, TickBatch
    from mt5crs.topics import AnyTopic

POLL_MS = 100
"""How long a socket waits before the session is asked what time means for it."""

_now = time.monotonic


class _Link:
    """A connection that one thread at a time uses, for one request at a time."""

    def __init__(self, core: Core, sockets: Sockets) -> None:
        self.session = core.session()
        self.socket = sockets.connect(zmq.DEALER, core, core.settings.port)
        self.socket.rcvtimeo = self.socket.sndtimeo = POLL_MS
        self._send, self._recv = sender(self.socket), self.socket.recv

    def step(self) -> Sequence[Done]:
        """Send what is on the outbox and take one message; return what is settled by it, or by time."""
        session = self.session
        try:
            if session.outbox:
                session.depart(self._send, 0)
            event = session.receive(self._recv(), _now())
            if type(event) is Done:
                return (event,)
            if type(event) is Fill:
                done = session.filled(event, fill(self.socket, event.buffer))
                if done is not None:
                    return (done,)
            else:
                discard(self.socket)
        except zmq.Again:
            pass
        except BridgeError as error:  # whatever comes next on this connection cannot be trusted
            return session.abandon(error)
        return session.tick(_now())

    def wait(self, id_: int) -> Done:
        """Return what becomes of one request."""
        while True:
            for done in self.step():
                if done.id == id_:
                    return done


@directly
class Client(Bridge):
    """A MetaTrader 5 terminal on the other side of a gateway; each call waits for its answer.

    The methods are those of the official package, with its results and failure values; what the official
    package cannot say (a gateway that does not answer) is raised as a `BridgeError`. Safe to use from
    several threads: each call in progress has a connection of its own, so that a long download never
    holds up an order; a program of one thread has one connection. After a failure the client reconnects
    by itself.

    Args:
        host: The gateway's host; `MT5_HOST` without it.
        port: The gateway's command port; `MT5_PORT` without it.
        timeout: Seconds that an answer may take; `MT5_TIMEOUT` without it.
        keys: The client's key file; `MT5_KEYS` without it.
        compress: Whether long arrays are packed on their way; `MT5_COMPRESS` without it.

    Raises:
        SettingError: A setting cannot be used.
    """

    def __init__(
        self,
        host: str | None = None,
        port: int | None = None,
        *,
        timeout: float | None = None,
        keys: str | Path | None = None,
        compress: str | None = None,
    ) -> None:
        flags = {"host": host, "port": port, "timeout": timeout, "keys": keys, "compress": compress}
        self.begin(Core(flags))

    def begin(self, core: Core) -> None:
        """Be the client of a core."""
        self._core = core
        self._timeout = core.settings.timeout
        self.start_afresh()
        _clients.add(self)

    def twin(self) -> Client:
        """Return another client of the same gateway, with connections and a `last_error` of its own."""
        other = Client.__new__(Client)
        other.begin(self._core.another())
        return other

    def start_afresh(self) -> None:
        """Forget the connections without closing them: in a forked child they are the parent's."""
        self._local = threading.local()
        self._lock = threading.Lock()  # the parent's may have been held
        self._sockets = Sockets()
        self._idle: list[_Link] = []
        self._links = 0
        self._closed = False

    def become_another(self) -> None:
        """Be a client of its own in a forked child."""
        self._core.rename()
        self.start_afresh()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._core.where}>"

    # ---- operations ----

    def call(self, op: Operation[P, R], args: Bound, kwargs: dict[str, Any], /) -> R:
        """Carry out one operation of the table; its methods are the usual way to call it.

        Raises:
            BridgeError: There is no answer; its class says what is known of the outcome.
        """
        prepared = self._core.prepare(op, args, kwargs)
        if type(prepared) is Immediate:
            self._local.error = prepared.error
            return prepared.value  # type: ignore[no-any-return]
        wire, key = prepared.wire, prepared.key
        link = self._take()
        try:  # as `_exchange`, without a closure: this is the path of every request
            done = link.wait(link.session.ask(op, wire, _now(), self._timeout, key))
        except BaseException:
            self._drop(link)
            raise
        self._conclude(link, done)
        self._local.error = done.error
        if op.is_stateful:
            self._core.remember(op, wire, done.value)
        return done.value  # type: ignore[no-any-return]

    def last_error(self) -> LastError:
        """Return the error of this thread's latest call, `(1, 'Success')` where it had none; no trip."""
        error: LastError = getattr(self._local, "error", SUCCESS)
        return error

    def ping(self, timeout: float | None = None) -> Ping:
        """Ask the gateway how it is, and measure the round trip.

        Args:
            timeout: Seconds that the answer may take.

        Raises:
            ConnectionTimeout: No answer came.
        """
        start = time.perf_counter()
        done = self._exchange(lambda session: session.ping(_now(), timeout or self._timeout))
        return Ping(time.perf_counter() - start, done.value)

    def welcome(self, timeout: float | None = None) -> Welcome:
        """Return how the gateway introduces itself.

        Args:
            timeout: Seconds that the answer may take.

        Raises:
            ConnectionTimeout: No answer came.
        """
        done = self._exchange(lambda session: session.greet(_now(), timeout or self._timeout))
        welcome: Welcome = done.value
        return welcome

    def stream(
        self,
        *topics: AnyTopic,
        seconds: float | None = None,
        since: Time | None = None,
        after: str | int | None = None,
    ) -> Subscription[AnyEvent]:
        """Subscribe to topics; iterate over what is returned for what comes on them, as it comes.

        Ticks, bars and trade events come each once and in order: what a slow or cut off subscriber has
        missed is read from history, and what cannot be had any more is a `Gap`. Of books and the account
        the latest counts. `mt5crs.streams` has what comes.

        Args:
            topics: Values of `mt5crs.topics`: `Ticks`, `Bars`, `Book`, `Trades`, `Account`.
            seconds: How long to listen; without it, until it is closed or left.
            since: From when on ticks and bars are wanted; from the present on without it.
            after: The trade event after which they are wanted: the `bookmark` of a subscription, or a serial
                number, of which nobody can see that it is another record's; the present without it.

        Raises:
            ValueError: There is no such topic, or `after` is no such place.
            UnknownSymbol: The terminal has no symbol of that name.
            ConnectionTimeout: The gateway does not answer.
        """
        from mt5crs.client.streaming.blocking import Subscription

        wanted = self._core.wanted(topics, since, after)
        for symbol in symbols_of(wanted.topics):
            self._core.check_symbol(symbol, self.symbol_info_tick(symbol))
        return Subscription(self._core, wanted, self.welcome().stream_port, self.twin, seconds)

    def ticks(
        self, *symbols: str, seconds: float | None = None, since: Time | None = None
    ) -> Subscription[TickBatch | Notice]:
        """Subscribe to the ticks of symbols; see `stream`."""
        found = self.stream(*(Ticks(symbol) for symbol in symbols), seconds=seconds, since=since)
        return cast("Subscription[TickBatch | Notice]", found)

    def bars(
        self, symbol: str, timeframe: int, *, seconds: float | None = None, since: Time | None = None
    ) -> Subscription[BarBatch | Notice]:
        """Subscribe to the bars of a symbol, each when the terminal has closed it; see `stream`."""
        found = self.stream(Bars(symbol, timeframe), seconds=seconds, since=since)
        return cast("Subscription[BarBatch | Notice]", found)

    def book(self, symbol: str, *, seconds: float | None = None) -> Subscription[BookSnapshot | Notice]:
        """Subscribe to the depth of market of a symbol; see `stream`."""
        found = self.stream(Book(symbol), seconds=seconds)
        return cast("Subscription[BookSnapshot | Notice]", found)

    def trades(
        self, *, seconds: float | None = None, after: str | int | None = None
    ) -> Subscription[TradeEvent | Notice]:
        """Subscribe to what becomes of orders, deals and positions; see `stream`."""
        found = self.stream(Trades(), seconds=seconds, after=after)
        return cast("Subscription[TradeEvent | Notice]", found)

    def account(self, *, seconds: float | None = None) -> Subscription[AccountUpdate | Notice]:
        """Subscribe to the account; see `stream`."""
        found = self.stream(Account(), seconds=seconds)
        return cast("Subscription[AccountUpdate | Notice]", found)

    def pipeline(self) -> Pipeline:
        """Ask for several operations in one trip; their values are there when the block has ended.

        ```python
        with client.pipeline() as ask:
            ticks = [ask.symbol_info_tick(symbol) for symbol in symbols]
        print([tick.value for tick in ticks])
        ```
        """
        from mt5crs.client.pipeline import Pipeline

        return Pipeline(self._core, self._carry_out)

    def order_send_many(
        self, requests: Sequence[Mapping[str, Any]], keys: Sequence[str] | None = None
    ) -> list[Sent]:
        """Send several trade requests in one trip, in their order; each has its own outcome.

        Args:
            requests: As for `order_send`.
            keys: An idempotency key for each; fresh ones without them.

        Returns:
            What became of each; nothing is raised for the failure of one.
        """
        pipeline = self.pipeline()
        chosen = keys_for(requests, keys)
        with pipeline as ask:
            later = [ask.order_send(request, key=key) for request, key in zip(requests, chosen, strict=True)]
        return [
            Sent(key, None if each.failure else each.value, each.last_error, each.failure)
            for key, each in zip(chosen, later, strict=True)
        ]

    def health(self, timeout: float | None = None) -> Health:
        """Return how gateway, streams, terminal, trade server and trading are; a failure is told, not raised.

        Args:
            timeout: Seconds that the gateway's answer may take; a beat is waited for as long, 3 s at most.
        """
        from mt5crs.client.streaming.socket import hears_beat

        try:
            ping = self.ping(timeout)
            port = self.welcome(timeout).stream_port
            return Health.of(ping, hears_beat(self._core, port, timeout or self._timeout))
        except BridgeError as error:
            return Health.of(error)

    # ---- connections ----

    def _carry_out(self, asked: list[Asked]) -> None:
        """Ask for all of them on one connection, and settle each."""
        link = self._take()
        awaited: dict[int, Asked] = {}
        session, now, timeout = link.session, _now(), self._timeout
        try:
            for each in asked:
                try:
                    id_ = session.ask(each.op, each.wire, now, timeout, each.key)
                except BridgeError as error:  # noqa: PERF203 - it cannot be sent; the others can
                    each.later.settle(None, last_error_of(error), error)
                else:
                    awaited[id_] = each
            is_sound = self._collect(link, awaited)
        except BaseException as error:
            interrupted = Unreachable(f"the pipeline was interrupted by {type(error).__name__}")
            for done in session.abandon(interrupted, in_the_middle=True):
                if done.id in awaited:
                    self._settle(awaited[done.id], done)
            self._drop(link)
            raise
        if is_sound:
            self._put_back(link)
        else:
            self._drop(link)
        last = asked[-1].later
        self._local.error = last.last_error

    def _collect(self, link: _Link, awaited: dict[int, Asked]) -> bool:
        """Wait until all are settled; say whether the connection can be used again."""
        is_sound = True
        while awaited:
            for done in link.step():
                each = awaited.pop(done.id, None)
                if each is not None:
                    self._settle(each, done)
                    is_sound = is_sound and (done.failure is None or isinstance(done.failure, Refused))
        return is_sound

    def _settle(self, asked: Asked, done: Done) -> None:
        failure = done.failure
        asked.later.settle(done.value, done.error if failure is None else last_error_of(failure), failure)
        if asked.op.is_stateful and failure is None:
            self._core.remember(asked.op, asked.wire, done.value)

    def _exchange(self, ask: Callable[[Session], int]) -> Done:
        """Ask something of a session; return what becomes of it."""
        link = self._take()
        try:
            done = link.wait(ask(link.session))
        except BaseException:
            self._drop(link)
            raise
        self._conclude(link, done)
        return done

    def _conclude(self, link: _Link, done: Done) -> None:
        """Let go of a connection; raise the request's failure where it has one."""
        failure = done.failure
        if failure is None or isinstance(failure, Refused):
            self._put_back(link)
        else:  # whatever it may still hold must not reach the gateway later
            is_greeted = link.session.welcome is not None
            self._drop(link)
            failure = failure if is_greeted else self._diagnosed(failure)
        if failure is not None:
            self._local.error = last_error_of(failure)
            raise failure

    def _diagnosed(self, failure: BridgeError) -> BridgeError:
        from mt5crs.client.diagnosis import diagnosed

        return diagnosed(self._core, failure)

    def _take(self) -> _Link:
        try:
            return self._idle.pop()  # atomic; the latest used first, so that a single thread keeps to one
        except IndexError:
            pass
        with self._lock:
            if self._closed:
                raise Unreachable("this client is closed", hint="make a new Client")
            self._links += 1
        try:
            return _Link(self._core, self._sockets)
        except BaseException:
            self._gone()
            raise

    def _put_back(self, link: _Link) -> None:
        self._idle.append(link)
        if self._closed:
            self.close()

    def _drop(self, link: _Link) -> None:
        self._sockets.drop(link.socket)
        self._gone()

    def _gone(self) -> None:
        with self._lock:
            self._links -= 1
            if self._closed and not self._links:
                self._sockets.close()

    def close(self) -> None:
        """Close the connections; calls in progress in other threads end first. Can be called again."""
        self._core.close()
        with self._lock:
            first, self._closed = not self._closed, True
            if first and not self._links:
                self._sockets.close()
        while self._idle:
            try:
                link = self._idle.pop()
            except IndexError:  # another thread took the last one
                return
            self._drop(link)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


_clients: WeakSet[Client] = WeakSet()


def _after_fork() -> None:
    for client in _clients:
        client.become_another()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_after_fork)

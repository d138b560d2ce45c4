"""The asyncio client."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import zmq
from zmq.backend import zmq_poll

from mt5crs.api import Bridge
from mt5crs.arguments import Bound
from mt5crs.client.core import Core, Health, Immediate, Ping, Sent, keys_for, last_error_of, symbols_of
from mt5crs.client.link import Sockets, discard, fill, flush
from mt5crs.errors import BridgeError, ConnectionTimeout, SettingError, Unreachable
from mt5crs.last_error import SUCCESS, LastError
from mt5crs.operation import Answer, Operation, P, R, directly
from mt5crs.topics import Account, AnyTopic, Bars, Book, Ticks, Trades
from mt5crs.wire.messages import Welcome
from mt5crs.wire.request import Done, Fill
from mt5crs.wire.session import Session

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from mt5crs.api import Time
    from mt5crs.client.streaming.asynchronous import AsyncSubscription
    from mt5crs.model import TradeEvent
    from mt5crs.streams import AccountUpdate, AnyEvent, BarBatch, BookSnapshot, Notice, TickBatch

POLL = 0.1
"""Seconds between two looks at what time means for the requests under way."""

BURST = 256
"""Messages that are taken before other tasks get their turn."""

_NOBLOCK = int(zmq.NOBLOCK)  # joining or converting enum flags costs more than sending does
_now = time.monotonic


class _Link:
    """The one connection of a client, driven by its event loop."""

    def __init__(self, core: Core, sockets: Sockets, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._session = core.session()
        self._socket = sockets.connect(zmq.DEALER, core, core.settings.port)
        self._waiters: dict[int, asyncio.Future[Done]] = {}
        self._readable = [(self._socket, int(zmq.POLLIN))]
        self._pushing = False
        self._timer: asyncio.TimerHandle | None = None
        self._fd = self._socket.fileno()
        try:
            loop.add_reader(self._fd, self._drain)
        except NotImplementedError:
            sockets.drop(self._socket)
            raise SettingError(
                f"{type(loop).__name__} cannot watch sockets",
                hint="on Windows, run asyncio with a SelectorEventLoop",
            ) from None
        sockets.before_close(self._socket, self.close)

    async def exchange(self, ask: Callable[..., int], *what: Any) -> Done:
        """Ask something of the session; return what becomes of it."""
        id_ = ask(self._session, *what)
        waiter: asyncio.Future[Done] = self.loop.create_future()
        self._waiters[id_] = waiter
        if len(self._waiters) == 1:
            self._push()
        elif (
            not self._pushing
        ):  # others are under way: what is asked in this turn of the loop leaves together
            self._pushing = True
            self.loop.call_soon(self._push)
        if self._timer is None:
            self._timer = self.loop.call_later(POLL, self._tick)
        try:
            return await waiter
        finally:
            if self._waiters.pop(id_, None) is not None:  # cancelled
                self._session.forget(id_)
                self._push()

    def _push(self) -> None:
        self._pushing = False
        if self._socket.closed:
            return
        try:
            flush(self._socket, self._session, _NOBLOCK)
        except zmq.Again:
            pass  # the timer tries again
        # Sending may have swallowed the descriptor's news of a message that came meanwhile. Polling tells as
        # much as asking the socket for its EVENTS, in half the time.
        if zmq_poll(self._readable, 0):
            self.loop.call_soon(self._drain)

    def _drain(self) -> None:
        """Take the messages that have come."""
        if self._socket.closed:
            return
        socket, session = self._socket, self._session
        try:
            for _ in range(BURST):
                if socket.closed or not zmq_poll(self._readable, 0):  # an exception costs five times as much
                    break
                event = session.receive(socket.recv(_NOBLOCK), _now())
                if type(event) is Fill:
                    event = session.filled(event, fill(socket, event.buffer))
                if type(event) is Done:
                    self._settle(event)
                elif event is None:
                    discard(socket)
                    self._settle_all(session.tick(_now()))
            else:  # there may be more: others get their turn first
                self.loop.call_soon(self._drain)
        except zmq.Again:
            pass
        except BridgeError as error:
            self.close(error)
            return
        if session.outbox:
            self._push()

    def _tick(self) -> None:
        self._timer = None
        self._settle_all(self._session.tick(_now()))
        self._push()
        if self._waiters:
            self._timer = self.loop.call_later(POLL, self._tick)

    def _settle_all(self, done: list[Done]) -> None:
        for each in done:
            self._settle(each)

    def _settle(self, done: Done) -> None:
        waiter = self._waiters.pop(done.id, None)
        if waiter is not None and not waiter.done():
            waiter.set_result(done)

    @property
    def is_greeted(self) -> bool:
        """Whether the gateway has introduced itself."""
        return self._session.welcome is not None

    @property
    def closed(self) -> bool:
        """Whether it can be used no more."""
        return self._socket.closed or self.loop.is_closed()

    def close(self, why: BridgeError | None = None) -> None:
        """Close the socket; whoever still waits is told why, and that a trade may have been executed."""
        if self._socket.closed:
            return
        if not self.loop.is_closed():
            self.loop.remove_reader(self._fd)
            if self._timer is not None:
                self._timer.cancel()
            closed = Unreachable("the client was closed while the answer was awaited")
            self._settle_all(self._session.abandon(why or closed))
        self._socket.close()


@directly
class AsyncClient(Bridge):
    """A MetaTrader 5 terminal on the other side of a gateway; each call is awaited.

    As `Client`, for asyncio: one connection, any number of calls under way. The error of a call is on
    its result, `(await client.answers.symbol_info("X")).last_error`; `client.last_error()` is that of
    the running task's latest call.

    Args:
        host: The gateway's host; `MT5_HOST` without it.
        port: The gateway's command port; `MT5_PORT` without it.
        timeout: Seconds that an answer may take; `MT5_TIMEOUT` without it.
        keys: The client's key file; `MT5_KEYS` without it.
        compress: Whether long arrays are packed on their way; `MT5_COMPRESS` without it.

    Attributes:
        answers: The same operations, each with an `Answer`: the value and its error.

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
        self._sockets = Sockets()
        self._link: _Link | None = None
        self._error: ContextVar[LastError] = ContextVar("last_error", default=SUCCESS)
        self.answers = Answers(self)

    def twin(self) -> "AsyncClient":
        """Return another client of the same gateway, with a connection and a `last_error` of its own."""
        other = AsyncClient.__new__(AsyncClient)
        other.begin(self._core.another())
        return other

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._core.where}>"

    # ---- operations ----

    async def call(self, op: "Operation[P, R]", args: Bound, kwargs: dict[str, Any], /) -> R:
        """Carry out one operation of the table; its methods are the usual way to call it.

        Raises:
            BridgeError: There is no answer; its class says what is known of the outcome.
        """
        return (await self.answer(op, args, kwargs)).value  # type: ignore[no-any-return]

    async def answer(self, op: Operation[..., Any], args: Bound, kwargs: dict[str, Any]) -> Answer[Any]:
        """Carry out one operation; return its value and its error."""
        prepared = self._core.prepare(op, args, kwargs)
        if type(prepared) is Immediate:
            self._error.set(prepared.error)
            return Answer(*prepared)
        wire, key = prepared.wire, prepared.key
        done = await self._exchange(Session.ask, op, wire, _now(), self._timeout, key)
        self._error.set(done.error)
        if op.is_stateful:
            self._core.remember(op, wire, done.value)
        return Answer(done.value, done.error)

    def last_error(self) -> LastError:
        """Return the error of this task's latest call, `(1, 'Success')` where it had none; no trip."""
        return self._error.get()

    async def ping(self, timeout: float | None = None) -> Ping:
        """Ask the gateway how it is, and measure the round trip; see `Client.ping`."""
        start = time.perf_counter()
        done = await self._exchange(Session.ping, _now(), timeout or self._timeout)
        return Ping(time.perf_counter() - start, done.value)

    async def welcome(self, timeout: float | None = None) -> Welcome:
        """Return how the gateway introduces itself; see `Client.welcome`."""
        done = await self._exchange(Session.greet, _now(), timeout or self._timeout)
        welcome: Welcome = done.value
        return welcome

    async def order_send_many(
        self, requests: Sequence[Mapping[str, Any]], keys: Sequence[str] | None = None
    ) -> list[Sent]:
        """Send several trade requests in one trip; see `Client.order_send_many`."""

        async def send(request: Mapping[str, Any], key: str) -> Sent:
            try:
                answer = await self.answers.order_send(request, key=key)
            except BridgeError as error:
                return Sent(key, None, last_error_of(error), error)
            return Sent(key, answer.value, answer.last_error, None)

        chosen = keys_for(requests, keys)
        return await asyncio.gather(*map(send, requests, chosen))

    async def health(self, timeout: float | None = None) -> Health:
        """Return how gateway, streams, terminal, trade server and trading are; see `Client.health`."""
        from mt5crs.client.streaming.socket import hears_beat

        try:
            ping = await self.ping(timeout)
            port = (await self.welcome(timeout)).stream_port
            comes = await asyncio.to_thread(hears_beat, self._core, port, timeout or self._timeout)
        except BridgeError as error:
            return Health.of(error)
        return Health.of(ping, comes)

    def stream(
        self,
        *topics: AnyTopic,
        seconds: float | None = None,
        since: "Time | None" = None,
        after: str | int | None = None,
    ) -> "AsyncSubscription[AnyEvent]":
        """Subscribe to topics; iterate over what is returned for what comes on them; see `Client.stream`.

        It is subscribed when it is first waited for, or entered with `async with`.
        """
        from mt5crs.client.streaming.asynchronous import AsyncSubscription

        wanted = self._core.wanted(topics, since, after)

        async def port() -> int:
            for symbol in symbols_of(wanted.topics):
                self._core.check_symbol(symbol, await self.symbol_info_tick(symbol))
            return (await self.welcome()).stream_port

        return AsyncSubscription(self._core, wanted, port, self.twin, seconds)

    def ticks(
        self, *symbols: str, seconds: float | None = None, since: "Time | None" = None
    ) -> "AsyncSubscription[TickBatch | Notice]":
        """Subscribe to the ticks of symbols; see `stream`."""
        found = self.stream(*(Ticks(symbol) for symbol in symbols), seconds=seconds, since=since)
        return cast("AsyncSubscription[TickBatch | Notice]", found)

    def bars(
        self, symbol: str, timeframe: int, *, seconds: float | None = None, since: "Time | None" = None
    ) -> "AsyncSubscription[BarBatch | Notice]":
        """Subscribe to the bars of a symbol, each when the terminal has closed it; see `stream`."""
        found = self.stream(Bars(symbol, timeframe), seconds=seconds, since=since)
        return cast("AsyncSubscription[BarBatch | Notice]", found)

    def book(
        self, symbol: str, *, seconds: float | None = None
    ) -> "AsyncSubscription[BookSnapshot | Notice]":
        """Subscribe to the depth of market of a symbol; see `stream`."""
        found = self.stream(Book(symbol), seconds=seconds)
        return cast("AsyncSubscription[BookSnapshot | Notice]", found)

    def trades(
        self, *, seconds: float | None = None, after: str | int | None = None
    ) -> "AsyncSubscription[TradeEvent | Notice]":
        """Subscribe to what becomes of orders, deals and positions; see `stream`."""
        found = self.stream(Trades(), seconds=seconds, after=after)
        return cast("AsyncSubscription[TradeEvent | Notice]", found)

    def account(self, *, seconds: float | None = None) -> "AsyncSubscription[AccountUpdate | Notice]":
        """Subscribe to the account; see `stream`."""
        found = self.stream(Account(), seconds=seconds)
        return cast("AsyncSubscription[AccountUpdate | Notice]", found)

    # ---- connection ----

    async def _exchange(self, ask: Callable[..., int], *what: Any) -> Done:
        link = self._connected()
        done = await link.exchange(ask, *what)
        failure = done.failure
        if failure is not None:
            if isinstance(failure, ConnectionTimeout) and not link.is_greeted:
                from mt5crs.client.diagnosis import diagnosed

                failure = await asyncio.to_thread(diagnosed, self._core, failure)
            self._error.set(last_error_of(failure))
            raise failure
        return done

    def _connected(self) -> _Link:
        loop = asyncio.get_running_loop()
        if self._sockets.is_inherited:  # a forked child: the parent's are not ours to use or to close
            self._sockets, self._link = Sockets(), None
            self._core.rename()
        link = self._link
        if link is None or link.loop is not loop or link.closed:
            if self._sockets.closed:
                raise Unreachable("this client is closed", hint="make a new AsyncClient")
            self._sockets.drop_all()
            link = self._link = _Link(self._core, self._sockets, loop)
        return link

    async def close(self) -> None:
        """Close the connection. Can be called again."""
        self.close_now()

    def close_now(self) -> None:
        """As `close`, for what cannot await."""
        self._core.close()
        self._sockets.close()

    async def __aenter__(self) -> "Self":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: "TracebackType | None",
    ) -> None:
        await self.close()


@directly
class Answers(Bridge):
    """The operations of an `AsyncClient`, each with the error of its own call beside its value."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def call(self, op: "Operation[P, R]", args: Bound, kwargs: dict[str, Any], /) -> Answer[R]:
        """Carry out one operation of the table; return its value and its error."""
        return await self._client.answer(op, args, kwargs)

"""A subscription of the asyncio client."""

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from mt5crs.client.core import Core
from mt5crs.client.diagnosis import diagnosed
from mt5crs.client.streaming.feeds import Question
from mt5crs.client.streaming.given import NOTHING, Given
from mt5crs.client.streaming.socket import ARRIVAL, Subscribed
from mt5crs.client.streaming.stream import Greet, Listen, Pause, Stream, Wanted
from mt5crs.errors import BridgeError
from mt5crs.streams import AnyEvent

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from mt5crs.client.asynchronous import AsyncClient

E = TypeVar("E")

BURST = 64
"""Messages that are taken before other tasks get their turn."""

_now = time.monotonic


class AsyncSubscription(AsyncIterator[E], Generic[E]):
    """What comes on some topics, as it comes; see `AsyncClient.stream`.

    It is subscribed when it is first waited for, or entered as a context. Waiting can be cancelled and taken
    up again; nothing is lost by it.

    Args:
        core: Whose gateway it is.
        wanted: What is subscribed to.
        port: Finds out where it is published, and that it can be.
        client: Makes a client for what must be asked.
        seconds: How long to listen; without it, until it is closed.
    """

    def __init__(
        self,
        core: Core,
        wanted: Wanted,
        port: Callable[[], Awaitable[int]],
        client: "Callable[[], AsyncClient]",
        seconds: float | None,
    ) -> None:
        self._core = core
        self._wanted = wanted
        self._port = port
        self._make_client = client
        self._seconds = seconds
        self._until: float | None = None
        self._lock = asyncio.Lock()
        self._stirred = asyncio.Event()  # the socket is readable, or it is closed
        self._closed = False
        self._given = Given()
        self._taken = 0  # messages in a row
        self._client: AsyncClient | None = None
        self._stream = Stream(wanted, core.where, core.settings.timeout, _now())
        self._subscribed: Subscribed | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._watched: object = None  # the socket that the loop watches

    @property
    def serial(self) -> int | None:
        """The serial number of the last trade event that was yielded; None while it is not known."""
        return self._stream.serial(self._given.events)

    @property
    def bookmark(self) -> str | None:
        """What `after=` takes to go on behind the last trade event that was yielded; None while not known."""
        return self._stream.bookmark(self._given.events)

    def __aiter__(self) -> "Self":
        return self

    async def __anext__(self) -> E:
        """Return what comes next; raises as `Client.stream` does."""
        self._check_process()
        events, event = self._given.events, None
        try:
            async with self._lock:
                await self._fetch()
                # Without a call: a signal's handler has its turn behind each, and may raise.
                event = events[0]
                del events[0]
            return cast("E", event)
        except BaseException:
            if event is not None:
                events.appendleft(event)
            raise

    def _check_process(self) -> None:
        if self._subscribed is not None:
            self._subscribed.check_process()

    async def _fetch(self) -> None:
        """Have an event."""
        given = self._given
        try:
            subscribed = await self._begin()
            if given.is_unfinished and subscribed is not None:
                subscribed.spoil()
                given.recover()
            while not given.events or self._is_over() or subscribed is None:
                if self._is_over() or subscribed is None:
                    self._release()
                    raise StopAsyncIteration
                await self._step(subscribed)
        except BridgeError:
            self._release()
            raise

    def _is_over(self) -> bool:
        return self._closed or (self._until is not None and _now() >= self._until)

    async def _begin(self) -> Subscribed | None:
        """Subscribe, if that was not done; return None where it is too late."""
        if self._subscribed is not None or self._closed:
            return self._subscribed
        port = await self._port()
        if self._is_over():
            return None
        self._loop = asyncio.get_running_loop()
        if self._seconds is not None:
            self._until = _now() + self._seconds
        self._stream = Stream(self._wanted, self._core.where, self._core.settings.timeout, _now())
        self._subscribed = Subscribed(self._core, self._stream.names, port)
        return self._subscribed

    def _is_readable(self, subscribed: Subscribed) -> bool:
        """Whether there is a message; from now on the loop tells of the next."""
        if self._closed:
            return False
        self._stirred.clear()
        is_readable = subscribed.ready(0.0)
        if self._watched is not subscribed.socket:
            self._watch(subscribed)
        return is_readable

    def _watch(self, subscribed: Subscribed) -> None:
        loop = self._loop
        assert loop is not None  # noqa: S101 - `_begin` has set it
        for socket in (subscribed.socket, subscribed.monitor):
            fd = socket.fileno()
            loop.add_reader(fd, self._stirred.set)
            subscribed.before_close(socket, partial(_unwatch, loop, fd))
        self._watched = subscribed.socket

    async def _step(self, subscribed: Subscribed) -> None:
        stream = self._stream
        step = stream.next(_now())
        if isinstance(step, Listen):
            await self._listen(subscribed, step)
        elif isinstance(step, Question):
            await self._ask(step)
        elif isinstance(step, Pause):
            await asyncio.sleep(self._left(step.seconds))
        elif isinstance(step, Greet):
            await self._greet(subscribed, step)
        else:
            self._conclude(stream.diagnosed, await asyncio.to_thread(diagnosed, self._core, step.failure))

    def _left(self, seconds: float) -> float:
        return seconds if self._until is None else max(0.0, min(seconds, self._until - _now()))

    async def _listen(self, subscribed: Subscribed, listen: Listen) -> None:
        if self._taken >= BURST:
            self._taken = 0
            await asyncio.sleep(0)
        # The descriptor tells of the first message only: what there is is taken before it is waited for.
        if self._is_readable(subscribed):
            self._taken += 1
            given = self._given
            given.begin(NOTHING)  # of what came in part the rest cannot be taken later
            frames = subscribed.socket.recv_multipart()
            given.begin(self._stream.memory(frames))
            given.add(self._stream.take(frames, _now()))
            return
        self._taken = 0
        self._stream.quiet()
        await self._stir(self._left(min(listen.seconds, subscribed.pause)))

    async def _stir(self, seconds: float) -> None:
        """Wait until the socket may be readable, or it is closed."""
        assert self._loop is not None  # noqa: S101 - `_begin` has set it
        # Not `wait_for`, which before Python 3.12 could swallow a cancellation.
        alarm = self._loop.call_later(seconds, self._stirred.set)
        try:
            if not self._closed:
                await self._stirred.wait()
        finally:
            alarm.cancel()

    async def _ask(self, question: Question) -> None:
        if self._client is None:
            self._client = self._make_client()
        try:
            value: Any = await getattr(self._client, question.operation)(*question.args, **question.named)
        except BridgeError as failure:
            self._conclude(self._stream.unanswered, failure)
        else:
            self._conclude(self._stream.answer, value)

    async def _greet(self, subscribed: Subscribed, greet: Greet) -> None:
        if self._client is None:
            self._client = self._make_client()
        try:
            welcome = await self._client.welcome(greet.seconds)
        except BridgeError as failure:
            self._conclude(self._stream.unreached, failure)
        else:
            if not self._closed:
                subscribed.move(welcome.stream_port)
            self._stream.greeted(_now())

    def _conclude(self, take: Callable[[Any, float], list[AnyEvent]], what: Any) -> None:
        self._given.begin(self._stream.memory())
        self._given.add(take(what, _now()))

    def call(self, function: Callable[[E], Any]) -> "asyncio.Task[None]":
        """Call a function with each event, and await it where it is to be awaited; return the task."""

        async def run() -> None:
            try:
                async for event in self:
                    result = function(event)
                    if inspect.isawaitable(result):
                        await result
            finally:
                await self.close()

        return asyncio.get_running_loop().create_task(run())

    async def close(self) -> None:
        """End it; who waits for an event gets `StopAsyncIteration`. Can be called again."""
        self._closed = True
        if self._subscribed is not None and self._subscribed.is_inherited:
            return  # the parent's
        self._stirred.set()
        if not self._lock.locked():  # else who waits lets go of the socket
            self._release()

    def _release(self) -> None:
        self._closed = True
        self._given.events.clear()
        if self._subscribed is not None:
            self._subscribed.close()
        if self._client is not None:
            self._client.close_now()
            self._client = None

    async def __aenter__(self) -> "Self":
        self._check_process()
        async with self._lock:
            subscribed = await self._begin()
            until = _now() + min(ARRIVAL, self._core.settings.timeout)
            # The transport sends wishes only while its socket is used.
            while subscribed is not None and not self._is_over() and not self._is_readable(subscribed):
                left = until - _now()
                if left <= 0:
                    break
                await self._stir(min(left, subscribed.pause))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: "TracebackType | None",
    ) -> None:
        await self.close()


def _unwatch(loop: asyncio.AbstractEventLoop, fd: int) -> None:
    if not loop.is_closed():
        loop.remove_reader(fd)

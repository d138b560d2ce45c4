"""A subscription of the blocking client."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from mt5crs.client.core import Core
from mt5crs.client.streaming.feeds import Question
from mt5crs.client.streaming.given import NOTHING, Given
from mt5crs.client.streaming.socket import ARRIVAL, STEP_MS, Subscribed
from mt5crs.client.streaming.stream import Diagnose, Greet, Listen, Pause, Stream, Wanted
from mt5crs.errors import BridgeError

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from mt5crs.client.blocking import Client
    from mt5crs.streams import AnyEvent

E = TypeVar("E")

_now = time.monotonic


class Subscription(Iterator[E], Generic[E]):
    """What comes on some topics, as it comes; see `Client.stream`.

    It is subscribed from the start: what comes before the first iteration waits. One thread at a time is
    given an event; `close` can be called from any.

    Args:
        core: Whose gateway it is.
        wanted: What is subscribed to.
        port: Where it is published.
        client: Makes a client for what must be asked.
        seconds: How long to listen; without it, until it is closed.
    """

    def __init__(
        self, core: Core, wanted: Wanted, port: int, client: "Callable[[], Client]", seconds: float | None
    ) -> None:
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._given = Given()
        self._client: Client | None = None
        self._make_client = client
        self._core = core
        self._until = None if seconds is None else _now() + seconds
        self._stream = Stream(wanted, core.where, core.settings.timeout, _now())
        self._subscribed = Subscribed(core, self._stream.names, port)
        try:  # the transport sends wishes only while its socket is used
            self._subscribed.hears(self._left(min(ARRIVAL, core.settings.timeout)))
        except BaseException:
            self._release()
            raise

    @property
    def serial(self) -> int | None:
        """The serial number of the last trade event that was yielded; None while it is not known."""
        return self._stream.serial(self._given.events)

    @property
    def bookmark(self) -> str | None:
        """What `after=` takes to go on behind the last trade event that was yielded; None while not known."""
        return self._stream.bookmark(self._given.events)

    def __iter__(self) -> "Self":
        return self

    def __next__(self) -> E:
        """Return what comes next.

        Raises:
            StopIteration: It was closed, or its time is over.
            ConnectionTimeout: Nothing was heard from the start.
            KeyRefused: The gateway does not know this client's key any more.
            Denied: The gateway does not give this client one of the topics.
            ProtocolError: What came is not of the protocol.
            Unreachable: The stream belongs to the process that this one was forked from.
        """
        self._subscribed.check_process()
        events, event = self._given.events, None
        try:
            with self._lock:
                self._fetch()
                # Without a call: a signal's handler has its turn behind each, and may raise.
                event = events[0]
                del events[0]
            return cast("E", event)
        except BaseException:
            if event is not None:
                events.appendleft(event)
            raise

    def _fetch(self) -> None:
        """Have an event."""
        given = self._given
        if given.is_unfinished:
            self._subscribed.spoil()
            given.recover()
        while not given.events or self._is_over():
            if self._is_over():
                self._release()
                raise StopIteration
            try:
                self._step()
            except BridgeError:
                self._release()
                raise

    def _is_over(self) -> bool:
        return self._closing.is_set() or (self._until is not None and _now() >= self._until)

    def _step(self) -> None:
        stream, given, subscribed = self._stream, self._given, self._subscribed
        step = stream.next(_now())
        if isinstance(step, Listen):
            # In short steps, so that `close` and the process's signals get their turn.
            if not subscribed.ready(self._left(min(STEP_MS / 1000, step.seconds))):
                stream.quiet()
                return
            given.begin(NOTHING)  # of what came in part the rest cannot be taken later
            frames = subscribed.socket.recv_multipart()
            given.begin(stream.memory(frames))
            given.add(stream.take(frames, _now()))
        elif isinstance(step, Question):
            self._ask(step)
        elif isinstance(step, Pause):
            self._closing.wait(self._left(step.seconds))
        elif isinstance(step, Greet):
            self._greet(step)
        else:
            self._diagnose(step)

    def _left(self, seconds: float) -> float:
        return seconds if self._until is None else max(0.0, min(seconds, self._until - _now()))

    def _ask(self, question: Question) -> None:
        if self._client is None:
            self._client = self._make_client()
        try:
            value: Any = getattr(self._client, question.operation)(*question.args, **question.named)
        except BridgeError as failure:
            self._conclude(self._stream.unanswered, failure)
        else:
            self._conclude(self._stream.answer, value)

    def _greet(self, greet: Greet) -> None:
        if self._client is None:
            self._client = self._make_client()
        try:
            welcome = self._client.welcome(greet.seconds)
        except BridgeError as failure:
            self._conclude(self._stream.unreached, failure)
        else:
            self._subscribed.move(welcome.stream_port)
            self._stream.greeted(_now())

    def _diagnose(self, step: Diagnose) -> None:
        from mt5crs.client.diagnosis import diagnosed

        self._conclude(self._stream.diagnosed, diagnosed(self._core, step.failure))

    def _conclude(self, take: Callable[[Any, float], "list[AnyEvent]"], what: Any) -> None:
        self._given.begin(self._stream.memory())
        self._given.add(take(what, _now()))

    def call(self, function: Callable[[E], object]) -> "Calls":
        """Call a function with each event, in a thread of its own; return a handle to end it."""
        return Calls(self, function)

    def close(self) -> None:
        """End it; who waits for an event gets `StopIteration`. Can be called again, and from any thread."""
        self._closing.set()
        if self._subscribed.is_inherited:  # the parent's, and its lock may be held for ever
            return
        # Who waits lets go of the socket; without such a one it is ours to do.
        if self._lock.acquire(blocking=False):
            try:
                self._release()
            finally:
                self._lock.release()

    def _release(self) -> None:
        self._closing.set()
        self._given.events.clear()
        self._subscribed.close()
        if self._client is not None:
            self._client.close()
            self._client = None

    def __enter__(self) -> "Self":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: "TracebackType | None",
    ) -> None:
        self.close()


class Calls:
    """Calls of a function with the events of a subscription, in a thread of their own.

    Args:
        subscription: Where the events come from.
        function: What is called with each.
    """

    def __init__(self, subscription: Subscription[E], function: Callable[[E], object]) -> None:
        self._failure: BaseException | None = None
        self._end = subscription.close

        def run() -> None:
            try:
                for event in subscription:
                    function(event)
            except BaseException as failure:
                self._failure = failure
            finally:
                subscription.close()

        self._thread = threading.Thread(target=run, name="mt5crs stream", daemon=True)
        self._thread.start()

    def join(self, timeout: float | None = None) -> bool:
        """Wait until the calls have ended; raise what ended them, if anything did.

        Args:
            timeout: Seconds to wait at most.

        Returns:
            Whether they have ended.
        """
        self._thread.join(timeout)
        if self._thread.is_alive():
            return False
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure
        return True

    def close(self) -> None:
        """End the calls; the one under way ends first. Raises what had ended them, if anything had."""
        self._end()
        if threading.current_thread() is not self._thread:
            self.join()

    def __enter__(self) -> "Self":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: "TracebackType | None",
    ) -> None:
        self.close()

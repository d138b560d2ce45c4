"""A TCP proxy between clients and a gateway that does to whole messages what networks do.

Commands of ZMTP (the handshake, heartbeats) pass untouched, so that only what is chosen goes wrong.
"""

import asyncio
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from types import TracebackType
from typing import Any, TypeVar

from tests.adversity.actions import (
    Action,
    Cut,
    Delay,
    Drop,
    Duplicate,
    HalfClose,
    Pass,
    Reorder,
    Truncate,
)
from tests.adversity.zmtp import GREETING, Command, Message, Way, read

PATIENCE = 30.0
QUEUE = 64
"""Messages of one direction that wait behind a delayed one; then the sender has to wait."""

T = TypeVar("T")
Policy = Callable[[Message], Action | None]


class Rule:
    """What is done to some of the messages of one direction.

    Attributes:
        happened: How often it was done.
    """

    def __init__(self, way: Way, when: Callable[[Message], bool], do: Action, times: int) -> None:
        self._way = way
        self._when = when
        self._do = do
        self._times = times
        self._changed = threading.Condition()
        self.happened = 0

    def judge(self, message: Message) -> Action | None:
        """Return what is done to a message, None where this rule is not about it."""
        if message.way is not self._way or (self._times and self.happened >= self._times):
            return None
        if not self._when(message):
            return None
        with self._changed:
            self.happened += 1
            self._changed.notify_all()
        return self._do

    def wait(self, count: int = 1, timeout: float = PATIENCE) -> None:
        """Wait until it has happened so often.

        Raises:
            TimeoutError: It has not.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self.happened >= count, timeout):
                raise TimeoutError(f"{self._do} happened {self.happened} times, not {count}")


class Proxy:
    """A proxy in a thread of its own, on a free port of loopback.

    Args:
        port: The gateway's port.
        policies: What is done to messages that no rule is about, by direction.

    Attributes:
        port: Where clients connect to.
        counts: How often each kind of action was carried out.
        policies: See the arguments; may be changed at any time.
        connections: How many connections were made so far.
    """

    def __init__(self, port: int, policies: dict[Way, Policy] | None = None) -> None:
        self._gateway = port
        self.policies = policies or {}
        self.counts: Counter[str] = Counter()
        self.connections = 0
        self._rules: list[Rule] = []
        self._open: set[_Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)
        self._thread.start()
        self.port: int = self._wait_for(self._start())

    # ---- what is done ----

    def on(self, way: Way, when: Callable[[Message], bool], do: Action, times: int = 1) -> Rule:
        """Do something to the next messages of a kind.

        Args:
            way: Their direction.
            when: Tells them from others, as in `lambda message: b"order_send" in message`.
            do: What is done.
            times: To how many of them; 0 for all.
        """
        rule = Rule(way, when, do, times)
        self._rules.append(rule)
        return rule

    def calm(self) -> None:
        """Do nothing to any message from now on."""
        self._rules.clear()
        self.policies = {}

    def judge(self, message: Message) -> Action | None:
        """Return what is done to a message."""
        for rule in tuple(self._rules):
            action = rule.judge(message)
            if action is not None:
                return action
        policy = self.policies.get(message.way)
        return policy(message) if policy is not None else None

    def pause(self) -> None:
        """Let nothing through from now on, connections open."""
        self._wait_for(self._let(False))

    def resume(self) -> None:
        """Let everything through again."""
        self._wait_for(self._let(True))

    def cut_all(self) -> None:
        """Cut all connections off."""
        self._wait_for(self._cut_all())

    def close(self) -> None:
        """End the proxy and its connections."""
        if self._thread.is_alive():
            self._wait_for(self._stop())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(PATIENCE)

    def __enter__(self) -> "Proxy":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    # ---- in its thread ----

    def _run(self) -> None:
        self._loop.run_forever()
        self._loop.close()

    def _wait_for(self, what: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(PATIENCE)

    async def _start(self) -> int:
        self.flowing = asyncio.Event()
        self.flowing.set()
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def _let(self, through: bool) -> None:
        if through:
            self.flowing.set()
        else:
            self.flowing.clear()

    async def _cut_all(self) -> None:
        for connection in tuple(self._open):
            connection.cut()

    async def _stop(self) -> None:
        self._server.close()
        await self._cut_all()
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._connect(reader, writer)
        except asyncio.CancelledError:
            pass  # the proxy is closed
        finally:
            writer.transport.abort()
            self._tasks.discard(task)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._gateway)
        except OSError:  # the gateway is down: so is this side, and the client tries again
            return
        self.connections += 1
        connection = _Connection(self, self.connections, (reader, writer), (far_reader, far_writer))
        self._open.add(connection)
        try:
            await connection.run()
        finally:
            self._open.discard(connection)


class _Connection:
    """A client's connection and the one to the gateway that belongs to it."""

    def __init__(
        self,
        proxy: Proxy,
        number: int,
        client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        gateway: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        self._writers = (client[1], gateway[1])
        self._pipes = (
            _Pipe(proxy, self, number, Way.TO_GATEWAY, client[0], gateway[1]),
            _Pipe(proxy, self, number, Way.TO_CLIENT, gateway[0], client[1]),
        )

    async def run(self) -> None:
        """Pass messages on until one side ends, and what it had sent is passed on."""
        gives = [asyncio.create_task(pipe.give()) for pipe in self._pipes]
        takes = [asyncio.create_task(pipe.take()) for pipe in self._pipes]
        try:
            await asyncio.wait(gives, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in gives + takes:
                task.cancel()
            self.cut()
            await asyncio.gather(*gives, *takes, return_exceptions=True)

    def cut(self, *, flushed: asyncio.StreamWriter | None = None) -> None:
        """End both sides; one of them once it has what was written to it."""
        for writer in self._writers:
            if writer is flushed:
                writer.close()
            else:
                writer.transport.abort()


class _Pipe:
    """One direction of a connection."""

    def __init__(
        self,
        proxy: Proxy,
        connection: _Connection,
        number: int,
        way: Way,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._proxy = proxy
        self._connection = connection
        self._number = number
        self._way = way
        self._reader = reader
        self._writer = writer
        self._queue: asyncio.Queue[Message | None] = asyncio.Queue(QUEUE)
        self._ended = False

    async def take(self) -> None:
        """Read until the sender ends the connection; commands go on at once."""
        try:
            await self._take_greeting()
            while True:
                unit = await read(self._reader, self._way, self._number)
                await self._proxy.flowing.wait()
                if isinstance(unit, Command):
                    self._write(unit.raw)
                else:
                    await self._queue.put(unit)
        except (asyncio.IncompleteReadError, OSError):
            await self._queue.put(None)

    async def _take_greeting(self) -> None:
        """Pass the greeting on as it comes: its second half answers the first one of the other side."""
        missing = GREETING
        while missing:
            part = await self._reader.read(missing)
            if not part:
                raise asyncio.IncompleteReadError(part, missing)
            await self._proxy.flowing.wait()
            self._write(part)
            missing -= len(part)

    async def give(self) -> None:
        """Pass messages on, each with what is to be done to it; ends with the connection."""
        try:
            while (message := await self._queue.get()) is not None:
                action = self._proxy.judge(message)
                if action is None:
                    self._write(message.raw)
                elif await _DO[type(action)](self, message, action):
                    self._proxy.counts[action.kind] += 1
                await self._proxy.flowing.wait()
                await self._writer.drain()
        except OSError:
            return

    def _write(self, raw: bytes) -> None:
        if not self._ended:
            self._writer.write(raw)

    # ---- what is done; each says whether it could be ----

    async def _go(self, message: Message, action: Pass) -> bool:
        self._write(message.raw)
        return True

    async def _drop(self, message: Message, action: Drop) -> bool:
        return True

    async def _delay(self, message: Message, action: Delay) -> bool:
        await asyncio.sleep(action.seconds)
        self._write(message.raw)
        return True

    async def _duplicate(self, message: Message, action: Duplicate) -> bool:
        self._write(message.raw + message.raw)
        return True

    async def _reorder(self, message: Message, action: Reorder) -> bool:
        try:
            following = await asyncio.wait_for(self._queue.get(), action.seconds)
        except asyncio.TimeoutError:
            self._write(message.raw)
            return False
        if following is None:  # the sender has ended
            self._queue.put_nowait(None)
        self._write(message.raw if following is None else following.raw + message.raw)
        return following is not None

    async def _truncate(self, message: Message, action: Truncate) -> bool:
        self._write(message.raw[: max(1, int(len(message.raw) * action.share))])
        self._connection.cut(flushed=self._writer)
        return True

    async def _cut(self, message: Message, action: Cut) -> bool:
        if action.after:
            self._write(message.raw)
        self._connection.cut(flushed=self._writer if action.after else None)
        return True

    async def _half_close(self, message: Message, action: HalfClose) -> bool:
        self._ended = True
        if self._writer.can_write_eof() and not self._writer.is_closing():
            self._writer.write_eof()
        return True


_DO: dict[type[Action], Callable[[_Pipe, Message, Any], Awaitable[bool]]] = {
    Pass: _Pipe._go,
    Drop: _Pipe._drop,
    Delay: _Pipe._delay,
    Duplicate: _Pipe._duplicate,
    Reorder: _Pipe._reorder,
    Truncate: _Pipe._truncate,
    Cut: _Pipe._cut,
    HalfClose: _Pipe._half_close,
}

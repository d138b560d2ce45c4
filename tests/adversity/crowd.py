"""Many clients at once that send orders carefully: threads with blocking clients, and asyncio tasks."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any

from mt5crs import AsyncClient, BridgeError, Client
from tests.adversity.orders import Ask, Life, Order, Send, Step, Trader, carefully

THREADS_PER_CLIENT = 2


class Crowd:
    """Clients that send a number of orders in all.

    Args:
        port: Where they connect to.
        trader: Makes up orders.
        total: How many orders they send.
        until: `time.monotonic()` after which they begin nothing new.
        timeout: Seconds that a client waits for an answer.

    Attributes:
        orders: What was sent so far.
    """

    def __init__(self, port: int, trader: Trader, total: int, *, until: float, timeout: float) -> None:
        self._port = port
        self._trader = trader
        self._total = total
        self._until = until
        self._timeout = timeout
        self._lock = threading.Lock()
        self.orders: list[Order] = []

    def progress(self) -> float:
        """Return the share of the orders that was sent."""
        return len(self.orders) / self._total

    def run(self, threads: int, loops: int, tasks: int) -> None:
        """Send all orders.

        Args:
            threads: With blocking clients.
            loops: With an asyncio client each.
            tasks: In each loop.
        """
        with ExitStack() as stack:
            options: dict[str, Any] = {"timeout": self._timeout}
            clients = [
                stack.enter_context(Client("127.0.0.1", self._port, **options))
                for _ in range((threads + 1) // THREADS_PER_CLIENT)
            ]
            shared = [clients[number // THREADS_PER_CLIENT] for number in range(threads)]
            runs: list[Callable[[], None]] = [partial(self._block, client) for client in shared]
            runs += [lambda: asyncio.run(self._await(tasks))] * loops
            failures: list[BaseException] = []
            started = [threading.Thread(target=_guarded, args=(run, failures), daemon=True) for run in runs]
            for thread in started:
                thread.start()
            for thread in started:
                thread.join()
        if failures:
            raise failures[0]

    # ---- orders ----

    def _lives(self) -> Iterator[Life]:
        while len(self.orders) < self._total and time.monotonic() < self._until:
            with self._lock:
                life = self._trader.live()
            yield life

    def _next(self, life: Life) -> Order | None:
        with self._lock:  # the trader's numbers are for all
            if len(self.orders) >= self._total or time.monotonic() >= self._until:
                return None
            order = next(life, None)
            if order is not None:
                self.orders.append(order)
            return order

    # ---- clients ----

    def _block(self, client: Client) -> None:
        for life in self._lives():
            while (order := self._next(life)) is not None:
                errand, answer = carefully(order), None
                while (step := _advance(errand, answer)) is not None:
                    answer = block(client, step)

    async def _await(self, tasks: int) -> None:
        async with AsyncClient("127.0.0.1", self._port, timeout=self._timeout) as client:
            await asyncio.gather(*(self._await_lives(client) for _ in range(tasks)))

    async def _await_lives(self, client: AsyncClient) -> None:
        for life in self._lives():
            while (order := self._next(life)) is not None:
                errand, answer = carefully(order), None
                while (step := _advance(errand, answer)) is not None:
                    answer = await awaited(client, step)


def _guarded(run: Callable[[], None], failures: list[BaseException]) -> None:
    try:
        run()
    except BaseException as error:  # the thread that waits raises it
        failures.append(error)


def _advance(errand: Any, answer: Any) -> Step | None:
    try:
        step: Step = errand.send(answer)
    except StopIteration:
        return None
    return step


def block(client: Client, step: Step) -> Any:
    """Do what an errand says; return what came of it."""
    try:
        if isinstance(step, Send):
            return client.order_send(step.order.request, key=step.order.key), client.last_error()
        if isinstance(step, Ask):
            return client.outcome(step.order.key)
    except BridgeError as error:
        return error
    time.sleep(step.seconds)
    return None


async def awaited(client: AsyncClient, step: Step) -> Any:
    """Do what an errand says; return what came of it."""
    try:
        if isinstance(step, Send):
            answer = await client.answers.order_send(step.order.request, key=step.order.key)
            return answer.value, answer.last_error
        if isinstance(step, Ask):
            return await client.outcome(step.order.key)
    except BridgeError as error:
        return error
    await asyncio.sleep(step.seconds)
    return None

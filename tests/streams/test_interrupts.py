"""Exceptions between any two lines of a stream's code, as handlers of signals raise them: no tick is lost."""

import asyncio
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from mt5crs import streams
from mt5crs.client import streaming
from mt5crs.streams import TickBatch
from tests.processes import Gateway
from tests.streams.test_gateway import check_exact, now_of

PATIENCE = 15.0
FOLDER = str(Path(streaming.__file__).parent)


class Interrupted(Exception):
    """What the handler raises."""


class Interrupts:
    """Raises after so many lines of the streams' code, each time after another number of them."""

    def __init__(self) -> None:
        self.count = 0
        self.where: set[tuple[str, int]] = set()

    def arm(self) -> None:
        self.count += 1
        self._left = 40 + self.count * 37 % 211
        sys.settrace(self._trace)

    def _trace(self, frame: FrameType, event: str, _: Any) -> Any:
        if not frame.f_code.co_filename.startswith(FOLDER):
            return None
        # At the end of `with` a tracer is called, a handler is not: there a lock would never be released.
        if event == "line" and frame.f_code.co_name not in ("__next__", "__anext__"):
            self._left -= 1
            if not self._left:
                self.where.add((frame.f_code.co_name, frame.f_lineno))
                raise Interrupted
        return self._trace


@pytest.fixture(scope="module")
def fast(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with Gateway(tmp_path_factory.mktemp("fast"), ["--speed", "100"]) as gateway:
        yield gateway


@pytest.mark.parametrize("asynchronous", [False, True])
def test_an_exception_anywhere_loses_no_tick_and_yields_none_twice(fast: Gateway, asynchronous: bool) -> None:
    interrupts = Interrupts()
    events: list[streams.AnyEvent] = []
    give_up = time.monotonic() + PATIENCE

    def is_enough() -> bool:
        assert time.monotonic() < give_up
        return interrupts.count > 300

    async def scenario() -> None:
        async with fast.async_client() as client:
            stream = client.ticks("EURUSD", since=since)
            while not is_enough():
                try:
                    interrupts.arm()
                    async for event in stream:
                        events.append(event)  # noqa: PERF401 - an exception comes in between
                except Interrupted:
                    pass
            sys.settrace(None)
            await stream.close()

    previous = sys.gettrace()
    with fast.client() as client:
        since = now_of(client) - 3000
        try:
            if asynchronous:
                asyncio.run(scenario())
            else:
                stream = client.ticks("EURUSD", since=since)
                while not is_enough():
                    try:
                        interrupts.arm()
                        for event in stream:
                            events.append(event)  # noqa: PERF402 - an exception comes in between
                    except Interrupted:
                        pass
                sys.settrace(None)
                stream.close()
        finally:
            sys.settrace(previous)
        check_exact(client, events, since)
        assert {"take", "add", "read", "_fetch"} <= {name for name, _ in interrupts.where}
        assert len(interrupts.where) > 50


def test_signal_handlers_that_raise_lose_no_tick(fast: Gateway) -> None:
    def interrupt(*_: Any) -> None:
        raise Interrupted

    events: list[streams.AnyEvent] = []
    before = signal.signal(signal.SIGALRM, interrupt)
    give_up = time.monotonic() + PATIENCE
    try:
        with fast.client() as client:
            since = now_of(client) - 3000
            stream = client.ticks("EURUSD", since=since)
            for number in range(200):
                assert time.monotonic() < give_up
                try:
                    signal.setitimer(signal.ITIMER_REAL, 0.002 + number % 17 / 2000)
                    for event in stream:
                        events.append(event)  # noqa: PERF402 - an exception comes in between
                except Interrupted:
                    pass
            assert isinstance(next(event for event in stream if isinstance(event, TickBatch)), TickBatch)
            stream.close()
            check_exact(client, events, since)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

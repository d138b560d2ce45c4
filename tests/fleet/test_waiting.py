"""Waiting that ends: in time, and always when the caller is cancelled."""

import asyncio

import pytest

from mt5crs.fleet.waiting import within


def test_what_is_done_in_time_is_returned() -> None:
    assert asyncio.run(within(10, asyncio.sleep(0, "done"))) == "done"


def test_what_takes_too_long_is_cancelled_and_has_ended() -> None:
    ended: list[str] = []

    async def long() -> None:
        try:
            await asyncio.sleep(600)
        finally:
            await asyncio.sleep(0)
            ended.append("ended")

    with pytest.raises(asyncio.TimeoutError):
        asyncio.run(within(0.01, long()))
    assert ended == ["ended"]


def test_an_error_on_the_way_out_is_told() -> None:
    async def broken() -> None:
        try:
            await asyncio.sleep(600)
        finally:
            raise OSError("it broke")

    with pytest.raises(OSError, match="it broke"):
        asyncio.run(within(0.01, broken()))


def test_a_caller_that_is_cancelled_is_so_though_it_is_done_at_that_moment() -> None:
    async def main() -> bool:
        doing: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        caller = asyncio.create_task(within(10, doing))
        await asyncio.sleep(0)
        doing.set_result(1)
        caller.cancel()
        await asyncio.wait({caller})
        return caller.cancelled()

    assert asyncio.run(main())

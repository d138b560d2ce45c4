"""Ticks as they come, on the command line."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from mt5crs.cli.formats import array_rows
from mt5crs.cli.options import Call
from mt5crs.cli.output import Column, Form, Row
from mt5crs.cli.report import note

if TYPE_CHECKING:
    from mt5crs.client.streams import Gap, TickBatch
    from mt5crs.settings import Settings

PERSISTENCE = 0.1
"""Seconds until a reader that goes on although it was told to end is told again."""


def follow(
    call: Call,
    symbols: Sequence[str],
    columns: Sequence[Column],
    fields: Sequence[str],
    *,
    count: int | None = None,
    seconds: float | None = None,
) -> None:
    """Write ticks as they come, until there were so many, so long, or Ctrl-C."""
    write = call.output.lines(columns, fields)
    left = count

    def take(event: "TickBatch | Gap") -> bool:
        nonlocal left
        rows = event_rows(event, as_row=call.output.form is Form.JSON)
        if left is not None:
            rows = rows[:left]
            left -= len(rows)
        for row in rows:
            write(row)
        return left != 0

    watch(call.settings, symbols, take, seconds)


def event_rows(event: "TickBatch | Gap", *, as_row: bool) -> list[Row]:
    """Return the rows of an event; a gap is told beside them, and is a row only where rows may differ."""
    from mt5crs.client.streams import Gap

    if not isinstance(event, Gap):
        return [{"symbol": event.symbol, **row} for row in array_rows(event.ticks)]
    missed = f"{event.batches} batches" if event.batches else "an unknown number of ticks"
    note(f"gap: {missed} of {event.symbol} were missed here")
    return [{"gap": True, **event._asdict()}] if as_row else []


def watch(
    settings: "Settings",
    symbols: Sequence[str],
    take: Callable[["TickBatch | Gap"], bool],
    seconds: float | None,
) -> None:
    """Hand events on as they come, while they are wanted and there is time.

    The asyncio client, because it can stop waiting at a set time also when no tick comes.

    Args:
        settings: Where the gateway is.
        symbols: Whose ticks.
        take: Takes an event and says whether more are wanted.
        seconds: For how long; without end if None.

    Raises:
        ConnectionTimeout: The gateway has gone silent.
    """
    import asyncio

    async def read() -> None:
        from mt5crs.client.asynchronous import AsyncClient

        async with AsyncClient(
            settings.host,
            settings.port,
            timeout=settings.timeout,
            keys=settings.keys,
            compress=settings.compress,
        ) as client:
            async for event in client.ticks(*symbols):
                if not take(event):
                    return

    async def read_for_a_while() -> None:
        reading = asyncio.ensure_future(read())
        try:
            await asyncio.wait({reading}, timeout=seconds)
        finally:
            # Until it has ended: before Python 3.12 a cancellation that meets a result is lost in `wait_for`.
            while not reading.done():
                reading.cancel()
                await asyncio.wait({reading}, timeout=PERSISTENCE)
            failure = None if reading.cancelled() else reading.exception()  # asked for, or asyncio complains
        if failure is not None:
            raise failure

    asyncio.run(read_for_a_while())

"""Streams on the command line: what comes, row by row, and what there is to know of the stream beside it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mt5crs.cli.formats import array_rows, fields_of, moment
from mt5crs.cli.options import Call
from mt5crs.cli.output import Column, Form, Row
from mt5crs.cli.report import note
from mt5crs.model import TradeEvent
from mt5crs.streams import AccountUpdate, AnyEvent, BarBatch, Behind, BookSnapshot, Gap, Silent, TickBatch
from mt5crs.topics import AnyTopic


def follow(
    call: Call,
    topics: Sequence[AnyTopic],
    columns: Sequence[Column],
    fields: Sequence[str],
    *,
    count: int | None = None,
    seconds: float | None = None,
    since: int | None = None,
    after: str | None = None,
) -> None:
    """Write what comes on topics as it comes, until there was so much, so long, or Ctrl-C.

    Args:
        call: Where the gateway is, and where the rows go.
        topics: What is followed, of one kind.
        columns: What people see.
        fields: The fields of a row for programs.
        count: How many rows; of a book, how many books.
        seconds: For how long.
        since: From when on, in server time.
        after: The last trade event that is not wanted.
    """
    write = call.output.lines(columns, fields)
    left = count
    with call.client.stream(*topics, seconds=seconds, since=since, after=after) as stream:
        for event in stream:
            rows = event_rows(event, as_row=call.output.form is Form.JSON)
            if isinstance(event, TradeEvent):
                rows = [{**row, "bookmark": stream.bookmark} for row in rows]
            if left is not None and not isinstance(event, Gap | Behind | Silent):
                taken = 1 if isinstance(event, BookSnapshot) else min(left, len(rows))
                rows = rows if isinstance(event, BookSnapshot) else rows[:taken]
                left -= taken
            for row in rows:
                write(row)
            if left == 0:
                return


def event_rows(event: AnyEvent, *, as_row: bool) -> list[Row]:
    """Return the rows of an event.

    Args:
        event: The event.
        as_row: Whether what there is to know of the stream is a row, too; it is told beside them always.
    """
    rows = _ROWS.get(type(event), _trade)(event)
    if not isinstance(event, Gap | Behind | Silent):
        return rows
    note(_words(event))
    return rows if as_row else []


def _words(notice: Gap | Behind | Silent) -> str:
    if isinstance(notice, Silent):
        return f"silent: nothing has come for {notice.seconds:.0f} s, still waiting: {notice.why}"
    if isinstance(notice, Behind):
        return f"behind: what comes is {notice.seconds:.1f} s old" if notice.seconds else "caught up"
    times = [(word, moment(time)) for word, time in (("from", notice.start), ("to", notice.end)) if time]
    span = "".join(f" {word} {time}" for word, time in times)
    return f"gap: something of {_name(notice.topic)} is missing{span}: {notice.why}"


def _name(topic: AnyTopic) -> str:
    from mt5crs.wire import topics

    return topics.name(topic)[:-1].decode()


def _ticks(batch: TickBatch) -> list[Row]:
    return [{"symbol": batch.symbol, **row} for row in array_rows(batch.ticks)]


def _bars(batch: BarBatch) -> list[Row]:
    return [{"symbol": batch.symbol, **row} for row in array_rows(batch.bars)]


def _book(snapshot: BookSnapshot) -> list[Row]:
    last = len(snapshot.book)
    return [
        {"symbol": snapshot.symbol, "level": level, "levels": last, **fields_of(info)}
        for level, info in enumerate(snapshot.book, 1)
    ]


def _trade(event: TradeEvent) -> list[Row]:
    return [fields_of(event)]


_ROWS: Mapping[type, Callable[[Any], list[Row]]] = {
    TickBatch: _ticks,
    BarBatch: _bars,
    BookSnapshot: _book,
    AccountUpdate: lambda update: [fields_of(update.account)],
    Gap: lambda gap: [{"notice": "gap", **gap._asdict(), "topic": _name(gap.topic)}],
    Behind: lambda behind: [{"notice": "behind", **behind._asdict()}],
    Silent: lambda silent: [{"notice": "silent", **silent._asdict()}],
}
"""The rows of each kind of event."""

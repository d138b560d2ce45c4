"""`mt5crs ping`: is the gateway there, and how far away."""

import math
import time
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from mt5crs.cli.options import Call, connected
from mt5crs.cli.output import Column, Form, Output, Table, field
from mt5crs.cli.report import Failure
from mt5crs.client.measure import percentile
from mt5crs.errors import ConnectionTimeout

BUCKETS = 10
BAR = 40
QUANTILES = (50, 90, 99)
SUMMARY = ("sent", "received", "loss_percent", "min_ms", *(f"p{q}_ms" for q in QUANTILES), "max_ms")


def register(app: typer.Typer) -> None:
    """Add the command."""

    @connected(app)
    def ping(
        call: Call,
        count: Annotated[int, typer.Option("--count", "-c", min=1, help="How many pings.")] = 10,
        interval: Annotated[
            float, typer.Option("--interval", "-i", min=0, help="Seconds between two.")
        ] = 0.1,
    ) -> None:
        """Measure the round trip to the gateway; exit 0 if it answers, 1 if not."""
        trips = measure(call, count, interval)
        call.output.write(summary(trips))
        answered = [trip for trip in trips if trip is not None]
        if not answered:
            raise Failure(
                f"Connection timeout: {call.where} did not answer",
                hint="is the gateway running there, is the port open, and does it want keys (MT5_KEYS)?",
            )
        if call.output.form is Form.TABLE:
            call.output.write(histogram(answered, call.output))


def measure(call: Call, count: int, interval: float) -> list[float | None]:
    """Return round trips in milliseconds, None for each that was lost."""
    trips: list[float | None] = []
    for number in range(count):
        if number:
            time.sleep(interval)
        try:
            if not number:
                call.client.welcome()  # connecting is no part of a round trip
            trips.append(call.client.ping().seconds * 1000)
        except ConnectionTimeout:
            trips.append(None)
            if not number:  # nobody is there: waiting for the rest would only take time
                break
    return trips


def summary(trips: Sequence[float | None]) -> Table:
    """Return the measurement as one row."""
    answered = sorted(trip for trip in trips if trip is not None)
    row: dict[str, Any] = dict.fromkeys(SUMMARY)
    row.update(sent=len(trips), received=len(answered))
    row["loss_percent"] = 100 * (len(trips) - len(answered)) / len(trips)
    if answered:
        row.update(min_ms=answered[0], max_ms=answered[-1])
        row.update({f"p{q}_ms": percentile(answered, q) for q in QUANTILES})
    columns = [_column(name) for name in SUMMARY]
    return Table("round trips", columns, SUMMARY, [row], document={**row, "trips_ms": list(trips)})


def _column(name: str) -> Column:
    title, _, unit = name.partition("_")
    shows: dict[str, Callable[[Any], str]] = {"ms": _ms, "percent": lambda value: f"{value:g} %"}
    return field(name, f"{title} ms" if unit == "ms" else title, shows.get(unit, str), right=True)


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def histogram(trips: Sequence[float], output: Output) -> Table:
    """Return how often which round trip was measured; the last bucket has all that took longer."""
    low, high = min(trips), percentile(sorted(trips), 95)
    width = (high - low) / (BUCKETS - 1) or 0.001
    counts = [0] * BUCKETS
    for trip in trips:
        counts[min(int((trip - low) / width), BUCKETS - 1)] += 1
    while not counts[-1]:
        counts.pop()
    mark = "█" if output.unicode else "#"
    rows = [
        {"from_ms": low + place * width, "count": count, "bar": mark * math.ceil(BAR * count / max(counts))}
        for place, count in enumerate(counts)
    ]
    columns = (
        field("from_ms", "from ms", _ms, right=True),
        field("count", right=True),
        field("bar", "", str),
    )
    return Table("distribution", columns, ("from_ms", "count"), rows)

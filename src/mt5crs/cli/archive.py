"""`mt5crs archive`: bars and ticks as Parquet files."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from mt5crs.cli import values
from mt5crs.cli.formats import moment_msc
from mt5crs.cli.options import Call, connected
from mt5crs.cli.output import Table, field
from mt5crs.cli.report import exit_code, note, report
from mt5crs.timeframes import TIMEFRAMES

if TYPE_CHECKING:
    from mt5crs.archive.layout import Series
    from mt5crs.archive.pull import Pulled
    from mt5crs.archive.source import Prices

FIELDS = ("symbol", "tf", "rows", "files", "until", "failure")
NOW = "now"
TICK_NAMES = ("tick", "ticks")

app = typer.Typer(help="Keep bars and ticks as Parquet files, and read them.", no_args_is_help=True)


def register(parent: typer.Typer) -> None:
    """Add the commands."""
    parent.add_typer(app, name="archive")


@connected(app)
def pull(
    call: Call,
    symbols: Annotated[list[str], typer.Argument(help="Names of symbols.")],
    tf: Annotated[str, typer.Option(help="M1 to MN1, and tick; several with commas.")],
    start: Annotated[str, typer.Option("--from", help="First server time, such as 2015-01-01.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The archive's folder.")],
    end: Annotated[
        str,
        typer.Option("--to", help="Server time before which to end, or now: as far as the terminal goes."),
    ] = NOW,
    jobs: Annotated[int, typer.Option(min=1, max=64, help="How many are pulled side by side.")] = 4,
    wait: Annotated[float, typer.Option(min=0, help="Seconds for which the gateway may be away.")] = 120.0,
    accept_account: Annotated[
        bool, typer.Option("--accept-account", help="Go on with an archive of another account.")
    ] = False,
) -> None:
    """Pull bars and ticks into an archive: what it does not have yet, and nothing else.

    It may be interrupted at any time: the next pull goes on from there.
    """
    from mt5crs.archive.pull import pull as fill
    from mt5crs.cli.progress import watching

    wanted = series_of(symbols, tf)
    begin = values.moment(start, "--from")
    stop = None if end == NOW else values.moment(end, "--to")
    if stop is not None and begin >= stop:
        raise typer.BadParameter("--from is not before --to")
    try:
        with watching(len(wanted)) as watcher:
            done = fill(
                cast("Prices", call.client),  # basedpyright takes rows of the table for no methods
                out,
                wanted,
                begin,
                stop,
                jobs=jobs,
                accept_account=accept_account,
                patience=wait,
                watcher=watcher,
            )
    except KeyboardInterrupt:
        note("interrupted: what was pulled stays, and the same command goes on from there")
        raise
    call.output.write(_table(out, done))
    _tell(done)


def series_of(symbols: list[str], tf: str) -> "list[Series]":
    """Return what symbols and timeframes, with commas between them, stand for."""
    from mt5crs.archive.layout import TICK, Series

    names = [name.strip() for name in tf.split(",") if name.strip()]
    kinds = [TICK if name.lower() in TICK_NAMES else _timeframe(name) for name in names]
    if not kinds:
        raise typer.BadParameter(f"{tf!r} names no timeframe", param_hint="--tf")
    return list(dict.fromkeys(Series(symbol, kind) for symbol in symbols for kind in kinds))


def _timeframe(text: str) -> str:
    if text.upper() not in TIMEFRAMES:
        raise typer.BadParameter(
            f"{text!r} is no timeframe: {' '.join(TIMEFRAMES)} or tick", param_hint="--tf"
        )
    return text.upper()


def _table(out: Path, done: "list[Pulled]") -> Table:
    rows: list[dict[str, Any]] = [
        {
            "symbol": each.series.symbol,
            "tf": each.series.tf,
            "rows": each.rows,
            "files": each.files,
            "until": each.until,
            "failure": None if each.failure is None else str(each.failure),
        }
        for each in done
    ]
    columns = (
        field("symbol"),
        field("tf"),
        field("rows", "new rows", lambda count: f"{count:,}", right=True),
        field("files", "files written", right=True),
        field("until", "until (server)", lambda until: moment_msc(until or 0)),
    )
    return Table(f"{out}", columns, FIELDS, rows)


def _tell(done: "list[Pulled]") -> None:
    """Say what failed.

    Raises:
        Exit: Something did.
    """
    failures = [each.failure for each in done if each.failure is not None]
    for failure in failures:
        report(failure)
    if failures:
        raise typer.Exit(max(exit_code(failure) for failure in failures))

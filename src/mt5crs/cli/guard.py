"""`mt5crs kill`, `resume` and `limits`: stop orders, let them go on, see what they may do."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mt5crs.cli.formats import fields_of, names_of
from mt5crs.cli.options import Call, connected
from mt5crs.cli.output import Column, Row, Table, field
from mt5crs.cli.report import Failure
from mt5crs.errors import BridgeError, JournalUnusable, TerminalMissing, Unreachable
from mt5crs.guard.kills import CLOSING, PREFIX, Kill
from mt5crs.model import LimitInfo

if TYPE_CHECKING:
    from mt5crs.journal.store import Journal

OPERATOR = "an operator"
PATIENCE = 5.0
"""Seconds for which a journal that a gateway writes to at the moment is tried."""

Name = Annotated[
    str, typer.Argument(metavar="[NAME]", help="The key whose orders it is for; all without it.")
]
File = Annotated[
    Path | None,
    typer.Option(
        "--journal",
        metavar="FILE",
        help="Write it straight into the gateway's journal, whether the gateway answers or not.",
    ),
]


def limits_table(limits: "tuple[LimitInfo, ...]") -> Table:
    """Return limits as a table."""
    columns = (
        field("scope"),
        field("limit"),
        Column("value", lambda row: _number(row["value"]), right=True),
        Column("used", lambda row: _number(row["used"]), right=True),
        field("setting", spare=True),
    )
    rows: list[Row] = [fields_of(limit) for limit in limits]
    return Table("limits", columns, names_of(LimitInfo), rows)


def register(app: typer.Typer) -> None:
    """Add the commands."""

    @connected(app)
    def kill(
        call: Call,
        name: Name = "",
        close: Annotated[
            bool, typer.Option("--close", help="Remove pending orders and close positions as well.")
        ] = False,
        reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; who is refused is told.")] = "",
        journal: File = None,
    ) -> None:
        """Turn a kill switch on: only what reduces the risk is carried out, until `mt5crs resume`."""
        if journal is not None:
            mark = Kill(time.time_ns(), OPERATOR, reason, CLOSING if close else "").mark()
            _write(journal, lambda opened: opened.set_meta(PREFIX + name, mark))
        else:
            _asked(lambda: call.client.kill(name, close, reason))
        typer.echo(f"the kill switch of {name or 'all orders'} is on")

    @connected(app)
    def resume(call: Call, name: Name = "", journal: File = None) -> None:
        """Turn a kill switch off: orders go on."""
        found: list[bool] = []
        if journal is not None:

            def turn_off(opened: "Journal") -> None:
                found.append(opened.meta(PREFIX + name) is not None)
                opened.set_meta(PREFIX + name, None)

            _write(journal, turn_off)
        else:
            found.append(_asked(lambda: call.client.resume(name)))
        if not found[-1]:
            raise Failure(
                f"the kill switch of {name or 'all orders'} is not on",
                hint="`mt5crs limits` shows those that are",
            )
        typer.echo(f"the kill switch of {name or 'all orders'} is off")

    @connected(app)
    def limits(call: Call) -> None:
        """Show what orders may do, how much of it is used, and which kill switches are on."""
        call.output.write(limits_table(call.got(call.client.limits(), "limits")))


def _number(value: Any) -> str:
    if value is None:
        return ""
    return f"{round(value, 8):.15g}" if isinstance(value, float) else str(value)


def _asked(ask: Callable[[], bool]) -> bool:
    """Ask the gateway; where it does not answer, say which way is left."""
    try:
        return ask()
    except (Unreachable, TerminalMissing) as error:
        raise BridgeError(
            error.message, hint="on the gateway's machine `--journal FILE` works without an answer"
        ) from error


def _write(path: Path, change: "Callable[[Journal], None]") -> None:
    """Change a journal that a gateway may be writing to."""
    from mt5crs.journal.store import Journal

    opened = Journal(path, "", writes=False)
    give_up = time.monotonic() + PATIENCE
    try:
        while True:
            try:
                change(opened)
            except JournalUnusable:  # noqa: PERF203 - each attempt waits for the other writer a moment
                if time.monotonic() > give_up:
                    raise
            else:
                return
    finally:
        opened.close()

"""`mt5crs kill`, `resume` and `limits`: stop orders, let them go on, see what they may do."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mt5crs.cli.formats import fields_of, names_of
from mt5crs.cli.journal import user_name
from mt5crs.cli.options import Call, connected
from mt5crs.cli.output import Column, Row, Table, field
from mt5crs.cli.report import Failure, note
from mt5crs.errors import BridgeError, JournalUnusable, TerminalMissing, Unreachable
from mt5crs.guard.kills import CLOSING, PREFIX, Kill
from mt5crs.journal.states import NoticeKind
from mt5crs.model import LimitInfo

if TYPE_CHECKING:
    from mt5crs.journal.store import Journal

OPERATOR = "an operator"
BY = "operator"
"""How a notice tells that somebody wrote it who has the file, and not an admin with a key."""
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
            told = {"name": name, "why": reason, "close": close}

            def turn_on(opened: "Journal") -> None:
                _switch(opened, NoticeKind.KILL, told, mark)

            _write(journal, turn_on, name)
        else:
            _asked(lambda: call.client.kill(name, close, reason))
        typer.echo(f"the kill switch of {name or 'all orders'} is on")

    @connected(app)
    def resume(call: Call, name: Name = "", journal: File = None) -> None:
        """Turn a kill switch off: orders go on."""
        found: list[bool] = []
        if journal is not None:

            def turn_off(opened: "Journal") -> None:
                found.append(_is_on(opened, name))
                if found[-1]:
                    _switch(opened, NoticeKind.RESUME, {"name": name}, None)

            _write(journal, turn_off, name)
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


def _switch(journal: "Journal", kind: NoticeKind, told: dict[str, Any], mark: str | None) -> None:
    """Set or take away the mark of a kill switch, with the notice of it in the same transaction."""
    from mt5crs.journal.store import Notice

    notice = Notice(kind, user_name(), told | {"by": BY})
    journal.notify([notice], {PREFIX + told["name"]: mark})


def _is_on(journal: "Journal", name: str) -> bool:
    """Whether a kill switch is on: by its mark, or by its notice where the mark was taken away."""
    latest = journal.switched().get(name)
    return journal.meta(PREFIX + name) is not None or (
        latest is not None and latest.step == NoticeKind.KILL.value
    )


def _write(path: Path, change: "Callable[[Journal], None]", name: str) -> None:
    """Change a journal that a gateway may be writing to."""
    from mt5crs.journal.store import Journal

    opened = Journal(path, "", writes=False)
    if name and not opened.has_principal(name):
        note(f"the journal has no order of {name!r}: is that the name?")
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

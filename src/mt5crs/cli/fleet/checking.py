"""`mt5crs fleet`: verify, checklist."""

import time
from collections.abc import Sequence
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mt5crs.cli.fleet.opening import DEFAULT, InventoryFile, opened, run_async
from mt5crs.cli.options import written
from mt5crs.cli.output import Form, Output, Table, field
from mt5crs.cli.report import Failure, note

if TYPE_CHECKING:
    from mt5crs.checks import Result
    from mt5crs.fleet.checklist import Answer

STATUSES = ("pass", "warn", "fail", "off")
MARKS = {"fail": ("✗", "x"), "warn": ("!", "!")}
"""What a finding begins with, and what does where only ASCII can be written."""
ITEM_FIELDS = ("item", "holds", "title", "open")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    written(app)(verify)
    written(app)(checklist)


def verify(
    output: Output,
    inventory: InventoryFile = DEFAULT,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="NODE", help="This node alone; several times.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Show what is as it should be, too.")] = False,
    junit: Annotated[
        Path | None, typer.Option("--junit", metavar="FILE", help="Write JUnit's XML there, too.")
    ] = None,
) -> None:
    """Look at all nodes and prove that they work; exit 0 if nothing failed, 1 if something did."""
    fleet = opened(inventory)
    from mt5crs.checks import holds
    from mt5crs.fleet import reporting
    from mt5crs.fleet.verify import verified

    begun, start = datetime.now(timezone.utc), time.monotonic()
    results = run_async(verified(fleet, only=only or ()))
    if junit is not None:
        at = begun.strftime("%Y-%m-%dT%H:%M:%S")
        _save(junit, reporting.junit(results, at, time.monotonic() - start))
    if every or output.form is not Form.TABLE:
        output.write(_results(results))
        if output.form is Form.TABLE:
            _tell(output, results)
    else:
        summarize(output, results)
    if not holds(results):
        raise typer.Exit(1)


def _save(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise Failure(
            f"{path} cannot be written: {error.strerror or error}", hint="state another file", code=2
        ) from None


def _results(results: "Sequence[Result]") -> Table:
    from mt5crs.fleet import reporting

    rows = [reporting.row(result) for result in results]
    view = [reporting.row(result) for result in reporting.worst_first(results)]
    columns = (field("status"), field("node"), field("check"), field("found"))
    return Table("checks", columns, reporting.FIELDS, rows, view, reporting.document(results))


def summarize(output: Output, results: "Sequence[Result]") -> None:
    """Write how many checks of each node passed, and what people have to know of the others."""
    output.write(_summary(results))
    _tell(output, results)


def _summary(results: "Sequence[Result]") -> Table:
    from mt5crs.fleet import reporting

    rows: list[dict[str, Any]] = [
        {"node": node, **reporting.counts(found)} for node, found in reporting.by_node(results).items()
    ]
    columns = (field("node"), *(field(name, right=True) for name in STATUSES))
    return Table("checks", columns, ("node", *STATUSES), rows)


def _tell(output: Output, results: "Sequence[Result]") -> None:
    """Say what failed, and what should be looked at, with what to do about it."""
    from mt5crs.fleet import reporting

    for result in reporting.worst_first(results):
        mark = MARKS.get(result.status.value)
        if mark is None:
            continue
        output.say("")
        output.say(f"{mark[not output.unicode]} {result.subject}: {result.check}", bold=True)
        for name, words in (
            ("wanted", result.title),
            ("found", result.found),
            ("why", result.reason),
            ("do", result.remedy),
        ):
            output.say(f"  {name + ':':<8}{words}")


def checklist(
    output: Output,
    inventory: InventoryFile = DEFAULT,
    wait: Annotated[
        float, typer.Option("--wait", min=0, max=86_400, help="Seconds to wait until all items hold.")
    ] = 0.0,
) -> None:
    """Go through the checklist of a handover; exit 0 if all items hold, 1 if one is open."""
    fleet = opened(inventory)
    from mt5crs.fleet.checklist import awaited
    from mt5crs.fleet.verify import verified

    answers = run_async(awaited(fleet, partial(verified, fleet), wait, _still_open))
    output.write(_items(answers))
    if output.form is Form.TABLE:
        for answer in answers:
            for words in answer.open:
                output.say(f"  {answer.item.title}: {words}")
            for words in answer.unproved:
                output.say(f"  {answer.item.title}: believed: {words}")
    if not all(answer.holds for answer in answers):
        raise typer.Exit(1)


def _still_open(answers: "Sequence[Answer]") -> None:
    still = [answer.item.title for answer in answers if not answer.holds]
    note(f"still open: {len(still)} of {len(answers)}: {'; '.join(still)}")


def _items(answers: "Sequence[Answer]") -> Table:
    rows: list[dict[str, Any]] = [
        {
            "item": each.item.id,
            "title": each.item.title,
            "holds": each.holds,
            "open": list(each.open),
            "unproved": list(each.unproved),
        }
        for each in answers
    ]
    columns = (
        field("holds", "", lambda holds: "[x]" if holds else "[ ]"),
        field("title", "item"),
        field("open", "open", lambda words: str(len(words) or ""), right=True),
    )
    return Table("checklist", columns, ITEM_FIELDS, rows)

"""`mt5crs fleet`: status, history."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from mt5crs.cli.fleet import tables
from mt5crs.cli.fleet.opening import DEFAULT, InventoryFile, opened, run_async
from mt5crs.cli.options import written
from mt5crs.cli.output import Form, Output
from mt5crs.cli.report import Failure, note

if TYPE_CHECKING:
    from mt5crs.fleet.inventory import Fleet
    from mt5crs.fleet.reach import Seen
    from mt5crs.fleet.record import Record
    from mt5crs.fleet.status import NodeStatus


def register(app: typer.Typer) -> None:
    """Add the commands."""
    written(app)(status)
    written(app)(history)


def status(output: Output, inventory: InventoryFile = DEFAULT) -> None:
    """Show how every node is: its release, what it can go back to, its services, its drift."""
    from mt5crs.fleet.status import status as status_of

    fleet = opened(inventory)
    seen, records = run_async(_seen(fleet))
    nodes = status_of(fleet, seen.states, records, seen.drift)
    output.write(tables.status_table(nodes))
    for words in tables.below(nodes):
        note(words)
    if todo := [each for each in nodes if not each.well]:
        raise Failure(f"not as it should be: {', '.join(each.node for each in todo)}", hint=_what_next(todo))


def _what_next(nodes: "Sequence[NodeStatus]") -> str:
    """Return what to do about nodes that are not well, as far as one hint fits them all."""
    if any(each.problem for each in nodes):
        return "what to do stands above; then `mt5crs fleet status` again"
    if any(each.drift or each.unfinished or not each.release for each in nodes):
        return "`mt5crs fleet sync` brings them there"
    if any(each.other for each in nodes):
        return "`mt5crs fleet sync` finishes it: it brings one release to all nodes"
    if any(each.unknown for each in nodes):
        return "`mt5crs fleet verify` looks closer at the services"
    return "`mt5crs fleet history` tells what is wrong with a record: compare it with a copy"


def history(
    output: Output,
    inventory: InventoryFile = DEFAULT,
    last: Annotated[int, typer.Option(min=1, help="How many; the last ones.")] = 20,
) -> None:
    """Show what was done to all nodes, by whom and how it ended, from each node's own record."""
    from mt5crs.fleet.record import merged
    from mt5crs.fleet.ssh import NodeError

    fleet = opened(inventory)
    seen, records = run_async(_seen(fleet))
    output.write(tables.history_table(merged(records)[-last:]))
    if output.form is Form.TABLE:
        for words in tables.reasons(merged(records)[-last:]):
            note(words)
    for state in seen.states.values():
        if isinstance(state, NodeError):
            note(f"{state.message}: its record is not here")
    broken = [name for name, record in records.items() if record.problems]
    for name in broken:
        for problem in records[name].problems:
            note(f"{name}: {problem}")
    if broken:
        raise Failure(f"the record of {', '.join(broken)} is not as it was written")


async def _seen(fleet: "Fleet") -> "tuple[Seen, dict[str, Record]]":
    from contextlib import AsyncExitStack

    from mt5crs.fleet.reach import see
    from mt5crs.fleet.rolling import records_of

    async with AsyncExitStack() as stack:
        seen = await see(fleet, stack)
        return seen, await records_of(seen)

"""`mt5crs fleet`: windows, which runs the script that sets a Windows node up."""

from collections.abc import Sequence
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mt5crs.cli.fleet.opening import DEFAULT, InventoryFile, opened, run_async
from mt5crs.cli.options import written
from mt5crs.cli.output import Output, Table, field
from mt5crs.cli.report import Failure, note

if TYPE_CHECKING:
    from mt5crs.fleet.inventory import Fleet, Node
    from mt5crs.fleet.windows import Status

STATUS = ("service", "path", "release", "has_keys", "is_private", "task", "clients", "ports", "missing")
COMMANDS = ("node", "command")


class Do(str, Enum):
    """What the script does."""

    INSTALL = "install"
    UNINSTALL = "uninstall"
    START = "start"
    STOP = "stop"
    RESTART = "restart"
    STATUS = "status"


def register(app: typer.Typer) -> None:
    """Add the command."""
    written(app)(windows)


def windows(
    output: Output,
    name: Annotated[str, typer.Argument(metavar="NODE", help="The node, which has Windows.")],
    do: Annotated[Do, typer.Argument(help="What is to be done there.")],
    file: InventoryFile = DEFAULT,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say which command lines would be run there, and run none.")
    ] = False,
) -> None:
    """Set up, start, stop or look at the gateway of a Windows node, by the script mt5crs.ps1.

    `install` makes its folder, keys, firewall rule and scheduled task, as `sync` does where one is missing;
    `uninstall` takes task and rule away, and leaves keys, journal, .env and releases.
    """
    from mt5crs.fleet.windows import commands

    fleet = opened(file)
    node = _of(fleet, name)
    lines = commands(node, fleet, do.value)
    if not dry_run:
        found = run_async(_done(fleet, node, do))
        if do is Do.STATUS:
            output.write(_status(fleet, node, found))
            return
    rows = [{"node": name, "command": line} for line in lines]
    columns = (field("node"), field("command", "would run" if dry_run else "ran"))
    output.write(Table(f"{do.value} of {name}", columns, COMMANDS, rows))


def _of(fleet: "Fleet", name: str) -> "Node":
    """Return the node that is meant.

    Raises:
        SettingError: The inventory has no such node.
        Failure: The script has nothing to do there.
    """
    from mt5crs.fleet.rolling import chosen
    from mt5crs.fleet.windows import kept

    node = fleet.nodes[chosen(fleet, [name])[0]]
    if node.os != "windows":
        raise Failure(
            f"{name} runs {node.os}: mt5crs.ps1 is for Windows alone",
            hint="sync starts the services of a Linux node; docs/deploy.md says what keeps them running",
            code=2,
        )
    if not kept(node, fleet):
        raise Failure(
            f"{name} has no gateway that a keeper keeps: the script has nothing to do there",
            hint="name one in services of the role gtw, docs/fleet.md",
            code=2,
        )
    return node


async def _done(fleet: "Fleet", node: "Node", do: Do) -> "list[Status]":
    """Have it done; return what `status` tells."""
    from contextlib import AsyncExitStack

    from mt5crs.fleet.reach import patient, reach
    from mt5crs.fleet.ssh import NodeError
    from mt5crs.fleet.windows import apply, statuses

    def tell(text: str) -> None:
        note(f"{node.name}: {text}")

    async with AsyncExitStack() as stack:
        remote = (await reach(fleet, [node], stack))[node.name]
        if isinstance(remote, NodeError):
            raise remote
        if do is Do.STATUS:
            return await statuses(remote, fleet)
        await patient(lambda: apply(remote, fleet, do.value, tell), tell)
        return []


def _status(fleet: "Fleet", node: "Node", found: "Sequence[Status]") -> Table:
    import msgspec

    from mt5crs.cli.fleet.tables import flat
    from mt5crs.fleet.windows import kept, missing

    rows: list[dict[str, Any]] = [
        {
            **msgspec.to_builtins(each),
            "service": service,
            "keeper": each.service,
            "missing": list(missing(node, fleet, found)),
        }
        for service, each in zip(kept(node, fleet), found, strict=True)
    ]
    columns = (
        field("service"),
        field("release", show=lambda text: text or "-"),
        field("task", show=lambda text: text or "-"),
        field("clients", show=" ".join),
        field("ports", show=" ".join),
        field("has_keys", "keys", lambda there: "yes" if there else "no"),
        field("missing", "not as install makes it", "; ".join),
    )
    told = flat([{key: row[key] for key in STATUS} for row in rows])
    return Table(f"{node.name} with Windows", columns, STATUS, told, rows, rows)

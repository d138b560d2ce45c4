"""`mt5crs fleet`: init, pin, show."""

import getpass
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from mt5crs.cli.fleet.opening import DEFAULT, InventoryFile, opened, run_async
from mt5crs.cli.options import written
from mt5crs.cli.output import Output, Table, field
from mt5crs.cli.report import Failure, note, printable

if TYPE_CHECKING:
    from mt5crs.errors import BridgeError
    from mt5crs.fleet.inventory import Fleet, Node

USUAL_KEYS = ("id_ed25519", "id_ecdsa", "id_rsa")
FIELDS = (
    *("name", "role", "address", "port", "through", "user", "path", "os", "python", "index", "optional"),
    *("extras", "services", "env", "gateway", "ssh_key", "host_keys"),
)
COLUMNS = (
    *(field("name"), field("role"), field("address"), field("port", right=True), field("user")),
    *(field("path"), field("os", spare=True), field("extras", show=" ".join, spare=True)),
    *(field("services", show=lambda names: " ".join(names) or "-", spare=True), field("note")),
)
PIN_COLUMNS = field("host_key", "host key"), field("kind"), field("fingerprint")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(init)
    app.command()(pin)
    written(app)(show)


def init(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to make.")] = DEFAULT,
    scan: Annotated[bool, typer.Option(help="Ask the nodes for their host keys, and show these.")] = True,
) -> None:
    """Make an inventory by asking: the nodes, how to log in, where things are.

    Each answer is checked at once; an empty one takes what is in brackets, `<` goes back a question.
    Nothing is written before the end.
    """
    from mt5crs.fleet.asking import interview, text_of
    from mt5crs.fleet.validation import fleet_of

    _refuse_another(file)
    note("an empty answer takes what is in brackets, < goes back a question")
    try:
        answers = interview(_ask, note, getpass.getuser(), _usual_key())
        host_keys = _host_keys(answers.nodes) if scan else {}
    except EOFError:
        raise Failure(
            "the answers ended too early: nothing was written", hint="run it again, and answer to the end"
        ) from None
    except KeyboardInterrupt:
        note("\nnothing was written")
        raise
    content = text_of(answers, host_keys).encode()
    fleet = fleet_of(file, content)  # proves it
    try:
        with file.open("xb") as made:
            made.write(content)
    except FileExistsError:
        _refuse_another(file)
    except OSError as error:
        raise Failure(f"{file} cannot be made: {error.strerror or error}", code=2) from None
    typer.echo(f"made {file}: {', '.join(fleet.nodes)}")
    missing = [name for name in fleet.nodes if name not in host_keys]
    following = f"mt5crs fleet pin {' '.join(missing)}" if missing else "mt5crs fleet status"
    keys = "; then, before `mt5crs fleet sync`, the keys of the gateway and its clients: docs/deploy.md"
    typer.echo(f"next: {following}{keys if answers.has_keys else ''}")


def pin(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NODE]...", help="The nodes.")] = None,
    file: InventoryFile = DEFAULT,
    every: Annotated[bool, typer.Option("--all", help="All nodes that have no host key yet.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Write the host keys that nodes offer into the inventory, after you have compared the fingerprints."""
    from mt5crs.fleet.hostkeys import pinned

    if every == bool(names):
        raise typer.BadParameter("name the nodes, or say --all")
    fleet = opened(file)
    wanted = (
        [name for name, node in fleet.nodes.items() if not pinned(node)]
        if every
        else [_named(fleet, name).name for name in names or ()]
    )
    if not wanted:
        typer.echo("every node has a host key in the inventory")
    wanted.sort(key=lambda name: len(fleet.way(fleet.nodes[name])))  # what leads to others comes before them
    failed = [error for name in wanted if (error := _tried(name, file, yes=yes))]
    for error in failed[:-1]:
        note(f"error: {error.message}")
        if error.hint:
            note(f"  hint: {error.hint}")
    if failed:
        raise failed[-1]


def _tried(name: str, file: Path, *, yes: bool) -> "BridgeError | Failure | None":
    """Pin a node; return what went wrong, so that the others are asked about all the same."""
    from mt5crs.errors import BridgeError

    try:
        _pin(name, file, yes=yes)
    except (BridgeError, Failure) as error:
        return error
    return None


def _pin(name: str, file: Path, *, yes: bool) -> None:
    from mt5crs.fleet import hostkeys, pinning
    from mt5crs.fleet.reach import offered

    fleet = opened(file)  # with the keys that were written just now: it may be reached through that node
    node = fleet.nodes[name]
    known, found = hostkeys.pinned(node), run_async(offered(fleet, node))
    if set(found) & set(known):
        typer.echo(f"{name} has a host key that is in the inventory already")
        return
    rows = [_key_row("in the inventory", key) for key in known] + [_key_row("offered now", found[0])]
    Output().write(Table(f"host keys of {name}", PIN_COLUMNS, ("host_key", "kind", "fingerprint"), rows))
    note(f"compare it with what `{_shows_key(node)}` says on {name} itself")
    try:
        if not yes and not _confirmed(f"is that {name}, and is its key to be written into {file}?"):
            raise Failure(
                f"nothing was written for {name}", hint="the node is refused until its host key is known"
            )
    except EOFError:
        raise Failure(f"nothing was written for {name}: nobody answered", hint="--yes does not ask") from None
    pinning.pin(file, name, found[0])
    typer.echo(f"wrote the host key of {name} into {file}")


def show(output: Output, file: InventoryFile = DEFAULT) -> None:
    """Show the nodes of the inventory, with all that it means for each."""
    from mt5crs.fleet.hostkeys import fingerprint, pinned

    fleet = opened(file)
    rows: list[dict[str, Any]] = [
        {
            **{key: getattr(node, key) for key in FIELDS if hasattr(node, key)},
            "role": node.role.value,
            "extras": list(fleet.extras(node)),
            "services": list(fleet.services_of(node)),
            "env": fleet.env(node),
            "host_keys": [fingerprint(key) for key in pinned(node)],
            "note": _note(node),
        }
        for node in fleet.nodes.values()
    ]
    title = f"{file}: {fleet.source.wheel or fleet.source.revision}"
    output.write(Table(title, COLUMNS, FIELDS, [_plain(row) for row in rows], rows, rows))


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row for CSV: lists are joined by blanks, mappings are NAME=value."""
    return {key: _joined(value) for key, value in row.items()}


def _joined(value: Any) -> Any:
    if isinstance(value, dict):
        return " ".join(f"{name}={each}" for name, each in cast("dict[str, object]", value).items())
    if isinstance(value, list | tuple):
        return " ".join(map(str, cast("list[object]", value)))
    return value


def _note(node: "Node") -> str:
    from mt5crs.fleet.hostkeys import pinned

    said = (
        (not pinned(node), "no host key"),
        (node.optional, "optional"),
        (not node.index, "no index"),
        (bool(node.through), f"through {node.through}"),
    )
    return ", ".join(words for holds, words in said if holds)


def _named(fleet: "Fleet", name: str) -> "Node":
    from mt5crs.fleet.validation import nearest

    if name not in fleet.nodes:
        hint = nearest(name, fleet.nodes, "there are")
        raise Failure(f"there is no node {name!r} in the inventory", hint=hint, code=2)
    return fleet.nodes[name]


# --- host keys --------------------------------------------------------------------------------------------


def _host_keys(nodes: "list[Node]") -> dict[str, str]:
    """Return the host keys that somebody has compared, by node."""
    from mt5crs.fleet.failure import NodeError
    from mt5crs.fleet.hostkeys import fingerprint, scan

    confirmed: dict[str, str] = {}
    for node in nodes:
        try:
            key = run_async(scan(node))[0]
        except NodeError as error:
            note(f"{error.message}: left out; later: mt5crs fleet pin {node.name}")
            continue
        note(f"{node.name} offers {key.split(' ')[0]} {fingerprint(key)} (on it: {_shows_key(node)})")
        if _confirmed(f"is that {node.name}?"):
            confirmed[node.name] = key
    return confirmed


def _key_row(which: str, key: str) -> dict[str, str]:
    from mt5crs.fleet.hostkeys import fingerprint

    return {"host_key": which, "kind": key.partition(" ")[0], "fingerprint": fingerprint(key)}


def _shows_key(node: "Node") -> str:
    folder = "C:/ProgramData/ssh" if node.os == "windows" else "/etc/ssh"
    return f"ssh-keygen -lf {folder}/ssh_host_ed25519_key.pub"


# --- questions --------------------------------------------------------------------------------------------


def _ask(question: str, default: str, check: Callable[[str], object]) -> str:
    while True:
        sys.stderr.write(printable(f"{question} [{default}]: " if default else f"{question}: "))
        sys.stderr.flush()
        line = sys.stdin.readline()
        if not line:
            sys.stderr.write("\n")
            raise EOFError
        answer = line.strip() or default
        if not sys.stdin.isatty():  # nobody's typing shows: say what was understood
            note(answer)
        try:
            check(answer)
        except ValueError as error:
            note(f"  {answer!r}: {error}")
            continue
        return answer


def _confirmed(question: str) -> bool:
    from mt5crs.fleet.asking import yes

    return yes(_ask(question, "no", yes))


def _usual_key() -> str:
    from mt5crs.fleet.login import key_trouble

    folder = Path.home() / ".ssh"
    return next((f"~/.ssh/{name}" for name in USUAL_KEYS if not key_trouble(folder / name)[0]), "")


def _refuse_another(file: Path) -> None:
    if file.exists():
        raise Failure(f"{file} is there already", hint="name another file, or edit that one", code=2)
    if not file.parent.is_dir():
        raise Failure(f"there is no folder {file.parent}", hint="make it first", code=2)

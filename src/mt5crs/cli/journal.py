"""`mt5crs outcome`, and `mt5crs journal`: what became of orders."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mt5crs import constants as c
from mt5crs.cli.formats import fields_of, lots, named
from mt5crs.cli.options import Call, connected, written
from mt5crs.cli.output import Form, Output, Row, Table, field
from mt5crs.cli.report import Failure, note
from mt5crs.errors import SettingError
from mt5crs.journal.states import OPEN, State, Step

if TYPE_CHECKING:
    from mt5crs.journal.chain import Event
    from mt5crs.journal.entries import Entry
    from mt5crs.journal.store import Journal

DEFAULT = Path("journal.db")
FIELDS = (
    *("number", "account", "principal", "key", "begun", "state", "how", "text", "retcode", "order", "deal"),
    *("volume", "price", "request"),
)
OPERATOR = "operator"

File = Annotated[Path, typer.Option("--journal", metavar="FILE", help="The gateway's journal.")]

_ACTION = named("TRADE_ACTION_")

app = typer.Typer(help="Look into a gateway's journal of orders.", no_args_is_help=True)


def register(parent: typer.Typer) -> None:
    """Add the commands."""
    parent.add_typer(app, name="journal")

    @connected(parent)
    def outcome(
        call: Call, key: Annotated[str, typer.Argument(help="The idempotency key of an order.")]
    ) -> None:
        """Ask the gateway what became of an order.

        Exit 0: the broker answered it; 1: it was not carried out, or nobody answers; 3: it is not known yet;
        4: there is no such key.
        """
        from mt5crs.errors import OutcomeUnknown

        found = call.client.outcome(key)
        if found is None:
            if call.output.form is Form.JSON:
                typer.echo("null")
            raise Failure(
                f"the gateway's journal has no key {key!r} of this client",
                hint="it has not come to this gateway, but may be on its way while a client waits for it",
                code=4,
            )
        told = fields_of(found)
        code, text = found.last_error
        row = {"key": key, "state": found.state, "how": found.how, "code": code, "text": text}
        row |= dict.fromkeys(("retcode", "order", "deal"), "")
        if found.result is not None:
            row |= {name: getattr(found.result, name) for name in ("retcode", "order", "deal")}
        columns = [field(name) for name in ("key", "state", "how", "retcode", "order", "deal", "text")]
        call.output.write(Table("outcome", columns, tuple(row), [row], document=told))
        if State(found.state) in OPEN:
            raise OutcomeUnknown(f"what became of {key} is not known yet", key=key)
        if found.result is None:
            raise Failure(f"{key} was not carried out: {text}")


@contextmanager
def _journal(path: Path) -> Generator["Journal", None, None]:
    from mt5crs.journal.store import Journal

    journal = Journal(path, "", writes=False)
    try:
        yield journal
    finally:
        journal.close()


def row_of(entry: "Entry") -> Row:
    """Return an entry as a row."""
    told = entry.outcome
    request = entry.request or {}
    return {
        "number": entry.number,
        "account": entry.account,
        "principal": entry.principal,
        "key": entry.key,
        "begun": datetime.fromtimestamp(entry.at / 1e9, timezone.utc).isoformat(timespec="milliseconds"),
        "state": entry.state.value,
        "how": told.get("how", ""),
        "text": told.get("text", ""),
        **{name: told.get(name, "") for name in ("retcode", "order", "deal", "price")},
        "volume": told.get("volume", request.get("volume", 0.0)),
        "request": entry.request,
        "action": _ACTION(request.get("action", 0)) if entry.request else "",
        "symbol": request.get("symbol", ""),
    }


def entries_table(entries: Sequence["Entry"]) -> Table:
    """Return entries as a table."""
    columns = (
        field("number", right=True),
        field("begun", "begun (UTC)"),
        field("key"),
        field("action"),
        field("symbol"),
        field("volume", "lots", lots, right=True),
        field("state"),
        field("retcode", right=True),
        field("order", right=True),
        field("how", spare=True),
        field("text", spare=True),
        field("account", spare=True),
        field("principal", spare=True),
    )
    return Table("journal", columns, FIELDS, [row_of(entry) for entry in entries])


@written(app, "list")
def list_(
    output: Output,
    state: Annotated[list[State] | None, typer.Option(help="Only entries in this state.")] = None,
    count: Annotated[int, typer.Option("--count", "-c", min=1, help="How many at most.")] = 20,
    journal: File = DEFAULT,
) -> None:
    """List the latest orders and what became of them."""
    with _journal(journal) as opened:
        output.write(entries_table(opened.latest(count, state or tuple(State))))
        if opened.latch:
            note(f"orders are refused: {opened.latch}")


@written(app)
def show(
    output: Output,
    name: Annotated[str, typer.Argument(metavar="KEY", help="An idempotency key, or an entry's number.")],
    journal: File = DEFAULT,
) -> None:
    """Show everything about one order, step by step."""
    with _journal(journal) as opened:
        entry = _one(opened, name)
        steps = opened.events_of(entry.number)
        rows = [_step_row(event) for event in steps]
        document = {**row_of(entry), "result": entry.answer(), "steps": rows}
        if output.form is Form.TABLE:
            output.write(entries_table([entry]))
            asked = [{"field": key, "value": value} for key, value in (entry.request or {}).items()]
            output.write(Table("request", (field("field"), field("value")), ("field", "value"), asked))
        columns = (field("number", right=True), field("step"), field("at", "at (UTC)"), field("note"))
        output.write(Table("steps", columns, ("number", "step", "at", "note"), rows, document=document))


def _step_row(event: "Event") -> Row:
    from mt5crs.journal.entries import decode

    at = datetime.fromtimestamp(event.at / 1e9, timezone.utc).isoformat(timespec="milliseconds")
    noted = ", ".join(f"{name} {value}" for name, value in decode(event.note).items())
    return {"number": event.number, "step": event.step, "at": at, "note": noted}


def _one(journal: "Journal", name: str) -> "Entry":
    found = journal.named(name)
    if not found:
        raise Failure(
            f"the journal has no key or number {name!r}", hint="`mt5crs journal list` shows the latest"
        )
    if len(found) > 1:
        numbers = ", ".join(str(entry.number) for entry in found)
        raise Failure(
            f"{len(found)} entries have the key {name!r}", hint=f"give the number of one: {numbers}"
        )
    return found[0]


@app.command()
def resolve(
    name: Annotated[
        str | None, typer.Argument(metavar="KEY", help="An idempotency key, or an entry's number.")
    ] = None,
    executed: Annotated[
        int | None, typer.Option(metavar="TICKET", min=1, help="It was carried out, by this order.")
    ] = None,
    not_executed: Annotated[bool, typer.Option("--not-executed", help="It was not carried out.")] = False,
    latch: Annotated[
        bool, typer.Option("--latch", help="Let orders go on after another journal's orders were found.")
    ] = False,
    journal: File = DEFAULT,
) -> None:
    """Decide what the terminal could not tell: look into its history first. The gateway may be running."""
    if latch == (name is not None) or (name is not None and (executed is not None) == not_executed):
        raise typer.BadParameter("say KEY with --executed TICKET or --not-executed, or --latch alone")
    from mt5crs.journal.store import LEGACY

    with _journal(journal) as opened:
        if name is None:
            opened.latch = ""
            opened.set_meta(LEGACY, None)  # what is there now is let be
            typer.echo("orders go on")
            return
        entry = _one(opened, name)
        step = Step.DISMISS if executed is None else Step.RESOLVE
        if entry.state is State.SENT:
            raise Failure(f"{entry.key} is under way", hint="it is in doubt when no answer came for a while")
        other = opened.claims.get(executed or 0, entry.number)
        if other != entry.number:
            raise Failure(
                f"order {executed} is that of entry {other}", hint="`mt5crs journal show` tells more"
            )
        settled = opened.record([_decided(entry, step, executed)])[0]
        if settled.since == entry.since and settled.state is entry.state:
            raise Failure(f"{entry.key} is {entry.state.value} already", hint="there is nothing to decide")
        typer.echo(f"{entry.key}: {settled.state.value}")


def _decided(entry: "Entry", step: Step, ticket: int | None) -> Any:
    from mt5crs.journal.store import MAKERS, Told

    noted: dict[str, Any] = {"code": c.RES_S_OK, "text": "decided by an operator", "how": OPERATOR}
    if ticket is not None:
        asked = entry.request or {}
        core = {"retcode": c.TRADE_RETCODE_DONE, "deal": 0, "order": ticket}
        makes = asked.get("action") in MAKERS
        noted |= core | {"volume": asked.get("volume", 0.0), "price": asked.get("price", 0.0), "makes": makes}
    return Told(entry.number, step, noted)


@app.command()
def verify(
    file: Annotated[
        Path | None, typer.Argument(help="An exported journal; the gateway's own without it.")
    ] = None,
    journal: File = DEFAULT,
) -> None:
    """Prove that no event was changed, removed, inserted or moved; exit 1 and say where if one was.

    Events cut off at the end show only against a link that was kept: it is told each time.
    """
    from mt5crs.journal import chain
    from mt5crs.journal.export import read

    last: list[Any] = [0, b""]
    if file is None:
        with _journal(journal) as opened:
            found = chain.faults(opened.id, opened.events())
            last[:] = opened.head
    else:
        try:
            with file.open("rb") as text:
                id_, events = read(text, str(file))
                found = _exported_faults(id_, _counted(events, last))
        except OSError as error:
            raise SettingError(f"{file} cannot be read: {error.strerror}") from error
    if found:
        for fault in found[:20]:
            note(fault)
        raise Failure(
            f"the journal was altered, at {len(found)} place{'s' * (len(found) > 1)}",
            hint="keep it, and a copy, as they are",
        )
    count, link = last
    typer.echo(f"whole: {count} events, the last one's link is {link.hex() if count else 'none'}")


def _exported_faults(journal: str, events: "Generator[Event, None, None]") -> list[str]:
    from mt5crs.journal import chain

    try:
        return chain.faults(journal, events)
    except SettingError as error:  # a line that is none is an alteration, too
        return [error.message]


def _counted(events: "Generator[Event, None, None] | Any", last: list[Any]) -> "Generator[Event, None, None]":
    for event in events:
        last[:] = last[0] + 1, event.link
        yield event


@app.command()
def export(
    out: Annotated[Path, typer.Argument(help="The file to write; it must not be there yet.")],
    journal: File = DEFAULT,
) -> None:
    """Write the whole journal as JSON, a line for each event; `verify` reads it anywhere."""
    from mt5crs.journal.export import lines

    with _journal(journal) as opened:
        try:
            with out.open("xb") as file:
                for line in lines(opened.id, opened.events()):
                    file.write(line + b"\n")
        except OSError as error:
            raise SettingError(f"{out} cannot be written: {error.strerror or error}") from error
        typer.echo(f"wrote {opened.head[0]} events to {out}")

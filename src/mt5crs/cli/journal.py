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
from mt5crs.journal.states import OPEN, NoticeKind, State, Step

if TYPE_CHECKING:
    from mt5crs.journal.chain import Event
    from mt5crs.journal.entries import Entry
    from mt5crs.journal.store import Journal, Notice

DEFAULT = Path("journal.db")
DIGITS = 32
"""Characters from which on a word is no word but a key, a link or a signature."""
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
    return {
        "number": event.number,
        "step": event.step,
        "at": _moment(event),
        "note": _phrase(_note_of(event)),
    }


def _moment(event: "Event") -> str:
    return datetime.fromtimestamp(event.at / 1e9, timezone.utc).isoformat(timespec="milliseconds")


def _note_of(event: "Event") -> dict[str, Any]:
    """Return what an event notes, bytes in it as hexadecimal digits."""
    from mt5crs.journal.entries import decode

    return {
        name: value.hex() if isinstance(value, bytes) else value for name, value in decode(event.note).items()
    }


def _briefly(noted: dict[str, Any]) -> str:
    """Return what a notice notes as far as a person can read it: --json has the keys and signatures too."""
    readable = {name: value for name, value in noted.items() if len(str(value)) < DIGITS or " " in str(value)}
    return _phrase(readable)


def _phrase(noted: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in noted.items())


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


@written(app)
def notices(
    output: Output,
    kind: Annotated[list[NoticeKind] | None, typer.Option(help="Only notices of this kind.")] = None,
    count: Annotated[int, typer.Option("--count", "-c", min=1, help="How many at most.")] = 20,
    journal: File = DEFAULT,
) -> None:
    """List what happened besides orders: refusals, starts, checkpoints, and what an operator did."""
    with _journal(journal) as opened:
        rows = [_notice_row(event) for event in opened.notices(count, kind or tuple(NoticeKind))]
    columns = (
        field("number", right=True),
        field("at", "at (UTC)"),
        field("kind"),
        field("principal"),
        field("note", show=_briefly),
        field("account", spare=True),
    )
    fields = ("number", "at", "kind", "account", "principal", "note")
    output.write(Table("notices", columns, fields, rows))


def _notice_row(event: "Event") -> Row:
    return {
        "number": event.number,
        "at": _moment(event),
        "kind": event.step,
        "account": event.account,
        "principal": event.principal,
        "note": _note_of(event),
    }


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
            opened.notify([_by_operator(did="latch taken off", latch=opened.latch)])
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
        by = _by_operator(did=step.value, entry=entry.number, order=executed or 0)
        settled = opened.record([_decided(entry, step, executed)], by)[0]
        if settled.since == entry.since and settled.state is entry.state:
            raise Failure(f"{entry.key} is {entry.state.value} already", hint="there is nothing to decide")
        typer.echo(f"{entry.key}: {settled.state.value}")


def _by_operator(**note: Any) -> "Notice":
    """Return the notice of what an operator does."""
    from mt5crs.journal.store import Notice

    return Notice(NoticeKind.OPERATOR, user_name(), note)


def user_name() -> str:
    """Return the name that the operating system has for who runs this."""
    from getpass import getuser

    try:
        return getuser()
    except (OSError, KeyError, ImportError):  # an account without a name
        return "unnamed"


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
    head: Annotated[
        list[str] | None,
        typer.Option(metavar="HEAD|FILE", help="A head that was kept, or a file of them; again for more."),
    ] = None,
    keys: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="DIR|FILE",
            help="The gateway's folder of keys, or a client's key file: their public keys; again for more.",
        ),
    ] = None,
    gateway_key: Annotated[
        list[str] | None,
        typer.Option(metavar="HEX", help="The gateway's public signing key; again for those before it."),
    ] = None,
    signer: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME:]ID:HEX", help="A client's public signing key, by its id; again for more."
        ),
    ] = None,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Fail on events behind the last checkpoint that nobody has signed."),
    ] = False,
) -> None:
    """Prove that no event was changed, removed, inserted or moved; exit 1 and say where if one was.

    Against who could make the whole chain anew: the gateway's key, the clients' keys, and heads that were
    kept. It says each time what was proved and what was not.
    """
    from mt5crs.cli.proof import heads_of, joined, pinned, pins_of, proved, switch_faults, tell

    pins = joined([pins_of(gateway_key or (), signer or ()), *map(pinned, keys or ())])
    if strict and not pins.gateways:
        raise typer.BadParameter("--strict needs the gateway's key: --keys or --gateway-key")
    heads = heads_of(head or ())
    if file is None:
        with _journal(journal) as opened:
            proof = proved(opened.id, opened.events(), pins, heads)
            for fault in switch_faults(opened):
                proof.add(fault)
    else:
        from mt5crs.journal.export import read

        try:
            with file.open("rb") as text:
                proof = proved(*read(text, str(file)), pins, heads)
        except OSError as error:
            raise SettingError(f"{file} cannot be read: {error.strerror}") from error
    tell(proof, pins, strict=strict)


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

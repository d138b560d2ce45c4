"""`mt5crs audit`: hold both gates over a project and its nodes, and write down what was proven."""

import os
import sys
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from mt5crs.cli.fleet.opening import require
from mt5crs.cli.output import Output
from mt5crs.cli.report import Failure, note

if TYPE_CHECKING:
    from mt5crs.fleet.audit.report import Line, Report, Signed


class Gates(str, Enum):
    """Which gates are held."""

    ONE = "1"
    TWO = "2"
    ALL = "all"


class _WithDefault(TyperGroup):
    """A group whose first command needs no name: `mt5crs audit FOLDER`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or args[0] not in self.commands:  # --help is that of the audit itself, with its options
            args = [DEFAULT, *args]
        return super().parse_args(ctx, args)


DEFAULT = "run"
app = typer.Typer(
    cls=_WithDefault, help="Prove that a project and its nodes are as they should be; `run` needs no name."
)


def register(parent: typer.Typer) -> None:
    """Add the commands."""
    parent.add_typer(app, name="audit")


@app.command(DEFAULT, epilog="`mt5crs audit check REPORT` proves that a signed report is as it was signed.")
def run(
    folder: Annotated[Path, typer.Argument(metavar="[FOLDER]", help="The project's folder.")] = Path(),
    inventory: Annotated[
        Path | None,
        typer.Option(
            "--inventory", "-i", metavar="FILE", help="The inventory; FOLDER/fleet.toml without it."
        ),
    ] = None,
    gate: Annotated[Gates, typer.Option(help="1: the project; 2: the nodes.")] = Gates.ALL,
    json: Annotated[bool, typer.Option("--json", help="Write the signed report.")] = False,
    key: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The key that signs; audit.key beside the inventory without it, made if need be.",
        ),
    ] = None,
    documents: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where the pages go; below FOLDER's docs/archive without it."),
    ] = None,
    no_documents: Annotated[bool, typer.Option("--no-documents", help="Write no pages.")] = False,
) -> None:
    """Hold the audit: exit 0 if it holds, 1 if not."""
    if no_documents and documents is not None:
        raise typer.BadParameter("--documents and --no-documents exclude each other")
    # One gate alone never takes the place of the pages that both have made.
    pages = documents is not None or (gate is Gates.ALL and not no_documents)
    require(*(("nacl",) if json or pages else ()))
    from mt5crs.fleet.audit import documents as archive
    from mt5crs.fleet.audit import gates, signing
    from mt5crs.fleet.audit.report import encode, signed
    from mt5crs.fleet.inventory import NAME

    _is_project(folder)
    wanted = [each for each in gates.BOTH if gate in {Gates.ALL, Gates(str(each))}]
    listed = inventory or folder / NAME
    signer = key or listed.with_name(signing.NAME)
    if json or pages:
        signing.prepare(signer)  # before nodes are asked, which takes its time
    report = gates.audited(folder, inventory, wanted)
    if json or pages:
        proof = signed(report, signing.seed(signer))
        if pages:
            target = documents or folder / archive.FOLDER
            archive.write(target, archive.pages(proof, str(listed)), folder)
            note(f"written to {target}")
        if json:
            sys.stdout.write(encode(proof).decode())
    if not json:
        shown(report, Output())
    if not report.holds:
        raise typer.Exit(1)


@app.command()
def check(
    file: Annotated[Path, typer.Argument(metavar="REPORT", help="A signed report, JSON.")],
    public: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The public key that it must be signed by: audit.pub.")
    ] = None,
) -> None:
    """Prove that a report is as it was signed, and say by whom: exit 0 if it is, 1 if not."""
    from mt5crs.fleet.audit import signing
    from mt5crs.fleet.audit.report import LONGEST, verified

    try:
        with file.open("rb") as stream:
            content = stream.read(LONGEST + 1)
    except OSError as error:
        raise Failure(f"{file} cannot be read: {error.strerror or error}", code=2) from None
    if len(content) > LONGEST:
        raise Failure(f"{file} has more than {LONGEST >> 20} MiB: no report has", code=2)
    proof = verified(content, "" if public is None else signing.public(public))
    _tell(proof, known=public is not None)


def _tell(proof: "Signed", *, known: bool) -> None:
    from mt5crs.fleet.audit.report import one_line

    report, output = proof.report, Output()
    output.say("the report is as it was signed")
    told = {
        "signed by": proof.public,
        "held by": report.by,
        "ended": report.ended,
        "release": report.release or "not known",
        "says": "it holds" if report.holds else "it does not hold",
    }
    for name, value in told.items():
        output.say(f"  {name}: {one_line(value)}")
    if not known:
        note("whose key that is, it cannot say itself: compare it, or name their audit.pub with --public")


def shown(report: "Report", output: Output) -> None:
    """Write a report for people: what failed comes last, with what to do, and then the count."""
    from mt5crs.checks import Status
    from mt5crs.fleet.audit.report import GATES, counted, one_line

    for gate in report.gates:
        output.say(_plain(GATES[gate.number], output), bold=True)
        if not gate.held:
            output.say(f"  not held: {one_line(gate.why)}")
        for line in report.lines:
            if line.gate == gate.number and line.status is not Status.FAIL:
                _line(line, output)
    if wrong := [line for line in report.lines if line.status is Status.FAIL]:
        output.say("failed", bold=True)
        for line in wrong:
            _line(line, output)
    output.say(f"{'it holds' if report.holds else 'it does not hold'}: {counted(report.lines)}", bold=True)


def _line(line: "Line", output: Output) -> None:
    from mt5crs.checks import Status
    from mt5crs.fleet.audit.report import one_line, text

    output.say(f"  {text(line, plain=not output.unicode)}")
    if line.status in {Status.FAIL, Status.WARN} and line.remedy:
        output.say(f"       do: {one_line(line.remedy)}")


def _plain(text: str, output: Output) -> str:
    return text if output.unicode else text.split(" · ", maxsplit=1)[0]


def _is_project(folder: Path) -> None:
    """Refuse a folder that has nothing of a project, or that we may not read; nothing is made there.

    Raises:
        Failure: It is one of these.
    """
    from mt5crs.fleet.audit.static import SEED

    if folder.is_dir() and not os.access(folder, os.R_OK | os.X_OK):
        raise Failure(f"{folder.resolve()} cannot be read", hint="audit it as the user whose it is", code=2)
    # Not by pathlib, whose question fails where a folder below may not be looked into.
    there = (os.path.exists(folder / name) for name in (*SEED, "release.json"))  # noqa: PTH110
    if folder.is_dir() and not any(there):
        raise Failure(
            f"{folder.resolve()} is no project: it has no {' and no '.join(list(SEED)[:2])}",
            hint="name the folder of a checkout: mt5crs audit FOLDER",
            code=2,
        )

"""`mt5crs archive check`, `repair` and `info`: is an archive whole, and what is in it?"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from mt5crs.cli.archive import app
from mt5crs.cli.formats import moment
from mt5crs.cli.options import Call, connected, written
from mt5crs.cli.output import Form, Output, Row, Table, field
from mt5crs.cli.report import note

if TYPE_CHECKING:
    from mt5crs.archive.findings import Finding
    from mt5crs.archive.info import Held
    from mt5crs.archive.repair import Done, Step
    from mt5crs.archive.source import Prices

FIELDS = ("kind", "symbol", "tf", "from", "to", "what", "file")
SIZES = ("B", "kB", "MB", "GB", "TB")

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The archive's folder.")]
Symbols = Annotated[list[str] | None, typer.Argument(metavar="[SYMBOL]...", help="Only these symbols.")]


def register(parent: typer.Typer) -> None:
    """Add the commands, to those of `archive`."""
    for declare, command in ((written, check), (connected, repair), (written, info)):
        declare(app)(command)


def check(
    output: Output,
    folder: Folder,
    symbols: Symbols = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Tell what the terminal has confirmed, too.")
    ] = False,
) -> None:
    """Say what is wrong with an archive: gaps, duplicates, damage, bars that do not fit together.

    Exit 1 if anything is. Notes are told, and are nothing wrong. Gaps are stretches in which a symbol usually
    has bars, as the archive itself shows; what a terminal has confirmed (`repair`) is counted alone.
    """
    from mt5crs.archive.check import check as look

    found = look(folder, symbols or ())
    confirmed = [each._replace(what=f"{each.what}; confirmed by the terminal") for each in found.confirmed]
    told = [*found.findings, *confirmed] if everything else found.findings
    output.write(_findings(f"findings in {folder}", told))
    note(f"{found.rows:,} rows in {found.files:,} files of {found.series} series were checked")
    if found.confirmed:
        hint = "" if everything else ", --all tells them"
        note(f"{len(found.confirmed)} confirmed by the terminal, and no reason to fail{hint}")
    if found.wrong:
        raise typer.Exit(1)


def repair(
    call: Call,
    folder: Folder,
    symbols: Symbols = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be fetched again.")] = False,
    wait: Annotated[float, typer.Option(min=0, help="Seconds for which the gateway may be away.")] = 120.0,
) -> None:
    """Fetch again what `check` finds wrong, and nothing else; exit 1 if something could not be repaired.

    What the terminal's own history does not have either is recorded, and no finding any more.
    """
    if dry_run:
        _plan(call.output, folder, symbols or ())
        return
    from mt5crs.archive.repair import repair as mend

    client = cast("Prices", call.client)  # basedpyright takes rows of the table for no methods
    mended = mend(client, folder, symbols or (), patience=wait)
    files = [_file_row(each) for each in mended.done]
    became = (
        ("repaired", mended.repaired),
        ("confirmed by the terminal", mended.confirmed),
        ("not repaired", mended.left),
    )
    rows = [{"became": what, **_row(each)} for what, findings in became for each in findings]
    if call.output.form is Form.TABLE:
        call.output.write(_files(f"fetched again for {folder}", files))
    columns = [field("became"), *_columns()]
    document = {"files": files, "findings": rows}
    call.output.write(Table("findings", columns, ("became", *FIELDS), rows, document=document))
    note(", ".join(f"{len(findings)} {what}" for what, findings in became))
    if mended.left:
        raise typer.Exit(1)


def info(
    output: Output,
    folder: Folder,
    symbols: Symbols = None,
    png: Annotated[
        Path | None, typer.Option("--png", metavar="FILE", help="Write the picture as a PNG file, too.")
    ] = None,
) -> None:
    """Show what an archive has: rows, first and last, size, and how much of what there would be."""
    from mt5crs.archive.info import BLOCKS, PLAIN, picture, save_plot, scale, shares, survey
    from mt5crs.archive.strays import description_problem

    found = survey(folder, symbols or ())
    columns = scale(found)
    rows = [_info_row(each) for each in found]
    covered = [shares(each, columns) for each in found]
    document = {
        "series": [{**row, "coverage": shown} for row, shown in zip(rows, covered, strict=True)],
        "columns": {"unit": columns.name, "starts": columns.starts.tolist()},
    }
    output.write(_held(f"{folder}", rows, document))
    if output.form is Form.TABLE and len(columns.starts):
        blocks = BLOCKS if output.unicode else PLAIN
        first, last = (moment(int(columns.starts[place]))[:10] for place in (0, -1))
        output.say(f"\nshare of the expected bars, a column for each {columns.name}, {first} to {last}")
        names = [str(each.series) for each in found]
        width = max(map(len, names))
        for name, values in zip(names, covered, strict=True):
            output.say(f"{name:<{width}}  {picture(values, blocks)}")
    damaged = sum(each.damaged for each in found)
    if damaged:
        note(f"{damaged} files cannot be used: `mt5crs archive check` says why")
    if problem := description_problem(folder):
        note(f"_archive.json {problem}")
    if png is not None:
        save_plot(found, png)
        note(f"wrote {png}")


def _columns() -> list[Any]:
    return [
        field("kind"),
        field("symbol"),
        field("tf"),
        field("from", "from (server)", moment),
        field("to", "to (server)", moment),
        field("what"),
        field("file", spare=True),
    ]


def _row(finding: "Finding") -> Row:
    values = (finding.kind.value, *finding[1:])
    return dict(zip(FIELDS, values, strict=True))


def _findings(title: str, findings: "Sequence[Finding]") -> Table:
    return Table(title, _columns(), FIELDS, [_row(each) for each in findings])


def _plan(output: Output, folder: Path, symbols: Sequence[str]) -> None:
    """Show what would be fetched again."""
    from mt5crs.archive.check import check as look
    from mt5crs.archive.repair import plan

    steps = plan(look(folder, symbols).findings)
    output.write(_files(f"would be fetched again for {folder}", [_step_row(step) for step in steps]))


def _step_row(step: "Step") -> Row:
    why = ", ".join(dict.fromkeys(each.kind.value for each in step.findings))
    return {"symbol": step.series.symbol, "tf": step.series.tf, "period": step.period.name, "why": why}


def _file_row(done: "Done") -> Row:
    failed = "" if done.failure is None else str(done.failure)
    kept = f"the file as it was is kept as {done.kept}" if done.kept else ""
    return {
        **_step_row(done.step),
        "before": done.before,
        "rows": done.rows,
        "outcome": failed or kept or "done",
    }


def _files(title: str, rows: Sequence[Row]) -> Table:
    columns = [field(name) for name in ("symbol", "tf", "period", "why")]
    if rows and "outcome" in rows[0]:
        columns += [
            field("before", "rows before", right=True),
            field("rows", "rows now", right=True),
            field("outcome"),
        ]
    return Table(title, columns, tuple(rows[0]) if rows else (), rows)


def _info_row(held: "Held") -> Row:
    return {
        "symbol": held.series.symbol,
        "tf": held.series.tf,
        "rows": held.rows,
        "first": held.first,
        "last": held.last,
        "files": held.files,
        "damaged": held.damaged,
        "size": held.size,
        "share": held.share,
    }


def _held(title: str, rows: Sequence[Row], document: Any) -> Table:
    columns = (
        field("symbol"),
        field("tf"),
        field("rows", show=lambda count: f"{count:,}", right=True),
        field("first", "first (server)", moment),
        field("last", "last (server)", moment),
        field("size", show=size, right=True),
        field("share", "of expected", percent, right=True),
        field("files", right=True, spare=True),
        field("damaged", right=True, spare=True),
    )
    return Table(title, columns, tuple(rows[0]) if rows else (), rows, document=document)


def size(count: int) -> str:
    """Return bytes for people."""
    value, unit = float(count), 0
    while value >= 1000 and unit < len(SIZES) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:.3g} {SIZES[unit]}" if unit else f"{count} B"


def percent(share: float) -> str:
    """Return a share as per cent, of which 100 is all and nothing less."""
    return "100 %" if share >= 1 else f"{int(share * 10_000) / 100:.2f} %"

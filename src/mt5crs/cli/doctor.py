"""`mt5crs doctor`: why it does not work, and the next step."""

from typing import Annotated

import typer

from mt5crs.checks import Result, Status, holds
from mt5crs.cli.options import Told, told
from mt5crs.cli.output import Form, Output, Table, field
from mt5crs.cli.report import Failure

MARKS = {Status.PASS: "ok", Status.WARN: "look", Status.FAIL: "NO", Status.OFF: "-"}
FIELDS = Result._fields


def register(app: typer.Typer) -> None:
    """Add the command."""

    @told(app, context_settings={"ignore_unknown_options": True})  # -10005 is no option
    def doctor(
        call: Told,
        code: Annotated[
            str, typer.Argument(metavar="[CODE]", help="A number to explain, such as -10005 or 10027.")
        ] = "",
        symbol: Annotated[str, typer.Option(help="A symbol whose fillings to show.")] = "",
    ) -> None:
        """Find out why it does not work, from near to far, and say the next step; exit 1 if anything fails.

        What could not be looked at is no failure, and is told.

        Looks at settings, key file, name, port, handshake, clock, terminal, account and permissions. With a
        number it explains just that.
        """
        if code:
            _explain(code, call.output)
            return
        from mt5crs.doctor import checks
        from mt5crs.doctor.symptoms import look

        results = checks.registry.run(look(call.flags, symbol))
        call.output.write(_table(results))
        if not holds(results):
            worst = next(each for each in results if each.status is Status.FAIL)
            raise Failure(f"{worst.title}: NO. {worst.found}", hint=worst.remedy)
        if call.output.form is Form.TABLE:
            for each in results:
                if each.status is Status.WARN:
                    call.output.say(f"{each.found}: {each.remedy}")
            if left := sum(each.status is Status.OFF for each in results):
                call.output.say(f"what was looked at holds; {left} of {len(results)} were not looked at")


def _table(results: list[Result]) -> Table:
    rows = [{**each._asdict(), "status": each.status.value} for each in results]
    looked = [row for row in rows if row["status"] != Status.OFF.value]
    left: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        if row["status"] == Status.OFF.value:
            left.setdefault(row["found"], []).append(row)
    # What is behind the same obstacle is one row: its names are in `--json`, and would widen every other row.
    behind = [same[0] | ({"title": f"{len(same)} more"} if same[1:] else {}) for same in left.values()]
    columns = (
        field("status", "", lambda value: MARKS[Status(value)]),
        field("title", "what holds"),
        field("found"),
    )
    return Table("checks", columns, FIELDS, rows, looked + behind)


def _explain(text: str, output: Output) -> None:
    from mt5crs.doctor.codes import explained

    try:
        code = int(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no number, such as -10005 or 10027") from None
    meaning = explained(code)
    if meaning is None:
        raise Failure(
            f"MetaTrader has no code {code}",
            hint="last_error() has 1 to -10005, trades have 10004 to 10046",
            code=2,
        )
    if output.form is Form.TABLE:
        output.say(f"{meaning.code} {meaning.name}: {meaning.text}", bold=True)
        output.say(meaning.next or "nothing is to be done")
        return
    output.write(Table("code", (), meaning._fields, [meaning._asdict()]))

"""`mt5crs conformance`: hold a terminal against the rules."""

import importlib
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mt5crs.cli.output import Output, Table, field
from mt5crs.cli.report import Failure, note
from mt5crs.settings import Settings, address

if TYPE_CHECKING:
    from mt5crs.conformance.suite import Verdict

OFFICIAL, OURS = "MetaTrader5", "mt5crs.MetaTrader5"
FIELDS = ("id", "status", "statement", "sure", "expected", "observed")


def conformance(
    host: Annotated[str | None, typer.Option(help="The gateway's name or address (MT5_HOST).")] = None,
    port: Annotated[str | None, typer.Option(help="Its port for requests (MT5_PORT).")] = None,
    official: Annotated[
        bool, typer.Option("--official", help="Ask the official package on this machine, no gateway.")
    ] = False,
    trade: Annotated[
        bool, typer.Option("--trade", help="Try the rules that trade, too: least volumes, closed at once.")
    ] = False,
    symbol: Annotated[str, typer.Option(help="The symbol to try; a liquid one without it.")] = "",
    document: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write every rule and its result there.")
    ] = None,
) -> None:
    """Show where a terminal differs from MetaTrader 5; exit 0 if nowhere, 1 if somewhere.

    Only demo accounts are asked. A rule that is only presumed informs and is no difference.
    """
    mt5 = _connected(official, host, port)
    try:
        verdicts = _verdicts(mt5, trade, symbol)
    finally:
        mt5.shutdown()
    if document is not None:
        rows = [verdict.document() for verdict in verdicts]
        document.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    if _told(verdicts):
        raise typer.Exit(1)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(conformance)


def _connected(official: bool, host: str | None, port: str | None) -> Any:
    """Return a module with the official functions, connected."""
    where: dict[str, Any] = {}
    if not official:
        settings = Settings.read({"host": host, "port": port})
        where = {"host": settings.host, "port": settings.port}
    elif host is not None or port is not None:
        raise typer.BadParameter("--official asks no gateway: leave --host and --port out")
    try:
        mt5: Any = importlib.import_module(OFFICIAL if official else OURS)
    except ImportError as error:
        raise Failure(
            f"the official package cannot be imported: {error}", hint="it is for Windows only"
        ) from error
    if not mt5.initialize(**where):
        code, text = mt5.last_error()
        hint = f"is a gateway running on {address(**where)}?" if where else "is the terminal running?"
        raise Failure(f"no connection: {text} ({code})", hint=hint)
    return mt5


def _verdicts(mt5: Any, trade: bool, symbol: str) -> "list[Verdict]":
    from mt5crs.conformance.rule import NotApplicable
    from mt5crs.conformance.suite import NotDemo, conform

    try:
        return conform(mt5, trade=trade, symbol=symbol)
    except NotDemo as refusal:
        raise Failure(str(refusal), hint="log the terminal in to a demo account", code=2) from refusal
    except NotApplicable as reason:
        raise Failure(str(reason), hint="name another one with --symbol") from reason


def _told(verdicts: "Sequence[Verdict]") -> int:
    """Show what differs; return how many differences there are."""
    from mt5crs.conformance.suite import Status

    counts = Counter(verdict.status for verdict in verdicts)
    shown = (Status.DIFFERENT, Status.INFORMATIVE)
    rows = [verdict.document() for verdict in verdicts if verdict.status in shown]
    if rows:
        columns = [field(name) for name in ("id", "status", "expected", "observed")]
        Output().write(Table("differences", columns, FIELDS, rows))
    for verdict in verdicts:
        if verdict.status is Status.NOT_APPLICABLE:
            note(f"{verdict.rule.id} was not tried: {verdict.observed}")
    parts = ", ".join(f"{counts[status]} {status.value}" for status in Status)
    Output().say(f"{len(verdicts)} rules: {parts}")
    return counts[Status.DIFFERENT]

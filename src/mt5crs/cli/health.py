"""`mt5crs health`: what is wrong, and where."""

from typing import Any

import typer

from mt5crs.cli.options import Call, connected
from mt5crs.cli.output import Table, field
from mt5crs.cli.report import Failure
from mt5crs.client.core import Health

_WORDS = {True: "yes", False: "NO", None: "not known"}
_ROWS = (
    ("gateway", "the gateway answers"),
    ("streams", "what it publishes arrives"),
    ("terminal", "its terminal answers"),
    ("broker", "the terminal is connected to its trade server"),
    ("account", "it is logged in to the gateway's account"),
    ("trading", "the gateway takes orders"),
)


def table(health: Health) -> Table:
    """Return how everything is, from near to far."""
    columns = (field("what"), field("answer"))
    rows: list[dict[str, Any]] = [
        {"what": words, "answer": _WORDS[getattr(health, name)]} for name, words in _ROWS
    ]
    return Table("health", columns, Health._fields, [health._asdict()], rows, health._asdict())


def register(app: typer.Typer) -> None:
    """Add the command."""

    @connected(app)
    def health(call: Call) -> None:
        """Tell which of gateway, terminal and broker is down; exit 1 if anything is."""
        found = call.client.health()
        call.output.write(table(found))
        if found.why:
            raise Failure(found.why)

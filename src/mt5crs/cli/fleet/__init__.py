"""`mt5crs fleet`: releases on many nodes."""

from typing import Any

import typer
from typer.core import TyperCommand

from mt5crs.cli.fleet import checking, inventory, rollout, windows
from mt5crs.cli.fleet.opening import require


class _NeedingExtra(TyperCommand):
    """A command that loads what the extra `fleet` brings; its help does not."""

    def invoke(self, ctx: Any) -> Any:
        require()
        return super().invoke(ctx)


app = typer.Typer(help="Bring releases to nodes, prove that they work, take them back.", no_args_is_help=True)
for module in (inventory, rollout, checking, windows):
    module.register(app)
for command in app.registered_commands:
    command.cls = _NeedingExtra


def register(parent: typer.Typer) -> None:
    """Add the commands."""
    parent.add_typer(app, name="fleet")

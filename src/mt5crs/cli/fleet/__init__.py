"""`mt5crs fleet`: releases on many nodes."""

import typer

from mt5crs.cli.fleet import checking, inventory, rollout, windows

app = typer.Typer(help="Bring releases to nodes, prove that they work, take them back.", no_args_is_help=True)
for module in (inventory, rollout, checking, windows):
    module.register(app)


def register(parent: typer.Typer) -> None:
    """Add the commands."""
    parent.add_typer(app, name="fleet")

"""`mt5crs fleet`: verify, checklist."""

import typer


def register(app: typer.Typer) -> None:
    """Add the commands."""

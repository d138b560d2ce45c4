"""`mt5crs fleet`: init, pin, show."""

import typer


def register(app: typer.Typer) -> None:
    """Add the commands."""

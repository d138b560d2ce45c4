"""`mt5crs fleet`: sync, rollback, status, history."""

import typer


def register(app: typer.Typer) -> None:
    """Add the commands."""

"""The command line, `mt5crs`; its modules are imported when it runs, and the rest when a command needs it."""

import sys
from collections.abc import Sequence

NEEDS = ("typer", "rich")
"""What the extra `cli` brings."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: What follows the program's name; taken from the process without it.

    Returns:
        The exit code, where the command did not raise `SystemExit` itself.
    """
    try:
        from mt5crs.cli.app import run
    except ModuleNotFoundError as missing:
        if missing.name not in NEEDS:
            raise
        sys.stderr.write(f"mt5crs: {missing.name} is not installed: pip install 'mt5crs[cli]'\n")
        return 2
    return run(sys.argv[1:] if arguments is None else list(arguments))

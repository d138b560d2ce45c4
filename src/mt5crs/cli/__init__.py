"""The command line, `mt5crs`; its modules are imported when it runs, and the rest when a command needs it."""

import sys
from collections.abc import Sequence
from importlib.util import find_spec

NEEDS = ("typer", "rich")
"""What the extra `cli` brings."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: What follows the program's name; taken from the process without it.

    Returns:
        The exit code, where the command did not raise `SystemExit` itself.
    """
    missing = [name for name in NEEDS if find_spec(name) is None]
    if missing:
        sys.stderr.write(f"mt5crs: {' and '.join(missing)} not found: pip install 'mt5crs[cli]'\n")
        return 2
    from mt5crs.cli.app import run

    return run(sys.argv[1:] if arguments is None else list(arguments))

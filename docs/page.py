"""What the scripts that make a page of documentation have in common: write it, or say whether it is current."""

import sys
from collections.abc import Callable
from pathlib import Path


def make(page: Path, document: Callable[[], str]) -> int:
    """Write a page, or with --check compare it; return the exit code.

    Args:
        page: The file.
        document: Returns what it must hold.
    """
    if "--check" in sys.argv[1:]:
        current = page.exists() and page.read_text(encoding="utf-8") == document()
        sys.stdout.write("current\n" if current else f"{page} is not what this would make\n")
        return 0 if current else 1
    page.write_text(document(), encoding="utf-8")
    return 0

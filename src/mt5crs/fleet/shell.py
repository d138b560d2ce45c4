r"""How a program is named on a node: in the command line of its shell, and by SFTP.

On Windows that shell is cmd.exe or PowerShell, whichever sshd was told. The two have no way of quoting in
common, so nothing that needs one is allowed (`mt5crs.fleet.inventory` refuses it). cmd.exe takes the first
word with backslashes only: to it, `C:/Python311/python.exe` is the command `C:` with options. Python itself
takes either, and SFTP wants `/C:/mt5-crs`.
"""

import re
import shlex

from mt5crs.fleet.inventory import Node

MISSING = frozenset({126, 127, 9009})
"""What shells exit with where a program cannot be run, or is not there; 9009 is that of cmd.exe."""
MISSING_WORDS = ("is not recognized", "Python was not found")


def command(node: Node, program: str) -> str:
    """Return the command line that runs our program there."""
    if node.os == "windows":
        return f"{node.python.replace('/', chr(92))} {program}"
    return f"{shlex.quote(node.python)} {shlex.quote(program)}"


def by_sftp(node: Node, path: str) -> str:
    """Return a path as SFTP has it."""
    return f"/{path}" if node.os == "windows" and re.match("[A-Za-z]:", path) else path


def has_no_python(status: int | None, error: str) -> bool:
    """Return whether a command failed because the interpreter is not there."""
    return status in MISSING or any(words in error for words in MISSING_WORDS)


def owned(node: Node, user: str) -> str:
    """Return what makes a node's folder one that we may write to."""
    if node.os == "windows":
        return f"there: mkdir {node.path}, then icacls {node.path} /grant {user}:(OI)(CI)M"
    return f"there: sudo install -d -o {user} -m 700 {node.path}"


def unwritable(node: Node, why: str, user: str) -> tuple[str, str]:
    """Return what it means that a node's folder cannot be written to, and what to do about it.

    Args:
        node: The node.
        why: `read-only` where its file system is, or `permission`.
        user: Who we are there.
    """
    if why != "read-only":
        return f"{user} may not write to {node.path}", owned(node, user)
    return (
        f"the file system of {node.path} is read-only",
        f"there: findmnt -T {node.path} tells which one it is, dmesg whether a fault of the disk made it so",
    )

"""Failures as people read them: what happened, to what, what next; and the exit code of each."""

import sys
from unicodedata import category

from mt5crs.errors import BadArguments, BridgeError, OutcomeUnknown, SettingError

EXIT_CODES = {
    0: "done",
    1: "no, or it failed",
    2: "a wrong command line or setting",
    3: "a trade was sent and its outcome is not known",
    4: "the gateway's journal has no such key",
    130: "interrupted",
}
"""Every exit code and its meaning, in the order of the help."""

WHAT_NEXT = """\
  key:  {key}
  do:   do not send it under another key; it may have been executed. Ask again until it is known:
          mt5crs outcome {key}"""


class Failure(Exception):
    """A command did not reach its end.

    Args:
        message: What happened, to what.
        hint: What to do next.
        code: The exit code.
    """

    def __init__(self, message: str, *, hint: str = "", code: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.code = code


def report(error: BridgeError | Failure) -> int:
    """Write a failure to the error stream; return the exit code that it deserves."""
    # In the words that operators of such bridges look for in a log.
    timed_out = error.message.startswith("Connection timeout")
    note(f"[✗] {error.message}" if timed_out else f"error: {error.message}")
    if isinstance(error, OutcomeUnknown):
        note(WHAT_NEXT.format(key=error.key or "none"))
    elif error.hint:
        note(f"  hint: {error.hint}")
    return exit_code(error)


def exit_code(error: BridgeError | Failure) -> int:
    """Return the exit code of a failure; see `EXIT_CODES`."""
    if isinstance(error, Failure):
        return error.code
    if isinstance(error, OutcomeUnknown):
        return 3
    return 2 if isinstance(error, SettingError | BadArguments) else 1


def printable(text: str) -> str:
    """Return a text in which nothing steers a terminal: control characters show as escapes."""
    return "".join(
        each
        if each in "\n\t" or category(each) not in {"Cc", "Cf"}
        else each.encode("unicode_escape").decode()
        for each in text
    )


def note(text: str) -> None:
    """Write a line for people, beside the output that programs read."""
    sys.stderr.write(f"{printable(text)}\n")
    sys.stderr.flush()

"""Make `docs/demo.svg`: the picture of a real run of `mt5crs demo`.

    python docs/picture.py

Runs the demo in a pseudo-terminal, as a person would see it, keeps the steps that tell the story and draws
them; three dim dots stand where steps were left out. Needs the `cli` extra and a POSIX system.
"""

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.text import Text

PICTURE = Path(__file__).with_name("demo.svg")
COMMAND = ("demo", "--seconds", "2")
WIDTH, HEIGHT = 104, 50
LIMIT = 60.0
"""Seconds that the run may take."""
KEPT = {1, 2, 5, 6, 8, 12}
"""The steps that are shown."""
ENDING = "All "
STEP = re.compile(r"(\d+)\. ")


def run() -> str:
    """Return what the demo writes to a terminal, escape sequences included.

    Raises:
        SystemExit: The demo failed or took too long; with what it wrote.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", HEIGHT, WIDTH, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES"}}
    environment |= {"TERM": "xterm-256color", "LANG": "C.UTF-8", "PYTHONUTF8": "1"}
    process = subprocess.Popen(  # noqa: S603 - ourselves
        [sys.executable, "-m", "mt5crs", *COMMAND],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment,
    )
    os.close(theirs)
    clock = threading.Timer(LIMIT, process.kill)
    clock.start()
    try:
        written = b"".join(_chunks(ours)).decode()
        code = process.wait()
    finally:
        clock.cancel()
        os.close(ours)
    if code:
        sys.exit(f"the demo ended with {code}:\n{written}")
    return written.replace("\r\n", "\n")


def _chunks(terminal: int) -> Iterator[bytes]:
    while True:
        try:
            chunk = os.read(terminal, 65_536)
        except OSError:  # how Linux says that the other side was closed
            return
        if not chunk:
            return
        yield chunk


def chosen(written: str) -> Text:
    """Return the lines that are shown."""
    shown = Text()
    omitted = False
    for block in _steps(Text.from_ansi(written)):
        title = STEP.match(block[0].plain)
        if title and int(title[1]) not in KEPT:
            omitted = True
            continue
        if omitted:
            shown.append("...\n\n", "dim")
        omitted = False
        for line in block:
            shown.append_text(line).append("\n")
    shown.rstrip()
    return shown


def _steps(text: Text) -> Iterator[list[Text]]:
    """Yield the lines before the first step, those of each step, and the ending."""
    block: list[Text] = []
    for line in text.split("\n", allow_blank=True):
        if block and (STEP.match(line.plain) or line.plain.startswith(ENDING)):
            yield block
            block = []
        block.append(line)
    yield block


def draw(shown: Text) -> str:
    """Return the picture; it loads nothing from elsewhere."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), color_system="truecolor")
    console.print(shown, soft_wrap=True)
    console.print()
    picture = console.export_svg(title=" ".join(("mt5crs", *COMMAND)), unique_id="demo")
    return re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL)


def main() -> None:
    """Run the demo and write the picture."""
    PICTURE.write_text(draw(chosen(run())), encoding="utf-8")
    sys.stdout.write(f"wrote {PICTURE}\n")


if __name__ == "__main__":
    main()

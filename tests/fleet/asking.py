"""The node program as a process of a test: requests in, lines out."""

import json
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mt5crs.fleet.node.program import packed

PATIENCE = 30.0


class Program:
    """The program, started.

    Attributes:
        process: Its process.
        said: What it has said so far.
    """

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.said: list[str] = []

    def until(self, text: str) -> None:
        """Wait until it says something."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            answer = json.loads(line)
            self.said.append(answer.get("say", ""))
            if answer.get("say") == text:
                return
        raise AssertionError(f"it never said {text!r}, but {self.said}")

    def answer(self) -> dict[str, Any]:
        """Wait for the line that ends it; return that."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            answer: dict[str, Any] = json.loads(line)
            if "say" not in answer:
                return answer
            self.said.append(answer["say"])
        raise AssertionError(f"it ended without an answer, and said {self.said}")


@contextmanager
def program(line: str, command: Sequence[str] = (), **options: Any) -> Generator[Program, None, None]:
    """Start the program with a line on its standard input, which stays open."""
    command = command or (sys.executable, "-m", "mt5crs.fleet.node")
    options |= {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **options) as process:
        try:
            assert process.stdin is not None
            process.stdin.write(f"{line}\n")
            process.stdin.flush()
            yield Program(process)
        finally:
            process.kill()


def ask(place: Path, do: str, command: Sequence[str] = (), /, **request: Any) -> dict[str, Any]:
    """Have the program do one thing; return its last line."""
    with program(json.dumps({"do": do, "path": str(place), **request}), command) as running:
        answer = running.answer()
        running.process.wait(PATIENCE)
        return answer


def write(folder: Path) -> Path:
    """Write the program as a file."""
    path = folder / "node.pyz"
    path.write_bytes(packed())
    return path

"""The four pages of a task's archive, made of a report.

What was proven, how to begin, what was checked, how to go on. They tell of somebody's own nodes, so they are
kept beside the project and not in it.
"""

import os
import shlex
from collections.abc import Callable, Iterable
from pathlib import Path

from mt5crs import private
from mt5crs.errors import BridgeError
from mt5crs.fleet.audit.report import (
    Gate,
    Machine,
    Report,
    Signed,
    cell,
    counted,
    encode,
    markdown,
    one_line,
    text,
)

FOLDER = Path("docs/archive/tasks/TASK_003_CONN_VERIFY")
REPORT = "AUDIT_REPORT.json"


class NotWritten(BridgeError):
    """A page cannot be written."""

    code = "not-written"


def pages(signed: Signed, inventory: str) -> dict[str, bytes]:
    """Return the pages by name, and the signed report that they are made of.

    Args:
        signed: The report.
        inventory: The inventory's path, for commands.
    """
    report = signed.report
    made: dict[str, Callable[[], str]] = {
        "COMPLETION_REPORT.md": lambda: markdown(report, signed),
        "QUICK_START.md": lambda: quick_start(report, inventory),
        "VERIFY_LOG.log": lambda: log(report),
        "SYNC_GUIDE.md": lambda: sync_guide(report, inventory),
    }
    note = _note(report)
    encoded = {
        name: (f"{page()}\n{note}\n" if note and name.endswith(".md") else page()).encode(
            "utf-8", "backslashreplace"
        )
        for name, page in made.items()
    }
    return {**encoded, REPORT: encode(signed)}


def write(folder: Path, made: dict[str, bytes], project: Path) -> None:
    """Write pages, each whole or not at all, and nowhere else than where they are said to go.

    Args:
        folder: Where they go.
        made: The pages by name.
        project: The project's folder; links below it are the project's, and not followed.

    Raises:
        NotWritten: One cannot be.
    """
    try:
        for each in (*_below(folder, project), *(folder / name for name in made)):
            if each.is_symlink():
                raise NotWritten(
                    f"{each} is a symbolic link: nothing is written through it", hint="remove the link"
                )
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in made.items():
            private.replace(folder / name, content)
    except OSError as error:
        raise NotWritten(
            f"{folder}: {error.strerror or error}", hint="name another folder with --documents, or none"
        ) from None


def _below(folder: Path, project: Path) -> list[Path]:
    """Return a folder and those above it below the project; none of what is elsewhere."""
    above: list[Path] = []
    for each in (own := Path(os.path.abspath(folder)), *own.parents):  # noqa: PTH100 - links are not resolved
        if each.exists() and each.samefile(project):
            return above
        above.append(each)
    return []


def log(report: Report) -> str:
    """Return what was checked, line by line, each with its time."""
    begun = f"{report.begun} audit of {report.folder} by {report.by}, {report.release or 'no release'}"
    body = [f"{each.at} gate {each.gate} {text(each, plain=True)}" for each in report.lines]
    body += [f"{report.ended} gate {gate.number} not held: {gate.why}" for gate in _missing(report)]
    verdict = "holds" if report.holds else "does not hold"
    return (
        "\n".join(map(one_line, [begun, *body, f"{report.ended} {verdict}: {counted(report.lines)}"])) + "\n"
    )


def quick_start(report: Report, inventory: str) -> str:
    """Return how to connect to these nodes and check them."""
    gateway = next((each for each in report.nodes if each.role == "gtw"), None)
    clients = [each for each in report.nodes if each.role in {"inf", "gpu"}]
    parts = [
        "# Quick start · 快速启动",
        "",
        _made(report),
        "",
        "## Nodes · 节点",
        "",
        _nodes(report.nodes),
        "",
        "## Is everything as it should be? · 检查",
        "",
        "On HUB:",
        "",
        _shell(
            [f"mt5crs fleet verify {_inventory(inventory)}", f"mt5crs fleet status {_inventory(inventory)}"]
        ),
        "",
        "## Connect · 连接",
        "",
    ]
    if gateway is None:
        return "\n".join([*parts, "The inventory has no gateway yet.", ""])
    parts += [
        f"The gateway is {gateway.name}, {gateway.address}.",
        "",
        "With keys (`MT5_KEYS` in `.env`), as a gateway for other machines wants them:",
    ]
    for each in clients:
        at = shlex.quote(f"{each.path}/current")
        parts += [
            "",
            f"On {each.name} ({each.address}):",
            "",
            _shell([f"cd {at}", ".venv/bin/mt5crs ping", ".venv/bin/mt5crs health"]),
        ]
    parts += [
        "",
        "`.venv/bin/python src/client/mt5_connector.py` is for a gateway without keys alone.",
    ]
    return "\n".join([*parts, ""])


def sync_guide(report: Report, inventory: str) -> str:
    """Return how these nodes are brought to a release, and back."""
    told = _inventory(inventory)
    back = [
        f"- {each.name} has `{each.current}`"
        + (f" and keeps {', '.join(f'`{old}`' for old in each.others)}" if each.others else " and no other")
        for each in report.nodes
        if each.current
    ]
    return "\n".join(
        [
            "# Sync guide · 同步指南",
            "",
            _made(report),
            "",
            "## Nodes · 节点",
            "",
            _nodes(report.nodes),
            "",
            "## Sync · 同步",
            "",
            "On HUB; the first command only says what would be done:",
            "",
            _shell([f"mt5crs fleet sync {told} --dry-run", f"mt5crs fleet sync {told}"]),
            "",
            "## Verify · 同步验证",
            "",
            _shell([f"mt5crs fleet verify {told}", f"mt5crs audit {shlex.quote(report.folder)} {told}"]),
            "",
            "## Roll back · 回滚",
            "",
            "Every node goes back to the release that it had before, with its settings:",
            "",
            _shell([f"mt5crs fleet rollback {told} --dry-run", f"mt5crs fleet rollback {told}"]),
            "",
            *(back or ["No node was seen with a release."]),
            "",
            "`--to RELEASE` takes another of those that nodes keep, `--only NODE` one node alone.",
            "",
            f"The project itself is at commit `{report.revision}`." if report.revision else "",
            "",
        ]
    )


def _made(report: Report) -> str:
    release = f", release `{report.release}`" if report.release else ""
    return f"Made by `mt5crs audit` at {report.ended}{release}."


def _nodes(nodes: Iterable[Machine]) -> str:
    rows = [
        f"| {' | '.join(map(cell, (each.name, each.role, each.address, each.path, each.current or '-')))} |"
        for each in nodes
    ]
    if not rows:
        return "There is no inventory: `mt5crs fleet init` makes one."
    return "\n".join(
        ["| node | role | address | folder | release |", "| --- | --- | --- | --- | --- |", *rows]
    )


def _shell(commands: Iterable[str]) -> str:
    return "\n".join(["```sh", *commands, "```"])


def _inventory(path: str) -> str:
    return f"--inventory {shlex.quote(path)}"


def _note(report: Report) -> str:
    """Return what these pages do not rest on; "" where both gates were held."""
    missing = [f"gate {gate.number} was not held: {gate.why}" for gate in _missing(report)]
    return one_line(f"> Not proven: {'; '.join(missing)}.") if missing else ""


def _missing(report: Report) -> list[Gate]:
    return [gate for gate in report.gates if not gate.held]

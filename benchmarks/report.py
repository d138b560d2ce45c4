"""The figures as a table for people and as JSON for programs."""

import importlib.metadata
import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import zmq

from benchmarks.measure import Figure

HEADINGS = ("measured", "figure", "target", "", "spread (quartiles)", "against")
PACKAGES = ("mt5crs", "pyzmq", "msgspec", "numpy", "rpyc", "backtesting")


def shown(value: float, unit: str) -> str:
    """Return a number with its unit, in as many digits as it is worth."""
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:.{digits}f} {unit}"


def verdict(figure: Figure) -> str:
    """Return whether a figure keeps to its target."""
    return {True: "met", False: "MISSED", None: ""}[figure.met]


def _row(figure: Figure) -> tuple[str, ...]:
    target = ""
    if figure.target is not None:
        target = f"{'<=' if figure.at_most else '>='} {figure.target:g} {figure.unit}"
    spread = f"{shown(figure.low, figure.unit)} .. {shown(figure.high, figure.unit)}"
    return (
        figure.name,
        shown(figure.value, figure.unit),
        target,
        verdict(figure),
        spread,
        figure.against,
    )


def table(figures: Sequence[Figure]) -> str:
    """Return the figures as lines of text."""
    rows = [HEADINGS, *map(_row, figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)


def machine() -> dict[str, Any]:
    """Return what the figures were measured on."""
    return {
        "cores": os.cpu_count(),
        "system": platform.system(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "libzmq": zmq.zmq_version(),
        **{name: importlib.metadata.version(name) for name in PACKAGES},
    }


def write_json(path: Path, figures: Sequence[Figure]) -> None:
    """Write the figures with their raw medians and the machine."""
    rows = [{**asdict(figure), "met": figure.met} for figure in figures]
    path.write_text(json.dumps({"machine": machine(), "figures": rows}, indent=2) + "\n")

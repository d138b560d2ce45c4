"""Run the benchmarks: `python -m benchmarks`."""

import argparse
import sys
from pathlib import Path

from benchmarks import (
    archive,
    bulk,
    flight,
    footprint,
    orders,
    packing,
    rehearsal,
    request,
    security,
    streams,
)
from benchmarks.measure import FULL, QUICK, Figure
from benchmarks.plot import draw
from benchmarks.report import machine, table, write_json

PARTS = {
    "request": request,
    "flight": flight,
    "orders": orders,
    "security": security,
    "bulk": bulk,
    "packing": packing,
    "archive": archive,
    "streams": streams,
    "footprint": footprint,
    "rehearsal": rehearsal,
}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few rounds: shows that everything runs")
    parser.add_argument("--only", action="append", choices=PARTS, help="one part (may be given again)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures with their raw medians")
    parser.add_argument("--plot", type=Path, metavar="FILE", action="append", help="draw them: .svg or .png")
    parser.add_argument("--check", action="store_true", help="exit 1 when a target is missed")
    return parser.parse_args()


def main() -> int:
    """Measure, tell, and say by the exit code whether the targets are met where that was asked."""
    arguments = _arguments()
    figures: list[Figure] = []
    for name in arguments.only or PARTS:
        print(f"measuring: {name}", file=sys.stderr, flush=True)
        figures += PARTS[name].figures(QUICK if arguments.quick else FULL)
    print(table(figures))
    print("\n" + ", ".join(f"{key} {value}" for key, value in machine().items()))
    if arguments.json:
        write_json(arguments.json, figures)
    for path in arguments.plot or ():
        draw(path, figures)
    return int(arguments.check and any(figure.met is False for figure in figures))


if __name__ == "__main__":
    sys.exit(main())

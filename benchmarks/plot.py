"""The figures as a picture: how much of its target each one uses."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.measure import Figure
from benchmarks.report import shown

MET, MISSED, INK = "#2a9d8f", "#e76f51", "#7d8590"  # all three are read on white and on black
LONGEST = 2.0
"""Where a bar is cut off, in targets."""


def _label(figure: Figure) -> str:
    return f"{figure.name}\n{'' if figure.unit != 'x' else 'against '}{figure.against}"


def draw(path: Path, figures: Sequence[Figure]) -> None:
    """Draw one bar for each figure that has a target.

    Args:
        path: Where to; `.svg` or `.png` decides the format.
        figures: What was measured.
    """
    import matplotlib as mpl

    mpl.use("svg" if path.suffix == ".svg" else "agg")
    mpl.rcParams.update({"svg.fonttype": "path", "svg.hashsalt": "mt5crs", "font.size": 9})
    from matplotlib import pyplot

    targets = [figure for figure in figures if figure.target is not None][::-1]
    shares = [figure.share or 0.0 for figure in targets]
    chart, axes = pyplot.subplots(figsize=(9, 0.55 * len(targets) + 1), layout="constrained")
    colours = [MET if figure.met else MISSED for figure in targets]
    axes.barh(range(len(targets)), [min(share, LONGEST) for share in shares], color=colours, height=0.6)
    axes.axvline(1.0, color=INK, linewidth=1.5)
    for place, (figure, share) in enumerate(zip(targets, shares, strict=True)):
        _annotate(axes, place, figure, share)
    axes.set_yticks(range(len(targets)), [_label(figure) for figure in targets], color=INK)
    axes.set_xlim(0, LONGEST * 1.2)
    axes.set_ylim(-0.6, len(targets) - 0.4)
    axes.set_xticks([0, 0.5, 1.0], ["0", "half", "target"], color=INK)
    axes.set_title("how much of what its target allows each figure uses (shorter is better)", color=INK)
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    metadata = {"Date": None} if path.suffix == ".svg" else None
    chart.savefig(path, transparent=True, dpi=150, metadata=metadata)
    pyplot.close(chart)


def _annotate(axes: Any, place: int, figure: Figure, share: float) -> None:
    bound = f"{'at most' if figure.at_most else 'at least'} {figure.target:g}"
    text = f"{shown(figure.value, figure.unit)}  ({bound})"
    axes.text(max(1.0, min(share, LONGEST)) + 0.03, place, text, va="center", color=INK)

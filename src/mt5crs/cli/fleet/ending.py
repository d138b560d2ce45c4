"""How a rollout ended, in words: what became of nodes, told once where it is alike, and what to do next."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mt5crs.fleet.apply import Outcome
    from mt5crs.fleet.plan import Plan

NOT_RESTORED = "not-restored"
GONE = ("lost", "unreachable")
"""Kinds of failures after which nobody knows how far a node came."""


def alike(told: Iterable[tuple[str, str, str]]) -> list[str]:
    """Return lines that tell of nodes what happened and what to do; alike ones once, with all names.

    Args:
        told: The name of a node, what happened and what to do about it ("" for nothing).
    """
    names: dict[tuple[str, str], list[str]] = {}
    for name, why, hint in told:
        names.setdefault((why, hint), []).append(name)
    lines: list[str] = []
    for (why, hint), those in names.items():
        lines.append(f"{', '.join(those)}: {why}")
        if hint:
            lines.append(f"  hint: {hint}")
    return lines


def what_next(plan: "Plan", outcomes: "Sequence[Outcome]") -> str:
    """Return how nodes are after a rollout that failed on some, and what to do about it.

    A rollback is named only for what this rollout brought: else it would take away the release before.
    """
    from mt5crs.fleet.apply import End
    from mt5crs.fleet.plan import Step

    failed = [each for each in outcomes if each.end is End.FAILED]
    between = [each.node for each in failed if each.kind == NOT_RESTORED]
    unsure = [
        each.node for each in failed if each.kind in GONE and each.why.startswith(f"{Step.DEPLOY.value}: ")
    ]
    moved = [
        each.node
        for each in outcomes
        if each.end is End.DONE and each.release != plan.nodes[each.node].current
    ]
    told: list[str] = []
    if between:
        told.append(f"{', '.join(between)}: not as before, and not as it should be")
    if unsure:
        told.append(f"{', '.join(unsure)}: `mt5crs fleet status` tells what is in use there now")
    if not (moved or between or unsure):
        told.append("no node came to another release: each is on what it ran")
    elif len(failed) > len(between) + len(unsure):
        told.append(f"{'other ' if between or unsure else ''}nodes that failed are as before")
    back = ""
    if plan.what == "sync" and (moved or between):
        only = "" if moved else "".join(f" --only {name}" for name in between)
        back = f", or `mt5crs fleet rollback{only}`"
    told.append(f"mend that and run it again{back}")
    return "; ".join(told)

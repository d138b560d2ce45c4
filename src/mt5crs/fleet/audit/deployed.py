"""Gate 2: whether what was audited is what the nodes run, which no node can be asked about itself."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from mt5crs.checks import Finding, Registry, failed, off, passed, warned
from mt5crs.fleet.audit.tree import Tree
from mt5crs.fleet.inventory import Role
from mt5crs.fleet.live.seen import Seen

COMMIT = re.compile(r".*-([0-9a-f]{12})")
"""The id of a release that a commit was made into; that of a wheel has a `w` before its digest."""


class Deployed(NamedTuple):
    """A node beside the project that was audited.

    Attributes:
        seen: The node.
        tree: The project.
    """

    seen: Seen
    tree: Tree


registry: Registry[Deployed] = Registry()


@registry.check(
    "release.audited",
    "every node runs what was audited",
    reason="a report that names one commit says nothing of nodes that run another",
    remedy="`mt5crs fleet sync`, or audit the commit that the nodes run",
)
def _audited(deployed: Deployed) -> Iterator[Finding]:
    seen, tree = deployed
    current = seen.facts.current
    if seen.failure is not None or not current:  # `node.reached` and `release.current` say so
        return
    if tree.release:
        yield (
            passed(current)
            if current == tree.release
            else failed(f"it runs {current}, and {tree.release} was audited")
        )
        return
    if tree.history is None or not tree.history.revision:
        yield off(f"which commit was audited is not known: {tree.no_history or 'there is none yet'}")
        return
    commit = tree.history.revision[:12]
    known = COMMIT.fullmatch(current)
    if known is None:
        yield warned(
            f"it runs {current}, made from a wheel, whose commit is not known; {commit} was audited",
            "build that wheel from the audited commit, or release the commit itself (`revision` in [source])",
        )
    elif known[1] != commit:
        yield failed(
            f"it runs {current}, and {commit} was audited",
            f"`mt5crs fleet sync --to {commit}`; or check out {known[1]}, and audit that",
        )
    else:
        yield passed(current)
    if tree.history.changed and seen.node.role is Role.HUB:  # once: it is the same for all
        count = len(tree.history.changed)
        yield warned(
            f"{count} file{'' if count == 1 else 's'} of the audited folder that {commit} does not have so, "
            f"such as {tree.history.changed[0]}: no node has what was audited there",
            "`git status` names them: commit them and `mt5crs fleet sync`, or take them back",
        )

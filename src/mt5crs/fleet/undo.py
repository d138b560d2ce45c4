"""A release that nodes were taken back from, taken back in HUB's repository as well."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from mt5crs.errors import SettingError
from mt5crs.fleet.answers import answered
from mt5crs.fleet.facts import Commits, Losing, Told
from mt5crs.fleet.inventory import Source
from mt5crs.fleet.plan import Action, Plan
from mt5crs.fleet.reach import patient
from mt5crs.fleet.record import ROLLBACK, Record, merged
from mt5crs.fleet.ssh import Remote, Tell

MOST = 200
"""Commits at most that one release may have brought."""


class Undone(NamedTuple):
    """A way back.

    Attributes:
        release: What was taken back.
        to: The release that nodes have in its place.
    """

    release: str
    to: str


class Losses(NamedTuple):
    """What a hard reset would lose.

    Attributes:
        branch: The branch that would be reset.
        commits: The commits that it would lose, newest first, in words.
        changes: Paths with changes that were never committed.
        confirm: The words that somebody must repeat for it to be done.
    """

    branch: str
    commits: tuple[str, ...]
    changes: tuple[str, ...]
    confirm: str


def undone(plan: Plan, records: Mapping[str, Record]) -> Undone:
    """Return what a rollback takes back, or, where nodes are back already, what the last one took back.

    Raises:
        SettingError: There is none.
    """
    for each in plan.those(Action.CHANGE):
        if each.current != each.release:
            return Undone(each.current, each.release)
    for _, done in reversed(merged(records)):
        if done.came and done.what == ROLLBACK and done.before != done.release:
            return Undone(done.before, done.release)
    raise SettingError("no node went back from a release", hint="`mt5crs fleet history` shows what was done")


def revision_of(release: str) -> str:
    """Return the commit of a release, by its id.

    Raises:
        SettingError: It was made of a wheel.
    """
    commit = release.rpartition("-")[2]
    if commit.startswith("w"):
        raise SettingError(f"{release} is of a wheel, so there is no commit of it", hint="leave --git out")
    return commit


async def revert(hub: Remote, source: Source, back: Undone, who: str, tell: Tell) -> list[str]:
    """Undo on HUB's branch, by new commits, all that a release brought; return these commits in words.

    Raises:
        NodeError: It could not be; nothing was changed.
        SettingError: The one release does not come after the other.
    """
    gone, stays = revision_of(back.release), revision_of(back.to)
    answer = await hub.ask("log", repository=source.repository, revision=gone, count=MOST, first_parent=True)
    commits: list[str] = []
    for each in answered(hub.node.name, answer, Commits).commits:
        if each.revision.startswith(stays):
            break
        commits.append(each.revision)
    else:
        raise SettingError(
            f"{back.release} does not come after {back.to} in HUB's history",
            hint=f"undo what is to be undone by hand there: git revert {gone}",
        )
    request = {"repository": source.repository, "branch": "", "revisions": commits, "name": who}
    made = await patient(lambda: hub.ask("revert", tell, **request), tell)
    done = answered(hub.node.name, made, Commits)
    for empty in done.passed:
        tell(f"passed over {empty[:12]}, which changed nothing")
    return _told(done.commits)


async def losses(hub: Remote, source: Source, to: str) -> Losses:
    """Return what a hard reset of HUB's branch would lose."""
    answer = await hub.ask("losses", repository=source.repository, branch="", to=to)
    found = answered(hub.node.name, answer, Losing)
    return Losses(found.branch, tuple(_told(found.commits)), found.changes, found.confirm)


async def reset(hub: Remote, source: Source, to: str, confirm: str, who: str, tell: Tell) -> list[str]:
    """Reset HUB's branch hard; return the refs under which what was lost can be found.

    Raises:
        NodeError: It was not confirmed in the right words, or could not be done.
    """
    request = {"repository": source.repository, "branch": "", "to": to, "confirm": confirm, "name": who}
    answer = await patient(lambda: hub.ask("reset", tell, **request), tell)
    return list(answered(hub.node.name, answer, Losing).kept)


def _told(commits: Sequence[Told]) -> list[str]:
    return [f"{each.revision[:12]} {each.subject}" for each in commits]

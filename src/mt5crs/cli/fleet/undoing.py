"""`mt5crs fleet rollback --git`: a release that nodes went back from is taken back on HUB as well."""

import sys
from contextlib import AsyncExitStack
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import typer

from mt5crs.cli.fleet.opening import run_async
from mt5crs.cli.report import Failure, note

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from mt5crs.fleet.apply import Outcome
    from mt5crs.fleet.inventory import Fleet
    from mt5crs.fleet.plan import Plan
    from mt5crs.fleet.rolling import Back
    from mt5crs.fleet.ssh import Remote
    from mt5crs.fleet.undo import Losses, Undone

T = TypeVar("T")


class Git(str, Enum):
    """How HUB's repository goes back."""

    REVERT = "revert"
    RESET = "reset"


def begun(fleet: "Fleet", decide: "Back") -> "Undone":
    """Return what is taken back; to be asked before nodes go back."""
    from mt5crs.fleet.rolling import to_undo

    return run_async(to_undo(fleet, decide))


def revision(back: "Undone") -> str:
    """Return the commit that HUB would be reset to."""
    from mt5crs.fleet.undo import revision_of

    return revision_of(back.to)


def confirmed(fleet: "Fleet", to: str, confirm: str, *, dry: bool) -> str:
    """Show what a hard reset would lose; return the words that allow it.

    Raises:
        Failure: Nobody has said them.
    """
    from mt5crs.fleet import undo

    async def ask(hub: "Remote") -> "Losses":
        return await undo.losses(hub, fleet.source, to)

    lost = run_async(_at_hub(fleet, ask))
    for commit in lost.commits:
        note(f"{lost.branch} would lose {commit}")
    for change in lost.changes:
        note(f"{lost.branch} would lose the uncommitted change of {change}")
    if dry:
        note(f"to do it, say: {lost.confirm}")
        return ""
    said = confirm
    if not said and sys.stdin.isatty():
        said = typer.prompt(f"Type `{lost.confirm}` to do it", err=True)
    if said != lost.confirm:
        raise Failure(
            "the reset was not confirmed: nothing was done", hint=f'--confirm "{lost.confirm}"', code=2
        )
    return said


class AtHub(NamedTuple):
    """What is to be done in HUB's repository once the nodes are back.

    Attributes:
        fleet: The inventory.
        how: How.
        back: What is taken back.
        confirm: The words that allow a hard reset.
    """

    fleet: "Fleet"
    how: Git
    back: "Undone"
    confirm: str


class Taken(NamedTuple):
    """What became of HUB's repository.

    Attributes:
        how: `revert` or `reset`.
        release: The release that is taken back.
        to: The one that nodes have in its place.
        commits: New commits in words, or the refs that keep what a reset lost.
        why: Why it was not taken back; "" where it was.
        hint: What to do about that.
    """

    how: str
    release: str
    to: str
    commits: tuple[str, ...] = ()
    why: str = ""
    hint: str = ""


def after(ask: AtHub, plan: "Plan", outcomes: "Sequence[Outcome]") -> Taken:
    """Take it back in HUB's repository, where the nodes went back; return what became of that."""
    from mt5crs.errors import BridgeError

    base = Taken(ask.how.value, ask.back.release, ask.back.to)
    again = f"mend that, then: mt5crs fleet rollback --to {ask.back.to} --git {ask.how.value}"
    if why := _stays(plan, outcomes):
        return base._replace(why=why, hint=again)
    try:
        return base._replace(commits=tuple(_done(ask)))
    except BridgeError as error:
        return base._replace(why=error.message, hint=error.hint or again)


def _stays(plan: "Plan", outcomes: "Sequence[Outcome]") -> str:
    """Return why HUB's repository stays as it is: "" where every node that was meant is back, or is off."""
    from mt5crs.fleet.apply import End

    if plan.problem:
        return "no node may go back"
    left = [each.node for each in outcomes if each.end not in {End.DONE, End.UNCHANGED, End.OFF}]
    return f"not all nodes went back: {', '.join(left)}" if left else ""


def _done(asked: AtHub) -> list[str]:
    from mt5crs.fleet import undo
    from mt5crs.fleet.login import me

    source = asked.fleet.source

    def tell(text: str) -> None:
        note(f"hub: {text}")

    async def ask(hub: "Remote") -> list[str]:
        if asked.how is Git.REVERT:
            return await undo.revert(hub, source, asked.back, me(), tell)
        return await undo.reset(hub, source, revision(asked.back), asked.confirm, me(), tell)

    made = run_async(_at_hub(asked.fleet, ask))
    for each in made:
        note(f"hub: {'committed' if asked.how is Git.REVERT else 'what was lost is kept at'} {each}")
    return made


async def _at_hub(fleet: "Fleet", do: "Callable[[Remote], Awaitable[T]]") -> T:
    from mt5crs.fleet.reach import reach
    from mt5crs.fleet.ssh import NodeError

    async with AsyncExitStack() as stack:
        hub = (await reach(fleet, [fleet.hub], stack))[fleet.hub.name]
        if isinstance(hub, NodeError):
            raise hub
        return await do(hub)

"""From an inventory to a plan, and from a plan to what became of it: the ways of `sync` and `rollback`."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec.structs import replace

from mt5crs.errors import SettingError
from mt5crs.fleet import hub, windows
from mt5crs.fleet.answers import answered
from mt5crs.fleet.apply import Rollout
from mt5crs.fleet.facts import NodeState, Release, Revision
from mt5crs.fleet.inventory import Fleet, Source
from mt5crs.fleet.lock import Wants
from mt5crs.fleet.plan import Action, Pins, Plan, plan
from mt5crs.fleet.reach import Seen, ask_all, patient, see
from mt5crs.fleet.record import Record, record_of
from mt5crs.fleet.rollback import plan_back, unfit
from mt5crs.fleet.ssh import NodeError, Remote, Tell
from mt5crs.fleet.undo import Undone, undone

Decide = Callable[[Seen], Awaitable[Plan]]
"""Makes a plan of what was seen."""


@dataclass(frozen=True)
class Sync:
    """Bring a release to nodes.

    Attributes:
        fleet: The inventory.
        only: The nodes; all without them.
        revision: The revision; the inventory's own without it.
        wheel: A wheel on HUB instead.
        dry: Whether HUB only says what the release would be, and does not make it.
        tell: Is told what HUB does.
    """

    fleet: Fleet
    only: Sequence[str] = ()
    revision: str = ""
    wheel: str = ""
    dry: bool = False
    tell: Tell = lambda _text: None

    async def __call__(self, seen: Seen) -> Plan:
        """Decide; see `Decide`."""
        remote = seen.remotes.get(self.fleet.hub.name)
        if remote is None:
            error = seen.states[self.fleet.hub.name]
            raise error if isinstance(error, NodeError) else NodeError(self.fleet.hub.name, "not asked")
        source = self.fleet.source
        if self.revision or self.wheel:
            source = replace(source, revision=self.revision or source.revision, wheel=self.wheel)
        if self.dry:
            release, pins = await foreseen(remote, source, self.tell)
        else:
            bundle = await patient(lambda: hub.release_of(remote, source, self.tell), self.tell)
            release, pins = bundle.release, bundle.pins
        found = await windows.look(self.fleet, self._on_windows(seen))
        return plan(
            self.fleet,
            release,
            pins,
            seen.states,
            only=self.only,
            ahead=seen.ahead,
            drift=seen.drift,
            found=found,
        )

    def _on_windows(self, seen: Seen) -> list[Remote]:
        """Return the nodes that take part and are what the inventory says; of others `plan` says it."""
        return [
            remote
            for name, remote in seen.remotes.items()
            if (not self.only or name in self.only)
            and isinstance(state := seen.states[name], NodeState)
            and state.os == "windows"
        ]


async def foreseen(remote: Remote, source: Source, tell: Tell) -> tuple[Release, Pins]:
    """Return what a release of HUB is, or would be: nothing is made of it."""
    where: dict[str, Any] = {"wheel": source.wheel} if source.wheel else msgspec.structs.asdict(source)
    found = answered(remote.node.name, await remote.ask("revision", **where), Revision)
    hub.say_changes(found, tell)
    try:
        bundle = await hub.bundle(remote, found.release.id)
    except NodeError as error:
        if error.kind != "no-bundle":
            raise
    else:
        return bundle.release, bundle.pins
    release = Release(**msgspec.structs.asdict(found.release), files=())
    project = msgspec.convert(msgspec.toml.decode(found.project).get("project", {}), _Project)
    return release, hub.Bundle(release, found.lock, project.wants()).pins


class _Project(msgspec.Struct, frozen=True, rename="kebab"):
    """What a revision's `pyproject.toml` says that its wheel will need."""

    dependencies: tuple[str, ...] = ()
    optional_dependencies: dict[str, tuple[str, ...]] = {}

    def wants(self) -> Wants:
        optional = (
            _of_extra(each, extra) for extra, all_ in self.optional_dependencies.items() for each in all_
        )
        return Wants(tuple(self.optional_dependencies), (*self.dependencies, *optional))


def _of_extra(requirement: str, extra: str) -> str:
    name, _, marker = requirement.partition(";")
    return f'{name}; ({marker}) and extra == "{extra}"' if marker else f'{name}; extra == "{extra}"'


@dataclass(frozen=True)
class Back:
    """Take nodes back.

    Attributes:
        fleet: The inventory.
        only: The nodes; all without them.
        to: The release; what each node had before the last rollout without it.
    """

    fleet: Fleet
    only: Sequence[str] = ()
    to: str = ""

    async def __call__(self, seen: Seen) -> Plan:
        """Decide; see `Decide`."""
        records = await records_of(seen)
        made = plan_back(self.fleet, seen.states, records, to=self.to, only=self.only)
        going = {each.node.name: each for each in made.those(Action.CHANGE) if each.current != each.release}
        files = await asyncio.gather(
            *(_damaged(seen.remotes[name], each.release) for name, each in going.items())
        )
        return unfit(made, dict(zip(going, files, strict=True)))


async def _damaged(remote: Remote, release: str) -> tuple[str, ...]:
    """Return what of a kept release is not as it was built, in words."""
    try:
        return tuple((await remote.ask("drift", release=release, services={}))["files"])
    except NodeError as error:
        return (error.message,)


async def records_of(seen: Seen, last: int = 0) -> dict[str, Record]:
    """Return what nodes wrote down: all of it, or the last lines."""
    request = {"last": last} if last else {}
    answers = await ask_all(seen.remotes, "record", **request)
    return {name: record_of(answer) for name, answer in answers.items()}


def chosen(fleet: Fleet, only: Sequence[str]) -> tuple[str, ...]:
    """Return the names of nodes that were asked for.

    Raises:
        SettingError: The inventory has no such node.
    """
    if unknown := [name for name in only if name not in fleet.nodes]:
        raise SettingError(
            f"the inventory has no node {', '.join(unknown)}", hint=f"it has {', '.join(fleet.nodes)}"
        )
    return tuple(only)


async def to_undo(fleet: Fleet, back: Back) -> Undone:
    """Return what a rollback takes back; nothing is changed."""
    async with AsyncExitStack() as stack:
        seen = await see(fleet, stack)
        return undone(await back(seen), await records_of(seen))


async def looked(fleet: Fleet, decide: Decide) -> Plan:
    """Look at all nodes and decide; nothing is changed."""
    async with AsyncExitStack() as stack:
        return await decide(await see(fleet, stack))


async def carried(
    fleet: Fleet, decide: Decide, begin: Callable[[Plan, Mapping[str, Remote]], Rollout | None]
) -> None:
    """Look at all nodes, decide, and carry out what `begin` makes of that."""
    async with AsyncExitStack() as stack:
        seen = await see(fleet, stack)
        made = await decide(seen)
        rollout = begin(made, seen.remotes)
        if rollout is not None:
            await rollout.run()

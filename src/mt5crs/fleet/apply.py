"""Carry a plan out: first all that can be done beside what runs, then the switch, stage by stage."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from enum import Enum
from typing import Any

import msgspec

from mt5crs.errors import BridgeError
from mt5crs.fleet import hub, windows
from mt5crs.fleet.answers import answered
from mt5crs.fleet.compatible import Speaks
from mt5crs.fleet.facts import Built, Deployed, File, Have, Release
from mt5crs.fleet.inventory import Node, Role
from mt5crs.fleet.node.windows import SCRIPT
from mt5crs.fleet.plan import Action, NodePlan, Plan, Step, protocols
from mt5crs.fleet.reach import patient, services_of
from mt5crs.fleet.ssh import NodeError, Remote

TRANSFERS = 4
"""Nodes that files are sent to at the same time."""


class Progress(str, Enum):
    """How far a node is with a step."""

    BEGUN = "begun"
    SAID = "said"
    ENDED = "ended"
    FAILED = "failed"


@dataclass(frozen=True)
class NodeProgress:
    """Something that happened on a node.

    Attributes:
        node: Its name.
        step: What it is about.
        text: In words.
        state: How far it is.
    """

    node: str
    step: Step
    text: str
    state: Progress


class End(str, Enum):
    """What became of a node."""

    DONE = "done"
    UNCHANGED = "unchanged"
    FAILED = "failed"
    SKIPPED = "skipped"
    OFF = "off"
    INTERRUPTED = "interrupted"


@dataclass
class Outcome:
    """What became of a node, and why.

    Attributes:
        node: Its name.
        end: What became of it.
        release: The release that it has now, as far as is known.
        why: The reason, for people.
        hint: What to do next.
        kind: The kind of the reason, for programs: `not-restored` where not everything is as before.
        seconds: How long its own steps took.
        switched: How long its switch took, restarts and checks included; None where there was none.
        record: What the node wrote down of it.
    """

    node: str
    end: End
    release: str = ""
    why: str = ""
    hint: str = ""
    kind: str = ""
    seconds: float = 0.0
    switched: float | None = None
    record: dict[str, Any] = field(default_factory=dict[str, Any])


Watch = Callable[[NodeProgress], None]

_BEGIN = {
    Action.NOTHING: (End.UNCHANGED, ""),
    Action.REFUSED: (End.FAILED, ""),
    Action.DOWN: (End.FAILED, "cannot be reached: "),
    Action.OFF: (End.OFF, ""),
    Action.CHANGE: (End.SKIPPED, ""),
}


class Rollout:
    """A plan that is carried out.

    Args:
        plan: The plan.
        remotes: Nodes by name; HUB is among them where something is sent.
        who: Who does it, for the nodes' records.
        watch: Is told how it goes on.

    Attributes:
        outcomes: What became of each node so far, by name.
    """

    def __init__(self, plan: Plan, remotes: Mapping[str, Remote], who: str, watch: Watch) -> None:
        self._plan = plan
        self._remotes = remotes
        self._who = who
        self._watch = watch
        self._transfers = asyncio.Semaphore(TRANSFERS)
        self._at_hub = asyncio.Lock()
        self._speaks: dict[str, Speaks] = dict(plan.speaks)
        self._will_speak: dict[str, Speaks] = {}
        self.outcomes = {name: _begun(each) for name, each in plan.nodes.items()}

    async def run(self) -> dict[str, Outcome]:
        """Carry it out.

        Returns:
            What became of each node.

        Raises:
            CancelledError: Somebody ended it: what was begun on nodes is ended there, `outcomes` says what is
                where, and the next run finishes it.
        """
        if self._plan.blocked:
            self._skip(self._going(), "nothing was begun: see the others")
            return self.outcomes
        try:
            await self._each(self._going(), self._prepare)
            if self._stopped():
                self._skip(self._going(), "another node failed: nothing was switched anywhere")
            self._refuse_to_cut_off(self._going(), self._plan.stages)
            for stage in self._plan.stages:
                await self._switch_all(stage)
        except asyncio.CancelledError:
            for each in self._going():
                outcome = self.outcomes[each.node.name]
                outcome.end, outcome.why = (
                    End.INTERRUPTED,
                    outcome.why or "interrupted before it was switched",
                )
            raise
        return self.outcomes

    def _going(self, names: Iterable[str] | None = None) -> list[NodePlan]:
        """Return the nodes that still are on their way."""
        return [
            each
            for name, each in self._plan.nodes.items()
            if each.action is Action.CHANGE
            and self.outcomes[name].end is End.SKIPPED
            and not self.outcomes[name].why
            and (names is None or name in names)
        ]

    def _stopped(self) -> bool:
        failed = any(each.end is End.FAILED for each in self.outcomes.values())
        return failed and self._plan.fleet.on_failure == "stop"

    def _skip(self, nodes: Iterable[NodePlan], why: str, hint: str = "") -> None:
        for each in nodes:
            outcome = self.outcomes[each.node.name]
            outcome.end, outcome.why, outcome.hint = End.SKIPPED, why, hint

    async def _each(self, nodes: list[NodePlan], do: "Callable[[NodePlan, _Node], Any]") -> None:
        """Do something on nodes at the same time; a node that fails leaves the others alone."""

        async def one(each: NodePlan) -> None:
            name, begun = each.node.name, time.monotonic()
            at = _Node(self._remotes[name], self._watch)
            try:
                await do(each, at)
            except BridgeError as error:
                self._failed(name, at.step, error)
            except Exception as error:  # whatever it is, it is this node's alone
                what = f"a defect of ours: {type(error).__name__}: {error}"
                defect = NodeError(name, what, hint="tell us; the other nodes went on", kind="defect")
                self._failed(name, at.step, defect)
            except asyncio.CancelledError:
                outcome = self.outcomes[name]
                outcome.end, outcome.why = End.INTERRUPTED, f"interrupted in {at.step.value}"
                raise
            finally:
                self.outcomes[name].seconds += time.monotonic() - begun

        tasks = [asyncio.ensure_future(one(each)) for each in nodes]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            for task in tasks:  # their programs on the nodes have ended when they have
                with suppress(asyncio.CancelledError):
                    await task

    def _failed(self, name: str, step: Step, error: BridgeError) -> None:
        outcome = self.outcomes[name]
        text = error.message.removeprefix(f"{name}: ")
        lost = isinstance(error, NodeError) and error.kind == "unreachable"
        off = lost and self._plan.nodes[name].node.optional
        outcome.end = End.OFF if off else End.FAILED
        outcome.why, outcome.hint = f"{step.value}: {text}", error.hint
        outcome.kind = error.kind if isinstance(error, NodeError) else ""
        self._watch(NodeProgress(name, step, text, Progress.FAILED))

    async def _prepare(self, each: NodePlan, at: "_Node") -> None:
        """Send, build and set up, beside what runs."""
        release = self._plan.release
        if release is not None and Step.BUILD in each.steps:
            await self._build(each, at, release)
        if Step.SET_UP in each.steps:
            at.begin(Step.SET_UP, SCRIPT)
            fleet = self._plan.fleet
            await patient(lambda: windows.apply(at.remote, fleet, "install", at.say, each.release), at.say)
            at.end()

    async def _build(self, each: NodePlan, at: "_Node", release: Release) -> None:
        wheels = None if each.node.index else await self._wheelhouse(each, at)
        at.begin(Step.SEND, f"{sum(file.size for file in release.files) / 2**20:.1f} MB")
        async with self._transfers:
            await self._send(at, release.files, f".fleet/bundles/{release.id}")
        at.end()
        at.begin(Step.BUILD, release.id)
        request = {
            "release": msgspec.to_builtins(release),
            "pins": each.pins,
            "extras": list(each.extras),
            "wheels": None if wheels is None else msgspec.to_builtins(wheels),
        }
        async with self._at_hub if each.node.role is Role.HUB else nullcontext():
            answer = await patient(lambda: at.remote.ask("build", at.say, **request), at.say)
        self._will_speak[each.node.name] = answered(each.node.name, answer, Built).about.speaks
        at.end()

    async def _wheelhouse(self, each: NodePlan, at: "_Node") -> tuple[File, ...]:
        """Have HUB fetch the packages for a node that has no index, and send them there."""
        at.begin(Step.WHEELHOUSE, "HUB fetches its packages")
        remote, python = self._remotes[self._plan.fleet.hub.name], each.python
        if python is None:
            raise ValueError(f"the plan of {each.node.name} does not know its Python")
        async with self._at_hub:
            wheels = await patient(lambda: hub.wheelhouse(remote, each.pins, python, at.say), at.say)
        async with self._transfers:
            await self._send(at, wheels, ".fleet/wheels")
        at.end()
        return wheels

    async def _send(self, at: "_Node", files: Iterable[File], folder: str) -> None:
        source = self._remotes[self._plan.fleet.hub.name]
        files = tuple(files)
        answer = await at.remote.ask("have", at.say, sha256=[file.sha256 for file in files])
        have = set(answered(at.remote.node.name, answer, Have).have)
        for file in files:
            if file.sha256 not in have:
                at.say(file.name)
                await at.remote.send(
                    source, f"{source.node.path}/{folder}/{file.name}", file.sha256, file.size
                )

    async def _switch_all(self, stage: tuple[str, ...]) -> None:
        """Switch the nodes of a stage, where nobody is cut off by that."""
        nodes = self._going(stage)
        if not nodes:
            return
        # Not all that was planned may have come to pass.
        if self._refuse_to_cut_off(nodes, [stage]):
            await self._each(nodes, self._switch)
        if self._stopped():
            self._skip(self._going(), "another node failed: it was left as it is")

    def _refuse_to_cut_off(self, nodes: list[NodePlan], stages: Sequence[Sequence[str]]) -> bool:
        """Return whether nodes can change, by what releases really speak; else these nodes have failed."""
        then = {each.node.name: self._speaks_then(each) for each in nodes}
        command = f"mt5crs fleet {self._plan.what}"
        problem, hint = protocols(self._plan.fleet, self._speaks, then, stages, command)
        if problem:
            self._skip(nodes, problem, hint)
            for each in nodes:
                self.outcomes[each.node.name].end = End.FAILED
        return not problem

    def _speaks_then(self, each: NodePlan) -> Speaks:
        if each.current == each.release:  # settings or services alone: it speaks as before
            return self._speaks.get(each.node.name, ())
        return self._will_speak.get(each.node.name, each.speaks)

    async def _switch(self, each: NodePlan, at: "_Node") -> None:
        """Deploy: the node itself puts everything back where its check fails."""
        name, begun = each.node.name, time.monotonic()
        if Step.DEPLOY not in each.steps:  # only set up: what runs needs no restart for that
            self.outcomes[name].end = End.DONE
            return
        at.begin(Step.DEPLOY, each.release)
        request = self._deployment(each.node, each)
        answer = await patient(lambda: at.remote.ask("deploy", at.say, **request), at.say)
        record = answered(name, answer, Deployed).record
        outcome = self.outcomes[name]
        outcome.end, outcome.release, outcome.record = End.DONE, each.release, record
        outcome.switched = time.monotonic() - begun
        self._speaks[name] = self._speaks_then(each)
        at.end()

    def _deployment(self, node: Node, each: NodePlan) -> dict[str, Any]:
        fleet = self._plan.fleet
        return {
            "release": each.release,
            "env": each.env,
            "services": services_of(fleet, node),
            "who": self._who,
            "what": self._plan.what,
            "asked": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
            "expect": each.current,
            "keep": fleet.keep,
        }


class _Node:
    """A node that is worked on: what it says is told on with the step that it is in."""

    def __init__(self, remote: Remote, watch: Watch) -> None:
        self.remote = remote
        self.step = Step.SEND
        self._watch = watch

    def begin(self, step: Step, text: str) -> None:
        self.step = step
        self._tell(text, Progress.BEGUN)

    def say(self, text: str) -> None:
        self._tell(text, Progress.SAID)

    def end(self) -> None:
        self._tell("", Progress.ENDED)

    def _tell(self, text: str, state: Progress) -> None:
        self._watch(NodeProgress(self.remote.node.name, self.step, text, state))


def _begun(each: NodePlan) -> Outcome:
    end, words = _BEGIN[each.action]
    why = "" if each.action is Action.CHANGE else words + "; ".join(each.why)
    return Outcome(each.node.name, end, each.current, why, each.hint)

"""Back to a release that nodes still have: decided here, carried out by `apply` like any rollout.

Clients go back before the gateway, as they came after it. Nothing is sent and nothing is built: what a node
does not have any more, or what could not read its files, is refused with the reason.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from mt5crs.checks import Result, Status
from mt5crs.fleet.compatible import unreadable
from mt5crs.fleet.facts import NodeState
from mt5crs.fleet.inventory import Fleet
from mt5crs.fleet.obstacles import obstacle
from mt5crs.fleet.plan import Action, NodePlan, Plan, State, Step, stages_of, unreached, whole
from mt5crs.fleet.record import Deployment, Record, latest, previous
from mt5crs.fleet.ssh import NodeError

ANOTHER = "they know {}; `mt5crs fleet sync --to REV` brings a branch, a tag or a commit of HUB"
SHOWN = "`mt5crs fleet history` shows what was done, `mt5crs fleet status` what nodes have"
NOTED = {
    "settings.inventory": "the inventory is newer than the release that the node went back to",
    "release.same": "the other nodes were left as they are",
}
"""Checks that fail because nodes went back, and why that is no fault; the last only where others stay."""


def proof_of(results: Sequence[Result], *, all_: bool) -> list[Result]:
    """Return what checks say after a rollback: what going back itself brings about is a note.

    Args:
        results: What the checks said.
        all_: Whether all nodes went back, so that they should have the same release.
    """
    noted = NOTED if not all_ else {name: why for name, why in NOTED.items() if name != "release.same"}
    return [
        each._replace(status=Status.WARN, reason=noted[each.check], remedy="nothing, until the next sync")
        if each.check in noted and each.status is Status.FAIL
        else each
        for each in results
    ]


def plan_back(
    fleet: Fleet,
    states: Mapping[str, State],
    records: Mapping[str, Record],
    *,
    to: str = "",
    only: Sequence[str] = (),
) -> Plan:
    """Decide which release each node goes back to.

    Args:
        fleet: The inventory.
        states: All nodes, also those that are left alone.
        records: What each node wrote down.
        to: A release, or the beginning of its name, its version or its commit. Without it the last rollout is
            taken back: each node that it came to goes back to what it had before.
        only: The nodes to go back; all without them.
    """
    names = [name for name in fleet.nodes if not only or name in only]
    done = {name: records.get(name, Record()).deployments for name in names}
    current = {name: state.current for name, state in states.items() if isinstance(state, NodeState)}
    undone = "" if to else latest(done, current)
    known = _known(states, records)
    nodes = {name: _node(fleet, name, states[name], done[name], to, undone, known) for name in names}
    if not undone and not to and all(each.action in {Action.NOTHING, Action.OFF} for each in nodes.values()):
        problem = "there is nothing to take back: no release was brought to these nodes"
        return Plan("rollback", nodes, (), fleet, problem=problem, hint=SHOWN)
    made = whole("rollback", fleet, nodes, stages_of(fleet, names, backwards=True), states)
    if to and not any(_means(id_, to) for id_ in known):
        hint = ANOTHER.format(", ".join(known)) if known else SHOWN
        return replace(made, problem=f"no node has or had a release {to}", hint=hint)
    hurt = made.those(Action.REFUSED, Action.DOWN)
    if hurt and not made.those(Action.CHANGE) and all(each.why == (_none_before(each),) for each in hurt):
        only_one = f"there is nothing to take back: no node had a release before {undone}"
        return replace(made, problem=only_one, hint=SHOWN)
    return made


def unfit(made: Plan, files: Mapping[str, Sequence[str]]) -> Plan:
    """Return a plan in which nodes do not go back to a release whose files are not as they were built.

    Args:
        made: The plan.
        files: What is otherwise of the release that a node goes back to, in words, by node.
    """

    def node(each: NodePlan) -> NodePlan:
        if each.action is not Action.CHANGE or not files.get(each.node.name):
            return each
        why = f"{each.release} is damaged there: {'; '.join(files[each.node.name])}"
        return replace(each, action=Action.REFUSED, steps=(), why=(why,), hint=_bring(each.release))

    return replace(made, nodes={name: node(each) for name, each in made.nodes.items()})


def _none_before(each: NodePlan) -> str:
    return f"it had nothing before {each.current}"


def _known(states: Mapping[str, State], records: Mapping[str, Record]) -> list[str]:
    """Return all releases that nodes have or had, as far as they can be asked."""
    found: set[str] = set()
    for state in states.values():
        if isinstance(state, NodeState):
            found.update((*state.releases, *state.incomplete))
    for record in records.values():
        for each in record.deployments:
            found.update((each.release, each.before))
    return sorted(found - {""})


def _bring(id_: str) -> str:
    """Return what to do to have a release on a node again."""
    commit = id_.rpartition("-")[2]
    if commit.startswith("w"):
        return "`mt5crs fleet sync --wheel PATH`, with the wheel that it was made of, builds it there again"
    return f"`mt5crs fleet sync --to {commit}` builds it there again"


def _node(
    fleet: Fleet,
    name: str,
    state: State,
    deployments: Sequence[Deployment],
    to: str,
    undone: str,
    known: Sequence[str],
) -> NodePlan:
    node = fleet.nodes[name]
    if isinstance(state, NodeError):
        return unreached(node, state)
    base = NodePlan(node, Action.NOTHING, current=state.current, release=state.current)
    if not state.current and state.unfinished is None:
        return replace(base, why=("it has no release",))
    if not to and state.current != undone and state.unfinished is None:
        why = f"it does not have {undone}, which is taken back" if undone else "nothing was brought to it"
        return replace(base, why=(why,))
    target, problem, hint = _named(state, to, known) if to else _before(state, deployments)
    if not problem:
        problem, hint = obstacle(node, state, builds=False)
    if not problem and (newer := unreadable(state, state.releases[target].about.files)):
        problem, hint = "; ".join(newer), f"stay, or put back what these files were before {state.current}"
    if problem:
        return replace(base, action=Action.REFUSED, release=target, why=(problem,), hint=hint)
    if target == state.current and state.unfinished is None:
        return replace(base, why=("it has that release",))
    return replace(
        base,
        action=Action.CHANGE,
        steps=(Step.DEPLOY,),
        release=target,
        why=(_reason(state, target, undone),),
        restarts=tuple(fleet.services_of(node)),
        speaks=state.releases[target].about.speaks,
    )


def _reason(state: NodeState, target: str, undone: str) -> str:
    """Return why a node goes back, for people."""
    if state.unfinished is not None:
        return f"the deployment of {state.unfinished.get('to') or 'a release'} has no result: it is undone"
    if not undone:
        return f"{target} was asked for"
    return f"{undone} was brought last, and is taken back"


def _before(state: NodeState, deployments: Sequence[Deployment]) -> tuple[str, str, str]:
    """Return the release that a node had before its current one, or why there is none to go back to."""
    target = previous(deployments, state.current)
    if state.unfinished is not None:  # nothing came of it, so what is taken back is what it has begun
        target = str(state.unfinished.get("from", ""))
    if not target:
        return "", f"it had nothing before {state.current}", "leave it out: --only with the other nodes"
    return _complete(state, target)


def _named(state: NodeState, to: str, known: Sequence[str]) -> tuple[str, str, str]:
    """Return the release that somebody named, or why it is none."""
    found = sorted(id_ for id_ in {*state.releases, *state.incomplete} if _means(id_, to))
    if to in found or len(found) == 1:
        return _complete(state, to if to in found else found[0])
    if found:
        return "", f"{to} may be {' or '.join(found)}", "name one of these in full"
    there = ", ".join(sorted(state.releases)) or "nothing"
    elsewhere = [id_ for id_ in known if _means(id_, to)]
    hint = _bring(elsewhere[0]) if len(elsewhere) == 1 else SHOWN
    return "", f"it does not have {to}, but {there}", hint


def _complete(state: NodeState, id_: str) -> tuple[str, str, str]:
    if id_ in state.releases:
        return id_, "", ""
    what = "is not complete there" if id_ in state.incomplete else "is not there any more"
    return id_, f"{id_} {what}", _bring(id_)


def _means(id_: str, text: str) -> bool:
    commit = id_.rpartition("-")[2]
    return id_.startswith(text) or (len(text) >= 4 and (commit.startswith(text) or text.startswith(commit)))

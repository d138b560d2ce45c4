"""`mt5crs fleet`: sync, rollback."""

import sys
from collections.abc import Mapping
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mt5crs.cli.fleet import checking, ending, looking, tables, undoing
from mt5crs.cli.fleet.opening import DEFAULT, InventoryFile, opened, run_async
from mt5crs.cli.options import written
from mt5crs.cli.output import Form, Output
from mt5crs.cli.report import Failure, note

if TYPE_CHECKING:
    from mt5crs.checks import Result
    from mt5crs.fleet.apply import Outcome, Rollout
    from mt5crs.fleet.inventory import Fleet
    from mt5crs.fleet.plan import Plan
    from mt5crs.fleet.rolling import Decide


class Policy(str, Enum):
    """What becomes of the others where a node fails."""

    STOP = "stop"
    CONTINUE = "continue"


Only = Annotated[
    list[str] | None, typer.Option("--only", metavar="NODE", help="This node alone; may be repeated.")
]
Dry = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before it is done.")]
OnFailure = Annotated[
    Policy | None,
    typer.Option(help="Whether the rollout stops at a node that fails; as the inventory says without it."),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    written(app)(sync)
    written(app)(rollback)
    looking.register(app)


def sync(
    output: Output,
    inventory: InventoryFile = DEFAULT,
    to: Annotated[
        str, typer.Option("--to", metavar="REV", help="The revision: a branch, a tag or a commit on HUB.")
    ] = "",
    wheel: Annotated[
        str, typer.Option(metavar="PATH", help="A wheel on HUB, relative to its path, instead of a revision.")
    ] = "",
    only: Only = None,
    on_failure: OnFailure = None,
    dry_run: Dry = False,
    yes: Yes = False,
) -> None:
    """Bring a release to every node: what is missing there, and nothing else.

    It is built everywhere beside what runs, and only then the nodes change to it, gateways before their
    clients. A node that does not pass its own check puts everything back by itself.
    """
    from mt5crs.fleet.rolling import Sync, chosen

    if to and wheel:
        raise typer.BadParameter("--to and --wheel exclude each other")
    fleet = _with_policy(opened(inventory), on_failure)
    decide = Sync(
        fleet, chosen(fleet, only or ()), to, wheel, dry=dry_run, tell=lambda text: note(f"hub: {text}")
    )
    _roll(output, fleet, decide, dry=dry_run, yes=yes)


def rollback(
    output: Output,
    inventory: InventoryFile = DEFAULT,
    to: Annotated[
        str, typer.Option("--to", metavar="ID", help="A release that nodes have; `fleet status` lists them.")
    ] = "",
    only: Only = None,
    git: Annotated[
        undoing.Git | None,
        typer.Option(help="Take it back in HUB's repository as well: by new commits, or by a hard reset."),
    ] = None,
    confirm: Annotated[
        str, typer.Option(metavar="TEXT", help="The words that allow a hard reset; --dry-run tells them.")
    ] = "",
    on_failure: OnFailure = None,
    verify: Annotated[
        bool, typer.Option(help="Hold the checks of `verify` on the nodes that went back.")
    ] = True,
    dry_run: Dry = False,
    yes: Yes = False,
) -> None:
    """Take nodes back to the release before, or to another that they still have.

    Clients go back before the gateway. Nothing is sent and nothing is built, so it takes seconds.
    """
    from mt5crs.fleet.rolling import Back, chosen

    if git is undoing.Git.RESET and not to:
        raise typer.BadParameter("--git reset needs --to: the release to go back to")
    fleet = _with_policy(opened(inventory), on_failure)
    back = Back(fleet, chosen(fleet, only or ()), to)
    if git is None:
        _roll(output, fleet, back, dry=dry_run, yes=yes, verify=verify)
        return
    taken = undoing.begun(fleet, back)
    revision = undoing.revision(taken)
    said = undoing.confirmed(fleet, revision, confirm, dry=dry_run) if git is undoing.Git.RESET else ""
    at_hub = undoing.AtHub(fleet, git, taken, said)
    _roll(output, fleet, back, dry=dry_run, yes=yes, at_hub=at_hub, verify=verify)
    if dry_run:
        note(f"then on HUB: git {git.value}, from {taken.release} back to {taken.to}")


def _with_policy(fleet: "Fleet", policy: Policy | None) -> "Fleet":
    from msgspec.structs import replace

    return fleet if policy is None else replace(fleet, on_failure=policy.value)


def _roll(
    output: Output,
    fleet: "Fleet",
    decide: "Decide",
    *,
    dry: bool,
    yes: bool,
    at_hub: "undoing.AtHub | None" = None,
    verify: bool = False,
) -> None:
    """Decide, show it, ask, carry it out, verify a rollback, show what became of it."""
    from mt5crs.fleet.rolling import looked

    if yes and not dry:
        _carry(output, fleet, decide, agreed=None, at_hub=at_hub, verify=verify)
        return
    plan = run_async(looked(fleet, decide))
    _show(output, plan, alone=dry)
    _refuse(plan, dry=dry)
    if dry:
        return
    if plan.nothing and at_hub is None:
        _ended(output, plan, [])
        return
    if not sys.stdin.isatty():
        raise Failure(
            "there is nobody to ask: nothing was done",
            hint="--dry-run says what would be done, --yes does it",
            code=2,
        )
    if not typer.confirm("Do it?", err=True):
        raise Failure("nothing was done")
    _carry(output, fleet, decide, agreed=plan, at_hub=at_hub, verify=verify)


def _carry(
    output: Output,
    fleet: "Fleet",
    decide: "Decide",
    *,
    agreed: "Plan | None",
    at_hub: "undoing.AtHub | None",
    verify: bool,
) -> None:
    """Carry out what is decided now, which must be what somebody agreed to."""
    from mt5crs.cli.fleet.live import watching
    from mt5crs.fleet.apply import Rollout
    from mt5crs.fleet.login import me
    from mt5crs.fleet.rolling import carried

    begun: list[tuple[Plan, Rollout]] = []
    with watching() as watch:

        def begin(plan: "Plan", remotes: Mapping[str, Any]) -> "Rollout | None":
            if agreed is None:
                _show(output, plan, alone=False)
            elif plan.changes != agreed.changes:
                raise Failure("nodes have changed since this was decided", hint="look at it again")
            rollout = Rollout(
                plan, remotes, me(), watch.over([each.node.name for each in plan.nodes.values()])
            )
            begun.append((plan, rollout))
            return None if plan.nothing else rollout

        try:
            run_async(carried(fleet, decide, begin))
        except KeyboardInterrupt:
            watch.end()
            for plan, rollout in begun:
                _result(output, plan, list(rollout.outcomes.values()))
            as_they_are = "nodes are as the table says; the same command finishes what is unfinished"
            note(f"interrupted: {as_they_are if begun else 'nothing was begun'}")
            if at_hub is not None:
                note("HUB's repository was not taken back, because not all nodes went back")
            raise
    plan, rollout = begun[0]
    outcomes = list(rollout.outcomes.values())
    # HUB goes back as soon as the nodes have: whatever their checks say, they are back.
    git = None if at_hub is None else undoing.after(at_hub, plan, outcomes)
    proof = _proof(fleet, plan, outcomes) if verify else None
    _ended(output, plan, outcomes, proof, git)


def _show(output: Output, plan: "Plan", *, alone: bool) -> None:
    """Write the plan: to people, or as the only result."""
    from mt5crs.fleet.plan import Action

    futile = plan.what == "rollback" and plan.problem and not plan.those(Action.CHANGE)
    if (output.form is Form.TABLE and not futile) or (output.form is not Form.TABLE and alone):
        output.write(tables.plan_table(plan))
    for each in plan.nodes.values():
        for change in each.changes:
            note(f"{each.node.name}: .env {change}")
        for command in each.commands:
            note(f"{each.node.name}: set up: {command}")
        for warning in each.warnings:
            note(f"{each.node.name}: warning: {warning}")
    off = plan.those(Action.OFF)
    for line in ending.alike((each.node.name, f"off: {'; '.join(each.why)}", each.hint) for each in off):
        note(line)


def _refuse(plan: "Plan", *, dry: bool = False) -> None:
    """End here where nothing may be begun, or, of a dry run, where it would not come to all nodes.

    Raises:
        Failure: That is so; with the reason.
    """
    from mt5crs.fleet.plan import Action

    if plan.problem:
        raise Failure(plan.problem, hint=plan.hint)
    hurt = plan.those(Action.REFUSED, Action.DOWN)
    if not hurt or not (dry or plan.blocked):
        return
    for line in ending.alike((each.node.name, "; ".join(each.why), each.hint) for each in hurt):
        note(line)
    names = ", ".join(each.node.name for each in hurt)
    if not plan.blocked:
        raise Failure(f"it would not come to {names}", hint="mend that; the others would go on without")
    raise Failure(
        f"nothing was begun, for {names}", hint="mend that, leave it out by --only, or --on-failure continue"
    )


def _proof(fleet: "Fleet", plan: "Plan", outcomes: "list[Outcome]") -> "list[Result]":
    """Return what the checks say of the nodes that went back; what that itself brings about is a note."""
    from mt5crs.fleet.apply import End
    from mt5crs.fleet.rollback import proof_of
    from mt5crs.fleet.verify import verified

    changed = [each.node for each in outcomes if each.end is End.DONE]
    if not changed:
        return []
    return proof_of(run_async(verified(fleet, only=changed)), all_=len(changed) == len(plan.fleet.nodes))


def _ended(
    output: Output,
    plan: "Plan",
    outcomes: "list[Outcome]",
    proof: "list[Result] | None" = None,
    git: "undoing.Taken | None" = None,
) -> None:
    """Write what became of it, and what to do next.

    Raises:
        Failure: A node failed, HUB's repository, or a check of a node.
    """
    from mt5crs.checks import holds
    from mt5crs.fleet.apply import End
    from mt5crs.fleet.plan import Action

    if output.form is not Form.TABLE or not (plan.nothing or plan.blocked):
        _result(output, plan, outcomes, proof, git)
    if proof and output.form is Form.TABLE:
        checking.summarize(output, proof)
    if git is not None and git.why:
        note(f"HUB's repository was not taken back, because {git.why}")
        note(f"  hint: {git.hint}")
    _refuse(plan)
    # What was off from the beginning was told with the plan.
    off = [each for each in outcomes if each.end is End.OFF and plan.nodes[each.node].action is Action.CHANGE]
    failed = [each for each in outcomes if each.end is End.FAILED]
    for line in ending.alike((each.node, each.why, each.hint) for each in (*off, *failed)):
        note(line)
    if failed:
        names = ", ".join(each.node for each in failed)
        raise Failure(f"not on {names}", hint=ending.what_next(plan, outcomes))
    if plan.nothing:
        note("nothing to do: every node is as it should be")
    if git is not None and git.why:
        raise Failure("HUB's repository was not taken back", hint=git.hint)
    if not proof:
        note("next: mt5crs fleet verify")
    elif not holds(proof):
        raise Failure(
            "the nodes went back, and not all checks hold", hint="what to do stands with each of them"
        )


def _result(
    output: Output,
    plan: "Plan",
    outcomes: "list[Outcome]",
    proof: "list[Result] | None" = None,
    git: "undoing.Taken | None" = None,
) -> None:
    rows = tables.outcome_rows(outcomes)
    release = plan.release.id if plan.release else ""
    document: dict[str, Any] = {"what": plan.what, "release": release, "plan": tables.plan_rows(plan)}
    document["nodes"] = rows
    if git is not None:
        document["git"] = git._asdict()
    if proof is not None:
        from mt5crs.fleet.reporting import row

        document["checks"] = [row(each) for each in proof]
    output.write(tables.outcome_table("result", rows, document))

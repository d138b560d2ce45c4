"""Checks of the release: the right one, complete, and as it was deployed."""

from collections.abc import Iterator

from mt5crs.checks import Finding, Registry, failed, off, passed, warned
from mt5crs.fleet.compatible import expected
from mt5crs.fleet.inventory import Role
from mt5crs.fleet.live.seen import Seen
from mt5crs.fleet.observed import Changes

SYNC = "deploy it again: `mt5crs fleet sync --only {node}`"
CONNECTOR = "src/client/mt5_connector.py"
AUDIT = "scripts/audit_current_task.py"
AUDIT_MARK = "audit_task_003"
NAMED = 3
"""How many names a finding has at most."""


def sync(seen: Seen) -> str:
    """Return what to do about a release that is not right on a node."""
    return SYNC.format(node=seen.node.name)


checks: Registry[Seen] = Registry()


@checks.check(
    "release.current",
    "a complete release is in use",
    reason="everything else is looked for in it",
    remedy="deploy one: `mt5crs fleet sync`",
)
def current(seen: Seen) -> Finding:
    """Hold that there is a current release, that it is complete and that it starts."""
    facts = seen.facts
    if not facts.current:
        return failed("none")
    if facts.built is None:
        return failed(f"{facts.current} is not complete", sync(seen))
    if facts.about is not None and facts.about.wrong is not None:
        return failed(f"{facts.current} does not start: {facts.about.wrong.message}", sync(seen))
    return passed(facts.current)


@checks.check(
    "release.same",
    "it has the release that the others have",
    reason="a fleet of several releases is one that nobody has tested",
    remedy="bring it up to date: `mt5crs fleet sync`",
)
def same(seen: Seen) -> Iterator[Finding]:
    """Hold that a node has HUB's release; without HUB, the one that most have."""
    mine = seen.facts.current
    releases = {each.node.name: each.facts.current for each in seen.reached if each.facts.current}
    if not mine or not releases:
        return
    hub = next((each.node.name for each in seen.reached if each.node.role is Role.HUB), "")
    wanted = expected(releases, hub)
    with_it = sum(each == wanted for each in releases.values())
    if mine == wanted:
        yield passed(f"{mine}, as {with_it} of {len(releases)}")
    else:
        yield failed(f"{mine}, where {with_it} of {len(releases)} have {wanted}", sync(seen))


@checks.check(
    "release.unfinished",
    "no deployment is unfinished",
    reason="what was interrupted may have left half of a change",
    remedy="run `mt5crs fleet sync` again: it goes on from there",
)
def unfinished(seen: Seen) -> Iterator[Finding]:
    """Hold that the last deployment has a result."""
    if seen.state is None:
        return
    begun = seen.state.unfinished
    if begun is None:
        yield passed("none")
    else:
        yield failed(f"{begun.get('what', 'deployment')} of {begun.get('to', 'a release')}", sync(seen))


@checks.check(
    "release.record",
    "the record of deployments is whole",
    reason="it proves what was deployed when and by whom, as long as nobody changed it",
    remedy="compare `.fleet/record.jsonl` with a copy of it, and find out who changed it; moved away, with "
    "`record.head`, it is begun anew by the next deployment",
)
def record(seen: Seen) -> Iterator[Finding]:
    """Hold that each line of the record follows the one before."""
    if seen.state is None:
        return
    problems = seen.state.record_problems
    yield failed("; ".join(problems[:NAMED])) if problems else passed("each line follows the one before")


@checks.check(
    "release.connector",
    f"{CONNECTOR} exists",
    reason="programs and people start with it",
    remedy="deploy the revision that has it: `mt5crs fleet sync`",
)
def connector(seen: Seen) -> Iterator[Finding]:
    """Hold that the connector is there: [1] of the guide for hand-made syncs."""
    for text in seen.facts.texts:
        if text.name == CONNECTOR:
            yield passed("it is there") if text.exists else _lacking(seen, "it is missing")


@checks.check(
    "release.audit",
    f"{AUDIT} has {AUDIT_MARK}",
    reason="an older script audits another task",
    remedy="deploy the revision that has it: `mt5crs fleet sync`",
)
def audit(seen: Seen) -> Iterator[Finding]:
    """Hold that the audit script is the new one: [2] of the guide."""
    for text in seen.facts.texts:
        if text.name == AUDIT:
            words = f"it has no {AUDIT_MARK}" if text.exists else "it is missing"
            yield passed("it has it") if text.has else _lacking(seen, words)


def _lacking(seen: Seen, words: str) -> Finding:
    """Return that a file is not right, which is no fault of a release that is a wheel alone."""
    return failed(words, sync(seen)) if seen.has_tree else off("a release from a wheel has no such file")


@checks.check(
    "release.audit-runs",
    "the audit runs and passes",
    reason="a node that does not pass its audit is not to be used",
    remedy=f"run it there and mend what it says: `python {AUDIT}` in `current`",
)
def audit_runs(seen: Seen) -> Iterator[Finding]:
    """Hold that the audit script ends well: [5] of the guide."""
    done = seen.facts.ran.get("audit")
    if done is None or not any(text.name == AUDIT and text.exists for text in seen.facts.texts):
        return
    if done.code == 0:
        yield passed(done.answer or "it passes")
    else:
        said = done.answer.removeprefix("it does not hold: ")
        yield failed(
            ": ".join(filter(None, ["it did not end" if done.code is None else "it does not pass", said]))
        )


@checks.check(
    "release.files",
    "its files are as they were deployed",
    reason="what was changed by hand is on no other node and is lost with the next release",
    remedy="commit what is worth keeping, then deploy again: `mt5crs fleet sync`",
)
def files(seen: Seen) -> Iterator[Finding]:
    """Hold that each file of the revision has its content, and that nothing was added to the sources."""
    if seen.facts.files is not None:
        yield unchanged(seen, seen.facts.files) if seen.has_tree else off("a wheel alone, without files")


def unchanged(seen: Seen, changes: Changes) -> Finding:
    """Return whether files are as they were, with the names of some that are not."""
    if not changes.total:
        return passed(f"all of {changes.count}")
    kinds = (("changed", changes.changed), ("missing", changes.missing), ("added", changes.added))
    named = [f"{name} {kind}" for kind, names in kinds for name in names]
    more = f" and {changes.total - NAMED} more" if changes.total > NAMED else ""
    return failed(f"{', '.join(named[:NAMED])}{more}", sync(seen))


@checks.check(
    "release.protocol",
    "it speaks a protocol that the gateway speaks",
    reason="without one in common the gateway refuses the client",
    remedy="deploy the same release to both: `mt5crs fleet sync`",
)
def protocol(seen: Seen) -> Iterator[Finding]:
    """Hold that each client has a protocol in common with the gateway's release."""
    gateway, mine = seen.gateway, seen.facts.about
    theirs = None if gateway is None else gateway.facts.about
    if seen.is_gateway or mine is None or theirs is None or mine.wrong or theirs.wrong:
        return
    common = max({*mine.speaks} & {*theirs.speaks}, default=None)
    here, there = (" and ".join(map(str, about.speaks)) for about in (mine, theirs))
    if common is None:
        yield failed(f"it speaks {here}, the gateway's release {there}")
    elif common < max(*mine.speaks, *theirs.speaks):
        yield warned(f"{common}, where one of the two speaks a newer one already")
    else:
        yield passed(f"{common}")

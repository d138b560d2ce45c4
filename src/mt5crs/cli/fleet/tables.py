"""What `mt5crs fleet` shows of a rollout: the plan, what became of it, how nodes are, what was done."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from mt5crs.cli.fleet.ending import alike
from mt5crs.cli.output import Table, field

if TYPE_CHECKING:
    from mt5crs.fleet.apply import Outcome
    from mt5crs.fleet.plan import NodePlan, Plan
    from mt5crs.fleet.record import Deployment
    from mt5crs.fleet.status import NodeStatus

PLAN = ("node", "role", "action", "steps", "current", "release", "bytes", "env", "restarts", "drift", "why")
OUTCOME = ("node", "result", "release", "seconds", "switched", "why", "hint")
STATUS = (
    "node", "role", "release", "version", "since", "by", "previous", "services", "drift", "unfinished",
    "problem", "hint", "off", "broken", "went_back", "other",
)  # fmt: skip
LONGEST = 60
"""Characters of a node's state that stand in the table; more stands below it."""
HISTORY = ("time", "node", "what", "before", "release", "result", "who", "why")
NOTHING = "nothing to do"


def plan_rows(plan: "Plan") -> list[dict[str, Any]]:
    """Return a plan as rows for programs."""
    return [_plan_row(plan, each) for each in plan.nodes.values()]


def _plan_row(plan: "Plan", each: "NodePlan") -> dict[str, Any]:
    files = plan.release.files if plan.release and "build" in each.steps else ()
    return {
        "node": each.node.name,
        "role": each.node.role.value,
        "action": each.action.value,
        "steps": [step.value for step in each.steps],
        "current": each.current,
        "release": each.release,
        "files": [file.name for file in files],
        "bytes": sum(file.size for file in files),
        "env": [{"name": name, "old": old, "new": new} for name, old, new in each.changes],
        "restarts": list(each.restarts),
        "drift": list(each.drift),
        "commands": list(each.commands),
        "why": list(each.why),
        "hint": each.hint,
        "warnings": list(each.warnings),
    }


def plan_table(plan: "Plan") -> Table:
    """Return a plan as a table."""
    target = f" {plan.release.id}" if plan.release else ""
    columns = (
        field("node"),
        field("does", "what"),
        field("current", "now"),
        field("release", "then"),
        field("why", "why"),
        field("env", ".env"),
        field("restarts", "restarts"),
    )
    rows = plan_rows(plan)
    view = [_plan_view(row, back=plan.what == "rollback") for row in rows]
    document = {
        "what": plan.what,
        "release": plan.release.id if plan.release else "",
        "problem": plan.problem,
        "hint": plan.hint,
        "nodes": rows,
    }
    return Table(f"{plan.what}{target}", columns, PLAN, flat(rows), view, document)


def _plan_view(row: Mapping[str, Any], *, back: bool) -> dict[str, str]:
    from mt5crs.fleet.plan import Step

    words: dict[str, str] = {
        "change": ", ".join(Step(each).words for each in row["steps"]),
        "nothing": NOTHING,
        "down": "cannot be reached",
    }
    action: str = row["action"]
    goes = action == "change" and back
    env = (f"+{each['name']}" if each["old"] is None else each["name"] for each in row["env"])
    return {
        "node": row["node"],
        "does": words.get(action, action),
        "current": row["current"],
        "release": row["release"],
        "why": "; ".join((*row["why"], *row["warnings"])),
        "env": f"as with {row['release']}" if goes else ", ".join(env),
        "restarts": ", ".join(row["restarts"]),
    }


def outcome_rows(outcomes: Iterable["Outcome"]) -> list[dict[str, Any]]:
    """Return what became of nodes as rows for programs."""
    return [
        {
            "node": each.node,
            "result": each.end.value,
            "release": each.release,
            "seconds": round(each.seconds, 3),
            "switched": None if each.switched is None else round(each.switched, 3),
            "why": each.why,
            "hint": each.hint,
        }
        for each in outcomes
    ]


def outcome_table(title: str, rows: Sequence[Mapping[str, Any]], document: Any = None) -> Table:
    """Return what became of nodes as a table."""
    columns = (
        field("node"),
        field("result"),
        field("release"),
        field("seconds", "s", _seconds, right=True),
        field("switched", "switch s", _seconds, right=True),
        field("why"),
    )
    return Table(title, columns, OUTCOME, rows, _once(rows), document)


def _once(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return rows of which those that would repeat a long reason name the node that has it."""
    first: dict[str, str] = {}
    view: list[dict[str, Any]] = []
    for row in rows:
        node = first.setdefault(row["why"], row["node"])
        again = len(row["why"]) > LONGEST and node != row["node"]
        view.append({**row, "why": f"as on {node}"} if again else {**row})
    return view


def _seconds(value: float | None) -> str:
    return f"{value:.1f}" if value else ""


def status_table(nodes: Sequence["NodeStatus"]) -> Table:
    """Return how nodes are as a table."""
    rows = [
        {
            "node": each.node,
            "role": each.role,
            "release": each.release,
            "version": each.version,
            "since": each.since,
            "by": each.by,
            "previous": each.previous,
            "releases": list(each.releases),
            "services": dict(each.services),
            "drift": list(each.drift),
            "unfinished": each.unfinished,
            "problem": each.problem,
            "hint": each.hint,
            "off": each.off,
            "broken": list(each.broken),
            "went_back": each.went_back,
            "other": each.other,
        }
        for each in nodes
    ]
    columns = (
        field("node"),
        field("release"),
        field("since", show=short),
        field("by", spare=True),
        field("previous", "back to"),
        field("services"),
        field("state"),
    )
    view = [
        {
            **row,
            "services": ", ".join(f"{name} {state}" for name, state in each.services) or "-",
            "release": each.release or "-",
            "previous": each.previous or "-",
            "state": _in_short(each),
        }
        for row, each in zip(rows, nodes, strict=True)
    ]
    return Table("nodes", columns, STATUS, flat(rows), view, rows)


def state_of(each: "NodeStatus") -> str:
    """Return what there is to know of a node, in words."""
    if each.problem:
        return f"off: {each.problem}" if each.off else f"cannot be asked: {each.problem}"
    told = [
        *([] if each.release else ["has no release"]),
        *([f"unfinished: {each.unfinished}"] if each.unfinished else []),
        *([each.other] if each.other else []),
        *(f"drift: {what}" for what in each.drift),
        *(f"service {name} is unknown" for name in each.unknown),
        *(f"record: {what}" for what in each.broken),
        *([each.went_back] if each.went_back else []),
    ]
    return "; ".join(told) or "as it should be"


def _in_short(each: "NodeStatus") -> str:
    text = state_of(each)
    if len(text) <= LONGEST:
        return text
    first = text.partition(":")[0]
    return f"{first if len(first) <= LONGEST else 'more than one thing'}, see below"


def below(nodes: Iterable["NodeStatus"]) -> list[str]:
    """Return what is to be said below the table: states that are too long for it, and what to do."""
    told: list[str] = []
    for each in nodes:
        text = state_of(each)
        if len(text) > LONGEST or each.hint:
            told.append(f"{each.node}: {text}")
        if each.hint:
            told.append(f"  hint: {each.hint}")
    return told


def history_table(rows: Sequence[tuple[str, "Deployment"]]) -> Table:
    """Return what was done to nodes as a table."""
    told = [
        {
            "time": each.time,
            "node": name,
            "what": each.what,
            "before": each.before,
            "release": each.release,
            "result": each.result or "interrupted",
            "who": each.who,
            "why": each.why,
        }
        for name, each in rows
    ]
    columns = (
        field("time", show=short),
        field("node"),
        field("what"),
        field("before", "from"),
        field("release", "to"),
        field("result"),
        field("who"),
    )
    return Table("history", columns, HISTORY, told)


def reasons(rows: Iterable[tuple[str, "Deployment"]]) -> list[str]:
    """Return why deployments did not end well, for below the table: alike reasons once, with all of these."""
    return alike(
        (f"{name} {short(each.time)}", f"{each.result}: {each.why}", "")
        for name, each in rows
        if not each.came and each.why not in {"", each.result}
    )


def short(moment: str) -> str:
    """Return a moment without what is below seconds."""
    return moment[:19].replace("T", " ")


def flat(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return rows in which lists and mappings are texts, for CSV."""
    return [{name: _flat(value) for name, value in row.items()} for row in rows]


def _flat(value: Any) -> Any:
    if isinstance(value, dict):
        return "; ".join(f"{name}={each}" for name, each in cast("dict[str, object]", value).items())
    if isinstance(value, list):
        return "; ".join(_item(each) for each in cast("list[object]", value))
    return value


def _item(value: object) -> str:
    if isinstance(value, dict):
        change = cast("dict[str, object]", value)
        return f"{change['name']}={change['new']}"
    return str(value)

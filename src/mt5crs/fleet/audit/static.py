"""Gate 1: the checks of a project's folder. Here are those of its files and settings.

`packages`, `kept` and `protection` have the others, all in one registry.

A project adds its own, in a file that `checks` of the inventory names:

```python
from mt5crs.checks import Finding, failed, passed
from mt5crs.fleet.audit import static

@static.registry.check("files.license", "the project has a license", reason="...", remedy="add LICENSE")
def license_(tree: static.Tree) -> Finding:
    return passed("LICENSE") if (tree.folder / "LICENSE").exists() else failed("there is no LICENSE")
```
"""

import re
from collections.abc import Iterable, Iterator

from mt5crs.checks import Finding, Registry, failed, off, passed, warned
from mt5crs.firewall import is_loopback
from mt5crs.fleet.audit.tree import Env, Tree
from mt5crs.security.secrets import PASSPHRASE, PASSWORD

CONNECTOR, ENTRY = "src/client/mt5_connector.py", "scripts/audit_current_task.py"
EXAMPLE, LOCK, PROJECT = ".env.example", "requirements.lock", "pyproject.toml"
SEED = {
    CONNECTOR: "the connection test of every node",
    ENTRY: "what is run before a task is closed",
    EXAMPLE: "what `.env` is made from",
    LOCK: "which packages a node gets, by their digests",
    PROJECT: "what the project needs",
}
"""Files that must be there, and what for."""
EXAMPLES = ("MT5_HOST", "MT5_PORT")

registry: Registry[Tree] = Registry()


# ---- files ----


@registry.check(
    "files.there",
    "the files that every node relies on are there",
    reason="a node that lacks one cannot be checked, or not be built the same way twice",
    remedy="git checkout HEAD -- FILE brings a file back; `mt5crs fleet sync` does on a node",
)
def _files(tree: Tree) -> Iterator[Finding]:
    for name, what in SEED.items():
        if name in tree.files:
            yield passed(name)
        else:
            yield failed(f"{name} is missing: {what}")


@registry.check(
    "files.entry",
    "the audit's entry point has `audit_task_003`",
    reason="that is what the guide has everybody run",
    remedy=f"git checkout HEAD -- {ENTRY}",
)
def _entry(tree: Tree) -> Finding:
    content = tree.files.get(ENTRY)
    if content is None:
        return failed(f"{ENTRY} is missing")
    if not re.search(rb"^def audit_task_003\(", content, re.MULTILINE):
        return failed(f"{ENTRY} has no function audit_task_003")
    return passed("audit_task_003")


@registry.check(
    "files.release",
    "a release on a node is as it was sent",
    reason="what was changed there by hand is not what was reviewed, and is gone with the next release",
    remedy="bring the change to HUB, then `mt5crs fleet sync`",
)
def _release(tree: Tree) -> Iterable[Finding]:
    if not tree.release:
        yield off("a project's own folder, not a release on a node")
    elif not tree.altered:
        yield passed(tree.release)
    for each in tree.altered:
        yield failed(each)


# ---- settings ----


@registry.check(
    "env.there",
    "there is a `.env`",
    reason="without it everything connects to a gateway on this machine",
    remedy="cp .env.example .env && chmod 600 .env, then put in MT5_HOST; or `mt5crs fleet sync`",
)
def _env_there(tree: Tree) -> Finding:
    if tree.env is not None:
        return passed(str(tree.env.path))
    if tree.release:  # a node does not know its role here; what clients need, `fleet verify` holds
        return off("this node has none: that is right on the gateway's own node alone")
    return failed("there is none")


@registry.check(
    "env.private",
    "`.env` can be read by its owner alone",
    reason="it names the gateway, the account and where the keys are",
    remedy="chmod 600 .env",
)
def _env_private(tree: Tree) -> Finding:
    if tree.env is None:
        return off("there is no .env")
    return failed(tree.env.problem, tree.env.hint) if tree.env.problem else passed("its owner alone")


@registry.check(
    "env.untracked",
    "git does not have `.env`, and keeps it out",
    reason="it is each node's own; what git has goes to all of them, and stays in the history",
    remedy="git rm --cached .env; echo .env >> .gitignore",
)
def _env_untracked(tree: Tree) -> Finding:
    if tree.history is None:
        return off(tree.no_history)
    if tree.env is None:
        return off("there is no .env")
    if tree.env.tracked:
        return failed("git has it")
    return passed("ignored") if tree.env.ignored else failed("git would take it", "echo .env >> .gitignore")


@registry.check(
    "env.accepted",
    "mt5crs accepts every setting in `.env`",
    reason="a placeholder or a wrong value stops every client that starts",
    remedy="correct that line; .env.example says what each must be",
)
def _env_accepted(tree: Tree) -> Finding:
    if tree.env is None:
        return off("there is no .env")
    if tree.env.settings is None:
        return failed(tree.env.refusal)
    given = sum(name.startswith("MT5_") for name in tree.env.lines)
    return passed(f"{given} setting{'' if given == 1 else 's'}")


@registry.check(
    "env.host",
    "`.env` states MT5_HOST, the gateway's address",
    reason="the default is a gateway on this machine, and clients elsewhere wait for one that is not there",
    remedy="set MT5_HOST in .env to the address of the GTW node",
)
def _env_host(tree: Tree) -> Finding:
    env = tree.env
    if env is None:
        return off("there is no .env")
    if not (env.lines.get("MT5_HOST") or "").strip():
        if tree.release:  # a node does not know its role here; what clients need, `fleet verify` holds
            return warned("MT5_HOST is not set: that is right on the gateway's own node alone")
        return failed("MT5_HOST is not set")
    if env.settings is None:
        return failed(env.refusal)
    elsewhere = _elsewhere(tree)
    if elsewhere and is_loopback(env.settings.host):
        return failed(
            f"it is {env.settings.host}, this machine, and the inventory has the gateway at {elsewhere}",
            f"set MT5_HOST={elsewhere} in .env; or, where a tunnel leads there, MT5_HOST in `env` of the hub",
        )
    return passed(env.settings.host)


def _elsewhere(tree: Tree) -> str:
    """Return where HUB, on which a project is audited, finds the gateway; "" where that may be itself."""
    fleet = tree.fleet
    if fleet is None or tree.release or fleet.gateway.address == fleet.hub.address:
        return ""
    host = fleet.env(fleet.hub)["MT5_HOST"]
    return "" if is_loopback(host) else host


@registry.check(
    "env.no-secrets",
    "`.env` holds no passwords",
    reason="it is copied and shared; mt5crs never reads a secret from it",
    remedy="put it into a file that only its owner can read, and name that in the variable with _FILE",
)
def _env_no_secrets(tree: Tree) -> Iterator[Finding]:
    if tree.env is None:
        yield off("there is no .env")
        return
    names = list(_secret_names(tree.env))
    for name in names:
        told = f"{name} is set there"
        yield failed(told) if name in {PASSWORD, PASSPHRASE} else warned(f"{told}, and is not ours")
    if not names:
        yield passed("none")


def _secret_names(env: Env) -> Iterator[str]:
    for name, value in env.lines.items():
        held = re.search(r"PASSWORD|PASSPHRASE|SECRET|TOKEN|API_?KEY", name) and not name.endswith("_FILE")
        if held and value:
            yield name


@registry.check(
    "env.example",
    "`.env.example` has the settings that the guide names",
    reason="a new node's `.env` is made from it",
    remedy=f"git checkout HEAD -- {EXAMPLE}",
)
def _env_example(tree: Tree) -> Finding:
    content = tree.files.get(EXAMPLE)
    if content is None:
        return failed("there is none")
    missing = [name for name in EXAMPLES if not re.search(rf"(?m)^{name}=".encode(), content)]
    return failed(f"it lacks {', '.join(missing)}") if missing else passed(", ".join(EXAMPLES))

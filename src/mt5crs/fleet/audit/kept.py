"""Gate 1: keys and other secrets, and what is kept out of git."""

from collections.abc import Iterable, Iterator

from mt5crs.checks import Finding, failed, off, passed, warned
from mt5crs.fleet.audit.exceptions import NAME as EXCEPTIONS
from mt5crs.fleet.audit.leaks import Leak
from mt5crs.fleet.audit.static import registry
from mt5crs.fleet.audit.tree import Tree

UNREACHED = (
    "replace it, for it is known now; then `git reflog expire --expire-unreachable=now --all && "
    "git gc --prune=now` takes it out of this clone"
)
"""What to do about a content that nothing leads to."""
SHOWN = 20
"""Files with secrets that are told of one by one."""


@registry.check(
    "keys.private",
    "private keys can be read by their owner alone",
    reason="whoever has a key is its owner, for the gateway and for SSH",
    remedy="chmod 600 FILE; if others were on the machine, make another key",
)
def _keys_private(tree: Tree) -> Iterator[Finding]:
    for key in tree.keys:
        told = f"{key.path} ({key.kind})"
        yield failed(f"{told} {key.problem}", key.hint) if key.problem else passed(told)
    if not tree.keys:
        yield passed("there are none here")


@registry.check(
    "keys.untracked",
    "git has no private key, and keeps them out",
    reason="a key that was committed is with everybody who has a clone, for good",
    remedy="git rm --cached FILE, add it to .gitignore, and replace the key: `mt5crs keys rotate NAME`",
)
def _keys_untracked(tree: Tree) -> Iterator[Finding]:
    if tree.history is None:
        yield off(tree.no_history)
        return
    allowed = {(leak.path, leak.kind) for leak in tree.leaks if _allowance(tree, leak)}
    wrong = [key for key in tree.keys if not key.ignored and (key.path, key.kind) not in allowed]
    for key in wrong:
        yield (
            failed(f"{key.path} ({key.kind}): git has it")
            if key.tracked
            else failed(f"{key.path} ({key.kind}): git would take it", "add it to .gitignore")
        )
    if not wrong:
        yield passed(f"{len(tree.keys)} looked at")


@registry.check(
    "secrets.tree",
    "the files of the project hold no secrets",
    reason="what is in a file of the project is on every node, and with everybody who has a clone",
    remedy=f"take it out and replace it, for it is known now; what is none is excepted in {EXCEPTIONS}",
)
def _secrets_tree(tree: Tree) -> Iterator[Finding]:
    looked = "" if tree.history is None else f"{tree.history.contents} contents of the history with them"
    yield from _leaked(tree, [leak for leak in tree.leaks if leak.now], looked)


@registry.check(
    "secrets.history",
    "nothing that was ever committed holds a secret",
    reason="a secret that was removed from the files is still in the history of every clone",
    remedy=f"replace it, for it is known now, then except it in {EXCEPTIONS} with the reason that it is void",
)
def _secrets_history(tree: Tree) -> Iterator[Finding]:
    history = tree.history
    if history is None:
        yield (
            off(tree.no_history)
            if tree.release
            else failed(tree.no_history, "audit the checkout on HUB, with its history")
        )
        return
    if history.shallow:
        yield failed(
            "a part of the history is not here",
            "git fetch --unshallow; another clone, where it was made with a filter",
        )
    looked = f"{history.contents} contents, {history.size / 1e6:.1f} MB, each looked at once"
    yield from _leaked(tree, [leak for leak in tree.leaks if not leak.now], looked)


@registry.check(
    "secrets.looked-at",
    "everything was looked at",
    reason="what was left out may hold anything",
    remedy="look at it by hand, or keep it elsewhere",
)
def _looked_at(tree: Tree) -> Iterator[Finding]:
    for each in tree.left_out:
        yield warned(each)
    if not tree.left_out:
        yield passed("nothing was left out")


@registry.check(
    "secrets.exceptions",
    f"each exception of {EXCEPTIONS} is for something that is there",
    reason="one that is for nothing hides what comes later",
    remedy=f"take it out of {EXCEPTIONS}",
)
def _exceptions(tree: Tree) -> Iterator[Finding]:
    if tree.exceptions:
        yield failed(tree.exceptions, f"correct it, have it reviewed, and commit {EXCEPTIONS}")
        return
    used = {_allowance(tree, leak) for leak in tree.leaks}
    for number, each in enumerate(tree.allowed, 1):
        told = f"{each.file or each.blob}: {each.reason}"
        # A release comes without the history that an exception may be for.
        if number in used or tree.history is None:
            yield passed(told)
        else:
            yield warned(f"nothing is there for {told}")
    if not tree.allowed:
        yield passed("none")


def _allowance(tree: Tree, leak: Leak) -> int:
    """Return the number of the exception that covers a secret, from 1; 0 for none."""
    covering = (n for n, each in enumerate(tree.allowed, 1) if each.covers(leak.kind, leak.path, leak.blob))
    return next(covering, 0)


def _leaked(tree: Tree, leaks: Iterable[Leak], looked: str) -> Iterator[Finding]:
    """Yield a finding for each file and kind of secret; how often, and where first."""
    places: dict[tuple[str, str, str], list[Leak]] = {}
    excepted = 0
    for leak in leaks:
        if _allowance(tree, leak):
            excepted += 1
        else:
            unnamed = "" if leak.path else leak.blob
            places.setdefault((leak.path, leak.kind, unnamed), []).append(leak)
    for (path, kind, _), found in list(places.items())[:SHOWN]:
        unnamed = "the message" if found[0].commit else f"content {found[0].blob[:12]} that no commit has"
        where = f"{path}:{found[0].line}" if path else unnamed
        commit = f" of commit {found[0].commit}" if found[0].commit else ""
        more = f", and {len(found) - 1} more like it there" if len(found) > 1 else ""
        yield failed(f"{kind}: {where}{commit}{more}", "" if path or found[0].commit else UNREACHED)
    if len(places) > SHOWN:
        yield failed(f"and in {len(places) - SHOWN} more files")
    if not places:
        told = [f"{excepted} excepted" if excepted else "none", looked]
        yield passed("; ".join(filter(None, told)))

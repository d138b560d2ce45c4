"""What HUB's history is asked for: show it, take commits back, go back hard.

Taking back is a new commit, made in a work tree of its own: where that fails, nothing was touched. Going back
hard is done only for who repeats what it loses, and what is lost stays reachable below `refs/mt5crs`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from .git import Commit, Repository
from .operations import Failed, Tell, operation
from .place import Place
from .working import working

MOST = 1000
"""Commits that are shown at a time."""
KEPT = "refs/mt5crs/before-reset"


@operation("log", changes=False)
def log(place: Place, request: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
    """Return the last commits of a revision (`repository`, `revision`, `count`), newest first.

    With `first_parent` a merge stands for all that it brought.
    """
    repository = Repository(place, request["repository"])
    tip = repository.commit(request.get("revision") or "HEAD")
    count = min(int(request.get("count", 10)), MOST)
    way = ["--first-parent"] if request.get("first_parent") else []
    commits = repository.commits([*way, f"--max-count={count}", tip.revision])
    return {"commits": [repository.told(each) for each in commits]}


@operation("revert", changes=True)
def revert(place: Place, request: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
    """Undo commits of a branch by new ones; all of them, or none.

    The request: `repository`, `branch` ("" is HEAD's), `revisions`, and `name` and `email` of who does it.
    A merge is undone as seen from its first parent.

    Returns:
        The `branch`, its tip `before`, the new `commits`, newest first, and those `passed` over because they
        changed nothing.
    """
    repository = Repository(place, request["repository"])
    branch = repository.branch(request.get("branch", ""))
    tip = repository.commit(f"refs/heads/{branch}")
    wanted = {repository.commit(each).revision: each for each in request["revisions"]}
    ours = repository.run("rev-list", "--topo-order", tip.revision, "--").split()
    if strange := [name for id_, name in wanted.items() if id_ not in set(ours)]:
        raise Failed(
            f"{', '.join(strange)}: not in branch {branch}",
            "only what is there can be undone",
            "unknown-revision",
        )
    work_tree = repository.work_tree(branch)
    if work_tree and (changes := repository.changes(work_tree)):
        raise Failed(
            f"{work_tree} has changes that are not committed: {_some(changes)}",
            "commit or stash them",
            "dirty",
        )
    passed: list[str] = []
    with _work_tree(place, repository, tip.revision) as folder:
        for id_ in ours:
            if id_ in wanted:
                if repository.is_empty(id_):
                    passed.append(id_)
                    continue
                tell(f"undoing {id_[:12]}")
                _undo(repository, folder, id_, _identity(request))
        made = repository.run("rev-parse", "HEAD", at=folder).strip()
    _move(repository, branch, work_tree, tip, made)
    commits = repository.commits([f"{tip.revision}..{made}"])
    return {
        "branch": branch,
        "before": tip.revision,
        "commits": [repository.told(each) for each in commits],
        "passed": passed,
    }


@operation("losses", changes=False)
def losses(place: Place, request: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
    """Return what a hard reset of a branch would lose.

    The request: `repository`, `branch` ("" is HEAD's), `to`, a revision.

    Returns:
        The `branch`, its tip `before`, `to`, a commit, the `commits` that the branch would lose, the paths of
        `changes` that are not committed, and the text that `reset` wants for its `confirm`.
    """
    return _losses(Repository(place, request["repository"]), request)


@operation("reset", changes=True)
def reset(place: Place, request: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
    """Reset a branch hard, with its work tree.

    The request: that of `losses`, and `confirm`, the text that it answered with.

    Returns:
        What `losses` answers, and `kept`: the refs under which everything that was lost can be found.
    """
    repository = Repository(place, request["repository"])
    lost = _losses(repository, request)
    if request.get("confirm", "") != lost["confirm"]:
        raise Failed(
            f"the reset was not confirmed: it would {lost['confirm']}",
            f"to do that, confirm with exactly: {lost['confirm']}",
            "confirm",
        )
    branch, tip, to = lost["branch"], lost["before"], lost["to"]
    work_tree = repository.work_tree(branch)
    keep = f"{KEPT}/{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{tip[:12]}"
    refs = {keep: tip}
    if work_tree and lost["changes"]:
        refs[f"{keep}-changes"] = repository.run(
            "stash", "create", "before a reset", at=work_tree, env=_identity(request)
        ).strip()
    for name, commit in refs.items():
        repository.run("update-ref", name, commit)
    tell(f"resetting {branch} to {to[:12]}")
    if work_tree:
        repository.run("reset", "--quiet", "--hard", to, at=work_tree)
    else:
        repository.run("update-ref", "-m", "mt5crs: reset", f"refs/heads/{branch}", to, tip)
    return {**lost, "kept": list(refs)}


def _losses(repository: Repository, request: Mapping[str, Any]) -> dict[str, Any]:
    branch = repository.branch(request.get("branch", ""))
    tip, to = repository.commit(f"refs/heads/{branch}"), repository.commit(request["to"])
    work_tree = repository.work_tree(branch)
    changes: list[str] = []
    if work_tree:
        changes = repository.changes(work_tree)
        known = set(repository.run("ls-files", "-z", at=work_tree).split("\0"))
        new = set(repository.run("ls-tree", "-r", "-z", "--name-only", to.revision).split("\0")) - known
        if untracked := sorted(each for each in new if _taken(work_tree, each, known)):
            raise Failed(
                f"{work_tree} has files that git does not know and would overwrite: {_some(untracked)}",
                "move them away: nothing could bring them back",
                "in-the-way",
            )
    commits = repository.commits([f"{to.revision}..{tip.revision}"])
    what = [_count(commits, "commit"), _count(changes, "uncommitted change")]
    lost = " and ".join(each for each in what if each) or "nothing"
    return {
        "branch": branch,
        "before": tip.revision,
        "to": to.revision,
        "commits": [repository.told(each) for each in commits],
        "changes": changes,
        "confirm": f"lose {lost} of {branch} at {tip.revision[:12]}",
    }


def _taken(work_tree: Path, name: str, known: Collection[str]) -> bool:
    """Return whether something that git does not know is where a file, or a folder above it, will be.

    A link that leads nowhere is something, too.
    """
    if os.path.lexists(work_tree / name):
        return True
    above = [each.as_posix() for each in PurePosixPath(name).parents][:-1]
    return any(
        each not in known
        and os.path.lexists(work_tree / each)
        and ((work_tree / each).is_symlink() or not (work_tree / each).is_dir())
        for each in above
    )


def _count(things: list[Any], name: str) -> str:
    return f"{len(things)} {name}{'s' * (len(things) > 1)}" if things else ""


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _identity(request: Mapping[str, Any]) -> dict[str, str]:
    name, email = request.get("name") or "mt5crs fleet", request.get("email") or "mt5crs@localhost"
    return {
        f"GIT_{who}_{what}": value
        for who in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", name), ("EMAIL", email))
    }


@contextmanager
def _work_tree(place: Place, repository: Repository, commit: str) -> Generator[Path, None, None]:
    """Check a commit out in a folder of its own, for as long as the block lasts."""
    try:
        with working(place) as folder:
            repository.try_("worktree", "prune")
            repository.run("worktree", "add", "--quiet", "--detach", str(folder / "tree"), commit)
            yield folder / "tree"
    finally:
        repository.try_("worktree", "prune")


def _undo(repository: Repository, folder: Path, commit: str, identity: Mapping[str, str]) -> None:
    parents = repository.run("rev-list", "--parents", "--max-count=1", commit).split()[1:]
    mainline = ["--mainline", "1"] if len(parents) > 1 else []
    answer = repository.try_("revert", "--no-edit", *mainline, commit, at=folder, env=identity)
    if not answer.code:
        return
    conflicts = repository.run("diff", "--name-only", "-z", "--diff-filter=U", at=folder).split("\0")[:-1]
    if conflicts:
        raise Failed(
            f"{commit[:12]} cannot be undone: later commits changed the same in {_some(conflicts)}; "
            "nothing was changed",
            "undo those as well, or make the commit by hand",
            "conflict",
        )
    if not repository.changes(folder):
        raise Failed(f"{commit[:12]} is undone already; nothing was changed", "leave it out", "nothing")
    raise repository.mistake(answer, "git revert")


def _move(repository: Repository, branch: str, work_tree: Path | None, tip: Commit, made: str) -> None:
    """Bring a branch, with its work tree, on to a commit that follows its tip."""
    if work_tree:
        repository.run("merge", "--quiet", "--ff-only", made, at=work_tree)
    else:
        repository.run("update-ref", "-m", "mt5crs: revert", f"refs/heads/{branch}", made, tip.revision)

"""Taking back on HUB: real repositories, with and without a work tree."""

import asyncio
from pathlib import Path

import pytest

from mt5crs.fleet.inventory import Source
from mt5crs.fleet.ssh import NodeError
from mt5crs.fleet.undo import Undone, revert
from tests.fleet.hubs import Git, Hub

WHO = {"name": "Op", "email": "op@example.org"}


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    return Hub(tmp_path)


@pytest.fixture
def git(hub: Hub) -> Git:
    git = Git(hub.path / "code")
    git.commit("One", {"a": "1\n", "b": "1\n"})
    git.commit("Two", {"a": "2\n"})
    git.commit("Three", {"b": "2\n", "c": "new\n"})
    return git


def state(git: Git) -> tuple[str, ...]:
    """Return all that a failed operation must leave as it was."""
    questions = (("show-ref",), ("worktree", "list"), ("status", "--porcelain"), ("stash", "list"))
    return tuple(git(*question) for question in questions)


def subjects(git: Git, revision: str = "main") -> list[str]:
    return git("log", "--format=%s", revision).splitlines()


def refused(hub: Hub, operation: str, code: str, **request: object) -> NodeError:
    with pytest.raises(NodeError) as found:
        hub.do(operation, **request)
    assert found.value.kind == code
    assert found.value.hint
    return found.value


def test_the_log_tells_commits_by_name(hub: Hub, git: Git) -> None:
    commits = hub.do("log", repository="code", revision="main", count=2)["commits"]
    assert [each["subject"] for each in commits] == ["Three", "Two"]
    assert commits[0]["revision"] == git("rev-parse", "main")
    assert (commits[0]["who"], commits[0]["made"]) == ("dev", int(git("show", "-s", "--format=%ct")))


def test_a_revert_is_a_new_commit(hub: Hub, git: Git) -> None:
    tip = git("rev-parse", "main")
    (git.path / "notes").write_text("git does not know me")
    done = hub.do("revert", repository="code", revisions=["main~1"], **WHO)
    assert (done["branch"], done["before"]) == ("main", tip)
    assert subjects(git) == ['Revert "Two"', "Three", "Two", "One"]
    assert git("log", "-1", "--format=%an %ae %cn %ce") == "Op op@example.org Op op@example.org"
    assert done["commits"][0]["revision"] == git("rev-parse", "HEAD")
    assert ((git.path / "a").read_text(), (git.path / "b").read_text()) == ("1\n", "2\n")
    assert git("status", "--porcelain") == "?? notes"
    assert len(git("worktree", "list").splitlines()) == 1


def test_what_a_killed_revert_left_is_in_nobodys_way(hub: Hub, git: Git) -> None:
    left = hub.path / ".fleet" / "working" / "tree"
    git("worktree", "add", "--quiet", "--detach", str(left), "main")
    (left / "a").write_text("half\n")
    hub.do("revert", repository="code", revisions=["main~1"], **WHO)
    assert subjects(git)[0] == 'Revert "Two"'
    assert len(git("worktree", "list").splitlines()) == 1


def test_several_are_undone_newest_first(hub: Hub, git: Git) -> None:
    git.commit("Four", {"a": "4\n"})
    hub.do("revert", repository="code", revisions=["main~2", "main"], **WHO)
    assert subjects(git)[:3] == ['Revert "Two"', 'Revert "Four"', "Four"]
    assert (git.path / "a").read_text() == "1\n"


def test_a_merge_is_undone(hub: Hub, git: Git) -> None:
    git("checkout", "--quiet", "-b", "side", "main~1")
    git.commit("Aside", {"d": "1\n"})
    git("checkout", "--quiet", "main")
    git("merge", "--quiet", "--no-ff", "--no-edit", "side")
    hub.do("revert", repository="code", revisions=["main"], **WHO)
    assert not (git.path / "d").exists()
    assert (git.path / "c").exists()


def test_a_conflict_leaves_everything_as_it_was(hub: Hub, git: Git) -> None:
    git.commit("Four", {"a": "4\n"})
    before = state(git)
    error = refused(hub, "revert", "conflict", repository="code", revisions=["main~1", "main~2"], **WHO)
    assert "later commits changed the same in a; nothing was changed" in str(error)
    assert state(git) == before
    assert not (hub.path / ".fleet" / "working").exists()


def test_what_cannot_be_undone_is_told(hub: Hub, git: Git) -> None:
    hub.do("revert", repository="code", revisions=["main~1"], **WHO)
    before = state(git)
    refused(hub, "revert", "nothing", repository="code", revisions=["main~2"], **WHO)
    git("checkout", "--quiet", "-b", "side")
    aside = git.commit("Aside", {"d": "1\n"})
    git("checkout", "--quiet", "main")
    error = refused(hub, "revert", "unknown-revision", repository="code", revisions=[aside], **WHO)
    assert "not in branch main" in str(error)
    refused(hub, "revert", "no-branch", repository="code", branch="v1", revisions=["main"], **WHO)
    git("branch", "--quiet", "-D", "side")
    assert state(git) == before


def test_a_dirty_work_tree_is_not_touched(hub: Hub, git: Git) -> None:
    (git.path / "a").write_text("mine\n")
    before = state(git)
    error = refused(hub, "revert", "dirty", repository="code", revisions=["main"], **WHO)
    assert "not committed: a" in str(error)
    assert state(git) == before
    git("checkout", "--quiet", "--", "a")
    (git.path / "c").unlink()
    git.commit("Drop", {"x": "1"})
    (git.path / "c").write_text("mine, and in the way\n")
    with pytest.raises(NodeError, match="untracked working tree files would be overwritten"):
        hub.do("revert", repository="code", revisions=["main"], **WHO)
    assert (git.path / "c").read_text() == "mine, and in the way\n"
    assert subjects(git)[0] == "Drop"


@pytest.mark.parametrize("bare", [True, False])
def test_a_branch_without_a_work_tree(hub: Hub, git: Git, bare: bool) -> None:
    code = Git(hub.path / "code.git", bare_of=git) if bare else git
    if not bare:
        git("checkout", "--quiet", "--detach")
        refused(hub, "revert", "no-branch", repository="code", revisions=["main"], **WHO)
    at = {"repository": code.path.name, "branch": "main"}
    hub.do("revert", revisions=["main"], **at, **WHO)
    assert subjects(code)[:2] == ['Revert "Three"', "Three"]
    lost = hub.do("losses", to="main~3", **at)
    done = hub.do("reset", to="main~3", confirm=lost["confirm"], **at)
    assert subjects(code) == ["One"]
    assert subjects(code, done["kept"][0])[0] == 'Revert "Three"'


def test_a_reset_tells_what_it_loses_and_keeps_it(hub: Hub, git: Git) -> None:
    tip = git("rev-parse", "main")
    (git.path / "a").write_text("mine\n")
    lost = hub.do("losses", repository="code", to="main~2")
    assert [each["subject"] for each in lost["commits"]] == ["Three", "Two"]
    assert lost["changes"] == ["a"]
    assert lost["confirm"] == f"lose 2 commits and 1 uncommitted change of main at {tip[:12]}"
    before = state(git)
    for confirm in ("", "yes", "lose 2 commits of main"):
        error = refused(hub, "reset", "confirm", repository="code", to="main~2", confirm=confirm)
        assert lost["confirm"] in error.hint
    assert state(git) == before
    done = hub.do("reset", repository="code", to="main~2", confirm=lost["confirm"])
    assert subjects(git) == ["One"]
    assert (git.path / "a").read_text() == "1\n"
    commits, changes = done["kept"]
    assert git("rev-parse", commits) == tip
    git("reset", "--quiet", "--hard", commits)
    git("stash", "apply", "--quiet", changes)
    assert (git.path / "a").read_text() == "mine\n"


def test_a_confirmation_is_for_what_was_seen(hub: Hub, git: Git) -> None:
    to = git("rev-parse", "main~1")
    confirm = hub.do("losses", repository="code", to=to)["confirm"]
    git("reset", "--quiet", "--hard", to)
    git.commit("Another", {"d": "1\n"})
    refused(hub, "reset", "confirm", repository="code", to=to, confirm=confirm)
    assert subjects(git)[0] == "Another"


def test_a_reset_that_loses_nothing(hub: Hub, git: Git) -> None:
    new = git("rev-parse", "main")
    git("reset", "--quiet", "--hard", "main~1")
    confirm = hub.do("losses", repository="code", to=new)["confirm"]
    assert confirm.startswith("lose nothing of main at ")
    (git.path / "c").write_text("mine, and git does not know me\n")
    error = refused(hub, "reset", "in-the-way", repository="code", to=new, confirm=confirm)
    assert "would overwrite: c" in str(error)
    (git.path / "c").unlink()
    hub.do("reset", repository="code", to=new, confirm=confirm)
    assert subjects(git)[0] == "Three"


def test_hubs_own_folder_can_be_the_repository(hub: Hub) -> None:
    git = Git(hub.path)
    git.commit("One", {"a": "1\n", ".gitignore": "/.fleet/\n"})
    git.commit("Two", {"a": "2\n"})
    hub.do("revert", repository=".", revisions=["HEAD"], **WHO)
    assert (hub.path / "a").read_text() == "1\n"
    assert not git("status", "--porcelain")
    confirm = hub.do("losses", repository=".", to="HEAD~1")["confirm"]
    hub.do("reset", repository=".", to="HEAD~1", confirm=confirm)
    assert (hub.path / "a").read_text() == "2\n"


@pytest.mark.parametrize("what", ["file", "link", "link that leads nowhere", "folder"])
def test_a_reset_destroys_nothing_that_git_does_not_know(hub: Hub, git: Git, what: str) -> None:
    """Whatever is where a file of the target will be, or where a folder above it will be."""
    to = git.commit("Deep", {"d/e/f": "1\n"})
    git.commit("Flat", {"d/e/f": None})
    mine = git.path / "d"
    if mine.exists():
        (mine / "e").rmdir() if (mine / "e").exists() else None
        mine.rmdir()
    if what == "file":
        mine.write_text("mine")
    elif what == "folder":
        (mine / "e" / "f").mkdir(parents=True)
    else:
        mine.symlink_to("/nowhere" if "nowhere" in what else git.path.parent)
    error = refused(hub, "losses", "in-the-way", repository="code", to=to)
    assert "would overwrite: d/e/f" in error.message
    assert mine.is_symlink() == what.startswith("link")


def test_an_empty_commit_is_passed_over_and_told(hub: Hub, git: Git) -> None:
    git("commit", "--quiet", "--allow-empty", "--message", "Nothing")
    done = hub.do("revert", repository="code", revisions=["main", "main~1"], **WHO)
    assert done["passed"] == [git("rev-parse", "main~1")]
    assert subjects(git)[:2] == ['Revert "Three"', "Nothing"]


def test_a_release_with_a_merge_and_an_empty_commit_is_taken_back(hub: Hub, git: Git) -> None:
    before = git("rev-parse", "main")
    git("checkout", "--quiet", "-b", "side")
    git.commit("Aside", {"d": "1\n"})
    git("checkout", "--quiet", "main")
    git.commit("Four", {"a": "4\n"})
    git("merge", "--quiet", "--no-ff", "--no-edit", "side")
    git("commit", "--quiet", "--allow-empty", "--message", "Nothing")
    back = Undone(f"1.1-{git('rev-parse', 'main')[:12]}", f"1.0-{before[:12]}")
    said: list[str] = []
    made = asyncio.run(revert(hub, Source("code"), back, "Op", said.append))
    assert [each.split(" ", 1)[1] for each in made] == ['Revert "Four"', "Revert \"Merge branch 'side'\""]
    assert said == [f"passed over {git('rev-parse', 'main~2')[:12]}, which changed nothing"]
    assert not (git.path / "d").exists()
    assert not git("diff", "--name-only", before, "main")

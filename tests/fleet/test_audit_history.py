"""Secrets in the files of a project and in all that was ever committed."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from mt5crs.checks import Result, Status
from mt5crs.fleet.audit import history as histories
from mt5crs.fleet.audit.gates import MODULES
from mt5crs.fleet.audit.static import registry
from mt5crs.fleet.audit.tree import Tree, collected
from mt5crs.security.keys import create_client, create_gateway
from mt5crs.security.policy import Role
from tests.conftest import ROOT
from tests.fleet.project import Project, aws

assert MODULES
SECRETS = ("secrets.tree", "secrets.history", "secrets.exceptions", "secrets.looked-at", "keys.untracked")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")


def results(folder: Path) -> list[Result]:
    return registry.run(collected(folder), only=SECRETS)


def told(folder: Path) -> dict[str, list[str]]:
    """Return what is not as it should be, by check."""
    found: dict[str, list[str]] = {}
    for each in results(folder):
        if each.status is not Status.PASS:
            found.setdefault(each.check, []).append(each.found)
    return found


def test_a_clean_project_says_how_much_was_looked_at(project: Project) -> None:
    found = {each.check: each for each in results(project.folder)}
    assert {each.status for each in found.values()} == {Status.PASS}
    # Seven files and a message.
    assert found["secrets.history"].found.startswith("none; 8 contents, ")


def test_a_secret_in_the_tree_is_told_by_its_place_alone(project: Project) -> None:
    secret = aws()
    project.write("src/upload.py", f"import x\nKEY = '{secret}'\n")
    commit = project.commit()
    assert told(project.folder) == {
        "secrets.tree": [f"AWS access key: src/upload.py:2 of commit {commit[:12]}"]
    }
    assert secret not in repr(collected(project.folder).leaks)


def test_a_secret_that_was_taken_out_is_in_the_history(project: Project) -> None:
    project.write("src/upload.py", f"KEY = '{aws()}'\n")
    first = project.commit()
    project.change("src/upload.py", "KEY", "OTHER")
    project.commit()
    project.write("src/upload.py", "KEY = ask()\n")
    project.commit()
    assert told(project.folder) == {
        "secrets.history": [
            f"AWS access key: src/upload.py:1 of commit {first[:12]}, and 1 more like it there"
        ]
    }


def test_secrets_in_deleted_files_binaries_branches_tags_and_messages_are_found(project: Project) -> None:
    project.write("notes/old.txt", f"\n\n{aws()}\n")
    project.write("model.bin", b"\0\x01\xff" + aws().encode() + b"\0\n")
    deleted = project.commit()[:12]
    (project.folder / "notes/old.txt").unlink()
    (project.folder / "model.bin").unlink()
    project.commit()
    said = project.commit(f"Use {aws()}")[:12]
    project.git("checkout", "-q", "-b", "other")
    project.write("other.txt", aws())
    other = project.commit()[:12]
    project.git("checkout", "-q", "main")
    project.git("tag", "-a", "-m", f"with {aws()}", "v1")
    found = told(project.folder)["secrets.history"]
    assert f"AWS access key: notes/old.txt:3 of commit {deleted}" in found
    assert f"AWS access key: model.bin:1 of commit {deleted}" in found
    assert f"AWS access key: other.txt:1 of commit {other}" in found
    assert any(each.startswith(f"AWS access key: the message of commit {said}") for each in found)
    assert len(found) == 5


def test_what_git_would_take_is_looked_at_and_what_it_keeps_out_is_not(project: Project) -> None:
    project.write("fresh.txt", aws())
    project.write("staged.txt", aws())
    project.git("add", "staged.txt")
    project.change(".env.example", "MT5_PORT=5555", f"MT5_PORT=5555\n# {aws()}")
    project.write("docs/archive/x.txt", aws())
    assert sorted(told(project.folder)["secrets.tree"]) == [
        "AWS access key: .env.example:14",
        "AWS access key: fresh.txt:1",
        "AWS access key: staged.txt:1",
    ]


def test_a_secret_that_came_with_a_merge_alone_is_found(project: Project) -> None:
    project.git("checkout", "-q", "-b", "side")
    project.write("side.txt", "side")
    project.commit()
    project.git("checkout", "-q", "main")
    project.write("main.txt", "main")
    project.commit()
    project.git("merge", "-q", "--no-commit", "--no-ff", "side")
    project.write("evil.txt", aws())
    merge = project.commit("Merge")
    assert told(project.folder)["secrets.tree"] == [f"AWS access key: evil.txt:1 of commit {merge[:12]}"]


def test_an_exception_is_for_its_file_and_kind_alone(project: Project) -> None:
    secret = aws()
    project.write("tests/vectors.txt", secret)
    project.write(
        "audit.toml", '[[allow]]\nfile = "tests/*.txt"\nkind = "AWS access key"\nreason = "made up"\n'
    )
    project.commit()
    assert told(project.folder) == {}
    assert any(each.found == "tests/*.txt: made up" for each in results(project.folder))
    # The very same content elsewhere is not excepted.
    project.write("src/copy.txt", secret)
    project.commit()
    assert len(told(project.folder)["secrets.tree"]) == 1
    blob = project.git("rev-parse", "HEAD:src/copy.txt")
    project.write("audit.toml", f'[[allow]]\nblob = "{blob[:16]}"\nreason = "void"\n')
    project.commit()
    assert told(project.folder) == {}


def test_exceptions_for_nothing_and_wrong_ones_are_told(project: Project) -> None:
    project.write("audit.toml", '[[allow]]\nfile = "gone.txt"\nreason = "it was there"\n')
    project.commit()
    assert told(project.folder)["secrets.exceptions"] == ["nothing is there for gone.txt: it was there"]
    for wrong in (
        '[[allow]]\nfile = "x"\n',
        '[[allow]]\nreason = "all"\n',
        *(f'[[allow]]\nfile = "{each}"\nreason = "all"\n' for each in ("*", "**/*", "*.*", "?**")),
        "[[allow]\n",
        '[[allow]]\nfiles = "x"\n',
    ):
        project.write("audit.toml", wrong)
        assert "audit.toml" in told(project.folder)["secrets.exceptions"][0]


def test_key_files_that_git_has_or_would_take_are_told(project: Project) -> None:
    create_gateway(project.folder / "keys")
    create_client(project.folder / "keys", "ann", Role.TRADER, project.folder / "ann.key")
    assert told(project.folder)["keys.untracked"] == ["keys/gateway.json (mt5crs key): git would take it"]
    project.write(".gitignore", "keys/\n")
    project.git("add", "-A")
    assert told(project.folder)["keys.untracked"] == ["ann.key (mt5crs key): git has it"]


def test_a_clone_without_its_whole_history_is_no_proof(project: Project, tmp_path: Path) -> None:
    project.commit()
    shallow = tmp_path / "shallow"
    project.git("clone", "-q", "--depth", "1", f"file://{project.folder}", str(shallow))
    assert "a part of the history is not here" in told(shallow)["secrets.history"]


def test_no_history_at_all_is_no_proof(project: Project) -> None:
    shutil.rmtree(project.folder / ".git")
    project.write("x.txt", aws())
    found = told(project.folder)
    assert found["secrets.tree"] == ["AWS access key: x.txt:1"]
    assert "is in no git repository" in found["secrets.history"][0]


def test_a_repository_that_git_refuses_is_told_and_no_trace(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project.folder / ".git/HEAD").write_text("nonsense\n")
    assert "not a git repository" in told(project.folder)["secrets.history"][0]
    monkeypatch.setenv("PATH", "/nowhere")
    assert "git is not there" in told(project.folder)["secrets.history"][0]


def test_the_environment_names_no_other_repository(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    assert told(project.folder) == {}


def test_a_project_in_a_folder_of_a_repository(project: Project) -> None:
    inner = project.folder / "sub dir"
    inner.mkdir()
    project.write("sub dir/a\nb.txt", aws())
    project.write("ü.txt", aws())
    project.commit()
    tree = collected(inner)
    assert sorted((leak.path, leak.now) for leak in tree.leaks) == [("a\nb.txt", True), ("ü.txt", False)]


def test_what_is_too_large_is_said(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mt5crs.fleet.audit.leaks.LARGEST", 200_000)
    project.write("large.bin", bytes(200_001))
    project.commit()
    project.write("larger.bin", bytes(200_001))
    assert [each.split(" has")[0] for each in told(project.folder)["secrets.looked-at"]] == [
        "large.bin",
        "larger.bin",
    ]


def test_a_long_history_is_looked_at_content_by_content(project: Project) -> None:
    many, hidden = 1500, 1234
    stream = b"".join(
        b"commit refs/heads/long\ncommitter a <a@example.org> %d +0000\ndata 1\nx\n"
        b"M 644 inline f%d.txt\ndata <<E\n%s\nE\n"
        % (1_700_000_000 + number, number, aws().encode() if number == hidden else b"content %d" % number)
        for number in range(many)
    )
    project.git("fast-import", "--quiet", given=stream)
    tree = collected(project.folder)
    assert tree.history is not None
    assert tree.history.contents == 8 + 2 * many
    assert [(leak.path, leak.kind, leak.now) for leak in tree.leaks] == [
        (f"f{hidden}.txt", "AWS access key", False)
    ]


def test_what_another_repository_has_is_left_to_it(project: Project) -> None:
    project.git("update-index", "--add", "--cacheinfo", f"160000,{'12' * 20},vendor/theirs")
    (project.folder / "nested").mkdir()
    project.git("init", "-q", "nested")
    project.write("nested/x.txt", aws())
    assert told(project.folder) == {
        "secrets.looked-at": [
            f"{each} is a repository of its own: audit it by itself" for each in ("nested", "vendor/theirs")
        ]
    }


def test_git_that_dies_is_an_error_of_its_own(project: Project) -> None:
    repository = histories.Repository(project.folder)
    lost = histories.Object("0" * 40, "blob", 1)
    with pytest.raises(histories.GitError, match="does not give the object"):
        list(repository.contents([lost]))


def test_this_project_holds_no_secrets(tmp_path: Path) -> None:
    """The branch that is checked out, with all that it came from; what others are at work on is theirs."""
    if not (ROOT / ".git").exists():
        pytest.skip("this is no checkout")
    own = tmp_path / "own"
    subprocess.run(
        ["git", "clone", "-q", "--no-local", "--no-checkout", "--single-branch", str(ROOT), str(own)],
        check=True,
    )
    for name in subprocess.run(
        ["git", "ls-files", "-z", "-c", "-o", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True
    ).stdout.decode().split("\0"):  # fmt: skip
        if name and (ROOT / name).is_file():
            (own / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, own / name)
    subprocess.run(["git", "reset", "-q"], cwd=own, check=True)
    tree: Tree = collected(own)
    found = registry.run(tree, only=SECRETS)
    assert [each for each in found if each.status is not Status.PASS] == []
    assert tree.history is not None
    assert tree.history.contents > (100 if os.environ.get("CI") is None else 1)

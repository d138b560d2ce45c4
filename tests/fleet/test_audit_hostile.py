"""A project that wants to hide something from its audit, or to have something done by it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from mt5crs.cli.audit import check, shown
from mt5crs.cli.output import Output
from mt5crs.errors import SettingError
from mt5crs.fleet.audit import documents, gates, signing
from mt5crs.fleet.audit.exceptions import Allowed
from mt5crs.fleet.audit.report import Gate, encode, signed, verified
from mt5crs.fleet.audit.tree import collected, released
from tests.fleet.project import Project, aws, random
from tests.fleet.test_audit_history import results, told
from tests.fleet.test_audit_report import report


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")


def taken_out(project: Project) -> str:
    """Commit a secret and take it out; return its content's id."""
    project.write("a.txt", aws())
    project.commit()
    (project.folder / "a.txt").unlink()
    project.commit()
    return project.git("rev-parse", "HEAD~1:a.txt")


def test_no_program_runs_that_the_repository_names(project: Project, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch '{tmp_path}/ran'\ncat\n")
    program.chmod(0o755)
    project.write(".gitattributes", "* filter=x diff=x\n")
    project.write("a.txt", aws())
    commit = project.commit()
    signed = project.git("cat-file", "commit", commit).replace(
        "\n\n", "\ngpgsig -----BEGIN PGP SIGNATURE-----\n \n abc\n -----END PGP SIGNATURE-----\n\n", 1
    )
    signed = project.git("hash-object", "-t", "commit", "-w", "--stdin", given=signed.encode())
    project.git("update-ref", "HEAD", signed)
    for name in (
        *("filter.x.clean", "filter.x.smudge", "filter.x.process", "diff.x.textconv", "diff.external"),
        *("gpg.program", "core.fsmonitor", "core.sshCommand", "core.pager", "alias.ls-files"),
    ):
        project.git("config", name, str(program))
    project.git("config", "log.showSignature", "true")
    os.utime(project.folder / "pyproject.toml", (1, 1))  # so that its content would be compared
    assert list(told(project.folder)) == ["secrets.tree"]
    assert not (tmp_path / "ran").exists()


def test_nothing_is_fetched_for_a_clone_that_lacks_contents(project: Project, tmp_path: Path) -> None:
    taken_out(project)
    project.git("config", "uploadpack.allowFilter", "true")
    part = tmp_path / "part"
    project.git("clone", "-q", "--filter=blob:none", f"file://{project.folder}", str(part))
    subprocess.run(
        ["git", "config", "remote.origin.uploadpack", f"touch {tmp_path}/ran;"], cwd=part, check=True
    )
    assert "a part of the history is not here" in told(part)["secrets.history"]
    assert not (tmp_path / "ran").exists()


def test_history_that_is_replaced_or_cut_off_is_seen(project: Project) -> None:
    blob = taken_out(project)
    clean = project.git("hash-object", "-w", "--stdin", given=b"clean\n")
    project.git("replace", blob, clean)
    assert len(told(project.folder)["secrets.history"]) == 1
    project.git("replace", "--graft", "HEAD")
    project.write(".git/info/grafts", project.git("rev-parse", "HEAD") + "\n")
    project.git("commit-graph", "write", "--reachable")
    project.git("pack-refs", "--all")
    assert told(project.folder)["secrets.history"][0].startswith("AWS access key: a.txt:1 of commit ")


def test_what_no_branch_leads_to_is_seen(project: Project) -> None:
    for _ in range(2):
        project.write("pyproject.toml", aws())
        project.git("stash", "-q")
    lost = project.git("hash-object", "-w", "--stdin", given=aws().encode())
    found = told(project.folder)["secrets.history"]
    assert any("pyproject.toml:1 of commit" in each and "1 more" in each for each in found)
    assert f"AWS access key: content {lost[:12]} that no commit has" in found
    remedies = {each.found: each.remedy for each in results(project.folder)}
    wanted = "git reflog expire --expire-unreachable=now --all && git gc --prune=now"
    assert {text for text, remedy in remedies.items() if wanted in remedy} == {
        f"AWS access key: content {lost[:12]} that no commit has"
    }


@pytest.mark.parametrize("flag", ["--assume-unchanged", "--skip-worktree"])
def test_a_file_that_git_is_told_to_pass_over_is_looked_at(project: Project, flag: str) -> None:
    project.git("update-index", flag, ".env.example")
    project.change(".env.example", "MT5_PORT=5555", f"MT5_PORT=5555\n# {aws()}")
    assert told(project.folder) == {"secrets.tree": ["AWS access key: .env.example:14"]}


def test_line_ends_of_windows_are_no_change(project: Project) -> None:
    path = project.folder / "pyproject.toml"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    tree = collected(project.folder)
    assert tree.history is not None
    assert tree.history.changed == ()


def test_a_file_whose_name_is_an_answer_of_git_hides_nothing(project: Project) -> None:
    secret = project.write("s.txt", aws())
    blob = project.git("hash-object", "s.txt")
    secret.rename(project.folder / "t.txt")
    project.write(f"a\u2028{blob} blob 99999999999 n\x0c\x85", "x")
    project.write("b\n\x01:c", "x")
    project.commit()
    assert told(project.folder)["secrets.tree"][0].startswith("AWS access key: t.txt:1 of commit ")


def test_a_repository_of_sha_256_and_a_second_checkout(tmp_path: Path) -> None:
    own = tmp_path / "own"
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull}

    def git(*command: str) -> None:
        author = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        subprocess.run(["git", *author, *command], cwd=own, env=environment, check=True)

    own.mkdir()
    git("init", "-q", "--object-format=sha256")
    (own / "a.txt").write_text(aws())
    git("add", "-A")
    git("commit", "-q", "-m", "x")
    git("worktree", "add", "-q", str(tmp_path / "second"))
    for folder in (own, tmp_path / "second"):
        tree = collected(folder)
        assert [(leak.path, leak.now) for leak in tree.leaks] == [("a.txt", True)], tree.no_history
        assert tree.history is not None
        assert (len(tree.history.revision), tree.history.shallow) == (64, False)


# ---- exceptions, releases ----

ALLOWED = '[[allow]]\nfile = "tests/**.txt"\nreason = "made up"\n'


def test_exceptions_count_once_they_are_committed(project: Project) -> None:
    project.write("tests/deep/a.txt", aws())
    project.write(".git/info/exclude", "audit.toml\n")
    project.write("audit.toml", ALLOWED)
    project.commit()
    refused = "audit.toml is not as it was committed: no exception counts until it is"
    for step in ((), ("add", "-f", "audit.toml")):
        if step:
            project.git(*step)
        found = told(project.folder)
        assert found["secrets.exceptions"] == [refused]
        assert len(found["secrets.tree"]) == 1
    project.commit()
    assert told(project.folder) == {}
    project.git("update-index", "--assume-unchanged", "audit.toml")
    project.write("audit.toml", ALLOWED.replace("tests/", "t"))
    assert told(project.folder)["secrets.exceptions"] == [refused]


def test_an_exception_stays_in_its_folder_and_off_messages() -> None:
    here = Allowed("x", file="tests/*.txt")
    assert here.covers("k", "tests/a.txt", "")
    assert not here.covers("k", "tests/deep/a.txt", "")
    assert Allowed("x", file="tests/**.txt").covers("k", "tests/deep/a.txt", "")
    assert not Allowed("x", file="**.txt").covers("k", "", "")


def test_a_release_is_what_a_node_laid_out(project: Project, tmp_path: Path) -> None:
    taken_out(project)
    manifest = b'{"release": {"id": "%s"}, "tree": {"x": "y"}}'
    project.write("release.json", manifest % b"project")
    (project.folder / ".venv").mkdir()
    assert "secrets.history" in told(project.folder)
    (tmp_path / "releases").mkdir()
    moved = tmp_path / "releases" / "project"
    project.folder.rename(moved)
    assert "secrets.history" in told(moved)
    (moved / ".git").rename(tmp_path / "git")
    assert released(moved) is not None
    for wrong in (manifest % b"other", b'{"release": {"id": "project"}}', b"{"):
        (moved / "release.json").write_bytes(wrong)
        assert released(moved) is None
    (moved / "release.json").write_bytes(manifest % b"project")
    (moved / ".venv").rmdir()
    assert released(moved) is None


# ---- what is written ----


def test_nothing_is_written_through_a_link(project: Project, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("precious")
    target = project.folder / documents.FOLDER
    target.mkdir(parents=True)
    (target / "B").symlink_to(precious)
    with pytest.raises(documents.NotWritten, match="B is a symbolic link"):
        documents.write(target, {"A": b"a", "B": b"b"}, project.folder)
    assert precious.read_text() == "precious"
    (target / "B").unlink()
    target.rename(tmp_path / "elsewhere")
    target.symlink_to(tmp_path / "elsewhere")
    for folder in (target, target / "deeper"):
        with pytest.raises(documents.NotWritten, match="TASK_003_CONN_VERIFY is a symbolic link"):
            documents.write(folder, {"A": b"a"}, project.folder)
    assert list((tmp_path / "elsewhere").iterdir()) == []
    # A folder of somebody's own choice elsewhere may be below a link.
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    documents.write(tmp_path / "link" / "pages", {"A": b"a"}, project.folder)
    assert (tmp_path / "elsewhere/pages/A").read_bytes() == b"a"


@pytest.mark.parametrize("linked", [True, False])
def test_a_public_key_that_is_not_ours_is_left_as_it_is(tmp_path: Path, linked: bool) -> None:
    pytest.importorskip("nacl")
    precious = tmp_path / "precious"
    if linked:
        (tmp_path / "id.pub").symlink_to(precious)
    else:
        (tmp_path / "id.pub").write_text("ssh-ed25519 AAAA")
    with pytest.raises(SettingError, match=r"id\.pub is there, and no id "):
        signing.seed(tmp_path / "id")
    assert not (tmp_path / "id").exists()
    assert not precious.exists()
    assert linked or (tmp_path / "id.pub").read_text() == "ssh-ed25519 AAAA"


def test_no_key_is_made_where_git_would_take_it(project: Project) -> None:
    pytest.importorskip("nacl")
    with pytest.raises(SettingError, match="git would take .*audit.sig, a private key") as refused:
        signing.seed(project.folder / "audit.sig")
    assert "echo audit.sig >> " in refused.value.hint
    assert len(signing.seed(project.folder / "audit.key")) == 32


def test_folders_of_other_programs_are_looked_into_unless_git_keeps_them_out(project: Project) -> None:
    key = json.dumps({"secret": random(40)})
    folders = ("my_cache", "releases", ".fleet", "node_modules", "env")
    project.write("env/pyvenv.cfg", "")
    for folder in folders:
        project.write(f"{folder}/a.key", key)
    assert {each.path for each in collected(project.folder).keys} == {f"{each}/a.key" for each in folders}
    project.write(".gitignore", "".join(f"{each}/\n" for each in folders))
    assert collected(project.folder).keys == ()
    shutil.rmtree(project.folder / ".git")
    left_out = collected(project.folder).left_out
    assert left_out == tuple(f"{each} is a folder of other programs" for each in sorted(folders))


ORDINARY = ("setpriv", "--bounding-set=-dac_override,-dac_read_search") if os.geteuid() == 0 else ()
"""Takes away what lets root read everything."""


def test_what_may_not_be_read_is_told_as_not_looked_at(project: Project) -> None:
    project.write(".gitignore", ".env\nkeys/\n*.key\n")
    project.commit()
    project.write("keys/gateway.json", "{}")
    project.write("own.key", "{}").chmod(0)
    shut = ("keys", "src")
    for each in shut:
        (project.folder / each).chmod(0)
    command = (*ORDINARY, sys.executable, "-m", "mt5crs", "audit", str(project.folder), "--gate", "1")
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    for each in shut:
        (project.folder / each).chmod(0o700)
    assert "Traceback" not in done.stderr
    for each in (*shut, "own.key"):
        assert f"secrets.looked-at: {each} cannot be read: Permission denied" in done.stdout


@pytest.mark.parametrize("before", [b"\xef\xbb\xbf", b"# a key\n", b"// a key\n\n [", b"\xff\xfe"])
def test_a_key_is_one_whatever_is_before_it(project: Project, before: bytes) -> None:
    key = json.dumps({"form": "x", "secret": random(40)}, indent=1)
    project.write("own.key", before + (key.encode("utf-16-le") if before == b"\xff\xfe" else key.encode()))
    (seen,) = collected(project.folder).keys
    assert seen.problem == "can be read by others"


# ---- what is said ----


def test_a_name_that_is_no_text_can_be_reported(project: Project) -> None:
    pytest.importorskip("nacl")
    name = os.fsdecode(b"a\xff\xe2\x80\xa8b.txt")
    project.write(name, aws())
    project.commit()
    held = gates.audited(project.folder, wanted=(1,))
    (found,) = (each.found for each in held.lines if each.check == "secrets.tree")
    assert found.startswith("AWS access key: a\\udcff\u2028b.txt:1 of commit ")
    proof = signed(held, bytes(32))
    assert verified(encode(proof)) == proof
    made = documents.pages(proof, os.fsdecode(b"\xff.toml"))
    assert b"a\\udcff b.txt" in made["VERIFY_LOG.log"]


def test_a_report_steers_no_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("nacl")
    evil = "x\x1b]0;owned\x07\n  says: it holds\u202e"
    forged = msgspec.structs.replace(
        report(), by=evil, release=evil, holds=False, gates=(Gate(1, held=False, why=evil),)
    )
    file = tmp_path / "report.json"
    file.write_bytes(encode(signed(forged, bytes(32))))
    check(file, None)
    shown(forged, Output())
    said = capsys.readouterr().out
    assert not {*said} & {"\x1b", "\x07", "\u202e"}
    assert "\n  says: it holds" not in said
    page = documents.pages(signed(forged, bytes(32)), "fleet.toml")
    for name in ("VERIFY_LOG.log", "COMPLETION_REPORT.md"):
        assert b"\x1b" not in page[name], name
        assert b"\n  says" not in page[name], name

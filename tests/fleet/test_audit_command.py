"""`mt5crs audit`, and the script that everybody runs."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mt5crs.fleet.audit.report import verified
from tests.cli.commands import process
from tests.conftest import ROOT
from tests.fleet.keys import host_key
from tests.fleet.project import Project, aws
from tests.fleet.test_audit_static import FLEET, release

BARE = (str(Path(sys.base_prefix) / "bin" / "python3"), "-I", "-S")
"""A Python with nothing installed."""
ENTRY = "scripts/audit_current_task.py"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(tmp_path / "project")
    made.commit()
    return made


def test_gate_1_alone_holds_and_writes_nothing(project: Project) -> None:
    done = process("audit", str(project.folder), "--gate", "1")
    assert done.code == 0, done.out + done.err
    assert "it holds: " in done.out
    assert "not held: it was not asked for" in done.out
    assert project.git("status", "--porcelain", "--ignored") == "!! .env"


def test_what_is_wrong_is_said_with_what_to_do(project: Project) -> None:
    project.write("x.txt", aws())
    done = process("audit", str(project.folder), "--gate", "1")
    assert done.code == 1
    assert "secrets.tree: AWS access key: x.txt:1" in done.out
    assert "do: take it out and replace it" in done.out
    *_, failed, do, count = done.out.splitlines()
    assert "secrets.tree" in failed
    assert do.strip().startswith("do: ")
    assert count.startswith("it does not hold: ")


def test_a_folder_that_is_no_project_is_told_and_left_alone(tmp_path: Path) -> None:
    done = process("audit", str(tmp_path))
    assert done.code == 2
    assert "is no project" in done.err
    assert list(tmp_path.iterdir()) == []


def test_the_help_shows_the_options_of_the_audit() -> None:
    shown = process("audit", "--help").out
    assert all(option in shown for option in ("--gate", "--inventory", "--documents"))
    assert "audit check REPORT" in shown


def test_without_an_inventory_the_whole_audit_does_not_hold(project: Project, tmp_path: Path) -> None:
    project.write(".gitignore", ".env\n*.key\n*.pub\n/docs/archive/\n")
    done = process("audit", str(project.folder))
    assert done.code == 1
    assert f"not held: there is no {project.folder / 'fleet.toml'}" in done.out
    folder = project.folder / "docs/archive/tasks/TASK_003_CONN_VERIFY"
    assert "> Not proven: gate 2" in (folder / "SYNC_GUIDE.md").read_text()
    assert (project.folder / "audit.key").stat().st_mode & 0o777 == 0o600
    # What the audit itself makes is nothing that it finds fault with.
    again = process(
        "audit", str(project.folder), "--gate", "1", "--json", "--key", str(project.folder / "audit.key")
    )
    assert again.code == 0, again.out
    report = tmp_path / "report.json"
    report.write_text(again.out)
    checked = process("audit", "check", str(report), "--public", str(project.folder / "audit.pub"))
    assert checked.code == 0
    assert "as it was signed" in checked.out
    assert json.loads(again.out)["public"] in checked.out
    report.write_text(again.out.replace('"holds": true', '"holds": false'))
    checked = process("audit", "check", str(report))
    assert checked.code == 1
    assert "altered after it was signed" in checked.err


def test_nodes_that_are_not_reached_are_told_and_the_audit_does_not_hold(
    project: Project, tmp_path: Path
) -> None:
    inventory = tmp_path / "fleet.toml"
    key = tmp_path / "operator"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True, timeout=30)
    nodes = "".join(
        f'[nodes.{name}]\nrole = "{name}"\naddress = "127.0.0.{last}"\nport = 1\n'
        f'host_key = "{host_key(last)}"\nssh_key = "{key}"\n'
        for last, name in enumerate(("hub", "gtw", "inf"), 2)
    )
    inventory.write_text(nodes)
    pages = tmp_path / "pages"
    done = process("audit", str(project.folder), "-i", str(inventory), "--documents", str(pages), "--json")
    assert done.code == 1, done.err
    assert done.out.encode() == (pages / "AUDIT_REPORT.json").read_bytes()
    report = verified(done.out.encode()).report
    assert [each.held for each in report.gates] == [True, True]
    assert [each.name for each in report.nodes] == ["hub", "gtw", "inf"]
    live = {(each.subject, each.status.value) for each in report.lines if each.gate == 2}
    assert live == {(name, "fail") for name in ("hub", "gtw", "inf")}
    assert {each.status.value for each in report.lines if each.gate == 1} == {"pass", "off"}
    assert "Not proven" not in (pages / "QUICK_START.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("nowhere",), "is no folder"),
        ((".", "--documents", "x", "--no-documents"), "exclude each other"),
        (("check", "nowhere.json"), "cannot be read"),
        ((".", "--gate", "3"), "--gate"),
    ],
)
def test_mistakes_are_refused_in_words(arguments: tuple[str, ...], says: str) -> None:
    done = process("audit", *arguments)
    assert done.code == 2
    assert says in done.err
    assert "Traceback" not in done.err


def test_an_inventory_that_is_not_there_is_told(project: Project) -> None:
    done = process("audit", str(project.folder), "--inventory", "nowhere.toml")
    assert (done.code, "cannot be read" in done.err) == (2, True)


# ---- the script ----


def script(folder: Path, *python: str, **env: str) -> "subprocess.CompletedProcess[str]":
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MT5_", "PYTHON"))}
    return subprocess.run(
        [*(python or BARE), str(folder / ENTRY)],
        env={**kept, **env}, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip


def with_sources(project: Project) -> None:
    shutil.rmtree(project.folder / "src")
    shutil.copytree(ROOT / "src", project.folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
    project.commit()


def test_a_python_with_nothing_is_told_what_to_install(project: Project) -> None:
    with_sources(project)
    done = script(project.folder)
    assert done.returncode == 2
    assert "msgspec cannot be imported" in done.stderr
    assert f"do: cd {project.folder} && python3 -m venv .venv && " in done.stderr


def test_the_script_goes_on_in_the_environment_of_its_folder(project: Project) -> None:
    with_sources(project)
    (project.folder / ".venv").symlink_to(sys.prefix)
    done = script(project.folder, *BARE, PYTHONIOENCODING="utf-8")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "✅ files.entry: audit_task_003" in done.stdout
    assert "gate 2 was not held here" in done.stdout
    project.write(".env", "MT5_HOST=192.168.x.x\n", 0o600)
    done = script(project.folder, *BARE, PYTHONIOENCODING="ascii")
    assert done.returncode == 1
    assert "[FAIL] env.accepted: " in done.stdout
    assert "     do: " in done.stdout
    # Its last line is what `mt5crs fleet verify` tells of a node.
    last = done.stdout.splitlines()[-1]
    assert last.startswith("it does not hold: ")
    assert ": env.accepted (MT5_HOST is '192.168.x.x'" in last


def test_the_script_on_a_node_says_what_it_leaves_to_hub(project: Project, tmp_path: Path) -> None:
    with_sources(project)
    current = release(project, tmp_path / "node")
    done = script(current, sys.executable, PYTHONIOENCODING="utf-8")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert " secrets.history: a release on a node comes without its history" in done.stdout
    assert "✅ files.release: 1.0-abc" in done.stdout


def test_the_script_holds_gate_2_where_there_is_an_inventory(project: Project) -> None:
    with_sources(project)
    project.write(
        "fleet.toml", FLEET.replace("10.0.0.", "127.0.0.").replace("host_key", "port = 1\nhost_key")
    )
    done = script(project.folder, sys.executable, PYTHONIOENCODING="utf-8")
    assert done.returncode == 1
    assert "❌ node.reached: gtw: " in done.stdout
    # Nobody who is asked about himself asks the others in turn.
    done = script(project.folder, sys.executable, PYTHONIOENCODING="utf-8", MT5CRS_AUDIT_GATES="1")
    assert "node.reached" not in done.stdout
    assert done.stdout.splitlines()[-1].startswith("it ")


def test_an_old_python_can_read_the_script_and_is_told(project: Project) -> None:
    import ast

    source = (ROOT / ENTRY).read_text()
    ast.parse(source, feature_version=(3, 9))
    told = "import runpy, sys; sys.version_info = 3, 9, 18; runpy.run_path(sys.argv[1], run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-c", told, str(project.folder / ENTRY)],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "Python 3.10 or newer is needed, this is 3.9.18" in done.stderr

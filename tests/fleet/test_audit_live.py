"""Both gates: a project here, nodes over SSH."""

import shutil
from pathlib import Path

from mt5crs.checks import Status
from mt5crs.fleet.audit.report import verified
from tests.cli.commands import process
from tests.fleet.machines import inventory, machines
from tests.fleet.prepared import ID, prepare
from tests.fleet.project import Project

FORMER = "0.9.0-ba9876543210"


def test_the_whole_audit_is_written_down_and_can_be_proven(tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    pages = tmp_path / "pages"
    with machines(tmp_path / "machines", ["hub", "gtw"]) as running:
        for machine in running.values():
            place = prepare(machine.root, f"MT5_HOST={running['gtw'].address}\n")
        former = place.release(FORMER)
        shutil.copytree(place.release(ID), former, symlinks=True)
        manifest = former / "release.json"
        manifest.write_text(manifest.read_text().replace(ID, FORMER))
        project.write("fleet.toml", inventory(running))
        key = str(tmp_path / "audit.key")
        done = process("audit", str(project.folder), "--documents", str(pages), "--key", key)
    # No gateway runs there: the audit says so, and does not hold.
    assert done.code == 1, done.out + done.err
    assert " gateway.listens: gtw: " in done.out
    report = verified((pages / "AUDIT_REPORT.json").read_bytes()).report
    assert [each.held for each in report.gates] == [True, True]
    assert [(each.name, each.current, each.others) for each in report.nodes] == [
        ("hub", ID, ()),
        ("gtw", ID, (FORMER,)),
    ]
    wrong = {(each.gate, each.check) for each in report.lines if each.status is Status.FAIL}
    assert (2, "gateway.listens") in wrong
    assert (2, "release.audited") in wrong, "the nodes run another commit than the project is at"
    assert {check for gate, check in wrong if gate == 1} == set()
    ok = {(each.subject, each.check) for each in report.lines if each.status is Status.PASS}
    assert ("hub", "release.audit-runs") in ok
    assert f"gtw has `{ID}` and keeps `{FORMER}`" in (pages / "SYNC_GUIDE.md").read_text()
    assert "Not proven" not in (pages / "COMPLETION_REPORT.md").read_text()
    checked = process(
        "audit", "check", str(pages / "AUDIT_REPORT.json"), "--public", str(tmp_path / "audit.pub")
    )
    assert checked.code == 0, checked.err

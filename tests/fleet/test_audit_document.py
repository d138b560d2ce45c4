"""The pages on the audit say what there is."""

import re

from mt5crs.checks import Registry
from mt5crs.fleet.audit import deployed
from mt5crs.fleet.audit.documents import FOLDER, REPORT, pages
from mt5crs.fleet.audit.gates import MODULES
from mt5crs.fleet.audit.report import signed
from mt5crs.fleet.audit.secrets import KINDS
from mt5crs.fleet.audit.static import registry
from mt5crs.fleet.checklist import ITEMS
from mt5crs.fleet.live import BUILT_IN
from tests.conftest import ROOT
from tests.fleet.test_audit_report import SEED, report

assert MODULES
AUDIT = (ROOT / "docs/audit.md").read_text(encoding="utf-8")
MAP = (ROOT / "docs/seed-map.md").read_text(encoding="utf-8")


def test_the_table_has_each_check_with_its_title() -> None:
    rows = re.findall(r"^\| `([\w.-]+)` \| (.*) \|$", AUDIT, re.MULTILINE)
    assert rows == [(each.id, each.title) for each in (*registry, *deployed.registry)]


def test_each_kind_of_secret_is_named() -> None:
    (told,) = re.findall(r"PowerShell writes: (.*?)\.\n", AUDIT, re.DOTALL)
    assert " ".join(told.split()).split(", ") == [kind.name for kind in KINDS]


def test_the_pages_that_are_written_are_named() -> None:
    made = pages(signed(report(), SEED), "fleet.toml")
    assert {name for name in made if f"\n| {name} | " in AUDIT} == set(made)
    assert FOLDER.as_posix() in AUDIT
    assert REPORT in made


def test_the_example_is_a_check() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", AUDIT, re.DOTALL)
    before = dict(registry._checks)
    try:
        exec(compile(code, "audit.md", "exec"), {})  # noqa: S102 - it is ours
        assert [each.id for each in registry if each.id not in before] == ["project.license"]
    finally:
        registry._checks.clear()
        registry._checks.update(before)
    assert isinstance(registry, Registry)


def test_the_map_names_checks_and_items_that_there_are() -> None:
    known = {each.id for each in (*registry, *deployed.registry)} | set(BUILT_IN)
    groups = "|".join(sorted({each.split(".")[0] for each in known}))
    named = set(re.findall(rf"`((?:{groups})\.[a-z-]+)`", MAP)) - {"fleet.toml"}
    assert named <= known
    assert len(named) > 30
    for item in ITEMS:
        (row,) = re.findall(rf"^\| .* \| `{item.id}`: (.*) \|$", MAP, re.MULTILINE)
        assert row == ", ".join(f"`{demand.check}`" for demand in item.demands)

"""What SECURITY.md says is shown by a test is shown by one that is there."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", TEXT)


def rows() -> list[list[str]]:
    section = TEXT.split("\n## Who is kept from what\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_each_row_names_its_tests() -> None:
    assert len(rows()) > 10
    for row in rows():
        assert len(row) == 4
        assert "tests/" in row[3], row


def test_the_tests_that_are_named_exist() -> None:
    assert len(NAMED) > 15
    for file, function in NAMED:
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        tests = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        assert not function or function in tests, f"{file} has no {function}"
        assert any(name.startswith("test_") for name in tests)


def test_what_is_not_covered_is_said() -> None:
    said = TEXT.split("\n## What is not covered\n")[1]
    for word in (
        "docs/journal.md",
        "denial of service",
        "windows",
        "memory",
        "stolen",
        "--insecure",
        "libzmq",
    ):
        assert word in said.lower(), word

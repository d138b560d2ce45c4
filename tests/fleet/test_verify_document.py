"""The page on verifying says what there is."""

import re
from pathlib import Path

from mt5crs.checks import Registry
from mt5crs.fleet.checklist import ITEMS
from mt5crs.fleet.live import BUILT_IN, Seen, registry

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "fleet.md"


def rows(width: int) -> list[tuple[str, ...]]:
    cells = [
        line.strip("| ").split(" | ") for line in PAGE.read_text().splitlines() if line.startswith("| `")
    ]
    return [tuple(row) for row in cells if len(row) == width]


def test_its_table_has_each_check_with_its_title() -> None:
    wanted = [(f"`{id_}`", registry[id_].title) for id_ in BUILT_IN]
    assert [row for row in rows(2) if row[0].strip("`") in BUILT_IN] == wanted


def test_its_table_has_each_item_with_what_proves_it() -> None:
    wanted = [
        (f"`{item.id}`", item.title, ", ".join(f"`{demand.check}`" for demand in item.demands))
        for item in ITEMS
    ]
    assert [row for row in rows(3) if row in wanted] == wanted


def test_its_example_is_a_check() -> None:
    (code,) = re.findall(
        r"```python\n(.*?)```", PAGE.read_text().split("### Checks of your own")[1], re.DOTALL
    )[:1]
    added: Registry[Seen] = Registry()
    code = code.replace("from mt5crs.fleet.live import Seen, registry", "from mt5crs.fleet.live import Seen")
    exec(compile(code, str(PAGE), "exec"), {"registry": added})  # noqa: S102 - it is ours
    assert [check.id for check in added] == ["project.models"]

"""The official package's surface as facts: every row of the file makes a test by itself."""

import json
import os
from typing import Any

import pytest

from tests.conftest import ROOT

FILE = ROOT.parent / "shared" / "mt5-api-surface.json"


def _read() -> dict[str, Any]:
    if not FILE.is_file():
        if os.environ.get("CI"):
            raise FileNotFoundError(f"{FILE} is not there, and in CI nothing is skipped")
        pytest.skip(f"{FILE} is not there", allow_module_level=True)
    surface: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return surface


SURFACE = _read()
CONSTANTS: list[dict[str, Any]] = SURFACE["constants"]
STRUCTURES: dict[str, list[dict[str, str]]] = {
    name: kind["fields"] for name, kind in SURFACE["structures"]["types"].items()
}
FUNCTIONS: dict[str, dict[str, Any]] = {row["name"]: row for row in SURFACE["functions"]}


def styled(style: str) -> list[str]:
    """Return the names of the functions of a call style."""
    return [name for name, row in FUNCTIONS.items() if row.get("call_style", "").startswith(style)]

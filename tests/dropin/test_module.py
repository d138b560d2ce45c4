"""The module's names and values, row by row."""

import inspect
from typing import Any

import pytest

import mt5crs.MetaTrader5
from mt5crs import last_error
from tests.dropin.surface import CONSTANTS, FUNCTIONS, STRUCTURES, SURFACE

mt5: Any = mt5crs.MetaTrader5
TEXTS = {row["code"]: row["text"] for row in SURFACE["last_error"]}


def test_the_surface_has_the_counts_that_it_states() -> None:
    counts = SURFACE["meta"]["counts"]
    assert len(CONSTANTS) == counts["constants"] == 223
    assert len(STRUCTURES) == counts["structures"] == 11
    assert len([row for row in FUNCTIONS.values() if "call_style" in row]) == counts["c_functions"] == 32


@pytest.mark.parametrize("row", CONSTANTS, ids=lambda row: row["name"])
def test_constant(row: dict[str, Any]) -> None:
    value = getattr(mt5, row["name"])
    assert (type(value), value) == (type(row["value"]), row["value"])


def test_there_are_no_other_constants() -> None:
    ours = {name for name in vars(mt5) if name.isupper() and "_" in name and not name.startswith("_")}
    assert ours - {row["name"] for row in CONSTANTS} == set()


@pytest.mark.parametrize("name", ["__version__", "__author__"])
def test_module_attribute(name: str) -> None:
    assert getattr(mt5, name) == SURFACE["module_attributes"][name]


@pytest.mark.parametrize("name", STRUCTURES)
def test_structure_is_a_module_attribute(name: str) -> None:
    assert isinstance(getattr(mt5, name), type)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function_is_there(name: str) -> None:
    function = getattr(mt5, name)
    assert function.__name__ == name
    assert callable(function)


@pytest.mark.parametrize("name", [name for name, row in FUNCTIONS.items() if "signature" in row])
def test_helper_has_the_signature(name: str) -> None:
    signature = inspect.signature(getattr(mt5, name))
    bare = [parameter.replace(annotation=parameter.empty) for parameter in signature.parameters.values()]
    assert str(inspect.Signature(bare)) == FUNCTIONS[name]["signature"]


@pytest.mark.parametrize(
    "error",
    [each for each in vars(last_error).values() if isinstance(each, tuple)],
    ids=lambda error: error[1],
)
def test_error_text(error: tuple[int, str]) -> None:
    """Those that the drop-in can give; the others belong to a pipe that it does not have."""
    assert TEXTS[error[0]] == error[1]


def test_the_public_names_are_the_official_ones() -> None:
    """`from MetaTrader5 import *` brings what it brings there, and nothing of ours."""
    official = {row["name"] for row in CONSTANTS} | set(STRUCTURES) | set(FUNCTIONS)
    ours = {name for name in vars(mt5) if not name.startswith("_")}
    assert ours == {name for name in official if not name.startswith("_")}

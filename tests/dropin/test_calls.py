"""How each function takes its arguments, row by row.

With several wrong arguments at once the order of the official package's checks is known for a request's
fields only; elsewhere no order is asserted.
"""

import re
from typing import Any

import numpy as np
import pytest

from tests.dropin.surface import FUNCTIONS, styled

SUCCESS = (1, "Success")
INVALID = (-2, "Invalid arguments")
UNNAMED = (-2, "Unnamed arguments not allowed")
COUNT = (-2, "Invalid number of arguments")
NO_CONNECTION = (-10004, "No IPC connection")

NOARGS = styled("NOARGS")
POSITIONAL_ONLY = styled("POSITIONAL_ONLY")
GOOD: dict[str, Any] = {
    "symbol": "EURUSD",
    "timeframe": 1,
    "date_from": 1_700_000_000,
    "date_to": 1_700_000_060,
    "count": 3,
    "start_pos": 0,
    "flags": -1,
    "action": 0,
    "volume": 0.1,
    "price": 1.1,
    "price_open": 1.1,
    "price_close": 1.2,
    "enable": True,
}
PARAMETERS = [
    (name, place) for name in POSITIONAL_ONLY for place in range(len(FUNCTIONS[name]["positional"]))
]
KINDS = {"str (<=29 chars)": "symbol", "int": "scalar", "float or int": "scalar", "truthy": "truth"}


def of_kind(kind: str) -> list[tuple[str, int]]:
    """Return the parameters of positional-only functions whose type is of a kind."""
    return [
        (name, place)
        for name, place in PARAMETERS
        if KINDS.get(FUNCTIONS[name]["positional"][place]["type"], "time") == kind
    ]


def good(name: str) -> list[Any]:
    """Return arguments that are right."""
    return [GOOD[parameter["name"]] for parameter in FUNCTIONS[name]["positional"]]


def misuse(name: str) -> bool | None:
    """Return the value for wrong arguments."""
    return False if FUNCTIONS[name]["on_failure"] == "False" else None


# ---- functions that take nothing ----


@pytest.mark.parametrize("name", NOARGS)
def test_arguments_to_a_function_without_any(name: str, mt5: Any) -> None:
    function = getattr(mt5, name)
    for given in (1, 2):
        with pytest.raises(TypeError, match=rf"^{name}\(\) takes no arguments \({given} given\)$"):
            function(*range(given))
    with pytest.raises(TypeError, match=rf"^{name}\(\) takes no keyword arguments$"):
        function(a=1)


# ---- positional-only functions ----


@pytest.mark.parametrize("name", POSITIONAL_ONLY)
def test_right_arguments_succeed(name: str, mt5: Any) -> None:
    mt5.market_book_add("EURUSD")
    assert getattr(mt5, name)(*good(name)) is not None
    assert mt5.last_error() == SUCCESS


@pytest.mark.parametrize("name", POSITIONAL_ONLY)
def test_keywords_to_a_positional_only_function(name: str, mt5: Any) -> None:
    arguments = good(name)
    last = FUNCTIONS[name]["positional"][-1]["name"]
    for given, keywords in ((arguments, {"a": 1}), (arguments[:-1], {last: arguments[-1]})):
        with pytest.raises(TypeError, match=rf"^{name}\(\) takes no keyword arguments$"):
            getattr(mt5, name)(*given, **keywords)


@pytest.mark.parametrize("name", POSITIONAL_ONLY)
def test_a_wrong_number_of_arguments(name: str, mt5: Any) -> None:
    arguments = good(name)
    optional = any(parameter.get("optional") for parameter in FUNCTIONS[name]["positional"])
    for wrong in ([], arguments[: -1 - optional], [*arguments, 1]):
        mt5.symbols_total()
        assert getattr(mt5, name)(*wrong) is misuse(name)
        assert mt5.last_error() == INVALID


@pytest.mark.parametrize(("name", "place"), of_kind("scalar"))
@pytest.mark.parametrize("wrong", ["1", b"1", None, [], {}], ids=repr)
def test_a_wrong_scalar_raises(name: str, place: int, wrong: Any, mt5: Any) -> None:
    arguments = good(name)
    arguments[place] = wrong
    with pytest.raises(SystemError, match=f"{name}> returned a result with an exception set") as caught:
        getattr(mt5, name)(*arguments)
    assert isinstance(caught.value.__cause__, TypeError)


@pytest.mark.parametrize(("name", "place"), of_kind("scalar"))
def test_numpy_and_bool_are_numbers(name: str, place: int, mt5: Any) -> None:
    arguments = good(name)
    is_int = FUNCTIONS[name]["positional"][place]["type"] == "int"
    arguments[place] = np.int64(arguments[place]) if is_int else np.float64(arguments[place])
    assert getattr(mt5, name)(*arguments) is not None
    arguments[place] = True
    getattr(mt5, name)(*arguments)  # whatever the terminal makes of 1, it is no wrong argument
    assert mt5.last_error() != INVALID


@pytest.mark.parametrize(("name", "place"), [each for each in of_kind("scalar") if "calc" not in each[0]])
def test_a_float_is_no_int(name: str, place: int, mt5: Any) -> None:
    arguments = good(name)
    arguments[place] = 1.0
    with pytest.raises(SystemError):
        getattr(mt5, name)(*arguments)


@pytest.mark.parametrize("name", ["order_calc_margin", "order_calc_profit"])
def test_an_int_is_a_price_where_no_request_is_made(name: str, mt5: Any) -> None:
    arguments = [0, "EURUSD", 1, *(1 for _ in good(name)[3:])]
    assert type(getattr(mt5, name)(*arguments)) is float


@pytest.mark.parametrize(("name", "place"), of_kind("symbol"))
@pytest.mark.parametrize("wrong", [5, None, b"EURUSD", "", "x" * 30], ids=repr)
def test_a_wrong_symbol(name: str, place: int, wrong: Any, mt5: Any) -> None:
    arguments = good(name)
    arguments[place] = wrong
    assert getattr(mt5, name)(*arguments) is misuse(name)
    assert mt5.last_error() == INVALID


@pytest.mark.parametrize(("name", "place"), of_kind("symbol"))
def test_a_symbol_of_29_characters_is_looked_for(name: str, place: int, mt5: Any) -> None:
    arguments = good(name)
    arguments[place] = "x" * 29
    value = getattr(mt5, name)(*arguments)
    failure = False if name in ("symbol_select", "market_book_add", "market_book_release") else None
    assert value is failure
    assert mt5.last_error() != INVALID


@pytest.mark.parametrize(("name", "place"), of_kind("time"))
@pytest.mark.parametrize(
    "wrong", ["2024-01-01", None, np.datetime64("2024-01-01"), np.int64(1), [1]], ids=repr
)
def test_a_wrong_time(name: str, place: int, wrong: Any, mt5: Any) -> None:
    arguments = good(name)
    arguments[place] = wrong
    assert getattr(mt5, name)(*arguments) is None
    assert mt5.last_error() == INVALID


# ---- before the connection ----


@pytest.mark.parametrize("name", [name for name, row in FUNCTIONS.items() if "call_style" in row])
def test_without_a_connection(name: str, unconnected: Any) -> None:
    if name in ("initialize", "last_error", "shutdown"):
        return  # what they do is in the tests of the session
    row = FUNCTIONS[name]
    arguments = [5001001] if name == "login" else good(name) if row["call_style"] == "POSITIONAL_ONLY" else []
    if name.startswith("history") and name.endswith("get"):
        arguments = [0, 1]
    value = getattr(unconnected, name)(*arguments)
    assert value is (False if re.match("False|as market_book_add", row["on_failure"]) else None)
    assert unconnected.last_error() == NO_CONNECTION


@pytest.mark.parametrize("name", POSITIONAL_ONLY)
def test_arguments_are_checked_before_the_connection(name: str, unconnected: Any) -> None:
    assert getattr(unconnected, name)() is misuse(name)
    assert unconnected.last_error() == INVALID


# ---- functions with keywords ----

TOO_LONG = "x" * 1998
Misuse = tuple[str, tuple[Any, ...], dict[str, Any], bool | None, tuple[int, str]]


def of_what_is_open(name: str) -> list[Misuse]:
    return [
        (name, ("EURUSD",), {}, None, UNNAMED),
        (name, (1,), {"symbol": "EURUSD"}, None, UNNAMED),
        (name, (), {"ticket": "1"}, None, (-2, 'Invalid "ticket" argument')),
        (name, (), {"ticket": 1.0}, None, (-2, 'Invalid "ticket" argument')),
        (name, (), {"ticket": None}, None, (-2, 'Invalid "ticket" argument')),
        (name, (), {"symbol": 5}, None, (-2, 'Invalid "symbol" argument')),
        (name, (), {"symbol": "x" * 30}, None, (-2, 'Invalid "symbol" argument')),
        (name, (), {"group": 5}, None, (-2, 'Invalid "group" argument')),
        (name, (), {"group": TOO_LONG}, None, (-2, 'Invalid "group" argument')),
    ]


def of_history(name: str) -> list[Misuse]:
    return [
        (name, (), {}, None, INVALID),
        (name, (1,), {}, None, INVALID),
        (name, (), {"date_from": 0, "date_to": 1}, None, INVALID),
        (name, (), {"group": "*"}, None, INVALID),
        (name, (1,), {"ticket": 1}, None, UNNAMED),
        (name, (1,), {"position": 1}, None, UNNAMED),
        (name, (0, 1), {"group": 5}, None, (-2, 'Invalid "group" argument')),
        (name, (), {"ticket": "1"}, None, (-2, 'Invalid "ticket" argument')),
        (name, (), {"position": 1.0}, None, (-2, 'Invalid "position" argument')),
        (name, ("a", 1), {}, None, INVALID),
    ]


KEYWORD_MISUSE: list[Misuse] = [
    *of_what_is_open("positions_get"),
    *of_what_is_open("orders_get"),
    *of_history("history_orders_get"),
    *of_history("history_deals_get"),
    ("symbols_get", ("*", "*"), {}, False, COUNT),
    ("symbols_get", (5,), {}, False, (-2, "Invalid 1st unnamed argument")),
    ("symbols_get", (), {"group": 5}, False, (-2, 'Invalid "group" argument')),
    ("initialize", ("a", "b"), {}, False, COUNT),
    ("initialize", (5,), {}, False, (-2, "Invalid 1st unnamed argument")),
    ("initialize", (), {"path": 5}, False, (-2, 'Invalid "path" argument')),
    ("initialize", (), {"login": "5001001"}, False, (-2, 'Invalid "login" argument')),
    ("initialize", (), {"password": 5}, False, (-2, 'Invalid "password" argument')),
    ("initialize", (), {"server": 5}, False, (-2, 'Invalid "server" argument')),
    ("initialize", (), {"timeout": "5"}, False, (-2, 'Invalid "timeout" argument')),
    ("initialize", (), {"password": "x" * 254}, False, (-2, 'Invalid "password" argument')),
    ("initialize", ("x" * 259,), {}, False, (-2, "Invalid 1st unnamed argument")),
    ("login", (), {}, False, (-2, 'Invalid "login" argument')),
    ("login", (0,), {}, False, (-2, 'Invalid "login" argument')),
    ("login", (), {"login": "1"}, False, (-2, 'Invalid "login" argument')),
    ("login", (), {"login": 1, "password": 5}, False, (-2, 'Invalid "password" argument')),
]


@pytest.mark.parametrize(
    ("name", "args", "kwargs", "value", "error"), KEYWORD_MISUSE, ids=lambda each: repr(each)[:40]
)
def test_keywords_that_are_wrong(
    name: str,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    value: bool | None,
    error: tuple[int, str],
    mt5: Any,
) -> None:
    assert getattr(mt5, name)(*args, **kwargs) is value
    assert mt5.last_error() == error


@pytest.mark.parametrize("name", ["positions_get", "orders_get", "symbols_get"])
def test_unknown_keywords_are_ignored(name: str, mt5: Any) -> None:
    assert len(getattr(mt5, name)(nonsense=1)) == len(getattr(mt5, name)())
    assert mt5.last_error() == SUCCESS


@pytest.mark.parametrize("name", ["history_orders_get", "history_deals_get"])
def test_with_two_dates_only_the_group_is_read(name: str, mt5: Any) -> None:
    everything = getattr(mt5, name)(0, 1 << 33)
    assert getattr(mt5, name)(0, 1 << 33, ticket="no ticket", position=1.0) == everything


# ---- failures of the terminal ----

FAILURES: list[tuple[str, tuple[Any, ...], bool | None, tuple[int, str]]] = [
    ("symbol_info", ("NOPE",), None, (-4, "Terminal: Not found")),
    ("symbol_info_tick", ("NOPE",), None, (-4, "Terminal: Not found")),
    ("symbol_select", ("NOPE",), False, (-4, "Terminal: Not found")),
    ("market_book_add", ("NOPE",), False, SUCCESS),
    ("market_book_release", ("NOPE",), False, SUCCESS),
    ("copy_rates_from_pos", ("NOPE", 1, 0, 1), None, (-4, "Terminal: Not found")),
    ("copy_rates_from_pos", ("EURUSD", 7, 0, 1), None, (-2, "Terminal: Invalid params")),
    ("copy_rates_from_pos", ("EURUSD", 1, 0, 1 << 30), None, (-2, "Terminal: Invalid params")),
    ("copy_ticks_from", ("NOPE", 0, 1, -1), None, (-4, "Terminal: Not found")),
    ("order_calc_margin", (0, "NOPE", 1.0, 1.0), None, (-4, "Terminal: Not found")),
    ("order_calc_profit", (0, "NOPE", 1.0, 1.0, 1.0), None, (-4, "Terminal: Not found")),
]


@pytest.mark.parametrize(("name", "args", "value", "error"), FAILURES, ids=lambda each: repr(each)[:40])
def test_a_failure_of_the_terminal(
    name: str, args: tuple[Any, ...], value: bool | None, error: tuple[int, str], mt5: Any
) -> None:
    assert getattr(mt5, name)(*args) is value
    assert mt5.last_error() == error
    assert mt5.symbols_total() > 0
    assert mt5.last_error() == SUCCESS  # each call begins with it

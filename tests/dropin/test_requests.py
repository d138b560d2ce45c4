"""Trade requests: what `order_send` and `order_check` take, and what they answer."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from tests.dropin.surface import SURFACE

RULES = SURFACE["client_argument_errors"]["request_fields"]
SUCCESS = (1, "Success")
CHECKED = RULES["error"].split("in the order ")[1].split(";")[0].split(", ")
INTEGERS = RULES["int_fields"].split(" must be")[0].split(", ")
UNSIGNED = RULES["int_fields"].split("; ")[-1].split(" unsigned")[0].split("/")
FLOATS = RULES["float_fields"].split(" must be")[0].split(", ")
TEXTS = ["symbol", "comment"]
BOTH = pytest.mark.parametrize("name", ["order_check", "order_send"])

WRONG: list[tuple[str, Any]] = [
    *((field, wrong) for field in INTEGERS for wrong in (1.0, "1", None, np.int64(1))),
    *((field, -1) for field in UNSIGNED),
    *((field, 1 << 64) for field in UNSIGNED),
    *((field, wrong) for field in FLOATS for wrong in (1, 0, True, "1", None, np.float32(1))),
    *((field, wrong) for field in TEXTS for wrong in (5, None, b"a", "x" * 30)),
]


def test_the_rules_cover_every_field(mt5: Any) -> None:
    assert sorted(CHECKED) == sorted(INTEGERS + FLOATS + TEXTS) == sorted(mt5.TradeRequest.__match_args__)


@BOTH
@pytest.mark.parametrize(("field", "wrong"), WRONG, ids=lambda each: repr(each)[:20])
def test_a_field_of_a_wrong_type(name: str, field: str, wrong: Any, mt5: Any) -> None:
    assert getattr(mt5, name)({field: wrong}) is None
    assert mt5.last_error() == (-2, f'Invalid "{field}" argument')


@BOTH
@pytest.mark.parametrize(("first", "second"), [*pairwise(CHECKED)])
def test_the_first_bad_field_wins(name: str, first: str, second: str, mt5: Any) -> None:
    requests: list[dict[str, Any]] = [{first: [], second: []}, {second: [], first: []}]
    for request in requests:
        assert getattr(mt5, name)(request) is None
        assert mt5.last_error() == (-2, f'Invalid "{first}" argument')


RIGHT: list[tuple[str, Any]] = [
    *((field, True) for field in INTEGERS),
    *((field, (1 << 64) - 1) for field in UNSIGNED),
    *((field, np.float64(1.5)) for field in FLOATS),
    *((field, "x" * 29) for field in TEXTS),
    ("unheard_of", object()),
]


@pytest.mark.parametrize(("field", "right"), RIGHT, ids=lambda each: repr(each)[:20])
def test_a_field_of_a_right_type(field: str, right: Any, mt5: Any) -> None:
    result = mt5.order_check({field: right})
    assert result.retcode != 0
    assert mt5.last_error() == SUCCESS
    if field != "unheard_of":
        value = getattr(result.request, field)
        assert value == right
        assert type(value) in (int, float, str)


def test_missing_fields_are_zero(mt5: Any) -> None:
    assert mt5.order_check({}).request == (0, 0, 0, "", 0.0, 0.0, 0.0, 0.0, 0.0, 0, 0, 0, 0, 0, "", 0, 0)


@BOTH
def test_an_empty_request_is_answered(name: str, mt5: Any) -> None:
    for args, kwargs in (((), {}), (({},), {}), ((), {"request": {"action": 1}})):
        result = getattr(mt5, name)(*args, **kwargs)
        assert (result.retcode, result.comment) == (10013, "Invalid request")
        assert result.request.action == 0
        assert mt5.last_error() == SUCCESS


@BOTH
def test_how_a_request_may_come(name: str, mt5: Any) -> None:
    function = getattr(mt5, name)
    request = mt5.TradeRequest(mt5.order_check({}).request)
    wrong: list[tuple[tuple[Any, ...], dict[str, Any], str]] = [
        (({},), {"action": 1}, "Unnamed arguments not allowed"),
        (({}, {}), {}, "Invalid number of arguments"),
        ((request,), {}, "Invalid arguments"),
        ((None,), {}, "Invalid arguments"),
        (([("action", 1)],), {}, "Invalid arguments"),
    ]
    for args, kwargs, text in wrong:
        assert function(*args, **kwargs) is None
        assert mt5.last_error() == (-2, text)


def test_a_request_as_keywords_is_carried_out(flat: Any) -> None:
    mt5 = flat
    deal = {"action": 1, "symbol": "EURUSD", "volume": 0.01, "type": 0, "type_filling": 1, "magic": 7}
    assert mt5.order_check(**deal).retcode == SURFACE["order_check_ok"]["retcode"]
    assert mt5.order_check(deal).comment == SURFACE["order_check_ok"]["comment"]
    sent = mt5.order_send(**deal)
    assert (sent.retcode, sent.comment) == (10009, "Request executed")
    assert sent.request._asdict() | deal == sent.request._asdict()
    assert mt5.positions_get(ticket=sent.order)[0].magic == 7


COMMENTS = [row for row in SURFACE["trade_retcodes"] if row["recorded_comment"]]


@pytest.mark.parametrize("row", COMMENTS, ids=lambda row: row["name"])
def test_the_comment_of_a_retcode_is_the_recorded_one(row: dict[str, Any]) -> None:
    """Comments of the other codes were not recorded and are not asserted."""
    from mt5crs.terminal.simulated.trading.retcodes import COMMENTS as OURS

    if row["code"] in OURS:
        assert OURS[row["code"]] == row["recorded_comment"]
    else:  # the simulated terminal's own button is always on
        assert row["name"] == "TRADE_RETCODE_CLIENT_DISABLES_AT"


def test_a_rejected_order_is_a_result_not_an_error(mt5: Any) -> None:
    result = mt5.order_send(action=1, symbol="EURUSD", volume=1e9, type=0, type_filling=1)
    assert (result.retcode, result.order, result.deal, result.request_id) == (10014, 0, 0, 0)
    assert mt5.last_error() == SUCCESS


def test_a_subclass_of_dict_is_a_request(mt5: Any) -> None:
    class Fields(dict[str, Any]):
        pass

    assert mt5.order_check(Fields(action=99)).request.action == 99

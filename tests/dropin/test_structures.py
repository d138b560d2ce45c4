"""The 11 structures as CPython structure sequences, and their values from a terminal.

What a structure's type says of itself beyond this (`sys.getsizeof`, the text of a wrong assignment) could not
be compared with the official package here and is not claimed.
"""

import copy
import pickle
from typing import Any

import pytest

from tests.dropin.surface import STRUCTURES

TYPES: dict[str, type] = {"int": int, "float": float, "str": str, "bool": bool}
NAMES = list(STRUCTURES)


@pytest.fixture
def live(flat: Any) -> dict[str, Any]:
    """A value of each structure, as the functions return them."""
    mt5 = flat
    price = round(mt5.symbol_info_tick("EURUSD").bid * 0.9, 5)
    deal = {"action": 1, "symbol": "EURUSD", "volume": 0.02, "type": 0, "type_filling": 1}
    sent = mt5.order_send(deal)
    assert mt5.order_send({**deal, "action": 5, "type": 2, "price": price}).retcode == 10009
    return {
        "Tick": mt5.symbol_info_tick("EURUSD"),
        "OrderSendResult": sent,
        "OrderCheckResult": mt5.order_check(deal),
        "TradeRequest": sent.request,
        "TradePosition": mt5.positions_get()[0],
        "TradeOrder": mt5.orders_get()[0],
        "TradeDeal": mt5.history_deals_get(ticket=sent.order)[0],
        "BookInfo": mt5.BookInfo((1, 1.1, 2, 2.0)),  # the simulated symbols have no depth
        "AccountInfo": mt5.account_info(),
        "TerminalInfo": mt5.terminal_info(),
        "SymbolInfo": mt5.symbol_info("EURUSD"),
    }


@pytest.fixture(params=NAMES)
def row(request: pytest.FixtureRequest, live: dict[str, Any]) -> tuple[str, Any]:
    name: str = request.param
    return name, live[name]


def test_fields_have_their_names_order_and_types(row: tuple[str, Any], mt5: Any) -> None:
    name, value = row
    fields = STRUCTURES[name]
    names = tuple(field["name"] for field in fields)
    kind = type(value)
    assert kind is getattr(mt5, name)
    assert kind.__match_args__ == names
    assert (kind.n_fields, kind.n_sequence_fields, kind.n_unnamed_fields) == (len(fields), len(fields), 0)
    types = {**TYPES, "TradeRequest": mt5.TradeRequest}
    wrong = {
        field["name"]: each
        for field, each in zip(fields, value, strict=True)
        if type(each) is not types[field["type"]]
    }
    assert wrong == {}


def test_values_by_name_index_and_pattern(row: tuple[str, Any]) -> None:
    _, value = row
    for place, name in enumerate(type(value).__match_args__):
        assert getattr(value, name) == value[place]
    assert value._asdict() == dict(zip(type(value).__match_args__, value, strict=True))
    assert type(value._asdict()) is dict
    assert list(value._asdict()) == list(type(value).__match_args__)
    assert value[-1] == tuple(value)[-1]
    assert value[:2] == tuple(value)[:2]


def test_repr_equality_and_hash(row: tuple[str, Any]) -> None:
    name, value = row
    inside = ", ".join(f"{field}={each!r}" for field, each in value._asdict().items())
    assert repr(value) == f"{name}({inside})"
    assert value == tuple(value)
    assert hash(value) == hash(tuple(value))
    assert isinstance(value, tuple)


def test_type_is_made_as_a_structure_sequence(row: tuple[str, Any]) -> None:
    name, value = row
    kind = type(value)
    assert (kind.__name__, kind.__module__) == (name, "builtins")
    assert not [each for each in ("_fields", "_replace", "_make", "_field_defaults") if hasattr(value, each)]
    assert kind(list(value)) == kind(iter(value)) == value
    assert kind(tuple(value), {}) == value
    for wrong in (tuple(value)[:-1], (*value, 1), ()):
        with pytest.raises(TypeError, match=rf"{name}\(\) takes .*{len(value)}-sequence"):
            kind(wrong)
    for arguments in ((), (5,), tuple(value)):
        with pytest.raises(TypeError):
            kind(*arguments)
    with pytest.raises(TypeError):
        kind(**value._asdict())


def test_values_do_not_change(row: tuple[str, Any]) -> None:
    _, value = row
    for name in (type(value).__match_args__[0], "another"):
        with pytest.raises(AttributeError):
            setattr(value, name, 1)
    with pytest.raises(TypeError):
        value[0] = 1


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("name", NAMES)
def test_cannot_be_pickled_but_copied(name: str, protocol: int, mt5: Any) -> None:
    fields = STRUCTURES[name]
    value = getattr(mt5, name)(range(len(fields)))
    with pytest.raises(pickle.PicklingError):
        pickle.dumps(value, protocol)
    for copied in (copy.copy(value), copy.deepcopy(value)):
        assert copied == value
        assert type(copied) is type(value)


def test_a_nested_request_stays_a_structure(live: dict[str, Any], mt5: Any) -> None:
    for name in ("OrderSendResult", "OrderCheckResult"):
        result = live[name]
        assert type(result._asdict()["request"]) is mt5.TradeRequest
        assert result.request.symbol == "EURUSD"
        assert copy.deepcopy(result) == result
        assert "request=TradeRequest(action=1, magic=0" in repr(result)


def test_a_match_statement_takes_fields_in_order(live: dict[str, Any], mt5: Any) -> None:
    match live["TradePosition"]:
        case mt5.TradePosition(ticket, symbol=symbol):
            assert (ticket, symbol) == (live["TradePosition"].ticket, "EURUSD")
        case other:
            pytest.fail(f"{other!r} did not match")

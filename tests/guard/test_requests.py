"""What a request would do, as the guard reads it: it reads what the terminal reads."""

from typing import Any

import pytest

from mt5crs import constants as c
from mt5crs.guard.facts import Facts, Quote
from mt5crs.guard.requests import Asked, Effect, read, senseless
from mt5crs.guard.reservations import unread
from mt5crs.model import REQUEST_DEFAULTS, TradePosition, TradeRequest
from tests.guard.bench import buy, sell

FULL: dict[str, Any] = {
    "action": 1, "magic": 7, "order": 5, "symbol": "EURUSD", "volume": 1.0, "price": 1.1, "stoplimit": 1.2,
    "sl": 1.0, "tp": 2.0, "deviation": 3, "type": 1, "type_filling": 1, "type_time": 1, "expiration": 9,
    "comment": "x", "position": 1, "position_by": 2,
}  # fmt: skip
ACTIONS = (1, 5, 6, 7, 8, 10)


def position(ticket: int, symbol: str = "EURUSD", kind: int = 0, volume: float = 1.0) -> TradePosition:
    given = {"ticket": ticket, "identifier": ticket, "symbol": symbol, "type": kind, "volume": volume}
    return TradePosition(given.get(name, 0) for name in TradePosition.__match_args__)


def facts(*positions: TradePosition, hedging: bool = False) -> Facts:
    quotes = {"EURUSD": Quote(1.1, 1.2, 1e5), "GBPUSD": Quote(1.3, 1.4, 1e5)}
    return Facts(1, 0.0, hedging, {}, {each.ticket: each for each in positions}, quotes)


def seen(asked: Asked) -> dict[str, Any]:
    return {name: getattr(asked, name) for name in Asked.__slots__}


def test_the_table_has_every_field_of_a_request() -> None:
    assert tuple(REQUEST_DEFAULTS) == TradeRequest.__match_args__


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("left_out", REQUEST_DEFAULTS)
@pytest.mark.parametrize("hedging", [True, False])
def test_a_field_that_is_left_out_is_what_the_terminal_takes_it_for(
    action: int, left_out: str, hedging: bool
) -> None:
    full = {**FULL, "action": action}
    absent = {name: value for name, value in full.items() if name != left_out}
    written = {**full, left_out: REQUEST_DEFAULTS[left_out]}
    shown = facts(position(1), position(2, kind=1), hedging=hedging)
    for known in (None, shown):
        assert seen(read(absent, known, {})) == seen(read(written, known, {}))
    assert seen(unread(absent)) == seen(unread(written))
    assert senseless(absent) == senseless(written)


@pytest.mark.parametrize("hedging", [True, False])
def test_a_deal_that_names_a_position_of_another_symbol_does_not_close_it(hedging: bool) -> None:
    shown = facts(position(1), position(2, "GBPUSD"), hedging=hedging)
    assert read(sell(1.0, position=1), shown, {}).effect is Effect.REDUCES
    for request in (sell(1.0, position=2), sell(1.0, "", position=1), sell(1.0, position=99)):
        asked = read(request, shown, {})
        assert asked.effect is Effect.ADDS
        assert bool(asked.strange) is (request["position"] != 99)


@pytest.mark.parametrize("hedging", [True, False])
def test_a_deal_of_another_type_than_buy_or_sell_closes_nothing(hedging: bool) -> None:
    shown = facts(position(1), hedging=hedging)
    for kind in range(-1, 10):
        effect = read({**sell(1.0), "type": kind, "position": 1}, shown, {}).effect
        assert (effect is Effect.REDUCES) is (kind == c.ORDER_TYPE_SELL)


@pytest.mark.parametrize("field", ["symbol", "comment"])
@pytest.mark.parametrize("text", ["EURUSD\0", "EUR\nUSD", "\x1b[31m", "EUR\u200bUSD"])
def test_what_does_not_show_is_nothing_to_judge_by(field: str, text: str) -> None:
    told = senseless({**buy(), field: text})
    assert told.startswith(f"{field} ")
    assert told.isprintable()
    assert senseless(buy(comment="a b ü")) == ""

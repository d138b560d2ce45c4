"""What prices are compared with where trades are published; section 5 of the semantics digest."""

import msgspec
import pytest

from mt5crs.model import Tick
from mt5crs.terminal.simulated.instruments.catalogue import Instrument
from mt5crs.terminal.simulated.instruments.loading import load_catalogue
from mt5crs.terminal.simulated.trading.levels import proper_price, trigger_prices

QUOTE = Tick((1, 100.0, 101.0, 100.25, 0, 1000, 0, 0.0))


def instrument(**fields: object) -> Instrument:
    usual = {"digits": 2, "tick_size": 0.25}
    return msgspec.structs.replace(load_catalogue().symbols["US500"], **(usual | fields))


@pytest.mark.parametrize(
    ("has_last", "tick", "expected"),
    [
        (False, QUOTE, (100.0, 101.0)),
        (True, QUOTE, (100.25, 100.25)),
        (True, Tick((1, 100.0, 101.0, 0.0, 0, 1000, 0, 0.0)), (100.0, 101.0)),  # no trade yet
    ],
)
def test_stops_look_at_trades_where_these_are_published(
    has_last: bool, tick: Tick, expected: tuple[float, float]
) -> None:
    assert trigger_prices(instrument(has_last=has_last), tick) == expected


@pytest.mark.parametrize(
    ("exemode", "price", "expected"),
    [
        (2, 100.1049, 100.1),  # over the counter: to the digits
        (3, 100.25000000001, 100.25),
        (3, 100.1049, 100.1049),  # off an exchange's tick size: left as it is, to be refused
        (2, float("inf"), float("inf")),
    ],
)
def test_prices_are_rounded_where_that_cannot_change_them(
    exemode: int, price: float, expected: float
) -> None:
    assert proper_price(instrument(exemode=exemode), price) == expected

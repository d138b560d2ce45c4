"""Time may pass in one step or in many: the account's history is the same."""

from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st

from mt5crs.terminal.simulated import SimulatedConfig
from tests.terminal.desk import OPENING, Desk
from tests.terminal.test_invariants import near, story

SYMBOLS = ("EURUSD", "USDJPY", "EURJPY", "XAUUSD")
SIDES = st.integers(0, 1)
SYMBOL = st.sampled_from(SYMBOLS)
NEAR = st.integers(5, 120)
EVENING = OPENING + 86_400 - 900  # a midnight is among the seconds that pass
SPAN = 1800.0

POSITION = st.tuples(st.just("open"), SYMBOL, SIDES, st.integers(1, 40), NEAR, NEAR)
ORDER = st.tuples(st.just("pend"), SYMBOL, st.integers(2, 7), st.integers(1, 40), NEAR, st.integers(1, 1700))
SECOND = st.one_of(st.floats(0.0, SPAN), st.integers(0, int(SPAN)).map(float))  # minutes open with a tick
LATER = st.tuples(SECOND, st.one_of(POSITION, ORDER))


def perform(desk: Desk, step: tuple[Any, ...]) -> None:
    kind, symbol, side, hundredths, points, more = step
    volume = hundredths / 100
    if kind == "open":
        away = points if side == 0 else -points
        stops = {"sl": near(desk, symbol, -away), "tp": near(desk, symbol, more if side == 0 else -more)}
        desk.deal(side, volume, symbol=symbol, **stops)
        return
    above = side in {3, 4, 6}
    price = near(desk, symbol, points + 25 if above else -points)
    levels = {
        "stoplimit": near(desk, symbol, points if above else -points + 25),
        "type_time": 2,
        "expiration": int(EVENING) + more,
        "sl": near(desk, symbol, -400 if side in {2, 4, 6} else 400),
    }
    desk.pend(side, price, symbol=symbol, volume=volume, **levels)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.one_of(POSITION, ORDER), max_size=6),
    st.lists(LATER, max_size=3),
    st.lists(SECOND, max_size=30),
    st.integers(1, 9),
    st.sampled_from([2000.0, 10_000.0]),
)
def test_history_does_not_depend_on_the_steps(
    first: list[tuple[Any, ...]],
    later: list[tuple[float, tuple[Any, ...]]],
    stops: list[float],
    seed: int,
    deposit: float,
) -> None:
    config = SimulatedConfig(seed=seed, start=EVENING, speed=1.0, deposit=deposit)
    one, many = Desk(config), Desk(config)
    for desk, steps in ((one, []), (many, stops)):
        for step in first:
            perform(desk, step)
        events: list[tuple[float, int, Any]] = [(second, 0, None) for second in steps]
        events += [(second, place + 1, step) for place, (second, step) in enumerate(later)]
        for second, _place, step in sorted(events, key=lambda entry: entry[:2]):
            desk.clock.now = OPENING + second
            if step is None:
                desk.terminal.advance()
            else:
                perform(desk, step)
        desk.clock.now = OPENING + SPAN + 1
    told = story(one)
    event(f"{min(len(told[3]), 4)} orders or more were done")
    assert told == story(many)

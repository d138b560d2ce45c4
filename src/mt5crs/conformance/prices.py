"""Bars and ticks."""

from collections.abc import Callable
from typing import Any

from mt5crs.conformance.calls import SUCCESS, Call, answer, failure
from mt5crs.conformance.desk import Desk
from mt5crs.conformance.rule import NotApplicable, Rules, wrong

RULES = Rules("prices")

MINUTE, HOUR, DAY = 60, 3600, 86_400
WEEK = 7 * DAY
SUNDAY = 3 * DAY  # 1970-01-04, a Sunday
BIDS_AND_ASKS = 2 | 4

_PERIODS = {
    **{f"M{minutes}": minutes * MINUTE for minutes in (2, 3, 4, 5, 6, 10, 12, 15, 20, 30)},
    **{f"H{hours}": hours * HOUR for hours in (1, 2, 3, 4, 6, 8, 12)},
    "D1": DAY,
    "W1": WEEK,
}


def _week(desk: Desk) -> int:
    """Return the Sunday on which a week began that is over for a week."""
    return (int(desk.tick.time) - SUNDAY) // WEEK * WEEK + SUNDAY - 2 * WEEK


def _minutes(mt5: Any, desk: Desk) -> Any:
    """Return the minute bars of that week."""
    start = _week(desk)
    bars = mt5.copy_rates_range(desk.name, mt5.TIMEFRAME_M1, start, start + WEEK - 1)
    if bars is None or not len(bars):
        raise NotApplicable(f"there are no minute bars of {desk.name} two weeks ago")
    return bars


def _noon(mt5: Any, desk: Desk) -> int:
    """Return the time of a bar in the middle of that week."""
    bars = _minutes(mt5, desk)
    return int(bars["time"][len(bars) // 2])


def _built(name: str, period: int) -> Callable[[Any, Desk], object]:
    def observe(mt5: Any, desk: Desk) -> object:
        minutes, start = _minutes(mt5, desk), _week(desk)
        bars = mt5.copy_rates_range(desk.name, getattr(mt5, f"TIMEFRAME_{name}"), start, start + WEEK - 1)
        return tuple(_differing(minutes, bars, period))[:3]

    return observe


def _differing(minutes: Any, bars: Any, period: int) -> Any:
    """Yield what is wrong with bars, given the minutes of the same stretch."""
    anchor = SUNDAY if period == WEEK else 0
    opened = (minutes["time"] - anchor) // period * period + anchor
    times = sorted(set(opened.tolist()))
    if bars["time"].tolist() != times:
        yield f"{len(bars)} bars, not {len(times)} with the expected times"
        return
    for bar in bars:
        own = minutes[opened == bar["time"]]
        built = {
            "open": own["open"][0],
            "high": own["high"].max(),
            "low": own["low"].min(),
            "close": own["close"][-1],
            "tick_volume": own["tick_volume"].sum(),
            "spread": own["spread"].min(),
        }
        yield from (f"{field} at {bar['time']}" for field, value in built.items() if bar[field] != value)


for _name, _period in _PERIODS.items():
    RULES.add(f"built_{_name}", f"{_name} bars are built up from M1 bars", "R", _built(_name, _period), ())

# name, statement, call
_FAILURES: tuple[tuple[str, str, Call], ...] = (
    (
        "symbol",
        "Bars of an unknown symbol fail",
        lambda m, _s: m.copy_rates_from_pos("NO.SUCH", 1, 0, 1),
    ),
    ("timeframe", "7 is no timeframe", lambda m, s: m.copy_rates_from_pos(s, 7, 0, 1)),
    (
        "maxbars",
        "As many bars as the terminal keeps at most are refused whole",
        lambda m, s: m.copy_rates_from_pos(s, 1, 0, m.terminal_info().maxbars),
    ),
    (
        "tick_symbol",
        "Ticks of an unknown symbol fail",
        lambda m, _s: m.copy_ticks_from("NO.SUCH", 0, 1, -1),
    ),
)
for _name, _statement, _call in _FAILURES:
    RULES.add(f"unknown_{_name}", _statement, "F", failure(_call), True)


@RULES.rule("ascending", "Bars ascend in time", "D")
def _ascending(mt5: Any, desk: Desk) -> object:
    times = _minutes(mt5, desk)["time"].tolist()
    return wrong(times=(times == sorted(set(times)), True))


@RULES.rule("sane", "A bar's high and low hold its open and close", "D", True)
def _sane(mt5: Any, desk: Desk) -> object:
    bars = _minutes(mt5, desk)
    within = (bars["low"] <= bars["open"]) & (bars["open"] <= bars["high"])
    return bool((within & (bars["low"] <= bars["close"]) & (bars["close"] <= bars["high"])).all())


@RULES.rule("present", "The bar at position 0 is that of the last tick", "D")
def _present(mt5: Any, desk: Desk) -> object:
    def look() -> tuple[int, int, int]:
        before = desk.tick.time
        bar = int(mt5.copy_rates_from_pos(desk.name, mt5.TIMEFRAME_M1, 0, 1)["time"][0])
        return before // MINUTE, bar // MINUTE, desk.tick.time // MINUTE

    before, bar, after = look()
    if before != after:  # a minute began between the calls; two in a row do not
        before, bar, after = look()
    return wrong(minute=(bar, before))


@RULES.rule("position", "Bars by position end at it, and count back", "D", True)
def _position(mt5: Any, desk: Desk) -> object:
    def look() -> tuple[Any, Any, bool]:
        first = mt5.copy_rates_from_pos(desk.name, mt5.TIMEFRAME_H1, 0, 10)["time"].tolist()
        part = mt5.copy_rates_from_pos(desk.name, mt5.TIMEFRAME_H1, 5, 3)["time"].tolist()
        again = mt5.copy_rates_from_pos(desk.name, mt5.TIMEFRAME_H1, 0, 1)["time"].tolist()
        return first[2:5], part, again == first[-1:]

    expected, part, still = look()
    if not still:  # an hour began between the calls
        expected, part, still = look()
    return expected == part


@RULES.rule("from", "Bars from a date end with the newest at or before it", "D")
def _from(mt5: Any, desk: Desk) -> object:
    noon = _noon(mt5, desk)
    exact = mt5.copy_rates_from(desk.name, mt5.TIMEFRAME_M1, noon, 5)["time"]
    later = mt5.copy_rates_from(desk.name, mt5.TIMEFRAME_M1, noon + 59, 5)["time"]
    return wrong(last=(int(exact[-1]), noon), count=(len(exact), 5), later=(int(later[-1]), noon))


@RULES.rule("range", "A range of bars includes both its ends", "DR")
def _range(mt5: Any, desk: Desk) -> object:
    bars = _minutes(mt5, desk)["time"]
    first, last = int(bars[len(bars) // 2]), int(bars[len(bars) // 2 + 9])
    times = mt5.copy_rates_range(desk.name, mt5.TIMEFRAME_M1, first, last)["time"]
    inside = mt5.copy_rates_range(desk.name, mt5.TIMEFRAME_M1, first + 1, last - 1)["time"]
    return wrong(
        ends=((int(times[0]), int(times[-1])), (first, last)), bars=(len(times), 10), inside=(len(inside), 8)
    )


@RULES.rule("date_float", "A float date is cut to whole seconds", "B")
def _date_float(mt5: Any, desk: Desk) -> object:
    noon = _noon(mt5, desk)
    bars = mt5.copy_rates_range(desk.name, mt5.TIMEFRAME_M1, noon + 0.9, noon + 0.9)["time"]
    return wrong(times=(bars.tolist(), [noon]))


@RULES.rule("date_naive", "A naive datetime is local time of this process", "BD")
def _date_naive(mt5: Any, desk: Desk) -> object:
    from datetime import datetime, timezone

    noon = _noon(mt5, desk)
    naive = datetime.fromtimestamp(noon)  # noqa: DTZ006 - that is the rule
    dates = (naive, datetime.fromtimestamp(noon, timezone.utc))
    ends = [int(mt5.copy_rates_from(desk.name, mt5.TIMEFRAME_M1, date, 1)["time"][-1]) for date in dates]
    return wrong(ends=(ends, [noon, noon]))


@RULES.rule("none", "An interval without bars is an empty array and success", "BF", (0, SUCCESS))
def _none(mt5: Any, desk: Desk) -> object:
    noon = _noon(mt5, desk)  # no bar opens between two minutes
    bars = mt5.copy_rates_range(desk.name, mt5.TIMEFRAME_M1, noon + 1, noon + 59)
    return len(bars), tuple(mt5.last_error())


@RULES.rule("forex_volume", "Bars of currency pairs have no real volume", "R", 0)
def _forex_volume(mt5: Any, desk: Desk) -> object:
    if desk.info.trade_calc_mode != mt5.SYMBOL_CALC_MODE_FOREX:
        raise NotApplicable(f"{desk.name} is no currency pair")
    return int(_minutes(mt5, desk)["real_volume"].sum())


@RULES.rule("array", "An array is packed, one-dimensional, its own and read-only", "B", (60, 1, True, False))
def _array(mt5: Any, desk: Desk) -> object:
    bars = mt5.copy_rates_from_pos(desk.name, mt5.TIMEFRAME_M1, 0, 3)
    return bars.dtype.itemsize, bars.ndim, bars.flags.owndata, bars.flags.writeable


# ---- ticks ----


def _ticks(mt5: Any, desk: Desk, flags: int) -> Any:
    start = _noon(mt5, desk)
    ticks = mt5.copy_ticks_range(desk.name, start, start + 10 * MINUTE, flags)
    if ticks is None or not len(ticks):
        raise NotApplicable(f"there are no ticks of {desk.name} two weeks ago")
    return ticks


@RULES.rule("ticks", "Ticks ascend in time, and seconds are their milliseconds, cut", "D")
def _ticks_ascend(mt5: Any, desk: Desk) -> object:
    ticks = _ticks(mt5, desk, mt5.COPY_TICKS_ALL)
    times = ticks["time_msc"].tolist()
    return wrong(
        order=(times, sorted(times)), seconds=(ticks["time"].tolist(), [each // 1000 for each in times])
    )


@RULES.rule("ticks_range", "A range of ticks holds nothing else", "D", True)
def _ticks_range(mt5: Any, desk: Desk) -> object:
    start = _noon(mt5, desk)
    times = _ticks(mt5, desk, mt5.COPY_TICKS_ALL)["time_msc"]
    return bool(times[0] >= start * 1000 and times[-1] <= (start + 10 * MINUTE) * 1000)


@RULES.rule("ticks_from", "Ticks from a date are the first at or after it", "D", True)
def _ticks_from(mt5: Any, desk: Desk) -> object:
    ticks = _ticks(mt5, desk, mt5.COPY_TICKS_ALL)
    count = min(len(ticks), 20)
    first = mt5.copy_ticks_from(desk.name, _noon(mt5, desk), count, mt5.COPY_TICKS_ALL)
    return first.tolist() == ticks[:count].tolist()


@RULES.rule("ticks_second", "Ticks from a second begin with its first, equal times too", "D")
def _ticks_second(mt5: Any, desk: Desk) -> object:
    ticks = _ticks(mt5, desk, mt5.COPY_TICKS_ALL)
    seconds = ticks["time"].tolist()
    busiest = max(seconds[len(seconds) // 2 :], key=seconds.count)
    own = ticks[ticks["time"] == busiest].tolist()
    counts = {"one": 1, "some": (len(own) + 1) // 2, "every": len(own)}
    found = {
        name: (mt5.copy_ticks_from(desk.name, busiest, count, mt5.COPY_TICKS_ALL).tolist(), own[:count])
        for name, count in counts.items()
    }
    return wrong(**found)


def _new_tick(desk: Desk) -> None:
    """Wait for a tick."""
    last = desk.tick.time_msc
    if not desk.until(lambda: desk.tick.time_msc != last):
        raise NotApplicable(f"no tick of {desk.name} came")


@RULES.rule("ticks_added", "New ticks come behind those that were there, equal times too", "K", True)
def _ticks_added(mt5: Any, desk: Desk) -> object:
    second = int(desk.tick.time)
    before = mt5.copy_ticks_from(desk.name, second, 10_000, mt5.COPY_TICKS_ALL).tolist()
    _new_tick(desk)
    after = mt5.copy_ticks_from(desk.name, second, 10_000, mt5.COPY_TICKS_ALL).tolist()
    return 0 < len(before) < len(after) and after[: len(before)] == before


@RULES.rule("closed", "A bar before the present one does not change any more", "K", True)
def _closed(mt5: Any, desk: Desk) -> object:
    before = mt5.copy_rates_from_pos(desk.name, mt5.TIMEFRAME_M1, 1, 3).tolist()
    _new_tick(desk)
    after = mt5.copy_rates_from_pos(desk.name, mt5.TIMEFRAME_M1, 0, 10).tolist()
    return all(bar in after[:-1] for bar in before)


@RULES.rule("ticks_info", "COPY_TICKS_INFO keeps the ticks that changed bid or ask", "D")
def _ticks_info(mt5: Any, desk: Desk) -> object:
    every, info = (_ticks(mt5, desk, flags) for flags in (mt5.COPY_TICKS_ALL, mt5.COPY_TICKS_INFO))
    changed = every[(every["flags"] & BIDS_AND_ASKS) != 0]
    return wrong(ticks=(len(info), len(changed)), flags=(bool((info["flags"] & BIDS_AND_ASKS).all()), True))


RULES.add(
    "ticks_none",
    "A range without ticks is an empty array and success",
    "BF",
    lambda mt5, desk: (len(mt5.copy_ticks_range(desk.name, 1, 2, -1)), tuple(mt5.last_error())),
    (0, SUCCESS),
)
RULES.add(
    "ticks_misuse",
    "Flags are a number",
    "B",
    answer(lambda m, s: m.copy_ticks_from(s, None, 1, -1)),
    (None, (-2, "Invalid arguments")),
)

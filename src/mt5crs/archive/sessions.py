"""When a symbol usually trades, learned from its bars, and what is missing of it.

MetaTrader's functions for Python tell no sessions, so the archive itself has to. The rule, for bars of any
timeframe, a slot being the time of one bar:

- **Open.** Pauses of up to `PAUSE` minutes within a day's trading count as traded. A slot of a week is open
  if it was traded in more than half of the weeks around it, `WEEKS` before to `WEEKS` after. Where fewer than
  three weeks are known, days with bars are compared with one another instead, and before the first day of
  such a row and after its last nothing is judged.
- **Shifts.** A week with bars at times when the fullest week has none is moved by an hour, earlier or later,
  where that explains them: servers and exchanges change their clocks on different days. Only bars decide
  that, never missing ones.
- **Quiet.** How long a symbol usually pauses is learned for each hour of the day: the longest pause that
  begins in it, of 19 days in 20. A stretch of open slots is missing if it is longer than `PATIENCE` times
  that, and as long as `SHORTEST` minutes; where a session begins or ends, `LATE` minutes: first prices often
  come late. Of bars longer than an hour one may be absent there.
- **Holidays.** A stretch is none where all its days are holidays (`holidays`) and it begins or ends at
  midnight or with a session, or is a whole day long: markets then close early, open late or stay closed.

A symbol that hardly trades has no usual minutes, and nothing of it is missing. What one timeframe does not
tell another one may: see `check`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mt5crs.archive.holidays import is_holiday
from mt5crs.bars import Times, open_time, open_times
from mt5crs.constants import TIMEFRAME_MN1
from mt5crs.timeframes import DAY, MINUTE, PERIODS, WEEK

PAUSE = 20
"""Minutes without bars that part no sessions."""
WEEKS = 8
"""Weeks before and after one with which it is compared."""
SHORTEST = 5
"""Minutes below which a stretch is never missing."""
LATE = 15
"""The same at the edge of a session."""
PATIENCE = 3
"""How often a usual pause may be exceeded."""
USUAL = 0.95
"""Share of the days whose longest pause is usual."""
RARE = 4
"""A slot that had no bar in three of so many weeks, or more, is a break."""
FEWEST_WEEKS = 3
SHIFT = 60
"""Minutes by which clocks are changed."""
SHIFTED_FROM = 30
"""Minutes of bars in closed time that let a week be compared with shifted ones."""
THURSDAY = 4
"""The day of the week of 1970-01-01, Sunday being 0."""
HOUR = 3600
HOURS = 24

Mask = NDArray[np.bool_]
Ints = NDArray[np.int64]


class Stretch(NamedTuple):
    """Time in which bars are missing, epoch seconds of the server.

    Attributes:
        start: When the first missing bar would open.
        stop: When the last missing bar would end.
        bars: How many are missing.
    """

    start: int
    stop: int
    bars: int


class Sessions(NamedTuple):
    """What was learned of a symbol's bars.

    Attributes:
        held: When the bars open that are there, each once.
        absent: When those would open that are missing.
        missing: The stretches in which they are, in order.
    """

    held: Times
    absent: Times
    missing: list[Stretch]

    @property
    def share(self) -> float:
        """How much is there of what would be there, were nothing missing."""
        expected = len(self.held) + len(self.absent)
        return len(self.held) / expected if expected else 1.0


def learn(times: Times, timeframe: int, until: int = 0, unknown: Sequence[tuple[int, int]] = ()) -> Sessions:
    """Return what is missing from the first bar on.

    Args:
        times: When the bars open, in any order.
        timeframe: A `TIMEFRAME_*` value.
        until: Until when they are known, epoch seconds; to the last bar without it.
        unknown: Stretches of time, begin and end, of which it is not known whether there are bars.
    """
    if not len(times):
        return Sessions(times, times, [])
    if PERIODS[timeframe] >= WEEK:
        return _whole(times, timeframe, until, unknown)
    return _Grid(times, PERIODS[timeframe], until, unknown).sessions()


def _whole(times: Times, timeframe: int, until: int, unknown: Sequence[tuple[int, int]]) -> Sessions:
    """Return what is missing of weeks or months: each of them has a bar."""
    first, last = open_time(int(times.min()), timeframe), max(int(times.max()), until - WEEK)
    if timeframe == TIMEFRAME_MN1:
        month, newest = np.array([first, last], "datetime64[s]").astype("datetime64[M]").astype(np.int64)
        months = np.arange(int(month), int(newest) + 2, dtype=np.int64)
        opened: Times = months.astype("datetime64[M]").astype("datetime64[s]").astype(np.int64)
    else:
        opened = np.arange(first, last + 2 * WEEK, WEEK, dtype=np.int64)
    held = np.isin(opened[:-1], open_times(times, timeframe))
    missing = ~held
    if until:  # a bar is known as soon as it is over
        missing &= opened[1:] <= until
    for start, stop in unknown:
        missing &= (opened[:-1] < start) | (opened[:-1] >= stop)
    found = [Stretch(int(opened[begin]), int(opened[end]), end - begin) for begin, end in _runs(missing)]
    return Sessions(opened[:-1][held], opened[:-1][missing], found)


def _runs(mask: Mask) -> list[tuple[int, int]]:
    """Return where stretches of true begin and end."""
    edges = np.flatnonzero(np.diff(np.r_[False, mask, False].astype(np.int8)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


class _Grid:
    """The slots of whole weeks, from the Sunday before the first bar on.

    Args:
        times: When bars open.
        period: Seconds of a bar, a part of a day or a day.
        until: Until when they are known.
        unknown: Stretches of time in which they are not.
    """

    def __init__(self, times: Times, period: int, until: int, unknown: Sequence[tuple[int, int]]) -> None:
        self._period = period
        self._origin = (int(times.min()) + THURSDAY * DAY) // WEEK * WEEK - THURSDAY * DAY
        slots = np.unique((times - self._origin) // period)
        first, last = int(slots[0]), max(int(slots[-1]), (until - self._origin) // period - 1)
        self._a_week = WEEK // period
        self._a_day = DAY // period
        self._held: Mask = np.zeros((last // self._a_week + 1) * self._a_week, np.bool_)
        self._held[slots] = True
        # The first and the last week are there in part: what lies outside of the archive says nothing.
        self._known: Mask = np.zeros(len(self._held), np.bool_)
        self._known[first : last + 1] = True
        for start, stop in unknown:
            begin, end = max((start - self._origin) // period, 0), max(-((self._origin - stop) // period), 0)
            self._known[begin:end] = False

    def sessions(self) -> Sessions:
        """See `learn`."""
        held = self._held
        most = PAUSE * MINUTE // self._period
        open_ = self._usual(_filled(held, most)) & self._known
        trading = _filled(open_, most)  # a short break within it ends no session
        gaps = self._gaps(open_ & ~held, trading & self._known & ~held)
        allowed = self._pauses(gaps)
        found: list[Stretch] = []
        absent: Mask = np.zeros(len(held), np.bool_)
        ended = 0
        for gap in gaps:
            if not self._is_missing(trading, allowed, gap):
                continue
            begin, end, bars = gap
            absent[begin:end] = open_[begin:end]
            stretch = Stretch(self._time(begin), self._time(end), bars)
            between = slice(ended, begin)  # closed time alone parts no stretches
            if found and self._known[between].all() and not held[between].any():
                before = found.pop()
                stretch = Stretch(before.start, stretch.stop, before.bars + bars)
            found.append(stretch)
            ended = end
        return Sessions(self._times(held), self._times(absent), found)

    @staticmethod
    def _gaps(missing: Mask, without: Mask) -> list[Stretch]:
        """Return the stretches without bars, in slots, from the first open one to the last."""
        places = np.flatnonzero(missing)
        found: list[Stretch] = []
        for begin, end in _runs(without):
            first, last = np.searchsorted(places, (begin, end)).tolist()
            if last > first:
                found.append(Stretch(int(places[first]), int(places[last - 1]) + 1, last - first))
        return found

    def _times(self, slots: Mask) -> Times:
        times: Times = self._origin + np.flatnonzero(slots) * self._period
        return times

    def _usual(self, traded: Mask) -> Mask:
        """Return which slots are open."""
        weeks, held, known = (each.reshape(-1, self._a_week) for each in (traded, self._held, self._known))
        if len(weeks) < FEWEST_WEEKS:
            return self._usual_days(traded)
        fullest = weeks[int(weeks.sum(axis=1).argmax())]
        shifts = [self._shift(week, fullest) for week in weeks]
        for place in range(1, len(shifts) - 1):  # where bars are missing that would tell, weeks beside it do
            if not shifts[place] and shifts[place - 1] == shifts[place + 1]:
                shifts[place] = shifts[place - 1]
        aligned = [_rolled(each, shifts, -1) for each in (weeks, held, known)]
        open_ = _rolled(self._majority(*aligned), shifts, 1)
        flat: Mask = open_.reshape(-1)
        return flat

    @staticmethod
    def _majority(weeks: Mask, held: Mask, known: Mask) -> Mask:
        """Return for each week which slots were traded in more than half of the weeks around it.

        A slot that hardly ever has a bar is a break, however short. A week without any bar has no say; one
        that has none with bars around it is compared with all of them.
        """
        with_bars: Mask = np.logical_or.reduce(weeks, axis=1, keepdims=True)
        known = known & with_bars
        counted, traded, had = (_sums(each) for each in (known, weeks & known, held & known))
        place = np.arange(len(weeks))
        begin, end = np.maximum(place - WEEKS, 0), np.minimum(place + WEEKS + 1, len(weeks))
        of = counted[end] - counted[begin]
        usual: Mask = _is_usual(traded[end] - traded[begin], had[end] - had[begin], of)
        usual[~of.any(axis=1)] = _is_usual(traded[-1], had[-1], counted[-1])
        return usual

    def _shift(self, week: Mask, other: Mask) -> int:
        """Return by how many slots a week is later than another one."""
        by = SHIFT * MINUTE // self._period
        outside = week & ~other
        if not by or int(outside.sum()) * self._period < SHIFTED_FROM * MINUTE:
            return 0
        # What a shift explains, bars in closed time, counts; what is missing may be so for another reason.
        explained = {shift: int((week & np.roll(other, shift)).sum()) for shift in (0, by, -by)}
        return max(explained, key=lambda shift: explained[shift])

    def _usual_days(self, traded: Mask) -> Mask:
        """Return which slots are open where hardly a week is known: as on other days."""
        days = traded.reshape(-1, self._a_day)
        trading = days.any(axis=1)
        open_: Mask = np.zeros(days.shape, np.bool_)
        if int(trading.sum()) < FEWEST_WEEKS:
            return open_.reshape(-1)
        held, known = (each.reshape(-1, self._a_day)[trading] for each in (self._held, self._known))
        of = known.sum(axis=0)
        usual = _is_usual((days[trading] & known).sum(axis=0), held.sum(axis=0), of)
        padded = np.r_[False, trading, False]
        for day in np.flatnonzero(trading).tolist():
            places = np.flatnonzero(days[day])
            begin = 0 if padded[day] else places[0]
            end = self._a_day if padded[day + 2] else places[-1] + 1
            open_[day, begin:end] = usual[begin:end]
        return open_.reshape(-1)

    def _pauses(self, gaps: list[Stretch]) -> Ints:
        """Return how many missing slots are let be, by the hour of the day in which they begin."""
        days = len(self._held) // self._a_day
        longest = np.zeros((days, HOURS), np.int64)
        for begin, _, bars in gaps:
            day, rest = divmod(begin, self._a_day)
            hour = rest * self._period // HOUR
            longest[day, hour] = max(longest[day, hour], bars)
        trading = np.flatnonzero(self._held.reshape(-1, self._a_day).any(axis=1))
        ordered = np.sort(longest[trading], axis=0)
        usual: Ints = ordered[int(USUAL * (len(trading) - 1))]
        return np.maximum(PATIENCE * usual, self._slots(SHORTEST) - 1)

    def _is_missing(self, trading: Mask, allowed: Ints, gap: Stretch) -> bool:
        """Whether a stretch without bars is longer than any pause of its hours, and no holiday's."""
        begin, end, bars = gap
        first, last = begin * self._period // HOUR, (end * self._period - 1) // HOUR
        hours = np.arange(first, min(last, first + HOURS - 1) + 1) % HOURS
        is_edge = not (trading[begin - 1 : begin].any() and trading[end : end + 1].any())
        # A changed clock moves a bar that is longer than an hour as a whole.
        late = self._slots(LATE) if self._period <= HOUR else 2
        is_pause = bars <= allowed[hours].max() or (is_edge and bars < late)
        return not is_pause and not self._is_holiday(begin, end, is_edge)

    def _is_holiday(self, begin: int, end: int, is_edge: bool) -> bool:
        first = (self._origin + begin * self._period) // DAY
        last = (self._origin + end * self._period - 1) // DAY
        is_cut = is_edge or begin % self._a_day == 0 or end % self._a_day == 0 or last - first > 1
        return is_cut and all(is_holiday(day) for day in range(first, last + 1))

    def _slots(self, minutes: int) -> int:
        """Return the slots that some minutes take, the last one whole."""
        return -(-minutes * MINUTE // self._period)

    def _time(self, slot: int) -> int:
        return self._origin + slot * self._period


def _is_usual(traded: Ints, had: Ints, of: Ints) -> Mask:
    """Return which slots are open that were traded, and had a bar, in so many weeks or days of some."""
    usual: Mask = (2 * traded > of) & (RARE * had >= of)
    return usual


def _sums(weeks: Mask) -> Ints:
    """Return how many weeks up to each have something in a slot; those before the first have nothing."""
    sums: Ints = np.cumsum(weeks, axis=0, dtype=np.int64)
    return np.vstack([np.zeros((1, weeks.shape[1]), np.int64), sums])


def _rolled(weeks: Mask, by: Sequence[int], sign: int) -> Mask:
    """Return weeks moved by some slots each."""
    if not any(by):
        return weeks
    return np.array([np.roll(week, sign * shift) for week, shift in zip(weeks, by, strict=True)])


def _filled(held: Mask, most: int) -> Mask:
    """Return the slots with short pauses filled."""
    filled: Mask = np.array(held)
    for begin, end in _runs(~held):
        if end - begin <= most and begin and end < len(held):
            filled[begin:end] = True
    return filled

"""All symbols with their prices: the catalogue, the sources, Market Watch and the present."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from typing import NamedTuple

import numpy as np

from mt5crs.model import RatesArray, Tick, TicksArray
from mt5crs.terminal.simulated.config import HISTORY_START, SimulatedConfig
from mt5crs.terminal.simulated.instruments.calendar import ALWAYS, MINUTE_MSC, Calendar
from mt5crs.terminal.simulated.instruments.catalogue import Instrument
from mt5crs.terminal.simulated.instruments.loading import load_catalogue
from mt5crs.terminal.simulated.prices.buffered import AHEAD, Buffered, with_flags
from mt5crs.terminal.simulated.prices.depth import Depth
from mt5crs.terminal.simulated.prices.legs import Legs, activity
from mt5crs.terminal.simulated.prices.live import LiveTick, ServerClock
from mt5crs.terminal.simulated.prices.moment import Past
from mt5crs.terminal.simulated.prices.rates import Rates, SpanCache, read_only
from mt5crs.terminal.simulated.prices.replay import Replay, load_replays, replay_of, starting_point
from mt5crs.terminal.simulated.prices.sources import PriceSource
from mt5crs.terminal.simulated.prices.synthetic import SyntheticSource
from mt5crs.terminal.simulated.prices.zone import ServerZone

HISTORY_BEFORE_REPLAY = 3 * 365 * 86_400
TICKS_LIMIT = 2_000_000  # in one answer: about two seconds of work
TICKS_AT_A_TIME = 6 * 3_600_000  # milliseconds of ticks made at once


class Playback(NamedTuple):
    """What a tester plays from its first price on, as fast as it goes.

    Attributes:
        prices: M1 bars or ticks by symbol, replayed as those of `SimulatedConfig.replay` are.
        ahead: How many ms of ticks are made at once.
    """

    prices: Mapping[str, RatesArray | TicksArray]
    ahead: int


class Market:
    """The prices of all symbols.

    Args:
        config: Seed, replay, start and speed.
        clock: Returns seconds.
        playback: What a tester plays; None where time passes by itself.
        not_before_msc: The earliest server time to start at: where another terminal has stopped.

    Attributes:
        symbols: The instruments by name.
        clock: Server time.
        selected: The symbols in Market Watch.
        live_ticks: The present of the symbols that were asked for.
        depth: What can be bought and sold at it.
        replayed: What is replayed, in words.
        identity: What its prices come from, in words: where it is the same, they are the same.
        past: What stands for the present while time is made up for; None at any other time.
    """

    def __init__(
        self,
        config: SimulatedConfig,
        clock: Callable[[], float],
        playback: Playback | None = None,
        not_before_msc: int = 0,
    ) -> None:
        replays = load_replays(config.replay, config.replay_symbol)
        catalogue = load_catalogue(*config.instruments)
        start, speed = config.start, config.speed
        if playback is not None:
            replays += [replay_of(symbol, rows) for symbol, rows in playback.prices.items()]
            start = start or min((float(replay.bars["time"][0]) for replay in replays), default=None)
            speed = 1.0
        if replays:
            point = starting_point(replays, start)
            start, speed = point.time, point.speed if speed is None else speed
        for replay in replays:
            catalogue = catalogue.with_symbol(replay.symbol, replay.digits, replay.price)
        self.symbols: dict[str, Instrument] = dict(catalogue.symbols)
        self._sources: dict[str, PriceSource] = {}
        for replay in replays:
            instrument = self.symbols[replay.symbol] = replay.fit(self.symbols[replay.symbol])
            self._sources[replay.symbol] = replay.source(instrument, config.modelling)
        zone = ServerZone(config.server_offset, config.server_dst)
        self.clock = ServerClock(clock, start, speed or 1.0, zone)
        if self.clock.now_msc() < not_before_msc:
            self.clock = ServerClock(clock, not_before_msc / 1000, speed or 1.0, zone)
        self.selected = {name for name, symbol in self.symbols.items() if symbol.visible}
        self._seed = config.seed
        self.depth = Depth(config.seed)
        self._keeps_hours = config.sessions == "real"
        self._active = activity(zone.offset)
        self._legs = Legs(config.seed, catalogue.legs, self._active, self._keeps_hours, catalogue.quoted_at)
        self._trading_hours: dict[str, Calendar] = {}
        self._history_start = min(HISTORY_START, int(self.clock.now()) - HISTORY_BEFORE_REPLAY)
        self._modelling = config.modelling
        self._buffered: dict[str, Buffered] = {}
        self._ahead = AHEAD if playback is None else playback.ahead
        self.past: Past | None = None
        self.live_ticks: dict[str, LiveTick] = {}
        self._rates: dict[str, Rates] = {}
        self._cache = SpanCache()
        self.replayed = [_told(replay) for replay in replays]
        self.identity = _identity(config, self.replayed, catalogue.price_mark)
        self._anchor({replay.symbol: self._sources[replay.symbol] for replay in replays})

    def live(self, symbol: str) -> LiveTick:
        """Return the present of a known symbol."""
        live = self.live_ticks.get(symbol)
        if live is None:
            live = self.live_ticks[symbol] = LiveTick(self.buffered(symbol), self.clock)
        return live

    def tick(self, symbol: str) -> Tick:
        """Return the last tick of a known symbol; all zeros before its first."""
        past = self.past
        return self.live(symbol).refresh() if past is None else past.tick(symbol)

    def rates(self, symbol: str) -> Rates:
        """Return the bars of a known symbol."""
        rates = self._rates.get(symbol)
        if rates is None:
            rates = self._rates[symbol] = Rates(symbol, self.source(symbol), self._cache)
        return rates

    def source(self, symbol: str) -> PriceSource:
        """Return all prices of a known symbol, past and to come."""
        source = self._sources.get(symbol)
        if source is None:
            instrument = self.symbols[symbol]
            source = SyntheticSource(
                self._seed,
                instrument,
                self._legs.path(instrument.price_leg),
                self._legs.path(instrument.currency_profit),
                self._history_start,
                self._hours(instrument, instrument.quote_sessions),
                self._active,
                self._modelling,
            )
            self._sources[symbol] = source
        return source

    def buffered(self, symbol: str) -> Buffered:
        """Return the prices of a known symbol for who looks at them tick by tick."""
        buffered = self._buffered.get(symbol)
        if buffered is None:
            buffered = self._buffered[symbol] = Buffered(self.source(symbol), self._ahead)
        return buffered

    def ticks(self, symbol: str, start_msc: int, stop_msc: int, mask: int) -> TicksArray | None:
        """Return the ticks of a known symbol from `start_msc` to `stop_msc`, both included.

        Args:
            symbol: Its name.
            start_msc: Server time.
            stop_msc: Server time; the present if that is earlier.
            mask: The flags of which a tick must have one.

        Returns:
            The ticks, None where they are more than `TICKS_LIMIT`.
        """
        return self._collect(symbol, start_msc, stop_msc, mask, TICKS_LIMIT + 1, TICKS_LIMIT)

    def first_ticks(self, symbol: str, start_msc: int, count: int, mask: int) -> TicksArray | None:
        """Return the first `count` ticks of a known symbol from `start_msc` on, as `ticks` selects."""
        return self._collect(symbol, start_msc, self.clock.now_msc(), mask, count, TICKS_LIMIT)

    def _collect(
        self, symbol: str, start_msc: int, stop_msc: int, mask: int, count: int, limit: int
    ) -> TicksArray | None:
        """Return the first `count` ticks of a stretch of time, None where that is more than the limit."""
        source = self.source(symbol)
        stop_msc = max(min(stop_msc, self.clock.now_msc()) + 1, source.start * 1000)
        start_msc = min(max(start_msc, source.start * 1000), stop_msc)
        found = [source.ticks(start_msc, start_msc)]
        missing = min(count, limit + 1)
        while start_msc < stop_msc and missing > 0:
            end_msc = min(start_msc + TICKS_AT_A_TIME, stop_msc)
            ticks = source.ticks(start_msc, end_msc)
            found.append(with_flags(ticks, mask))
            missing -= len(found[-1])
            start_msc = end_msc
        if sum(map(len, found)) > limit and count > limit:
            return None
        return read_only(np.concatenate(found)[:count])

    def is_open(self, symbol: str, msc: int) -> bool:
        """Whether a known symbol trades at a server time.

        It does not before the start and after the expiration of a future, after the end of a replay, and
        where markets keep their hours outside of its trade sessions.
        """
        hours = self._trading_hours.get(symbol)
        if hours is None:
            instrument = self.symbols[symbol]
            sessions = instrument.trade_sessions or instrument.quote_sessions
            hours = self._trading_hours[symbol] = self._hours(instrument, sessions)
        end = self.source(symbol).end_msc
        return (end is None or msc < end) and hours.is_open(msc // 1000)

    def _hours(self, instrument: Instrument, sessions: str) -> Calendar:
        """Return the sessions of an instrument, in server time; every minute where hours are not kept."""
        limits = instrument.start_time, instrument.expiration_time
        if self._keeps_hours:
            return Calendar(sessions, instrument.holidays, *limits)
        return Calendar(ALWAYS, (), *limits)

    def _anchor(self, replayed: Mapping[str, PriceSource]) -> None:
        """Let the made-up prices agree with the replayed ones at the start; pairs with USD come first."""
        now_msc = self.clock.now_msc()
        sources = [(self.symbols[name], source) for name, source in replayed.items()]
        for instrument, source in sorted(sources, key=lambda pair: "USD" not in pair[0].name):
            tick = source.last_tick(max(now_msc, source.start * 1000 + MINUTE_MSC))
            if len(tick):
                self._legs.anchor(instrument, float(tick["bid"][0]), now_msc // 1000)


def _identity(config: SimulatedConfig, replayed: Sequence[str], price_mark: str) -> str:
    told = [
        f"seed {config.seed}",
        f"sessions {config.sessions}",
        f"modelling {config.modelling}",
        f"server time UTC{config.server_offset:+g} with summer time {config.server_dst}",
        *replayed,
    ]
    if price_mark != load_catalogue().price_mark:
        told.append(f"prices of {price_mark}")
    return ", ".join(told)


def _told(replay: Replay) -> str:
    first, last = (datetime.fromtimestamp(int(replay.bars["time"][end]), timezone.utc) for end in (0, -1))
    days = f"{first:%Y-%m-%d} to {last:%Y-%m-%d}"
    return f"a replay of {replay.symbol} ({len(replay.bars)} minutes, {days})"

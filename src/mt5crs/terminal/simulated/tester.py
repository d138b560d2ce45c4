"""A tester: a strategy called on every bar of the past, on the same account that the terminal trades live.

Nothing here matches or calculates: time is a number that the loop over the bars moves, and the terminal
looks at it when the strategy calls the terminal.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import msgspec
import numpy as np

from mt5crs import constants
from mt5crs.api import Terminal
from mt5crs.arguments import ArgumentError, Bound
from mt5crs.errors import SettingError
from mt5crs.last_error import IPC_TIMEOUT, SUCCESS, LastError
from mt5crs.model import RatesArray, TicksArray
from mt5crs.operation import Operation, P, R, Result, directly
from mt5crs.terminal.port import Deferred
from mt5crs.terminal.simulated.config import SimulatedConfig
from mt5crs.terminal.simulated.instruments.calendar import DAY, MINUTE_MSC
from mt5crs.terminal.simulated.prices.market import Playback
from mt5crs.terminal.simulated.terminal import SimulatedTerminal

BARS_AT_A_TIME = 28 * DAY
TICKS_AT_A_TIME = DAY * 1000


class Bar(NamedTuple):
    """A finished M1 bar: what a row of `copy_rates_range` holds."""

    time: int
    open: float
    high: float
    low: float
    close: float
    tick_volume: int
    spread: int
    real_volume: int


@directly
class Handle(Terminal):
    """The official functions, and their constants, on a terminal in this process.

    Args:
        terminal: The terminal.
    """

    def __init__(self, terminal: SimulatedTerminal) -> None:
        self._terminal = terminal
        self._error = SUCCESS

    def call(self, op: "Operation[P, R]", args: Bound, kwargs: dict[str, Any], /) -> R:
        """Carry out one operation of the table; its methods are the usual way to call it."""
        try:
            wire = op.signature.bind(op.name, args, kwargs)
        except ArgumentError as error:
            self._error = error.error
            return op.misuse  # type: ignore[no-any-return]
        answer = self._terminal.call(op, wire)
        if isinstance(answer, Deferred):  # a fault: the answer would come too late for who waits here
            answer = answer.result or Result(op.failure, IPC_TIMEOUT)
        value, self._error = answer
        return value  # type: ignore[no-any-return]

    def last_error(self) -> LastError:
        """Return the error of the latest call, `(1, 'Success')` where it had none."""
        return self._error


for _name, _value in vars(constants).items():
    if _name.isupper():
        setattr(Handle, _name, _value)


class Tester:
    """Plays the past to a strategy, bar by bar.

    A strategy is called when a bar is complete, which is when the first tick of the next one comes: that
    tick is the present, and an order that is sent then fills at its price, the open of the next bar. After
    the last bar the market is closed. Between the calls time passes as it does on the live terminal: every
    tick of the bars goes through the account (`SimulatedConfig.modelling` says how many a bar has).

    What is written for `import MetaTrader5 as mt5` runs, with `mt5` as its first argument: the functions
    and the constants are there, the helpers `Buy`, `Sell` and `Close` are not::

        def reverse_hourly(mt5, bar):
            if (bar.time + 60) % 3600:
                return
            for held in mt5.positions_get(symbol="EURUSD"):
                mt5.order_send(action=mt5.TRADE_ACTION_DEAL, position=held.ticket, symbol="EURUSD",
                               volume=held.volume, type=mt5.ORDER_TYPE_SELL - held.type)
            rising = bar.close > bar.open
            mt5.order_send(action=mt5.TRADE_ACTION_DEAL, symbol="EURUSD", volume=0.1,
                           type=mt5.ORDER_TYPE_BUY if rising else mt5.ORDER_TYPE_SELL)

        tester = Tester(SimulatedConfig(modelling="ohlc"), {"EURUSD": client.copy_rates_range(...)})
        tester.run(reverse_hourly, "EURUSD")
        print(tester.mt5.account_info().equity)

    Or as a loop of one's own: `for bar in tester.bars("EURUSD"): ...`, one at a time.

    Args:
        config: The settings; without them the defaults with four ticks a bar (`modelling` is `ohlc`). It
            starts at `start`, or else with the first price that is replayed.
        prices: M1 bars or ticks to replay, by symbol, as `copy_rates_range` and `copy_ticks_range` return
            them; beside the files of `config.replay`.

    Attributes:
        mt5: The official functions.

    Raises:
        SettingError: Something cannot be replayed, or there is nothing to begin with.
    """

    __test__ = False  # pytest collects what is called so

    def __init__(
        self,
        config: SimulatedConfig | None = None,
        prices: Mapping[str, RatesArray | TicksArray] | None = None,
    ) -> None:
        config = msgspec.structs.replace(config or SimulatedConfig(modelling="ohlc"), speed=1.0)
        if not prices and not config.replay and config.start is None:
            hint = "give prices, a replay or a start"
            raise SettingError("nothing is replayed and no start is set", hint=hint)
        self._opens = self._found = 0
        self._elapsed = 0.0
        playback = Playback(prices or {}, TICKS_AT_A_TIME)
        self._terminal = SimulatedTerminal(config, self._read, playback)
        self._market = self._terminal.market
        self._start = self._market.clock.now()
        self._symbol = ""
        self.mt5 = Handle(self._terminal)

    def run(self, strategy: Callable[[Handle, Bar], object], symbol: str, stop: float | None = None) -> None:
        """Call a strategy on every bar of a symbol.

        Args:
            strategy: Takes the official functions and the bar that is complete.
            symbol: Its name.
            stop: As in `bars`.

        Raises:
            SettingError: As `bars` does.
        """
        mt5 = self.mt5
        for bar in self.bars(symbol, stop):
            strategy(mt5, bar)

    def bars(self, symbol: str, stop: float | None = None) -> Iterator[Bar]:
        """Yield the bars of a symbol, each when it is complete; the terminal's time goes along.

        Args:
            symbol: Its name.
            stop: Server time, epoch seconds, at which no more bars open; without it, when prices end.

        Raises:
            SettingError: The symbol is unknown, or its prices have no end.
        """
        held: Bar | None = None
        new = partial(tuple.__new__, Bar)
        for rows in self._chunks(symbol, stop):
            opens = rows["time"].tolist()
            bars = map(new, zip(*(rows[name].tolist() for name in Bar._fields), strict=True))
            if held is not None:
                self._opens = opens[0]
                yield held
            # Only the number is moved here: what time does, it does when the terminal is asked something.
            for self._opens, bar in zip(opens[1:], bars, strict=False):
                yield bar
            held = next(bars)
        if held is not None:
            self._opens = held.time + 60
            yield held

    def _chunks(self, symbol: str, stop: float | None) -> Iterator[RatesArray]:
        if symbol not in self._market.symbols:
            raise SettingError(f"there is no symbol {symbol!r}")
        self._symbol = symbol
        source = self._market.source(symbol)
        if stop is None:
            if source.end_msc is None:
                hint = "say where to stop: bars(symbol, stop=...)"
                raise SettingError(f"the prices of {symbol} are made up and never end", hint=hint)
            stop = source.end_msc / 1000
        start, end = int(np.ceil(self._market.clock.now() / 60)) * 60, int(stop)
        for begin in range(max(start, source.start), end, BARS_AT_A_TIME):
            rows = source.bars(begin, min(begin + BARS_AT_A_TIME, end))
            if len(rows):
                yield rows

    def _read(self) -> float:
        """Return the seconds since the start: the clock of the terminal."""
        if self._opens != self._found:
            self._found = self._opens
            msc = self._opens * 1000
            window = self._market.buffered(self._symbol).window(msc)
            first = window.msc[window.ahead(msc) :][:1].tolist()
            self._elapsed = (first[0] if first and first[0] < msc + MINUTE_MSC else msc) / 1000 - self._start
        return self._elapsed

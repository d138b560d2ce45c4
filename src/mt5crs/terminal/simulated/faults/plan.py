"""When which fault happens: a schedule, the same for the same seed and the same calls.

In a file (TOML), one table for each fault:

    [[fault]]
    kind = "requote"        # the next order is answered 10004, and nothing happens
    [[fault]]
    kind = "slow"           # every tenth or so of the bulk reads takes 3 seconds
    operation = "copy_rates_range"
    times = 0
    chance = 0.1
    seconds = 3.0
    [[fault]]
    kind = "disconnect"     # the broker cannot be reached for half a minute, from the tenth second on
    start = 10.0
    seconds = 30.0

On a command line the same is `requote`, `slow:operation=copy_rates_range,times=0,chance=0.1,seconds=3` and
`disconnect:start=10,seconds=30`.
"""

import random
from collections.abc import Iterable
from math import inf
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec

from mt5crs import constants as c
from mt5crs.api import OFFICIAL
from mt5crs.errors import SettingError

Kind = Literal[
    "requote", "off_quotes", "reject", "refuse", "partial", "slow", "wedge", "lose", "late", "crash",
    "disconnect", "disable",
]  # fmt: skip
KINDS: tuple[str, ...] = get_args(Kind)
SPELLS = frozenset({"disconnect", "disable"})
"""The kinds that last for a while, whatever is called meanwhile."""
ORDERS_ONLY = frozenset({"requote", "off_quotes", "reject", "refuse", "partial", "late"})
"""The kinds that only a trade request can meet."""
REFUSING = {value for name, value in vars(c).items() if name.startswith("TRADE_RETCODE_")} - {
    c.TRADE_RETCODE_PLACED,
    c.TRADE_RETCODE_DONE,
    c.TRADE_RETCODE_DONE_PARTIAL,
}
EXPECTED = f"a fault is KIND or KIND:name=value,...; the kinds are {', '.join(KINDS)}"


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One fault, and when it happens.

    Attributes:
        kind: What happens:
            `requote`, `off_quotes`, `reject`: the order is answered 10004, 10021, 10006; nothing is done.
            `refuse`: the same with `retcode`.
            `partial`: only `share` of the order's volume is to be had.
            `slow`: the call is carried out and answered after `seconds`.
            `wedge`: the call is not carried out, and never answered.
            `lose`: the call is carried out, and never answered.
            `late`: the call fails at once (no answer from the trade server; with `retcode`, that one), and
            the order is carried out after `seconds` all the same.
            `crash`: the process ends at once, `before` or `after` the call is carried out.
            `disconnect`: the broker cannot be reached for `seconds`; 0 is for good.
            `disable`: the terminal's "Algo Trading" button is off for `seconds`; 0 is for good.
        operation: The operation that it befalls.
        symbol: Only calls about this symbol; empty for any.
        skip: How many calls pass before the first that it befalls.
        times: How many calls it befalls; 0 is every one.
        chance: How likely each of these is befallen, from 0 to 1, decided by the terminal's seed.
        seconds: See `kind`.
        start: Seconds from the moment that the fault is set until it can happen.
        share: See `kind`; above 0, below 1.
        retcode: See `kind`.
        point: See `kind`.
    """

    kind: Kind
    operation: str = "order_send"
    symbol: str = ""
    skip: int = 0
    times: int = 1
    chance: float = 1.0
    seconds: float = 1.0
    start: float = 0.0
    share: float = 0.5
    retcode: int = 0
    point: Literal["before", "after"] = "before"

    def __post_init__(self) -> None:
        if self.operation not in OFFICIAL or self.operation == "shutdown":  # that does not come so far
            raise SettingError(f"fault {self.kind}: no terminal carries out an operation {self.operation!r}")
        if self.kind in ORDERS_ONLY and self.operation != "order_send":
            raise SettingError(f"fault {self.kind}: {self.operation} cannot meet it", hint="orders only")
        if not 0 <= self.chance <= 1 or not 0 < self.share < 1:
            raise SettingError(f"fault {self.kind}: chance is from 0 to 1, share between 0 and 1")
        if not all(0 <= number < inf for number in (self.skip, self.times, self.seconds, self.start)):
            raise SettingError(f"fault {self.kind}: skip, times, seconds and start are 0 or more, and finite")
        if (self.kind == "refuse") is (self.retcode == 0) and self.kind != "late":
            raise SettingError(f"fault {self.kind}: retcode belongs to refuse and late", hint="as in 10013")
        if self.retcode and self.retcode not in REFUSING:
            raise SettingError(f"fault {self.kind}: {self.retcode} is no return code of a refusal")

    @classmethod
    def parse(cls, text: str) -> "Fault":
        """Return the fault that a command line names.

        Raises:
            SettingError: It does not name one.
        """
        kind, colon, rest = text.partition(":")
        pairs = [part.partition("=") for part in rest.split(",")] if colon else []
        if len({name for name, _, _ in pairs}) < len(pairs):
            raise SettingError(f"fault {text!r}: the same is said twice", hint=EXPECTED)
        if kind not in KINDS:
            raise SettingError(f"fault {text!r}: there is no kind {kind!r}", hint=EXPECTED)
        return _convert(
            {"kind": kind, **{name.strip(): value for name, _, value in pairs}}, f"fault {text!r}"
        )


def load_faults(path: Path) -> tuple[Fault, ...]:
    """Return the faults of a file.

    Raises:
        SettingError: It cannot be read, or something in it is not a fault.
    """
    try:
        tables = msgspec.toml.decode(path.read_bytes(), type=dict[str, list[dict[str, Any]]])
    except OSError as error:
        raise SettingError(f"faults: {path} cannot be read ({error.strerror})") from error
    except msgspec.DecodeError as error:
        raise SettingError(
            f"faults: {path}: {error}", hint="a TOML file with [[fault]] tables alone"
        ) from error
    if set(tables) != {"fault"}:
        raise SettingError(f"faults: {path} has other than [[fault]] tables", hint=EXPECTED)
    found = enumerate(tables["fault"], 1)
    return tuple(_convert(fields, f"faults: {path}, fault {number}") for number, fields in found)


def _convert(fields: dict[str, Any], where: str) -> Fault:
    try:
        return msgspec.convert(fields, Fault, strict=False)
    except msgspec.ValidationError as error:
        raise SettingError(f"{where}: {error}", hint=EXPECTED) from error


class _Entry:
    """A fault that is set, and how often it could have happened and did."""

    def __init__(self, fault: Fault, now: float, rng: random.Random) -> None:
        self.fault = fault
        self.since = now + fault.start
        self.until = self.since + fault.seconds if fault.seconds else float("inf")
        self._passed = 0
        self._happened = 0
        self._rng = rng

    @property
    def is_spent(self) -> bool:
        return bool(self.fault.times) and self._happened >= self.fault.times

    def befalls(self, name: str, symbol: str, now: float) -> bool:
        fault = self.fault
        if name != fault.operation or now < self.since or self.is_spent or (fault.symbol or symbol) != symbol:
            return False
        self._passed += 1
        if self._passed <= fault.skip or self._rng.random() >= fault.chance:
            return False
        self._happened += 1
        return True


class Schedule:
    """The faults that are set.

    Args:
        seed: Decides chances.
        faults: The first ones.
        now: Seconds, on the clock that all times here are read from.
    """

    def __init__(self, seed: int, faults: Iterable[Fault], now: float) -> None:
        self._seed = seed
        self._count = 0
        self._calls: list[_Entry] = []
        self._spells: list[_Entry] = []
        for fault in faults:
            self.add(fault, now)

    def __bool__(self) -> bool:
        return bool(self._calls or self._spells)

    def add(self, fault: Fault, now: float) -> None:
        """Set another fault."""
        self._count += 1
        entries = self._spells if fault.kind in SPELLS else self._calls
        entries.append(_Entry(fault, now, random.Random(f"{self._seed}:{self._count}")))  # noqa: S311

    def clear(self) -> None:
        """Set no fault any more."""
        self._calls.clear()
        self._spells.clear()

    def draw(self, name: str, symbol: str, now: float) -> Fault | None:
        """Return the fault that befalls a call, the first of several; None for a call that is spared."""
        drawn = next((entry for entry in self._calls if entry.befalls(name, symbol, now)), None)
        self._calls = [entry for entry in self._calls if not entry.is_spent]
        return None if drawn is None else drawn.fault

    def spells(self, now: float) -> frozenset[str]:
        """Return the lasting kinds that hold now; those that are over are forgotten."""
        self._spells = [entry for entry in self._spells if now < entry.until]
        return frozenset(entry.fault.kind for entry in self._spells if now >= entry.since)

    def next_change(self, now: float) -> float:
        """Return when a lasting fault begins or ends next; infinity if none does."""
        moments = [moment for entry in self._spells for moment in (entry.since, entry.until)]
        return min((moment for moment in moments if moment > now), default=float("inf"))

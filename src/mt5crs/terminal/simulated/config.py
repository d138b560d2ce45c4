"""How a simulated terminal is set up."""

from collections.abc import Callable
from math import isfinite
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from mt5crs.errors import SettingError
from mt5crs.terminal.simulated.faults.plan import Fault

HISTORY_START = 1_420_070_400  # 2015-01-01: synthetic history begins here, or earlier under an older replay
OFFSET_LIMIT = 14
LATEST_START = 32_503_680_000  # 3000-01-01: some calendar must still have a date for what follows


MarginMode = Literal["hedging", "netting", "exchange"]


class SimulatedConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of a simulated terminal; every one has a default.

    Attributes:
        seed: Selects the synthetic prices: the same seed gives the same history and the same ticks.
        instruments: A broker's list (JSON), and TOML files that add to it or to the catalogue, in order.
        replay: Files of M1 bars or ticks whose symbols are replayed instead of made up.
        replay_symbol: The symbol of a single file; without it, read from the file's name.
        modelling: How M1 bars become ticks: `every_tick`, as many as the bar had, or `ohlc`, its four prices.
        sessions: `always`: every market is open at any time; `real`: each symbol keeps its own hours.
        server_offset: Hours that server time is ahead of UTC.
        server_dst: Whose daylight saving time adds an hour to that: nobody's, `us` or `eu`.
        state: A file that keeps the account across restarts; without it nothing is written.
        faults: What goes wrong, and when; see `faults.plan`.
        start: Server time at which the terminal starts, epoch seconds; without it, now, or a point
            inside the replay (see `replay`).
        speed: Server seconds for each second of the clock; without it 1, or faster when a replayed file
            holds too few ticks to watch (see `replay`).
        deposit: The balance that the account opens with, in its currency.
        leverage: 100 means 1:100.
        currency: The account currency.
        currency_digits: Digits of an amount of money; without it those that the currency has.
        margin_mode: How positions are kept: `hedging`, `netting` or `exchange`.
        hedge_allowed: Whether a hedging account may hold opposite positions of a symbol.
        fifo_close: Whether the oldest position of a symbol must be closed first.
        login: Account number.
        password: Password of the account.
        server: Name of the trade server.
        margin_so_mode: Whether the next two are margin levels in `percent`, or equity in `money`.
        margin_so_call: Where a margin call begins.
        margin_so_so: Where positions are closed by stop-out.
        limit_orders: The most pending orders at a time; 0 is no limit.
        limit_positions: The most open positions at a time; 0 is no limit.
        account_trade_allowed: Whether the account may trade at all; an investor's password may not.
        account_trade_expert: Whether the trade server lets programs trade on the account.
        terminal_trade_allowed: Whether the terminal's "Algo Trading" button is on.
        tradeapi_disabled: Whether the terminal refuses trading from Python.
        maxbars: The terminal's "max bars in chart": a request for as many fails.
    """

    seed: int = 1
    instruments: tuple[Path, ...] = ()
    replay: tuple[Path, ...] = ()
    replay_symbol: str = ""
    modelling: Literal["every_tick", "ohlc"] = "every_tick"
    sessions: Literal["always", "real"] = "always"
    server_offset: float = 0.0
    server_dst: Literal["none", "us", "eu"] = "none"
    state: Path | None = None
    faults: tuple[Fault, ...] = ()
    start: float | None = None
    speed: float | None = None
    deposit: float = 10_000.0
    leverage: int = 100
    currency: str = "USD"
    currency_digits: int | None = None
    margin_mode: MarginMode = "hedging"
    hedge_allowed: bool = True
    fifo_close: bool = False
    login: int = 5_001_001
    password: str = "simulated"  # noqa: S105 - of an account that exists only here, and documented
    server: str = "MT5CRS-Simulated"
    margin_so_mode: Literal["percent", "money"] = "percent"
    margin_so_call: float = 100.0
    margin_so_so: float = 50.0
    limit_orders: int = 500
    limit_positions: int = 0
    account_trade_allowed: bool = True
    account_trade_expert: bool = True
    terminal_trade_allowed: bool = True
    tradeapi_disabled: bool = False
    maxbars: int = 2_000_000

    @property
    def keeps_wall_time(self) -> bool:
        """Whether server time goes as the clock does, so that it is known after any pause."""
        return not self.replay and self.start is None and self.speed in (None, 1.0)

    def __post_init__(self) -> None:
        for name, kind in _KINDS.items():
            msgspec.structs.force_setattr(self, name, _READ.get(name, _read)(name, getattr(self, name), kind))
        for name in ("deposit", "start", "speed", "margin_so_call", "margin_so_so"):
            if not isfinite(getattr(self, name) or 0.0):
                raise SettingError(f"{name} is {getattr(self, name)}: must be a finite number")
        if self.login <= 0:
            raise SettingError(f"login is {self.login}: must be above 0")
        for name in ("limit_orders", "limit_positions"):
            if getattr(self, name) < 0:
                raise SettingError(f"{name} is {getattr(self, name)}: must be 0, for no limit, or more")
        if self.start is not None and not 0 <= self.start <= LATEST_START:
            raise SettingError(f"start is {self.start:g}: must be epoch seconds of the years 1970 to 2999")
        for name in ("deposit", "leverage", "maxbars"):
            if getattr(self, name) <= 0:
                raise SettingError(f"{name} is {getattr(self, name)}: must be above 0")
        if not -OFFSET_LIMIT <= self.server_offset <= OFFSET_LIMIT:
            raise SettingError(
                f"server_offset is {self.server_offset}: must be hours, {-OFFSET_LIMIT} to {OFFSET_LIMIT}"
            )
        if self.speed is not None and self.speed <= 0:
            raise SettingError(f"speed is {self.speed}: must be above 0")


def _read(name: str, value: Any, kind: Any) -> Any:
    """Return a setting's value in its own type.

    Raises:
        SettingError: It is of another.
    """
    if get_origin(kind) is Literal and value not in get_args(kind):
        raise SettingError(f"{name} is {value!r}: must be one of {', '.join(get_args(kind))}")
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise SettingError(f"{name} is {value!r}: {error}") from error


def _path(name: str, value: Any, kind: Any) -> Path | None:
    try:
        return None if value is None else Path(value)
    except TypeError as error:
        raise SettingError(f"{name} is {value!r}: must be a path") from error


def _paths(name: str, value: Any, kind: Any) -> tuple[Path, ...]:
    """Return paths; text, and a single one, are as good."""
    try:
        return (Path(value),) if isinstance(value, str | Path) else tuple(map(Path, value))
    except TypeError as error:
        raise SettingError(f"{name} is {value!r}: must be paths") from error


def _faults(name: str, value: Any, kind: Any) -> tuple[Fault, ...]:
    """Return faults; in words as on a command line is as good."""
    told = (value,) if isinstance(value, str | Fault) else tuple(value)
    return tuple(Fault.parse(fault) if isinstance(fault, str) else fault for fault in told)


_KINDS = get_type_hints(SimulatedConfig)
_READ: dict[str, Callable[[str, Any, Any], Any]] = {
    "instruments": _paths,
    "state": _path,
    "replay": _paths,
    "faults": _faults,
}
"""How the settings are read that are not what JSON knows."""

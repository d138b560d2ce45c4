"""How a simulated terminal is set up."""

from pathlib import Path

import msgspec

from mt5crs.errors import SettingError

HISTORY_START = 1_420_070_400  # 2015-01-01: synthetic history begins here, or earlier under an older replay


class SimulatedConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of a simulated terminal; every one has a default.

    Attributes:
        seed: Selects the synthetic prices: the same seed gives the same history and the same ticks.
        replay: A file of M1 bars or ticks whose symbol is replayed instead of made up.
        replay_symbol: The symbol of that file; without it, read from the file's name.
        start: Server time at which the terminal starts, epoch seconds; without it, now, or a point
            inside the replay (see `replay`).
        speed: Server seconds for each second of the clock; without it 1, or faster when a replayed file
            holds too few ticks to watch (see `replay`).
        deposit: The balance that the account opens with, in its currency.
        leverage: 100 means 1:100.
        currency: The account currency.
        login: Account number.
        password: Password of the account.
        server: Name of the trade server.
        margin_so_call: Margin level of the margin call, in percent.
        margin_so_so: Margin level of the stop-out, in percent.
        limit_orders: The most pending orders at a time; 0 is no limit.
        maxbars: The terminal's "max bars in chart": a request for as many fails.
    """

    seed: int = 1
    replay: Path | None = None
    replay_symbol: str = ""
    start: float | None = None
    speed: float | None = None
    deposit: float = 10_000.0
    leverage: int = 100
    currency: str = "USD"
    login: int = 5_001_001
    password: str = "simulated"  # noqa: S105 - of an account that exists only here, and documented
    server: str = "MT5CRS-Simulated"
    margin_so_call: float = 100.0
    margin_so_so: float = 50.0
    limit_orders: int = 500
    maxbars: int = 2_000_000

    def __post_init__(self) -> None:
        for name in ("deposit", "leverage", "maxbars"):
            if getattr(self, name) <= 0:
                raise SettingError(f"{name} is {getattr(self, name)}: must be above 0")
        if self.speed is not None and self.speed <= 0:
            raise SettingError(f"speed is {self.speed}: must be above 0")

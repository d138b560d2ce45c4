"""The instruments, read from data.

`catalogue.json` holds defaults, the price legs (what one unit of a currency or good is worth in USD, and
how much it moves in a day) and the symbols. A pair's price is the quotient of its two legs, so crosses
agree with the majors at every minute.
"""

from importlib.resources import files
from typing import Any, Literal

import msgspec


class Leg(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The worth of one unit of a currency or good.

    Attributes:
        price: In USD, on the day that synthetic prices are anchored at.
        volatility: Standard deviation of a day's change, as a fraction.
    """

    price: float
    volatility: float


class Commission(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a broker charges for deals.

    Attributes:
        per: What the value is for: a `lot`, a `deal`, or 100 of the `turnover` (so it is percent).
        value: Account currency for a lot or a deal, percent of the turnover.
        on: The deals that are charged: those that open, those that close, or both.
        minimum: The least for one deal, in account currency.
    """

    per: Literal["lot", "deal", "turnover"]
    value: float
    on: Literal["in", "out", "both"] = "both"
    minimum: float = 0.0


class Instrument(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a broker fixes about a symbol; names follow `SymbolInfo` without its `trade_` prefix.

    Attributes:
        spread: The usual spread in points; what is quoted varies with the hour.
        tick_rate: Ticks a minute in an hour of ordinary activity.
        price_leg: The leg that the price follows where it is not the base currency.
        visible: Whether it is in Market Watch from the start.
        quote_sessions: When prices come, as in `mon-thu 00:00-24:00, fri 00:00-23:55`; server time.
        trade_sessions: When it trades; as the quotes where it is empty.
        holidays: Days without any session, `YYYY-MM-DD`.
        book_depth: Levels on each side of the depth of market; 0 has none, and any volume fills at the quote.
        book_volume: Lots that a level holds on average.
        has_last: Whether trades are published (last price and volume), as exchanges do.
        commission: What deals cost besides the spread.
        margin_rates: Factors of the initial margin by order type (`buy`, `sell_limit`); those not named are
            1 for `buy` and `sell` and 0 for pending orders.
        swap_days: How many days of swap each rollover charges, from the one after Sunday to the one after
            Saturday; empty for one on working days and three on `swap_rollover3days`.
        face_value: Of a bond.
        accrued_interest: Of a bond, per unit.
        liquidity_rate: The part of its worth that a collateral counts for.
        start_time: When a future is first traded, epoch seconds; 0 for no limit.
        expiration_time: When it is last traded.
    """

    name: str
    description: str
    path: str
    currency_base: str
    currency_profit: str
    currency_margin: str = ""
    digits: int
    contract_size: float
    calc_mode: int
    exemode: int
    trade_mode: int
    filling_mode: int
    expiration_mode: int
    order_mode: int
    stops_level: int
    freeze_level: int
    spread: int
    tick_rate: float
    price_leg: str = ""
    visible: bool
    volume_min: float
    volume_max: float
    volume_step: float
    volume_limit: float = 0.0
    margin_initial: float = 0.0
    margin_maintenance: float = 0.0
    margin_hedged: float
    margin_hedged_use_leg: bool = False
    swap_mode: int
    swap_long: float
    swap_short: float
    swap_rollover3days: int
    order_gtc_mode: int = 0
    tick_value: float = 0.0
    tick_size: float = 0.0
    quote_sessions: str = "mon-fri 00:00-24:00"
    trade_sessions: str = ""
    holidays: tuple[str, ...] = ()
    book_depth: int = 0
    book_volume: float = 0.0
    has_last: bool = False
    commission: Commission | None = None
    margin_rates: dict[str, float] = {}
    swap_days: tuple[int, ...] = ()
    face_value: float = 0.0
    accrued_interest: float = 0.0
    liquidity_rate: float = 0.0
    start_time: int = 0
    expiration_time: int = 0

    def __post_init__(self) -> None:
        if not self.currency_margin:
            msgspec.structs.force_setattr(self, "currency_margin", self.currency_base)
        if not self.price_leg:
            msgspec.structs.force_setattr(self, "price_leg", self.currency_base)
        if not self.tick_size:
            msgspec.structs.force_setattr(self, "tick_size", self.point)

    @property
    def point(self) -> float:
        """The unit of the last digit of a price."""
        return float(f"1e-{self.digits}")

    def normalize(self, price: float) -> float:
        """Return the price rounded to the symbol's digits."""
        return round(price, self.digits)


class Catalogue(msgspec.Struct, frozen=True):
    """All instruments of a trade server.

    Attributes:
        symbols: By name, in the server's order.
        legs: By currency or good.
    """

    symbols: dict[str, Instrument]
    legs: dict[str, Leg]
    defaults: dict[str, Any]

    def with_symbol(self, name: str, digits: int, price: float) -> "Catalogue":
        """Return a catalogue that knows the symbol, specified from its name if it is a new one.

        Args:
            name: Six letters name a currency pair; anything else is quoted in USD as a CFD would be.
            digits: Digits of its prices.
            price: A price of it.
        """
        if name in self.symbols:
            return self
        pair = len(name) >= 6 and name[:6].isalpha() and name[:6].isupper()
        base, profit = (name[:3], name[3:6]) if pair else ("USD", "USD")
        fields = self.defaults | {
            "name": name,
            "description": f"{base} vs {profit}" if pair else name,
            "path": "Replay",
            "currency_base": base,
            "currency_profit": profit,
            "digits": digits,
            "swap_mode": 0,
            "swap_long": 0.0,
            "swap_short": 0.0,
        }
        if not pair:
            fields |= {"contract_size": 1.0, "calc_mode": 4, "margin_hedged": 0.5, "price_leg": name}
        symbol = msgspec.convert(fields, Instrument)
        legs = {symbol.price_leg: Leg(price, 0.005)} | self.legs
        return Catalogue({**self.symbols, name: symbol}, legs, self.defaults)


class _File(msgspec.Struct, forbid_unknown_fields=True):
    defaults: dict[str, Any]
    legs: dict[str, Leg]
    symbols: list[dict[str, Any]]


def load_catalogue() -> Catalogue:
    """Return the catalogue that comes with the package."""
    data = files("mt5crs.terminal.simulated.instruments").joinpath("catalogue.json").read_bytes()
    file = msgspec.json.decode(data, type=_File)
    symbols = [msgspec.convert(file.defaults | entry, Instrument) for entry in file.symbols]
    return Catalogue({symbol.name: symbol for symbol in symbols}, file.legs, file.defaults)

"""What the simulated trade server knows of its symbols, and of what their prices are made of."""

from typing import Annotated, Literal
from zlib import crc32

import msgspec

from mt5crs import constants as c

Positive = Annotated[float, msgspec.Meta(gt=0)]
NotNegative = Annotated[float, msgspec.Meta(ge=0)]
Level = Annotated[int, msgspec.Meta(ge=0)]
MOST_DIGITS = 8
POINTS = tuple(float(f"1e-{digits}") for digits in range(MOST_DIGITS + 1))
CalcMode = Literal[0, 1, 2, 3, 4, 5, 32, 33, 34, 36, 37, 38, 39, 64]
SwapMode = Literal[0, 1, 2, 3, 4, 5, 6, 7, 8]

FOREX_MODES = (c.SYMBOL_CALC_MODE_FOREX, c.SYMBOL_CALC_MODE_FOREX_NO_LEVERAGE)
FUTURES_MODES = (
    c.SYMBOL_CALC_MODE_FUTURES,
    c.SYMBOL_CALC_MODE_EXCH_FUTURES,
    c.SYMBOL_CALC_MODE_EXCH_OPTIONS,
    c.SYMBOL_CALC_MODE_EXCH_OPTIONS_MARGIN,
)
BOND_MODES = (c.SYMBOL_CALC_MODE_EXCH_BONDS, c.SYMBOL_CALC_MODE_EXCH_BONDS_MOEX)
STOCK_MODES = (c.SYMBOL_CALC_MODE_EXCH_STOCKS, c.SYMBOL_CALC_MODE_EXCH_STOCKS_MOEX)


class Leg(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The worth of one unit of a currency or good.

    Attributes:
        price: In USD, on 2025-11-01; beside a broker's list, when that was told.
        volatility: Standard deviation of a day's change, as a fraction.
        weekend: How much of that a Saturday and a Sunday have where markets keep their hours.
    """

    price: Annotated[float, msgspec.Meta(ge=1e-12, le=1e12)]
    volatility: Annotated[float, msgspec.Meta(ge=0, le=1)]
    weekend: NotNegative = 0.25


class Commission(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a broker charges for deals.

    Attributes:
        per: What the value is for: a `lot`, a `deal`, or 100 of the `turnover` (so it is percent).
        value: Account currency for a lot or a deal, percent of the turnover.
        on: The deals that are charged: those that open, those that close, or both.
        minimum: The least for one deal, in account currency.
    """

    per: Literal["lot", "deal", "turnover"]
    value: NotNegative
    on: Literal["in", "out", "both"] = "both"
    minimum: NotNegative = 0.0


class Instrument(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a broker fixes about a symbol; names follow `SymbolInfo` without its `trade_` prefix.

    Attributes:
        name: What it is called; in a file, the name of its table.
        path: The folder that it is listed in, without the name.
        currency_margin: What margin is in; the base currency where it is empty.
        spread: The usual spread in points; what is quoted varies with the hour.
        tick_rate: Ticks a minute in an hour of ordinary activity.
        price_leg: The leg that the price follows where it is not the base currency.
        visible: Whether it is in Market Watch from the start.
        quote_sessions: When prices come, as in `mon-thu 00:00-24:00, fri 00:00-23:55`; server time.
        trade_sessions: When it trades; as the quotes where it is empty.
        holidays: Days without any session, `YYYY-MM-DD`, or `MM-DD` for every year.
        book_depth: Levels on each side of the depth of market; 0 has none, and any volume fills at the quote.
        book_volume: Lots that a level holds on average.
        has_last: Whether trades are published (last price and volume), as exchanges do.
        commission: What deals cost besides the spread.
        margin_rates: Factors of the initial margin by order type (`buy`, `sell_limit`); those not named are
            1 for `buy` and `sell` and 0 for pending orders.
        swap_days: How many days of swap each rollover charges, from the one after Sunday to the one after
            Saturday; empty for one on working days and three on `swap_rollover3days`.
        tick_size: The step of its prices; one unit of the last digit where it is 0.
        tick_value: What a tick of one lot is worth in the profit currency; futures and indices alone need it.
        face_value: Of a bond.
        accrued_interest: Of a bond, per unit.
        liquidity_rate: The part of its worth that a collateral counts for.
        start_time: When a future is first traded, epoch seconds; 0 for no limit.
        expiration_time: When it is last traded.
        price_limit: How far a session's prices may be from the settlement price, percent; 0 for no limit.
        open_interest: Of a future, lots.
        basis: The name of what a derivative is on.
        category: The sector, or what else the server sorts by.
        exchange: Where it is listed.
        isin: Its international number.
        page: An address to read more at.
    """

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=29)]
    description: str = ""
    path: str = "Custom"
    currency_base: str
    currency_profit: str
    currency_margin: str = ""
    digits: Annotated[int, msgspec.Meta(ge=0, le=MOST_DIGITS)] = 5
    contract_size: Positive = 100_000.0
    calc_mode: CalcMode = 0
    exemode: Literal[0, 1, 2, 3] = 2
    trade_mode: Literal[0, 1, 2, 3, 4] = 4
    filling_mode: Annotated[int, msgspec.Meta(ge=0, le=7)] = 3
    expiration_mode: Annotated[int, msgspec.Meta(ge=0, le=15)] = 15
    order_mode: Annotated[int, msgspec.Meta(ge=0, le=127)] = 127
    stops_level: Level = 0
    freeze_level: Level = 0
    spread: Level = 12
    tick_rate: Positive = 60.0
    price_leg: str = ""
    visible: bool = True
    volume_min: Positive = 0.01
    volume_max: Positive = 100.0
    volume_step: Positive = 0.01
    volume_limit: NotNegative = 0.0
    margin_initial: NotNegative = 0.0
    margin_maintenance: NotNegative = 0.0
    margin_hedged: NotNegative = 50_000.0
    margin_hedged_use_leg: bool = False
    swap_mode: SwapMode = 1
    swap_long: float = 0.0
    swap_short: float = 0.0
    swap_rollover3days: Annotated[int, msgspec.Meta(ge=0, le=6)] = 3
    order_gtc_mode: Literal[0, 1, 2] = 0
    tick_value: NotNegative = 0.0
    tick_size: NotNegative = 0.0
    quote_sessions: str = "mon-fri 00:00-24:00"
    trade_sessions: str = ""
    holidays: tuple[str, ...] = ()
    book_depth: Level = 0
    book_volume: NotNegative = 0.0
    has_last: bool = False
    commission: Commission | None = None
    margin_rates: dict[str, NotNegative] = {}
    swap_days: tuple[Level, ...] = ()
    face_value: NotNegative = 0.0
    accrued_interest: NotNegative = 0.0
    liquidity_rate: NotNegative = 0.0
    start_time: Level = 0
    expiration_time: Level = 0
    price_limit: NotNegative = 0.0
    open_interest: NotNegative = 0.0
    basis: str = ""
    category: str = ""
    exchange: str = ""
    isin: str = ""
    page: str = ""

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
        return POINTS[self.digits]

    def normalize(self, price: float) -> float:
        """Return the price rounded to the symbol's digits."""
        return round(price, self.digits)


class Catalogue(msgspec.Struct, frozen=True):
    """All instruments of a trade server.

    Attributes:
        symbols: By name, in the server's order.
        legs: By currency or good.
        quoted_at: When the prices of the legs were quoted, epoch seconds of a server; 0 for 2025-11-01.
    """

    symbols: dict[str, Instrument]
    legs: dict[str, Leg]
    quoted_at: int = 0

    @property
    def price_mark(self) -> str:
        """A word that differs where made-up prices would."""
        return f"{crc32(msgspec.json.encode((self.legs, self.quoted_at))):08x}"

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
        symbol = Instrument(
            name=name,
            description=f"{base} vs {profit}" if pair else name,
            path="Replay",
            currency_base=base,
            currency_profit=profit,
            digits=digits,
            swap_mode=0,
        )
        if not pair:
            symbol = msgspec.structs.replace(
                symbol,
                contract_size=1.0,
                calc_mode=c.SYMBOL_CALC_MODE_CFDLEVERAGE,
                margin_hedged=0.5,
                price_leg=name,
            )
        legs = {symbol.price_leg: Leg(price, 0.005)} | self.legs
        return msgspec.structs.replace(self, symbols={**self.symbols, name: symbol}, legs=legs)

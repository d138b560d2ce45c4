"""The 11 structures and 2 array types of the official package, as values on both sides of the wire.

A structure is a tuple with names, as the original's are: index and attribute access, `_asdict`,
`__match_args__`, equality and hash of its tuple. Field names, order and types are those of the wheel
(5.0.6231). Times are the trade server's wall clock written as epoch seconds, `*_msc` in milliseconds.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, cast

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from typing_extensions import Self


def _constructor(kind: "type[Record]", n_fields: int) -> "Callable[[Iterable[Any]], Any]":
    """Return what makes a structure of that kind of its values."""

    def construct(values: Iterable[Any]) -> Record:
        record = _new(kind, values)
        if len(record) != n_fields:
            raise TypeError(f"{kind.__name__}() takes a {n_fields}-sequence ({len(record)}-sequence given)")
        return record

    return construct


# Finding it through `super()` costs as much as calling it.
_new = cast("Callable[[type[Record], Iterable[Any]], Record]", tuple.__new__)


class Record(tuple[Any, ...]):
    """A named tuple like CPython's structure sequences: what every MT5 structure is.

    The constructor takes one iterable of exactly `n_fields` values.
    """

    __slots__ = ()
    n_fields: ClassVar[int] = 0
    n_sequence_fields: ClassVar[int] = 0
    n_unnamed_fields: ClassVar[int] = 0
    __match_args__: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        """Name the fields of a structure: its annotations, in order."""
        names = tuple(cls.__annotations__)
        cls.__module__ = "builtins"  # where the original's types say they are, so that pickle finds none
        setattr(cls, "__match_args__", names)  # noqa: B010 - mypy takes the name for a constant
        cls.n_fields = cls.n_sequence_fields = len(names)
        for position, name in enumerate(names):
            setattr(cls, name, property(itemgetter(position)))
        cls.of = staticmethod(_constructor(cls, len(names)))

    of: ClassVar[Callable[[Iterable[Any]], Any]]
    """The constructor as a function, which costs a third of calling the class."""

    def __new__(cls, values: Iterable[Any], _unnamed: dict[str, Any] | None = None, /) -> "Self":
        """Make a structure of exactly `n_fields` values; there are no further ones for a dict to name."""
        record: Self = cls.of(values)
        return record

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in self._items())
        return f"{type(self).__name__}({fields})"

    def __reduce__(self) -> tuple[Any, ...]:
        # As CPython's structure sequences: enough for `copy`; pickle looks the type up by name and, as with
        # the original's, does not find it.
        return type(self), (tuple(self), {})

    def _items(self) -> Iterator[tuple[str, Any]]:
        return zip(self.__match_args__, self, strict=True)

    def _asdict(self) -> dict[str, Any]:
        """Return the fields as a dict, in order; a nested structure stays a structure."""
        return dict(self._items())


class Tick(Record):
    """The last prices of a symbol (`symbol_info_tick`)."""

    __slots__ = ()
    time: int
    bid: float
    ask: float
    last: float
    volume: int
    time_msc: int
    flags: int
    volume_real: float


class TradeRequest(Record):
    """A trade request as it was sent: what `order_check` and `order_send` give back in `request`."""

    __slots__ = ()
    action: int
    magic: int
    order: int
    symbol: str
    volume: float
    price: float
    stoplimit: float
    sl: float
    tp: float
    deviation: int
    type: int
    type_filling: int
    type_time: int
    expiration: int
    comment: str
    position: int
    position_by: int


_ABSENT: dict[type, int | float | str] = {int: 0, float: 0.0, str: ""}
REQUEST_DEFAULTS: Mapping[str, int | float | str] = {
    name: _ABSENT[kind] for name, kind in TradeRequest.__annotations__.items()
}
"""What a field of a trade request is that was left out: whoever reads one must read the same."""


class OrderSendResult(Record):
    """The trade server's answer to `order_send`."""

    __slots__ = ()
    retcode: int
    deal: int
    order: int
    volume: float
    price: float
    bid: float
    ask: float
    comment: str
    request_id: int
    retcode_external: int
    request: TradeRequest


class OrderCheckResult(Record):
    """The account as it would be after the request (`order_check`); `retcode` 0 is success."""

    __slots__ = ()
    retcode: int
    balance: float
    equity: float
    profit: float
    margin: float
    margin_free: float
    margin_level: float
    comment: str
    request: TradeRequest


class TradePosition(Record):
    """An open position (`positions_get`)."""

    __slots__ = ()
    ticket: int
    time: int
    time_msc: int
    time_update: int
    time_update_msc: int
    type: int
    magic: int
    identifier: int
    reason: int
    volume: float
    price_open: float
    sl: float
    tp: float
    price_current: float
    swap: float
    profit: float
    symbol: str
    comment: str
    external_id: str


class TradeOrder(Record):
    """An order, pending or in history (`orders_get`, `history_orders_get`)."""

    __slots__ = ()
    ticket: int
    time_setup: int
    time_setup_msc: int
    time_done: int
    time_done_msc: int
    time_expiration: int
    type: int
    type_time: int
    type_filling: int
    state: int
    magic: int
    position_id: int
    position_by_id: int
    reason: int
    volume_initial: float
    volume_current: float
    price_open: float
    sl: float
    tp: float
    price_current: float
    price_stoplimit: float
    symbol: str
    comment: str
    external_id: str


class TradeDeal(Record):
    """A deal, also a balance operation (`history_deals_get`)."""

    __slots__ = ()
    ticket: int
    order: int
    time: int
    time_msc: int
    type: int
    entry: int
    magic: int
    position_id: int
    reason: int
    volume: float
    price: float
    commission: float
    swap: float
    profit: float
    fee: float
    symbol: str
    comment: str
    external_id: str


VOLUME_DIGITS = 8
"""Of a volume in lots: far beyond any step, short of what floats invent."""
AVERAGE_DIGITS = 10
"""Of an average price: beyond the symbol's own, short of what floats invent."""


def traded(deals: Sequence[TradeDeal]) -> tuple[float, float]:
    """Return the volume of an order's deals together, and their average price; zeros without any."""
    if len(deals) == 1:
        return deals[0].volume, deals[0].price
    volume = round(sum(deal.volume for deal in deals), VOLUME_DIGITS)
    if not volume:
        return 0.0, 0.0
    return volume, round(sum(deal.volume * deal.price for deal in deals) / volume, AVERAGE_DIGITS)


class Outcome(Record):
    """What is known of a trade request (`outcome`); not of the official package.

    Fields:
        key: Its idempotency key.
        state: `sent` (no answer yet), `unknown`, `done` (see `result`), `refused` (it did not reach the trade
            server), `absent` (it left no trace, and was not carried out).
        result: As `order_send` would have returned it; None without one.
        last_error: The terminal's error for it.
        how: How that is known: `answer` of the terminal, `tag`, `traits` or `state` found there, `operator`.
        since: Since when, epoch seconds UTC on the gateway's clock.
    """

    __slots__ = ()
    key: str
    state: str
    result: OrderSendResult | None
    last_error: tuple[int, str]
    how: str
    since: float


class LimitInfo(Record):
    """A limit that holds, or a kill switch that is on (`limits`); not of the official package.

    Fields:
        scope: `account`, or the name of a key.
        limit: The limit's name; `kill` for a kill switch.
        value: What it is set to: a number, or text.
        used: How much of it is used now; None where that has no number.
        setting: Where it is set.
    """

    __slots__ = ()
    scope: str
    limit: str
    value: float | str
    used: float | None
    setting: str


class TradeEvent(Record):
    """What became of an order, a deal or a position; not of the official package.

    Fields:
        serial: Its number in the gateway's record: one higher than that of the event before.
        kind: As the terminal's own trade events are called: `order_add`, `order_update`, `history_add` (an
            order has left the open ones), `deal_add`, `position_update` (its levels changed).
        time_msc: Server time, epoch milliseconds.
        symbol: The symbol; "" for what concerns money alone.
        order: Ticket of the order; 0 without one.
        deal: Ticket of the deal; 0 without one.
        position: Identifier of the position; 0 without one.
        reason: Why: `manual`, `expert`, `sl`, `tp`, `so` (stop-out), or another of MetaTrader's reasons.
        key: Idempotency key of the request that made the order (of a position: the order that opened it),
            where that was sent through the gateway; else "".
        details: The order, deal or position as it was then.
    """

    __slots__ = ()
    serial: int
    kind: str
    time_msc: int
    symbol: str
    order: int
    deal: int
    position: int
    reason: str
    key: str
    details: "TradeOrder | TradeDeal | TradePosition"


DETAILS: Mapping[str, type[Record]] = {
    "order_add": TradeOrder,
    "order_update": TradeOrder,
    "deal_add": TradeDeal,
    "history_add": TradeOrder,
    "position_update": TradePosition,
}
"""What `TradeEvent.details` is, by the event's kind."""


class TradeLog(Record):
    """The gateway's record of trade events (`trade_log`); not of the official package.

    Fields:
        log: Its id: another one is another record, whose numbers begin anew.
        first: Serial number of the oldest event that it has; one more than `last` where it has none.
        last: Serial number of the latest event; 0 before the first.
    """

    __slots__ = ()
    log: str
    first: int
    last: int


class BookInfo(Record):
    """One row of the depth of market (`market_book_get`)."""

    __slots__ = ()
    type: int
    price: float
    volume: int
    volume_dbl: float


class AccountInfo(Record):
    """The trading account (`account_info`); money in the account currency."""

    __slots__ = ()
    login: int
    trade_mode: int
    leverage: int
    limit_orders: int
    margin_so_mode: int
    trade_allowed: bool
    trade_expert: bool
    margin_mode: int
    currency_digits: int
    fifo_close: bool
    balance: float
    credit: float
    profit: float
    equity: float
    margin: float
    margin_free: float
    margin_level: float
    margin_so_call: float
    margin_so_so: float
    margin_initial: float
    margin_maintenance: float
    assets: float
    liabilities: float
    commission_blocked: float
    name: str
    server: str
    currency: str
    company: str


class TerminalInfo(Record):
    """The terminal and its settings (`terminal_info`)."""

    __slots__ = ()
    community_account: bool
    community_connection: bool
    connected: bool
    dlls_allowed: bool
    trade_allowed: bool
    tradeapi_disabled: bool
    email_enabled: bool
    ftp_enabled: bool
    notifications_enabled: bool
    mqid: bool
    build: int
    maxbars: int
    codepage: int
    ping_last: int
    community_balance: float
    retransmission: float
    company: str
    name: str
    language: str
    path: str
    data_path: str
    commondata_path: str


class SymbolInfo(Record):
    """The specification and last prices of a symbol (`symbol_info`)."""

    __slots__ = ()
    custom: bool
    chart_mode: int
    select: bool
    visible: bool
    session_deals: int
    session_buy_orders: int
    session_sell_orders: int
    volume: int
    volumehigh: int
    volumelow: int
    time: int
    digits: int
    spread: int
    spread_float: bool
    ticks_bookdepth: int
    trade_calc_mode: int
    trade_mode: int
    start_time: int
    expiration_time: int
    trade_stops_level: int
    trade_freeze_level: int
    trade_exemode: int
    swap_mode: int
    swap_rollover3days: int
    margin_hedged_use_leg: bool
    expiration_mode: int
    filling_mode: int
    order_mode: int
    order_gtc_mode: int
    option_mode: int
    option_right: int
    bid: float
    bidhigh: float
    bidlow: float
    ask: float
    askhigh: float
    asklow: float
    last: float
    lasthigh: float
    lastlow: float
    volume_real: float
    volumehigh_real: float
    volumelow_real: float
    option_strike: float
    point: float
    trade_tick_value: float
    trade_tick_value_profit: float
    trade_tick_value_loss: float
    trade_tick_size: float
    trade_contract_size: float
    trade_accrued_interest: float
    trade_face_value: float
    trade_liquidity_rate: float
    volume_min: float
    volume_max: float
    volume_step: float
    volume_limit: float
    swap_long: float
    swap_short: float
    margin_initial: float
    margin_maintenance: float
    session_volume: float
    session_turnover: float
    session_interest: float
    session_buy_orders_volume: float
    session_sell_orders_volume: float
    session_open: float
    session_close: float
    session_aw: float
    session_price_settlement: float
    session_price_limit_min: float
    session_price_limit_max: float
    margin_hedged: float
    price_change: float
    price_volatility: float
    price_theoretical: float
    price_greeks_delta: float
    price_greeks_theta: float
    price_greeks_gamma: float
    price_greeks_vega: float
    price_greeks_rho: float
    price_greeks_omega: float
    price_sensitivity: float
    basis: str
    category: str
    currency_base: str
    currency_profit: str
    currency_margin: str
    bank: str
    description: str
    exchange: str
    formula: str
    isin: str
    name: str
    page: str
    path: str


class ArrayType:
    """A row layout of the arrays that the `copy_*` functions return: packed, little endian.

    Attributes:
        name: What the wire calls it.
        fields: NumPy's description of the row, field by field.
        itemsize: Bytes in a row (60 for both).
    """

    def __init__(self, name: str, fields: list[tuple[str, str]], itemsize: int) -> None:
        self.name = name
        self.fields = fields
        self.itemsize = itemsize

    @property
    def dtype(self) -> "np.dtype[np.void]":
        """The NumPy dtype; NumPy is imported here, when an array is needed, and not before."""
        import numpy

        return numpy.dtype(self.fields)


RATES = ArrayType(
    "rates",
    [
        ("time", "<i8"),
        ("open", "<f8"),
        ("high", "<f8"),
        ("low", "<f8"),
        ("close", "<f8"),
        ("tick_volume", "<u8"),
        ("spread", "<i4"),
        ("real_volume", "<u8"),
    ],
    60,
)
TICKS = ArrayType(
    "ticks",
    [
        ("time", "<i8"),
        ("bid", "<f8"),
        ("ask", "<f8"),
        ("last", "<f8"),
        ("volume", "<u8"),
        ("time_msc", "<i8"),
        ("flags", "<u4"),
        ("volume_real", "<f8"),
    ],
    60,
)
ARRAYS = {array.name: array for array in (RATES, TICKS)}

if TYPE_CHECKING:
    RatesArray: TypeAlias = NDArray[np.void]
    """Bars, ascending in time: a read-only one-dimensional array of `RATES.dtype`."""
    TicksArray: TypeAlias = NDArray[np.void]
    """Ticks, ascending in time: a read-only one-dimensional array of `TICKS.dtype`."""
else:  # `operation` reads result shapes from annotations; these names must stand for them without NumPy

    class RatesArray:
        """Stands for the alias of this name at run time."""

        array = RATES

    class TicksArray:
        """Stands for the alias of this name at run time."""

        array = TICKS

"""What streams yield: news of the terminal, and what there is to know of the stream itself.

What can be subscribed to is in `mt5crs.topics`. Times are the trade server's, as everywhere.
"""

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from mt5crs.model import AccountInfo, BookInfo, TradeEvent
from mt5crs.topics import AnyTopic

if TYPE_CHECKING:
    from mt5crs.model import RatesArray, TicksArray


class TickBatch(NamedTuple):
    """Ticks of one symbol, which follow those before without a hole.

    Attributes:
        symbol: The symbol's name.
        ticks: A read-only array of `TICKS.dtype`, in the terminal's order.
    """

    symbol: str
    ticks: "TicksArray"


class BarBatch(NamedTuple):
    """Bars that the terminal has closed, which follow those before without a hole.

    Attributes:
        symbol: The symbol's name.
        timeframe: A `TIMEFRAME_*` value.
        bars: A read-only array of `RATES.dtype`, oldest first.
    """

    symbol: str
    timeframe: int
    bars: "RatesArray"


class BookSnapshot(NamedTuple):
    """The depth of market, as it is now.

    Attributes:
        symbol: The symbol's name.
        book: As `market_book_get` returns it.
    """

    symbol: str
    book: tuple[BookInfo, ...]


class AccountUpdate(NamedTuple):
    """The account, as it is now.

    Attributes:
        account: As `account_info` returns it.
    """

    account: AccountInfo


class Bookmark(NamedTuple):
    """A place in a record of trade events; as text `LOG:SERIAL`, which `after=` takes.

    Attributes:
        log: The record's id; "" where that is not known, and so not compared.
        serial: The serial number of the last event before the place.
    """

    log: str
    serial: int

    def __str__(self) -> str:
        return f"{self.log}:{self.serial}"

    @classmethod
    def of(cls, value: str | int) -> "Bookmark":
        """Return the place that a subscription's `bookmark`, or a serial number alone, says.

        Raises:
            ValueError: It is neither.
        """
        log, _, serial = str(value).rpartition(":")
        if isinstance(value, bool) or not (serial.isascii() and serial.isdecimal() and len(serial) < 19):
            raise ValueError(f"{value!r} is neither a bookmark of trade events nor a serial number")
        return cls(log, int(serial))


class Gap(NamedTuple):
    """Something was missed that cannot be had any more: what comes next does not follow what came before.

    Attributes:
        topic: What it is missing from.
        start: Server time in seconds from which on something may be missing; None where that is not known.
        end: Server time up to which it may be missing; None where that is not known.
        why: Why it cannot be had, in words.
    """

    topic: AnyTopic
    start: int | None
    end: int | None
    why: str


class Behind(NamedTuple):
    """What comes is old: this subscriber, or the way to it, is too slow for what it has subscribed to.

    Attributes:
        seconds: How far behind the gateway it is, compared with when it was fastest; 0 when it has caught up.
    """

    seconds: float


class Silent(NamedTuple):
    """Nothing was heard of the gateway for the timeout; the stream goes on by itself when it is back.

    Attributes:
        seconds: For how long.
        why: What is known of the reason.
    """

    seconds: float
    why: str


Notice: TypeAlias = Gap | Behind | Silent
"""What there is to know of a stream itself."""
AnyEvent: TypeAlias = TickBatch | BarBatch | BookSnapshot | AccountUpdate | TradeEvent | Notice
"""All that streams yield."""

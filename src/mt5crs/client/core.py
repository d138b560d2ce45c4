"""What both clients have in common: settings, a name, the session's end, what is watched."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from typing import TYPE_CHECKING, Any, NamedTuple, final, get_args

from mt5crs._version import __version__
from mt5crs.arguments import ArgumentError, Bound
from mt5crs.arguments import key as checked_key
from mt5crs.arguments import time as checked_time
from mt5crs.errors import BridgeError, OutcomeUnknown, SettingError, UnknownSymbol, Unreachable
from mt5crs.last_error import IPC_CALL_FAILED, IPC_TIMEOUT, NO_IPC_CONNECTION, SUCCESS, LastError
from mt5crs.model import OrderSendResult, Tick
from mt5crs.operation import Operation
from mt5crs.release import release
from mt5crs.settings import Settings, address
from mt5crs.timeframes import NAMES
from mt5crs.topics import AnyTopic, Bars, Beat, Book, Ticks, Trades
from mt5crs.wire.messages import Pong
from mt5crs.wire.packing import can_pack
from mt5crs.wire.packs import Packs
from mt5crs.wire.pins import Pins
from mt5crs.wire.session import Session, Sign

if TYPE_CHECKING:
    from mt5crs.api import Time
    from mt5crs.client.streaming.stream import Wanted
    from mt5crs.security.keys import ClientKeys

log = logging.getLogger(__name__)

# What a successful WATCH operation adds to, or takes from, the things this client watches.
_WATCHED = {"symbol_select": "symbol", "market_book_add": "book", "market_book_release": "book"}


def last_error_of(failure: BridgeError) -> LastError:
    """Return what `last_error()` says after a failure of the bridge: the official package's nearest error."""
    if isinstance(failure, OutcomeUnknown) and failure.last_error is not None:
        return failure.last_error
    if isinstance(failure, TimeoutError):
        return IPC_TIMEOUT
    return NO_IPC_CONNECTION if isinstance(failure, Unreachable) else IPC_CALL_FAILED


class Ping(NamedTuple):
    """An answered ping.

    Attributes:
        seconds: The round trip.
        pong: What the gateway said of itself.
    """

    seconds: float
    pong: Pong


@final
class Immediate(NamedTuple):
    """An answer that needs no trip."""

    value: Any
    error: LastError


class Asked(NamedTuple):
    """A call that needs a trip.

    Attributes:
        wire: Its arguments.
        key: Idempotency key of a trade, the caller's own or a fresh one; "" for everything else.
    """

    wire: Bound
    key: str


class Sent(NamedTuple):
    """What became of one of many orders.

    Attributes:
        key: Its idempotency key.
        result: As `order_send` returns it; None without one.
        last_error: The terminal's error for it.
        failure: What `order_send` would have raised; its class says what is known of the outcome.
    """

    key: str
    result: OrderSendResult | None
    last_error: LastError
    failure: BridgeError | None


def keys_for(requests: Sequence[Mapping[str, Any]], keys: Sequence[str] | None) -> Sequence[str]:
    """Return a key for each of some requests: the caller's own, or fresh ones.

    Raises:
        ValueError: There are not as many keys as requests, or one comes twice.
    """
    if keys is None:
        return [fresh_key() for _ in requests]
    if len(keys) != len(requests):
        raise ValueError(f"{len(keys)} keys for {len(requests)} requests")
    if len(set(keys)) != len(keys):
        raise ValueError("each request needs a key of its own")
    return keys


class Health(NamedTuple):
    """How everything between a client and its broker is, from near to far.

    Attributes:
        gateway: Whether the gateway (the GTW node) answers.
        streams: Whether what it publishes arrives; None where that is not known.
        terminal: Whether its terminal does; None where that is not known.
        broker: Whether the terminal is connected to its trade server.
        account: Whether it is logged in to the gateway's account.
        trading: Whether the gateway takes orders.
        seconds: The round trip; None without an answer.
        why: What is wrong, in words, the nearest first; "" where nothing is.
    """

    gateway: bool
    streams: bool | None
    terminal: bool | None
    broker: bool | None
    account: bool | None
    trading: bool | None
    seconds: float | None
    why: str

    @classmethod
    def of(cls, ping: Ping | BridgeError, streams: bool | None = None) -> Health:
        """Return what a ping tells, or its failure, and whether a beat came behind it."""
        if isinstance(ping, BridgeError):
            return cls(False, None, None, None, None, None, None, ping.message)
        state = ping.pong.state
        answers, broker, account = (bool(state.get(name)) for name in ("answers", "broker", "account"))
        refused: str = state.get("orders", {}).get("trading", "")
        unrecorded: str = state.get("trades", "")
        why = [
            words
            for is_so, words in (
                (
                    streams is not False,
                    "what the gateway publishes does not arrive: is its stream port open?",
                ),
                (answers, "the terminal does not answer"),
                (broker or not answers, "the terminal has no connection to its trade server"),
                (account or not answers, "the terminal is not logged in to the gateway's account"),
                (not refused, refused),
                (not unrecorded, unrecorded),
            )
            if not is_so
        ]
        known = answers or None
        trading = answers and account and not refused
        seconds, words = ping.seconds, "; ".join(why)
        return cls(True, streams, answers, known and broker, known and account, trading, seconds, words)


def symbols_of(topics: Sequence[AnyTopic]) -> list[str]:
    """Return the symbols of topics, each once."""
    return [*dict.fromkeys(topic.symbol for topic in topics if isinstance(topic, Ticks | Bars | Book))]


def fresh_key() -> str:
    """Return an idempotency key that no other request has."""
    return os.urandom(16).hex()


def take_key(kwargs: dict[str, Any]) -> str:
    """Take the idempotency key out of a trade's keywords; return a fresh one where there is none.

    Raises:
        ArgumentError: It cannot be one.
    """
    key = kwargs.pop("key", None)
    return fresh_key() if key is None else checked_key(key)


def load_keys(settings: Settings) -> ClientKeys | None:
    """Return a client's keys; None where it has none.

    Raises:
        KeyFileError: Their file cannot be used.
    """
    if settings.keys is None:
        return None
    from mt5crs.security.keys import ClientKeys

    return ClientKeys.load(settings.keys)


def usable_compression(settings: Settings) -> str:
    """Return which arrays are wanted packed (see `Settings.compress`); `auto` is `none` without zstandard.

    Raises:
        SettingError: It is asked for, and cannot be done here.
    """
    if settings.compress == "none" or can_pack():
        return settings.compress
    if settings.compress == "auto":
        return "none"
    raise SettingError(
        f"MT5_COMPRESS is {settings.compress!r} (from {settings.source_of('compress')}), "
        "which needs zstandard, and that is not installed",
        hint="pip install 'mt5crs[zstd]'",
    )


def _nothing() -> None:
    pass


class Core:
    """A client's state that does not depend on how it waits.

    Args:
        flags: Settings given by the caller, by their field names in `Settings`.

    Attributes:
        settings: Where the gateway is, and how long to wait for it.
        name: The client's name for itself, the same on all its connections.
        watches: What it watches, for the gateway to establish again after a restart.
        keys: Its keys, None without; read once, when the client is made.
        pins: The account and the journal that this client met first, and keeps to.
        close: Lets go of the file in which heads are kept; it is opened again where another one comes.
    """

    def __init__(self, flags: Mapping[str, object]) -> None:
        self.settings = Settings.read(flags)
        self._compress = usable_compression(self.settings)
        self._has_told = False
        self.close: Callable[[], None] = _nothing
        self.begin()
        self.pins = Pins()
        self.keys = load_keys(self.settings)
        self._sign: Sign | None = None
        if self.keys is not None and self.settings.keys is not None:
            from mt5crs.client.proofs import KeptHeads, RequestSigner

            self._sign = RequestSigner(self.keys)
            heads = KeptHeads(self.settings.keys)
            self.pins, self.close = heads.pins, heads.close

    def begin(self) -> None:
        """Be a client that has watched nothing yet, and has no file of heads to let go of."""
        self.rename()
        self.watches: set[tuple[str, str]] = set()
        self.close = _nothing
        self._open = True

    def rename(self) -> None:
        """Take a new name: what was forked is another client to the gateway."""
        self.name = f"{os.getpid()}-{os.urandom(6).hex()}"

    def another(self) -> Core:
        """Return the core of another client of the same gateway, which keeps to what this one keeps to."""
        other = copy(self)
        other.begin()
        return other

    def wanted(self, topics: Sequence[AnyTopic], since: Time | None, after: str | int | None) -> Wanted:
        """Return what is to be subscribed to.

        Raises:
            TypeError: Something is no topic, or no time.
            ValueError: It cannot be.
        """
        from mt5crs.client.streaming.stream import Wanted
        from mt5crs.streams import Bookmark

        if not topics:
            raise ValueError("nothing to subscribe to: name a topic (see mt5crs.topics)")
        for topic in topics:
            if type(topic) not in get_args(AnyTopic):
                raise TypeError(f"{topic!r} is no topic: Ticks({topic!r}), say, of mt5crs.topics is one")
            if isinstance(topic, Beat):
                raise ValueError("the beat is part of every subscription, and of none alone")
            if isinstance(topic, Bars) and topic.timeframe not in NAMES:
                raise ValueError(f"{topic.timeframe!r} is not a TIMEFRAME_* value")
        if after is not None and Trades() not in topics:
            raise ValueError("`after` is a place among trade events: it needs the topic Trades()")
        try:
            start = None if since is None else checked_time(since)
        except ArgumentError:
            raise TypeError(f"since={since!r} is no time: a datetime, or epoch seconds") from None
        return Wanted(list(dict.fromkeys(topics)), start, None if after is None else Bookmark.of(after))

    @property
    def where(self) -> str:
        """The gateway's address, for people."""
        return address(self.settings.host, self.settings.port)

    def session(self) -> Session:
        """Return the session of a new connection."""
        return Session(
            client=self.name,
            software=f"mt5crs/{__version__}",
            where=self.where,
            watches=self.watches,
            pins=self.pins,
            sign=self._sign,
            packs=Packs(self._compress, self._tell_of_rows_as_they_are),
            release=release(),
        )

    def _tell_of_rows_as_they_are(self) -> None:
        """Say once that the gateway does not pack."""
        if not self._has_told:
            self._has_told = True
            log.warning(
                "%s does not pack arrays, so they come as they are: install 'mt5crs[zstd]' there, too",
                self.where,
            )

    def prepare(self, op: Operation[..., Any], args: Bound, kwargs: dict[str, Any]) -> Asked | Immediate:
        """Return what is to be asked, or the answer where that needs no trip.

        As in the official package the arguments are checked first, then the session.

        Raises:
            TypeError: As the official function does.
            SystemError: As the official function does.
        """
        try:
            key = take_key(kwargs) if op.is_trade else ""
            wire = op.signature.bind(op.name, args, kwargs)
        except ArgumentError as error:
            return Immediate(op.misuse, error.error)
        if self._open or op.name == "initialize":
            return Asked(wire, key)
        return Immediate(True, SUCCESS) if op.name == "shutdown" else Immediate(op.failure, NO_IPC_CONNECTION)

    def check_symbol(self, symbol: str, tick: Tick | None) -> None:
        """Refuse to wait for ticks that can never come.

        Raises:
            UnknownSymbol: The terminal knows no last tick of it.
        """
        if tick is None:
            raise UnknownSymbol(f"{self.where} has no symbol {symbol!r}")

    def remember(self, op: Operation[..., Any], wire: Bound, value: Any) -> None:
        """Note what an answer to a stateful operation means for the calls to come."""
        if op.is_watch and value:
            watched = (_WATCHED[op.name], wire[0])
            if op.name == "market_book_add" or (op.name == "symbol_select" and wire[1]):
                self.watches.add(watched)
            else:
                self.watches.discard(watched)
        elif op.name == "initialize":
            self._open = bool(value)
        elif op.name == "shutdown":
            self.watches.clear()
            self._open = False

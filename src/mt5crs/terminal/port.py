"""The port that every terminal implements; the gateway knows a terminal only by it."""

from collections.abc import Callable, Mapping, Sequence
from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

from mt5crs.arguments import Bound
from mt5crs.cursors import Cursor
from mt5crs.operation import Operation, Result
from mt5crs.topics import Account as AccountTopic
from mt5crs.topics import AnyTopic, Bars, Book, Ticks, Trades

if TYPE_CHECKING:
    import zmq

    from mt5crs.model import RatesArray, TicksArray


class Deferred:
    """The place of an answer that is not there yet; whoever waits for it is called when it comes.

    Attributes:
        result: The answer, once there is one.
    """

    __slots__ = ("_takers", "result")

    def __init__(self) -> None:
        self.result: Result | None = None
        self._takers: list[Callable[[Result], None]] = []

    def then(self, take: Callable[[Result], None]) -> None:
        """Have the answer given to `take`: at once if it is there."""
        if self.result is not None:
            take(self.result)
        else:
            self._takers.append(take)

    def forget(self, take: Callable[[Result], None]) -> None:
        """Have the answer not given to `take` any more."""
        if take in self._takers:
            self._takers.remove(take)

    def settle(self, result: Result) -> None:
        """Give the answer to all who wait for it; only the first answer counts."""
        if self.result is not None:
            return
        self.result = result
        takers, self._takers = self._takers, []
        for take in takers:
            take(result)


def then(answer: "Result | Deferred", take: Callable[[Result], None]) -> None:
    """Have an answer given to `take`, now or when it comes."""
    if isinstance(answer, Deferred):
        answer.then(take)
    else:
        take(answer)


def changed(answer: "Result | Deferred", change: Callable[[Result], Result]) -> "Result | Deferred":
    """Return an answer with something changed in it, now or when it comes."""
    if not isinstance(answer, Deferred):
        return change(answer)
    later = Deferred()
    answer.then(lambda result: later.settle(change(result)))
    return later


class Account(NamedTuple):
    """The account that a gateway is for: what must not change under its orders.

    Attributes:
        login: The account's number.
        server: Name of its trade server.
        trade_mode: An `ACCOUNT_TRADE_MODE_*` value: demo, contest or real.
    """

    login: int
    server: str
    trade_mode: int

    def __str__(self) -> str:
        return f"{self.login}@{self.server}"


class Condition(NamedTuple):
    """How a terminal is.

    Attributes:
        terminal: Whether it answers.
        broker: Whether it is connected to its trade server.
        account: Whether it is logged in to the gateway's account.
        lanes: What each executor of calls is doing, in words, by its name; empty where calls are inline.
    """

    terminal: bool
    broker: bool
    account: bool
    lanes: Mapping[str, str] = {}


class NewTicks(NamedTuple):
    """Ticks of a symbol, in the terminal's order.

    Attributes:
        topic: The symbol.
        start: The place in the symbol's history after which they come.
        ticks: The ticks; none where it is told from where on they are followed.
    """

    topic: Ticks
    start: Cursor
    ticks: "TicksArray"


class NewBars(NamedTuple):
    """Bars that the terminal has closed.

    Attributes:
        topic: The symbol and the timeframe.
        after: Open time of the closed bar before them, 0 where there is none.
        bars: The bars; none where it is told from where on they are followed.
    """

    topic: Bars
    after: int
    bars: "RatesArray"


class NewState(NamedTuple):
    """A book or the account has changed.

    Attributes:
        topic: Whose state it is.
        value: Fields of the `AccountInfo`, or of each `BookInfo`.
    """

    topic: Book | AccountTopic
    value: list[Any]


class NewTrades(NamedTuple):
    """Orders, deals or positions have changed, or may have: it is worth looking at them."""

    topic: Trades = Trades()


News: TypeAlias = NewTicks | NewBars | NewState | NewTrades


class TerminalPort(Protocol):
    """A terminal beside the gateway, logged in to one account.

    Everything is called from one thread. `call` may be called at any time after the constructor.
    """

    name: str
    """`simulated` or `official`."""
    account: Account
    """The account that it was logged in to when it was started."""
    sources: "Sequence[zmq.Socket[bytes]]"
    """Sockets on which news comes that `advance` takes in; empty where it needs none."""

    def call(self, op: Operation[..., Any], wire: Bound, until: float = inf) -> Result | Deferred:
        """Carry out one operation; what takes long is answered later, and holds nobody else up.

        Args:
            op: An official row of the API table.
            wire: Its arguments as `op.signature.bind` makes them: one place for each parameter.
            until: `time.monotonic()` after which it is dropped, if the terminal has not heard of it by then.

        Returns:
            The value in plain types (structures, tuples, numbers, text; arrays as NumPy arrays of the
            row layout) together with the terminal's `last_error()` for exactly this call. A `Deferred` is
            settled by a later `advance`. `Unasked` stands for the result of what was dropped.

        Raises:
            Busy: Too many calls wait already.
        """
        ...

    def condition(self) -> Condition:
        """Return how the terminal is, as far as that is known without asking it."""
        ...

    def follow(self, topic: AnyTopic) -> bool:
        """Collect what is new of a topic from now on; False for an unknown symbol.

        Of ticks and bars it is told first from where on they are followed, once that is known; of states,
        how they are.
        """
        ...

    def unfollow(self, topic: AnyTopic) -> None:
        """Collect it no more."""
        ...

    def take_news(self) -> list[News]:
        """Return what was collected since the last time."""
        ...

    def advance(self) -> float:
        """Let time pass: prices, activations, expirations. Returns the seconds until it is worth again."""
        ...

    def close(self) -> None:
        """Let go of the terminal."""
        ...

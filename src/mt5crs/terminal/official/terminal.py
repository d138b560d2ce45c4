"""The official terminal behind the port: which lane carries out what, and what is known without asking."""

import logging
import os
import time
from collections.abc import Sequence
from math import ceil, inf
from typing import Any

import zmq

from mt5crs.api import OPERATIONS
from mt5crs.arguments import SYMBOL_LENGTH, Bound
from mt5crs.errors import TerminalMissing
from mt5crs.last_error import AUTHORIZATION_FAILED, NO_IPC_CONNECTION, SUCCESS
from mt5crs.operation import Operation, Result, Unasked, done
from mt5crs.terminal.official.crew import Crew
from mt5crs.terminal.official.following import Following
from mt5crs.terminal.official.health import Health, account_of
from mt5crs.terminal.official.lane import ROOM, Lane, State
from mt5crs.terminal.official.messages import Configuration, Found, Ready
from mt5crs.terminal.official.package import HINTS, NOT_INSTALLED, OFFICIAL
from mt5crs.terminal.official.rows import FOLLOW, PULSE
from mt5crs.terminal.port import Account, Condition, Deferred, News, changed
from mt5crs.timeframes import PERIODS
from mt5crs.topics import AnyTopic, Bars, Beat

log = logging.getLogger(__name__)

TRADE, READ, STREAM = "trade", "read", "stream"
TRADE_LIMIT, READ_LIMIT = 15.0, 120.0
"""Seconds that an order, and anything else, may take before it costs its worker."""
START_MARGIN = 30.0
"""Seconds that a worker may take to start, beside what the terminal may take to synchronise."""
PULSE_EVERY = 2.0
"""Seconds between two looks whether the worker that looks for news is hung."""

_now = time.monotonic


class OfficialTerminal:
    """The terminal that the official package is attached to, in three worker processes.

    Args:
        package: Name of the module with the official functions.
        path: The terminal's program, where it is not the installed default.
        login: Account to log in to; the terminal's current one without it.
        password: Password of the account.
        server: Name of the trade server.
        timeout: Milliseconds that the terminal may take to start and synchronise.
        trade_limit: Seconds that an order may take before it costs its worker.
        read_limit: Seconds that anything else may.
        room: Calls that may wait in one lane.

    Attributes:
        account_info: The fields of the account's `AccountInfo` at the start.

    Raises:
        TerminalMissing: The package or the terminal cannot be used, with the reason and the next step.
    """

    name = "official"
    account: Account

    def __init__(
        self,
        package: str = OFFICIAL,
        *,
        path: str = "",
        login: int = 0,
        password: str = "",
        server: str = "",
        timeout: int = 60_000,
        trade_limit: float = TRADE_LIMIT,
        read_limit: float = READ_LIMIT,
        room: int = ROOM,
    ) -> None:
        start_limit = timeout / 1000 + START_MARGIN
        limits = {TRADE: trade_limit, READ: read_limit, STREAM: read_limit}
        self._package = package
        self._lanes = {name: Lane(name, limit, start_limit, room) for name, limit in limits.items()}
        self._fence: Account | None = None
        self._following = Following()
        self._pulse_due = 0.0
        self._books: set[str] = set()  # that are watched, as long as a worker that was told so lives
        self.account_info: list[Any] = []
        told = Configuration(package, path, login, password, server, timeout)
        secret = "MT5_PASSWORD"  # noqa: S105 - the name of the variable
        environment = {name: value for name, value in os.environ.items() if name != secret}
        self._crew = Crew(self._lanes, told, environment, self)
        self.sources: Sequence[zmq.Socket[bytes]] = (self._crew.source,)
        try:
            self.account = self._begin()
        except BaseException:
            self.close()
            raise

    def _begin(self) -> Account:
        """Start the workers and wait until that of the orders is attached; the others need not be."""
        while self._fence is None:
            pause = self._crew.advance()
            if self._fence is None and self._lanes[TRADE].state is State.DOWN:
                raise TerminalMissing(
                    f"the terminal cannot be used: the worker that calls {self._package} has ended "
                    f"({self._lanes[TRADE].why})",
                    hint="what it wrote to the standard error, and the terminal itself, may say more",
                )
            self._crew.source.poll(ceil(pause * 1000))
        return self._fence

    # ---- the port ----

    def call(self, op: Operation[..., Any], wire: Bound, until: float = inf) -> Result | Deferred:
        """See `TerminalPort.call`."""
        if op.is_trade:
            return self._crew.ask(TRADE, op, wire, until)
        if op.name in {"initialize", "login"}:
            return self._check_account(op, wire, until)
        answer = self._crew.ask(READ, op, wire, until)
        answer.then(self._health.heed)
        if op.name.startswith("market_book"):
            answer.then(lambda result: self._note_book(op.name, wire[0], result))
        return answer

    def _check_account(self, op: Operation[..., Any], wire: Bound, until: float) -> Result | Deferred:
        """Answer a client's `initialize` or `login`: the account is never switched under the others."""
        _, wanted = op.signature.unpack(wire)

        def compare(result: Result) -> Result:
            if isinstance(result, Unasked):
                return Unasked(op, result.failure)
            if result.value is None:
                return Result(False, result.error if result.error != SUCCESS else NO_IPC_CONNECTION)
            account = account_of(result.value)
            same = all(wanted.get(field) in (None, getattr(account, field)) for field in ("login", "server"))
            return done(True) if same and account == self.account else Result(False, AUTHORIZATION_FAILED)

        return changed(self._crew.ask(READ, OPERATIONS["account_info"], [], until), compare)

    def _note_book(self, operation: str, symbol: str, result: Result) -> None:
        """Note which books are watched: a new worker has to be told so again."""
        if result.value and operation == "market_book_add":
            self._books.add(symbol)
        elif operation == "market_book_release":
            self._books.discard(symbol)

    def condition(self) -> Condition:
        """See `TerminalPort.condition`."""
        now = _now()
        return Condition(
            terminal=self._health.answers(now),
            broker=self._health.is_connected(now),
            account=self._health.is_logged_in(now),
            lanes={name: lane.describe(now) for name, lane in self._lanes.items()},
        )

    def follow(self, topic: AnyTopic) -> bool:
        """See `TerminalPort.follow`; of a symbol that turns out to be unknown nothing comes."""
        symbol = getattr(topic, "symbol", None)
        if symbol is not None and not 0 < len(symbol) <= SYMBOL_LENGTH:
            return False
        if isinstance(topic, Beat) or (isinstance(topic, Bars) and topic.timeframe not in PERIODS):
            return False
        self._following.add(topic)
        return True

    def unfollow(self, topic: AnyTopic) -> None:
        """See `TerminalPort.unfollow`."""
        self._following.remove(topic)

    def take_news(self) -> list[News]:
        """See `TerminalPort.take_news`."""
        return self._following.take()

    def advance(self) -> float:
        """See `TerminalPort.advance`."""
        pause = self._crew.advance()
        now = _now()
        if now >= self._health.due:
            self._look(now)
        if self._lanes[STREAM].is_idle:
            self._lead_stream(now)
            pause = min(pause, self._following.due - now)
        return max(0.0, min(pause, self._health.due - now))

    def close(self) -> None:
        """See `TerminalPort.close`."""
        self._crew.close()

    # ---- what is asked unasked ----

    def _look(self, now: float) -> None:
        """Ask how the terminal is: one question, and after what is asked meanwhile the other one."""
        health, terminal, account = self._health, OPERATIONS["terminal_info"], OPERATIONS["account_info"]
        health.asked(now if self._lanes[READ].is_idle else inf)

        def take_terminal(result: Result) -> None:
            health.take_terminal(result)
            if not isinstance(result, Unasked):
                answer = self._crew.ask_first(READ, account, [])
                answer.then(lambda result: health.take_account(result, _now()))

        self._crew.ask_first(READ, terminal, []).then(take_terminal)

    def _lead_stream(self, now: float) -> None:
        """Tell the stream lane's worker what to follow, where that has changed; else see that it is alive."""
        following, wanted = self._following, self._following.to_tell(now)
        if wanted is not None:
            answer = self._crew.ask(STREAM, FOLLOW, wanted)
            answer.then(lambda result: following.told(wanted, result, _now()))
        elif following and now >= self._pulse_due:
            self._pulse_due = now + PULSE_EVERY
            self._crew.ask(STREAM, PULSE, [])

    # ---- what workers say ----

    def here(self, lane: str) -> None:
        """See `News.here`."""
        if lane == TRADE or self._fence is not None:
            self._crew.attach(lane, self._fence)
        if lane == STREAM:  # what waits for the last worker does not know how far that one came
            self._crew.drop_waiting(STREAM, "its worker was replaced")
            self._following.restart()

    def missing(self, lane: str, text: str) -> None:
        """See `News.missing`."""
        if self._fence is None and lane == TRADE:
            raise TerminalMissing(
                f"the official {self._package} package cannot be imported: {text}",
                hint=NOT_INSTALLED if self._package == OFFICIAL else "",
            )

    def ready(self, lane: str, message: Ready) -> None:
        """See `News.ready`."""
        error = message.code, message.text
        if self._fence is None:
            self._find_account(message)
        elif error != SUCCESS:
            log.warning("the %s worker cannot use the terminal: %s (%d)", lane, message.text, message.code)
        if lane == READ:
            self._health.heed(Result(None, error))
            for symbol in self._books:
                self._crew.ask_first(READ, OPERATIONS["market_book_add"], [symbol])

    def _find_account(self, message: Ready) -> None:
        """Take the account that the terminal is logged in to at the start for the gateway's."""
        code, text, account = message.code, message.text, message.account
        if account is None and code == SUCCESS[0]:
            code, text = AUTHORIZATION_FAILED[0], "it is logged in to no account"
        if account is None or code != SUCCESS[0]:
            raise TerminalMissing(f"the terminal cannot be used: {text} ({code})", hint=HINTS.get(code, ""))
        self.account_info = account
        self._fence = account_of(account)
        self._health = Health(self._fence, _now())
        for lane in (READ, STREAM):  # those that were there before
            self._crew.attach(lane, self._fence)

    def found(self, message: Found, *rows: Any) -> None:
        """See `News.found`."""
        self._following.collect(message.number, message.begins, *rows)

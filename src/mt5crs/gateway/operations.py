"""What the gateway has a part in, operation by operation; everything else goes to the terminal as it is."""

from collections import defaultdict
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

from mt5crs.api import OPERATIONS
from mt5crs.arguments import ArgumentError
from mt5crs.errors import BadArguments, Denied
from mt5crs.gateway.comments import PLACES, Comments
from mt5crs.gateway.guarding import Guard
from mt5crs.gateway.orders import Orders
from mt5crs.gateway.tradewatch import TradeWatch
from mt5crs.gateway.watches import Watches
from mt5crs.last_error import CALL_FAILED, SUCCESS
from mt5crs.operation import Kind, Operation, Result, done
from mt5crs.terminal.port import Deferred, TerminalPort, changed, then
from mt5crs.topics import Trades
from mt5crs.wire.topics import KINDS

Answer = Result | Deferred


class Caller(NamedTuple):
    """Who asks, and what goes with the question.

    Attributes:
        principal: The name of the authenticated key.
        holder: Whom watches belong to: a client of that principal.
        key: Idempotency key of a trade.
        until: Seconds on the gateway's clock after which nobody waits for the answer.
        now: Seconds on the gateway's clock.
        kinds: The operations that the principal may carry out.
        signed: The request as its client signed it; empty where it did not need to.
        streams: The private streams that the principal was granted.
    """

    principal: str
    holder: str
    key: str
    until: float
    now: float
    kinds: frozenset[Kind] = frozenset()
    signed: bytes = b""
    streams: frozenset[str] = frozenset()


class Operations:
    """Carries operations out.

    Args:
        terminal: What executes.
        orders: The trade requests.
        guard: What judges them.
        comments: Takes tags off comments.
        trades: What becomes of orders, deals and positions.
        counters: How often what happened, by name.

    Attributes:
        OWN: The operations that the gateway has a part in, by name; the others are the terminal's alone.
    """

    def __init__(
        self,
        terminal: TerminalPort,
        orders: Orders,
        guard: Guard,
        comments: Comments,
        trades: TradeWatch,
        counters: defaultdict[str, int],
    ) -> None:
        self._terminal = terminal
        self._orders = orders
        self._guard = guard
        self._comments = comments
        self._trades = trades
        self._counters = counters
        self._watches = Watches()

    def carry_out(self, op: Operation[..., Any], wire: Any, caller: Caller) -> Answer:
        """Carry out one of the operations that are in `OWN`.

        Raises:
            BridgeError: It was not carried out; as the terminal's port and `Orders.send` say.
        """
        return self.OWN[op.name](self, op, wire, caller)

    def _order_send(self, op: Operation[..., Any], wire: Any, caller: Caller) -> Answer:
        return self._orders.send(
            wire, caller.principal, caller.key, caller.until, caller.now, signed=caller.signed
        )

    def _outcome(self, op: Operation[..., Any], wire: Any, caller: Caller) -> Answer:
        return self._orders.outcome(caller.principal, wire[0], caller.now)

    def _commented(self, op: Operation[..., Any], wire: Any, caller: Caller) -> Answer:
        answer = self._terminal.call(op, wire, caller.until)
        return changed(answer, lambda result: self._comments.restore(op.name, result))

    # ---- trade events ----

    def _trade_events(self, op: Operation[..., Any], wire: Any, caller: Caller) -> Answer:
        _check_stream(op, caller)
        after, count, log = wire
        return self._trades.events(after, count, log)

    def _trade_log(self, op: Operation[..., Any], wire: Any, caller: Caller) -> Answer:
        _check_stream(op, caller)
        return self._trades.log()

    # ---- the guard ----

    def _kill(self, op: Operation[..., Any], wire: Any, caller: Caller) -> Answer:
        name, close, reason = wire
        if name and not self._guard.is_known(name):
            raise BadArguments(f"there is no key {name!r}", hint="`mt5crs keys list` shows the keys")
        self._guard.kill(name, caller.principal, reason, close=close, signed=caller.signed)
        return done(True)

    def _resume(self, op: Operation[..., Any], wire: Any, caller: Caller) -> Answer:
        return done(self._guard.resume(wire[0], caller.principal, caller.signed))

    def _limits(self, op: Operation[..., Any], wire: Any, caller: Caller) -> Answer:
        return self._guard.limits(caller.principal, caller.now, is_admin=Kind.ADMIN in caller.kinds)

    # ---- watches ----

    def watch_again(self, holder: str, kind: str, symbol: str, now: float) -> None:
        """Establish what a client watched before this process was started."""
        name, args = ("symbol_select", [symbol, True]) if kind == "symbol" else ("market_book_add", [symbol])
        op = OPERATIONS[name]
        try:
            self._watch(op, op.accept(args), Caller("", holder, "", now, now))
        except ArgumentError:
            self._counters["bad-watch"] += 1

    def _watch(self, op: Operation[..., Any], wire: Any, caller: Caller) -> Answer:
        kind = "symbol" if op.name == "symbol_select" else "book"
        watch = (kind, wire[0])
        if op.name == "market_book_add" or (kind == "symbol" and wire[1]):
            result = self._terminal.call(op, wire)
            then(result, lambda settled: self._watches.hold(caller.holder, watch) if settled.value else None)
            return result
        if not self._watches.release(caller.holder, watch):
            return Result(True, SUCCESS)  # others still watch it
        return self._terminal.call(op, wire)

    def _book(self, op: Operation[..., Any], wire: Any, caller: Caller) -> Answer:
        if not self._watches.holds(caller.holder, ("book", wire[0])):
            return Result(op.failure, CALL_FAILED)
        return self._terminal.call(op, wire, caller.until)

    def _shutdown(self, op: Operation[..., Any], wire: Any, caller: Caller) -> Answer:
        return self.end(caller.holder)

    def end(self, holder: str) -> Result:
        """End a client's session: what only it watched is let go, the terminal goes on."""
        for kind, symbol in list(self._watches.end(holder)):
            if kind == "book":
                self._terminal.call(OPERATIONS["market_book_release"], [symbol])
        return Result(True, SUCCESS)

    OWN: ClassVar[dict[str, Callable[["Operations", Operation[..., Any], Any, Caller], Answer]]] = {
        "symbol_select": _watch,
        "market_book_add": _watch,
        "market_book_release": _watch,
        "market_book_get": _book,
        "shutdown": _shutdown,
        "order_send": _order_send,
        "outcome": _outcome,
        "trade_events": _trade_events,
        "trade_log": _trade_log,
        "kill": _kill,
        "resume": _resume,
        "limits": _limits,
        **dict.fromkeys(PLACES, _commented),
    }


def _check_stream(op: Operation[..., Any], caller: Caller) -> None:
    """Refuse to tell what only the subscribers of trade events may know."""
    stream = KINDS[Trades]
    if stream not in caller.streams:
        raise Denied(
            f"{caller.principal} was not granted the stream {stream!r}, and may not {op.name}",
            hint=f"ask the gateway's owner for a key with `--stream {stream}`",
        )

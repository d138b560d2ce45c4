"""One connection of a client, without its socket: what is asked, what is owed, what is lost.

A driver moves frames and calls four functions. `ask` puts a request on the outbox; `depart` sends what
is there; `receive` takes a frame that came; `tick` lets time pass. Correlation, deadlines, loss and
greeting are decided here, so that
the blocking and the asyncio client differ only in how they wait.

Loss is observed, not guessed: when nothing has been heard for `PROBE_AFTER` seconds, a ping asks which of
this connection's requests the gateway holds. Answers and pongs of one connection keep their order, so a
request that was sent before the ping, is not answered before the pong and is not in the gateway's hand is
lost. A lost READ is asked again. A lost TRADE is asked again too, under the same key, where the same journal
answers: it knows whether it had come. Without that journal it is never sent again, and its outcome is
unknown.

A gateway of the release before refuses a greeting in the new form, by its version; it is greeted again in the
old one. So neither side has to be upgraded first.

A request carries the gateway's epoch. A gateway that was started again refuses it untouched (that is
definite: nothing happened), and the session greets the new one and asks again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from mt5crs.errors import (
    BadArguments,
    BridgeError,
    Certainty,
    ConnectionTimeout,
    KeyConflict,
    NotExecuted,
    OutcomeUnknown,
    ProtocolError,
    StaleEpoch,
    TooLarge,
    Unreachable,
    VersionMismatch,
    from_wire,
)
from mt5crs.last_error import NOT_SENT, SUCCESS
from mt5crs.model import ARRAYS
from mt5crs.operation import Operation
from mt5crs.wire.codec import HEADER, HEADER_LENGTH, OF_MANY, encode, join, part_to_client, to_client
from mt5crs.wire.messages import (
    MANY_LIMIT,
    REQUEST_LIMIT,
    SPEAKS,
    WINDOW,
    Ask,
    Cancel,
    Chunk,
    Credit,
    Head,
    Hello,
    Many,
    Ping,
    Pong,
    Receipt,
    Refusal,
    Reply,
    Signed,
    Welcome,
)
from mt5crs.wire.packs import Packs
from mt5crs.wire.pins import Pins
from mt5crs.wire.request import Done, Event, Fill, Incoming, Pending

PROBE_AFTER = 1.0
"""Seconds of silence after which the gateway is asked what it holds."""
Sign = Callable[[Ask, str], bytes]
"""Makes a `Signed`'s content of a request and the account that it is for."""


class Session:
    """One connection to a gateway.

    Args:
        client: The client's name for itself.
        software: Program and version.
        where: The gateway's address, for messages.
        watches: What the client watches; read at each greeting.
        pins: What the client keeps to; shared by its connections.
        sign: Signs what needs a signature; None for a client without keys.
        packs: Whether arrays are wanted packed; never without it.
        release: The release that the client runs, "" where it does not know.

    Attributes:
        outbox: Messages to be sent, in order, each with the request it belongs to; they leave by `depart`.
        welcome: The gateway's answer to the greeting, None before it.
    """

    def __init__(
        self,
        *,
        client: str,
        software: str,
        where: str,
        watches: Iterable[tuple[str, str]] = (),
        pins: Pins | None = None,
        sign: Sign | None = None,
        packs: Packs | None = None,
        release: str = "",
    ) -> None:
        self._client = client
        self._software = software
        self._where = where
        self._watches = watches
        self._pins = pins or Pins()
        self._sign = sign
        self._packs = packs or Packs()
        self._release = release
        self._tells_release = True
        self._greeting = b""  # the latest
        self._in_new_form = 0  # greetings that a gateway which speaks the old protocol alone will refuse
        self._next = 1
        self._pending: dict[int, Pending] = {}
        self._waiting: list[Pending] = []  # until the greeting is answered
        self._greeted_at = -1.0
        self._offset = 0.0
        self._epoch = 0
        self._heard = 0.0
        self._probe = 0
        self._probed_at = 0.0
        self._ready: list[Done] = []
        self.welcome: Welcome | None = None
        self.outbox: deque[tuple[bytes, Pending | None]] = deque()

    # ---- asking ----

    def ask(self, op: Operation[..., Any], args: Any, now: float, timeout: float, key: str = "") -> int:
        """Ask for an operation; return the correlation id that its `Done` will have.

        Args:
            op: A row of the API table.
            args: Wire arguments (`op.signature.bind`).
            now: Seconds on the client's monotonic clock.
            timeout: Seconds that the answer may take; for an array, seconds without progress.
            key: Idempotency key of a trade.

        Raises:
            BridgeError: The request cannot be encoded; nothing was sent.
        """
        id_ = self._next
        self._next = id_ + 1
        pending = Pending(id_, op, args, now + timeout, timeout, key)
        if not self._pending:
            self._heard = now
        if self.welcome is None:
            self._pending[id_] = pending
            self._waiting.append(pending)
            self._greet(now)
        else:
            self.outbox.append((self._encode(pending), pending))
            self._pending[id_] = pending
        return id_

    def ping(self, now: float, timeout: float) -> int:
        """Ask how the gateway is; the `Done` has the `Pong` as value."""
        id_ = self._next
        self._next = id_ + 1
        if not self._pending:
            self._heard = now
        pending = self._pending[id_] = Pending(id_, None, (), now + timeout, timeout, "")
        self.outbox.append((encode(Ping(id_)), pending))
        return id_

    def greet(self, now: float, timeout: float) -> int:
        """Ask how the gateway introduces itself; the `Done` has the `Welcome` as value."""
        id_ = self._next
        self._next = id_ + 1
        pending = self._pending[id_] = Pending(id_, None, (), now + timeout, timeout, "")
        self._waiting.append(pending)
        self._greet_again(now)
        return id_

    def forget(self, id_: int) -> None:
        """Stop waiting for an answer."""
        pending = self._pending.pop(id_, None)
        if pending is None:
            return
        if pending in self._waiting:
            self._waiting.remove(pending)
        if pending.sent:
            self.outbox.append((encode(Cancel(id_)), None))
        else:
            self._unqueue(pending)

    def _encode(self, pending: Pending) -> bytes:
        op = pending.op
        deadline = int((pending.deadline + self._offset) * 1000)
        credit = 0 if op.array is None else WINDOW
        ask = Ask(pending.id, op.name, pending.args, deadline, self._epoch, pending.key, credit)
        try:
            frame = encode(self._signed(ask) if op.is_signed else ask)
        except (TypeError, OverflowError, UnicodeEncodeError) as error:
            raise BadArguments(f"{op.name}: an argument cannot be sent: {error}") from error
        if op.is_trade:
            self._check_journal(pending)
        if len(frame) > REQUEST_LIMIT:
            raise TooLarge(f"{op.name}: a request of {len(frame)} bytes; {REQUEST_LIMIT} is the most")
        return frame

    def _signed(self, ask: Ask) -> Ask | Signed:
        """Sign a request, anew for each copy that is sent; without keys it goes as it is."""
        welcome = self.welcome
        if self._sign is None or welcome is None:
            return ask
        return Signed(ask.id, self._sign(ask, welcome.account))

    def _check_journal(self, trade: Pending) -> None:
        """See that a trade goes where it belongs, and where its key is known if it is known anywhere.

        Raises:
            OutcomeUnknown: A copy of it was lost, and another journal answers now.
            Refused: As `Pins.check` says.
        """
        welcome = self.welcome
        assert welcome is not None  # noqa: S101 - nothing is encoded before the greeting's answer
        if trade.is_lost and trade.went_to != (welcome.account, welcome.journal):
            raise self._unknown(trade, "the gateway was started again without the journal that it went to")
        trade.went_to = None  # until it leaves
        self._pins.check(welcome, self._where)

    def _unknown(self, trade: Pending, why: str) -> OutcomeUnknown:
        return OutcomeUnknown(f"{trade.op.name} was sent to {self._where}, and {why}", key=trade.key)

    def _greet(self, now: float) -> None:
        if self._greeted_at >= 0.0:
            return
        self._greeted_at = now
        watches, heads = sorted(self._watches), self._pins.heads()
        release = self._release if self._tells_release else ""
        hello = Hello(self._client, self._software, list(SPEAKS), watches, heads, self._packs.wanted, release)
        if (
            self.outbox and self.outbox[0][0] is self._greeting
        ):  # it has not left, and is not worth it any more
            self.outbox.popleft()
            self._in_new_form -= _is_new(self._greeting)
        self._greeting = encode(hello)
        self._in_new_form += _is_new(self._greeting)
        self.outbox.appendleft((self._greeting, None))  # before all that waits, and apart where it is new

    def _greet_again(self, now: float) -> None:
        self._greeted_at = -1.0
        self._greet(now)

    def _unqueue(self, pending: Pending) -> None:
        for item in [item for item in self.outbox if item[1] is pending]:
            self.outbox.remove(item)

    # ---- sending ----

    def depart(self, send: Callable[[bytes, int], object], flags: int = 0) -> None:
        """Send what is on the outbox; what waits together leaves together, as one `Many`.

        Args:
            send: Sends a frame with these flags. What it raises is passed on: that frame has not left, and
                stays on the outbox with those behind it.
            flags: For `send`.
        """
        outbox = self.outbox
        while outbox:
            first = outbox[0][0]
            count = 1 if len(outbox) == 1 or _is_new(first) else self._fitting()
            send(first if count == 1 else join([outbox[n][0] for n in range(count)]), flags)
            for _ in range(count):
                pending = outbox.popleft()[1]
                if pending is not None:
                    pending.sent = True
                    if pending.key and pending.went_to is None and self.welcome is not None:
                        pending.went_to = self.welcome.account, self.welcome.journal

    def _fitting(self) -> int:
        """Return how many of the messages on the outbox fit into one frame."""
        size, count = OF_MANY, 0
        for frame, _ in self.outbox:
            size += len(frame)
            if count and (size > REQUEST_LIMIT or count == MANY_LIMIT):
                break
            count += 1
        return count

    # ---- hearing ----

    def receive(self, frame: bytes, now: float) -> Event | None:
        """Take a frame that came; return what it means for a request, if anything.

        What a `Many` settles is told by the next `tick`.

        Raises:
            ProtocolError: The gateway does not speak our protocol; the connection is useless.
        """
        message = to_client(frame)
        self._heard = now
        if type(message) is Reply:  # nearly all of them
            return self._on_reply(message)
        if type(message) is Many:
            self._on_many(message, frame, now)
            return None
        return self._HANDLERS[type(message)](self, message, now)

    def _on_receipt(self, message: Receipt, now: float) -> Done | None:
        pending = self._pending.get(message.id)
        if pending is not None and pending.op is not None and pending.op.is_trade:
            self._pins.see(message)
        return self._on_reply(message)

    def _on_reply(self, message: Reply | Receipt) -> Done | None:
        pending = self._pending.get(message.id)
        if pending is None:
            return None
        if pending.op is None:
            raise ProtocolError("a result, where none was asked for")
        value, revive = message.value, pending.op.reviver
        if value is None:
            return self._on_none(message, pending)
        if revive is not None:
            try:
                if type(value) is not list:
                    raise TypeError(f"{type(value).__name__}, where fields were due")
                value = revive(value)
            except (TypeError, ValueError, LookupError) as error:
                raise ProtocolError(f"{pending.op.name}: a result of the wrong form: {error}") from error
        del self._pending[message.id]  # not before its answer has proved to be one
        return Done(message.id, value, (message.code, message.text))

    def _on_none(self, message: Reply | Receipt, pending: Pending) -> Done:
        """Take a failure of the terminal; of a trade that has no answer, the outcome is unknown."""
        del self._pending[message.id]
        error = (message.code, message.text)
        if not pending.op.is_trade or message.code in NOT_SENT:
            return Done(message.id, None, error)
        what = f"{pending.op.name} was sent, and the terminal gave no answer: {message.text} ({message.code})"
        return Done(message.id, None, error, OutcomeUnknown(what, key=pending.key, last_error=error))

    def _on_many(self, many: Many, frame: bytes, now: float) -> None:
        for part in many.messages:
            message = part_to_client(part, frame)
            if type(message) is Reply:
                event: Event | None = self._on_reply(message)
            elif type(message) is Head:
                event = self._announce(message, now)
            elif type(message) is Chunk or type(message) is Many:
                raise ProtocolError(f"a {type(message).__name__} inside of a Many")
            else:
                event = self._HANDLERS[type(message)](self, message, now)
            if type(event) is Done:
                self._ready.append(event)

    def _on_welcome(self, message: Welcome, now: float) -> Event | None:
        # The gateway read its clock at some time before now: its clock is at least this far ahead of ours.
        # A deadline may so be early by the way here, and is never late.
        if message.protocol not in SPEAKS:
            raise VersionMismatch(f"{self._where} wants to speak protocol {message.protocol}")
        if self.welcome is None and self._packs.greeted(now - self._greeted_at):
            self._greet_again(now)
            if self._packs.measures:  # what waits goes on waiting
                return None
        self._in_new_form = 0
        self._packs.answered(message.packs)
        self._offset = message.clock / 1000 - now
        self.welcome = message
        self._epoch = message.epoch
        self._pins.meet(message)
        waiting, self._waiting = self._waiting, []
        for pending in waiting:
            if pending.op is None:
                del self._pending[pending.id]
                self._ready.append(Done(pending.id, message, SUCCESS))
                continue
            self._ask_again(pending)
        return None

    def _on_head(self, message: Head, now: float) -> Event | None:
        done = self._announce(message, now)
        pending = self._pending.get(message.id)
        if done is not None or pending is None or pending.result is None:
            return done
        return self._fill(pending, pending.result, now)

    def _announce(self, message: Head, now: float) -> Done | None:
        """Make room for an array; one of no rows is there already."""
        pending = self._pending.get(message.id)
        if pending is None:
            return None
        array = ARRAYS.get(message.array)
        if array is None or pending.op is None or pending.op.array is not array or message.rows < 0:
            raise ProtocolError(f"{message.rows} rows of {message.array!r}, where they were not due")
        if message.packed and message.packed not in self._packs.wanted:
            raise ProtocolError(f"rows packed as {message.packed!r}, where that was not asked for")
        error, is_packed = (message.code, message.text), bool(message.packed)
        try:
            pending.result = Incoming(array, message.rows, error, now, is_packed=is_packed)
        except (MemoryError, ValueError) as error:
            raise ProtocolError(f"{message.rows} rows do not fit into memory") from error
        pending.filled = 0
        return None if message.rows else self._finish(pending, pending.result)

    def _on_chunk(self, message: Chunk, now: float) -> Event | None:
        pending = self._pending.get(message.id)
        if pending is None or pending.result is None:
            return None
        if message.start * pending.result.itemsize != pending.filled:
            raise ProtocolError(f"rows from {message.start} on, where others were due")
        return self._fill(pending, pending.result, now)

    def _fill(self, pending: Pending, incoming: Incoming, now: float) -> Fill:
        pending.deadline = now + pending.timeout  # it makes progress
        if self._packs.measures and self._packs.took(pending.filled, now - incoming.began):
            self._greet_again(now)
        return Fill(pending, incoming.room(pending.filled))

    def filled(self, fill: Fill, size: int) -> Done | None:
        """Say how many bytes were received into a `Fill`'s buffer."""
        pending, incoming = fill.pending, fill.pending.result
        if incoming is None:
            raise ProtocolError(f"{size} bytes of rows, where none were due")
        pending.filled += incoming.take(pending.filled, size)
        if pending.filled == len(incoming.bytes):
            return self._finish(pending, incoming)
        pending.unacked += 1
        if pending.unacked * 2 >= WINDOW:
            self.outbox.append((encode(Credit(pending.id, pending.unacked)), None))
            pending.unacked = 0
        return None

    def _finish(self, pending: Pending, incoming: Incoming) -> Done:
        self._pending.pop(pending.id, None)
        incoming.bytes.release()
        incoming.array.flags.writeable = False
        return Done(pending.id, incoming.array, incoming.error)

    def _on_refusal(self, message: Refusal, now: float) -> Event | None:
        failure = from_wire(message.code, message.message, message.hint, message.certainty)
        if message.id == 0:
            if self._in_new_form and isinstance(failure, VersionMismatch):
                self._greet_in_old_form(now)
                return None
            raise failure
        pending = self._pending.get(message.id)
        if pending is None:
            return None
        if isinstance(failure, StaleEpoch):
            self._start_over(pending, now)
            return None
        del self._pending[message.id]
        is_open = failure.certainty is not Certainty.REFUSED
        # A refusal of the second copy says nothing of the first, but for those that know the key.
        is_open = is_open or (pending.is_lost and not isinstance(failure, KeyConflict | NotExecuted))
        if pending.op is not None and pending.op.is_trade and is_open:
            failure = OutcomeUnknown(f"{pending.op.name}: {failure.message}", key=pending.key)
        return Done(message.id, None, SUCCESS, failure)

    def _greet_in_old_form(self, now: float) -> None:
        """Greet a gateway again that refused a greeting by its version; what it refuses then is refused."""
        self._in_new_form -= 1
        if self._tells_release:  # else that was done for an earlier copy of the greeting
            self._tells_release = False
            self._greet_again(now)

    def _start_over(self, refused: Pending, now: float) -> None:
        """Greet a gateway that does not know us; what it refused is safe to ask again."""
        if not refused.sent:  # said twice: it waits for the greeting already
            return
        if self.welcome is not None:
            self.welcome = None
            self._greeted_at = -1.0
            self._tells_release = True  # another process, perhaps a newer one
        refused.sent = False
        self._waiting.append(refused)
        self._greet(now)

    def _on_pong(self, message: Pong, now: float) -> Event | None:
        if self.welcome is not None and message.epoch == self.welcome.epoch:
            self._offset = max(self._offset, message.clock / 1000 - now)
        pending = self._pending.get(message.id)
        if pending is not None:
            if pending.op is not None:
                raise ProtocolError(f"{pending.op.name}: a pong, where a result was due")
            del self._pending[message.id]
            return Done(message.id, message, SUCCESS)
        if message.id == self._probe:
            self._probe = 0
            in_hand = set(message.in_hand)
            for lost in [p for p in self._pending.values() if p.probe == message.id and p.id not in in_hand]:
                self._lose(lost)
        return None

    def _lose(self, lost: Pending) -> None:
        if lost.op is None:
            return
        if lost.op.is_trade:
            if lost.went_to is None or not lost.went_to[1]:  # no journal knows whether it had come
                why = "the connection was lost before its answer came"
                self._ready.append(self._give_up(lost, Unreachable(why), why))
                return
            lost.is_lost = True
        lost.sent = False
        lost.probe = 0
        lost.result = None
        if self.welcome is None:
            self._waiting.append(lost)
        else:
            self._ask_again(lost)

    def _ask_again(self, pending: Pending) -> None:
        try:
            self.outbox.append((self._encode(pending), pending))
        except BridgeError as error:
            self._pending.pop(pending.id, None)
            self._ready.append(Done(pending.id, None, SUCCESS, error))

    _HANDLERS: ClassVar[dict[type, Callable[[Session, Any, float], Event | None]]] = {
        Welcome: _on_welcome,
        Receipt: _on_receipt,
        Head: _on_head,
        Chunk: _on_chunk,
        Refusal: _on_refusal,
        Pong: _on_pong,
    }

    # ---- waiting ----

    def tick(self, now: float) -> list[Done]:
        """Let time pass; return what was settled without a reply. What is asked again goes on the outbox."""
        done, self._ready = self._ready, []
        done += [self._expire(pending) for pending in self._due(now)]
        silent_since = max(self._heard, self._probed_at, self._greeted_at)
        if self._pending and not self.outbox and now - silent_since >= PROBE_AFTER:
            self._probe_or_greet(now)
        return done

    def _due(self, now: float) -> list[Pending]:
        return [pending for pending in self._pending.values() if now >= pending.deadline]

    def _probe_or_greet(self, now: float) -> None:
        if self._waiting:
            self._greet_again(now)
        asked = [pending for pending in self._pending.values() if pending.sent and pending.op is not None]
        if asked:
            self._probe = self._next
            self._next += 1
            self._probed_at = now
            for pending in asked:
                pending.probe = self._probe
            self.outbox.append((encode(Ping(self._probe)), None))

    def abandon(self, error: BridgeError, *, in_the_middle: bool = False) -> list[Done]:
        """Give the connection up: settle whatever is awaited, a trade that was sent as unknown.

        Args:
            error: Why.
            in_the_middle: The driver was interrupted, so that what waits to be sent may have left.
        """
        for pending in self._pending.values() if in_the_middle else ():
            pending.sent = True
        ready, self._ready = self._ready, []
        return ready + [
            self._give_up(pending, error, error.message) for pending in list(self._pending.values())
        ]

    def _expire(self, pending: Pending) -> Done:
        patience = f"within {pending.timeout:g} s"
        name = "ping" if pending.op is None else pending.op.name
        text = f"Connection timeout: {self._where} did not answer {name} {patience}"
        return self._give_up(pending, ConnectionTimeout(text), f"no answer came {patience}")

    def _give_up(self, pending: Pending, error: BridgeError, why: str) -> Done:
        """Stop waiting; what is known of a trade that was sent is that it may have been executed."""
        self.forget(pending.id)
        has_left = pending.sent or pending.is_lost
        if has_left and pending.op is not None and pending.op.is_trade:
            error = self._unknown(pending, why)
        return Done(pending.id, None, SUCCESS, error)


def _is_new(frame: bytes) -> bool:
    """Whether a frame is one that a peer of the old protocol does not read."""
    return frame[:HEADER_LENGTH] != HEADER

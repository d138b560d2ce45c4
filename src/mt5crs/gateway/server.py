"""The gateway's sockets and its loop: one thread, one `zmq.Poller`.

While requests keep coming the loop stays on the command socket: a receive that waits costs a quarter less
per request than going through the poller each time. Everything else (streams, chunks of
arrays, time) gets its turn at least every `BURST` requests, and at once when the command socket is quiet.
"""

import logging
import socket as stdlib_socket
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from math import ceil
from operator import methodcaller

import zmq

from mt5crs.errors import SettingError
from mt5crs.gateway.access import DOMAIN, STREAMS, Access
from mt5crs.gateway.config import GatewayConfig
from mt5crs.gateway.desk import Desk
from mt5crs.gateway.dispatch import PEERS, Dispatch
from mt5crs.gateway.door import COMPLAINT, HANDSHAKE_MS, Door
from mt5crs.gateway.drain import Drain, InHand
from mt5crs.gateway.outgoing import Outgoing
from mt5crs.gateway.process import on_signals, ready_file, woken_by_signals
from mt5crs.gateway.publisher import BUDGET, Publisher, Socket
from mt5crs.gateway.streams import Streams
from mt5crs.security.keys import GatewayKeys
from mt5crs.security.policy import ANONYMOUS, Principal
from mt5crs.settings import address
from mt5crs.terminal.port import TerminalPort
from mt5crs.wire.messages import HARD_LIMIT

log = logging.getLogger(__name__)

LINGER_MS = 5
"""How long a quiet command socket is waited for before the poller is asked.

Below the kernel's own tick (4 ms or less) each wait programs the hardware timer, which on a virtual machine
costs as much as half a round trip."""
BURST = 256
"""Requests after which everything else gets its turn."""
CHUNKS = 4
"""Chunks of arrays that are sent in one turn."""
SEND_QUEUE = 256
"""Answers in the transport's queue of one connection."""
RETRY_MS = 2
"""Pause between two attempts to send them."""
HOUSEKEEPING = 1.0
"""Longest pause between two turns of everything else, in seconds."""
DESK = 0.01
"""Longest time for which the desk does without a turn, in seconds, where ticks alone call for turns."""
LOOK = 0.1
"""Seconds between two looks at the keys; before a trade, and at each handshake, they are looked at anyway."""
SWEEP = 15.0
"""Seconds between two looks for connections and arrays that nobody cares for any more."""
FLUSH = 1.0
"""Seconds that a stopping gateway gives its last answers."""
REST = 0.1
"""Seconds at most for which requests alone are looked after while wishes to subscribe are still there."""
BARRED = 60.0
"""Seconds for which a key that has flooded the stream port may not connect to it."""
REOPENS = 1.0
"""Seconds for which nobody may, where there are no keys: who it was would be back at once."""

_NOBLOCK = int(zmq.NOBLOCK)
_user_id: Callable[[object], str] = methodcaller("get", b"User-Id")  # as bytes, which need no conversion

_now = time.monotonic


class Server:
    """A gateway: its sockets, bound by the constructor, and its loop, `run`.

    Args:
        config: Where to listen and for whom.
        terminal: The terminal that it serves; closed with the gateway.
        keys: Its keys, where they were read already.

    Attributes:
        port: The command port.
        stream_port: The stream port.

    Raises:
        SettingError: The configuration cannot be used, or an address is taken.
    """

    def __init__(
        self, config: GatewayConfig, terminal: TerminalPort, keys: GatewayKeys | None = None
    ) -> None:
        config.check()
        keys = keys or config.open_keys()
        signer = keys.signer if keys else None
        desk = Desk(
            terminal,
            partial(config.open_journal, signer),
            config.horizon,
            policy=config.open_policy(),
            open_record=config.open_record,
        )
        if keys is not None:
            desk.guard.knows = keys.ring.entries.__contains__
            desk.guard.warn_of_unknown_keys()
        self._desk = desk
        self._config = config
        self._terminal = terminal
        self._keys = keys
        self._access = Access(keys.ring if keys else None, desk.admits)
        self._next_look = 0.0
        self._desk_asked = self._desk_due = 0.0
        self._reopens, self._next_complaint = 0.0, 0.0
        self._stopping = self._at_once = False
        self._receive = self._requests
        self._envelopes: dict[bytes, tuple[bytes, ...]] = {}  # of connections that wrap their messages
        self._stack = ExitStack()
        with ExitStack() as opening:
            opening.callback(desk.close)
            self._open(opening, desk.counters)
            self._stack = opening.pop_all()
        self._dispatch = Dispatch(
            terminal,
            stream_port=self.stream_port,
            desk=desk,
            access=self._access,
            gateway=signer.public if signer else b"",
        )
        self._outgoing = Outgoing(
            self._router, desk.counters, self._dispatch.forget, self._dispatch.transfers.drop_peer
        )
        self._streams = Streams(terminal, self._dispatch.epoch, self._dispatch.state, desk.trades)

    # ---- sockets ----

    def _open(self, opening: ExitStack, counters: "defaultdict[str, int]") -> None:
        self._context: zmq.Context[Socket] = zmq.Context()
        opening.callback(self._context.term)
        self._door = Door(self._context, self._access, counters)
        opening.callback(self._door.close)  # after the sockets that it watches over
        self._router = self._socket(zmq.ROUTER)
        opening.callback(self._router.close)
        self._router.setsockopt(zmq.ROUTER_MANDATORY, 1)
        self._router.setsockopt(zmq.MAXMSGSIZE, HARD_LIMIT)
        self._router.setsockopt(zmq.SNDHWM, SEND_QUEUE)
        self._router.rcvtimeo = LINGER_MS
        self._door.watch(self._router)
        self.port = self._bind(self._router, self._config.port)
        config = self._config
        self._publisher = Publisher(
            self._socket, self._bind, config.stream_port, config.stream_queue, counters
        )
        opening.callback(self._publisher.close)
        self._door.watch(self._publisher.socket)
        self.stream_port = self._publisher.port
        self._waker, self._woken = stdlib_socket.socketpair()
        opening.callback(self._waker.close)
        opening.callback(self._woken.close)
        self._waker.setblocking(False)
        self._woken.setblocking(False)

    def _socket(self, kind: int) -> Socket:
        socket = self._context.socket(kind)
        socket.linger = int(FLUSH * 1000)
        socket.zap_domain = DOMAIN if kind == zmq.ROUTER else STREAMS
        if self._keys is not None:
            socket.curve_server = True
            socket.curve_publickey = self._keys.public
            socket.curve_secretkey = self._keys.secret
        socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
        socket.setsockopt(zmq.HEARTBEAT_IVL, 5000)
        socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, 15000)
        return socket

    def _bind(self, socket: Socket, port: int) -> int:
        host = "127.0.0.1" if self._config.host == "localhost" else self._config.host
        socket.setsockopt(zmq.IPV6, int(":" in host))
        try:
            socket.bind(f"tcp://{address(host, port)}")
        except zmq.ZMQError as error:
            raise SettingError(
                f"cannot listen on {host} port {port}: {error.strerror}",
                hint="is another gateway running there? `--port 0` picks a free port",
            ) from error
        return int(socket.getsockopt_string(zmq.LAST_ENDPOINT).rpartition(":")[2])

    # ---- loop ----

    def run(self) -> None:
        """Serve until `stop` is called or a signal asks for it; then finish what is in hand, and close."""
        # Our signals are the last to go: a second one that came while we close would kill the process.
        with on_signals(self._stop_by_signal), self._stack, woken_by_signals(self._waker):
            self._stack.callback(self._terminal.close)
            poller = zmq.Poller()
            own = self._router, self._publisher.socket, *self._door.sources, self._woken
            for source in (*own, *self._terminal.sources):
                poller.register(source, zmq.POLLIN)
            self._poller = poller
            self._due = self._swept = _now()
            told = {"host": self._config.host, "port": self.port, "stream_port": self.stream_port}
            with ready_file(self._config.ready_file, {**told, "epoch": self._dispatch.epoch}):
                while not self._stopping:
                    self._take_turn(poller)
            self._drain(poller)

    def stop(self, *, at_once: bool = False) -> None:
        """Ask the loop to end; can be called from a signal handler or another thread.

        Args:
            at_once: Give up what is in hand.
        """
        self._stopping = True
        self._at_once = self._at_once or at_once
        try:
            self._waker.send(b"\0")
        except (BlockingIOError, OSError):  # a wake-up is waiting already, or all is closed
            pass

    def _stop_by_signal(self) -> None:
        self.stop(at_once=self._stopping)

    def _drain(self, poller: zmq.Poller) -> None:
        """Finish what is in hand, take nothing new, and publish what is due.

        What comes meanwhile is not answered, nor refused: for its client it is lost with the connection, so
        that it is asked again, a trade under its key, of whoever answers next. The socket stays bound: the
        transport would end its connections with its address.
        """
        self._receive = self._credits
        self._dispatch.rest()  # whoever is alive is not heard from now on
        self._due = 0.0
        drain = Drain(self._in_hand(), _now(), self._config.drain)
        is_reading = True
        while not self._at_once:
            in_hand, now = self._in_hand(), _now()
            if not drain.goes_on(in_hand, now):
                break
            if is_reading != bool(in_hand.arrays):
                is_reading = not is_reading
                poller.register(self._router, zmq.POLLIN if is_reading else 0)
            self._due = min(self._due, drain.until, now + LOOK)
            self._take_turn(poller)
        self._housekeep(_now())
        drain.end(_now())

    def _in_hand(self) -> InHand:
        found = self._dispatch.in_hand()
        return found._replace(unsent=len(self._outgoing.backlog), news=found.news + self._streams.pending)

    def _credits(self) -> None:
        """Take what arrays on their way need to be sent to their end, and drop what else comes."""
        try:
            for _ in range(BURST):
                peer, *frames = self._router.recv_multipart(_NOBLOCK)
                self._dispatch.only_credit(peer, frames[-1])
        except zmq.Again:
            pass

    def _take_turn(self, poller: zmq.Poller) -> None:
        now = _now()
        if now >= self._due:
            self._housekeep(now)
        if self._outgoing.backlog:
            self._outgoing.catch_up()
        busy = bool(self._dispatch.transfers)
        if busy:
            for peer, frames in self._dispatch.transfers.chunks(CHUNKS):
                self._outgoing.send(peer, (), frames)
        # In whole milliseconds, rounded up: a turn that comes too early finds nothing and costs as much.
        pause = 0 if busy else max(0, ceil((self._due - _now()) * 1000))
        if self._outgoing.backlog:
            pause = min(pause, RETRY_MS)
        ready = dict(poller.poll(pause))
        if not ready:
            return
        if any(source in ready for source in self._door.sources):
            self._door.take_turn(now)
        if self._woken.fileno() in ready:
            self._woken.recv(4096)
        if any(source in ready for source in self._terminal.sources):
            self._due = self._desk_due = 0.0
        if self._publisher.socket in ready:
            self._subscriptions()
        if self._router in ready:
            self._receive()

    def _look(self, now: float) -> None:
        """Look at the keys again; whoever is shut out loses all that is on its way, and its subscriptions."""
        self._next_look = now + LOOK
        self._desk_due = 0.0
        by_id = self._access.by_id
        change = self._access.look()
        if by_id is None or change is None:
            return
        self._desk.keys_changed(change)
        if not change.shut_out:
            return
        self._dispatch.look(by_id)
        self._close_streams()
        self._publish_again()
        if self._publisher.is_closed:
            log.error("streams are published again when there are descriptors to be had")

    def _close_streams(self) -> None:
        """Shut all subscribers out; those who may will come again."""
        self._streams.reset()
        before = self._publisher.socket
        if not self._publisher.is_closed:
            self._poller.unregister(before)
            self._poller.unregister(self._door.leave(before))
            self._publisher.close_all()

    def _publish_again(self) -> None:
        """Publish where all subscribers were shut out; where there is no room for that, in a later turn."""
        if not self._publisher.is_closed or _now() < self._reopens or not self._publisher.start_again():
            return
        try:
            monitor = self._door.watch(self._publisher.socket)
        except zmq.ZMQError:
            self._publisher.close_all()
            return
        for source in (self._publisher.socket, monitor):
            self._poller.register(source, zmq.POLLIN)

    def _requests(self) -> None:
        """Answer what comes, until nothing does or something else is due."""
        receive, handle, send = self._router.recv, self._dispatch.handle, self._outgoing.send
        transfers, by_id = self._dispatch.transfers, self._access.by_id
        principal: Principal | None = ANONYMOUS
        waiting, asked = self._dispatch.held.waiting, False
        now = _now()
        self._desk_due = 0.0
        try:
            for _ in range(BURST):
                hurries = transfers.ready or waiting or now + LINGER_MS / 1000 > self._due
                try:
                    peer = receive(_NOBLOCK if hurries else 0)
                except zmq.Again:
                    if not self._flush():
                        break
                    continue
                # A frame object knows whether more follow; asking the socket for RCVMORE costs twice as much.
                received = receive(0, False)
                if by_id is not None:  # with each message: a routing id can change hands
                    principal = by_id.get(_user_id(received))
                envelope: tuple[bytes, ...] = ()
                frame = received.bytes
                if received.more:
                    envelope, frame = self._rest(frame)
                    self._remember(peer, envelope)
                now = _now()
                if now >= self._next_look:
                    self._look(now)
                    if by_id is not None:
                        by_id = self._access.by_id or {}
                        principal = by_id.get(_user_id(received))
                if principal is None:  # its key was taken off the list after it connected
                    frames = self._dispatch.shut_out(frame)
                else:
                    frames = handle(peer, principal, frame, now)
                if frames:
                    send(peer, envelope, frames)
                else:
                    asked = True
                if now >= self._due or self._stopping:
                    break
        except zmq.Again:  # half a message
            pass
        self._flush()
        if asked and waiting:
            self._due = 0.0  # the terminal may want a turn sooner than it said

    def _flush(self) -> bool:
        """Carry on the orders that have come, all of them together; say whether there were any."""
        if not self._dispatch.is_waiting:
            return False
        self._dispatch.flush(_now())
        self._answer_late()
        if self._streams.is_watched:
            self._due = 0.0  # what became of them is news
        return True

    def _answer_late(self) -> None:
        """Send the answers that the terminal took its time for."""
        ready = self._dispatch.held.ready
        while ready:
            peer, frames = ready.popleft()
            self._outgoing.send(peer, self._envelopes.get(peer, ()), frames)

    def _rest(self, first: bytes) -> tuple[tuple[bytes, ...], bytes]:
        """Receive what follows a message's first frame; return its envelope and its body."""
        frames = [first, *self._router.recv_multipart()]
        if not first and len(frames) == 2:  # a REQ socket's delimiter
            return (b"",), frames[1]
        self._dispatch.counters["surplus-frames"] += 1
        return (b"",) if not first else (), b""  # refused as what it is: not a message

    def _remember(self, peer: bytes, envelope: tuple[bytes, ...]) -> None:
        """Note how a connection's messages are wrapped, for answers that come later."""
        if len(self._envelopes) >= PEERS:
            del self._envelopes[next(iter(self._envelopes))]
        self._envelopes[peer] = envelope

    def _subscriptions(self) -> None:
        begun = _now()
        taken = self._publisher.take_wishes(self._streams, self._who)
        now = _now()
        if taken.refused:
            self._dispatch.counters["refused-subscriptions"] += taken.refused
        if taken.is_flood:
            self._stop_flood(taken.flooding, now)
        # What is due may change. But while more wishes come, requests are given as long as these have taken.
        self._due = 0.0 if taken.is_all else now + max(BUDGET, min(now - begun, REST))

    def _stop_flood(self, principal: Principal | None, now: float) -> None:
        """Shut out who sends far more wishes than it may, and all others, who will come again."""
        counters = self._dispatch.counters
        counters["flooding-subscribers"] += 1
        if now >= self._next_complaint:
            self._next_complaint = now + COMPLAINT
            log.warning(
                "all streams begin again: %s sends too many wishes to subscribe (%d times so far)",
                "somebody" if principal is None else principal.name,
                counters["flooding-subscribers"],
            )
        if principal is not None and self._keys is not None:
            self._access.bar(principal.key_id, BARRED)
        else:
            self._reopens = now + REOPENS
        self._close_streams()
        self._publish_again()

    def _who(self, received: object) -> Principal | None:
        """Return whose message a frame is; None where its key is not known any more, or nobody sent it."""
        try:
            user = _user_id(received)
        except zmq.ZMQError:  # the transport itself tells of a connection that has ended
            return None
        by_id = self._access.by_id
        return ANONYMOUS if by_id is None else by_id.get(user)

    def _housekeep(self, now: float) -> None:
        """Let time pass at the terminal, publish what is new, forget what is stale."""
        self._due = now + HOUSEKEEPING
        if now >= self._next_look:
            self._look(now)
        self._publish_again()
        self._publisher.see_to_it()
        try:
            due = self._terminal.advance()
            self._dispatch.flush(now)
            if now >= self._desk_due:
                self._desk_asked = now + self._dispatch.pass_time(now)
                self._desk_due = min(self._desk_asked, now + DESK)
            self._due = min(now + min(due, HOUSEKEEPING), self._desk_asked)
            for frames in self._streams.news(now):
                self._publisher.publish(frames)
            self._due = min(self._due, self._streams.due)
        except Exception:  # requests are answered also while the terminal's ticks cannot be had
            log.exception("the terminal failed while time passed")
            self._dispatch.counters["terminal-fault"] += 1
        self._answer_late()
        if now - self._swept > SWEEP:
            self._swept = now
            self._dispatch.sweep(now)

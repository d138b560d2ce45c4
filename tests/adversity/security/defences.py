"""The defences, each with what takes it away from a gateway.

An attack that fails is worth something only where it succeeds without the defence that it is said to fail by.
A gateway reads in an environment variable, while it starts, which of its defences it is to do without.
"""

import os
import sys
from collections import defaultdict
from functools import partial
from math import inf
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.adversity.spoiling import Finder, Spoil

ROOT = Path(__file__).resolve().parents[3]
SITE = Path(__file__).resolve().parents[1] / "site"
VARIABLE = "MT5CRS_TEST_SPOILT"


def _no_curve(server: ModuleType) -> None:
    """The gateway does not use the keys that it was given."""
    from msgspec.structs import replace

    start = server.Server.__init__

    def plain(self: Any, config: Any, terminal: Any, _keys: Any = None) -> None:
        start(self, replace(config, keys=None), terminal)

    server.Server.__init__ = plain


def _any_key(access: ModuleType) -> None:
    """Whoever has a key is let in as somebody whose key is known."""

    def somebody(self: Any, credentials: list[bytes]) -> Any:
        return next(iter(self._ring.by_curve.values()))

    access.Access._principal = somebody


def _nobody_shut_out(ring: ModuleType) -> None:
    """Whoever was let in once is let in for good."""

    def let_in_only(self: Any, let_in: Any) -> bool:
        before = len(self._by_id)
        for key, principal in let_in:
            self._by_id.setdefault(key.id, principal)
            self._by_curve.setdefault(key.public.encode(), principal)
        return len(self._by_id) > before

    ring.KeyRing._replace = let_in_only


def _any_role(policy: ModuleType) -> None:
    """Every role may do everything."""
    for role in policy.Role:
        policy.PERMITS[role] = policy.PERMITS[policy.Role.ADMIN]


def _first_come(dispatch: ModuleType) -> None:
    """Who a connection is was decided by the first message under its routing id."""
    handle = dispatch.Dispatch.handle
    known: dict[bytes, Any] = {}

    def as_ever(self: Any, peer: bytes, principal: Any, frame: bytes, now: float) -> Any:
        return handle(self, peer, known.setdefault(peer, principal), frame, now)

    dispatch.Dispatch.handle = as_ever


def _any_greeting(dispatch: ModuleType) -> None:
    """What was greeted under a routing id is greeted, whoever it was."""
    ask = dispatch.Dispatch._ask

    def greeted(self: Any, peer: bytes, principal: Any, *rest: Any) -> Any:
        if peer in self._peers:
            self._peers[peer].principal = principal
        return ask(self, peer, principal, *rest)

    dispatch.Dispatch._ask = greeted


def _any_address(desk: ModuleType) -> None:
    """Everybody may connect, from wherever."""

    def all_of_them(self: Any, address: str) -> bool:
        return True

    desk.Desk.admits = all_of_them


def _any_time(signatures: ModuleType) -> None:
    """When a request was signed does not matter."""
    take = signatures.Nonces.take

    def at_once(self: Any, key: str, nonce: bytes, at: int, now: int) -> None:
        take(self, key, nonce, now, now)

    signatures.Nonces.take = at_once


def _any_copy(signatures: ModuleType) -> None:
    """What came before is taken again."""

    def forgetful(self: Any, key: str, nonce: bytes, at: int, now: int) -> None:
        pass

    signatures.Nonces.take = forgetful


def _one_epoch(dispatch: ModuleType) -> None:
    """A process cannot be told from an earlier one."""
    start = dispatch.Dispatch.__init__

    def same(self: Any, *args: Any, **kwargs: Any) -> None:
        start(self, *args, **{**kwargs, "epoch": 1})

    dispatch.Dispatch.__init__ = same


def _any_signature(signing: ModuleType) -> None:
    """What stands before a statement is not looked at."""

    def unread(content: bytes, public: bytes) -> bytes:
        return content[signing.SIGNATURE :]

    vars(signing).update(opened=unread)


def _any_signer(signatures: ModuleType) -> None:
    """A statement may be another client's: its signature is compared with the key that it names."""
    take = signatures.Signatures.take

    def by_whom_it_says(self: Any, signed: Any, principal: Any) -> Any:
        statement = signatures._statement(signed.content[64:])
        return take(self, signed, self._access.by_id.get(statement.signer, principal))

    signatures.Signatures.take = by_whom_it_says


def _unsigned(operation: ModuleType) -> None:
    """Nothing needs a signature."""
    vars(operation).update(SIGNED=frozenset())


def _wishes_are_granted(publisher: ModuleType) -> None:
    """Whatever a peer wishes for is granted, as an XPUB does by itself."""

    def take_wishes(self: Any, streams: Any, who: Any) -> Any:
        try:
            while True:
                received = self.socket.recv(publisher._NOBLOCK, False)
                wish = received.bytes
                if wish[:1] == publisher.SUBSCRIBE:
                    topic = streams.grant(wish[1:], who(received))
                    self.socket.setsockopt(publisher.zmq.SUBSCRIBE, wish[1:] if topic is None else topic)
        except publisher.zmq.Again:
            return publisher.Taken(0, True)

    publisher.Publisher.take_wishes = take_wishes


def _no_private_streams(streams: ModuleType) -> None:
    """Streams of one's own are for everybody."""
    vars(streams).update(PRIVATE=frozenset())


def _no_tokens(streams: ModuleType) -> None:
    """Whoever knows a topic can end its subscriptions."""
    give_up = streams.Streams.give_up

    def of_anybody(self: Any, wished: bytes) -> Any:
        topic = wished.partition(b"\0")[0] + b"\0"
        token = next(iter(self._wishes._granted.get(topic, ())), b"")
        return give_up(self, topic + token)

    streams.Streams.give_up = of_anybody


def _no_guard(guarding: ModuleType) -> None:
    """No order is judged."""

    def unseen(self: Any, order: Any, journal: Any, now: float) -> bool:
        return True

    guarding.Guard.judge = unseen


def _switches_forgotten(switches: ModuleType) -> None:
    """A kill switch ends with its process."""

    def in_memory(self: Any, journal: Any) -> None:
        self._journal = journal

    switches.Switches.read = in_memory


def _nobody_missed(deadmen: ModuleType) -> None:
    """Nobody is missed."""

    def never(self: Any, name: str, limit: float, now: float) -> bool:
        return False

    deadmen.DeadMen.is_missed = never


def _each_complaint(door: ModuleType) -> None:
    """Each connection that is refused is a line of the log."""
    vars(door).update(COMPLAINT=-inf)


def _any_reader(private: ModuleType) -> None:
    """Secrets are read from files that everybody can read, too."""

    def read(path: Path) -> bytes:
        with private._opened(path) as file:
            content: bytes = file.read()
            return content

    vars(private).update(read=read)


DEFENCES: dict[str, tuple[str, Spoil]] = {
    "curve": ("mt5crs.gateway.server", _no_curve),
    "known keys": ("mt5crs.gateway.access", _any_key),
    "revocation": ("mt5crs.security.ring", _nobody_shut_out),
    "roles": ("mt5crs.security.policy", _any_role),
    "principal of each message": ("mt5crs.gateway.dispatch", _first_come),
    "greeting of each key": ("mt5crs.gateway.dispatch", _any_greeting),
    "addresses": ("mt5crs.gateway.desk", _any_address),
    "nonces": ("mt5crs.gateway.signatures", _any_copy),
    "window": ("mt5crs.gateway.signatures", _any_time),
    "epochs": ("mt5crs.gateway.dispatch", _one_epoch),
    "verification": ("mt5crs.security.signing", _any_signature),
    "one signer": ("mt5crs.gateway.signatures", _any_signer),
    "signatures": ("mt5crs.operation", _unsigned),
    "manual grants": ("mt5crs.gateway.publisher", _wishes_are_granted),
    "private streams": ("mt5crs.gateway.streams", _no_private_streams),
    "tokens": ("mt5crs.gateway.streams", _no_tokens),
    "guard": ("mt5crs.gateway.guarding", _no_guard),
    "kept switches": ("mt5crs.gateway.switches", _switches_forgotten),
    "dead men": ("mt5crs.gateway.deadmen", _nobody_missed),
    "few complaints": ("mt5crs.gateway.door", _each_complaint),
    "private files": ("mt5crs.private", _any_reader),
}
"""By name: the module, and what is done to it."""


def environment(*names: str) -> dict[str, str]:
    """Return the environment of a process without these defences."""
    path = os.pathsep.join([str(SITE), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path, VARIABLE: ",".join(names)}


def spoil(text: str) -> None:
    """Have this process do without what the environment variable names."""
    by_module: defaultdict[str, list[Spoil]] = defaultdict(list)
    for name in text.split(","):
        module, what = DEFENCES[name]
        by_module[module].append(what)
    for module, whats in by_module.items():
        sys.meta_path.insert(0, Finder(module, partial(_all_of, whats)))


def _all_of(whats: list[Spoil], module: ModuleType) -> None:
    for what in whats:
        what(module)

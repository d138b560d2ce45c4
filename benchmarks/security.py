"""What security costs: the signature of an order, the guard, CURVE on long arrays.

Signature and guard are measured on an order's way through both cores in one process, without sockets, so that
what they add is not lost in what else there is. A bare signature and its verification are the floor: alone,
one after the other, and beside an order without one. That they make slower by more than they take
themselves, since they drive everything else out of the processor's caches.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from itertools import count
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.bulk import ours, raw_tcp
from benchmarks.measure import Case, Effort, Figure, Rounds, ratio, summary, take_turns, timed
from benchmarks.orders import ORDER
from benchmarks.processes import gateway, one_core, peer
from benchmarks.request import blocking, key_files
from mt5crs import Client
from mt5crs.api import OPERATIONS
from mt5crs.client.proofs import RequestSigner
from mt5crs.gateway.access import Access
from mt5crs.gateway.desk import Desk
from mt5crs.gateway.dispatch import Dispatch
from mt5crs.gateway.policyfile import PolicyFile
from mt5crs.model import RATES
from mt5crs.security.keys import ClientKeys, GatewayKeys
from mt5crs.security.policy import ANONYMOUS, Principal
from mt5crs.security.signing import Signer, opened
from mt5crs.terminal.simulated import SimulatedConfig, SimulatedTerminal
from mt5crs.wire.request import Done
from mt5crs.wire.session import Session, Sign

BARE = "a bare signature and its verification"
BESIDE = "a bare one beside an order"
STATEMENT = 250
"""Bytes of what is signed of an order."""
POLICY = """
[account]
max_order_volume = 1000
max_symbol_volume = 10000
max_exposure = 1e12
max_orders_per_minute = 100000000
max_price_distance = 50
max_daily_loss = 1e12
symbols = "EURUSD, *USD*, !XAU*"
magic = [5, [100, 199]]
hours = ["mon-sun 00:00-24:00"]
"""
"""Every limit, and none that refuses."""
_op = OPERATIONS["order_send"]


class Way:
    """An order's way through a client's core and a gateway's, there and back.

    Args:
        policy: The guard's limits.
        keys: The keys of the gateway and of the client, for orders that are signed.
    """

    def __init__(self, policy: Path | None = None, keys: tuple[Path, Path] | None = None) -> None:
        terminal = SimulatedTerminal(SimulatedConfig(seed=7, margin_mode="netting"), clock=time.monotonic)
        desk = Desk(terminal, policy=PolicyFile(policy))
        self._principal: Principal = ANONYMOUS
        access: Access | None = None
        sign: Sign | None = None
        public = b""
        if keys is not None:
            own, theirs = GatewayKeys.load(keys[0]), ClientKeys.load(keys[1])
            access, public, sign = Access(own.ring, bool), own.signer.public, RequestSigner(theirs)
            self._principal = own.ring.by_id[theirs.key_id]
        self._dispatch = Dispatch(terminal, desk=desk, access=access, gateway=public)
        self._session = Session(client="bench", software="bench", where="here", sign=sign)
        self._sides = count()
        self._frames: list[bytes] = []
        self.order()

    def _take(self, frame: bytes, _flags: int) -> None:
        self._frames.append(frame)

    def order(self) -> None:
        """Send an order; what it adds up to stays near nothing."""
        session, dispatch = self._session, self._dispatch
        wire = _op.signature.bind(_op.name, ({**ORDER, "type": next(self._sides) % 2},), {})
        session.ask(_op, wire, time.monotonic(), 5.0, os.urandom(16).hex())
        event: Any = None
        while type(event) is not Done:
            self._frames.clear()
            session.depart(self._take)
            for frame in self._frames:
                now = time.monotonic()
                answers = [dispatch.handle(b"peer", self._principal, frame, now)]
                dispatch.flush(now)
                answers += [answer for _, answer in dispatch.held.ready]
                dispatch.held.ready.clear()
                for answer in filter(None, answers):
                    event = session.receive(answer[0], now)
        if event.failure is not None or event.value.retcode != 10009:
            raise RuntimeError(f"an order of the benchmark was not carried out: {event}")


def bare(beside: Callable[[], object] = bool) -> Case:
    """Return the floor: what any signature costs, by the same library.

    Args:
        beside: What is done beside it.
    """
    signer, message = Signer(bytes(32)), bytes(STATEMENT)

    def once() -> None:
        opened(signer.sign(message), signer.public)
        beside()

    return lambda calls: timed(once, calls)


def _case(way: Way) -> Case:
    return lambda calls: timed(way.order, calls)


@contextmanager
def _cases() -> Iterator[dict[str, Case]]:
    with TemporaryDirectory() as folder, key_files() as keys, gateway() as serving:
        plain, policy = Way(), Path(folder, "limits.toml")
        policy.write_text(POLICY)
        with Client("127.0.0.1", serving.port) as client:
            yield {
                "bare": bare(),
                "beside": bare(plain.order),
                "plain": _case(plain),
                "signed": _case(Way(keys=keys)),
                "guarded": _case(Way(policy)),
                "request": blocking(client),
            }


def _bulk(effort: Effort) -> Figure:
    with ExitStack() as stack:
        enter = stack.enter_context
        keys, key_file = enter(key_files())
        serving = enter(gateway(keys))
        client = enter(closing(Client("127.0.0.1", serving.port, timeout=60, keys=key_file)))
        pouring = enter(peer("pour", str(effort.bars * RATES.itemsize)))
        floor = enter(contextmanager(raw_tcp)(pouring.port, effort.bars))
        cases = {"floor": floor, "curve": ours(client, effort.bars)}
        take_turns(cases, 1, 1)
        rounds, _ = take_turns(cases, effort.transfers, 1)
    against = "raw TCP, recv_into, no encryption"
    return ratio(
        "bulk throughput with CURVE", against, rounds["floor"], rounds["curve"], target=0.25, at_most=False
    )


def _over_plain(rounds: Rounds, name: str) -> list[float]:
    """Return what a case takes beyond an order without anything, round by round."""
    return [over - plain for over, plain in zip(rounds[name], rounds["plain"], strict=True)]


def figures(effort: Effort) -> list[Figure]:
    """Measure what security costs."""
    with one_core(), _cases() as cases:
        take_turns(cases, 1, effort.calls)
        rounds, _ = take_turns(cases, effort.rounds * effort.launches, effort.calls)
    signing, beside, guarding = (_over_plain(rounds, name) for name in ("signed", "beside", "guarded"))
    request = median(rounds["request"])
    return [
        ratio("what signing adds to an order", BARE, signing, rounds["bare"], target=1.5),
        ratio("what signing adds to an order", BESIDE, signing, beside),
        summary(
            "what the guard adds to an order",
            f"a request takes {request * 1e6:.0f} us",
            [seconds * 1e6 for seconds in guarding],
            unit="us",
            target=10.0,
            raw={"request_seconds": request, "order_seconds": median(rounds["plain"])},
        ),
        _bulk(effort),
    ]

"""Arrays on their way to clients: sent in chunks, never further ahead than the client's credit."""

from collections import Counter, deque
from collections.abc import Iterator
from typing import Any

from mt5crs.errors import Busy
from mt5crs.model import ArrayType
from mt5crs.wire.codec import encode
from mt5crs.wire.messages import CHUNK, MANY_LIMIT, Chunk
from mt5crs.wire.packing import pack

Frames = list[Any]
"""The frames of one message: bytes, and for rows a memoryview."""

PER_PEER = 4
"""Arrays of more than one chunk on their way to one connection at a time."""
HELD_LIMIT = 1 << 30
"""Bytes of arrays on their way to all connections together."""
PACK_FROM = 16 * 1024
"""Bytes of the shortest array that is packed: a shorter one is no sooner there for it."""
SMALL_PER_PEER = MANY_LIMIT
"""Arrays of one chunk: as many as can be asked for in one frame."""


class Transfer:
    """One array on its way: the rows that were not sent yet.

    Args:
        peer: The connection's routing id.
        id_: Correlation id.
        rows: The bytes of all rows.
        layout: What the rows are.
        credit: Chunks that may be sent now.
        packs: How the connection wants arrays packed; "" for not at all.

    Attributes:
        packed: How this one is packed; "" for not at all.
    """

    __slots__ = ("credit", "id", "layout", "offset", "packed", "peer", "rows", "stalled", "step")

    def __init__(
        self, peer: bytes, id_: int, rows: memoryview, layout: ArrayType, credit: int, packs: str = ""
    ) -> None:
        self.peer = peer
        self.id = id_
        self.rows = rows
        self.layout = layout
        self.credit = credit
        self.packed = packs if len(rows) >= PACK_FROM else ""
        self.offset = 0
        self.stalled = False
        self.step = CHUNK // layout.itemsize * layout.itemsize

    def take(self) -> "memoryview | bytes":
        """Return the next chunk's frame; it is packed when its turn comes, so no more of it waits packed."""
        self.stalled = False
        chunk = self.rows[self.offset : self.offset + self.step]
        self.offset += len(chunk)
        self.credit -= 1
        return pack(chunk, self.layout) if self.packed else chunk

    @property
    def is_small(self) -> bool:
        """Whether one chunk holds it all."""
        return len(self.rows) <= self.step

    @property
    def is_done(self) -> bool:
        """Whether all rows were sent."""
        return self.offset >= len(self.rows)


class Transfers:
    """All arrays on their way, served in turn.

    Attributes:
        ready: Those that may be sent from now.
        sent: Chunks that were sent so far.
    """

    def __init__(self) -> None:
        self._by_key: dict[tuple[bytes, int], Transfer] = {}
        self._held: Counter[tuple[bytes, bool]] = Counter()  # by connection and size
        self.ready: deque[Transfer] = deque()
        self.sent = 0

    def __bool__(self) -> bool:
        return bool(self.ready)

    def add(self, transfer: Transfer) -> None:
        """Take an array, what was taken of it is sent already; the credit may allow more.

        Raises:
            Busy: The connection has too many already.
        """
        if transfer.is_done:
            return
        kind, limit = (transfer.peer, transfer.is_small), SMALL_PER_PEER if transfer.is_small else PER_PEER
        if self._held[kind] >= limit:
            raise Busy(f"{limit} arrays are on their way to this connection already")
        if sum(len(each.rows) for each in self._by_key.values()) + len(transfer.rows) > HELD_LIMIT:
            raise Busy(f"{HELD_LIMIT} bytes of arrays are on their way already")
        self._by_key[transfer.peer, transfer.id] = transfer
        self._held[kind] += 1
        if transfer.credit > 0:
            self.ready.append(transfer)

    def grant(self, peer: bytes, id_: int, chunks: int) -> None:
        """Allow more chunks of an array; unknown ones are ignored, since they may just have ended."""
        transfer = self._by_key.get((peer, id_))
        if transfer is None or chunks <= 0:
            return
        if transfer.credit <= 0:
            self.ready.append(transfer)
        transfer.credit += chunks

    def drop(self, peer: bytes, id_: int) -> None:
        """Forget an array."""
        transfer = self._by_key.get((peer, id_))
        if transfer is None:
            return
        self._end(transfer)
        if transfer in self.ready:
            self.ready.remove(transfer)

    def _end(self, transfer: Transfer) -> None:
        del self._by_key[transfer.peer, transfer.id]
        kind = (transfer.peer, transfer.is_small)
        self._held[kind] -= 1
        if not self._held[kind]:  # connections come and go
            del self._held[kind]

    def sweep(self) -> None:
        """Drop the arrays of which nothing was taken in since the last sweep."""
        for transfer in list(self._by_key.values()):
            if transfer.stalled:
                self.drop(transfer.peer, transfer.id)
            transfer.stalled = True

    def drop_peer(self, peer: bytes) -> None:
        """Forget all arrays of a connection."""
        for id_ in self.in_hand(peer):
            self.drop(peer, id_)

    @property
    def under_way(self) -> int:
        """How many arrays are on their way, also those that wait for credit."""
        return len(self._by_key)

    def peers(self) -> set[bytes]:
        """Return the connections that something is on its way to."""
        return {peer for peer, _ in self._by_key}

    def in_hand(self, peer: bytes) -> list[int]:
        """Return the ids of a connection's arrays."""
        return [id_ for owner, id_ in self._by_key if owner == peer]

    def chunks(self, most: int) -> Iterator[tuple[bytes, Frames]]:
        """Yield up to `most` chunks to be sent now, one from each array in turn.

        A packed one is the last: making it takes as long as sending several, and others wait.
        """
        for _ in range(most):
            if not self.ready:
                return
            transfer = self.ready.popleft()
            start = transfer.offset // transfer.layout.itemsize
            message = encode(Chunk(transfer.id, start))
            rows = transfer.take()
            self.sent += 1
            if transfer.is_done:
                self._end(transfer)
            elif transfer.credit > 0:
                self.ready.append(transfer)
            yield transfer.peer, [message, rows]
            if transfer.packed:
                return

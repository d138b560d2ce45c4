"""Long arrays packed: how much smaller they are, and what that is worth on a slow link and on loopback."""

from contextlib import ExitStack

from benchmarks.bulk import START, SYMBOL, ours
from benchmarks.measure import Case, Effort, Figure, ratio, summary, take_turns
from benchmarks.processes import gateway, peer
from mt5crs import Client
from mt5crs.constants import COPY_TICKS_ALL, TIMEFRAME_M1
from mt5crs.model import RATES, TICKS, ArrayType, RatesArray
from mt5crs.wire.messages import CHUNK
from mt5crs.wire.packing import pack

BARS = 50_000
"""Of one transfer: on the slow link they take more than a second as they are."""
SLOW = 20_000_000 // 8
"""Bytes a second of the slow link."""
WAYS = {"packed": "zstd", "plain": "none"}


def _smaller(name: str, rows: "RatesArray | None", layout: ArrayType, target: float | None) -> Figure:
    """Return by how much rows are smaller when their chunks are packed."""
    if rows is None or not len(rows):
        raise RuntimeError(f"no {name}")
    content, step = rows.view("u1").data, CHUNK // layout.itemsize * layout.itemsize
    packed = sum(len(pack(content[at : at + step], layout)) for at in range(0, len(content), step))
    raw = {"raw_bytes": len(content), "packed_bytes": packed}
    return summary(
        f"packed {name}", "their size", [len(content) / packed], target=target, at_most=False, raw=raw
    )


def _times(where: str, port: int, effort: Effort, target: float | None) -> Figure:
    """Return how long a download takes packed, against the same one that is not."""
    with ExitStack() as stack:
        cases: dict[str, Case] = {}
        for name, way in WAYS.items():
            client = stack.enter_context(Client("127.0.0.1", port, timeout=60, compress=way))
            cases[name] = ours(client, BARS)
        take_turns(cases, 1, 1)
        rounds, _ = take_turns(cases, effort.transfers, 1)
    return ratio(f"bulk packed, {where}", "not packed", rounds["packed"], rounds["plain"], target=target)


def figures(effort: Effort) -> list[Figure]:
    """Measure packed arrays; on loopback it does not pay, and is told to show by how much."""
    with gateway() as serving:
        with Client("127.0.0.1", serving.port, timeout=60) as client:
            bars = client.copy_rates_range(SYMBOL, TIMEFRAME_M1, START, START + (BARS - 1) * 60)
            ticks = client.copy_ticks_from(SYMBOL, START, BARS, COPY_TICKS_ALL)
        with peer("slow", str(serving.port), str(SLOW)) as slow:
            narrow = _times("20 Mbit/s", slow.port, effort, 0.25)
        return [
            _smaller("M1 bars", bars, RATES, 10.0),
            _smaller("ticks", ticks, TICKS, None),
            narrow,
            _times("loopback", serving.port, effort, None),
        ]

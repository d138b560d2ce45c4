"""What a client costs before it does anything: memory, imports, connections, and idle time."""

import time
from collections.abc import Sequence

import psutil

from benchmarks.measure import Effort, Figure, ratio, summary
from benchmarks.processes import Peer, gateway, peer, run, started

MB = 1024 * 1024

MEMORY = """
from pathlib import Path
def memory():
    line, = (l for l in Path("/proc/self/status").read_text().splitlines() if l.startswith("VmRSS"))
    return int(line.split()[1]) * 1024
"""
BARE = (
    """
import sys, zmq
with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
    socket.connect(f"tcp://127.0.0.1:{sys.argv[1]}")
    socket.send(b"")
    socket.recv()
"""
    + MEMORY
    + "    \nprint(memory())"
)
CLIENT = (
    """
import sys
from mt5crs import Client
client = Client("127.0.0.1", int(sys.argv[1]))
client.symbol_info_tick("EURUSD")
"""
    + MEMORY
    + """
print(memory())
client.copy_rates_from_pos("EURUSD", 16385, 0, 1000)
print(memory())
client.close()
"""
)
IMPORT = "from time import perf_counter as now; start = now(); {}; print(now() - start)"
IDLE = """
import sys, time
from mt5crs import Client
with Client("127.0.0.1", int(sys.argv[1])) as client:
    client.symbol_info_tick("EURUSD")
    print("connected", flush=True)
    time.sleep(120)
"""


def _memory(serving: Peer, effort: Effort) -> list[Figure]:
    bare, connected, with_bars = [], [], []
    with peer("pong", "1") as pong:
        for _ in range(effort.starts):
            bare += run(BARE, str(pong.port))
            first, second = run(CLIENT, str(serving.port))
            connected.append(first)
            with_bars.append(second)
    return [
        _megabytes("client's memory, connected", connected, bare, 25.0),
        _megabytes("client's memory, with 1,000 bars", with_bars, bare, 40.0),
    ]


def _megabytes(name: str, ours: Sequence[float], bare: Sequence[float], target: float) -> Figure:
    against = ratio(name, "", ours, bare).value
    raw = {"ratio_to_bare_pyzmq": against}
    values = [value / MB for value in ours]
    return summary(name, f"{against:.2f} x bare pyzmq", values, unit="MB", target=target, raw=raw)


def _imports(effort: Effort) -> Figure:
    floor, subject = [], []
    for number in range(2 * effort.starts + 1):
        zmq, mt5crs = (run(IMPORT.format(line))[0] for line in ("import zmq", "from mt5crs import Client"))
        if number:  # the first writes the bytecode
            floor.append(zmq)
            subject.append(mt5crs)
    return ratio("import", "import zmq", subject, floor, target=2.5)


def _idle(serving: Peer, seconds: float) -> list[Figure]:
    with started("-c", IDLE, str(serving.port)) as process:
        assert process.stdout is not None
        process.stdout.readline()
        client, server = psutil.Process(process.pid), psutil.Process(serving.pid)
        established = [c for c in client.net_connections("tcp") if c.status == psutil.CONN_ESTABLISHED]
        shares = _busy([client, server], seconds)
    return [
        summary("client's TCP connections", "one", [float(len(established))], target=1.0),
        summary("idle client", "one core", [shares[0]], unit="%", target=1.0),
        summary("idle gateway", "one core", [shares[1]], unit="%", target=1.0),
    ]


def _busy(processes: Sequence[psutil.Process], seconds: float) -> list[float]:
    """Return how many percent of a core each process uses."""

    def used() -> list[float]:
        return [sum(process.cpu_times()[:2]) for process in processes]

    before, start = used(), time.perf_counter()
    time.sleep(seconds)
    return [
        100 * (after - was) / (time.perf_counter() - start) for after, was in zip(used(), before, strict=True)
    ]


def figures(effort: Effort) -> list[Figure]:
    """Measure what is there without any work."""
    with gateway() as serving:
        return [*_memory(serving, effort), _imports(effort), *_idle(serving, effort.idle)]

"""The processes that are measured: each is started here, and ended here by its own id."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import psutil

START_LIMIT = 60.0
"""Seconds that a process may take until it serves."""
STOP_LIMIT = 10.0


class Peer(NamedTuple):
    """A process that serves on a port of this machine."""

    pid: int
    port: int


def _end(process: "subprocess.Popen[str]") -> None:
    process.terminate()
    try:
        process.wait(STOP_LIMIT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


@contextmanager
def started(*command: str) -> "Iterator[subprocess.Popen[str]]":
    """Run `python COMMAND...` while the block lasts; it can be told something, and its output can be read."""
    pipe = subprocess.PIPE
    process = subprocess.Popen([sys.executable, *command], stdin=pipe, stdout=pipe, text=True)
    try:
        yield process
    finally:
        _end(process)


@contextmanager
def peer(kind: str, *arguments: str) -> Iterator[Peer]:
    """Run one of `benchmarks.peers`, which prints its port."""
    with started("-m", "benchmarks.peers", kind, *arguments) as process:
        assert process.stdout is not None
        yield Peer(process.pid, int(process.stdout.readline()))


@contextmanager
def gateway(keys: Path | None = None, options: Sequence[str] = ()) -> Iterator[Peer]:
    """Run `mt5crs gateway` on the simulated terminal."""
    with TemporaryDirectory() as folder:
        ready = Path(folder) / "ready.json"
        command = ["-m", "mt5crs", "gateway", "--terminal", "simulated", "--port", "0", "--stream-port", "0"]
        command += ["--ready-file", str(ready), *options]
        if keys is not None:
            command += ["--keys", str(keys)]
        with started(*command) as process:
            yield Peer(process.pid, _wait_for(ready, process))


def _wait_for(ready: Path, process: "subprocess.Popen[str]") -> int:
    patience = time.monotonic() + START_LIMIT
    while not ready.exists():
        if process.poll() is not None or time.monotonic() > patience:
            raise RuntimeError(f"the gateway did not start (exit code {process.returncode})")
        time.sleep(0.02)
    return int(json.loads(ready.read_bytes())["port"])


def run(script: str, *arguments: str) -> list[float]:
    """Run a Python script to its end; return the numbers that it printed."""
    command = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=START_LIMIT)
    return [float(word) for word in done.stdout.split()]


@contextmanager
def one_core() -> Iterator[bool]:
    """Keep this process, and what it starts, on the least busy core; say whether that can be done here.

    On two cores the operating system's placement decides more than the code that is measured.
    """
    if sys.platform != "linux":
        yield False
        return
    before = os.sched_getaffinity(0)
    load = psutil.cpu_percent(interval=0.3, percpu=True)
    core = min(before, key=lambda number: load[number] if number < len(load) else 0.0)
    os.sched_setaffinity(0, {core})
    try:
        yield True
    finally:
        os.sched_setaffinity(0, before)


def status(pid: int, name: str) -> int:
    """Return a memory figure of a process (`VmRSS`, `VmHWM`) in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"process {pid} has no {name}")


def forget_peak(pid: int) -> None:
    """Let `VmHWM` of a process start again from what it uses now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")

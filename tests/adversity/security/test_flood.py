"""Floods of connections: honest clients go on, nothing grows without a bound, and the log stays readable."""

import statistics
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from mt5crs import Client
from mt5crs.constants import TRADE_RETCODE_DONE
from mt5crs.errors import BridgeError
from mt5crs.gateway.door import COMPLAINT
from mt5crs.security.keys import revoke_client
from mt5crs.security.policy import Role
from mt5crs.security.ring import SETTLED
from tests.adversity.security.flood import KINDS
from tests.adversity.security.scene import BUY, Scene
from tests.conftest import ROOT

SECONDS = 4.0
SLOWER = 5.0
"""How many times slower the median of honest requests may be."""
FLOOR = 0.002
"""Seconds that a median may be in any case: the machine is shared with those who flood."""
GROWTH = 100e6
"""Bytes by which the gateway may grow."""
LINES = 20
FEW = 80
"""Descriptors of a gateway that has hardly any."""


@contextmanager
def flood(scene: Scene, kinds: Sequence[str], seconds: float = SECONDS) -> Generator[list[int], None, None]:
    """Flood a gateway meanwhile, and until it is over; then the list has how many connections were made."""
    made: list[int] = []
    key = scene.known("owner").gateway.decode()
    module = (sys.executable, "-m", "tests.adversity.security.flood")
    flooding = [
        subprocess.Popen(
            [*module, kind, str(scene.gateway.port), key, str(seconds)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        for kind in kinds
    ]
    try:
        yield made
        made += [int(each.communicate(timeout=60.0)[0]) for each in flooding]
    finally:
        for each in flooding:
            each.kill()
            each.communicate()


def latencies(client: Client, seconds: float) -> list[float]:
    """Ask for as long; return how long each answer took."""
    until, took = time.monotonic() + seconds, list[float]()
    while time.monotonic() < until:
        began = time.perf_counter()
        assert client.symbol_info_tick("EURUSD")
        took.append(time.perf_counter() - began)
        time.sleep(0.002)  # an honest client does other things as well
    return took


def counters(client: Client) -> dict[str, int]:
    told: dict[str, int] = client.ping().pong.state["counters"]
    return told


@pytest.mark.alone
def test_honest_clients_go_on_through_a_flood(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    process = psutil.Process(scene.gateway.process.pid)
    try:
        with scene.owner() as honest:
            before, size = statistics.median(latencies(honest, 1.0)), process.memory_info().rss
            with flood(scene, tuple(KINDS)) as made:
                during = latencies(honest, SECONDS - 1.0)
                with scene.owner() as another:
                    assert another.account_info()
            assert sum(made) > 1000
            assert statistics.median(during) <= max(FLOOR, SLOWER * before)
            assert process.memory_info().rss - size < GROWTH
            told = counters(honest)
            assert told["refused-connections"] > 100
            assert told["failed-handshakes"] > 100
            assert len(scene.gateway.log.read_text().splitlines()) < LINES
            result = honest.order_send(BUY)
            assert result is not None
            assert result.retcode == TRADE_RETCODE_DONE
    finally:
        scene.end()


def test_without_a_limit_each_of_them_is_a_line_of_the_log(tmp_path: Path) -> None:
    scene = Scene(tmp_path, "few complaints")
    try:
        with flood(scene, ["strangers"], COMPLAINT / 10):
            pass
        assert len(scene.gateway.log.read_text().splitlines()) > 2 * LINES
    finally:
        scene.end()


@pytest.mark.alone
def test_a_gateway_without_descriptors_goes_on_and_shuts_out(tmp_path: Path) -> None:
    """Strangers hold all connections that it may have: whoever is in goes on, whoever is revoked does not."""
    scene = Scene(tmp_path, keeps_account=False)
    process = psutil.Process(scene.gateway.process.pid)
    thief_key = scene.key_file(Role.TRADER)
    try:
        with scene.owner() as honest, scene.client(thief_key) as thief:
            assert honest.account_info()
            assert thief.account_info()
            latencies(
                honest, SETTLED / 1e9 + 1.5
            )  # until the gateway has seen that its entries stay as they are
            before, size = statistics.median(latencies(honest, 1.0)), process.memory_info().rss
            process.rlimit(psutil.RLIMIT_NOFILE, (FEW, FEW))
            with flood(scene, ["silent"]) as made:
                give_up = time.monotonic() + 2.0
                while process.num_fds() < FEW and time.monotonic() < give_up:
                    assert honest.version()
                assert process.num_fds() == FEW
                during = latencies(honest, 1.5)
                revoke_client(scene.keys, thief_key.stem)
                with pytest.raises(BridgeError):
                    thief.order_send(BUY)
                result = honest.order_send(BUY)
                assert result is not None
                assert result.retcode == TRADE_RETCODE_DONE
            assert sum(made) > FEW
            assert statistics.median(during) <= max(FLOOR, SLOWER * before)
            assert process.memory_info().rss - size < GROWTH / 4
            with scene.owner() as another:
                assert next(another.ticks("EURUSD"))  # streams are back too
            assert len(scene.gateway.log.read_text().splitlines()) < LINES
    finally:
        scene.end()


def test_the_gateway_asks_for_more_descriptors_than_it_was_given(tmp_path: Path) -> None:
    before = psutil.Process().rlimit(psutil.RLIMIT_NOFILE)
    psutil.Process().rlimit(psutil.RLIMIT_NOFILE, (256, before[1]))
    try:
        scene = Scene(tmp_path)
    finally:
        psutil.Process().rlimit(psutil.RLIMIT_NOFILE, before)
    try:
        given = psutil.Process(scene.gateway.process.pid).rlimit(psutil.RLIMIT_NOFILE)[0]
        assert given == min(8192, before[1]) or before[1] == psutil.RLIM_INFINITY
    finally:
        scene.end()

"""The demo from end to end, as a person runs it, and what it leaves behind when it goes wrong."""

import os
import re
import signal
import subprocess
from datetime import datetime, timedelta, timezone
from pathlib import Path

import psutil
import pytest

from tests.cli.commands import PATIENCE, process, start

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
FILES = {
    "mt5_eurusd_m1_2025-11.csv.gz": "EURUSD",
    "truefx_usdjpy_ticks_2013-01-01.csv": "USDJPY",
    "histdata_eurusd_ticks_2020-01-01.csv.gz": "EURUSD",
}
STEPS = 12


def the_data(name: str) -> Path:
    path = DATA / name
    if not path.exists() and not os.environ.get("CI"):
        pytest.skip(f"{path} is not there")
    return path


def headings(out: str) -> list[int]:
    return [int(number) for number in re.findall(r"^(\d+)\. ", out, re.MULTILINE)]


def gateway_of(demo: "subprocess.Popen[str]") -> psutil.Process:
    """Wait until the demo has said which process its gateway is."""
    assert demo.stdout is not None
    for line in demo.stdout:
        if found := re.search(r"\(process (\d+)\)", line):
            return psutil.Process(int(found[1]))
    raise AssertionError("the demo ended before its gateway was ready")


def wait_for_step(demo: "subprocess.Popen[str]", number: int) -> None:
    assert demo.stdout is not None
    for line in demo.stdout:
        if line.startswith(f"{number}. "):
            return
    raise AssertionError(f"the demo ended before step {number}")


def assert_gone(gateway: psutil.Process) -> None:
    """A process that nobody has waited for yet does not run any more either."""
    try:
        gateway.wait(PATIENCE)
    except psutil.TimeoutExpired:
        assert gateway.status() == psutil.STATUS_ZOMBIE


def test_the_main_job_with_made_up_prices() -> None:
    # Settings for other programs, as they may stand in the environment, do not reach the demo.
    result = process("demo", "--seconds", "0", MT5_HOST="192.0.2.1", MT5_PORT="1", MT5_KEYS="/nope")
    assert (result.code, result.err) == (0, "")
    assert headings(result.out) == list(range(1, STEPS + 1))
    assert "A REQ socket sent 'Hello', the gateway answered 'OK_FROM_MT5'" in result.out
    assert "which is what the deals say" in result.out
    assert "nothing is left running" in result.out
    pid = re.search(r"\(process (\d+)\)", result.out)
    assert pid is not None
    assert not psutil.pid_exists(int(pid[1]))


@pytest.mark.parametrize(("name", "symbol"), FILES.items())
def test_the_main_job_with_real_prices(name: str, symbol: str) -> None:
    result = process("demo", "--seconds", "0.2", "--data", str(the_data(name)))
    assert (result.code, result.err) == (0, "")
    assert f"From here on it is about {symbol}." in result.out
    assert headings(result.out) == list(range(1, STEPS + 1))


def test_a_relative_path_and_an_ascii_terminal() -> None:
    begin = datetime(2025, 1, 6, 10, tzinfo=timezone.utc)
    ticks = [
        f"{begin + timedelta(seconds=number)},{1.1 + number % 7 / 1e4:.5f},1.10080" for number in range(900)
    ]
    Path("eurusd.csv").write_text("\n".join(("timestamp,bid,ask", *ticks)))
    result = process("demo", "--data", "eurusd.csv", "--seconds", "0", PYTHONIOENCODING="ascii")
    assert (result.code, result.err) == (0, "")
    assert result.out.isascii()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "the data file eurusd.csv is not there"),
        (b"", "is empty"),
        (b"what,is,this\n1,2,3\n", "line 1: columns"),
        (b"timestamp,bid,ask\nnever,1,2\n", "line 2"),
    ],
)
def test_a_file_that_cannot_be_replayed(content: bytes | None, says: str) -> None:
    if content is not None:
        Path("eurusd.csv").write_bytes(content)
    result = process("demo", "--data", "eurusd.csv")
    assert result.code == 2
    assert says in result.err
    assert "Traceback" not in result.err


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_nothing_is_left_when_the_demo_is_ended(number: signal.Signals, code: int) -> None:
    with start("demo", "--seconds", "60") as demo:
        gateway = gateway_of(demo)
        wait_for_step(demo, 6)
        demo.send_signal(number)
        _, err = demo.communicate(timeout=PATIENCE)
    assert demo.returncode == code
    assert "Traceback" not in err
    assert_gone(gateway)


def test_a_step_that_fails_ends_the_demo_with_a_sentence() -> None:
    with start("demo", "--seconds", "60") as demo:
        gateway = gateway_of(demo)
        wait_for_step(demo, 6)
        gateway.kill()
        _, err = demo.communicate(timeout=PATIENCE)
    assert demo.returncode == 1
    assert "Connection timeout" in err
    assert "Traceback" not in err
    assert_gone(gateway)

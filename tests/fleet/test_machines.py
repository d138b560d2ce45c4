"""The machines themselves: they are apart, come back as they were, and leave nothing behind."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.fleet.machines import PATH, PYTHON, Machine
from tests.fleet.machines import machines as started


def ssh(machine: Machine, command: str, user: str = "root") -> "subprocess.CompletedProcess[str]":
    known = machine.ssh / "known"
    known.write_text(f"* {machine.host_key}\n")
    options = ("-F", "none", "-i", machine.ssh_key, "-p", str(machine.port), "-o", "BatchMode=yes")
    checked = ("-o", f"UserKnownHostsFile={known}", "-o", "StrictHostKeyChecking=yes")
    return subprocess.run(
        ["ssh", *options, *checked, f"{user}@{machine.address}", command],
        capture_output=True, text=True, timeout=30, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def test_no_machine_sees_what_another_has(machines: dict[str, Machine]) -> None:
    hub, inf = machines["hub"], machines["inf"]
    assert ssh(hub, f"echo ours > {PATH}/only-hub; hostname").stdout == "hub\n"
    assert (hub.root / "only-hub").read_text() == "ours\n"
    assert ssh(inf, f"ls -A {PATH}").stdout == ""
    hidden = ssh(inf, f"ls -A {hub.root.parent.parent}; ls /srv")
    assert hidden.stdout.split() == ["home", "mt5-crs", "ssh"], hidden
    ssh(inf, f"echo theirs > {PATH}/only-inf")
    assert not (hub.root / "only-inf").exists()
    assert "sshd" in ssh(inf, "cat /proc/[0-9]*/cmdline").stdout
    assert len(ssh(inf, "ls -d /proc/[0-9]*").stdout.split()) < 12, "another machine's processes are seen"


def test_a_machine_comes_back_as_it_was(machines: dict[str, Machine]) -> None:
    inf = machines["inf"]
    ssh(inf, f"echo stays > {PATH}/kept; sleep 600 >/dev/null 2>&1 &")
    before = list(inf.processes())
    assert any("sleep 600" in command for command in inf.processes().values())
    inf.stop()
    assert not any(Path(f"/proc/{process}").exists() for process in before)
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((inf.address, inf.port), timeout=5)
    inf.start()
    assert ssh(inf, f"cat {PATH}/kept").stdout == "stays\n"
    former = inf.host_key
    assert inf.new_host_key() != former
    assert ssh(inf, "echo on").stdout == "on\n"


def test_nothing_of_a_block_is_left(tmp_path: Path) -> None:
    with started(tmp_path, ["hub", "inf"], sizes={"inf": "2m"}) as running:
        hub, inf = running["hub"], running["inf"]
        ssh(hub, "setsid -f sleep 600 >/dev/null 2>&1")
        processes = [*hub.processes(), *inf.processes()]
        full = ssh(inf, f"dd if=/dev/zero of={PATH}/large bs=1M count=4")
        assert "No space left" in full.stderr
        assert (inf.root / "large").stat().st_size == 2 << 20
    assert not any(Path(f"/proc/{process}").exists() for process in processes)
    assert str(tmp_path) not in Path("/proc/mounts").read_text()


def test_an_isolated_machine_has_a_network_of_its_own(tmp_path: Path) -> None:
    with started(tmp_path, ["hub", "inf"], isolated=["inf"]) as running:
        hub, inf = running["hub"], running["inf"]
        assert inf.port == 22
        assert ssh(inf, "ip route get 192.0.2.1").returncode != 0, "there is a way outside"
        reach = f"import socket; socket.create_connection(('{hub.address}', {hub.port}), 5)"
        assert ssh(inf, f'{PYTHON} -c "{reach}"').returncode == 0
        inf.filter(5555)
        with pytest.raises(TimeoutError):
            socket.create_connection((inf.address, 5555), timeout=0.3)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((inf.address, 5556), timeout=5)
        assert ssh(inf, "hostname").stdout == "inf\n"
        inf.stop()
        inf.start()
        assert ssh(inf, "hostname").stdout == "inf\n"
    assert not list(Path("/sys/class/net").glob(f"m5-{os.getpid()}-*"))


def test_a_frozen_machine_answers_nobody(machines: dict[str, Machine]) -> None:
    gpu = machines["gpu"]
    gpu.freeze()
    try:
        with socket.create_connection((gpu.address, gpu.port), timeout=5) as connection:
            connection.settimeout(0.3)
            with pytest.raises(TimeoutError):
                connection.recv(1)
    finally:
        gpu.thaw()
    assert ssh(gpu, "echo on").stdout == "on\n"


def test_a_killed_test_leaves_no_machine(tmp_path: Path) -> None:
    script = (
        "import pathlib, sys, time; from tests.fleet.machines import machines\n"
        f"with machines(pathlib.Path({str(tmp_path)!r}), ['hub']) as running:\n"
        "    print(*running['hub'].processes(), flush=True); time.sleep(600)\n"
    )
    python = [sys.executable, "-c", script]
    with subprocess.Popen(python, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        inside = process.stdout.readline().split()
        process.kill()
    assert inside
    end = time.monotonic() + 10
    while any(Path(f"/proc/{each}").exists() for each in inside) and time.monotonic() < end:
        time.sleep(0.01)
    assert not any(Path(f"/proc/{each}").exists() for each in inside)


def test_without_root_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(RuntimeError, match="run them as root"), started(tmp_path, ["hub"]):
        pass

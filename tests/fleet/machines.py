"""Machines: real sshd processes on loopback, each with a folder that no other machine can see.

Each sshd runs in a mount namespace of its own, in which the machine's folder is at `PATH` and the folder of
all machines is hidden: what one machine has, another can get by SSH alone.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PATH = "/srv/mt5-crs"
"""The folder of the releases on every machine."""
PYTHON = Path(sys.base_prefix) / "bin" / "python3"
SSHD = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin") or ""
PATIENCE = 10.0

CONFIG = """\
ListenAddress {address}:{port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PrintMotd no
Subsystem sftp internal-sftp
"""


@dataclass(frozen=True)
class Machine:
    """A machine.

    Attributes:
        name: Its name.
        address: Its own loopback address; its services bind it too.
        port: Of SSH.
        root: What it has at `PATH`, as the test sees it: to look at and to break, never to build on.
        host_key: The public one.
        ssh_key: The private key to log in with.
        process: The sshd.
    """

    name: str
    address: str
    port: int
    root: Path
    host_key: str
    ssh_key: Path
    process: subprocess.Popen[bytes]


def _free_port(address: str) -> int:
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


def _key(path: Path) -> str:
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", path.name, "-f", path], check=True, timeout=30
    )
    return " ".join(path.with_suffix(".pub").read_text().split()[:2])


@contextmanager
def machines(folder: Path, names: Mapping[str, str]) -> Iterator[dict[str, Machine]]:
    """Start a machine for each name, at the address that it is given with; they end with the block."""
    folder.mkdir(parents=True, exist_ok=True)
    operator = folder / "operator"
    public = _key(operator)
    running: dict[str, Machine] = {}
    Path("/run/sshd").mkdir(exist_ok=True)
    try:
        for name, address in names.items():
            running[name] = _start(folder / name, name, address, operator, public)
        for machine in running.values():
            _wait(machine)
        yield running
    finally:
        for machine in running.values():
            machine.process.terminate()
        for machine in running.values():
            machine.process.wait(PATIENCE)


def _start(folder: Path, name: str, address: str, operator: Path, public: str) -> Machine:
    root = folder / "root"
    root.mkdir(parents=True)
    host_key = _key(folder / "host_key")
    (folder / "authorized_keys").write_text(f"{public}\n")
    port = _free_port(address)
    (folder / "sshd_config").write_text(CONFIG.format(address=address, port=port, folder="/srv/ssh"))
    # The folder of all machines is hidden last; `setsid` lets the test end what the sshd has started.
    script = (
        'set -e; mount -t tmpfs none /srv; mkdir "$3" /srv/ssh; mount --bind "$2/root" "$3"; '
        'cp "$2"/host_key "$2"/authorized_keys "$2"/sshd_config /srv/ssh; '
        'mount -t tmpfs none "$4"; exec "$1" -D -e -f /srv/ssh/sshd_config'
    )
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script]
    log = (folder / "sshd.log").open("wb")
    with log:
        process = subprocess.Popen(
            [*command, "sh", SSHD, folder, PATH, folder.parent],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/",
        )  # fmt: skip
    return Machine(name, address, port, root, host_key, operator, process)


def _wait(machine: Machine) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            with socket.create_connection((machine.address, machine.port), timeout=1):
                return
        except OSError:
            if machine.process.poll() is not None:
                break
            time.sleep(0.02)
    raise RuntimeError(f"{machine.name} does not listen: {(machine.root.parent / 'sshd.log').read_text()}")


def inventory(running: Mapping[str, Machine], rest: str = "") -> str:
    """Return an inventory of machines, each of the role that its name begins with."""
    tables = [
        f'[nodes.{each.name}]\nrole = "{each.name[:3]}"\naddress = "{each.address}"\nport = {each.port}\n'
        f'user = "root"\nssh_key = "{each.ssh_key}"\nhost_key = "{each.host_key}"\npath = "{PATH}"\n'
        f'python = "{PYTHON}"\n'
        for each in running.values()
    ]
    return "\n".join([rest, *tables])

"""Machines: real sshd processes, each with a folder, processes and a name that no other machine can see.

Each runs in mount, process and host name namespaces of its own, in which its folder is at `PATH` and the
folder of all machines is hidden: what one machine has, another can get by SSH alone. Where it is `isolated`
it has a network of its own too, without a way outside. A machine that ends takes every process with it, and
it ends with the block, also when the test is killed.
"""

import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from tests.fleet.network import Bridge, bridge, filter_port

PATH = "/srv/mt5-crs"
"""The folder of the releases on every machine."""
PYTHON = Path(sys.base_prefix) / "bin" / "python3"
SSHD = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin") or ""
PATIENCE = 30.0
USER = "operator"
"""A user of every machine who may not do what root may."""
USERS = """\
{user}:x:4242:4242::/srv/home:/bin/sh
noisy:x:0:0::/srv/home:/srv/ssh/noisy-shell
"""
"""Users that every machine has besides those of the host; the shell of `noisy` greets, as some do.

Root has the plainest shell: bash would read the `.bashrc` of the host's root for each command, and what that
runs may take long, or hold a lock that all machines wait for.
"""
NOISY_SHELL = (
    '#!/bin/sh\necho "Welcome to $(hostname)!"; echo "{"; echo "3 updates are there"\nexec /bin/sh "$@"\n'
)
CONFIG = """\
ListenAddress {address}:{port}
HostKey /srv/ssh/host_key
AuthorizedKeysFile /srv/ssh/authorized_keys
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PrintMotd no
MaxStartups 100
Subsystem sftp internal-sftp
"""
# Reading waits until the network is there. The folder of all machines is hidden last.
BOOT = """\
set -e
read -r _
folder=$1 path=$2 hidden=$3 name=$4 size=$5 sshd=$6
mount -t proc proc /proc
hostname "$name"
mount -t tmpfs -o mode=755 none /srv
mkdir -p "$path" /srv/ssh
mkdir -m 777 /srv/home
mount --bind "$folder/ssh" /srv/ssh
mount --bind /srv/ssh/passwd /etc/passwd
if [ -n "$size" ]; then mount -t tmpfs -o "mode=755,size=$size" none "$path"
else mount --bind "$folder/root" "$path"; fi
cd /
mount -t tmpfs none "$hidden"
"$sshd" -D -e -f /srv/ssh/sshd_config </dev/null &
wait $!  # and takes in, meanwhile, what others leave behind
"""


class Machine:
    """A machine.

    Attributes:
        name: Its name.
        address: Its own address; its services bind it too.
        port: Of SSH.
        host_key: The public one.
        ssh_key: The private key to log in with.
        ssh: What its sshd reads: `sshd_config`, `authorized_keys`, `passwd`; here they can be changed.
        process: What ends when the machine has ended.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        address: str,
        operator: Path,
        *,
        size: str = "",
        net: Bridge | None = None,
    ) -> None:
        self.name = name
        self.address = address
        self.ssh_key = operator
        self.ssh = folder / "ssh"
        self._folder = folder
        self._size = size
        self._net = net
        (folder / "root").mkdir(parents=True)
        self.ssh.mkdir()
        self.host_key = _key(self.ssh / "host_key")
        self.port = 22 if net else _free_port(address)
        public = operator.with_suffix(".pub").read_text()
        (self.ssh / "authorized_keys").write_text(public)
        host = re.sub("(?m)^(root:.*):.*", r"\1:/bin/sh", Path("/etc/passwd").read_text())
        (self.ssh / "passwd").write_text(host + USERS.format(user=USER))
        (self.ssh / "noisy-shell").write_text(NOISY_SHELL)
        (self.ssh / "noisy-shell").chmod(0o755)
        (self.ssh / "sshd_config").write_text(CONFIG.format(address=address, port=self.port))
        self.process = self._boot()

    @property
    def root(self) -> Path:
        """What it has at `PATH`, as the test sees it: to look at and to break, never to build on.

        With a size it is there while the machine runs, and is empty when it starts again.
        """
        return Path(f"/proc/{self.init}/root{PATH}") if self._size else self._folder / "root"

    @property
    def init(self) -> int:
        """The first of its processes, which has all others below it.

        Raises:
            RuntimeError: It does not run.
        """
        try:
            children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        except OSError:
            children = []
        if not children:
            raise RuntimeError(f"{self.name} does not run: {self.log()}")
        return int(children[0])

    def log(self) -> str:
        """Return what its sshd said."""
        return (self._folder / "sshd.log").read_text(errors="replace")

    def stop(self) -> None:
        """Switch it off: every process of it ends, and has ended when this returns."""
        if self.process.poll() is None:
            os.kill(self.init, signal.SIGKILL)
            self.process.wait(PATIENCE)

    def start(self) -> None:
        """Switch it on again, with the same address, port, keys and folder; return when it listens."""
        self.process = self._boot()
        self.wait()

    def new_host_key(self) -> str:
        """Give it another host key, as a machine that was set up anew has; return the public one."""
        for each in (self.ssh / "host_key", self.ssh / "host_key.pub"):
            each.unlink()
        self.host_key = _key(self.ssh / "host_key")
        self.stop()
        self.start()
        return self.host_key

    def processes(self) -> dict[int, str]:
        """Return the command lines of what runs on it, by process id."""
        own = Path(f"/proc/{self.init}/ns/pid").readlink()
        found: dict[int, str] = {}
        for each in Path("/proc").glob("[0-9]*"):
            try:
                if (each / "ns" / "pid").readlink() == own:
                    found[int(each.name)] = (each / "cmdline").read_text().replace("\0", " ").strip()
            except OSError:  # it has ended
                continue
        return found

    def freeze(self) -> None:
        """Stop all that runs on it where it is: it still takes connections, and never answers."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        for process in self.processes():
            with suppress(ProcessLookupError):
                os.kill(process, number)

    def filter(self, port: int, source: str = "all") -> None:
        """Drop what comes for a TCP port from a source, without an answer; an isolated machine alone can."""
        filter_port(self.init, port, source)

    def run(self, command: str) -> str:
        """Run a shell command on it, as root; return what it writes."""
        into = ("nsenter", "--target", str(self.init), "--mount", "--uts", "--net", "--pid")
        done = subprocess.run(
            [*into, "sh", "-c", command], capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{self.name}: {command}: {done.stderr}")
        return done.stdout

    def wait(self) -> None:
        """Wait until it listens."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and self.process.poll() is None:
            try:
                with socket.create_connection((self.address, self.port), timeout=1):
                    return
            except OSError:
                time.sleep(0.02)
        raise RuntimeError(f"{self.name} does not listen: {self.log()}")

    def _boot(self) -> "subprocess.Popen[bytes]":
        script = (self._folder, PATH, self._folder.parent, self.name, self._size, SSHD)
        unshare = (
            "unshare",
            "--mount",
            "--propagation",
            "private",
            "--pid",
            "--uts",
            "--fork",
            "--kill-child",
        )
        net = ("--net",) if self._net else ()
        with (self._folder / "sshd.log").open("ab") as log:
            process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *unshare, *net, "sh", "-c", BOOT, "sh", *map(str, script)],
                stdin=subprocess.PIPE, stdout=log, stderr=log, cwd="/",
            )  # fmt: skip
        if self._net:
            self._net.join(_child(process), self.address)
        assert process.stdin is not None
        with process.stdin as ready:
            ready.write(b"\n")
        return process


def _child(process: "subprocess.Popen[bytes]") -> int:
    """Return the first process below another, when it is there."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        if found := children.read_text().split():
            return int(found[0])
        time.sleep(0.005)
    raise RuntimeError("a machine did not begin: are namespaces allowed here?")


def _free_port(address: str) -> int:
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


def _key(path: Path) -> str:
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", path.name, "-f", path], check=True, timeout=30
    )
    return " ".join(path.with_suffix(".pub").read_text().split()[:2])


def _loopback() -> str:
    """Return an address that hardly anybody else has chosen too."""
    chance = random.SystemRandom()
    return f"127.{chance.randrange(16, 255)}.{chance.randrange(256)}.{chance.randrange(1, 255)}"


def require() -> None:
    """Say what is missing for machines.

    Raises:
        RuntimeError: Something is.
    """
    if os.geteuid() != 0:
        raise RuntimeError("the tests of the fleet start machines in namespaces: run them as root")
    tools = ("unshare", "setpriv", "nsenter", "ip", "ssh-keygen")
    missing = [tool for tool in tools if shutil.which(tool) is None] + ([] if SSHD else ["sshd"])
    if missing:
        raise RuntimeError(
            f"the tests of the fleet need {', '.join(missing)}: install openssh-server, util-linux, iproute2"
        )


@contextmanager
def machines(
    folder: Path,
    names: Mapping[str, str] | Collection[str],
    *,
    sizes: Mapping[str, str] | None = None,
    isolated: Collection[str] = (),
) -> Iterator[dict[str, Machine]]:
    """Start machines; they end with the block, and nothing of them is left.

    Args:
        folder: Where they are kept.
        names: Their names; with the loopback address of each, if the test chooses it.
        sizes: Of a machine's folder, such as `8m`, where it is to be small.
        isolated: Those with a network of their own, port 22 and no way outside.

    Raises:
        RuntimeError: One does not start, or this is not possible here.
    """
    require()
    folder.mkdir(parents=True, exist_ok=True)
    operator = folder / "operator"
    _key(operator)
    running: dict[str, Machine] = {}
    Path("/run/sshd").mkdir(exist_ok=True)
    with ExitStack() as stack:
        net = stack.enter_context(bridge()) if isolated else None
        try:
            for name in names:
                own = net if name in isolated else None
                if net is not None:
                    address = net.address()
                    if own is None:
                        net.keep(address)
                else:
                    address = names[name] if isinstance(names, Mapping) else _loopback()
                size = (sizes or {}).get(name, "")
                running[name] = Machine(folder / name, name, address, operator, size=size, net=own)
            for machine in running.values():
                machine.wait()
            yield running
        except BaseException:
            show_logs(running)
            raise
        finally:
            for machine in running.values():
                machine.stop()


def show_logs(running: Mapping[str, Machine]) -> None:
    """Write what each machine said to the error stream, for whoever looks into a failure."""
    for machine in running.values():
        sys.stderr.write(f"--- {machine.name} ---\n{machine.log()[-4000:]}\n")


def inventory(running: Mapping[str, Machine], rest: str = "") -> str:
    """Return an inventory of machines, each of the role that its name begins with."""
    tables = [
        f'[nodes.{each.name}]\nrole = "{each.name[:3]}"\naddress = "{each.address}"\nport = {each.port}\n'
        f'user = "root"\nssh_key = "{each.ssh_key}"\nhost_key = "{each.host_key}"\npath = "{PATH}"\n'
        f'python = "{PYTHON}"\n'
        for each in running.values()
    ]
    return "\n".join([rest, *tables])

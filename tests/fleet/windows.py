"""A stand-in for a Windows machine: an SSH server of its own that records what its shell is told.

Its files are below a folder, in which `C:` leads to another: SFTP finds `/C:/mt5-crs` there, and programs,
which begin in that folder, find `C:/mt5-crs`. The shell knows one program, Python, and runs a real one; of
any other it says what cmd.exe says. What Windows alone can show (its sshd, shells, file system) is not here.

What is played, so that our program runs as on Windows though its Python is Linux's:

- A request's `C:` is the real folder, and it is to keep that as on Windows: `current` is a file.
- `probe` answers that it is Windows. All else of that is true, so its markers are those of Linux.
- `powershell.exe` runs no script: it records what it was told, keeps in `state` what `install` would have
  made, and answers `status` from that; where there is a file `refusal` it refuses with that.
- `schtasks.exe` records what it was told, and starts the keeper as the task would.
"""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh

PYTHON = "C:/Python312/python.exe"
PATH = "C:/mt5-crs"
PATIENCE = 30.0
DRIVE = "drive"
POWERSHELL = """\
import json, sys
from pathlib import Path
folder = Path({folder!r})
drive = str(folder / "root" / "drive")
arguments = sys.argv[1:]
with (folder / "programs").open("a") as log:
    log.write(json.dumps(["powershell.exe", *arguments]).replace(drive, "C:") + "\\n")
do, *rest = arguments[arguments.index("-File") + 2:]
given = dict(zip(rest[::2], rest[1::2]))
if do != "status" and (folder / "refusal").exists():
    sys.exit((folder / "refusal").read_text())
state = folder / "state"
found = json.loads(state.read_text()) if state.exists() else dict(
    is_private=False, task=None, clients=[], ports=[])
if do == "install":
    clients, ports = given["-Clients"].split(","), given["-Ports"].split(",")
    found = dict(is_private=True, task="Ready", clients=clients, ports=ports)
if do == "uninstall":
    found.update(task=None, clients=[], ports=[])
state.write_text(json.dumps(found))
node = Path(given["-Path"].replace("C:", drive))
current = node / "current"
if do == "status":
    print(json.dumps(dict(
        found, path=given["-Path"], release=current.read_text().strip() if current.exists() else "",
        has_keys=(node / "keys").exists(), service=None)))
else:
    print(do + " is done")
"""
SCHTASKS = """\
import json, os, sys
from pathlib import Path
with (Path({folder!r}) / "programs").open("a") as log:
    log.write(json.dumps(["schtasks.exe", *sys.argv[1:]]) + "\\n")
name = sys.argv[-1].removeprefix("mt5crs-")
node = {node!r}
os.execv(sys.executable, [sys.executable, node + "/.fleet/keeper.pyz", "keep", node, name, "--detached"])
"""


def play(folder: Path, node: Path) -> str:
    """Make Windows' own programs for a node in `folder / "bin"`; return a PATH that has them."""
    (folder / "bin").mkdir()
    for name, script in {"powershell.exe": POWERSHELL, "schtasks.exe": SCHTASKS}.items():
        program = folder / "bin" / name
        program.write_text(f"#!{sys.executable}\n" + script.format(folder=str(folder), node=str(node)))
        program.chmod(0o755)
    return f"{folder / 'bin'}:{os.environ['PATH']}"


@dataclass(frozen=True)
class Windows:
    """The stand-in.

    Attributes:
        root: The folder with its drives.
        address: Where it listens.
        port: Of SSH.
        host_key: The public one.
        ssh_key: The private key to log in with.
    """

    root: Path
    address: str
    port: int
    host_key: str
    ssh_key: Path

    def commands(self) -> list[str]:
        """Return the command lines that its shell was told, in order."""
        return [json.loads(line) for line in (self.root.parent / "commands").read_text().splitlines()]

    @property
    def node(self) -> Path:
        """The node's folder."""
        return self.root / DRIVE / "mt5-crs"

    @property
    def refusal(self) -> Path:
        """What the script refuses with, where it is there."""
        return self.root.parent / "refusal"

    def programs(self) -> list[str]:
        """Return the command lines of Windows' own programs since the last time."""
        log = self.root.parent / "programs"
        lines = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return [" ".join(json.loads(line)) for line in lines]


@contextmanager
def windows(folder: Path) -> Iterator[Windows]:
    """Start it, in a process of its own; it ends with the block."""
    (folder / "root" / DRIVE).mkdir(parents=True)
    (folder / "root" / "C:").symlink_to(DRIVE)
    (folder / "commands").touch()
    for name in ("host", "operator"):
        asyncssh.generate_private_key("ssh-ed25519").write_private_key(str(folder / name))
        (folder / name).chmod(0o600)
        asyncssh.read_private_key(str(folder / name)).write_public_key(str(folder / f"{name}.pub"))
    with subprocess.Popen(
        [sys.executable, "-m", "tests.fleet.windows", folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        public = " ".join((folder / "host.pub").read_text().split()[:2])
        yield Windows(folder / "root", "127.0.0.1", port, public, folder / "operator")
        process.kill()


async def _pass_on(source: Any, target: Any) -> None:
    """Write what is read until that ends, or nobody takes it any more."""
    try:
        while content := await source.read(1 << 16):
            target.write(content)
            await target.drain()
    except (OSError, asyncssh.Error):
        pass
    finally:
        if isinstance(target, asyncio.StreamWriter):
            target.close()


def _as_windows(line: bytes, root: Path) -> tuple[bytes, bool]:
    """Return a request as the program gets it, and whether it is a `probe`."""
    try:
        request = json.loads(line)
    except ValueError:
        return line, False
    request["path"] = request["path"].replace("C:", str(root / DRIVE))
    request["place"] = {"windows": True}
    return json.dumps(request).encode() + b"\n", request["do"] == "probe"


async def _answer(source: asyncio.StreamReader, target: Any, *, is_probe: bool) -> None:
    """Write what the program answers; `probe` that it is Windows."""
    with suppress(OSError, asyncssh.Error):  # nobody takes it any more
        while line := await source.readline():
            answer = json.loads(line) if is_probe else {}
            if "done" in answer:
                answer["done"]["os"] = "windows"
                line = json.dumps(answer).encode() + b"\n"
            target.write(line)
            await target.drain()


def _serve(folder: Path) -> None:
    root = folder / "root"
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    env["PATH"] = play(folder, root / DRIVE / "mt5-crs")

    async def shell(process: "asyncssh.SSHServerProcess[bytes]") -> None:
        command = process.command or ""
        with (folder / "commands").open("a") as log:
            log.write(json.dumps(command) + "\n")
        program, *arguments = command.split(" ")
        if program.replace("\\", "/") != PYTHON or "/" in program:  # cmd.exe takes that for options
            name = program.split("/")[0]
            process.stderr.write(
                f"'{name}' is not recognized as an internal or external command,\r\n"
                "operable program or batch file.\r\n".encode()
            )
            process.exit(1)
            return
        pipe = asyncio.subprocess.PIPE
        request, is_probe = _as_windows(await process.stdin.readline(), root)
        child = await asyncio.create_subprocess_exec(
            sys.executable, *arguments, cwd=root, stdin=pipe, stdout=pipe, stderr=pipe, limit=1 << 26,
            env=env,
        )  # fmt: skip
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdin.write(request)
        coming = asyncio.create_task(_pass_on(process.stdin, child.stdin))
        await asyncio.gather(
            _answer(child.stdout, process.stdout, is_probe=is_probe), _pass_on(child.stderr, process.stderr)
        )
        status = await child.wait()
        coming.cancel()
        process.exit(status)

    async def main() -> None:
        server = await asyncssh.listen(
            "127.0.0.1",
            0,
            server_host_keys=[str(folder / "host")],
            authorized_client_keys=str(folder / "operator.pub"),
            process_factory=shell,
            sftp_factory=lambda channel: asyncssh.SFTPServer(channel, chroot=str(root).encode()),
            encoding=None,
        )
        sys.stdout.write(f"{server.get_port()}\n")
        sys.stdout.flush()
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)  # until the test has ended

    asyncio.run(main())


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))

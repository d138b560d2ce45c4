"""The way to a node, over real sshds: what is asked, sent, refused, lost and taken back."""

import asyncio
import getpass
import hashlib
import os
import shutil
import socket
import stat
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TypeVar

import pytest
from msgspec.structs import replace

from mt5crs.fleet import ssh
from mt5crs.fleet.hostkeys import fingerprint, scan
from mt5crs.fleet.inventory import Node, Role
from mt5crs.fleet.login import Passphrase, me
from mt5crs.fleet.ssh import Connection, NodeError
from tests.fleet.machines import PATH, PYTHON, USER, Machine

T = TypeVar("T")
Do = Callable[[Connection], Awaitable[T]]


def node_of(machine: Machine, **other: Any) -> Node:
    own = Node(
        Role.INF, machine.address, machine.host_key, machine.port, "root", str(machine.ssh_key), PATH,
        python=str(PYTHON), name=machine.name,
    )  # fmt: skip
    return replace(own, **other)


def on(node: Node, do: Do[T], passphrase: Passphrase | None = None) -> T:
    async def run() -> T:
        async with AsyncExitStack() as stack:
            return await do(await Connection.open(node, stack, passphrase))

    return asyncio.run(run())


async def _ask(connection: Connection) -> dict[str, Any]:
    return await connection.ask("have", sha256=[])


def failing(node: Node, do: Do[Any] = _ask, **more: Any) -> NodeError:
    with pytest.raises(NodeError) as caught:
        on(node, do, **more)
    return caught.value


@pytest.fixture
def inf(machines: dict[str, Machine]) -> Machine:
    return machines["inf"]


# --- asking -----------------------------------------------------------------------------------------------


def test_a_node_is_asked_and_keeps_the_program_for_the_next_time(inf: Machine) -> None:
    async def twice(connection: Connection) -> list[dict[str, Any]]:
        return list(await asyncio.gather(_ask(connection), _ask(connection)))

    assert on(node_of(inf), twice) == [{"have": []}, {"have": []}]
    programs = list((inf.root / ".fleet").glob("node-*"))
    assert len(programs) == 1, programs
    assert stat.S_IMODE((inf.root / ".fleet").stat().st_mode) == 0o700
    content = programs[0].read_bytes()
    for damaged in (
        b"cut off by a power cut",
        bytes(len(content)),
        content[:9000] + bytes(len(content) - 9000),
    ):
        programs[0].write_bytes(damaged)
        assert on(node_of(inf), _ask) == {"have": []}
        assert programs[0].read_bytes() == content


def test_what_a_node_refuses_comes_as_it_says_it(inf: Machine) -> None:
    error = failing(node_of(inf), lambda connection: connection.ask("dance"))
    assert error.message == "inf: there is no operation 'dance'"
    assert "have" in error.hint
    assert error.kind == "request"


def test_a_shell_that_greets_is_in_nobodys_way(inf: Machine) -> None:
    noisy = node_of(inf, user="noisy")
    assert on(noisy, _ask) == {"have": []}
    error = failing(replace(noisy, python="/bin/true"))
    assert "ended without a result (exit 0); it said: Welcome to inf!" in error.message


def test_a_long_answer_is_one_line(inf: Machine) -> None:
    many = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(20_000)]
    incoming = inf.root / ".fleet" / "incoming"
    incoming.mkdir(parents=True, exist_ok=True)
    empty = hashlib.sha256(b"").hexdigest()
    (incoming / empty).touch()
    answer = on(node_of(inf), lambda connection: connection.ask("have", sha256=[*many, *[empty] * 20_000]))
    assert answer["have"] == [empty] * 20_000


# --- who answers, and who we are --------------------------------------------------------------------------


def test_without_a_pinned_key_nobody_is_believed(inf: Machine) -> None:
    error = failing(node_of(inf, host_key=""))
    assert error.kind == "host-key"
    assert error.hint == "mt5crs fleet pin inf"


def test_another_host_key_is_refused_with_both_fingerprints(machines: dict[str, Machine]) -> None:
    gpu = machines["gpu"]
    before = node_of(gpu)
    assert isinstance(before.host_key, str)
    new = gpu.new_host_key()
    error = failing(before)
    assert error.kind == "host-key"
    assert fingerprint(new) in error.message
    assert fingerprint(before.host_key) in error.message
    assert "mt5crs fleet pin gpu" in error.hint
    assert on(replace(before, host_key=(before.host_key, new)), _ask) == {"have": []}
    assert asyncio.run(scan(before)) == [new]


def test_a_host_key_of_another_kind_is_another_host_key(inf: Machine) -> None:
    ecdsa = "ecdsa-sha2-nistp256 " + subprocess.run(
        ["sh", "-c", "ssh-keygen -q -t ecdsa -N '' -f k && cat k.pub"],
        cwd=inf.ssh, capture_output=True, text=True, check=True,
    ).stdout.split()[1]  # fmt: skip
    error = failing(node_of(inf, host_key=ecdsa))
    assert error.kind == "host-key"
    assert fingerprint(inf.host_key) in error.message
    assert fingerprint(ecdsa) in error.message


def test_fingerprints_are_those_of_ssh_keygen(inf: Machine) -> None:
    shown = subprocess.run(
        ["ssh-keygen", "-lf", inf.ssh / "host_key.pub"], capture_output=True, text=True, check=True
    )
    assert fingerprint(inf.host_key) == shown.stdout.split()[1]


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return path


@pytest.fixture
def sealed(machines: dict[str, Machine], tmp_path: Path) -> Path:
    """A key with a passphrase, which the machine knows; in the form that asyncssh opens by itself."""
    path = tmp_path / "sealed"
    keygen = ("ssh-keygen", "-q", "-m", "PEM", "-f", path)
    subprocess.run([*keygen, "-t", "rsa", "-b", "2048", "-N", ""], check=True)
    with (machines["inf"].ssh / "authorized_keys").open("a") as known:
        known.write(path.with_suffix(".pub").read_text())
    shutil.copy(path, tmp_path / "plain")
    subprocess.run([*keygen, "-p", "-P", "", "-N", "secret"], check=True, stdout=subprocess.DEVNULL)
    return path


def test_a_key_that_the_node_does_not_know_is_refused(inf: Machine, key: Path) -> None:
    error = failing(node_of(inf, ssh_key=str(key)))
    assert error.kind == "login"
    assert error.message == f"inf: root may not log in with the key {key}"
    assert "~root/.ssh/authorized_keys" in error.hint


def test_a_key_that_cannot_be_used_is_named_with_the_remedy(inf: Machine, key: Path, tmp_path: Path) -> None:
    error = failing(node_of(inf, ssh_key=str(tmp_path / "missing")))
    assert "cannot be read: No such file" in error.message
    key.chmod(0o640)
    error = failing(node_of(inf, ssh_key=str(key)))
    assert (error.message, error.hint) == (f"inf: others can read the key {key}", f"chmod 600 {key}")
    key.write_text("nothing of the kind")
    key.chmod(0o600)
    assert "is no private key" in failing(node_of(inf, ssh_key=str(key))).message


def test_a_passphrase_is_asked_for(inf: Machine, sealed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    node = node_of(inf, ssh_key=str(sealed))
    assert failing(node).hint == f"ssh-add {sealed}, or run this from a terminal"
    assert "not the passphrase" in failing(node, passphrase=lambda _path: "wrong").message
    asked: list[str] = []

    def answer(path: str) -> str:
        asked.append(path)
        return "secret"

    assert on(node, _ask, answer) == {"have": []}
    assert asked == [str(sealed)]


@pytest.fixture
def agent(sealed: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    place = f"/tmp/a-{os.urandom(4).hex()}"  # noqa: S108 - a socket's path is short
    with subprocess.Popen(["ssh-agent", "-D", "-a", place], stdout=subprocess.DEVNULL) as process:
        end = time.monotonic() + 10
        while not Path(place).exists() and time.monotonic() < end:
            time.sleep(0.01)
        monkeypatch.setenv("SSH_AUTH_SOCK", place)
        subprocess.run(["ssh-add", "-q", sealed.with_name("plain")], check=True)
        yield
        process.terminate()


@pytest.mark.usefixtures("agent")
def test_an_agent_has_the_key(inf: Machine, sealed: Path) -> None:
    assert on(node_of(inf, ssh_key=""), _ask) == {"have": []}
    assert on(node_of(inf, ssh_key=str(sealed)), _ask) == {"have": []}


def test_the_users_own_configuration_is_not_read(
    inf: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It could lead elsewhere, run something else, or switch checks off."""
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    for line in ("ProxyJump 127.0.0.1:1", "RemoteCommand echo", "Hostname 127.0.0.1", "Bad Option x"):
        (home / ".ssh" / "config").write_text(f"Host *\n {line}\n")
        assert on(node_of(inf), _ask) == {"have": []}, line
        assert asyncio.run(scan(node_of(inf))) == [inf.host_key], line


# --- what is not there ------------------------------------------------------------------------------------


def test_a_machine_that_is_off_is_unreachable(machines: dict[str, Machine]) -> None:
    gpu = machines["gpu"]
    gpu.stop()
    try:
        error = failing(node_of(gpu))
        assert error.kind == "unreachable"
        assert error.message == f"gpu: nothing listens at {gpu.address} port {gpu.port}"
        with pytest.raises(NodeError, match="nothing listens"):
            asyncio.run(scan(node_of(gpu)))
    finally:
        gpu.start()


def test_a_machine_that_never_answers_is_unreachable(
    machines: dict[str, Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh, "CONNECT", 0.3)
    gpu = machines["gpu"]
    gpu.freeze()
    try:
        error = failing(node_of(gpu))
        assert error.kind == "unreachable"
        assert error.message.endswith("does not answer")
    finally:
        gpu.thaw()


def test_a_name_without_an_address_is_told(inf: Machine) -> None:
    error = failing(node_of(inf, address="no-such-host.invalid"))
    assert error.kind == "unreachable"
    assert "there is no address of the name no-such-host.invalid" in error.message


def test_what_is_no_ssh_is_told(inf: Machine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)

        async def meet() -> NodeError:
            node = node_of(inf, address="127.0.0.1", port=server.getsockname()[1])
            async with AsyncExitStack() as stack:
                trying = asyncio.create_task(Connection.open(node, stack))
                peer, _ = await asyncio.to_thread(server.accept)
                peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                peer.close()
                with pytest.raises(NodeError) as caught:
                    await trying
                return caught.value

        assert asyncio.run(meet()).kind == "unreachable"


def test_a_node_without_python_is_told(inf: Machine) -> None:
    error = failing(node_of(inf, python="python-none"))
    assert error.kind == "python"
    assert error.message == "inf: python-none is not there, or root may not run it"
    assert "python = ..." in error.hint


def test_a_program_that_stays_does_not_take_the_connection_along(
    inf: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh, "STUCK", 0.3)
    deaf = inf.ssh / "deaf-python"
    deaf.write_text("#!/bin/sh\ntrap '' HUP TERM PIPE\necho '{\"done\": 5}'\nexec sleep 3\n")
    deaf.chmod(0o755)

    async def twice(connection: Connection) -> bool:
        with pytest.raises(NodeError) as caught:
            await connection.ask("have", sha256=[])
        assert caught.value.kind == "protocol"
        await connection.files.make(f"{PATH}/still-there")
        return connection.tunnel.is_closed()

    assert not on(node_of(inf, python="/srv/ssh/deaf-python"), twice)
    assert (inf.root / "still-there").is_dir()


def test_a_node_with_an_old_python_is_told(inf: Machine) -> None:
    old = inf.ssh / "old-python"
    run = "import sys, runpy; sys.version_info = (3, 8, 10); runpy.run_path(sys.argv[1], run_name='__main__')"
    old.write_text(f'#!/bin/sh\nexec {PYTHON} -c "{run}" "$@"\n')
    old.chmod(0o755)
    error = failing(node_of(inf, python="/srv/ssh/old-python"))
    assert error.kind == "python"
    assert "is Python 3.8.10, and 3.10 is the oldest that will do" in error.message


def test_a_node_without_sftp_is_told(machines: dict[str, Machine]) -> None:
    gpu = machines["gpu"]
    config = gpu.ssh / "sshd_config"
    before = config.read_text()
    config.write_text(before.replace("Subsystem", "#Subsystem"))
    gpu.stop()
    gpu.start()
    try:
        error = failing(node_of(gpu))
        assert error.kind == "sftp"
        assert "Subsystem sftp internal-sftp" in error.hint
    finally:
        config.write_text(before)
        gpu.stop()
        gpu.start()


def test_a_folder_that_may_not_be_made_is_told_with_the_command_that_makes_it(inf: Machine) -> None:
    error = failing(node_of(inf, user=USER, path="/opt/not-ours"))
    assert error.kind == "permission"
    assert error.hint == f"there: sudo install -d -o {USER} -m 700 /opt/not-ours"
    inf.run(f"install -d -o {USER} -m 700 /srv/ours")
    assert failing(node_of(inf, user=USER, path="/srv/ours", python="python-none")).kind == "python"
    assert inf.run("stat -c %U.%a /srv/ours/.fleet").strip() == f"{USER}.700"


def test_a_file_in_the_place_of_the_folder_is_told(inf: Machine) -> None:
    inf.run("touch /srv/home/taken")
    error = failing(node_of(inf, path="/srv/home/taken"))
    assert error.kind == "path"
    assert error.message == "inf: /srv/home/taken is a file, no folder"


# --- sending ----------------------------------------------------------------------------------------------


def test_a_file_goes_from_one_node_to_another_once(machines: dict[str, Machine]) -> None:
    hub, inf = machines["hub"], machines["inf"]
    content = os.urandom(9 << 20)
    sha256 = hashlib.sha256(content).hexdigest()
    (hub.root / "bundle").write_bytes(content)
    landed = inf.root / ".fleet" / "incoming" / sha256
    part = landed.with_suffix(".part")

    async def send(source: Connection, target: Connection) -> None:
        await target.send(source, f"{PATH}/bundle", sha256, len(content))

    async def all_of_it() -> None:
        async with AsyncExitStack() as stack:
            ends = await Connection.open(node_of(hub), stack), await Connection.open(node_of(inf), stack)
            await send(*ends)
            assert landed.read_bytes() == content
            assert not part.exists()
            before = landed.stat().st_mtime_ns
            await send(*ends)
            assert landed.stat().st_mtime_ns == before, "it was sent again"
            # What came in part is gone on with: it keeps its inode.
            landed.rename(part)
            os.truncate(part, 5 << 20)
            inode = part.stat().st_ino
            await send(*ends)
            assert landed.read_bytes() == content
            assert landed.stat().st_ino == inode
            # The beginning of something else is noticed, and all of it is sent.
            landed.unlink()
            part.write_bytes(b"something else")
            await send(*ends)
            assert landed.read_bytes() == content
            # A source that is not what it should be never lands.
            (hub.root / "bundle").write_bytes(content[:-1] + b"?")
            landed.unlink()
            with pytest.raises(NodeError) as caught:
                await send(*ends)
            assert caught.value.kind == "digest"
            assert not landed.exists()
            (hub.root / "bundle").unlink()
            with pytest.raises(NodeError, match=r"^hub: .*bundle cannot be read: No such file"):
                await send(*ends)

    asyncio.run(all_of_it())


def test_no_more_is_sent_than_was_announced(machines: dict[str, Machine]) -> None:
    """Neither an endless file nor one for which there is no room fills a disk."""
    hub, inf = machines["hub"], machines["inf"]
    incoming = inf.root / ".fleet" / "incoming"

    async def endless() -> NodeError:
        async with AsyncExitStack() as stack:
            ends = await Connection.open(node_of(hub), stack), await Connection.open(node_of(inf), stack)
            await ends[1].send(ends[0], "/dev/zero", hashlib.sha256(b"").hexdigest(), 0)
            with pytest.raises(NodeError) as caught:
                await ends[1].send(ends[0], "/dev/zero", "0" * 64, 1 << 20)
            return caught.value

    error = asyncio.run(endless())
    assert error.message == "hub: /dev/zero has 0 bytes, and should have 1,048,576"
    assert not list(incoming.glob("*.part"))


def test_two_may_send_the_same_at_once(inf: Machine) -> None:
    content = os.urandom(6 << 20)

    async def both() -> list[str]:
        async with AsyncExitStack() as stack:
            ends = [await Connection.open(node_of(inf), stack) for _ in range(2)]
            return list(await asyncio.gather(*(each.put(content) for each in ends)))

    name = hashlib.sha256(content).hexdigest()
    assert asyncio.run(both()) == [name, name]
    assert (inf.root / ".fleet" / "incoming" / name).read_bytes() == content


def test_bytes_are_put(inf: Machine) -> None:
    sha256 = on(node_of(inf), lambda connection: connection.put(b"pins"))
    assert (inf.root / ".fleet" / "incoming" / sha256).read_bytes() == b"pins"
    assert on(node_of(inf), lambda connection: connection.put(b"")) == hashlib.sha256(b"").hexdigest()


def test_a_full_disk_is_told_with_the_room_that_is_left(inf: Machine) -> None:
    inf.run("mkdir -p /srv/small && mount -t tmpfs -o size=1m none /srv/small")
    node = node_of(inf, path="/srv/small")
    error = failing(node, lambda connection: connection.put(os.urandom(2 << 20)))
    assert error.kind == "no-space"
    assert "MB are free" in error.message
    inf.run("rm -rf /srv/small/.fleet; dd if=/dev/zero of=/srv/small/full bs=4k 2>/dev/null || true")
    assert failing(node).kind == "no-space"


def test_a_read_only_file_system_is_told(inf: Machine) -> None:
    inf.run("mkdir -p /srv/fixed && mount -t tmpfs none /srv/fixed")
    node = node_of(inf, path="/srv/fixed")
    assert on(node, _ask) == {"have": []}  # so the program is there
    inf.run("mount -o remount,ro /srv/fixed")
    state = on(node, lambda connection: connection.ask("probe", env_names=[]))
    assert state["unwritable"] == "read-only"
    error = failing(node, lambda connection: connection.put(b"pins"))
    assert error.kind == "read-only"
    assert error.message == "inf: the file system of /srv/fixed is read-only"
    assert "findmnt -T /srv/fixed" in error.hint
    inf.run("mount -o remount,rw /srv/fixed && rm -rf /srv/fixed/.fleet && mount -o remount,ro /srv/fixed")
    assert failing(node).kind == "read-only"


# --- the end ----------------------------------------------------------------------------------------------


async def _program_runs(machine: Machine, *, wanted: bool) -> None:
    end = time.monotonic() + 20
    while (
        any("node-" in command and "python" in command for command in machine.processes().values()) != wanted
    ):
        assert time.monotonic() < end, machine.processes()
        await asyncio.sleep(0.02)


def test_what_nobody_waits_for_any_more_ends_on_the_node(inf: Machine) -> None:
    big = inf.root / ".fleet" / "incoming" / ("0" * 64)
    inf.run(f"mkdir -p {PATH}/.fleet/incoming && mkfifo {PATH}/.fleet/incoming/{'0' * 64}")

    async def cancelled(connection: Connection) -> None:
        asking = asyncio.create_task(connection.ask("have", sha256=["0" * 64]))  # waits for the pipe
        await _program_runs(inf, wanted=True)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await _program_runs(inf, wanted=False)
        big.unlink()
        assert await _ask(connection) == {"have": []}, "the connection went with it"

    on(node_of(inf), cancelled)


def test_a_node_that_dies_meanwhile_is_noticed(
    machines: dict[str, Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ssh.KEEPALIVE * ssh.UNANSWERED == 15
    monkeypatch.setattr(ssh, "KEEPALIVE", 0.2)
    gpu = machines["gpu"]
    gpu.run(f"mkdir -p {PATH}/.fleet/incoming && mkfifo {PATH}/.fleet/incoming/{'1' * 64}")

    async def dying(connection: Connection) -> NodeError:
        asking = asyncio.create_task(connection.ask("have", sha256=["1" * 64]))
        await _program_runs(gpu, wanted=True)
        gpu.freeze()
        with pytest.raises(NodeError) as caught:
            await asking
        return caught.value

    try:
        error = on(node_of(gpu), dying)
    finally:
        gpu.thaw()
    assert error.kind == "lost"
    assert error.message.startswith("gpu: the connection was lost while have")


def test_a_node_hears_that_we_are_still_there(inf: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh, "KEEPALIVE", 0.05)
    python = inf.ssh / "hearing-python"
    python.write_text("#!/bin/sh\nread -r request; read -r _; read -r _; echo '{\"done\": {}}'\n")
    python.chmod(0o755)
    assert on(node_of(inf, python="/srv/ssh/hearing-python"), _ask) == {}


def test_who_asks_is_told_to_the_node() -> None:
    assert me() == f"{getpass.getuser()}@{socket.gethostname()}"

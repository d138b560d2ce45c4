"""The way to a node: one SSH connection, over which `node/` is sent and asked."""

import asyncio
import getpass
import hashlib
import json
import re
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import cache
from typing import Any, Protocol, cast

import asyncssh

from mt5crs.fleet import shell
from mt5crs.fleet.answers import answered, excerpt, line_of, lines, paragraph, readable
from mt5crs.fleet.facts import Have
from mt5crs.fleet.failure import NodeError
from mt5crs.fleet.files import Files, Read
from mt5crs.fleet.hostkeys import algorithms, pinned
from mt5crs.fleet.inventory import Node
from mt5crs.fleet.login import Passphrase, changed, me, own_keys, refused, unreachable
from mt5crs.fleet.node.program import packed
from mt5crs.fleet.waiting import LOST, SILENT, lost, soon, stuck, within

Tell = Callable[[str], None]
__all__ = ("Connection", "NodeError", "Remote", "Tell")

CONNECT = 10.0
"""Seconds until a node that does not answer is unreachable."""
KEEPALIVE = 5.0
"""Seconds of silence after which we ask whether a node is still there."""
UNANSWERED = 3
"""Questions without an answer after which it is not."""
READING = {
    "bundle", "clock", "drift", "have", "log", "losses", "observe", "probe", "received", "record", "revision",
    "services", "windows-status",
}  # fmt: skip
"""What changes nothing, and is given up when it takes longer than `LONGEST`."""
LONGEST = 300.0
"""Seconds that reading may take: a node may have gigabytes to read."""
LEAVING = 120.0
"""Seconds that a node is given to end what nobody waits for: it puts back what it has begun."""
STUCK = 5.0
"""Seconds that a node is given which does not answer any more, or not as it should."""
NOISE = 2000
"""Characters that are kept of what is not ours."""
OURS = re.compile(r'\{"(?:say|done|failed|beat)": .*\}')
"""A line of the node program; what a login shell greets with may stand before it."""


class Remote(Protocol):
    """A node that can be asked; what `plan`, `apply` and the others work with."""

    node: Node

    async def ask(self, operation: str, tell: Tell = ..., **request: Any) -> dict[str, Any]:
        """Have the node do something; return its result (`mt5crs.fleet.node`).

        Raises:
            NodeError: It was not done, or the connection was lost.
        """
        ...

    async def send(self, source: "Remote", path: str, sha256: str, size: int) -> None:
        """Bring a file of another node here, through us: to `incoming/SHA256`, unless it is there already.

        The other is believed about no more than `size`.

        Raises:
            NodeError: It could not be, or what came is another.
        """
        ...

    async def put(self, content: bytes) -> str:
        """Bring some bytes to `incoming/SHA256`; return the digest."""
        ...


@cache
def _program() -> tuple[str, bytes]:
    content = packed()
    return f"node-{hashlib.sha256(content).hexdigest()[:16]}.pyz", content


class _Client(asyncssh.SSHClient):
    """Remembers the host key that was offered in place of a pinned one."""

    def __init__(self) -> None:
        self.offered = ""

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        self.offered = " ".join(key.export_public_key().decode().split()[:2])
        return False


@asynccontextmanager
async def _beating(stream: "asyncssh.SSHWriter[str]") -> AsyncGenerator[None, None]:
    """Write an empty line now and then: we are still there."""

    async def beat() -> None:
        with suppress(OSError, asyncssh.Error):
            while True:
                await asyncio.sleep(KEEPALIVE)
                stream.write("\n")

    beats = asyncio.create_task(beat())
    try:
        yield
    finally:
        beats.cancel()


class Connection:
    """An SSH connection to a node.

    Attributes:
        node: The node.
        files: Its files.
        tunnel: What leads to nodes that are reached through it.
    """

    def __init__(
        self, node: Node, connection: asyncssh.SSHClientConnection, sftp: asyncssh.SFTPClient
    ) -> None:
        self.node = node
        self.tunnel = connection
        self.files = Files(node, sftp)
        self._sent = ""
        self._sending = asyncio.Lock()

    @classmethod
    async def open(
        cls,
        node: Node,
        stack: AsyncExitStack,
        passphrase: Passphrase | None = None,
        way: "Connection | None" = None,
    ) -> "Connection":
        """Connect to a node; the stack closes it.

        Args:
            node: The node.
            stack: Closes the connection in the end.
            passphrase: Asked for the passphrase of a key file that has one.
            way: To the node that it is reached through; it passes on what it cannot read.

        Raises:
            NodeError: It cannot be reached, is another than the inventory says, or does not let us in.
        """
        keys = pinned(node)
        if not keys:
            raise NodeError(
                node.name,
                "the inventory has no host key of it, so whatever answers could be anybody",
                hint=f"mt5crs fleet pin {node.name}",
                kind="host-key",
            )
        client = _Client()
        own = await own_keys(node, passphrase)
        trusted = [asyncssh.import_public_key(key) for key in keys]
        try:
            connection = await within(
                CONNECT,
                asyncssh.connect(
                    node.address,
                    node.port,
                    username=node.user or (),
                    known_hosts=(trusted, [], []),
                    server_host_key_algs=algorithms(keys),
                    client_factory=lambda: client,
                    client_keys=own,
                    agent_path=None if own else (),
                    tunnel=way.tunnel if way else None,
                    config=None,  # the inventory says all; `()` would mean the user's own configuration
                    keepalive_interval=KEEPALIVE,
                    keepalive_count_max=UNANSWERED,
                ),
            )
        except asyncssh.PermissionDenied as error:
            raise refused(node) from error
        except asyncssh.HostKeyNotVerifiable as error:
            raise changed(node, client.offered, keys) from error
        except (OSError, asyncssh.Error, asyncio.TimeoutError, ValueError) as error:
            raise unreachable(node, error) from error
        stack.push_async_callback(_leave, connection)
        try:
            sftp = await within(CONNECT, connection.start_sftp_client())
        except (TimeoutError, asyncio.TimeoutError) as error:
            raise unreachable(node, error, "SFTP") from error
        except (OSError, asyncssh.Error) as error:
            raise NodeError(
                node.name,
                f"its sshd has no SFTP: {excerpt(error)}",
                hint="there, in sshd_config: Subsystem sftp internal-sftp (on Windows: sftp-server.exe)",
                kind="sftp",
            ) from error
        return cls(node, connection, sftp)

    async def ask(self, operation: str, tell: Tell = lambda _text: None, **request: Any) -> dict[str, Any]:
        """Have the node do something; see `Remote.ask`.

        When the task is cancelled, the program there ends with all that it started.
        """
        limit = LONGEST if operation in READING else None
        try:
            return await within(limit, self._ask(operation, tell, request))
        except (TimeoutError, asyncio.TimeoutError) as error:
            what = f"{operation} was not done in {LONGEST:g} s"
            raise stuck(self.node, what) from error

    async def _ask(self, operation: str, tell: Tell, request: dict[str, Any]) -> dict[str, Any]:
        for again in (True, False):
            program = await self._with_program()
            own = {"do": operation, "path": self.node.path, "beat": SILENT}
            line = json.dumps({"who": me(), **request, **own})
            try:
                done, status, noise = await self._run(program, line, tell)
            except LOST as error:
                raise lost(self.node, operation, error) from error
            if done is not None:
                return done
            if not again or not await self._is_damaged(program):
                break
        raise self._no_answer(operation, status, noise)

    async def _run(
        self, program: str, line: str, tell: Tell
    ) -> tuple[dict[str, Any] | None, int | None, str]:
        """Run the program; return what it has done, or with what it exited and what else it said."""
        name, noise = self.node.name, ""
        async with self._process(program) as process, _beating(process.stdin):
            with suppress(BrokenPipeError):  # it has ended before it read: what it said tells why
                process.stdin.write(line + "\n")
            async for text in lines(name, lambda size: soon(process.stdout.read(size))):
                found = OURS.search(text)
                if found is None:
                    noise = (noise + text + "\n")[-NOISE:]
                    continue
                answer = line_of(name, found[0])
                if answer.done is not None:
                    return answer.done, None, ""
                if what := answer.failed:
                    raise NodeError(
                        name, paragraph(what.what), hint=paragraph(what.hint), kind=readable(what.code)
                    )
                if answer.say is not None:
                    tell(readable(answer.say))
            errors = ""
            while len(errors) < 1 << 20 and (piece := await soon(process.stderr.read(1 << 16))):
                errors += piece
            await soon(process.wait_closed())
            return None, process.returncode, noise + errors

    @asynccontextmanager
    async def _process(self, program: str) -> "AsyncGenerator[asyncssh.SSHClientProcess[str], None]":
        command = shell.command(self.node, program)
        process = await soon(self.tunnel.create_process(command, errors="replace"))
        patience = LEAVING
        try:
            yield process
        except (NodeError, asyncio.TimeoutError) as error:
            if not isinstance(error, NodeError) or error.kind == "protocol":
                patience = STUCK
            raise
        finally:
            process.close()
            try:
                await within(patience, process.wait_closed())
            except (TimeoutError, asyncio.TimeoutError):
                process.channel.abort()  # and not the connection: other nodes may be reached through it

    async def send(self, source: Remote, path: str, sha256: str, size: int) -> None:
        """Bring a file of another node here; see `Remote.send`. One that came in part is gone on with."""
        async with cast("Connection", source).files.reading(path) as (found, read):
            if found != size:
                raise NodeError(
                    source.node.name,
                    f"{path} has {found:,} bytes, and should have {size:,}",
                    hint="somebody changed it there: remove it, then it is made again",
                    kind="digest",
                )
            await self._bring(sha256, size, read)

    async def put(self, content: bytes) -> str:
        """Bring some bytes to `incoming/SHA256`; return the digest."""

        async def read(size: int, offset: int) -> bytes:
            return content[offset : offset + size]

        sha256 = hashlib.sha256(content).hexdigest()
        await self._bring(sha256, len(content), read)
        return sha256

    async def _bring(self, sha256: str, size: int, read: Read) -> None:
        """Have some bytes at `incoming/SHA256`: what is there already, in part or as a whole, is not sent.

        Each question to the program there costs the start of a Python, which is more than a small file does:
        so it is asked about what we cannot know ourselves alone, such as what an earlier attempt has left.
        """
        folder = f"{self.node.path}/.fleet/incoming"
        whole, part = f"{folder}/{sha256}", f"{folder}/{sha256}.part"
        await self.files.make(folder)
        if await self.files.exists(whole):
            answer = await self.ask("have", sha256=[sha256])
            if answered(self.node.name, answer, Have).have:
                return
        for last in (False, True):
            written = await self.files.write(part, size, read)
            if written == sha256 and await self.files.take_in(part, whole):
                return
            try:
                await self.ask("received", sha256=sha256)
            except NodeError as error:
                if error.kind == "digest" and written in {"", sha256} and not last:
                    continue  # what somebody else had left or removed there was the reason, not what we sent
                raise
            return

    async def _with_program(self) -> str:
        """Return the path of the program there, which is sent where it is not."""
        async with self._sending:
            if not self._sent:
                name, content = _program()
                folder = f"{self.node.path}/.fleet"
                await self.files.make(folder)
                await self.files.have(f"{folder}/{name}", content)
                self._sent = f"{folder}/{name}"
        return self._sent

    async def _is_damaged(self, program: str) -> bool:
        """Return whether the program there is another than ours; it is sent again then."""
        async with self._sending:
            damaged = await self.files.is_damaged(program, _program()[1])
            if damaged:
                self._sent = ""
        return damaged

    def _no_answer(self, operation: str, status: int | None, said: str) -> NodeError:
        name, python = self.node.name, self.node.python
        if shell.has_no_python(status, said):
            user = self.node.user or getpass.getuser()
            return NodeError(
                name, f"{python} is not there, or {user} may not run it", kind="python",
                hint="install it, or name another with python = ... in the inventory",
            )  # fmt: skip
        last = paragraph(said.strip()[-500:]) or "nothing"
        return NodeError(
            name, f"{operation} ended without a result (exit {status}); it said: {last}", kind="lost"
        )


async def _leave(connection: asyncssh.SSHClientConnection) -> None:
    """Close a connection, whatever the other side does."""
    connection.close()
    try:
        await within(STUCK, connection.wait_closed())
    except (TimeoutError, asyncio.TimeoutError):
        connection.abort()

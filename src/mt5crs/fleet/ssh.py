"""The way to a node: one SSH connection, over which `node/` is sent and asked."""

import hashlib
import io
import json
import shlex
import zipfile
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Protocol

import asyncssh

from mt5crs.errors import BridgeError
from mt5crs.fleet.inventory import Node

Tell = Callable[[str], None]


class NodeError(BridgeError):
    """A node did not do what it was asked for.

    Attributes:
        node: Its name.
        kind: Names the kind for programs: `unreachable`, `host-key`, `login`, or what the node says, such as
            `no-space`.
    """

    code = "node"

    def __init__(self, node: str, message: str, *, hint: str = "", kind: str = "failed") -> None:
        super().__init__(f"{node}: {message}", hint=hint)
        self.node = node
        self.kind = kind


class Remote(Protocol):
    """A node that can be asked; what `plan`, `apply` and the others work with."""

    node: Node

    async def ask(self, operation: str, tell: Tell = ..., **request: Any) -> dict[str, Any]:
        """Have the node do something; return its result (`mt5crs.fleet.node`).

        Raises:
            NodeError: It was not done, or the connection was lost.
        """
        ...

    async def send(self, source: "Remote", path: str, sha256: str) -> None:
        """Bring a file of another node here, through us: to `incoming/SHA256`, unless it is there already.

        Raises:
            NodeError: It could not be, or what came is another.
        """
        ...

    async def put(self, content: bytes) -> str:
        """Bring some bytes to `incoming/SHA256`; return the digest."""
        ...


@cache
def packed() -> bytes:
    """Return `node/` as a file that Python runs."""
    buffer = io.BytesIO()
    folder = files("mt5crs.fleet.node")
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for each in sorted(folder.iterdir(), key=lambda item: item.name):
            if each.name.endswith(".py"):
                archive.writestr(zipfile.ZipInfo(f"node/{each.name}"), each.read_bytes())
        archive.writestr(
            zipfile.ZipInfo("__main__.py"), "import sys\nfrom node.main import main\nsys.exit(main())\n"
        )
    return buffer.getvalue()


class Connection:
    """An SSH connection to a node.

    Attributes:
        node: The node.
    """

    def __init__(
        self, node: Node, connection: asyncssh.SSHClientConnection, sftp: asyncssh.SFTPClient
    ) -> None:
        self.node = node
        self._connection = connection
        self._sftp = sftp
        self._program = ""

    @classmethod
    async def open(cls, node: Node, stack: AsyncExitStack) -> "Connection":
        """Connect to a node; the stack closes it.

        Raises:
            NodeError: It cannot be reached, is another than the inventory says, or does not let us in.
        """
        keys = (node.host_key,) if isinstance(node.host_key, str) else node.host_key
        known = asyncssh.import_known_hosts("".join(f"* {key}\n" for key in keys))
        own = [str(Path(node.ssh_key).expanduser())] if node.ssh_key else ()
        try:
            connection = await asyncssh.connect(
                node.address,
                node.port,
                username=node.user or (),
                known_hosts=known,
                client_keys=own or (),
                config=(),
            )
        except (OSError, asyncssh.Error) as error:
            raise NodeError(
                node.name, f"{node.address} port {node.port}: {error}", kind="unreachable"
            ) from error
        await stack.enter_async_context(connection)
        return cls(node, connection, await stack.enter_async_context(connection.start_sftp_client()))

    async def ask(self, operation: str, tell: Tell = lambda _text: None, **request: Any) -> dict[str, Any]:
        """Have the node do something; see `Remote.ask`."""
        program = await self._sent()
        request = {"do": operation, "path": self.node.path, **request}
        async with self._connection.create_process(f"{self.node.python} {shlex.quote(program)}") as process:
            process.stdin.write(json.dumps(request) + "\n")
            async for line in process.stdout:
                if not line:
                    break
                answer = json.loads(line)
                if "done" in answer:
                    done: dict[str, Any] = answer["done"]
                    return done
                if "failed" in answer:
                    what = answer["failed"]
                    raise NodeError(self.node.name, what["what"], hint=what["hint"], kind=what["code"])
                tell(answer["say"])
            error = await process.stderr.read()
        raise NodeError(self.node.name, f"{operation} ended without a result: {error[-500:]}")

    async def _sent(self) -> str:
        """Return the path of the program there, which is sent where it is not."""
        if not self._program:
            folder = f"{self.node.path}/.fleet"
            path = f"{folder}/node-{hashlib.sha256(packed()).hexdigest()[:16]}.pyz"
            if not await self._sftp.exists(path):
                await self._sftp.makedirs(folder, exist_ok=True)
                async with self._sftp.open(f"{path}.part", "wb") as file:
                    await file.write(packed())
                await self._sftp.posix_rename(f"{path}.part", path)
            self._program = path
        return self._program

"""SSH host keys as the inventory has them: one line each, the kind of key and the key."""

import asyncio
import base64
import binascii
import hashlib
from typing import TYPE_CHECKING

from mt5crs.fleet.failure import NodeError
from mt5crs.fleet.inventory import Node

if TYPE_CHECKING:
    import asyncssh

KINDS = ("ssh-ed25519", "ecdsa-sha2-nistp256", "rsa-sha2-512")
"""Kinds of host keys that are asked for; the first that a node has is the best."""

KNOWN = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa")
"""Kinds that a host key may have."""


def fingerprint(key: str) -> str:
    """Return the fingerprint of a public key, as `ssh-keygen -l` shows it.

    Raises:
        ValueError: That is no public key.
    """
    kind, _, rest = key.strip().partition(" ")
    encoded = rest.split(" ")[0]
    try:
        blob = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        blob = b""
    if kind not in KNOWN:
        raise ValueError(
            f"a host key is of one of the kinds {', '.join(KNOWN)}; `mt5crs fleet pin` fetches it"
        )
    if not blob or blob[4 : 4 + int.from_bytes(blob[:4], "big")] != kind.encode():
        raise ValueError("a host key is the kind of key and the key, such as `ssh-ed25519 AAAA...`")
    if not _is_whole(f"{kind} {encoded}"):
        raise ValueError("a part of the key is missing, or too much is there; `mt5crs fleet pin` fetches it")
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def _is_whole(key: str) -> bool:
    import asyncssh

    try:
        return asyncssh.import_public_key(key).export_public_key().split()[1] == key.split()[1].encode()
    except (asyncssh.KeyImportError, ValueError):
        return False


def pinned(node: Node) -> tuple[str, ...]:
    """Return the host keys that the inventory has of a node."""
    keys = (node.host_key,) if isinstance(node.host_key, str) else node.host_key
    return tuple(key for key in keys if key.strip())


def algorithms(keys: tuple[str, ...]) -> list[str]:
    """Return what to ask a node to prove itself with: its keys' own kinds, then all others.

    Those are for a node with another key: it shows that, instead of a connection that comes to nothing.
    """
    own = [key.split(" ")[0] for key in keys]
    return list(dict.fromkeys(["rsa-sha2-512" if kind == "ssh-rsa" else kind for kind in own] + list(KINDS)))


async def scan(
    node: Node, seconds: float = 10.0, tunnel: "asyncssh.SSHClientConnection | None" = None
) -> list[str]:
    """Return the host keys that are offered at a node's address, the best first; nobody has vouched for them.

    Args:
        node: The node.
        seconds: How long it may take.
        tunnel: What leads to it, of the node that it is reached through.

    Raises:
        NodeError: Nothing answers there as SSH does.
    """
    found = await asyncio.gather(
        *(_offered(node, kind, seconds, tunnel) for kind in KINDS), return_exceptions=True
    )
    keys = [key for key in found if isinstance(key, str)]
    if not keys:
        raise next(each for each in found if isinstance(each, BaseException))
    return keys


async def _offered(
    node: Node, kind: str, seconds: float, tunnel: "asyncssh.SSHClientConnection | None"
) -> str:
    import asyncssh

    from mt5crs.fleet.login import unreachable
    from mt5crs.fleet.waiting import within

    try:
        key = await within(
            seconds,
            asyncssh.get_server_host_key(
                node.address, node.port, tunnel=tunnel, server_host_key_algs=[kind], config=None
            ),
        )
    except (OSError, asyncssh.Error, asyncio.TimeoutError) as error:
        raise unreachable(node, error) from error
    if key is None:
        raise NodeError(node.name, f"{node.address} port {node.port} offers no host key", kind="unreachable")
    return " ".join(key.export_public_key().decode().split()[:2])

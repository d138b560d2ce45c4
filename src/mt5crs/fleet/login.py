"""Who we are for a node: the private key of the inventory, or what an SSH agent has."""

import asyncio
import errno
import getpass
import os
import re
import socket
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncssh
from asyncssh.constants import OPEN_ADMINISTRATIVELY_PROHIBITED

from mt5crs.fleet.answers import excerpt
from mt5crs.fleet.failure import NodeError
from mt5crs.fleet.hostkeys import fingerprint
from mt5crs.fleet.inventory import Node

Passphrase = Callable[[str], str]
"""Returns the passphrase of a key file, "" for none."""
FORWARDING = "on {}, in sshd_config: AllowTcpForwarding yes and no PermitOpen against it; then reload sshd"
CONNECTING = {
    errno.ECONNREFUSED: (
        "nothing listens at {where}",
        "is the machine on, does sshd run, and is that its port?",
    ),
    errno.ECONNRESET: (
        "{where} ends the connection at once",
        "is that SSH, and does a firewall let this machine in?",
    ),
    errno.ETIMEDOUT: (
        "{where} does not answer",
        "is the machine on, and does a firewall drop what comes there?",
    ),
    errno.EHOSTUNREACH: (
        "no machine is found at {where}",
        "is it on, is that its address, and does no firewall refuse what comes there?",
    ),
    errno.EHOSTDOWN: ("the machine at {where} is off", "switch it on"),
    errno.ENETUNREACH: ("no network leads to {where}", "is this machine in a network, with a route there?"),
    errno.ENETDOWN: ("the network to {where} is down", "is this machine in a network, with a route there?"),
    errno.EPERM: ("this machine may not connect to {where}", "does a firewall of its own forbid that?"),
    errno.EACCES: ("this machine may not connect to {where}", "does a firewall of its own forbid that?"),
}
"""What it means that a connection failed, and what to look at; of several addresses, the first of these."""


def me() -> str:
    """Return who we are, for the nodes that we change."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = "somebody"
    return f"{user}@{socket.gethostname()}"


def from_terminal() -> Passphrase:
    """Return what asks for passphrases, once for each file."""
    known: dict[str, str] = {}

    def ask(path: str) -> str:
        if path not in known:
            known[path] = getpass.getpass(f"passphrase of {path}: ")
        return known[path]

    return ask


def key_trouble(path: Path) -> tuple[str, str]:
    """Return why the file of a private key cannot be used, and what to do; empty texts for no reason."""
    try:
        path.read_bytes()
        mode = path.stat().st_mode
    except OSError as error:
        return f"the key {path} cannot be read: {error.strerror}", "name another with ssh_key = ..."
    if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        return f"others can read the key {path}", f"chmod 600 {path}"
    return "", ""


async def own_keys(node: Node, passphrase: Passphrase | None) -> Any:
    """Return the keys to log in with, as asyncssh wants them: `()` for the agent's and the usual files.

    Raises:
        NodeError: The key of the inventory cannot be used.
    """
    if not node.ssh_key:
        return ()
    path = Path(node.ssh_key).expanduser()
    wrong, todo = key_trouble(path)
    if wrong:
        raise _unusable(node, wrong, todo)
    content = path.read_bytes()
    try:
        return [asyncssh.import_private_key(content)]
    except asyncssh.KeyEncryptionError:
        pass
    except asyncssh.KeyImportError as error:
        if "passphrase" not in str(error).lower():
            raise _unusable(node, f"{path} is no private key: {error}", "ssh-keygen makes one") from None
    if await _agent_has(path):
        return ()
    answer = passphrase(str(path)) if passphrase is not None else ""
    if not answer:
        raise _unusable(
            node, f"the key {path} has a passphrase", f"ssh-add {path}, or run this from a terminal"
        )
    try:
        return [asyncssh.import_private_key(content, answer)]
    except (asyncssh.KeyEncryptionError, asyncssh.KeyImportError) as error:
        if "bcrypt" in str(error):
            raise _unusable(
                node, f"bcrypt, which opens {path}, is not there", f"pip install bcrypt, or ssh-add {path}"
            ) from None
        raise _unusable(node, f"that is not the passphrase of {path}", f"ssh-add {path}") from None


async def _agent_has(path: Path) -> bool:
    """Return whether the agent can log in with a key, whose public half lies beside it."""
    if not os.environ.get("SSH_AUTH_SOCK"):
        return False
    try:
        public = asyncssh.read_public_key(f"{path}.pub").public_data
        async with asyncssh.connect_agent() as agent:
            return any(key.public_data == public for key in await agent.get_keys())
    except (OSError, ValueError):
        return False


def unreachable(node: Node, error: BaseException, what: str = "") -> NodeError:
    """Return what it means that no connection came about."""
    where = f"{f'{what} at ' if what else ''}{node.address} port {node.port}"
    if isinstance(error, asyncssh.ChannelOpenError):
        return _no_way(node, where, error)
    told, hint = "{where}: {error}", "is that SSH?"
    if isinstance(error, socket.gaierror):
        told, hint = "there is no address of the name {node.address}", "see address = ... in the inventory"
    elif isinstance(error, asyncio.TimeoutError | TimeoutError):
        told, hint = CONNECTING[errno.ETIMEDOUT]
    elif isinstance(error, OSError):
        told, hint = next(
            (words for number, words in CONNECTING.items() if number in _numbers(error)),
            ("{where} cannot be reached: {error}", "is there a network, and a route?"),
        )
    text = told.format(where=where, node=node, error=excerpt(error))
    return NodeError(node.name, text, hint=hint, kind="unreachable")


def _no_way(node: Node, where: str, error: asyncssh.ChannelOpenError) -> NodeError:
    """Return what it means that the node on the way leads to no connection.

    One that may not lead there is no node that is off: it would stay so when the other is on.
    """
    if error.code == OPEN_ADMINISTRATIVELY_PROHIBITED:
        text = f"{node.through} may not lead to {where}"
        return NodeError(node.name, text, hint=FORWARDING.format(node.through), kind="forbidden")
    text = f"{node.through} finds no way to {where}: {excerpt(error.reason)}"
    return NodeError(node.name, text, hint="is it on, and does sshd run there?", kind="unreachable")


def _numbers(error: OSError) -> set[int]:
    """Return the error numbers of a failed connection; of several addresses there is only their text."""
    if error.errno is not None:
        return {error.errno}
    return {int(number) for number in re.findall(r"\[Errno (\d+)\]", str(error))}


def refused(node: Node) -> NodeError:
    """Return what it means that a node does not let us in."""
    user = node.user or getpass.getuser()
    key = f"the key {node.ssh_key}" if node.ssh_key else "the keys that there are here"
    file = (
        "C:/Users/NAME/.ssh/authorized_keys, of an administrator "
        "C:/ProgramData/ssh/administrators_authorized_keys"
        if node.os == "windows"
        else f"~{user}/.ssh/authorized_keys"
    )
    return NodeError(
        node.name,
        f"{user} may not log in with {key}",
        hint=f"put its public half into {file} there, or correct user and ssh_key in the inventory",
        kind="login",
    )


def changed(node: Node, offered: str, keys: tuple[str, ...]) -> NodeError:
    """Return what it means that a node has other host keys than the inventory."""
    known = ", ".join(fingerprint(key) for key in keys)
    return NodeError(
        node.name,
        f"its host key is {fingerprint(offered) if offered else 'not shown'}, and the inventory has {known}",
        hint="if the machine was not set up anew, somebody is in between: do not go on. If it was, look at "
        "its fingerprint there (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub), then run: "
        f"mt5crs fleet pin {node.name}",
        kind="host-key",
    )


def _unusable(node: Node, what: str, hint: str) -> NodeError:
    return NodeError(node.name, what, hint=hint, kind="login")

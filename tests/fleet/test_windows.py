"""A node with Windows, as far as it can be seen from here: what its shell is told, and where files go."""

import asyncio
import hashlib
import os
import select
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from mt5crs.fleet.inventory import Node, Role
from mt5crs.fleet.node.program import packed
from mt5crs.fleet.ssh import Connection, NodeError
from tests.fleet.windows import PATH, PYTHON, Windows, windows


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Windows]:
    with windows(tmp_path_factory.mktemp("windows")) as running:
        yield running


def node_of(machine: Windows, **other: Any) -> Node:
    own = {"python": PYTHON, **other}
    return Node(
        Role.GTW, machine.address, machine.host_key, machine.port, "mt5", str(machine.ssh_key), PATH,
        "windows", name="gtw", **own,
    )  # fmt: skip


def test_a_node_with_windows_is_asked_and_sent_to(machine: Windows) -> None:
    content = os.urandom(1 << 20)

    async def run() -> tuple[dict[str, Any], str]:
        async with AsyncExitStack() as stack:
            connection = await Connection.open(node_of(machine), stack)
            sha256 = await connection.put(content)
            return await connection.ask("have", sha256=[sha256]), sha256

    have, sha256 = asyncio.run(run())
    assert have == {"have": [sha256]}
    fleet = machine.root / "C:" / "mt5-crs" / ".fleet"
    assert (fleet / "incoming" / sha256).read_bytes() == content
    program = f"node-{hashlib.sha256(packed()).hexdigest()[:16]}.pyz"
    assert (fleet / program).read_bytes() == packed()
    assert set(machine.commands()) == {rf"C:\Python312\python.exe C:/mt5-crs/.fleet/{program}"}
    assert len(machine.commands()) == 1, "it is asked about nothing that we know ourselves"


def test_a_python_that_windows_does_not_have_is_told(machine: Windows) -> None:
    async def run() -> None:
        async with AsyncExitStack() as stack:
            connection = await Connection.open(node_of(machine, python="C:/Python313/python.exe"), stack)
            await connection.ask("have", sha256=[])

    with pytest.raises(NodeError, match="C:/Python313/python.exe is not there") as caught:
        asyncio.run(run())
    assert caught.value.kind == "python"


def test_what_nobody_waits_for_ends_there_too(machine: Windows) -> None:
    incoming = machine.root / "C:" / "mt5-crs" / ".fleet" / "incoming"
    incoming.mkdir(parents=True, exist_ok=True)
    pipe = incoming / ("0" * 64)
    os.mkfifo(pipe)

    async def run() -> None:
        async with AsyncExitStack() as stack:
            connection = await Connection.open(node_of(machine), stack)
            asking = asyncio.create_task(connection.ask("have", sha256=[pipe.name]))
            writer = await asyncio.to_thread(os.open, pipe, os.O_WRONLY)  # it reads: it runs
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            gone = select.poll()
            gone.register(writer, select.POLLERR)  # nobody reads it any more
            assert await asyncio.to_thread(gone.poll, 30_000)
            os.close(writer)

    try:
        asyncio.run(run())
    finally:
        pipe.unlink()

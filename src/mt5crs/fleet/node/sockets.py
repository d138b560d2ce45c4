"""Who listens on a port here, who may reach it, and whether a port of another machine can be reached."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from . import nft
from .operations import Failed
from .running import run

LISTENING = "0A"
TABLES = (("/proc/net/tcp", 4), ("/proc/net/tcp6", 6))
NETSTAT = re.compile(r"^\s*TCP\s+(\S+):([0-9]+)\s+\S+:0\s", re.MULTILINE)
"""A line of a listener, whatever the language of the word for its state."""
ALLOWED = """
Get-NetFirewallPortFilter -Protocol TCP | Where-Object LocalPort -contains {port} | Get-NetFirewallRule |
Where-Object {{ $_.Enabled -eq 'True' -and $_.Direction -eq 'Inbound' -and $_.Action -eq 'Allow' }} |
ForEach-Object {{ @{{ name = $_.DisplayName
'from' = @(($_ | Get-NetFirewallAddressFilter).RemoteAddress) }} }} |
ConvertTo-Json -Depth 4 -Compress
"""
"""Asks Windows which rules let somebody in; as JSON, a list where there are several."""
TOOL_LIMIT = 30.0
REFUSED = (errno.ECONNREFUSED, 10061)
"""The second is Windows' own number."""


def listeners(port: int) -> list[str] | None:
    """Return the addresses that somebody listens on at a port; None where that cannot be seen."""
    if os.name == "nt":
        text = _said(["netstat", "-an", "-p", "TCP"]), _said(["netstat", "-an", "-p", "TCPv6"])
        return None if text == (None, None) else of_netstat("\n".join(each or "" for each in text), port)
    found: list[str] = []
    for path, version in TABLES:
        try:
            content = Path(path).read_text(encoding="ascii")
        except OSError:
            continue  # a system without IPv6 has no table of it
        found += of_table(content, port, version)
    return found


def of_netstat(text: str, port: int) -> list[str]:
    """Read what Windows' `netstat -an` says."""
    return [address.strip("[]") for address, number in NETSTAT.findall(text) if int(number) == port]


def of_table(text: str, port: int, version: int) -> list[str]:
    """Read the kernel's table of TCP sockets."""
    return list(_rows(text, port, version))


def _rows(text: str, port: int, version: int) -> Iterator[str]:
    for line in text.splitlines()[1:]:
        fields = line.split()
        address, _, number = fields[1].partition(":")
        if fields[3] == LISTENING and int(number, 16) == port:
            # Words of 32 bits in the machine's own order, each written as a number.
            words = [int(address[start : start + 8], 16) for start in range(0, len(address), 8)]
            packed = struct.pack(f"={len(words)}I", *words)
            yield socket.inet_ntop(socket.AF_INET if version == 4 else socket.AF_INET6, packed)


def reach(host: str, port: int, limit: float) -> dict[str, object]:
    """Make a TCP connection.

    Returns:
        `host`, `port`; `state`: `open`, `refused` (the machine is there and nobody listens), `filtered`
        (nothing came back), `unknown` (no such name) or `failed`; `milliseconds`; `detail`; `own`, the
        node's address on that way, "" where it is not known.
    """
    start = time.perf_counter()
    state, detail, own = "open", "", ""
    try:
        with socket.create_connection((host, port), timeout=limit) as connection:
            own = str(connection.getsockname()[0])
    except TimeoutError:
        state, detail = "filtered", f"nothing came back in {limit:g} s"
    except socket.gaierror as error:
        state, detail = "unknown", str(error)
    except OSError as error:
        state, detail = ("refused" if error.errno in REFUSED else "failed"), str(error)
    took = (time.perf_counter() - start) * 1000
    return {"host": host, "port": port, "state": state, "milliseconds": took, "detail": detail, "own": own}


def admitted(port: int) -> list[dict[str, object]] | None:
    """Return whom the machine's firewall lets in at a port.

    Returns:
        For each rule its `name`, the addresses that it is limited to, `from` (`Any` for no limit), and
        whether it was `understood`. None where that cannot be seen.
    """
    if os.name == "nt":
        said = _said(["powershell", "-NoProfile", "-NonInteractive", "-Command", ALLOWED.format(port=port)])
        return None if said is None else of_windows(said)
    if shutil.which("nft") is None:
        return None
    said = _said(["nft", "list", "ruleset"])
    if said is None:
        return None
    versions = sorted({6 if ":" in each else 4 for each in listeners(port) or ("0.0.0.0",)})  # noqa: S104
    return nft.admitted(said, port, tuple(versions))


def of_windows(said: str) -> list[dict[str, object]]:
    """Read the JSON that Windows was asked for."""
    try:
        rules: Any = json.loads(said or "[]")
    except ValueError:
        rules = []
    return cast("list[dict[str, object]]", rules if isinstance(rules, list) else [rules])


def _said(command: list[str]) -> str | None:
    """Return what a tool of the system writes, None where it is not there or fails."""
    try:
        return run(command, timeout=TOOL_LIMIT)
    except Failed:
        return None

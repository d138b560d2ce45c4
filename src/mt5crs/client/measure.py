"""What a client of the gateway measures here, as one line of JSON: `python -m mt5crs.client.measure [PINGS]`.

It takes the settings that hold in the current directory, as every client there does. Without pings it tells
the settings and connects to nobody.

It imports no more than a client needs and prints nothing until the end, so that the memory that it tells is
that of a client.
"""

from __future__ import annotations

import math
import os
import sys
import time
from typing import TYPE_CHECKING, Any

import msgspec

from mt5crs.constants import TIMEFRAME_H1
from mt5crs.errors import BridgeError, Denied
from mt5crs.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mt5crs.client.blocking import Client

BARS = 1000
"""The first array: bars of a symbol."""
PINGS_LIMIT = 1000
SECONDS = 10.0
"""After which no more pings are sent, however many were wanted."""
KB = 1024
STATUS = "/proc/self/status"


def measure(settings: Settings, pings: int) -> dict[str, Any]:
    """Connect, ping, and read a first array.

    Returns:
        `rtts` in milliseconds, and `lost` pings; `software` and `protocol` of the gateway, `terminal`,
        `account`, `stream_port`, and its `state`; `streams`, whether a beat came from that port, None where
        that is not known; `memory` in bytes as it was `connected`, with the first `arrays` (None where there
        were none), and at its `peak`, each None where the system does not tell; `unread`, why the gateway did
        not answer to the question for arrays, None where it did.

    Raises:
        BridgeError: The gateway does not answer, or not us.
    """
    from mt5crs.client.blocking import Client

    rtts: list[float] = []
    state: dict[str, Any] = {}
    lost = 0
    keys = settings.keys
    with Client(settings.host, settings.port, timeout=settings.timeout, keys=keys) as client:
        welcome = client.welcome()
        end = time.monotonic() + SECONDS
        for _ in range(pings):
            if time.monotonic() > end:
                break
            try:
                ping = client.ping()
            except BridgeError:  # counted: the others tell how it is otherwise
                lost += 1
                if lost > 1 and not rtts:
                    raise
            else:
                rtts.append(ping.seconds * 1000)
                state = ping.pong.state
        connected = _memory("VmRSS")
        has_array, unread = _array(client)
        arrays = _memory("VmRSS") if has_array else None
        peak = _memory("VmHWM")
        streams = client.health().streams if rtts and unread is None else None
    return {
        "rtts": rtts,
        "lost": lost,
        "software": welcome.software,
        "protocol": welcome.protocol,
        "terminal": welcome.terminal,
        "account": welcome.account,
        "stream_port": welcome.stream_port,
        "streams": streams,
        "state": state,
        "unread": unread,
        "memory": {"connected": connected, "arrays": arrays, "peak": peak},
    }


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return a percentile by nearest rank: a value that was measured."""
    return ordered[max(0, math.ceil(share / 100 * len(ordered)) - 1)]


def _array(client: Client) -> tuple[bool, dict[str, str] | None]:
    """Read bars of one symbol; say whether there were some, and why the gateway did not answer."""
    try:
        symbols = client.symbols_get("*EURUSD*") or client.symbols_get()
        if not symbols:  # a terminal that is away is told elsewhere
            return False, None
        return client.copy_rates_from_pos(symbols[0].name, TIMEFRAME_H1, 0, BARS) is not None, None
    except Denied:  # that key may not: the gateway answered
        return False, None
    except BridgeError as error:
        return False, _told(error)


def _memory(name: str) -> int | None:
    """Return a figure of this process in bytes, None where the system is another than Linux."""
    try:
        with open(STATUS, encoding="ascii", errors="replace") as file:  # noqa: PTH123 - pathlib costs memory
            return next(int(line.split()[1]) * KB for line in file if line.startswith(f"{name}:"))
    except (OSError, StopIteration):
        return None


def _told(error: BridgeError) -> dict[str, str]:
    return {"code": error.code, "message": error.message, "hint": error.hint}


def report(pings: int) -> dict[str, Any]:
    """Return the settings, and what was measured with them; a failure of either is told in its place.

    Returns:
        `settings`, each with its value and where it came from, or `wrong`; and `measured` or `failed`, where
        there were pings to be made.
    """
    try:
        settings = Settings.read()
    except BridgeError as error:
        return {"wrong": _told(error)}
    values = {
        name: [None if value is None else str(value), settings.source_of(name)]
        for name, value in settings._asdict().items()
        if name != "sources"
    }
    if not pings:
        return {"settings": values}
    try:
        return {"settings": values, "measured": measure(settings, pings)}
    except BridgeError as error:
        return {"settings": values, "failed": _told(error)}


def main(arguments: list[str]) -> int:
    """Print what was measured; the exit code tells only whether the command line was right."""
    given = arguments[0] if len(arguments) == 1 else "" if arguments else "10"
    if not given.isdecimal() or int(given) > PINGS_LIMIT:
        sys.stderr.write(f"state how many pings: a number from 0 to {PINGS_LIMIT}\n")
        return 2
    sys.stdout.write(msgspec.json.encode(report(int(given))).decode() + os.linesep)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

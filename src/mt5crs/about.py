"""What this installation is, as one line of JSON: `python -m mt5crs.about`.

Whoever brings a release to a node asks it this way, in the release's own environment, before anything is
switched over to it.
"""

import json
import platform
import sys
from importlib.metadata import distributions
from typing import Any

from mt5crs._version import __version__
from mt5crs.journal.file import VERSION as JOURNAL
from mt5crs.release import release
from mt5crs.terminal.simulated.state import VERSION as STATE
from mt5crs.trades.record import VERSION as TRADES
from mt5crs.wire.messages import SPEAKS


def about() -> dict[str, Any]:
    """Return the facts of this installation.

    Returns:
        `version`; `release`, its id, "" where it is none; `speaks`, the protocols that it understands, newest
        first; `files`, the version of each kind of file that it writes (`journal`, `trades`, `state`);
        `python`; `packages`, all that there are.
    """
    return {
        "version": __version__,
        "release": release(),
        "speaks": list(SPEAKS),
        "files": {"journal": JOURNAL, "trades": TRADES, "state": STATE},
        "python": platform.python_version(),
        "packages": {each.metadata["Name"].lower(): each.version for each in distributions()},
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(about()) + "\n")

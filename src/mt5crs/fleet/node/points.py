"""Named moments at which a test can end the program, as a power cut or a lost connection would.

Nobody but a test sets `MT5CRS_FLEET_STOP_AT`; without it, to reach a point is to do nothing.

==============  ==========================================================================================
point           what is true when it is reached
==============  ==========================================================================================
``unpacked``    a release's tree is there, and nothing else of it
``venv``        its environment is there, and empty
``packages``    what it needs is installed, and it is not
``installed``   it is installed as well, and nobody has looked at it
``complete``    all is checked, and nothing says so yet
``begun``       the record says that a deployment begins, and nothing is changed
``saved``       the settings of both releases are kept, and `.env` is as it was
``settings``    `.env` is as the new release needs it, and the old one is in use
``switched``    the new release is in use, and what runs is the old one
``restarted``   the new release runs, and the record does not say so
``restoring``   a deployment failed, and nothing is put back
``restored``    all is put back, and the record does not say so
``ended``       the record says how it ended, and old releases are still there
``removing``    an old release is out of its place, and its files are still there
==============  ==========================================================================================
"""

from __future__ import annotations

import os

POINTS = (
    "unpacked", "venv", "packages", "installed", "complete",
    "begun", "saved", "settings", "switched", "restarted", "restoring", "restored", "ended", "removing",
)  # fmt: skip
VARIABLE = "MT5CRS_FLEET_STOP_AT"
EXIT = 86
"""The exit code of a program that was ended at a point."""


def reach(point: str) -> None:
    """Say that a point is reached."""
    if os.environ.get(VARIABLE) == point:
        os._exit(EXIT)

"""Which release this process runs: that of the folder `releases/ID` in whose `.venv` it runs."""

import re
import sys
from functools import cache
from pathlib import Path

RELEASES = "releases"
RECORD = "release.json"
"""What lies beside a release's environment once it is complete."""
LENGTH = 64
"""Characters of a release's id at most."""
_ID = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._+-]{{0,{LENGTH - 1}}}")


def is_id(text: str) -> bool:
    """Whether a text can be the id of a release; what can is safe to show to anybody."""
    return _ID.fullmatch(text) is not None


def release_of(prefix: Path) -> str:
    """Return the id of the release whose environment has this prefix, "" where it is none's.

    Args:
        prefix: An environment's `sys.prefix`; may lead through the link to the current release.
    """
    folder = prefix.resolve().parent
    is_one = folder.parent.name == RELEASES and is_id(folder.name) and (folder / RECORD).is_file()
    return folder.name if is_one else ""


@cache
def release() -> str:
    """Return the id of the release that this process runs, "" where that is not known; looked up once."""
    return release_of(Path(sys.prefix))

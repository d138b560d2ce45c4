"""This program as one file that Python runs: what is sent to nodes, and what their keepers are."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

OLDEST = (3, 10)
"""The oldest Python that a node may have."""
# Read by whatever Python a node has: so it says what is wrong before that meets words it does not know.
START = """\
import sys
if sys.version_info < (%d, %d):
    sys.stdout.write('{"failed": {"what": "%%s is Python %%d.%%d.%%d, and %d.%d is the oldest that will do", \
"hint": "name another with python = ... in the inventory", "code": "python"}}\\n' %% (
        (sys.executable.replace("\\\\", "/"),) + tuple(sys.version_info[:3])))
    sys.exit(1)
from node.main import main
sys.exit(main())
""" % (*OLDEST, *OLDEST)  # noqa: UP031 - braces of JSON are in it


def packed() -> bytes:
    """Return the program: the file that we run from, or the folder of our modules as such a file."""
    folder = Path(__file__).parent
    if folder.parent.is_file():
        return folder.parent.read_bytes()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for each in sorted(folder.glob("*.py")):
            archive.writestr(zipfile.ZipInfo(f"node/{each.name}"), each.read_bytes())
        archive.writestr(zipfile.ZipInfo("__main__.py"), START)
    return buffer.getvalue()

"""What the terminal confirmed: it was asked again, and its own history has it so. `check` counts it alone.

It is in `_confirmed.json` in the archive's folder, in the words of the findings.
"""

import json
import os
from pathlib import Path
from typing import Any

from mt5crs.archive.findings import Finding, Kind
from mt5crs.errors import ArchiveError

NAME = "_confirmed.json"
_TYPES = {
    **dict.fromkeys(("kind", "symbol", "timeframe", "what", "path"), str),
    **dict.fromkeys(("start", "stop"), int),
}
"""What an entry has."""


class Confirmed:
    """What a terminal has confirmed of an archive.

    Args:
        root: The archive's folder.

    Raises:
        ArchiveError: The file cannot be read.
    """

    def __init__(self, root: Path) -> None:
        self._path = root / NAME
        self._known: list[Finding] = []
        if not self._path.exists():
            return
        try:
            self._known = _findings(json.loads(self._path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError, RecursionError) as error:
            raise ArchiveError(
                f"{self._path} cannot be read: {error}",
                hint="remove it: `mt5crs archive repair` asks the terminal again",
            ) from error

    def has(self, finding: Finding) -> bool:
        """Whether a finding is confirmed: one that is the same, or part of a gap that is."""
        return any(_covers(known, finding) for known in self._known)

    def add(self, finding: Finding) -> None:
        """Add one."""
        if not self.has(finding):
            self._known.append(finding)

    def save(self) -> None:
        """Write it, as a whole or not at all."""
        entries = [{**known._asdict(), "kind": known.kind.value} for known in self._known]
        new = self._path.with_suffix(".new")
        new.write_text(json.dumps(entries, indent=1) + "\n", encoding="utf-8")
        with new.open("rb") as written:
            os.fsync(written.fileno())
        new.replace(self._path)


def _findings(entries: Any) -> list[Finding]:
    """Return what a file says.

    Raises:
        ValueError: It is not as it was written.
        TypeError: It is not.
    """
    found: list[Finding] = []
    for entry in entries:
        facts: dict[str, Any] = dict(entry)
        if {name: type(value) for name, value in facts.items()} != _TYPES:
            raise ValueError(f"{entry!r:.80} is no finding")
        kind = Kind(facts.pop("kind"))
        found.append(Finding(kind=kind, **facts))
    return found


def _covers(known: Finding, finding: Finding) -> bool:
    if (known.kind, known.series) != (finding.kind, finding.series):
        return False
    if known.kind is Kind.GAP:
        return known.start <= finding.start and finding.stop <= known.stop
    return (known.start, known.stop, known.what) == (finding.start, finding.stop, finding.what)

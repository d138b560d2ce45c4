"""Ends a process at a named moment in the life of an order, as a power cut would (`mt5crs.points`).

A test says in an environment variable which processes may be ended and when: gateways and their workers read
it while they start (`site/sitecustomize.py`). It is JSON:

=============  ===============================================================================================
field          what it says
=============  ===============================================================================================
``folder``     the folder of a `Fuse`: whoever finds a point armed there is ended at it
``kill``       by point: how likely each arrival is the end of the process, or at which arrivals it is
``seed``       decides likely ends, together with the number of ends before
``mutant``     a name of `mutants.MUTANTS`: the process has that defect
=============  ===============================================================================================
"""

import os
import random
import signal
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

ROOT = Path(__file__).resolve().parents[2]
SITE = Path(__file__).resolve().parent / "site"
VARIABLE = "MT5CRS_TEST_CHAOS"


class Chaos(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the environment variable says; see above."""

    folder: str
    kill: dict[str, float | list[int]] = {}
    seed: int = 0
    mutant: str = ""


class Fuse:
    """A folder through which a test and the processes that it ends know of each other.

    Args:
        folder: The folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._log = folder / "kills"

    def environment(
        self, kill: Mapping[str, float | list[int]] | None = None, *, seed: int = 0, mutant: str = ""
    ) -> dict[str, str]:
        """Return the environment of a process that is to meet what this module does."""
        path = os.pathsep.join([str(SITE), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        chaos = Chaos(folder=str(self.folder), kill=dict(kill or {}), seed=seed, mutant=mutant)
        return {**os.environ, "PYTHONPATH": path, VARIABLE: msgspec.json.encode(chaos).decode()}

    def _armed(self, point: str) -> Path:
        return self.folder / f"armed-{point}"

    def arm(self, point: str) -> None:
        """End the next process that reaches a point."""
        self._armed(point).touch()

    def disarm(self, point: str) -> bool:
        """Let that be; say whether nobody was ended yet."""
        try:
            self._armed(point).unlink()
        except FileNotFoundError:
            return False
        return True

    def is_armed(self, point: str) -> bool:
        """Whether nobody has reached the point yet."""
        return self._armed(point).exists()

    def note(self, point: str) -> None:
        """Write down that this process ends at a point."""
        with self._log.open("ab") as log:
            log.write(f"{point}\n".encode())

    def kills(self) -> Counter[str]:
        """Return how many processes have ended at each point."""
        try:
            return Counter(self._log.read_text().split())
        except FileNotFoundError:
            return Counter()


def killer(chaos: Chaos) -> Callable[[str], None]:
    """Return the hook of `mt5crs.points` that ends this process as it is said."""
    fuse = Fuse(Path(chaos.folder))
    rng = random.Random(f"{chaos.seed}:{fuse.kills().total()}")  # noqa: S311 - repeatable on purpose
    arrivals: Counter[str] = Counter()

    def is_the_end(point: str) -> bool:
        if fuse.disarm(point):
            return True
        when = chaos.kill.get(point, 0.0)
        if isinstance(when, list):
            arrivals[point] += 1
            return arrivals[point] in when
        return when > 0 and rng.random() < when

    def reach(point: str) -> None:
        if is_the_end(point):
            fuse.note(point)
            os.kill(os.getpid(), signal.SIGKILL)

    return reach


def install(text: str) -> None:
    """Have this process do what the environment variable says."""
    from mt5crs import points

    chaos = msgspec.json.decode(text, type=Chaos)
    points.hook = killer(chaos)
    if chaos.mutant:
        from tests.adversity.mutants import MUTANTS
        from tests.adversity.spoiling import Finder

        sys.meta_path.insert(0, Finder(*MUTANTS[chaos.mutant]))

"""When what goes wrong in a chaos run: the network's messages and the gateway's processes."""

import random
import threading
from collections.abc import Callable, Sequence
from types import TracebackType

from tests.adversity.actions import Action, Cut, Delay, Drop, Duplicate, HalfClose, Reorder, Truncate
from tests.adversity.kills import Fuse
from tests.adversity.proxy import Policy
from tests.adversity.zmtp import Message, Way

LOOK_EVERY = 0.02
"""Seconds between two looks at how far the orders are."""
ANYWHERE = "anywhere"
"""Beside the named points: the gateway is ended from outside, whatever it does."""
BEHIND = 1.5
"""Seconds within which a session that hears nothing asks what is lost: its ping overtakes the order."""
SHARE = 0.95
"""The share of the orders by which all kills are to have happened."""


class Weather:
    """What the network does to messages: every kind in turn; the seed decides in which order, and when.

    Args:
        seed: Decides.
        chance: How likely a message is touched.
    """

    def __init__(self, seed: str, chance: float) -> None:
        self._rng = random.Random(seed)  # noqa: S311 - repeatable on purpose
        self._chance = chance
        self._deck: list[Action] = []

    def judge(self, message: Message) -> Action | None:
        """Return what is done to a message."""
        if self._rng.random() >= self._chance:
            return None
        if not self._deck:
            self._deck = self._shuffled()
        return self._deck.pop()

    def _shuffled(self) -> list[Action]:
        late = [Delay(self._rng.uniform(0.02, 0.6)) for _ in range(3)]
        frequent: list[Action] = [Duplicate(), Duplicate(), Reorder(), Reorder(), Reorder(BEHIND), *late]
        rare: list[Action] = [Drop(), Drop(), Cut(), Cut(after=True), HalfClose()]
        deck = [*frequent, *rare, Truncate(self._rng.random())]
        self._rng.shuffle(deck)
        return deck


def weather(seed: int, chance: float) -> dict[Way, Policy]:
    """Return a weather for each direction."""
    return {way: Weather(f"{seed}:{way.value}", chance).judge for way in Way}


class Killings:
    """Ends processes at one point after the other while orders are sent, in a thread.

    Args:
        fuse: What ends processes.
        seed: Decides the order of the points.
        points: Which ones.
        each: How often each point is armed.
        progress: Returns which share of the orders was sent.
        cut_power: Ends the gateway wherever it is.
    """

    def __init__(
        self,
        fuse: Fuse,
        seed: int,
        points: Sequence[str],
        each: int,
        progress: Callable[[], float],
        cut_power: Callable[[], None],
    ) -> None:
        self._fuse = fuse
        self._cut_power = cut_power
        self._points = list(points) * each
        random.Random(seed).shuffle(self._points)  # noqa: S311 - repeatable on purpose
        self._progress = progress
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="killings", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        for number, point in enumerate(self._points, 1):
            while self._progress() < SHARE * number / (len(self._points) + 1):
                if self._stopping.wait(LOOK_EVERY):
                    return
            if point == ANYWHERE:
                self._cut_power()
                self._fuse.note(point)
                continue
            self._fuse.arm(point)
            while self._fuse.is_armed(point):  # one at a time: the next one is counted from here
                if self._stopping.wait(LOOK_EVERY):
                    return

    def stop(self) -> None:
        """End nobody any more."""
        self._stopping.set()
        self._thread.join()
        for point in set(self._points):
            self._fuse.disarm(point)

    def __enter__(self) -> "Killings":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

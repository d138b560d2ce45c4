"""Answers that wait for a slow connection."""

from collections import deque

from mt5crs.gateway.transfers import Frames

BACKLOG = 16 * 1024 * 1024
BACKLOG_ANSWERS = 16_384
"""Bytes, and number, of the answers of one connection that wait; further ones are dropped and counted."""


class Backlog:
    """Answers of one connection that wait until its queue has room."""

    def __init__(self) -> None:
        self.answers: deque[tuple[tuple[bytes, ...], Frames]] = deque()
        self.size = 0

    def add(self, envelope: tuple[bytes, ...], frames: Frames) -> bool:
        """Keep an answer; return False where that would be beyond the limits."""
        size = sum(map(len, frames))
        if self.size + size > BACKLOG or len(self.answers) >= BACKLOG_ANSWERS:
            return False
        self.answers.append((envelope, frames))
        self.size += size
        return True

    def take(self) -> tuple[tuple[bytes, ...], Frames]:
        """Return the answer that has waited longest."""
        envelope, frames = self.answers.popleft()
        self.size -= sum(map(len, frames))
        return envelope, frames

    def follow(self, others: "Backlog") -> None:
        """Let others, which came later, wait behind these."""
        self.answers.extend(others.answers)
        self.size += others.size

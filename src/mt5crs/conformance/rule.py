"""What a rule is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mt5crs.conformance.desk import Desk

SURE = {
    "B": "seen in the official package itself",
    "D": "documented",
    "R": "recorded from a real terminal",
    "F": "reported by several users of real terminals",
    "K": "general knowledge of the platform, not verified",
}
"""Where a rule is from; a rule that is only K informs and is never a difference."""

Observe = Callable[[Any, "Desk"], object]
"""Asks a terminal: a function of a module with the official functions and a desk on it."""


class NotApplicable(Exception):
    """A rule says nothing about this terminal, this account or this moment; the text says why."""


@dataclass(frozen=True)
class Rule:
    """One thing that every terminal does.

    Attributes:
        id: Its name, beginning with that of its part.
        statement: What is true.
        sure: Where it is from: letters of `SURE`.
        observe: Returns what a terminal does.
        expected: What `observe` returns where the statement is true.
        trades: Whether it sends orders.
    """

    id: str
    statement: str
    sure: str
    observe: Observe
    expected: object
    trades: bool = False

    @property
    def is_informative(self) -> bool:
        """Whether a terminal that does otherwise is as good."""
        return self.sure == "K"


class Rules(list[Rule]):
    """The rules of one part.

    Args:
        part: Its name.
        trades: Whether its rules send orders.
    """

    def __init__(self, part: str, *, trades: bool = False) -> None:
        super().__init__()
        self._part = part
        self._trades = trades

    def add(self, name: str, statement: str, sure: str, observe: Observe, expected: object) -> None:
        """Add a rule."""
        self.append(Rule(f"{self._part}.{name}", statement, sure, observe, expected, self._trades))

    def rule(
        self, name: str, statement: str, sure: str, expected: object = ()
    ) -> Callable[[Observe], Observe]:
        """Add the rule that a function observes; where not stated, nothing is expected to be wrong."""

        def declare(observe: Observe) -> Observe:
            self.add(name, statement, sure, observe, expected)
            return observe

        return declare


def wrong(**facts: tuple[object, object]) -> tuple[str, ...]:
    """Return what does not hold, in words: each fact is what was observed and what was expected."""
    return tuple(
        f"{fact} is {seen!r}, not {expected!r}"
        for fact, (seen, expected) in facts.items()
        if seen != expected
    )

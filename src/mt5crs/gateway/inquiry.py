"""A look through the terminal: question after question, whose answers may come later, while all goes on."""

import logging
from collections.abc import Callable, Generator
from functools import partial
from math import inf

from mt5crs.api import OPERATIONS
from mt5crs.arguments import Bound
from mt5crs.errors import Busy, JournalUnusable
from mt5crs.operation import Result
from mt5crs.terminal.port import Deferred, TerminalPort, then

log = logging.getLogger(__name__)

DAY = 86_400
END = 2**32 - 1
"""A time after all others: that of the server's clock may be anything."""

Question = tuple[str, Bound]
Flow = Generator[Question, Result, None]
"""The questions of a look: an operation's name and its wire arguments; what is sent back is the answer."""


class Inquiry:
    """What carries looks out, one at a time.

    Args:
        terminal: What is looked through.
        purpose: What the looks are for, for the log.
        ended: Called when a look has ended, however it did.
    """

    def __init__(
        self, terminal: TerminalPort, purpose: str, ended: Callable[[], None] = lambda: None
    ) -> None:
        self._terminal = terminal
        self._purpose = purpose
        self._ended = ended
        self._flow: Flow | None = None
        self._stalled: Question | None = None
        self._began = -inf
        self._until = inf

    @property
    def is_under_way(self) -> bool:
        """Whether a look has not ended."""
        return self._flow is not None

    @property
    def is_stalled(self) -> bool:
        """Whether the terminal had no room for a question."""
        return self._stalled is not None

    def begin(self, flow: Flow, now: float, *, limit: float, until: float = inf) -> None:
        """Begin a look.

        Args:
            flow: Its questions.
            now: Seconds on the gateway's clock.
            limit: Seconds after which it is given up.
            until: When questions that the terminal has not heard of are dropped.
        """
        self._flow, self._began, self._until, self._limit = flow, now, until, limit
        self._go_on(flow, None)

    def pass_time(self, now: float) -> None:
        """Give up a look that does not end; put a question again that the terminal had no room for."""
        if self._flow is not None and now > self._began + self._limit:
            self.give_up()
        elif self._flow is not None and self._stalled is not None:
            self._ask(self._flow, self._stalled)

    def give_up(self) -> None:
        """Give up the look that is under way, where one is."""
        if self._flow is not None:
            self._end()

    def _end(self) -> None:
        self._flow = self._stalled = None
        self._ended()

    def _go_on(self, flow: Flow, answer: Result | None) -> None:
        """Go on with a look, given an answer."""
        question = self._next(flow, answer)
        if question is not None:
            self._ask(flow, question)

    def _ask(self, flow: Flow, question: Question | None) -> None:
        """Ask what a look wants to know, until it ends or an answer is to come: in a loop, however long."""
        while question is not None:
            asked = self._put(question)
            if asked is None:
                return
            answer = asked.result if isinstance(asked, Deferred) else asked
            if answer is None:
                then(asked, partial(self._go_on, flow))
                return
            question = self._next(flow, answer)

    def _next(self, flow: Flow, answer: Result | None) -> Question | None:
        """Return what a look wants to know next, None where it has ended."""
        if flow is not self._flow:  # it was given up meanwhile
            return None
        try:
            return next(flow) if answer is None else flow.send(answer)
        except StopIteration:
            self._end()
        except JournalUnusable as error:
            log.error("%s", error)
            self._end()
        except Exception:  # a defect of ours must not cost the gateway
            log.exception("defect while %s", self._purpose)
            self._end()
        return None

    def _put(self, question: Question) -> "Result | Deferred | None":
        """Put a question to the terminal; where it has no room, it is put again later, and None now."""
        self._stalled = None
        try:
            return self._terminal.call(OPERATIONS[question[0]], question[1], self._until)
        except Busy:
            self._stalled = question
        except Exception:  # as with a client's request: a defect costs this look only
            log.exception("defect while %s", self._purpose)
            self._end()
        return None

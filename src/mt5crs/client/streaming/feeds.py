"""What becomes of one topic's messages: what all feeds have in common, and states.

No sockets and no clock: messages and answers go in; events come out, and what is to be asked.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from mt5crs.client.streaming.reading import Received
from mt5crs.streams import AccountUpdate, AnyEvent, BookSnapshot, Gap
from mt5crs.topics import Account, AnyTopic, Book


class Question(NamedTuple):
    """What is to be asked of the gateway.

    Attributes:
        operation: The function's name.
        args: Its arguments.
        named: Those that have names.
    """

    operation: str
    args: tuple[Any, ...] = ()
    named: Mapping[str, Any] = {}


class Feed:
    """What all feeds have in common.

    Args:
        topic: What it is the feed of.

    Attributes:
        topic: See above.
        question: What must be asked before the next message is taken; None where nothing must.
        is_known: Whether anything has come.
    """

    def __init__(self, topic: AnyTopic) -> None:
        self.topic = topic
        self.question: Question | None = None
        self.is_known = False

    def take(self, received: Received) -> list[AnyEvent]:
        """Take in a message."""
        raise NotImplementedError

    def answer(self, value: Any) -> list[AnyEvent]:
        """Take in the answer to `question`."""
        raise NotImplementedError

    def give_up(self, why: str) -> list[AnyEvent]:
        """Take it that `question` is not answered: what was missed is told, and the stream goes on."""
        raise NotImplementedError


class StateFeed(Feed):
    """A state, of which the latest counts.

    Args:
        topic: What it is the state of.
    """

    def __init__(self, topic: Book | Account) -> None:
        super().__init__(topic)
        self._epoch = self._sequence = 0

    def take(self, received: Received) -> list[AnyEvent]:
        """See `Feed.take`."""
        if received.content is None:  # it is granted, and nothing is known yet
            return []
        epoch, sequence = received.message.epoch, received.message.sequence
        told: list[AnyEvent] = []
        if self.is_known and epoch != self._epoch:
            told.append(Gap(self.topic, None, None, "the gateway was started again"))
        elif self.is_known:
            if sequence <= self._sequence:  # it is told again
                return []
            if sequence > self._sequence + 1:
                why = f"{sequence - self._sequence - 1} earlier states were missed"
                told.append(Gap(self.topic, None, None, why))
        self.is_known, self._epoch, self._sequence = True, epoch, sequence
        if isinstance(self.topic, Book):
            return [*told, BookSnapshot(self.topic.symbol, received.content)]
        return [*told, AccountUpdate(received.content)]

    def answer(self, value: Any) -> list[AnyEvent]:
        """See `Feed.answer`: nothing is ever asked."""
        return []

    def give_up(self, why: str) -> list[AnyEvent]:
        """See `Feed.give_up`: nothing is ever asked."""
        return []

"""The topics that are wanted, and how far each was taken in."""

import logging
from math import inf
from typing import Any

from mt5crs.operation import Result, Unasked
from mt5crs.terminal.official.news import joined, place_after, unpack
from mt5crs.terminal.port import News
from mt5crs.topics import AnyTopic
from mt5crs.wire import topics

log = logging.getLogger(__name__)

AGAIN = 1.0
"""Seconds until a worker that could not follow is told again."""


class Following:
    """What is wanted of the stream lane, and what it has brought.

    Its worker is told the whole of what is wanted whenever that changes, and with it how far each topic was
    taken in: the next worker begins where the last one ended. Each wish has a number, so that what comes is
    never taken for that of an earlier wish for the same topic.
    """

    def __init__(self) -> None:
        self._numbers: dict[AnyTopic, int] = {}
        self._topics: dict[int, AnyTopic] = {}
        self._places: dict[int, Any] = {}  # see `Follower`; None before the first news
        self._collected: dict[int, list[News]] = {}
        self._last_number = 0
        self._is_told = True
        self._not_before = 0.0

    def __bool__(self) -> bool:
        return bool(self._topics)

    def add(self, topic: AnyTopic) -> None:
        """Want what is new of a topic."""
        if topic not in self._numbers:
            self._last_number += 1
            self._numbers[topic] = self._last_number
            self._topics[self._last_number] = topic
            self._places[self._last_number] = None
            self._is_told = False

    def remove(self, topic: AnyTopic) -> None:
        """Want it no more."""
        if topic in self._numbers:
            self._collected.pop(self._forget(topic), None)
            self._is_told = False

    def _forget(self, topic: AnyTopic) -> int:
        number = self._numbers.pop(topic)
        del self._topics[number], self._places[number]
        return number

    def restart(self) -> None:
        """Note that a new worker follows nothing yet."""
        self._is_told = not self._topics
        self._not_before = 0.0

    def to_tell(self, now: float) -> list[list[Any]] | None:
        """Return what the worker is to be told, None where it need not be told now."""
        if self._is_told or now < self._not_before:
            return None
        self._is_told = True
        return [[number, topics.name(topic), self._places[number]] for number, topic in self._topics.items()]

    @property
    def due(self) -> float:
        """When `to_tell` is worth asking again."""
        return inf if self._is_told else self._not_before

    def told(self, wanted: list[list[Any]], result: Result, now: float) -> None:
        """Take the worker's answer to what it was told: the numbers of what it follows."""
        if isinstance(result, Unasked) or result.value is None:
            self._tell_again(now)
            return
        for number in {number for number, *_ in wanted} & self._topics.keys() - {*result.value}:
            topic = self._topics[number]
            if self._places[number] is not None:  # the terminal had it, so it will again
                self._tell_again(now)
            else:
                log.warning("the terminal has no symbol for %s, or does not show it: not followed", topic)
                self._forget(topic)

    def _tell_again(self, now: float) -> None:
        self._is_told = False
        self._not_before = now + AGAIN

    def collect(self, number: int, begins: Any, rows: Any = b"") -> None:
        """Take news in as they were packed, unless nobody wants them any more."""
        topic = self._topics.get(number)
        if topic is not None:
            news = unpack(topic, begins, rows)
            self._places[number] = place_after(news)
            self._collected.setdefault(number, []).append(news)

    def take(self) -> list[News]:
        """Return what was collected since the last time."""
        collected, self._collected = self._collected, {}
        return [joined(parts) for parts in collected.values()]

"""What can be subscribed to: topics as values.

Ticks, bars and trades have a history, so a stream of them has no hole. The depth of market and the account
are states: what counts is the latest.
"""

from typing import TypeAlias

from msgspec import Struct


class Topic(Struct, frozen=True):
    """What all topics have in common."""


class Ticks(Topic, frozen=True):
    """The ticks of a symbol.

    Attributes:
        symbol: The symbol's name.
    """

    symbol: str


class Bars(Topic, frozen=True):
    """The bars of a symbol, each when the terminal has closed it.

    Attributes:
        symbol: The symbol's name.
        timeframe: A `TIMEFRAME_*` value.
    """

    symbol: str
    timeframe: int


class Book(Topic, frozen=True):
    """The depth of market of a symbol, whenever it has changed.

    Attributes:
        symbol: The symbol's name.
    """

    symbol: str


class Trades(Topic, frozen=True):
    """What becomes of orders, deals and positions; only for keys that were granted it."""


class Account(Topic, frozen=True):
    """The account, whenever it has changed; only for keys that were granted it."""


class Beat(Topic, frozen=True):
    """The gateway's pulse and its state, once a second."""


AnyTopic: TypeAlias = Ticks | Bars | Book | Trades | Account | Beat

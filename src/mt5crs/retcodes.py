"""The trade server's return codes: what each means and what to do, one table."""

from typing import NamedTuple

from mt5crs import constants as c

SUCCESSES = frozenset({c.TRADE_RETCODE_PLACED, c.TRADE_RETCODE_DONE, c.TRADE_RETCODE_DONE_PARTIAL})
UNKNOWN = frozenset({c.TRADE_RETCODE_TIMEOUT})
"""The trade server did not answer the terminal in time: the request may have been executed."""


class Meaning(NamedTuple):
    """What a return code says, and what to do next."""

    text: str
    hint: str = ""


_AGAIN = "prices moved: try again, or allow more with --deviation"
_LEVEL = "its trade_stops_level points away (`mt5crs symbols NAME --json`)"

MEANINGS = {
    c.TRADE_RETCODE_REQUOTE: Meaning("requote", _AGAIN),
    c.TRADE_RETCODE_REJECT: Meaning(
        "rejected by the server",
        "the broker's journal has the reason; fill or kill takes the whole volume at once: where there is "
        "less, try `--filling ioc`",
    ),
    c.TRADE_RETCODE_CANCEL: Meaning("cancelled by the trader"),
    c.TRADE_RETCODE_PLACED: Meaning("order placed"),
    c.TRADE_RETCODE_DONE: Meaning("done"),
    c.TRADE_RETCODE_DONE_PARTIAL: Meaning("done in part", "the rest was not filled"),
    c.TRADE_RETCODE_ERROR: Meaning("the server could not process it", "try again later"),
    c.TRADE_RETCODE_TIMEOUT: Meaning(
        "the server did not answer in time", "it may have been executed: look at positions first"
    ),
    c.TRADE_RETCODE_INVALID: Meaning("invalid request", "a field is missing or contradicts another"),
    c.TRADE_RETCODE_INVALID_VOLUME: Meaning(
        "invalid volume", "`mt5crs symbols NAME` shows the least and the step"
    ),
    c.TRADE_RETCODE_INVALID_PRICE: Meaning(
        "invalid price",
        "a buy limit and a sell stop are below the market, a sell limit and a buy stop above, at least "
        f"{_LEVEL}; on an exchange a price is a multiple of the symbol's trade_tick_size",
    ),
    c.TRADE_RETCODE_INVALID_STOPS: Meaning(
        "invalid stops",
        f"of a buy, SL is below and TP above the price, of a sell the other way round, at least {_LEVEL}; "
        "on an exchange both are multiples of the symbol's trade_tick_size",
    ),
    c.TRADE_RETCODE_TRADE_DISABLED: Meaning(
        "trading is disabled", "the account or the symbol may not be traded"
    ),
    c.TRADE_RETCODE_MARKET_CLOSED: Meaning(
        "the market is closed",
        "try again in the symbol's trading hours; where the gateway replays prices, the replay may be over",
    ),
    c.TRADE_RETCODE_NO_MONEY: Meaning("not enough money", "`mt5crs info` shows the free margin; trade less"),
    c.TRADE_RETCODE_PRICE_CHANGED: Meaning("prices changed", _AGAIN),
    c.TRADE_RETCODE_PRICE_OFF: Meaning(
        "there are no prices", "the symbol has no quotes now; try again later"
    ),
    c.TRADE_RETCODE_INVALID_EXPIRATION: Meaning("invalid expiration"),
    c.TRADE_RETCODE_ORDER_CHANGED: Meaning("the order changed meanwhile", "look at it with `mt5crs orders`"),
    c.TRADE_RETCODE_TOO_MANY_REQUESTS: Meaning("too many requests", "wait before the next"),
    c.TRADE_RETCODE_NO_CHANGES: Meaning("the request changes nothing"),
    c.TRADE_RETCODE_SERVER_DISABLES_AT: Meaning("the server forbids automated trading", "ask the broker"),
    c.TRADE_RETCODE_CLIENT_DISABLES_AT: Meaning(
        "the terminal forbids automated trading", "press Algo Trading in the terminal's toolbar"
    ),
    c.TRADE_RETCODE_LOCKED: Meaning(
        "the request is being processed", "look at positions before trying again"
    ),
    c.TRADE_RETCODE_FROZEN: Meaning(
        "order or position frozen", "it is too close to the market to be changed"
    ),
    c.TRADE_RETCODE_INVALID_FILL: Meaning(
        "the filling mode is not supported", "leave --filling out, or try another"
    ),
    c.TRADE_RETCODE_CONNECTION: Meaning(
        "the terminal has no connection to the server", "look at the terminal"
    ),
    c.TRADE_RETCODE_ONLY_REAL: Meaning("allowed for real accounts only"),
    c.TRADE_RETCODE_LIMIT_ORDERS: Meaning("too many pending orders", "cancel one with `mt5crs close TICKET`"),
    c.TRADE_RETCODE_LIMIT_VOLUME: Meaning("the symbol's volume limit is reached", "close something first"),
    c.TRADE_RETCODE_INVALID_ORDER: Meaning("the order type is not allowed"),
    c.TRADE_RETCODE_POSITION_CLOSED: Meaning(
        "the position is closed already", "`mt5crs positions` lists the open ones"
    ),
    c.TRADE_RETCODE_INVALID_CLOSE_VOLUME: Meaning("more than the position's volume"),
    c.TRADE_RETCODE_CLOSE_ORDER_EXIST: Meaning("a closing order exists already", "look at `mt5crs orders`"),
    c.TRADE_RETCODE_LIMIT_POSITIONS: Meaning("too many positions", "close one first"),
    c.TRADE_RETCODE_REJECT_CANCEL: Meaning("the pending order was rejected and cancelled"),
    c.TRADE_RETCODE_LONG_ONLY: Meaning("only buying is allowed for this symbol"),
    c.TRADE_RETCODE_SHORT_ONLY: Meaning("only selling is allowed for this symbol"),
    c.TRADE_RETCODE_CLOSE_ONLY: Meaning("only closing is allowed for this symbol"),
    c.TRADE_RETCODE_FIFO_CLOSE: Meaning("positions are closed oldest first", "close the older one"),
}


def meaning(retcode: int) -> Meaning:
    """Return what a return code says, also of one that is new to us."""
    return MEANINGS.get(retcode, Meaning("a return code that is not documented"))

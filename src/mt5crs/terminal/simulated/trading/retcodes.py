"""The return codes: in words, as the `comment` of a result says them, and when each is given."""

from typing import Literal, NamedTuple

from mt5crs import constants as c

CHECK_DONE = 0
CHECK_DONE_COMMENT = "Done"
HEDGE_PROHIBITED = 10046  # of MQL5; the Python package has no constant for it


class Retcode(NamedTuple):
    """A return code of the simulated terminal.

    Attributes:
        comment: The `comment` of the result.
        by: Who says so: the `terminal` by itself (the request never gets an id, all numbers are zero), the
            trade `server`, or the server only where a `fault` was asked for.
        when: When it is given.
    """

    comment: str
    by: Literal["terminal", "server", "fault"]
    when: str


RETCODES: dict[int, Retcode] = {
    CHECK_DONE: Retcode(CHECK_DONE_COMMENT, "terminal", "order_check: the request would be accepted"),
    c.TRADE_RETCODE_REQUOTE: Retcode(
        "Requote", "server", "request or instant execution: the price is further away than the deviation"
    ),
    c.TRADE_RETCODE_REJECT: Retcode(
        "Request rejected",
        "server",
        "fill or kill: the depth has less than the volume; immediate or cancel: it has nothing; "
        "book or cancel: the limit order would trade at once",
    ),
    c.TRADE_RETCODE_CANCEL: Retcode("Request canceled", "fault", "a dealer cancelled the request"),
    c.TRADE_RETCODE_PLACED: Retcode(
        "Order placed", "server", "a market order with RETURN found nothing yet and waits"
    ),
    c.TRADE_RETCODE_DONE: Retcode("Request executed", "server", "done"),
    c.TRADE_RETCODE_DONE_PARTIAL: Retcode(
        "Request executed partially",
        "server",
        "the depth had a part; the rest was cancelled (immediate or cancel) or waits (RETURN)",
    ),
    c.TRADE_RETCODE_ERROR: Retcode("Common error", "fault", "the server failed to process the request"),
    c.TRADE_RETCODE_TIMEOUT: Retcode("Request timeout", "fault", "the server took too long"),
    c.TRADE_RETCODE_INVALID: Retcode(
        "Invalid request",
        "terminal",
        "an unknown action, a field that is missing, or fields that contradict one another or what is open",
    ),
    c.TRADE_RETCODE_INVALID_VOLUME: Retcode(
        "Invalid volume", "terminal", "below the least, above the most, or off the step"
    ),
    c.TRADE_RETCODE_INVALID_PRICE: Retcode(
        "Invalid price",
        "server",
        "no price in request or instant execution; a pending order on the wrong side of the market or within "
        "the stops level; an exchange's price that is not a multiple of the tick size",
    ),
    c.TRADE_RETCODE_INVALID_STOPS: Retcode(
        "Invalid stops",
        "server",
        "SL or TP on the wrong side, within the stops level, or off an exchange's tick size",
    ),
    c.TRADE_RETCODE_TRADE_DISABLED: Retcode(
        "Trade disabled", "server", "the symbol cannot be traded, or the account (an investor's password)"
    ),
    c.TRADE_RETCODE_MARKET_CLOSED: Retcode("Market closed", "server", "outside of the symbol's sessions"),
    c.TRADE_RETCODE_NO_MONEY: Retcode("No money", "server", "the margin would be more than the equity"),
    c.TRADE_RETCODE_PRICE_CHANGED: Retcode("Price changed", "fault", "prices changed meanwhile"),
    c.TRADE_RETCODE_PRICE_OFF: Retcode(
        "No prices", "terminal", "the symbol is unknown, or has not had a price yet"
    ),
    c.TRADE_RETCODE_INVALID_EXPIRATION: Retcode(
        "Invalid expiration", "terminal", "in the past, or of a kind that the symbol does not have"
    ),
    c.TRADE_RETCODE_ORDER_CHANGED: Retcode("Order changed", "fault", "the order changed meanwhile"),
    c.TRADE_RETCODE_TOO_MANY_REQUESTS: Retcode("Too many requests", "fault", "requests come too often"),
    c.TRADE_RETCODE_NO_CHANGES: Retcode(
        "No changes", "server", "the order or the position has these values already"
    ),
    c.TRADE_RETCODE_SERVER_DISABLES_AT: Retcode(
        "AutoTrading disabled by server", "server", "the server does not let programs trade on the account"
    ),
    c.TRADE_RETCODE_CLIENT_DISABLES_AT: Retcode(
        "AutoTrading disabled by client", "terminal", "the terminal's Algo Trading button is off"
    ),
    c.TRADE_RETCODE_LOCKED: Retcode("Request locked", "fault", "the request is being processed"),
    c.TRADE_RETCODE_FROZEN: Retcode(
        "Order or position frozen",
        "server",
        "the market is within the freeze level of the order's price, or of the position's SL or TP",
    ),
    c.TRADE_RETCODE_INVALID_FILL: Retcode(
        "Unsupported filling mode",
        "terminal",
        "a filling that the symbol, or the kind of order, does not have",
    ),
    c.TRADE_RETCODE_CONNECTION: Retcode(
        "No connection", "terminal", "the terminal has no connection to the trade server"
    ),
    c.TRADE_RETCODE_ONLY_REAL: Retcode("Only real accounts allowed", "fault", "not on a demo account"),
    c.TRADE_RETCODE_LIMIT_ORDERS: Retcode(
        "Orders limit reached", "server", "the account has as many pending orders as it may"
    ),
    c.TRADE_RETCODE_LIMIT_VOLUME: Retcode(
        "Volume limit reached",
        "server",
        "positions and pending orders of the direction would be more than the symbol's limit",
    ),
    c.TRADE_RETCODE_INVALID_ORDER: Retcode(
        "Invalid order", "terminal", "an order type that does not fit the action, or that the symbol lacks"
    ),
    c.TRADE_RETCODE_POSITION_CLOSED: Retcode(
        "Position closed", "server", "the position that is named is not open"
    ),
    c.TRADE_RETCODE_INVALID_CLOSE_VOLUME: Retcode(
        "Invalid close volume", "server", "more than the position has"
    ),
    c.TRADE_RETCODE_CLOSE_ORDER_EXIST: Retcode(
        "Close order already exists", "server", "the rest of another order is closing the position"
    ),
    c.TRADE_RETCODE_LIMIT_POSITIONS: Retcode(
        "Positions limit reached",
        "server",
        "the account has as many positions as it may; on a hedging account pending orders count as well",
    ),
    c.TRADE_RETCODE_REJECT_CANCEL: Retcode(
        "Request rejected and order canceled",
        "fault",
        "never an answer by itself: an activation that fails leaves its order REJECTED in history",
    ),
    c.TRADE_RETCODE_LONG_ONLY: Retcode(
        "Only long positions allowed", "server", "a sale of a symbol that may only be bought"
    ),
    c.TRADE_RETCODE_SHORT_ONLY: Retcode(
        "Only short positions allowed", "server", "a purchase of a symbol that may only be sold"
    ),
    c.TRADE_RETCODE_CLOSE_ONLY: Retcode(
        "Only position closing allowed", "server", "an opening of a symbol that may only be closed"
    ),
    c.TRADE_RETCODE_FIFO_CLOSE: Retcode(
        "Only closing by FIFO allowed", "server", "an older position of the symbol must be closed first"
    ),
    HEDGE_PROHIBITED: Retcode(
        "Hedging prohibited", "server", "a position of the symbol is open in the opposite direction"
    ),
}
"""All that can be answered. Comments are MetaTrader's where they were recorded, the others in its manner."""

COMMENTS: dict[int, str] = {code: row.comment for code, row in RETCODES.items()}

CLIENT_SIDE = frozenset(code for code, row in RETCODES.items() if row.by == "terminal" and code != CHECK_DONE)
"""Rejects that the terminal gives by itself: the request never gets an id, all numbers are zero."""

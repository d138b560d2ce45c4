"""Checks of volumes and numbers: how much may be traded, held and closed.

Each is a function of a `Draft` and returns a return code, 0 for no objection.
"""

from mt5crs import constants as c
from mt5crs.terminal.simulated.accounting.entities import BUYS, position_of
from mt5crs.terminal.simulated.accounting.ledger import is_closing
from mt5crs.terminal.simulated.trading.draft import Draft
from mt5crs.terminal.simulated.trading.retcodes import HEDGE_PROHIBITED

OK = 0
VOLUME_TOLERANCE = 1e-6  # of a step: what a float makes of 0.1 is still 0.1
SMALL = 1e-9


def volume(draft: Draft) -> int:
    """On the step, between the least and the most of a deal; a whole position may be less than the least."""
    lots, symbol, position = draft.request.volume, draft.instrument, draft.position
    whole = position is not None and draft.opposes and lots == position.volume
    steps = lots / symbol.volume_step
    fits = symbol.volume_min <= lots <= symbol.volume_max and abs(steps - round(steps)) < VOLUME_TOLERANCE
    return OK if fits or (whole and lots <= symbol.volume_max) else c.TRADE_RETCODE_INVALID_VOLUME


def close_volume(draft: Draft) -> int:
    """A position cannot be closed by more than it has."""
    over = draft.position is not None and draft.request.volume > draft.position.volume + SMALL
    return c.TRADE_RETCODE_INVALID_CLOSE_VOLUME if over else OK


def volume_limit(draft: Draft) -> int:
    """Positions and pending orders of one direction; on a netting account a deal nets the position first."""
    symbol, account, request = draft.instrument, draft.account, draft.request
    if not symbol.volume_limit or (request.action == c.TRADE_ACTION_DEAL and draft.reduces):
        return OK
    resting, open_ = account.orders.values(), account.positions.values()
    waits = sum(o.volume_current for o in resting if _same_side(o.symbol, o.type in BUYS, draft))
    held = sum(p.volume for p in open_ if _same_side(p.symbol, p.is_buy, draft))
    if request.action == c.TRADE_ACTION_DEAL and draft.position is not None and draft.opposes:
        held = -draft.position.volume
    over = held + waits + request.volume > symbol.volume_limit + SMALL
    return c.TRADE_RETCODE_LIMIT_VOLUME if over else OK


def _same_side(symbol: str, is_buy: bool, draft: Draft) -> bool:
    return symbol == draft.instrument.name and is_buy is draft.is_buy


def orders_limit(draft: Draft) -> int:
    """No more pending orders than the account may have."""
    most = draft.rules.limit_orders
    return c.TRADE_RETCODE_LIMIT_ORDERS if most and len(draft.account.orders) >= most else OK


def positions_limit(draft: Draft) -> int:
    """No more positions than the account may have; on a hedging account pending orders count as well."""
    most, account = draft.rules.limit_positions, draft.account
    if not most:
        return OK
    if draft.rules.hedging:
        full = len(account.positions) + len(account.orders) >= most
    else:
        full = draft.position is None and len(account.positions) >= most
    return c.TRADE_RETCODE_LIMIT_POSITIONS if full else OK


def hedge_allowed(draft: Draft) -> int:
    """Where hedging is prohibited, nothing may be opened against a position of the symbol."""
    if draft.rules.hedge_allowed:
        return OK
    held = draft.account.positions.values()
    against = any(p.symbol == draft.instrument.name and p.is_buy is not draft.is_buy for p in held)
    return HEDGE_PROHIBITED if against else OK


def oldest_first(draft: Draft) -> int:
    """Where positions are closed in the order of their opening, the oldest of the symbol must be closed."""
    if not draft.rules.fifo_close:
        return OK
    oldest = position_of(draft.account.positions.values(), draft.instrument.name)
    return OK if oldest in (draft.position, draft.other) else c.TRADE_RETCODE_FIFO_CLOSE


def not_closing(draft: Draft) -> int:
    """A position with a resting rest of an order that closes it cannot be closed by another."""
    named = [position for position in (draft.position, draft.other) if position is not None]
    resting = draft.account.orders.values()
    twice = any(is_closing(order, position) for order in resting for position in named)
    return c.TRADE_RETCODE_CLOSE_ORDER_EXIST if twice else OK

"""The margin of everything that an account holds in one symbol.

As in the help pages on margin calculation for hedging and for netting accounts. An open position keeps the
price and the conversion rate at which it was opened, so its margin does not float; on an exchange account
shares and bonds are valued at the market instead.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from mt5crs.constants import ORDER_TYPE_BUY, ORDER_TYPE_SELL
from mt5crs.model import VOLUME_DIGITS
from mt5crs.terminal.simulated.accounting.entities import BUYS, LIMITS
from mt5crs.terminal.simulated.accounting.formulas import hedged_lot_margin, lot_margin
from mt5crs.terminal.simulated.accounting.holdings import EMPTY, Side
from mt5crs.terminal.simulated.accounting.money import Money, margin_factor
from mt5crs.terminal.simulated.instruments.catalogue import Instrument


class Resting(NamedTuple):
    """The pending orders of one type, taken together.

    Attributes:
        type: An `ORDER_TYPE_*` value.
        volume: Lots.
        margin: What they hold, account currency.
    """

    type: int
    volume: float
    margin: float


def held_margin(calculator: Money, symbol: Instrument, side: Side, order_type: int) -> float:
    """Return the margin of the open positions of one side, rounded.

    Args:
        calculator: Calculates in the account currency.
        symbol: The instrument.
        side: The positions taken together.
        order_type: `ORDER_TYPE_BUY` or `ORDER_TYPE_SELL`.
    """
    if not side.volume:
        return 0.0
    lot = lot_margin(symbol, side.price, calculator.leverage, held=True)
    return calculator.round(lot * side.volume * side.rate * margin_factor(symbol, order_type))


def resting_margins(
    calculator: Money, symbol: Instrument, orders: Iterable[tuple[int, float, float]]
) -> list[Resting]:
    """Return what pending orders hold: a row for each type that holds margin.

    Args:
        calculator: Calculates in the account currency.
        symbol: The instrument.
        orders: Type, volume and price of each.
    """
    sides: dict[int, Side] = {}
    for order_type, volume, price in orders:
        rate = calculator.margin_rate(symbol, order_type in BUYS, price) or 0.0
        sides[order_type] = sides.get(order_type, EMPTY).with_more(volume, price, rate)
    found: list[Resting] = []
    for order_type, side in sides.items():
        factor = margin_factor(symbol, order_type)
        lot = lot_margin(symbol, side.price, calculator.leverage)
        if factor:
            margin = calculator.round(lot * side.volume * side.rate * factor)
            found.append(Resting(order_type, side.volume, margin))
    return found


def hedging_margin(
    calculator: Money, symbol: Instrument, buys: Side, sells: Side, resting: Sequence[Resting] = ()
) -> float:
    """Return the margin of one symbol on a hedging account.

    The uncovered side in full and matched volume as hedged; or, with `margin_hedged_use_leg`, the side
    that needs more. Pending orders come on top, there on top of their side.
    """
    if symbol.margin_hedged_use_leg:
        bought = held_margin(calculator, symbol, buys, ORDER_TYPE_BUY)
        sold = held_margin(calculator, symbol, sells, ORDER_TYPE_SELL)
        bought += sum(row.margin for row in resting if row.type in BUYS)
        sold += sum(row.margin for row in resting if row.type not in BUYS)
        return max(bought, sold)
    on_top = sum(row.margin for row in resting) if resting else 0.0
    if not sells.volume:
        return held_margin(calculator, symbol, buys, ORDER_TYPE_BUY) + on_top
    if not buys.volume:
        return held_margin(calculator, symbol, sells, ORDER_TYPE_SELL) + on_top
    matched = min(buys.volume, sells.volume)
    larger, order_type = (buys, ORDER_TYPE_BUY) if buys.volume > sells.volume else (sells, ORDER_TYPE_SELL)
    uncovered = larger._replace(volume=round(larger.volume - matched, VOLUME_DIGITS))
    open_margin = held_margin(calculator, symbol, uncovered, order_type)
    return open_margin + hedged_margin(calculator, symbol, matched, buys.with_more(*sells)) + on_top


def hedged_margin(calculator: Money, symbol: Instrument, matched: float, both: Side) -> float:
    """Return the margin of matched volume, rounded.

    Args:
        calculator: Calculates in the account currency.
        symbol: The instrument.
        matched: Lots of one side that the other covers.
        both: All positions taken together.
    """
    factor = (margin_factor(symbol, ORDER_TYPE_BUY) + margin_factor(symbol, ORDER_TYPE_SELL)) / 2
    lot = hedged_lot_margin(symbol, both.price, calculator.leverage)
    return calculator.round(lot * matched * both.rate * factor)


def netting_margin(
    calculator: Money, symbol: Instrument, buys: Side, sells: Side, resting: Sequence[Resting] = ()
) -> float:
    """Return the margin of one symbol on a netting or exchange account.

    Limit orders and the position need what the side needs that needs more; stop orders come on top. Orders
    that oppose the position need nothing up to its volume.
    """
    is_long, is_short = bool(buys.volume), bool(sells.volume)
    margins = [
        held_margin(calculator, symbol, buys, ORDER_TYPE_BUY),
        held_margin(calculator, symbol, sells, ORDER_TYPE_SELL),
    ]
    opposing_volume = opposing = on_top = 0.0
    for row in resting:
        buys_more = row.type in BUYS
        if is_short if buys_more else is_long:
            opposing_volume += row.volume
            opposing += row.margin
        elif row.type in LIMITS:
            margins[0 if buys_more else 1] += row.margin
        else:
            on_top += row.margin
    exceeds = opposing_volume > buys.volume + sells.volume
    return max(*margins, opposing if exceeds else 0.0) + on_top

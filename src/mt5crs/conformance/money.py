"""The account, what a trade would cost and bring, and requests that are checked without being sent."""

from collections.abc import Callable
from typing import Any

from mt5crs.conformance.calls import FAR_FUTURE, SUCCESS, answer, failure
from mt5crs.conformance.desk import Desk
from mt5crs.conformance.rule import NotApplicable, Observe, Rules, wrong

RULES = Rules("money")

CENT = 0.0101
"""What two amounts that were rounded apart may differ by."""
LOTS = 1.0


def _near(one: float, other: float, by: float = CENT) -> bool:
    return abs(one - other) <= by


@RULES.rule("equity", "equity = balance + credit + profit", "R", True)
def _equity(mt5: Any, desk: Desk) -> object:
    account = mt5.account_info()
    return _near(account.equity, account.balance + account.credit + account.profit)


@RULES.rule("free", "margin_free = equity - margin", "R", True)
def _free(mt5: Any, desk: Desk) -> object:
    account = mt5.account_info()
    return _near(account.margin_free, account.equity - account.margin)


@RULES.rule("level", "margin_level = 100 equity / margin, 0 without margin", "R", True)
def _level(mt5: Any, desk: Desk) -> object:
    account = mt5.account_info()
    level = 100 * account.equity / account.margin if account.margin else 0.0
    return _near(account.margin_level, level, 1e-6 * max(level, 1.0))


@RULES.rule("totals", "The totals are the lengths of the unfiltered lists", "D")
def _totals(mt5: Any, desk: Desk) -> object:
    return wrong(
        positions=(mt5.positions_total(), len(mt5.positions_get())),
        orders=(mt5.orders_total(), len(mt5.orders_get())),
        history_orders=(mt5.history_orders_total(0, FAR_FUTURE), len(mt5.history_orders_get(0, FAR_FUTURE))),
        history_deals=(mt5.history_deals_total(0, FAR_FUTURE), len(mt5.history_deals_get(0, FAR_FUTURE))),
    )


@RULES.rule("deposit", "The first deal is a balance operation: no order, no symbol, no volume", "R")
def _deposit(mt5: Any, desk: Desk) -> object:
    deals = mt5.history_deals_get(0, FAR_FUTURE)
    if not deals:
        raise NotApplicable("the account has no deals")
    first = min(deals, key=lambda deal: deal.ticket)
    seen = (first.type, first.order, first.symbol, first.volume, first.entry)
    return wrong(first=(seen, (mt5.DEAL_TYPE_BALANCE, 0, "", 0.0, mt5.DEAL_ENTRY_IN)))


RULES.add(
    "history_empty",
    "A stretch without trades is an empty tuple and success",
    "B",
    answer(lambda m, _s: m.history_deals_get(1, 2)),
    ((), SUCCESS),
)


# ---- calculations ----


def _profit(mt5: Any, desk: Desk, side: int, opened: float, closed: float) -> float:
    profit: float = mt5.order_calc_profit(side, desk.name, LOTS, opened, closed)
    return profit


@RULES.rule("profit_zero", "Nothing is gained where the price stands", "D", (0.0, 0.0))
def _profit_zero(mt5: Any, desk: Desk) -> object:
    price = desk.tick.bid
    return tuple(_profit(mt5, desk, side, price, price) for side in (0, 1))


@RULES.rule("profit_sign", "A buy gains by a rise, a sell by a fall", "D", (True, True, True, True))
def _profit_sign(mt5: Any, desk: Desk) -> object:
    low, high = desk.price(1), desk.price(1.01)
    gains = (_profit(mt5, desk, 0, low, high), _profit(mt5, desk, 1, high, low))
    losses = (_profit(mt5, desk, 0, high, low), _profit(mt5, desk, 1, low, high))
    return *(gain > 0 for gain in gains), *(loss < 0 for loss in losses)


@RULES.rule("profit_formula", "profit = (close - open) x contract x lots, rounded", "D", True)
def _profit_formula(mt5: Any, desk: Desk) -> object:
    info, account = desk.info, mt5.account_info()
    if info.trade_calc_mode != mt5.SYMBOL_CALC_MODE_FOREX or info.currency_profit != account.currency:
        raise NotApplicable(f"{desk.name} is no currency pair quoted in {account.currency}")
    low, high = desk.price(1), desk.price(1.01)
    return _near(_profit(mt5, desk, 0, low, high), (high - low) * info.trade_contract_size * LOTS)


def _profit_of(kind: int) -> Observe:
    return failure(lambda m, s: m.order_calc_profit(kind, s, 1.0, 1.0, 1.1))


for _kind in (2, 5, 7, 9):
    RULES.add(
        f"profit_type_{_kind}",
        f"Profit of an order type {_kind} is not calculated",
        "D",
        _profit_of(_kind),
        True,
    )
RULES.add(
    "margin_unknown",
    "There is no margin of an unknown symbol",
    "D",
    failure(lambda m, _s: m.order_calc_margin(0, "NO.SUCH", 1.0, 1.0)),
    True,
)
RULES.add(
    "profit_unknown",
    "There is no profit of an unknown symbol",
    "D",
    failure(lambda m, _s: m.order_calc_profit(0, "NO.SUCH", 1.0, 1.0, 1.1)),
    True,
)


@RULES.rule("margin_volume", "Twice the volume needs twice the margin", "D", (True, True))
def _margin_volume(mt5: Any, desk: Desk) -> object:
    price = desk.tick.ask
    one, two = (mt5.order_calc_margin(0, desk.name, lots, price) for lots in (LOTS, 2 * LOTS))
    return one > 0, _near(two, 2 * one, 2 * CENT)


@RULES.rule("margin_own", "A pair on the account's currency needs lots x contract / leverage", "R", True)
def _margin_own(mt5: Any, desk: Desk) -> object:
    account = mt5.account_info()
    pairs = [
        info
        for info in mt5.symbols_get()
        if info.trade_calc_mode == mt5.SYMBOL_CALC_MODE_FOREX
        and info.currency_base == account.currency
        and not info.margin_initial
        and info.bid
    ]
    if not pairs:
        raise NotApplicable(f"no pair has {account.currency} for its base")
    info = pairs[0]
    margin = mt5.order_calc_margin(0, info.name, LOTS, info.ask)
    return _near(margin, LOTS * info.trade_contract_size / account.leverage)


# ---- requests that are only checked ----


@RULES.rule("check", "A request that would do is answered 0, Done, with the account after it", "RD")
def _check(mt5: Any, desk: Desk) -> object:
    request = desk.market(0)
    result = _unless_closed(mt5, mt5.order_check(request))
    level = 100 * result.equity / result.margin if result.margin else 0.0
    return wrong(
        retcode=((result.retcode, result.comment), (0, "Done")),
        free=(_near(result.margin_free, result.equity - result.margin), True),
        level=(_near(result.margin_level, level, 1e-6 * max(level, 1.0)), True),
        margin=(result.margin > 0, True),
        request=(request.items() <= result.request._asdict().items(), True),
    )


@RULES.rule("check_margin", "Its margin is the account's with that of the order", "R", True)
def _check_margin(mt5: Any, desk: Desk) -> object:
    request = desk.market(0)
    before = mt5.account_info().margin
    margin = mt5.order_calc_margin(0, desk.name, request["volume"], request["price"])
    after = _unless_closed(mt5, mt5.order_check(request)).margin
    return _near(after, before + margin, max(0.02, 0.01 * after))  # prices move between the calls


@RULES.rule("check_only", "A request that is checked is not sent", "D")
def _check_only(mt5: Any, desk: Desk) -> object:
    before = mt5.positions_total(), mt5.orders_total()
    mt5.order_check(desk.market(0))
    return wrong(open=((mt5.positions_total(), mt5.orders_total()), before))


def _unless_closed(mt5: Any, result: Any) -> Any:
    if result.retcode == mt5.TRADE_RETCODE_MARKET_CLOSED:
        raise NotApplicable("the market is closed")
    return result


Request = Callable[[Any, Desk], dict[str, Any]]


def _checked(request: Request) -> Observe:
    def observe(mt5: Any, desk: Desk) -> object:
        return _unless_closed(mt5, mt5.order_check(request(mt5, desk))).retcode

    return observe


# name, statement, how sure, request, retcode; `trading` sends the same
REFUSED: tuple[tuple[str, str, str, Request, int], ...] = (
    ("action", "An unknown action is no request", "D", lambda _m, d: d.market(0, action=99), 10013),
    ("volume_zero", "A volume of 0", "D", lambda _m, d: d.market(0, volume=0.0), 10014),
    (
        "volume_low",
        "A volume below the least",
        "D",
        lambda _m, d: d.market(0, volume=d.info.volume_min / 2),
        10014,
    ),
    (
        "volume_high",
        "A volume above the most",
        "D",
        lambda _m, d: d.market(0, volume=d.info.volume_max * 2),
        10014,
    ),
    (
        "volume_step",
        "A volume between two steps",
        "D",
        lambda _m, d: d.market(0, volume=d.info.volume_min + d.info.volume_step / 2),
        10014,
    ),
    ("buy_limit", "A buy limit above the ask", "D", lambda _m, d: d.pending(2, d.price(1.1)), 10015),
    ("sell_limit", "A sell limit below the bid", "D", lambda _m, d: d.pending(3, d.price(0.9)), 10015),
    ("buy_stop", "A buy stop below the ask", "D", lambda _m, d: d.pending(4, d.price(0.9)), 10015),
    ("sell_stop", "A sell stop above the bid", "D", lambda _m, d: d.pending(5, d.price(1.1)), 10015),
    ("buy_sl", "A buy with its SL above the bid", "D", lambda _m, d: d.market(0, sl=d.price(1.1)), 10016),
    ("buy_tp", "A buy with its TP below the bid", "D", lambda _m, d: d.market(0, tp=d.price(0.9)), 10016),
    ("sell_sl", "A sell with its SL below the ask", "D", lambda _m, d: d.market(1, sl=d.price(0.9)), 10016),
    ("sell_tp", "A sell with its TP above the ask", "D", lambda _m, d: d.market(1, tp=d.price(1.1)), 10016),
    (
        "pending_sl",
        "A buy limit with its SL above its price",
        "D",
        lambda _m, d: d.pending(2, d.price(0.9), sl=d.price(0.95)),
        10016,
    ),
    (
        "pending_tp",
        "A buy limit with its TP below its price",
        "D",
        lambda _m, d: d.pending(2, d.price(0.9), tp=d.price(0.85)),
        10016,
    ),
    (
        "expiration",
        "An expiration in the past",
        "D",
        lambda m, d: d.pending(
            2, d.price(0.9), type_time=m.ORDER_TIME_SPECIFIED, expiration=d.tick.time - 3600
        ),
        10022,
    ),
)
for _name, _statement, _sure, _request, _retcode in REFUSED:
    RULES.add(f"check_{_name}", f"Checked: {_statement} is refused", _sure, _checked(_request), _retcode)

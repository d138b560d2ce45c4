"""What is asked and which return code answers it: one row for each reason, section 8 of the semantics digest.

Every row begins on a fresh account of 10,000 USD, hedging and 1:100 unless `settings` say otherwise, where
EURUSD stands at 1.10000/1.10010 with stops and freeze level 0, market execution, FOK and IOC.
"""

from typing import Any, NamedTuple

from tests.terminal.desk import OPENING

Fields = dict[str, Any]

NOTHING: Fields = {}

FIRST, SECOND, THIRD = 50_000_001, 50_000_002, 50_000_003
"""The tickets of the first orders, and of the positions that they open."""


class Case(NamedTuple):
    """A request and its answer.

    Attributes:
        name: The reason, in plain words.
        request: What is asked.
        retcode: What `order_send` answers, and `order_check` as well unless `checked` says otherwise.
        settings: Of the terminal, where they are not the defaults.
        symbol: How the broker specifies EURUSD, where it is not the catalogue's.
        switches: What is switched off or on before the request.
        before: Requests that are carried out first.
        after: What the broker changes of EURUSD after these.
        offered: Lots that the depth has at ask and bid; None for any.
        second: When the request is sent, seconds after the opening.
        checked: What `order_check` answers where it cannot know.
    """

    name: str
    request: Fields
    retcode: int
    settings: Fields = NOTHING
    symbol: Fields = NOTHING
    switches: Fields = NOTHING
    before: tuple[Fields, ...] = ()
    after: Fields = NOTHING
    offered: tuple[float, float] | None = None
    second: float = 0.0
    checked: int | None = None


EURUSD: Fields = {"symbol": "EURUSD", "volume": 0.1}
BUY = EURUSD | {"action": 1, "type": 0}
SELL = EURUSD | {"action": 1, "type": 1}
CLOSE = SELL | {"position": FIRST}
CLOSE_BY: Fields = {"action": 10, "position": FIRST, "position_by": SECOND}
STOPS: Fields = {"action": 6, "position": FIRST}
MODIFY: Fields = {"action": 7, "order": FIRST}
REMOVE: Fields = {"action": 8, "order": FIRST}
BOTH = (BUY, SELL)
INSTANT, EXCHANGE = {"exemode": 1}, {"exemode": 3}
ON_BOOK: Fields = {"exemode": 3, "filling_mode": 7}
NETTING = {"margin_mode": "netting"}
FOK, IOC, RETURN, BOC = ({"type_filling": number} for number in range(4))


def pending(kind: int, price: float, **fields: Any) -> Fields:
    return EURUSD | {"action": 5, "type": kind, "price": price} | fields


LIMIT = pending(2, 1.09)

CASES: list[Case] = [
    # ---- fields
    Case("an empty request", {}, 10013),
    Case("an unknown action", BUY | {"action": 99}, 10013),
    Case("no symbol", {"action": 1, "type": 0, "volume": 0.1}, 10013),
    Case("a symbol that does not exist", BUY | {"symbol": "NOSUCH"}, 10021),
    Case("a pending order type in a deal", BUY | {"type": 2}, 10035),
    Case("a market order type as a pending order", BUY | {"action": 5, "price": 1.0}, 10035),
    Case("an order type that does not exist", BUY | {"type": 42}, 10035),
    Case("modifying an order that is not there", MODIFY | {"price": 1.0}, 10013),
    Case("removing an order that is not there", REMOVE, 10013),
    Case("modifying the rest of a market order", MODIFY | {"price": 1.0}, 10035,
         symbol=ON_BOOK, before=(BUY | RETURN,), offered=(0.04, 0.04)),
    Case("stops of a position that is not open", STOPS | {"sl": 1.0}, 10036),
    Case("stops of nothing", {"action": 6, "symbol": "EURUSD", "sl": 1.0}, 10013),
    Case("stops of a position of another symbol", STOPS | {"symbol": "GBPUSD", "sl": 1.0}, 10013,
         before=(BUY,)),
    Case("stops of a symbol without a position, netting", {"action": 6, "symbol": "EURUSD", "sl": 1.0}, 10036,
         settings=NETTING),
    Case("closing a position that is not open", SELL | {"position": 12345}, 10036),
    Case("closing a position that is not open, netting", SELL | {"position": 12345}, 10036, settings=NETTING),
    Case("closing a position that was closed", CLOSE, 10036, before=(BUY, CLOSE)),
    Case("closing a position by an order of its own direction", BUY | {"position": FIRST}, 10013,
         before=(BUY,)),
    Case("closing a position by an order of another symbol", CLOSE | {"symbol": "GBPUSD"}, 10013,
         before=(BUY,)),
    Case("close by, with positions that are not open", CLOSE_BY, 10036),
    Case("close by, without a second position", {"action": 10, "position": FIRST}, 10013, before=(BUY,)),
    Case("close by, with a second position that is not open", CLOSE_BY, 10036, before=(BUY,)),
    Case("close by, both in one direction", CLOSE_BY, 10013, before=(BUY, BUY)),
    Case("close by, of two symbols", CLOSE_BY, 10013, before=(BUY, SELL | {"symbol": "GBPUSD"})),
    Case("close by, netting", CLOSE_BY, 10013, settings=NETTING, before=(BUY,)),
    # ---- permission
    Case("the terminal has no connection", BUY, 10031, switches={"connected": False}),
    Case("the Algo Trading button is off", BUY, 10027, settings={"terminal_trade_allowed": False}),
    Case("the button is switched off while it runs", REMOVE, 10027, before=(LIMIT,),
         switches={"terminal_trade_allowed": False}),
    Case("the server lets no program trade", BUY, 10026, settings={"account_trade_expert": False}),
    Case("an investor's password", BUY, 10017, settings={"account_trade_allowed": False}),
    Case("fields are looked at before permissions", BUY | {"type": 2}, 10035,
         settings={"account_trade_expert": False}),
    Case("permissions are looked at before the symbol's mode", BUY, 10026,
         settings={"account_trade_expert": False}, symbol={"trade_mode": 0}),
    # ---- the symbol's mode
    Case("the symbol is not traded", BUY, 10017, symbol={"trade_mode": 0}),
    Case("closing where the symbol is not traded any more", CLOSE, 10017, before=(BUY,),
         after={"trade_mode": 0}),
    Case("selling where only buying is allowed", SELL, 10042, symbol={"trade_mode": 1}),
    Case("a pending sale where only buying is allowed", pending(3, 1.2), 10042, symbol={"trade_mode": 1}),
    Case("buying where only selling is allowed", BUY, 10043, symbol={"trade_mode": 2}),
    Case("opening where only closing is allowed", BUY, 10044, symbol={"trade_mode": 3}),
    Case("reversing where only closing is allowed, netting", SELL | {"volume": 0.2}, 10044, settings=NETTING,
         before=(BUY,), after={"trade_mode": 3}),
    Case("a kind of pending order that the symbol does not have", pending(4, 1.11), 10035,
         symbol={"order_mode": 1 | 2}),
    Case("a stop loss where the symbol has none", BUY | {"sl": 1.0}, 10035, symbol={"order_mode": 1 | 2}),
    Case("stops of a position where the symbol has none", STOPS | {"tp": 1.2}, 10035,
         symbol={"order_mode": 1 | 2}, before=(BUY,)),
    Case("close by where the symbol does not have it", CLOSE_BY, 10035, symbol={"order_mode": 63},
         before=BOTH),
    Case("the market is closed", BUY, 10018, second=3601),
    Case("removing an order while the market is closed", REMOVE, 10018, before=(LIMIT,), second=3601),
    Case("opening against a position where hedging is prohibited", SELL, 10046,
         settings={"hedge_allowed": False}, before=(BUY,)),
    Case("a pending order against a position where hedging is prohibited", pending(3, 1.2), 10046,
         settings={"hedge_allowed": False}, before=(BUY,)),
    Case("closing a younger position first on a FIFO account", CLOSE | {"position": SECOND}, 10045,
         settings={"fifo_close": True}, before=(BUY, BUY)),
    Case("close by without the oldest position on a FIFO account",
         CLOSE_BY | {"position": SECOND, "position_by": THIRD}, 10045,
         settings={"fifo_close": True}, before=(BUY, BUY, SELL)),
    Case("closing a position that the rest of an order is closing", CLOSE | {"volume": 0.01} | IOC, 10039,
         symbol=ON_BOOK, before=(BUY, CLOSE | RETURN), offered=(1.0, 0.04)),
    # ---- volume
    Case("volume 0", BUY | {"volume": 0.0}, 10014),
    Case("a negative volume", BUY | {"volume": -0.1}, 10014),
    Case("less than the least volume", BUY | {"volume": 0.001}, 10014),
    Case("more than the most volume", BUY | {"volume": 100.01}, 10014),
    Case("a volume that is not on the step", BUY | {"volume": 0.015}, 10014),
    Case("no volume", {"action": 1, "type": 0, "symbol": "EURUSD"}, 10014),
    Case("an endless volume", BUY | {"volume": float("inf")}, 10014),
    Case("closing more than the position has", CLOSE | {"volume": 0.2}, 10038, before=(BUY,)),
    Case("closing more than the position has, netting", CLOSE | {"volume": 0.2}, 10038, settings=NETTING,
         before=(BUY,)),
    Case("positions of one direction above the volume limit", BUY, 10034, symbol={"volume_limit": 0.15},
         before=(BUY,)),
    Case("pending orders of one direction above the volume limit", LIMIT, 10034,
         symbol={"volume_limit": 0.15}, before=(LIMIT,)),
    Case("a reversal above the volume limit, netting", SELL | {"volume": 0.3}, 10034, settings=NETTING,
         symbol={"volume_limit": 0.15}, before=(BUY,)),
    Case("more pending orders than the account may have", LIMIT, 10033, settings={"limit_orders": 1},
         before=(LIMIT,)),
    Case("more positions than the account may have", BUY, 10040, settings={"limit_positions": 1},
         before=(BUY,)),
    Case("a pending order counts as a position on a hedging account", BUY, 10040,
         settings={"limit_positions": 1}, before=(LIMIT,)),
    Case("a position of another symbol above the limit, netting", BUY | {"symbol": "GBPUSD"}, 10040,
         settings=NETTING | {"limit_positions": 1}, before=(BUY,)),
    # ---- filling and expiration
    Case("RETURN at market execution", BUY | RETURN, 10030),
    Case("book or cancel at the market", BUY | BOC, 10030, symbol=ON_BOOK),
    Case("a filling that the symbol does not have", BUY | IOC, 10030, symbol={"filling_mode": 1}),
    Case("a filling that does not exist", BUY | {"type_filling": 9}, 10030, symbol=INSTANT),
    Case("book or cancel where the symbol does not have it", LIMIT | BOC, 10030),
    Case("book or cancel for a stop order", pending(4, 1.11) | BOC, 10030, symbol=ON_BOOK),
    Case("an expiration in the past", pending(2, 1.09, type_time=2, expiration=OPENING - 1), 10022),
    Case("no time for an expiration", pending(2, 1.09, type_time=2), 10022),
    Case("a day in the past", pending(2, 1.09, type_time=3, expiration=OPENING - 86_400), 10022),
    Case("a kind of expiration that does not exist", pending(2, 1.09, type_time=9), 10022),
    Case("a kind of expiration that the symbol does not have", pending(2, 1.09, type_time=1), 10022,
         symbol={"expiration_mode": 1}),
    Case("modifying an order to have expired",
         MODIFY | {"price": 1.09, "type_time": 2, "expiration": OPENING}, 10022, before=(LIMIT,)),
    # ---- price
    Case("no price at instant execution", BUY, 10015, symbol=INSTANT),
    Case("no price at request execution", BUY, 10015, symbol={"exemode": 0}),
    Case("a price further away than the deviation", BUY | {"price": 1.1, "deviation": 9}, 10004,
         symbol=INSTANT),
    Case("a buy limit above the ask", pending(2, 1.10011), 10015),
    Case("a sell limit below the bid", pending(3, 1.09999), 10015),
    Case("a buy stop below the ask", pending(4, 1.10009), 10015),
    Case("a sell stop above the bid", pending(5, 1.10001), 10015),
    Case("a pending order without a price", pending(2, 0.0), 10015),
    Case("a buy stop-limit below the ask", pending(6, 1.10009, stoplimit=1.1), 10015),
    Case("a buy stop-limit whose limit is above its price", pending(6, 1.102, stoplimit=1.10201), 10015),
    Case("a sell stop-limit whose limit is below its price", pending(7, 1.098, stoplimit=1.09799), 10015),
    Case("a stop-limit without a limit", pending(6, 1.102), 10015),
    Case("a pending order within the stops level", pending(2, 1.09991), 10015, symbol={"stops_level": 20}),
    Case("modifying an order to the wrong side", MODIFY | {"price": 1.2}, 10015, before=(LIMIT,)),
    Case("a price off an exchange's tick size", pending(2, 1.09002), 10015,
         symbol=EXCHANGE | {"tick_size": 0.00005}),
    Case("a book-or-cancel order that would trade at once", pending(2, 1.1001) | BOC, 10006, symbol=ON_BOOK),
    # ---- stops
    Case("a buy whose stop loss is above the bid", BUY | {"sl": 1.10001}, 10016),
    Case("a buy whose take profit is below the bid", BUY | {"tp": 1.09999}, 10016),
    Case("a sale whose stop loss is below the ask", SELL | {"sl": 1.10009}, 10016),
    Case("a sale whose take profit is above the ask", SELL | {"tp": 1.10011}, 10016),
    Case("a negative stop loss", BUY | {"sl": -1.0}, 10016),
    Case("a buy limit whose stop loss is above its price", pending(2, 1.09, sl=1.09001), 10016),
    Case("a buy limit whose take profit is below its price", pending(2, 1.09, tp=1.08999), 10016),
    Case("a sell stop whose stop loss is below its price", pending(5, 1.09, sl=1.08999), 10016),
    Case("a stop-limit's stop loss refers to its limit",
         pending(6, 1.102, stoplimit=1.101, sl=1.1015), 10016),
    Case("a stop loss within the stops level", BUY | {"sl": 1.09981}, 10016, symbol={"stops_level": 20}),
    Case("a position's stop loss above the bid", STOPS | {"sl": 1.1001}, 10016, before=(BUY,)),
    Case("a stop loss off an exchange's tick size", BUY | {"sl": 1.09002}, 10016,
         symbol=EXCHANGE | {"tick_size": 0.00005}),
    # ---- changes
    Case("a modification that changes nothing", MODIFY | {"price": 1.09}, 10025, before=(LIMIT,)),
    Case("stops that the position has already", STOPS | {"sl": 1.09}, 10025, before=(BUY | {"sl": 1.09},)),
    Case("modifying an order within the freeze level", MODIFY | {"price": 1.09}, 10029,
         before=(pending(2, 1.1),), after={"freeze_level": 10}),
    Case("removing an order within the freeze level", REMOVE, 10029,
         before=(pending(2, 1.1),), after={"freeze_level": 10}),
    Case("stops within the freeze level", STOPS, 10029,
         before=(BUY | {"sl": 1.0999},), after={"freeze_level": 10}),
    Case("closing within the freeze level", CLOSE, 10029,
         before=(BUY | {"sl": 1.0999},), after={"freeze_level": 10}),
    Case("close by within the freeze level", CLOSE_BY, 10029,
         before=(BUY, SELL | {"sl": 1.1002}), after={"freeze_level": 10}),
    # ---- money
    Case("more margin than the account has", BUY | {"volume": 50.0}, 10019),
    Case("a reversal with more margin than the account has, netting", SELL | {"volume": 50.0}, 10019,
         settings=NETTING, before=(BUY,)),
    Case("money is looked at last", BUY | {"volume": 50.0, "sl": 1.2}, 10016),
    # ---- what only the depth of market knows
    Case("fill or kill, and the depth has less", BUY | FOK, 10006,
         symbol=ON_BOOK, offered=(0.04, 0.04), checked=0),
    Case("immediate or cancel, and the depth has nothing", BUY | IOC, 10006,
         symbol=ON_BOOK, offered=(0.0, 0.0), checked=0),
    Case("immediate or cancel, and the depth has a part", BUY | IOC, 10010,
         symbol=ON_BOOK, offered=(0.04, 0.04), checked=0),
    Case("RETURN, and the depth has a part", BUY | RETURN, 10010,
         symbol=ON_BOOK, offered=(0.04, 0.04), checked=0),
    Case("RETURN, and the depth has nothing yet", BUY | RETURN, 10008,
         symbol=ON_BOOK, offered=(0.0, 0.0), checked=0),
    # ---- what is accepted
    Case("a deal", BUY, 10009, checked=0),
    Case("a deal of a whole position below the least volume", CLOSE, 10009, before=(BUY,),
         after={"volume_min": 0.5}, checked=0),
    Case("a pending order", LIMIT, 10009, checked=0),
    Case("a book-or-cancel order that waits", LIMIT | BOC, 10009, symbol=ON_BOOK, checked=0),
    Case("any filling at instant execution", BUY | {"price": 1.1001} | RETURN, 10009, symbol=INSTANT,
         checked=0),
    Case("any volume where it reduces, at the volume limit, netting", SELL, 10009, settings=NETTING,
         symbol={"volume_limit": 0.1}, before=(BUY,), checked=0),
    Case("the opposite direction at the volume limit", SELL, 10009, symbol={"volume_limit": 0.1},
         before=(BUY,), checked=0),
    Case("adding to a position at the positions limit, netting", BUY, 10009,
         settings=NETTING | {"limit_positions": 1}, before=(BUY,), checked=0),
    Case("closing by an opposite deal where only closing is allowed, netting", SELL, 10009, settings=NETTING,
         before=(BUY,), after={"trade_mode": 3}, checked=0),
    Case("closing the oldest position on a FIFO account", CLOSE, 10009, settings={"fifo_close": True},
         before=(BUY, BUY), checked=0),
    Case("opening against a position of another symbol where hedging is prohibited", SELL, 10009,
         settings={"hedge_allowed": False}, before=(BUY | {"symbol": "GBPUSD"},), checked=0),
    Case("a price with more digits than the symbol has", pending(2, 1.0900000004), 10009, checked=0),
]  # fmt: skip

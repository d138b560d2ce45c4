"""How the functions take arguments and fail."""

from collections.abc import Callable
from typing import Any

from mt5crs.conformance.desk import Desk
from mt5crs.conformance.rule import Observe, Rules

RULES = Rules("calls")

SUCCESS = (1, "Success")
INVALID = (-2, "Invalid arguments")
UNNAMED = (-2, "Unnamed arguments not allowed")
COUNT = (-2, "Invalid number of arguments")
FAR_FUTURE = 1 << 31
"""Epoch seconds after everything that an account has done; still a 32-bit time."""

Call = Callable[[Any, str], object]
"""A call of a module's function, given a symbol's name."""


def answer(call: Call) -> Observe:
    """Return what observes the value of a call and `last_error()` after it."""

    def observe(mt5: Any, desk: Desk) -> object:
        value = call(mt5, desk.name)
        return value, tuple(mt5.last_error())

    return observe


def failure(call: Call) -> Observe:
    """Return what observes whether a call gives None and a negative code, whatever the text."""

    def observe(mt5: Any, desk: Desk) -> object:
        value = call(mt5, desk.name)
        return value is None and mt5.last_error()[0] < 0

    return observe


def raised(call: Call) -> Observe:
    """Return what observes the exception of a call: its class, its text, the class of its cause."""

    def observe(mt5: Any, desk: Desk) -> object:
        try:
            value = call(mt5, desk.name)
        except Exception as error:
            cause = "" if error.__cause__ is None else type(error.__cause__).__name__
            return type(error).__name__, "" if cause else str(error), cause
        return value

    return observe


# name, statement, call, value, last error
_ANSWERS: tuple[tuple[str, str, Call, object, tuple[int, str]], ...] = (
    ("symbol_type", "A symbol must be a str", lambda m, _s: m.symbol_info(5), None, INVALID),
    ("symbol_empty", "A symbol is not empty", lambda m, _s: m.symbol_info(""), None, INVALID),
    (
        "symbol_long",
        "A symbol has at most 29 characters",
        lambda m, _s: m.symbol_info("x" * 30),
        None,
        INVALID,
    ),
    (
        "count_few",
        "Too few arguments are an error, no exception",
        lambda m, _s: m.symbol_info_tick(),
        None,
        INVALID,
    ),
    (
        "count_many",
        "Too many arguments as well",
        lambda m, s: m.copy_rates_from_pos(s, 1, 0, 1, 1),
        None,
        INVALID,
    ),
    ("date_text", "A date is no text", lambda m, s: m.copy_rates_from(s, 1, "2024", 1), None, INVALID),
    (
        "select_misuse",
        "symbol_select answers misuse with False",
        lambda m, _s: m.symbol_select(5),
        False,
        INVALID,
    ),
    (
        "book_misuse",
        "market_book_add answers misuse with None",
        lambda m, _s: m.market_book_add(5),
        None,
        INVALID,
    ),
    (
        "book_failure",
        "market_book_add of an unknown symbol is False without an error text",
        lambda m, _s: m.market_book_add("NO.SUCH"),
        False,
        SUCCESS,
    ),
    (
        "symbols_misuse",
        "symbols_get answers misuse with False",
        lambda m, _s: m.symbols_get("*", "*"),
        False,
        COUNT,
    ),
    (
        "symbols_first",
        "The first unnamed argument is named in the error",
        lambda m, _s: m.symbols_get(5),
        False,
        (-2, "Invalid 1st unnamed argument"),
    ),
    (
        "positions_unnamed",
        "positions_get takes keywords only",
        lambda m, s: m.positions_get(s),
        None,
        UNNAMED,
    ),
    ("orders_unnamed", "orders_get takes keywords only", lambda m, s: m.orders_get(s), None, UNNAMED),
    (
        "ticket_type",
        "A ticket is an int",
        lambda m, _s: m.positions_get(ticket="1"),
        None,
        (-2, 'Invalid "ticket" argument'),
    ),
    ("history_bare", "History needs dates or an id", lambda m, _s: m.history_deals_get(), None, INVALID),
    (
        "history_keywords",
        "Dates of history are no keywords",
        lambda m, _s: m.history_orders_get(date_from=0, date_to=1),
        None,
        INVALID,
    ),
    (
        "history_mixed",
        "One date and an id exclude each other",
        lambda m, _s: m.history_deals_get(1, ticket=1),
        None,
        UNNAMED,
    ),
    (
        "position_unknown",
        "An unknown position is no error",
        lambda m, _s: m.positions_get(ticket=1),
        (),
        SUCCESS,
    ),
    ("order_unknown", "An unknown order is no error", lambda m, _s: m.orders_get(ticket=1), (), SUCCESS),
    ("deal_unknown", "Unknown deals are no error", lambda m, _s: m.history_deals_get(ticket=1), (), SUCCESS),
    (
        "history_unknown",
        "An unknown order in history is no error",
        lambda m, _s: m.history_orders_get(ticket=1),
        (),
        SUCCESS,
    ),
    ("request_type", "A request is a dict", lambda m, _s: m.order_check(("action", 1)), None, INVALID),
    ("request_twice", "A request is one dict", lambda m, _s: m.order_check({}, {}), None, COUNT),
    (
        "request_mixed",
        "A dict and keywords exclude each other",
        lambda m, _s: m.order_check({}, action=1),
        None,
        UNNAMED,
    ),
    *(
        (
            f"int_{field}",
            f"The int 1 is no {field}: it must be a float",
            lambda m, _s, field=field: m.order_check({field: 1}),
            None,
            (-2, f'Invalid "{field}" argument'),
        )
        for field in ("volume", "price", "stoplimit", "sl", "tp")
    ),
    *(
        (
            f"float_{field}",
            f"A float is no {field}: it must be an int",
            lambda m, _s, field=field: m.order_check({field: 1.0}),
            None,
            (-2, f'Invalid "{field}" argument'),
        )
        for field in (
            "action",
            "magic",
            "order",
            "deviation",
            "type",
            "expiration",
            "position",
            "position_by",
        )
    ),
    (
        "magic_negative",
        "A magic number is not negative",
        lambda m, _s: m.order_check({"magic": -1}),
        None,
        (-2, 'Invalid "magic" argument'),
    ),
    (
        "comment_long",
        "A comment has at most 29 characters",
        lambda m, _s: m.order_check({"comment": "x" * 30}),
        None,
        (-2, 'Invalid "comment" argument'),
    ),
    (
        "first_field",
        "The first bad field in the official order is named",
        lambda m, _s: m.order_check({"comment": 5, "sl": 1, "magic": "x"}),
        None,
        (-2, 'Invalid "magic" argument'),
    ),
    ("login_zero", "A login is not 0", lambda m, _s: m.login(0), False, (-2, 'Invalid "login" argument')),
)
for _name, _statement, _call, _value, _error in _ANSWERS:
    RULES.add(_name, _statement, "B", answer(_call), (_value, _error))

_RAISED: tuple[tuple[str, str, Call, object], ...] = (
    (
        "bare_arguments",
        "A function without parameters refuses arguments",
        lambda m, _s: m.symbols_total(1),
        ("TypeError", "symbols_total() takes no arguments (1 given)", ""),
    ),
    (
        "bare_keywords",
        "A positional function refuses keywords",
        lambda m, s: m.symbol_info(symbol=s),
        ("TypeError", "symbol_info() takes no keyword arguments", ""),
    ),
    (
        "enable_keyword",
        "enable= is no keyword of symbol_select",
        lambda m, s: m.symbol_select(s, enable=True),
        ("TypeError", "symbol_select() takes no keyword arguments", ""),
    ),
    (
        "scalar",
        "A text where a number is parsed is a SystemError",
        lambda m, s: m.copy_rates_from_pos(s, "1", 0, 1),
        ("SystemError", "", "TypeError"),
    ),
)
for _name, _statement, _call, _value in _RAISED:
    RULES.add(_name, _statement, "B", raised(_call), _value)


@RULES.rule("reset", "Each call resets the error of the one before it", "B", (-2, 1))
def _reset(mt5: Any, desk: Desk) -> object:
    mt5.symbol_info(5)
    first = mt5.last_error()[0]
    mt5.version()
    return first, mt5.last_error()[0]


@RULES.rule("empty_request", "An empty request is answered with retcode 10013", "B", (10013, SUCCESS))
def _empty_request(mt5: Any, desk: Desk) -> object:
    result = mt5.order_send()
    return result.retcode, tuple(mt5.last_error())


@RULES.rule("request_keyword", "request= is no field: the request is empty", "B", (10013, 0))
def _request_keyword(mt5: Any, desk: Desk) -> object:
    result = mt5.order_send(request=desk.market(0))
    return result.retcode, result.request.action


@RULES.rule("fields", "The fields of a request may come as keywords", "B", True)
def _fields(mt5: Any, desk: Desk) -> object:
    request = desk.market(0)
    result = mt5.order_check(**request)
    return request.items() <= result.request._asdict().items()


@RULES.rule("unknown_field", "Unknown fields of a request are ignored", "B", SUCCESS)
def _unknown_field(mt5: Any, desk: Desk) -> object:
    mt5.order_check({"unheard_of": object()})
    return tuple(mt5.last_error())


@RULES.rule("version", "version() is two ints and a text", "B", ("int", "int", "str"))
def _version(mt5: Any, desk: Desk) -> object:
    return tuple(type(each).__name__ for each in mt5.version())


@RULES.rule(
    "structure", "A structure is a tuple with names that cannot be replaced", "B", (True, False, "builtins")
)
def _structure(mt5: Any, desk: Desk) -> object:
    info = mt5.account_info()
    return tuple(info._asdict().values()) == info, hasattr(info, "_replace"), type(info).__module__

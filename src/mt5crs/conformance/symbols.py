"""Symbols and group masks."""

from collections.abc import Callable
from typing import Any

from mt5crs.conformance.calls import answer
from mt5crs.conformance.desk import Desk
from mt5crs.conformance.rule import NotApplicable, Rules, wrong

RULES = Rules("symbols")

Mask = Callable[[str], str]
Selects = Callable[[str, str], bool]

# name, statement, mask of a symbol's name, whether it selects another name
_MASKS: tuple[tuple[str, str, Mask, Selects], ...] = (
    ("all", "* is every symbol", lambda _: "*", lambda _s, _n: True),
    ("empty", "An empty mask is every symbol", lambda _: "", lambda _s, _n: True),
    ("whole", "Without a star a mask is a whole name", lambda s: s, lambda s, n: n == s),
    ("part", "Part of a name is no mask for it", lambda s: s[:-1], lambda s, n: n == s[:-1]),
    ("start", "A star at the end", lambda s: f"{s[:3]}*", lambda s, n: n.startswith(s[:3])),
    ("end", "A star at the beginning", lambda s: f"*{s[3:]}", lambda s, n: n.endswith(s[3:])),
    ("inside", "Stars on both sides", lambda s: f"*{s[1:4]}*", lambda s, n: s[1:4] in n),
    (
        "middle",
        "A star in the middle",
        lambda s: f"{s[0]}*{s[-1]}",
        lambda s, n: len(n) > 1 and n[0] == s[0] and n[-1] == s[-1],
    ),
    ("exclusion", "! excludes", lambda s: f"*,!{s}", lambda s, n: n != s),
    ("exclusion_first", "! excludes wherever it stands", lambda s: f"!{s},*", lambda s, n: n != s),
    ("exclusion_mask", "! excludes by mask", lambda s: f"*,!{s[:3]}*", lambda s, n: not n.startswith(s[:3])),
    (
        "exclusion_part",
        "! without a star excludes a whole name",
        lambda s: f"*, !{s[:3]}",
        lambda s, n: n != s[:3],
    ),
    ("exclusion_alone", "Exclusions alone select nothing", lambda s: f"!{s}", lambda _s, _n: False),
    ("list", "Masks are separated by commas", lambda s: f"{s},{s[:3]}*", lambda s, n: n.startswith(s[:3])),
    ("question", "? is an ordinary character", lambda s: f"{s[:-1]}?", lambda s, n: n == f"{s[:-1]}?"),
    ("case", "Case matters", lambda s: s.swapcase(), lambda s, n: n == s.swapcase()),
)


def _masked(mask: Mask, selects: Selects) -> Callable[[Any, Desk], object]:
    def observe(mt5: Any, desk: Desk) -> object:
        names = {info.name for info in mt5.symbols_get()}
        chosen = {info.name for info in mt5.symbols_get(group=mask(desk.name))}
        right = {name for name in names if selects(desk.name, name)}
        return tuple(sorted(chosen ^ right))

    return observe


for _name, _statement, _mask, _selects in _MASKS:
    RULES.add(f"mask_{_name}", _statement, "B", _masked(_mask, _selects), ())
RULES.add(
    "unknown",
    "An unknown symbol is not found",
    "F",
    answer(lambda m, _s: m.symbol_info("NO.SUCH")),
    (None, (-4, "Terminal: Not found")),
)


@RULES.rule("total", "symbols_total counts what symbols_get returns", "D")
def _total(mt5: Any, desk: Desk) -> object:
    return wrong(total=(mt5.symbols_total(), len(mt5.symbols_get())))


@RULES.rule("hidden", "Symbols that are not in Market Watch have a specification", "D", True)
def _hidden(mt5: Any, desk: Desk) -> object:
    hidden = [info.name for info in mt5.symbols_get() if not info.select]
    if not hidden:
        raise NotApplicable("every symbol is in Market Watch")
    return mt5.symbol_info(hidden[0]).name == hidden[0]


@RULES.rule("select_unknown", "An unknown symbol cannot be selected", "F", (False, True))
def _select_unknown(mt5: Any, desk: Desk) -> object:
    return mt5.symbol_select("NO.SUCH", True), mt5.last_error()[0] in (-1, -4)


@RULES.rule("selected", "A selected symbol says so", "D", (True, True))
def _selected(mt5: Any, desk: Desk) -> object:
    return mt5.symbol_select(desk.name), desk.info.select


@RULES.rule("point", "A point is the unit of the last digit", "D", True)
def _point(mt5: Any, desk: Desk) -> object:
    return abs(desk.info.point * 10**desk.info.digits - 1) < 1e-9


@RULES.rule("tick_time", "A tick's seconds are its milliseconds, cut", "D")
def _tick_time(mt5: Any, desk: Desk) -> object:
    tick = desk.tick
    return wrong(time=(tick.time, tick.time_msc // 1000))


@RULES.rule("quote", "The ask is not below the bid", "D", True)
def _quote(mt5: Any, desk: Desk) -> object:
    return desk.tick.ask >= desk.tick.bid > 0


@RULES.rule("tick_value", "The tick value is that of a profit", "R")
def _tick_value(mt5: Any, desk: Desk) -> object:
    info = desk.info
    return wrong(trade_tick_value=(info.trade_tick_value, info.trade_tick_value_profit))


@RULES.rule("book", "Depth: by falling price, sells above buys; none for a symbol without", "D")
def _book(mt5: Any, desk: Desk) -> object:
    if not mt5.market_book_add(desk.name):
        raise NotApplicable(f"{desk.name} has no depth of market")
    try:
        rows = mt5.market_book_get(desk.name)
    finally:
        mt5.market_book_release(desk.name)
    prices = [row.price for row in rows]
    kinds = [row.type for row in rows]
    return wrong(
        prices=(prices, sorted(prices, reverse=True)),
        kinds=(kinds, sorted(kinds)),
        volumes=({type(row.volume) for row in rows} <= {int}, True),
    )


@RULES.rule("book_without", "No depth without a subscription", "K", None)
def _book_without(mt5: Any, desk: Desk) -> object:
    return mt5.market_book_get(desk.name)

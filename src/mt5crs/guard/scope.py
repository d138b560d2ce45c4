"""Limits of one scope (the account, or one key), ready to judge orders by."""

from collections.abc import Iterable, Mapping
from typing import Any

from mt5crs import constants as c
from mt5crs.errors import LimitExceeded
from mt5crs.guard.facts import Usage
from mt5crs.guard.requests import PRICES, TARGETS, Asked, Effect, may_close
from mt5crs.guard.rules import LIMITS, Rule, Standing

_BY_MARKET = frozenset({c.TRADE_ACTION_DEAL, c.TRADE_ACTION_PENDING, c.TRADE_ACTION_MODIFY})
_NAMED = ("symbols", "magic")
_CHEAP = ("max_order_volume", "hours")
"""What a deal that only closes is not judged by, and an account is not needed for."""
_REPRICED = ("max_exposure", "max_daily_loss")
"""What another price of a pending order is judged by, beside `hours`."""


class Scope:
    """Limits of the account, or of one key.

    Args:
        name: The key's name, "" for the account.
        limits: Their values by name.
        setting: Where they are written: file and table.
        held: What orders may have used that no look has shown.

    Attributes:
        standing: How it stands with them.
        names: Whether they are about symbols or magic numbers.
        needs_account: Whether a look at the account is needed to judge.
        needs_prices: Whether the prices of an order's symbol are.
        needs_deals: Whether today's deals are.
        needs_worth: Whether all symbols that are held are.
    """

    def __init__(self, name: str, limits: Mapping[str, Any], setting: str, held: Usage) -> None:
        self.name = name
        self.limits = limits
        self.setting = setting
        self.standing = Standing(name or "the account", held)
        rows = [LIMITS[each] for each in limits]
        self.needs_account = any(row.needs_account for row in rows)
        self.needs_prices = any(row.needs_prices for row in rows)
        self.needs_deals = any(row.needs_deals for row in rows)
        self.needs_worth = any(row.needs_worth for row in rows)
        self._rules = {effect: tuple(self._judges(effect)) for effect in Effect}
        self._early = {
            effect: [row for row in rules if not LIMITS[row[0]].needs_account]
            for effect, rules in self._rules.items()
        }
        self.names = any(each in limits for each in _NAMED)
        self._reprices = any(each in limits for each in _REPRICED)
        self._distance = "max_price_distance" in limits
        self._orders = any(LIMITS[each].needs_account and each != "max_price_distance" for each in limits)
        self._cheap = [(LIMITS[each].rule, limits[each]) for each in _CHEAP if each in limits]

    def _judges(self, effect: Effect) -> "Iterable[tuple[str, Rule, Any]]":
        for name, limit in LIMITS.items():
            if name in self.limits and limit.rule is not None and effect in limit.judges:
                yield name, limit.rule, self.limits[name]

    def needs(self, request: Mapping[str, Any], hedging: bool | None, now: float, utc: float) -> bool:
        """Whether the account must be looked at to judge a request.

        Args:
            request: Its fields.
            hedging: Whether a symbol can have several positions, None where that is not known.
            now: Seconds on the gateway's clock.
            utc: Epoch seconds.
        """
        action = request.get("action")
        is_deal = action == c.TRADE_ACTION_DEAL
        closes = may_close(request, hedging)
        if self.names and (closes or (action in TARGETS and not is_deal)):
            return True
        if action in _BY_MARKET:
            adds = action != c.TRADE_ACTION_MODIFY or bool(request.get("volume"))
            if self._reprices or (self._orders and adds):
                return True
            if self._distance and any(request.get(name) for name in PRICES):
                return True
        if (closes or action == c.TRADE_ACTION_MODIFY) and self._cheap:
            at = self.standing
            at.now, at.utc = now, utc
            asked = Asked(request)
            return any(rule is not None and rule(asked, value, at) for rule, value in self._cheap)
        return False

    def foresee(self, asked: Asked, hedging: bool | None, now: float, utc: float) -> LimitExceeded | None:
        """Judge a request whose account is not known by all that will hold for it in any case.

        What is refused so costs no look at the account.
        """
        at = self.standing
        at.now, at.utc = now, utc
        action = asked.request["action"]
        closes = may_close(asked.request, hedging)
        # A deal is for the position of its own symbol, or refused; the magic number is the position's.
        is_on_account = action in TARGETS and action != c.TRADE_ACTION_DEAL
        unknown = _NAMED if is_on_account else ("magic",) if closes else ()
        for name, rule, value in self._early[Effect.REDUCES if closes else asked.effect]:
            if name not in unknown:
                wrong = rule(asked, value, at)
                if wrong:
                    return self.exceeded(wrong, name)
        return None

    def check(self, asked: Asked, now: float, utc: float) -> LimitExceeded | None:
        """Judge a request; return what it may not, None where it may go on."""
        at = self.standing
        at.now, at.utc = now, utc
        for name, rule, value in self._rules[asked.effect]:
            wrong = rule(asked, value, at)
            if wrong:
                return self.exceeded(wrong, name)
        return None

    def exceeded(self, wrong: str, name: str) -> LimitExceeded:
        """Return the refusal of a request by one of the limits."""
        return LimitExceeded(f"{wrong}: {shown(self.limits[name])} ({self.setting})")

    def count(self, now: float) -> None:
        """Note that a trade request was let through."""
        if "max_orders_per_minute" in self.limits:
            self.standing.sent.append(now)

    def uses(self) -> "Iterable[tuple[str, Any, float | None]]":
        """Yield each limit with its value and what is used of it, None where that has no number."""
        at = self.standing
        symbols = at.used.volumes.keys() | at.held.volumes.keys()
        used = {
            "max_symbol_volume": max(
                (at.used.volumes.get(name, 0.0) + at.held.volumes.get(name, 0.0) for name in symbols),
                default=0.0,
            ),
            "max_exposure": None
            if at.used.unknown or at.held.unknown
            else at.used.exposure + at.held.exposure,
            "max_daily_loss": max(0.0, at.used.loss),
            "max_orders_per_minute": float(sum(sent > at.now - 60.0 for sent in at.sent)),
        }
        for name, value in self.limits.items():
            yield name, value, used.get(name)


def shown(value: Any) -> str:
    """Return a limit's value as a person writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.15g}" if isinstance(value, float) else str(value)

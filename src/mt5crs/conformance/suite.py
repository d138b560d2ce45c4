"""All rules, and what becomes of them on a terminal."""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import Any

from mt5crs.conformance import calls, money, netting, prices, symbols, trading
from mt5crs.conformance.desk import Desk
from mt5crs.conformance.rule import NotApplicable, Rule

PARTS = (calls, symbols, prices, money, trading, netting)
RULES: tuple[Rule, ...] = tuple(rule for part in PARTS for rule in part.RULES)
"""Every rule, those that trade last."""


class NotDemo(Exception):
    """The account is no demo account; nothing was asked of it but what it is."""


class Status(str, Enum):
    """What became of a rule."""

    SAME = "same"
    DIFFERENT = "different"
    INFORMATIVE = "informative"
    """Different, where the rule is not sure enough to call it one."""
    NOT_APPLICABLE = "not applicable"


@dataclass(frozen=True)
class Verdict:
    """A rule and what a terminal did.

    Attributes:
        rule: The rule.
        status: What became of it.
        observed: What was seen, or why nothing was.
    """

    rule: Rule
    status: Status
    observed: str

    def document(self) -> dict[str, str]:
        """Return it as plain data."""
        return {
            "id": self.rule.id,
            "status": self.status.value,
            "statement": self.rule.statement,
            "sure": self.rule.sure,
            "expected": repr(self.rule.expected),
            "observed": self.observed,
        }


TIDIED = Rule(
    "desk.tidy", "Everything that was opened is closed", "B", lambda _mt5, desk: desk.left(), ((), ()), True
)


def require_demo(mt5: Any) -> None:
    """Make sure of a demo account.

    Raises:
        NotDemo: It is another one, or cannot be seen.
    """
    account = mt5.account_info()
    if account is None:
        raise NotDemo(f"the account cannot be seen: {mt5.last_error()}")
    if account.trade_mode != mt5.ACCOUNT_TRADE_MODE_DEMO:
        raise NotDemo(f"account {account.login} is no demo account: rules are for demo accounts only")


def conform(
    mt5: Any,
    *,
    trade: bool = False,
    symbol: str = "",
    rules: Sequence[Rule] = RULES,
    told: Callable[[Verdict], None] = lambda _verdict: None,
) -> list[Verdict]:
    """Hold a terminal against the rules.

    What was opened is closed again after every rule, whatever becomes of it, Ctrl-C included.

    Args:
        mt5: A module with the official functions, connected.
        trade: Whether rules may trade.
        symbol: The symbol to ask about and to trade; a liquid one without it.
        rules: The rules.
        told: Called with each verdict as it is there.

    Raises:
        NotDemo: The account is no demo account.
        NotApplicable: There is no symbol to ask about.
    """
    require_demo(mt5)
    desk = Desk(mt5, symbol)
    verdicts: list[Verdict] = []
    for rule in rules:
        if rule.trades and not trade:
            continue
        with _tidied(desk, rule):
            verdicts.append(judge(mt5, desk, rule))
        told(verdicts[-1])
    if trade:
        verdicts.append(judge(mt5, desk, TIDIED))
    return verdicts


@contextmanager
def _tidied(desk: Desk, rule: Rule) -> Generator[None, None, None]:
    try:
        yield
    finally:
        if rule.trades:
            desk.tidy()


def judge(mt5: Any, desk: Desk, rule: Rule) -> Verdict:
    """Return what becomes of a rule."""
    try:
        observed = rule.observe(mt5, desk)
    except NotApplicable as reason:
        return Verdict(rule, Status.NOT_APPLICABLE, str(reason))
    except Exception as error:  # whatever a terminal makes of a rule is what it does
        return Verdict(rule, _differs(rule), f"{type(error).__name__}: {error}")
    return Verdict(rule, Status.SAME if observed == rule.expected else _differs(rule), repr(observed))


def _differs(rule: Rule) -> Status:
    return Status.INFORMATIVE if rule.is_informative else Status.DIFFERENT

"""A simulated terminal whose answers are lost: what it shows is judged, and compared with them."""

from collections.abc import Collection
from typing import Any

from mt5crs.journal import tags
from mt5crs.journal.reconcile import Done, Intent, Observed, Verdict, judge
from mt5crs.model import Record
from mt5crs.terminal.simulated import SimulatedConfig
from tests.journal.records import changed, tag
from tests.terminal.depths import Offers
from tests.terminal.desk import Desk
from tests.terminal.test_retcodes import specify

START = 1_763_985_600  # Monday 2025-11-24 12:00 UTC
KNOWN = 1_000
"""The entry of orders whose answer was not lost."""
SKEW = 120.0
LONG = "a comment without any room"


def core(result: Any) -> tuple[Any, ...]:
    """Return what is compared of an answer or a verdict."""
    return result.retcode, result.order, result.deal, result.volume, result.price


class LostAnswers(Desk):
    """A terminal; once volume is offered its symbol is an exchange's, so that all fillings are to be had.

    Attributes:
        answers: What was lost, by entry; None where the request did not reach the terminal.
        intents: The requests.
        claimed: The orders that are known.
    """

    def __init__(self, hedging: bool) -> None:
        super().__init__(SimulatedConfig(seed=7, margin_mode="hedging" if hedging else "netting"), START)
        self.hedging = hedging
        self.answers: dict[int, Any] = {}
        self.intents: list[Intent] = []
        self.claimed: dict[int, int] = {}

    @property
    def bid(self) -> float:
        return float(self.get("symbol_info_tick", "EURUSD").bid)

    def near(self, pips: float) -> float:
        """Return a price so many pips from the bid."""
        return round(self.bid + pips / 10_000, 5)

    def offer(self, *lots: float) -> None:
        """Offer these lots on both sides, a point apart, and no more."""
        specify(self, exemode=3, filling_mode=7)
        bid = self.bid
        asks = [(round(bid + (3 + n) / 100_000, 5), volume) for n, volume in enumerate(lots)]
        bids = [(round(bid - n / 100_000, 5), volume) for n, volume in enumerate(lots)]
        self.terminal._market.depth = Offers(asks, bids)

    def pass_time(self, seconds: float) -> None:
        self.clock.now += seconds

    def known(self, **request: Any) -> Any:
        """Send a request whose answer arrives."""
        answer = self.send(**request)
        if answer.order and request["action"] in (1, 5, 10):
            self.claimed[answer.order] = KNOWN
        return answer

    def lose(self, tagged: bool = True, arrives: bool = True, **request: Any) -> Any:
        """Send a request whose answer is lost; return that answer."""
        entry = len(self.intents) + 1
        now = float(self.get("symbol_info_tick", "EURUSD").time)
        is_tagged = tagged and tags.has_room(request.get("comment", ""))
        mark = tag(entry) if is_tagged else ""
        self.intents.append(Intent(entry, request, mark, (now - SKEW, now + SKEW)))
        sent = {**request, "comment": request.get("comment", "") + mark}
        self.answers[entry] = self.send(**sent) if arrives else None
        return self.answers[entry]

    def observed(self, keeps_comments: bool = True) -> Observed:
        ever = 0, 1 << 40
        shown = [
            self.get("orders_get"),
            self.get("history_orders_get", *ever),
            self.get("history_deals_get", *ever),
            self.get("positions_get"),
        ]
        if not keeps_comments:
            shown = [_without_comments(rows) for rows in shown]
        point = {"EURUSD": self.get("symbol_info", "EURUSD").point}
        orders, done, deals, positions = shown
        return Observed(orders, done, deals, positions, point, self.claimed, self.hedging)

    def judged(self, keeps_comments: bool = True) -> dict[int, Verdict]:
        return judge(self.intents, self.observed(keeps_comments))

    def is_true(self, entry: int, verdict: Verdict) -> bool:
        """Whether a verdict is what the terminal had answered."""
        return isinstance(verdict, Done) and core(verdict) == core(self.answers[entry])


def _without_comments(rows: Collection[Any]) -> list[Record]:
    """Return rows as a broker shows them that keeps only its own comments."""
    return [row if row.comment.startswith("[") else changed(row, comment="") for row in rows]

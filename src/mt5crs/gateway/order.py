"""One trade request that the gateway holds: what is sent for it, and what an answer says of it."""

from typing import Any

from mt5crs.constants import TRADE_ACTION_DEAL, TRADE_ACTION_PENDING, TRADE_RETCODE_TIMEOUT
from mt5crs.guard.reservations import Reservation
from mt5crs.journal import tags
from mt5crs.journal.entries import Entry, core_of, encode
from mt5crs.journal.states import Step
from mt5crs.journal.store import ANSWER, MAKERS, Journal, Told
from mt5crs.last_error import NOT_SENT
from mt5crs.model import TradeRequest
from mt5crs.operation import Result, Unasked
from mt5crs.terminal.port import Deferred

TAGGED = frozenset({TRADE_ACTION_DEAL, TRADE_ACTION_PENDING})
"""The actions that make an order whose comment is the user's."""
NO_VERDICT = frozenset({TRADE_RETCODE_TIMEOUT})
"""Return codes that leave it open whether the order was carried out."""
_COMMENT = TradeRequest.__match_args__.index("comment")


class Order:
    """A trade request that the gateway holds.

    Attributes:
        request: The request's fields, as the user sent them.
        encoded: The same as bytes, to tell whether another request is the same.
        until: Seconds on the gateway's clock after which nobody waits for it.
        came: When it came, on the gateway's clock.
        look: The guard's latest look that had begun when it was first judged.
        is_guarded: Whether limits are for it; the guard's own orders have none.
        is_timed: Whether the server's time was looked at for it.
        reservation: What the guard counts for it.
        deferred: Where its answer goes.
        entry: Its entry in the journal, once there is one.
        signed: The request as its client signed it; empty where it did not.
        sent: When the terminal was told, on the gateway's clock.
        is_out: Whether the terminal still owes an answer.
        doubtful: What the terminal answered that left it in doubt.
    """

    __slots__ = (
        "came",
        "deferred",
        "doubtful",
        "encoded",
        "entry",
        "is_guarded",
        "is_out",
        "is_timed",
        "key",
        "look",
        "principal",
        "request",
        "reservation",
        "sent",
        "signed",
        "until",
    )

    def __init__(self, request: dict[str, Any], principal: str, key: str, until: float) -> None:
        self.request = request
        self.encoded = encode(request)
        self.principal = principal
        self.key = key
        self.until = until
        self.came = 0.0
        self.look = -1
        self.is_guarded = True
        self.is_timed = False
        self.reservation: Reservation | None = None
        self.deferred = Deferred()
        self.entry: Entry | None = None
        self.sent = 0.0
        self.signed = b""
        self.is_out = False
        self.doubtful: Result | None = None

    def tagged(self, journal: Journal | None) -> dict[str, Any]:
        """Return the request with its tag behind the comment, where that fits."""
        if self.entry is None or journal is None or not self.entry.note["tagged"]:
            return self.request
        tag = tags.tag(journal.mark, self.entry.number)
        return {**self.request, "comment": self.request.get("comment", "") + tag}


def is_tagged(request: dict[str, Any]) -> bool:
    """Whether a request makes an order with a comment that a tag fits behind."""
    return request.get("action") in TAGGED and tags.has_room(request.get("comment", ""))


def plain(order: Order, result: Result) -> Result:
    """Return an answer with its structures as lists, and the user's own comment in its request."""
    value = result.value
    if value is None:
        return result
    request = list(value[10])
    request[_COMMENT] = order.request.get("comment", "")
    return Result([*value[:10], request], result.error)


def told_of(order: Order, result: Result) -> Told:
    """Return what an answer says of its order."""
    assert order.entry is not None  # noqa: S101 - it was sent
    number, (code, text) = order.entry.number, result.error
    if isinstance(result, Unasked):
        return Told(number, Step.REFUSE, {"text": result.failure.message, "how": "unasked"})
    noted = {"code": code, "text": text, "how": ANSWER, "makes": order.request.get("action") in MAKERS}
    if result.value is None:
        return Told(number, Step.REFUSE if code in NOT_SENT else Step.DOUBT, noted)
    if result.value[0] in NO_VERDICT:
        return Told(number, Step.DOUBT, noted)
    return Told(number, Step.FINISH, {**core_of(result.value), **noted}, result.value)

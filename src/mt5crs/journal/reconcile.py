"""What became of trade requests without an answer, decided from what the terminal shows.

A request that makes an order is found by its tag, else by its traits, if one order alone has them and no
other request wants that order. One that changes something is found by the state that it asks for.

`NoTrace` is said only where nothing is to be seen of a request: after a while it is taken for not carried
out. What is seen without saying enough, or not saying it yet, is `Ambiguous`.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from mt5crs.journal.evidence import (
    NO_TRACE,
    Ambiguous,
    Done,
    Intent,
    Never,
    NoTrace,
    Observed,
    Shown,
    Verdict,
    allows_comment,
    named,
)
from mt5crs.journal.rules import RULES, Change, Maker
from mt5crs.model import TradeOrder

__all__ = [
    "RULES",
    "Ambiguous",
    "Done",
    "Intent",
    "Never",
    "NoTrace",
    "Observed",
    "Verdict",
    "can_be_of",
    "judge",
]


def judge(intents: Sequence[Intent], observed: Observed) -> dict[int, Verdict]:
    """Return what became of requests, by their entries.

    Args:
        intents: All whose outcome is not known: each can be the explanation of what another one seems to have
            left.
        observed: What the terminal shows.
    """
    shown = Shown(observed)
    verdicts: dict[int, Verdict] = {intent.entry: NO_TRACE for intent in intents}
    for action, rule in RULES.items():
        asking = [intent for intent in intents if intent.number("action") == action]
        verdicts |= _made(asking, shown, rule) if isinstance(rule, Maker) else _changed(asking, shown, rule)
    return verdicts


def can_be_of(intent: Intent, order: TradeOrder) -> bool:
    """Whether nothing that stays says that an order is not that of a request."""
    rule = RULES.get(intent.number("action"))
    return (
        isinstance(rule, Maker)
        and rule.is_kind(intent, order)
        and intent.spans(order.time_setup_msc)
        and allows_comment(intent, order.comment)
    )


# ---- requests that make an order --------------------------------------------------------------------


class Found(NamedTuple):
    """The orders that can be a request's.

    Attributes:
        how: What they have of it: its tag, its traits, or only those traits that nobody can change (`near`).
        tickets: Theirs.
    """

    how: Literal["tag", "traits", "near"]
    tickets: set[int]


def _made(intents: Sequence[Intent], shown: Shown, rule: Maker) -> dict[int, Verdict]:
    """Judge requests together: an order is that of one of them, and no more."""
    by_tag = {intent.entry: shown.unclaimed(intent, shown.tagged) for intent in intents}
    taken = set[int]().union(*by_tag.values())
    found = {intent.entry: _found(intent, by_tag[intent.entry], taken, shown, rule) for intent in intents}
    wanted = Counter(ticket for each in found.values() for ticket in each.tickets)
    return {intent.entry: _verdict(intent, found[intent.entry], wanted, shown, rule) for intent in intents}


def _found(intent: Intent, by_tag: set[int], taken: set[int], shown: Shown, rule: Maker) -> Found:
    """Return what is nearest to a request; a tag is an entry's own: it counts whatever else an order has."""
    if by_tag:
        return Found("tag", by_tag)
    near = {
        ticket
        for ticket in shown.candidates(intent)
        if ticket not in taken
        and (order := shown.orders[ticket])
        and intent.spans(order.time_setup_msc)
        and rule.is_kind(intent, order)
        and rule.resembles(intent, order, shown)
        and shown.is_free(intent, ticket, order)
    }
    unchanged = {ticket for ticket in near if rule.is_unchanged(intent, shown.orders[ticket], shown)}
    return Found("traits", unchanged) if unchanged else Found("near", near)


def _verdict(intent: Intent, found: Found, wanted: Counter[int], shown: Shown, rule: Maker) -> Verdict:
    how, tickets = found
    marked = shown.unclaimed(intent, shown.marked) - tickets
    if marked and how != "tag":
        return Ambiguous(f"what {named(marked)} made has its tag, and such an order is not shown")
    if not tickets:
        return rule.missing(intent, shown)
    if how == "near":
        return Ambiguous(f"{named(tickets)} can be it, if it was changed since")
    if len(tickets) > 1:
        return Ambiguous(f"{named(tickets)} can be it")
    (ticket,) = tickets
    order = shown.orders[ticket]
    if wanted[ticket] > 1:
        return Ambiguous(f"{named(tickets)} can be it, or that of another request")
    if not rule.is_kind(intent, order):
        return Ambiguous(f"{named(tickets)} has its tag, and is of another symbol or type")
    return rule.outcome(order, shown, how)


# ---- requests that change something -----------------------------------------------------------------


def _changed(intents: Sequence[Intent], shown: Shown, rule: Change) -> dict[int, Verdict]:
    """Judge requests together: what one of them has left may have come before or after another one."""
    subjects = {intent.entry: rule.subject(intent, shown) for intent in intents}
    verdicts = {intent.entry: _state_of(intent, subjects[intent.entry], shown, rule) for intent in intents}
    as_asked = {
        subjects[entry].ticket
        for entry, verdict in verdicts.items()
        if isinstance(verdict, Done) and subjects[entry] is not None
    }
    for entry, subject in subjects.items():
        if verdicts[entry] == NO_TRACE and subject is not None and subject.ticket in as_asked:
            verdicts[entry] = Ambiguous(
                f"what has the ticket {subject.ticket} is as another request asks, before or after it"
            )
    return verdicts


def _state_of(intent: Intent, subject: Any, shown: Shown, rule: Change) -> Verdict:
    return rule.missing(intent, shown) if subject is None else rule.look(intent, subject, shown)

"""What became of trade requests without an answer, decided from what the terminal shows.

A request that makes an order is found by its tag, else by its traits, if one order alone has them and no
other request wants that order. One that changes something is found by the state that it asks for.

`NoTrace` is said only where nothing is to be seen of a request: after a while it is taken for not carried
out. What is seen without saying enough, or not saying it yet, is `Ambiguous`.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

from mt5crs.journal.evidence import (
    NO_TRACE,
    Ambiguous,
    Done,
    How,
    Intent,
    Never,
    NoTrace,
    Observed,
    Shown,
    Verdict,
    named,
)
from mt5crs.journal.rules import RULES, Change, Maker
from mt5crs.model import TradeOrder

__all__ = ["RULES", "Ambiguous", "Done", "Intent", "Never", "NoTrace", "Observed", "Verdict", "judge"]


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


# ---- requests that make an order --------------------------------------------------------------------


def _made(intents: Sequence[Intent], shown: Shown, rule: Maker) -> dict[int, Verdict]:
    """Judge requests together: an order is that of one of them, and no more.

    A tag is an entry's own: it counts whatever else an order has.
    """
    tagged = {intent.entry: shown.unclaimed(intent, shown.tagged) for intent in intents}
    taken = set[int]().union(*tagged.values())
    found: dict[int, set[int]] = {}
    for intent in intents:
        found[intent.entry] = tagged[intent.entry] or {
            ticket
            for ticket, order in shown.orders.items()
            if ticket not in taken and _is_like(intent, order, shown, rule)
        }
    wanted = Counter(ticket for tickets in found.values() for ticket in tickets)
    sole = [next(iter(tickets)) for tickets in found.values() if len(tickets) == 1]
    explained = {ticket for ticket in sole if wanted[ticket] == 1}
    return {
        intent.entry: _verdict(
            intent, found[intent.entry], "tag" if tagged[intent.entry] else "traits", explained, shown, rule
        )
        for intent in intents
    }


def _is_like(intent: Intent, order: TradeOrder, shown: Shown, rule: Maker) -> bool:
    return (
        intent.spans(order.time_setup_msc)
        and rule.is_kind(intent, order)
        and rule.fits(intent, order, shown)
        and shown.is_free(intent, order.ticket, order)
    )


def _verdict(
    intent: Intent, tickets: set[int], how: How, explained: Collection[int], shown: Shown, rule: Maker
) -> Verdict:
    marked = shown.unclaimed(intent, shown.marked) - tickets
    if marked and how != "tag":
        return Ambiguous(f"what {named(marked)} made has its tag, and such an order is not shown")
    if not tickets:
        return rule.missing(intent, shown, explained)
    if not tickets <= set(explained):
        others = "" if len(tickets) > 1 else ", or that of another request"
        return Ambiguous(f"{named(tickets)} can be it{others}")
    (order,) = (shown.orders[ticket] for ticket in tickets)
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

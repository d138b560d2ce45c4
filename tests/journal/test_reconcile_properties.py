"""What holds of every verdict, whatever a terminal shows."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from mt5crs.journal.reconcile import Done, Intent, NoTrace, Observed, judge
from tests.journal.records import NOW, buy, deal, intent, order, pend, pending, position, shown, tag

ENTRIES = st.integers(1, 6)
COMMENTS = st.one_of(
    st.sampled_from(["", "mine", "[broker]"]), ENTRIES.map(tag), ENTRIES.map(lambda n: "mine" + tag(n))
)
MAKING = {1, 5, 10}


@st.composite
def intents(draw: st.DrawFn) -> list[Intent]:
    made: list[Intent] = []
    for entry in range(1, draw(st.integers(0, 5)) + 1):
        tagged, comment = draw(st.booleans()), draw(st.sampled_from(["", "mine"]))
        magic, ticket = draw(st.integers(0, 1)), draw(st.integers(1, 8))
        other = draw(st.integers(1, 8))
        made.append(
            draw(
                st.sampled_from(
                    [
                        buy(entry, tagged, comment=comment, magic=magic),
                        pend(entry, tagged, comment=comment, magic=magic),
                        pend(entry, tagged, price=1.07, magic=magic),
                        intent(entry, False, action=6, position=ticket, sl=1.0),
                        intent(entry, False, action=7, order=ticket, price=1.08),
                        intent(entry, False, action=8, order=ticket),
                        intent(entry, tagged, action=10, position=ticket, position_by=other),
                    ]
                )
            )
        )
    return made


@st.composite
def observations(draw: st.DrawFn) -> Observed:
    orders, history, deals, positions = [], [], [], []
    for ticket in range(1, draw(st.integers(0, 8)) + 1):
        fields: dict[str, Any] = {"comment": draw(COMMENTS), "magic": draw(st.integers(0, 1))}
        at = NOW + draw(st.sampled_from([-10, 0, 1]))
        kind = draw(st.sampled_from(["market", "active", "done", "by"]))
        if kind == "market":
            history.append(order(ticket, at, **fields))
            deals += [deal(10 * ticket, ticket, at)] * draw(st.integers(0, 1))
            positions += [position(ticket, at, sl=draw(st.sampled_from([0.0, 1.0])), **fields)] * draw(
                st.integers(0, 1)
            )
        elif kind == "by":
            names = {"position_id": draw(st.integers(1, 8)), "position_by_id": draw(st.integers(1, 8))}
            history.append(order(ticket, at, type=8, **fields | names))
            deals += [deal(10 * ticket + n, ticket, at, entry=3) for n in range(2)]
        elif kind == "active":
            orders.append(pending(ticket, at, **fields))
        else:
            history.append(
                pending(ticket, at, state=draw(st.integers(2, 6)), time_done_msc=at * 1000, **fields)
            )
    claimed = draw(st.dictionaries(st.integers(1, 8), st.integers(1, 8), max_size=2))
    return shown(orders, history, deals, positions, claimed, draw(st.booleans()))


@given(intents(), observations())
def test_an_order_is_the_answer_to_one_request(asked: list[Intent], observed: Observed) -> None:
    verdicts = judge(asked, observed)
    assert verdicts.keys() == {each.entry for each in asked}
    made = [
        verdict.order
        for each in asked
        if isinstance(verdict := verdicts[each.entry], Done) and each.request["action"] in MAKING
    ]
    assert len(made) == len(set(made))
    assert not any(observed.claimed.get(ticket, 0) > len(asked) for ticket in made)


@given(intents(), observations(), st.randoms(use_true_random=False))
def test_the_sequence_does_not_matter(asked: list[Intent], observed: Observed, random: Any) -> None:
    def shuffled(rows: Any) -> list[Any]:
        mixed = list(rows)
        random.shuffle(mixed)
        return mixed

    rows = {name: shuffled(getattr(observed, name)) for name in ("orders", "history", "deals", "positions")}
    assert judge(shuffled(asked), replace(observed, **rows)) == judge(asked, observed)


@given(intents(), observations())
def test_what_is_not_related_does_not_matter(asked: list[Intent], observed: Observed) -> None:
    other: dict[str, Any] = {"symbol": "GBPUSD", "comment": "theirs"}
    more = replace(
        observed,
        orders=[*observed.orders, pending(101, **other)],
        history=[*observed.history, order(102, **other), pending(103, state=2, **other)],
        deals=[*observed.deals, deal(1020, 102, **other), deal(1040, 104, **other)],
        positions=[*observed.positions, position(102, **other)],
    )
    assert judge(asked, more) == judge(asked, observed)


@given(intents(), observations(), st.booleans())
def test_an_order_that_turns_up_settles_what_left_no_trace(
    asked: list[Intent], observed: Observed, tagged: bool
) -> None:
    late = buy(7, tagged, magic=5)
    assert judge([*asked, late], observed)[7] == NoTrace()
    more = replace(
        observed,
        history=[*observed.history, order(101, magic=5, comment=late.tag)],
        deals=[*observed.deals, deal(1010, 101)],
    )
    how = "tag" if tagged else "traits"
    assert judge([*asked, late], more) == judge(asked, observed) | {7: Done(10009, 101, 1010, 0.1, 1.1, how)}  # type: ignore[arg-type]

"""The order protocol, checked exhaustively: every interleaving of a few messages, losses, crashes and
retries.

A model of the bridge whose every journal step goes through the product's own transition table: one client
that asks under one key until it gives up, a network that loses, doubles and delays, a gateway that dies
between any two actions, a lane to a terminal that dies too, a terminal that may answer late or never. The
search visits every state that can be reached within the bounds, and two things must hold in all of them:

- the request was carried out at most once;
- whatever the client was told is true, and where nothing goes wrong any more it is told what became of it.

The same search with one of the rules taken away must find a way to break them: else it would prove nothing.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

from mt5crs.journal.states import NEXT, OPEN, State, Step, is_step

ASKS = 3
"""How often the client sends its request, at most."""
CRASHES = 2
"""How often the gateway or the lane dies, at most."""
TOLD_NOTHING, TOLD_DONE, TOLD_REFUSED = "nothing", "done", "refused"


class Model(NamedTuple):
    """Everything that matters of the whole system.

    Attributes:
        asked: How often the client has sent its request. on_the_way: Requests in the network. answers:
        Answers in the network. told: What the client knows. journal: What is on disk. memory: Where the
        living gateway has the request: `no`, `begun` (its intent is on disk), `out` (the lane
            has it).
        lane: What the lane has: `no`, `call` (not yet at the terminal), `result`.
        late: Whether a call that the terminal has heard of is still to be carried out.
        executed: How often the terminal carried it out.
        crashes: How many there were.
    """

    asked: int = 0
    on_the_way: int = 0
    answers: frozenset[str] = frozenset()
    told: str = TOLD_NOTHING
    journal: State = State.NEW
    memory: str = "no"
    lane: str = "no"
    late: bool = False
    executed: int = 0
    crashes: int = 0


class Rules(NamedTuple):
    """What the product does; a mutant lacks one of them."""

    keeps_keys: bool = True
    asks_again_blindly: bool = False
    reconciles: bool = True
    writes_before_sending: bool = True
    waits_for_the_horizon: bool = True


def step(model: Model, what: Step) -> Model:
    """Take a step of the journal, by the product's table."""
    if not is_step(model.journal, what):
        return model
    return model._replace(journal=NEXT[model.journal, what])


def moves(model: Model, rules: Rules) -> Iterator[tuple[str, Model]]:
    """Yield all that can happen next."""
    yield from client_moves(model)
    yield from gateway_moves(model, rules)
    yield from lane_moves(model)
    yield from recovery_moves(model, rules)
    yield from crash_moves(model)


def client_moves(model: Model) -> Iterator[tuple[str, Model]]:
    if model.asked < ASKS and model.told == TOLD_NOTHING:
        yield "ask", model._replace(asked=model.asked + 1, on_the_way=model.on_the_way + 1)
    if model.on_the_way:
        yield "lose request", model._replace(on_the_way=model.on_the_way - 1)
    if 0 < model.on_the_way < 2:
        yield "double request", model._replace(on_the_way=model.on_the_way + 1)
    for answer in model.answers:
        rest = model.answers - {answer}
        yield "lose answer", model._replace(answers=rest)
        yield "tell", model._replace(answers=rest, told=answer)


def gateway_moves(model: Model, rules: Rules) -> Iterator[tuple[str, Model]]:
    if model.on_the_way:
        taken = model._replace(on_the_way=model.on_the_way - 1)
        known = model.journal is not State.NEW and rules.keeps_keys
        if not known and model.memory == "no":
            begun = NEXT[State.NEW, Step.BEGIN] if rules.writes_before_sending else model.journal
            yield "begin", taken._replace(journal=begun, memory="begun")
        elif model.journal is State.DONE:
            yield "repeat", taken._replace(answers=model.answers | {TOLD_DONE})
        elif model.journal in {State.REFUSED, State.ABSENT}:
            yield "repeat", taken._replace(answers=model.answers | {TOLD_REFUSED})
        else:
            yield "wait for the outcome", taken
    if model.memory == "begun" and model.lane == "no":
        yield "give to lane", model._replace(memory="out", lane="call")
    if model.memory == "out" and model.lane == "result":
        done = step(model, Step.FINISH)._replace(memory="no", lane="no")
        yield "finish", done
        yield "finish and answer", done._replace(answers=done.answers | {TOLD_DONE})
    if model.memory == "out" and model.lane == "no":  # the worker died with it
        if rules.asks_again_blindly:
            yield "send again", model._replace(memory="begun")
        else:
            yield "doubt", step(model, Step.DOUBT)._replace(memory="no")


def lane_moves(model: Model) -> Iterator[tuple[str, Model]]:
    if model.lane == "call":
        yield "execute", model._replace(lane="result", executed=model.executed + 1)
        yield "terminal has no answer", model._replace(lane="no", late=True)
        yield "terminal never heard of it", step(model, Step.REFUSE)._replace(lane="no", memory="no")
    if model.late:
        yield "execute late", model._replace(late=False, executed=model.executed + 1)
        yield "never executed", model._replace(late=False)


def recovery_moves(model: Model, rules: Rules) -> Iterator[tuple[str, Model]]:
    if not rules.reconciles or model.journal not in {State.UNKNOWN, State.ABSENT}:
        return
    if model.executed:
        yield "find trace", step(model, Step.PROVE)
        return
    # The horizon: longer than the terminal can take to carry out what it has heard of.
    too_soon = model.late and rules.waits_for_the_horizon
    if is_step(model.journal, Step.MISS) and model.memory == model.lane == "no" and not too_soon:
        yield "horizon passes", step(model, Step.MISS)


def crash_moves(model: Model) -> Iterator[tuple[str, Model]]:
    if model.crashes >= CRASHES:
        return
    died = model._replace(crashes=model.crashes + 1)
    heard = model.lane == "call"  # a call that was under way may still reach the terminal
    yield "lane dies before the call", died._replace(lane="no")
    yield "lane dies in the call", died._replace(lane="no", late=model.late or heard)
    # The gateway's death is the lane's: its life line ends. What was answered is lost with both.
    for late in {model.late, model.late or heard}:
        restarted = died._replace(memory="no", lane="no", late=late, answers=frozenset())
        yield "gateway dies", step(restarted, Step.DOUBT) if restarted.journal is State.SENT else restarted


def search(rules: Rules) -> dict[Model, tuple[Model, str] | None]:
    """Return every state that can be reached, with how it was first reached."""
    start = Model()
    came: dict[Model, tuple[Model, str] | None] = {start: None}
    todo = [start]
    while todo:
        model = todo.pop()
        if model.executed > 1:  # broken already; what follows says no more
            continue
        for name, then in moves(model, rules):
            if then not in came:
                came[then] = (model, name)
                todo.append(then)
    return came


def story(came: dict[Model, tuple[Model, str] | None], model: Model) -> list[str]:
    """Return how a state is reached, in words."""
    names: list[str] = []
    link = came[model]
    while link is not None:
        names.append(link[1])
        link = came[link[0]]
    return names[::-1]


def doubled(model: Model) -> bool:
    return model.executed > 1


def told_wrong(model: Model) -> bool:
    if model.told == TOLD_DONE:
        return model.executed != 1
    return model.told == TOLD_REFUSED and (model.executed > 0 or model.late)


def stuck(rules: Rules) -> Callable[[Model], bool]:
    """Return what says that a state, with nothing going wrong any more, keeps the truth to itself."""

    def is_stuck(model: Model) -> bool:
        return model.journal in OPEN and is_quiet(model) and not any(True for _ in onward(model, rules))

    return is_stuck


def is_quiet(model: Model) -> bool:
    return model.memory == model.lane == "no" and not model.late


def onward(model: Model, rules: Rules) -> Iterator[Model]:
    """Yield what the gateway does by itself."""
    for mover in (gateway_moves, recovery_moves):
        for name, then in mover(model, rules):
            if then.journal is not model.journal and not name.startswith(("begin", "wait")):
                yield then


PRODUCT = Rules()


@pytest.fixture(scope="module")
def came() -> dict[Model, tuple[Model, str] | None]:
    return search(PRODUCT)


def test_the_search_is_exhaustive_and_goes_everywhere(came: dict[Model, tuple[Model, str] | None]) -> None:
    assert len(came) > 500
    assert {model.journal for model in came} == set(State)
    assert {model.told for model in came} == {TOLD_NOTHING, TOLD_DONE, TOLD_REFUSED}
    assert {model.crashes for model in came} == set(range(CRASHES + 1))


def test_nothing_is_carried_out_twice(came: dict[Model, tuple[Model, str] | None]) -> None:
    assert [story(came, model) for model in came if doubled(model)][:1] == []


def test_nobody_is_told_what_is_not_so(came: dict[Model, tuple[Model, str] | None]) -> None:
    assert [story(came, model) for model in came if told_wrong(model)][:1] == []


def test_the_truth_always_comes_out(came: dict[Model, tuple[Model, str] | None]) -> None:
    is_stuck = stuck(PRODUCT)
    assert [story(came, model) for model in came if is_stuck(model)][:1] == []


@pytest.mark.parametrize(
    ("rules", "breaks"),
    [
        (PRODUCT._replace(keeps_keys=False), doubled),
        (PRODUCT._replace(asks_again_blindly=True), doubled),
        (PRODUCT._replace(writes_before_sending=False), doubled),
        (PRODUCT._replace(waits_for_the_horizon=False), told_wrong),
        (PRODUCT._replace(reconciles=False), stuck(PRODUCT._replace(reconciles=False))),
    ],
    ids=["no-journal", "resend", "late-intent", "no-horizon", "no-reconcile"],
)
def test_without_one_of_the_rules_it_breaks(rules: Rules, breaks: Callable[[Model], bool]) -> None:
    assert any(breaks(model) for model in search(rules))

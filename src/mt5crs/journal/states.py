"""What can become of a trade request, as a table.

```text
                       finish, refuse
  NEW ──begin──▶ SENT ───────────────▶ DONE, REFUSED
                  │                     ▲   ▲
                doubt                   │   │
                  ▼    finish, refuse   │   │
               UNKNOWN ─────────────────┘   │
                  │    prove, resolve       │
                  ├─────────────────────────┤ DONE
                  │    miss, dismiss        │
                  └──────────────▶ ABSENT ──┘ prove, finish, resolve
```

An answer of the terminal can come late, so it settles what is in doubt too. What left no trace for long is
ABSENT: taken as not carried out, and looked for all the same.
"""

from enum import Enum


class State(str, Enum):
    """What is known of a trade request."""

    NEW = "new"
    """Nothing is on disk."""
    SENT = "sent"
    """Its intent is on disk: from here on the terminal may have heard of it."""
    UNKNOWN = "unknown"
    """The terminal gave no answer, or the process that waited for it ended."""
    DONE = "done"
    """The terminal answered it, whatever the return code, or its traces prove what became of it."""
    REFUSED = "refused"
    """It did not reach the trade server."""
    ABSENT = "absent"
    """It left no trace where one would be by now: it was not carried out."""


class Step(str, Enum):
    """What the journal can be told of a request."""

    BEGIN = "begin"
    """It is about to be sent."""
    FINISH = "finish"
    """The terminal answered."""
    REFUSE = "refuse"
    """The terminal said that it was not sent, or never heard of it."""
    DOUBT = "doubt"
    """No answer came, or will come."""
    PROVE = "prove"
    """Its traces were found."""
    MISS = "miss"
    """No trace was found, and none would be missing if it had been carried out."""
    RESOLVE = "resolve"
    """An operator says that it was carried out."""
    DISMISS = "dismiss"
    """An operator says that it was not."""


class NoticeKind(str, Enum):
    """What the journal keeps besides what became of requests; a notice stands alone."""

    DENIED = "denied"
    """The role of who asked does not allow it."""
    LIMIT = "limit"
    """The guard's limits did not allow an order."""
    BAD_SIGNATURE = "bad-signature"
    """A request was not signed, or not as it must be."""
    REPLAYED = "replayed"
    """A signed request came a second time."""
    KILL = "kill"
    """The kill switch was turned on."""
    RESUME = "resume"
    """It was turned off."""
    KEYS = "keys"
    """The keys that the gateway knows were changed."""
    POLICY = "policy"
    """The guard's limits were changed."""
    STARTED = "started"
    """A gateway began to use the journal."""
    STOPPED = "stopped"
    """It ended, and said so."""
    PRUNED = "pruned"
    """Bodies were dropped."""
    CHECKPOINT = "checkpoint"
    """The gateway signed all that stands before it; see `mt5crs.journal.checkpoints`."""
    OPERATOR = "operator"
    """An operator's command changed something."""


NEXT: dict[tuple[State, Step], State] = {
    (State.NEW, Step.BEGIN): State.SENT,
    (State.SENT, Step.FINISH): State.DONE,
    (State.SENT, Step.REFUSE): State.REFUSED,
    (State.SENT, Step.DOUBT): State.UNKNOWN,
    (State.UNKNOWN, Step.FINISH): State.DONE,
    (State.UNKNOWN, Step.REFUSE): State.REFUSED,
    (State.UNKNOWN, Step.PROVE): State.DONE,
    (State.UNKNOWN, Step.MISS): State.ABSENT,
    (State.UNKNOWN, Step.RESOLVE): State.DONE,
    (State.UNKNOWN, Step.DISMISS): State.ABSENT,
    (State.ABSENT, Step.PROVE): State.DONE,
    (State.ABSENT, Step.FINISH): State.DONE,
    (State.ABSENT, Step.RESOLVE): State.DONE,
}
"""The state after a step; a step that is not here does not happen."""

OPEN = frozenset({State.SENT, State.UNKNOWN})
"""The states of a request that still waits for its outcome; a pruned journal keeps all of it."""
WATCHED = OPEN | {State.ABSENT}
"""The states that a trace can still change."""


def is_step(state: State, step: Step) -> bool:
    """Whether a step leads on from a state."""
    return (state, step) in NEXT


def after(steps: "list[Step]") -> State:
    """Return the state that steps lead to.

    Raises:
        ValueError: One of them cannot follow those before it.
    """
    state = State.NEW
    for step in steps:
        if not is_step(state, step):
            raise ValueError(f"{step.value} cannot follow {state.value}")
        state = NEXT[state, step]
    return state

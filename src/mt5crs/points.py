"""Named moments in the life of an order, at which a test can end the process or hold it up.

Nobody but a test sets a hook; without one, to reach a point is to do nothing.

==================  =====================================================================================
point               what is true when it is reached
==================  =====================================================================================
``before-intent``   the gateway has the order, and nothing of it is on disk
``after-intent``    its intent is on disk, and the terminal has not heard of it
``sent``            the process that calls the terminal is about to do so
``filled``          the terminal has answered that process
``before-outcome``  the gateway has the answer, and nothing of it is on disk
``before-reply``    the outcome is on disk, and the client has not heard of it
==================  =====================================================================================
"""

from collections.abc import Callable

BEFORE_INTENT = "before-intent"
AFTER_INTENT = "after-intent"
SENT = "sent"
FILLED = "filled"
BEFORE_OUTCOME = "before-outcome"
BEFORE_REPLY = "before-reply"
POINTS = (BEFORE_INTENT, AFTER_INTENT, SENT, FILLED, BEFORE_OUTCOME, BEFORE_REPLY)

hook: Callable[[str], None] | None = None
"""What is called with the name of each point; set by tests."""


def reach(point: str) -> None:
    """Say that a point is reached."""
    if hook is not None:
        hook(point)

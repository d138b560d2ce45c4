"""Several operations asked together: one trip for all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from mt5crs.api import Bridge
from mt5crs.arguments import Bound
from mt5crs.client.core import Core, Immediate
from mt5crs.operation import Later, Operation, P, R, directly

if TYPE_CHECKING:
    from types import TracebackType


class Asked(Struct, eq=False, gc=False):
    """An operation of a pipeline: what is asked, and where its result goes."""

    op: Any  # Operation; as a field's type it would be taken for the descriptor that it is
    wire: Any
    key: str
    later: Any


@directly
class Pipeline(Bridge):
    """The operations of a client, each noted until the `with` block ends; then all leave together, in order.

    Each returns a `Later`, whose `value` is there when the block has ended. An answer that does not come is
    raised by the `value` of its own operation and by nothing else. A block that is left by an exception
    sends nothing.

    Args:
        core: The client's state.
        carry_out: Sends what was noted and waits until each is settled.
    """

    def __init__(self, core: Core, carry_out: Callable[[list[Asked]], None]) -> None:
        self._core = core
        self._carry_out = carry_out
        self._asked: list[Asked] = []
        self._ended = False

    def call(self, op: Operation[P, R], args: Bound, kwargs: dict[str, Any], /) -> Later[R]:
        """Note one operation of the table; its methods are the usual way to call it.

        Raises:
            RuntimeError: The block has ended.
        """
        if self._ended:
            raise RuntimeError(f"{op.name}: this pipeline has ended; begin another")
        later: Later[R] = Later(op.name)
        prepared = self._core.prepare(op, args, kwargs)
        if type(prepared) is Immediate:
            later.settle(*prepared)
        else:
            self._asked.append(Asked(op, prepared.wire, prepared.key, later))
        return later

    def __enter__(self) -> Pipeline:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ended = True
        if kind is None and self._asked:
            self._carry_out(self._asked)

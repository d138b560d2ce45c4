"""The failure that kills accounts: the order is filled, no answer comes, and all else looks healthy."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mt5crs import Client, OutcomeUnknown
from mt5crs.wire.codec import part_to_client, part_to_gateway, to_client, to_gateway
from mt5crs.wire.messages import Ask, Many, Receipt, Refusal
from tests.adversity.actions import Drop, Pass
from tests.adversity.kills import Fuse
from tests.adversity.proxy import Proxy
from tests.adversity.world import GatewayUnderTest
from tests.adversity.zmtp import Message, Way
from tests.processes import Gateway

BUY: dict[str, Any] = {"action": 1, "symbol": "EURUSD", "volume": 0.1, "type": 0, "type_filling": 1}
KEY = "the-one-order"
ATTEMPTS = 5


class AnswersToOrders:
    """Tells the answers to `order_send` from all others, by the ids of the questions."""

    def __init__(self) -> None:
        self._asked: set[tuple[int, int]] = set()

    def question(self, message: Message) -> bool:
        """Note an order; say whether it is one."""
        orders = {
            (message.connection, part.id)
            for part in _parts(message, to_gateway, part_to_gateway)
            if isinstance(part, Ask) and part.op == "order_send"
        }
        self._asked |= orders
        return bool(orders)

    def answer(self, message: Message) -> bool:
        """Say whether a message answers an order."""
        return any(
            isinstance(part, Receipt | Refusal) and (message.connection, part.id) in self._asked
            for part in _parts(message, to_client, part_to_client)
        )


def _parts(message: Message, decode: Callable[[bytes], Any], part_of: Callable[[Any], Any]) -> list[Any]:
    whole = decode(message.frames[0])
    return [part_of(part) for part in whole.messages] if isinstance(whole, Many) else [whole]


def test_an_order_whose_answers_are_all_lost_is_filled_once_and_found_again(tmp_path: Path) -> None:
    with Gateway(tmp_path) as record, GatewayUnderTest(tmp_path, record, Fuse(tmp_path)) as tested:
        orders = AnswersToOrders()
        with Proxy(tested.port) as proxy:
            asked = proxy.on(Way.TO_GATEWAY, orders.question, Pass(), times=0)
            lost = proxy.on(Way.TO_CLIENT, orders.answer, Drop(), times=0)
            with Client("127.0.0.1", proxy.port, timeout=1.0) as mt5:
                for _ in range(ATTEMPTS):
                    with pytest.raises(OutcomeUnknown) as unknown:
                        mt5.order_send(BUY, key=KEY)
                    assert unknown.value.key == KEY
                    assert mt5.ping().pong.state["answers"]
                    assert mt5.health().trading
            assert asked.happened == lost.happened == ATTEMPTS
        with record.client() as direct:
            (position,) = direct.positions_get() or ()
            assert direct.history_deals_total(0, 2**32 - 1) == 2  # the deposit, and the fill

        tested.gateway.kill()
        with Client("127.0.0.1", tested.port, timeout=30.0) as again:
            outcome = again.outcome(KEY)
            assert outcome is not None
            assert outcome.state == "done"
            assert outcome.result is not None
            assert outcome.result.order == position.ticket
            assert outcome.result.volume == position.volume
            assert again.order_send(BUY, key=KEY) == outcome.result, "the same key is the same order still"
        with record.client() as direct:
            assert direct.positions_total() == 1

"""Buy, Sell, Close and _RawOrder."""

from typing import Any

import pytest

REQUOTE, PRICE_OFF, REJECT, DONE = 10004, 10021, 10006, 10009


class Server:
    """Stands for `order_send`: notes requests and answers with retcodes in turn, the last one for ever."""

    def __init__(self, mt5: Any, retcodes: list[int | None]) -> None:
        self.requests: list[dict[str, Any]] = []
        self._mt5 = mt5
        self._retcodes = retcodes

    def __call__(self, request: dict[str, Any]) -> Any:
        self.requests.append(request)
        retcode = self._retcodes[min(len(self.requests), len(self._retcodes)) - 1]
        none = self._mt5.TradeRequest([0] * 17)
        return None if retcode is None else self._mt5.OrderSendResult([retcode, *[0] * 9, none])


@pytest.fixture
def two(flat: Any) -> Any:
    """The module on an account that is long and short in one symbol."""
    flat.Buy("EURUSD", 0.02)
    flat.Sell("EURUSD", 0.01)
    assert flat.positions_total() == 2
    return flat


@pytest.mark.parametrize(("name", "kind", "side"), [("Buy", 0, "ask"), ("Sell", 1, "bid")])
def test_what_is_sent(name: str, kind: int, side: str, mt5: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(mt5, [DONE])
    monkeypatch.setattr(mt5, "order_send", server)
    function = getattr(mt5, name)
    bare = {"action": 1, "symbol": "EURUSD", "volume": 0.1, "type": kind, "deviation": 10}
    function("EURUSD", 0.1, 1.5)
    function("EURUSD", 0.1, 1.5, comment="c", ticket=5)
    function("EURUSD", 0.1)
    given, more, market = server.requests
    assert given == {**bare, "price": 1.5}
    assert more == {**bare, "price": 1.5, "comment": "c", "position": 5}
    assert market.keys() == given.keys()
    assert market["price"] == pytest.approx(getattr(mt5.symbol_info_tick("EURUSD"), side), rel=0.01)


@pytest.mark.parametrize(
    ("retcodes", "tries"),
    [
        ([DONE], 1),
        ([REJECT], 1),
        ([None], 1),
        ([REQUOTE, DONE], 2),
        ([REQUOTE, PRICE_OFF, DONE], 3),
        ([REQUOTE], 10),
        ([PRICE_OFF], 10),
    ],
)
def test_tries_without_a_price(
    retcodes: list[int | None], tries: int, mt5: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server(mt5, retcodes)
    monkeypatch.setattr(mt5, "order_send", server)
    result = mt5.Buy("EURUSD", 0.1)
    assert len(server.requests) == tries
    assert (None if result is None else result.retcode) == retcodes[-1]


def test_one_try_with_a_price(mt5: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(mt5, [REQUOTE])
    monkeypatch.setattr(mt5, "order_send", server)
    assert mt5.Sell("EURUSD", 0.1, 1.5).retcode == REQUOTE
    assert len(server.requests) == 1


def test_raw_order(flat: Any) -> None:
    result = flat._RawOrder(flat.ORDER_TYPE_BUY, "EURUSD", 0.01, 1.1, "raw")
    assert (result.retcode, result.request.comment, result.request.deviation) == (DONE, "raw", 10)
    closed = flat._RawOrder(flat.ORDER_TYPE_SELL, "EURUSD", 0.01, 1.1, ticket=result.order)
    assert (closed.retcode, flat.positions_total()) == (DONE, 0)


def test_an_unknown_symbol(mt5: Any) -> None:
    assert mt5.Buy("NOPE", 0.1) is None
    assert mt5.Sell("NOPE", 0.1) is None
    assert mt5.Close("NOPE") is False  # nothing to close


def test_close_all_of_a_symbol(two: Any) -> None:
    two.Buy("GBPUSD", 0.01)
    assert two.Close("EURUSD", comment="bye") is True
    assert [position.symbol for position in two.positions_get()] == ["GBPUSD"]
    assert {deal.comment for deal in two.history_deals_get(0, 1 << 33)} >= {"bye"}


def test_close_one(two: Any) -> None:
    _, short = two.positions_get()
    assert two.Close("EURUSD", ticket=short.ticket) is True
    assert [position.type for position in two.positions_get()] == [0]


def test_close_nothing(flat: Any) -> None:
    assert flat.Close("EURUSD") is False
    assert flat.Close("EURUSD", ticket=1) is False


@pytest.mark.parametrize(
    ("retcodes", "expected"),
    [([DONE, REJECT], "Partially"), ([REJECT], False), ([None], None), ([DONE], True)],
)
def test_what_close_says(
    retcodes: list[int | None], expected: Any, two: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(two, "order_send", Server(two, retcodes))
        assert two.Close("EURUSD") is expected


def test_without_a_connection(unconnected: Any) -> None:
    assert unconnected.Buy("EURUSD", 0.1) is None
    assert unconnected.Sell("EURUSD", 0.1, 1.1) is None
    assert unconnected.Close("EURUSD") is None
    assert unconnected.last_error() == (-10004, "No IPC connection")

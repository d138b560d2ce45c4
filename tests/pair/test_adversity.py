"""Any schedule of losses and restarts: no trade twice, no untrue answer, no request without an end."""

from hypothesis import given, settings
from hypothesis import strategies as st

from mt5crs.errors import Certainty
from mt5crs.wire.request import Done
from tests.pair.bridge import BUY, Bridge

events = st.lists(
    st.sampled_from(["pass", "pass", "pass", "lose-to", "lose-from", "restart", "wait"]), max_size=40
)


@settings(max_examples=150, deadline=None)
@given(
    schedule=events,
    trades=st.lists(st.booleans(), min_size=1, max_size=6),
    together=st.integers(1, 6),
    is_greeted=st.booleans(),
)
def test_any_schedule(schedule: list[str], trades: list[bool], together: int, is_greeted: bool) -> None:
    bridge = Bridge()
    if is_greeted:  # without that, what is asked leaves only with the answer to the greeting
        bridge.call("version")
    fates = iter(schedule)

    def fate(lost: str) -> bool:
        event = next(fates, "pass")
        if event == "restart":
            bridge.restart()
        if event == "wait":
            bridge.now += 0.7
        return event != lost

    bridge.to_gateway = lambda _: fate("lose-to")
    bridge.to_client = lambda _: fate("lose-from")
    ids: list[int] = []
    settled: list[Done] = []
    for n, trade in enumerate(trades):
        ids.append(bridge.ask("order_send", BUY, key=str(n)) if trade else bridge.ask("symbols_total"))
        if (n + 1) % together == 0:  # what was asked since the last time leaves as one pipeline
            settled += bridge.pump()
    settled += bridge.pump() + bridge.pass_time(12.0)

    assert sorted(done.id for done in settled) == ids, "each request ends once"
    sends = bridge.terminal.calls.count("order_send")
    by_id = {done.id: done for done in settled}
    trade_ids = [id_ for id_, trade in zip(ids, trades, strict=True) if trade]
    answered = [id_ for id_ in trade_ids if by_id[id_].failure is None]
    unknown = [
        id_ for id_ in trade_ids if (f := by_id[id_].failure) is not None and f.certainty is Certainty.UNKNOWN
    ]
    assert len(answered) <= sends <= len(answered) + len(unknown), "what was told is what happened"
    tickets = [by_id[id_].value.order for id_ in answered]
    assert len(set(tickets)) == len(tickets)

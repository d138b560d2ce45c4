"""Faults of the simulated terminal as a client of a real gateway meets them."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from mt5crs import Client, OutcomeUnknown
from mt5crs.errors import ConnectionTimeout
from tests.processes import Gateway

pytestmark = pytest.mark.long
BUY: dict[str, Any] = {"action": 1, "symbol": "EURUSD", "volume": 0.1, "type": 0, "type_filling": 1}


def retcode(mt5: Client) -> int:
    result = mt5.order_send(BUY)
    assert result is not None
    return result.retcode


def connected(mt5: Client) -> bool:
    terminal = mt5.terminal_info()
    assert terminal is not None
    return terminal.connected


def faulty(folder: Path, *faults: str) -> Gateway:
    return Gateway(folder, [option for fault in faults for option in ("--fault", fault)])


def test_a_slow_order_is_answered_late_and_holds_nobody_up(tmp_path: Path) -> None:
    async def trade(gateway: Gateway) -> list[str]:
        order_of_answers: list[str] = []

        async def note(name: str, call: Any) -> Any:
            value = await call
            order_of_answers.append(name)
            return value

        async with gateway.async_client(timeout=10.0) as mt5, gateway.async_client() as other:
            slow = asyncio.create_task(note("slow", mt5.order_send(BUY)))
            while not (await other.ping()).pong.state["counters"].get("trade"):
                pass  # until the gateway has it; each look is a round trip
            await note("same client", mt5.symbol_info_tick("EURUSD"))
            await note("another client", other.positions_total())
            assert (await slow).retcode == 10009
            return order_of_answers

    with faulty(tmp_path, "slow:seconds=3") as gateway:
        assert asyncio.run(trade(gateway)) == ["same client", "another client", "slow"]


def test_a_wedged_call_costs_its_caller_alone(tmp_path: Path) -> None:
    with (
        faulty(tmp_path, "wedge:operation=copy_rates_from_pos") as gateway,
        gateway.client(timeout=0.5) as mt5,
    ):
        with pytest.raises(ConnectionTimeout):
            mt5.copy_rates_from_pos("EURUSD", 1, 0, 10)
        assert mt5.copy_rates_from_pos("EURUSD", 1, 0, 10) is not None


def test_a_lost_answer_leaves_an_order_that_was_filled(tmp_path: Path) -> None:
    with faulty(tmp_path, "lose") as gateway, gateway.client(timeout=0.5) as mt5:
        with pytest.raises(OutcomeUnknown):
            mt5.order_send(BUY)
        assert mt5.positions_total() == 1


def test_a_wedged_order_leaves_none(tmp_path: Path) -> None:
    with faulty(tmp_path, "wedge") as gateway, gateway.client(timeout=0.5) as mt5:
        with pytest.raises(OutcomeUnknown):
            mt5.order_send(BUY)
        assert mt5.positions_total() == 0


def test_a_late_fill_is_found_and_answered(tmp_path: Path) -> None:
    with faulty(tmp_path, "late:seconds=0.3") as gateway, gateway.client() as mt5:
        result = mt5.order_send(BUY)
        assert result is not None
        assert result.retcode == 10009
        (position,) = mt5.positions_get() or ()
        assert position.ticket == result.order


def test_a_fill_that_comes_too_late_for_its_caller_is_told_later(tmp_path: Path) -> None:
    with faulty(tmp_path, "late:seconds=3") as gateway, gateway.client(timeout=1.0) as mt5:
        with pytest.raises(OutcomeUnknown, match=r"IPC timeout \(-10005\)") as caught:
            mt5.order_send(BUY)
        assert mt5.last_error() == (-10005, "IPC timeout")
        give_up = time.monotonic() + 20.0
        while (found := mt5.outcome(caught.value.key)) and found.state == "unknown":
            assert time.monotonic() < give_up  # each look is a round trip
        assert found is not None
        assert found.result is not None
        (position,) = mt5.positions_get() or ()
        assert (found.state, found.result.order) == ("done", position.ticket)


def test_every_client_knows_an_order_without_the_terminals_answer_for_unknown(tmp_path: Path) -> None:
    async def ask(gateway: Gateway) -> None:
        async with gateway.async_client() as mt5:
            await mt5.order_send(BUY)

    with faulty(tmp_path, "late:times=0,seconds=600") as gateway, gateway.client() as mt5:
        with pytest.raises(OutcomeUnknown, match="IPC timeout") as awaited:
            asyncio.run(ask(gateway))
        with mt5.pipeline() as asked:
            order, total = asked.order_send(BUY), asked.symbols_total()
        with pytest.raises(OutcomeUnknown, match="IPC timeout") as collected:
            _ = order.value
        assert order.last_error == (-10005, "IPC timeout")
        assert total.value
        assert len({awaited.value.key, collected.value.key, ""}) == 3


@pytest.mark.parametrize("point", ["before", "after"])
def test_a_crash_ends_the_process_and_a_state_file_remembers(tmp_path: Path, point: str) -> None:
    state = tmp_path / "account.state"
    with Gateway(tmp_path, ["--state", str(state), "--fault", f"crash:point={point}"]) as gateway:
        with gateway.client(timeout=1.0) as mt5, pytest.raises(OutcomeUnknown):
            mt5.order_send(BUY)
        assert gateway.process.wait(10.0) == 137
    with Gateway(tmp_path, ["--state", str(state)]) as gateway, gateway.client() as mt5:
        assert mt5.positions_total() == (point == "after")


def test_faults_come_from_a_file_too(tmp_path: Path) -> None:
    path = tmp_path / "faults.toml"
    path.write_text('[[fault]]\nkind = "requote"\n[[fault]]\nkind = "refuse"\nretcode = 10024\n')
    with Gateway(tmp_path, ["--faults", str(path)]) as gateway, gateway.client() as mt5:
        assert [retcode(mt5) for _ in range(3)] == [10004, 10024, 10009]


def test_a_disconnected_terminal_says_so_and_catches_up(tmp_path: Path) -> None:
    with faulty(tmp_path, "disconnect:seconds=4") as gateway, gateway.client() as mt5:
        assert not connected(mt5)
        stale = mt5.symbol_info_tick("EURUSD")
        assert retcode(mt5) == 10031
        give_up = time.monotonic() + 10.0
        while retcode(mt5) == 10031 and time.monotonic() < give_up:
            assert mt5.symbol_info_tick("EURUSD") == stale or connected(mt5)
        assert connected(mt5)
        assert mt5.positions_total() == 1
